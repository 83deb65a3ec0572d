"""The agents by name. Their files, and the libraries these need, load only when an agent is asked for.

Agents of others are announced through the entry-point group `meze.agents`, and register themselves here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space

from ..checking import load_object, needed, unknown
from .base import Imitator, Learner, MisfitError, Policy, Searcher, Trainer
from .spaces import MOST_COLUMNS, MOST_NUMBERS, numbering
from .wrappers import Wrapper

Kind: TypeAlias = Literal["policy", "learner", "searcher", "trainer", "imitator"]
"""What an agent is; see `KINDS`."""


@dataclass(frozen=True)
class AgentKind:
    """What sets agents of one kind apart from those of others."""

    base: type
    """What it inherits; the abstract methods are those that it must have."""
    wrapped: str | None = None
    """One behind wrappers, as `AgentSpec.entry`; None: nothing stands before it."""
    is_trained: bool = True
    """Whether it has to be trained before it acts."""
    bootstraps: bool = False
    """Whether it learns from transitions, and has to tell those that terminated from those cut off."""
    is_taught: bool = False
    """Whether it learns from a teacher, without whom it can't be trained."""


KINDS: dict[Kind, AgentKind] = {
    "policy": AgentKind(Policy, is_trained=False),
    "learner": AgentKind(Learner, ".wrappers:WrappedLearner", bootstraps=True),
    "searcher": AgentKind(Searcher, ".wrappers:WrappedSearcher"),
    "trainer": AgentKind(Trainer, ".wrappers:WrappedLearner", bootstraps=True),
    "imitator": AgentKind(Imitator, ".wrappers:WrappedImitator", is_taught=True),
}
"""All kinds of agents. How the runs of each go is in `runners.setup.kinds`."""


@dataclass(frozen=True)
class NoSettings:
    """The settings of who has none."""


@dataclass(frozen=True)
class AgentSpec:
    """What runners need to know of an agent before its file is loaded."""

    name: str
    """Name on the command line."""
    entry: str
    """`package.module:Class`; `.module:Class` inside `meze.agents`. Every agent's constructor is
    `(observation_space, action_space, *, num_envs, config, rng)`, with the spaces of one environment."""
    kind: Kind
    """Which class of `agents.base` it inherits; see `KINDS`."""
    summary: str
    """One line for listings."""
    config: str | None = None
    """Where the frozen dataclass of its settings is, as for `entry`; None: it has none."""
    modes: tuple[str, ...] = ()
    """Observation modes of a world that suit the agent, the preferred one first; empty: any."""
    extra: str | None = None
    """The extra of the distribution that the agent needs, as in `pip install meze[torch]`."""
    on_device: bool = False
    """Whether it computes with torch on a device that its constructor takes too, as `device`."""
    numbers_only: bool = False
    """Whether it takes no observations but those that are numbers, or can be numbered."""
    most_numbers: int = MOST_NUMBERS
    """Values of a Discrete observation, at most."""
    actions: tuple[Literal["discrete", "box", "multi"], ...] = ()
    """Kinds of action spaces that it takes, for messages; empty: not known."""
    like: str | None = None
    """The agent whose presets hold for it where there are none of its own; it has all settings of that."""
    keeps_rewards: bool = False
    """Whether it learns again from rewards of long ago, so that what costs count may not change meanwhile."""

    @property
    def is_trained(self) -> bool:
        """Whether the agent has to be trained before it acts."""
        return KINDS[self.kind].is_trained

    @property
    def is_taught(self) -> bool:
        """Whether the agent needs a teacher to learn from."""
        return KINDS[self.kind].is_taught

    def agent_class(self) -> type:
        """Loads the agent's class.

        Raises:
            ValueError: when the extra that it needs is not installed, or a plug-in's can't be loaded.
        """
        return self._load(self.entry)

    def config_class(self) -> type:
        """Loads the class of the agent's settings, all of which have defaults.

        Raises:
            ValueError: when the extra that it needs is not installed, or a plug-in's can't be loaded.
        """
        return NoSettings if self.config is None else self._load(self.config)

    def wrapped(self, agent: Any, wrappers: Iterable[Wrapper]) -> Any:
        """The agent, made for what wrappers leave, as one of its kind before which nothing stands."""
        wrapped = KINDS[self.kind].wrapped
        assert wrapped is not None, f"nothing stands before a {self.kind}"
        return self._load(wrapped)(agent, wrappers)

    @property
    def is_plugin(self) -> bool:
        """Whether it is the agent of another distribution."""
        return not self.entry.startswith(".")

    def _load(self, entry: str) -> type:
        try:
            with needed(self.name, self.extra):
                return load_object(entry, __package__)
        except Exception as error:
            if not self.is_plugin:
                raise
            raise ValueError(f"agent {self.name}: can't load {entry}: {error}") from error


