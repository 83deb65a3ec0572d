"""The genetic algorithm on functions whose optimum is known; going on equals never having stopped."""

import random

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, Text
from meze.agents import checkpoint
from meze.agents.evolution.genomes import GeneticConfig
from meze.agents.registry import make_agent

VECTOR, FEW = Box(-1, 1, (5,)), Discrete(3)


def make(name="genetic", spaces=(VECTOR, FEW), seed=0, **settings):
    config = GeneticConfig(**{"population_size": 60, "hidden": 0, "elites": 4, **settings})
    return make_agent(name, *spaces, num_envs=1, config=config, seed=seed)


def sphere(population):
    """A function of real genes whose optimum, 0, lies where each is 2."""
    return -((population - 2.0) ** 2).sum(axis=1)


def matches(population):
    """How many whole genes are what they should be."""
    return (population == np.arange(population.shape[1]) % 3).sum(axis=1).astype(float)


def search(searcher, function, generations):
    return [searcher.tell(function(searcher.ask())) for _ in range(generations)]


@pytest.mark.parametrize("blend", [0.0, 1.0])
def test_it_finds_the_optimum_of_a_function_and_its_steps_shrink(blend) -> None:
    metrics = search(make(blend=blend), sphere, 150)
    assert metrics[0]["best"] < -50 and metrics[-1]["best"] > -0.05
    assert metrics[0]["mutation_step"] == pytest.approx(0.3)
    assert max(row["mutation_step"] for row in metrics) > 0.45  # it is far away at first
    assert metrics[-1]["mutation_step"] < 0.1 and metrics[-1]["diversity"] < metrics[0]["diversity"] / 3
    bests = [row["best"] for row in metrics]
    assert bests == sorted(bests)  # elites are never lost


def test_whole_genes_find_theirs() -> None:
    searcher = make(spaces=(Discrete(40), FEW), mutation_rate=0.02)
    metrics = search(searcher, matches, 60)
    assert metrics[-1]["best"] == 40 and "mutation_step" not in metrics[-1]
    assert searcher.population.min() == 0 and searcher.population.max() == 2
    assert metrics[0]["diversity"] == pytest.approx(2 / 3, abs=0.02)


def test_random_search_is_the_same_without_inheritance() -> None:
    spaces = Discrete(40), FEW
    genetic, control = make(spaces=spaces), make("random-search", spaces)
    assert np.array_equal(genetic.ask(), control.ask())
    bred, drawn = search(genetic, matches, 30), search(control, matches, 30)
    assert drawn[-1]["best"] < 26 < bred[-1]["best"]
    assert drawn[-1]["median"] == pytest.approx(40 / 3, abs=1.5)  # as at the beginning
    bests = [row["best"] for row in drawn]
    assert bests == sorted(bests)


@pytest.mark.parametrize("name", ["genetic", "random-search"])
def test_elites_live_on_unchanged_and_the_others_are_new(name) -> None:
    searcher = make(name)
    before = searcher.ask()
    fitness = sphere(before)
    searcher.tell(fitness)
    after = searcher.ask()
    assert after is searcher.ask()  # until it is told
    best = np.argsort(-fitness)[:4]
    assert np.array_equal(after[:4], before[best])
    copies = sum((row == before).all(axis=1).any() for row in after[4:])
    assert copies < 15  # of 56: now and then neither crossing nor mutation comes about


def test_scripts_have_actions_and_lengths_in_their_ranges() -> None:
    searcher = make(genome="sequence", runs=10, longest_run=7, mutation_rate=0.5)
    search(searcher, lambda population: population.sum(axis=1).astype(float), 5)
    actions, lengths = searcher.population[:, ::2], searcher.population[:, 1::2]
    assert (actions.min(), actions.max(), lengths.min(), lengths.max()) == (0, 2, 1, 7)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    ("name", "settings"),
    [("genetic", {}), ("genetic", {"genome": "sequence"}), ("random-search", {}), ("genetic", {"hidden": 3})],
)
def test_going_on_from_a_file_equals_never_having_stopped(name, settings, told, tmp_path) -> None:
    searcher = make(name, **settings)
    search(searcher, sphere, 3)
    if not told:
        searcher.ask()
    checkpoint.save(tmp_path / "state", searcher.state_dict())
    wanted = search(searcher, sphere, 4)

    random.seed(99)
    other = make(name, seed=7, **settings)
    other.load_state_dict(checkpoint.load(tmp_path / "state"))
    assert other.generation == 3
    assert search(other, sphere, 4) == wanted
    assert np.array_equal(other.population, searcher.population)
    assert other.policy.genes.tobytes() == searcher.policy.genes.tobytes()


