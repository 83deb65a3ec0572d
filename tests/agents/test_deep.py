"""DQN and PQN: their rules against small problems with known values, and what they share."""

import dataclasses

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from meze.agents.base import Transition
from meze.agents.deep.dqn import DQN, DQNConfig, td_target
from meze.agents.deep.learner import NonFiniteLossError
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.deep.pqn import PQN, PQNConfig, lambda_returns
from meze.agents.deep.replay import Sample
from meze.agents.planning import value_iteration
from meze.agents.schedules import Schedule

TABLE = NetworkConfig(hidden=(64,))
FAST = Schedule(3e-2, 1e-3, 20_000)
ONE = Schedule(1.0, 1.0, 0)
DQN_FAST = DQNConfig(
    net=TABLE, learning_rate=FAST, exploration=ONE, gamma=0.9, buffer_size=2_000, learning_starts=200,
    target_update_interval=400, replay_ratio=0.05, batch_size=64, loss="mse",
)  # fmt: skip
PQN_FAST = PQNConfig(
    net=TABLE, learning_rate=FAST, exploration=ONE, gamma=0.9, num_steps=4, num_minibatches=1, loss="mse",
    q_lambda=0.0,
)  # fmt: skip
LEARNERS = {
    "dqn": (DQN, dataclasses.replace(DQN_FAST, double=False)),
    "double": (DQN, DQN_FAST),
    "dueling": (DQN, dataclasses.replace(DQN_FAST, net=NetworkConfig(hidden=(64,), dueling=True))),
    "prioritized": (DQN, dataclasses.replace(DQN_FAST, prioritized=True, priority_correction=ONE)),
    "pqn": (PQN, PQN_FAST),
}
learners = pytest.mark.parametrize("name", LEARNERS)


def make(kind, observation_space, num_actions, config, num_envs=1, seed=0, device="cpu"):
    rng = np.random.default_rng(seed)
    actions = Discrete(num_actions)
    return kind(observation_space, actions, num_envs=num_envs, config=config, rng=rng, device=device)


class SmallMDP:
    """A random MDP with S states; masks forbid some actions, which its model leaves out too."""

    def __init__(self, num_envs, *, masked=False, limit=None, states=5, actions=3, seed=1):
        rng = np.random.default_rng(seed)
        self.p = rng.dirichlet(np.ones(states), (states, actions))
        self.end = rng.random((states, actions)) < 0.2
        self.reward = rng.normal(size=(states, actions))
        self.mask = np.ones((states, actions), np.bool_)
        if masked:  # what is forbidden would be best by far
            self.mask[np.arange(states), rng.integers(actions, size=states)] = False
            self.reward[~self.mask] = 100.0
        self.rng, self.limit, self.masked = rng, limit, masked
        self.state = rng.integers(states, size=num_envs)
        self.elapsed = np.zeros(num_envs, np.int64)

    def oracle(self, gamma):
        reward = np.where(self.mask, self.reward, -1e6)
        return value_iteration(self.p * ~self.end[..., None], reward, gamma=gamma)

    def step(self, learner):
        obs = self.state
        mask = self.mask[obs] if self.masked else None
        action, memory, extras = learner.policy.act(obs, explore=True, mask=mask)
        assert self.mask[obs, action].all()
        reward, terminated = self.reward[obs, action], self.end[obs, action]
        draws = self.rng.random((len(obs), 1))
        next_obs = (draws > self.p[obs, action].cumsum(1)).sum(1).clip(max=len(self.p) - 1)
        self.elapsed += 1
        truncated = np.zeros(len(obs), np.bool_) if self.limit is None else self.elapsed >= self.limit
        ended = terminated | truncated
        self.elapsed[ended] = 0
        fresh = self.rng.integers(len(self.p), size=len(obs))
        self.state = np.where(ended, fresh, next_obs)
        next_mask = self.mask[next_obs] if self.masked else None
        truncated, known = truncated & ~terminated, (mask, memory, extras)
        return Transition(obs, action, reward, next_obs, terminated, truncated, next_mask, *known)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name != "pqn" else name for name in LEARNERS]
)
def test_learns_the_optimal_values(name):
    """With masks, and with episodes that are cut off after two steps."""
    kind, config = LEARNERS[name]
    mdp = SmallMDP(32, masked=True, limit=2)
    learner = make(kind, Discrete(5), 3, config, num_envs=32)
    for _ in range(1600):
        learner.learn(mdp.step(learner))
    optimal = mdp.oracle(0.9)
    learned = learner.policy.action_values(np.arange(5))
    assert np.abs(learned - optimal)[mdp.mask].max() < 0.3, (learned, optimal)
    greedy, _ = learner.policy.act(np.arange(5), explore=False, mask=mdp.mask)
    assert (optimal[np.arange(5), greedy] > optimal.max(1) - 0.3).all()


