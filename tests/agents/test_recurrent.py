"""Networks that remember: a sequence is its steps, compiled or not; a cue is recalled, streams stay whole."""

import dataclasses

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from meze.agents.base import Transition, decide
from meze.agents.deep.cells import tanh
from meze.agents.deep.dqn import DQNConfig
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.deep.networks import make_network
from meze.agents.deep.ppo import PPO, PPOConfig
from meze.agents.deep.pqn import PQN, PQNConfig
from meze.agents.deep.recurrent import Sequences, of_rows
from meze.agents.memory import forget
from meze.agents.schedules import Schedule

GRID, VECTOR = Box(0, 255, (3, 5, 7), np.uint8), Box(-2, 2, (5,), np.float32)
STEPS, STREAMS = 6, 7


def observations(space: Box, count: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if space is VECTOR:
        return rng.uniform(-2, 2, (count, *space.shape)).astype(np.float32)
    usual, drawn = rng.integers(0, 256, space.shape), rng.integers(0, 256, (count, *space.shape))
    return np.where(rng.random(drawn.shape) < 0.1, drawn, usual).astype(np.uint8)


def sequences(size: int) -> Sequences:
    generator = torch.Generator().manual_seed(1)
    begins = torch.rand(STEPS, STREAMS, generator=generator) < 0.2
    begins[0] = False
    return Sequences(torch.randn(STREAMS, size, generator=generator), begins)


def make(kind: str, space: Box, memory: str, num_envs: int = STREAMS, **settings) -> PQN | PPO:
    net = NetworkConfig(kind="mlp", hidden=(8, 6), layer_norm=True, memory=memory)
    settings = {
        "num_steps": STEPS,
        "num_minibatches": 1,
        "learning_rate": Schedule(1e-2, 1e-3, 400),
    } | settings
    agent, config = (PQN, PQNConfig) if kind == "pqn" else (PPO, PPOConfig)
    rng = np.random.default_rng(0)
    return agent(space, Discrete(3), num_envs=num_envs, config=config(net=net, **settings), rng=rng)


def test_the_compiled_tangent_is_the_hyperbolic_one() -> None:
    x = np.concatenate([np.linspace(-12, 12, 4001), [0.0, 1e-4, 88.0, -1e30]]).astype(np.float32)
    found = np.array([tanh(each) for each in x])
    assert np.abs(found - np.tanh(x.astype(np.float64))).max() < 4e-7
    assert np.isnan(tanh(np.float32(np.nan)))


@pytest.mark.parametrize("memory", ["gru", "lstm"])
def test_a_sequence_is_its_steps_and_an_episode_begins_with_nothing(memory) -> None:
    network = make_network(VECTOR, 3, NetworkConfig(hidden=(8,), memory=memory))
    obs, known = torch.from_numpy(observations(VECTOR, STEPS * STREAMS)), sequences(network.state_size)
    state, outputs = known.state, []
    for step, begins in zip(obs.chunk(STEPS), known.begins, strict=True):
        state = torch.where(begins[:, None], 0.0, state)
        given, state = network(step, state)
        outputs.append(given)
    torch.testing.assert_close(network.unroll(obs, known), torch.cat(outputs), atol=1e-6, rtol=1e-5)


def test_cells_are_those_of_torch() -> None:
    for memory, cell in (("gru", torch.nn.GRUCell), ("lstm", torch.nn.LSTMCell)):
        ours = make_network(VECTOR, 3, NetworkConfig(hidden=(8,), memory=memory)).cell
        its = cell(8, 8)
        for part, name in ((ours.seen, "ih"), (ours.known, "hh")):
            getattr(its, f"weight_{name}").data.copy_(part.weight)
            getattr(its, f"bias_{name}").data.copy_(part.bias)
        x, state = torch.randn(4, 8), torch.randn(4, ours.state_size)
        wanted = its(x, state) if memory == "gru" else torch.cat(its(x, state.chunk(2, 1)), dim=1)
        torch.testing.assert_close(ours(x, state), wanted)


@pytest.mark.parametrize("memory", ["gru", "lstm"])
@pytest.mark.parametrize("space", [GRID, VECTOR])
def test_compiled_steps_are_those_of_torch_and_a_row_does_not_depend_on_the_others(space, memory) -> None:
    learner, count = make("ppo", space, memory), 41
    obs = torch.from_numpy(observations(space, count))
    for net in learner.network.nets:
        net(obs, torch.zeros(count, net.state_size))  # meets them
    state = torch.randn(count, learner.policy.state_size)
    outputs, after = learner.policy.compiled.step(obs, state)
    with torch.no_grad():
        for found, wanted in zip((outputs, after), learner.network(obs, state), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    for k in range(count):
        row = slice(k, k + 1)
        for found, wanted in zip(
            learner.policy.compiled.step(obs[row], state[row]), (outputs, after), strict=True
        ):
            assert torch.equal(found, wanted[row])


def play(learner: PQN | PPO, steps: int, memory=None, first: int = 0):
    """Teaches it some steps of noise."""
    for step in range(first, first + steps):
        rng = np.random.default_rng(step)
        obs, later = (observations(VECTOR, learner.num_envs, step + k) for k in range(2))
        action, after, seen = decide(learner.policy, obs, memory, explore=True)
        reward, flags = rng.normal(size=len(obs)), rng.random((2, len(obs))) < 0.1
        learner.learn(Transition(obs, action, reward, later, *flags, None, memory=memory, extras=seen))
        memory = forget(after, np.flatnonzero(flags.any(axis=0)))
    return memory


@pytest.mark.parametrize("memory", ["gru", "lstm"])
@pytest.mark.parametrize(
    ("kind", "changes"),
    [("pqn", {}), ("pqn", {"num_minibatches": 2}), ("ppo", {}), ("ppo", {"shared_net": True})],
)
def test_a_compiled_fit_is_that_of_torch(kind, changes, memory, monkeypatch) -> None:
    # few rows at once, so that a minibatch goes through in several blocks
    monkeypatch.setattr("meze.agents.deep.perceptron.MOST_ROWS", 2 * STEPS)
    one, other = (make(kind, VECTOR, memory, num_envs=10, **changes) for _ in range(2))
    one.policy.compiled = None
    assert other.policy.compiled is not None
    for _ in range(2):
        play(one, 2 * STEPS)
        play(other, 2 * STEPS)
    for ours, theirs in zip(other.network.parameters(), one.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=2e-3)


@pytest.mark.parametrize("kind", ["pqn", "ppo"])
def test_it_goes_on_with_memory_bit_for_bit(kind) -> None:
    one, other = (make(kind, VECTOR, "gru") for _ in range(2))
    memory = play(one, STEPS + 3)
    other.load_state_dict(one.state_dict())
    play(one, STEPS, memory, first=STEPS + 3)
    play(other, STEPS, memory.clone(), first=STEPS + 3)
    for ours, theirs in zip(other.network.parameters(), one.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    state = one.state_dict()
    state["rollout.state"] = state["rollout.state"][:, :, 1:]
    with pytest.raises(ValueError, match="rollout is damaged"):
        other.load_state_dict(state)


def test_streams_of_some_rows() -> None:
    whole = sequences(4)
    rows = (STREAMS * torch.arange(STEPS)[:, None] + torch.tensor([5, 2])).flatten()
    state, begins = of_rows(whole, rows)
    assert torch.equal(state, whole.state[[5, 2]])
    assert torch.equal(begins, whole.begins[:, [5, 2]])


def test_who_can_not_remember_says_so() -> None:
    remembering = NetworkConfig(memory="gru")
    with pytest.raises(ValueError, match="dqn has no memory"):
        DQNConfig(net=remembering)
    with pytest.raises(ValueError, match="not both"):
        PQNConfig(net=remembering, frame_stack=2)
    with pytest.raises(ValueError, match="memory is one of none, gru, lstm"):
        NetworkConfig(memory="rnn")
    with pytest.raises(ValueError, match="network sites can't remember"):
        make_network(Box(0, 1, (4, 3)), 4, dataclasses.replace(remembering, kind="sites"))
    with pytest.raises(ValueError, match="must divide num_envs"):
        make("pqn", VECTOR, "gru", num_minibatches=2)
    learner = make("pqn", VECTOR, "gru")
    obs = observations(VECTOR, STREAMS)
    flags = np.zeros((2, STREAMS), bool)
    with pytest.raises(ValueError, match="its own policy"):
        learner.learn(Transition(obs, np.zeros(STREAMS, int), np.zeros(STREAMS), obs, *flags, None))
