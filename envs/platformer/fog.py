"""What the platformer's fog hides: all but a narrow window ahead, and things behind walls.

It lies on the state alone, and needs nothing in the record.
"""

from __future__ import annotations

from ..core.compiling import kernel
from ..core.fog import lines_of_sight
from .observe import ABOVE, AREA, BEHIND, FIRST_SCALAR, TILE_PLANES, VIEW, fill, observe_grid

NEAREST, FURTHEST = 4, 6  # columns ahead of the player's that are seen

EYE = ABOVE * VIEW + BEHIND
LINES = lines_of_sight(VIEW, VIEW, ABOVE, BEHIND)


@kernel
def observe_fogged(p, s, i, obs):
    """Writes the grid as it is seen in the fog: a narrow window, and things in it that no wall hides."""
    observe_grid(p, s, i, obs)
    flat = obs[i].reshape(obs[i].size)
    hidden = flat[FIRST_SCALAR * AREA : (FIRST_SCALAR + 1) * AREA]  # a constant plane, written again below
    constant = hidden[EYE]
    hidden[EYE] = 0
    for n in range(len(LINES)):
        at, onward = LINES[n]
        hidden[at] = hidden[onward] > 0 or (onward != EYE and flat[onward] > 0)
    for at in range(AREA):
        is_dark = not NEAREST <= at % VIEW - BEHIND <= FURTHEST
        for plane in range(FIRST_SCALAR):
            if is_dark or (hidden[at] > 0 and plane >= TILE_PLANES):
                flat[plane * AREA + at] = 0
    fill(flat, FIRST_SCALAR, constant)
