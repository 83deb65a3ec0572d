"""How a run judges its agent: evaluations as it goes on, and the comparison at its end."""

from __future__ import annotations

from contextlib import closing

from gymnasium.vector import VectorEnv

from ..agents.base import Policy
from ..envs.core.splits import Split
from .evaluate import evaluation_record, find_contestant, make_evaluation_env, on_split, play_episodes
from .resolve import reference_names
from .rollout import Episodes
from .rundir import RunConfig, RunDir
from .scores import print_table, score
from .seeds import CHOICE_SEED, EVALUATION_SEED


class Judge:
    """The evaluations of a run, on maps and seeds that training does not see.

    Those on the way have a range of seeds and maps of their own: whoever chooses a checkpoint by them has
    not seen what the comparison at the end is made of. (Older runs have one range for both.)

    Args:
        config: the run's.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._first_seed, split = (EVALUATION_SEED, "test") if config.streams == 1 else (CHOICE_SEED,) * 2
        self._env = self._make(split)

    def _make(self, split: Split) -> VectorEnv:
        settings = self._config.settings
        return make_evaluation_env(
            self._config.environment,
            on_split(self._config.env_config, split),
            settings.eval_episodes,
            num_threads=settings.num_threads,
            vectorization=settings.vectorization,
            max_episode_steps=settings.max_episode_steps,
        )

    def evaluate(self, policy: Policy) -> Episodes:
        """Plays the episodes of an evaluation on the way."""
        return play_episodes(self._env, policy, self._config.settings.eval_episodes, self._first_seed)

    def compare(self, policy: Policy, run: RunDir, done: str) -> None:
        """Evaluates a policy, the random agent and the world's references; prints and keeps the scores.

        Args:
            policy: the trained one.
            run: whose `evaluation.json` is written.
            done: how far training has come, in words.
        """
        config, environment = self._config, self._config.environment
        episodes = config.settings.eval_episodes
        with closing(self._make("test")) as env:
            scores = {config.agent.name: score(play_episodes(env, policy, episodes))}
            for name in ("random", *reference_names(environment, config.env_config)):
                contestant = find_contestant(name, environment, config.env_config)
                scores[name] = score(play_episodes(env, contestant.policy(env), episodes))
        run.write_evaluation(evaluation_record(environment, episodes, scores))
        print_table(f"{environment.id}, {episodes} episodes, after {done}", scores)

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()
