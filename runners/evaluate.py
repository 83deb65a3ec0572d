"""`meze evaluate ENV AGENT_OR_RUN...`: scores on fixed seeds, side by side, with confidence intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

from gymnasium.vector import AutoresetMode, VectorEnv

from ..agents.base import Policy
from ..agents.registry import AgentSpec, agent_specs, make_agent
from ..envs.core.splits import LAST_SEED, Split
from . import rollout
from .measures import measures_of
from .presets import default_env_config
from .progress import Waiting
from .resolve import (
    Environment,
    Vectorization,
    find_environment,
    make_vector,
    reference_names,
    unknown_contestant,
    world_class,
)
from .rollout import Episodes, ReferencePolicy
from .rundir import RunDir
from .scores import print_json, print_table, score
from .seeds import EVALUATION_SEED
from .settings import asks_for_help, group, leading_names, parse, print_help, take_flag

USAGE = "meze evaluate ENV AGENT_OR_RUN... [flags]"
DESCRIPTION = f"""Plays episodes without exploring and prints their scores side by side.

Each AGENT_OR_RUN is `random`, a reference policy of the world such as `expert`, or a run's folder.
Episode k starts from seed {EVALUATION_SEED} + k; training's seeds lie below. A world that has a `split` is
evaluated on its `test` split, unless --env.split says otherwise. A run whose network is code of another
package needs `--network package.module:Class` as well."""


@dataclass(frozen=True)
class EvaluateSettings:
    """What to evaluate on."""

    episodes: int = 1000
    """Episodes of each agent."""
    num_threads: int = 1
    """Threads that step the environments (the project's own worlds only)."""
    vectorization: Vectorization = "sync"
    """Environments of others step one after another, or `async`: each in a process of its own."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off; by default the environment's own limit, or 1000."""
    first_seed: int | None = None
    """Episode k starts from this plus k; of a world with a `split` the maps, too, are those from this on. So
    anybody can judge on episodes that nobody has chosen."""
    checkpoint: str = "best"
    """Of runs: `best` by the evaluations on the way, `newest`, or the step after which it was written; of a
    searcher's run, the generation."""
    json: bool = False
    """Print JSON instead of a table."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        for name in ("episodes", "num_threads", "max_episode_steps"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.first_seed is not None and not 0 <= self.first_seed <= LAST_SEED:
            raise ValueError(f"first-seed must lie in 0 .. {LAST_SEED}; got {self.first_seed}")


@dataclass(frozen=True)
class Contestant:
    """Something that acts, and the settings of the environment in which it does."""

    name: str
    env_config: Any
    policy: Callable[[VectorEnv], Policy]
    """Makes the policy for an environment."""
    checkpoint: str = ""
    """Which checkpoint of a run it is, in words."""


def find_contestant(
    name: str,
    environment: Environment,
    env_config: Any = None,
    networks: Collection[str] = (),
    checkpoint: str = "best",
) -> Contestant:
    """Finds a run's agent, an agent that needs no training, or a reference policy of the world.

    Args:
        name: folder of a run, or name.
        environment: where it is to act.
        env_config: settings for those that are not runs; by default the environment's own.
        networks: networks of other packages that runs may use.
        checkpoint: of runs; see `RunDir.find_checkpoint`.

    Raises:
        ValueError: one line, when there is no such thing or it can't be used.
    """
    config = default_env_config(environment) if env_config is None else env_config
    references = reference_names(environment, config)
    agents = {spec.name: spec for spec in agent_specs()}
    # A folder that happens to be called like an agent is a run only if it looks like one.
    is_folder = Path(name).is_dir() and name not in references and name not in agents
    if is_folder or (Path(name) / "config.json").exists():
        return _trained(RunDir.open(name), environment, networks, checkpoint)
    if name in references:
        return Contestant(name, config, lambda env: ReferencePolicy(env.unwrapped.reference(name)))  # type: ignore[attr-defined]
    if name not in agents:
        raise unknown_contestant(name, environment, references)
    spec = agents[name]
    if spec.is_trained:
        raise ValueError(f"{name} has to be trained first: meze train {name} {environment.name}")
    return Contestant(name, config, lambda env: _untrained(spec, env))


def _untrained(spec: AgentSpec, env: VectorEnv) -> Policy:
    spaces = env.single_observation_space, env.single_action_space
    return make_agent(spec.name, *spaces, num_envs=env.num_envs, seed=EVALUATION_SEED)  # type: ignore[return-value]


def _trained(run: RunDir, environment: Environment, networks: Collection[str], checkpoint: str) -> Contestant:
    config = run.config(environment.id, networks)
    path, words = run.find_checkpoint(checkpoint)

    def policy(env: VectorEnv) -> Policy:
        learner = config.make_learner(env)
        run.load_learner(learner, path)
        return learner.policy

    return Contestant(f"{config.agent.name} {run.path.name}", config.env_config, policy, words)


def on_split(env_config: Any, split: Split = "test") -> Any:
    """The same settings on another part of the world, where it has parts; see `envs.core.splits`.

    A world of somebody else whose parts have names alone is put on its `test` split instead of a number.
    """
    hint = get_type_hints(type(env_config)).get("split")
    if hint is None:
        return env_config
    numbered = hint is int or int in get_args(hint)
    return dataclasses.replace(env_config, split=split if numbered or isinstance(split, str) else "test")


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


def evaluation_record(
    environment: Environment, episodes: int, scores: Mapping[str, Any], first_seed: int = EVALUATION_SEED
) -> dict[str, Any]:
    """What is written as JSON."""
    seeds = [first_seed, first_seed + episodes - 1]
    return {"env": environment.id, "episodes": episodes, "seeds": seeds, "scores": dict(scores)}


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    if asks_for_help(args):
        print_help(USAGE, DESCRIPTION)
        return 0
    names = leading_names(args)
    if len(names) < 2:
        raise ValueError(f"usage: {USAGE}")
    networks, flags = take_flag(args[len(names) :], "--network")
    checkpoint = (take_flag(flags, "--checkpoint")[0] or ["best"])[-1]
    environment = find_environment(names[0])
    prog = f"meze evaluate {' '.join(names)}"
    find = partial(find_contestant, environment=environment, networks=networks, checkpoint=checkpoint)
    runs = [find(name) for name in names[1:] if Path(name).is_dir()]
    base = runs[0].env_config if runs else default_env_config(environment)
    contestants = [find(name, env_config=base) for name in names[1:]]

    scores: dict[str, Any] = {}
    measures = measures_of(world_class(environment))
    settings, first = EvaluateSettings(), EVALUATION_SEED
    for contestant in contestants:
        default = group("Evaluate", run=EvaluateSettings(), env=on_split(contestant.env_config))
        given = parse(default, flags, prog=prog, description=DESCRIPTION)
        settings, env_config = given.run, given.env
        first = EVALUATION_SEED if settings.first_seed is None else settings.first_seed
        if settings.first_seed is not None and getattr(env_config, "split", None) == "test":
            env_config = on_split(env_config, first)
        env = make_evaluation_env(
            environment,
            env_config,
            settings.episodes,
            num_threads=settings.num_threads,
            vectorization=settings.vectorization,
            max_episode_steps=settings.max_episode_steps,
        )
        with closing(env), nullcontext() if settings.json else Waiting(f"evaluating {contestant.name}"):
            played = play_episodes(env, contestant.policy(env), settings.episodes, first)
        scores[contestant.name] = score(played, measures, env_config)
    if settings.json:
        print_json(evaluation_record(environment, settings.episodes, scores, first))
    else:
        chosen = "" if settings.first_seed is None else f" from seed {first:,} on"
        told = [f"{each.name}: the checkpoint {each.checkpoint}." for each in contestants if each.checkpoint]
        title = f"{environment.id}, {settings.episodes} episodes{chosen}"
        print_table(title, scores, " ".join(told), measures)
    return 0
