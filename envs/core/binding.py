"""Binds loops written once to the kernels of a world, compiled with a cache that outlives the process.

numba's own cache has four holes that matter here: a function that takes jitted functions as arguments is
never found again, an edit to a callee in another file is not noticed, two functions of one name in one file
can be given each other's code, and so can the functions that they call, if these take records. So a loop
reaches its kernels as module globals of a copy made for them, the cache folder's name and the function's name
hold a fingerprint of everything that is compiled into it, and records have names of their own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
import platformdirs
from numba import njit
from numba.core import config
from numba.core.types import Record

_numba_config: Any = config
_config_lock = threading.Lock()  # numba's cache folder is a process-wide setting


def _record_name(record: Record) -> tuple[str, tuple[str]]:
    """How numba's names of compiled functions call a record that they take: by what it holds.

    numba itself numbers records as a process meets them. Code that two processes cached for two records can
    then bear one name, and in a third process, which loads both, one of the two runs on the other's records.
    """
    return "Record", ("x" + hashlib.blake2b(record.name.encode(), digest_size=16).hexdigest(),)


Record.mangling_args = property(_record_name)  # type: ignore[assignment]


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
    digest = fingerprint(_rebuild(template, template.__name__, bound_globals), records)
    function = _rebuild(template, f"{name}.{template.__name__}.{digest}", bound_globals)
    options: Any = {"nogil": True, "_nrt": False}  # counting references to the params' arrays costs much
    with _config_lock:
        users_folder = _numba_config.CACHE_DIR
        try:
            _numba_config.CACHE_DIR = str(cache_folder(digest))
            return njit(cache=True, **options)(function)
        except (OSError, RuntimeError):  # nowhere to write: compile in every process rather than fail
            return njit(**options)(function)
        finally:
            _numba_config.CACHE_DIR = users_folder


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


# ---------------------------------------------------------------- fingerprint


def fingerprint(function: Callable, records: Sequence[np.dtype] = ()) -> str:
    """Names everything that is compiled into a function, in 16 hexadecimal digits.

    It covers the byte code and constants of the function and of everything it calls, directly or not, in
    whatever file; the text of those files and of `envs/core`; the versions of numba and numpy.

    Args:
        function: jitted or plain function.
        records: structured types of its arguments.

    Returns:
        Digest that changes whenever the compiled code could.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"numba {numba.__version__} numpy {np.__version__}".encode())
    for record in records:
        digest.update(repr(record).encode())
    files = set(Path(__file__).parent.glob("*.py"))
    for line in _describe(function, set(), files):
        digest.update(line.encode() + b"\n")
    for file in sorted(files):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _describe(value: Any, seen: set[int], files: set[Path]) -> Iterator[str]:
    """Lines that tell a function or a constant from any other; notes the files that functions come from."""
    if hasattr(value, "py_func"):  # jitted
        yield repr(sorted(value.targetoptions.items()))
        value = value.py_func
    if isinstance(value, types.FunctionType):
        if id(value) not in seen:
            seen.add(id(value))
            yield from _describe_function(value, seen, files)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape} {hashlib.blake2b(value.tobytes()).hexdigest()}"
    elif isinstance(value, tuple | list):
        yield f"{type(value).__qualname__} of {len(value)}"
        for item in value:
            yield from _describe(item, seen, files)
    elif isinstance(value, frozenset):
        yield repr(sorted(map(repr, value)))
    elif isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
        yield value.__name__
    else:  # a repr with an address in it costs a compilation, never a wrong answer
        yield repr(value)


def _describe_function(function: types.FunctionType, seen: set[int], files: set[Path]) -> Iterator[str]:
    files.add(Path(function.__code__.co_filename))
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    yield repr(function.__defaults__)
    for code in nested_codes(function.__code__):
        yield f"{code.co_name} {code.co_code.hex()} {code.co_varnames} {code.co_names}"
        for constant in code.co_consts:
            if not isinstance(constant, types.CodeType):
                yield from _describe(constant, seen, files)
        for name in code.co_names:
            value = function.__globals__.get(name)
            yield from _describe(value, seen, files)
            if isinstance(value, types.ModuleType) and not is_library(value):
                for attribute in code.co_names:  # `module.kernel(...)` names both
                    if attribute in vars(value):
                        yield from _describe(vars(value)[attribute], seen, files)
    for name, cell in cells.items():
        yield name
        yield from _describe(cell.cell_contents, seen, files)


def nested_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's code and that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from nested_codes(constant)


def is_library(module: types.ModuleType) -> bool:
    """Whether a module holds no kernels of ours, but what numba itself knows."""
    return module.__name__.partition(".")[0] in ("numba", "numpy", "math", "builtins")


# ---------------------------------------------------------------- cache folder

KEPT_SECONDS = 60 * 24 * 3600
"""How long a folder of compiled code outlives its last use."""
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


def cache_folder(digest: str) -> Path:
    """The folder for compiled code of one fingerprint; a new one takes the place of those long unused.

    Args:
        digest: the fingerprint.

    Returns:
        Existing, writable folder: below `NUMBA_CACHE_DIR` if that is set, else below the user's cache folder,
        else below the folder for temporary files.

    Raises:
        OSError: when none of them can be written.
    """
    base = _numba_config.CACHE_DIR
    home = Path(base, "meze") if base else Path(platformdirs.user_cache_dir("meze"))
    try:
        return _writable(home / digest)
    except OSError:
        return _writable(_private_temporary_folder() / digest)


def _writable(folder: Path) -> Path:
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
    os.utime(folder)  # tells that it is in use
    if new:
        _remove_unused(folder.parent)
    return folder


def _remove_unused(home: Path) -> None:
    """Deletes the folders of fingerprints that nobody has used for long, and nothing else; never raises.

    A process that used one of them all the while keeps what it has loaded, and compiles what it has not:
    numba takes a missing file for one that was never written, and makes missing folders.
    """
    oldest = time.time() - KEPT_SECONDS
    with contextlib.suppress(OSError):  # another process may be doing the same
        for folder in home.iterdir():
            status = folder.lstat()
            is_ours = _FINGERPRINT.fullmatch(folder.name) and stat.S_ISDIR(status.st_mode)
            if is_ours and status.st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _private_temporary_folder() -> Path:
    """A folder of this user's in the shared one; what others could write into must not be loaded as code."""
    if not hasattr(os, "getuid"):  # elsewhere the folder for temporary files is the user's own
        return Path(tempfile.gettempdir(), "meze")
    folder = Path(tempfile.gettempdir(), f"meze-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise OSError(f"{folder} is not private to this user")
    return folder
