"""Comparison of what two ways to the same thing give, for the conformance checks of worlds and agents."""

from __future__ import annotations

from typing import Any

import numpy as np


def assert_same(one: Any, other: Any, what: str) -> None:
    """Compares values, arrays (byte by byte) and containers of these, types included; NaN is like NaN.

    Raises:
        AssertionError: one line that begins with `what`, and where in it they differ.
    """
    differing = f"{what}: {one!r} and {other!r}"
    assert type(one) is type(other), differing
    if isinstance(other, dict):
        assert one.keys() == other.keys(), differing
        for key in other:
            assert_same(one[key], other[key], f"{what}[{key!r}]")
    elif isinstance(other, tuple | list):
        assert len(one) == len(other), differing
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{what}[{index}]")
    elif isinstance(other, np.ndarray):
        assert one.dtype == other.dtype and one.shape == other.shape, differing
        if other.dtype == object:
            assert_same(one.tolist(), other.tolist(), what)
        else:
            assert one.tobytes() == other.tobytes(), differing
    else:
        assert one == other or one != one and other != other, differing
