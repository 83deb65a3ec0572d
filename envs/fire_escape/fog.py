"""What the fog of a burning building hides: what lies behind smoke, and signs that have been read."""

import numpy as np

from ..core import fogged_kernels, fogged_state, kernel, lines_of_sight
from .kernels import AREA, VIEW, observe_grid
from .state import EXITS, FIRE, HEIGHT, STATE, WALL, WIDTH

BLOCK = 4  # cells that each sign's square is wide and high
MOMENT = 1  # ticks for which signs are shown when the agent first comes into a square
THICK = 40  # levels of smoke, added up from the agent's cell on, behind which nothing is seen
SQUARES = -(-WIDTH // BLOCK)  # in a row of the building
FIELDS = (("read", np.uint32), ("shown", np.uint8))  # bit by square: the agent was there; ticks left
RANGES = {"read": (0, (1 << SQUARES * -(-HEIGHT // BLOCK)) - 1), "shown": (0, MOMENT)}
LINES = lines_of_sight(VIEW, VIEW, VIEW // 2, VIEW // 2)
EYE, AS_FAR = AREA // 2, 130


@kernel
def note_one(p, s, i):
    """Reads the signs of a square that is new to the agent."""
    e = s[i]
    if e.elapsed == 0:
        e.fog.read = e.fog.shown = 0
    square = np.int64(1) << (e.people[0] // WIDTH // BLOCK * SQUARES + e.people[0] % WIDTH // BLOCK)
    if not e.fog.read & square:
        e.fog.read |= square
        e.fog.shown = MOMENT
    elif e.fog.shown > 0:
        e.fog.shown -= 1


@kernel
def cell_at(e, at):
    """The building's cell at a place of the view, in the middle of which the agent is; 0 for any outside."""
    y, x = e.people[0] // WIDTH + at // VIEW - VIEW // 2, e.people[0] % WIDTH + at % VIEW - VIEW // 2
    return y * WIDTH + x if 0 <= y < HEIGHT and 0 <= x < WIDTH else 0


@kernel
def observe_fogged(p, s, i, obs):
    """The grid, 0 behind smoke; where no sign is shown, all floor is as far from exits as the agent."""
    observe_grid(p, s, i, obs)
    e, planes = s[i], obs[i].reshape(obs[i].size)
    smoke = planes[AREA : 2 * AREA]  # on the line to each place: it is added up where fire is written later
    smoke[EYE] = e.smoke[e.people[0]]
    for n in range(len(LINES)):
        at, onward = LINES[n]
        smoke[at] = min(255, smoke[onward] + e.smoke[cell_at(e, at)])
    for n in range(len(LINES) - 1, -1, -1):  # what is further from the agent first
        at, onward = LINES[n]
        cell = cell_at(e, at)
        is_hidden = smoke[onward] > THICK
        smoke[at] = 0 if is_hidden or e.smoke[cell] < FIRE else 255
        if is_hidden:
            planes[at] = planes[2 * AREA + at] = 0
        for plane in range(3, 4 + EXITS):
            if is_hidden:
                planes[plane * AREA + at] = 0
            elif e.fog.shown == 0 and e.kind[cell] < WALL:
                planes[plane * AREA + at] = AS_FAR
    smoke[EYE] = 255 if e.smoke[e.people[0]] == FIRE else 0


def twin(clear):
    """The record and the kernels of the fogged twin, of the clear world's kernels."""
    return fogged_state(STATE, FIELDS), fogged_kernels(clear, note_one, observe_fogged)
