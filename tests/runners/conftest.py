"""The corridor, a toy world, registered as the runners' tests need it."""

import pytest
from meze.envs.core.registry import register_world


@pytest.fixture(scope="session", autouse=True)
def corridor() -> str:
    register_world(
        id="toy/Corridor-v0",
        name="corridor",
        world="toy_world:Corridor",
        config="toy_world:CorridorConfig",
        max_episode_steps=40,
        presets={
            "*": {"steps": 4096, "num_envs": 32, "eval_episodes": 16, "agent.epsilon.end": 0.2},
            "q-learning": {"agent.gamma": 0.9},
            "bench": {"env.slip": 100},
        },
    )
    return "corridor"
