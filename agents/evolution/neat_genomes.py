"""neat-python's genomes: their settings, the networks that they stand for, and how they are saved."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import neat
import numpy as np
from neat.species import Species
from numpy.typing import NDArray

from ...checking import at_least, within
from ..base import State
from ..ranges import Choices, Range
from .inputs import Retina

LARGEST = 30.0
"""Weights and biases lie between this and its negative."""

FIRST_DISTANCE = 3.0
"""Distance between species in the first generation."""


class Counter:
    """Counts like `itertools.count`, and can be read."""

    def __init__(self, start: int) -> None:
        self.value = start

    def __next__(self) -> int:
        """The next number."""
        self.value += 1
        return self.value - 1


# --- Settings -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NeatConfig:
    """Settings of NEAT.

    Raises:
        ValueError: for a value out of its range.
    """

    population_size: Annotated[int, Choices(75, 150, 300)] = 150
    """Genomes in a generation."""
    retina: Retina = field(default_factory=Retina)
    """What a network sees of a grid."""
    connected: float = 1.0
    """Share of the connections between inputs and outputs that the first networks have."""
    species: Annotated[int, Range(4, 20)] = 10
    """How many species are wanted."""
    elites: int = 2
    """The best genomes of each species, which live on unchanged."""
    survival: Annotated[float, Range(0.1, 0.5)] = 0.2
    """Share of a species, the best ones, from which parents are drawn."""
    stagnation: Annotated[int, Range(5, 40)] = 15
    """Generations without a better best fitness after which a species dies out; the two best never do."""
    add_node: Annotated[float, Range(0.02, 0.5, log=True)] = 0.2
    """Chance of a child that a connection is split by a new node."""
    delete_node: float = 0.03
    """Chance of a child that a node is deleted."""
    add_connection: Annotated[float, Range(0.05, 0.8, log=True)] = 0.5
    """Chance of a child that a connection is added."""
    delete_connection: float = 0.1
    """Chance of a child that a connection is deleted."""
    mutation_rate: Annotated[float, Range(0.3, 1.0)] = 0.8
    """Chance of each weight to be changed; a tenth as often it is drawn anew."""
    sigma: Annotated[float, Range(0.05, 1.0, log=True)] = 0.4
    """Standard deviation of a weight's change."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "species", "elites", "stagnation")
        if self.population_size < 2 * self.species * self.elites:
            raise ValueError(f"{self.species} species of {self.elites} elites need a larger population")
        within(self, 0.0, 1.0, "connected", "survival")
        within(self, 0.0, 1.0, "add_node", "delete_node", "add_connection", "delete_connection")
        within(self, 0.0, 0.9, "mutation_rate")
        within(self, 0.0, 10.0, "sigma", left_open=True)


def neat_config(config: NeatConfig, num_inputs: int, num_outputs: int) -> neat.Config:
    """neat-python's settings, which it reads from a file."""
    fixed = {"replace_rate": 0, "mutate_rate": 0, "mutate_power": 0, "init_stdev": 0, "init_type": "gaussian"}
    real = {"init_mean": 0, "init_stdev": 1, "init_type": "gaussian"}
    real |= {"max_value": LARGEST, "min_value": -LARGEST}
    real |= {
        "mutate_power": config.sigma,
        "mutate_rate": config.mutation_rate,
        "replace_rate": 0.1 * config.mutation_rate,
    }
    one = {"init_mean": 1, "max_value": 1, "min_value": 1} | fixed
    attributes = {
        "bias": real,
        "weight": real,
        "response": one,
        "time_constant": one,
        "activation": {"default": "squash", "options": "squash", "mutate_rate": 0},
        "aggregation": {"default": "sum", "options": "sum", "mutate_rate": 0},
        "enabled": {"default": True, "mutate_rate": 0.01, "rate_to_true_add": 0, "rate_to_false_add": 0},
    }
    genome = {f"{name}_{key}": value for name, keys in attributes.items() for key, value in keys.items()}
    genome |= {
        "num_inputs": num_inputs,
        "num_outputs": num_outputs,
        "num_hidden": 0,
        "feed_forward": True,
        "initial_connection": f"partial_direct {config.connected}",
        "compatibility_disjoint_coefficient": 1.0,
        "compatibility_weight_coefficient": 0.5,
        "node_add_prob": config.add_node,
        "node_delete_prob": config.delete_node,
        "conn_add_prob": config.add_connection,
        "conn_delete_prob": config.delete_connection,
        "single_structural_mutation": False,
        "structural_mutation_surer": "default",
    }
    parser = ConfigParser()
    parser.read_dict(
        {
            "NEAT": {
                "pop_size": config.population_size,
                "fitness_criterion": "max",
                "fitness_threshold": 0,
                "no_fitness_termination": True,
                "reset_on_extinction": False,
            },
            "DefaultGenome": genome,
            "DefaultSpeciesSet": {"compatibility_threshold": FIRST_DISTANCE},
            "DefaultStagnation": {
                "species_fitness_func": "max",
                "max_stagnation": config.stagnation,
                "species_elitism": 2,
            },
            "DefaultReproduction": {
                "elitism": config.elites,
                "survival_threshold": config.survival,
                "min_species_size": config.elites,
            },
        }
    )
    parts = neat.DefaultGenome, neat.DefaultReproduction, neat.DefaultSpeciesSet, neat.DefaultStagnation
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "neat.ini")
        with open(path, "w", encoding="utf-8") as file:
            parser.write(file)
        made = neat.Config(*parts, path)
    made.genome_config.add_activation("squash", squash)
    return made


