"""The kiosk as a world: what a user meets, put together from config, instances and kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from ..core.measures import Measure, Played
from ..core.world import Kernels, Renderer, Sight, World
from .config import KioskConfig
from .instances import Instance, InstanceError
from .kernels import mask_one, reset_one, step_one
from .objective import Objective
from .observe import observe_grid, observe_index, observe_plain, observe_sites
from .pool import Pool, build_tables, load_pool
from .state import (
    FEATURES,
    GRID,
    MOST,
    MOST_WALK,
    NUM_FEATURES,
    NUM_PLANES,
    PLANE_NAMES,
    REACH,
    REVENUE,
    WALK,
    kiosk_state,
)
from .validate import check_state

if TYPE_CHECKING:
    from .references import SolverPolicy

MAX_INDEX = 1 << 22
"""Most numbers of the observation `index`."""
PLAIN_NAMES = ("x", "y", "steps to a kiosk", "its number", "site x", "site y")
"""Rows of the observation `plain`."""
_LEAST, _MOST = -(2**31), 2**31 - 1


def _regret(played: Played) -> NDArray[np.float64] | None:
    """That of the infos where each optimum is known; else by the best reference in the same episodes."""
    regret, objective = played.counted["regret"], played.counted["objective"]
    if (regret >= 0).all():
        return regret
    if played.best is None:
        return None
    best = played.best["objective"]
    return np.abs(objective - best) / np.maximum(np.abs(best), 1e-9)


class Kiosk(World):
    """Place K kebab kiosks so that a city of hungry people has a short walk.

    ## Description
    A city is a number of points with people, and sites where a kiosk may stand, with the walking distance
    from each site to each point: the facility-location problem. Everybody goes to the nearest kiosk. One
    kiosk is placed at a time, and stays. Distances are whole numbers of steps: euclidean (rounded),
    manhattan, along the streets of a city, or given as a table.

    ## Action Space
    `Discrete(sites)`: the site of the next kiosk. `info["action_mask"]` tells the free ones; sites that
    rivals hold, and those by which the largest city of a pool exceeds this one, are not. A kiosk on a site
    that is not free is wasted.

    ## Observation Space
    - `observation="sites"` (default): `Box((sites, 8), int32)`, features of free sites (`state.FEATURES`):
      what all people would walk if the next kiosk were here, the same if nobody walked further than twice or
      once the reach, what they would walk to a kiosk here alone, the distance to the nearest own kiosk and to
      the nearest rival, the share of the kiosks that are left, and the reach in steps.
      The reach is two thirds of what people would walk on average to one of K equal kiosks; walks and
      distances are in 4096ths of it and at most 65536 (the first: 262144), as where there is none. Rows of
      sites on which no kiosk can be placed are zeros.
    - `observation="grid"`: `Box(0, 255, (6, 32, 32), uint8)`, the city as planes (`state.PLANE_NAMES`):
      people, free sites, rivals, kiosks, distance to the nearest kiosk, kiosks left.
    - `observation="plain"`: `Box((4 or 6, points), int32)`: x and y of each point, steps to its nearest kiosk
      (2^24 while there is none), that kiosk's number (-1); unless the points are the sites, also x and y of
      the sites, as long as the longer of both.
    - `observation="index"`: `Discrete(instances * 2 ** sites)`, which sites are taken; for few sites.

    ## Rewards
    By how much the kiosk makes the objective better, so that the return is the difference between start and
    end. The objectives, as `info["objective"]` reports them:

    | objective  | what                                       | unit               | starts at             |
    | ---------- | ------------------------------------------ | ------------------ | --------------------- |
    | `p-median` | mean distance to the nearest kiosk         | steps              | the worst single site |
    | `p-center` | greatest distance of anybody               | steps              | the worst single site |
    | `coverage` | people within `radius` of a kiosk          | percent of people  | 0                     |
    | `revenue`  | people won from the rivals (Huff 1964)     | percent of people  | 0                     |

    `info` has further `total`, the objective exactly as solvers and published optima count it (see
    `objective.value`), `optimum`, the best total where it is proven (else -1), `regret`, by which share of
    the optimum the total misses it (-1 where that is not known), and `instance`, its number.

    ## Starting State
    No kiosk, in a random city of the pool or a new one. `reset(options={"instance": number})` chooses,
    with an array in a batch; `Kiosk.instances` lists them.

    ## Episode End
    Terminates with the last kiosk.

    ## Arguments
    The fields of `KioskConfig`.

    ## Version History
    - v0: first version.
    """

    render_fps = 2
    level_option = "instance"
    measures = (
        Measure(
            "regret",
            "last",
            note="how far the result is from the best that is known, as a share of it",
            share=True,
            better=False,
            of=_regret,
        ),
        Measure("objective", "last", note="what the kiosks come to, in the objective's unit"),
    )

    def __init__(
        self, config: KioskConfig | None = None, instances: Sequence[Instance] | None = None
    ) -> None:
        """Makes or reads the instances and computes their tables.

        Args:
            config: settings, by default all defaults.
            instances: played instead of those that the config names.

        Raises:
            ValueError: for instances that do not exist or are faulty, and settings that do not fit them.
        """
        self.config = config = config or KioskConfig()
        self.instances = load_pool(config) if instances is None else list(instances)
        self._params = build_tables(config, self.instances)
        num_sites, num_points = self._params.taken.shape[1], self._params.weights.shape[1]
        self.pool = Pool(self.instances, int(self._params.instances[0]["num_kiosks"]), config.rivals)
        self._objective = Objective(config.objective, config.radius)
        rules = self._params.rules[0]
        self.state_dtype = kiosk_state(
            num_sites,
            num_points,
            int(self._params.instances["num_kiosks"].max()),
            fresh=bool(rules["fresh"]),
            pulls=rules["objective"] == REVENUE,
            walks=bool(rules["walks"]),
        )
        self.action_space: Space = Discrete(num_sites)
        observe: Callable
        self.observation_space: Space
        if config.observation == "sites":
            observe, self.observation_names = observe_sites, FEATURES
            self.observation_space = self._features_space(num_sites)
        elif config.observation == "index":
            size = len(self._params.instances) << num_sites
            if rules["fresh"] or size > MAX_INDEX:
                raise InstanceError(
                    f"the observation index is for few sites and instances, at most {MAX_INDEX} states; "
                    + ("fresh cities have no number" if rules["fresh"] else f"these have {size}")
                )
            observe, self.observation_space = observe_index, Discrete(size)
        else:
            for instance in self.instances:
                if instance.points is None:
                    raise InstanceError(
                        f"{instance.name}: the observation {config.observation} needs coordinates, and this "
                        "instance has only distances"
                    )
            if config.observation == "grid":
                observe, self.observation_names = observe_grid, PLANE_NAMES
                self.observation_space = Box(0, 255, (NUM_PLANES, GRID, GRID), np.uint8)
            else:
                shape = (4, num_points) if rules["fresh"] else (6, self._params.places.shape[2])
                observe, self.observation_space = observe_plain, Box(_LEAST, _MOST, shape, np.int32)
                self.observation_names = PLAIN_NAMES[: shape[0]]
        self.reset_choices = {"instance": len(self._params.instances)}
        self.kernels = Kernels(reset_one, step_one, observe, mask_one)

    def _features_space(self, num_sites: int) -> Box:
        """The space of `sites`, with bounds where they are known."""
        low, high = np.zeros(NUM_FEATURES, np.int32), np.full(NUM_FEATURES, MOST, np.int32)
        high[[WALK, REACH]] = MOST_WALK, _MOST
        return Box(np.tile(low, (num_sites, 1)), np.tile(high, (num_sites, 1)), dtype=np.int32)

    def describe(self, observation: int) -> list[str]:
        """The number of the observation `index` in words: the city, and which sites are taken."""
        sites = int(self.action_space.n)  # type: ignore[attr-defined]
        number, taken = divmod(int(observation), 1 << sites)
        chosen = [str(site) for site in range(sites) if taken >> site & 1]
        return [self.instances[number].name, f"taken: {', '.join(chosen) or 'none'}"]

    def check_state(self, state: NDArray) -> None:
        """Refuses records that are no states of these instances; see `World.check_state`."""
        check_state(self._params, state)

    def references(self) -> dict[str, SolverPolicy]:
        """The solvers, by name; each knows the whole city, and makes its plan before the first kiosk.

        The first is the `expert`, a solver under its second name; the last is the best, and the yardstick.
        """
        from .references import EXPERT, SOLVERS, SolverPolicy
        from .solvers import able

        names = able(self._objective, self.instances)
        parts = self.pool, self._params, self._objective
        policies = {name: SolverPolicy(name, *parts) for name in SOLVERS if name in names}
        return {"expert": policies[EXPERT], **policies}

    def sights(self, name: str, state: NDArray) -> Iterator[Sight]:
        """How a solver searches the cities, where that is a sight; see `SolverPolicy.sights`."""
        solver = self.references().get(name)
        return solver.sights(state) if solver else iter(())

    def renderer(self) -> Renderer:
        """Draws the city with pygame."""
        from .renderer import KioskRenderer

        return KioskRenderer(self.pool, self._params, self._objective)
