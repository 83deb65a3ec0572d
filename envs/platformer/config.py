"""What a user may set in the platformer."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from ..core.fog import check_fog
from ..core.settings import check_settings
from ..core.splits import Split, first_seed


@dataclass(frozen=True)
class PlatformerConfig:
    """Settings of the platformer; weights are rounded to 1/1024 when the world is built."""

    level: str = "generated"
    """`generated` for a pool of random levels, `shipped` for all hand-made ones, the name of one of them, or
    the path of a level file, or of a folder of such files, as `meze import-levels` and `meze make-levels`
    make it."""
    difficulty: float = 0.3
    """How hard generated levels are, 0 to 1."""
    easiest: float | None = None
    """How hard the easiest level is to train on, if not all are alike: difficulties rise in equal steps to
    `difficulty`, which is that of all levels to be judged on."""
    split: Split = "train"
    """Seeds of generated levels: one of two ranges that never overlap, or a number, those from it on. Of a
    folder's levels a fifth, chosen by content, is `test`."""
    pool_size: int = 64
    """Number of generated levels."""

    actions: Literal["right_only", "simple", "complex"] = "simple"
    """The set of actions: 5, 7 or 12 of them."""
    frame_skip: int = 4
    """Ticks (of 60 a second) that a step lasts; the buttons are held throughout."""
    observation: Literal["grid", "pixels", "index"] = "grid"
    """`grid`: what is around the player, as planes; `pixels`: a picture of 64 x 64; `index`: one number, for
    tables."""
    fog: bool = False
    """See less of the same level: a narrow window ahead, and nothing in it that moves behind a wall. It asks
    for memory, and for `grid`."""

    progress: float = 0.25
    """Reward for each tile gained, taken back when it is lost again."""
    time: float = -0.005
    """Reward for each tick."""
    death: float = -5.0
    """Reward for dying."""
    coins: float = 0.1
    """Reward for each coin."""
    stomps: float = 0.25
    """Reward for each creature beaten."""
    flag: float = 10.0
    """Reward for reaching the flag."""

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ValueError: naming the field and what it may be.
        """
        check_settings(
            self,
            {
                "difficulty": (0, 1),
                "easiest": (0, self.difficulty),
                "pool_size": (1, 4096),
                "frame_skip": (1, 60),
                **dict.fromkeys((field.name for field in fields(self)[-6:]), (-1000, 1000)),
            },
        )
        check_fog(self)
        first_seed(self.split)  # which checks it
