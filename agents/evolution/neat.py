"""NEAT: networks whose topology evolves too (Stanley & Miikkulainen 2002), by neat-python.

The library's own parts do the work: genomes, crossing, mutation, innovation numbers, species, stagnation.
Here they are asked and told, and a population's networks, all of different shapes, act in one compiled loop.
neat-python draws from the module `random`; it is lent a private stream.

Networks are feed-forward, sum their inputs and squash them to -1 .. 1. The distance from which on two genomes
are of different species moves, so that there are about as many species as wanted (Stanley's NEAT Users Page).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import neat
import numpy as np
from gymnasium.spaces import Space
from neat.reporting import ReporterSet
from numpy.typing import NDArray

from ..base import Searcher, State, fitting
from ..checks import check_algorithm
from .inputs import gather_inputs, make_features
from .neat_genomes import (
    Counter,
    NeatConfig,
    Networks,
    diversity,
    express,
    genomes_from_state,
    genomes_to_state,
    idle,
    neat_config,
    species_from_state,
    species_to_state,
)
from .population import (
    ActionDecoder,
    Graph,
    NetworkPolicy,
    borrowed_random,
    checked_fitness,
    nogil,
    random_state,
    set_random_state,
)

LEAST_DISTANCE = 0.01
"""The distance between species gets no smaller."""
ISLAND = 1 << 40
"""Numbers that each island has for its nodes and innovations; no run counts so far."""
SPECIES_STEP = 1.1
"""The factor by which the distance between species moves in a generation."""


# --- Acting: networks of different shapes in one loop --------------------------------------------------


@nogil
def network_outputs(rows, cells, networks, genomes):
    """(B, O) outputs; row b is seen by network `genomes[b]`. Sums run over the links in their order."""
    num_inputs = len(cells.scales)
    outputs = np.empty((len(rows), networks.output.shape[1]))
    inputs, listed = np.empty(num_inputs, np.float32), np.zeros(num_inputs, np.bool_)
    met = np.empty(num_inputs, np.uint32)
    values = np.zeros(num_inputs + np.max(np.diff(networks.nodes)))
    for b in range(len(rows)):
        count = gather_inputs(rows[b], cells, inputs, listed, met)
        for i in met[:count]:
            values[i] = inputs[i]
        g = genomes[b]
        first = networks.nodes[g]
        for n in range(first, networks.nodes[g + 1]):
            total = 0.0
            for k in range(networks.links[n], networks.links[n + 1]):
                total += values[networks.source[k]] * networks.weight[k]
            total += networks.bias[n]
            values[num_inputs + n - first] = total / (1.0 + abs(total))
        for o in range(outputs.shape[1]):
            outputs[b, o] = values[networks.output[g, o]]
        for i in met[:count]:
            values[i] = 0.0
    return outputs


class NeatPolicy(NetworkPolicy):
    """Networks of different shapes; genes are `Networks`."""

    def outputs(self, obs: NDArray) -> NDArray[np.float64]:
        """See `NetworkPolicy.outputs`."""
        rows = self.features.rows(obs)
        return network_outputs(rows, self.features.cells, self.genes, self._genomes(len(rows)))


# --- Searching ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NeatPopulation:
    """A generation: its genomes, and their networks."""

    genomes: list[neat.DefaultGenome]
    networks: Networks

    def __len__(self) -> int:
        """Number of genomes."""
        return len(self.genomes)


class Neat(Searcher):
    """NEAT.

    Attributes:
        population: the present generation.
        fitness: (P,) its fitness, once it is known.
        policy: acts for the best genome of the last generation that was evaluated.
        generation: generations evaluated so far.
    """

    name: ClassVar[str] = "neat"
    population: NeatPopulation

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        *,
        num_envs: int,
        config: NeatConfig,
        rng: np.random.Generator,
    ) -> None:
        """Sets neat-python up for one environment's spaces; the first `ask` draws the first generation.

        Raises:
            ValueError: when the spaces do not fit.
        """
        self.config = config
        with fitting("neat", observation_space, action_space):
            self.features = make_features(observation_space, config.retina)
            self.actions = ActionDecoder(action_space)
        self._random = random.Random(int(rng.integers(2**63)))
        self._neat: Any = neat_config(config, len(self.features.names), self.actions.num_outputs)
        reporters = ReporterSet()
        stagnation = neat.DefaultStagnation(self._neat.stagnation_config, reporters)
        self._reproduction: Any = neat.DefaultReproduction(
            self._neat.reproduction_config, reporters, stagnation
        )
        self._species: Any = neat.DefaultSpeciesSet(self._neat.species_set_config, reporters)
        self._counters = Counter(1), Counter(self.actions.num_outputs), Counter(1)
        self._reproduction.genome_indexer, self._neat.genome_config.node_indexer = self._counters[:2]
        self._species.indexer = self._counters[2]
        self._best: neat.DefaultGenome | None = None
        self.population = self._express([])
        self.policy = NeatPolicy(
            idle(len(self.features.names), self.actions.num_outputs), None, self.features, self.actions
        )

    def _express(self, genomes: Sequence[neat.DefaultGenome]) -> NeatPopulation:
        return NeatPopulation(list(genomes), express(genomes, self._neat))

    def ask(self) -> NeatPopulation:
        """The present generation, or the next one once the present one's fitness is known."""
        if self.fitness is not None or not self.population.genomes:
            self._begin_generation()
        return self.population

    def _begin_generation(self, stranger: neat.DefaultGenome | None = None) -> None:
        """Breeds the next generation, in which a stranger may take the place of the last child."""
        with borrowed_random(self._random):
            genomes = self._breed()
            if stranger is not None:
                del genomes[max(genomes)]
                stranger.key = next(self._counters[0])
                genomes[stranger.key] = stranger
            self._divide(genomes)
        self.fitness = None

    def _breed(self) -> dict[int, neat.DefaultGenome]:
        """The next generation, drawn from the module `random`."""
        config, size = self._neat, self.config.population_size
        if not self.population.genomes:
            return self._reproduction.create_new(config.genome_type, config.genome_config, size)
        return self._reproduction.reproduce(config, self._species, size, self.generation - 1)

    def _divide(self, genomes: dict[int, neat.DefaultGenome]) -> None:
        """Makes genomes the present generation, and divides them into species."""
        species, wanted = self._species, self.config.species
        most = self.config.population_size // (
            2 * self.config.elites
        )  # with more there'd be no room for children
        while True:
            species.speciate(self._neat, genomes, max(self.generation - 1, 0))
            if len(species.species) <= most:
                break
            species.species = {key: species.species[key] for key in sorted(species.species)[:wanted]}
            self._distance *= 1.5
        if len(species.species) > wanted:
            self._distance *= SPECIES_STEP
        elif len(species.species) < wanted:
            self._distance = max(LEAST_DISTANCE, self._distance / SPECIES_STEP)
        self._reproduction.ancestors.clear()  # nobody asks, and it grows for ever
        self.population = self._express(list(genomes.values()))

    @property
    def _distance(self) -> float:
        """From which distance on two genomes are of different species."""
        return self._neat.species_set_config.compatibility_threshold

    @_distance.setter
    def _distance(self, value: float) -> None:
        self._neat.species_set_config.compatibility_threshold = value

    def settle(self, island: int) -> None:
        """Numbers nodes and innovations apart from those of other islands; see `Searcher.settle`.

        Connections of first genomes have the same numbers everywhere, so that strangers can be crossed.
        """
        innovations, keys = self._reproduction.innovation_tracker, self._neat.genome_config
        for source, target in itertools.product(keys.input_keys, keys.output_keys):
            innovations.get_innovation_number(source, target, "initial_connection")
        innovations.global_counter += island * ISLAND
        self._counters[1].value += island * ISLAND

    def emigrant(self) -> State:
        """The best genome of the last generation; see `Searcher.emigrant`."""
        assert self._best is not None
        return genomes_to_state([self._best])

    def receive(self, emigrant: Mapping[str, Any]) -> None:
        """Puts another's genome in the place of the last child; see `Searcher.receive`."""
        genomes = genomes_from_state(emigrant, self._neat.genome_config)
        if len(genomes) != 1:
            raise ValueError(f"one genome comes at a time; got {len(genomes)}")
        self._begin_generation(genomes[0])

    def policy_of(self, population: NeatPopulation, genomes: NDArray[np.int64]) -> NeatPolicy:
        """See `Searcher.policy_of`."""
        return NeatPolicy(population.networks, genomes, self.features, self.actions)

    def tell(self, fitness: NDArray) -> dict[str, float]:
        """Takes the (P,) fitness of the present generation.

        Returns:
            The best and the median fitness, the diversity, the number of species, and of the best genome the
            nodes and the connections that are enabled.
        """
        genomes = self.population.genomes
        values = self.fitness = checked_fitness(fitness, len(genomes))
        for genome, value in zip(genomes, values.tolist(), strict=True):
            genome.fitness = value
        self.generation += 1
        self._best = genomes[int(values.argmax())]
        self.policy.genes = express([self._best], self._neat)
        nodes, connections = self._best.size()
        return {
            "best": float(values.max()),
            "median": float(np.median(values)),
            "diversity": diversity(genomes),
            "species": float(len(self._species.species)),
            "nodes": float(nodes),
            "connections": float(connections),
        }

    def levels_changed(self) -> None:
        """Species begin anew to be waited for until they get better; see `Searcher.levels_changed`."""
        for species in self._species.species.values():
            species.fitness_history.clear()

    def state_dict(self) -> State:
        """The genomes and species as arrays, the counters, and the random stream."""
        state: State = {
            "algorithm": self.name,
            "generation": self.generation,
            "told": self.fitness is not None,
            "distance": self._distance,
            "counters": [counter.value for counter in self._counters],
            "innovation": self._reproduction.innovation_tracker.global_counter,
        }
        state |= genomes_to_state([*self.population.genomes, *([self._best] if self._best else [])])
        state |= species_to_state(self._species.species)
        return state | {f"random.{name}": value for name, value in random_state(self._random).items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when the state is another algorithm's, or of other spaces or settings.
        """
        check_algorithm(state, self.name)
        genomes, size = genomes_from_state(state, self._neat.genome_config), self.config.population_size
        if len(genomes) not in (0, size, size + 1):
            raise ValueError(f"the population is {size}; the state holds {len(genomes)} genomes")
        self._best = genomes.pop() if len(genomes) > size else None
        self.population = self._express(genomes)
        if self._best is not None:
            self.policy.genes = express([self._best], self._neat)
        self._species.species = species_from_state(state, genomes)
        self.generation = int(state["generation"])
        self.fitness = (
            checked_fitness(state["genome.fitness"][: len(genomes)], len(genomes)) if state["told"] else None
        )
        self._distance = min(max(float(state["distance"]), LEAST_DISTANCE), 1e6)
        self._set_counters([int(value) for value in state["counters"]], int(state["innovation"]))
        self._neat.genome_config.innovation_tracker = self._reproduction.innovation_tracker
        set_random_state(self._random, {n[7:]: v for n, v in state.items() if n.startswith("random.")})

    def _set_counters(self, values: Sequence[int], innovation: int) -> None:
        """Sets the counters (genomes, nodes, species; innovations), which must be ahead of what there is."""
        genomes = self.population.genomes
        nodes = (key for genome in genomes for key in genome.nodes if key // ISLAND == values[1] // ISLAND)
        used = (
            max((genome.key for genome in genomes), default=0),
            max(nodes, default=0),
            max(self._species.species, default=0),
        )
        found = (each.innovation for genome in genomes for each in genome.connections.values())
        ahead = all(value > last for value, last in zip(values, used, strict=True))
        if not ahead or innovation < max(
            (n for n in found if n // ISLAND == innovation // ISLAND), default=0
        ):
            raise ValueError("a counter is behind what it counts")
        for counter, value in zip(self._counters, values, strict=True):
            counter.value = value
        self._reproduction.innovation_tracker.global_counter = innovation

    def graph(self) -> Graph:
        """The best genome's network, to be drawn."""
        networks = self.policy.genes
        targets = np.repeat(np.arange(len(networks.bias)), np.diff(networks.links))
        names = self.features.names
        return Graph(names, networks.source, len(names) + targets, networks.weight, networks.output[0])
