"""`meze watch AGENT_OR_RUN_OR_REPLAY [ENV]`: see an agent act, in a window or as a recording."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from ..agents.base import Policy, Trainable
from ..envs.core.replay import Replay
from ..envs.core.replay import load as load_replay
from ..files import replaced
from .evaluate import find_contestant, on_split
from .resolve import Environment, find_environment, make_vector
from .rundir import RunDir
from .seeds import EVALUATION_SEED
from .settings import asks_for_help, from_plain, group, leading_names, parse, print_help, take_flag
from .show import Moment, ScriptPolicy, Show, Sights

USAGE = "meze watch RUN [flags], meze watch AGENT ENV [flags], or meze watch REPLAY.json [flags]"
DESCRIPTION = """Shows a run's agent, `random`, a reference policy such as `expert`, or a replay file. A run
whose network is code of another package needs `--network package.module:Class` as well.

Keys: space pauses, right takes one step, left steps back, up and down change the speed, n begins the next
episode, o shows what the agent sees and its action values, h lists the keys, q quits."""
KEYS = (
    "space: pause   right: one step   left: step back   up/down: faster/slower",
    "n: next episode   o: what the agent sees   h: hide keys   q: quit",
)
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
    follow: bool = False
    """Before each episode, take the newest checkpoint of a run that is still training."""
    population: bool = False
    """Show the whole generation of a searcher's run: as ghosts in one level where the world can draw them,
    its fittest side by side elsewhere."""
    generation: int | None = None
    """Go back to this generation of a searcher's run."""
    record: Path | None = None
    """Write an .mp4 or .gif file instead of opening a window."""
    episodes: int = 1
    """Episodes to record."""
    steps: int | None = None
    """Steps to record, at most."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off; by default the environment's own limit, or 1000."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        if not 1 <= self.envs <= 64:
            raise ValueError(f"envs must lie in 1 .. 64; got {self.envs}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative; got {self.seed}")
        for name in ("speed", "episodes", "steps", "max_episode_steps", "generation"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0; got {getattr(self, name)}")
        if self.record is not None and self.record.suffix.lower() not in (".mp4", ".gif"):
            raise ValueError(f"record writes .mp4 or .gif; got {self.record}")
        if self.follow and self.generation is not None:
            raise ValueError("--follow takes the newest generation, not --generation")


class Follower:
    """Puts the newest checkpoint of a run into its learner.

    Args:
        run: the run.
        learner: its learner.
    """

    def __init__(self, run: RunDir, learner: Trainable) -> None:
        self._run, self._learner = run, learner
        self._loaded: Path | None = None

    def __call__(self) -> None:
        """Loads the newest checkpoint, if it is not loaded yet; waits for the first one."""
        said = False
        while (path := self._run.latest_checkpoint()) is None:
            if not (self._run.path / "config.json").exists():
                raise ValueError(f"{self._run.path} is gone")
            if not said:
                print(f"waiting for the first checkpoint in {self._run.checkpoints}", flush=True)
            said = True
            time.sleep(FOLLOW_SECONDS)
        if path != self._loaded:
            self._run.load_learner(self._learner, path)
            self._loaded = path


class Viewer:
    """Turns moments of a show into tiles: pictures, headlines, what the agent sees."""

    def __init__(self, show: Show, title: str) -> None:
        self._show = show
        self._title = title
        world = getattr(show.env.unwrapped, "world", None)
        self._renderer = world.renderer() if world is not None else None
        self._names = action_names(show.env)

    @property
    def smooth(self) -> bool:
        """Whether motion between two steps can be drawn."""
        return self._renderer is not None

    def tiles(self, phase: float, sees: bool) -> list[Any]:
        """The tiles of the show's moment, `phase` of its last step done."""
        records = self._records(phase)
        return [self._tile(i, records, phase, sees) for i in range(len(self._show.moment.obs))]

    def _records(self, phase: float) -> NDArray | None:
        records, between = self._show.moment.records, getattr(self._renderer, "between", None)
        if between is not None:  # whatever moves is shown on its way
            records = between(self._show.before.records, records, phase)
        return records

    def _tile(self, i: int, records: NDArray | None, phase: float, sees: bool, **drawn: Any) -> Any:
        from .screen import Tile

        moment = self._show.moment
        hud = self._hud(moment, i)
        words: tuple[str, ...] = ()
        if moment.marks is not None:
            drawn["marks"] = moment.marks[i]
        if self._renderer is not None:
            picture = self._renderer.draw(records, i, phase=phase, hud=hud, **drawn)
        else:
            assert moment.pictures is not None
            picture = moment.pictures[i]
            words = tuple(f"{name} {text}" for name, text in hud.items())
        return Tile(picture, words, self._sees(moment, i) if sees else None)

    def _hud(self, moment: Moment, i: int) -> dict[str, str]:
        hud = {"agent": self._title}
        hud |= {
            "seed": str(self._show.seed_of(int(moment.episodes[i]))),
            "step": str(moment.steps[i]),
            "return": f"{moment.returns[i]:.2f}",
            "action": "-",  # takes its place from the beginning
        }
        if moment.actions is not None:
            action = moment.actions[i]
            hud["action"] = (
                self._name(int(action)) if np.ndim(action) == 0 else np.array_str(action, precision=2)
            )
        return hud

    def _sees(self, moment: Moment, i: int) -> Any:
        from .screen import Sees, observation_picture

        space = self._show.env.single_observation_space
        picture = observation_picture(space, moment.obs[i])
        text = f"sees {space}" if picture is not None else f"sees {moment.obs[i]} of {space}"
        first = int(getattr(self._show.env.single_action_space, "start", 0))
        values = [] if moment.values is None else moment.values[i].tolist()
        if moment.mask is not None:
            values = [value if ok else None for value, ok in zip(values, moment.mask[i], strict=False)]
        return Sees(picture, text, tuple((self._name(first + a), value) for a, value in enumerate(values)))

    def _name(self, action: int) -> str:
        return self._names[action] if 0 <= action < len(self._names) else str(action)


