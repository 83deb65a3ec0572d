"""Tabular learners against plain textbook loops, exact solutions and Sutton & Barto's examples."""

import copy
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from meze.agents import checkpoint
from meze.agents.base import Transition
from meze.agents.memory import forget
from meze.agents.planning import toy_text_model, value_iteration
from meze.agents.registry import make_agent
from meze.agents.schedules import Schedule
from meze.agents.tabular import TabularConfig

RULES = ("q-learning", "sarsa", "expected-sarsa", "double-q-learning")


def constant(value):
    return Schedule(value, value, 0)


def settings(learning_rate=0.5, epsilon=0.1, gamma=0.9, **rest):
    return TabularConfig(constant(learning_rate), constant(epsilon), gamma, **rest)


def make(rule, num_states=6, num_actions=3, num_envs=1, seed=0, config=None):
    spaces = Discrete(num_states), Discrete(num_actions)
    return make_agent(rule, *spaces, num_envs=num_envs, config=config or settings(), seed=seed)


class TableEnvs:
    """A batch of environments in Gymnasium's toy-text form `table[s][a] = [(p, s', r, terminated), ...]`,
    reset in the step that ends an episode."""

    def __init__(self, table, start, num_envs, max_steps=10**9, seed=0):
        shape = len(table), len(table[0]), max(len(row) for row in table[0].values())
        self.cumulative = np.ones(shape)
        self.outcome = np.zeros(shape, [("state", int), ("reward", float), ("terminated", bool)])
        for s, a in np.ndindex(shape[:2]):
            self.cumulative[s, a, : len(table[s][a])] = np.cumsum([row[0] for row in table[s][a]])
            for k, (_, *outcome) in enumerate(table[s][a]):
                self.outcome[s, a, k] = tuple(outcome)
        self.start, self.max_steps, self.rng = start, max_steps, np.random.default_rng(seed)
        self.state = self.rng.choice(len(start), num_envs, p=start)
        self.elapsed = np.zeros(num_envs, int)
        self.memory = None  # what the policy remembers of them

    def step(self, action):
        draw = self.rng.random(len(action))
        k = (self.cumulative[self.state, action] <= draw[:, None]).sum(axis=1)
        k = np.minimum(k, self.cumulative.shape[2] - 1)
        result = self.outcome[self.state, action, k]
        self.elapsed += 1
        truncated = (self.elapsed >= self.max_steps) & ~result["terminated"]
        obs, ended = self.state, result["terminated"] | truncated
        fresh = self.rng.choice(len(self.start), len(action), p=self.start)
        self.state = np.where(ended, fresh, result["state"])
        self.elapsed[ended] = 0
        self.memory = forget(self.memory, ended)
        return Transition(
            obs, action, result["reward"], result["state"], result["terminated"], truncated, None
        )


def train(learner, envs, num_steps):
    """Returns the actions taken, (num_steps, B), and the rewards."""
    actions, rewards = [], []
    for _ in range(num_steps):
        action, envs.memory = learner.policy.act(envs.state, envs.memory, explore=True)
        batch = envs.step(action)
        learner.learn(batch)
        actions.append(action)
        rewards.append(batch.reward)
    return np.array(actions), np.array(rewards)


def random_batch(num_states, num_actions, size, seed, masked):
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, 4, size)
    mask = rng.integers(0, 2, (size, num_actions)).astype(np.int8)
    mask[np.arange(size), rng.integers(0, num_actions, size)] = 1
    return Transition(
        obs=rng.integers(0, num_states, size),
        action=rng.integers(0, num_actions, size),
        reward=rng.normal(size=size),
        next_obs=rng.integers(0, num_states, size),
        terminated=ends == 1,
        truncated=ends == 2,
        next_mask=mask if masked else None,
    )


def choose(values, allowed, epsilon, u):
    """The epsilon-greedy choice in plain Python."""
    if u < epsilon:
        return allowed[int(u / epsilon * len(allowed))]
    best = [a for a in allowed if values[a] == max(values[b] for b in allowed)]
    return best[int((u - epsilon) / (1 - epsilon) * len(best))]


