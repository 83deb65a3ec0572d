"""Draws generated levels of the usual difficulty and certifies them: `python assets/draw_levels.py`.

What it writes to `assets/certified` is what a user's cache folder would come to hold. It is to be run again
when generator, physics or search change; a test compares.
"""

from __future__ import annotations

import json

from meze.envs.core.splits import Split, first_seed
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.pool import CERTIFIED, draw_certified, notes_name

COUNTS: dict[Split, int] = {"train": 2_500, "test": 1_000}
"""As many as the presets play."""


def main() -> None:
    """Writes a file a split."""
    for split, count in COUNTS.items():
        _, notes = draw_certified(PlatformerConfig.difficulty, first_seed(split), count)
        lines = ",\n".join(json.dumps(note) for note in notes)
        (CERTIFIED / notes_name(PlatformerConfig.difficulty, split)).write_text(f"[{lines}]\n")


if __name__ == "__main__":
    main()
