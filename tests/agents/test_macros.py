"""Macro-actions: what is found, what a decision earns and how it is discounted, and when it is cut."""

import itertools
from collections import Counter

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from meze.agents.base import Policy, Transition
from meze.agents.costs import MixedPolicy, Paying
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.deep.ppo import advantages
from meze.agents.deep.pqn import lambda_returns
from meze.agents.encoders.wrappers import Encodes
from meze.agents.macros import (
    PLAYED,
    MacroPolicy,
    Macros,
    TakesMacros,
    VectorMacroActions,
    drawn,
    mined,
    occurrences,
)
from meze.agents.registry import find_agent, make_agent
from meze.agents.schedules import Schedule
from meze.agents.wrappers import ORDER, Taught, WrappedLearner, Wrapper, in_order
from meze.comparing import assert_same
from meze.runners.run.recording import PolicyMixture
from meze.runners.run.rollout import Rollout, evaluate

LEFT, RIGHT, STAY = range(3)
END, CUT = 9, 7


class Line(VectorEnv):
    """Places 0 to 9: a step to place k earns k and costs 1; 9 terminates, and 7 steps are cut off.

    Nobody can go left of 0. The mask forbids it, and standing still at place 5.
    """

    def __init__(self, num_envs, first=3):
        self.num_envs, self.first = num_envs, first
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space, self.single_action_space = Discrete(10), Discrete(3)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed=None, options=None):
        self.place, self.time = np.full(self.num_envs, self.first), np.zeros(self.num_envs, int)
        return self.place.copy(), self.told()

    def told(self):
        mask = np.ones((self.num_envs, 3), np.int8)
        mask[self.place == 0, LEFT] = mask[self.place == 5, STAY] = 0
        here = np.ones(self.num_envs, bool)
        return {"action_mask": mask, "_action_mask": here, "cost": here * 1.0, "_cost": here}

    def step_some(self, actions, rows):
        assert (self.told()["action_mask"][rows, actions[rows]] == 1).all(), "forbidden"
        self.place = self.place + np.where(rows, np.array([-1, 1, 0])[actions], 0)
        self.time = self.time + rows
        reward = np.where(rows, self.place, 0.0)
        terminated, truncated = rows & (self.place == END), rows & (self.time == CUT)
        info = {}
        if (ended := terminated | truncated).any():
            info = {"final_obs": np.where(ended, self.place, None), "_final_obs": ended}
            info |= {"final_info": self.told(), "_final_info": ended}
            self.place, self.time = np.where(ended, self.first, self.place), np.where(ended, 0, self.time)
        return self.place.copy(), reward, terminated, truncated, self.told() | info

    def step(self, actions):
        return self.step_some(actions, np.ones(self.num_envs, bool))


def line(*sequences, num_envs=1, first=3, gamma=0.5):
    return VectorMacroActions(Line(num_envs, first), Macros(3, sequences), gamma)


class Says(Policy):
    """Chooses what it was told, one after another, and remembers how often it was asked."""

    def __init__(self, *choices):
        self.choices, self.asked = iter(choices), 0

    def act(self, obs, memory=None, *, explore=False, mask=None):
        self.asked += 1
        count = np.zeros(len(obs), np.int64) if memory is None else memory
        return np.array(next(self.choices)), count + 1


# --- What is found --------------------------------------------------------------------------------------


def brute(episodes, count, longest):
    """The same with Python's own search in text, which counts without overlaps from the left."""
    texts, found = ["".join(map(str, each)) for each in episodes], []
    while len(found) < count:
        saved = {}
        for length in range(2, longest + 1):
            for each in map("".join, itertools.product("012", repeat=length)):
                if (times := sum(text.count(each) for text in texts)) > 1:
                    saved[each] = times * (length - 1)
        if not saved:
            break
        best = min(saved, key=lambda each: (-saved[each], len(each), each))
        found.append(tuple(map(int, best)))
        texts = [part for text in texts for part in text.split(best)]
    return found


