"""What users ask for: the nearest name is told, objects are found by their paths, ranges in one wording."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import pytest
from meze.agents.schedules import Schedule
from meze.checking import above, at_least, did_you_mean, load_object, needed, one_of, unknown, within

NAN = float("nan")


def test_the_nearest_name_is_told_if_one_is_near():
    assert did_you_mean("frameskip", ("actions", "frame_skip")) == "; did you mean 'frame_skip'?"
    assert did_you_mean("frameskip", ("cars", "hour")) == "" == did_you_mean("x", ())
    assert did_you_mean("frameskip", ("cars", "hour"), "see there") == "; see there"
    assert did_you_mean("TAXI-v4", ("Taxi-v4", "toxin")) == "; did you mean 'Taxi-v4'?"
    assert did_you_mean("--stpes", ("--steps",)) == "; did you mean --steps?"
    assert unknown("map", "vilage", ("village", "town")) == "unknown map 'vilage'; did you mean 'village'?"
    assert unknown("map", "x", iter("ab"), ", or a file") == "unknown map 'x'; there are a, b, or a file"


def test_objects_are_found_by_their_paths():
    assert load_object("fractions:Fraction") is Fraction is load_object(Fraction)
    assert load_object(".schedules:Schedule", "meze.agents") is Schedule
    for path, error in (("fractions:Half", AttributeError), ("fraction:Half", ImportError)):
        with pytest.raises(error):
            load_object(path)


def test_what_is_missing_is_told_with_its_extra():
    def load(extra):
        with needed("dqn", extra):
            raise ModuleNotFoundError("no", name="torch")

    with pytest.raises(ValueError) as caught:
        load("deep")
    assert str(caught.value) == "dqn needs torch, which is not installed: pip install 'meze[deep]'"
    with pytest.raises(ModuleNotFoundError):
        load(None)


@dataclass(frozen=True)
class Settings:
    steps: int | None = 5
    seed: int = 0
    share: float = 1.0
    rate: float = 0.5
    speed: float = 2.0
    epsilon: Schedule = Schedule(1.0, 0.0, 10)
    loss: Literal["huber", "mse"] = "mse"
    streams: Literal[1, 2] = 1

    def __post_init__(self) -> None:
        at_least(self, 1, "steps")
        above(self, 0, "speed")
        within(self, 0, 7, "seed")
        within(self, 0.0, 1.0, "share", "epsilon.start", "epsilon.end")
        within(self, 0.0, 1.0, "rate", left_open=True)
        one_of(self, "loss", "streams")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": 0}, "steps must be at least 1; got 0"),
        ({"speed": 0.0}, "speed must be above 0; got 0.0"),
        ({"speed": NAN}, "speed must be above 0; got nan"),
        ({"seed": 8}, "seed must lie in 0 .. 7; got 8"),
        ({"seed": -1}, "seed must lie in 0 .. 7; got -1"),
        ({"share": 1.5}, "share must lie in [0, 1]; got 1.5"),
        ({"share": NAN}, "share must lie in [0, 1]; got nan"),
        ({"rate": 0.0}, "rate must lie in (0, 1]; got 0.0"),
        ({"rate": 2}, "rate must lie in (0, 1]; got 2"),
        ({"epsilon": Schedule(0.5, -0.5, 10)}, "epsilon.end must lie in [0, 1]; got -0.5"),
        ({"loss": "Huber"}, "loss is one of huber, mse; got 'Huber'"),
        ({"loss": None}, "loss is one of huber, mse; got None"),
        ({"streams": 3}, "streams is one of 1, 2; got 3"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(wrong, words):
    with pytest.raises(ValueError) as caught:
        replace(Settings(), **wrong)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    "right",
    [
        {"steps": None},
        {"steps": 1},
        {"seed": 7},
        {"share": 0.0},
        {"rate": 1.0},
        {"speed": 1e-9},
        {"loss": "huber"},
    ],
)
def test_the_ends_of_ranges_and_nothing_are_allowed(right):
    ((name, value),) = right.items()
    assert getattr(replace(Settings(), **right), name) == value
