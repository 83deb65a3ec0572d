"""Islands: populations that evolve apart, and send their best along a ring.

Each island is a search in a folder of its own, with a seed of its own. A round is some generations of all
islands, each of them a task that any process on any machine may do: it begins where the island's newest
checkpoint stands, and nobody else needs to be asked meanwhile. After each round the best genome of island k
is put into the folder of island k + 1, whose next generation it joins. What comes of a run depends neither
on who did its tasks, nor on their order, nor on where it was interrupted.

All islands meet the same episodes, so that their fitness can be compared: the run's agent is the fittest's.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from ...agents import checkpoint
from ...files import refuse_links
from ..setup.files import PATIENCE, held, read_json, write_json
from ..setup.interrupts import Stop, exit_code, raising
from ..setup.seeds import stream_seeds
from .base import crossed
from .config import RunConfig
from .executor import STOPPED, Executor, Stopped, Task, serve
from .folder import RunDir, restore
from .metrics import METRICS, read_rows
from .progress import ProgressLine
from .search import Search

FILES = "*", "checkpoints/*"
"""What an island reads and writes in its folder."""
KEPT = 2
"""Checkpoints that an island keeps, the newest; one could be damaged."""


class Island(Search):
    """One of the islands; its settings are the run's.

    Args:
        config: the run's.
        run: the island's folder.
        number: which it is, from 0.
        env: the environments that all islands of this process play in; None: its own.
    """

    shown = False

    def __init__(self, config: RunConfig, run: RunDir, number: int, env: VectorEnv | None = None) -> None:
        self._number, self._shared = number, env
        super().__init__(config, run, run.newest_sound())

    def _make_env(self) -> VectorEnv:
        return super()._make_env() if self._shared is None else self._shared

    def _make_evaluator(self) -> None:
        """It needs none: the run's agent is evaluated."""

    def _make_agent(self) -> Any:
        (seed,) = stream_seeds([self.config.settings.seed, self._number], 1)
        settings = dataclasses.replace(self.config.settings, seed=seed)
        agent = dataclasses.replace(self.config, settings=settings).make_agent(self.env)
        agent.settle(self._number)
        return agent

    @property
    def share(self) -> float:
        """How much of the run is done; see `Search.share`."""
        settings = self.config.settings
        limit = settings.max_steps or math.inf
        return min(
            1.0, max(self.agent.generation / settings.generations, self.steps * settings.islands / limit)
        )

    def evolve(self, until: int, stop: threading.Event, told: Callable[[], None] = lambda: None) -> None:
        """Evolves up to a generation; each is saved.

        Args:
            until: the generation.
            stop: ends it.
            told: called after each generation.

        Raises:
            Stopped: when `stop` was set before that.
        """
        while self.agent.generation < until:
            if self.agent.generation and self.agent.generation % self.config.settings.migrate_every == 0:
                self._take_in(arrival(self.run, self.agent.generation))
            row = self.evaluated(stop)
            self.log.write(self.steps, row)
            self.save()
            self._forget()
            told()

    def _forget(self) -> None:
        """Deletes checkpoints but for the newest ones, and genomes that arrived before these."""
        steps = self.run.steps()
        for step in steps[:-KEPT]:
            self.run.checkpoint_path(step).unlink()
        for path in self.run.path.glob("arrival-*.safetensors"):
            if path < arrival(self.run, steps[-KEPT:][0]):
                path.unlink()

    def close(self) -> None:
        """Closes files, and the environments if they are its own."""
        self._pool.shutdown()
        self.log.close()
        if self._shared is None:
            self.env.close()

    def _take_in(self, path: Path) -> None:
        try:
            self.agent.receive(checkpoint.load(path))
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{path} does not fit the island ({error})") from error


def arrival(run: RunDir, generation: int) -> Path:
    """Where the genome lies that joins an island after a generation."""
    return run.path / f"arrival-{generation:012d}.safetensors"