def _tabular(
    name: str,
    entry: str,
    summary: str,
    config: str = ".tabular:TabularConfig",
    **others: Any,
) -> AgentSpec:
    return AgentSpec(
        name,
        entry,
        "learner",
        summary,
        config=config,
        modes=("index",),
        numbers_only=True,
        actions=("discrete",),
        **others,
    )


def _deep(name: str, class_name: str, summary: str, *actions: Any, **others: Any) -> AgentSpec:
    return AgentSpec(
        name,
        f".deep.{name}:{class_name}",
        "learner",
        summary,
        config=f".deep.{name}:{class_name}Config",
        modes=("sites", "grid", "pixels", "plain", "index"),
        extra="torch",
        on_device=True,
        actions=("discrete", *actions),
        **others,
    )


def _sb3(
    name: str,
    algorithm: str,
    summary: str,
    *actions: Any,
    module: str = "trainers",
    extra: str = "sb3",
    like: str | None = None,
) -> AgentSpec:
    return AgentSpec(
        name,
        f".sb3.{module}:SB3{algorithm}",
        "trainer",
        f"{summary}, of stable-baselines3",
        config=f".sb3.config:{algorithm}Config",
        modes=("sites", "grid", "pixels", "plain", "index"),
        extra=extra,
        on_device=True,
        actions=actions,
        like=like,
    )


def _imitator(name: str, class_name: str, summary: str) -> AgentSpec:
    return AgentSpec(
        name,
        f".cloning:{class_name}",
        "imitator",
        summary,
        config=f".cloning:{class_name}Config",
        modes=("grid", "plain", "index"),
        extra="sklearn",
        most_numbers=MOST_COLUMNS,
        actions=("discrete",),
    )


def _genetic(name: str, class_name: str, summary: str, like: str | None = None) -> AgentSpec:
    return AgentSpec(
        name,
        f".evolution.genetic:{class_name}",
        "searcher",
        summary,
        config=f".evolution.genomes:{class_name}Config",
        modes=("sites", "grid", "index"),
        extra="deap",
        actions=("discrete", "box"),
        like=like,
    )


