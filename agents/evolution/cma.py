"""CMA-ES: a normal distribution of weights that adapts itself (Hansen 2016), by the library `cmaes`.

Each generation is a sample. Its better half moves the mean, the paths of the mean lengthen or shorten the
step, and the covariances learn which weights have to change together. Of long genomes only the variances are
learned (Ros & Hansen 2008): all covariances of n weights take n^3 operations for each genome.

Only ranks within a generation count, so that generations with harder episodes than others do no harm. The
policy is the distribution's mean, which no lucky episode has chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, ClassVar

import numpy as np
from cmaes import CMA, SepCMA
from gymnasium.spaces import Space
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from ...checking import at_least, within
from ..base import Searcher, State, fitting
from ..checks import check_algorithm, restore_generator, taken
from ..ranges import Choices, Range
from .genomes import LARGEST_STEP, SMALLEST_STEP, weights_genome
from .inputs import Retina
from .population import PopulationPolicy, checked_fitness

MOST_COVARIANCES = 200
"""Of longer genomes only the variances are learned."""
LARGEST = 1e6
"""The mean's weights and their standard deviations do not grow beyond this."""
FARTHEST = 1e12
"""A state's weights, deviations and paths are at most so large; draws and paths may lie beyond `LARGEST`."""
ADAPTED = ("mean", "C", "p_sigma", "pc")
"""Arrays that change in the library's object from generation to generation, beside the step `sigma`."""


_libraries = cache(ThreadpoolController)


def one_thread() -> AbstractContextManager:
    """Has BLAS use one thread: with more, sums are taken in another order."""
    return _libraries().limit(limits=1, user_api="blas")