def action_names(env: VectorEnv) -> tuple[str, ...]:
    """Names of the actions, where a world has `action_names`."""
    return tuple(getattr(getattr(env.unwrapped, "world", None), "action_names", ()))


def watch(show: Show, viewer: Viewer, speed: float, sees: bool, title: str) -> None:
    """Shows it in a window until it is closed."""
    import pygame

    from .screen import Board, Window

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
            elif key == pygame.K_h:
                helping = not helping
        state = "playing" if playing else "paused"
        past = ", in the past" if show.rewound else ""
        status = [f"{state}{past}, {speed:g} steps/s   h: keys", *(KEYS if helping else ())]
        seconds = window.show(board.draw(viewer.tiles(min(phase, 1.0), sees), status))
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
        path: an .mp4 or .gif file.
        speed: steps a second.
        settings: how many steps and episodes.
        limit: most width and height in pixels; by default what suits the kind of file.
    """
    from .screen import write_gif, write_mp4

    gif = path.suffix.lower() == ".gif"
    between = max(1, round(SMOOTH / speed)) if viewer.smooth else 1
    limit = limit or ((800, 600) if gif else (1280, 960))
    frames = _frames(show, viewer, between, limit, settings)
    with replaced(path) as temporary:
        (write_gif if gif else write_mp4)(temporary, frames, speed * between)


def _frames(
    show: Show, viewer: Viewer, between: int, limit: tuple[int, int], settings: WatchSettings
) -> Iterator[NDArray[np.uint8]]:
    from ..envs.core.renderer import to_array
    from .screen import Board

    board = Board(limit)
    for step in itertools.count():
        for part in range(between):
            tiles = viewer.tiles((part + 1) / between, settings.sees)
            yield to_array(board.draw(tiles, ()))
        if show.finished >= settings.episodes or step == settings.steps:
            return
        show.forward()


def write_loop(
    path: Path, names: Sequence[str], env_config: Any, limit: tuple[int, int], seconds: float
) -> None:
    """Writes the first of evaluation's episodes as a small .gif that goes on for ever.

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
    env, show, viewer = _viewer(source, env_config or source.env_config, WatchSettings())
    try:
        speed = float(env.metadata.get("render_fps", 4))
        record(show, viewer, path, speed, WatchSettings(steps=max(1, round(seconds * speed))), limit)
    finally:
        env.close()


