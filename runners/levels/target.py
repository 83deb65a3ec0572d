"""Where a set of levels goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...files import refuse_links
from ..setup.files import held


def set_folder(out: str) -> Path:
    """The folder of a new set.

    Args:
        out: what `--out` says.

    Raises:
        ValueError: one line, where no set can be written there.
    """
    target = Path(out)
    if not target.name or target.name.startswith("."):
        raise ValueError(f"--out needs the name of a set, not {out!r}")
    _refuse_taken(target)
    if not target.parent.is_dir():
        raise ValueError(f"there is no folder {target.parent}")
    from ...envs.platformer.levels import LEVELS

    if out in ("generated", "shipped", *LEVELS.names()):
        raise ValueError(f"--out: {out} names levels of meze; choose another name")
    return target


def _refuse_taken(folder: Path) -> None:
    if folder.exists() or folder.is_symlink():  # also one that leads nowhere
        raise ValueError(f"{folder} is there already; choose another name, or remove it")


@contextmanager
def new_set(folder: Path) -> Iterator[Path]:
    """Gives a folder to write to, which becomes the set if all goes well, and is gone otherwise.

    It lies in a hidden one beside the set, which one process at a time holds: another one that wants to make
    the same set is refused before it begins. What a killed process left is thrown away by the next one.

    Args:
        folder: of the set.

    Raises:
        ValueError: one line, where another process makes this set, or it is there already.
    """
    own = folder.with_name(f".{folder.name}.new")
    refuse_links(own, own / "lock")
    own.mkdir(0o700, exist_ok=True)
    with held(own):
        try:
            _refuse_taken(folder)
            new = own / "set"  # a folder in it, since it is itself for nobody else to read
            if new.is_dir():
                shutil.rmtree(new)
            new.mkdir()
            yield new
            new.rename(folder)
        finally:
            shutil.rmtree(own)
