"""A small city on which tests put cars, people and an ambulance by hand.

Three two-way streets run each way; the one 4-way junction lies in the middle, at columns and rows 9 and 10.
North is up, traffic keeps right: northbound on column 10, southbound on 9, eastbound on row 10, westbound
on 9. A zebra crosses the middle street from north to south at row 6.
"""

from __future__ import annotations

import numpy as np
from meze.envs.city import state as codes
from meze.envs.core.env import WorldEnv

SIDE = 20
LINES = (2, 9, 16)
N, E, S, W = 0, 1, 2, 3
APPROACH = {N: (10, 11), E: (8, 10), S: (9, 8), W: (11, 9)}
"""The cells before the middle junction, by the heading of who stands there."""


def draw_map(middle: str = "+") -> str:
    """The map's text; `middle` is the character of the 4-way junction."""
    rows = []
    for y in range(SIDE):
        row = ""
        for x in range(SIDE):
            south, north = x in LINES, x - 1 in LINES
            west, east = y in LINES, y - 1 in LINES
            inside = 2 <= x <= 17 and 2 <= y <= 17
            if inside and (south or north) and (west or east):
                row += middle if {x, y} <= {9, 10} else "+"
            elif inside and (south or north):
                row += ("S" if south else "N") if y == 6 and x in (9, 10) else "v" if south else "^"
            elif inside and (west or east):
                row += "<" if west else ">"
            else:
                beside = any(
                    2 <= x + dx <= 17 and 2 <= y + dy <= 17 and _on_line(x + dx, y + dy)
                    for dx in (-1, 0, 1)
                    for dy in (-1, 0, 1)
                )
                row += "." if beside else "#"
        rows.append(row)
    return "\n".join(rows)


def _on_line(x: int, y: int) -> bool:
    return any(v in (line, line + 1) for line in LINES for v in (x, y))


