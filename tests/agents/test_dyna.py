"""Learners with a model find exact values, need fewer transitions, and forget what has changed."""

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from meze.agents.base import Transition
from meze.agents.dyna import DynaConfig, ModelConfig
from meze.agents.planning import value_iteration
from meze.agents.registry import make_agent
from meze.agents.schedules import Schedule

STATES, ACTIONS, GAMMA = 6, 3, 0.9
CONFIGS = {"dyna-q": DynaConfig, "value-iteration": ModelConfig}


def constant(value):
    return Schedule(value, value, 0)


def made(name, states=STATES, **settings):
    config = CONFIGS[name](**{"gamma": GAMMA, "learning_rate": constant(1.0), **settings})
    return make_agent(name, Discrete(states), Discrete(ACTIONS), num_envs=1, config=config, seed=0)


def batch(s, a, reward, next_s, terminated, mask=None):
    s, a, reward, next_s = (np.asarray(part) for part in (s, a, reward, next_s))
    return Transition(s, a, reward.astype(float), next_s, terminated, np.zeros(len(s), bool), mask)


def small_mdp(rng):
    """Each pair has two outcomes, of one and three quarters, one of which may end the episode."""
    successor = rng.integers(STATES, size=(STATES, ACTIONS, 2))
    reward = rng.integers(-3, 4, (STATES, ACTIONS, 2)).astype(float)
    ends = rng.random((STATES, ACTIONS, 2)) < 0.2
    return successor, reward, ends


def exact(successor, reward, ends):
    transition, mean = np.zeros((STATES, ACTIONS, STATES)), reward @ [0.25, 0.75]
    for s, a, k in np.ndindex(successor.shape):
        if not ends[s, a, k]:
            transition[s, a, successor[s, a, k]] += [0.25, 0.75][k]
    return value_iteration(transition, mean, gamma=GAMMA)


def every_outcome(mdp):
    """Each pair four times, in the shares of its outcomes."""
    s, a = (part.ravel() for part in np.mgrid[:STATES, :ACTIONS])
    return [batch(s, a, *(part[s, a, k] for part in (mdp[1], mdp[0], mdp[2]))) for k in (1, 0, 1, 1)]


def test_value_iteration_finds_the_exact_values_of_what_was_seen():
    mdp = small_mdp(np.random.default_rng(0))
    learner = made("value-iteration", memory=4, plan_every=1, sweeps=500)
    for seen in every_outcome(mdp):
        learner.learn(seen)
    assert learner.q == pytest.approx(exact(*mdp), abs=1e-4)


def test_dyna_q_comes_to_them_by_remembering():
    mdp = small_mdp(np.random.default_rng(1))
    rounds = 20
    learner = made("dyna-q", memory=4, planning_steps=2000, learning_rate=Schedule(0.1, 1e-4, rounds * 72))
    for _ in range(rounds):  # the same 72 transitions again and again, all of which are remembered
        for seen in every_outcome(mdp):
            learner.learn(seen)
    assert np.abs(learner.q - exact(*mdp)).max() < 0.3  # of values up to 13, by draws of 4 outcomes


def corridor(n):
    """The way through a corridor, one step after the other: only the last one is rewarded."""
    for s in range(n - 1):
        last = s == n - 2
        yield batch([s], [1], [float(last)], [s + 1], np.array([last]))


@pytest.mark.parametrize("name", CONFIGS)
def test_one_walk_is_enough_to_know_the_whole_way(name):
    more = {"dyna-q": {"planning_steps": 500}, "value-iteration": {"plan_every": 1}}[name]
    learner = made(name, states=10, **more)
    simple = make_agent("q-learning", Discrete(10), Discrete(ACTIONS), num_envs=1, seed=0)
    for step in corridor(10):
        learner.learn(step)
        simple.learn(step)
    assert learner.q[:9, 1] == pytest.approx(GAMMA ** np.arange(8, -1, -1.0))
    assert (simple.q[:8] == 0).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_what_has_changed_is_forgotten(name):
    learner = made(name, memory=3, **({"plan_every": 1} if name == "value-iteration" else {}))
    for reward in (5.0, 5.0, 5.0, 1.0, 1.0, 1.0):
        learner.learn(batch([0], [0], [reward], [1], np.array([True])))
    assert learner.q[0, 0] == 1.0


@pytest.mark.parametrize("name", CONFIGS)
def test_masks_and_ends_are_remembered(name):
    more = {"dyna-q": {"planning_steps": 200}, "value-iteration": {"plan_every": 1}}[name]
    learner = made(name, **more)
    nothing = np.array([[1, 1, 1]], np.int8)
    learner.learn(batch([1], [2], [100.0], [5], np.array([True]), nothing))
    mask = np.array([[1, 1, 0]], np.int8)  # in state 1 the third action is not possible any more
    learner.learn(batch([0], [0], [0.0], [1], np.array([False]), mask))
    learner.learn(batch([1], [0], [2.0], [5], np.array([True]), nothing))
    assert learner.q[0, 0] == pytest.approx(GAMMA * 2.0)


@pytest.mark.parametrize("name", CONFIGS)
def test_saved_it_goes_on_the_same_and_damaged_it_is_refused(name):
    mdp = small_mdp(np.random.default_rng(2))
    one, other = made(name), made(name)
    for seen in every_outcome(mdp):
        one.learn(seen)
    other.load_state_dict(one.state_dict())
    for learner in (one, other):
        for seen in every_outcome(mdp):
            learner.learn(seen)
    assert (one.q == other.q).all()
    for part, value in {"successor": 99, "pairs": -1, "num_pairs": 99, "count": -1}.items():
        state = one.state_dict()
        state[f"model.{part}"].reshape(-1)[0] = value
        with pytest.raises(ValueError, match=f"'model.{part}' holds values out of range"):
            made(name).load_state_dict(state)
    state = one.state_dict()
    state["model.pairs"][:] = state["model.pairs"][0]  # one pair in the places of all others
    with pytest.raises(ValueError, match="the model is damaged"):
        made(name).load_state_dict(state)
    with pytest.raises(ValueError, match="the array 'model.successor' has the shape"):
        made(name, memory=5).load_state_dict(one.state_dict())


def test_settings_that_mean_nothing_are_refused():
    for settings in ({"planning_steps": 0}, {"memory": 0}):
        with pytest.raises(ValueError, match="must be at least 1; got 0"):
            DynaConfig(**settings)
    with pytest.raises(ValueError, match="a model of 1000000 states and 3 actions does not fit in memory"):
        made("value-iteration", states=1_000_000)