def test_truncation_is_no_end():
    """One state, a reward of 1 a step, cut off at every second step, is worth 1 / (1 - gamma)."""
    for kind, config in LEARNERS.values():
        if kind is DQN:  # values creep up by a step with each move of the target network
            config = dataclasses.replace(config, target_update_interval=4)
        learner = make(kind, Discrete(1), 2, config, num_envs=8)
        one, no = np.zeros(8, np.int64), np.zeros(8, np.bool_)
        for step in range(800):
            action, *_ = learner.policy.act(one, explore=True)
            cut = no if step % 2 else ~no
            learner.learn(Transition(one, action, np.ones(8), one.copy(), no, cut, None))
            one = one.copy()
        values = learner.policy.action_values(np.zeros(1, np.int64))
        np.testing.assert_allclose(values, 10.0, rtol=0.05)


def sample(**changes):
    rows = {
        "obs": torch.zeros(3, 1), "action": torch.zeros(3, dtype=torch.long),
        "reward": torch.tensor([1.0, 2.0, 3.0]),
        "discount": torch.tensor([0.5, 0.25, 0.0]), "next_obs": torch.zeros(3, 1), "next_mask": None,
        "weight": torch.ones(3), "slot": torch.arange(3),
    }  # fmt: skip
    return Sample(**(rows | changes))


def test_the_target_is_the_rule():
    values = torch.tensor([[1.0, 8.0], [4.0, 2.0], [9.0, 9.0]])
    online = torch.tensor([[5.0, 3.0], [0.0, 1.0], [1.0, 0.0]])
    assert td_target(sample(), values, None).tolist() == [1 + 0.5 * 8, 2 + 0.25 * 4, 3.0]
    # double: the other network chooses, this one values
    assert td_target(sample(), values, online).tolist() == [1 + 0.5 * 1, 2 + 0.25 * 2, 3.0]
    # masks bind both, and where nothing is possible there is nothing to come
    mask = torch.tensor([[True, False], [True, False], [True, True]])
    assert td_target(sample(next_mask=mask), values, None).tolist() == [1 + 0.5 * 1, 2 + 0.25 * 4, 3.0]
    assert td_target(sample(next_mask=mask), values, online).tolist() == [1 + 0.5 * 1, 2 + 0.25 * 4, 3.0]
    nothing = torch.zeros(3, 2, dtype=torch.bool)
    for chooser in (None, online):
        assert td_target(sample(next_mask=nothing), values, chooser).tolist() == [1.0, 2.0, 3.0]


def test_lambda_returns_are_mixtures_of_n_step_returns():
    rng = np.random.default_rng(0)
    steps, count, gamma, decay = 6, 40, 0.9, 0.7
    reward, value = rng.normal(size=(2, steps, count))
    terminated = rng.random((steps, count)) < 0.2
    truncated = ~terminated & (rng.random((steps, count)) < 0.2)
    parts = (torch.from_numpy(each) for each in (reward, terminated, truncated, value))
    found = lambda_returns(*parts, gamma=gamma, trace_decay=decay).numpy()
    for n in range(count):
        for t in range(steps):
            # the n-step returns from t on, until the episode or the rollout ends; the last one takes the rest
            returns, total, k = [], 0.0, t
            while True:
                total += gamma ** (k - t) * reward[k, n]
                future = 0.0 if terminated[k, n] else value[k, n]
                returns.append(total + gamma ** (k - t + 1) * future)
                if terminated[k, n] or truncated[k, n] or k == steps - 1:
                    break
                k += 1
            weights = [(1 - decay) * decay**i for i in range(len(returns) - 1)] + [
                decay ** (len(returns) - 1)
            ]
            assert found[t, n] == pytest.approx(np.dot(weights, returns))


