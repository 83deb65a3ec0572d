"""Episodes that are played without exploring, and what they tell of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args, get_type_hints

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from ...agents.base import Policy
from ...agents.costs import best_mixture
from ...agents.registry import AgentSpec, agent_names, find_agent, make_agent
from ...envs.core.splits import Split
from ..reporting.limits import limits_told, verdict
from ..reporting.measures import Episodes, measures_of, reported
from ..reporting.scores import Scores, print_table, score
from ..reporting.statistics import cost_interval
from ..setup.costs import Limit
from ..setup.kinds import KINDS
from ..setup.lengths import outlasting
from ..setup.presets import default_env_config, default_settings
from ..setup.pretrained import is_run, run_path
from ..setup.resolve import (
    Environment,
    Vectorization,
    make_vector,
    reference_names,
    unknown_contestant,
    world_class,
)
from ..setup.seeds import EVALUATION_SEED, choice_seed
from ..setup.settings import wrapped
from . import rollout
from .config import RunConfig
from .folder import RunDir
from .progress import Waiting
from .rollout import ReferencePolicy

CERTIFIED = 20_000
"""Episodes that a checkpoint plays which may keep a limit: they tell a cost of 0.01 to within 0.0014."""


@dataclass(frozen=True)
class Contestant:
    """Something that acts, and the settings of the environment in which it does."""

    name: str
    env_config: Any
    policy: Callable[[VectorEnv], Policy]
    """Makes the policy for an environment."""
    checkpoint: str = ""
    """Which checkpoint of a run it is, in words."""
    limit: Limit | None = None
    """What a run's episodes may cost at most, in the mean."""


def find_contestant(
    name: str,
    environment: Environment,
    env_config: Any = None,
    networks: Collection[str] = (),
    checkpoint: str = "best",
) -> Contestant:
    """Finds a run's agent, an agent that needs no training, or a reference policy of the world.

    Args:
        name: folder of a run, `pretrained:NAME`, or name.
        environment: where it is to act.
        env_config: settings for those that are not runs; by default the environment's own.
        networks: networks of other packages that runs may use.
        checkpoint: of runs; see `RunDir.find_checkpoint`.

    Raises:
        ValueError: one line, when there is no such thing or it can't be used.
    """
    config = default_env_config(environment) if env_config is None else env_config
    references = reference_names(environment, config)
    known = agent_names()
    # A folder that happens to be called like an agent is a run only if it looks like one.
    is_folder = run_path(name).is_dir() and name not in references and name not in known
    if is_folder or is_run(name):
        return _trained(RunDir.open(name), environment, networks, checkpoint)
    if name in references:
        return Contestant(name, config, lambda env: ReferencePolicy(env.unwrapped.reference(name)))  # type: ignore[attr-defined]
    if name not in known:
        raise unknown_contestant(name, environment, references)
    spec = find_agent(name)
    if spec.is_trained:
        raise ValueError(f"{name} has to be trained first: meze train {name} {environment.name}")
    return Contestant(spec.name, config, lambda env: _untrained(spec, env))


def _untrained(spec: AgentSpec, env: VectorEnv) -> Policy:
    spaces = env.single_observation_space, env.single_action_space
    return make_agent(spec.name, *spaces, num_envs=env.num_envs, seed=EVALUATION_SEED)  # type: ignore[return-value]


def _trained(run: RunDir, environment: Environment, networks: Collection[str], checkpoint: str) -> Contestant:
    config = run.config(environment.id, networks)
    chosen, name = run.find_checkpoint(checkpoint), f"{config.agent.name} {run.path.name}"
    policy = partial(run.policy, config, chosen=chosen)
    return Contestant(name, config.env_config, policy, chosen.words, config.limit)


def on_split(env_config: Any, split: Split = "test") -> Any:
    """The same settings on another part of the world, where it has parts; see `envs.core.splits`.

    A world of somebody else whose parts have names alone is put on its `test` split instead of a number.
    """
    hint = get_type_hints(type(env_config)).get("split")
    if hint is None:
        return env_config
    numbered = hint is int or int in get_args(hint)
    return dataclasses.replace(env_config, split=split if numbered or isinstance(split, str) else "test")


def with_few_maps(env_config: Any) -> Any:
    """The same settings with no more maps or levels than by default: many more are made to train on."""
    own = getattr(env_config, "pool_size", None)
    if not isinstance(own, int):
        return env_config
    return dataclasses.replace(env_config, pool_size=min(own, type(env_config)().pool_size))


def make_evaluation_env(
    environment: Environment,
    env_config: Any,
    episodes: int,
    *,
    num_threads: int = 1,
    vectorization: Vectorization = "sync",
    max_episode_steps: int | None = None,
) -> VectorEnv:
    """Makes as many environments as suit so many episodes; the scores do not depend on their number."""
    return make_vector(
        environment,
        env_config,
        min(episodes, 256 if environment.world else 16),
        AutoresetMode.DISABLED,
        num_threads=num_threads,
        vectorization=vectorization,
        max_episode_steps=max_episode_steps,
    )


def play_episodes(
    env: VectorEnv, policy: Policy, episodes: int, first_seed: int = EVALUATION_SEED
) -> Episodes:
    """Plays evaluation's episodes 0 to `episodes - 1`; see `rollout.evaluate`."""
    return rollout.evaluate(env, policy, range(first_seed, first_seed + episodes))


