"""The maze as a world: its manual, its spaces and its tables."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core import Measure, MixedRadix, Renderer, World, bind_policy, check_ranges, even_lots, refuse_if
from . import kernels
from .config import MazeConfig
from .events import DIGITS, EVENTS
from .generator import draw_maze
from .plan import MAZES, lay_out
from .state import EYES, FULL, STATE, VIEW, MazeParams


class MazeWorld(World):
    """Eat all pellets of a maze, before its ghosts catch you.

    ## Description
    Four ghosts hunt the eater through a maze. The chaser makes for where it is; another cuts it off, four
    cells ahead of it; the third makes for its other side, seen from the chaser; the last one wanders. They
    leave home one after the other, never turn back by themselves, and by turns scatter to the corners and
    chase, when all turn round. A pellet of power turns the hunt round: ghosts become slow and wander, and
    whoever is eaten goes home as a pair of eyes, from where it hunts again. Ghosts choose their way where
    they come to a cell, by where all were when the tick began.

    ## Action Space
    `Discrete(4)`: up, right, down, left. The eater moves a cell a tick, straight on where the way that is
    wanted is shut. `info["action_mask"]` leaves out walls.

    ## Observation Space
    - `observation="grid"` (default): `Box(0, 255, (6, 11, 11), uint8)`, planes around the eater, which go on
      at the other rim: free cells, food, ghosts that hunt (and half as bright where they come next), scared
      ones (the brighter, the longer power lasts), eyes, and the next cell on the way to the nearest food.
    - `observation="index"`: `Discrete(20000)`: where the nearest pellet is (4), or a scared ghost that can be
      caught in time (4); the last direction (4); and in each direction (5 ** 4) a wall, or how near a ghost
      is that hunts.

    ## Rewards
    1/8 for a pellet, 1/2 for a ghost, 5 for the last pellet, -5 for being caught, -1/64 a tick. `info` has
    `success` (all eaten), `cost` (1 when caught), `pellets` (share that is eaten), `ghosts` (eaten in the
    step) and `maze` (its number).

    ## Starting State
    The start of a maze, with all ghosts at home; `reset(options={"maze": k})` chooses one.

    ## Episode End
    Terminates when all is eaten or the eater is caught; truncated after 512 steps.

    ## Arguments
    The fields of `MazeConfig`.

    ## Version History
    - v0: first version.
    """

    render_fps = 8
    action_names = ("up", "right", "down", "left")
    observation_names = ("free", "food", "hunting ghosts", "scared ghosts", "eyes", "way to food")
    measures = (
        Measure("success", "any", "cleared", "share of mazes that were cleared", True, True, True),
        Measure("pellets", "last", "pellets", "share of pellets that were eaten", True, True, True),
        Measure("cost", "sum", "deaths", "share of episodes in which a ghost caught the eater", True, False),
        Measure("ghosts", "sum", "ghosts", "ghosts eaten in an episode", better=True),
    )
    events = EVENTS
    play_settings: ClassVar[dict[str, Any]] = {"run.max_episode_steps": 8 * 300}
    buttons = action_names
    state_dtype = STATE
    level_option = "maze"

    def __init__(self, config: MazeConfig | None = None) -> None:
        """Takes the settings, by default all defaults.

        Raises:
            ValueError: one line, for a maze that is not there, or that can't be played.
        """
        self.config = config = config or MazeConfig()
        draw = partial(draw_maze, width=config.width, height=config.height)
        self.mazes = MAZES.load(config.maze, draw, config.split, config.pool_size)
        laid = [lay_out(maze) for maze in self.mazes]
        most = max(table.shape[1] for _, table in laid)
        pairs = np.zeros((3, len(laid), most, most), np.uint8)
        for k, (_, table) in enumerate(laid):
            pairs[:, k, : table.shape[1], : table.shape[1]] = table
        mazes = np.stack([record for record, _ in laid])
        mazes.flags.writeable = pairs.flags.writeable = False
        hard = config.difficulty
        self._params = MazeParams(
            *(mazes, pairs[0], pairs[1], pairs[2], config.ghosts),
            speed=round(10 + 5 * hard),
            power=round(48 - 32 * hard),
            scatter=round(40 - 24 * hard),
            chase=round(48 + 80 * hard),
            lots=even_lots(len(self.mazes)),
        )
        planes = kernels.PLANES, VIEW, VIEW
        self.take(kernels, config.observation, grid=planes, index=MixedRadix(DIGITS.sizes))
        self.reset_choices = {"maze": len(self.mazes)}
        self._held: list[str] = []

    def hardness(self) -> NDArray[np.float64]:
        """(M,) pellets that must be eaten."""
        return self._params.mazes["pellets"].astype(np.float64)

    def check_state(self, state: NDArray) -> None:
        """Refuses records with which a kernel could leave its tables."""
        p = self._params
        ranges = dict.fromkeys(("heading", "last", "earlier"), 3) | {"way": FULL - 1, "mode": EYES}
        ranges |= {"maze": len(self.mazes) - 1, "ask_maze": len(self.mazes), "wait": 4 * kernels.WAIT}
        ranges |= {"power": p.power, "scatters": 1}
        check_ranges(state, ranges | {"clock": (1, max(p.scatter, p.chase))})
        mazes = p.mazes[state["maze"]]
        for name in ("cell", "came"):
            is_outside = (state[name] < 0) | (state[name] >= mazes["cells"][:, None])
            refuse_if(is_outside, f"{name} is a cell that the maze does not have")
        refuse_if((state["food"] > 0) & (mazes["food"] == 0), "food is where the maze has none")
        pellets = np.count_nonzero(state["food"], axis=1)
        refuse_if(state["left"] != pellets, "left is not the number of pellets")

    def describe(self, observation: int) -> list[str]:
        """The number of the observation `index` in words."""
        aim, last, *around = DIGITS.of(observation)
        ways, far = self.action_names, ("wall", *(f"a ghost within {k}" for k in kernels.NEAR), "free")
        sides = [f"{way}: {far[code]}" for way, code in zip(ways, around, strict=True)]
        return [f"{'hunt' if aim > 3 else 'food'}: {ways[aim % 4]}", f"came going {ways[last]}", *sides]

    def action_of(self, buttons: Collection[str]) -> int:
        """The direction whose button was pressed last: it holds until the next one, as soon as it is free."""
        held = [each for each in self._held if each in buttons]
        fresh = [each for each in buttons if each not in self._held]
        self._held = (held + fresh) or self._held[-1:]
        return self.action_names.index(self._held[-1]) if self._held else 1

    def references(self) -> dict[str, Callable[[Any, NDArray], NDArray]]:
        """`rules` is what one would program first; `expert` searches with the true dynamics."""
        from .expert import expert

        return {"rules": bind_policy(kernels.rules_one), "expert": expert()}

    def renderer(self) -> Renderer:
        """Draws the maze with pygame."""
        from .renderer import MazeRenderer

        return MazeRenderer(self._params, [maze.title for maze in self.mazes])