@learners
def test_goes_on_as_if_never_stopped(name):
    kind, config = LEARNERS[name]
    if kind is DQN:
        config = dataclasses.replace(config, buffer_checkpoint="full")

    def run(mdp, learner, steps):
        for _ in range(steps):
            learner.learn(mdp.step(learner))

    whole_mdp, whole = SmallMDP(8, masked=True, limit=7), make(kind, Discrete(5), 3, config, num_envs=8)
    run(whole_mdp, whole, 90)  # within a rollout of pqn's
    resumed_mdp, resumed = (
        SmallMDP(8, masked=True, limit=7),
        make(kind, Discrete(5), 3, config, num_envs=8, seed=9),
    )
    run(resumed_mdp, make(kind, Discrete(5), 3, config, num_envs=8), 90)
    resumed.load_state_dict(whole.state_dict())
    assert resumed.exact
    run(whole_mdp, whole, 60)
    run(resumed_mdp, resumed, 60)
    one, other = whole.state_dict(), resumed.state_dict()
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(other[key], value, err_msg=key)


@pytest.mark.parametrize("shape", [(0,), (5,)])
def test_an_optimiser_that_counts_otherwise_is_refused(shape):
    learner, mdp = make(PQN, Discrete(5), 3, PQN_FAST, num_envs=8), SmallMDP(8)
    for _ in range(60):
        learner.learn(mdp.step(learner))
    state = learner.state_dict()
    (name, *_) = [each for each in state if each.endswith(".step")]
    other = make(PQN, Discrete(5), 3, PQN_FAST, num_envs=8)
    with pytest.raises(ValueError, match="is of another shape"):
        other.load_state_dict({**state, name: np.zeros(shape, np.float32)})


def test_without_its_replay_dqn_fills_a_new_one_first():
    learner = make(DQN, Discrete(5), 3, DQN_FAST, num_envs=8)
    mdp = SmallMDP(8)
    for _ in range(60):
        learner.learn(mdp.step(learner))
    again = make(DQN, Discrete(5), 3, DQN_FAST, num_envs=8)
    again.load_state_dict(learner.state_dict())
    assert not again.exact
    values = again.policy.action_values(np.arange(5))
    np.testing.assert_array_equal(values, learner.policy.action_values(np.arange(5)))
    again.learn(mdp.step(again))
    np.testing.assert_array_equal(values, again.policy.action_values(np.arange(5)))


@pytest.mark.parametrize("kind", [DQN, PQN])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_no_number_stops_with_its_batch(kind, bad):
    config = DQN_FAST if kind is DQN else PQN_FAST
    learner = make(kind, Box(-1, 1, (3,), np.float32), 2, config, num_envs=8)
    obs, no = np.zeros((8, 3), np.float32), np.zeros(8, np.bool_)
    with pytest.raises(NonFiniteLossError, match="learning-rate") as caught:
        for _ in range(200):
            action, *_ = learner.policy.act(obs, explore=True)
            learner.learn(Transition(obs, action, np.full(8, bad), obs, no, no, None))
    assert {"obs", "action"} <= caught.value.batch.keys()
    with pytest.raises(NonFiniteLossError):
        learner.state_dict()


