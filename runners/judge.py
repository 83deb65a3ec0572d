"""How a run judges its agent: evaluations as it goes on, and the comparison at its end."""

from __future__ import annotations

from ..agents.base import Policy
from .evaluate import evaluation_record, find_contestant, make_evaluation_env, on_test_split, play_episodes
from .resolve import reference_names
from .rollout import Episodes
from .rundir import RunConfig, RunDir
from .scores import print_table, score


class Judge:
    """The evaluation's environment of a run, on the part of the world that training does not see.

    Args:
        config: the run's.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._env = make_evaluation_env(
            config.environment,
            on_test_split(config.env_config),
            config.settings.eval_episodes,
            num_threads=config.settings.num_threads,
            vectorization=config.settings.vectorization,
            max_episode_steps=config.settings.max_episode_steps,
        )

    def evaluate(self, policy: Policy) -> Episodes:
        """Plays the evaluation's episodes."""
        return play_episodes(self._env, policy, self._config.settings.eval_episodes)

    def compare(self, policy: Policy, run: RunDir, done: str) -> None:
        """Evaluates a policy, the random agent and the world's references; prints and keeps the scores.

        Args:
            policy: the trained one.
            run: whose `evaluation.json` is written.
            done: how far training has come, in words.
        """
        config, environment = self._config, self._config.environment
        scores = {config.agent.name: score(self.evaluate(policy))}
        for name in ("random", *reference_names(environment, config.env_config)):
            contestant = find_contestant(name, environment, config.env_config)
            scores[name] = score(self.evaluate(contestant.policy(self._env)))
        episodes = config.settings.eval_episodes
        run.write_evaluation(evaluation_record(environment, episodes, scores))
        print_table(f"{environment.id}, {episodes} episodes, after {done}", scores)

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()
