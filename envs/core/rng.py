"""A counter-based random stream that lives in the state record.

A record's field `rng` is `[key, counter]`. The n-th 64-bit output of a stream is a pure function of its key
and n: the SplitMix64 finaliser of `key + n * GOLDEN` (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014). So copying a record copies its stream, and a trajectory does not depend on
how many environments or threads share a batch.

All functions are scalar, compiled, and meant to be called inside kernels as module globals:
`next_u64(state[i].rng)`.
"""

from __future__ import annotations

import numpy as np

from .compiling import kernel

# numba makes `uint64 + int` a float: every literal that meets a uint64 is typed.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_ONE = np.uint64(1)
_LOW_32 = np.uint64(0xFFFFFFFF)
_TWO_32 = np.uint64(1 << 32)
_SHIFT_27 = np.uint64(27)
_SHIFT_30 = np.uint64(30)
_SHIFT_31 = np.uint64(31)
_SHIFT_32 = np.uint64(32)
_SHIFT_54 = np.uint64(54)


@kernel
def mix64(z):
    """SplitMix64's finaliser, a bijection of 64-bit words.

    Args:
        z: uint64 word.

    Returns:
        uint64 word in which each bit of `z` flips about half of the bits.
    """
    z = (z ^ (z >> _SHIFT_30)) * _MIX_1
    z = (z ^ (z >> _SHIFT_27)) * _MIX_2
    return z ^ (z >> _SHIFT_31)


@kernel
def seed_stream(rng, seed):
    """Begins the stream of a seed, at its first number.

    The key is the mixed seed, since neighbouring keys would give streams that overlap when shifted.

    Args:
        rng: (2,) uint64 key and counter, overwritten.
        seed: integer, 0 <= seed < 2**64.
    """
    rng[0] = mix64(np.uint64(seed) + GOLDEN)
    rng[1] = np.uint64(0)


@kernel
def next_u64(rng):
    """Draws 64 random bits.

    Args:
        rng: (2,) uint64 key and counter; the counter moves on by one.

    Returns:
        uint64, uniform. Several small numbers may be cut from one draw by shifting; take them from the top.
    """
    rng[1] += _ONE
    return mix64(rng[0] + rng[1] * GOLDEN)


@kernel
def later_u64(rng, n):
    """Looks at the n-th of the numbers that `next_u64` is about to draw, from 1 on; see `skip`.

    Numbers that do not wait for each other are drawn several at a time.

    Args:
        rng: (2,) uint64 key and counter.
        n: which number.

    Returns:
        uint64.
    """
    return mix64(rng[0] + (rng[1] + np.uint64(n)) * GOLDEN)


@kernel
def skip(rng, n):
    """Goes on as if n numbers had been drawn."""
    rng[1] += np.uint64(n)


@kernel
def uniform_int(rng, n):
    """Draws an integer from `range(n)` without bias.

    Lemire's multiply-shift with rejection ("Fast random integer generation in an interval", ACM TOMACS 2019)
    on the top 32 bits of a draw: one draw nearly always, more with probability below n / 2**32.

    Args:
        rng: (2,) uint64 key and counter.
        n: size of the range, 1 <= n < 2**32.

    Returns:
        int64 in [0, n).
    """
    size = np.uint64(n)
    product = (next_u64(rng) >> _SHIFT_32) * size
    if (product & _LOW_32) < size:
        threshold = (_TWO_32 - size) % size
        while (product & _LOW_32) < threshold:
            product = (next_u64(rng) >> _SHIFT_32) * size
    return np.int64(product >> _SHIFT_32)


@kernel
def chance(rng, p1024):
    """Draws true with probability `p1024 / 1024`, exactly.

    Args:
        rng: (2,) uint64 key and counter.
        p1024: probability in 1/1024, 0 (never) to 1024 (always).

    Returns:
        bool.
    """
    return np.int64(next_u64(rng) >> _SHIFT_54) < p1024