def textbook(rule, tables, batch, uniform, alpha, gamma, epsilon):
    """The update rules as Sutton & Barto print them, in plain Python on nested lists, row after row."""
    for b, (s, a, r, s2, terminated) in enumerate(
        zip(*(column.tolist() for column in batch[:5]), strict=True)
    ):
        allowed = list(range(len(tables[0][s])))
        if batch.next_mask is not None:
            allowed = np.flatnonzero(batch.next_mask[b]).tolist()
        i = int(rule == "double-q-learning" and uniform[b] < 0.5)
        q = tables[i]
        if rule == "q-learning":
            value = max(q[s2][c] for c in allowed)
        elif rule == "expected-sarsa":
            mean = sum(q[s2][c] for c in allowed) / len(allowed)
            value = epsilon * mean + (1 - epsilon) * max(q[s2][c] for c in allowed)
        elif rule == "sarsa":
            value = q[s2][choose(q[s2], allowed, epsilon, uniform[b])]
        else:
            value = tables[1 - i][s2][max(allowed, key=lambda c: q[s2][c])]
        target = r if terminated else r + gamma * value
        q[s][a] = q[s][a] + alpha * (target - q[s][a])
    return tables


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [1, 64])
@pytest.mark.parametrize("rule", RULES)
def test_update_equals_the_textbook_bit_for_bit(rule, size, masked):
    # 64 rows on 18 pairs: most pairs stand in the batch several times.
    learner = make(rule, num_envs=size)
    learner.q[...] = np.random.default_rng(1).normal(size=learner.q.shape)
    tables = learner.q.reshape(-1, 6, 3).tolist()
    rng = copy.deepcopy(learner.rng)  # the learner's own stream, seen from outside
    for step in range(20):
        batch = random_batch(6, 3, size, step, masked)
        uniform = rng.random(size) if rule in ("sarsa", "double-q-learning") else None
        tables = textbook(rule, tables, batch, uniform, alpha=0.5, gamma=0.9, epsilon=0.1)
        metrics = learner.learn(batch)
    assert np.array_equal(learner.q.reshape(-1, 6, 3), tables)
    assert np.isfinite(metrics["td_error"])
    assert learner.steps == 20 * size


def test_double_q_policy_acts_on_the_mean_of_both_tables():
    learner = make("double-q-learning", num_envs=64)
    for step in range(20):
        learner.learn(random_batch(6, 3, 64, step, masked=False))
    assert not np.array_equal(learner.q[0], learner.q[1])
    assert np.array_equal(learner.policy.q, learner.q.mean(axis=0))


@pytest.mark.parametrize("rule", RULES)
def test_only_termination_stops_bootstrapping(rule):
    def after(terminated, truncated):
        learner = make(rule, 2, 2)
        learner.q[..., 1, :] = 10.0
        flags = np.array([terminated]), np.array([truncated])
        learner.learn(Transition(np.array([0]), np.array([0]), np.array([1.0]), np.array([1]), *flags, None))
        return learner.q.reshape(-1, 2, 2).sum(axis=0)[0, 0]

    assert after(terminated=True, truncated=False) == 0.5
    assert after(terminated=True, truncated=True) == 0.5
    assert after(terminated=False, truncated=True) == 0.5 * (1 + 0.9 * 10)
    assert after(terminated=False, truncated=False) == 0.5 * (1 + 0.9 * 10)


def random_mdp(num_states, num_actions, seed):
    rng = np.random.default_rng(seed)
    return {
        s: {
            a: [
                (p, rng.integers(num_states), rng.normal(), rng.random() < 0.1)
                for p in rng.dirichlet(np.ones(3))
            ]
            for a in range(num_actions)
        }
        for s in range(num_states)
    }


def epsilon_greedy_values(transition, reward, gamma, epsilon):
    """Exact values of the best epsilon-greedy policy: value iteration that backs up the mixture."""
    values = np.zeros(len(transition))
    for _ in range(5_000):
        q = reward + gamma * transition @ values
        values = epsilon * q.mean(axis=1) + (1 - epsilon) * q.max(axis=1)
    return q


@pytest.mark.parametrize("rule", RULES)
def test_random_mdp_is_solved(rule):
    epsilon, gamma, bound = 0.3, 0.8, 0.15
    table = random_mdp(8, 3, seed=7)
    model = toy_text_model(table)
    optimal = value_iteration(*model, gamma=gamma)
    on_policy = epsilon_greedy_values(*model, gamma, epsilon)
    assert np.abs(optimal - on_policy).max() > 3 * bound  # no learner passes with the other kind's values

    num_envs, num_steps = 256, 4_000
    config = TabularConfig(Schedule(0.1, 0.001, num_envs * num_steps), constant(epsilon), gamma=gamma)
    learner = make(rule, 8, 3, num_envs, config=config)
    train(learner, TableEnvs(table, np.full(8, 1 / 8), num_envs, max_steps=50), num_steps)
    exact = on_policy if "sarsa" in rule else optimal
    assert np.abs(learner.policy.q - exact).max() < bound


