"""The decorator of everything that is compiled into a batch loop."""

from __future__ import annotations

from typing import Any

from numba import njit

_options: Any = {"forceinline": True, "_nrt": False}
kernel = njit(**_options)
"""Compiles a scalar function for use inside kernels.

Its callers take it in whole, and it counts no references: a world's params are a dozen arrays, and passing
them from function to function would cost more than most functions do (measured in the city: 2.3 us against
0.4 us for the pedestrians' tick). Nothing can be allocated inside, which kernels must not do anyway.
"""
