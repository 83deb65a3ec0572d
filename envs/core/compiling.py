"""What is compiled into a batch loop: the decorators of scalar functions, and bytes moved several at a time.

Loops over single bytes stay loops, since the compiler can't know that two arrays do not overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from ...kernels import Kernel


def kernel(function: Callable[..., Any]) -> Kernel:
    """Compiles a scalar function for use inside kernels.

    Its callers take it in whole, and it counts no references: a world's params are a dozen arrays, and
    passing them from function to function would cost more than most functions do (measured in the city:
    2.3 us against 0.4 us for the pedestrians' tick). Nothing can be allocated inside, which kernels must not
    do anyway.
    """
    return Kernel(function, forceinline=True)


def rare_kernel(function: Callable[..., Any]) -> Kernel:
    """Compiles a scalar function that is called now and then, and not worth a copy in each of its callers.

    It must not be a closure: its compiled name would not tell what it closes over (see `binding`).
    """
    return Kernel(function)


def copy_bytes(source: NDArray[Any], first: int, target: NDArray[Any], at: int, count: int) -> None:
    """Copies `source[first : first + count]` to `target[at : at + count]`; a constant count is fastest.

    Args:
        source: (S,) uint8.
        first: index into it, not negative.
        target: (T,) uint8, contiguous as well, which does not overlap.
        at: index into it, not negative.
        count: how many bytes.
    """
    target[int(at) : int(at) + int(count)] = source[int(first) : int(first) + int(count)]


@intrinsic
def _copy(typing, source, first, target, at, count):
    def generate(context, builder, signature, arguments):
        addresses = []
        for array, index in ((0, 1), (2, 3)):
            view = context.make_array(signature.args[array])(context, builder, arguments[array])
            number = context.cast(builder, arguments[index], signature.args[index], types.intp)
            addresses.append(builder.gep(view.data, [number]))
        size = context.cast(builder, arguments[4], signature.args[4], types.intp)
        cgutils.raw_memcpy(builder, addresses[1], addresses[0], size, 1)
        return context.get_dummy_value()

    return types.void(source, first, target, at, count), generate


@overload(copy_bytes, inline="always")
def _compiled_copy(source, first, target, at, count):
    return lambda source, first, target, at, count: _copy(source, first, target, at, count)  # type: ignore[call-arg]


def word_of(source: NDArray[Any], first: int) -> np.uint64:
    """Eight bytes as one number, `source[first]` the lowest.

    Args:
        source: (S,) int8 or uint8, contiguous.
        first: index into it, at most S - 8.
    """
    return source[int(first) : int(first) + 8].view(np.uint64)[0]


def put_word(target: NDArray[Any], first: int, word: np.uint64) -> None:
    """Writes eight bytes; see `word_of`."""
    target[int(first) : int(first) + 8].view(np.uint64)[0] = word


@intrinsic
def _word_of(typing, source, first):
    def generate(context, builder, signature, arguments):
        return builder.load(_place(context, builder, signature, arguments), align=1)

    return types.uint64(source, first), generate


@intrinsic
def _put_word(typing, target, first, word):
    def generate(context, builder, signature, arguments):
        number = context.cast(builder, arguments[2], signature.args[2], types.uint64)
        builder.store(number, _place(context, builder, signature, arguments), align=1)
        return context.get_dummy_value()

    return types.void(target, first, word), generate


def _place(context, builder, signature, arguments):
    view = context.make_array(signature.args[0])(context, builder, arguments[0])
    number = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return builder.bitcast(builder.gep(view.data, [number]), ir.IntType(64).as_pointer())


@overload(word_of, inline="always")
def _compiled_word_of(source, first):
    return lambda source, first: _word_of(source, first)  # type: ignore[call-arg]


@overload(put_word, inline="always")
def _compiled_put_word(target, first, word):
    return lambda target, first, word: _put_word(target, first, word)  # type: ignore[call-arg]
