"""SARSA(lambda) and n-step SARSA against updates by hand, plain loops, lambda returns and the random walk."""

import copy
import math

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from meze.agents import checkpoint
from meze.agents.base import Transition
from meze.agents.registry import make_agent
from meze.agents.schedules import Schedule
from meze.agents.tabular import MAX_TABLE_VALUES, TabularConfig
from meze.agents.traces import TINY, NStepSarsaConfig, SarsaLambdaConfig, most_traces

KINDS = ("accumulating", "replacing", "dutch")


def make(num_states, num_actions, num_envs=1, *, seed=0, learning_rate=0.5, epsilon=0.0, gamma=1.0, **rest):
    """A learner; which one, `rest` tells."""
    shared = Schedule(learning_rate, learning_rate, 0), Schedule(epsilon, epsilon, 0), gamma
    rule, kind = "sarsa", TabularConfig
    if "trace_decay" in rest:
        rule, kind = "sarsa-lambda", SarsaLambdaConfig
    elif "n_step" in rest:
        rule, kind = "n-step-sarsa", NStepSarsaConfig
    spaces = Discrete(num_states), Discrete(num_actions)
    return make_agent(rule, *spaces, num_envs=num_envs, config=kind(*shared, **rest), seed=seed)


def step(learner, obs, reward, next_obs, ended="", goes_on=True):
    """Learns from one step of each stream, whose only action is 0.

    `ended` has a letter for each stream that is terminated (T) or truncated (C), and `goes_on` tells whether
    the episode was under way before it.
    """
    obs, reward, next_obs = np.atleast_1d(obs), np.atleast_1d(np.float64(reward)), np.atleast_1d(next_obs)
    letters = np.array(list(ended.ljust(len(obs))))
    flags = letters == "T", letters == "C"
    memory = np.broadcast_to(goes_on, len(obs)).copy()
    learner.learn(Transition(obs, 0 * obs, reward, next_obs, *flags, None, memory=memory))


# ---------------------------------------------------------------- by hand: three states, one action


@pytest.mark.parametrize(
    ("kind", "after_two", "after_three"),
    # Errors are 1, -0.5 and 2; when the second comes, the trace of state 0 has faded to 0.5.
    [
        ("accumulating", 0.125, 0.875),  # 0.5 - 0.5 * 0.5 * 1.5, then 2 * 0.5 * 0.75 more
        ("replacing", 0.25, 0.75),  # 0.5 - 0.5 * 0.5 * 1, then 2 * 0.5 * 0.5 more
        ("dutch", 0.25, 0.875),  # trace 0.5 * 0.5 + 1, drift 0.5: 0.5 + 0.5 * (-0.5 * 1.25 + 0.5 * 0.25)
    ],
)
def test_traces_by_hand(kind, after_two, after_three):
    learner = make(3, 1, trace_decay=0.5, traces=kind)
    learner.q[2] = 100.0
    step(learner, 0, 1.0, 0, goes_on=False)
    assert learner.q.ravel().tolist() == [0.5, 0.0, 100.0]
    step(learner, 0, 0.0, 1)
    assert learner.q.ravel().tolist() == [after_two, 0.0, 100.0]
    cut = copy.deepcopy(learner)
    step(learner, 1, 2.0, 2, "T")  # the successor's value does not count
    assert learner.q.ravel().tolist() == [after_three, 1.0, 100.0]
    step(cut, 1, 2.0, 2, "C")  # it counts
    share = (after_three - after_two) / 2
    assert cut.q.ravel().tolist() == [after_two + 102 * share, 51.0, 100.0]
    for each in (learner, cut):  # the next episode teaches nothing about the one before
        before = each.q.ravel().tolist()
        step(each, 2, 0.0, 1, "T", goes_on=False)
        assert each.q.ravel().tolist() == [*before[:2], 50.0]


