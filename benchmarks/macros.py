"""What macro-actions gain: transitions until a table of values drives well, with and without them.

    python benchmarks/macros.py --kept macros.jsonl

Q-learning in the city downtown, whose state is the place and the destination (`--env.index place`), with no
traffic and no reward for progress, as in `closed_street.py`; and in further worlds with its preset. In each
it learns with the single actions alone (`plain`), with eight sequences besides that save the world's expert
most decisions (`mined`), and with eight that are drawn (`random`), all else being equal. Transitions are
steps of the world, whoever decides. The normalised score is 0 for the random agent, 1 for the expert; it is
looked at each `every` transitions, in equal episodes that training does not see.

Rows go to a file of JSON lines as they are found, and what stands there is not run again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from meze.agents.schedules import Schedule
from meze.envs.streets.maps import MAPS, format_map
from meze.runners.reporting.statistics import with_interval
from meze.runners.run.config import RunConfig
from meze.runners.run.macros import MacroSettings
from meze.runners.run.mining import find_macros
from race import Examiner, Ours, normalised, preset, race

# Nothing is left to chance, so one sight of a transition tells all.
QUIET = {"hour": 12, "cars": 0, "pedestrians": 0, "ambulance": 0.0, "progress": 0.0}
PLACE = {"observation": "index", "index": "place", **QUIET}
SURE = {"learning_rate": Schedule(1.0, 1.0, 0), "exploration": Schedule(0.1, 0.1, 0), "gamma": 0.99}


@dataclass(frozen=True)
class Course:
    """Where it is learned, and for how long at most."""

    world: str
    steps: int
    every: int
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)


COURSES = {
    "city": Course(
        "city",
        6_000_000,
        100_000,
        {f"env__{n}": v for n, v in PLACE.items()}
        | {f"agent__{n}": v for n, v in SURE.items()}
        | {"num_envs": 64},
    ),
    "fire-escape": Course("fire-escape", 4_000_000, 100_000),
}
ARMS = {"plain": None, "mined": "expert", "random": "random"}


@dataclass(frozen=True)
class Settings:
    """What to run."""

    worlds: tuple[str, ...] = tuple(COURSES)
    """Where."""
    seeds: tuple[int, ...] = (101, 7919, 104729, 1299709, 15485863, 31, 3571, 48611, 611953, 7368787)
    """Seeds of each, far apart."""
    number: int = 8
    """Macro-actions."""
    episodes: int = 200
    """Episodes of each evaluation."""
    good: float = 0.9
    """Normalised score that is to be reached."""
    kept: Path = Path("macros.jsonl")
    """File of rows."""


def run(settings: Settings, course: Course, arm: str, seed: int) -> dict[str, Any]:
    """Learns until the score is reached."""
    with tempfile.TemporaryDirectory() as folder:
        changes = course.changes
        if course.world == "city":
            path = Path(folder) / "downtown.txt"
            path.write_text(
                format_map(MAPS.find("downtown")).replace("*", "+")
            )  # no signals, which no place shows
            changes = changes | {"env__map": str(path)}
        return learn(
            settings,
            course,
            ARMS[arm],
            preset("q-learning", course.world, **changes, seed=seed, steps=course.steps),
        )


def learn(settings: Settings, course: Course, source: str | None, config: RunConfig) -> dict[str, Any]:
    """The same with settings of a run, and whose sequences are further actions."""
    sequences: tuple[tuple[int, ...], ...] = ()
    if source is not None:
        asked = MacroSettings(settings.number, source)
        with contextlib.redirect_stdout(io.StringIO()):
            macros = find_macros(asked, config.environment, config.env_config, config.settings.seed)
        config, sequences = dataclasses.replace(config, macros=macros), macros.found.sequences
    examine = Examiner(config, settings.episodes)
    ends = [float(examine.contestant(name).measures["return"].mean()) for name in ("random", "expert")]
    ours = Ours(config)
    found = race(
        ours,
        examine,
        lambda means: normalised(means["return"], *ends) >= settings.good,
        every=course.every,
        times=1,
        cap=math.inf,
        steps=course.steps,
    )
    curve = [[each.steps, round(normalised(each.measures["return"], *ends), 4)] for each in found.points]
    reached = curve[-1][0] if found.seconds is not None else None
    return {"reached": reached, "seconds": round(ours.seconds, 2), "curve": curve, "sequences": sequences}


def thousands(mean: float, *ends: float) -> str:
    """Transitions, with the ends of their interval."""
    between = f" ({ends[0] / 1e3:,.0f} to {ends[1] / 1e3:,.0f})" if ends else ""
    return f"{mean / 1e3:,.0f} thousand{between}"


def main(settings: Settings) -> None:
    """Runs what is missing, and prints all."""
    lines = settings.kept.read_text().splitlines() if settings.kept.exists() else []
    kept = {(*row["key"],): row for row in map(json.loads, lines)}
    found: dict[tuple[str, str], list[float]] = {}
    for seed in settings.seeds:
        for world in settings.worlds:
            course = COURSES[world]
            for arm in ARMS:
                key = (world, arm, seed, course.steps, course.every, settings.number, settings.good)
                if key not in kept:
                    kept[key] = {"key": key, **run(settings, course, arm, seed)}
                    with open(settings.kept, "a", encoding="utf-8") as file:
                        file.write(json.dumps(kept[key]) + "\n")
                reached = kept[key]["reached"]
                told = f"over {course.steps:,}" if reached is None else f"{reached:,}"
                print(
                    f"{world}, {arm}, seed {seed}: {told} transitions, {kept[key]['seconds']:.1f} s",
                    flush=True,
                )
                found.setdefault((world, arm), []).append(math.inf if reached is None else reached)
    for (world, arm), each in found.items():
        values = np.array(each)
        inside = np.isfinite(values)
        line = f"{world}, {arm}: {settings.good} reached by {inside.sum()} of {len(values)} seeds"
        limited = np.minimum(values, COURSES[world].steps)
        if inside.any():
            line += f", after {thousands(*with_interval(lambda x: x.mean(axis=(-2, -1)), limited[:, None]))}"
            line += "" if inside.all() else " at least"
        if arm != "plain" and inside.any():
            ratio = np.log(limited / np.minimum(found[world, "plain"], COURSES[world].steps))
            times = np.exp(with_interval(lambda x: x.mean(axis=(-2, -1)), ratio[:, None]))
            between = f" ({times[1]:.2f} to {times[2]:.2f})" if len(times) > 1 else ""
            line += f", {times[0]:.2f} times{between} as many as plain"
        print(line, flush=True)


if __name__ == "__main__":
    main(tyro.cli(Settings))
