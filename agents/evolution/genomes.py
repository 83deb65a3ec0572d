"""Genomes of the genetic algorithm: what they are, and how they act."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Protocol

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from ...checking import at_least, one_of, within
from ..ranges import Choices, Range
from ..spaces import column_scales, describe, is_table
from .inputs import Retina, make_features
from .population import ActionDecoder, MlpPolicy, PopulationPolicy, SequencePolicy, SitesPolicy, TablePolicy

MAX_WEIGHTS = 2000
"""The largest network that is attempted."""
MAX_ACTIONS = 10_000
"""The longest table or sequence of actions that is attempted."""
SMALLEST_STEP, LARGEST_STEP = 1e-4, 10.0
"""Between these a mutation step stays."""


@dataclass(frozen=True)
class GeneticConfig:
    """Settings of the genetic algorithm.

    Raises:
        ValueError: for a value out of its range.
    """

    population_size: Annotated[int, Choices(64, 128, 256, 512)] = 256
    """Genomes in a generation."""
    genome: Literal["policy", "sequence"] = "policy"
    """What a genome is: a policy (the weights of a network, or a table of actions where observations are
    numbers), or a fixed sequence of actions, for worlds that are always the same."""
    hidden: Annotated[int, Choices(4, 8, 16, 32)] = 16
    """Hidden units of a network; 0 connects inputs and outputs directly."""
    retina: Retina = field(default_factory=Retina)
    """What a network sees of a grid."""
    runs: int = 64
    """Actions in a sequence, each taken for some steps on end."""
    longest_run: int = 16
    """Steps on end that a sequence may take one action for, at most."""
    elites: Annotated[int, Range(1, 32, log=True)] = 8
    """The best genomes, which live on unchanged."""
    tournament_size: Annotated[int, Range(2, 8)] = 3
    """Genomes that compete for being a parent."""
    crossover_rate: Annotated[float, Range(0.0, 1.0)] = 0.7
    """Share of couples whose genes are crossed."""
    blend: Annotated[float, Range(0.0, 1.0)] = 0.5
    """Share of crossings that blend; the others exchange the genes between two points."""
    mutation_rate: Annotated[float, Range(0.003, 0.3, log=True)] = 0.1
    """Chance of each gene to be mutated."""
    sigma: Annotated[float, Range(0.05, 1.0, log=True)] = 0.3
    """Mutation step of the first genomes, in units of the first weights' standard deviation, which is 1 over
    the square root of the number of weights into a unit."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        one_of(self, "genome")
        at_least(self, 2, "population_size")
        at_least(self, 0, "hidden")
        at_least(self, 1, "runs", "longest_run", "elites", "tournament_size")
        if self.elites >= self.population_size:
            raise ValueError(f"elites must be fewer than the population; got {self.elites}")
        within(self, 0.0, 1.0, "crossover_rate", "blend", "mutation_rate")
        within(self, SMALLEST_STEP, LARGEST_STEP, "sigma")


@dataclass(frozen=True)
class RandomSearchConfig(GeneticConfig):
    """Settings of random search, which breeds nothing.

    Raises:
        ValueError: for a value out of its range.
    """

    unused: ClassVar[tuple[str, ...]] = (
        "tournament_size",
        "crossover_rate",
        "blend",
        "mutation_rate",
        "sigma",
    )


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
        retina: Retina,
        hidden: int,
        num_outputs: int | None = None,
    ) -> None:
        self._features = make_features(observation_space, retina)
        self._actions = ActionDecoder(action_space)
        self._hidden = hidden
        inputs, outputs = len(self._features.names), num_outputs or self._actions.num_outputs
        layers = [(inputs, hidden), (hidden, outputs)] if hidden else [(inputs, outputs)]
        parts = []
        for width, units in layers:  # weights, then biases
            parts += [np.full(width * units, width**-0.5), np.full(units, width**-0.5)]
        self.units = np.concatenate(parts)
        self.size = len(self.units)
        if self.size > MAX_WEIGHTS:
            raise ValueError(
                f"{inputs} inputs, {hidden} hidden units and {outputs} outputs need {self.size} "
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

    def __init__(self, observation_space: Box, action_space: Discrete, retina: Retina, hidden: int) -> None:
        row = Box(-np.inf, np.inf, observation_space.shape[1:])
        super().__init__(row, action_space, retina, hidden, num_outputs=1)
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
        raise ValueError(f"a sequence is made of Discrete actions; got {describe(action_space)}")
    if isinstance(action_space, Discrete) and (
        config.genome == "sequence" or isinstance(observation_space, Discrete)
    ):
        return ActionsGenome(observation_space, action_space, config)
    return weights_genome(observation_space, action_space, config.retina, config.hidden)


def weights_genome(
    observation_space: Space, action_space: Space, retina: Retina, hidden: int
) -> WeightsGenome:
    """Chooses which network the weights are of; one that sees numbers has an input for each.

    Raises:
        ValueError: when none fits the spaces, or it has too many weights.
    """
    if isinstance(action_space, Discrete) and is_table(observation_space, int(action_space.n)):
        return SitesGenome(observation_space, action_space, retina, hidden)
    return WeightsGenome(observation_space, action_space, retina, hidden)