@pytest.mark.parametrize("seed", range(20))
def test_sequences_are_those_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    episodes = [rng.integers(3, size=n).tolist() for n in rng.integers(0, 40, size=5)]
    assert mined(episodes, 6, 4) == brute(episodes, 6, 4)


def test_occurrences_do_not_overlap_and_end_with_their_episode():
    assert occurrences([(1, 1, 1), (1, 1)], 2) == Counter({(1, 1): 2})
    assert mined([[0, 1], [0, 1], [1, 0, 2]], 3, 5) == [(0, 1)]
    assert mined([[0, 1, 2]], 3, 5) == []


def test_only_what_begins_with_what_occurs_twice_is_counted():
    assert {*occurrences([(*range(50),)], 10)} == {(k, k + 1) for k in range(49)}
    assert occurrences([(0, 1, 2), (0, 1, 2)], 3) == Counter({(0, 1): 2, (1, 2): 2, (0, 1, 2): 2})


def test_the_first_saves_most_and_the_next_is_looked_for_in_what_is_left():
    # 0 0 0 0 saves 3 * 2 decisions; of 0 0 nothing is left then, but 1 2 is there twice.
    assert mined([[0, 0, 0, 0, 1, 2], [0, 0, 0, 0, 1, 2]], 2, 4) == [(0, 0, 0, 0), (1, 2)]


def test_drawn_sequences_differ_and_are_possible():
    found = drawn(5, 40, 4, np.random.default_rng(0))
    assert len({*found}) == 40 and {len(each) for each in found} == {2, 3, 4}
    assert {a for each in found for a in each} == set(range(5))
    assert len(drawn(2, 10, 2, np.random.default_rng(0))) == 4  # there are no more


@pytest.mark.parametrize(
    ("sequences", "words"),
    [(((),), "of 1 to"), (((0,) * 101,), "of 1 to"), (((0, 3),), "holds 3"), (((-1,),), "holds -1")],
)
def test_sequences_that_can_not_be_played_are_refused(sequences, words):
    with pytest.raises(ValueError, match=words):
        Macros(3, sequences)


# --- A decision -----------------------------------------------------------------------------------------


def test_rewards_are_discounted_within_and_rows_that_are_done_wait():
    env = line((RIGHT, RIGHT, RIGHT), num_envs=2)
    env.reset()
    obs, reward, terminated, truncated, info = env.step(np.array([3, LEFT]))
    assert obs.tolist() == [6, 2] and not (terminated | truncated).any()
    assert reward.tolist() == [4 + 5 / 2 + 6 / 4, 2]
    played = info[PLAYED]
    assert played.discount.tolist() == [1 / 8, 1 / 2] and played.steps.tolist() == [3, 1]
    assert [part.going.tolist() for part in played.parts] == [[True, True], [True, False], [True, False]]


def test_a_sequence_is_cut_where_the_mask_forbids_its_next_action():
    env = line((RIGHT, RIGHT, STAY, RIGHT), (LEFT, LEFT))
    _, info = env.reset()
    assert info["action_mask"].tolist() == [[1, 1, 1, 1, 1]]
    obs, reward, _, _, info = env.step(np.array([3]))
    assert obs.tolist() == [5] and reward.tolist() == [4 + 5 / 2] and info[PLAYED].steps.tolist() == [2]
    assert info["action_mask"].tolist() == [[1, 1, 0, 1, 1]]
    env = line((LEFT, LEFT), (STAY, LEFT), first=0)
    assert env.reset()[1]["action_mask"].tolist() == [[0, 1, 1, 0, 1]]  # as the first action is


