"""Imitators do what they were shown, and are saved as data."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from meze.agents import checkpoint
from meze.agents.base import OutdatedError
from meze.agents.cloning import CloningConfig, DAggerConfig
from meze.agents.estimators import CLASSIFIERS
from meze.agents.registry import make_agent

SPACE, ACTIONS = Box(0, 255, (2, 3), np.uint8), Discrete(3, start=5)


def shown(count=1000):
    """A teacher that looks at a single number; what it does never reaches the third action."""
    obs = np.random.default_rng(0).integers(0, 256, (count, 2, 3), dtype=np.uint8)
    return obs, np.where(obs[:, 1, 1] > 100, 6, 5)


def made(space=SPACE, seed=0, **settings):
    return make_agent("clone", space, ACTIONS, num_envs=1, config=CloningConfig(**settings), seed=seed)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_classifier_imitates_and_loaded_acts_the_same(name, tmp_path):
    obs, action = shown()
    imitator = made(classifier=name)
    assert imitator.imitate(obs, action)["accuracy"] > 0.7
    found, _ = imitator.policy.act(obs, explore=False)
    assert set(found) == {5, 6} and (found == action).mean() > 0.7
    checkpoint.save(tmp_path / "c.safetensors", imitator.state_dict())
    other = made(classifier=name, seed=3)
    other.load_state_dict(checkpoint.load(tmp_path / "c.safetensors"))
    assert (other.likely(obs) == imitator.likely(obs)).all()
    assert imitator.imitate(obs, action) == other.imitate(obs, action)  # the random stream goes on too


def test_masks_leave_the_next_likely_action():
    obs, action = shown()
    imitator = made(classifier="tree")
    imitator.imitate(obs, action)
    mask = np.ones((len(obs), 3), np.uint8)
    mask[np.arange(len(obs)), action - 5] = 0
    found, _ = imitator.policy.act(obs, explore=False, mask=mask)
    assert (found != action).all()
    only = np.zeros((len(obs), 3), np.uint8)
    only[:, 2] = 1
    assert (imitator.policy.act(obs, explore=False, mask=only)[0] == 7).all()


def test_numbers_are_seen_one_by_one():
    numbers = np.arange(20) + 3
    imitator = make_agent(
        "clone", Discrete(20, start=3), ACTIONS, num_envs=1, config=CloningConfig("tree"), seed=0
    )
    action = np.where(numbers % 2, 5, 7)
    imitator.imitate(np.repeat(numbers, 10), np.repeat(action, 10))
    assert (imitator.policy.act(numbers, explore=False)[0] == action).all()


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="imitators need observations that are arrays or numbers"):
        make_agent("clone", SPACE, Box(0, 1, (2,)), num_envs=1, seed=0)
    with pytest.raises(ValueError, match="tell 10,000 numbers apart at most; got Discrete\\(10001\\)"):
        make_agent("clone", Discrete(10_001), ACTIONS, num_envs=1, seed=0)
    with pytest.raises(ValueError, match="round must be at least 1; got 0"):
        DAggerConfig(round=0)
    for config in (CloningConfig, DAggerConfig):
        with pytest.raises(ValueError, match="classifier is one of logistic, .*; got 'forest'"):
            config(classifier="forest")
    imitator = made(classifier="tree")
    imitator.imitate(*shown())
    state = imitator.state_dict()
    with pytest.raises(ValueError, match="other observations than 12 numbers"):
        made(Box(0, 255, (12,), np.uint8), classifier="tree").load_state_dict(state)
    with pytest.raises(ValueError, match="naive-bayes: the array 'mean' is missing"):
        made(classifier="naive-bayes").load_state_dict(state)
    older = {"scale": state["scale"], "classifier": np.frombuffer(b"PK", np.uint8), "random": state["random"]}
    with pytest.raises(OutdatedError, match="an object of scikit-learn"):
        made(classifier="tree").load_state_dict(older)
    few = make_agent("clone", SPACE, Discrete(1), num_envs=1, config=CloningConfig("tree"), seed=0)
    with pytest.raises(ValueError, match="'actions' holds values out of range"):
        few.load_state_dict(state)