# --- Networks -------------------------------------------------------------------------------------------


class Networks(NamedTuple):
    """The networks of P genomes, one after another, as arrays.

    The values of a network are its F inputs, then its nodes in the order in which they are computed.
    """

    nodes: NDArray[np.int64]
    """(P + 1,) where each network's nodes begin."""
    bias: NDArray[np.float64]
    """(N,) of each node."""
    links: NDArray[np.int64]
    """(N + 1,) where each node's links begin."""
    source: NDArray[np.int64]
    """(L,) the value that each link takes, counted within its network."""
    weight: NDArray[np.float64]
    """(L,) of each link."""
    output: NDArray[np.int64]
    """(P, O) the values that are the outputs."""


def squash(x: float) -> float:
    """From -1 to 1, by arithmetic that is the same on every machine (softsign)."""
    return x / (1.0 + abs(x))


def idle(num_inputs: int, num_outputs: int) -> Networks:
    """The network that has no links and puts out zeros."""
    none, zeros = np.empty(0, np.int64), np.zeros(num_outputs + 1, np.int64)
    output = num_inputs + np.arange(num_outputs)[None]
    return Networks(np.array([0, num_outputs]), np.zeros(num_outputs), zeros, none, np.empty(0), output)


def express(genomes: Sequence[neat.DefaultGenome], config: neat.Config) -> Networks:
    """Makes the networks of genomes; neat-python says which nodes count, and in which order."""
    num_inputs = len(config.genome_config.input_keys)
    nodes, bias, links, source, weight, output = [0], [], [0], [], [], []
    for genome in genomes:
        place = {key: k for k, key in enumerate(config.genome_config.input_keys)}
        for node, _, _, node_bias, _, node_links in neat.nn.FeedForwardNetwork.create(
            genome, config
        ).node_evals:
            place[node] = num_inputs + len(bias) - nodes[-1]
            bias.append(node_bias)
            source += [place[key] for key, _ in node_links]
            weight += [w for _, w in node_links]
            links.append(len(source))
        nodes.append(len(bias))
        output.append([place[key] for key in config.genome_config.output_keys])
    whole, real = (lambda x: np.array(x, np.int64)), (lambda x: np.array(x, np.float64))
    return Networks(whole(nodes), real(bias), whole(links), whole(source), real(weight), whole(output))


def diversity(genomes: Sequence[neat.DefaultGenome]) -> float:
    """The share of connections that one of two genomes, drawn at random, has and the other has not."""
    counts: dict[tuple[int, int], int] = {}
    for genome in genomes:
        for key in genome.connections:
            counts[key] = counts.get(key, 0) + 1
    shares = np.array(list(counts.values())) / len(genomes)
    return float(1.0 - (shares**2).sum() / shares.sum()) if counts else 0.0


# --- Saved as plain arrays ------------------------------------------------------------------------------

GENOME = {"key": np.int64, "fitness": np.float64, "nodes": np.int64, "connections": np.int64}
NODE = {"key": np.int64, "bias": np.float64}
CONNECTION = {
    "source": np.int64,
    "target": np.int64,
    "innovation": np.int64,
    "weight": np.float64,
    "enabled": np.bool_,
}
SPECIES = {
    "key": np.int64,
    "created": np.int64,
    "improved": np.int64,
    "representative": np.int64,
    "members": np.int64,
    "age": np.int64,
}
"""Columns of the tables; `nodes`, `connections`, `members` and `age` are numbers of rows of other tables."""


def genomes_to_state(genomes: Sequence[neat.DefaultGenome]) -> State:
    """Genomes as arrays, genes in their order, which neat-python's random choices depend on."""
    nodes = [node for genome in genomes for node in genome.nodes.values()]
    connections = [each for genome in genomes for each in genome.connections.values()]
    state = _table(
        "genome", GENOME, ((g.key, g.fitness, len(g.nodes), len(g.connections)) for g in genomes)
    )  # a fitness that is not known becomes NaN
    state |= _table("node", NODE, ((node.key, node.bias) for node in nodes))
    rows = ((*each.key, each.innovation, each.weight, each.enabled) for each in connections)
    return state | _table("connection", CONNECTION, rows)


