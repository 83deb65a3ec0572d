"""Settings with which each agent is known to work well in the project's worlds, named as the flags are.

They stand here, and not with the agents, since they are registered with the worlds.
"""

from __future__ import annotations

from typing import Any

_TABLES = ("q-learning", "double-q-learning", "expected-sarsa", "sarsa")
_TABULAR = {
    "steps": 4_000_000,
    "num_envs": 1024,
    "agent.gamma": 0.95,  # waiting a tick must cost more than the noise in the values
    "agent.epsilon.steps": 2_000_000,
    "agent.step_size.end": 0.005,
    "agent.step_size.steps": 4_000_000,
}

_TABULAR_MODEL = {
    "steps": 400_000,
    "num_envs": 64,
    "agent.gamma": 0.95,
    "agent.epsilon.steps": 200_000,
    "agent.step_size.end": 0.005,
    "agent.step_size.steps": 400_000,
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
_PIXELS = {"agent.net.kind": "cnn", "agent.net.planes": None}
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

# stable-baselines3's agents see the situation by its number: with networks that look at the grid they need
# several times as long. PPO and A2C settle early on standing still if their entropy costs nothing.
_SB3: dict[str, dict[str, Any]] = {
    "ppo": {
        "num_envs": 64,
        "agent.learning_rate.start": 2e-3,
        "agent.learning_rate.end": 5e-4,
        "agent.n_steps": 64,
        "agent.batch_size": 1024,
        "agent.n_epochs": 4,
        "agent.ent_coef": 0.05,
    },
    "a2c": {
        "num_envs": 16,
        "agent.learning_rate.start": 1e-3,
        "agent.learning_rate.end": 1e-4,
        "agent.n_steps": 8,
        "agent.gae_lambda": 0.95,
        "agent.ent_coef": 0.1,
    },
    "dqn": {
        "num_envs": 64,
        "agent.learning_rate.start": 1e-3,
        "agent.learning_rate.end": 1e-4,
        "agent.batch_size": 128,
        "agent.train_freq": 1,
        "agent.gradient_steps": 4,
        "agent.target_update_interval": 4_000,
    },
}
_SB3_CITY = {
    "env.observation": "index",
    "env.pool_size": 512,
    "steps": 400_000,
    "agent.gamma": 0.95,
    "agent.learning_rate.steps": 400_000,
}
_SB3_PLATFORMER = {
    "env.observation": "index",
    "env.pool_size": 512,
    "max_episode_steps": 400,
    "steps": 600_000,
    "agent.gamma": 0.98,
    "agent.learning_rate.steps": 600_000,
}
_SB3_KIOSK = {"env.source": "village", "steps": 60_000, "num_envs": 16, "agent.gamma": 1.0}
_SB3_ACTOR_KIOSK = _SB3_KIOSK | {"agent.net.layer_norm": True, "agent.ent_coef": 0.05}

CITY: dict[str, dict[str, Any]] = {
    **dict.fromkeys(_TABLES, _TABULAR),
    # On-policy values of a car that drives at random are those of crashes: SARSA must explore little.
    "sarsa": _TABULAR
    | {
        "agent.initial_value": 10.0,
        "agent.epsilon.start": 0.1,
        "agent.epsilon.end": 0.01,
        "agent.epsilon.steps": 3_000_000,
    },
    # A model is learned from few transitions, each of which takes longer.
    "dyna-q": _TABULAR_MODEL,
    "value-iteration": _TABULAR_MODEL,
    "genetic": _GENETIC | _CITY_SIGHT,
    "random-search": _GENETIC | _CITY_SIGHT,
    "neat": _NEAT | _CITY_SIGHT,
    "pqn": _PQN | _DEEP_CITY | _PQN_CITY,
    "dqn": _DQN | _DEEP_CITY | _DQN_CITY,
    **{f"sb3-{name}": _SB3_CITY | own for name, own in _SB3.items()},
    "bench": {"env.hour": 12},  # ordinary traffic: at rush hours there are several times as many cars
}

_TABULAR_PLATFORMER = {
    "steps": 4_000_000,
    "num_envs": 1024,
    "agent.gamma": 0.98,  # the flag is far, but the situation tells little of what comes
    "agent.epsilon.start": 0.5,  # who acts at random dies early
    "agent.epsilon.steps": 2_000_000,
    "agent.step_size.end": 0.005,
    "agent.step_size.steps": 4_000_000,
}

_PLATFORMER_MODEL = {
    "steps": 1_000_000,
    "num_envs": 256,
    "agent.epsilon.steps": 500_000,
    "agent.step_size.steps": 1_000_000,
}

PLATFORMER: dict[str, dict[str, Any]] = {
    **dict.fromkeys(_TABLES, _TABULAR_PLATFORMER),
    **dict.fromkeys(("dyna-q", "value-iteration"), _TABULAR_PLATFORMER | _PLATFORMER_MODEL),
    **dict.fromkeys(("genetic", "random-search"), _GENETIC | _PLATFORMER_SEARCH | _PLATFORMER_SIGHT),
    "neat": _NEAT | _PLATFORMER_SEARCH | _PLATFORMER_SIGHT,
    "pqn": _PQN | _DEEP_PLATFORMER | _PQN_PLATFORMER,
    "dqn": _DQN | _DEEP_PLATFORMER | _DQN_PLATFORMER,
    **dict.fromkeys(("pqn pixels", "dqn pixels"), _PIXELS),
    **{f"sb3-{name}": _SB3_PLATFORMER | own for name, own in _SB3.items()},
}

_TABULAR_KIOSK = {
    "env.source": "village",
    "steps": 60_000,
    "num_envs": 16,
    "agent.gamma": 1.0,
    "agent.step_size.start": 1.0,  # nothing is left to chance
    "agent.step_size.end": 1.0,
    "agent.epsilon.steps": 40_000,
}

# Who scores sites learns on cities of many sizes, to place kiosks in those of any size.
_CITIES = {
    "env.pool_size": 512,
    "env.least_points": 50,
    "env.sites": 100,
    "env.least_kiosks": 5,
    "env.most_kiosks": 20,
}
# Early on every placement is worth more than all later ones together: a squared error would see nothing else.
# What a city is worth says nothing of its sites: dueling keeps its errors away from them.
_DEEP_KIOSK = _CITIES | {
    "agent.net.hidden": (64, 64),
    "agent.net.layer_norm": True,
    "agent.net.dueling": True,
    "agent.gamma": 1.0,
    "agent.loss": "huber",
    "agent.epsilon.end": 0.1,
    "agent.learning_rate.start": 1e-3,
    "agent.learning_rate.end": 2e-5,
}
_PQN_KIOSK = {
    "steps": 2_000_000,
    "num_envs": 256,
    "agent.rollout": 10,
    "agent.minibatches": 40,
    "agent.trace_decay": 0.8,
    "agent.epsilon.steps": 400_000,
    "agent.learning_rate.steps": 2_000_000,
}
_DQN_KIOSK = {
    "steps": 600_000,
    "num_envs": 128,
    "agent.n_step": 5,
    "agent.updates_per_step": 1 / 128,
    "agent.batch_size": 128,
    "agent.target_every": 1,
    "agent.target_rate": 0.05,
    "agent.epsilon.steps": 120_000,
    "agent.learning_rate.steps": 600_000,
}
_GENETIC_KIOSK = {"generations": 100, "episodes": 48, "agent.population": 128, "agent.hidden": 8}

KIOSK: dict[str, dict[str, Any]] = {
    **dict.fromkeys((*_TABLES, "dyna-q", "value-iteration"), _TABULAR_KIOSK),
    **dict.fromkeys(("genetic", "random-search"), _CITIES | _GENETIC_KIOSK),
    "pqn": _DEEP_KIOSK | _PQN_KIOSK,
    "dqn": _DEEP_KIOSK | _DQN_KIOSK,
    "sb3-ppo": _SB3_ACTOR_KIOSK | {"agent.n_steps": 32, "agent.batch_size": 128, "agent.n_epochs": 4},
    "sb3-a2c": _SB3_ACTOR_KIOSK
    | {"steps": 150_000, "num_envs": 64, "agent.n_steps": 3, "agent.ent_coef": 0.5},
    "sb3-dqn": _SB3_KIOSK | {"agent.epsilon.steps": 40_000, "agent.train_freq": 1},
}

# A situation tells little of what is behind the next corner: far rewards would only blur what it tells.
_TABULAR_FIRE_ESCAPE = _TABULAR | {
    "steps": 8_000_000,
    "agent.gamma": 0.7,
    "agent.epsilon.start": 0.5,
    "agent.epsilon.steps": 4_000_000,
    "agent.step_size.steps": 8_000_000,
}
_FIRE_ESCAPE_MODEL = {"agent.gamma": 0.7, "agent.epsilon.start": 0.5}
_SB3_FIRE_ESCAPE = {"steps": 400_000, "agent.gamma": 0.95, "agent.learning_rate.steps": 400_000}
_DEEP_FIRE_ESCAPE = {"agent.gamma": 0.9, "agent.net.hidden": (128, 128)}

FIRE_ESCAPE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(_TABLES, _TABULAR_FIRE_ESCAPE),
    "sarsa": _TABULAR_FIRE_ESCAPE | {"agent.epsilon.start": 0.1, "agent.epsilon.end": 0.01},
    **dict.fromkeys(("dyna-q", "value-iteration"), _TABULAR_MODEL | _FIRE_ESCAPE_MODEL),
    **dict.fromkeys(("genetic", "random-search"), _GENETIC | {"generations": 200}),
    "neat": _NEAT,
    "pqn": _PQN
    | _DEEP_FIRE_ESCAPE
    | {"steps": 3_000_000, "agent.epsilon.steps": 500_000, "agent.learning_rate.steps": 3_000_000},
    "dqn": _DQN
    | _DEEP_FIRE_ESCAPE
    | {"steps": 2_000_000, "agent.epsilon.steps": 300_000, "agent.learning_rate.steps": 2_000_000},
    **{f"sb3-{name}": _SB3_FIRE_ESCAPE | own for name, own in _SB3.items()},
}
