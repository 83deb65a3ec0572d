"""`meze watch AGENT_OR_RUN_OR_REPLAY [ENV]`: see an agent act, in a window or as a recording."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from ..agents.base import Policy, Trainable
from ..envs.core.env import world_of
from ..envs.core.replay import Replay
from ..envs.core.replay import load as load_replay
from ..envs.core.splits import shown_seed
from ..files import replaced
from .evaluate import find_contestant, on_split
from .kinds import KINDS
from .resolve import Environment, find_environment, make_vector
from .rundir import RunDir
from .seeds import EVALUATION_SEED
from .settings import asks_for_help, from_plain, group, leading_names, parse, print_help, take_flag
from .show import ScriptPolicy, Show
from .tables import print_rows
from .text import command, printable
from .viewer import Viewer

USAGE = "meze watch RUN, meze watch AGENT ENV, meze watch REPLAY.json (with flags), or meze watch FOLDER"
DESCRIPTION = """Shows a run's agent, `random`, a reference policy such as `expert`, or a replay file; of a
folder of runs or replays it lists what is in it. A run whose network is code of another package needs
`--network package.module:Class` as well.

Keys: space pauses, right takes one step, left steps back, up and down change the speed, n begins the next
episode, o shows what the agent sees and its action values, tab looks at the next of several (of a population,
at first at who is furthest), h lists the keys, q quits."""
KEYS = (
    "space: pause   right: one step   left: step back   up/down: faster/slower",
    "n: next episode   o: what the agent sees   tab: look at the next   h: hide keys   q: quit",
)
LIMITS = {".gif": (800, 600), ".mp4": (1280, 960), ".png": (1280, 960)}
"""Most width and height of a recording of one environment, in pixels, by its ending."""
LARGEST = 1920
"""Most width of a recording of several."""
SMOOTH = 20
"""Frames per second of recordings where motion between two steps can be drawn."""
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
        if not 1 <= self.envs <= 64:
            raise ValueError(f"envs must lie in 1 .. 64; got {self.envs}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative; got {self.seed}")
        for name in ("speed", "episodes", "steps", "max_episode_steps"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0; got {getattr(self, name)}")
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
            self._load(*run.find_checkpoint(settings.checkpoint))
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
        path, words = self._run.find_checkpoint("newest")
        if path != self._loaded:
            self._load(path, words)

    def _load(self, path: Path, words: str) -> None:
        self._run.load_learner(self._learner, path)
        self._loaded, self.words = path, words


def watch(show: Show, viewer: Viewer, speed: float, sees: bool, title: str) -> None:
    """Shows it in a window until it is closed."""
    import pygame

    from .board import Board
    from .screen import Window

    window = Window(title)
    board = Board(window.limit)
    playing, phase, started, helping = True, 1.0, False, True
    while True:
        for key in window.keys():
            if key in (pygame.K_q, pygame.K_ESCAPE):
                window.close()
                return
            if key == pygame.K_SPACE:
                playing = not playing
            elif key in (pygame.K_UP, pygame.K_DOWN):
                speed = min(256.0, max(0.25, speed * (2 if key == pygame.K_UP else 0.5)))
            elif key == pygame.K_RIGHT:
                playing, phase = False, 1.0
                show.forward()
            elif key == pygame.K_LEFT:
                playing, phase = False, 1.0
                show.back()
            elif key == pygame.K_n:
                show.next_episode()
                phase = 1.0
            elif key == pygame.K_o:
                sees = not sees
            elif key == pygame.K_TAB:
                viewer.look_on()
            elif key == pygame.K_h:
                helping = not helping
        state = "playing" if playing else "paused"
        past = ", in the past" if show.rewound else ""
        status = [f"{state}{past}, {speed:g} steps/s   h: keys", *(KEYS if helping else ())]
        seconds = window.show(board.draw(viewer.view(min(phase, 1.0), sees), status))
        if playing:
            phase += seconds * speed if started else 0.0
            started = True
            for _ in range(min(int(phase), 64)):  # a slow machine falls behind rather than stand still
                show.forward()
            phase %= 1.0


def record(
    show: Show,
    viewer: Viewer,
    path: Path,
    speed: float,
    settings: WatchSettings,
    limit: tuple[int, int] | None = None,
) -> None:
    """Writes a recording; `path` holds either its earlier content or the whole new one.

    Args:
        show: what is recorded.
        viewer: who draws it.
        path: an .mp4, .gif or .png file.
        speed: steps a second.
        settings: how many steps and episodes.
        limit: most width and height in pixels; by default what suits the kind of file and how many there are.
    """
    from .screen import write_gif, write_mp4, write_png

    ending = path.suffix.lower()
    between = max(1, round(SMOOTH / speed)) if viewer.smooth and ending != ".png" else 1
    frames = _frames(show, viewer, between, limit or recording_limit(ending, show.env.num_envs), settings)
    with replaced(path) as temporary:
        if ending == ".png":
            write_png(temporary, *frames)
        else:
            (write_gif if ending == ".gif" else write_mp4)(temporary, frames, speed * between)


def recording_limit(ending: str, num_envs: int) -> tuple[int, int]:
    """Most width and height of a recording: its area grows with the environments, within limits."""
    width, height = LIMITS[ending]
    larger = min(math.sqrt(num_envs), LARGEST / width)
    return round(width * larger), round(height * larger)


def _frames(
    show: Show, viewer: Viewer, between: int, limit: tuple[int, int], settings: WatchSettings
) -> Iterator[NDArray[np.uint8]]:
    """The frames of a recording; of a picture the last one alone."""
    from ..envs.core.renderer import to_array
    from .board import Board

    board = Board(limit)
    only_last = settings.record is not None and settings.record.suffix.lower() == ".png"
    for step in itertools.count():
        is_last = show.finished >= settings.episodes or step == settings.steps
        for part in range(between if is_last or not only_last else 0):
            yield to_array(board.draw(viewer.view((part + 1) / between, settings.sees), ()))
        if is_last:
            return
        show.forward()


def write_loop(
    path: Path, names: Sequence[str], env_config: Any, limit: tuple[int, int], seconds: float
) -> None:
    """Writes the first of evaluation's episodes as a small .gif that goes on for ever, without any text.

    Args:
        path: the file.
        names: of what is shown; see `find_source`.
        env_config: settings of its world; None: its own.
        limit: most width and height in pixels.
        seconds: how long it is, at most.

    Raises:
        ValueError: when it can't be drawn.
    """
    source = find_source(names)
    settings = WatchSettings(max_episode_steps=source.max_episode_steps)
    env, show, viewer = _viewer(source, env_config or source.env_config, settings, bare=True)
    try:
        speed = float(env.metadata.get("render_fps", 4))
        record(show, viewer, path, speed, WatchSettings(steps=max(1, round(seconds * speed))), limit)
    finally:
        env.close()


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
    path = Path(names[0])
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
        learner = config.make_learner(env)
        kept = Kept(run, learner, settings)
        return Actor(learner.policy, kept, lambda: kept.words)

    searching = run if KINDS[config.agent.kind].length == "generations" else None
    env_config = on_split(config.env_config)
    limit = config.settings.max_episode_steps
    return Source(config.agent.name, config.environment, env_config, act, None, searching, limit)


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
    settings: WatchSettings,
    autoreset: AutoresetMode = AutoresetMode.DISABLED,
    num_envs: int | None = None,
) -> VectorEnv:
    """Makes environments that can be drawn.

    Raises:
        ValueError: when they can't.
    """
    return make_vector(
        environment,
        env_config,
        num_envs or settings.envs,
        autoreset,
        max_episode_steps=settings.max_episode_steps,
        render=environment.world is None,
    )


def _viewer(
    source: Source, env_config: Any, settings: WatchSettings, bare: bool = False
) -> tuple[VectorEnv, Show, Viewer]:
    replay = source.replay
    if replay is None:
        env = make_env(source.environment, env_config, settings)
        actor, world = source.act(env, settings), world_of(env)
        show = Show(
            env,
            actor.policy,
            lambda k: settings.seed + k,
            before_episode=actor.before_episode,
            sights=partial(world.sights, source.title) if world else None,
        )
    else:
        limits = replace(settings, max_episode_steps=max(1, len(replay.actions)))
        env = make_env(source.environment, env_config, limits)
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


def list_folder(folder: Path) -> None:
    """Prints which replays and runs there are in a folder.

    Raises:
        ValueError: when there are none.
    """
    rows: list[tuple[str, ...]] = []
    sound = []
    for path in sorted(folder.glob("*.json")):
        try:
            replay = load_replay(path)
        except (OSError, ValueError) as error:
            rows.append((path.name, str(error).removeprefix(f"replay {path}: "), *[""] * 4))
            continue
        score = "" if replay.score is None else f"{replay.score:.2f}"
        told = replay.id, replay.agent, shown_seed(replay.seed), f"{len(replay.actions):,}", score
        rows.append((path.name, *told))
        sound.append(path.name)
    for path in sorted(folder.rglob("config.json")):
        if (path.parent / "checkpoints").is_dir():
            rows.append((str(path.parent.relative_to(folder)), "a run", *[""] * 4))
            sound.append(rows[-1][0])
    if not rows:
        raise ValueError(f"there is no run and no replay in {folder}")
    print_rows(str(folder), ("name", "world", "agent", "seed", "steps", "return"), rows)
    if sound:
        print(printable(f"To watch one: {command('meze', 'watch', folder / sound[-1])}"))


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    if asks_for_help(args):
        print_help(USAGE, DESCRIPTION)
        return 0
    names = leading_names(args)
    networks, flags = take_flag(args[len(names) :], "--network")
    if len(names) == 1 and Path(names[0]).is_dir() and not (Path(names[0]) / "config.json").exists():
        list_folder(Path(names[0]))
        return 0
    source = find_source(names, networks)
    watched = WatchSettings(max_episode_steps=source.max_episode_steps)
    default = group("Watch", run=watched, env=source.env_config)
    given = parse(default, flags, prog=f"meze watch {' '.join(names)}", description=DESCRIPTION)
    settings, replay = given.run, source.replay
    if replay is not None and settings.envs != 1:
        raise ValueError("a replay is one episode: --envs must be 1")
    if source.run is None and settings.population:
        raise ValueError("--population is for runs of searchers, such as genetic")
    if settings.population:
        from .generation import generation_viewer

        env, show, viewer = generation_viewer(source, given.env, settings)
    else:
        env, show, viewer = _viewer(source, given.env, settings)
    speed = settings.speed or float(env.metadata.get("render_fps", 4))
    try:
        if settings.record is None:
            watch(show, viewer, speed, settings.sees, f"meze: {source.title} in {source.environment.id}")
        else:
            record(show, viewer, settings.record, speed, settings)
            print(settings.record)
    finally:
        env.close()
    return 0
