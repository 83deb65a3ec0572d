"""Binds loops written once to the kernels of a world, compiled with a cache that outlives the process.

A function that takes jitted functions as arguments would be compiled in every process. So a loop reaches its
kernels as module globals of a copy made for them, whose name holds a fingerprint of all that is compiled into
it: two loops never bear one name.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import njit

from ...caching import fingerprint, kept


def bind(
    template: Callable, name: str, kernels: dict[str, Callable], records: Sequence[np.dtype] = ()
) -> Callable:
    """Compiles a loop with the given kernels in place of its global names.

    Args:
        template: plain Python function that calls kernels by global names.
        name: who the binding is for; it stands in the compiled function's name.
        kernels: global name to jitted function.
        records: structured types of the loop's arguments.

    Returns:
        The jitted loop (nogil), compiled on its first call or read from the cache.
    """
    assert isinstance(template, types.FunctionType)
    bound_globals = {**template.__globals__, **kernels}
    core = Path(__file__).parent.glob("*.py")
    digest = fingerprint(_rebuild(template, template.__name__, bound_globals), records, core)
    function = _rebuild(template, f"{name}.{template.__name__}.{digest}", bound_globals)
    options: Any = {"nogil": True, "_nrt": False}  # counting references to the params' arrays costs much
    return kept(njit(**options)(function), digest)


def record_types(params: Any, state_dtype: np.dtype[Any]) -> tuple[np.dtype[Any], ...]:
    """The types of all records that a loop meets: numba's names for them change from process to process."""
    arrays = (table.dtype for table in params or () if isinstance(table, np.ndarray))
    return state_dtype, *(dtype for dtype in arrays if dtype.names)


def entry_point(loop: Callable, arguments: Sequence[Any]) -> Callable:
    """Finds the compiled function for some arguments, once and for all.

    A jitted function looks at its arguments' types at every call, which takes longer than a step of most
    worlds (with 20 arrays 2.7 of 3.4 us). What is returned does not: it reads others as if they were these.

    Args:
        loop: jitted function, or a plain one, which is returned as it is.
        arguments: an example of the arguments of all later calls.

    Returns:
        Function of such arguments.
    """
    if not hasattr(loop, "py_func"):
        return loop
    jitted: Any = loop
    types_of = tuple(numba.typeof(argument) for argument in arguments)
    jitted.compile(types_of)
    return jitted.overloads[types_of].entry_point


def _rebuild(template: types.FunctionType, name: str, bound_globals: dict[str, Any]) -> types.FunctionType:
    code = template.__code__.replace(co_name=name.replace(".", "_"), co_qualname=name)
    function = types.FunctionType(code, bound_globals, code.co_name)
    function.__qualname__ = name
    return function
