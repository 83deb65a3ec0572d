"""Curricula: schedules, scores and chances against numbers worked out by hand."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from meze.agents.base import Expected, Learner, Transition, decide
from meze.agents.curricula import LOTS, Graded, PrioritizedLevels, Ramp
from meze.agents.registry import find_agent, make_agent
from meze.agents.schedules import Schedule
from meze.agents.wrappers import Taught

NO, YES = np.zeros(2, np.bool_), np.ones(2, np.bool_)


def step(reward, terminated=NO, truncated=NO):
    obs = np.zeros(2, np.int64)
    return Transition(obs, obs, np.array(reward, np.float64), obs, terminated, truncated, None)


def expects(of_action, of_state):
    return Expected(np.array(of_action, np.float64), np.array(of_state, np.float64))


def graded(num_levels, scores, begun):
    """Levels with scores, None for those not seen, in which episodes have begun together."""
    levels = PrioritizedLevels(num_levels, len(begun))
    levels.begin(np.array(begun))
    state = levels.state_dict()
    state["levels.score"] = np.array([score or 0.0 for score in scores])
    state["levels.seen"] = np.array([score is not None for score in scores])
    levels.load_state_dict(state)
    return levels


# --- Ramp -----------------------------------------------------------------------------------------------


def test_a_ramp_opens_the_easiest_first_and_all_by_half_of_the_run():
    hardness = np.array([5.0, 1.0, 1.0, 9.0, 0.0, 7.0, 2.0, 8.0])
    ramp = Ramp(hardness)
    assert ramp.weights.tolist() == [0, 0, 0, 0, 1, 0, 0, 0] and ramp.num_open == 1
    assert not ramp.advance(0.01)
    counts = []
    for share in (0.1, 0.25, 0.4, 0.5, 0.9):
        ramp.advance(share)
        counts.append(np.count_nonzero(ramp.weights))
        least = hardness[ramp.weights == 0].min(initial=np.inf)
        assert hardness[ramp.weights > 0].max() <= least
    # 1/8 + 7/8 * 2 * share of 8 levels: 2.4, 4.5 (to even), 6.6, 8, 8
    assert counts == [2, 4, 7, 8, 8] and set(ramp.weights) == {1} and ramp.num_open == 8


def test_among_equals_the_lower_number_comes_first():
    ramp = Ramp(np.zeros(16))
    assert ramp.weights.tolist() == [1, 1] + [0] * 14


def test_a_ramp_goes_on_from_its_state():
    ramp, other = Ramp(np.arange(10)), Ramp(np.arange(10))
    ramp.advance(0.3)
    other.load_state_dict(ramp.state_dict())
    assert other.weights.tolist() == ramp.weights.tolist() and not other.advance(0.3)


# --- Prioritised level replay ---------------------------------------------------------------------------


def test_scores_are_mean_absolute_errors_of_episodes():
    levels = PrioritizedLevels(4, 2)
    levels.begin(np.array([0, 2]))
    now = np.array([0, 2])
    levels.see(step([1.0, 0.0]), expects([0.5, 2.0], [9.0, 9.0]), now)
    # The first steps' errors: 1 + 0.25 - 0.5 = 0.75, and 0 + 1 - 2 = -1; then row 0 terminates with
    # 2 - 0.25 = 1.75, and row 1 is cut off, whose last step has no error.
    ends = np.array([True, False]), np.array([False, True])
    levels.see(step([2.0, 5.0], *ends), expects([0.25, 1.0], [0.25, 1.0]), np.array([3, 2]))
    state = levels.state_dict()
    assert state["levels.score"].tolist() == [1.25, 0.0, 1.0, 0.0]
    assert state["levels.seen"].tolist() == [True, False, True, False]
    assert state["rows.level"].tolist() == [3, 2] and not state["rows.count"].any()
    # Four episodes have begun: 0 and 2 together as the first two, then 3 and 2.
    assert state["levels.drawn"].tolist() == [2, 0, 4, 4] and state["counts"].tolist() == [4, 2]


def test_episodes_that_end_together_in_a_level_score_their_mean_and_a_new_one_replaces_it():
    levels = PrioritizedLevels(2, 2)
    both = np.array([1, 1])
    levels.begin(both)
    levels.see(step([3.0, 1.0], YES), expects([0, 0], [0, 0]), both)
    assert levels.state_dict()["levels.score"].tolist() == [0.0, 2.0]
    levels.see(step([7.0, 0.0], np.array([True, False])), expects([0, 0], [0, 0]), both)
    assert levels.state_dict()["levels.score"].tolist() == [0.0, 7.0]


def test_an_episode_that_is_cut_off_at_once_tells_nothing():
    levels = PrioritizedLevels(2, 2)
    levels.begin(np.array([0, 1]))
    levels.see(step([3.0, 1.0], NO, YES), expects([0, 0], [0, 0]), np.array([0, 1]))
    assert not levels.state_dict()["levels.seen"].any()


def test_chances_are_those_of_the_paper():
    levels = graded(4, [2.0, 5.0, None, 3.0], begun=[0, 1, 3, 1])
    # All began together: four episodes have begun, all of which were drawn then, so none is stale.
    ranks = 1 / np.array([3.0, 1.0, 2.0])
    expected = np.insert(0.75 * ranks / ranks.sum(), 2, 0.25)
    np.testing.assert_allclose(levels.chances(), expected, rtol=1e-12)

    state = levels.state_dict()
    state["counts"][0], state["levels.drawn"][:] = 10, [4, 10, 0, 8]  # 6, 0 and 2 episodes ago
    levels.load_state_dict(state)
    stale = np.array([6.0, 0.0, 2.0]) / 8
    expected = np.insert(0.75 * (0.9 * ranks / ranks.sum() + 0.1 * stale), 2, 0.25)
    np.testing.assert_allclose(levels.chances(), expected, rtol=1e-12)
    assert levels.chances().sum() == pytest.approx(1.0, abs=1e-12)


def test_weights_are_chances_in_whole_numbers_once_enough_episodes_ended():
    levels = PrioritizedLevels(3, 32)
    levels.begin(np.zeros(32, np.int64))
    assert levels.weights.tolist() == [1, 1, 1] and levels.num_open == 3
    batch = Transition(*[np.zeros(32)] * 4, np.arange(32) < 1, np.zeros(32, np.bool_), None)
    told = Expected(np.ones(32), np.zeros(32))
    levels.see(batch, told, np.zeros(32, np.int64))
    assert not levels.advance(0.0)  # one of 32, and it takes two
    levels.see(batch, told, np.zeros(32, np.int64))
    assert levels.advance(0.0) and not levels.advance(0.0)
    assert levels.weights.tolist() == [round(LOTS / 3)] * 3
    assert levels.num_open == pytest.approx(3)


def test_prioritised_levels_go_on_from_their_state():
    rng = np.random.default_rng(0)
    levels, other = PrioritizedLevels(5, 2), PrioritizedLevels(5, 2)
    levels.begin(np.array([0, 1]))
    for k in range(60):
        if k == 20:
            other.load_state_dict({name: np.array(part) for name, part in levels.state_dict().items()})
        ends = rng.random((2, 2)) < 0.2
        seen = step(rng.random(2), *ends), expects(rng.random(2), rng.random(2)), rng.integers(5, size=2)
        for each in (levels, other)[: 1 + (k >= 20)]:
            each.see(*seen)
            each.advance(0.0)
    mine, its = levels.state_dict(), other.state_dict()
    assert mine.keys() == its.keys() and all(mine[name].tobytes() == its[name].tobytes() for name in mine)
    assert len(set(mine["weights"].tolist())) > 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", np.zeros(3, np.int64)),
        ("weights", np.array([1, -1, 2])),
        ("weights", np.ones(4, np.int64)),
        ("levels.score", np.array([0.0, -1.0, 0.0])),
        ("levels.score", np.array([0.0, np.nan, 0.0])),
        ("levels.drawn", np.array([0, 0, 9])),
        ("rows.level", np.array([0, 3])),
        ("rows.count", np.array([-1, 0])),
        ("counts", np.zeros(1, np.int64)),
    ],
)
def test_a_damaged_state_is_refused(name, value):
    levels = PrioritizedLevels(3, 2)
    levels.begin(np.array([0, 1]))
    with pytest.raises(ValueError):
        levels.load_state_dict(levels.state_dict() | {name: value})


def test_a_learner_grades_before_it_learns():
    told = []

    class Dumb(Learner):
        def learn(self, batch):
            told.append("learned")
            return {"loss": 1.0}

        def expected(self, batch):
            told.append("expected")
            return expects([0.0, 0.0], [0.0, 0.0])

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            pass

    levels = PrioritizedLevels(2, 2)
    levels.begin(np.array([0, 1]))
    dumb = Dumb()
    learner = Taught(dumb, [Graded(dumb, levels, lambda: np.array([1, 1]))])
    assert learner.learn(step([1.0, 2.0], YES)) == {"loss": 1.0} and told == ["expected", "learned"]
    assert levels.state_dict()["levels.score"].tolist() == [1.0, 2.0]


# --- What learners expect -------------------------------------------------------------------------------


def make_tabular(name: str, **settings):
    spec = find_agent(name)
    config = spec.config_class()(gamma=0.5, exploration=Schedule(0.25, 0.25, 0), **settings)
    learner = make_agent(name, Discrete(3), Discrete(2, start=5), num_envs=2, config=config, seed=0)
    learner.policy.q[:] = [[1.0, 3.0], [8.0, 2.0], [-1.0, -4.0]]
    return learner


def transition(obs, action, mask=None):
    obs, no = np.array(obs), np.zeros(len(obs), np.bool_)
    mask = None if mask is None else np.array(mask, np.int8)
    return Transition(obs, np.array(action), np.zeros(len(obs)), obs, no, no, None, mask)


@pytest.mark.parametrize(
    ("name", "of_state"),
    [
        ("q-learning", [3.0, 8.0]),
        ("double-q-learning", [3.0, 8.0]),
        ("dyna-q", [3.0, 8.0]),
        ("sarsa", [1.0, 2.0]),  # of what is done
        ("n-step-sarsa", [1.0, 2.0]),
        ("expected-sarsa", [0.25 * 2 + 0.75 * 3, 0.25 * 5 + 0.75 * 8]),
    ],
)
def test_tables_expect_what_they_hold(name, of_state):
    found = make_tabular(name).expected(transition([0, 1], [5, 6]))
    assert found.of_action.tolist() == [1.0, 2.0]
    assert found.of_state.tolist() == [0.5 * value for value in of_state]


def test_masks_hold_for_what_is_expected():
    mask = [[1, 0], [0, 0]]
    found = make_tabular("q-learning").expected(transition([0, 1], [5, 6], mask))
    assert found.of_state.tolist() == [0.5, 0.0]
    found = make_tabular("expected-sarsa").expected(transition([0, 1], [5, 6], mask))
    assert found.of_state.tolist() == [0.5, 0.0]


@pytest.mark.parametrize("name", ["pqn", "dqn"])
def test_networks_expect_what_they_say(name):
    config = find_agent(name).config_class()(gamma=0.5)
    space = Box(-1.0, 1.0, (3,), np.float32)
    learner = make_agent(name, space, Discrete(4, start=2), num_envs=8, config=config, seed=0)
    obs = np.random.default_rng(0).uniform(-1, 1, (8, 3)).astype(np.float32)
    mask = np.ones((8, 4), np.int8)
    mask[::2, 1:] = 0
    action, memory, extras = decide(learner.policy, obs, explore=True, mask=mask)
    batch = transition(obs, action, mask)._replace(extras=extras, memory=memory)
    values = learner.policy.action_values(obs)
    for told in (batch, batch._replace(extras=None)):
        found = learner.expected(told)
        np.testing.assert_allclose(found.of_action, values[np.arange(8), action - 2], rtol=1e-6)
        best = np.where(mask, values, -np.inf).max(axis=1)
        np.testing.assert_allclose(found.of_state, 0.5 * best, rtol=1e-6)


def test_a_critic_expects_the_same_of_all_actions_in_the_units_of_rewards():
    config = find_agent("ppo").config_class()(gamma=0.5, num_steps=4, normalize_rewards=True)
    space = Box(-1.0, 1.0, (3,), np.float32)
    learner = make_agent("ppo", space, Discrete(4), num_envs=8, config=config, seed=0)
    obs = np.random.default_rng(0).uniform(-1, 1, (8, 3)).astype(np.float32)
    values = learner.policy.state_values(obs)
    for scale in (1.0, 10.0):  # before any reward was seen, and with a deviation of 10 about the mean
        action, _, extras = decide(learner.policy, obs, explore=True)
        batch = transition(obs, action)._replace(extras=extras)
        found = learner.expected(batch)
        np.testing.assert_allclose(found.of_action, scale * values, rtol=1e-6)
        np.testing.assert_allclose(found.of_state, 0.5 * scale * values, rtol=1e-6)
        learner.learn(batch._replace(reward=np.tile([10.0, -10.0], 4)))


def test_who_does_not_say_expects_nothing():
    assert Learner.expected(make_tabular("sarsa"), transition([0], [5])) is None