def test_a_sequence_is_cut_by_the_end_of_the_episode_whose_row_waits_for_the_others():
    env = line((RIGHT,) * 4, (STAY,) * 6, num_envs=3, first=6)
    rollout = Rollout(env, Says([RIGHT, STAY, LEFT], [3, 4, 3]), 0)
    rollout.step()
    step, episodes = rollout.step()
    assert step.obs.tolist() == [7, 6, 5] and step.next_obs.tolist() == [9, 6, 9]
    assert step.terminated.tolist() == [True, False, True] and step.truncated.tolist() == [False, True, False]
    assert step.reward.tolist() == [8 + 9 / 2, 6 * (2 - 1 / 32), 6 + 7 / 2 + 8 / 4 + 9 / 8]
    assert step.steps.tolist() == [2, 6, 4] and step.discount.tolist() == [1 / 4, 1 / 64, 1 / 16]
    assert env.unwrapped.place.tolist() == [6, 6, 6] and env.unwrapped.time.tolist() == [0, 0, 0]
    assert rollout._obs.tolist() == [6, 6, 6]
    told = dict(zip(episodes.index.tolist(), episodes.measures["length"], strict=True))
    assert told == {0: 3, 1: 7, 2: 5}  # in steps of the world
    told = dict(zip(episodes.index.tolist(), episodes.measures["return"], strict=True))
    assert told == {0: 7 + 8 + 9, 1: 7 * 6, 2: 5 + 6 + 7 + 8 + 9}
    assert rollout._memory.tolist() == [0, 0, 0]


def test_costs_are_discounted_as_rewards_are():
    rollout = Rollout(line((RIGHT,) * 3, num_envs=2), Says([3, STAY]), 0, costs=["cost"])
    batch = rollout.step()[0]
    assert batch.costs.tolist() == [[1 + 1 / 2 + 1 / 4], [1]]
    assert Paying({"cost": 2.0}).transition(batch).reward.tolist() == [4 + 2.5 + 1.5 - 3.5, 3 - 2]


def test_transitions_are_those_of_the_world():
    rollout = Rollout(line((RIGHT,) * 3, num_envs=2), Says([3, STAY]), 0)

    class Counts:
        def learn(self, batch):
            return {}

    assert rollout.advance(Counts())[0] == 4


def test_a_sequence_of_one_action_is_that_action():
    one, other = line((LEFT,), (RIGHT,), gamma=0.99), line(gamma=0.99)
    one.reset(), other.reset()
    for single in (LEFT, RIGHT, RIGHT, RIGHT, RIGHT, LEFT, RIGHT):
        *left, a = one.step(np.array([3 + single]))
        *right, b = other.step(np.array([single]))
        assert_same(left, right, "step")
        assert a[PLAYED].discount.tolist() == b[PLAYED].discount.tolist() == [0.99]


# --- Who acts -------------------------------------------------------------------------------------------


def test_a_policy_is_asked_where_no_sequence_is_under_way():
    macros = Macros(3, ((RIGHT, RIGHT, LEFT),))
    inner = Says([3, STAY], [0, STAY], [0, LEFT], [LEFT, LEFT])
    policy, memory, env = MacroPolicy(inner, macros), None, Line(2)
    obs, _ = env.reset()
    taken, words = [], []
    for _ in range(4):
        action, memory, *_ = policy.act(obs, memory)
        taken.append(action.tolist())
        words.append(policy.carries_out(memory)[0])
        obs = env.step(action)[0]
    assert taken == [[RIGHT, STAY], [RIGHT, STAY], [LEFT, LEFT], [LEFT, LEFT]]
    assert words == ["1, step 1 of 3", "1, step 2 of 3", "1, step 3 of 3", "-"]
    assert memory.inner.tolist() == [2, 4]  # decisions


def test_it_is_asked_again_where_the_mask_forbids_what_comes_next():
    policy = MacroPolicy(Says([3, 3], [LEFT, LEFT]), Macros(3, ((RIGHT, STAY),)))
    _, memory, *_ = policy.act(np.zeros(2, int))
    action, memory, *_ = policy.act(np.zeros(2, int), memory, mask=np.array([[1, 1, 0], [1, 1, 1]]))
    assert action.tolist() == [LEFT, STAY] and memory.choice.tolist() == [0, 1]


