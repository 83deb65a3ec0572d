"""The platformer as a world: what a user meets, put together from config, levels and kernels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from ..core.lots import even_lots
from ..core.measures import Measure, Played
from ..core.radix import MixedRadix
from ..core.world import REWARD_SCALE, Kernels, Renderer, World
from .config import PlatformerConfig
from .events import EVENTS
from .fog import observe_fogged
from .kernels import reset_one, step_one
from .levels import Level, build_pool, capacity_for
from .observe import (
    NUM_PLANES,
    PLANE_NAMES,
    SITUATION_WORDS,
    VIEW,
    describe_situation,
    make_views,
    observe_grid,
    observe_situation,
)
from .pool import load_pool
from .state import (
    ACTION_SETS,
    BUTTON_NAMES,
    DOWN,
    JUMP,
    PARTS,
    RULES,
    STATES,
    TICKS_PER_SECOND,
    LevelTables,
    PlatformerParams,
)
from .validate import check_state


def _time_over_par(played: Played) -> NDArray[np.float64] | None:
    """Of those levels that were cleared and are certified; None where there are none."""
    par = played.counted["par_time"]
    within = (played.counted["clear"] > 0) & (par > 0)
    ticks = played.counted["length"] * played.config.frame_skip
    return ticks[within] / par[within] if within.any() else None


class Platformer(World):
    """Run, jump and stomp through a level to the flag.

    ## Description
    A platformer that feels like the classic of 1985, in whole numbers: 60 ticks a second, tiles of 16 pixels,
    places and speeds in 1/256 pixel. The player speeds up, coasts and skids; holding the run button makes it
    faster. A jump starts when its button is pressed, not while it is held, and rises higher the longer it is
    held and the faster the player runs. The constants stand in `state.py`; what they come to:

    |                           | standing | walking | running |
    | ------------------------- | -------- | ------- | ------- |
    | speed, tiles a second     |          | 5.9     | 9.4     |
    | jump, button tapped:      |          |         |         |
    | ... height, tiles         | 1.3      | 1.5     | 1.5     |
    | ... distance, tiles       |          | 2.2     | 3.0     |
    | jump, button held:        |          |         |         |
    | ... height, tiles         | 4.1      | 4.4     | 5.2     |
    | ... distance, tiles       |          | 5.6     | 8.6     |
    | spring, button held       | 7.0      |         |         |
    | spring, button not held   | 3.4      |         |         |

    **Tiles** are solid ground, pipes, bricks (a big player breaks them, but not those with a coin or a
    mushroom), blocks with a coin or a mushroom (hit them from below), some of which are hidden, floors that
    are jumped through from below, coins, spikes (harm on touch), springs (throw up who lands on them), and
    the flag. A pit is deadly.

    **Things**, at most 64 a level, move while they are within 14 columns of the player. Walkers turn at
    walls, or also at edges; stomping squashes them. Stomping a shelled one leaves its shell, which slides
    when kicked and knocks over what it meets. Some walkers are spiny, and can't be stomped; some have wings,
    hop, and lose them when stomped. Flyers hover up and down. Plants go in and out of their pipe,
    but do not come out beside the player, and can't be stomped. A stomp bounces, higher with the jump button
    held. Moving platforms can be stood on, are passed from below, and carry the player. A mushroom makes the
    player big: it is two tiles tall, ducks, and survives a hit, after which it is small and for two seconds
    nothing harms it.

    Nothing is left to chance but which level is drawn.

    ## Action Space
    The buttons that are held for `frame_skip` ticks. `actions="right_only"` has the first five,
    `"simple"` (default) the first seven, `"complex"` all twelve:

    | number | buttons          | number | buttons          | number | buttons          |
    | ------ | ---------------- | ------ | ---------------- | ------ | ---------------- |
    | 0      | none             | 4      | right, jump, run | 8      | left, run        |
    | 1      | right            | 5      | jump             | 9      | left, jump, run  |
    | 2      | right, jump      | 6      | left             | 10     | down             |
    | 3      | right, run       | 7      | left, jump       | 11     | up               |

    Down makes a big player duck; up does nothing.

    ## Observation Space
    - `observation="grid"` (default): `Box(0, 255, (17, 13, 13), uint8)`, the tiles around the player (4
      columns behind, 8 ahead, 6 rows above and below): two planes of tiles, six of things; then constant
      planes of the player's place in its tile, speeds, footing, size, jump and invulnerability
      (`observe.PLANE_NAMES`). It settles what comes next, but for what is outside or hidden, the last bits of
      speeds, and things that share a tile, of which it shows one.
    - `observation="pixels"`: `Box(0, 255, (64, 64, 3), uint8)`, a small picture.
    - `observation="index"`: `Discrete(2160)`, the situation in mixed radix: footing (3), jump button (2),
      speed (3), wall ahead (5), gap ahead (4), danger ahead (6).

    `fog=True` shows less of the same level, in `grid`: of tiles and things only the columns 4 to 6 ahead of
    the player's, and no thing where a solid tile lies on the straight line to it.

    ## Rewards
    The sum of named parts, reported as `info["reward_<name>"]`, weighted by the config: `progress` (for each
    tile gained; going back costs as much), `time` (for each tick), `death`, `coins`, `stomps` (for each
    creature beaten, by foot or shell) and `flag`.

    `info` has further `progress` (0 to 1), `clear`, `death` (its cause: 0 none, 1 pit, 2 enemy, 3 spike), `x`
    (pixels), `par_time` (ticks that the expert took; 0 where a level of your own is not certified) and
    `level` (its number).

    ## Starting State
    Small, standing at the start of a random level of the pool. `reset(options={"level": number})` chooses,
    with an array in a batch; `Platformer.levels` lists them.

    ## Episode End
    Terminates at the flag and on death; truncated after 1024 steps.

    ## Arguments
    The fields of `PlatformerConfig`.

    ## Version History
    - v0: first version.
    """

    measures = (
        Measure(
            "clear",
            "any",
            note="share of levels that were cleared",
            share=True,
            better=True,
            progress=True,
        ),
        Measure(
            "time_over_par",
            title="time / par",
            note="time to the flag over the expert's, in levels that were cleared",
            better=False,
            of=_time_over_par,
        ),
        Measure("par_time", "last", told=False),
    )
    events = EVENTS
    play_settings: ClassVar[dict[str, Any]] = {
        "env.frame_skip": 1,
        "env.actions": "complex",
        "run.max_episode_steps": 300 * TICKS_PER_SECOND,
    }
    buttons = tuple(BUTTON_NAMES.values())
    level_option = "level"

    def __init__(self, config: PlatformerConfig | None = None, levels: Sequence[Level] | None = None) -> None:
        """Reads or generates the levels.

        Args:
            config: settings, by default all defaults.
            levels: played instead of those that the config names.

        Raises:
            ValueError: for levels that do not exist or are faulty.
        """
        self.config = config = config or PlatformerConfig()
        pool = (config.level, config.difficulty, config.split, config.pool_size, config.easiest)
        self.levels = load_pool(*pool) if levels is None else list(levels)
        self.render_fps = max(1, round(TICKS_PER_SECOND / config.frame_skip))
        self.state_dtype = STATES[capacity_for(self.levels)]
        self._held = ACTION_SETS[config.actions]
        self.action_names = tuple(map(_name, self._held))
        self.action_space: Space = Discrete(len(self._held))
        if config.observation == "grid":
            observe: Callable = observe_fogged if config.fog else observe_grid
            self.observation_space: Space = Box(0, 255, (NUM_PLANES, VIEW, VIEW), np.uint8)
            self.observation_names = PLANE_NAMES
        elif config.observation == "pixels":
            from .pixels import SIDE, observe_pixels

            observe = observe_pixels
            self.observation_space = Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        else:
            observe = observe_situation
            self.observation_space = MixedRadix(SITUATION_WORDS)
        self.reset_choices = {"level": len(self.levels)}
        self.kernels = Kernels(reset_one, step_one, observe)

    @cached_property
    def _params(self) -> PlatformerParams:
        tables = build_pool(self.levels)
        params = PlatformerParams(self._rules(), *tables, *self._looks(tables), even_lots(len(self.levels)))
        for table in params:
            table.flags.writeable = False
        return params

    def _rules(self) -> NDArray[np.void]:
        rules = np.zeros(1, RULES)
        rules["frame_skip"] = self.config.frame_skip
        rules["buttons"][0, : len(self._held)] = self._held
        for name in PARTS:
            rules["reward_" + name] = round(getattr(self.config, name) * REWARD_SCALE)
        return rules

    def _looks(self, tables: LevelTables) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """What the observation is made of: `views` and `sprites` of the params."""
        if self.config.observation == "pixels":
            from .pixels import pixel_tables

            return pixel_tables(tables)
        if self.config.observation == "grid":
            return make_views(tables.tiles), np.zeros(1, np.uint8)
        return np.zeros((1, 1), np.uint8), np.zeros(1, np.uint8)

    def hardness(self) -> NDArray[np.float64]:
        """(M,) by the difficulty with which they were generated; among equals by the expert's time.

        Levels that the expert does not clear come last among them.
        """
        times = [level.par_time or np.inf for level in self.levels]
        order = np.lexsort([times, [level.difficulty for level in self.levels]])
        return np.argsort(order).astype(np.float64)

    def action_of(self, buttons: Collection[str]) -> int:
        """The action that holds the most of some buttons, and no others.

        Args:
            buttons: some of the names in `buttons`; left and right together are as good as neither, and who
                ducks stops running.
        """
        held = sum(button for button, name in BUTTON_NAMES.items() if name in buttons)
        if {"left", "right"} <= set(buttons):
            held -= sum(button for button, name in BUTTON_NAMES.items() if name in ("left", "right"))
        if held & DOWN and not held & JUMP and DOWN in self._held:
            held = DOWN
        fitting = [action for action, wants in enumerate(self._held) if wants & ~held == 0]
        return max(fitting, key=lambda action: self._held[action].bit_count())

    def describe(self, observation: int) -> list[str]:
        """A situation in words."""
        return describe_situation(observation)

    def check_state(self, state: NDArray) -> None:
        """Refuses records that are no states of these levels; see `World.check_state`."""
        check_state(self._params, state)

    def references(self) -> dict[str, Callable[[Any, NDArray], NDArray]]:
        """`expert` searches a quick way to the flag with the true dynamics, and follows it."""
        from .expert import Expert

        return {"expert": Expert(len(self._held), self.config.frame_skip)}

    def renderer(self) -> Renderer:
        """Draws the platformer with pygame."""
        from .renderer import PlatformerRenderer

        return PlatformerRenderer(self._params, self.levels)


def _name(buttons: int) -> str:
    names = [name for button, name in BUTTON_NAMES.items() if buttons & button]
    return " + ".join(names) or "none"
