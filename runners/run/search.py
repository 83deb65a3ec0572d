"""The run of a searcher: generation after generation is asked for, evaluated and told."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import pairwise

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from ...agents import checkpoint
from ...agents.base import Decision, Memory, Policy, State, decide
from ...agents.memory import join_memories, select_memory
from ...envs.core.env import world_of
from ...threads import Threads
from ..reporting.measures import Episodes
from ..setup.seeds import range_of
from .base import Job, crossed
from .executor import Stopped
from .folder import pack, unpack
from .levels import make_curriculum
from .progress import ProgressLine
from .rollout import Batches, evaluate, evaluate_at_once
from .stopwatch import count, duration

SLOTS = 64
"""Environments side by side where they are not native, each of which costs memory and time to make."""
LEAST_SHARED = 128
"""Smaller batches are not worth sharing among threads."""
TOPOLOGY = "network.png"
"""File in the run's folder that shows the best network."""


class SharedPolicy(Policy):
    """A batch shared among threads; what is chosen does not depend on their number.

    Args:
        policies: one for each part of the batch.
        parts: which rows each of them acts for, in order.
        pool: the other threads than the caller's.
    """

    def __init__(self, policies: Sequence[Policy], parts: Sequence[slice], pool: Executor) -> None:
        self._policies, self._parts, self._pool = policies, parts, pool

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Chooses (B,) actions; see `Policy.act`."""

        def act(policy: Policy, rows: slice) -> Decision:
            own_mask = None if mask is None else mask[rows]
            return decide(policy, obs[rows], select_memory(memory, rows), explore=explore, mask=own_mask)

        *others, own = zip(self._policies, self._parts, strict=True)
        waiting = [self._pool.submit(act, *each) for each in others]
        last = act(*own)  # a part for the caller's thread, which would only wait
        actions, memories, _ = zip(*(future.result() for future in waiting), last, strict=True)
        return np.concatenate(actions), join_memories(memories)


class Search(Job):
    """The run of a searcher, whose episodes begin at their generation's seeds: no environment is saved."""

    def _make_env(self) -> VectorEnv:
        native = self.config.environment.world is not None
        return self.config.make_env(1 if native else SLOTS, AutoresetMode.DISABLED)

    def _begin(self) -> None:
        self.steps = 0
        self._world = world_of(self.env)
        self._curriculum = make_curriculum(self.config, self.env, self.agent)
        self._batches: Batches | None = None
        self._pool = Threads(max(1, self.config.settings.num_threads - 1))

    def _restore(self, state: State) -> None:
        self.steps, self._seconds = count(state["steps"]), duration(state["seconds"])
        if self._curriculum:
            self._curriculum.load_state_dict(unpack(state, "curriculum"))

    @property
    def transitions(self) -> int:
        """How many its episodes had."""
        return self.steps

    @property
    def done(self) -> str:
        """How far it is, in words; empty at the very beginning."""
        return f"{self.agent.generation:,} generations" if self.agent.generation else ""

    @property
    def caveats(self) -> list[str]:
        """None, since no episode goes on."""
        return []

    def progress(self) -> ProgressLine:
        """What shows how far it is."""
        total, done = self.config.settings.generations, self.agent.generation
        return ProgressLine(total, done, self.steps, "generations", self.evaluator.measures)

    def save(self) -> None:
        """Writes a checkpoint."""
        parts = pack(learner=self.agent.state_dict())
        if self._curriculum:
            parts |= pack(curriculum=self._curriculum.state_dict())
        state = {"steps": self.steps, "seconds": self._seconds, **parts}
        checkpoint.save(self.run.checkpoint_path(self.agent.generation), state)

    def advance(self, progress: ProgressLine, stop: threading.Event) -> bool:
        """Evolves up to the run's number of generations, or of transitions; each generation is saved.

        Returns:
            False when `stop` was set before that; the generation under way will be evaluated again.
        """
        settings, searcher = self.config.settings, self.agent
        limit = settings.max_steps or math.inf
        while searcher.generation < settings.generations and self.steps < limit:
            before = self.steps
            try:
                row = self.evaluated(stop)
            except Stopped:
                if not self.run.checkpoint_path(searcher.generation).exists():  # before the first is over
                    self.save()
                return False
            progress.generation(row)
            progress.update(searcher.generation, time.perf_counter(), self.steps)
            last = searcher.generation == settings.generations or self.steps >= limit
            tenth = crossed(before * 10, self.steps * 10, limit)
            if last or tenth or searcher.generation % (settings.eval_every or settings.generations) == 0:
                with progress.busy("evaluating"):
                    row |= self.evaluator.evaluate(searcher.policy)
                progress.evaluated(searcher.generation, row)
                self.draw()
            self.log.write(self.steps, row)
            self.save()
        return True

    def evaluated(self, stop: threading.Event) -> dict[str, float]:
        """Plays the next generation, and tells the searcher; returns the row of `metrics.csv`.

        Raises:
            Stopped: when `stop` was set before that.
        """
        searcher, start = self.agent, time.perf_counter()
        episodes = self.play(searcher.ask(), stop)
        fitness = episodes.measures["return"].reshape(-1, self.config.settings.episodes).mean(axis=1)
        row = searcher.tell(fitness)
        seconds, steps = time.perf_counter() - start, int(episodes.measures["length"].sum())
        self.steps += steps
        self._seconds += seconds
        row = {"generation": searcher.generation, "seconds": self._seconds, **row}
        row["steps_per_second"] = steps / seconds
        if self._curriculum:
            row["levels"] = self._curriculum.num_open
        return row

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1; what it does in a generation depends on that alone."""
        settings = self.config.settings
        limit = settings.max_steps or math.inf
        return min(1.0, max(self.agent.generation / settings.generations, self.steps / limit))

    def play(self, population: object, stop: threading.Event) -> Episodes:
        """Plays a generation's episodes: those of genome g are `g * episodes` and the following ones.

        All genomes meet the same seeds (common random numbers), so that luck does not tell them apart.

        Raises:
            Stopped: soon after `stop` was set.
        """
        each = self.config.settings.episodes
        seeds = self.seeds() * len(population)  # type: ignore[arg-type]

        def policy_of(episodes: NDArray[np.int64]) -> Policy:
            if stop.is_set():
                raise Stopped
            genomes, threads = episodes // each, self.config.settings.num_threads
            if threads == 1 or len(genomes) < LEAST_SHARED:
                return self.agent.policy_of(population, genomes)
            edges = [len(genomes) * k // threads for k in range(threads + 1)]
            parts = [slice(*pair) for pair in pairwise(edges)]
            policies = [self.agent.policy_of(population, genomes[rows]) for rows in parts]
            return SharedPolicy(policies, parts, self._pool)

        if self._world is None:
            return evaluate(self.env, policy_of, seeds)
        if self._batches is None:
            settings = self.config.settings
            limit = settings.max_episode_steps or self.config.environment.max_episode_steps
            self._batches = Batches(self._world, len(seeds), limit, settings.num_threads)
        if self._curriculum:
            if self._curriculum.advance(self.share):
                self.agent.levels_changed()
            self._batches.weigh_levels(self._curriculum.weights)
        return evaluate_at_once(self._batches, policy_of, seeds)

    def draw(self) -> None:
        """Draws the best genome's network into the run's folder, where networks differ in their topology."""
        graph, space = self.agent.graph(), self.env.single_action_space
        if graph is None:
            return
        from ..reporting.topology import save_topology

        first = int(getattr(space, "start", 0))
        names = () if self._world is None else self._world.action_names
        names = names or [str(first + k) for k in range(len(graph.output))]
        title = f"{self.config.agent.name} in {self.config.environment.id} after {self.done}"
        save_topology(self.run.path / TOPOLOGY, graph, names, title)

    def seeds(self) -> list[int]:
        """The seeds of the present generation's episodes, drawn anew for each generation."""
        settings = self.config.settings
        rng = np.random.default_rng([settings.seed, self.agent.generation])
        allowed = range_of(settings.seed)
        return rng.integers(allowed.start, allowed.stop, size=settings.episodes).tolist()

    def close(self) -> None:
        """Closes files and environments, and ends the threads."""
        self._pool.shutdown()
        super().close()