@pytest.mark.parametrize("before", ["nothing", "encoder", "mixture"])
def test_a_teacher_gives_up_the_sequence_that_nobody_plays(before):
    class Teacher(Policy):
        def act(self, obs, memory=None, *, explore=False, mask=None):
            return np.where(obs == 0, 3, RIGHT), memory

    class Student(Policy):  # does in its first row as it should
        def act(self, obs, memory=None, *, explore=False, mask=None):
            return np.array([LEFT, RIGHT]), memory

    class Same:
        def transform(self, obs):
            return obs

    teacher = MacroPolicy(Teacher(), Macros(3, ((LEFT,) * 3,)))
    if before == "encoder":
        teacher = Encodes(Same()).policy(teacher)
    elif before == "mixture":
        teacher = MixedPolicy([teacher], [1.0], np.random.default_rng(0))
    mixture, memory, told = PolicyMixture([Student()], 0, 3, np.random.default_rng(0), teacher), None, []
    for place in (0, 5, 5, 5):
        _, memory = mixture.act(np.array([place, place]), memory)
        told.append(mixture.advice.tolist())
    assert np.transpose(told).tolist() == [[LEFT, LEFT, LEFT, RIGHT], [LEFT, RIGHT, RIGHT, RIGHT]]


def test_values_are_those_of_the_best_that_begins_with_an_action():
    class Valued(Says):
        def action_values(self, obs, memory=None):
            return np.array([[1.0, 2.0, 3.0, 5.0, -1.0]])

    macros = Macros(3, ((LEFT, RIGHT), (STAY, STAY)))
    assert MacroPolicy(Valued(), macros).action_values(np.zeros(1)).tolist() == [[5, 2, 3]]
    chances = Valued()
    chances.values_are = "chance"
    assert MacroPolicy(chances, macros).action_values(np.zeros(1)).tolist() == [[6, 2, 2]]


def city(num_envs=8, **settings):
    return gym.make_vec(
        "meze/City-v0", num_envs, max_episode_steps=60, observation="index", pool_size=4, **settings
    )


@pytest.mark.parametrize("name", ["q-learning", "ppo"])
def test_who_acts_does_what_who_learns_did(name):
    """The greedy policy earns the same inside, in decisions, and outside, in steps of the world."""
    macros = Macros(4, ((0, 0, 0), (0, 1), (2, 0, 0, 0)))
    learner = learner_of(name, 7, 0.9, **({"net": NetworkConfig(memory="gru")} if name == "ppo" else {}))
    if name == "q-learning":
        learner.q[:] = np.random.default_rng(0).random(learner.q.shape)
    wrapped = WrappedLearner(learner, [TakesMacros(macros, 0.9)])
    seeds = range(7000, 7008)
    outside = evaluate(city(autoreset_mode=AutoresetMode.DISABLED), wrapped.policy, seeds).measures

    class Greedy(Policy):
        def act(self, obs, memory=None, *, explore=False, mask=None):
            return learner.policy.act(obs, memory, mask=mask)  # which may remember its decisions

    env, _ = wrapped.inside(city(autoreset_mode=AutoresetMode.SAME_STEP))
    rollout, first = Rollout(env, Greedy(), [*seeds]), {}
    while len(first) < 8:
        _, episodes = rollout.step()
        for row, index in enumerate(episodes.index if episodes else ()):
            first.setdefault(int(index), {n: each[row] for n, each in episodes.measures.items()})
    assert outside["length"].max() > 5
    for name, values in outside.items():
        assert values.tolist() == [first[k][name] for k in range(8)], name


# --- Who learns -----------------------------------------------------------------------------------------

