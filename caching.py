"""Compiled code that outlives its process: the decorator `compiled`, and where the code is kept.

numba's own cache has holes that matter here: an edit to a callee in another file is not noticed; two
functions of one name in one file can be given each other's code, and so can the functions that they call,
if these take records; it fails where nothing can be written, or a file in it is damaged; and it runs
whatever lies in its folder. So what is kept here is named by a fingerprint of everything that is compiled
into it, records have names of their own, files are checked before they are read, folders that others may
write to are not used, and where nothing can be kept, functions are compiled in every process, which is said
once.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import multiprocessing
import os
import pickle
import re
import shutil
import stat
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
import platformdirs
from numba import njit
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps
from numba.core.types import Record


def _record_name(record: Record) -> tuple[str, tuple[str]]:
    """How numba's names of compiled functions call a record that they take: by what it holds.

    numba itself numbers records as a process meets them. Code that two processes cached for two records can
    then bear one name, and in a third process, which loads both, one of the two runs on the other's records.
    """
    return "Record", ("x" + hashlib.blake2b(record.name.encode(), digest_size=16).hexdigest(),)


Record.mangling_args = property(_record_name)  # type: ignore[assignment]


# ---------------------------------------------------------------- the decorator


def compiled(function: Callable | None = None, **options: Any) -> Any:
    """Compiles a function as `numba.njit` does, once for all processes.

    Args:
        function: plain Python function; without one, a decorator is returned.
        **options: of `numba.njit`.

    Returns:
        The jitted function, compiled or read from where it was kept when it is first called.
    """
    if function is None:
        return partial(compiled, **options)
    return kept(njit(**options)(function))


def kept(function: Any, digest: str | None = None) -> Any:
    """Has a jitted function keep its compiled code.

    Args:
        function: jitted, and not compiled yet.
        digest: names all that is compiled into it; by default its `fingerprint` when it is first called.

    Returns:
        The function.
    """
    function._cache = KeptCode(function, digest)
    return function


class KeptCode(_Cache):
    """The compiled code of one function in files, one for each signature; numba asks it, see its `_Cache`."""

    def __init__(self, function: Any, digest: str | None) -> None:
        self._function, self._digest, self._enabled = function, digest, True

    @cached_property
    def folder(self) -> Path | None:
        """Where its files are; None where nothing can be kept."""
        try:
            return cache_folder(self._digest or fingerprint(self._function))
        except OSError as error:
            _warn(f"{error}: functions are compiled anew in every process")
            return None

    @property
    def cache_path(self) -> str | None:
        """The same, as numba reports it."""
        return None if self.folder is None else str(self.folder)

    def enable(self) -> None:
        """Keeps code from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Neither reads nor keeps code from now on."""
        self._enabled = False

    def flush(self) -> None:
        """Deletes what is kept."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for a signature, or None; what is damaged is removed."""
        target_context.refresh()
        if not self._enabled or self.folder is None:
            return None
        path, key = self._place(sig, target_context.codegen())
        try:
            found, code = _read(path)
            return CompileResult._rebuild(target_context, *code) if found == key else None
        except FileNotFoundError:
            _say_compiling()
            return None
        except Exception:  # what is damaged may fail in any way
            _warn(f"compiled code in {self.folder.parent} was damaged, and is compiled anew")
            with contextlib.suppress(OSError):
                path.unlink()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keeps the code for a signature."""
        fleeting = data.library.has_dynamic_globals or any(not each.can_cache for each in data.lifted)
        if not self._enabled or self.folder is None or fleeting:
            return
        path, key = self._place(sig, data.codegen)
        try:
            _write(path, dumps((key, data._reduce())))
        except OSError as error:  # a full disk, a quota
            _warn(f"compiled code can't be kept in {self.folder.parent} ({error.strerror})")

    def _place(self, sig: Any, codegen: Any) -> tuple[Path, Any]:
        """The file for a signature on this kind of processor, and what the two are in full."""
        key = sig, codegen.magic_tuple()
        name = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
        assert self.folder is not None
        return self.folder / f"{name}.nbc", key


def _read(path: Path) -> Any:
    """What `_write` wrote.

    Raises:
        OSError: when it can't be read, or somebody else may have written it.
        ValueError: when it was cut short or altered.
    """
    with open(path, "rb") as file:
        _check_own(path, os.fstat(file.fileno()))  # of what was opened: a path may change in between
        digest, content = file.read(_DIGEST_BYTES), file.read()
    if _digest(content) != digest:
        raise ValueError("a file was cut short or altered")
    return pickle.loads(content)


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole, or not at all.

    Raises:
        OSError: when there is no room, or no right.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)  # another process may have removed it
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.stem}.", delete=False) as file:
        try:
            file.write(_digest(content) + content)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            raise


_DIGEST_BYTES = 32


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()


@cache
def _say_compiling() -> None:
    """Says once, in one line, what takes so long; on a terminal's own console, where bars may be moving."""
    if multiprocessing.parent_process() is not None:  # which says it
        return
    import rich  # takes a while to import, and most processes have nothing to say

    words = "Compiling for this processor: it takes some seconds, and happens once."
    if rich.get_console().is_terminal:
        rich.print(words)
    else:
        print(words, file=sys.stderr)


