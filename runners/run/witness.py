"""Who sees what a world's events say of a step, from the records before and after it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ...envs.core.batch import DISABLED, Batch
from ...envs.core.world import World


class Witness:
    """Tells what happens in the steps of native environments that go on in `SAME_STEP`.

    After the last step of an episode its environment has begun the next one. There the step is taken once
    more from the record before it, which leads to the same end.
    """

    def __init__(self, env: VectorEnv, world: World) -> None:
        self._world, self._env, self._single = world, cast(Any, env.unwrapped), Batch(world)
        self._before: NDArray[Any] = np.zeros(0)

    @property
    def words(self) -> dict[str, str]:
        """Name of each event to the clause that says it."""
        return {each.name: each.words for each in self._world.events}

    def look(self) -> None:
        """Keeps the records before a step."""
        self._before = self._env.get_state()

    def tell(self, action: NDArray, ended: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
        """What was so in the step after which it is asked.

        Args:
            action: (B,) what was done.
            ended: (B,) whether the episode ended with the step.

        Returns:
            Name of each event to (B,).
        """
        after = self._env.get_state()
        for row in np.flatnonzero(ended):
            self._single.state[0] = self._before[row]
            self._single.step(action[[row]].astype(np.int64), DISABLED, 0, self._single.outputs())
            after[row] = self._single.state[0]
        params = self._world.params()
        return {each.name: each.of(params, self._before, after) for each in self._world.events}