_AGENTS = {
    spec.name: spec
    for spec in (
        AgentSpec("random", ".random:RandomPolicy", "policy", "uniformly random among the possible actions"),
        _tabular("q-learning", ".tabular:QLearning", "off-policy TD control (Watkins & Dayan 1992)"),
        _tabular(
            "sarsa", ".tabular:Sarsa", "on-policy TD control (Rummery & Niranjan 1994)", like="q-learning"
        ),
        _tabular(
            "sarsa-lambda",
            ".traces:SarsaLambda",
            "SARSA with eligibility traces (Rummery & Niranjan 1994)",
            ".traces:SarsaLambdaConfig",
            like="sarsa",
        ),
        _tabular(
            "n-step-sarsa",
            ".traces:NStepSarsa",
            "SARSA on the rewards of n steps (Sutton & Barto 2018)",
            ".traces:NStepSarsaConfig",
            like="sarsa",
        ),
        _tabular(
            "expected-sarsa",
            ".tabular:ExpectedSarsa",
            "SARSA in expectation (van Seijen et al. 2009)",
            like="q-learning",
        ),
        _tabular(
            "double-q-learning",
            ".tabular:DoubleQLearning",
            "Q-learning without its bias (van Hasselt 2010)",
            like="q-learning",
        ),
        _tabular(
            "dyna-q",
            ".dyna:DynaQ",
            "Q-learning that remembers (Sutton 1990)",
            ".dyna:DynaConfig",
            keeps_rewards=True,
        ),
        _tabular(
            "value-iteration",
            ".dyna:ValueIteration",
            "plans with the model it has learned (Bellman 1957)",
            ".dyna:ModelConfig",
            keeps_rewards=True,
        ),
        _deep("dqn", "DQN", "deep Q-network with replay (Mnih et al. 2015)", keeps_rewards=True),
        _deep("pqn", "PQN", "deep Q-network without replay (Gallici et al. 2024)"),
        _deep("ppo", "PPO", "proximal policy optimisation (Schulman et al. 2017)", "box", "multi"),
        _genetic("genetic", "Genetic", "genetic algorithm with self-adapting mutation (Eiben & Smith 2015)"),
        _genetic(
            "random-search",
            "RandomSearch",
            "the genetic algorithm's control: genomes drawn at random",
            like="genetic",
        ),
        AgentSpec(
            "cma-es",
            ".evolution.cma:CmaEs",
            "searcher",
            "weights from a normal distribution that adapts itself (Hansen 2016)",
            config=".evolution.cma:CmaConfig",
            modes=("sites", "grid", "index"),
            extra="cmaes",
            actions=("discrete", "box"),
        ),
        AgentSpec(
            "neat",
            ".evolution.neat:Neat",
            "searcher",
            "networks of evolving topology (Stanley & Miikkulainen 2002)",
            config=".evolution.neat_genomes:NeatConfig",
            modes=("grid", "index"),
            extra="neat",
            actions=("discrete", "box"),
        ),
        _imitator("clone", "Cloning", "does what the world's expert does (Pomerleau 1991)"),
        _imitator("dagger", "DAgger", "the same, where it comes to itself (Ross et al. 2011)"),
        _sb3(
            "sb3-ppo",
            "PPO",
            "proximal policy optimisation (Schulman et al. 2017)",
            "discrete",
            "box",
            "multi",
        ),
        _sb3("sb3-a2c", "A2C", "advantage actor-critic (Mnih et al. 2016)", "discrete", "box", "multi"),
        _sb3(
            "sb3-recurrent-ppo",
            "RecurrentPPO",
            "PPO with long short-term memory (Hochreiter & Schmidhuber 1997)",
            "discrete",
            "box",
            "multi",
            module="recurrent",
            extra="sb3-contrib",
            like="sb3-ppo",
        ),
        _sb3("sb3-dqn", "DQN", "deep Q-network (Mnih et al. 2015)", "discrete"),
        _sb3("sb3-sac", "SAC", "soft actor-critic (Haarnoja et al. 2018)", "box", module="box"),
        _sb3("sb3-td3", "TD3", "twin delayed DDPG (Fujimoto et al. 2018)", "box", module="box"),
    )
}
MOST_STATES = 2**20
"""No message says that a table fits observations of more values: few would ever be seen twice."""

ALIASES = {"ga": "genetic"}
"""What agents are called for short."""


