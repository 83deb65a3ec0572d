"""meze: small worlds to learn in, and every classic way of learning to set on them.

Importing it registers the worlds with gymnasium and loads nothing heavy.
"""

from pathlib import Path
from typing import Any

from .envs.core.registry import register_world

__version__ = "0.1.0"

_TABULAR = {
    "steps": 4_000_000,
    "num_envs": 1024,
    "agent.gamma": 0.95,  # waiting a tick must cost more than the noise in the values
    "agent.epsilon.steps": 2_000_000,
    "agent.step_size.end": 0.005,
    "agent.step_size.steps": 4_000_000,
}

_CITY_SIGHT = {
    "agent.retina.planes": (0, 1, 2, 3, 4, 5),
    "agent.retina.rows": (3, 1, 1, 1, 3),
    "agent.retina.columns": (3, 1, 1, 1, 3),
}
_PLATFORMER_SIGHT = {
    "agent.retina.planes": (0, 1, 2),
    "agent.retina.rows": (3, 2, 1, 1, 1, 5),
    "agent.retina.columns": (3, 1, 1, 1, 1, 2, 2, 2),
}
# Tables of situations learn faster than networks that look at the grid; --env.observation grid evolves those.
_GENETIC = {"env.observation": "index", "episodes": 8, "agent.mutation": 0.01, "agent.hidden": 8}
_NEAT = {"episodes": 8, "agent.connected": 0.05}
# Who stands still waits for the end of the episode: 400 steps are twice what the expert takes.
_PLATFORMER_SEARCH = {"max_episode_steps": 400, "env.pool_size": 200, "generations": 200}

# Rare dangers must weigh what they cost: a squared error, not Huber's.
_DEEP = {
    "agent.net.kind": "mlp",  # on a CPU several times faster than convolutions, and as good
    "agent.net.layer_norm": True,
    "agent.loss": "mse",
    "agent.epsilon.end": 0.02,
    "agent.learning_rate.start": 1e-3,
    "agent.learning_rate.end": 1e-5,
}
_PQN = _DEEP | {"num_envs": 256}
_DQN = _DEEP | {
    "num_envs": 128,
    "agent.n_step": 3,
    "agent.updates_per_step": 1 / 256,
    "agent.batch_size": 256,
    "agent.target_every": 1,
    "agent.target_rate": 0.1,
}
_DEEP_CITY = {
    "env.pool_size": 512,
    "agent.net.planes": (0, 1, 2, 3, 4, 5),
    "agent.gamma": 0.95,
}
_DEEP_PLATFORMER = {
    "env.pool_size": 1000,
    "max_episode_steps": 400,
    "agent.net.hidden": (256, 256),
    "agent.net.planes": (0, 1, 2, 3, 4, 5, 6, 7),
    "agent.gamma": 0.98,
}
_PQN_CITY = {"steps": 6_000_000, "agent.epsilon.steps": 500_000, "agent.learning_rate.steps": 6_000_000}
_DQN_CITY = {
    "steps": 1_500_000,
    "agent.net.hidden": (64, 64),
    "agent.epsilon.steps": 150_000,
    "agent.learning_rate.steps": 1_500_000,
}
_PQN_PLATFORMER = {
    "steps": 8_000_000,
    "agent.epsilon.steps": 1_000_000,
    "agent.learning_rate.steps": 8_000_000,
}
_DQN_PLATFORMER = {
    "steps": 3_000_000,
    "agent.replay": 200_000,
    "agent.epsilon.steps": 500_000,
    "agent.learning_rate.steps": 3_000_000,
}

register_world(
    id="meze/City-v0",
    name="city",
    world=f"{__name__}.envs.city.world:City",
    config=f"{__name__}.envs.city.config:CityConfig",
    max_episode_steps=512,
    presets={
        "q-learning": _TABULAR,
        "double-q-learning": _TABULAR,
        "expected-sarsa": _TABULAR,
        # On-policy values of a car that drives at random are those of crashes: SARSA must explore little.
        "sarsa": _TABULAR
        | {
            "agent.initial_value": 10.0,
            "agent.epsilon.start": 0.1,
            "agent.epsilon.end": 0.01,
            "agent.epsilon.steps": 3_000_000,
        },
        "genetic": _GENETIC | _CITY_SIGHT,
        "random-search": _GENETIC | _CITY_SIGHT,
        "neat": _NEAT | _CITY_SIGHT,
        "pqn": _PQN | _DEEP_CITY | _PQN_CITY,
        "dqn": _DQN | _DEEP_CITY | _DQN_CITY,
        "bench": {"env.hour": 12},  # ordinary traffic: at rush hours there are several times as many cars
    },
    summary="Drive through a city with traffic, signals, pedestrians and ambulances.",
)

register_world(
    id="meze/Platformer-v0",
    name="platformer",
    world=f"{__name__}.envs.platformer.world:Platformer",
    config=f"{__name__}.envs.platformer.config:PlatformerConfig",
    max_episode_steps=1024,
    presets=dict.fromkeys(
        ("q-learning", "double-q-learning", "expected-sarsa", "sarsa"),
        {
            "steps": 4_000_000,
            "num_envs": 1024,
            "agent.gamma": 0.98,  # the flag is far, but the situation tells little of what comes
            "agent.epsilon.start": 0.5,  # who acts at random dies early
            "agent.epsilon.steps": 2_000_000,
            "agent.step_size.end": 0.005,
            "agent.step_size.steps": 4_000_000,
        },
    )
    | dict.fromkeys(("genetic", "random-search"), _GENETIC | _PLATFORMER_SEARCH | _PLATFORMER_SIGHT)
    | {
        "neat": _NEAT | _PLATFORMER_SEARCH | _PLATFORMER_SIGHT,
        "pqn": _PQN | _DEEP_PLATFORMER | _PQN_PLATFORMER,
        "dqn": _DQN | _DEEP_PLATFORMER | _DQN_PLATFORMER,
    },
    summary="Run, jump and stomp through levels to the flag.",
)

register_world(
    id="meze/Kiosk-v0",
    name="kiosk",
    world=f"{__name__}.envs.kiosk.world:Kiosk",
    config=f"{__name__}.envs.kiosk.config:KioskConfig",
    max_episode_steps=1024,  # the most kiosks that there can be: each step places one
    presets=dict.fromkeys(
        ("q-learning", "double-q-learning", "expected-sarsa", "sarsa"),
        {
            "env.source": "village",
            "steps": 60_000,
            "num_envs": 16,
            "agent.gamma": 1.0,
            "agent.step_size.start": 1.0,  # nothing is left to chance
            "agent.step_size.end": 1.0,
            "agent.epsilon.steps": 40_000,
        },
    ),
    summary="Place kebab kiosks so that a city of hungry people has a short walk.",
)


def load(
    run: str | Path, env_id: str | None = None, *, network: str | None = None, num_envs: int = 1
) -> tuple[Any, Any]:
    """Loads a trained policy and its environment, for a notebook.

    Args:
        run: the run's folder.
        env_id: `package.module:Id`, needed where the environment lies in another package.
        network: `package.module:Class`, needed where the network does.
        num_envs: environments of the batch.

    Returns:
        The policy as of the newest checkpoint, and the vector environment it was trained on.

    Raises:
        ValueError: one line, when the run can't be used.
    """
    from .runners import rundir

    return rundir.load(run, env_id, network=network, num_envs=num_envs)
