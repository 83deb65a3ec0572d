"""Compiled layers: torch's numbers, forward and through Adam, row by row; and a thread that fits ahead."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from meze.agents.base import Transition
from meze.agents.deep.dqn import DQN, DQNConfig
from meze.agents.deep.fitting import Aims
from meze.agents.deep.layers import BLOCK
from meze.agents.deep.learner import NonFiniteLossError
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.deep.perceptron import Perceptron
from meze.agents.deep.pqn import PQN, PQNConfig
from meze.agents.deep.values import mean_loss
from meze.agents.schedules import Schedule

GRID, VECTOR = Box(0, 255, (3, 5, 7), np.uint8), Box(-2, 2, (5,), np.float32)


def observations(space: Box, count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    if space is VECTOR:
        return rng.uniform(-2, 2, (count, *space.shape)).astype(np.float32)
    usual, drawn = rng.integers(0, 256, space.shape), rng.integers(0, 256, (count, *space.shape))
    return np.where(rng.random(drawn.shape) < 0.1, drawn, usual).astype(np.uint8)


def make(space: Box, num_envs: int = 4, *, hidden=(7, 6), layer_norm=False, **settings) -> PQN:
    net = NetworkConfig(kind="mlp", hidden=hidden, layer_norm=layer_norm)
    settings = {"num_steps": 4, "num_minibatches": 2, "learning_rate": Schedule(1e-2, 1e-3, 400)} | settings
    config, rng = PQNConfig(net=net, **settings), np.random.default_rng(0)
    return PQN(space, Discrete(3), num_envs=num_envs, config=config, rng=rng)


@pytest.mark.parametrize("max_grad_norm", [10.0, 0.1])
@pytest.mark.parametrize("loss", ["mse", "huber"])
@pytest.mark.parametrize(
    ("space", "hidden", "layer_norm"),
    [(GRID, (7, 6), True), (VECTOR, (8, 5, 6), False), (VECTOR, (9,), True)],
)
def test_a_fit_is_that_of_torch(space, hidden, layer_norm, loss, max_grad_norm) -> None:
    one, other = (
        make(space, hidden=hidden, layer_norm=layer_norm, loss=loss, max_grad_norm=max_grad_norm)
        for _ in range(2)
    )
    obs, rng = observations(space, 2 * (BLOCK + 5)), np.random.default_rng(1)
    action, target = rng.integers(0, 3, len(obs)), (4 * rng.normal(size=len(obs))).astype(np.float32)
    for learner in (one, other):
        if learner.network[0].planes is not None:
            learner.network[0].planes.meet(torch.from_numpy(obs))
    compiled, optimizer = other.policy.compiled, other._optimizer
    for _ in range(3):
        order = rng.permutation(len(obs))
        by_torch = [
            float(one._update(*(torch.from_numpy(each[rows]) for each in (obs, action, target))))
            for rows in np.split(order, 2)
        ]
        aims = Aims(action, target, np.ones(len(obs), np.float32), loss == "huber")
        arguments = torch.from_numpy(obs), order, 2, aims, optimizer.state()
        errors = torch.from_numpy(compiled.fit_values(optimizer.weights, *arguments))
        losses = [float(mean_loss(errors[rows], loss)) for rows in np.split(order, 2)]
        np.testing.assert_allclose(losses, by_torch, rtol=1e-4)
    for ours, theirs in zip(other.network.parameters(), one.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-3)
    for ours, theirs in zip(optimizer.state(), one._optimizer.state(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("space", [GRID, VECTOR])
def test_outputs_are_those_of_torch_and_a_row_does_not_depend_on_the_others(space) -> None:
    learner, obs = make(space, layer_norm=True), torch.from_numpy(observations(space, BLOCK + 9))
    learner.network(obs)  # meets them
    whole = learner.policy.compiled.outputs(obs)
    with torch.no_grad():
        np.testing.assert_allclose(whole, learner.network(obs), atol=1e-5)
        assert np.array_equal(learner.policy.forward(obs), whole), "it is what acts"
    for k in range(len(obs)):
        assert np.array_equal(learner.policy.compiled.outputs(obs[k : k + 1])[0], whole[k])


@pytest.mark.parametrize(
    "net", [NetworkConfig(dueling=True), NetworkConfig(kind="cnn", hidden=(8,)), NetworkConfig(kind="mlp")]
)
def test_other_networks_are_left_to_torch(net) -> None:
    space = GRID if net.kind == "cnn" else Discrete(4) if not net.dueling else VECTOR
    learner = PQN(space, Discrete(2), num_envs=2, config=PQNConfig(net=net), rng=np.random.default_rng(0))
    assert learner.policy.compiled is None


def play(learner: PQN | DQN, steps: int, begin: int = 0) -> list[float]:
    """Teaches it some steps of noise, which depend on their number alone; returns the losses."""
    losses = []
    for step in range(begin, begin + steps):
        rng = np.random.default_rng(step)
        space = learner._observation_space
        rows = (np.random.default_rng([step + k, 1]).integers(64, size=learner.num_envs) for k in range(2))
        obs, later = (observations(space, 64)[each] for each in rows)  # which the next step begins with
        action, _, seen = learner.policy.act(obs, explore=True)
        reward, flags = rng.normal(size=len(obs)), rng.random((2, len(obs))) < 0.1
        metrics = learner.learn(Transition(obs, action, reward, later, *flags, None, extras=seen))
        losses += [float(metrics["loss"])] if "loss" in metrics else []
    return losses


def weights(learner: PQN | DQN) -> np.ndarray:
    return learner._optimizer.weights.copy()


def test_with_overlap_what_a_rollout_teaches_is_known_one_rollout_later() -> None:
    learner = make(VECTOR, overlap=True)
    at_first = weights(learner)
    play(learner, 4)
    learner._ahead.errors.result()
    taught = learner._ahead.weights.copy()
    play(learner, 3, 4)
    assert np.array_equal(weights(learner), at_first), "it acts with what it knew before"
    play(learner, 1, 7)
    assert np.array_equal(weights(learner), taught) and not np.array_equal(taught, at_first)


@pytest.mark.parametrize("space", [GRID, VECTOR])
@pytest.mark.parametrize("after", [5, 8, 11])
def test_with_overlap_it_goes_on_as_if_never_stopped(space, after) -> None:
    whole, first, second = (make(space, overlap=True) for _ in range(3))
    losses = play(whole, 24)
    before = play(first, after)
    second.load_state_dict(first.state_dict())
    assert before + play(second, 24 - after, after) == losses
    assert np.array_equal(weights(second), weights(whole))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("overlap", [False, True])
def test_what_is_no_number_is_found_with_its_batch(layer_norm, overlap) -> None:
    learner = make(VECTOR, overlap=overlap, layer_norm=layer_norm)
    obs = observations(VECTOR, 4)
    obs[2, 1] = np.nan
    no = np.zeros(4, np.bool_)
    with pytest.raises(NonFiniteLossError) as caught:
        for _ in range(9):
            learner.learn(Transition(obs, no.astype(np.int64), np.ones(4), obs, no, no, None))
    assert np.isnan(caught.value.batch["obs"]).any()
    with pytest.raises(NonFiniteLossError):
        learner.state_dict()


def test_actions_that_there_are_not_are_refused() -> None:
    learner, obs, no = make(VECTOR), observations(VECTOR, 4), np.zeros(4, np.bool_)
    with pytest.raises(IndexError, match="actions are numbers below 3; got -1 to 0"):
        for _ in range(4):
            learner.learn(Transition(obs, np.array([0, 0, -1, 0]), np.ones(4), obs, no, no, None))


def test_a_copy_of_a_policy_acts_with_its_own_weights() -> None:
    learner, obs = make(VECTOR), observations(VECTOR, 3)
    other = copy.deepcopy(learner.policy)
    np.testing.assert_allclose(other.action_values(obs), learner.policy.action_values(obs), atol=1e-6)
    for part in other.network.parameters():
        part.data.zero_()
    assert not other.action_values(obs).any()


def test_weights_that_do_not_learn_are_left_to_torch() -> None:
    learner = make(VECTOR)
    learner.network[0].requires_grad_(False)
    assert Perceptron.of([learner.network], learner._optimizer) is None


def test_damaged_weights_are_one_line() -> None:
    learner = make(VECTOR, overlap=True)
    play(learner, 4)
    state = learner.state_dict()
    for name, bad in {"weights": np.zeros(3, np.float32), "errors": np.zeros((2, 2), np.float32)}.items():
        with pytest.raises(ValueError, match="fitted meanwhile are damaged"):
            make(VECTOR, overlap=True).load_state_dict(state | {f"ahead.{name}": bad})


@pytest.mark.parametrize("double", [False, True])
def test_dqn_learns_what_it_learns_by_torch(double) -> None:
    schedule = Schedule(1e-2, 1e-3, 400)
    net = NetworkConfig(kind="mlp", hidden=(7, 6), layer_norm=True)
    config = DQNConfig(
        net=net, learning_rate=schedule, buffer_size=200, learning_starts=20, batch_size=40, n_step=2
    )
    config = dataclasses.replace(config, replay_ratio=0.25, target_update_interval=12, double=double)
    learners = [
        DQN(GRID, Discrete(3), num_envs=4, config=config, rng=np.random.default_rng(0)) for _ in range(2)
    ]
    play(learners[0], 60)
    learners[1].policy.compiled = None
    learners[1].network(torch.from_numpy(observations(GRID, 64)))
    play(learners[1], 60)
    one, other = map(weights, learners)
    assert learners[0]._updates == learners[1]._updates > 50
    np.testing.assert_allclose(one, other, atol=1e-3)
