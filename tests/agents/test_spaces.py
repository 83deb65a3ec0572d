"""Spaces that are made into others: numbers of parts, flattened observations, and what wraps environments."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple, flatten
from meze.agents.registry import make_agent
from meze.agents.spaces import (
    MOST_COMBINATIONS,
    Combined,
    Flattened,
    adapted,
    bounds,
    describe,
    numbering,
    sizes,
)

SEVERAL = [
    MultiDiscrete([2, 3]),
    MultiDiscrete([[2, 3], [4, 1]], start=[[1, -2], [0, 7]]),
    MultiBinary(4),
    MultiBinary((2, 2)),
]
NESTED = Tuple((Discrete(3, start=1), Dict(bits=MultiBinary(2), two=Tuple((MultiDiscrete([2, 3]),)))))


@pytest.mark.parametrize("space", SEVERAL, ids=str)
def test_a_number_stands_for_each_combination(space) -> None:
    combined = Combined(space)
    actions = combined.split(np.arange(combined.n))
    assert len({each.tobytes() for each in actions}) == combined.n
    assert all(space.contains(each) for each in actions) and space.contains(combined.split(0))
    assert combined.join(actions).tolist() == list(range(combined.n))
    numbers = numbering(space)
    assert numbers is not None and numbers(actions).tolist() == list(range(combined.n))
    again = pickle.loads(pickle.dumps(combined))  # as processes exchange them
    assert again == combined and again.parts == space


def test_tuples_of_numbers_have_a_number_each() -> None:
    flat, found = numbering(Flattened(NESTED)), {}
    assert flat is not None and flat.size == 3 * 4 * 6
    NESTED.seed(0)
    for _ in range(2000):
        row = flatten(NESTED, NESTED.sample())
        assert found.setdefault(int(flat(row[None])[0]), row.tobytes()) == row.tobytes()
    assert sorted(found) == list(range(flat.size))
    assert numbering(Box(0, 1, (2,))) is None and numbering(MultiBinary(80)) is None
    assert numbering(Flattened(Dict(a=Discrete(2), b=Box(0, 1, (2,))))) is None


def test_a_mask_of_parts_is_one_of_combinations() -> None:
    combined, mask = Combined(MultiDiscrete([2, 3])), np.array([1, 0, 0, 1, 1])
    assert combined.mask(mask).tolist() == [0, 1, 1, 0, 0, 0]
    assert combined.split(np.flatnonzero(combined.mask(mask))).tolist() == [[0, 1], [0, 2]]
    assert (
        combined.mask((mask[:2], mask[2:])).tolist() == combined.mask(mask).tolist()
    )  # Gymnasium's own form
    with pytest.raises(ValueError, match=r"has 5 numbers.*got the shape \(6,\)"):
        combined.mask(np.ones(6))


def test_choices_are_as_large_as_their_largest_value_and_1_more():
    assert bounds(MultiDiscrete([[2, 3], [4, 1]])).tolist() == [[2, 3], [4, 1]]
    started = MultiDiscrete([2, 3, 4, 1], start=[100, -2, -9, 0])  # to 101, 0, -6 and 0
    assert bounds(started).tolist() == [102, 3, 10, 1] == sizes(started).tolist()
    assert bounds(MultiBinary((2, 2))).tolist() == [[1, 1], [1, 1]]


class Bare(gym.Env):
    def __init__(self, observations, actions) -> None:
        self.observation_space, self.action_space = observations, actions


def test_what_needs_no_adapting_is_left_alone() -> None:
    for actions in (Discrete(2, start=1), Box(-1, 1, (2,)), MultiBinary(13)):
        for observations in (
            Box(0, 1, (2,)),
            Discrete(3),
            MultiBinary(2),
            Dict(a=gym.spaces.Sequence(Text(2))),
        ):
            env = Bare(observations, actions)
            assert adapted(env) is env
    assert adapted(Bare(Discrete(2), MultiBinary(12))).action_space.n == MOST_COMBINATIONS


def test_a_misfit_says_what_fits() -> None:
    line = r"sarsa needs Discrete .*; try --encoder kmeans, which makes numbers of arrays, or one of dqn, "
    with pytest.raises(ValueError, match=line):
        make_agent("sarsa", Box(0, 1, (3,)), Discrete(2), num_envs=1, seed=0)
    with pytest.raises(ValueError, match=r"; try one of ppo, sb3-ppo, sb3-a2c, sb3-recurrent-ppo$"):
        make_agent("dqn", Box(0, 1, (3,)), MultiBinary(13), num_envs=1, seed=0)
    with pytest.raises(ValueError, match=r"; no agent takes these$"):
        make_agent("sb3-sac", Box(0, 1, (3,)), Box(0, np.inf, (1,)), num_envs=1, seed=0)
    with pytest.raises(ValueError, match=r"10 hidden.*fewer hidden units or a coarser retina$|at most 2000"):
        make_agent(
            "genetic", Box(0, 1, (900,)), Discrete(2), num_envs=1, seed=0
        )  # its settings, not the spaces


def test_a_space_is_told_in_one_short_line() -> None:
    long = Box(np.arange(90, dtype=np.float32).reshape(30, 3), 100 * np.ones((30, 3), np.float32))
    assert describe(long) == "Box((30, 3), float32)"
    assert describe(Combined(SEVERAL[1])).count("\n") == 0 and len(describe(Tuple([NESTED] * 9))) < 110
