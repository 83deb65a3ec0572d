"""Checkpoints: a `State` in one safetensors file, which is data and never code.

Arrays are tensors; everything else is JSON in the file's metadata. Arrays of a dtype that safetensors does
not know (state records) are stored as bytes, their dtype described in that JSON. A digest over every byte of
the file lets an altered one be noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from ..files import check_regular, write_whole
from .base import State

FORMAT = 1
"""Version of the layout; a file with a higher one is refused."""

_DIGEST_BYTES = 32
_NO_DIGEST = b"0" * (2 * _DIGEST_BYTES)  # stands in the digest's place while the digest is computed
_CHUNK = 1 << 20
_TENSOR_DTYPES = frozenset(
    np.dtype(name)
    for name in ("<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "i1", "<u8", "<u4", "<u2", "u1", "?")
)
_SCALAR_DTYPE = re.compile(r"[<>|][biufcSU]\d{1,9}")


class CheckpointError(ValueError):
    """The file can't be used: not a checkpoint, cut short, altered, or from a newer version."""


def save(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Writes a state so that `path` holds either its earlier content or the whole new one.

    Args:
        path: the file; its folder exists.
        state: names to arrays, or to values that JSON can hold.

    Raises:
        ValueError: when a value is neither an array of numbers or records nor fit for JSON.
        OSError: when the disk is full or the folder can't be written; an earlier file stays as it was.
    """
    write_whole(path, *_encode(state))


def load(path: str | os.PathLike[str]) -> State:
    """Reads what `save` wrote; arrays come back writeable, with the same dtype, shape and bytes.

    Raises:
        CheckpointError: when the file is no checkpoint, cut short, altered, or from a newer version.
        OSError: when the file can't be read.
    """
    path = Path(path)
    with _opened(path) as file:
        tensors = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        return _decode(tensors, json.loads(file.metadata()["meze"]))


def verify(path: str | os.PathLike[str]) -> None:
    """Raises what `load` would, for a file that is not as it was written."""
    with _opened(Path(path)):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A checkpoint's file, checked to be as it was written."""
    check_regular(path)
    with open(path, "rb"):  # a missing or unreadable file is an OSError that names it
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            _check(path, file.metadata() or {})
            yield file
    except CheckpointError:
        raise
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a checkpoint, or was cut short or altered ({error})") from None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a valid checkpoint ({error})") from None


def _encode(state: Mapping[str, Any]) -> tuple[bytes | memoryview, ...]:
    """The file's bytes, in parts."""
    tensors: dict[str, NDArray] = {}
    values: dict[str, Any] = {}
    records: dict[str, Any] = {}
    for name, value in state.items():
        if not isinstance(value, np.ndarray):
            values[name] = value
            continue
        array = np.asarray(value, order="C")
        if array.dtype in _TENSOR_DTYPES:
            tensors[name] = array
        else:
            records[name] = {"dtype": _describe(array.dtype), "shape": array.shape}
            tensors[name] = array.reshape(-1).view(np.uint8)
    try:
        content = json.dumps({"values": values, "records": records})
    except TypeError as error:
        raise ValueError(f"a checkpoint holds arrays and JSON values only: {error}") from None
    metadata = {"format": str(FORMAT), "digest": _NO_DIGEST.decode(), "meze": content}
    header, body = _in_order(serialize(tensors, metadata))
    size = len(header).to_bytes(8, "little")
    hasher = hashlib.blake2b(size + header, digest_size=_DIGEST_BYTES)
    hasher.update(body)
    field = _digest_field(hasher.hexdigest().encode())
    return size, header.replace(_digest_field(_NO_DIGEST), field, 1), body


def _in_order(data: bytes) -> tuple[bytes, memoryview]:
    """A file's header, which safetensors writes in any order, in one order; and the rest."""
    size = 8 + _header_size(data)
    header = json.loads(data[8:size])
    metadata = dict(sorted(header.pop("__metadata__").items()))
    entries = dict(sorted(header.items(), key=lambda entry: entry[1]["data_offsets"]))
    text = json.dumps(
        {"__metadata__": metadata, **entries}, separators=(",", ":"), ensure_ascii=False
    ).encode()
    return text + b" " * (-len(text) % 8), memoryview(data)[size:]


def _decode(tensors: dict[str, NDArray], content: dict[str, Any]) -> State:
    for name, record in content["records"].items():
        dtype = _parse(record["dtype"])
        array = np.empty(tensors[name].size // dtype.itemsize, dtype)
        array.view(np.uint8)[...] = tensors[name]  # byte by byte: padding stays too
        tensors[name] = array.reshape(record["shape"])
    return {**content["values"], **tensors}


def _check(path: Path, metadata: Mapping[str, str]) -> None:
    """Refuses a file by what its metadata say."""
    if not {"format", "digest", "meze"} <= metadata.keys():
        raise CheckpointError(f"{path} is not a checkpoint of meze")
    if not metadata["format"].isdecimal():
        raise CheckpointError(f"{path} was altered")
    if int(metadata["format"]) > FORMAT:
        raise CheckpointError(
            f"{path} was written by a newer version of meze "
            f"(format {metadata['format']}; this one reads up to {FORMAT})"
        )
    with open(path, "rb") as file:
        if _digest(file, metadata["digest"].encode()) != metadata["digest"]:
            raise CheckpointError(f"{path} was altered")


def _digest(file: BinaryIO, digest: bytes) -> str:
    """Hashes a file as it was before its digest was put in; safetensors has checked the header's size."""
    start = file.read(8)
    header = file.read(_header_size(start))
    hasher = hashlib.blake2b(start, digest_size=_DIGEST_BYTES)
    hasher.update(header.replace(_digest_field(digest), _digest_field(_NO_DIGEST), 1))
    while chunk := file.read(_CHUNK):
        hasher.update(chunk)
    return hasher.hexdigest()


def _digest_field(digest: bytes) -> bytes:
    """How the digest stands in the header's JSON (quotes inside other strings are escaped there)."""
    return b'"digest":"' + digest + b'"'


def _header_size(start: bytes | memoryview) -> int:
    return int.from_bytes(start[:8], "little")


def _describe(dtype: np.dtype) -> Any:
    """A dtype as JSON: a string, `[base, shape]` for a subarray, or a mapping for a record."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [_describe(base), shape]
    if dtype.fields is None:
        if not _SCALAR_DTYPE.fullmatch(dtype.str):
            raise ValueError(f"a checkpoint can't hold arrays of dtype {dtype}")
        return dtype.str
    fields = [dtype.fields[name] for name in dtype.fields]
    return {
        "names": list(dtype.fields),
        "formats": [_describe(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
        "align": dtype.isalignedstruct,
    }


def _parse(description: Any) -> np.dtype:
    """Inverse of `_describe`; only plain numbers, text and records of them can come out."""
    if isinstance(description, str):
        if not _SCALAR_DTYPE.fullmatch(description):
            raise ValueError(f"dtype {description!r}")
        return np.dtype(description)
    if isinstance(description, list):
        base, shape = description
        return np.dtype((_parse(base), tuple(shape)))
    layout: Any = {key: description[key] for key in ("names", "offsets", "itemsize")}
    layout["formats"] = [_parse(each) for each in description["formats"]]
    return np.dtype(layout, align=bool(description["align"]))
