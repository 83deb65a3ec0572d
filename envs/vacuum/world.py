"""A robot vacuum as a world: its manual, its spaces and its flats."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core import (
    SUCCESS,
    Measure,
    MixedRadix,
    Played,
    Renderer,
    World,
    bind_policy,
    check_ranges,
    even_lots,
    refuse_if,
)
from . import kernels
from .config import VacuumConfig
from .events import DIGITS, EVENTS
from .flat import FLATS, cells_of, lay_out
from .generator import draw_flat
from .state import CELLS, STATE, VacuumParams

ACTIONS = {"turns": ("forward", "turn left", "turn right"), "headings": ("up", "right", "down", "left")}
AROUND = "ahead", "right", "behind", "left"


def _over_best(played: Played) -> NDArray[np.float64] | None:
    """Of those flats that both cleaned; None where the best one's steps are not known, or there are none."""
    if played.best is None:
        return None
    both = (played.counted["success"] > 0) & (played.best["success"] > 0)
    return played.counted["length"][both] / played.best["length"][both] if both.any() else None


class Vacuum(World):
    """Clean a flat that you have never seen, and be back at the dock before the battery is flat.

    ## Description
    A robot vacuum leaves its dock in a flat of rooms, doors, furniture and carpets, of which it knows
    nothing. It senses the cells around it, and those around each of them that is free; of what it has
    discovered it keeps a map. It sucks wherever it is. A tick takes 1 of its battery, 2 on carpet; at the
    dock it is charged at once. A pet now and then takes a step, and stands in the way. Robot and pet move at
    once: neither enters a cell where the other was.

    ## Action Space
    - `actions="turns"` (default): `Discrete(3)`: forward, turn left, turn right.
    - `actions="headings"`: `Discrete(4)`: up, right, down, left.

    ## Observation Space
    - `observation="grid"` (default): `Box(0, 255, (12, 9, 9), uint8)`, planes of the map around the robot,
      where ahead is up (with `headings`, up is up).
    - `observation="index"`: `Discrete(2808)`: where the map leads, the way home, whether it is time for it,
      and what is at the left, ahead and at the right.

    ## Rewards
    1 for a cell that is cleaned, 10 for being back at the dock of a clean flat, -10 for a flat battery, -1/4
    for running into the pet, -1/32 a tick. `info` has `success`, `cost` (ran into the pet in the step),
    `flat_battery`, `cleaned` (share of the dirty cells that are clean now), `bumps` (in the step) and `flat`
    (its number).

    ## Starting State
    At the dock of a flat, facing up; `reset(options={"flat": k})` chooses one.

    ## Episode End
    Terminates at the dock of a clean flat, or when the battery is flat; truncated after 512 steps.

    ## Arguments
    The fields of `VacuumConfig`.

    ## Version History
    - v0: first version.
    """

    render_fps = 10
    observation_names = (
        *("in the way", "free", "dirt", "carpet", "pet", "dock", "battery"),
        *("dock behind", "dock to the right", "bumped", "where the map leads", "way home"),
    )
    measures = (
        SUCCESS,
        Measure("cleaned", "last", note="share of the dirt that is gone at the end", share=True, better=True),
        Measure("flat_battery", "any", "battery flat", "share of episodes that ended so", True, False),
        Measure("cost", "sum", "pet hit", "times that it ran into the pet in an episode", better=False),
        Measure("bumps", "sum", note="times that something was in the way in an episode", better=False),
        Measure(
            "over_best",
            title="steps / best",
            note="steps over those of the best reference, in flats that both cleaned",
            better=False,
            of=_over_best,
        ),
    )
    events = EVENTS
    play_settings: ClassVar[dict[str, Any]] = {"env.actions": "headings"}
    state_dtype = STATE
    level_option = "flat"

    def __init__(self, config: VacuumConfig | None = None) -> None:
        """Takes the settings, by default all defaults.

        Raises:
            ValueError: one line, for a flat that is not there, or that can't be cleaned.
        """
        self.config = config = config or VacuumConfig()
        self.flats = FLATS.load(config.flat, draw_flat, config.split, config.pool_size)
        turns = config.actions == "turns"
        self.action_names = ACTIONS[config.actions]
        layouts = np.stack([lay_out(flat, turns) for flat in self.flats])
        layouts.flags.writeable = False
        self._params = VacuumParams(layouts, turns, config.remembered, even_lots(len(layouts)))
        planes = kernels.PLANES, kernels.VIEW, kernels.VIEW
        self.take(kernels, config.observation, grid=planes, index=MixedRadix(DIGITS.sizes))
        self.reset_choices = {"flat": len(self.flats)}

    def hardness(self) -> NDArray[np.float64]:
        """(M,) cells that must be cleaned."""
        return self._params.flats["dirty"].astype(np.float64)

    def check_state(self, state: NDArray) -> None:
        """Refuses records with which a kernel could leave its tables."""
        flats, spots = self._params.flats, ("cell", "came", "pet", "pet_came")
        most = {"flat": len(flats) - 1, "ask_flat": len(flats), "heading": 3, "faced": 3, "bumped": 1}
        check_ranges(state, most | dict.fromkeys(spots, CELLS - 1))
        here = flats[state["flat"]]
        check_ranges(state, {"battery": here["battery"].max()})
        ways, rows = cells_of(here["open"]), np.arange(len(state))
        for name in spots:
            is_none = name.startswith("pet") & (here["pet"] == 0)
            refuse_if((ways[rows, state[name]] == 0) & ~is_none, f"{name} is in a wall of its flat")
        refuse_if(state["dirt"] & ~here["dirt"], "dirt is where its flat has none")
        counts = np.bitwise_count(state["dirt"]).sum(axis=2)
        refuse_if(counts != state["dirty"][:, None], "dirty is not the number of dirty cells")

    def describe(self, observation: int) -> list[str]:
        """The number of the observation `index` in words."""
        to, home, is_late, *sides = DIGITS.of(observation)
        purpose = "dirt", "what is unknown", "the dock"
        what = "clean", "in the way", "dirt"
        return [
            "nowhere to go" if to == kernels.NO_SIGN else f"{AROUND[to // 3]}: {purpose[to % 3]}",
            f"way home: {AROUND[home]}",
            "time to go home" if is_late else "time left",
            *(f"{AROUND[k]}: {what[side]}" for k, side in zip((3, 0, 1), sides, strict=True)),
        ]

    def references(self) -> dict[str, Callable[[Any, NDArray], NDArray]]:
        """`wall-follower` reads no map, `explorer` follows its own; `expert` knows the flat: the best."""
        from .expert import expert

        return {
            "wall-follower": bind_policy(kernels.follow_one),
            "explorer": bind_policy(kernels.explore_one),
            "expert": expert(self._params, self.flats),
        }

    def renderer(self) -> Renderer:
        """Draws the flat with pygame."""
        from .renderer import VacuumRenderer

        return VacuumRenderer(self._params, self.flats)