@pytest.fixture(scope="module")
def cliff():
    env = gym.make("CliffWalking-v1").unwrapped
    return SimpleNamespace(table=env.P, start=env.initial_state_distrib)


def greedy_path(learner, table, state):
    """States on the way of the greedy policy, at most 50."""
    path, terminated = [state], False
    while not terminated and len(path) < 50:
        action, _ = learner.policy.act(np.array(path[-1:]), explore=False)
        [(_, state, _, terminated)] = table[path[-1]][int(action[0])]
        path.append(int(state))
    return path


def test_cliff_walking_as_sutton_and_barto_describe(cliff):
    """Example 6.6: Q-learning walks along the cliff's edge and falls while it explores; SARSA takes the
    safe way, which is longer, and fares better online."""
    online, paths = {}, {}
    for rule in ("q-learning", "sarsa", "expected-sarsa"):
        config = TabularConfig(Schedule(0.5, 0.01, 600_000), constant(0.1), gamma=1.0)
        learner = make(rule, 48, 4, num_envs=256, config=config)
        envs = TableEnvs(cliff.table, cliff.start, num_envs=256)
        _, rewards = train(learner, envs, 3_000)
        online[rule] = rewards[-1_000:].mean()
        paths[rule] = greedy_path(learner, cliff.table, 36)
    edge = [36, *range(24, 36), 47]
    assert paths["q-learning"] == edge
    for rule in ("sarsa", "expected-sarsa"):
        assert paths[rule][-1] == 47
        assert not set(paths[rule]) & set(range(25, 35)), "walks beside the cliff"
        assert len(paths[rule]) > len(edge)
        assert online[rule] > online["q-learning"]


@pytest.mark.parametrize("rule", ["q-learning", "double-q-learning"])
def test_optimal_on_cliff_walking(rule, cliff):
    exact = value_iteration(*toy_text_model(cliff.table), gamma=1.0)
    learner = make(rule, 48, 4, num_envs=8, config=settings(learning_rate=1.0, epsilon=0.2, gamma=1.0))
    train(learner, TableEnvs(cliff.table, cliff.start, num_envs=8), 5_000)
    path = greedy_path(learner, cliff.table, 36)
    assert -(len(path) - 1) == exact[36].max() == -13


def test_optimal_on_taxi_from_every_start():
    env = gym.make("Taxi-v4").unwrapped
    transition, reward = toy_text_model(env.P)
    optimal = value_iteration(transition, reward, gamma=1.0).max(axis=1) @ env.initial_state_distrib
    assert optimal == pytest.approx(7.93)

    # A return of 20 is out of reach, so that the learner tries everything, exploring hardly at all.
    config = settings(learning_rate=1.0, epsilon=0.02, gamma=1.0, initial_value=20.0)
    learner = make("q-learning", 500, 6, num_envs=256, config=config)
    train(learner, TableEnvs(env.P, env.initial_state_distrib, 256, max_steps=200), 800)
    states = np.arange(500)
    action, _ = learner.policy.act(states, explore=False)
    values = np.zeros(500)
    for _ in range(200):
        values = reward[states, action] + transition[states, action] @ values
    assert values @ env.initial_state_distrib == pytest.approx(optimal)


def test_double_q_learning_lacks_the_maximisation_bias():
    """Example 6.7: going left from A costs 0.1 on average, but its rewards are noisy. Q-learning believes
    their maximum and goes left too often. Every row is a learner of its own, on its own two states."""
    num_runs, num_actions, num_steps = 1_000, 10, 200
    left_share = {}
    for rule in ("q-learning", "double-q-learning"):
        rng = np.random.default_rng(0)
        config = settings(learning_rate=0.1, epsilon=0.1, gamma=1.0)
        learner = make(rule, 2 * num_runs, num_actions, num_runs, config=config)
        in_b = np.zeros(num_runs, bool)
        lefts = visits = 0
        for _ in range(num_steps):
            obs = 2 * np.arange(num_runs) + in_b
            mask = np.ones((num_runs, num_actions), np.int8)
            mask[~in_b, 2:] = 0  # A offers left (0) and right (1) only
            action, _ = learner.policy.act(obs, explore=True, mask=mask)
            left = ~in_b & (action == 0)
            lefts, visits = lefts + left.sum(), visits + (~in_b).sum()
            reward = np.where(in_b, rng.normal(-0.1, 1.0, num_runs), 0.0)
            next_obs = 2 * np.arange(num_runs) + 1
            flags = ~left, np.zeros(num_runs, bool)
            learner.learn(Transition(obs, action, reward, next_obs, *flags, np.ones_like(mask)))
            in_b = left
        left_share[rule] = lefts / visits
    assert left_share["q-learning"] > 1.5 * left_share["double-q-learning"]
    assert left_share["double-q-learning"] < 0.3


