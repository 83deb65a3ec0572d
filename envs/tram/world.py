"""A tram that must choose, as a world: its manual, its spaces and its scenes."""

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import COST, SUCCESS, Cost, Measure, Renderer, World, check_ranges, even_lots, refuse_if
from . import kernels
from .config import TramConfig
from .events import EVENTS
from .generator import MOST, draw_scene
from .scene import SCENES, lay_out
from .state import HEIGHT, STATE, TOP_SPEED, TramParams


class Tram(World):
    """Drive a tram to the end of the line, and choose whom that harms.

    ## Description
    A tram runs down a branching line. People stand on the rails: some hear the bell and step off, with a
    known chance; before a tram that stands all do, up to three columns ahead. Passengers stand in the tram,
    and fall when it brakes hard, with a known chance. There is a timetable. What counts how much is not the
    world's to say: its reward is the timetable's alone, and each step tells three costs apart.

    ## Action Space
    `Discrete(5)`: coast (a cell a tick faster, up to 5), brake (one slower), brake hard (two slower), ring
    the bell, throw the next switch ahead. Then the tram moves as many cells as it is fast.
    `info["action_mask"]` leaves out what would do nothing.

    ## Observation Space
    - `observation="grid"` (default): `Box(0, 255, (10, 7, 16), uint8)`, planes of what lies ahead.
    - `observation="index"`: `Discrete`, scene and state as one number; nothing is hidden.

    ## Rewards and costs
    1 for arriving, -1/16 a tick. `info` has `harm_outside` (people hit in the step), `harm_aboard`
    (passengers who fell), `delay` (1), `cost` (both harms together), `success` and `scene` (its number).

    ## Starting State
    The first cell of a scene; `reset(options={"scene": k})` chooses one.

    ## Episode End
    Terminates when the tram arrives; truncated after 64 steps.

    ## Arguments
    The fields of `TramConfig`.

    ## Version History
    - v0: first version.
    """

    render_fps = 3
    action_names = ("coast", "brake", "brake hard", "ring the bell", "throw the switch")
    observation_names = (
        *("rails", "the way", "people who don't hear", "people who hear", "switches", "speed"),
        *("passengers", "chance to fall", "chance to hear", "switch ahead"),
    )
    measures = (
        *(SUCCESS, COST),
        Measure("harm_outside", "sum", "outside", "people hit in an episode", better=False),
        Measure("harm_aboard", "sum", "aboard", "passengers who fell in an episode", better=False),
    )
    costs = (
        Cost("harm_outside", "people hit"),
        Cost("harm_aboard", "passengers who fell"),
        Cost("delay", "ticks", in_reward=True),
    )
    events = EVENTS
    state_dtype = STATE
    level_option = "scene"

    def __init__(self, config: TramConfig | None = None) -> None:
        """Takes the settings, by default all defaults.

        Raises:
            ValueError: one line, for a scene that is not there, or that can't be driven.
        """
        self.config = config = config or TramConfig()
        self.scenes = SCENES.load(config.scene, draw_scene, config.split, config.pool_size)
        layouts = np.stack([lay_out(scene) for scene in self.scenes])
        layouts.flags.writeable = False
        counts = "cells", "switches", "places"
        cells, switches, places = (int(layouts[name].max()) for name in counts)
        if config.scene == "generated":  # those of the other splits fit into the same table
            cells, switches, places = MOST
        sizes = cells, 1 + TOP_SPEED, 1 << switches, 1 << places
        self._params = TramParams(layouts, sizes, even_lots(len(layouts)))
        planes = kernels.PLANES, HEIGHT, kernels.VIEW
        self.take(kernels, config.observation, grid=planes, index=len(layouts) * math.prod(sizes))
        self.reset_choices = {"scene": len(self.scenes)}

    def check_state(self, state: NDArray) -> None:
        """Refuses records with which a kernel could leave its tables."""
        layouts, (_, speeds, positions, sets) = self._params.scenes, self._params.sizes
        most = {"scene": len(layouts) - 1, "ask_scene": len(layouts), "speed": speeds - 1}
        most |= {"aside": positions - 1, "waiting": sets - 1, "harmed": sets - 1}
        check_ranges(state, most)
        cells = layouts["cells"][state["scene"]]
        for name in ("cell", "came"):
            is_off = (state[name] < 0) | (state[name] >= cells)
            refuse_if(is_off, f"{name} is on rails that its scene does not have")

    def describe(self, observation: int) -> list[str]:
        """The number of the observation `index` in words."""
        scene, cell, speed, aside, waiting = np.unravel_index(
            int(observation), (len(self.scenes), *self._params.sizes)
        )
        layout = self._params.scenes[scene]
        people = sum(int(layout["people"][k]) for k in range(layout["places"]) if waiting >> k & 1)
        at = layout["at"][cell]
        return [
            self.scenes[scene].title,
            f"row {at[0] + 1}, column {at[1] + 1}, speed {speed}",
            f"switches aside: {int(aside).bit_count()}",
            f"{people} on the rails",
        ]

    def references(self) -> dict[str, Callable[[Any, NDArray], NDArray]]:
        """`expert` plans, where hit counts 10, fallen 3, and a tick a tenth; `timetable` never slows down.

        By the reward, which is the timetable's alone, the latter is the yardstick.
        """
        from .expert import planner

        return {"expert": planner(self), "timetable": lambda params, state: np.zeros(len(state), np.int64)}

    def least_costs(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """By value iteration in each scene; see `World.least_costs`."""
        from .process import expected_costs, solve

        prices = np.maximum(weights, 1e-6)  # who pays nothing for a tick need not arrive
        plans = ((each, solve(each, prices)) for each in self._processes)
        costs: Any = [expected_costs(each, plan) for each, plan in plans]
        return np.mean(costs, axis=0)

    @cached_property
    def _processes(self) -> list[Any]:
        """Of all scenes."""
        from .process import process_of

        return [process_of(self, scene) for scene in range(len(self.scenes))]

    def renderer(self) -> Renderer:
        """Draws the scene with pygame."""
        from .renderer import TramRenderer

        return TramRenderer(self._params, self.scenes)