class Evaluator:
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
        own = choice_seed(config.settings.seed)
        self._first_seed, split = (EVALUATION_SEED, "test") if config.streams == 1 else (own, own)
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
        found = reported(counted, self.measures, self._config.env_config)
        return {f"eval_{name}": float(values.mean()) for name, values in found.items()}

    def chooses(self, row: Mapping[str, float], run: RunDir) -> bool:
        """Whether an evaluation is the best so far, so that its checkpoint must be kept."""
        if limit := self._config.limit:
            rows = [*run.evaluated().values(), row]
            return len(rows) - 1 in _mixed(rows, limit, (0.5, 1.0, 2.0))
        best = run.best()
        return self._config.streams > 1 and (best is None or row["eval_return"] >= best[1])

    def mix(self, run: RunDir) -> None:
        """Chooses the mixture of at most two checkpoints that keeps the run's limit with the highest return.

        Those that may be part of it play `CERTIFIED` more episodes, and what they cost is taken as the upper
        end of its interval. Where none keeps the limit, the one that costs least is taken.

        Args:
            run: whose `mixture.json` is written.
        """
        limit, found = self._config.limit, run.evaluated()
        assert limit is not None, "without a limit there is nothing to mix"
        steps, rows = [*found], [*found.values()]
        wanted = {steps[k] for k in _mixed(rows, limit, (0.0, 0.25, 0.5, 1.0, 2.0, 4.0))} | {run.steps()[-1]}
        steps, told = sorted(wanted), []
        with Waiting("choosing what keeps the limit") as waiting:
            for k, step in enumerate(steps):
                waiting.say(f"choosing what keeps the limit, {k + 1} of {len(steps)} checkpoints")
                policy = run.policy(self._config, self._env, run.find_checkpoint(str(step)))
                first = self._first_seed + self._config.settings.eval_episodes
                played = play_episodes(self._env, policy, CERTIFIED, first).measures
                low, high = cost_interval(played[limit.cost])
                told.append((float(played["return"].mean()), float(played[limit.cost].mean()), low, high))
        shares, kept = best_mixture([each[0] for each in told], [each[3] for each in told], limit.most)
        if not kept:
            _, cost, low, high = told[int(np.argmax(shares))]
            least = f"{cost:.4g} ({low:.4g}..{high:.4g})"
            print(f"no checkpoint keeps {limit}: the least that was reached is {least}")
        parts = [
            {"step": step, "share": share, "return": gain, "cost": cost, "cost_95": [low, high]}
            for step, share, (gain, cost, low, high) in zip(steps, shares.tolist(), told, strict=True)
            if share > 0
        ]
        run.write_mixture(
            {"constraint": str(limit), "kept": kept, "episodes": CERTIFIED, "checkpoints": parts}
        )

    def compare(self, policy: Policy, run: RunDir, done: str) -> Scores:
        """Evaluates the run's best checkpoint, the random agent and the world's references.

        The scores are printed and kept.

        Args:
            policy: the trained one as it is now, which is the newest checkpoint.
            run: whose `evaluation.json` is written.
            done: how far training has come, in words.

        Returns:
            The scores; the agent's stand first.
        """
        config, environment = self._config, self._config.environment
        episodes, agent = config.settings.eval_episodes, config.agent.name
        chosen = run.find_checkpoint("best")
        with closing(self._make("test")) as env, Waiting(f"evaluating {agent}") as waiting:
            if chosen.paths != (run.latest_checkpoint(),):
                policy = run.policy(config, env, chosen)
            played = play_episodes(env, policy, episodes)
            scores = {agent: score(played, self.measures, config.env_config)}
            for name in ("random", *reference_names(environment, config.env_config)):
                waiting.say(f"evaluating {name}")
                contestant = find_contestant(name, environment, config.env_config)
                other = play_episodes(env, contestant.policy(env), episodes)
                scores[name] = score(other, self.measures, config.env_config)
        limits = {agent: verdict(config.limit, played.measures)} if config.limit else {}
        found = Scores(environment.id, episodes, EVALUATION_SEED, scores, limits)
        run.write_evaluation(found.plain() | {"checkpoint": chosen.words})
        title = f"{environment.id}, {episodes} episodes, after {done}"
        note = f"{agent}: the checkpoint {chosen.words}. {_settings(config)}"
        print_table(title, scores, note, self.measures)
        for line in limits_told(limits):
            print(wrapped(line))
        if scores[agent]["return"]["mean"] <= scores["random"]["return"]["mean"]:
            print(f"{agent} is not above the random agent: {_why(config, run.reached())}\n")
        elif late := list(outlasting(config.agent_config, run.reached(), warm_ups_alone=True)):
            print(f"{agent} never updated what it began with: {late[0]} is longer than the run\n")
        return found

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()


def _mixed(rows: Sequence[Mapping[str, float]], limit: Limit, factors: Sequence[float]) -> set[int]:
    """Which rows of `metrics.csv` are in the mixture for the limit, or so many times as much."""
    gains, costs = [row["eval_return"] for row in rows], [row[f"eval_{limit.cost}"] for row in rows]
    found = [best_mixture(gains, costs, factor * limit.most)[0] for factor in factors]
    return {int(k) for shares in found for k in np.flatnonzero(shares)}


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


def _why(config: RunConfig, reached: int) -> str:
    """What may have kept a run from learning, which has come so far."""
    length, mode = KINDS[config.agent.kind].length, getattr(config.env_config, "observation", None)
    usual = getattr(default_settings(config.environment, config.agent, mode), length)
    done = min(reached, getattr(config.settings, length))  # a batch's transitions may be more than asked for
    reasons = [f"it was trained for {done:,} {length}, and its preset has {usual:,}"] if done < usual else []
    if length == "steps":
        late = ", ".join(outlasting(config.agent_config, done))
        reasons += [f"longer than the run: {late}"] if late else []
    return "; ".join(reasons) or "its settings do not suit this environment, or it needs more than its preset"
