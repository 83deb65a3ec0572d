"""`meze watch AGENT_OR_RUN_OR_REPLAY [ENV]`: see an agent act, in a window or as a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..envs.core.replay import load as load_replay
from ..envs.core.splits import shown_seed
from .reporting.tables import print_rows
from .setup.settings import group, leading_names, parse, take_flag
from .setup.text import command, printable
from .show.films import record
from .show.show import Show
from .show.sources import USAGE as USAGE
from .show.sources import WatchSettings, find_source, make_viewer
from .show.viewer import Viewer

DESCRIPTION = """Shows a run's agent, a trained one that ships with meze, such as `pretrained:platformer`,
`random`, a reference policy such as `expert`, or a replay file; of a folder of runs or replays it lists what
is in it. A run whose network is code of another package needs `--network package.module:Class` as well.

Keys: space pauses, right takes one step, left steps back, up and down change the speed, n begins the next
episode, o shows what the agent sees and its action values, tab looks at the next of several (of a population,
at first at who is furthest), h lists the keys, q quits."""
KEYS = (
    "space: pause   right: one step   left: step back   up/down: faster/slower",
    "n: next episode   o: what the agent sees   tab: look at the next   h: hide keys   q: quit",
)


def watch(show: Show, viewer: Viewer, speed: float, sees: bool, title: str) -> None:
    """Shows it in a window until it is closed."""
    import pygame

    from .show.board import Board
    from .show.screen import Window

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
        own = path.parent.relative_to(folder)
        if (path.parent / "checkpoints").is_dir() and own.parent.name != "islands":  # parts of a run
            rows.append((str(own), "a run", *[""] * 4))
            sound.append(rows[-1][0])
    if not rows:
        raise ValueError(f"there is no run and no replay in {folder}")
    print_rows(str(folder), ("name", "world", "agent", "seed", "steps", "return"), rows)
    if sound:
        print(printable(f"To watch one: {command('meze', 'watch', folder / sound[-1])}"))


def main(args: Sequence[str]) -> int:
    """Runs the command."""
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
        from .show.generation import generation_viewer

        env, show, viewer = generation_viewer(source, given.env, settings)
    else:
        env, show, viewer = make_viewer(source, given.env, settings)
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