@dataclass(frozen=True)
class CmaConfig:
    """Settings of CMA-ES.

    Raises:
        ValueError: for a value out of its range.
    """

    population_size: Annotated[int, Choices(32, 64, 128, 256)] = 64
    """Genomes in a generation."""
    hidden: Annotated[int, Choices(0, 4, 8, 16)] = 8
    """Hidden units of a network; 0 connects inputs and outputs directly."""
    retina: Retina = field(default_factory=Retina)
    """What a network sees of a grid."""
    sigma: Annotated[float, Range(0.1, 2.0, log=True)] = 1.0
    """Standard deviation of the first weights, in units of 1 over the square root of the number of weights
    into a unit."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 4, "population_size")
        at_least(self, 0, "hidden")
        within(self, SMALLEST_STEP, LARGEST_STEP, "sigma")


class CmaEs(Searcher):
    """CMA-ES.

    Attributes:
        population: (P, L) float32 weights of the present generation.
        fitness: (P,) its fitness, once it is known.
        policy: acts for the mean of the distribution.
        generation: generations evaluated so far.
    """

    name: ClassVar[str] = "cma-es"

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        *,
        num_envs: int,
        config: CmaConfig,
        rng: np.random.Generator,
    ) -> None:
        """Draws the first generation, for one environment's spaces.

        Raises:
            ValueError: when the spaces do not fit, a genome would be too long, or a generation too large.
        """
        self.config = config
        with fitting(self.name, observation_space, action_space):
            self.genome = weights_genome(observation_space, action_space, config.retina, config.hidden)
        self.rng = rng
        size = self.genome.size
        adapting = CMA if size <= MOST_COVARIANCES else SepCMA
        self._cma: Any = adapting(np.zeros(size), config.sigma, population_size=config.population_size)
        if 1 - self._cma._c1 - self._cma._cmu <= 0:
            raise ValueError(
                f"of {config.population_size:,} genomes cma-es can't learn the variances of {size:,} "
                "weights, which would become negative; fewer genomes would do"
            )
        self._distribution = self._adapted()
        self.policy = self.genome.policy_of(self._genes(np.zeros((1, size))), None)
        self._sample()

    def _genes(self, solutions: NDArray[np.float64]) -> NDArray[np.float32]:
        """Weights of solutions, which are in units of the first ones' standard deviation."""
        return (solutions * self.genome.units).astype(np.float32)

    def _sample(self) -> None:
        """Draws a generation."""
        self._cma.reseed_rng(int(self.rng.integers(1 << 32)))
        with one_thread():
            drawn = [self._cma.ask() for _ in range(self.config.population_size)]
        self.population = self._genes(np.array(drawn))
        self.fitness = None

    def ask(self) -> NDArray[np.float32]:
        """The present generation, or the next one once the present one's fitness is known."""
        if self.fitness is not None:
            self._sample()
        return self.population

    def policy_of(self, population: NDArray, genomes: NDArray[np.int64]) -> PopulationPolicy:
        """See `Searcher.policy_of`."""
        return self.genome.policy_of(population, genomes)

    def tell(self, fitness: NDArray) -> dict[str, float]:
        """Takes the (P,) fitness of the present generation, and moves the distribution.

        Returns:
            The best and the median fitness, the diversity (root mean square of the distance from the
            population's mean) and the distribution's step.
        """
        self.fitness = checked_fitness(fitness, len(self.population))
        solutions = self.population / self.genome.units
        with one_thread(), np.errstate(all="ignore"):
            self._cma.tell(list(zip(solutions, (-self.fitness).tolist(), strict=True)))  # it minimises
        if not all(np.isfinite(each).all() for each in self._adapted().values()):
            raise ValueError("the distribution of weights went out of range")
        self._cma._mean = np.clip(self._cma._mean, -LARGEST, LARGEST)
        self._distribution = self._adapted()
        self._cma._sigma = min(self._cma._sigma, LARGEST / _deviations(self._distribution).max())
        self.policy.genes = self._genes(self._cma.mean[None])
        self.generation += 1
        return {
            "best": float(self.fitness.max()),
            "median": float(np.median(self.fitness)),
            "diversity": float(np.sqrt(self.population.var(axis=0).mean())),
            "mutation_step": float(self._cma._sigma),
        }

    # --- islands

    def emigrant(self) -> State:
        """The best genome of the last generation; see `Searcher.emigrant`."""
        assert self.fitness is not None
        return {"genes": self.population[int(self.fitness.argmax())].copy()}

    def receive(self, emigrant: Mapping[str, Any]) -> None:
        """Puts another's genome in the place of the last one drawn; see `Searcher.receive`.

        From the mean it is brought as near as the longest draws are (Hansen 2011, Injecting external
        solutions into CMA-ES): from far away it would tear the distribution apart.
        """
        genes = taken(emigrant, "genes", np.float32, self.genome.size)
        self.ask()
        way = genes / self.genome.units - self._cma.mean
        size, length = len(way), self._length(way)
        way *= min(1.0, (size**0.5 + 2 * size / (size + 2)) / max(length, 1e-12))
        self.population[-1] = self._genes(self._cma.mean + way)

    def _length(self, way: NDArray[np.float64]) -> float:
        """How many standard deviations long a way is."""
        with one_thread():
            axes = self._cma._eigen_decomposition()
            if isinstance(axes, tuple):
                way, axes = axes[0].T @ way, axes[1]
        return float(np.sqrt(((way / axes) ** 2).sum()) / self._cma._sigma)

    # --- saving

    def _adapted(self) -> dict[str, NDArray[np.float64]]:
        """The distribution; drawing a sample changes the library's object in the last digits."""
        return {name: np.array(getattr(self._cma, f"_{name}"), np.float64) for name in ADAPTED}

    def state_dict(self) -> State:
        """The distribution, the present generation, its fitness if it is known, and the random stream."""
        state: State = {
            "algorithm": self.name,
            "generation": self.generation,
            "population": self.population.copy(),
            "rng": self.rng.bit_generator.state,
        }
        if self.fitness is not None:
            state["fitness"] = self.fitness.copy()
        state["sigma"] = float(self._cma._sigma)
        return state | {name: value.copy() for name, value in self._distribution.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when the state is another algorithm's, or of other spaces or settings.
        """
        check_algorithm(state, self.name)
        found = {name: taken(state, name, np.float64, *own.shape) for name, own in self._distribution.items()}
        population = taken(state, "population", np.float32, *self.population.shape)
        sigma, generation = float(state["sigma"]), int(state["generation"])
        if not 0.0 < sigma < np.inf or not _are_covariances(found["C"]) or generation < 0:
            raise ValueError("the state holds no distribution of weights")
        lengths = found["mean"], found["p_sigma"], sigma * found["pc"], sigma * _deviations(found)
        if any((np.abs(each) > FARTHEST).any() for each in (*lengths, population / self.genome.units)):
            raise ValueError("the state holds weights, variances or paths that are out of range")
        self.generation = generation
        self._go_on(found, sigma)
        self.population = population.copy()
        self.fitness = None
        if "fitness" in state:
            self.fitness = checked_fitness(state["fitness"], len(self.population))
        self.policy.genes = self._genes(found["mean"][None])
        restore_generator(self.rng, state["rng"])

    def _go_on(self, distribution: Mapping[str, NDArray[np.float64]], sigma: float) -> None:
        """Has the library go on from a distribution and its step."""
        config = self.config
        self._cma = type(self._cma)(np.zeros(self.genome.size), 1.0, population_size=config.population_size)
        for name, value in distribution.items():
            setattr(self._cma, f"_{name}", value.copy())
        self._cma._sigma, self._cma._g = sigma, self.generation
        self._distribution = self._adapted()


def _deviations(distribution: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """(L,) standard deviations of weights, in steps."""
    covariances = distribution["C"]
    return np.sqrt(covariances.diagonal() if covariances.ndim == 2 else covariances)


def _are_covariances(matrix: NDArray[np.float64]) -> bool:
    """Whether weights can have these covariances, or variances alone."""
    if matrix.ndim == 1:
        return bool((matrix > 0.0).all())
    if not np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-9 * np.abs(matrix).max()):
        return False
    with one_thread():
        return bool(np.linalg.eigvalsh(matrix).min() > 0.0)