SHORT = {
    "dqn": {"learning_starts": 64, "batch_size": 32},
    "pqn": {"num_steps": 8},
    "ppo": {"num_steps": 8},
    "value-iteration": {"plan_every": 100},
}
LEARNERS = [
    *("q-learning", "sarsa", "sarsa-lambda", "n-step-sarsa", "expected-sarsa", "double-q-learning"),
    *("dyna-q", *SHORT),
]


def learner_of(name, actions, gamma, **changes):
    env = city()
    config = find_agent(name).config_class()(gamma=gamma, **{**SHORT.get(name, {}), **changes})
    return make_agent(
        name, env.single_observation_space, Discrete(actions), num_envs=8, config=config, seed=0
    )


def trained(env, learner, change=lambda batch: batch, steps=60):
    rollout = Rollout(env, learner.policy, 5)
    for _ in range(steps):
        learner.learn(change(rollout.step()[0]))
    return learner.state_dict()


@pytest.mark.parametrize("name", LEARNERS)
def test_without_a_sequence_learning_is_the_same_to_the_bit(name):
    plain = trained(city(autoreset_mode=AutoresetMode.SAME_STEP), learner_of(name, 4, 0.97))
    wrapped = WrappedLearner(learner_of(name, 4, 0.97), [TakesMacros(Macros(4, ()), 0.97)])
    other = trained(*wrapped.inside(city(autoreset_mode=AutoresetMode.SAME_STEP)))
    assert_same({part: other[part] for part in plain}, plain, name)


@pytest.mark.parametrize("name", LEARNERS)
def test_what_a_transition_says_counts_and_not_gamma(name):
    """Gamma 0.9 is the same as gamma 0.5 and transitions that say 0.9; and not as those that say nothing."""

    def env():
        return city(autoreset_mode=AutoresetMode.SAME_STEP)

    def says(batch):
        return batch._replace(discount=np.full(8, 0.9))

    meant = trained(env(), learner_of(name, 4, 0.9))
    said = trained(env(), learner_of(name, 4, 0.5), says)
    silent = trained(env(), learner_of(name, 4, 0.5))
    late = {"traces.discount", "last.discount"}  # what was there before the first step
    parts = [part for part in meant if part not in late]
    assert_same({part: said[part] for part in parts}, {part: meant[part] for part in parts}, name)
    with pytest.raises(AssertionError):
        assert_same({part: silent[part] for part in parts}, {part: meant[part] for part in parts}, name)


@pytest.mark.parametrize("name", ["q-learning", "pqn", "ppo", "dqn"])
def test_schedules_go_by_steps_of_the_world(name):
    macros = Macros(4, ((0, 0, 0), (1, 0)))
    wrapped = WrappedLearner(learner_of(name, 6, 0.9), [TakesMacros(macros, 0.9)])
    env, learner = wrapped.inside(city(autoreset_mode=AutoresetMode.SAME_STEP))
    rollout, total = Rollout(env, learner.policy, 5), 0
    for _ in range(20):
        total += rollout.advance(learner)[0]
    assert learner.steps == total > 20 * 8


def test_n_steps_are_discounted_by_their_product():
    """The replay adds up as the definition says: R1 + d1 R2 + d1 d2 R3, and d1 d2 d3 for what follows."""
    learner = learner_of("dqn", 4, 0.9, n_step=3, buffer_size=64)
    rollout = Rollout(city(autoreset_mode=AutoresetMode.SAME_STEP), learner.policy, 5)
    rng, told = np.random.default_rng(0), []
    for _ in range(6):
        batch = rollout.step()[0]
        batch = batch._replace(discount=rng.random(8), reward=rng.random(8))
        learner.learn(batch)
        told.append(batch)
    state = learner.state_dict if learner.exact else learner._replay.state_dict
    kept = state()
    for row in range(8):
        if any(each.terminated[row] or each.truncated[row] for each in told):
            continue
        for t in range(3):
            (r1, d1), (r2, d2), (r3, d3) = ((b.reward[row], b.discount[row]) for b in told[t : t + 3])
            assert kept["reward"][row, t] == pytest.approx(r1 + d1 * r2 + d1 * d2 * r3)
            assert kept["discount"][row, t] == pytest.approx(d1 * d2 * d3)


