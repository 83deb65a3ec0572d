"""What policies remember: pytrees of any kind are selected, joined, reset, saved and restored row by row."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from meze.agents import checkpoint
from meze.agents.base import Decision, decide
from meze.agents.memory import forget, join_memories, leaves, named, restored, select_memory


class Cell(NamedTuple):
    hidden: torch.Tensor
    carry: torch.Tensor


def nested(rows=6, seed=0):
    rng = np.random.default_rng(seed)
    cell = Cell(*(torch.from_numpy(rng.normal(size=(2, rows, 3)).astype(np.float32))))
    flags = rng.random(rows) < 0.5
    return {"cell": cell, "past": [rng.integers(9, size=(rows, 2)), (flags, None)], "nothing": None}


MEMORIES = {
    "none": lambda rows=6: None,
    "array": lambda rows=6: np.arange(1, rows + 1),
    "tensor": lambda rows=6: torch.arange(1.0, rows + 1),
    "tuple": lambda rows=6: (np.arange(1, rows + 1), np.ones((rows, 2), np.float32)),
    "nested": nested,
}
kinds = pytest.mark.parametrize("kind", MEMORIES)


def structure(memory):
    """Its containers and kinds of leaves, written out."""
    if isinstance(memory, dict):
        return {key: structure(part) for key, part in memory.items()}
    if isinstance(memory, tuple | list):
        return type(memory), [structure(part) for part in memory]
    return None if memory is None else (type(memory), memory.dtype)


def assert_same(one, other):
    assert structure(one) == structure(other)
    for left, right in zip(leaves(one), leaves(other), strict=True):
        assert np.array_equal(left, right)


@kinds
def test_rows_are_selected_and_joined_again(kind):
    memory = MEMORIES[kind]()
    parts = [select_memory(memory, rows) for rows in (slice(0, 1), np.array([1, 2, 3]), slice(4, 6))]
    assert [len(leaf) for part in parts for leaf in leaves(part)] == [
        size for size in (1, 3, 2) for _ in leaves(memory)
    ]
    assert_same(join_memories(parts), memory)
    picked = select_memory(memory, np.array([5, 0, 5]))
    for leaf, whole in zip(leaves(picked), leaves(memory), strict=True):
        assert np.array_equal(leaf, np.asarray(whole)[[5, 0, 5]])


@kinds
def test_rows_that_are_reset_are_zeros_and_what_was_given_stays(kind):
    memory, copy, rows = MEMORIES[kind](), MEMORIES[kind](), np.array([1, 4])
    fresh = forget(memory, rows)
    assert structure(fresh) == structure(memory)
    assert_same(memory, copy)
    for leaf, before in zip(leaves(fresh), leaves(memory), strict=True):
        wanted = np.asarray(before).copy()
        wanted[rows] = 0
        assert np.array_equal(leaf, wanted)


@kinds
def test_a_memory_goes_through_a_file_and_back(kind, tmp_path):
    memory = MEMORIES[kind]()
    checkpoint.save(tmp_path / "state", {"records": np.zeros(3), **named(memory)})
    back = restored(checkpoint.load(tmp_path / "state"), lambda: forget(memory, np.arange(6)))
    assert_same(back, memory)


def test_names_tell_where_a_leaf_lies_and_are_those_of_older_runs():
    assert set(named(nested())) == {
        "memory.cell.0", "memory.cell.1", "memory.past.0", "memory.past.1.0"
    }  # fmt: skip
    assert set(named(MEMORIES["tuple"]())) == {"memory.0", "memory.1"}
    assert set(named(MEMORIES["array"]())) == {"memory"}
    alias = MEMORIES["array"]()
    named(alias)["memory"][:] = 0
    assert alias.all()


def test_where_nothing_was_saved_nothing_is_asked():
    def fresh():
        raise AssertionError("asked")

    assert restored({"records": np.zeros(2), "memories": np.ones(2)}, fresh) is None


def test_what_was_saved_of_parts_that_remember_nothing_is_refused():
    saved = {"memory.0.cell": np.ones(9), "memory.1": np.ones(3)}
    for fresh in ((None, np.zeros(3)), None):
        with pytest.raises(ValueError, match="the policy's memory is damaged"):
            restored(saved, lambda fresh=fresh: fresh)


def test_half_precision_goes_through_a_file_and_back(tmp_path):
    memory = (torch.arange(1, 7).bfloat16() / 3, torch.arange(6).half())
    checkpoint.save(tmp_path / "state", named(memory))
    back = restored(checkpoint.load(tmp_path / "state"), lambda: forget(memory, np.arange(6)))
    assert structure(back) == structure(memory)
    assert all(torch.equal(one, other) for one, other in zip(back, memory, strict=True))


@pytest.mark.parametrize("wrong", [0.5, "a", np.float32(1), {"a.b": np.zeros(2)}])
def test_what_is_no_array_and_names_with_dots_are_refused_in_one_line(wrong):
    for call in (named, leaves):
        with pytest.raises(ValueError, match="memory and extras .*; got .*$"):
            call({"part": [np.zeros(2), wrong]})
    if not isinstance(wrong, dict):
        with pytest.raises(ValueError, match="^memory and extras are of"):
            forget((wrong,), np.array([0]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory.cell.0": None},
        {"memory.cell.0": "0.5"},
        {"memory.cell.0": np.zeros((6, 3))},  # float64
        {"memory.cell.0": np.zeros((5, 3), np.float32)},
        {"memory.cell.2": np.zeros((6, 3), np.float32)},
        {"memory": np.zeros(6)},
        {"memory.past.0": np.full((6, 2), None)},
    ],
)
def test_a_memory_of_another_layout_is_refused(wrong):
    with pytest.raises(ValueError, match="the policy's memory is damaged"):
        restored({**named(nested()), **wrong}, nested)
    missing = named(nested())
    del missing["memory.past.1.0"]
    with pytest.raises(ValueError, match="the policy's memory is damaged"):
        restored(missing, nested)


def test_extras_may_be_returned_or_not():
    class Plain:
        def act(self, obs, memory=None, *, explore=False, mask=None):
            return obs, memory

    class Telling(Plain):
        def act(self, obs, memory=None, *, explore=False, mask=None):
            return obs, memory, {"explore": explore, "mask": mask}

    obs = np.arange(3)
    assert decide(Plain(), obs, "kept") == Decision(obs, "kept", None)
    assert decide(Telling(), obs, explore=True, mask=1).extras == {"explore": True, "mask": 1}
