"""Checks of what a stranger's file may hold, before anything follows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Arrays: TypeAlias = Mapping[str, NDArray]


def taken(arrays: Mapping[str, Any], name: str, dtype: DTypeLike, *shape: int | None) -> NDArray:
    """One of the arrays, contiguous.

    Args:
        arrays: named arrays.
        name: which.
        dtype: what it holds.
        *shape: its shape; None for any length but 0.

    Raises:
        ValueError: when it is missing, of another dtype or shape, or not finite.
    """
    array = arrays.get(name)
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != len(shape):
        raise ValueError(f"the array {name!r} is missing or damaged")
    if 0 in array.shape or array.shape != tuple(n or m for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(f"the array {name!r} has the shape {array.shape}, which does not fit")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"the array {name!r} holds what is no number")
    return np.ascontiguousarray(array)


def packed(name: str, parts: Any) -> dict[str, NDArray]:
    """Copies of the arrays of a named tuple, as `<name>.<field>`, for a checkpoint; None is left out."""
    return {f"{name}.{field}": part.copy() for field, part in parts._asdict().items() if part is not None}


def unpacked(arrays: Mapping[str, Any], name: str, like: Any) -> Any:
    """Copies of what `packed` gave, as a named tuple like another one, None where that has None.

    Raises:
        ValueError: when one is missing, of another dtype or shape, or not finite.
    """
    parts = like._asdict().items()
    return like._make(
        part if part is None else taken(arrays, f"{name}.{field}", part.dtype, *part.shape).copy()
        for field, part in parts
    )


def check_algorithm(state: Mapping[str, Any], name: str) -> None:
    """Raises ValueError for the state of another algorithm."""
    if state.get("algorithm") != name:
        raise ValueError(f"{name} can't go on from a state of {state.get('algorithm')}")


def check_range(name: str, array: NDArray, low: int, high: float) -> None:
    """Raises ValueError for values below low, and from high on."""
    if array.size and not (low <= array.min() and array.max() < high):
        raise ValueError(f"the array {name!r} holds values out of range")


def check_discounts(name: str, array: NDArray) -> None:
    """Raises ValueError for values outside 0 .. 1, which is one of them."""
    check_range(name, array, 0, np.nextafter(1.0, 2.0))


def restore_generator(rng: np.random.Generator, state: Any) -> None:
    """Puts a saved state into a PCG64 generator.

    Numpy takes anything; with an even increment, for one, some draws never end.

    Raises:
        ValueError: when it is no state of such a generator.
    """
    try:
        inner, buffered = state["state"], (state["has_uint32"], state["uinteger"])
        numbers = (inner["state"], inner["inc"], *buffered)
        sound = state["bit_generator"] == "PCG64" and all(type(number) is int for number in numbers)
        sound = sound and all(0 <= number < 1 << 128 for number in numbers[:2]) and inner["inc"] % 2 == 1
        sound = sound and buffered[0] in (0, 1) and 0 <= buffered[1] < 1 << 32
    except (LookupError, TypeError):
        sound = False
    if not sound:
        raise ValueError("the random generator's state is damaged")
    rng.bit_generator.state = state
