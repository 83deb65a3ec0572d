import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from meze.agents.registry import make_agent

SIZE = 60_000


def actions(action_space, mask=None, size=SIZE, explore=False):
    policy = make_agent("random", Discrete(1), action_space, num_envs=size, seed=0)
    return policy.act(np.zeros(size, int), explore=explore, mask=mask)[0]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (None, [0.25, 0.25, 0.25, 0.25]),
        ([1, 1, 1, 1], [0.25, 0.25, 0.25, 0.25]),
        ([0, 1, 0, 1], [0, 0.5, 0, 0.5]),
        ([0, 0, 0, 1], [0, 0, 0, 1]),
        ([True, True, False, False], [0.5, 0.5, 0, 0]),
    ],
)
def test_uniform_among_the_possible(row, expected):
    mask = None if row is None else np.tile(np.array(row), (SIZE, 1))
    share = np.bincount(actions(Discrete(4), mask), minlength=4) / SIZE
    expected = np.array(expected)
    assert np.all(np.abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / SIZE))


def test_spaces_that_do_not_start_at_zero():
    assert set(actions(Discrete(2, start=5))) == {5, 6}
    assert set(actions(Discrete(2, start=5), np.tile([0, 1], (SIZE, 1)))) == {6}


@pytest.mark.parametrize("space", [Box(-1, 1, (3,)), MultiDiscrete([2, 5])])
def test_other_spaces_are_sampled(space):
    batch = actions(space, size=8)
    assert all(space.contains(each) for each in batch)
    assert len(np.unique(batch, axis=0)) > 1
