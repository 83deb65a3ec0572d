"""Whether records could be states of a city: what its kernels trust, since they check nothing themselves.

Numbers must lie in their ranges, everybody must stand where the streets allow it, and what stands twice, for
speed, must agree. A record that passes keeps these rules in every later tick, so no kernel that reads
it leaves its tables.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.world import check_ranges, refuse_if
from .maps import NO_ROUTE
from .state import (
    AT_KERB,
    CLAIM,
    CROSSING,
    INSIDE_JUNCTION,
    JUNCTION_AHEAD,
    NO_LANE,
    NOT_ASKING,
    ON_ROAD,
    PERSON,
    ROAD,
    SIDEWALK,
    SIREN,
    STEP,
    UNDRAWN,
    VEHICLE,
    WALKING,
    CityParams,
)

MOST = np.iinfo(np.int32).max


class StateCheck:
    """Checks records of one city.

    Args:
        params: its tables.
        state_dtype: its record.
    """

    def __init__(self, params: CityParams, state_dtype: np.dtype) -> None:
        rules = params.rules[0]
        num_maps, num_destinations, num_cells = params.routes.shape
        self._paths = params.ways["path"]
        num_approaches, _, path_length = self._paths.shape[1:]
        self._people = int(rules["people"])
        self._delta = rules["delta"].astype(np.int64)
        self._num_cells = num_cells
        # All maps' cells in one row: that is what numpy looks up fast.
        is_lane = np.isin(params.cells["kind"], (ROAD, CROSSING))
        self._is_lane, self._ways = is_lane.ravel(), _ways_across(params, is_lane).ravel()
        self._cells = {name: params.cells[name].ravel() for name in params.cells.dtype.names or ()}
        last_slot = state_dtype["cars"].shape[0] - 1
        cell, cell_or_none, heading = (0, num_cells - 1), (-1, num_cells - 1), (0, 3)
        self._ranges = {
            "map": (0, num_maps - 1),
            "ask_map": (0, num_maps),
            "ask_hour": (0, 24),
            "clock": (0, 2 * int(rules["green"] + rules["all_red"]) - 1),
            "destination": (0, num_destinations - 1),
            "start_distance": (1, NO_ROUTE),
            "num_cars": (0, last_slot),
            "target_cars": (0, last_slot),
            "entries": (0, MOST),
            "exits": (0, MOST),
            "ambulance_cell": cell_or_none,
            "ambulance_from": cell_or_none,
            "ambulance_via": cell_or_none,
            "ambulance_heading": heading,
            "ambulance_destination": (0, num_destinations - 1),
            "ambulance_path": cell_or_none,
            "waiting": (0, last_slot),
        }
        self._car_ranges = {
            "cell": cell_or_none,
            "came": cell_or_none,
            "next": cell_or_none,
            "wait": (0, np.iinfo(np.int16).max),
            "approach": (-1, num_approaches - 1),
            "ahead": (0, NO_LANE),
            "heading": heading,
            "turn": (0, UNDRAWN),
            "step": (0, path_length - 1),
            "asks": (NOT_ASKING, NOT_ASKING),
        }
        self._walker_ranges = {
            "cell": cell,
            "came": cell,
            "heading": heading,
            "mode": (WALKING, ON_ROAD),
        }
        self._info_ranges = {"hour": (0, 23), "distance": (0, NO_ROUTE)}

    def __call__(self, state: NDArray) -> None:
        """Raises ValueError, in one line, for records that are no states; see `World.check_state`."""
        check_ranges(state, self._ranges)
        check_ranges(state["info"], self._info_ranges)
        check_ranges(state["cars"], self._car_ranges)
        check_ranges(state["walkers"], self._walker_ranges)
        num_words = state["road"].shape[1]
        words = np.zeros(len(state) * num_words, np.uint8)
        first_word = np.arange(len(state)) * num_words
        first_cell = state["map"] * np.int64(self._num_cells)
        for put in (self._put_cars, self._put_ego, self._put_ambulance, self._put_people):
            put(state, words, first_word, first_cell)
        # Claims nobody has made keep others away for ever, but mislead no kernel.
        wrong = (words.reshape(len(state), -1) ^ state["road"]) & (0xFF ^ CLAIM ^ SIREN)
        refuse_if(wrong, "road does not say where everybody is")

    # Each of these checks some road users, and writes what they have on the road into `words`. The words of
    # all records, and the cells of all maps, stand in one row; (N,) numbers tell where a record's own begin.

    def _put_cars(self, state: NDArray, words: NDArray, first_word: NDArray, first_cell: NDArray) -> None:
        slots = np.arange(state["cars"].shape[1], dtype=np.int32)
        used = slots <= state["num_cars"][:, None]
        refuse_if((state["cars"]["cell"] >= 0) != used, "cars.cell does not tell of num_cars cars")
        used[:, 0] = False
        row = np.repeat(np.arange(len(state)), state["num_cars"])
        slot = np.broadcast_to(slots, used.shape)[used]
        columns = ("cell", "approach", "turn", "step")
        cell, approach, turn, step = (state["cars"][name][used] for name in columns)
        turns = state["cars"]["turn"]
        refuse_if((turns > 2) & (turns != UNDRAWN), "cars.turn is no turn")
        at = first_cell[row] + cell
        ahead = self._cells["ahead"][at]
        refuse_if(ahead == NO_LANE, "cars.cell has a car off the road")
        refuse_if(state["cars"]["ahead"][used] != ahead, "cars.ahead is not what lies ahead")

        place = first_word[row] + cell
        words[place] = VEHICLE
        refuse_if(np.count_nonzero(words) < len(place), "cars.cell has two cars in one place")

        inside = ahead == INSIDE_JUNCTION
        k = np.flatnonzero(~inside)
        refuse_if(step[k] > 0, "cars.step of a car on a lane")
        refuse_if(approach[k] != self._cells["number"][at[k]], "cars.approach is not where cars.cell is")
        heading = self._cells["heading"][at[k]]
        refuse_if(state["cars"]["heading"][used][k] != heading, "cars.heading is not that of the lane")
        onto = cell[k] + self._delta[heading]
        refuse_if(state["cars"]["next"][used][k] != onto, "cars.next is not the cell ahead")

        k = np.flatnonzero(ahead == JUNCTION_AHEAD)
        waiting = np.zeros_like(state["waiting"])
        waiting[row[k], approach[k]] = slot[k]
        refuse_if(waiting != state["waiting"], "waiting does not say who is at the junctions")
        self._check_turns(state["map"][row[k]], approach[k], turn[k])

        k = np.flatnonzero(inside)
        self._check_turns(state["map"][row[k]], approach[k], turn[k])
        path, step = self._paths[state["map"][row[k]], approach[k], turn[k]], step[k].astype(np.int64)
        refuse_if(step < 1, "cars.step of a car in a junction")
        refuse_if(path[np.arange(len(k)), step - 1] != cell[k], "cars.step is not where cars.cell is")
        refuse_if(path[np.arange(len(k)), step] < 0, "cars.step is beyond the junction")
        # They have claimed their way, from where they are to the cell beyond.
        car, on = np.nonzero((path >= 0) & (np.arange(path.shape[1]) >= step[:, None] - 1))
        place = first_word[row[k[car]]] + path[car, on]
        words[place] |= CLAIM
        claimed = np.count_nonzero(words & CLAIM)
        refuse_if(claimed < len(place), "two cars have claimed one way through a junction")
        claim = state["road"][row[k[car]], path[car, on]] & CLAIM
        refuse_if(claim == 0, "road lacks the claim of a car in a junction")

    def _check_turns(self, m: NDArray, approach: NDArray, turn: NDArray) -> None:
        """Cars at and in junctions have chosen a way that exists."""
        refuse_if(approach < 0, "cars.approach is missing in a junction")
        refuse_if(turn > 2, "cars.turn is undrawn at a junction")
        refuse_if(self._paths[m, approach, turn, 0] < 0, "cars.turn is no way through the junction")

    def _put_ego(self, state: NDArray, words: NDArray, first_word: NDArray, first_cell: NDArray) -> None:
        cell = state["cars"]["cell"][:, 0]
        refuse_if(cell < 0, "cars.cell has no ego car")
        ahead = self._cells["ahead"][first_cell + cell]
        refuse_if(ahead == NO_LANE, "cars.cell has the ego car off the road")
        place = first_word + cell
        refuse_if(~state["done"] & (words[place] & VEHICLE > 0), "cars.cell has a car where the ego car is")
        # Where it has hit a car, the mark is the other one's, and nobody's once that one has parked.
        gone = state["done"] & (state["road"][np.arange(len(state)), cell] & VEHICLE == 0)
        words[place] |= np.where(gone, 0, VEHICLE).astype(np.uint8)

    def _put_ambulance(
        self, state: NDArray, words: NDArray, first_word: NDArray, first_cell: NDArray
    ) -> None:
        cell, path = state["ambulance_cell"], state["ambulance_path"]
        refuse_if(path[:, 0] != cell, "ambulance_path does not begin at ambulance_cell")
        row = np.flatnonzero(cell >= 0)
        ahead = self._cells["ahead"][first_cell[row] + cell[row]]
        refuse_if(ahead == NO_LANE, "ambulance_cell is not on the road")
        row, k = np.nonzero(path[:, 1:] >= 0)
        before, after = path[row, k], path[row, k + 1]
        exits = self._cells["exits"][first_cell[row] + before, None] >> np.arange(4) & 1 > 0
        leads = exits & (before[:, None] + self._delta == after[:, None])
        refuse_if((before < 0) | ~leads.any(axis=1), "ambulance_path is no way on the road")

    def _put_people(self, state: NDArray, words: NDArray, first_word: NDArray, first_cell: NDArray) -> None:
        walkers = state["walkers"][:, : self._people]
        cell, heading, mode = walkers["cell"], walkers["heading"], walkers["mode"]
        at = first_cell[:, None] + cell
        kind, walk = self._cells["kind"][at], self._cells["walk"][at]
        for name in ("walk", "onto"):
            wrong = walkers[name] != self._cells[name][at]
            refuse_if((mode != ON_ROAD) & wrong, f"walkers.{name} is not that of the cell")
        refuse_if((mode != ON_ROAD) & (kind != SIDEWALK), "walkers.cell has somebody off the sidewalks")
        refuse_if((mode == AT_KERB) & (walk >> 4 >> heading & 1 == 0), "walkers.heading faces no street")
        refuse_if((mode == ON_ROAD) & (self._ways[at] >> heading & 1 == 0), "walkers.heading leads nowhere")
        row, k = np.nonzero(mode == ON_ROAD)
        np.add.at(words, first_word[row] + cell[row, k], PERSON)
        row, k = np.nonzero(mode != WALKING)
        onto = cell[row, k] + self._delta[heading[row, k]]
        lane = self._is_lane[first_cell[row] + onto]
        np.add.at(words, (first_word[row] + onto)[lane], STEP)


def _ways_across(p: CityParams, is_lane: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(M, C) bit h: somebody who crosses the street may be on the cell with heading h."""
    ways = np.zeros(is_lane.shape, np.uint8)
    walk = p.cells["walk"] * (p.cells["kind"] == SIDEWALK)
    for heading, delta in enumerate(p.rules[0]["delta"].tolist()):
        m, cell = np.nonzero((walk | walk >> 4) >> heading & 1)
        while len(m):  # the tables' ways end on a sidewalk
            cell = cell + delta
            on_street = is_lane[m, cell]
            m, cell = m[on_street], cell[on_street]
            ways[m, cell] |= 1 << heading
    return ways
