"""A run's settings, and what is made of them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gymnasium.vector import AutoresetMode, VectorEnv

from ...agents.encoders.wrappers import Encodes
from ...agents.macros import TakesMacros
from ...agents.registry import AgentSpec, make_agent
from ...agents.wrappers import Wrapper, in_order
from ...envs.core.measures import Cost
from ..setup.costs import Limit, read_limit, read_weights
from ..setup.kinds import settings_class
from ..setup.renamed import renewed
from ..setup.resolve import Environment, environment_of, find_learner, make_vector, world_class
from ..setup.seeds import EVALUATION_SEED, STREAMS, stream_seeds
from ..setup.settings import from_plain, named_code, to_plain
from .encoding import Encoding, read_encoding
from .macros import RunMacros, check_takes_macros, read_macros


@dataclass(frozen=True)
class RunConfig:
    """All that a run was asked to do."""

    agent: AgentSpec
    agent_config: Any
    environment: Environment
    env_config: Any
    settings: Any
    """An instance of what `kinds.settings_class` says."""
    encoding: Encoding | None = None
    """The encoder before the agent, if there is one."""
    macros: RunMacros | None = None
    """Its macro-actions, if it has any."""
    streams: Literal[1, 2] = STREAMS
    """How its seed becomes the environments'; see `seeds.STREAMS`."""

    def described(self) -> dict[str, Any]:
        """Its settings as plain values, as they stand in `config.json`; see `read_config`."""
        return {
            "agent": {"name": self.agent.name, "config": to_plain(self.agent_config)},
            "env": {"id": self.environment.id, "config": to_plain(self.env_config)},
            "run": to_plain(self.settings),
            "streams": self.streams,
            **({"encoder": self.encoding.described()} if self.encoding else {}),
            **({"macros": self.macros.described()} if self.macros else {}),
        }

    def env_seeds(self, step: int = 0) -> list[int]:
        """Seeds of the environments that are made when so many transitions are done."""
        seed, num_envs = self.settings.seed, self.settings.num_envs
        if self.streams == 1:
            first = (seed + step) % EVALUATION_SEED
            return list(range(first, first + num_envs))
        return stream_seeds([seed, step] if step else seed, num_envs)

    def make_env(self, num_envs: int, autoreset: AutoresetMode, *, render: bool = False) -> VectorEnv:
        """Makes the run's environment."""
        return make_vector(
            self.environment,
            self.env_config,
            num_envs,
            autoreset,
            num_threads=self.settings.num_threads,
            vectorization=self.settings.vectorization,
            max_episode_steps=self.settings.max_episode_steps,
            render=render,
        )

    @property
    def gpus(self) -> int:
        """GPUs that it wants."""
        return int(self.settings.device == "cuda")

    @property
    def weights(self) -> dict[str, float]:
        """What costs count to who learns.

        Raises:
            ValueError: one line, when the world does not tell them, or the agent does not take them.
        """
        text = getattr(self.settings, "weights", None)
        return {} if text is None else read_weights(text, self._costs("weights"))

    @property
    def limit(self) -> Limit | None:
        """What an episode may cost at most, in the mean; None: nothing is limited.

        Raises:
            ValueError: one line, when the world does not tell it, or the agent does not take it.
        """
        text = getattr(self.settings, "constraint", None)
        if text is None:
            return None
        limit = read_limit(text, self._costs("constraint"))
        if limit.cost in self.weights:
            raise ValueError(f"{limit.cost} has a limit, so what it counts is learned: it takes no weight")
        if self.agent.keeps_rewards:
            raise ValueError(
                f"{self.agent.name} learns again from what costs counted long ago, so it takes no "
                "constraint; q-learning, pqn and ppo do"
            )
        return limit

    def _costs(self, what: str) -> Sequence[Cost]:
        """What the world tells apart, for an agent that takes it."""
        if self.agent.kind != "learner":
            raise ValueError(
                f"{self.agent.name} does not learn from single transitions, so it takes no {what}"
            )
        world = world_class(self.environment)
        return world.costs if world else ()

    def make_agent(self, env: VectorEnv, device: str = "cpu") -> Any:
        """Makes the run's `Learner` or `Searcher`, untrained.

        Args:
            env: for whose spaces.
            device: where it computes, if it does with torch; who only acts needs no other than the CPU.
        """
        observations, actions = env.single_observation_space, env.single_action_space
        wrappers: list[Wrapper] = []
        if self.encoding:
            wrappers.append(Encodes(self.encoding.make(observations)))
        if self.macros:
            check_takes_macros(self.agent, self.agent_config)
            assert self.macros.found is not None, "nobody has looked for macro-actions"
            wrappers.append(TakesMacros(self.macros.found, self.agent_config.gamma))
        for each in in_order(wrappers):
            observations, actions = each.observes(observations), each.acts(actions)
        agent = make_agent(
            self.agent.name,
            observations,
            actions,
            num_envs=self.settings.num_envs,
            config=self.agent_config,
            seed=self.settings.seed,
            device=device,
        )
        return self.agent.wrapped(agent, wrappers) if wrappers else agent


def read_config(
    plain: Any, file: Path, env_id: str | None = None, networks: Collection[str] = ()
) -> RunConfig:
    """Reads what `RunConfig.described` told, which may come from a stranger.

    Its encoder is not fitted yet, and its macro-actions are not found.

    Args:
        plain: decoded JSON.
        file: where it stands, for messages.
        env_id: the environment as the caller named it; needed where the run's lies in another package,
            because a file must not say which code to import.
        networks: networks of other packages that the caller named, for the same reason.

    Raises:
        ValueError: one line, when it is altered, or names what is not there.
    """
    try:
        env, agent, settings = plain["env"], plain["agent"], plain["run"]
        env_name, agent_name = str(env["id"]), str(agent["name"])
        env_plain, agent_plain = env["config"], agent["config"]
        streams: Any = from_plain(Literal[1, 2], plain.get("streams", 1), f"{file}: streams")
    except (KeyError, TypeError):
        raise ValueError(f"{file} was cut short or altered") from None
    environment = environment_of(file.parent, env_name, env_id)
    spec = find_learner(agent_name)
    run_settings = from_plain(settings_class(spec), settings, f"{file}: run")
    agent_plain = renewed(spec.config_class(), agent_plain, run_settings.num_envs)
    agent_config = from_plain(spec.config_class(), agent_plain, f"{file}: agent")
    if (network := named_code(agent_config)) and network not in networks:
        raise ValueError(
            f"{file.parent} has the network {network}, code of another package: "
            f"name it on the command line too, --network {shlex.quote(network)}"
        )
    return RunConfig(
        spec,
        agent_config,
        environment,
        from_plain(environment.config, env_plain, f"{file}: env"),
        run_settings,
        read_encoding(plain["encoder"], file) if "encoder" in plain else None,
        read_macros(plain["macros"], file) if "macros" in plain else None,
        streams,
    )
