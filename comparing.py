"""Comparison of what two ways to the same thing give, for the conformance checks of worlds and agents."""

from __future__ import annotations

from typing import Any

import numpy as np


def assert_same(one: Any, other: Any, what: str) -> None:
    """Compares values, arrays (byte by byte) and containers of these, types included; NaN is like NaN.

    Raises:
        AssertionError: one line that begins with `what`, and where in it they differ.
    """
    if isinstance(other, dict):
        assert isinstance(one, dict) and one.keys() == other.keys(), f"{what}: {one} and {other}"
        for key in other:
            assert_same(one[key], other[key], f"{what}[{key!r}]")
    elif isinstance(other, tuple | list):
        assert len(one) == len(other), f"{what}: {one} and {other}"
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{what}[{index}]")
    elif isinstance(other, np.ndarray) and other.dtype == object:
        assert_same(list(one), list(other), what)
    elif isinstance(other, np.ndarray):
        fits = isinstance(one, np.ndarray) and one.dtype == other.dtype and one.shape == other.shape
        assert fits and one.tobytes() == other.tobytes(), f"{what}: {one!r} and {other!r}"
    else:
        equal = type(one) is type(other) and (one == other or one != one and other != other)
        assert equal, f"{what}: {one!r} and {other!r}"