def test_n_steps_by_hand():
    # gamma is 0.5 and rewards are 1, 2 and 4, so that each of them is worth 1 when the first is earned.
    def run(n_step, ended, last_obs):
        learner = make(3, 1, gamma=0.5, n_step=n_step)
        learner.q[2] = 8.0
        step(learner, 0, 1.0, 1, goes_on=False)
        first = learner.q.ravel().tolist()
        step(learner, 1, 2.0, 2)
        second = learner.q.ravel().tolist()
        step(learner, 2, 4.0, last_obs, ended)
        return first, second, learner.q.ravel().tolist()

    untouched = [0.0, 0.0, 8.0]
    # State 0 to half of 1 + 1 + 8 / 4; then 1 to half of 2 + 2, and 2 half the way from 8 to 4.
    assert run(2, "T", 0) == (untouched, [2.0, 0.0, 8.0], [2.0, 2.0, 6.0])
    # Cut off in state 0, whose value is 2: 1 to half of 2 + 2 + 2 / 4, and 2 half the way to 4 + 2 / 2.
    assert run(2, "C", 0) == (untouched, [2.0, 0.0, 8.0], [2.0, 2.25, 6.5])
    # More steps than the episode has: all three wait for its end, and have the return.
    assert run(5, "T", 0) == (untouched, untouched, [1.5, 2.0, 6.0])
    # Cut off in state 0: to half of 3; its new value, 1.5, is that of what follows 1 and 2.
    assert run(5, "C", 0) == (untouched, untouched, [1.5, 2.1875, 6.375])


@pytest.mark.parametrize("rest", [{"trace_decay": 0.5}, {"n_step": 5}])
def test_an_episode_that_was_reset_meanwhile_is_void(rest):
    learner = make(3, 1, **rest)
    step(learner, 0, 1.0, 1, goes_on=False)
    before = learner.q[0, 0]
    step(learner, 1, 2.0, 2, "T", goes_on=False)
    assert learner.q.ravel().tolist() == [before, 1.0, 0.0]


@pytest.mark.parametrize("rest", [{"trace_decay": 0.5}, {"n_step": 2}])
def test_streams_keep_to_themselves(rest):
    """Two streams on states of their own learn what each learns alone, though their episodes end apart."""
    alone = [make(3, 1, **rest) for _ in range(2)]
    both = make(6, 1, 2, **rest)
    rng = np.random.default_rng(0)
    obs, goes_on = np.zeros(2, int), np.zeros(2, bool)
    for _ in range(100):
        reward, next_obs, ended = rng.normal(size=2), rng.integers(0, 3, 2), rng.choice([*"  TC"], 2)
        step(both, obs + [0, 3], reward, next_obs + [0, 3], "".join(ended), goes_on)
        for b, learner in enumerate(alone):
            step(learner, obs[b], reward[b], next_obs[b], ended[b], goes_on[b])
        obs, goes_on = next_obs, ended == " "
    assert np.array_equal(both.q, np.concatenate([learner.q for learner in alone])) and both.q.all()


# ---------------------------------------------------------------- many streams, actions, masks


class Streams:
    """Environments in which everything is left to chance; now and then one is reset without an end."""

    def __init__(self, num_envs, num_states=6, num_actions=3, seed=0, ends=0.1):
        self.rng, self.num_states, self.ends = np.random.default_rng(seed), num_states, ends
        self.masks = self.rng.integers(0, 2, (num_states, num_actions)).astype(np.int8)
        self.masks[:, 0] = 1
        self.state, self.memory = self.rng.integers(0, num_states, num_envs), None

    def step(self, learner):
        mask, memory, size = self.masks[self.state], self.memory, len(self.state)
        action, self.memory = learner.policy.act(self.state, memory, explore=True, mask=mask)
        successor, chance = self.rng.integers(0, self.num_states, size), self.rng.random(size)
        flags = chance < self.ends, (chance >= self.ends) & (chance < 2 * self.ends)
        reward = self.rng.normal(size=size)
        known = {"mask": mask, "memory": memory}
        batch = Transition(self.state, action, reward, successor, *flags, self.masks[successor], **known)
        over = flags[0] | flags[1] | (self.rng.random(size) < self.ends / 2)
        self.state = np.where(over, self.rng.integers(0, self.num_states, size), successor)
        self.memory = np.where(over, False, self.memory)
        return batch