class Islands(Search):
    """The run of a searcher on islands; its checkpoints are those of its fittest island.

    Args:
        config: what is asked for.
        run: the folder.
        start: the checkpoint where it goes on, if there is one.
        executor: who runs islands; None: they evolve one after another in this process.
    """

    def __init__(
        self, config: RunConfig, run: RunDir, start: Path | None = None, executor: Executor | None = None
    ) -> None:
        self._executor = executor
        super().__init__(config, run, start)

    def _begin(self) -> None:
        super()._begin()
        folder = self.run.path / "islands"
        numbers = range(self.config.settings.islands)
        self._folders = [RunDir(folder / f"{number:0{len(str(numbers[-1]))}d}") for number in numbers]
        self._here: dict[int, Island] = {}
        self._in_part = False

    @property
    def done(self) -> str:
        """How far it is, in words; empty at the very beginning."""
        words = super().done
        return f"{words or '0 generations'} and a part of the next round" if self._in_part else words

    def advance(self, progress: ProgressLine, stop: threading.Event) -> bool:
        """Evolves round by round up to the run's number of generations, or of transitions.

        Returns:
            False when `stop` was set before that; the round under way goes on from the islands' checkpoints.
        """
        settings = self.config.settings
        limit = settings.max_steps or math.inf
        while self.agent.generation < settings.generations and self.steps < limit:
            start, before, steps = time.perf_counter(), self.agent.generation, self.steps
            until = self._until(limit)
            self._in_part = not self._play_round(until, progress, stop)
            if self._in_part:
                if not self.run.steps():
                    self.save()
                return False
            row = self._exchange(until)
            now = time.perf_counter()
            self._seconds += now - start
            progress.generation(row)
            progress.update(until, now, self.steps)
            speed = (self.steps - steps) / (now - start)
            row = {"generation": until, "seconds": self._seconds, **row, "steps_per_second": speed}
            last = until == settings.generations or self.steps >= limit
            tenth = crossed(steps * 10, self.steps * 10, limit)
            if last or tenth or crossed(before, until, settings.eval_every or settings.generations):
                with progress.busy("evaluating"):
                    row |= self.evaluator.evaluate(self.agent.policy)
                progress.evaluated(until, row)
                self.draw()
            self.log.write(self.steps, row)
            self.save()
        return True

    def _until(self, limit: float) -> int:
        """The generation up to which the next round goes: to the next migration, or to the run's end."""
        settings, done = self.config.settings, self.agent.generation
        following = (done // settings.migrate_every + 1) * settings.migrate_every
        if done and limit < math.inf:  # as many as are left if they take as long as those so far
            following = min(following, done + math.ceil((limit - self.steps) * done / self.steps))
        return min(following, settings.generations)

    def _play_round(self, until: int, progress: ProgressLine, stop: threading.Event) -> bool:
        """Has all islands evolve up to a generation; returns False when it was interrupted.

        Raises:
            ValueError: one line, when an island could not; the others went on.
        """
        self._prepare()
        if self._executor is None:
            return self._play_here(until, progress, stop)
        failures: dict[str, str] = {}
        try:
            with raising():
                if stop.is_set():  # by a Ctrl-C since the last round
                    return False
                words = f"{len(self._folders)} islands evolve up to generation {until:,}"
                with progress.busy(words), self._executor.running(self._tasks(until)) as ended:
                    failures = {task.name: reason for task, reason in ended if reason}
        except KeyboardInterrupt as error:
            stop.set()
            if isinstance(stop, Stop):
                stop.code = exit_code(error)
            return False
        if failures and all(reason == STOPPED for reason in failures.values()):
            return False
        if failures:
            raise ValueError("; ".join(f"{name}: {reason}" for name, reason in sorted(failures.items())))
        return not stop.is_set()

    def _play_here(self, until: int, progress: ProgressLine, stop: threading.Event) -> bool:
        """The same in this process, where islands live on from round to round."""
        before, played, count = self.agent.generation, self.steps, len(self._folders)
        for number in range(count):
            island = self._island(number)
            start, first = island.agent.generation, played - island.steps

            def told(number: int = number, island: Island = island, start: int = start, first: int = first):
                share = (number + (island.agent.generation - start) / (until - start)) / count
                done = before + int(share * (until - before))
                progress.update(done, time.perf_counter(), first + island.steps)

            try:
                island.evolve(until, stop, told)
            except Stopped:
                return False
            played = first + island.steps
        return True

    def _island(self, number: int) -> Island:
        """An island in this process."""
        if number not in self._here:
            self._here[number] = Island(self.config, self._folders[number], number, self.env)
        return self._here[number]

    def _prepare(self) -> None:
        """Puts all that an island needs into its folder, with the settings that this command has.

        Raises:
            ValueError: one line, where a link leads out of the run.
        """
        whole = self.run.path / "islands"
        refuse_links(whole, *whole.rglob("*"))
        plain = read_json(self.run.path / "config.json") | self.config.described()
        for folder in self._folders:
            folder.checkpoints.mkdir(parents=True, exist_ok=True)
            if self.config.encoding:
                self.config.encoding.write(folder.path)
            write_json(folder.path / "config.json", plain)

    def _tasks(self, until: int) -> Iterator[Task]:
        """A task for each island."""
        for number, folder in enumerate(self._folders):
            words = (str(folder.path), self.config.environment.id, str(number), str(until))
            yield Task(f"island {number}", __name__, words, folder.path / "log.txt", folder.path, FILES)

    def _exchange(self, until: int) -> dict[str, float]:
        """Sends the best of each island to the next one, and makes the fittest's the run's agent.

        Returns:
            For the row of `metrics.csv`: the best fitness, the median of all, and which island is the
            fittest; of what else a searcher tells, the mean over islands.
        """
        fitness, steps, told = [], 0, []
        for number, island in enumerate(self._folders):
            state = self._stand(island, until)
            steps += int(state["steps"])
            assert self.agent.fitness is not None, "an island is saved when its generation was told"
            fitness.append(self.agent.fitness)
            rows = [row for row in read_rows(island.path / METRICS) if row.get("generation") == str(until)]
            if not rows:
                raise ValueError(f"{island.path / METRICS} has no row of generation {until}: it was altered")
            told.append(rows[-1])
            if until % self.config.settings.migrate_every == 0:
                following = self._folders[(number + 1) % len(self._folders)]
                checkpoint.save(arrival(following, until), self.agent.emigrant())
        best = int(np.argmax([each.max() for each in fitness]))
        self._stand(self._folders[best], until)
        self.steps = steps
        every = np.concatenate(fitness)
        means = {name: float(np.mean([float(row[name]) for row in told])) for name in told[0]}
        for name in ("step", "generation", "seconds", "steps_per_second"):
            del means[name]
        return means | {"best": float(every.max()), "median": float(np.median(every)), "island": float(best)}

    def close(self) -> None:
        """Closes the islands of this process too."""
        for island in self._here.values():
            island.close()
        super().close()

    def _stand(self, island: RunDir, generation: int) -> dict[str, Any]:
        """Puts the agent where an island stood after a generation; returns its checkpoint."""
        path = island.checkpoint_path(generation)
        if not path.exists():
            there = f"{island.path} is at generation {island.reached()}"
            raise ValueError(f"{there} and keeps none of generation {generation}, where the run would go on")
        state = checkpoint.load(path)
        restore(self.agent, state, path)
        return state


def main(words: Sequence[str], stop: threading.Event) -> None:
    """Evolves the island that the words say; see `executor.serve`."""
    folder, env_id, number, until = words
    run = RunDir.open(folder)
    with held(run.path, PATIENCE):
        island = Island(run.config(env_id), run, int(number))
        try:
            island.evolve(int(until), stop)
        finally:
            island.close()


if __name__ == "__main__":
    serve(main)
