"""What policies remember: pytrees of arrays, whose rows belong to the rows of a batch.

A pytree is None, a leaf, or a tuple, list, named tuple or dict of pytrees. Leaves are arrays of numpy or
tensors of torch with the batch as first axis; tensors stay on their device. All zeros in a row is what an
episode begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Memory

NAME = "memory"
"""What names of saved leaves begin with: `memory` for a single one, else `memory.0`, `memory.1.hidden`."""


def leaves(memory: Memory) -> list[Any]:
    """Its arrays and tensors, in order."""
    return [leaf for _, leaf in _walk(memory) if leaf is not None]


def select_memory(memory: Memory, rows: NDArray | slice) -> Memory:
    """The memory of some rows of a batch."""
    return _mapped(lambda leaf: leaf[rows], memory)


def join_memories(memories: Sequence[Memory]) -> Memory:
    """The memory of a batch whose parts, one after another, have these."""
    return _mapped(_joined, *memories)


def forget(memory: Memory, rows: NDArray) -> Memory:
    """A memory in which the given rows are as at an episode's beginning; the one given stays as it was."""

    def reset(leaf: Any) -> Any:
        fresh = leaf.copy() if isinstance(leaf, np.ndarray) else leaf.clone()
        fresh[rows] = 0
        return fresh

    return _mapped(reset, memory)


def taken_where(rows: NDArray[np.bool_], one: Memory, other: Memory) -> Memory:
    """The memory that is one's in some (B,) rows, which may be none, and another's elsewhere."""

    def mixed(fresh: Any, kept: Any) -> Any:
        whole = fresh.copy() if isinstance(fresh, np.ndarray) else fresh.clone()
        whole[rows] = kept[rows]
        return whole

    return _mapped(mixed, other, one) if rows.any() else other


def named(memory: Memory) -> dict[str, NDArray]:
    """Copies of its leaves as named arrays of the host, for a checkpoint."""
    return {name: _to_host(leaf) for name, leaf in _walk(memory) if leaf is not None}


def restored(state: Mapping[str, Any], fresh: Callable[[], Memory]) -> Memory:
    """Takes back what `named` gave.

    Args:
        state: named arrays, those of others among them; they may come from a stranger.
        fresh: gives a memory of the same policy and batch, whose structure and devices it gets; is not asked
            where none was saved.

    Raises:
        ValueError: when the arrays are of another memory than that.
    """
    saved = {name: each for name, each in state.items() if name == NAME or name.startswith(f"{NAME}.")}
    if not saved:
        return None
    like = fresh()
    wanted = {name: leaf for name, leaf in _walk(like) if leaf is not None}
    if saved.keys() != wanted.keys() or not all(_alike(saved[name], leaf) for name, leaf in wanted.items()):
        raise ValueError("the policy's memory is damaged")
    arrays = iter([saved[name] for name in wanted])

    def taken(leaf: Any) -> Any:
        return np.array(next(arrays)) if isinstance(leaf, np.ndarray) else leaf.new_tensor(next(arrays))

    return _mapped(taken, like)


def _mapped(function: Callable[..., Any], memory: Memory, *others: Memory) -> Memory:
    """A memory of the same structure, whose leaves a function makes of those that stand in its place."""
    if memory is None:
        return None
    if isinstance(memory, dict):
        return {key: _mapped(function, memory[key], *(other[key] for other in others)) for key in memory}
    if isinstance(memory, tuple | list):
        parts = [_mapped(function, *each) for each in zip(memory, *others, strict=True)]
        return type(memory)(*parts) if hasattr(memory, "_fields") else type(memory)(parts)
    return function(_leaf(memory), *others)


def _walk(memory: Memory, name: str = NAME) -> Iterator[tuple[str, Any]]:
    """Names and leaves, in the order of `_mapped`; parts that are None among them."""
    if isinstance(memory, dict):
        parts: Mapping[Any, Memory] = memory
    elif isinstance(memory, tuple | list):
        parts = dict(enumerate(memory))
    else:
        yield name, memory if memory is None else _leaf(memory)
        return
    for key, part in parts.items():
        if "." in str(key):
            raise ValueError(f"names of parts of memory and extras hold no dot; got {key!r}")
        yield from _walk(part, f"{name}.{key}")


def _leaf(value: Any) -> Any:
    """An array, or a tensor (whose library need not be loaded to know it)."""
    if not isinstance(value, np.ndarray) and not hasattr(value, "new_tensor"):
        raise ValueError(f"memory and extras are of numpy's arrays and torch's tensors; got {value!r}")
    return value


def _joined(*parts: Any) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    whole, begin = parts[0].new_empty((sum(map(len, parts)), *parts[0].shape[1:])), 0
    for part in parts:
        whole[begin : begin + len(part)] = part
        begin += len(part)
    return whole


def _to_host(leaf: Any) -> NDArray:
    if isinstance(leaf, np.ndarray):
        return leaf.copy()
    host = leaf.detach().cpu()
    try:
        return host.numpy().copy()
    except TypeError:  # bfloat16, which numpy does not know
        return host.float().numpy()


def _alike(value: Any, leaf: Any) -> bool:
    """Whether a saved value is an array like a leaf."""
    like = _to_host(leaf)
    return isinstance(value, np.ndarray) and value.dtype == like.dtype and value.shape == like.shape
