"""The burning building as a world: its manual, its spaces and its tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import COST, SUCCESS, Measure, MixedRadix, Renderer, World, bind_policy, check_ranges, refuse_if
from . import expert, fog, kernels
from .config import FireEscapeConfig
from .state import CELLS, EXIT, FIRE, HEIGHT, NEAREST, OUTER, STATE, WALL, WIDTH, FireEscapeParams


class FireEscape(World):
    """Get out of a burning building, alive.

    ## Description
    Each episode has a building of its own: rooms, doors and three exits. Signs show the shortest way to
    each, and know nothing of the fire, which has burnt in two places for 24 ticks when the alarm goes off.
    Each tick the agent moves, then the others do, who stand in the way; then the fire spreads by chance, and
    smoke ahead of it. Whoever sees fire on the next four steps to an exit makes for another one.

    ## Action Space
    `Discrete(5)`: wait, up, right, down, left. Nobody moves onto a cell that is taken; into the fire the
    agent may walk. `info["action_mask"]` leaves out walls.

    ## Observation Space
    - `observation="grid"` (default): `Box(0, 255, (7, 11, 11), uint8)`, planes around the agent: smoke,
      fire, people, how much nearer each cell is to the exit that it makes for, and to the others in turn.
    - `observation="index"`: `Discrete(5120)`: where the sign to that exit points (4), the last move (5), and
      on each side (4 ** 4) nothing, a wall or somebody, harmful smoke that is thicker than here, or fire.

    `fog=True` shows less of the same building, in `grid`: nothing behind smoke whose levels add up to more
    than 40, from the agent on; and the ways only in the tick in which it first comes into a square of 4 x 4
    cells: there it reads the signs. Else all floor is shown as far as here, 130.

    ## Rewards
    10 for getting out, -10 for harm (fire, or no health left), 0.5 for each step nearer to the next exit,
    -0.05 a tick, -0.02 a point of health, of which thick smoke takes up to 8 a tick. `info` has `success`,
    `cost` (1 with the harm), `health` (100 at first), and `out`, how many others got out.

    ## Starting State
    The agent is out of the smoke, 10 steps or more from all exits, and one of the ways does not burn.

    ## Episode End
    Terminates when the agent is out or harmed; truncated after 128 steps.

    ## Arguments
    The fields of `FireEscapeConfig`.

    ## Version History
    - v0: first version.
    """

    render_fps = 6
    action_names = ("wait", "up", "right", "down", "left")
    measures = (
        *(SUCCESS, COST),
        Measure("health", "last", note="what is left of 100 at the end", better=True),
        Measure("out", "last", "others out", "how many others got out before the end"),
    )
    state_dtype = STATE
    observation_names = ("smoke", "fire", "people", "way out", "2nd way", "3rd way", "4th way")

    def __init__(self, config: FireEscapeConfig | None = None) -> None:
        """Takes the settings, by default all defaults."""
        self.config = config = config or FireEscapeConfig()
        planes = len(self.observation_names), kernels.VIEW, kernels.VIEW
        self.take(kernels, config.observation, grid=planes, index=MixedRadix((4, 5, *[4] * 4)))
        if config.fog:
            self.state_dtype, self.kernels = fog.twin(self.kernels)
        self._params = FireEscapeParams(config.people, round(1024 * config.spread))

    def check_state(self, state: NDArray) -> None:
        """Refuses records with which a kernel could leave its tables."""
        most = {"kind": OUTER, "smoke": FIRE, "goal": NEAREST, "people": CELLS - 1, "burning": CELLS - 1}
        check_ranges(state, most)
        is_way, agent, others = state["kind"] < WALL, state["people"][:, :1], state["people"][:, 1:]
        is_edge = np.pad(np.zeros((HEIGHT - 2, WIDTH - 2), bool), 1, constant_values=True).ravel()
        count = np.count_nonzero(state["smoke"] == FIRE, axis=1)
        burning = np.where(np.arange(CELLS) < count[:, None], state["burning"], agent)
        used = np.concatenate([agent, np.where(others > 0, others, agent), burning], axis=1)
        refuse_if(is_way[:, is_edge], "kind is a way out at the edge: the building is open")
        refuse_if((state["kind"] >= EXIT) & (state["smoke"] == FIRE), "smoke is fire in an exit or a wall")
        refuse_if(~np.take_along_axis(is_way, used, axis=1), "people or burning are in walls")
        refuse_if(state["num_burning"] != count, "num_burning is not what burns")
        if self.config.fog:
            check_ranges(state["fog"], fog.RANGES)

    def describe(self, observation: int) -> list[str]:
        """The number of the observation `index` in words."""
        sign, last, *around = np.unravel_index(int(observation), (4, 5, 4, 4, 4, 4))
        ways, what = self.action_names[1:], ("free", "wall or people", "smoke", "fire")
        moved = "waited" if last == 4 else f"came going {ways[int(last)]}"
        sides = [f"{way}: {what[int(code)]}" for way, code in zip(ways, around, strict=True)]
        return [f"sign points {ways[int(sign)]}", moved, *sides]

    def references(self) -> dict[str, Callable[[Any, NDArray], NDArray]]:
        """`rules` is what one would program first; `expert` knows the true state, and is the best."""
        return {"rules": bind_policy(kernels.rules_one), "expert": expert.act}

    def renderer(self) -> Renderer:
        """Draws the building with pygame."""
        from .renderer import FireEscapeRenderer

        return FireEscapeRenderer()