def test_nobody_elses_random_numbers_matter() -> None:
    random.seed(1)
    one = make()
    search(one, sphere, 3)
    after = random.random()
    random.seed(1)
    assert after == random.random()
    random.seed(2)
    other = make()
    search(other, sphere, 3)
    assert np.array_equal(one.population, other.population)


def test_the_policy_is_the_best_genomes() -> None:
    searcher = make(hidden=4)
    policy = searcher.policy
    search(searcher, sphere, 5)
    best = searcher.population[sphere(searcher.population).argmax()]
    obs = np.random.default_rng(0).uniform(-1, 1, (50, 5)).astype(np.float32)
    wanted = searcher.policy_of(best[None], np.zeros(50, int)).act(obs, explore=False)[0]
    assert np.array_equal(policy.act(obs, explore=False)[0], wanted)
    assert np.array_equal(policy.action_values(obs).argmax(axis=1), wanted)


def test_a_state_of_something_else_is_refused() -> None:
    state = make().state_dict()
    with pytest.raises(ValueError, match="random-search can't go on from a state of genetic"):
        make("random-search").load_state_dict(state)
    with pytest.raises(ValueError, match="population is"):
        make(population_size=61).load_state_dict(state)
    with pytest.raises(ValueError, match="population is"):
        make(spaces=(Discrete(18), FEW)).load_state_dict(state)
    table = make(spaces=(Discrete(9), FEW))
    for name in ("population", "best"):
        state = table.state_dict()
        state[name][0, 0] = 3
        with pytest.raises(ValueError, match="out of range"):
            table.load_state_dict(state)
        state = make().state_dict()
        state[name][0, 0] = np.nan
        with pytest.raises(ValueError, match="out of range"):
            make().load_state_dict(state)


@pytest.mark.parametrize(
    ("spaces", "settings", "words"),
    [
        ((Text(3), FEW), {}, "observations that are arrays or numbers"),
        ((VECTOR, MultiBinary(3)), {}, "Discrete actions or a Box with bounds; got MultiBinary"),
        ((VECTOR, Box(-1, 1, (2,))), {"genome": "sequence"}, "made of Discrete actions"),
        ((VECTOR, FEW), {"hidden": 300}, "need 2703 weights; at most 2000"),
        ((Discrete(10_001), FEW), {}, "at most 10000 actions"),
    ],
)
def test_a_misfit_is_told_in_one_line(spaces, settings, words) -> None:
    with pytest.raises(ValueError, match=words):
        make(spaces=spaces, **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 1}, "population_size"),
        ({"elites": 60}, "fewer than the population"),
        ({"genome": "polcy"}, "genome is one of policy, sequence; got 'polcy'"),
        ({"mutation_rate": 1.5}, "mutation_rate"),
        ({"sigma": 0.0}, "sigma"),
        ({"hidden": -1}, "hidden"),
        ({"tournament_size": 0}, "tournament_size"),
    ],
)
def test_settings_are_checked(settings, words) -> None:
    with pytest.raises(ValueError, match=words):
        make(**settings)


@pytest.mark.parametrize("spaces", [(VECTOR, FEW), (Discrete(9), FEW)])
def test_a_stranger_takes_the_place_of_the_last_child(spaces) -> None:
    one, other = make(spaces=spaces), make(spaces=spaces, seed=1)
    for searcher in one, other:
        search(searcher, sphere, 2)
    sent = one.emigrant()
    assert np.array_equal(sent["genes"], one.population[sphere(one.population).argmax()])
    for damage in (
        {"genes": sent["genes"][:-1]},
        {"genes": sent["genes"].astype(np.int16)},
        {"step": np.zeros(1)},
    ):
        with pytest.raises(ValueError, match="genes|out of range"):
            other.receive(sent | damage)
    assert other.fitness is not None  # nothing has happened yet
    other.receive(sent)
    assert other.fitness is None and np.array_equal(other.ask()[-1], sent["genes"])
    assert other.steps[-1] == sent["step"][0]
