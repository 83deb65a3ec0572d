"""How a run judges its agent: evaluations as it goes on, and the comparison at its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from gymnasium.vector import VectorEnv

from ..agents.base import Policy
from ..envs.core.splits import Split
from .evaluate import evaluation_record, find_contestant, make_evaluation_env, on_split, play_episodes
from .kinds import KINDS
from .lengths import outlasting
from .measures import measures_of, told
from .presets import default_settings
from .progress import Waiting
from .resolve import reference_names, world_class
from .rundir import RunConfig, RunDir
from .scores import print_table, score
from .seeds import CHOICE_SEED, EVALUATION_SEED


class Judge:
    """The evaluations of a run, on maps and seeds that training does not see.

    Those on the way have a range of seeds and maps of their own: whoever chooses a checkpoint by them has
    not seen what the comparison at the end is made of. (Older runs have one range for both.)

    Args:
        config: the run's.

    Attributes:
        measures: what the episodes are measured by.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self.measures = measures_of(world_class(config.environment))
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

    def evaluate(self, policy: Policy) -> dict[str, float]:
        """Plays the episodes of an evaluation on the way.

        Returns:
            Mean measures, as `metrics.csv` calls them: `eval_return`, ...
        """
        episodes = self._config.settings.eval_episodes
        counted = play_episodes(self._env, policy, episodes, self._first_seed).measures
        found = told(counted, self.measures, self._config.env_config)
        return {f"eval_{name}": float(values.mean()) for name, values in found.items()}

    def chooses(self, row: Mapping[str, float], run: RunDir) -> bool:
        """Whether an evaluation is the best so far, so that its checkpoint must be kept."""
        best = run.best()
        return self._config.streams > 1 and (best is None or row["eval_return"] >= best[1])

    def compare(self, policy: Policy, run: RunDir, done: str) -> dict[str, float]:
        """Evaluates the run's best checkpoint, the random agent and the world's references.

        The scores are printed and kept.

        Args:
            policy: the trained one as it is now, which is the newest checkpoint.
            run: whose `evaluation.json` is written.
            done: how far training has come, in words.

        Returns:
            The agent's mean measures.
        """
        config, environment = self._config, self._config.environment
        episodes, agent = config.settings.eval_episodes, config.agent.name
        path, which = run.find_checkpoint("best")
        with closing(self._make("test")) as env, Waiting(f"evaluating {agent}") as waiting:
            if path != run.latest_checkpoint():
                learner = config.make_learner(env)
                run.load_learner(learner, path)
                policy = learner.policy
            scores = {agent: self._score(env, policy)}
            for name in ("random", *reference_names(environment, config.env_config)):
                waiting.say(f"evaluating {name}")
                contestant = find_contestant(name, environment, config.env_config)
                scores[name] = self._score(env, contestant.policy(env))
        record = evaluation_record(environment, episodes, scores) | {"checkpoint": which}
        run.write_evaluation(record)
        title = f"{environment.id}, {episodes} episodes, after {done}"
        print_table(title, scores, f"{agent}: the checkpoint {which}. {_settings(config)}", self.measures)
        if scores[agent]["return"]["mean"] <= scores["random"]["return"]["mean"]:
            print(f"{agent} is not above the random agent: {_why(config)}\n")
        elif late := list(outlasting(config.agent_config, run.reached(), warm_ups_alone=True)):
            print(f"{agent} never updated what it began with: {late[0]} is longer than the run\n")
        return {name: each["mean"] for name, each in scores[agent].items()}

    def _score(self, env: VectorEnv, policy: Policy) -> dict[str, dict[str, Any]]:
        played = play_episodes(env, policy, self._config.settings.eval_episodes)
        return score(played, self.measures, self._config.env_config)

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()


def _settings(config: RunConfig) -> str:
    """What two runs' scores may differ by: an episode's end, and what is not usual of the environment."""
    usual = config.environment.config()
    given = {
        field.name: getattr(config.env_config, field.name)
        for field in dataclasses.fields(usual)
        if getattr(config.env_config, field.name) != getattr(usual, field.name)
    }
    steps = config.settings.max_episode_steps or config.environment.max_episode_steps
    words = [f"{steps:,} steps at most", *(f"{name} {value}" for name, value in given.items())]
    return f"Episodes: {', '.join(words)}."


def _why(config: RunConfig) -> str:
    """What may have kept a run from learning."""
    length = KINDS[config.agent.kind].length
    done, usual = (
        getattr(settings, length)
        for settings in (config.settings, default_settings(config.environment, config.agent))
    )
    reasons = [f"it was trained for {done:,} {length}, and its preset has {usual:,}"] if done < usual else []
    if length == "steps":
        late = ", ".join(outlasting(config.agent_config, done))
        reasons += [f"longer than the run: {late}"] if late else []
    return "; ".join(reasons) or "its settings do not suit this environment, or it needs more than its preset"
