"""PPO: advantages and losses by hand, distributions by torch's own, normalisation, whole runs bit for bit."""

import dataclasses

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from meze.agents import checkpoint
from meze.agents.base import MisfitError, NonFiniteLossError, Transition
from meze.agents.deep.distributions import Categoricals, Gaussian, make_distribution
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.deep.normalising import Returns, RunningNorm
from meze.agents.deep.ppo import PPO, PPOConfig, Rows, advantages, policy_loss, value_loss
from meze.agents.schedules import Schedule
from torch import distributions as theirs

SMALL = PPOConfig(
    net=NetworkConfig(hidden=(16,)),
    learning_rate=Schedule(1e-2, 1e-2, 0),
    ent_coef=Schedule(0.01, 0.01, 0),
    num_steps=8,
    num_minibatches=2,
    gamma=0.5,
)
NO = np.zeros(4, np.bool_)


def make(action_space, observation_space=None, config=SMALL, num_envs=4, seed=0) -> PPO:
    space = Box(-1.0, 1.0, (3,), np.float32) if observation_space is None else observation_space
    return PPO(space, action_space, num_envs=num_envs, config=config, rng=np.random.default_rng(seed))


# ---------------------------------------------------------------- the rules


def test_advantages_by_hand() -> None:
    reward = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    value = torch.tensor([[10.0], [20.0], [30.0], [40.0]])
    next_value = torch.tensor([[20.0], [7.0], [40.0], [50.0]])
    terminated = torch.tensor([[False], [False], [True], [False]])
    truncated = torch.tensor([[False], [True], [False], [False]])
    found = advantages(reward, terminated, truncated, value, next_value, 0.5, 0.1)
    deltas = [1 + 10 - 10, 2 + 3.5 - 20, 3 - 30, 4 + 25 - 40]
    assert found[:, 0].tolist() == pytest.approx([deltas[0] + 0.05 * deltas[1], *deltas[1:]])


def test_with_lambda_1_advantages_are_returns_less_values() -> None:
    rng = torch.Generator().manual_seed(3)
    reward, value, last = (torch.rand(size, 5, generator=rng) for size in (7, 7, 1))
    no = torch.zeros(7, 5, dtype=torch.bool)
    found = advantages(reward, no, no, value, torch.cat([value[1:], last]), 0.9, 1.0)
    returns = [sum(0.9**k * reward[t + k] for k in range(7 - t)) + 0.9 ** (7 - t) * last[0] for t in range(7)]
    torch.testing.assert_close(found, torch.stack(returns) - value)


def test_the_clipped_loss_by_hand() -> None:
    ratio, clip = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1]), torch.tensor(0.2)
    log_ratio = ratio.log().requires_grad_()
    advantage = torch.tensor([2.0, -2.0, 2.0, -2.0, 1.0])
    loss = policy_loss(log_ratio, advantage, clip)
    assert loss.item() == pytest.approx(-(1.2 * 2 - 1.5 * 2 + 0.5 * 2 - 0.8 * 2 + 1.1) / 5)
    loss.backward()
    moved = [0.0, 3.0, -1.0, 0.0, -1.1]  # -ratio * advantage, but where it is clipped
    assert (5 * log_ratio.grad).tolist() == pytest.approx(moved)


def test_the_values_loss_by_hand() -> None:
    value, then, target = torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.0]), torch.tensor([4.0, 2.0])
    assert value_loss(value, then, target, None).item() == pytest.approx(0.5 * (1 + 1) / 2)
    assert value_loss(value, then, target, torch.tensor(0.5)).item() == pytest.approx(0.5 * (2.5**2 + 1) / 2)


# ---------------------------------------------------------------- distributions


def test_masked_numbers_are_torchs_categorical() -> None:
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    mask = torch.rand(50, 4, generator=torch.Generator().manual_seed(2)) < 0.6
    mask[:, 1] = True
    mine, wanted = Categoricals(Discrete(4)), theirs.Categorical(logits=logits.masked_fill(~mask, -torch.inf))
    given = mine.masked(logits, mask)
    drawn, log = mine.draw(given, torch.Generator().manual_seed(0))
    torch.testing.assert_close(log, wanted.log_prob(drawn[:, 0]))
    assert mask.gather(1, drawn).all() and mask.gather(1, mine.best(given)).all()
    torch.testing.assert_close(mine.log_probability(given, drawn), wanted.log_prob(drawn[:, 0]))
    finite = [
        theirs.Categorical(logits=row[allowed]).entropy() for row, allowed in zip(logits, mask, strict=True)
    ]
    torch.testing.assert_close(mine.entropy(given), torch.stack(finite))
    given.requires_grad_()
    (mine.entropy(given).sum() + mine.log_probability(given, drawn).sum()).backward()
    assert torch.isfinite(given.grad).all()


