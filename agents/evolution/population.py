"""Acting for whole populations at once: what genes mean, and policies in which each row has its own genome.

A policy's choice for a row depends on that row's genome, observation and memory alone, bit for bit, in any
batch: sums are taken in a fixed order by compiled loops (no BLAS, whose order changes with the shape), and
nothing transcendental is called.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from ...caching import compiled
from ..base import Memory, Policy, State
from ..spaces import describe
from .inputs import Features, gather_inputs

nogil = compiled(nogil=True)


# --- From outputs to actions ----------------------------------------------------------------------------


class ActionDecoder:
    """How a network's outputs become actions of a space.

    Of a Discrete space that with the highest output is taken, the first among equals. Outputs of a Box are
    squashed and stretched to its bounds.

    Attributes:
        num_outputs: outputs O that a network needs.

    Raises:
        ValueError: for any other space, or a Box without bounds.
    """

    def __init__(self, space: Space) -> None:
        if isinstance(space, Discrete):
            self.num_outputs = int(space.n)
        elif isinstance(space, Box) and space.is_bounded():
            self.num_outputs = int(np.prod(space.shape))
        else:
            raise ValueError(f"a network needs Discrete actions or a Box with bounds; got {describe(space)}")
        self.space = space

    def choose(self, outputs: NDArray, mask: NDArray | None) -> NDArray:
        """(B, ...) actions for (B, O) outputs."""
        if isinstance(self.space, Box):
            low, high = (np.asarray(bound, np.float64).ravel() for bound in (self.space.low, self.space.high))
            actions = low + (high - low) * (0.5 + 0.5 * outputs / (1.0 + np.abs(outputs)))
            return actions.reshape(len(outputs), *self.space.shape).astype(self.space.dtype)
        if mask is not None:
            outputs = np.where(np.asarray(mask) != 0, outputs, -np.inf)
        return int(self.space.start) + outputs.argmax(axis=1)  # type: ignore[attr-defined]


def nearest_possible(actions: NDArray[np.int64], mask: NDArray | None) -> NDArray[np.int64]:
    """(B,) actions from 0, each that the (B, A) mask forbids replaced by the next one that is possible."""
    if mask is None:
        return actions
    following = (actions[:, None] + np.arange(mask.shape[1])) % mask.shape[1]
    first = (np.take_along_axis(np.asarray(mask), following, axis=1) != 0).argmax(axis=1)
    return following[np.arange(len(actions)), first]


# --- Policies -------------------------------------------------------------------------------------------


class PopulationPolicy(Policy):
    """A policy whose rows act for genomes of a population.

    Attributes:
        genes: the population; (P, L), or what the policy takes for one.
        genomes: (B,) the genome that each row acts for; None: genome 0 in every row, however many there are.
    """

    def __init__(self, genes: Any, genomes: NDArray[np.int64] | None = None) -> None:
        self.genes = genes
        self.genomes = genomes

    def _genomes(self, num_rows: int) -> NDArray[np.int64]:
        return np.zeros(num_rows, np.int64) if self.genomes is None else self.genomes


class NetworkPolicy(PopulationPolicy):
    """Networks over features; a subclass computes their outputs."""

    def __init__(
        self, genes: Any, genomes: NDArray[np.int64] | None, features: Features, actions: ActionDecoder
    ) -> None:
        super().__init__(genes, genomes)
        self.features = features
        self.actions = actions

    @abstractmethod
    def outputs(self, obs: NDArray) -> NDArray:
        """(B, O) outputs for (B, ...) observations."""

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Chooses (B, ...) actions; see `Policy.act`. Nothing is left to chance."""
        return self.actions.choose(self.outputs(obs), mask), memory

    def action_values(self, obs: NDArray, memory: Memory = None) -> NDArray:
        """The (B, O) outputs: the highest is taken, if the actions are Discrete."""
        return self.outputs(obs)


@nogil
def mlp_outputs(rows, cells, genes, genomes, num_hidden, num_outputs):
    """Outputs of networks with one hidden layer, or none; row b is seen by network `genomes[b]`.

    Genes, in order: (F, H) weights, (H,) biases, (H, O) weights, (O,) biases, float32; with H = 0 the former
    two are missing and the third is (F, O). Each sum begins with the bias and takes the inputs one after
    another; the inner loop is over the sums, so that it can be vectorised without changing any of them.
    """
    num_inputs = len(cells.scales)
    outputs = np.empty((len(rows), num_outputs), np.float32)
    inputs, listed = np.empty(num_inputs, np.float32), np.zeros(num_inputs, np.bool_)
    met = np.empty(max(num_inputs, num_hidden), np.uint32)
    hidden = np.empty(num_hidden, np.float32)
    every = np.arange(num_hidden).astype(np.uint32)
    for b in range(len(rows)):
        count = gather_inputs(rows[b], cells, inputs, listed, met)
        genome = genes[genomes[b]]
        if num_hidden == 0:
            layer(inputs, met[:count], genome, outputs[b])
            continue
        layer(inputs, met[:count], genome[: (num_inputs + 1) * num_hidden], hidden)
        for j in range(num_hidden):  # squashed to -1 .. 1 by arithmetic that is the same everywhere
            hidden[j] = hidden[j] / (np.float32(1.0) + abs(hidden[j]))
        layer(hidden, every, genome[(num_inputs + 1) * num_hidden :], outputs[b])
    return outputs


