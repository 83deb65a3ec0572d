"""Where a set of levels goes."""

from __future__ import annotations

from pathlib import Path


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
    if target.exists() or target.is_symlink():  # also one that leads nowhere
        raise ValueError(f"{target} is there already; choose another name, or remove it")
    if not target.parent.is_dir():
        raise ValueError(f"there is no folder {target.parent}")
    from ...envs.platformer.levels import LEVELS

    if out in ("generated", "shipped", *LEVELS.names()):
        raise ValueError(f"--out: {out} names levels of meze; choose another name")
    return target
