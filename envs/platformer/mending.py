"""What is put right in rows that nobody drew for this world: missing ends, parts that nothing holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .levels import THINGS, Level, LevelError, bears, fault
from .state import FLAG_HEIGHT, HEIGHT, LARGE

POLE = "tiles in the way of the flag's pole"
PIPES = "parts of no whole pipe, which become ground"
PLANTS = "plants without a mouth of a pipe, or room"
PLATFORMS = "platforms without room"
CROWD = f"creatures for which a level of {LARGE.things} things has no room"
CREATURES = "wWetThHf"
_BECOMES = {"p": (".", PLANTS), "-": (".", PLATFORMS), "|": (".", PLATFORMS)}


def place_ends(rows: list[list[str]], name: str, lost: Counter[str]) -> None:
    """Puts a start and a flag where there are none, and makes room for the flag's pole.

    Args:
        rows: of letters, which are changed.
        name: the level's, which errors mention.
        lost: what is left out is counted here.

    Raises:
        LevelError: where there is no room for them.
    """
    width = len(rows[0])
    for letter, what, columns in (("@", "start", range(width)), ("F", "flag", range(width - 1, -1, -1))):
        if not any(letter in row for row in rows):
            x, y = _place_to_stand(rows, columns, name, what)
            rows[y][x] = letter
    for x, y in [(x, y) for y, row in enumerate(rows) for x, letter in enumerate(row) if letter == "F"]:
        for row in rows[max(y - FLAG_HEIGHT + 1, 0) : y]:
            if row[x] == "@":
                raise LevelError(f"{name}: the start stands where the flag's pole is")
            lost[POLE] += row[x] != "."
            row[x] = "."


def _place_to_stand(rows: list[list[str]], columns: Iterable[int], name: str, what: str) -> tuple[int, int]:
    """The lowest place on a floor in the first column that has one, if possible in the lower half."""
    floors = []
    for x in columns:
        free = [y for y in range(HEIGHT - 1) if rows[y][x] == "." and bears(rows[y + 1][x])]
        if free:
            floors.append((x, max(free)))
    if not floors:
        raise LevelError(f"{name}: no ground on which a {what} could stand")
    return next((place for place in floors if place[1] >= HEIGHT // 2), floors[0])


def mend_parts(level: Level, lost: Counter[str]) -> Level:
    """Makes ground of what is no pipe by our rules, and leaves out plants and platforms that have no place.

    What is gone may leave others without a hold.
    """
    while True:
        faulty = [place for place in level.find("[]()p-|") if fault(level, *place)]
        if not faulty:
            return level
        rows = list(map(list, level.rows))
        for x, y, letter in faulty:
            rows[y][x], what = _BECOMES.get(letter, ("#", PIPES))
            lost[what] += 1
        level = Level(level.name, tuple(map("".join, rows)))


def thin_out(level: Level, lost: Counter[str]) -> Level:
    """Leaves out as many creatures as there are things too many, from the right."""
    many = len(level.find("".join(THINGS))) - LARGE.things
    rows = list(map(list, level.rows))
    for x, y, _ in level.find(CREATURES)[::-1][: max(0, many)]:
        rows[y][x] = "."
        lost[CROWD] += 1
    return Level(level.name, tuple(map("".join, rows)))
