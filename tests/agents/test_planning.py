import gymnasium as gym
import numpy as np
import pytest
from meze.agents.planning import toy_text_model, value_iteration


def test_a_corridor_has_the_values_of_its_formula():
    # States 0..4; action 1 steps right for -1, from state 4 into the end; action 0 stays for -1.
    transition = np.zeros((5, 2, 5))
    transition[np.arange(5), 0, np.arange(5)] = 1
    transition[np.arange(4), 1, np.arange(1, 5)] = 1
    q = value_iteration(transition, np.full((5, 2), -1.0), gamma=0.9)
    steps = 5 - np.arange(5)
    right = -(1 - 0.9**steps) / 0.1
    np.testing.assert_allclose(q[:, 1], right, atol=1e-9)
    np.testing.assert_allclose(q[:, 0], -1 + 0.9 * right, atol=1e-9)


def test_equals_the_best_of_all_policies():
    rng = np.random.default_rng(0)
    transition = rng.dirichlet(np.ones(4), (4, 2))
    reward = rng.normal(size=(4, 2))
    states, best = np.arange(4), np.full(4, -np.inf)
    for number in range(2**4):
        actions = (number >> states) & 1
        # V = R + gamma P V, solved exactly for this policy
        values = np.linalg.solve(np.eye(4) - 0.9 * transition[states, actions], reward[states, actions])
        best = np.maximum(best, values)
    np.testing.assert_allclose(value_iteration(transition, reward, gamma=0.9).max(axis=1), best, atol=1e-8)


def test_known_optima_of_gymnasium():
    cliff = gym.make("CliffWalking-v1").unwrapped
    values = value_iteration(*toy_text_model(cliff.P), gamma=1.0).max(axis=1)
    assert values @ cliff.initial_state_distrib == -13


def test_values_that_never_settle_are_refused():
    with pytest.raises(ValueError, match="did not settle"):
        value_iteration(np.ones((1, 1, 1)), np.ones((1, 1)), gamma=1.0, max_sweeps=100)
