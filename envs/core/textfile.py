"""Reading the small text files that describe worlds: maps, levels, instances."""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path

from ...files import check_regular


def read_text(
    source: Traversable, name: str, max_bytes: int, content: str, error_class: type[ValueError]
) -> str:
    """Reads a UTF-8 text file that anybody may have written.

    Args:
        source: the file.
        name: what errors call it.
        max_bytes: more than that is not read.
        content: what so many bytes are enough for.
        error_class: of the errors.

    Raises:
        ValueError: of `error_class`, in one line, if there is no such file, or it is none that stays as it is
            (a named pipe would keep its reader waiting), or is too big or no text.
    """
    try:
        if isinstance(source, Path):
            check_regular(source)
        with source.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise error_class(f"{name}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise error_class(str(error)) from None
    if len(data) > max_bytes:
        raise error_class(f"{name}: the file is too big for {content}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise error_class(f"{name}, byte {error.start + 1}: not UTF-8 text") from None
