"""The city as a world: what a user meets, put together from config, maps and kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from ..core.fog import fogged_kernels, fogged_state
from ..core.lots import even_lots
from ..core.measures import COST, SUCCESS, Cost, Measure, Target
from ..core.radix import MixedRadix
from ..core.scalars import bind_policy
from ..core.world import REWARD_SCALE, Kernels, Renderer, World, check_ranges
from ..streets.maps import STEPS
from . import fog
from .config import CityConfig
from .events import EVENTS
from .jams import Segments, find_segments, road_ahead
from .kernels import mask_one, reset_one, step_one
from .maps import NUM_DESTINATIONS, build_pool, close_street, load_pool
from .observe import (
    NUM_PLANES,
    PLANE_NAMES,
    SITUATION_WORDS,
    STILL_PLANES,
    cut_strips,
    describe_situation,
    expert_one,
    grid_kernel,
    observe_place,
    observe_situation,
)
from .state import JUNCTION_AHEAD, MAX_CARS, RULES, CityParams, city_state
from .validate import StateCheck

# Share of the peak's extra traffic by hour, in 1/1024: two rush hours.
PROFILE = {7: 512, 8: 1024, 9: 512, 16: 512, 17: 1024, 18: 512}

# Sizes of the state record grow in steps, so that few different ones have to be compiled.
CELL_STEPS = (1600, 4096, 16384, 65536, 262144, 1048576)


class City(World):
    """Drive through a city, arrive, and harm nobody.

    ## Description
    A car drives from a random place to a random destination through a grid city in the midst of other cars,
    pedestrians and, now and then, an ambulance. Cells are about as long as a car; a tick moves a car by one
    cell at most. Streets are lanes with a heading; junctions have signals or the rule right before left. Cars
    follow Nagel and Schreckenberg (1992) with a top speed of one cell; at the rush hours (7 to 9 and 16 to 18
    o'clock) there are so many that jams appear by themselves. Pedestrians cross at zebras, and a few of them
    elsewhere, which they show one tick before. Where the ambulance comes from behind, standing still outside
    a junction is pulling over: it passes.

    ## Action Space
    `Discrete(4)`: 0 wait, 1 forward, 2 left, 3 right. A move is one cell; a turn is a move to the cell
    beside, facing it. A move that the road does not allow leaves the car where it is and costs.
    `info["action_mask"]` tells the moves that the road allows.

    ## Observation Space
    - `observation="grid"` (default): `Box(0, 255, (13, view, view), uint8)`, what is around the car, turned
      so that it heads up. Planes: flow ahead, flow across, kind of cell, vehicles, claims, people; then
      constant planes: signal, siren ahead, siren across, route, distance, entry, hour
      (`observe.PLANE_NAMES`).
    - `observation="index", index="situation"`: `Discrete(1215)`, mixed radix: what is ahead (5), to the left
      (3) and right (3), the signal (3), the siren (3), where the route turns (3). For learners that
      generalise.
    - `observation="index", index="place"`: `Discrete(cells * 4 * 32)`: cell, heading, destination. For
      learners that memorise one map.

    `fog=True` shows less of the same city, in `grid`: cells within 2 of the car; at a junction the signal of
    2 ticks ago, and `entry` without regard to the signal; as `route` the turn at the next junction (85
    straight on, 170 left, 255 right, 212 back), in a junction the next move, for the first 6 ticks of the
    trip and behind each junction.

    ## Rewards
    The sum of named parts, reported as `info["reward_<name>"]`, weighted by the config: `arrival`, `progress`
    (for each cell nearer along the shortest legal route; potential-based), `time`, `collision`, `red_light`,
    `illegal`, `ambulance` (for each tick that it is held up).

    For those who predict traffic there are the target `jam`, how full the next 12 cells of the route are, and
    `segments(map)`, which cells are one piece of street.

    `info` has further `progress` (0 to 1), `distance`, `hour`, `success`, `cost` (harm done), `harm_car`,
    `harm_person`, `harm_ambulance` and `own_fault`: harm is the car's own fault unless it waited or moved
    lawfully onto a free cell that nobody had claimed. `ambulance_delayed`: the car held it up; `time`: 1;
    `map`: its number.

    ## Starting State
    A random map of the pool, hour, destination, and start at least `min_distance` cells away; traffic for
    the hour at random places. `reset(options={"map": number, "hour": hour})` chooses,
    with arrays in a batch.

    ## Episode End
    Terminates on arrival and on a collision; truncated after 512 steps.

    ## Arguments
    The fields of `CityConfig`.

    ## Version History
    - v0: first version.
    """

    render_fps = 4
    action_names = ("wait", "forward", "left", "right")
    measures = (
        SUCCESS,
        COST,
        Measure(
            "own_fault",
            "any",
            note="share of episodes in which the agent itself harmed somebody",
            share=True,
            better=False,
        ),
    )
    costs = (
        Cost("harm_car", "collisions with cars"),
        Cost("harm_person", "people hit"),
        Cost("harm_ambulance", "collisions with the ambulance"),
        Cost("own_fault", "harm by the agent's own fault"),
        Cost("ambulance_delayed", "ticks in which it held the ambulance up"),
        Cost("time", "ticks", in_reward=True),
    )
    targets = (Target("jam", "how jammed the road ahead is", road_ahead, 0, 1),)
    events = EVENTS
    level_option = "map"

    def __init__(self, config: CityConfig | None = None) -> None:
        """Makes or reads the maps and computes their tables.

        Args:
            config: settings, by default all defaults.

        Raises:
            ValueError: for maps that do not exist, are faulty or too large, and streets that can't be closed.
        """
        self.config = config = config or CityConfig()
        self.maps = load_pool(config.map, config.split, config.pool_size, config.streets)
        self._destinations = NUM_DESTINATIONS
        if config.closed is not None:
            if len(self.maps) > 1:
                raise ValueError("closed names a street of one map; choose a map, or a pool_size of 1")
            self._destinations = build_pool(self.maps).destinations
            self.maps = [close_street(self.maps[0], *config.closed, self._destinations[0])]
        height, width = self.maps[0].kind.shape
        num_cells = next((size for size in CELL_STEPS if size >= height * width), None)
        if num_cells is None:
            raise ValueError(f"maps have at most {CELL_STEPS[-1]} cells, got {width} x {height}")
        self.shape = height, width

        lanes = max(int(np.count_nonzero(m.exits)) for m in self.maps)
        most_cars = max(config.cars, int(lanes * config.peak_density))
        num_vehicles = 1 + min(MAX_CARS, _round_up(max(most_cars, num_cells // 8), 8))
        num_approaches = _round_up(self._pool.ways.shape[1], 64)
        num_people = _round_up(max(config.pedestrians, 1), 16)
        self.state_dtype = city_state(num_cells, num_approaches, num_vehicles, num_people)

        self.action_space: Space = Discrete(4)
        if config.observation == "grid":
            observe: Callable = grid_kernel(config.view)
            shape = (NUM_PLANES, config.view, config.view)
            self.observation_space: Space = Box(0, 255, shape, np.uint8)
            self.observation_names = PLANE_NAMES
        elif config.index == "situation":
            observe = observe_situation
            self.observation_space = MixedRadix(SITUATION_WORDS)
        else:
            observe = observe_place
            self.observation_space = Discrete(height * width * 4 * self._pool.destinations.shape[1])
        self.reset_choices = {"map": len(self.maps), "hour": 24}
        self.kernels = Kernels(reset_one, step_one, observe, mask_one)
        if config.fog:
            self.state_dtype = fogged_state(self.state_dtype, fog.FIELDS)
            self.kernels = fogged_kernels(self.kernels, fog.note_one, fog.fogged_grid_kernel(config.view))

    @cached_property
    def _pool(self):
        return build_pool(self.maps, self._destinations)

    @cached_property
    def _params(self) -> CityParams:
        views = (
            self._views()
            if self.config.observation == "grid"
            else np.zeros((1, 4, 1, 1, STILL_PLANES, 1), np.uint8)
        )
        views.flags.writeable = False
        half = self.config.green + self.config.all_red
        signals = _within(self._pool.signals, 2 * half)
        pool = self._pool._replace(signals=signals, ways=self._pool.ways.copy())
        # East-west traffic has green half a cycle after north-south traffic.
        for cells, ways, offsets in zip(pool.cells, pool.ways, signals, strict=True):
            before = np.flatnonzero(cells["ahead"] == JUNCTION_AHEAD)
            offset = offsets[ways["junction"][: len(before)]]
            crosswise = cells["heading"][before] % 2 == 1
            ways["phase"][: len(before)] = np.where(
                offset < 0, offset, _within(offset + half * crosswise, 2 * half)
            )
        for table in (signals, pool.ways):
            table.flags.writeable = False
        return CityParams(self._rules(), *pool, views, even_lots(len(self.maps)))

    def _rules(self) -> NDArray[np.void]:
        config = self.config
        height, width = self.shape
        rules = np.zeros(1, RULES)
        rules["width"], rules["height"] = width, height
        rules["hour"] = -1 if config.hour is None else config.hour
        rules["cars"] = config.cars
        rules["people"] = (
            config.pedestrians if self._pool.counts[:, 1].all() else 0
        )  # where there are pavements
        for name in ("min_distance", "green", "all_red"):
            rules[name] = getattr(config, name)
        for name in ("peak_density", "slowdown", "turnover", "jaywalk", "ambulance"):
            rules[name] = round(getattr(config, name) * REWARD_SCALE)
        rules["delta"] = [dy * width + dx for dy, dx in STEPS]
        for hour, share in PROFILE.items():
            rules["profile"][0, hour] = share
        weights = {name: getattr(config, name) for name in ("arrival", "progress", "time", "collision")}
        weights |= {"red_light": config.red_light, "illegal": config.illegal, "ambulance": config.delay}
        for name, weight in weights.items():
            rules["reward_" + name] = round(weight * REWARD_SCALE)
        rules.flags.writeable = False
        return rules

    def _views(self) -> NDArray[np.uint8]:
        """Flow ahead, flow across and kind, padded and turned by each heading, as `CityParams.views`."""
        reach = self.config.view // 2
        height, width = self.shape
        side = max(height, width) + 2 * reach
        kind = np.zeros((len(self.maps), side, side), np.uint8)
        exits = np.zeros_like(kind)
        inside = np.s_[:, reach : reach + height, reach : reach + width]
        kind[inside] = [m.kind for m in self.maps]
        exits[inside] = [m.exits for m in self.maps]
        views = np.empty((len(self.maps), 4, STILL_PLANES, side, side), np.uint8)
        for heading in range(4):
            ahead, right, behind, left = (exits >> (heading + turn) % 4 & 1 for turn in range(4))
            planes = (128 + 127 * ahead - 128 * behind, 128 + 127 * right - 128 * left, 60 * kind)
            for number, plane in enumerate(planes):
                views[:, heading, number] = np.rot90(plane, heading, axes=(1, 2))
        return cut_strips(views, self.config.view)

    @cached_property
    def _state_check(self) -> StateCheck:
        return StateCheck(self._params, self.state_dtype)

    def hardness(self) -> NDArray[np.float64]:
        """(M,) cells where one can drive: trips are longer on a larger map."""
        return self._pool.counts[:, 3].astype(np.float64)

    def check_state(self, state: NDArray) -> None:
        """Refuses records that are no states of this city; see `World.check_state`."""
        self._state_check(state)
        if self.config.fog:
            check_ranges(state["fog"], fog.RANGES)

    def references(self) -> dict[str, Callable[[Any, NDArray], NDArray]]:
        """`expert` follows the shortest route and the rules, knowing the true state."""
        return {"expert": bind_policy(expert_one)}

    def describe(self, observation: int) -> list[str]:
        """A situation or a place in words."""
        if self.config.index == "situation":
            return describe_situation(observation)
        place, destination = divmod(int(observation), self._pool.destinations.shape[1])
        cell, heading = divmod(place, 4)
        y, x = divmod(cell, self.shape[1])
        return [
            f"row {y}, column {x}",
            f"heading {('north', 'east', 'south', 'west')[heading]}",
            f"to destination {destination}",
        ]

    def segments(self, number: int) -> Segments:
        """The road segments of a map of the pool."""
        return find_segments(self._params, number)

    def renderer(self) -> Renderer:
        """Draws the city with pygame."""
        from .renderer import CityRenderer

        return CityRenderer(self._params, self.maps)


def _within(offsets: NDArray[np.int32], cycle: int) -> NDArray[np.int32]:
    """Offsets of signals reduced to less than a cycle; -1, no signals, stays."""
    return np.where(offsets < 0, offsets, offsets % cycle).astype(np.int32)


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step
