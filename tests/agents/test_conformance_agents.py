"""The conformance checks of agents: our own pass, and each check has a broken agent that trips it."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from meze.agents.base import Learner, Searcher
from meze.agents.conformance import check_agent
from meze.agents.deep.dqn import DQNConfig
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.deep.ppo import PPOConfig
from meze.agents.deep.pqn import PQNConfig
from meze.agents.random import RandomPolicy
from meze.agents.registry import agent_specs
from meze.agents.sb3.config import A2CConfig, RecurrentPPOConfig
from meze.agents.sb3.config import DQNConfig as SB3DQNConfig
from meze.agents.sb3.config import PPOConfig as SB3PPOConfig
from meze.agents.schedules import Schedule
from meze.agents.tabular import QLearning, TabularConfig
from recalling_agent import Recalling, RecallingPolicy

SMALL, FAST, ONE = NetworkConfig(hidden=(32,)), Schedule(3e-3, 1e-3, 20_000), Schedule(1.0, 1.0, 0)
CONFIGS = {  # where the defaults are for longer training
    "dqn": DQNConfig(
        net=SMALL, learning_rate=FAST, exploration=ONE, buffer_size=2_000, learning_starts=100, batch_size=64,
        target_update_interval=320, buffer_checkpoint="full",
    ),
    "pqn": PQNConfig(net=SMALL, learning_rate=FAST, exploration=ONE, num_steps=8, num_minibatches=2),
    "ppo": PPOConfig(net=SMALL, learning_rate=FAST, num_steps=8),
    "sb3-ppo": SB3PPOConfig(net=SMALL, learning_rate=FAST, num_steps=32, num_minibatches=2),
    "sb3-a2c": A2CConfig(net=SMALL, learning_rate=FAST),
    "sb3-recurrent-ppo": RecurrentPPOConfig(
        net=dataclasses.replace(SMALL, memory="lstm"), learning_rate=FAST, num_steps=32, num_minibatches=2
    ),
    "sb3-dqn": SB3DQNConfig(
        net=SMALL, learning_rate=FAST, exploration=ONE, buffer_size=2_000, learning_starts=100, train_freq=1,
        target_update_interval=100,
    ),
}  # fmt: skip


def slow_if(name):
    """Those that train networks for long are left to the full run."""
    return pytest.param(name, marks=pytest.mark.slow) if name in CONFIGS and name != "pqn" else name


# The toy problem has Discrete actions; those that take none have tests of their own (test_sb3_box.py).
@pytest.mark.parametrize("name", [slow_if(spec.name) for spec in agent_specs() if spec.actions != ("box",)])
def test_our_agents_conform(name):
    check_agent(name, config=CONFIGS.get(name))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "memory"), [("pqn", "gru"), ("pqn", "lstm"), ("ppo", "gru")])
def test_agents_with_a_memory_conform(name, memory):
    """Among other things they recall a cue, which is what `recalls_what_it_remembers` asks of them."""
    net = dataclasses.replace(SMALL, memory=memory)
    check_agent(name, config=dataclasses.replace(CONFIGS[name], net=net))


# ---------------------------------------------------------------- broken agents


class Own(QLearning):
    """Q-learning, whose settings the check finds by itself."""

    def __init__(self, observation_space, action_space, *, num_envs, config: TabularConfig, rng) -> None:
        super().__init__(observation_space, action_space, num_envs=num_envs, config=config, rng=rng)
        self.policy.act = self.change(self.policy.act)

    def change(self, act):
        return act


class Blind(Own):
    def change(self, act):
        return lambda obs, memory=None, *, explore, mask=None: act(obs, memory, explore=explore)


class Column(Own):
    def change(self, act):
        return lambda obs, *args, **kwargs: (act(obs, *args, **kwargs)[0][:, None], None)


class Scribbler(Own):
    def change(self, act):
        def scribble(obs, *args, **kwargs):
            actions = act(obs, *args, **kwargs)
            obs[:] = 0
            return actions

        return scribble


class Sheep(Own):
    """Does everywhere what it would do in the first row, where it may."""

    def change(self, act):
        def follow(obs, memory=None, *, explore, mask=None):
            action, _ = act(obs, explore=explore, mask=mask)
            if mask is None:
                return action, None
            allowed = mask[np.arange(len(obs)), action[0]] != 0
            return np.where(allowed, action[0], action), None

        return follow


class Gambler(Own):
    def change(self, act):
        def gamble(obs, memory=None, *, explore, mask=None):
            if not explore or mask is None:
                return act(obs, explore=explore, mask=mask)
            return (np.random.random((len(obs), 3)) * (mask != 0)).argmax(axis=1), None

        return gamble


class Choosy(Own):
    def __init__(self, observation_space, action_space, **kwargs) -> None:
        if observation_space == Discrete(9):
            raise ValueError(f"not {observation_space} and {action_space}")
        super().__init__(observation_space, action_space, **kwargs)


class Curt(Own):
    def __init__(self, observation_space, action_space, **kwargs) -> None:
        if not isinstance(action_space, Discrete) or not isinstance(observation_space, Discrete):
            raise ValueError("no")
        super().__init__(observation_space, action_space, **kwargs)


class Crash(Own):
    def __init__(self, observation_space, action_space, **kwargs) -> None:
        super().__init__(Discrete(observation_space.n), Discrete(action_space.n), **kwargs)


class FromZero(Own):
    """Takes actions that begin elsewhere than at 0, and forgets it."""

    def __init__(self, observation_space, action_space, **kwargs) -> None:
        from_zero = Discrete(int(action_space.n)) if isinstance(action_space, Discrete) else action_space
        super().__init__(observation_space, from_zero, **kwargs)


class Lazy(Own):
    def learn(self, batch):
        return {}


class Silent(Own):
    def learn(self, batch):
        super().learn(batch)


class Shortsighted(Own):
    def learn(self, batch):
        return super().learn(batch._replace(terminated=batch.terminated | batch.truncated))


class Dreamer(Own):
    def learn(self, batch):
        return super().learn(batch._replace(terminated=np.zeros_like(batch.terminated)))


class Hoarder(Own):
    def state_dict(self):
        return {**super().state_dict(), "seen": {1, 2}}


class Forgetful(Own):
    """Its random numbers are not saved."""

    def load_state_dict(self, state):
        super().load_state_dict({**state, "rng": self.rng.bit_generator.state})


class Rejuvenated(Own):
    """Its schedules begin anew."""

    def load_state_dict(self, state):
        super().load_state_dict({**state, "steps": 0})


class Abstract(Learner):
    """Has nothing of what a learner must have."""


class Alone:
    """Q-learning that inherits nothing, and so has none of the parts that a learner may have."""

    def __init__(self, *args, config: TabularConfig, **kwargs) -> None:
        self._own = Own(*args, config=config, **kwargs)
        self.policy = self._own.policy
        self.learn, self.load_state_dict = self._own.learn, self._own.load_state_dict

    def act(self, obs, memory=None, *, explore=False, mask=None):
        return self.policy.act(obs, memory, explore=explore, mask=mask)


class OwnPolicy(Own):
    """Its policy acts, and inherits nothing."""

    def __init__(self, *args, config: TabularConfig, **kwargs) -> None:
        super().__init__(*args, config=config, **kwargs)
        self.policy = type("Actor", (), {"act": staticmethod(self.policy.act)})()


class NoPolicy(Searcher):
    """Has all methods, and forgot what acts."""

    def __init__(self, observation_space, action_space, *, num_envs, config, rng) -> None:
        pass

    ask = policy_of = tell = state_dict = load_state_dict = __init__


@dataclass
class LooseConfig:
    learning_rate: float = 0.1


class Loose(RandomPolicy):
    def __init__(self, observation_space, action_space, *, num_envs, config: LooseConfig, rng) -> None:
        super().__init__(observation_space, action_space, num_envs=num_envs, config=None, rng=rng)


@pytest.mark.parametrize(
    ("agent", "promise"),
    [
        (Loose, "settings that are a frozen dataclass"),
        (Abstract, "Abstract is a learner, and lacks the methods learn, load_state_dict, state_dict"),
        (Alone, "Alone has to inherit meze.agents.base.Policy"),
        (NoPolicy, "NoPolicy is a searcher, and has no policy"),
        (OwnPolicy, "Actor has to inherit meze.agents.base.Policy"),
        (Choosy, "it claims index, and refuses"),
        (Curt, "one line that names both.*'no'"),
        (Crash, "end in AttributeError"),
        (FromZero, r"Discrete\(3, start=1\), and chose"),
        (Column, "one possible action for each row"),
        (Scribbler, "changes nothing that it is given"),
        (Blind, "never takes an action"),
        (Sheep, "depends on that row alone"),
        (Gambler, "same random numbers"),
        (Silent, "learn returned None"),
        (Hoarder, "arrays and values of JSON"),
        (Forgetful, "acts and learns on as the original"),
        (Rejuvenated, "acts and learns on as the original"),
        (Lazy, "better than chance"),
        (Shortsighted, "Only `terminated` stops.*has lost its value"),
        (Dreamer, "Only `terminated` stops.*successor has a value"),
    ],
)
def test_a_broken_agent_is_found(agent, promise):
    with pytest.raises(AssertionError, match=promise):
        check_agent(agent, modes=None if agent is Loose else ("index",))


def test_a_healthy_class_passes_with_its_own_settings():
    config = dataclasses.replace(TabularConfig(), learning_rate=Schedule(0.5, 0.1, 5_000))
    check_agent(Own, modes=("index",), config=config, steps=4_000)
    check_agent("meze.agents.tabular:Sarsa", modes=("index",))


# ---------------------------------------------------------------- agents that remember


class Mixing(RecallingPolicy):
    """Takes what another row remembers for its own."""

    def pairs(self, obs, memory):
        return super().pairs(obs, memory and memory._replace(first=np.roll(memory.first, 1)))


class Contagious(RecallingPolicy):
    """Begins anew in all rows when the first one does."""

    def pairs(self, obs, memory):
        return super().pairs(obs, None if memory is None or not memory.first[0] else memory)


class Unforgetting(RecallingPolicy):
    """Remembers beside its memory, and so beyond the episode."""

    kept = np.zeros(0)

    def pairs(self, obs, memory):
        if memory is not None and len(self.kept) == len(obs):
            memory = memory._replace(first=np.where(memory.first > 0, memory.first, self.kept))
        pairs = super().pairs(obs, memory)
        self.kept = pairs // self.size + 1
        return pairs


class Absent(RecallingPolicy):
    """Remembers what it saw last only."""

    def act(self, obs, memory=None, *, explore=False, mask=None):
        action, remembered, extras = super().act(obs, memory, explore=explore, mask=mask)
        return action, remembered._replace(first=obs + 1), extras


class Scalar(RecallingPolicy):
    """Tells something of the batch, not of its rows."""

    def act(self, obs, memory=None, *, explore=False, mask=None):
        action, remembered, extras = super().act(obs, memory, explore=explore, mask=mask)
        return action, remembered, {**extras, "mean": extras["values"].mean()}


class Short(RecallingPolicy):
    """Tells something of one row alone."""

    def act(self, obs, memory=None, *, explore=False, mask=None):
        action, remembered, extras = super().act(obs, memory, explore=explore, mask=mask)
        return action, remembered, {**extras, "first": extras["values"][:1]}


class Absentminded(RecallingPolicy):
    """Remembers when it explores, and not when it acts as well as it can."""

    def act(self, obs, memory=None, *, explore=False, mask=None):
        action, remembered, extras = super().act(obs, memory, explore=explore, mask=mask)
        return action, remembered if explore else None, extras


# A pair to which an episode is cut off is never acted in: an optimistic table has its value all the same.
OPTIMISTIC = TabularConfig(initial_value=1.0)


def test_an_agent_that_remembers_conforms():
    check_agent(Recalling, modes=("index",), config=OPTIMISTIC)


@pytest.mark.parametrize(
    ("policy", "promise"),
    [
        (Mixing, "depends on that row alone.*other rows saw other things, and a"),
        (Contagious, "depends on that row alone.*other rows saw other things, and a"),
        (Unforgetting, "is gone where it was reset.*after zeros it should be"),
        (Absent, "solves a task of some steps.* of 3 cues recalled"),
        (Scalar, "memory and extras are of numpy's arrays and torch's tensors; got"),
        (Short, "memory and extras of the shapes"),
        (Absentminded, r"it remembers \[\], and exploring \['memory.0'"),
    ],
)
def test_a_broken_memory_is_found(policy, promise):
    broken = type(policy.__name__, (Recalling,), {"policy_class": policy})
    with pytest.raises(AssertionError, match=promise):
        check_agent(broken, modes=("index",), config=OPTIMISTIC)