@pytest.mark.parametrize("kind", [DQN, PQN])
def test_frames_are_remembered_by_policy_and_learner(kind):
    """Whether the last two observations were equal takes two frames to be seen: one can not learn it."""
    config = DQN_FAST if kind is DQN else PQN_FAST
    errors = []
    for frames in (1, 2):
        settings = dataclasses.replace(config, frame_stack=frames, gamma=0.0, net=NetworkConfig(hidden=(32,)))
        learner = make(kind, Box(-1, 1, (1,), np.float32), 2, settings, num_envs=16)
        rng, memory, no = np.random.default_rng(0), None, np.zeros(16, np.bool_)
        obs, before = np.ones((2, 16, 1), np.float32)
        for _ in range(600):
            remembered = memory
            action, memory, extras = learner.policy.act(obs, memory, explore=True)
            reward = (obs == before)[:, 0].astype(np.float64)
            following = rng.choice(np.array([-1, 1], np.float32), (16, 1))
            known = None, remembered, extras
            learner.learn(Transition(obs, action, reward, following, no, no, None, *known))
            obs, before = following, obs
        pairs = np.array([[[a], [b]] for a in (-1, 1) for b in (-1, 1)], np.float32)
        with torch.no_grad():
            found = learner.network(torch.from_numpy(pairs if frames == 2 else pairs[:, 1])).numpy()
        errors.append(np.abs(found - (pairs[:, :1, 0] == pairs[:, 1:, 0])).max())
    assert errors[1] < 0.1 < 0.4 < errors[0]


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("kind", [DQN, PQN])
def test_what_the_policy_tells_is_what_the_learner_would_find(kind, frames):
    """With extras it learns the same as without, where it carries and computes all of it again."""
    config = dataclasses.replace(DQN_FAST if kind is DQN else PQN_FAST, frame_stack=frames)
    states = []
    for told in (True, False):
        learner = make(kind, Box(-1, 1, (2,), np.float32), 3, config, num_envs=8)
        rng, memory, no = np.random.default_rng(0), None, np.zeros(8, np.bool_)
        obs = rng.normal(size=(8, 2)).astype(np.float32)
        for _ in range(60):
            before = memory
            action, memory, extras = learner.policy.act(obs, memory, explore=True)
            assert (extras.inputs.shape, extras.values.shape) == (
                (8, 2) if frames == 1 else (8, 2, 2),
                (8, 3),
            )
            following = rng.normal(size=(8, 2)).astype(np.float32)
            known = None, before, extras if told else None
            learner.learn(Transition(obs, action, obs[:, 0] * action, following, no, no, None, *known))
            obs = following
        states.append(learner.state_dict())
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("kind", [DQN, PQN])
def test_misfits_are_refused_in_one_line(kind):
    config = DQN_FAST if kind is DQN else PQN_FAST
    for space, actions in ((Dict({"a": Discrete(2)}), Discrete(2)), (Discrete(2), Box(0, 1, (2,)))):
        with pytest.raises(ValueError) as caught:
            kind(space, actions, num_envs=1, config=config, rng=np.random.default_rng(0))
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="cpu or cuda"):
        make(kind, Discrete(2), 2, config, device="abacus")
    learner, other = (make(kind, Discrete(n), 2, config) for n in (5, 6))
    with pytest.raises(ValueError, match="has shape"):
        other.load_state_dict(learner.state_dict())
    with pytest.raises(ValueError, match="can't go on"):
        learner.load_state_dict({"algorithm": "sarsa"})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_cuda_where_there_is_none_is_refused():
    with pytest.raises(ValueError, match="none here"):
        make(PQN, Discrete(2), 2, PQN_FAST, device="cuda")


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (DQNConfig, {"buffer_size": 10, "batch_size": 20}),
        (DQNConfig, {"replay_ratio": 0.0}),
        (DQNConfig, {"tau": 0.0}),
        (DQNConfig, {"n_step": 0}),
        (DQNConfig, {"loss": "l1"}),
        (DQNConfig, {"precision": "float16"}),
        (DQNConfig, {"buffer_checkpoint": "half"}),
        (PQNConfig, {"loss": "l1"}),
        (PQNConfig, {"q_lambda": 1.5}),
        (PQNConfig, {"num_steps": 0}),
        (PQNConfig, {"gamma": 2.0}),
        (PQNConfig, {"exploration": Schedule(2.0, 0.0, 1)}),
    ],
)
def test_bad_settings_are_refused(kind, setting):
    with pytest.raises(ValueError) as caught:
        kind(**setting)
    assert "\n" not in str(caught.value)


def test_minibatches_must_share_the_rollout_evenly():
    with pytest.raises(ValueError, match="minibatches must divide"):
        make(PQN, Discrete(2), 2, dataclasses.replace(PQN_FAST, num_minibatches=3))
