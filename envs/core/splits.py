"""Ranges of seeds from which worlds are generated: one to train on, one to be judged on, or any other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

Split: TypeAlias = Literal["train", "test"] | int
"""One of the two ranges, which never overlap, or the first seed of another one."""
FIRST_SEED = {"train": 0, "test": 1_000_000_000}
"""A pool is far too small to reach from one range into the other."""
LAST_SEED = (1 << 62) - 1
UNSEEN = range(FIRST_SEED["test"], FIRST_SEED["test"] + 100_000_000)
"""Seeds that are kept for judging; nothing is trained on them."""
CHOOSING = range(UNSEEN.stop, UNSEEN.stop + 200_000_000)
"""Seeds by whose episodes checkpoints and settings are chosen; nothing is trained on them either."""


def shown_seed(seed: int) -> str:
    """A seed as people read it: `unseen 3` is the fourth of those that are kept for judging."""
    return f"unseen {seed - UNSEEN.start:,}" if seed in UNSEEN else f"{seed:,}"


def shown_name(name: str) -> str:
    """The name of something generated, with its seed as people read it: `districts, unseen 3`."""
    kind, _, seed = name.rpartition("-")
    return f"{kind}, {shown_seed(int(seed))}" if seed.isdecimal() and int(seed) in UNSEEN else name


def is_kept(rows: Sequence[str]) -> bool:
    """Whether a drawing's content says that it is kept for judging: half of all that there may be is."""
    return bool(hashlib.blake2b("\n".join(rows).encode(), digest_size=1).digest()[0] % 2)


def drawn_apart(seed: int, draw: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Draws until the content is on the side of its seed: nothing is on both, however little there is.

    Args:
        seed: from that of `UNSEEN` on nothing is trained on, below it somebody may be.
        draw: makes the rows of a drawing, others each time.
    """
    while is_kept(rows := draw()) != (seed >= UNSEEN.start):
        pass
    return rows


def first_seed(split: Split) -> int:
    """The first seed of a range.

    Raises:
        ValueError: for a number below 0 or beyond `LAST_SEED`.
    """
    first = FIRST_SEED[split] if isinstance(split, str) else split
    if not 0 <= first <= LAST_SEED:
        raise ValueError(f"split must be train, test, or a seed from 0 to {LAST_SEED}; got {split}")
    return first
