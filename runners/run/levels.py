"""The levels that a run's environments draw, as its curriculum weighs them."""

from __future__ import annotations

from typing import Any, cast

from gymnasium.vector import VectorEnv

from ...agents.base import Learner
from ...agents.curricula import Curriculum, PrioritizedLevels, Ramp
from ...envs.core.env import world_of
from ...envs.core.vector import WorldVectorEnv
from .config import RunConfig


def make_curriculum(config: RunConfig, env: VectorEnv, agent: Any) -> Curriculum | None:
    """Makes a run's curriculum.

    Args:
        config: the run's.
        env: the environments that it learns in.
        agent: who learns.

    Returns:
        None where all levels are alike.

    Raises:
        ValueError: one line, where the environment or the agent does not allow it.
    """
    name = getattr(config.settings, "curriculum", "uniform")
    if name == "uniform":
        return None
    if config.agent.is_taught:
        raise ValueError(f"{config.agent.name} learns what a teacher does, so it takes no curriculum")
    where, world = config.environment.name, world_of(env)
    if world is None or not world.num_levels:
        raise ValueError(f"{where} has no levels to choose from, so it takes no curriculum")
    if world.num_levels == 1:
        raise ValueError(f"{where} has one {world.level_option} here, and a curriculum chooses among several")
    if name == "plr":
        if config.macros:
            raise ValueError("plr goes by the errors of single steps, so it takes no macros; ramp does")
        if not tells_errors(agent.inside(env)[1]):
            raise ValueError(
                f"{config.agent.name} does not tell its errors, so it takes no plr; ramp it does"
            )
        return PrioritizedLevels(world.num_levels, env.num_envs)
    hardness = world.hardness()
    if hardness is None:
        raise ValueError(
            f"{where} can't say which {world.level_option} is easy, so it takes no ramp; plr it does"
        )
    return Ramp(hardness)


def tells_errors(learner: Any) -> bool:
    """Whether a learner says what it expects."""
    return isinstance(learner, Learner) and type(learner).expected is not Learner.expected


def native(env: VectorEnv) -> WorldVectorEnv:
    """The native environments of a world with levels, whatever stands around them."""
    return cast(WorldVectorEnv, env.unwrapped)


def levels_now(env: WorldVectorEnv) -> Any:
    """(N,) the levels in which environments are."""
    return env.state[env.world.level_option]
