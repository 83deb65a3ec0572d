"""What is to be seen where: the renderer's picture before it is drawn.

Lengths are in pixels of the level, 16 to a tile, from its left edge and from its top downwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .state import (
    ALIVE,
    BRICK,
    BUMP_TICKS,
    COIN,
    COIN_BLOCK,
    EAST_MOUTH_LOWER,
    EAST_MOUTH_UPPER,
    EDGE_WALKER,
    EMPTY,
    FLAG,
    FLYER,
    GONE,
    GROUND,
    HANGING_MOUTH_LEFT,
    HANGING_MOUTH_RIGHT,
    HEIGHT,
    IN_BLOCK,
    KNOCKED,
    LEDGE,
    LOOKS_LIKE,
    LYING_LOWER,
    LYING_UPPER,
    MARGIN,
    MUSHROOM,
    MUSHROOM_BLOCK,
    MUSHROOM_RISE,
    PIPE_LEFT,
    PIPE_MOUTH_LEFT,
    PIPE_MOUTH_RIGHT,
    PIPE_RIGHT,
    PIXEL,
    PLANT,
    PLATFORM_ACROSS,
    PLATFORM_UP,
    PLAYER_WIDTH,
    SHELL,
    SHELL_SLIDING,
    SHELLED,
    SKY,
    SPIKE,
    SPINY,
    SPRING,
    SPRING_CLASS,
    SQUASHED,
    TABLE_ROWS,
    THING_HEIGHT,
    THING_WIDTH,
    TILE,
    USED,
    WALKER,
    WEST_MOUTH_LOWER,
    WEST_MOUTH_UPPER,
    WINGED,
    PlatformerParams,
    capacity_of,
)
from .tiles import after_change

FAR = 3 * TILE
"""What moves farther than this in one step is shown where it is."""
TURN_TICKS = 8
"""How long a coin shows each of its sides, and water its waves."""
STRIDE_PIXELS = 9
"""How far the player goes on one foot."""
STEP_TICKS = 8
"""How long a creature stands on one foot."""
FLICKER_TICKS = 3
"""How long who is invulnerable is seen, and not."""

WALK = (0, 1, 2, 1)
TILE_NAMES = {
    COIN: "coin", BRICK: "brick", COIN_BLOCK: "question", MUSHROOM_BLOCK: "question", USED: "used",
    PIPE_MOUTH_LEFT: "pipe_mouth_left", PIPE_MOUTH_RIGHT: "pipe_mouth_right", PIPE_LEFT: "pipe_left",
    PIPE_RIGHT: "pipe_right", SPIKE: "spike", SPRING: "spring_0", LEDGE: "ledge",
    HANGING_MOUTH_LEFT: "hanging_mouth_left", HANGING_MOUTH_RIGHT: "hanging_mouth_right",
    LYING_UPPER: "lying_upper", LYING_LOWER: "lying_lower", WEST_MOUTH_UPPER: "west_mouth_upper",
    WEST_MOUTH_LOWER: "west_mouth_lower", EAST_MOUTH_UPPER: "east_mouth_upper",
    EAST_MOUTH_LOWER: "east_mouth_lower",
}  # fmt: skip
THING_NAMES = {
    WALKER: "walker", EDGE_WALKER: "edger", SHELLED: "shelled", SHELL: "shell", SHELL_SLIDING: "shell",
    FLYER: "flyer", PLANT: "plant", MUSHROOM: "mushroom", IN_BLOCK: "mushroom", PLATFORM_ACROSS: "platform",
    PLATFORM_UP: "platform",
}  # fmt: skip
FRAMES = {"coin": 4, "question": 4, "water": 2}
"""What shows several pictures, one after another."""
STILL = (MUSHROOM, PLATFORM_ACROSS, PLATFORM_UP)


class Thing(NamedTuple):
    """One sprite of the picture."""

    sprite: str
    """Its name."""
    x: float
    """Its middle."""
    y: float
    """Its bottom."""
    flipped: bool = False
    """Whether it looks to the left."""
    overturned: bool = False
    """Whether it stands on its head."""
    faint: bool = False
    """Whether it is see-through."""


def between(before: NDArray, after: NDArray, phase: float) -> NDArray:
    """States to be shown between two that are a step apart: whatever moves is on its way.

    Args:
        before: (N,) records.
        after: (N,) records; where an episode began in between they are shown as they are.
        phase: how much of the step has been shown, from 0 to 1.

    Returns:
        (N,) records like `after`, with other places of the player and the things.
    """
    shown = after.copy()
    follows = (after["elapsed"] == before["elapsed"] + 1) & (after["level"] == before["level"])
    kind = after["things"]["kind"]
    stays = (before["things"]["kind"] != GONE) & (kind != GONE) & (kind != IN_BLOCK)
    for axis in "xy":
        start, end = before[axis], after[axis]
        near = follows & (abs(end - start) < FAR)
        shown[axis] = np.where(near, _mix(start, end, phase), end)
        start, end = before["things"][axis], after["things"][axis]
        near = follows[:, None] & stays & (abs(end - start) < FAR)
        shown["things"][axis] = np.where(near, _mix(start, end, phase), end)
    return shown


def _mix(start: NDArray, end: NDArray, phase: float) -> NDArray:
    return start + ((end - start) * phase).astype(np.int32)


class Scene:
    """Finds out what there is to see.

    Args:
        params: the platformer's tables.
    """

    def __init__(self, params: PlatformerParams) -> None:
        self._params = params
        self._capacity = capacity_of(params)
        self._frame_skip = int(params.rules[0]["frame_skip"])
        self._looks = lru_cache(64)(self._find_looks)

    def clock(self, e: np.void, phase: float) -> float:
        """Ticks since the episode began."""
        return int(e["tick"]) - (1 - phase) * self._frame_skip

    def things(self, e: np.void, phase: float, left: float, right: float) -> Iterator[Thing]:
        """Everything of the level that is between two verticals, from back to front.

        Args:
            e: a state record.
            phase: how much of the last step has been shown.
            left: the one vertical.
            right: the other one.
        """
        clock = self.clock(e, phase)
        hidden, seen = [], []
        for thing, behind in self._creatures(e, clock):
            if left - 32 < thing.x < right + 32:
                (hidden if behind else seen).append(thing)
        yield from hidden
        yield from self._tiles(e, clock, max(0, int(left // 16)), int(right // 16))
        yield from seen
        yield from self._loot(e)

    def player(self, e: np.void, phase: float) -> Thing:
        """The player."""
        x, y = (int(e["x"]) + PLAYER_WIDTH / 2) / PIXEL, int(e["y"]) / PIXEL
        speed, left = int(e["vx"]), bool(e["facing_left"])
        name = "player_big_" if e["big"] else "player_small_"
        blink = e["invulnerable"] and int(self.clock(e, phase)) // FLICKER_TICKS % 2
        if e["info"]["death"] != ALIVE:
            return Thing("player_small_dead", x, y)
        if e["big"] and e["ducking"]:
            name += "duck"
        elif not e["grounded"]:
            name += "jump"
        elif speed == 0:
            name += "stand"
        elif (speed < 0) != left:
            name, left = name + "skid", speed < 0
        else:
            name += f"walk_{WALK[int(x) // STRIDE_PIXELS % len(WALK)]}"
        return Thing(name, x, y, left, faint=bool(blink))

    # ------------------------------------------------------------ things

    def _creatures(self, e: np.void, clock: float) -> Iterator[tuple[Thing, bool]]:
        """Things, and whether tiles hide them."""
        first = self._params.things[e["level"]]
        frame = int(clock) // STEP_TICKS % 2
        for slot in np.flatnonzero(e["things"]["kind"]).tolist():
            thing = e["things"][slot]
            kind, timer = int(thing["kind"]), int(thing["timer"])
            if kind == IN_BLOCK:
                continue
            was = int(first[slot]["kind"])
            overturned = kind == KNOCKED
            is_beaten = kind in (KNOCKED, SQUASHED)
            name = THING_NAMES.get(was if is_beaten else kind, "walker")
            traits = int(first[slot]["timer"]) & SPINY if is_beaten else timer
            if name in ("walker", "shelled"):
                name = ("spiny" if traits & SPINY else name) + ("_winged" if traits & WINGED else "")
            if kind == SQUASHED:
                name += "_flat"
            elif name == "shell" and kind == SHELL or overturned and was == SHELLED:
                name = "shell_0"
            elif kind not in STILL and name != "mushroom":
                name += f"_{frame}"
            width = 48 * PIXEL if name == "platform" else THING_WIDTH
            x, y = (int(thing["x"]) + width / 2) / PIXEL, int(thing["y"]) / PIXEL
            if kind == PLANT:  # taller than the box that bites: its stalk is in the pipe
                y += 24 - THING_HEIGHT / PIXEL
            behind = kind == PLANT or kind == MUSHROOM and timer < MUSHROOM_RISE
            yield Thing(name, x, y, int(thing["vx"]) < 0, overturned), behind

    def _loot(self, e: np.void) -> Iterator[Thing]:
        """What jumps out of a tile that was just hit: a block's coin, the pieces of a brick."""
        cell, done = int(e["bump_cell"]), BUMP_TICKS - int(e["bump_timer"])
        code, slot = (table[e["level"], cell] for table in (self._params.tiles, self._params.slots))
        if not e["bump_timer"] or cell not in self._changed(e) or self._params.releases[e["level"], slot]:
            return
        row, column = divmod(cell, self._capacity.stride)
        x, y = (column - MARGIN) * 16 + 8, (row - SKY) * 16
        if code != BRICK:
            yield Thing(f"coin_{done // 2 % FRAMES['coin']}", x, y - 3 * done + done * done // 8)
            return
        for side in (-1, 1):
            for speed in (3, 5):
                yield Thing(
                    "shard", x + side * (4 + 2 * done), y + 12 - speed * done + done * done // 3, side < 0
                )

    # ------------------------------------------------------------ tiles

    def _tiles(self, e: np.void, clock: float, first: int, last: int) -> Iterator[Thing]:
        level = int(e["level"])
        looks, width = self._looks(level), int(self._params.levels["width"][level])
        changed = self._changed(e)
        turn = int(clock) // TURN_TICKS
        bumped = int(e["bump_cell"]) if e["bump_timer"] else -1
        lift = min(int(e["bump_timer"]), BUMP_TICKS - int(e["bump_timer"]))
        pressed = self._pressed(e)
        for column in range(first, min(last + 1, width)):
            for row in range(HEIGHT):
                cell = self._capacity.cell(column, row)
                names = looks[column][row]
                if cell in changed:
                    names = ("used",) if after_change(self._params.tiles[level, cell]) == USED else ()
                for name in names:
                    if name in FRAMES:
                        name = f"{name}_{turn % FRAMES[name]}"
                    if cell == pressed:
                        name = "spring_1"
                    y = row * 16 + 16 - (lift if cell == bumped else 0)
                    yield Thing(name, column * 16 + 8, y)
        flag = int(self._params.levels["flag_x"][level]) / PIXEL
        if first * 16 - 16 < flag < last * 16 + 48:
            yield self._flag(level, flag, clock, bool(e["info"]["clear"]))

    def _pressed(self, e: np.void) -> int:
        """The cell of the spring that has just thrown the player up, -1 if there is none."""
        column = (int(e["x"]) + PLAYER_WIDTH // 2) // TILE
        row = (int(e["y"]) + TILE // 2) // TILE
        cell = self._capacity.cell(column, row)
        thrown = e["jump_class"] == SPRING_CLASS and e["vy"] < 0 and row < HEIGHT
        return cell if thrown and self._params.tiles[e["level"], cell] == SPRING else -1

    def _flag(self, level: int, x: float, clock: float, clear: bool) -> Thing:
        tiles = self._params.tiles[level].reshape(TABLE_ROWS, -1)
        rows = np.flatnonzero(tiles[SKY : SKY + HEIGHT, MARGIN + int(x // 16)] == FLAG)
        y = int(rows[-1] - 1) * 16 if clear else int(rows[0]) * 16 + 26
        return Thing(f"flag_{int(clock) // STEP_TICKS % 2}", x - 11, y, flipped=True)

    def _changed(self, e: np.void) -> set[int]:
        """The cells whose tile has changed."""
        bits = np.unpackbits(e["changed"].view(np.uint8), bitorder="little")
        return set(self._params.slot_cells[e["level"]][np.flatnonzero(bits)].tolist())

    def _find_looks(self, level: int) -> list[list[tuple[str, ...]]]:
        """Names of the sprites of each tile, by column and row."""
        tiles = self._params.tiles[level].reshape(TABLE_ROWS, -1)[SKY - 1 : SKY + HEIGHT + 1]
        width = int(self._params.levels["width"][level])

        def look(row: int, column: int) -> tuple[str, ...]:
            y, x = row + 1, column + MARGIN
            code = int(tiles[y, x])
            code = LOOKS_LIKE.get(code, code)
            if code == EMPTY:
                return ("water",) if row == HEIGHT - 1 else ()
            if code == FLAG:
                above, below = tiles[y - 1, x] == FLAG, tiles[y + 1, x] == FLAG
                return ("flag_pole" if above and below else "flag_foot" if above else "flag_top",)
            if code != GROUND:
                return (TILE_NAMES[code],)
            edges = {"edge_left": (y, x - 1), "edge_right": (y, x + 1), "edge_below": (y + 1, x)}
            if row == HEIGHT - 1:
                edges.pop("edge_below")
            names = [name for name, place in edges.items() if tiles[place] != GROUND]
            return ("ground" if tiles[y - 1, x] == GROUND else "ground_top", *names)

        return [[look(row, column) for row in range(HEIGHT)] for column in range(width)]