@pytest.mark.parametrize(
    "space", [MultiDiscrete([3, 2], start=[1, -4]), MultiBinary(3), MultiDiscrete([[2, 3]])]
)
def test_several_numbers_are_independent(space) -> None:
    mine = make_distribution(space)
    given = torch.randn(20, mine.size, generator=torch.Generator().manual_seed(1))
    drawn, log_of_drawn = mine.draw(given, torch.Generator().manual_seed(0))
    choices = [2] * 3 if isinstance(space, MultiBinary) else space.nvec.ravel().tolist()
    parts = [theirs.Categorical(logits=part) for part in given.split(choices, dim=1)]
    log = sum(part.log_prob(column[:, 0]) for part, column in zip(parts, drawn.split(1, dim=1), strict=True))
    torch.testing.assert_close(mine.log_probability(given, drawn), log)
    torch.testing.assert_close(log_of_drawn, log)
    torch.testing.assert_close(mine.entropy(given), sum(part.entropy() for part in parts))
    assert all(space.contains(each) for each in mine.to_space(drawn.numpy()))


def test_draws_are_as_frequent_as_they_are_likely() -> None:
    mine, logits = Categoricals(Discrete(3)), torch.tensor([[0.0, 1.0, -1.0]])
    drawn, _ = mine.draw(logits.expand(100_000, -1), torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn[:, 0]) / len(drawn)
    torch.testing.assert_close(shares, logits.softmax(dim=1)[0], atol=0.01, rtol=0)


def test_box_actions_are_torchs_normal_within_bounds() -> None:
    space = Box(np.float32([[-2.0, 0.0]]), np.float32([[2.0, 10.0]]))
    mine = Gaussian(space)
    given = torch.randn(2_000, 4, generator=torch.Generator().manual_seed(1))
    drawn, log = mine.draw(given, torch.Generator().manual_seed(0))
    wanted = theirs.Normal(given[:, :2], given[:, 2:].exp())
    torch.testing.assert_close(log, wanted.log_prob(drawn).sum(dim=1))
    torch.testing.assert_close(mine.log_probability(given, drawn), wanted.log_prob(drawn).sum(dim=1))
    torch.testing.assert_close(mine.entropy(given), wanted.entropy().sum(dim=1))
    away = (drawn - given[:, :2]) / given[:, 2:].exp()
    assert abs(away.mean()) < 0.05 and abs(away.std() - 1.0) < 0.05
    taken = mine.to_space(np.array([[0.0, 0.0], [1.0, -1.0], [9.0, -9.0]], np.float32))
    assert taken.tolist() == [[[0.0, 5.0]], [[2.0, 0.0]], [[2.0, 0.0]]]
    assert all(space.contains(each) for each in mine.to_space(drawn.numpy()))


# ---------------------------------------------------------------- normalisation


