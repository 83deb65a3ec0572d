"""Runs a world's compiled loop as plain Python, to hold the compiler to what the text says.

Numbers behave as they do in compiled kernels: whatever is read from an array is a Python number (numba widens
small integers, numpy would wrap them), except uint64, which wraps in both.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ...caching import is_library, nested_codes
from .batch import bind_loop
from .world import World


def interpreted(world: World) -> Callable:
    """A world's batch loop in which every compiled function is replaced by its Python text.

    Args:
        world: the world.

    Returns:
        Function with the arguments of `bind_loop`'s, for `Batch(world, loop=...)`.
    """
    loop = _python_text(bind_loop(world), {})

    def run(*arguments: Any) -> int:
        with np.errstate(over="ignore"):  # numpy warns where uint64 wraps
            return loop(*map(_argument, arguments))

    return run


def _python_text(jitted: Any, done: dict[int, Any]) -> Any:
    """The Python function of a jitted one, with all that it calls replaced likewise."""
    if id(jitted) in done:
        return done[id(jitted)]
    source = jitted.py_func
    names = dict(source.__globals__)
    cells = tuple(types.CellType() for _ in source.__closure__ or ())
    function = types.FunctionType(source.__code__, names, source.__name__, source.__defaults__, cells)
    done[id(jitted)] = function  # before going on: functions may call themselves
    used = [name for code in nested_codes(source.__code__) for name in code.co_names]
    for name in used:
        if name in names:
            names[name] = _replaced(names[name], used, done)
    for cell, original in zip(cells, source.__closure__ or (), strict=True):
        cell.cell_contents = _replaced(original.cell_contents, used, done)
    return function


def _replaced(value: Any, used: list[str], done: dict[int, Any]) -> Any:
    if hasattr(value, "py_func"):
        return _python_text(value, done)
    if isinstance(value, types.ModuleType) and not is_library(value):
        members = {name: _replaced(vars(value)[name], [], done) for name in used if name in vars(value)}
        return types.SimpleNamespace(**members)
    return value


def _argument(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.view(_Array)
    if isinstance(value, tuple):
        make = getattr(value, "_make", tuple)  # of a named tuple
        return make(map(_argument, value))
    return value


def _read(value: Any) -> Any:
    if isinstance(value, np.void):
        return _Record(value)
    if isinstance(value, np.generic) and value.dtype != np.uint64:
        return value.item()
    return value.view(_Array) if isinstance(value, np.ndarray) else value


def _written(value: Any) -> Any:
    """What to store: numpy refuses Python integers out of range, but wraps its own as compiled code does."""
    if isinstance(value, _Record):
        return object.__getattribute__(value, "void")
    return np.int64(value) if type(value) is int else value


class _Array(np.ndarray):
    """An array whose elements and fields read as in a kernel."""

    def __getitem__(self, index: Any) -> Any:
        return _read(super().__getitem__(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, _written(value))

    def __getattr__(self, name: str) -> Any:
        if name in (self.dtype.names or ()):
            return self[name]
        raise AttributeError(name)


class _Record:
    """One record, whose fields are attributes."""

    __slots__ = ("void",)

    def __init__(self, void: np.void) -> None:
        object.__setattr__(self, "void", void)

    def __getattribute__(self, name: str) -> Any:
        return _read(object.__getattribute__(self, "void")[name])

    def __setattr__(self, name: str, value: Any) -> None:
        object.__getattribute__(self, "void")[name] = _written(value)

    def __getitem__(self, name: str) -> Any:
        return _read(object.__getattribute__(self, "void")[name])

    def __setitem__(self, name: str, value: Any) -> None:
        object.__getattribute__(self, "void")[name] = _written(value)
