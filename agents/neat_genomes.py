"""neat-python's genomes: their settings, and the networks that they stand for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from configparser import ConfigParser
from dataclasses import dataclass, field
from typing import NamedTuple

import neat
import numpy as np
from numpy.typing import NDArray

from .features import Retina

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

    population: int = 150
    """Genomes in a generation."""
    retina: Retina = field(default_factory=Retina)
    """What a network sees of a grid."""
    connected: float = 1.0
    """Share of the connections between inputs and outputs that the first networks have."""
    species: int = 10
    """How many species are wanted."""
    elites: int = 2
    """The best genomes of each species, which live on unchanged."""
    survival: float = 0.2
    """Share of a species, the best ones, from which parents are drawn."""
    stagnation: int = 15
    """Generations without a better best fitness after which a species dies out; the two best never do."""
    add_node: float = 0.2
    """Chance of a child that a connection is split by a new node."""
    delete_node: float = 0.03
    """Chance of a child that a node is deleted."""
    add_connection: float = 0.5
    """Chance of a child that a connection is added."""
    delete_connection: float = 0.1
    """Chance of a child that a connection is deleted."""
    mutation: float = 0.8
    """Chance of each weight to be changed; a tenth as often it is drawn anew."""
    step: float = 0.4
    """Standard deviation of a weight's change."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        for name in ("species", "elites", "stagnation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.population < 2 * self.species * self.elites:
            raise ValueError(f"{self.species} species of {self.elites} elites need a larger population")
        for name in (
            "connected",
            "survival",
            "add_node",
            "delete_node",
            "add_connection",
            "delete_connection",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1]; got {getattr(self, name)}")
        if not 0 <= self.mutation <= 0.9:
            raise ValueError(f"mutation must lie in [0, 0.9]; got {self.mutation}")
        if not 0 < self.step <= 10:
            raise ValueError(f"step must lie in (0, 10]; got {self.step}")


def neat_config(config: NeatConfig, num_inputs: int, num_outputs: int) -> neat.Config:
    """neat-python's settings, which it reads from a file."""
    fixed = {"replace_rate": 0, "mutate_rate": 0, "mutate_power": 0, "init_stdev": 0, "init_type": "gaussian"}
    real = {"init_mean": 0, "init_stdev": 1, "init_type": "gaussian"}
    real |= {"max_value": LARGEST, "min_value": -LARGEST}
    real |= {
        "mutate_power": config.step,
        "mutate_rate": config.mutation,
        "replace_rate": 0.1 * config.mutation,
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
                "pop_size": config.population,
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
