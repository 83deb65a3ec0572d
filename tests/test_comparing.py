"""What tests and conformance checks rely on: a difference of any kind is noticed, and told with its place."""

import numpy as np
import pytest
from meze.comparing import assert_same

VALUE = {"obs": np.arange(3), "info": {"cost": 1.0, "final": np.array([None, {"x": 2}], object)}, "n": (1, 2)}


def test_equal_values_pass():
    assert assert_same(VALUE, {**VALUE, "obs": np.arange(3)}, "it") is None
    assert assert_same(float("nan"), float("nan"), "it") is None


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"obs": np.array([0, 1, 3])}, "it['obs']"),
        ({"obs": np.arange(3, dtype=np.int32)}, "it['obs']"),
        ({"obs": np.arange(3)[None]}, "it['obs']"),
        ({"obs": [0, 1, 2]}, "it['obs']"),
        ({"n": (1, 2, 3)}, "it['n']"),
        ({"n": (1, 2.0)}, "it['n'][1]"),
        (
            {"info": VALUE["info"] | {"final": np.array([None, {"x": 3}], object)}},
            "it['info']['final'][1]['x']",
        ),
        ({"info": {"cost": 1.0}}, "it['info']"),
        ({"more": 0}, "it"),
    ],
)
def test_any_difference_is_told_with_its_place(change, place):
    with pytest.raises(AssertionError) as error:
        assert_same(VALUE | change, VALUE, "it")
    assert str(error.value).startswith(f"{place}: ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (3, [1]),
        ([1], 3),
        ((1,), [1]),
        (np.array([None], object), 3),
        (3, np.array([None], object)),
        ({}, []),
        (np.array([[1], [2]], object), np.array([1, 2], object)),
        (np.array(None, object), np.array({}, object)),
        (1, True),
    ],
)
def test_values_of_different_kinds_are_never_the_same(one, other):
    with pytest.raises(AssertionError, match="^x: "):
        assert_same(one, other, "x")