def test_running_normalisation_is_that_of_all_that_was_seen() -> None:
    norm, rng = RunningNorm(Box(-np.inf, np.inf, (2,), np.float32)), np.random.default_rng(0)
    parts = [rng.normal([1e3, -2.0], [5.0, 0.1], (size, 2)).astype(np.float32) for size in (1, 7, 100)]
    first = torch.from_numpy(parts[0])
    assert torch.equal(norm(first), first)
    for part in parts:
        norm.see(torch.from_numpy(part))
    everything = np.concatenate(parts).astype(np.float64)
    wanted = (everything - everything.mean(axis=0)) / everything.std(axis=0)
    np.testing.assert_allclose(norm(torch.from_numpy(everything)).numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_rewards_are_divided_by_the_deviation_of_discounted_returns() -> None:
    returns, rng = Returns(4, 0.5), np.random.default_rng(0)
    running, seen = np.zeros(4), []
    for _ in range(30):
        reward, ended = rng.normal(3.0, 2.0, 4), rng.random(4) < 0.2
        blank = np.zeros((4, 1))
        running = running * 0.5 + reward
        seen.append(running.copy())
        scaled = returns.scaled(Transition(blank, NO, reward, blank, ended, NO, None))
        running[ended] = 0.0
        assert scaled == pytest.approx((reward / (np.std(seen) + 1e-8)).clip(-10, 10))


# ---------------------------------------------------------------- the learner


def steps(learner: PPO, count: int, action_space, seed: int = 0, obs=None):
    """Steps with random observations that pay for large actions, from the given ones on; returns the last."""
    rng = np.random.default_rng(seed)
    if obs is None:
        obs = rng.uniform(-1, 1, (4, 3)).astype(np.float32)
    for step in range(count):
        action, memory, extras = learner.policy.act(obs, explore=True)
        assert all(action_space.contains(each) for each in action)
        reward = action.reshape(4, -1).sum(axis=1) / 10.0
        following = rng.uniform(-1, 1, (4, 3)).astype(np.float32)
        cut = np.array([step % 5 == 4, False, False, step % 3 == 2])
        learner.learn(Transition(obs, action, reward, following, NO, cut, None, None, memory, extras))
        obs = following
    return obs


ACTIONS = {
    "discrete": Discrete(3, start=2),
    "multi-discrete": MultiDiscrete([3, 2]),
    "multi-binary": MultiBinary(2),
    "box": Box(np.float32([0.0, -1.0]), np.float32([5.0, 1.0])),
}


@pytest.mark.parametrize("kind", ACTIONS)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shared_net": True, "clip_values": True, "normalize_observations": True, "normalize_rewards": True},
    ],
)
def test_it_learns_what_pays_and_goes_on_bit_for_bit(kind, changes, tmp_path) -> None:
    space, config = ACTIONS[kind], dataclasses.replace(SMALL, **changes)
    first, second = (make(space, config=config, seed=seed) for seed in (0, 1))
    last = steps(first, 403, space)  # in the middle of a rollout
    obs = np.random.default_rng(5).uniform(-1, 1, (64, 3)).astype(np.float32)
    best, untrained = (
        make_policy.act(obs)[0].reshape(64, -1).sum(axis=1) for make_policy in (first.policy, second.policy)
    )
    most = {"discrete": 4, "multi-discrete": 3, "multi-binary": 2, "box": 6}[kind]
    assert best.mean() > 0.9 * most and best.mean() > untrained.mean()

    checkpoint.save(tmp_path / "a.safetensors", first.state_dict())
    second.load_state_dict(checkpoint.load(tmp_path / "a.safetensors"))
    for learner in (first, second):
        steps(learner, 30, space, seed=9, obs=last)
    one, other = first.state_dict(), second.state_dict()
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_it_tells_probabilities_and_what_it_expects() -> None:
    learner, obs = (
        make(Discrete(3, start=2)),
        np.random.default_rng(0).uniform(-1, 1, (5, 3)).astype(np.float32),
    )
    chances = learner.policy.action_values(obs)
    assert chances.shape == (5, 3) and chances.sum(axis=1) == pytest.approx(np.ones(5))
    assert (chances.argmax(axis=1) + 2 == learner.policy.act(obs)[0]).all()
    assert learner.policy.state_values(obs).shape == (5,)
    assert make(MultiBinary(2)).policy.action_values(obs) is None


def test_what_was_seen_stands_still_when_it_only_acts() -> None:
    config = dataclasses.replace(SMALL, normalize_observations=True)
    learner = make(Discrete(3, start=2), config=config)
    steps(learner, 16, Discrete(3, start=2))
    before = learner.network.norm.mean.clone()
    learner.policy.act(np.ones((4, 3), np.float32))
    assert torch.equal(learner.network.norm.mean, before) and (before != 0).any()


@pytest.mark.parametrize(
    ("space", "config", "words"),
    [
        (Box(-np.inf, np.inf, (2,)), SMALL, "bounded Box actions"),
        (Discrete(2), dataclasses.replace(SMALL, net=NetworkConfig(kind="sites")), "no values of states"),
        (Discrete(2), dataclasses.replace(SMALL, net=NetworkConfig(kind="cnn")), "three axes"),
    ],
)
def test_a_misfit_is_one_line(space, config, words) -> None:
    with pytest.raises(MisfitError, match=words) as error:
        make(space, config=config)
    assert "\n" not in str(error.value)


def test_normalisation_needs_vectors() -> None:
    config = dataclasses.replace(SMALL, normalize_observations=True)
    with pytest.raises(MisfitError, match="needs vectors of floats"):
        make(Discrete(2), Discrete(5), config)


@pytest.mark.parametrize(
    "changes",
    [
        {"clip_range": Schedule(0.0, 0.0, 0)},
        {"gae_lambda": 1.5},
        {"update_epochs": 0},
        {"vf_coef": -1.0},
    ],
)
def test_settings_out_of_range_are_refused(changes) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        dataclasses.replace(SMALL, **changes)


def test_others_steps_are_refused() -> None:
    obs = np.zeros((4, 3), np.float32)
    batch = Transition(obs, np.full(4, 2), np.zeros(4), obs, NO, NO, None)
    with pytest.raises(ValueError, match="its own policy"):
        make(Discrete(3, start=2)).learn(batch)


