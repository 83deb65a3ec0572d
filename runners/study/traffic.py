"""Traffic jams predicted: a regression of how full road segments are, by hour and place, on held-out days.

A day is each of its hours in a city that is always the same, with a random stream of its own: the hour sets
how many cars are on their way, chance does the rest. The world has no other difference between days, so the
mean of an hour and place over many days is the best that anybody could predict.
"""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ...agents.estimators import MOST_SAMPLES, REGRESSORS
from ..reporting.statistics import Score, r_squared
from ..run.rollout import ReferencePolicy
from ..setup.resolve import Environment, make_vector, make_world

HOURS = 24
DAYS = 40
TEST_EVERY = 4
"""Every fourth day is for tests."""
TICKS = 200
"""Ticks for which each hour of a day is simulated."""
WARM_UP = 40
"""First ticks of an episode, which do not count: cars stand at random places before they queue."""
LONGEST_TRIP = 60_000
"""Cells of the shortest trip wanted, more than there are: the car's own trips are as long as can be found."""


@dataclass(frozen=True)
class Traffic:
    """What was seen of the traffic on D days, at each of 24 hours on S road segments."""

    occupancy: NDArray[np.float64]
    """(D, 24, S) share of a segment's cells that cars took, in the mean over the hour."""
    of_cell: NDArray[np.int32]
    """(height, width) number of a cell's segment, -1 where there is none."""
    features: dict[str, NDArray[np.float32]]
    """Name to (S,) numbers that the map tells of each segment."""

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Days, hours, segments, and occupancy, (D * 24 * S,) each."""
        day, hour, place = (each.ravel() for each in np.indices(self.occupancy.shape))
        return day, hour, place, self.occupancy.ravel()

    def inputs(self, hour: NDArray, place: NDArray) -> NDArray[np.float32]:
        """(N, 24 + S + F) what is predicted from: a one for the hour, one for the place, and the map."""
        scaled = np.stack([each / max(np.abs(each).max(), 1) for each in self.features.values()], axis=1)
        ones = np.eye(HOURS)[hour], np.eye(self.occupancy.shape[2])[place]
        return np.concatenate([*ones, scaled[place]], axis=1, dtype=np.float32)


def watch_traffic(
    environment: Environment, config: Any, days: int = DAYS, ticks: int = TICKS, seed: int = 0
) -> Traffic | None:
    """Simulates days in the first city of the pool, all of them and their hours side by side.

    The expert drives the one car that is not part of the traffic, so that it is in nobody's way; where its
    episode ends, traffic of the same hour begins anew.

    Args:
        environment: a world that has road segments, as city has, or another.
        config: its settings.
        days: D.
        ticks: of each hour, with those of `WARM_UP`.
        seed: of the first; each hour of each day has its own.

    Returns:
        None for worlds without road segments, and where all trips end before traffic has queued.
    """
    world = make_world(environment, config)
    segments = None if world is None else world.segments(0)
    if segments is None:
        return None
    config = dataclasses.replace(config, min_distance=LONGEST_TRIP, hour=None)
    env: Any = make_vector(environment, config, days * HOURS, AutoresetMode.DISABLED).unwrapped
    options = {"map": 0, "hour": np.tile(np.arange(HOURS), days)}
    obs, _ = env.reset(seed=seed, options=options)
    driver = ReferencePolicy(env.reference("expert"))
    sums, counts, age = 0, np.zeros(env.num_envs), np.zeros(env.num_envs)
    for _ in range(ticks):
        action, _ = driver.act(obs, explore=False)
        obs, _, terminated, truncated, _ = env.step(action)
        age += 1
        counted = age > WARM_UP
        sums = sums + segments.occupancy(env.state) * counted[:, None]
        counts += counted
        ended = terminated | truncated
        if ended.any():
            obs, _ = env.reset(options={**options, "reset_mask": ended})
            age[ended] = 0
    env.close()
    if not counts.all():
        return None
    occupancy = (sums / counts[:, None]).reshape(days, HOURS, -1)
    return Traffic(occupancy, segments.of_cell.reshape(env.world.shape), segments.features)


@dataclass(frozen=True)
class JamStudy:
    """What was predicted of held-out days."""

    traffic: Traffic
    test_days: NDArray[np.int64]
    """Days that no predictor was fitted on."""
    scores: dict[str, Score]
    """R^2 on held-out days of yardsticks, `mean by ...`, and of regressors, by name."""
    predicted: dict[str, NDArray[np.float64]]
    """Name to (24, S) what is predicted of any day."""


def split_days(days: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the days to learn from, and of those held out."""
    numbers = np.arange(days)
    return numbers[numbers % TEST_EVERY > 0], numbers[numbers % TEST_EVERY == 0]


def study_jams(traffic: Traffic, names: tuple[str, ...] = tuple(REGRESSORS), seed: int = 0) -> JamStudy:
    """Fits regressors on some days and scores them, beside means, on the others.

    Args:
        traffic: of at least five days, so that two are held out.
        names: in `REGRESSORS`.
        seed: of the regressors.
    """
    train_days, test_days = split_days(len(traffic.occupancy))
    day, hour, place, occupancy = traffic.rows()
    for_test = np.isin(day, test_days)
    seen = traffic.occupancy[train_days]
    places = seen.shape[2]
    whole = np.zeros((HOURS, places))
    predicted = {
        "mean by hour": whole + seen.mean(axis=(0, 2))[:, None],
        "mean by place": whole + seen.mean(axis=(0, 1)),
        "mean by hour and place": seen.mean(axis=0),
    }
    rng = np.random.default_rng(seed)
    inputs = traffic.inputs(*(each.ravel() for each in np.indices(whole.shape)))
    of_row = hour * places + place
    for name in names:
        rows = np.flatnonzero(~for_test)
        if (most := MOST_SAMPLES.get(name, len(rows))) < len(rows):
            rows = np.sort(rng.choice(rows, most, replace=False))
        model = REGRESSORS[name](int(rng.integers(2**31)), inputs.shape[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # how long they are fitted is settled
            model.fit(inputs[of_row[rows]], occupancy[rows])
        predicted[name] = np.asarray(model.predict(inputs), np.float64).reshape(whole.shape)
    scores = {
        name: r_squared(occupancy[for_test], each.ravel()[of_row[for_test]], day[for_test])
        for name, each in predicted.items()
    }
    return JamStudy(traffic, test_days, scores, predicted)
