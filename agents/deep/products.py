"""Products of matrices in compiled functions; each sum has one fixed order, whatever the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from ...kernels import Kernel

FAST: dict[str, Any] = {"fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}
"""What the compiler may do: add up several terms at once, and divide without looking out for zeros first."""
ROWS = 32
"""Rows that are added up together, since they stay near the processor."""


def part(function: Callable) -> Kernel:
    """A kernel that adds up as is fastest."""
    return Kernel(function, **FAST)


@part
def add_product(a, b, c):
    """Adds a @ b to c. Two rows of c and four of b at a time: so no number is read for one product alone."""
    terms = b.shape[0]
    fours, pairs = terms - terms % 4, len(c) - len(c) % 2
    for m in range(0, pairs, 2):
        row, other = c[m], c[m + 1]
        for k in range(0, fours, 4):
            a0, a1, a2, a3 = a[m, k], a[m, k + 1], a[m, k + 2], a[m, k + 3]
            o0, o1, o2, o3 = a[m + 1, k], a[m + 1, k + 1], a[m + 1, k + 2], a[m + 1, k + 3]
            b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
            for i in range(len(row)):
                x0, x1, x2, x3 = b0[i], b1[i], b2[i], b3[i]
                row[i] += (a0 * x0 + a1 * x1) + (a2 * x2 + a3 * x3)
                other[i] += (o0 * x0 + o1 * x1) + (o2 * x2 + o3 * x3)
        for k in range(fours, terms):
            ak, ok, bk = a[m, k], a[m + 1, k], b[k]
            for i in range(len(row)):
                row[i] += ak * bk[i]
                other[i] += ok * bk[i]
    for m in range(pairs, len(c)):
        row = c[m]
        for k in range(terms):
            ak, bk = a[m, k], b[k]
            for i in range(len(row)):
                row[i] += ak * bk[i]


@njit(inline="always")
def matrix(flat, at, rows, columns):
    """(rows, columns) from a place in a flat array on."""
    return flat[at : at + rows * columns].reshape(rows, columns)


@part
def add_chosen(index, value, lo, hi, b, row):
    """Adds chosen rows of b, times their values, to a row; four at a time."""
    fours = hi - (hi - lo) % 4
    for n in range(lo, fours, 4):
        a0, a1, a2, a3 = value[n], value[n + 1], value[n + 2], value[n + 3]
        b0, b1, b2, b3 = b[index[n]], b[index[n + 1]], b[index[n + 2]], b[index[n + 3]]
        for i in range(len(row)):
            row[i] += (a0 * b0[i] + a1 * b1[i]) + (a2 * b2[i] + a3 * b3[i])
    for n in range(fours, hi):
        ak, bk = value[n], b[index[n]]
        for i in range(len(row)):
            row[i] += ak * bk[i]


@part
def copy(source, at, target):
    """Fills a (K,) array from a place in another one on."""
    for i in range(len(target)):
        target[i] = source[at + i]


@part
def add_outer(a, b, c):
    """Adds a.T @ b to c, some rows after the others."""
    for lo in range(0, len(a), ROWS):
        add_product(a[lo : lo + ROWS].T, b[lo : lo + ROWS], c)
