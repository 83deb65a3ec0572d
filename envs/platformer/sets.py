"""Sets of levels: folders of level files, of which a part is kept for judging."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..core.splits import CHOOSING, UNSEEN, Split, first_seed
from .levels import LEVELS, Level, LevelError, format_level

MAX_LEVELS = 4096
"""Of a set."""
UNSEEN_SHARE = 5
"""One level of so many is kept for judging."""


def part(levels: Sequence[Level]) -> dict[str, list[Level]]:
    """Parts levels into those to learn on and those that are kept for judging, by their content.

    Nothing but its own content decides on a level, so that one that is learnt on in a set is not judged on in
    another; only where all of them would fall to one part the extreme one goes to the other.

    Returns:
        Levels of `train` and `test`; neither is empty where there are two levels.
    """
    digests = {level.digest for level in levels}
    unseen = {digest for digest in digests if int(digest, 16) % UNSEEN_SHARE == 0} or {min(digests)}
    if unseen == digests:
        unseen -= {max(digests)}
    parts: dict[str, list[Level]] = {"train": [], "test": []}
    for level in levels:
        parts["test" if level.digest in unseen else "train"].append(level)
    return parts


def list_files(folder: Path) -> list[Path]:
    """The `.txt` files of a folder, by name.

    Raises:
        LevelError: where there are none, or too many.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".txt")
    if not 1 <= len(paths) <= MAX_LEVELS:
        raise LevelError(f"{folder}: {len(paths)} files that end in .txt; a set has 1 to {MAX_LEVELS} levels")
    return paths


def read_set(folder: Path, split: Split) -> list[Level]:
    """Reads the levels of one part of a set.

    Args:
        folder: of level files.
        split: `test`, or a seed from its range on, for the levels that are kept for judging; else all others,
            also where a checkpoint or settings are chosen: sets may be small.

    Raises:
        LevelError: in one line, for a faulty file, or where there is only one.
    """
    paths = list_files(folder)
    parts = part([LEVELS.read(path) for path in paths])
    if not all(parts.values()):
        raise LevelError(f"{folder}: one level can't be parted into train and test; alone it is {paths[0]}")
    first = first_seed(split)
    return parts["test" if first >= UNSEEN.start and first not in CHOOSING else "train"]


def write_levels(folder: Path, levels: Iterable[Level]) -> None:
    """Writes levels of different names, a file each."""
    for level in levels:
        (folder / f"{level.name}.txt").write_text(format_level(level), encoding="utf-8")
