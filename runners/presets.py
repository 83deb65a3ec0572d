"""Settings known to work well: for worlds from their registration, for other environments from here."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from ..agents.registry import AgentSpec
from .resolve import Environment
from .rundir import RunSettings, settings_class
from .settings import flags, override

DETERMINISTIC = {
    "num_envs": 16,
    "agent.gamma": 1.0,
    "agent.step_size.start": 1.0,
    "agent.step_size.end": 1.0,
    "agent.epsilon.start": 0.05,
    "agent.epsilon.end": 0.05,
}
"""Where nothing is left to chance one sight of a transition tells all, and costs make zeros optimistic."""

# Networks that look at a number: a unit of the first layer is a table's row, and must be seen often.
_TOY_PQN = {
    "steps": 300_000,
    "num_envs": 64,
    "agent.rollout": 8,
    "agent.minibatches": 4,
    "agent.net.layer_norm": True,
    "agent.gamma": 0.97,
    "agent.loss": "huber",
    "agent.epsilon.start": 1.0,
    "agent.epsilon.end": 0.05,
    "agent.epsilon.steps": 200_000,
    "agent.learning_rate.start": 2e-3,
    "agent.learning_rate.end": 1e-5,
    "agent.learning_rate.steps": 300_000,
}
# Where chance decides, the mean counts, which Huber's loss does not find.
_LAKE_PQN = _TOY_PQN | {"agent.gamma": 0.99, "agent.loss": "mse"}
_TOY_DQN = {
    "steps": 200_000,
    "num_envs": 32,
    "agent.n_step": 1,
    "agent.gamma": 0.97,
    "agent.loss": "huber",
    "agent.replay": 100_000,
    "agent.warm_up": 5_000,
    "agent.batch_size": 256,
    "agent.updates_per_step": 1 / 32,
    "agent.target_every": 1,
    "agent.target_rate": 0.05,
    "agent.epsilon.start": 1.0,
    "agent.epsilon.end": 0.05,
    "agent.epsilon.steps": 100_000,
    "agent.learning_rate.start": 2e-3,
    "agent.learning_rate.end": 1e-5,
    "agent.learning_rate.steps": 200_000,
}
# Each step costs 1 until the goal, so zeros are optimistic: little needs to be left to chance.
_GOAL_PQN = _TOY_PQN | {
    "num_envs": 16,
    "agent.rollout": 32,
    "agent.minibatches": 8,
    "agent.epochs": 2,
    "agent.gamma": 0.99,
    "agent.epsilon.start": 0.3,
    "agent.epsilon.steps": 100_000,
}
_GOAL_DQN = _TOY_DQN | {
    "num_envs": 16,
    "agent.gamma": 0.98,
    "agent.warm_up": 2_000,
    "agent.batch_size": 128,
    "agent.updates_per_step": 1 / 16,
    "agent.epsilon.start": 0.2,
}

# stable-baselines3's know no masks, and learn from as much as the project's own.
_SB3_TOY_DQN = {
    "steps": 200_000,
    "num_envs": 32,
    "agent.gamma": 0.97,
    "agent.batch_size": 256,
    "agent.train_freq": 1,
    "agent.target_update_interval": 1_000,
    "agent.epsilon.steps": 100_000,
    "agent.learning_rate.start": 2e-3,
    "agent.learning_rate.end": 1e-5,
    "agent.learning_rate.steps": 200_000,
}
_SB3_GOAL_DQN = _SB3_TOY_DQN | {
    "num_envs": 16,
    "agent.gamma": 0.99,
    "agent.batch_size": 128,
    "agent.epsilon.start": 0.2,
    "agent.learning_rate.start": 1e-3,
}
_SB3_LAKE_DQN = _SB3_TOY_DQN | {"agent.gamma": 0.99}

_SLIPPERY = {
    "steps": 500_000,
    "num_envs": 16,
    "agent.gamma": 0.99,
    "agent.step_size.start": 0.2,
    "agent.step_size.end": 0.005,
    "agent.step_size.steps": 500_000,
    "agent.epsilon.end": 0.02,
    "agent.epsilon.steps": 300_000,
}

# What chance does is in the memory; to plan much with few outcomes would be to believe them.
_LAKE_DYNA = {"agent.memory": 64, "agent.planning": 2}

GYMNASIUM: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "Taxi-v4": {
        "*": DETERMINISTIC | {"steps": 300_000},
        "q-learning": {"steps": 60_000, "agent.epsilon.start": 0.0, "agent.epsilon.end": 0.0},
        "double-q-learning": {"steps": 500_000, "agent.epsilon.start": 0.2, "agent.epsilon.end": 0.2},
        "sarsa": {
            "steps": 500_000,
            "agent.step_size.start": 0.5,
            "agent.step_size.end": 0.05,
            "agent.step_size.steps": 500_000,
            "agent.epsilon.start": 0.1,
            "agent.epsilon.end": 0.01,
            "agent.epsilon.steps": 400_000,
        },
        "dqn": _TOY_DQN,
        "pqn": _TOY_PQN
        | {"steps": 400_000, "agent.epsilon.steps": 250_000, "agent.learning_rate.steps": 400_000},
    },
    "CliffWalking-v1": {
        "*": {
            "steps": 100_000,
            "num_envs": 4,
            "eval_episodes": 16,
            "max_episode_steps": 200,
            "agent.gamma": 1.0,
            "agent.step_size.start": 0.5,
            "agent.step_size.end": 0.02,
            "agent.step_size.steps": 100_000,
            "agent.epsilon.start": 0.1,
            "agent.epsilon.end": 0.1,
        },
        # While only one table knows a fall, the other chooses it and the one that knows it values it: cells
        # along the edge look bad to both, and who rarely explores never finds out that they are not.
        "double-q-learning": {
            "agent.step_size.start": 1.0,
            "agent.step_size.end": 1.0,
            "agent.epsilon.start": 1.0,
            "agent.epsilon.steps": 100_000,
        },
        "dqn": _TOY_DQN,
        "pqn": _TOY_PQN,
        "sb3-dqn": _SB3_TOY_DQN,
    },
    "CliffWalkingSlippery-v1": {
        **dict.fromkeys(("q-learning", "double-q-learning", "expected-sarsa", "sarsa"), _SLIPPERY),
        "dqn": _TOY_DQN | {"agent.loss": "mse"},
        "pqn": _LAKE_PQN,
        "dyna-q": _SLIPPERY | _LAKE_DYNA,
        "value-iteration": _SLIPPERY,
        "sb3-dqn": _SB3_TOY_DQN,
    },
    "FrozenLake-v1": {
        "*": {
            "steps": 300_000,
            "num_envs": 16,
            "agent.gamma": 0.999,
            "agent.step_size.start": 0.2,
            "agent.step_size.end": 0.005,
            "agent.step_size.steps": 300_000,
            "agent.epsilon.end": 0.2,
            "agent.epsilon.steps": 100_000,
        },
        "pqn": _LAKE_PQN,
        "dyna-q": _LAKE_DYNA,
    },
    "FrozenLake8x8-v1": {
        "dqn": _TOY_DQN | {"agent.gamma": 0.99, "agent.loss": "mse"},
        "pqn": _LAKE_PQN
        | {"steps": 600_000, "agent.epsilon.steps": 400_000, "agent.learning_rate.steps": 600_000},
        "sb3-dqn": _SB3_LAKE_DQN,
        "sb3-ppo": {
            "steps": 600_000,
            "num_envs": 32,
            "agent.n_steps": 64,
            "agent.batch_size": 512,
            "agent.ent_coef": 0.01,
            "agent.learning_rate.start": 2e-3,
            "agent.learning_rate.end": 1e-5,
            "agent.learning_rate.steps": 600_000,
        },
    },
    "Acrobot-v1": {
        "dqn": _GOAL_DQN
        | {
            "steps": 150_000,
            "agent.n_step": 3,
            "agent.gamma": 0.99,
            "agent.epsilon.steps": 50_000,
            "agent.learning_rate.start": 1e-3,
            "agent.learning_rate.steps": 150_000,
        },
        "pqn": _GOAL_PQN | {"agent.trace_decay": 0.8},
        "sb3-dqn": _SB3_GOAL_DQN,
        "sb3-a2c": {
            "steps": 400_000,
            "num_envs": 16,
            "agent.n_steps": 32,
            "agent.gae_lambda": 0.95,
            "agent.ent_coef": 0.01,
            "agent.learning_rate.start": 1e-3,
            "agent.learning_rate.end": 1e-5,
            "agent.learning_rate.steps": 400_000,
        },
    },
    "Pendulum-v1": {
        "sb3-sac": {
            "steps": 10_000,
            "num_envs": 4,
            "agent.learning_rate.start": 1e-3,
            "agent.learning_rate.end": 1e-3,
        },
    },
    "MountainCar-v0": {
        "dqn": _GOAL_DQN | {"agent.learning_rate.start": 4e-3, "agent.target_rate": 0.02},
        "pqn": _GOAL_PQN | {"agent.trace_decay": 0.9},
        "sb3-dqn": _SB3_GOAL_DQN | {"agent.gamma": 0.98, "agent.learning_rate.start": 4e-3},
    },
    "CartPole-v1": {
        "dqn": {
            "steps": 150_000,
            "num_envs": 32,
            "agent.net.hidden": (64, 64),
            "agent.n_step": 5,
            "agent.loss": "mse",
            "agent.replay": 50_000,
            "agent.warm_up": 2_000,
            "agent.epsilon.steps": 20_000,
            "agent.epsilon.end": 0.04,
            "agent.updates_per_step": 1 / 32,
            "agent.target_every": 1,
            "agent.target_rate": 0.05,
            "agent.learning_rate.start": 2e-3,
            "agent.learning_rate.end": 1e-5,
            "agent.learning_rate.steps": 150_000,
        },
        "pqn": {
            "steps": 200_000,
            "num_envs": 32,
            "agent.minibatches": 8,
            "agent.epsilon.steps": 50_000,
            "agent.loss": "huber",
            "agent.learning_rate.start": 1e-3,
            "agent.learning_rate.end": 1e-5,
            "agent.learning_rate.steps": 200_000,
        },
        # After Raffin's RL Baselines3 Zoo, with schedules where policies forget what they could.
        "sb3-ppo": {
            "steps": 100_000,
            "num_envs": 8,
            "agent.n_steps": 32,
            "agent.n_epochs": 20,
            "agent.gamma": 0.98,
            "agent.gae_lambda": 0.8,
            "agent.learning_rate.start": 1e-3,
            "agent.learning_rate.end": 0.0,
            "agent.learning_rate.steps": 100_000,
        },
        "sb3-a2c": {
            "steps": 300_000,
            "num_envs": 8,
            "agent.n_steps": 16,
            "agent.gamma": 0.98,
            "agent.gae_lambda": 0.9,
            "agent.learning_rate.start": 1e-3,
            "agent.learning_rate.end": 0.0,
            "agent.learning_rate.steps": 300_000,
        },
        "sb3-dqn": {
            "steps": 80_000,
            "num_envs": 1,
            "agent.net.hidden": (256, 256),
            "agent.epsilon.end": 0.04,
            "agent.epsilon.steps": 8_000,
            "agent.train_freq": 256,
            "agent.gradient_steps": 128,
            "agent.target_update_interval": 10,
            "agent.learning_rate.start": 2.3e-3,
            "agent.learning_rate.end": 1e-5,
            "agent.learning_rate.steps": 80_000,
        },
    },
}
"""Environment id to agent name (`*`: each agent) to changed settings, named as the flags are."""


ARRAYS = ("grid", "sites", "plain", "pixels")
"""Observation modes that are arrays, those first that encoders make most of."""

Settings = TypeVar("Settings")


def with_preset(
    settings: Settings, environment: Environment, agent: str, prefix: str = "", mode: str | None = None
) -> Settings:
    """Settings changed by what is known to work well for an agent in an environment.

    What stands under `*` holds for each agent that has such a setting; the agent's own entry goes before it.

    Args:
        settings: defaults.
        environment: where the agent is to act.
        agent: its name.
        prefix: `agent.` or `env.` for these settings; none for those of the run.
        mode: an observation mode, for which `AGENT MODE` changes what stands under `AGENT`.

    Raises:
        ValueError: when the agent's own entry names a setting that is not there.
    """
    known = _known(environment)
    names = ("*", agent, f"{agent} {mode}")
    shared, own, in_mode = (_part(known.get(name, {}), prefix) for name in names)
    there = flags(settings, "")
    shared = {name: value for name, value in shared.items() if name.replace("_", "-") in there}
    return override(settings, shared | own | in_mode)


def default_env_config(
    environment: Environment, agent: AgentSpec | None = None, *, encoded: bool = False
) -> Any:
    """An environment's default settings, in the observation mode that suits the agent best.

    Args:
        environment: which.
        agent: for whom.
        encoded: whether an encoder will stand between them, which needs arrays.

    Raises:
        ValueError: when a preset names a setting that is not there.
    """
    config = environment.config()
    if agent is None:
        return config
    offered = observation_modes(environment.config)
    suitable = [mode for mode in (ARRAYS if encoded else agent.modes) if mode in offered]
    if suitable:
        config = dataclasses.replace(config, observation=suitable[0])
    config = with_preset(config, environment, agent.name, "env.")
    if encoded and suitable and config.observation not in suitable:
        config = dataclasses.replace(config, observation=suitable[0])
    return config


def default_agent_config(
    environment: Environment, agent: AgentSpec, mode: str | None = None, *, encoded: bool = False
) -> Any:
    """An agent's default settings in an environment; None where it has none.

    Args:
        environment: where it is to act.
        agent: which.
        mode: an observation mode that was asked for.
        encoded: whether an encoder will stand between them: what is known to work well on grids is not used.
    """
    kind = agent.config_class()
    if kind is None:
        return None
    default = kind()
    config = with_preset(default, environment, agent.name, "agent.", mode)
    sights = {name: getattr(default, name) for name in ("retina",) if encoded and hasattr(default, name)}
    if encoded and hasattr(config, "net"):
        sights["net"] = dataclasses.replace(config.net, planes=default.net.planes)
    return dataclasses.replace(config, **sights)


def default_settings(environment: Environment, agent: AgentSpec) -> RunSettings:
    """The default settings of a training run."""
    return with_preset(settings_class(agent)(), environment, agent.name)


def preset_value(environment: Environment, agent: str, setting: str, mode: str | None = None) -> Any:
    """What presets say of one setting, without loading the agent; None where it is nothing."""
    known = _known(environment)
    names = ("*", agent, f"{agent} {mode}")
    return next((known[name][setting] for name in names[::-1] if setting in known.get(name, {})), None)


def _known(environment: Environment) -> Mapping[str, Mapping[str, Any]]:
    return environment.world.presets if environment.world else GYMNASIUM.get(environment.id, {})


def _part(flat: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The settings whose names begin with a prefix, without it; with an empty one, those without any."""
    if not prefix:
        return {name: value for name, value in flat.items() if "." not in name}
    return {name[len(prefix) :]: value for name, value in flat.items() if name.startswith(prefix)}


def observation_modes(config: type) -> tuple[str, ...]:
    """What a world's `observation` setting may be, if it has one."""
    return typing.get_args(typing.get_type_hints(config).get("observation"))
