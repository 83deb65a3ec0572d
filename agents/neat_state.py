"""neat-python's genomes and species as arrays, for checkpoints.

What is read may come from a stranger: columns are checked, and so is that the tables fit each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import neat
import numpy as np
from neat.species import Species

from .base import State
from .neat_genomes import LARGEST

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
