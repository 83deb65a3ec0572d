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
from typing import Any, ClassVar

import numpy as np
from deap import tools
from gymnasium.spaces import Space
from numpy.typing import NDArray

from ..base import Searcher, State, fitting
from ..checks import check_algorithm, restore_generator, taken
from .genomes import LARGEST_STEP, SMALLEST_STEP, GeneticConfig, make_genome
from .population import (
    PopulationPolicy,
    borrowed_random,
    checked_fitness,
    random_state,
    set_random_state,
)


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
        self.rng = rng
        self._random = random.Random(int(rng.integers(2**63)))
        self.population = self.genome.initial(config.population_size, rng)
        self.steps = np.full(config.population_size, config.sigma)
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
        parents = tools.selTournament(adults, len(adults) - len(elites), self.config.tournament_size)
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
        if random.random() >= self.config.crossover_rate or len(a) < 2:
            return
        if self.genome.bounds is None and random.random() < self.config.blend:
            tools.cxBlend(a, b, alpha=0.5)
        else:
            tools.cxTwoPoint(a, b)
        a.step = b.step = math.sqrt(a.step * b.step)

    def _mutate(self, child: Individual) -> None:
        if self.genome.units is None:
            low, high = self.genome.bounds or (0, 0)
            tools.mutUniformInt(child, low=low, up=high, indpb=self.config.mutation_rate)
            return
        rate = 1.0 / math.sqrt(2.0 * math.sqrt(len(child)))
        step = child.step * math.exp(rate * random.gauss(0.0, 1.0))
        child.step = min(max(step, SMALLEST_STEP), LARGEST_STEP)
        sigma = (child.step * self.genome.units).tolist()
        tools.mutGaussian(child, mu=0.0, sigma=sigma, indpb=self.config.mutation_rate)

    # --- islands

    def emigrant(self) -> State:
        """The best genome of the last generation and its mutation step; see `Searcher.emigrant`."""
        assert self.fitness is not None
        best = int(self.fitness.argmax())
        return {"genes": self.population[best].copy(), "step": self.steps[[best]]}

    def receive(self, emigrant: Mapping[str, Any]) -> None:
        """Puts another's genome in the place of the last child; see `Searcher.receive`."""
        genes = taken(emigrant, "genes", self.population.dtype, self.genome.size)
        step = taken(emigrant, "step", np.float64, 1)
        self._check(genes[None], step)
        self.ask()
        self.population[-1], self.steps[-1] = genes, step[0]

    def _check(self, genes: NDArray, steps: NDArray[np.float64]) -> None:
        finite = float(np.finfo(np.float32).max)
        low, high = self.genome.bounds or (-finite, finite)
        if not ((low <= genes) & (genes <= high)).all() or not ((steps > 0) & (steps <= LARGEST_STEP)).all():
            raise ValueError("the state holds genes or steps that are out of range")

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
        check_algorithm(state, self.name)
        shapes = {"population": self.population, "steps": self.steps, "best": self.policy.genes}
        for name, own in shapes.items():
            if np.shape(state[name]) != own.shape or state[name].dtype != own.dtype:
                raise ValueError(
                    f"{name} is {own.shape} {own.dtype}; the state holds {np.shape(state[name])}"
                )
        self._check(np.concatenate([state["population"], state["best"]]), state["steps"])
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