def rows_of(batch, learner):
    """Each row as plain values, and what the learner drew to follow it."""
    memory = np.zeros(len(batch.obs), bool) if batch.memory is None else batch.memory
    columns = (*batch[:6], memory, learner.policy.next_action)
    return zip(*(column.tolist() for column in columns), strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_traces_equal_the_textbook(kind):
    """Row after row, with a table of traces for each stream."""
    alpha, gamma, decay, size = 0.25, 0.9, 0.8, 16
    learner = make(6, 3, size, learning_rate=alpha, epsilon=0.3, gamma=gamma, trace_decay=decay, traces=kind)
    streams, q = Streams(size), learner.q.copy()
    kept = {"accumulating": 1, "replacing": 0, "dutch": 1 - alpha}[kind]
    traces, q_old = np.zeros((size, 6, 3)), np.zeros(size)
    for _ in range(100):
        batch = streams.step(learner)
        learner.learn(batch)
        for b, (s, a, r, s2, terminated, _, goes_on, a2) in enumerate(rows_of(batch, learner)):
            if not goes_on:
                traces[b], q_old[b] = 0.0, q[s, a]
            value = 0.0 if terminated else q[s2, a2]
            error, drift = r + gamma * value - q[s, a], q[s, a] - q_old[b]
            traces[b] *= gamma * decay
            traces[:, s, a] *= kept
            traces[b, s, a] += 1
            traces[b][traces[b] < TINY] = 0
            others = traces[b].copy()
            others[s, a] -= 1
            q += alpha * (error * traces[b] + (drift * others if kind == "dutch" else 0.0))
            q_old[b] = value
        np.testing.assert_allclose(learner.q, q, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [1, 3, 50])
def test_n_steps_equal_the_textbook(n):
    alpha, gamma, size = 0.25, 0.9, 16
    learner = make(6, 3, size, learning_rate=alpha, epsilon=0.3, gamma=gamma, n_step=n)
    streams, q, waiting = Streams(size), learner.q.copy(), [[] for _ in range(size)]
    for _ in range(100):
        batch = streams.step(learner)
        learner.learn(batch)
        for b, (s, a, r, s2, terminated, truncated, goes_on, a2) in enumerate(rows_of(batch, learner)):
            waiting[b] = [*(waiting[b] if goes_on else []), (s, a, r)]
            while waiting[b] and (len(waiting[b]) == n or terminated or truncated):
                rewards = [reward for *_, reward in waiting[b]]
                target = 0.0 if terminated else gamma ** len(rewards) * q[s2, a2]
                target += sum(gamma**i * reward for i, reward in enumerate(rewards))
                pair = waiting[b].pop(0)[:2]
                q[pair] += alpha * (target - q[pair])
        np.testing.assert_allclose(learner.q, q, rtol=1e-9, atol=1e-12)


def test_no_error_is_told_where_nothing_was_updated():
    learner = make(3, 1, n_step=2)
    batch = Transition(*(np.array([each]) for each in (0, 0, 4.0, 1, False, False)), None)
    assert "td_error" not in learner.learn(batch)
    assert learner.learn(batch._replace(memory=np.array([True])))["td_error"] == 8.0  # both rewards


@pytest.mark.parametrize("rest", [*({"trace_decay": 0.0, "traces": kind} for kind in KINDS), {"n_step": 1}])
def test_one_step_is_sarsa_to_the_digit(rest):
    settings = {"learning_rate": 0.3, "epsilon": 0.3, "gamma": 0.9}
    ours, sarsa = make(6, 3, 16, **settings, **rest), make(6, 3, 16, **settings)
    streams, same = Streams(16), Streams(16)
    for _ in range(200):
        told, expected = ours.learn(streams.step(ours)), sarsa.learn(same.step(sarsa))
        assert told == expected
    assert ours.q.tobytes() == sarsa.q.tobytes() and (ours.q != 0).sum() > 8
    assert ours.rng.bit_generator.state == sarsa.rng.bit_generator.state


# ---------------------------------------------------------------- lambda returns


@pytest.mark.parametrize("kind", KINDS)
def test_lambda_of_1_is_monte_carlo_where_nothing_is_visited_twice(kind):
    """Then all values that count are those of the episode's beginning, and errors add up to its return."""
    gamma, alpha = 0.9, 0.3
    learner = make(20, 1, learning_rate=alpha, gamma=gamma, trace_decay=1.0, traces=kind)
    rng = np.random.default_rng(0)
    learner.q[...] = before = rng.normal(size=(20, 1))
    reward = rng.normal(size=20)
    for s in range(20):
        step(learner, s, reward[s], min(s + 1, 19), "T" if s == 19 else "", goes_on=s > 0)
    returns = [sum(gamma**i * r for i, r in enumerate(reward[s:])) for s in range(20)]
    np.testing.assert_allclose(learner.q[:, 0], before[:, 0] + alpha * (returns - before[:, 0]), rtol=1e-12)


@pytest.mark.parametrize("size", [1, 3])
def test_dutch_traces_look_ahead_exactly_as_lambda_returns_do(size):
    """The online lambda-return algorithm (Sutton & Barto 12.4), which does all updates anew at each step.

    The visits of all streams, in their order, each have a target that comes to look further ahead.
    """
    alpha, gamma, decay = 0.4, 0.95, 0.8
    learner = make(4, 1, size, learning_rate=alpha, gamma=gamma, trace_decay=decay, traces="dutch")
    rng = np.random.default_rng(0)
    learner.q[:, 0] = table = start = rng.normal(size=4)
    episodes, visits = [[] for _ in range(size)], []  # (reward, value of what followed), by steps
    state, goes_on = rng.integers(0, 4, size), np.zeros(size, bool)

    def target(episode, t):
        returns, total = [], 0.0
        for i, (reward, value) in enumerate(episode[t:]):
            total += gamma**i * reward
            returns.append(total + gamma ** (i + 1) * value)
        mixed = sum((1 - decay) * decay**i * each for i, each in enumerate(returns[:-1]))
        return mixed + decay ** (len(returns) - 1) * returns[-1]

    for _ in range(30):
        reward, following, ended = rng.normal(size=size), rng.integers(0, 4, size), rng.random(size) < 0.1
        step(learner, state, reward, following, "".join(np.where(ended, "T", " ")), goes_on)
        for b in range(size):
            if not goes_on[b]:
                episodes[b] = []
            visits.append((state[b], episodes[b], len(episodes[b])))
            episodes[b].append((reward[b], 0.0 if ended[b] else table[following[b]]))
            table = start.copy()
            for s, episode, t in visits:
                table[s] += alpha * (target(episode, t) - table[s])
        np.testing.assert_allclose(learner.q[:, 0], table, rtol=1e-9)
        state, goes_on = following, ~ended


@pytest.mark.parametrize("kind", ["replacing", "dutch"])
def test_many_streams_correct_an_error_together_not_each_on_its_own(kind):
    """A hundred streams go from state 0 to state 1 again and again, all at once, and earn 1 there."""
    learner = make(2, 1, 100, trace_decay=0.9, traces=kind)
    for episode in range(50):
        for s, ended in ((0, " "), (1, "T")):
            step(learner, np.full(100, s), np.full(100, 1.0 * s), np.ones(100, int), ended * 100, s > 0)
        assert np.abs(learner.q).max() <= 1.0 + 1e-9, episode
    assert learner.q.ravel().tolist() == pytest.approx([1.0, 1.0])


def walk_error(runs=40, episodes=10, **rest):
    """Root mean squared error on the random walk of 19 states, mean over its first episodes, and runs.

    The walk begins in the middle and earns -1 at the left end, 1 at the right one. Each stream is a run, with
    states of its own.
    """
    learner = make(19 * runs, 1, runs, **rest)
    rng = np.random.default_rng(0)
    values, true = learner.q.reshape(runs, 19), np.arange(-9, 10) / 10
    first, place, goes_on = 19 * np.arange(runs), np.full(runs, 9), np.zeros(runs, bool)
    ended, total = np.zeros(runs, int), 0.0
    while (ended < episodes).any():
        following = place + rng.choice([-1, 1], runs)
        over = (following < 0) | (following > 18)
        reward = np.where(over, np.sign(following), 0.0)
        letters = "".join(np.where(over, "T", " "))
        step(learner, first + place, reward, first + following.clip(0, 18), letters, goes_on)
        counted = over & (ended < episodes)
        total += np.sqrt(((values[counted] - true) ** 2).mean(axis=1)).sum()
        ended += over
        place, goes_on = np.where(over, 9, following), ~over
    return total / (episodes * runs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_random_walk_has_its_best_lambda_between(kind):
    """Figures 12.6 and 12.8, for the step sizes that are good for each lambda."""

    def best(trace_decay, *step_sizes):
        return min(
            walk_error(learning_rate=each, trace_decay=trace_decay, traces=kind) for each in step_sizes
        )

    one_step, between, monte_carlo = best(0.0, 0.6, 0.8), best(0.8, 0.3, 0.4), best(1.0, 0.01, 0.05, 0.2)
    assert 0.24 < between < 0.30
    assert one_step > between + 0.05 and monte_carlo > between + 0.05


def test_the_random_walk_has_its_best_n_between():
    """Figure 7.2: 4 steps, with a step size of 0.4."""
    errors = {n: walk_error(learning_rate=alpha, n_step=n) for n, alpha in ((1, 0.8), (4, 0.4), (64, 0.05))}
    assert 0.24 < errors[4] < 0.30
    assert min(errors[1], errors[64]) > errors[4] + 0.05


# ---------------------------------------------------------------- what is forgotten, saved, refused


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("gamma", "decay"), [(0.9, 0.9), (1.0, 0.99), (1.0, 1.0), (0.9, 0.0)])
def test_tiny_traces_are_forgotten_and_there_is_room_for_all_others(kind, gamma, decay):
    num_states, alpha = 300, 0.1
    learner = make(num_states, 1, learning_rate=alpha, gamma=gamma, trace_decay=decay, traces=kind)
    room = most_traces(gamma * decay, num_states)
    assert learner.traces.pair.shape == (1, room)
    trace, rng, most, s = np.zeros(num_states), np.random.default_rng(0), 0, 0
    for t in range(2_000):
        s = (s + 1) % num_states if rng.random() < 0.9 else s
        step(learner, s, 0.0, s, goes_on=t > 0)
        trace *= gamma * decay
        trace[s] = {"accumulating": trace[s] + 1, "replacing": 1, "dutch": (1 - alpha) * trace[s] + 1}[kind]
        count = int(learner.traces.count[0])
        kept = dict(zip(learner.traces.pair[0, :count], learner.traces.trace[0, :count], strict=True))
        most = max(most, count)
        assert len(kept) == count and set(kept) == set(np.flatnonzero(trace >= TINY))
        assert all(math.isclose(trace[pair], each, rel_tol=1e-9) for pair, each in kept.items())
    assert room / 2 < most <= room  # the bound is not loose either


@pytest.mark.parametrize("rest", [*({"trace_decay": 0.9, "traces": kind} for kind in KINDS), {"n_step": 3}])
def test_resumes_in_the_middle_of_episodes_bit_for_bit(rest, tmp_path):
    settings = {"learning_rate": 0.2, "epsilon": 0.3, "gamma": 0.9, **rest}
    learner, streams = make(6, 3, 8, **settings), Streams(8, ends=0.01)
    for _ in range(50):
        learner.learn(streams.step(learner))
    checkpoint.save(tmp_path / "state", learner.state_dict())
    resumed, again = make(6, 3, 8, seed=9, **settings), copy.deepcopy(streams)
    resumed.load_state_dict(checkpoint.load(tmp_path / "state"))
    for _ in range(50):
        learner.learn(streams.step(learner))
        resumed.learn(again.step(resumed))
    one, other = learner.state_dict(), resumed.state_dict()
    assert one.keys() == other.keys() and one["rng"] == other["rng"]
    arrays = [name for name, value in one.items() if isinstance(value, np.ndarray)]
    assert len(arrays) > 4 and all(one[name].tobytes() == other[name].tobytes() for name in arrays)


def changed(array, value):
    array = array.copy()
    array.flat[-1] = value
    return array


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("traces.pair", lambda pair: changed(pair, 18)),
        ("traces.pair", lambda pair: changed(pair, -1)),
        ("traces.pair", lambda pair: pair.astype(np.int32)),
        ("traces.pair", lambda pair: np.repeat(pair, 99, axis=1)),
        ("traces.trace", lambda trace: changed(trace, np.inf)),
        ("traces.trace", lambda trace: changed(trace, -1.0)),
        ("traces.trace", lambda trace: trace[:-1]),
        ("traces.seen", lambda seen: changed(seen, 1 << 40)),  # more visits than the pair had
        ("traces.seen", lambda seen: changed(seen, -1)),
        ("traces.visits", lambda visits: visits * 0),
        ("traces.visits", lambda visits: changed(visits, (1 << 63) - 1)),
        ("traces.count", lambda count: changed(count, 99)),
        ("traces.count", lambda count: changed(count, -1)),
        ("traces.count", lambda count: count[:-1]),
        ("traces.next_value", lambda value: changed(value, np.nan)),
        ("traces.next_value", lambda value: None),
        ("last.pair", lambda pair: changed(pair, 18)),
        ("last.pair", lambda pair: pair[:, :-1]),
        ("last.reward", lambda reward: changed(reward, np.nan)),
        ("last.time", lambda time: changed(time, -1)),
        ("last.time", lambda time: time.astype(float)),
    ],
)
def test_a_damaged_state_is_refused(name, damage):
    rest = {"trace_decay": 0.9} if name.startswith("traces") else {"n_step": 3}
    learner, streams = make(6, 3, 8, **rest), Streams(8)
    for _ in range(20):
        learner.learn(streams.step(learner))
    state = learner.state_dict()
    make(6, 3, 8, **rest).load_state_dict(state)
    with pytest.raises(
        ValueError, match=f"{name.partition('.')[0]}.* (damaged|out of range|not fit|no number)"
    ):
        make(6, 3, 8, **rest).load_state_dict({**state, name: damage(state[name])})


