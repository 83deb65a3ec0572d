"""Eight cells of a grid at once, a byte each, in one number (Lamport 1975, "Multiple byte processing").

Comparisons tell by the highest bit of each byte; what is compared is below 128.
"""

from __future__ import annotations

import numpy as np

from .compiling import kernel, put_word, word_of

ONES, TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_ONE, _SEVEN, _EIGHT = np.uint64(1), np.uint64(7), np.uint64(8)
_NONE, _LAST = np.uint64(0), np.uint64(63)


@kernel
def below(word, number):
    """The highest bit of bytes that are less than a number."""
    return ~(word + np.uint64(128 - number) * ONES) & TOPS


@kernel
def whole(tops):
    """Bytes of 255 where the highest bit is set."""
    return (tops >> _SEVEN) * np.uint64(255)


@kernel
def between(first, behind):
    """Bytes of 255 from number `first`, 0 to 7, up to before `behind`; both may lie beyond."""
    mask = _NONE
    for k in range(max(0, first), min(8, behind)):
        mask |= np.uint64(255) << np.uint64(8 * k)
    return mask


@kernel
def less(number, word, most):
    """A number, below 128, less each byte: at least 0, at most another number."""
    rest = np.uint64(128 + number) * ONES - word  # and the highest bit, from 0 on
    rest &= ~TOPS & whole(rest & TOPS)
    over = whole(~below(rest, most) & TOPS)
    return rest & ~over | np.uint64(most) * ONES & over


@kernel
def thicken(levels, kinds, closed, first, behind, width):
    """Levels grow by one, cell after cell, beside what is higher by two, where that has just grown, too.

    `grows` where a level beside says so; `follows` where it does once the cell to the left has. So who grows
    is a carry that runs from left to right.

    Args:
        levels: (C,) int8 or uint8 of a grid, below 126, row after row.
        kinds: (C,) likewise; where one is less than `closed`, levels may grow.
        closed: see `kinds`.
        first: cell to begin with; there is a row before, and 8 more cells.
        behind: cell to end before; likewise behind.
        width: of a row, at least 8.
    """
    was, carry = word_of(levels, first - 8), _NONE
    for cell in range(first, behind, 8):
        level = word_of(levels, cell)
        left, by_two = level << _EIGHT | was >> np.uint64(56), level + ONES + ONES
        beside = ((left | TOPS) - by_two) | ((word_of(levels, cell - width) | TOPS) - by_two)
        beside |= ((word_of(levels, cell + 1) | TOPS) - by_two) | (
            (word_of(levels, cell + width) | TOPS) - by_two
        )
        is_open = below(word_of(kinds, cell), closed)
        if cell + 8 > behind:
            is_open &= between(0, behind - cell)
        grows, follows = beside & is_open, below(left ^ (level + ONES), 1) & is_open
        for shift in (_EIGHT, np.uint64(16), np.uint64(32)):
            grows |= follows & (grows << shift)
            follows &= (follows << shift) | ((_ONE << shift) - _ONE)
        grows |= follows & carry
        carry, was = _NONE - (grows >> _LAST), level
        put_word(levels, cell, level + (grows >> _SEVEN))