def register_agent(
    name: str,
    entry: str,
    kind: Kind,
    summary: str,
    *,
    config: str | None = None,
    modes: tuple[str, ...] = (),
    on_device: bool = False,
    like: str | None = None,
) -> None:
    """Registers an agent of another distribution, for all commands.

    Nothing is imported until the agent is used. To register an agent again just the same is allowed. Check it
    with `meze.agents.conformance.check_agent`.

    Args:
        name: what it is called on the command line.
        entry: `package.module:Class`.
        kind: which class of `agents.base` it inherits; see `KINDS`.
        summary: one line for listings.
        config: `package.module:Class` of its settings, a frozen dataclass whose fields all have defaults.
        modes: observation modes of a world that suit it, the preferred one first; empty: any.
        on_device: whether its constructor takes a torch `device` too.
        like: agent whose presets hold for it where it has none of its own.

    Raises:
        ValueError: when another agent has this name, or an argument can't be right.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ValueError(
            f"{name!r} can't be an agent's name: lower-case words joined by hyphens, as in q-learning"
        )
    if kind not in get_args(Kind):
        raise ValueError(f"agent {name}: kind is one of {', '.join(get_args(Kind))}; got {kind!r}")
    for path in filter(None, (entry, config)):
        module, colon, attribute = path.partition(":")
        if not (module and colon and attribute) or module.startswith("."):
            raise ValueError(f"agent {name}: {path!r} is not of the form package.module:Class")
    if like is not None and (like == name or like not in _AGENTS):
        raise ValueError(f"agent {name}: there is no other agent {like!r} to be like")
    spec = AgentSpec(name, entry, kind, summary, config, tuple(modes), on_device=on_device, like=like)
    if name in agent_names() and _AGENTS.get(name) != spec:
        raise ValueError(f"there is an agent {name} already")
    _AGENTS[name] = spec


def agent_names() -> set[str]:
    """All names that mean an agent."""
    return {*_AGENTS, *ALIASES}


def agent_specs() -> tuple[AgentSpec, ...]:
    """All agents, in the order of listings."""
    return tuple(_AGENTS.values())


def find_agent(name: str) -> AgentSpec:
    """The agent of that name.

    Raises:
        ValueError: when there is none; the message names the closest.
    """
    name = ALIASES.get(name, name)
    if name in _AGENTS:
        return _AGENTS[name]
    raise ValueError(unknown("agent", name, _AGENTS))


def make_agent(
    name: str,
    observation_space: Space,
    action_space: Space,
    *,
    num_envs: int,
    config: Any = None,
    seed: int,
    device: str = "cpu",
) -> Learner | Policy | Searcher | Trainer | Imitator:
    """Builds an agent for one environment's spaces.

    Args:
        name: which agent.
        observation_space: space of one environment's observations.
        action_space: space of one environment's actions.
        num_envs: rows of the batches that it will learn from.
        config: its settings, an instance of `config_class()`; None for the defaults.
        seed: of its random generator.
        device: torch device that it computes on, if it does.

    Raises:
        ValueError: for an unknown name, spaces that do not fit, an extra that is not installed, or a plug-in
            that lacks methods, or does not inherit what its kind does.
    """
    spec = find_agent(name)
    config = spec.config_class()() if config is None else config
    # A child of the seed: an environment with the same seed draws from default_rng(seed), and actions that
    # follow the same numbers as its transitions would learn a world that isn't there.
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    where = {"device": device} if spec.on_device else {}
    agent_class = spec.agent_class()
    check_complete(agent_class, spec.kind)
    try:
        agent: Any = agent_class(
            observation_space, action_space, num_envs=num_envs, config=config, rng=rng, **where
        )
    except MisfitError as error:
        raise ValueError(f"{error}{_cure(spec, observation_space, action_space)}") from error
    check_bases(agent, spec.kind)
    return agent


def check_complete(agent_class: type, kind: Kind) -> None:
    """Makes sure that an agent's class has all methods that it must have.

    Raises:
        ValueError: one line, when it lacks some.
    """
    if inspect.isabstract(agent_class):
        missing = ", ".join(sorted(agent_class.__abstractmethods__))
        raise ValueError(f"{agent_class.__name__} is a {kind}, and lacks the methods {missing}")


def check_bases(agent: Any, kind: Kind) -> None:
    """Makes sure that an agent, and its policy, inherit what those of its kind do, with all its defaults.

    Raises:
        ValueError: one line, when one does not.
    """
    _check_inherits(agent, KINDS[kind].base)
    if KINDS[kind].is_trained:
        if getattr(agent, "policy", None) is None:
            raise ValueError(f"{type(agent).__name__} is a {kind}, and has no policy")
        _check_inherits(agent.policy, Policy)


def _check_inherits(part: Any, base: type) -> None:
    if not isinstance(part, base):
        raise ValueError(f"{type(part).__name__} has to inherit {base.__module__}.{base.__name__}")


def fitting_agents(observation_space: Space, action_space: Space) -> list[AgentSpec]:
    """The project's trained agents that take these spaces, as far as their kinds tell."""
    kinds = {Discrete: "discrete", Box: "box", MultiDiscrete: "multi", MultiBinary: "multi"}
    kind = next((name for each, name in kinds.items() if isinstance(action_space, each)), "other")
    is_endless = isinstance(action_space, Box) and not action_space.is_bounded()
    if is_endless or not isinstance(observation_space, tuple(kinds)):
        return []
    numbered = (numbers := numbering(observation_space)) is not None and numbers.size <= MOST_STATES
    count = int(observation_space.n) if isinstance(observation_space, Discrete) else 0
    return [
        spec
        for spec in _AGENTS.values()
        if kind in spec.actions and (numbered or not spec.numbers_only) and count <= spec.most_numbers
    ]


def _cure(spec: AgentSpec, observation_space: Space, action_space: Space) -> str:
    """What to take instead of an agent that does not fit; nothing where it is its settings that do not."""
    fitting = [each.name for each in fitting_agents(observation_space, action_space)]
    if spec.name in fitting:
        return ""
    if not fitting:
        return "; no agent takes these"
    arrays = isinstance(action_space, Discrete) and not isinstance(observation_space, Discrete)
    encoder = "--encoder kmeans, which makes numbers of arrays, or " if spec.numbers_only and arrays else ""
    return f"; try {encoder}one of {', '.join(fitting)}"