def genomes_from_state(state: Mapping[str, Any], config: Any) -> list[neat.DefaultGenome]:
    """The genomes that `genomes_to_state` wrote down; `config` is neat-python's for genomes.

    Raises:
        ValueError: when the tables are not what they should be.
    """
    table = _rows(state, "genome", GENOME)
    nodes = _Parts(_rows(state, "node", NODE))
    connections = _Parts(_rows(state, "connection", CONNECTION))
    genomes = []
    for key, fitness, num_nodes, num_connections in table:
        genome = neat.DefaultGenome(key)
        genome.fitness = None if math.isnan(fitness) else fitness
        for node_key, bias in nodes.take(num_nodes):
            node = config.node_gene_type(node_key)
            node.bias, node.response, node.time_constant = bias, 1.0, 1.0
            node.activation, node.aggregation = "squash", "sum"
            genome.nodes[node_key] = node
        for source, target, innovation, weight, enabled in connections.take(num_connections):
            connection = config.connection_gene_type((source, target), innovation=innovation)
            connection.weight, connection.enabled = weight, enabled
            if not (source in genome.nodes or source in config.input_keys) or target not in genome.nodes:
                raise ValueError("a connection joins what is not there")
            genome.connections[connection.key] = connection
        if not set(config.output_keys) <= set(genome.nodes):
            raise ValueError("a genome lacks an output")
        genomes.append(genome)
    nodes.finish()
    connections.finish()
    return genomes


def species_to_state(species: Mapping[int, Any]) -> State:
    """Species as arrays; their members and representatives by the keys of their genomes."""
    every = species.values()
    rows = (
        (s.key, s.created, s.last_improved, s.representative.key, len(s.members), len(s.fitness_history))
        for s in every
    )
    state = _table("species", SPECIES, rows)
    state["members"] = np.array([key for each in every for key in each.members], np.int64)
    state["history"] = np.array([value for each in every for value in each.fitness_history], np.float64)
    return state


def species_from_state(state: Mapping[str, Any], genomes: Sequence[neat.DefaultGenome]) -> dict[int, Any]:
    """The species that `species_to_state` wrote down, of a population.

    Raises:
        ValueError: when the tables are not what they should be, or do not divide the population.
        KeyError: when they name a genome that is not there.
    """
    table = _rows(state, "species", SPECIES)
    members = _Parts([key for (key,) in _rows(state, "", {"members": np.int64})])
    history = _Parts([value for (value,) in _rows(state, "", {"history": np.float64})])
    known = {genome.key: genome for genome in genomes}
    species, divided = {}, []
    for key, created, improved, representative, num_members, age in table:
        each = species[key] = Species(key, created)
        each.last_improved = improved
        each.fitness_history = history.take(age)
        own = members.take(num_members)
        each.update(known[representative], {k: known[k] for k in own})
        divided += own
    if sorted(divided) != sorted(genome.key for genome in genomes) or len(species) != len(table):
        raise ValueError("the species do not divide the population")
    members.finish()
    history.finish()
    return species


class _Parts:
    """Rows that are taken one part after another."""

    def __init__(self, rows: list) -> None:
        self._rows, self._left = iter(rows), len(rows)

    def take(self, count: int) -> list:
        """The next rows."""
        self._left -= count
        if count < 0 or self._left < 0:
            raise ValueError("the tables do not fit each other")
        return list(itertools.islice(self._rows, count))

    def finish(self) -> None:
        """Makes sure that all were taken."""
        if self._left:
            raise ValueError("the tables do not fit each other")


def _table(name: str, columns: Mapping[str, Any], rows: Iterable[tuple]) -> State:
    """Rows as one array a column."""
    listed = list(zip(*rows, strict=True)) or [()] * len(columns)
    pairs = zip(columns.items(), listed, strict=True)
    return {f"{name}.{column}": np.array(values, dtype) for (column, dtype), values in pairs}


def _rows(state: Mapping[str, Any], name: str, columns: Mapping[str, Any]) -> list[tuple]:
    """The rows of a table; all numbers but a fitness are finite."""
    lists = []
    for column, dtype in columns.items():
        key = f"{name}.{column}" if name else column
        values = state[key]
        if not isinstance(values, np.ndarray) or values.dtype != dtype or values.ndim != 1:
            raise ValueError(f"{key} is no column of {np.dtype(dtype)}")
        if column != "fitness" and not np.isfinite(values).all():
            raise ValueError(f"{key} holds what is not finite")
        if column in ("weight", "bias") and (np.abs(values) > LARGEST).any():
            raise ValueError(f"{key} holds what is beyond {LARGEST}")
        lists.append(values.tolist())
    return list(zip(*lists, strict=True))
