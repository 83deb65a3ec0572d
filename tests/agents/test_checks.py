"""What a stranger's file may hold is looked at before anything follows it."""

from typing import NamedTuple

import numpy as np
import pytest
from meze.agents.checks import check_algorithm, check_range, packed, restore_generator, taken, unpacked


def test_an_array_is_what_it_should_be_or_refused():
    arrays = {"a": np.zeros((3, 2), np.float32), "b": np.array([1.0, np.inf]), "c": [1, 2]}
    assert taken(arrays, "a", np.float32, 3, 2) is not None
    assert taken(arrays, "a", np.float32, None, 2).shape == (3, 2)
    assert taken({"a": arrays["a"].T}, "a", np.float32, 2, None).flags.c_contiguous
    for name, dtype, shape in (
        ("a", np.float64, (3, 2)),
        ("a", np.float32, (3,)),
        ("a", np.float32, (2, 2)),
        ("b", np.float64, (None,)),
        ("c", np.int64, (2,)),
        ("d", np.int64, (2,)),
    ):
        with pytest.raises(ValueError, match=f"the array '{name}'"):
            taken(arrays, name, dtype, *shape)
    with pytest.raises(ValueError, match="shape"):
        taken({"a": np.zeros((0, 2))}, "a", np.float64, None, 2)


class Parts(NamedTuple):
    pair: np.ndarray
    reward: np.ndarray


def test_arrays_of_a_named_tuple_come_back_as_copies():
    parts = Parts(np.arange(3), np.ones((2, 2)))
    saved, like = packed("last", parts), Parts(np.zeros(3, np.int64), np.zeros((2, 2)))
    parts.pair[0] = 7  # a copy was saved
    back = unpacked({**saved, "other": 0}, "last", like)
    saved["last.reward"][:] = 5  # and one came back
    assert list(saved) == ["last.pair", "last.reward"] and type(back) is Parts
    assert back.pair.tolist() == [0, 1, 2] and (back.reward == 1).all() and not like.reward.any()
    for wrong in (np.arange(4), np.arange(3.0), None):
        with pytest.raises(ValueError, match=r"the array 'last\.pair'"):
            unpacked({**saved, "last.pair": wrong}, "last", like)


def test_a_state_of_another_algorithm_is_refused():
    check_algorithm({"algorithm": "sarsa"}, "sarsa")
    for state, other in (({"algorithm": "dqn"}, "dqn"), ({}, "None")):
        with pytest.raises(ValueError, match=f"^sarsa can't go on from a state of {other}$"):
            check_algorithm(state, "sarsa")


def test_ranges():
    check_range("a", np.array([0, 3]), 0, 4)
    check_range("a", np.zeros(0, int), 0, 4)
    for value in (-1, 4):
        with pytest.raises(ValueError, match="'a' holds values out of range"):
            check_range("a", np.array([1, value]), 0, 4)


STATE = np.random.default_rng(5).bit_generator.state


def test_a_generator_goes_on_where_it_stood():
    rng, other = np.random.default_rng(5), np.random.default_rng(6)
    rng.integers(10, dtype=np.uint32)  # half of a draw is kept
    restore_generator(other, rng.bit_generator.state)
    assert (other.integers(1000, size=9) == rng.integers(1000, size=9)).all()


@pytest.mark.parametrize(
    "state",
    [
        {**STATE, "state": {"state": 0, "inc": 0}},  # of whose draws some never end
        {**STATE, "state": {"state": 1 << 128, "inc": 1}},
        {**STATE, "state": {"state": -1, "inc": 1}},
        {**STATE, "state": {"state": 1.0, "inc": 1}},
        {**STATE, "has_uint32": 2},
        {**STATE, "uinteger": 1 << 32},
        {**STATE, "bit_generator": "MT19937"},
        {"bit_generator": "PCG64"},
        [],
        None,
    ],
)
def test_what_is_no_state_of_a_generator_is_refused(state):
    rng = np.random.default_rng(5)
    with pytest.raises(ValueError, match="the random generator's state is damaged"):
        restore_generator(rng, state)
    assert rng.bit_generator.state == STATE
