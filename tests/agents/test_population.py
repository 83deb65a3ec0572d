"""Features, policies of populations and the borrowed module `random`, against plain loops."""

import random
from itertools import pairwise

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Text
from meze.agents.evolution.inputs import MAX_INPUTS, Retina, make_features
from meze.agents.evolution.population import (
    ActionDecoder,
    MlpPolicy,
    SequencePolicy,
    SitesPolicy,
    TablePolicy,
    borrowed_random,
    checked_fitness,
    nearest_possible,
    random_state,
    set_random_state,
)
from meze.envs.core import MixedRadix
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.world import Platformer

GRID = Box(0, 255, (3, 5, 7), np.uint8)


def seen_cells(features):
    """The cells of each input, in their order."""
    cells = np.concatenate([np.arange(first, end) for first, end in features.cells.runs])
    return [cells[features.cells.owners == f] for f in range(len(features.names))]


def inputs_of(features, obs):
    """The features of one observation, as their docstrings say."""
    flat = features.rows(obs[None])[0].astype(np.float64)
    both = zip(seen_cells(features), features.cells.scales, strict=True)
    return [np.float32(flat[cells].sum()) * scale for cells, scale in both]


def test_a_retina_sees_means_of_bands() -> None:
    retina = Retina(planes=(0, 2), rows=(2, 1, 2), columns=(3, 1, 3))
    features = make_features(GRID, retina)
    obs = np.random.default_rng(0).integers(0, 256, GRID.shape, np.uint8)
    wanted = []
    for plane in range(3):
        if plane == 1:
            wanted.append(obs[plane, 2, 3])
            continue
        for rows in (slice(0, 2), slice(2, 3), slice(3, 5)):
            wanted += [
                obs[plane, rows, columns].mean() for columns in (slice(0, 3), slice(3, 4), slice(4, 7))
            ]
    assert np.allclose(inputs_of(features, obs), np.array(wanted) / 255, rtol=1e-6)
    assert len(features.names) == len(wanted) == 19
    assert features.names[1] == "plane 0, 0-1:3" and features.names[9] == "plane 1"


def test_planes_may_come_last_and_a_retina_is_sharp_in_the_middle_by_itself() -> None:
    features = make_features(Box(0, 1, (9, 11, 3), np.float32), Retina())
    assert len(features.names) == 3 * 5 * 5
    obs = np.random.default_rng(0).random((9, 11, 3), np.float32)
    middle = features.names.index("plane 2, 4:5")
    assert inputs_of(features, obs)[middle] == pytest.approx(obs[4, 5, 2])


def test_vectors_and_numbers() -> None:
    space = Box(np.array([-2, 0, -np.inf, -3e38], np.float32), np.array([1, 5, np.inf, 3e38], np.float32))
    features = make_features(space, Retina())
    assert np.allclose(inputs_of(features, np.array([1, 1, 7, 8], np.float32)), [0.5, 0.2, 7, 8])
    features = make_features(Discrete(4, start=3), Retina())
    assert inputs_of(features, np.array(5)) == [0, 0, 1, 0] and features.names[2] == "is 5"


