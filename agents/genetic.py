"""A genetic algorithm on DEAP's operators, and random search as its control.

In each generation all genomes are evaluated, the best few live on as they are (elitism), and the rest of the
next generation are children of parents that won tournaments. Two parents' genes are crossed by blending
(Eshelman & Schaffer 1993) or at two points, then each gene is mutated by chance. The mutation of real genes
is Gaussian; its step is part of the genome, inherited and mutated too, so that it adapts itself (Eiben &
Smith, Introduction to Evolutionary Computing, 2nd edition 2015, 4.4.2). Whole genes, numbers of actions, are
drawn anew, and crossed at two points only.

DEAP draws from the module `random`; it is lent a private stream, which checkpoints hold.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from deap import tools
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from .base import Searcher, State, fitting
from .checks import restore_generator
from .features import Retina, column_scales, is_table, make_features
from .population import (
    Actions,
    MlpPolicy,
    PopulationPolicy,
    SequencePolicy,
    SitesPolicy,
    TablePolicy,
    borrowed_random,
    checked_fitness,
    random_state,
    set_random_state,
)
from .spaces import told

MAX_WEIGHTS = 2000
"""The largest network that is attempted."""
MAX_ACTIONS = 10_000
"""The longest table or sequence of actions that is attempted."""
SMALLEST_STEP, LARGEST_STEP = 1e-4, 10.0
"""Between these a mutation step stays."""


@dataclass(frozen=True)
class GeneticConfig:
    """Settings of the genetic algorithm and of random search.

    Raises:
        ValueError: for a value out of its range.
    """

    population: int = 256
    """Genomes in a generation."""
    genome: Literal["policy", "sequence"] = "policy"
    """What a genome is: a policy (the weights of a network, or a table of actions where observations are
    numbers), or a fixed sequence of actions, for worlds that are always the same."""
    hidden: int = 16
    """Hidden units of a network; 0 connects inputs and outputs directly."""
    retina: Retina = field(default_factory=Retina)
    """What a network sees of a grid."""
    runs: int = 64
    """Actions in a sequence, each taken for some steps on end."""
    longest_run: int = 16
    """Steps on end that a sequence may take one action for, at most."""
    elites: int = 8
    """The best genomes, which live on unchanged."""
    tournament: int = 3
    """Genomes that compete for being a parent."""
    crossover: float = 0.7
    """Share of couples whose genes are crossed."""
    blend: float = 0.5
    """Share of crossings that blend; the others exchange the genes between two points."""
    mutation: float = 0.1
    """Chance of each gene to be mutated."""
    step: float = 0.3
    """Mutation step of the first genomes, in units of the first weights' standard deviation, which is 1 over
    the square root of the number of weights into a unit."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        for name, least in (("population", 2), ("hidden", 0), ("runs", 1), ("longest_run", 1), ("elites", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}; got {getattr(self, name)}")
        if self.elites >= self.population:
            raise ValueError(f"elites must be fewer than the population; got {self.elites}")
        if self.tournament < 1:
            raise ValueError(f"tournament must be at least 1; got {self.tournament}")
        for name in ("crossover", "blend", "mutation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1]; got {getattr(self, name)}")
        if not SMALLEST_STEP <= self.step <= LARGEST_STEP:
            raise ValueError(f"step must lie in [{SMALLEST_STEP}, {LARGEST_STEP}]; got {self.step}")


# --- What genes mean ------------------------------------------------------------------------------------


class Genome(Protocol):
    """What genes mean: how many there are, where they begin, and how they act."""

    size: int

    @property
    def bounds(self) -> tuple[list[int], list[int]] | None:
        """Lowest and highest value of each gene if they are whole (int64); None if real (float32)."""
        ...

    @property
    def units(self) -> NDArray[np.float64] | None:
        """(size,) unit of each gene's mutation step if genes are real."""
        ...

    def initial(self, count: int, rng: np.random.Generator) -> NDArray:
        """(count, size) random genomes."""
        ...

    def policy_of(self, genes: NDArray, genomes: NDArray[np.int64] | None) -> PopulationPolicy:
        """The policy of a (P, size) population; see `Searcher.policy_of`."""
        ...