@dataclass(frozen=True)
class Source:
    """What is to be shown."""

    title: str
    environment: Environment
    env_config: Any
    act: Callable[[VectorEnv, WatchSettings], tuple[Policy, Callable[[], None]]]
    """From the environments and the settings to the policy and what to call before an episode."""
    replay: Replay | None = None
    run: RunDir | None = None
    """The run of a searcher, which has generations."""


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
    return Source(
        contestant.name, environment, config, lambda env, settings: (contestant.policy(env), _nothing)
    )


def _run_source(run: RunDir, env_id: str | None, networks: Collection[str]) -> Source:
    config = run.config(env_id, networks)

    def act(env: VectorEnv, settings: WatchSettings) -> tuple[Policy, Callable[[], None]]:
        learner = config.make_learner(env)
        return learner.policy, keep_loaded(run, learner, settings)

    searching = run if config.agent.kind == "searcher" else None
    env_config = on_split(config.env_config)
    return Source(config.agent.name, config.environment, env_config, act, run=searching)


def keep_loaded(run: RunDir, learner: Trainable, settings: WatchSettings) -> Callable[[], None]:
    """Puts a checkpoint of a run into its learner.

    Returns:
        What is to be called before an episode.

    Raises:
        ValueError: when there is no such checkpoint.
    """
    if settings.follow:
        update = Follower(run, learner)
        update()
        return update
    newest = run.latest_checkpoint()
    if newest is None:
        raise ValueError(f"{run.path} has no checkpoint yet; --follow waits for it")
    path = newest if settings.generation is None else run.checkpoint_path(settings.generation)
    if not path.exists():
        last = int(newest.stem.rpartition("-")[2])
        raise ValueError(f"{run.path} has no generation {settings.generation}; its newest is {last}")
    run.load_learner(learner, path)
    return _nothing


def _replay_source(path: Path) -> Source:
    replay = load_replay(path)
    environment = find_environment(replay.id)
    script = ScriptPolicy(replay.actions)
    config = from_plain(environment.config, dict(replay.config), f"{path}: config")
    return Source(
        f"replay of {replay.agent}",
        environment,
        config,
        lambda env, settings: (script.within(env.single_action_space), script.rewind),
        replay,
    )


def _nothing() -> None:
    pass


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
    env = make_vector(
        environment,
        env_config,
        num_envs or settings.envs,
        autoreset,
        max_episode_steps=settings.max_episode_steps,
        render=environment.world is None,
    )
    if environment.world is None and "rgb_array" not in env.metadata.get("render_modes", ()):
        raise ValueError(f"{environment.id} can't be drawn: it has no render mode rgb_array")
    return env


def _sights(env: VectorEnv, name: str) -> Sights | None:
    """What a world's reference policy shows of its search, if it does."""
    world = getattr(env.unwrapped, "world", None)
    return None if world is None else getattr(world.references().get(name), "sights", None)


def _viewer(source: Source, env_config: Any, settings: WatchSettings) -> tuple[VectorEnv, Show, Viewer]:
    replay = source.replay
    if replay is None:
        env = make_env(source.environment, env_config, settings)
        policy, before_episode = source.act(env, settings)
        show = Show(
            env,
            policy,
            lambda k: settings.seed + k,
            before_episode=before_episode,
            sights=_sights(env, source.title),
        )
    else:
        limits = replace(settings, max_episode_steps=max(1, len(replay.actions)))
        env = make_env(source.environment, env_config, limits)
        policy, before_episode = source.act(env, settings)
        show = Show(
            env,
            policy,
            lambda k: replay.seed,
            max_steps=len(replay.actions),
            options=dict(replay.options),
            before_episode=before_episode,
        )
    return env, show, Viewer(show, source.title)


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    if asks_for_help(args):
        print_help(USAGE, DESCRIPTION)
        return 0
    names = leading_names(args)
    networks, flags = take_flag(args[len(names) :], "--network")
    source = find_source(names, networks)
    default = group("Watch", run=WatchSettings(), env=source.env_config)
    given = parse(default, flags, prog=f"meze watch {' '.join(names)}", description=DESCRIPTION)
    settings, replay = given.run, source.replay
    if replay is not None and settings.envs != 1:
        raise ValueError("a replay is one episode: --envs must be 1")
    if source.run is None and (settings.population or settings.generation is not None):
        raise ValueError("--population and --generation are for runs of searchers, such as genetic")
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