def test_the_correction_of_priorities_goes_by_steps_of_the_world():
    changes = {"prioritized": True, "priority_correction": Schedule(0.0, 1.0, 1_000)}
    changes["buffer_checkpoint"] = "full"
    learner, other = (learner_of("dqn", 4, 0.9, **changes) for _ in range(2))
    rollout = Rollout(city(autoreset_mode=AutoresetMode.SAME_STEP), learner.policy, 5)
    for steps in (None, np.full(8, 3)):
        learner.learn(rollout.step()[0]._replace(steps=steps))
        assert ("replay.steps" in learner.state_dict()) == (steps is not None)
    other.load_state_dict(learner.state_dict())
    for each in (learner, other):
        assert float(each._replay._priorities._beta) == pytest.approx(4 * 8 / 1_000)


def test_lambda_returns_and_advantages_take_a_discount_a_step():
    rng = np.random.default_rng(0)
    reward, value, after, discount = (torch.from_numpy(rng.random((4, 3))) for _ in range(4))
    ended, cut = (torch.from_numpy(rng.random((4, 3)) < 0.3) for _ in range(2))
    returns = lambda_returns(reward, ended, cut, after, discount, 0.6)
    gains = advantages(reward, ended, cut, value, after, discount, 0.6)
    for n in range(3):
        following, gain = after[-1, n], 0.0
        for t in (3, 2, 1, 0):
            future = after[t, n] if cut[t, n] else 0.4 * after[t, n] + 0.6 * following
            following = reward[t, n] + discount[t, n] * (0.0 if ended[t, n] else future)
            assert returns[t, n] == pytest.approx(float(following))
            delta = reward[t, n] + discount[t, n] * (0.0 if ended[t, n] else after[t, n]) - value[t, n]
            gain = delta + discount[t, n] * 0.6 * (0.0 if ended[t, n] or cut[t, n] else gain)
            assert gains[t, n] == pytest.approx(float(gain))


def test_traces_fade_by_the_step_before():
    """SARSA(lambda) by hand: the second error reaches the first pair by the first step's discount."""
    learner = make_agent(
        "sarsa-lambda",
        Discrete(4),
        Discrete(1),
        num_envs=1,
        config=find_agent("sarsa-lambda").config_class()(gamma=0.9, trace_decay=0.5, traces="accumulating"),
        seed=0,
    )
    rate, no = learner.config.learning_rate.value(0), np.zeros(1, bool)
    for state, discount, reward, memory in ((0, 0.25, 0.0, None), (1, 0.75, 8.0, ~no)):
        obs, following = np.array([state]), np.array([state + 1])
        batch = (obs, np.zeros(1, int), np.array([reward]), following, no, no, None)
        learner.learn(Transition(*batch, memory=memory, discount=np.array([discount])))
    assert learner.q[:2, 0] == pytest.approx([rate * 8 * 0.25 * 0.5, rate * 8], rel=1e-5)


def test_a_model_remembers_what_was_discounted():
    learner = make_agent(
        "value-iteration",
        Discrete(3),
        Discrete(1),
        num_envs=2,
        config=find_agent("value-iteration").config_class()(gamma=0.9, plan_every=2),
        seed=0,
    )
    obs, following, ends = np.array([0, 1]), np.array([1, 2]), np.array([False, True])
    batch = (obs, obs * 0, np.array([1.0, 4.0]), following, ends, ends & False, None)
    learner.learn(Transition(*batch, discount=np.array([0.25, 0.5])))
    assert learner.q[:2, 0].tolist() == [1 + 4 / 4, 4]
    again = make_agent("value-iteration", Discrete(3), Discrete(1), num_envs=2, config=learner.config, seed=1)
    again.load_state_dict(learner.state_dict())
    assert_same(again.state_dict(), learner.state_dict(), "state")