@cache
def _warn(text: str) -> None:
    """Says something once, in one line: a line of code below it would tell a user nothing."""
    warnings.warn_explicit(text, RuntimeWarning, filename=__name__, lineno=0, module=__name__)


# ---------------------------------------------------------------- fingerprint


def fingerprint(function: Callable, records: Sequence[np.dtype] = (), sources: Iterable[Path] = ()) -> str:
    """Names everything that is compiled into a function, in 16 hexadecimal digits.

    It covers the byte code and constants of the function and of everything it calls, directly or not, in
    whatever file; the text of those files; the versions of numba and numpy.

    Args:
        function: jitted or plain function.
        records: structured types of its arguments.
        sources: further files whose text matters.

    Returns:
        Digest that changes whenever the compiled code could.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"numba {numba.__version__} numpy {np.__version__}".encode())
    for record in records:
        digest.update(repr(record).encode())
    files = {Path(__file__), *sources}
    for line in _describe(function, set(), files):
        digest.update(line.encode() + b"\n")
    for file in sorted(files):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _describe(value: Any, seen: set[int], files: set[Path]) -> Iterator[str]:
    """Lines that tell a function or a constant from any other; notes the files that functions come from."""
    if hasattr(value, "py_func"):  # jitted
        if isinstance(value, Dispatcher):  # not a method that is one
            files.add(Path(inspect.getfile(type(value))))
        for name, option in sorted(value.targetoptions.items()):
            # a set's repr differs from process to process
            yield f"{name} {sorted(option) if isinstance(option, set | frozenset) else option!r}"
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
    yield f"{function.__module__} {function.__defaults__!r}"  # kept code names the modules it came from
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


class NotPrivateError(OSError):
    """Others can write to a folder or a file, or it is another user's: it must not be run as code."""


def cache_folder(digest: str) -> Path:
    """The folder for compiled code of one fingerprint; a new one takes the place of those long unused.

    Args:
        digest: the fingerprint.

    Returns:
        Existing, private, writable folder: below `NUMBA_CACHE_DIR` if that is set, else below the user's
        cache folder; if that can't be written, below the folder for temporary files.

    Raises:
        NotPrivateError: when others can write to it.
        OSError: when none of them can be written.
    """
    # Not as numba's config has it, which believes a `.numba_config.yaml` wherever one stands.
    base = os.environ.get("NUMBA_CACHE_DIR")
    home = Path(base, "meze").absolute() if base else Path(platformdirs.user_cache_dir("meze"))
    try:
        return _private(home, digest)
    except NotPrivateError:
        raise
    except OSError as error:
        with contextlib.suppress(OSError):
            return _private(_temporary_home(), digest)
        raise OSError(f"compiled code can't be kept in {home} ({error.strerror or error})") from None


def _temporary_home() -> Path:
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""  # elsewhere the folder is the user's own
    return Path(tempfile.gettempdir(), f"meze{user}")


def _private(home: Path, digest: str) -> Path:
    if not home.is_absolute():  # a user without a home
        raise OSError("there is no home folder")
    home.parent.mkdir(parents=True, exist_ok=True)
    above = home.parent.stat()
    open_to_all = above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX
    if hasattr(os, "getuid") and (open_to_all or above.st_uid not in (0, os.getuid())):
        raise NotPrivateError(f"{home.parent} is not private, so no compiled code is kept there")
    folder = home / digest
    new = not folder.exists()
    for each in (home, folder):
        each.mkdir(mode=0o700, exist_ok=True)
        _check_own(each, each.lstat())
    tempfile.TemporaryFile(dir=folder).close()
    os.utime(folder)  # tells that it is in use
    if new:
        _remove_unused(home)
    return folder


def _check_own(path: Path, status: os.stat_result) -> None:
    """Raises `NotPrivateError` for what others could have written."""
    if not hasattr(os, "getuid"):
        return
    linked, shared = stat.S_ISLNK(status.st_mode), status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if linked or shared or status.st_uid != os.getuid():
        raise NotPrivateError(f"{path} is not private, so no compiled code is kept there")


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
