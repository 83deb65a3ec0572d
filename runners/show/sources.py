"""What can be watched: runs, agents, references, replays."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gymnasium.vector import AutoresetMode, VectorEnv

from ...agents.base import Policy, Trainable
from ...checking import above, at_least, within
from ...envs.core.env import world_of
from ...envs.core.replay import Replay
from ...envs.core.replay import load as load_replay
from ..run.config import RunConfig
from ..run.evaluation import find_contestant, on_split, with_few_maps
from ..run.folder import Chosen, RunDir
from ..setup.kinds import KINDS
from ..setup.pretrained import run_path
from ..setup.resolve import Environment, find_environment, make_vector
from ..setup.seeds import EVALUATION_SEED
from ..setup.settings import from_plain
from .show import ScriptPolicy, Show
from .viewer import Viewer

USAGE = "meze watch RUN, meze watch AGENT ENV, meze watch REPLAY.json (with flags), or meze watch FOLDER"
LIMITS = {".gif": (800, 600), ".mp4": (1280, 960), ".png": (1280, 960)}
"""Most width and height of a recording of one environment, in pixels, by its ending."""
FOLLOW_SECONDS = 1.0


@dataclass(frozen=True)
class WatchSettings:
    """What to show and how."""

    envs: int = 1
    """Environments side by side."""
    seed: int = EVALUATION_SEED
    """Episode k starts from seed + k; by default these are evaluation's episodes."""
    speed: float | None = None
    """Steps a second; by default what suits the environment."""
    sees: bool = False
    """Begin with what the agent sees shown."""
    checkpoint: str = "best"
    """Of a run: `best` by the evaluations on the way, `newest`, or the step after which it was written; of a
    searcher's run, the generation."""
    follow: bool = False
    """Before each episode, take the newest checkpoint of a run that is still training."""
    population: bool = False
    """Show the whole generation of a searcher's run: as ghosts in one level where the world can draw them,
    its fittest side by side elsewhere."""
    record: Path | None = None
    """Write an .mp4 or .gif file instead of opening a window; a .png file is a recording's last picture."""
    episodes: int = 1
    """Episodes to record."""
    steps: int | None = None
    """Steps to record, at most."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off; by default as the run was trained, or the environment's own
    limit, or 1000."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        within(self, 1, 64, "envs")
        at_least(self, 0, "seed")
        at_least(self, 1, "episodes", "steps", "max_episode_steps")
        above(self, 0, "speed")
        if self.record is not None and self.record.suffix.lower() not in LIMITS:
            raise ValueError(f"record writes .mp4, .gif or .png; got {self.record}")
        if self.follow and self.checkpoint not in ("best", "newest"):
            raise ValueError(f"--follow takes the newest checkpoint, not {self.checkpoint}")


class Kept:
    """A checkpoint of a run in its learner.

    Args:
        run: the run.
        learner: its learner.
        settings: which checkpoint.

    Raises:
        ValueError: when there is no such checkpoint.
    """

    def __init__(self, run: RunDir, learner: Trainable, settings: WatchSettings) -> None:
        self._run, self._learner = run, learner
        self._follows = settings.follow
        self._loaded: Path | None = None
        self.words = ""
        """Which checkpoint it is."""
        if not self._follows:
            if not run.steps():
                raise ValueError(f"{run.path} has no checkpoint yet; --follow waits for it")
            self._load(run.find_checkpoint(settings.checkpoint))
        self()

    def __call__(self) -> None:
        """Before an episode: loads the newest checkpoint where it is followed; waits for the first one."""
        if not self._follows:
            return
        said = False
        while not self._run.steps():
            if not (self._run.path / "config.json").exists():
                raise ValueError(f"{self._run.path} is gone")
            if not said:
                print(f"waiting for the first checkpoint in {self._run.checkpoints}", flush=True)
            said = True
            time.sleep(FOLLOW_SECONDS)
        newest = self._run.find_checkpoint("newest")
        if newest.paths[0] != self._loaded:
            self._load(newest)

    def _load(self, chosen: Chosen) -> None:
        self._loaded, self.words = chosen.paths[0], chosen.words
        self._run.load_learner(self._learner, self._loaded)


class Actor(NamedTuple):
    """Who acts, and what is known of it."""

    policy: Policy
    before_episode: Callable[[], None] = lambda: None
    checkpoint: Callable[[], str] = lambda: ""
    """Which checkpoint it is, in words."""


@dataclass(frozen=True)
class Source:
    """What is to be shown."""

    title: str
    environment: Environment
    env_config: Any
    act: Callable[[VectorEnv, WatchSettings], Actor]
    """From the environments and the settings to who acts."""
    replay: Replay | None = None
    run: RunDir | None = None
    """The run of a searcher, which has generations."""
    config: RunConfig | None = None
    """With what that one is trained."""
    max_episode_steps: int | None = None
    """Steps after which an episode was cut off in training; None: the environment's own limit."""


