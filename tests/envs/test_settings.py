"""What a user sets is checked by the type hints of the config, in one line, whoever wrote it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Optional

import gymnasium
import numpy as np
import pytest
from meze.checking import load_object
from meze.envs.core.settings import check_settings, settled
from meze.envs.core.world import make_world
from registered import SPECS
from toy_world import Corridor, CorridorConfig


class Color(Enum):
    RED = "red"


FITTING = [
    (bool, True, True),
    (bool, np.False_, False),
    (int, 3, 3),
    (int, np.uint8(3), 3),
    (int, 2**70, 2**70),
    (float, 3, 3.0),
    (float, np.int32(3), 3.0),
    (float, np.float32(0.5), 0.5),
    (str, "a", "a"),
    (str, np.str_("a"), "a"),
    (str, Path("a/b"), "a/b"),
    (Path, "a/b", Path("a/b")),
    (Literal["a", "b"], "b", "b"),
    (Literal[1, 2], np.int64(2), 2),
    (int | None, None, None),
    (Optional[float], 1, 1.0),  # noqa: UP045, the other way to say it
    (float | int, 1, 1),
    (int | float, 0.5, 0.5),
    (tuple[int, int], [1, np.int8(2)], (1, 2)),
    (tuple[float, ...], (1, 2.5), (1.0, 2.5)),
    (tuple[int, ...], (), ()),
    (tuple[tuple[int, str], ...] | None, [[1, "a"]], ((1, "a"),)),
    (Color, Color.RED, Color.RED),
    (Sequence[int], [1, "anything"], [1, "anything"]),
    (Callable[[int], int], abs, abs),
    (Any, "anything", "anything"),
]


@pytest.mark.parametrize("kind, value, wanted", FITTING)
def test_what_fits_becomes_what_the_hint_says(kind, value, wanted):
    found = settled("name", value, kind)
    assert found == wanted and type(found) is type(wanted)


MISFITS = [
    (bool, "no", "name must be True or False, got 'no'"),
    (bool, 1, "name must be True or False, got 1"),
    (bool, None, "name must be True or False, got None"),
    (int, True, "name must be a whole number, got True"),
    (int, np.True_, "name must be a whole number, got np.True_"),
    (int, 8.0, "name must be a whole number, got 8.0"),
    (int, np.float64(8), "name must be a whole number, got np.float64(8.0)"),
    (int, "8", "name must be a whole number, got '8'"),
    (int, np.ones(2, int), "name must be a whole number, got array([1, 1])"),
    (float, False, "name must be a finite number, got False"),
    (float, float("nan"), "name must be a finite number, got nan"),
    (float, -np.inf, "name must be a finite number, got -inf"),
    (float, 1j, "name must be a finite number, got 1j"),
    (float, Fraction(1, 2), "name must be a finite number, got Fraction(1, 2)"),
    (str, 3, "name must be a string, got 3"),
    (str, b"a", "name must be a string, got b'a'"),
    (Path, 3, "name must be a path, got 3"),
    (Literal["a", "b"], "c", "name must be one of a, b, got 'c'"),
    (Literal["a", "b"], ["a"], "name must be one of a, b, got ['a']"),
    (Literal[1, 2], True, "name must be one of 1, 2, got True"),
    (Literal["a"] | None, "b", "name must be one of a or None, got 'b'"),
    (int | None, 8.9, "name must be a whole number or None, got 8.9"),
    (tuple[int, int], (1, 2, 3), "name must be (a whole number, a whole number), got (1, 2, 3)"),
    (tuple[int, int], (1, 2.0), "name must be (a whole number, a whole number), got (1, 2.0)"),
    (tuple[int, ...], 5, "name must be (a whole number, ...), got 5"),
    (tuple[int, int], "12", "name must be (a whole number, a whole number), got '12'"),
    (Color, "red", "name must be of type Color, got 'red'"),
]


@pytest.mark.parametrize("kind, value, words", MISFITS)
def test_what_does_not_fit_is_refused_in_one_line(kind, value, words):
    with pytest.raises(ValueError) as caught:
        settled("name", value, kind)
    assert str(caught.value) == words


@pytest.mark.parametrize("value", [10**400, np.zeros((50, 50)), "x\ny" * 100])
def test_large_values_are_not_told_at_length(value):
    with pytest.raises(ValueError) as caught:
        settled("name", value, float)
    assert len(str(caught.value)) < 130 and "\n" not in str(caught.value)


@dataclasses.dataclass(frozen=True)
class Plain:
    """A third party's: it checks nothing."""

    slip: int = 256
    observation: Literal["index", "strip"] = "index"
    hope: float | None = None


class Trusting(Corridor):
    def __init__(self, config: Plain) -> None:
        super().__init__(CorridorConfig(config.observation, config.slip))
        self.config = config


@pytest.mark.parametrize(
    "setting", [{"slip": 8.0}, {"slip": True}, {"observation": "dots"}, {"hope": "much"}]
)
def test_plain_dataclasses_of_others_are_checked_too(setting):
    with pytest.raises(ValueError, match=f"^{next(iter(setting))} must be "):
        make_world(Trusting, setting)
    config = make_world(Trusting, {"slip": np.int16(8), "hope": 1}).config
    assert type(config.slip) is int and type(config.hope) is float


@dataclasses.dataclass(frozen=True)
class Ranged:
    size: int | None = 5
    share: float = 1

    def __post_init__(self) -> None:
        check_settings(self, {"size": (2, 12), "share": (0, 1)})


def test_a_config_that_checks_itself_holds_what_its_hints_say():
    config = Ranged(np.int64(12), 0)  # type: ignore[arg-type]
    assert config == Ranged(12, 0.0) and {type(config.size), type(config.share)} == {int, float}
    assert type(Ranged().share) is float and Ranged(None).size is None
    for settings, words in (
        ({"size": 13}, "size must lie between 2 and 12, got 13"),
        ({"size": 5.0}, "size must be a whole number or None, got 5.0"),
        ({"share": -0.1}, "share must lie between 0 and 1, got -0.1"),
    ):
        with pytest.raises(ValueError) as caught:
            dataclasses.replace(Ranged(), **settings)
        assert str(caught.value) == words


WRONG = {
    "bool": ("no", 1, None),
    "int": (True, 8.5, 8.0, "8", 10**30, -(10**30)),
    "int | None": (True, 8.5, 8.0, "8", -(10**30)),
    "float": (True, "1", None, float("nan"), float("inf"), 1e300),
    "float | None": (True, "1", float("nan"), float("inf"), 1e300),
    "str": (3, None, b"village"),
    "Split": ("other", None, True, 8.5, -1, 1 << 62),
    "tuple[int, int] | None": ((1, 2.0), (1,), 5, "12"),
}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_no_setting_of_any_world_takes_what_it_should_not(spec):
    config = load_object(spec.config)
    for field in dataclasses.fields(config):
        kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
        wrong = ("other", None if "None" not in kind else 3, 7) if "Literal" in kind else WRONG[kind]
        for value in wrong:
            for make in (config, lambda id=spec.id, **settings: gymnasium.make(id, **settings)):
                with pytest.raises(ValueError, match=rf"^{field.name} must (be|lie) ") as caught:
                    make(**{field.name: value})
                assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_torchrl_reads_that_no_world_takes_a_frameskip(spec):
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
        gymnasium.make(spec.id, frameskip=1)
