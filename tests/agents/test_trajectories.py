"""Unfinished rollouts that are saved: what goes on, and what an environment that can't be saved leaves."""

import numpy as np
import pytest
import torch
from meze.agents.base import Transition
from meze.agents.deep.trajectories import Trajectories

CPU = torch.device("cpu")
LAYOUT = {"obs": ((2,), np.float32)}


def step(obs, next_obs, truncated=(False, False, False)):
    """A transition of three streams, whose masks tell rows and successors apart."""
    rows = np.arange(3)
    return Transition(
        *(np.asarray(obs, np.float32), rows, rows.astype(np.float64), np.asarray(next_obs, np.float32)),
        *(np.zeros(3, np.bool_), np.asarray(truncated), np.ones((3, 4), np.bool_)),
        mask=np.ones((3, 4), np.bool_),
    )


def add(trajectories, batch):
    inputs = torch.from_numpy(batch.obs)
    trajectories.add(batch, inputs, inputs.sum(1))


def finished(trajectories):
    """Columns, when states are worth the sum of their numbers."""
    return {name: each.numpy() for name, each in trajectories.finish(lambda obs, *_: obs.sum(1)).items()}


def places(t):
    """(3, 2) observations of three streams at a time."""
    return np.arange(6).reshape(3, 2) + 10.0 * t


@pytest.fixture
def saved():
    """A rollout of three steps after the second, with one episode cut off on the way."""
    trajectories = Trajectories(3, 3, CPU)
    add(trajectories, step(places(0), [[7, 7], *places(1)[1:]], truncated=[True, False, False]))
    add(trajectories, step(places(1), places(2)))
    return trajectories.state_dict()


def read(state):
    trajectories = Trajectories(3, 3, CPU)
    trajectories.load_state_dict(state, LAYOUT, 4)
    return trajectories


def test_streams_that_go_on_are_not_cut(saved):
    trajectories = read(saved)
    assert trajectories.state_dict().keys() == saved.keys()
    for name, value in trajectories.state_dict().items():
        np.testing.assert_array_equal(value, saved[name])
    add(trajectories, step(places(2), places(3)))
    rollout = finished(trajectories)
    assert rollout["truncated"].tolist() == [[True, False, False], [False] * 3, [False] * 3]
    expected = [[14.0, *places(1).sum(1)[1:]], places(2).sum(1), places(3).sum(1)]
    np.testing.assert_array_equal(rollout["next_value"], expected)


def test_streams_of_new_episodes_end_with_their_true_successors(saved):
    trajectories = read(saved)
    fresh = places(2)
    fresh[1:] = 500.0
    add(trajectories, step(fresh, places(3)))
    rollout = finished(trajectories)
    assert rollout["truncated"].tolist() == [[True, False, False], [False, True, True], [False] * 3]
    np.testing.assert_array_equal(rollout["next_value"][1], places(2).sum(1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("awaited.0", np.array([0, 1, 2])),  # not the last step's
        ("awaited.0", np.array([3, 4, 9])),
        ("awaited.1", np.zeros((3, 3), np.float32)),
        ("awaited.1", np.zeros((3, 2))),
        ("awaited.0", np.array([4, 4, 5])),  # not each stream's
    ],
)
def test_damaged_ends_are_refused(saved, name, value):
    assert len([each for each in saved if each.startswith("awaited.")]) == 3
    without_mask = {each: part for each, part in saved.items() if each != "awaited.2"}
    with pytest.raises(ValueError, match="the unfinished rollout is damaged"):
        read(without_mask)  # while those of before have one
    with pytest.raises(ValueError, match="the unfinished rollout is damaged"):
        read(saved | {name: value})


@pytest.mark.parametrize("new", [False, True])  # whether new episodes begin
def test_masks_of_another_environment_are_refused_in_one_line(saved, new):
    """Whether actions are masked is known only when the environments go on."""
    trajectories = read(saved)
    fresh = places(2) + 500.0 * new
    with pytest.raises(ValueError, match="some steps of a rollout tell which actions are possible"):
        add(trajectories, step(fresh, places(3))._replace(mask=None, next_mask=None))