def find_source(names: Sequence[str], networks: Collection[str] = ()) -> Source:
    """Finds a run, a replay file, or an agent and its environment.

    Args:
        names: of it, as the usage says.
        networks: networks of other packages that a run may use.

    Raises:
        ValueError: one line, when there is no such thing.
    """
    if len(names) not in (1, 2):
        raise ValueError(f"usage: {USAGE}")
    path = run_path(names[0])
    if path.is_file():
        return _replay_source(path)
    if path.is_dir():
        return _run_source(RunDir.open(path), names[1] if len(names) == 2 else None, networks)
    if len(names) == 1:
        raise ValueError(f"there is no run or replay {names[0]}; an agent needs its environment: {USAGE}")
    environment = find_environment(names[1])
    contestant = find_contestant(names[0], environment)
    config = on_split(contestant.env_config)
    return Source(contestant.name, environment, config, lambda env, settings: Actor(contestant.policy(env)))


def _run_source(run: RunDir, env_id: str | None, networks: Collection[str]) -> Source:
    config = run.config(env_id, networks)

    def act(env: VectorEnv, settings: WatchSettings) -> Actor:
        mixed = run.find_checkpoint(settings.checkpoint) if run.mixture() and not settings.follow else None
        if mixed:
            return Actor(run.policy(config, env, mixed), checkpoint=lambda: mixed.words)
        learner = config.make_agent(env)
        kept = Kept(run, learner, settings)
        return Actor(learner.policy, kept, lambda: kept.words)

    searching = (run, config) if KINDS[config.agent.kind].length == "generations" else (None, None)
    env_config = with_few_maps(on_split(config.env_config))
    limit = config.settings.max_episode_steps
    return Source(config.agent.name, config.environment, env_config, act, None, *searching, limit)


def _replay_source(path: Path) -> Source:
    replay = load_replay(path)
    environment = find_environment(replay.id)
    script = ScriptPolicy(replay.actions)
    config = from_plain(environment.config, dict(replay.config), f"{path}: config")
    return Source(
        f"replay of {replay.agent}",
        environment,
        config,
        lambda env, settings: Actor(script.within(env.single_action_space), script.rewind),
        replay,
    )


def make_env(
    environment: Environment,
    env_config: Any,
    num_envs: int,
    max_episode_steps: int | None,
    autoreset: AutoresetMode = AutoresetMode.DISABLED,
) -> VectorEnv:
    """Makes environments that can be drawn; see `resolve.make_vector`."""
    pictures = environment.world is None
    return make_vector(
        environment, env_config, num_envs, autoreset, max_episode_steps=max_episode_steps, render=pictures
    )


def make_viewer(
    source: Source, env_config: Any, settings: WatchSettings, bare: bool = False
) -> tuple[VectorEnv, Show, Viewer]:
    """Environments, the stream of moments and who draws them; `bare`: without any text."""
    replay = source.replay
    if replay is None:
        env = make_env(source.environment, env_config, settings.envs, settings.max_episode_steps)
        actor, world = source.act(env, settings), world_of(env)
        show = Show(
            env,
            actor.policy,
            lambda k: settings.seed + k,
            before_episode=actor.before_episode,
            sights=partial(world.sights, source.title) if world else None,
        )
    else:
        env = make_env(source.environment, env_config, settings.envs, max(1, len(replay.actions)))
        actor = source.act(env, settings)
        show = Show(
            env,
            actor.policy,
            lambda k: replay.seed,
            max_steps=len(replay.actions),
            options=dict(replay.options),
            before_episode=actor.before_episode,
        )
    return env, show, Viewer(show, source.title, actor.checkpoint, bare)