def says_half(batch):
    return batch._replace(discount=np.full(8, 0.5))


@pytest.mark.parametrize(
    ("name", "part", "changes"),
    [
        ("sarsa-lambda", "traces.discount", {}),
        ("n-step-sarsa", "last.discount", {}),
        ("dyna-q", "model.discount", {}),
        ("pqn", "rollout.discount", {}),
        ("ppo", "returns.discount", {"normalize_rewards": True}),
        ("dqn", "replay.passed", {"buffer_checkpoint": "full"}),
    ],
)
def test_saved_discounts_out_of_their_range_are_refused(name, part, changes):
    learner = learner_of(name, 4, 0.9, **changes)
    state = trained(city(autoreset_mode=AutoresetMode.SAME_STEP), learner, says_half, steps=5)
    learner_of(name, 4, 0.9, **changes).load_state_dict(state)
    for wrong in (-0.1, 1.1, np.nan):
        altered = {**state, part: np.full_like(state[part], wrong)}
        with pytest.raises(ValueError, match=r"out of (its )?range|is no number"):
            learner_of(name, 4, 0.9, **changes).load_state_dict(altered)


@pytest.mark.parametrize("changes", [(says_half, lambda batch: batch), (lambda batch: batch, says_half)])
def test_a_rollout_of_a_run_of_the_other_kind_is_refused(changes):
    env, other = city(autoreset_mode=AutoresetMode.SAME_STEP), learner_of("pqn", 4, 0.9)
    other.load_state_dict(trained(env, learner_of("pqn", 4, 0.9), changes[0], steps=5))
    with pytest.raises(ValueError, match="some steps of a rollout tell discount, and others do not"):
        trained(env, other, changes[1], steps=1)


# --- One contract ---------------------------------------------------------------------------------------


def test_wrappers_stand_in_one_order():
    class Codes:
        space = Discrete(4)

        def transform(self, obs):
            return obs % 4

    costs, macros, encoder = Paying({}), TakesMacros(Macros(3, ((1, 1),)), 0.5), Encodes(Codes())
    assert [each.place for each in in_order([costs, macros, encoder])] == [*ORDER[:3]]
    learner = make_agent("q-learning", Discrete(4), Discrete(4), num_envs=2, seed=0)
    env, inside = WrappedLearner(learner, [macros, encoder]).inside(Line(2))
    assert inside is learner and env.single_action_space == Discrete(4)
    obs, _ = env.reset()
    assert obs.tolist() == [3, 3] and env.step(np.array([3, 1]))[0].tolist() == [5 % 4, 4 % 4]


def test_a_learner_is_taught_what_wrappers_pass_on_in_their_order():
    class Doubles(Wrapper):
        place = "levels"

        def transition(self, batch):
            return batch._replace(reward=batch.reward * 2)

    class Records:
        def learn(self, batch):
            self.reward = batch.reward.tolist()
            return {"loss": 0.5}

    batch = Rollout(line(), Says([RIGHT]), 0, costs=["cost"]).step()[0]
    learner = Records()
    assert Taught(learner, [Doubles(), Paying({"cost": 3.0})]).learn(batch) == {"loss": 0.5}
    assert batch.reward.tolist() == [4] and learner.reward == [(4 - 3) * 2]  # and not 4 * 2 - 3


def test_environments_in_which_nobody_can_wait_are_refused():
    env = gym.make_vec("CartPole-v1", 2)
    with pytest.raises(ValueError, match="need a world of meze's"):
        VectorMacroActions(env, Macros(2, ((0, 1),)), 0.9)
    with pytest.raises(ValueError, match="of 3 actions, not of Discrete"):
        TakesMacros(Macros(3, ()), 0.9).acts(Discrete(5))
