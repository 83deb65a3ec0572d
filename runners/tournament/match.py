"""One entry of a tournament with one seed, in a process of its own: trained, or trained on, and evaluated.

    python -m meze.runners.tournament.match FOLDER ENV NUMBER SEED

`run.executor` starts it, and can ask it to save and stop.
"""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from ...agents.base import Policy, decide
from ...envs.core.replay import Replay
from ...envs.core.replay import load as load_replay
from ...envs.core.replay import play as play_again
from ..reporting.measures import Episodes, measured_in
from ..run.base import Job
from ..run.evaluation import find_contestant, make_evaluation_env, play_episodes
from ..run.executor import Stopped, serve
from ..run.folder import RunDir
from ..run.metrics import METRICS, read_rows
from ..run.rollout import Tally, action_mask
from ..run.start import begun, make_training
from ..setup.files import PATIENCE, held
from ..setup.resolve import Environment, make_vector, world_class
from ..setup.settings import from_plain
from ..show.films import write_loop
from ..show.show import ScriptPolicy
from .tournament import Entry, Result, Tournament, yardsticks

PICTURE = (480, 360)
"""Most width and height of a looping picture, in pixels."""
SECONDS = 8.0
"""How long it is, at most."""
CLOCK = 0.05
"""Seconds between two looks at how long training took."""


def play_match(tournament: Tournament, number: int, seed: int, stop: threading.Event) -> None:
    """Plays a match and writes its result, and with the first seed its picture.

    Raises:
        Stopped: when `stop` was set; what is trained is saved.
    """
    entry, environment = tournament.entries[number], tournament.environment
    if entry.kind == "replays":
        found, shown = _replayed(entry, environment), entry.paths[:1]
    else:
        trained: tuple[Any, ...] = (np.zeros((0, 3)), 0, 0.0, True)
        name = entry.paths[0] if entry.kind == "run" else entry.name
        if entry.kind == "trained":
            run, *trained = _train(tournament, number, seed, stop)  # type: ignore[assignment]
            name = str(run.path)
        found = Result(_evaluated(tournament, name, entry).measures, *trained)
        shown = (name, environment.id)
    if seed == 0 and entry.shown:
        _draw(tournament.path / "results" / f"{tournament.stem(number)}.gif", shown, entry, environment)
    found.write(tournament.result_path(number, seed))  # last: whoever has a result is not played again


def _train(
    tournament: Tournament, number: int, seed: int, stop: threading.Event
) -> tuple[RunDir, NDArray, int, float, bool]:
    """Trains, or goes on training; returns the run, its curve, transitions, seconds, and whether it ended."""
    config = tournament.entries[number].config
    assert config is not None, "who is trained has settings"
    out = tournament.path / "runs" / tournament.stem(number)
    settings = dataclasses.replace(config.settings, seed=seed)
    config, run = begun(dataclasses.replace(config, settings=settings), out)
    with held(run.path, PATIENCE):
        training = make_training(config, run)
        try:
            ended = _train_for(training, 60 * (tournament.budget.minutes or math.inf), stop)
            seconds, steps = training.seconds, training.transitions
            training.conclude()
        finally:
            training.close()
    return run, _curve(run.path / METRICS), steps, seconds, ended


def _train_for(training: Job, limit: float, stop: threading.Event) -> bool:
    """Trains for so many seconds at most; returns whether it came to its end before."""
    ended = threading.Event()

    def watch_clock() -> None:  # evaluations are no training, so a plain timer would not do
        while not ended.wait(CLOCK) and training.seconds < limit:
            pass
        stop.set()

    if training.seconds < limit:
        threading.Thread(target=watch_clock, daemon=True).start()
        with training.progress() as progress:
            finished = training.advance(progress, stop)
        ended.set()
        if not finished and training.seconds < limit:
            raise Stopped
    return training.seconds < limit


def _curve(path: Path) -> NDArray[np.float64]:
    """(K, 3) transitions, seconds and mean return of each evaluation in a run's `metrics.csv`."""
    rows = [row for row in read_rows(path) if row.get("eval_return")]
    points = [[float(row[name]) for name in ("step", "seconds", "eval_return")] for row in rows]
    return np.array(points).reshape(-1, 3)


def _evaluated(tournament: Tournament, name: str, entry: Entry) -> Episodes:
    environment = tournament.environment
    env_config = from_plain(environment.config, entry.env, entry.name)
    which = "best" if entry.config and entry.config.limit else "newest"
    contestant = find_contestant(name, environment, env_config, checkpoint=which)
    with closing(make_evaluation_env(environment, env_config, tournament.episodes)) as env:
        return play_episodes(env, contestant.policy(env), tournament.episodes)


def _replayed(entry: Entry, environment: Environment) -> Result:
    """Plays replays again, and their episodes once more with the random agent and the best reference.

    Raises:
        ValueError: when one is of another world, or goes another way than it was recorded.
    """
    played, bounds = [], []
    for path in entry.paths:
        replay = load_replay(path)
        if replay.id != environment.id.rpartition(":")[2]:
            raise ValueError(f"{path} is of {replay.id}, not of {environment.id}")
        for _ in play_again(replay):  # which tells whether it is what was played
            pass
        config = from_plain(environment.config, dict(replay.config), f"{path}: config")
        limit = max(len(replay.actions), by_hand(environment) or environment.max_episode_steps)
        others = [find_contestant(name, environment, config) for name in yardsticks(environment, config)]
        alone = make_vector(environment, config, 1, AutoresetMode.DISABLED, max_episode_steps=limit)
        with closing(alone) as env:
            script = ScriptPolicy(replay.actions).within(env.single_action_space)
            played.append(_episode(env, replay, script, len(replay.actions)))
            ends = [_episode(env, replay, other.policy(env), limit)["return"].mean() for other in others]
            bounds.append(ends)
    measures = {name: np.concatenate([each[name] for each in played]) for name in played[0]}
    mean = np.mean(bounds, axis=0)
    return Result(measures, np.zeros((0, 3)), 0, 0.0, True, mean if len(mean) == 2 else None)


def _episode(env: VectorEnv, replay: Replay, policy: Policy, steps: int) -> dict[str, NDArray[np.float64]]:
    """The (1,) measures of a replay's episode, played by somebody for so many steps at most."""
    tally, memory = Tally(1, measured_in(env)), None
    obs, info = env.reset(seed=replay.seed, options=dict(replay.options))
    for _ in range(steps):
        action, memory, _ = decide(policy, obs, memory, mask=action_mask(info))
        obs, reward, terminated, truncated, info = env.step(action)
        tally.add(reward, info)
        if (terminated | truncated).any():
            break
    return tally.take(np.array([0]))


def by_hand(environment: Environment) -> int | None:
    """Steps after which an episode is cut off that is played by hand, where the world says so."""
    world = world_class(environment)
    return None if world is None else world.play_settings.get("run.max_episode_steps")


def _draw(path: Path, shown: Sequence[str], entry: Entry, environment: Environment) -> None:
    """Writes a looping picture of the entry; none where the environment can't be drawn."""
    own = entry.kind == "replays"
    try:
        env_config = None if own else from_plain(environment.config, entry.env, entry.name)
        write_loop(path, shown, env_config, PICTURE, SECONDS)
    except Exception as error:  # others' environments fail to draw in many ways; the score stands
        print(f"no picture: {error}")


def main(words: Sequence[str], stop: threading.Event) -> None:
    """Plays the match that the words say; see `executor.serve`."""
    folder, env_name, number, seed = words
    play_match(Tournament.open(Path(folder), env_name), int(number), int(seed), stop)


if __name__ == "__main__":
    serve(main)