# ---------------------------------------------------------------- compiled


def observed(space: Box, count: int) -> np.ndarray:
    rng = np.random.default_rng(9)
    if space.dtype == np.uint8:  # mostly as usual
        return np.where(rng.random((count, *space.shape)) < 0.1, 200, 7).astype(np.uint8)
    return rng.uniform(-1, 1, (count, *space.shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "masked"), [*((kind, False) for kind in ACTIONS), ("discrete", True), ("multi-discrete", True)]
)
@pytest.mark.parametrize(
    ("space", "changes"),
    [
        (Box(-1.0, 1.0, (3,), np.float32), {"shared_net": True, "normalize_observations": True}),
        (Box(-1.0, 1.0, (3,), np.float32), {"normalize_advantages": False, "max_grad_norm": 0.05}),
        (Box(0, 255, (2, 5, 5), np.uint8), {"clip_values": True, "log_std_init": -0.5}),
    ],
)
def test_a_compiled_fit_is_that_of_torch(kind, space, changes, masked) -> None:
    net = NetworkConfig(kind="mlp", hidden=(8, 6), layer_norm=masked)
    constant = {"ent_coef": Schedule(0.1, 0.1, 0), "clip_range": Schedule(0.05, 0.05, 0)}
    config = dataclasses.replace(SMALL, net=net, update_epochs=3, **constant, **changes)
    one, other = (make(ACTIONS[kind], space, config) for _ in range(2))
    obs, count = torch.from_numpy(observed(space, 90)), 90
    generator = torch.Generator().manual_seed(4)
    mask = None
    if masked:
        mask = torch.rand(count, one._distribution.size, generator=generator) < 0.7
        mask[:, [0, -1]] = True
    for learner in (one, other):
        for net in learner.network.nets:
            if net[0].planes is not None:
                net[0].planes.meet(obs)
        if learner.network.norm is not None:
            learner.network.norm.see(obs)
    with torch.no_grad():
        given, value = one.policy.read(one.policy.forward(obs), mask)
        action, log = one._distribution.draw(given, generator)
    rows = Rows(obs, action, log, value, *torch.randn(2, count, generator=generator), mask)
    assert other.policy.compiled.fits(obs)
    parts = [part for _ in range(3) for part in torch.randperm(count, generator=generator).chunk(2)]
    found = other._fit_compiled(other.policy.compiled, rows, parts, None)
    torch.testing.assert_close(found.float(), one._fit_by_torch(rows, parts, None), atol=3e-5, rtol=1e-3)
    for mine, its in zip(other.network.parameters(), one.network.parameters(), strict=True):
        torch.testing.assert_close(mine, its, atol=5e-5, rtol=1e-3)
    with torch.no_grad():  # acting, after what was learned
        torch.testing.assert_close(other.policy.forward(obs), other.network(obs), atol=1e-5, rtol=1e-4)


def test_what_is_no_number_is_found_with_its_batch() -> None:
    learner = make(Discrete(3))
    with pytest.raises(NonFiniteLossError) as caught:
        for _ in range(9):
            obs = np.full((4, 3), np.nan, np.float32)
            action, _, extras = learner.policy.act(obs, explore=True)
            learner.learn(Transition(obs, action, np.ones(4), obs, NO, NO, None, None, None, extras))
    assert np.isnan(caught.value.batch["obs"]).all()


@pytest.mark.parametrize("action", [-1, 2, 10**11])
def test_forged_actions_of_an_unfinished_rollout_are_refused(action) -> None:
    space = MultiDiscrete([3, 2])
    learner = make(space)
    steps(learner, 2, space)
    state = learner.state_dict()
    forged = state["rollout.action"].copy()
    forged[0, 0, 1] = action
    with pytest.raises(ValueError, match="the unfinished rollout is damaged"):
        make(space).load_state_dict(state | {"rollout.action": forged})


class Heads(torch.nn.Module):
    """A user's network, which has a module for each output."""

    def __init__(self, space: Box, outputs: int) -> None:
        super().__init__()
        self.heads = torch.nn.ModuleList(torch.nn.Linear(space.shape[0], 1) for _ in range(outputs))

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        return torch.cat([head(obs) for head in self.heads], dim=1)


def test_networks_of_the_users_may_differ_in_their_modules() -> None:
    config = dataclasses.replace(SMALL, net=NetworkConfig(kind=f"{__name__}:Heads"))
    learner = make(Discrete(3), config=config)
    assert learner.policy.compiled is None
    steps(learner, 17, Discrete(3))
