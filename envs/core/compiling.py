"""The decorator of everything that is compiled into a batch loop."""

from __future__ import annotations

from typing import Any

from numba import njit

_options: Any = {"_nrt": False}
kernel = njit(forceinline=True, **_options)
"""Compiles a scalar function for use inside kernels.

Its callers take it in whole, and it counts no references: a world's params are a dozen arrays, and passing
them from function to function would cost more than most functions do (measured in the city: 2.3 us against
0.4 us for the pedestrians' tick). Nothing can be allocated inside, which kernels must not do anyway.
"""

rare_kernel = njit(**_options)
"""Compiles a scalar function that is called now and then, and not worth a copy in each of its callers.

It must not be a closure: its compiled name would not tell what it closes over (see `binding`).
"""