class WeightsGenome:
    """Weights of a network with one hidden layer, or none, over features of the observation.

    Raises:
        ValueError: for spaces that do not fit, or a network that has too many weights.
    """

    bounds: None = None

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        config: GeneticConfig,
        num_outputs: int | None = None,
    ) -> None:
        self._features = make_features(observation_space, config.retina)
        self._actions = Actions(action_space)
        self._hidden = config.hidden
        inputs, outputs = len(self._features.names), num_outputs or self._actions.num_outputs
        layers = [(inputs, config.hidden), (config.hidden, outputs)] if config.hidden else [(inputs, outputs)]
        parts = []
        for width, units in layers:  # weights, then biases
            parts += [np.full(width * units, width**-0.5), np.full(units, width**-0.5)]
        self.units = np.concatenate(parts)
        self.size = len(self.units)
        if self.size > MAX_WEIGHTS:
            raise ValueError(
                f"{inputs} inputs, {config.hidden} hidden units and {outputs} outputs need {self.size} "
                f"weights; at most {MAX_WEIGHTS} can be evolved: take fewer hidden units or a coarser retina"
            )

    def initial(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """See `Genome.initial`."""
        return (rng.normal(size=(count, self.size)) * self.units).astype(np.float32)

    def policy_of(self, genes: NDArray, genomes: NDArray[np.int64] | None) -> MlpPolicy:
        """See `Genome.policy_of`."""
        return MlpPolicy(genes, genomes, self._features, self._actions, self._hidden)


class SitesGenome(WeightsGenome):
    """Weights of a network that scores each row of a table, one for each action, whatever their number.

    It does not see columns without known bounds, which are units rather than merits.
    """

    def __init__(self, observation_space: Box, action_space: Discrete, config: GeneticConfig) -> None:
        row = Box(-np.inf, np.inf, observation_space.shape[1:])
        super().__init__(row, action_space, config, num_outputs=1)
        scales = column_scales(observation_space).astype(np.float32)
        self._features = self._features._replace(cells=self._features.cells._replace(scales=scales))

    def policy_of(self, genes: NDArray, genomes: NDArray[np.int64] | None) -> SitesPolicy:
        """See `Genome.policy_of`."""
        return SitesPolicy(genes, genomes, self._features, self._actions, self._hidden)


class ActionsGenome:
    """Whole genes: a table with an action for each observation, or a sequence of actions and lengths."""

    def __init__(self, observation_space: Space, action_space: Discrete, config: GeneticConfig) -> None:
        self.units = None
        last, self._first_action = int(action_space.n) - 1, int(action_space.start)
        if config.genome == "sequence":
            self._first_obs = None
            self.bounds = [0, 1] * config.runs, [last, config.longest_run] * config.runs
        else:
            assert isinstance(observation_space, Discrete)
            self._first_obs = int(observation_space.start)
            self.bounds = [0] * int(observation_space.n), [last] * int(observation_space.n)
        self.size = len(self.bounds[0])
        if self.size > MAX_ACTIONS:
            raise ValueError(f"at most {MAX_ACTIONS} actions can be evolved; {self.size} are needed")

    def initial(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """See `Genome.initial`."""
        low, high = self.bounds
        return rng.integers(low, high, size=(count, self.size), endpoint=True)

    def policy_of(self, genes: NDArray, genomes: NDArray[np.int64] | None) -> PopulationPolicy:
        """See `Genome.policy_of`."""
        if self._first_obs is None:
            return SequencePolicy(genes, genomes, self._first_action)
        return TablePolicy(genes, genomes, self._first_obs, self._first_action)


def make_genome(observation_space: Space, action_space: Space, config: GeneticConfig) -> Genome:
    """Chooses what genes mean in the given spaces.

    Raises:
        ValueError: when nothing fits them.
    """
    if config.genome == "sequence" and not isinstance(action_space, Discrete):
        raise ValueError(f"a sequence is made of Discrete actions; got {told(action_space)}")
    if isinstance(action_space, Discrete) and (
        config.genome == "sequence" or isinstance(observation_space, Discrete)
    ):
        return ActionsGenome(observation_space, action_space, config)
    if isinstance(action_space, Discrete) and is_table(observation_space, int(action_space.n)):
        return SitesGenome(observation_space, action_space, config)
    return WeightsGenome(observation_space, action_space, config)


# --- Searchers ------------------------------------------------------------------------------------------


class Individual(array):
    """A genome as DEAP's operators take it: a sequence of genes with a fitness."""

    fitness: float
    step: float
    """Mutation step of its real genes."""

    def child(self) -> Individual:
        """A copy to be varied."""
        copy = Individual(self.typecode, self)
        copy.step = self.step
        return copy


class Genetic(Searcher):
    """The genetic algorithm.

    Attributes:
        population: (P, L) genes of the present generation.
        fitness: (P,) its fitness, once it is known.
        policy: acts for the best genome of the last generation that was evaluated.
        generation: generations evaluated so far.
    """

    name: ClassVar[str] = "genetic"

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        *,
        num_envs: int,
        config: GeneticConfig,
        rng: np.random.Generator,
    ) -> None:
        """Draws the first generation, for one environment's spaces.

        Raises:
            ValueError: when the spaces do not fit, or a genome would be too long.
        """
        self.config = config
        with fitting(self.name, observation_space, action_space):
            self.genome = make_genome(observation_space, action_space, config)
        self.generation = 0
        self.rng = rng
        self._random = random.Random(int(rng.integers(2**63)))
        self.population = self.genome.initial(config.population, rng)
        self.steps = np.full(config.population, config.step)
        self.fitness: NDArray[np.float64] | None = None
        self.policy = self.genome.policy_of(self.population[:1], None)

    def ask(self) -> NDArray:
        """The present generation, or the next one once the present one's fitness is known."""
        if self.fitness is not None:
            with borrowed_random(self._random):
                self._breed(self.fitness)
            self.fitness = None
        return self.population

    def policy_of(self, population: NDArray, genomes: NDArray[np.int64]) -> PopulationPolicy:
        """See `Searcher.policy_of`."""
        return self.genome.policy_of(population, genomes)

    def tell(self, fitness: NDArray) -> dict[str, float]:
        """Takes the (P,) fitness of the present generation.

        Returns:
            The best and the median fitness, the diversity and the mean mutation step.
        """
        self.fitness = checked_fitness(fitness, len(self.population))
        self.generation += 1
        best = int(self.fitness.argmax())
        self.policy.genes = self.genome.policy_of(self.population[best : best + 1], None).genes
        metrics = {
            "best": float(self.fitness[best]),
            "median": float(np.median(self.fitness)),
            "diversity": self._diversity(),
        }
        return metrics | ({} if self.genome.bounds else {"mutation_step": float(self.steps.mean())})

    def _diversity(self) -> float:
        """How much genes differ.

        Of real genes, the distance from the population's mean (root mean square); of whole ones, the share
        that differs between two genomes drawn at random.
        """
        if self.genome.bounds is None:
            return float(np.sqrt(self.population.var(axis=0).mean()))
        values, (low, high) = self.population, self.genome.bounds
        equal = sum((values == v).mean(axis=0) ** 2 for v in range(min(low), max(high) + 1))
        return float(1.0 - np.mean(equal))

    # --- breeding

    def _breed(self, fitness: NDArray[np.float64]) -> None:
        """Replaces the present generation by the next one, drawing from the module `random`."""
        adults = self._individuals(fitness)
        elites = tools.selBest(adults, self.config.elites)
        parents = tools.selTournament(adults, len(adults) - len(elites), self.config.tournament)
        children = [parent.child() for parent in parents]
        for a, b in zip(children[::2], children[1::2], strict=False):
            self._cross(a, b)
        for child in children:
            self._mutate(child)
        generation = [*elites, *children]
        self.population = np.array(generation, self.population.dtype)
        self.steps = np.array([each.step for each in generation])

    def _individuals(self, fitness: NDArray[np.float64]) -> list[Individual]:
        code = "f" if self.genome.bounds is None else "q"
        individuals = [Individual(code, genes.tobytes()) for genes in self.population]
        for each, value, step in zip(individuals, fitness.tolist(), self.steps.tolist(), strict=True):
            each.fitness, each.step = value, step
        return individuals

    def _cross(self, a: Individual, b: Individual) -> None:
        if random.random() >= self.config.crossover or len(a) < 2:
            return
        if self.genome.bounds is None and random.random() < self.config.blend:
            tools.cxBlend(a, b, alpha=0.5)
        else:
            tools.cxTwoPoint(a, b)
        a.step = b.step = math.sqrt(a.step * b.step)

    def _mutate(self, child: Individual) -> None:
        if self.genome.units is None:
            low, high = self.genome.bounds or (0, 0)
            tools.mutUniformInt(child, low=low, up=high, indpb=self.config.mutation)
            return
        rate = 1.0 / math.sqrt(2.0 * math.sqrt(len(child)))
        step = child.step * math.exp(rate * random.gauss(0.0, 1.0))
        child.step = min(max(step, SMALLEST_STEP), LARGEST_STEP)
        sigma = (child.step * self.genome.units).tolist()
        tools.mutGaussian(child, mu=0.0, sigma=sigma, indpb=self.config.mutation)

    # --- saving

    def state_dict(self) -> State:
        """The present generation, its fitness if it is known, the best genome, and the random streams."""
        state: State = {
            "algorithm": self.name,
            "generation": self.generation,
            "population": self.population.copy(),
            "steps": self.steps.copy(),
            "best": self.policy.genes.copy(),
            "rng": self.rng.bit_generator.state,
        }
        if self.fitness is not None:
            state["fitness"] = self.fitness.copy()
        return state | {f"random.{name}": value for name, value in random_state(self._random).items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when the state is another algorithm's, or of other spaces or settings.
        """
        if state.get("algorithm") != self.name:
            raise ValueError(f"{self.name} can't go on from a state of {state.get('algorithm')}")
        shapes = {"population": self.population, "steps": self.steps, "best": self.policy.genes}
        for name, own in shapes.items():
            if np.shape(state[name]) != own.shape or state[name].dtype != own.dtype:
                raise ValueError(
                    f"{name} is {own.shape} {own.dtype}; the state holds {np.shape(state[name])}"
                )
        genes, steps = np.concatenate([state["population"], state["best"]]), state["steps"]
        finite = float(np.finfo(np.float32).max)
        low, high = self.genome.bounds or (-finite, finite)
        if not ((low <= genes) & (genes <= high)).all() or not ((steps > 0) & (steps <= LARGEST_STEP)).all():
            raise ValueError("the state holds genes or steps that are out of range")
        self.generation = int(state["generation"])
        self.population[...], self.steps[...] = state["population"], state["steps"]
        self.fitness = None
        if "fitness" in state:
            self.fitness = checked_fitness(state["fitness"], len(self.population))
        self.policy.genes = state["best"]
        restore_generator(self.rng, state["rng"])
        set_random_state(self._random, {n[7:]: v for n, v in state.items() if n.startswith("random.")})


class RandomSearch(Genetic):
    """The control: as many genomes a generation, the elites kept alike, all others drawn anew."""

    name: ClassVar[str] = "random-search"

    def _breed(self, fitness: NDArray[np.float64]) -> None:
        elites = np.argsort(-fitness, kind="stable")[: self.config.elites]
        fresh = self.genome.initial(len(fitness) - len(elites), self.rng)
        self.population = np.concatenate([self.population[elites], fresh])
