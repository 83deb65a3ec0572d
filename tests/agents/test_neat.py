"""NEAT against neat-python's own networks, and on a task that needs a hidden node."""

import random

import neat as library
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, Text
from meze.agents import checkpoint
from meze.agents.evolution.neat import NeatConfig, NeatPolicy
from meze.agents.evolution.neat_genomes import diversity, express, genomes_from_state, genomes_to_state, idle
from meze.agents.registry import make_agent

CORNERS = np.array([[x, y] for x in (-1, 1) for y in (-1, 1)], np.float32)
PAIR = Box(-1, 1, (2,)), Discrete(2)


def make(spaces=PAIR, seed=0, **settings):
    config = NeatConfig(**{"population_size": 60, "species": 5, **settings})
    return make_agent("neat", *spaces, num_envs=1, config=config, seed=seed)


def exclusive_or(searcher, population):
    """How near the outputs' difference comes to 1 where the inputs differ, and to -1 where they do not."""
    genomes = np.repeat(np.arange(len(population)), 4)
    outputs = searcher.policy_of(population, genomes).outputs(np.tile(CORNERS, (len(population), 1)))
    difference = (outputs[:, 1] - outputs[:, 0]).reshape(-1, 4)
    return -((difference - [-1, 1, 1, -1]) ** 2).sum(axis=1)


def evolve(searcher, generations):
    return [searcher.tell(exclusive_or(searcher, searcher.ask())) for _ in range(generations)]


def distinct(genomes):
    """Everything that a genome is."""
    return [
        (
            genome.key,
            genome.fitness,
            [(node.key, node.bias) for node in genome.nodes.values()],
            [(c.key, c.innovation, c.weight, c.enabled) for c in genome.connections.values()],
        )
        for genome in genomes
    ]


@pytest.mark.slow
def test_it_grows_the_hidden_node_that_exclusive_or_needs() -> None:
    searcher = make(population_size=120)
    metrics = evolve(searcher, 1)
    assert metrics[0]["nodes"] == 2
    while searcher.policy.act(CORNERS, explore=False)[0].tolist() != [0, 1, 1, 0]:
        assert len(metrics) < 150
        metrics += evolve(searcher, 1)
    assert metrics[-1]["nodes"] > 2 and metrics[-1]["best"] > metrics[0]["best"]
    assert 2 <= metrics[-1]["species"] <= 15


def test_networks_of_all_shapes_act_as_neat_pythons_own_do() -> None:
    spaces = Box(-1, 1, (6,)), Discrete(3)
    searcher = make(spaces, add_node=0.6, add_connection=0.9, connected=0.5)
    rng = np.random.default_rng(0)
    for _ in range(12):
        searcher.ask()
        searcher.tell(rng.random(60))
    population = searcher.ask()
    sizes = {genome.size() for genome in population.genomes}
    assert len(sizes) > 20 and max(nodes for nodes, _ in sizes) > 8
    obs = rng.uniform(-1, 1, (300, 6)).astype(np.float32)
    genomes = rng.integers(60, size=300)
    outputs = searcher.policy_of(population, genomes).outputs(obs)
    for b in range(300):
        own = library.nn.FeedForwardNetwork.create(population.genomes[genomes[b]], searcher._neat)
        assert np.allclose(outputs[b], own.activate(obs[b].tolist()), rtol=0, atol=1e-12)
        alone = express([population.genomes[genomes[b]]], searcher._neat)
        policy = NeatPolicy(alone, None, searcher.features, searcher.actions)
        assert policy.outputs(obs[b : b + 1]).tobytes() == outputs[b].tobytes()


@pytest.mark.parametrize("told", [True, False])
def test_going_on_from_a_file_equals_never_having_stopped(told, tmp_path) -> None:
    searcher = make(add_node=0.4)
    evolve(searcher, 8)
    if not told:
        searcher.ask()
    checkpoint.save(tmp_path / "state", searcher.state_dict())
    wanted = evolve(searcher, 10)

    random.seed(99)
    other = make(seed=5, add_node=0.4)
    other.load_state_dict(checkpoint.load(tmp_path / "state"))
    assert other.generation == 8
    assert evolve(other, 10) == wanted
    assert distinct(other.population.genomes) == distinct(searcher.population.genomes)
    assert np.array_equal(other.policy.outputs(CORNERS), searcher.policy.outputs(CORNERS))
    assert other.state_dict().keys() == searcher.state_dict().keys()


def test_genomes_are_written_down_whole() -> None:
    searcher = make(add_node=0.5)
    evolve(searcher, 6)
    genomes = searcher.population.genomes
    read = genomes_from_state(genomes_to_state(genomes), searcher._neat.genome_config)
    assert distinct(read) == distinct(genomes)


def test_nobody_elses_random_numbers_matter() -> None:
    random.seed(1)
    one = make()
    evolve(one, 3)
    after = random.random()
    random.seed(1)
    assert after == random.random()
    random.seed(2)
    other = make()
    evolve(other, 3)
    assert distinct(one.population.genomes) == distinct(other.population.genomes)


def test_many_inputs_and_few_connections_make_no_more_species_than_there_is_room_for() -> None:
    searcher = make((Box(-1, 1, (80,)), Discrete(4)), connected=0.03)
    searcher._distance = 0.01  # every genome would be a species of its own
    rng = np.random.default_rng(0)
    for _ in range(15):
        searcher.ask()
        metrics = searcher.tell(rng.random(60))
        assert len(searcher.population) == 60 and metrics["species"] <= 15
    assert metrics["species"] < 12