def test_a_list_of_traces_that_no_run_could_have_stays_in_its_room():
    learner = make(300, 1, 2, gamma=0.9, trace_decay=0.9)
    room = learner.traces.pair.shape[1]
    full = np.zeros((2, room), np.int64), np.full((2, room), 1e300), np.full(2, room)
    parts = dict(zip(("pair", "trace", "count"), full, strict=True)) | {"seen": full[0]}
    learner.load_state_dict(learner.state_dict() | {f"traces.{name}": part for name, part in parts.items()})
    learner.q[...] = 0.0
    for s in range(5):
        step(learner, [s, s + 1], [0.0, 0.0], [s + 1, s + 2])
    assert (learner.traces.count <= room).all()


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ({"trace_decay": 1.1}, "trace_decay must lie in"),
        ({"trace_decay": float("nan")}, "trace_decay must lie in"),
        ({"n_step": 0}, "n_step must be at least 1"),
        (
            {"trace_decay": 0.5, "traces": "Dutch"},
            "traces is one of accumulating, replacing, dutch; got 'Dutch'",
        ),
        # Each trace is three numbers, and each step two, but for its discount.
        ({"trace_decay": 1.0, "num_envs": MAX_TABLE_VALUES // 2_000}, "--agent.trace-decay lowers them"),
        ({"n_step": MAX_TABLE_VALUES // 2 + 1}, "--agent.n-step lowers them"),
    ],
)
def test_settings_that_can_not_be(rest, words):
    with pytest.raises(ValueError, match=words):
        make(1_000, 1, **rest)


def test_so_many_steps_as_the_bound_says_are_kept(monkeypatch):
    monkeypatch.setattr("meze.agents.traces.MAX_TABLE_VALUES", 1_000)
    assert make(10, 1, n_step=500).last.pair.shape == (1, 500)
    with pytest.raises(ValueError, match="at most 1000 values of its streams, here 1002"):
        make(10, 1, n_step=501)