def test_sarsa_executes_the_action_it_learned_from():
    learner = make("sarsa", num_envs=64, config=settings(epsilon=0.5))
    learner.q[...] = np.random.default_rng(1).normal(size=learner.q.shape)
    for step in range(20):
        batch = random_batch(6, 3, 64, step, masked=False)
        learner.learn(batch)
        chosen = learner.policy.next_action
        goes_on = ~(batch.terminated | batch.truncated)
        obs = batch.next_obs.copy()
        batch.next_obs[...] = 0  # environments may reuse their buffers
        action, memory = learner.policy.act(obs, goes_on, explore=True)
        assert np.array_equal(action[goes_on], chosen[goes_on]) and memory.all()
        assert len(set(action[~goes_on])) == 3  # fresh choices, random ones among them


@pytest.mark.parametrize("memory", [None, np.array([False])])
def test_sarsa_drops_the_waiting_action_of_a_stream_that_was_reset(memory):
    learner = make("sarsa", 2, 2, config=settings(epsilon=0.0))
    flag = np.array([False])
    batch = Transition(np.array([0]), np.array([0]), np.array([0.0]), np.array([1]), flag, flag, None)
    for kept, wanted in ((np.array([True]), 1), (memory, 0)):
        learner.q[...] = [[1.0, 0.0], [0.0, 1.0]]
        learner.learn(batch)
        assert learner.policy.next_action == [1]
        action, _ = learner.policy.act(np.array([0]), kept, explore=True)
        assert action == [wanted]


def test_sarsa_keeps_its_waiting_action_through_an_evaluation():
    learner = make("sarsa", num_envs=64, config=settings(epsilon=0.5))
    batch = random_batch(6, 3, 64, 0, masked=False)
    learner.learn(batch)
    twin = copy.deepcopy(learner)
    learner.policy.act(np.arange(6), explore=False)
    goes_on = np.ones(64, np.bool_)
    one, other = (each.policy.act(batch.next_obs, goes_on, explore=True)[0] for each in (learner, twin))
    assert np.array_equal(one, other)


def test_exploring_follows_the_epsilon_greedy_distribution():
    learner = make("q-learning", 1, 5, config=settings(epsilon=0.4))
    learner.q[...] = [1.0, 3.0, 2.0, 3.0, 9.0]  # the last is forbidden, the second and fourth are best
    size = 200_000
    mask = np.tile(np.array([1, 1, 1, 1, 0], np.int8), (size, 1))
    action, _ = learner.policy.act(np.zeros(size, int), explore=True, mask=mask)
    share = np.bincount(action, minlength=5) / size
    expected = np.array([0.1, 0.4, 0.1, 0.4, 0.0])
    assert np.all(np.abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / size))


def test_evaluation_is_greedy_deterministic_and_draws_nothing():
    learner = make("q-learning", 2, 4)
    learner.q[...] = [[0.0, 5.0, 5.0, 9.0], [0.0, 0.0, 0.0, 0.0]]
    before = learner.rng.bit_generator.state
    mask = np.array([[1, 1, 1, 0], [0, 1, 1, 1]], np.int8)
    action, memory = learner.policy.act(np.array([0, 1]), explore=False, mask=mask)
    assert action.tolist() == [1, 1]
    assert memory is None
    assert learner.rng.bit_generator.state == before


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8])
def test_masks_of_any_dtype(dtype):
    learner = make("q-learning", 2, 3)
    mask = np.array([[0, 1, 0], [0, 0, 1]], dtype)
    assert learner.policy.act(np.array([0, 1]), explore=True, mask=mask)[0].tolist() == [1, 2]