def test_before_the_first_generation_it_acts_and_is_saved() -> None:
    searcher = make()
    assert searcher.policy.act(CORNERS, explore=False)[0].tolist() == [0, 0, 0, 0]
    state = searcher.state_dict()
    wanted = distinct(searcher.ask().genomes)
    other = make(seed=3)
    other.load_state_dict(state)
    assert distinct(other.ask().genomes) == wanted


def test_diversity_is_the_share_of_connections_that_differ() -> None:
    searcher = make((Box(-1, 1, (30,)), Discrete(4)), connected=0.25)
    genomes = searcher.ask().genomes
    keys = [set(genome.connections) for genome in genomes]
    pairs = [(a, b) for a in keys for b in keys]  # a genome with itself, too
    shares = sum(len(a - b) for a, b in pairs) / sum(len(a) for a, _ in pairs)
    assert diversity(genomes) == pytest.approx(shares)
    assert diversity(genomes[:1]) == 0


def test_the_graph_is_that_of_the_best_network() -> None:
    searcher = make(add_node=0.6)
    evolve(searcher, 10)
    graph = searcher.graph()
    obs = CORNERS[2]
    values = {k: float(x) for k, x in enumerate(obs)}
    networks = searcher.policy.genes
    for node, bias in enumerate(networks.bias, start=2):
        total = sum(
            values[int(s)] * w
            for s, t, w in zip(graph.source, graph.target, graph.weight, strict=True)
            if t == node
        )
        values[node] = (total + bias) / (1 + abs(total + bias))
    assert [values[int(o)] for o in graph.output] == pytest.approx(
        searcher.policy.outputs(obs[None])[0].tolist()
    )
    assert graph.inputs == ("x0", "x1")
    assert idle(2, 2).output.tolist() == [[2, 3]]


def test_a_state_of_something_else_is_refused() -> None:
    searcher = make()
    evolve(searcher, 2)
    state = searcher.state_dict()
    with pytest.raises(ValueError, match="neat can't go on from a state of genetic"):
        make().load_state_dict({**state, "algorithm": "genetic"})
    with pytest.raises(ValueError, match="the population is 50"):
        make(population_size=50).load_state_dict(state)


@pytest.mark.parametrize(
    ("column", "change", "words"),
    [
        ("connection.source", lambda values: values + 60, "joins what is not there"),
        ("connection.weight", lambda values: values * np.nan, "not finite"),
        ("connection.weight", lambda values: values * 0 + 1e308, "beyond 30.0"),
        ("node.bias", lambda values: values * 0 - 1e308, "beyond 30.0"),
        ("connection.enabled", lambda values: values.astype(np.int64), "no column of bool"),
        ("node.bias", lambda values: "x", "no column of float64"),
        ("node.key", lambda values: values + 1, "lacks an output|joins what"),
        ("genome.nodes", lambda values: values - 1, "lacks an output|do not fit|joins what"),
        ("genome.fitness", lambda values: values * np.nan, "not finite"),
        ("members", lambda values: np.roll(values, 1)[::-1] * 0 + values[0], "do not divide the population"),
        ("species.members", lambda values: -values, "do not fit"),
        ("history", lambda values: values[:-1], "do not fit"),
        ("counters", lambda values: [1, 1, 1], "behind"),
        ("innovation", lambda values: 0, "behind"),
    ],
)
def test_tables_that_do_not_fit_are_refused(column, change, words) -> None:
    searcher = make(add_node=0.5)
    evolve(searcher, 3)
    state = searcher.state_dict()
    state[column] = change(state[column])
    with pytest.raises(ValueError, match=words):
        make().load_state_dict(state)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 15}, "larger population"),
        ({"elites": 0}, "elites"),
        ({"connected": 1.5}, "connected"),
        ({"mutation_rate": 0.95}, "mutation_rate"),
        ({"sigma": 0.0}, "sigma"),
        ({"spaces": (Text(2), Discrete(2))}, "observations that are arrays"),
        ({"spaces": (Discrete(2), MultiBinary(2))}, "Discrete actions or a Box"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(settings, words) -> None:
    with pytest.raises(ValueError, match=words):
        make(**settings)


def test_strangers_can_be_crossed_and_new_parts_are_numbered_apart() -> None:
    islands = [make(seed=k) for k in range(2)]
    for k, searcher in enumerate(islands):
        searcher.settle(k)
        evolve(searcher, 1)
    first = [{c.key: c.innovation for c in s.population.genomes[0].connections.values()} for s in islands]
    assert first[0] == first[1] and len(first[0]) == 4  # the same connections have the same numbers
    for searcher in islands:
        evolve(searcher, 15)
    told = [s.state_dict() for s in islands]
    new = [set(state["connection.innovation"]) - {1, 2, 3, 4} for state in told]
    nodes = [set(state["node.key"]) - {0, 1} for state in told]
    assert all(new + nodes) and not new[0] & new[1] and not nodes[0] & nodes[1]

    one, other = islands
    other.receive(one.emigrant())
    assert len(other.population) == 60
    evolve(other, 10)  # whose crossing would tell of numbers that are used twice
    again = make()
    again.load_state_dict(other.state_dict())
    assert evolve(again, 3) == evolve(other, 3)
    with pytest.raises(ValueError, match="one genome comes at a time"):
        other.receive(other.state_dict())