def test_a_number_that_tells_its_digits_is_seen_digit_by_digit() -> None:
    space = MixedRadix((("up", "down"), 3))
    assert space == Discrete(6) and space.n == 6
    features = make_features(space, Retina())
    assert features.names == ("up", "down", "digit 1 is 0", "digit 1 is 1", "digit 1 is 2")
    wanted = [[*np.eye(2, dtype=int)[number // 3], *np.eye(3, dtype=int)[number % 3]] for number in range(6)]
    assert features.rows(np.arange(6)).tolist() == wanted
    seen = Platformer(PlatformerConfig(observation="index")).observation_space
    names = make_features(seen, Retina()).names
    assert len(names) == 23 and names[0] == "on the ground" and "gap at once" in names


def test_several_numbers_are_an_input_each_scaled_to_the_largest() -> None:
    features = make_features(MultiDiscrete([4, 3], start=[1, 0]), Retina())
    assert features.names == ("x0", "x1") and features.cells.scales.tolist() == [0.25, 0.5]
    assert make_features(MultiBinary((2, 2)), Retina()).cells.scales.tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("space", "retina", "words"),
    [
        (Text(3), Retina(), "arrays or numbers"),
        (Discrete(MAX_INPUTS + 1), Retina(), "has more"),
        (GRID, Retina(planes=(3,)), "there are 3 planes"),
        (GRID, Retina(rows=(2, 2)), "add up to 4; the grid has 5"),
    ],
)
def test_what_does_not_fit_is_refused(space, retina, words) -> None:
    with pytest.raises(ValueError, match=words):
        make_features(space, retina)


def test_a_retina_checks_itself() -> None:
    with pytest.raises(ValueError, match="planes count from 0"):
        Retina(planes=(-1,))
    with pytest.raises(ValueError, match="rows are bands"):
        Retina(rows=(0, 5))


def plain_mlp(genes, inputs, order, num_hidden, num_outputs):
    """One network in float32; sums take the inputs in the given order."""
    at, values = 0, list(map(np.float32, inputs))
    for width in [num_hidden, num_outputs] if num_hidden else [num_outputs]:
        weights = genes[at : at + len(values) * width].reshape(len(values), width)
        at += len(values) * width
        sums = genes[at : at + width].copy()
        at += width
        for i in order:
            sums = sums + values[i] * weights[i]
        order = range(width)
        squashed = at < len(genes)
        values = [s / (np.float32(1) + abs(s)) if squashed else s for s in sums]
    assert at == len(genes)
    return values


@pytest.mark.parametrize("num_hidden", [0, 1, 6, 19])
@pytest.mark.parametrize("num_outputs", [1, 4, 11])
def test_outputs_are_bit_equal_alone_in_any_batch_and_in_plain_python(num_hidden, num_outputs) -> None:
    rng = np.random.default_rng(num_hidden)
    features = make_features(GRID, Retina())
    widths = [len(features.names), *([num_hidden] if num_hidden else []), num_outputs]
    size = sum((inputs + 1) * units for inputs, units in pairwise(widths))
    genes = rng.normal(size=(9, size)).astype(np.float32)
    obs = rng.integers(0, 256, (40, *GRID.shape), np.uint8)
    obs[rng.random(obs.shape) < 0.7] = 0
    genomes = rng.integers(9, size=40)
    actions = ActionDecoder(Discrete(num_outputs))

    together = MlpPolicy(genes, genomes, features, actions, num_hidden).outputs(obs)
    for b in range(40):
        row = obs[b : b + 1]
        alone = MlpPolicy(genes[genomes[b] : genomes[b] + 1], None, features, actions, num_hidden).outputs(
            row
        )
        assert alone.tobytes() == together[b].tobytes()
        inputs, flat = inputs_of(features, row[0]), row.ravel()
        first = {f: cells[flat[cells] != 0] for f, cells in enumerate(seen_cells(features))}
        order = sorted((f for f in first if len(first[f])), key=lambda f: first[f][0])
        plain = plain_mlp(genes[genomes[b]], inputs, order, num_hidden, num_outputs)
        assert np.array_equal(plain, together[b])
    some = rng.permutation(40)[:13]
    assert np.array_equal(
        MlpPolicy(genes, genomes[some], features, actions, num_hidden).outputs(obs[some]),
        together[some],
    )


def test_actions_are_the_highest_possible_output_or_lie_within_the_bounds() -> None:
    outputs = np.array([[1.0, 3.0, 3.0], [0.0, -1.0, 2.0]])
    discrete = ActionDecoder(Discrete(3, start=5))
    assert discrete.choose(outputs, None).tolist() == [6, 7]
    assert discrete.choose(outputs, np.array([[1, 0, 0], [1, 1, 0]])).tolist() == [5, 5]
    space = Box(np.array([[-2], [0]], np.float32), np.array([[2], [10]], np.float32))
    box = ActionDecoder(space)
    chosen = box.choose(np.array([[0.0, 0.0], [1e30, -1e30], [1.0, 1.0]]), None)
    assert box.num_outputs == 2 and chosen.dtype == np.float32 and chosen.shape == (3, 2, 1)
    assert np.allclose(chosen[:, :, 0], [[0, 5], [2, 0], [1, 7.5]])
    for space in (Box(-np.inf, np.inf, (2,)), MultiBinary(2)):
        with pytest.raises(ValueError, match="Discrete actions or a Box with bounds"):
            ActionDecoder(space)


def test_rows_of_a_table_are_scored_alike() -> None:
    rng = np.random.default_rng(0)
    features, actions = make_features(Box(0, 9, (3,)), Retina()), ActionDecoder(Discrete(5))
    genes = rng.normal(size=(2, 4 * 4 + 5)).astype(np.float32)
    genomes = np.array([0, 1, 1])
    table = rng.integers(0, 9, (3, 5, 3)).astype(np.float32)
    scores = SitesPolicy(genes, genomes, features, actions, 4).outputs(table)
    for k in range(5):
        alone = MlpPolicy(genes, genomes, features, ActionDecoder(Box(-1, 1, (1,))), 4).outputs(table[:, k])
        assert (scores[:, k] == alone[:, 0]).all()


def test_tables_and_what_is_nearest_possible() -> None:
    genes = np.array([[0, 1, 2], [2, 2, 0]])
    policy = TablePolicy(genes, np.array([0, 1, 1, 0]), first_obs=10, first_action=3)
    obs = np.array([12, 12, 10, 11])
    assert policy.act(obs, explore=False)[0].tolist() == [5, 3, 5, 4]
    mask = np.array([[1, 0, 0], [0, 0, 1], [1, 1, 1], [1, 0, 1]], np.int8)
    assert policy.act(obs, explore=False, mask=mask)[0].tolist() == [3, 5, 5, 5]
    assert nearest_possible(np.array([1]), np.array([[0, 0, 0]])).tolist() == [1]


def test_scripts_repeat_and_each_row_has_its_own_step() -> None:
    genes = np.array([[1, 2, 0, 1, 4, 3], [2, 1, 2, 1, 3, 1]])
    whole = [1, 1, 0, 4, 4, 4], [2, 2, 3]
    policy = SequencePolicy(genes, np.array([0, 1, 0]), first_action=0)
    memory, taken = None, []
    for _ in range(13):
        actions, memory = policy.act(np.zeros(3), memory, explore=False)
        taken.append(actions)
    assert np.transpose(taken).tolist() == [
        [whole[g][t % len(whole[g])] for t in range(13)] for g in (0, 1, 0)
    ]
    actions, memory = policy.act(np.zeros(3), np.array([3, 0, 2]), explore=False)
    assert actions.tolist() == [4, 2, 0] and memory.tolist() == [4, 1, 3]


def test_the_module_random_is_borrowed_and_given_back() -> None:
    private, twin = random.Random(5), random.Random(5)
    random.seed(1)
    with pytest.raises(KeyError), borrowed_random(private):
        drawn = [random.random(), random.gauss(0, 1)]
        raise KeyError
    assert drawn == [twin.random(), twin.gauss(0, 1)]
    after = random.random()
    random.seed(1)
    assert after == random.random()

    saved = random_state(private)  # with the second half of a pair of Gaussian numbers
    wanted = [private.gauss(0, 1) for _ in range(3)]
    other = random.Random()
    set_random_state(other, saved)
    assert [other.gauss(0, 1) for _ in range(3)] == wanted
    with pytest.raises(ValueError, match="no state of a random stream"):
        set_random_state(other, {**saved, "words": np.zeros(3, np.uint32)})


def test_fitness_is_checked() -> None:
    assert checked_fitness(np.array([1, 2]), 2).dtype == np.float64
    with pytest.raises(ValueError, match="has as many fitness values"):
        checked_fitness(np.zeros(3), 2)
    with pytest.raises(ValueError, match="not finite"):
        checked_fitness(np.array([0, np.nan]), 2)
