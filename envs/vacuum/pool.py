"""Which flats are in play: hand-made ones, generated ones, or one from a file."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from ..core import Split, first_seed, read_text
from .flat import Flat, FlatError, read_flat
from .generator import draw_flat

SHIPPED = files(__name__.partition(".")[0]) / "assets" / "flats"
MOST_BYTES = 4096  # of a flat's file; more is a mistake or an attack


def shipped_flats() -> list[str]:
    """The names of the hand-made flats, in order."""
    return sorted(path.name.removesuffix(".txt") for path in SHIPPED.iterdir() if path.name.endswith(".txt"))


def load_flats(flat: str, split: Split, pool_size: int) -> list[Flat]:
    """Reads or draws the flats of a pool.

    Args:
        flat: `generated`, `shipped`, the name of a hand-made flat, or the path of a flat's file.
        split: range of seeds of generated flats.
        pool_size: how many are drawn.

    Raises:
        ValueError: one line, for an unknown flat or a faulty file.
    """
    if flat == "generated":
        first = first_seed(split)
        return [draw_flat(seed) for seed in range(first, first + pool_size)]
    names = shipped_flats()
    if flat in ("shipped", *names):
        return [_read(SHIPPED / f"{name}.txt", name) for name in (names if flat == "shipped" else [flat])]
    path = Path(flat)
    if path.exists() or path.name != flat or flat.endswith(".txt"):
        return [_read(path, flat)]
    raise ValueError(
        f"there is no flat {flat!r}; there are generated, shipped, {', '.join(names)}, and files"
    )


def _read(source: Traversable, name: str) -> Flat:
    return read_flat(read_text(source, name, MOST_BYTES, "a flat", FlatError), name)
