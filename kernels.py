"""Functions for use inside compiled ones; what they do without makes a first compilation half as long."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import njit, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher


class Kernel(CPUDispatcher):
    """A function for use inside compiled ones.

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

    @classmethod
    def _rebuild(cls, py_func: Callable, targetoptions: dict[str, Any], **_: Any) -> Kernel:
        """The kernel in another process."""
        return cls(py_func, **targetoptions)

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
