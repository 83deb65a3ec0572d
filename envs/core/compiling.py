"""What is compiled into a batch loop: the decorators of scalar functions, and bytes moved several at a time.

Loops over single bytes stay loops, since the compiler can't know that two arrays do not overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import njit, types
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic, overload
from numpy.typing import NDArray


class Kernel(CPUDispatcher):
    """A scalar function for use inside compiled ones.

    The compiler would spend half its time on what these do not need, so they go without: code for Python to
    call, which takes a world's params and records apart; machine code of their own; and a copy for each
    mixture of constants and of small and large integers, since all signed ones are 64 bits wide here. Called
    from Python, a kernel is compiled once more, as `njit` would.

    Args:
        function: plain Python function.
        **options: of `numba.njit`.
    """

    def __init__(self, function: Callable, **options: Any) -> None:
        options |= {"nopython": True, "_nrt": False} | dict.fromkeys(_WRAPPERS, True)
        super().__init__(function, targetoptions=options, pipeline_class=_KernelCompiler)
        self._from_python = cache(lambda: njit(**{"_nrt": False})(function))  # type: ignore[call-overload]

    def __call__(self, *args: Any) -> Any:
        """Calls it from Python."""
        return self._from_python()(*args)

    def compile(self, sig: Any) -> Any:
        """Compiles it for arguments of these types."""
        return super().compile(tuple(_widened(each) for each in sig))


class _Ingredient(JITCodeLibrary):
    """The code of a kernel as it waits to be taken in, and made fast, by the code that calls it."""

    def _optimize_final_module(self) -> None: ...

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """It has none: 0."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """Whom numba asks to set the environment of what it has just compiled."""
        return self

    def set_env(self, *_: Any) -> None:
        """There is nothing to run in one."""


class _KernelCompiler(Compiler):
    def __init__(self, typingctx: Any, targetctx: Any, library: Any, *others: Any) -> None:
        library = library or _Ingredient(targetctx.codegen(), "kernel")
        super().__init__(typingctx, targetctx, library, *others)


_WRAPPERS = "no_cpython_wrapper", "no_cfunc_wrapper"


def _widened(kind: Any) -> Any:
    kind = types.unliteral(kind)
    return types.int64 if kind in types.signed_domain else kind


def kernel(function: Callable) -> Kernel:
    """Compiles a scalar function for use inside kernels.

    Its callers take it in whole, and it counts no references: a world's params are a dozen arrays, and
    passing them from function to function would cost more than most functions do (measured in the city:
    2.3 us against 0.4 us for the pedestrians' tick). Nothing can be allocated inside, which kernels must not
    do anyway.
    """
    return Kernel(function, forceinline=True)


def rare_kernel(function: Callable) -> Kernel:
    """Compiles a scalar function that is called now and then, and not worth a copy in each of its callers.

    It must not be a closure: its compiled name would not tell what it closes over (see `binding`).
    """
    return Kernel(function)


def copy_bytes(source: NDArray, first: int, target: NDArray, at: int, count: int) -> None:
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