class Stage:
    """One environment whose state record is set up by hand, without chance unless a test asks for it."""

    def __init__(self, folder, middle: str = "+", **config) -> None:
        file = folder / f"stage{'-signals' if middle == '*' else ''}.txt"
        file.write_text(draw_map(middle))
        quiet = {"cars": 0, "pedestrians": 0, "ambulance": 0, "slowdown": 0, "turnover": 0, "jaywalk": 0}
        settings = {
            "map": str(file),
            "hour": 12,
            "observation": "index",
            "min_distance": 1,
            **quiet,
            **config,
        }
        self.env = WorldEnv("meze.envs.city.world:City", **settings)
        self.env.reset(seed=1)
        self.params = self.env.params
        self.s = self.env.get_state()
        self.clear()
        self.ego(2, 6, S)

    @property
    def record(self):
        return self.s[0]

    def clear(self) -> None:
        """Takes everybody but the ego car off the road; pedestrians must be placed anew."""
        r = self.record
        r["road"][:] = 0
        r["num_cars"] = r["target_cars"] = 0
        r["waiting"][:] = 0
        r["cars"][1:] = (-1, -1, -1, 0, -1, codes.NO_LANE, 0, codes.UNDRAWN, 0, codes.NOT_ASKING)
        r["ambulance_cell"] = r["ambulance_path"][:] = -1
        r["road"][r["cars"]["cell"][0]] = codes.VEHICLE

    def _put(self, slot: int, x: int, y: int, heading: int, wait: int) -> None:
        r = self.record
        place = self.params.cells[0, y * SIDE + x]
        lane = place["heading"] < 4
        r["cars"][slot] = (
            y * SIDE + x,
            y * SIDE + x,
            y * SIDE + x + self.params.rules[0]["delta"][heading],
            wait,
            place["number"] if lane else -1,
            place["ahead"],
            heading,
            codes.UNDRAWN,
            0,
            codes.NOT_ASKING,
        )
        if slot and place["ahead"] == codes.JUNCTION_AHEAD:
            r["waiting"][place["number"]] = slot
        r["road"][y * SIDE + x] |= codes.VEHICLE

    def ego(self, x: int, y: int, heading: int, wait: int = 0) -> None:
        """Moves the ego car."""
        r = self.record
        if r["cars"]["cell"][0] >= 0:
            r["road"][r["cars"]["cell"][0]] &= 0xFF ^ codes.VEHICLE
        self._put(0, x, y, heading, wait)
        r["info"]["distance"] = self.params.routes[0, r["destination"], y * SIDE + x] >> 2

    def car(self, x: int, y: int, heading: int, turn: int = codes.UNDRAWN, wait: int = 0) -> int:
        """Adds a car; returns its slot."""
        r = self.record
        r["num_cars"] += 1
        r["target_cars"] += 1
        slot = int(r["num_cars"])
        self._put(slot, x, y, heading, wait)
        r["cars"]["turn"][slot] = turn
        return slot

    def walker(self, x: int, y: int, heading: int, mode: int = codes.WALKING, slot: int = 0) -> None:
        """Places a pedestrian (the stage must have been made with some)."""
        r = self.record
        r["walkers"]["cell"][slot] = r["walkers"]["came"][slot] = y * SIDE + x
        r["walkers"]["heading"][slot] = heading
        r["walkers"]["mode"][slot] = mode
        for name in ("walk", "onto"):
            r["walkers"][name][slot] = self.params.cells[0, y * SIDE + x][name]
        ahead = y * SIDE + x + int(self.params.rules[0]["delta"][heading])
        if mode == codes.ON_ROAD:
            r["road"][y * SIDE + x] += codes.PERSON
        if mode != codes.WALKING and self.params.cells[0, ahead]["kind"] in (codes.ROAD, codes.CROSSING):
            r["road"][ahead] += codes.STEP

    def ambulance(self, x: int, y: int, heading: int, path: list[tuple[int, int]]) -> None:
        """Places the ambulance with its next cells claimed; `path` begins with its own cell."""
        r = self.record
        cells = [py * SIDE + px for px, py in path]
        r["ambulance_cell"] = r["ambulance_from"] = r["ambulance_via"] = y * SIDE + x
        r["ambulance_heading"] = heading
        r["ambulance_path"][:] = -1
        r["ambulance_path"][: len(cells)] = cells
        distance = self.params.routes[0][:, cells] >> 2
        falling = (np.diff(distance.astype(int), axis=1) == -1).all(axis=1)
        r["ambulance_destination"] = np.flatnonzero(falling)[0]  # one to which this path is a shortest route
        for cell in cells:
            r["road"][cell] |= codes.SIREN

    def aim(self, x: int, y: int) -> None:
        """Chooses the destination that is nearest to a cell, by the road."""
        r = self.record
        cell = y * SIDE + x
        r["destination"] = np.argmin(self.params.routes[0][:, cell] >> 2)
        r["start_distance"] = 100
        r["info"]["distance"] = self.params.routes[0, r["destination"], r["cars"]["cell"][0]] >> 2

    def step(self, action: int = codes.WAIT):
        """One tick; returns what the environment's step returns."""
        self.env.set_state(self.s)
        result = self.env.step(action)
        self.s = self.env.get_state()
        return result

    def place(self, slot: int = 0) -> tuple[int, int]:
        """(x, y) of a vehicle."""
        y, x = divmod(int(self.record["cars"]["cell"][slot]), SIDE)
        return x, y

    @property
    def ambulance_place(self) -> tuple[int, int]:
        y, x = divmod(int(self.record["ambulance_cell"]), SIDE)
        return x, y


def set_phase(stage: Stage, phase: int) -> None:
    """Sets the clock so that the middle junction's signals are at `phase` of their 30 ticks."""
    junction = stage.params.cells[0, 9 * SIDE + 9]["number"]
    stage.record["clock"] = (phase - stage.params.signals[0, junction]) % 30
