"""DQN and PQN on CUDA: recorded graphs learn what the CPU learns."""

import dataclasses

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from meze.agents.base import Transition
from meze.agents.deep.dqn import DQN, DQNConfig
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.deep.pqn import PQN, PQNConfig
from meze.agents.schedules import Schedule

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
SHARED = {
    "net": NetworkConfig(hidden=(64,)),
    "learning_rate": Schedule(1e-2, 1e-3, 20_000),
    "exploration": Schedule(1.0, 1.0, 0),
    "gamma": 0.9,
    "loss": "mse",
}
CASES = {
    "dqn": (
        DQN,
        DQNConfig(
            **SHARED, buffer_size=2_000, learning_starts=200, target_update_interval=400, replay_ratio=0.05
        ),
    ),
    "prioritized": (
        DQN,
        DQNConfig(
            **SHARED,
            buffer_size=2_000,
            learning_starts=200,
            target_update_interval=400,
            replay_ratio=0.05,
            prioritized=True,
        ),
    ),
    "pqn": (PQN, PQNConfig(**SHARED, num_steps=4, num_minibatches=1, q_lambda=0.0)),
    "remembering": (
        PQN,
        PQNConfig(
            **(SHARED | {"net": NetworkConfig(hidden=(64,), memory="gru")}),
            num_steps=4,
            num_minibatches=1,
            q_lambda=0.0,
        ),
    ),
}


def make(name, **changes):
    kind, config = CASES[name]
    config = dataclasses.replace(config, **changes)
    rng = np.random.default_rng(0)
    return kind(Discrete(2), Discrete(2), num_envs=16, config=config, rng=rng, device="cuda")


def play(learner, steps):
    """Two states: action 1 pays 1 in state 0 and leads to the other; the mask forbids 0 in state 1."""
    rng = np.random.default_rng(1)
    state = rng.integers(2, size=16)
    allowed = np.array([[True, True], [False, True]])
    no, memory = np.zeros(16, np.bool_), None
    for step in range(steps):
        action, after, extras = learner.policy.act(state, memory, explore=True, mask=allowed[state])
        assert allowed[state, action].all()
        reward = np.where((state == 0) & (action == 1), 1.0, 0.0)
        following = np.where(action == 1, 1 - state, state)
        truncated = ~no if step % 7 == 6 else no
        known = allowed[state], memory, extras
        learner.learn(Transition(state, action, reward, following, no, truncated, allowed[following], *known))
        state = rng.integers(2, size=16) if step % 7 == 6 else following
        memory = None if step % 7 == 6 else after


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_learns_the_optimal_values(name, precision):
    learner = make(name, precision=precision)
    play(learner, 2000)
    values = learner.policy.action_values(np.arange(2))
    best = 1 / (1 - 0.9**2)  # 1 at every second step
    optimal = np.array([[0.9 * best, best], [np.nan, 0.9 * best]])
    seen = ~np.isnan(optimal)
    np.testing.assert_allclose(values[seen], optimal[seen], rtol=0.1)


@pytest.mark.parametrize("name", CASES)
def test_a_saved_learner_goes_on_and_moves_to_the_cpu(name):
    learner = make(name)
    play(learner, 200)
    state = learner.state_dict()
    other = make(name)
    other.load_state_dict(state)
    play(other, 20)
    kind, config = CASES[name]
    rng = np.random.default_rng(0)
    on_cpu = kind(Discrete(2), Discrete(2), num_envs=16, config=config, rng=rng, device="cpu")
    on_cpu.load_state_dict(state)
    states = np.arange(2)
    np.testing.assert_allclose(
        on_cpu.policy.action_values(states), learner.policy.action_values(states), rtol=1e-4, atol=1e-4
    )


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("name", CASES)
def test_learning_does_not_wait_for_the_device(name):
    learner = make(name)
    play(learner, 100)
    no, ones = np.zeros(16, np.bool_), np.ones((16, 2), np.bool_)
    before = learner.steps
    for _ in range(8):
        state = np.zeros(16, np.int64)
        action, memory, extras = learner.policy.act(state, explore=True)
        try:
            torch.cuda.set_sync_debug_mode("error")
            known = None, memory, extras
            learner.learn(Transition(state, action, np.ones(16), state.copy(), no, no, ones, *known))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert learner.steps == before + 8 * 16, "it learned, and no synchronisation was an error"
