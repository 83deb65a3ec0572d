"""Checks that an agent keeps its promises; for the project's agents and for those of others.

from meze.agents.conformance import check_agent
check_agent("my-agent")
check_agent(MyLearner, config=MyConfig(learning_rate=0.5), modes=("index",))
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import numbers
import tempfile
import typing
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space, Text
from numpy.typing import NDArray

from ..checking import load_object
from ..comparing import assert_same
from . import checkpoint
from .base import Memory, Policy, Transition, decide
from .conformance_memory import recalls_what_it_remembers, rows_do_not_mix
from .conformance_toy import ACTIONS, CUT, ENDS, LAMPS, OBSERVATIONS, RIGHT, STATES, Toy, encode
from .memory import forget, leaves, named
from .registry import KINDS, Kind, check_bases, check_complete, find_agent

NUM_ENVS = 8
SEED = 1234
ODD: tuple[tuple[Space, Space], ...] = (
    (Text(5), ACTIONS),
    (Discrete(STATES), Text(5)),
    (Discrete(STATES), MultiDiscrete([2, 3])),
    (Discrete(STATES), Box(-1.0, 1.0, (2,))),
    (Box(-1.0, 1.0, (4,)), Box(-1.0, 1.0, (2,))),
    (Discrete(STATES, start=3), ACTIONS),
    (Discrete(STATES), Discrete(3, start=1)),
)
"""Spaces that an agent may take or refuse, beside those of `OBSERVATIONS`."""


def check_agent(
    agent: str | type, *, config: Any = None, modes: Collection[str] | None = None, steps: int = 20_000
) -> None:
    """Checks an agent on small problems whose answers are known.

    Args:
        agent: a registered name, the agent's class, or `package.module:Class`.
        config: its settings, quick to learn with; None: the defaults.
        modes: observation modes that it claims to take, of `index`, `plain` and `grid`; None: those that it
            is registered with, all if there are none.
        steps: transitions from which it is to learn better than chance.

    Raises:
        AssertionError: naming the promise that is broken.
    """
    case = _Case(agent, config, modes, steps)
    for check in CHECKS:
        try:
            check(case)
        except AssertionError as error:
            promise = (check.__doc__ or "").split("\n")[0]
            raise AssertionError(f"{case.name}: {promise} Not so: {error}") from error


class _Case:
    """The agent under check, and how to make and train it."""

    def __init__(self, agent: str | type, config: Any, modes: Collection[str] | None, steps: int) -> None:
        spec = find_agent(agent) if isinstance(agent, str) and ":" not in agent else None
        self.name = agent if isinstance(agent, str) else agent.__name__
        self.agent_class: Any = spec.agent_class() if spec else load_object(agent)
        self.kind: Kind = spec.kind if spec else _kind_of(self.agent_class)
        claimed = modes or (spec.modes if spec else ()) or OBSERVATIONS
        self.modes = [mode for mode in OBSERVATIONS if mode in claimed]
        self.config = _default_config(spec, self.agent_class) if config is None else config
        self.where = {"device": "cpu"} if "device" in inspect.signature(self.agent_class).parameters else {}
        self.steps = steps

    @property
    def is_trained(self) -> bool:
        return KINDS[self.kind].is_trained

    @property
    def mode(self) -> str:
        """The mode in which it is trained: the simplest."""
        assert self.modes, f"it claims none of the modes {', '.join(OBSERVATIONS)}"
        return self.modes[0]

    def make(self, obs_space: Space, action_space: Space, seed: int = SEED) -> Any:
        """An agent for some spaces."""
        return self.agent_class(
            obs_space,
            action_space,
            num_envs=NUM_ENVS,
            config=self.config,
            rng=np.random.default_rng(seed),
            **self.where,
        )

    def fresh(self, seed: int = SEED) -> Any:
        """An agent for the toy problem."""
        return self.make(OBSERVATIONS[self.mode], ACTIONS, seed)

    def agents(self) -> Iterator[Any]:
        """One that is new, and one that has learned."""
        yield self.fresh()
        if self.is_trained:
            yield self.trained

    def policy(self, agent: Any) -> Policy:
        return agent.policy if self.is_trained else agent

    def greedy(self, agent: Any, states: NDArray) -> NDArray:
        """What it does without exploring, where the actions that the toy forbids are forbidden."""
        obs = encode(self.mode, states)
        return decide(self.policy(agent), obs, mask=Toy.mask(states)).action

    @cached_property
    def trained(self) -> Any:
        """An agent that has learned from as many transitions as were asked for."""
        agent = self.fresh()
        for _ in self.history(agent, Toy(self.mode, NUM_ENVS, SEED), self.steps):
            pass
        return agent

    def history(self, agent: Any, toy: Toy, steps: int) -> Iterator[Any]:
        """What an agent does while it is trained (or just acts) for so many transitions."""
        return HISTORIES[self.kind](self, agent, toy, steps)

    def _policy_history(self, agent: Any, toy: Toy, steps: int) -> Iterator[Any]:
        for _ in range(0, steps, NUM_ENVS):
            action = decide(agent, toy.obs, explore=True, mask=toy.action_masks()).action
            yield action
            toy.step(action)

    def _learner_history(self, agent: Any, toy: Toy, steps: int) -> Iterator[Any]:
        memory: Memory = None
        for _ in range(0, steps, NUM_ENVS):
            obs, mask = toy.obs, toy.action_masks()
            action, following, extras = decide(agent.policy, obs, memory, explore=True, mask=mask)
            yield action
            _, reward, terminated, truncated, info = toy.step(action)
            seen = info["final_obs"], terminated, truncated, info["final_info"]["action_mask"]
            batch = Transition(obs, action, reward, *seen, mask, memory, extras)
            expected = agent.expected(batch)
            for name, values in expected._asdict().items() if expected else ():
                sound = np.shape(values) == np.shape(reward) and np.isfinite(values).all()
                assert sound, f"what it expects {name} is {values!r}, not a number a row"
            metrics = agent.learn(batch)
            memory = forget(following, np.flatnonzero(terminated | truncated))
            assert isinstance(metrics, dict), f"learn returned {metrics!r}, not metrics by name"
            for name, value in metrics.items():
                assert isinstance(value, numbers.Number) or np.ndim(value) == 0, f"metric {name}: {value!r}"

    def _trainer_history(self, agent: Any, toy: Toy, steps: int) -> Iterator[Any]:
        agent.begin(toy, toy.obs)
        until = toy.count + steps
        while toy.count < until:
            before = toy.count
            count, metrics = agent.advance()
            assert count == toy.count - before, (
                f"it told of {count} transitions and made {toy.count - before}"
            )
            assert isinstance(metrics, dict), f"advance returned {metrics!r}, not metrics by name"
            yield toy.last_action

    def _searcher_history(self, agent: Any, toy: Toy, steps: int) -> Iterator[Any]:
        states = np.arange(STATES)
        while steps > 0:
            population = agent.ask()
            size = len(population)
            steps -= size * STATES
            genomes = np.repeat(np.arange(size), STATES)
            obs, mask = encode(self.mode, np.tile(states, size)), Toy.mask(np.tile(states, size))
            action = decide(agent.policy_of(population, genomes), obs, mask=mask).action
            yield action
            reward = Toy.outcome(np.tile(states, size), action)[0]
            agent.tell(reward.reshape(size, STATES).mean(axis=1))

    def _imitator_history(self, agent: Any, toy: Toy, steps: int) -> Iterator[Any]:
        states = np.arange(min(steps, 50 * STATES)) % STATES
        for count in (len(states) // 2, len(states)):
            agent.imitate(encode(self.mode, states[:count]), RIGHT[states[:count]])
            yield self.greedy(agent, states)


HISTORIES: dict[Kind, Callable[[_Case, Any, Toy, int], Iterator[Any]]] = {
    "policy": _Case._policy_history,
    "learner": _Case._learner_history,
    "trainer": _Case._trainer_history,
    "searcher": _Case._searcher_history,
    "imitator": _Case._imitator_history,
}
"""Kind of agent to how it is trained on the toy problem."""


def _kind_of(agent_class: type) -> Kind:
    """What an agent is that is not registered, by what it inherits; a policy if nothing of ours."""
    for kind, row in KINDS.items():
        if issubclass(agent_class, row.base):
            return kind
    return "policy"


def _default_config(spec: Any, agent_class: type) -> Any:
    """The settings that it is registered with, or that its constructor (or a parent's) has annotated."""
    if spec:
        kinds = [spec.config_class()]
    else:
        own = [each.__init__ for each in agent_class.__mro__ if "__init__" in vars(each)]
        kinds = [typing.get_type_hints(each).get("config") for each in own if each is not object.__init__]
    return next((kind() for kind in kinds if isinstance(kind, type) and kind is not type(None)), None)


# ---------------------------------------------------------------- spaces, actions, masks


def _has_its_methods(case: _Case) -> None:
    """An agent has the methods of its kind, and settings that are a frozen dataclass."""
    if case.config is not None:
        assert dataclasses.is_dataclass(case.config), "the config is no dataclass"
        assert vars(type(case.config))["__dataclass_params__"].frozen, "the config's dataclass is not frozen"
    with _refusing():
        check_complete(case.agent_class, case.kind)


def _inherits(case: _Case) -> None:
    """It inherits what agents of its kind do, and its policy what policies do, with all the defaults."""
    with _refusing():
        check_bases(case.fresh(), case.kind)


@contextmanager
def _refusing() -> Iterator[None]:
    """Where a ValueError says what is wrong."""
    try:
        yield
    except ValueError as error:
        raise AssertionError(str(error)) from error


def _takes_what_it_claims(case: _Case) -> None:
    """It takes the spaces that it claims."""
    for mode in case.modes:
        try:
            case.make(OBSERVATIONS[mode], ACTIONS)
        except ValueError as error:
            raise AssertionError(f"it claims {mode}, and refuses {OBSERVATIONS[mode]}: {error}") from error


def _takes_or_refuses_others(case: _Case) -> None:
    """Other spaces it takes in earnest, or refuses in one line that names both."""
    others = [(space, ACTIONS) for mode, space in OBSERVATIONS.items() if mode not in case.modes]
    for spaces in (*others, *ODD):
        _acts_or_refuses(case, *spaces)


def _acts_or_refuses(case: _Case, obs_space: Space, action_space: Space) -> None:
    pair = f"{obs_space} and {action_space}"
    try:
        agent = case.make(obs_space, action_space)
    except ValueError as error:
        line = str(error)
        named = str(obs_space) in line and str(action_space) in line
        assert named and "\n" not in line, f"it refuses {pair} with {line!r}"
        return
    except Exception as error:
        raise AssertionError(f"{pair} end in {type(error).__name__}: {error}, not a ValueError") from error
    obs_space.seed(SEED)
    obs = np.array([obs_space.sample() for _ in range(NUM_ENVS)])
    try:
        actions = decide(case.policy(agent), obs, explore=True).action
    except Exception as error:
        raise AssertionError(f"it took {pair}, and can't act: {type(error).__name__}: {error}") from error
    for action in actions:
        assert action in action_space, f"it took {pair}, and chose {action!r}"


def _acts_on_batches(case: _Case) -> None:
    """It chooses one possible action for each row of any batch, and changes nothing that it is given.

    What it remembers is of one structure, whether it explores or not.
    """
    for agent in case.agents():
        for size in (1, 3, NUM_ENVS, 5 * NUM_ENVS):
            states = np.arange(size) % STATES
            obs, mask = encode(case.mode, states), Toy.mask(states)
            kept = obs.copy(), mask.copy()
            parts: list[Collection[str]] = []
            for explore in (False, True):
                actions, memory, extras = decide(case.policy(agent), obs, explore=explore, mask=mask)
                shape = np.shape(actions)
                assert shape == (size,), f"actions of shape {shape} for {size} rows"
                assert np.asarray(actions).dtype.kind in "iu", f"actions are {np.asarray(actions).dtype}"
                assert np.isin(actions, np.arange(3)).all(), f"actions {actions} are not in {ACTIONS}"
                with _refusing():
                    shapes = [tuple(np.shape(leaf)) for leaf in leaves((memory, extras))]
                parts.append(named(memory).keys())
                fit = all(shape[:1] == (size,) for shape in shapes)
                assert fit, f"memory and extras of the shapes {shapes} for {size} rows"
            assert parts[0] == parts[1], f"it remembers {[*parts[0]]}, and exploring {[*parts[1]]}"
            assert np.array_equal(obs, kept[0]) and np.array_equal(mask, kept[1]), (
                "act wrote to its arguments"
            )


def _honours_masks(case: _Case) -> None:
    """It never takes an action that the mask forbids, exploring or not."""
    rng = np.random.default_rng(SEED)
    for agent in case.agents():
        for dtype in (np.int8, np.bool_):
            states = rng.integers(STATES, size=400)
            mask = (rng.random((400, 3)) < 0.4).astype(dtype)
            mask[np.arange(400), rng.integers(3, size=400)] = 1
            for explore in (False, True):
                obs = encode(case.mode, states)
                actions = decide(case.policy(agent), obs, explore=explore, mask=mask).action
                taken = mask[np.arange(400), actions] != 0
                assert taken.all(), f"{(~taken).sum()} of 400 actions were forbidden, with explore={explore}"


def _rows_are_independent(case: _Case) -> None:
    """Without exploring, a row's action depends on that row alone, so scores do not depend on the batch."""
    if not case.is_trained:
        return  # what is not trained may draw
    decided = np.concatenate([[CUT, ENDS], LAMPS])  # where one action is best, so that none tie
    states = np.random.default_rng(SEED).permutation(np.repeat(decided, 3))
    together = case.greedy(case.trained, states)
    alone = [case.greedy(case.trained, states[row : row + 1])[0] for row in range(len(states))]
    assert np.array_equal(together, alone), f"states {states}: together {together}, alone {np.array(alone)}"


# ---------------------------------------------------------------- training goes the same way


def _deterministic(case: _Case) -> None:
    """The same random numbers give the same agent."""
    runs: list[Any] = []
    for seed in (1, 2):  # of what it must not draw from
        np.random.seed(seed)
        agent = case.fresh()
        run = list(case.history(agent, Toy(case.mode, NUM_ENVS, SEED), 400))
        runs.append([*run, case.greedy(agent, np.arange(STATES))] if case.is_trained else run)
    assert_same(runs[1], runs[0], "run")


def _state_is_data(case: _Case) -> None:
    """state_dict holds arrays and values of JSON, and comes back from a file as it went."""
    if not case.is_trained:
        return
    state = case.trained.state_dict()
    assert isinstance(state, dict) and all(isinstance(name, str) for name in state), "no names to values"
    with _refusing():
        loaded = _through_file(state)
    plain = {
        name: value if isinstance(value, np.ndarray) else json.loads(json.dumps(value))
        for name, value in state.items()
    }
    assert_same(loaded, plain, "state")


def _through_file(state: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(Path(folder, "state.safetensors"), state)
        return checkpoint.load(Path(folder, "state.safetensors"))


def _goes_on_from_its_state(case: _Case) -> None:
    """One that was saved and loaded acts and learns on as the original does, bit for bit."""
    if not case.is_trained:
        return
    original, toy = case.fresh(), Toy(case.mode, NUM_ENVS, SEED)
    for _ in case.history(original, toy, 600):
        pass
    loaded, copy = case.fresh(SEED + 1), deepcopy(toy)
    loaded.load_state_dict(_through_file(original.state_dict()))
    states = np.arange(STATES)
    assert_same(case.greedy(loaded, states), case.greedy(original, states), "actions after loading")
    if not original.exact:  # it says itself that it leaves something out
        return
    on, again = case.history(loaded, copy, 400), case.history(original, toy, 400)
    assert_same(list(on), list(again), "actions while learning on")
    assert_same(loaded.state_dict(), original.state_dict(), "state after learning on")


# ---------------------------------------------------------------- what it learns


def _learns(case: _Case) -> None:
    """It learns a tiny problem better than chance."""
    if not case.is_trained:
        return
    actions = case.greedy(case.trained, LAMPS)
    right = int((actions == RIGHT[LAMPS]).sum())
    assert right >= len(LAMPS) - 1, f"{right} of {len(LAMPS)} right, from {case.steps:,} transitions"


def _only_terminated_stops_bootstrapping(case: _Case) -> None:
    """Only `terminated` stops bootstrapping: what was merely truncated still has its successor's value.

    In both states the first action earns nothing and leads to a state worth 1, the second earns 0.5 and ends
    the episode. In one of them the first action truncates the episode, in the other it terminates it.
    """
    if not KINDS[case.kind].bootstraps:
        return
    cut, ends = case.greedy(case.trained, np.array([CUT, ENDS]))
    assert cut == RIGHT[CUT], "a truncated episode's successor has lost its value"
    assert ends == RIGHT[ENDS], "a terminated episode's successor has a value"


CHECKS: tuple[Callable[[_Case], None], ...] = (
    _has_its_methods,
    _takes_what_it_claims,
    _inherits,
    _acts_on_batches,
    _honours_masks,
    _takes_or_refuses_others,
    _rows_are_independent,
    rows_do_not_mix,
    _deterministic,
    _state_is_data,
    _goes_on_from_its_state,
    _learns,
    _only_terminated_stops_bootstrapping,
    recalls_what_it_remembers,
)