@nogil
def layer(inputs, which, genes, sums):
    """Computes a layer of some of its inputs; genes are all inputs' weights to the sums, then the biases."""
    width = np.uint64(len(sums))
    biases = np.uint64(len(genes)) - width
    for j in range(width):
        sums[j] = genes[biases + j]
    for i in which:
        x, at = inputs[i], np.uint64(i) * width
        for j in range(width):
            sums[j] += x * genes[at + j]


class MlpPolicy(NetworkPolicy):
    """Multilayer perceptrons with `num_hidden` hidden units; genes are (P, L) float32."""

    def __init__(
        self,
        genes: NDArray[np.float32],
        genomes: NDArray[np.int64] | None,
        features: Features,
        actions: ActionDecoder,
        num_hidden: int,
    ) -> None:
        super().__init__(genes, genomes, features, actions)
        self.num_hidden = num_hidden

    def outputs(self, obs: NDArray) -> NDArray[np.float32]:
        """See `NetworkPolicy.outputs`."""
        rows, num_outputs = self.features.rows(obs), self.actions.num_outputs
        genomes = self._genomes(len(rows))
        return mlp_outputs(rows, self.features.cells, self.genes, genomes, self.num_hidden, num_outputs)


class SitesPolicy(MlpPolicy):
    """Networks of one output, which scores each row of a table; the best row's number is the action."""

    def outputs(self, obs: NDArray) -> NDArray[np.float32]:
        """(B, S) scores for (B, S, F) tables."""
        genomes = np.repeat(self._genomes(len(obs)), obs.shape[1])
        rows = np.ascontiguousarray(obs).reshape(-1, obs.shape[2])
        scores = mlp_outputs(rows, self.features.cells, self.genes, genomes, self.num_hidden, 1)
        return scores.reshape(obs.shape[:2])


class TablePolicy(PopulationPolicy):
    """Genes are actions, counted from 0: gene s is taken where state s, counted from 0, is observed."""

    def __init__(self, genes: NDArray, genomes: NDArray | None, first_obs: int, first_action: int) -> None:
        super().__init__(genes, genomes)
        self._first_obs = first_obs
        self._first_action = first_action

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Chooses (B,) actions; see `Policy.act`."""
        actions = self.genes[self._genomes(len(obs)), np.asarray(obs) - self._first_obs]
        return self._first_action + nearest_possible(actions, mask), memory


@nogil
def scripted_actions(genes, genomes, steps):
    """(B,) actions that the scripts `genes[genomes[b]]` take at `steps[b]`, from 0."""
    actions = np.empty(len(steps), np.int64)
    for b in range(len(steps)):
        pairs = genes[genomes[b]]
        left = steps[b] % pairs[1::2].sum()
        k = 0
        while left >= pairs[k + 1]:
            left -= pairs[k + 1]
            k += 2
        actions[b] = pairs[k]
    return actions


class SequencePolicy(PopulationPolicy):
    """Takes the actions of a script, whatever it observes, and begins again when they are over.

    Genes are pairs: an action, counted from 0, and for how many steps it is taken. Memory is the (B,) number
    of steps taken.
    """

    def __init__(
        self, genes: NDArray[np.int64], genomes: NDArray[np.int64] | None, first_action: int
    ) -> None:
        super().__init__(genes, genomes)
        self._first_action = first_action

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Chooses (B,) actions; see `Policy.act`."""
        steps = np.zeros(len(obs), np.int64) if memory is None else memory
        actions = scripted_actions(self.genes, self._genomes(len(obs)), steps)
        return self._first_action + nearest_possible(actions, mask), steps + 1


class Graph(NamedTuple):
    """A network to be drawn; its values are the inputs, then the nodes, each after those it depends on."""

    inputs: tuple[str, ...]
    """Names of the F inputs."""
    source: NDArray[np.int64]
    """(L,) the value that each link takes."""
    target: NDArray[np.int64]
    """(L,) the node that it leads to, counted after the inputs."""
    weight: NDArray[np.float64]
    """(L,) of each link."""
    output: NDArray[np.int64]
    """(O,) the values that are the outputs."""


# --- Searching ------------------------------------------------------------------------------------------


def checked_fitness(fitness: NDArray, count: int) -> NDArray[np.float64]:
    """A population's fitness as (count,) float64.

    Raises:
        ValueError: for another number of values, or one that is not finite.
    """
    values = np.array(fitness, np.float64)
    if values.shape != (count,):
        raise ValueError(f"a population of {count} has as many fitness values; got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("a fitness is not finite")
    return values


@contextmanager
def borrowed_random(rng: random.Random) -> Iterator[None]:
    """Lends a private stream to the functions of the module `random`, from which DEAP and neat-python draw.

    Inside, the module goes on where `rng` stands; afterwards `rng` has moved on, and the module stands where
    it stood before, as if nobody had drawn.
    """
    before = random.getstate()
    random.setstate(rng.getstate())
    try:
        yield
    finally:
        rng.setstate(random.getstate())
        random.setstate(before)


def random_state(rng: random.Random) -> State:
    """A stream's state as arrays and values for a checkpoint."""
    version, words, gauss = rng.getstate()
    return {"version": version, "words": np.array(words, np.uint32), "gauss": gauss}


def set_random_state(rng: random.Random, state: Mapping[str, Any]) -> None:
    """Takes back what `random_state` gave.

    Raises:
        ValueError: when it is no such state.
    """
    gauss = state["gauss"]
    if gauss is not None and not abs(gauss) < 100.0:
        raise ValueError("no state of a random stream")
    try:
        rng.setstate(
            (state["version"], tuple(state["words"].tolist()), None if gauss is None else float(gauss))
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"no state of a random stream ({error})") from None