def test_spaces_that_do_not_start_at_zero():
    config = settings(learning_rate=1.0, epsilon=0.0)
    spaces = Discrete(3, start=10), Discrete(2, start=-5)
    learner = make_agent("q-learning", *spaces, num_envs=1, config=config, seed=0)
    flag = np.array([False])
    obs, action = np.array([12]), np.array([-4])
    learner.learn(Transition(obs, action, np.array([7.0]), np.array([11]), flag, flag, None))
    assert learner.q.tolist() == [[0, 0], [0, 0], [0, 7]]
    assert learner.policy.action_values(obs).tolist() == [[0, 7]]
    assert learner.policy.act(obs, explore=False)[0] == action
    assert learner.policy.act(obs, explore=True)[0] == action


def test_an_observation_outside_the_space_raises():
    learner = make("q-learning")
    with pytest.raises(IndexError):
        learner.policy.act(np.array([6]), explore=True)


@pytest.mark.parametrize("rule", RULES)
def test_resumes_bit_for_bit(rule, cliff, tmp_path):
    config = TabularConfig(Schedule(0.5, 0.1, 2_000), Schedule(0.9, 0.1, 3_000), gamma=0.9)
    learner = make(rule, 48, 4, num_envs=16, config=config)
    envs = TableEnvs(cliff.table, cliff.start, 16, max_steps=40)
    train(learner, envs, 100)
    checkpoint.save(tmp_path / "state", learner.state_dict())
    envs_again = copy.deepcopy(envs)
    expected, _ = train(learner, envs, 100)

    resumed = make(rule, 48, 4, num_envs=16, seed=99, config=config)
    resumed.load_state_dict(checkpoint.load(tmp_path / "state"))
    actions, _ = train(resumed, envs_again, 100)
    assert np.array_equal(actions, expected)
    assert learner.q.any()
    assert resumed.q.tobytes() == learner.q.tobytes()
    assert resumed.policy.q.tobytes() == learner.policy.q.tobytes()
    assert resumed.steps == learner.steps


def test_state_dict_is_a_copy():
    learner = make("q-learning", num_envs=64)
    state = learner.state_dict()
    learner.learn(random_batch(6, 3, 64, 0, masked=False))
    assert not state["q"].any()
    assert learner.q.any()


def test_a_whole_number_as_initial_value_makes_no_table_of_integers():
    learner = make("q-learning", 2, 2, config=settings(initial_value=1))
    flag = np.array([True])
    learner.learn(Transition(np.array([0]), np.array([0]), np.array([0.5]), np.array([1]), flag, flag, None))
    assert learner.q.tolist() == [[0.75, 1.0], [1.0, 1.0]]


def test_a_state_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="sarsa can't go on from a state of q-learning"):
        make("sarsa").load_state_dict(make("q-learning").state_dict())
    with pytest.raises(ValueError, match=r"shape \(6, 3\).*\(7, 3\)"):
        make("q-learning").load_state_dict(make("q-learning", num_states=7).state_dict())


def test_spaces_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"q-learning needs Discrete .*Box.* and Discrete\(2\)"):
        make_agent("q-learning", Box(0, 1, (3,)), Discrete(2), num_envs=1, seed=0)
    with pytest.raises(ValueError, match=r"sarsa needs Discrete .*Discrete\(2\) and Box"):
        make_agent("sarsa", Discrete(2), Box(0, 1, (3,)), num_envs=1, seed=0)
    with pytest.raises(ValueError, match="at most"):
        make_agent("sarsa", Discrete(2**40), Discrete(2), num_envs=1, seed=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": constant(0.0)},
        {"learning_rate": Schedule(0.5, 1.5, 10)},
        {"exploration": constant(-0.1)},
        {"gamma": 1.1},
        {"gamma": float("nan")},
        {"initial_value": float("inf")},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TabularConfig(**wrong)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("next_action", np.array([3])),  # there are three, from 0
        ("next_action", np.zeros((1, 1), int)),
        ("next_action", np.zeros(())),
        ("next_action", np.array(["a"])),
        ("q", np.full((6, 3), np.nan)),
        ("q", np.full((6, 3), "a")),
    ],
)
def test_what_would_be_done_next_is_checked(part, value):
    state = {**make("sarsa").state_dict(), "next_action": np.array([2])}
    make("sarsa").load_state_dict(state)
    with pytest.raises(ValueError):
        make("sarsa").load_state_dict({**state, part: value})


def test_a_sarsa_of_older_runs_whose_policy_remembered_nothing_chooses_anew():
    learner = make("sarsa", num_envs=2)
    learner.load_state_dict(
        {**learner.state_dict(), "next_action": np.array([-1, 2]), "next_state": np.zeros(2)}
    )
    assert not len(learner.policy.next_action)
