"""A tournament: who takes part, on what, and the folder in which it is kept and from which it goes on.

`tournaments/<env>/<stamp>/` holds `tournament.json` (all settings), `runs/` (the training runs), `logs/`
(what they said), `results/` (the scores of each, an archive of plain arrays, and a looping picture of each
entry), `report.json` and `report.html`.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from ..agents.registry import agent_names, find_agent
from ..envs.core.replay import load as load_replay
from ..files import check_regular, write_whole
from .evaluate import on_split
from .files import read_json, write_json
from .presets import default_env_config
from .resolve import Environment, find_environment, reference_names, unknown_contestant
from .rundir import RunDir
from .settings import from_plain, group, parse, to_plain
from .train import Asked, ask

FORMAT = 2
"""Version of the folder's layout; a folder with a higher one is refused."""
APART = {1: 10_000, 2: 1}
"""Version to what lies between two seeds: in the first one, neighbouring runs shared episodes."""
FLAGS = re.compile(
    r"--(env\.[\w.-]+|fit\.[\w.-]+|encoder|agent\.classifier|agent(\.[\w-]+)+\.steps|steps|generations|max-steps)"
    r"(=.*)?|-[\d.]+(e-?\d+)?"
)
"""Flags of `meze train`, and negative numbers, that a member may have: none of them names code."""
MANY = 10**9
"""Generations of a search that ends by its transitions."""


@dataclass(frozen=True)
class Budget:
    """How long each member is trained: up to a number of transitions, or of minutes."""

    steps: int | None = None
    minutes: float | None = None

    @classmethod
    def read(cls, text: str) -> Budget:
        """Reads `1e6`, `20000`, or `5min`.

        Raises:
            ValueError: for anything else.
        """
        number, minutes = text.removesuffix("min"), text.endswith("min")
        try:
            value = float(number)
            if not (0 < value < math.inf and (minutes or value == int(value))):
                raise ValueError
        except (ValueError, OverflowError):
            raise ValueError(f"budget is transitions (1e6) or minutes (5min); got {text!r}") from None
        return cls(minutes=value) if minutes else cls(steps=int(value))

    def __post_init__(self) -> None:
        """Checks the fields."""
        given = [each for each in (self.steps, self.minutes) if each is not None]
        if len(given) != 1 or not 0 < given[0] < math.inf:
            raise ValueError("a budget is a number of transitions, or of minutes")

    def __str__(self) -> str:
        """In words."""
        return f"{self.minutes:g} minutes" if self.minutes else f"{self.steps:,} transitions"


@dataclass(frozen=True)
class Entry:
    """One who takes part.

    Raises:
        ValueError: for a kind that there is not.
    """

    name: str
    """How it is called in tables."""
    kind: Literal["trained", "ready", "run", "replays"]
    """`ready` acts without training; `run` is a folder of a run, `replays` are files of episodes."""
    words: tuple[str, ...]
    """After `meze train` (agent, environment, flags); of a run its folder; of replays the files."""
    shown: bool = True
    """Whether it stands in the tables; a yardstick that nobody asked for does not."""
    env: dict[str, Any] = field(default_factory=dict)
    """Settings of its world, plain; of replays, which have their own, those of the first."""

    def __post_init__(self) -> None:
        """Checks the words, which may come from a stranger: who is trained may have no flags but ours."""
        if self.kind == "ready":
            return
        least = {"trained": 2, "run": 1, "replays": 1}[self.kind]
        flags = [word for word in self.words if word.startswith("-")] if self.kind == "trained" else []
        strange = [flag for flag in flags if not FLAGS.fullmatch(flag)]
        if len(self.words) < least or strange or (self.kind == "trained" and "-" in self.words[0][:1]):
            raise ValueError(f"{self.name}: {' '.join(strange) or 'its words'} can't stand in a tournament")

    @property
    def world(self) -> str:
        """What the episodes are of: entries with the same world meet the same ones."""
        return json.dumps({name: value for name, value in self.env.items() if name != "observation"})


@dataclass(frozen=True)
class Result:
    """What became of one entry with one seed."""

    measures: dict[str, NDArray[np.float64]]
    """Name to (E,) values by episode; see `rollout.MEASURES`."""
    curve: NDArray[np.float64]
    """(K, 3) transitions, seconds of training and mean return of each evaluation as it was trained."""
    steps: int
    """Transitions it was trained with."""
    seconds: float
    """Seconds it was trained for."""
    finished: bool
    """Whether it was trained to its end, and not to that of the minutes."""
    bounds: NDArray[np.float64] | None = None
    """(2,) mean returns of the random agent and of the reference in the episodes of replays."""

    def write(self, path: Path) -> None:
        """Writes an archive at once or not at all."""
        arrays = {f"measure.{name}": values for name, values in self.measures.items()}
        rest = {"curve": self.curve, "steps": self.steps, "seconds": self.seconds, "finished": self.finished}
        bounds = {} if self.bounds is None else {"bounds": self.bounds}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays, **rest, **bounds)  # type: ignore[arg-type]
        write_whole(path, content.getbuffer())

    @classmethod
    def read(cls, path: Path) -> Result:
        """Reads what `write` wrote; it may come from a stranger.

        Raises:
            ValueError: one line, when it is damaged.
        """
        try:
            check_regular(path)
            with open(path, "rb") as file:
                _check_sizes(file)
                with np.load(file, allow_pickle=False) as archive:
                    arrays = {name: archive[name] for name in archive.files}
            measures = {name[8:]: values for name, values in arrays.items() if name.startswith("measure.")}
            if len({values.shape for values in measures.values()}) != 1 or measures["return"].ndim != 1:
                raise ValueError("its measures do not belong together")
            measures = {name: values.astype(np.float64) for name, values in measures.items()}
            if not all(len(values) and np.isfinite(values).all() for values in measures.values()):
                raise ValueError("its measures are no numbers")
            return cls(
                measures,
                arrays["curve"].astype(np.float64).reshape(-1, 3),
                int(arrays["steps"]),
                float(arrays["seconds"]),
                bool(arrays["finished"]),
                arrays["bounds"].astype(np.float64).reshape(2) if "bounds" in arrays else None,
            )
        except Exception as error:  # a stranger's archive can fail in any way
            raise ValueError(f"{path} is damaged ({' '.join(str(error).split())[:200]})") from error


def _check_sizes(file: BinaryIO) -> None:
    """Raises ValueError for an archive that unpacks to more than it is: ours are not compressed."""
    with zipfile.ZipFile(file) as archive:
        if sum(each.file_size for each in archive.infolist()) > os.fstat(file.fileno()).st_size:
            raise ValueError("it unpacks to more than its own size")
    file.seek(0)


@dataclass(frozen=True)
class Tournament:
    """A tournament's settings and folder."""

    path: Path
    environment: Environment
    entries: tuple[Entry, ...]
    seeds: int
    """With so many each trained entry is trained: 0, 1, 2 ..."""
    episodes: int
    """Episodes of each evaluation."""
    budget: Budget
    format: int = FORMAT
    """Version of its folder."""

    @classmethod
    def create(
        cls,
        path: Path,
        environment: Environment,
        entries: Sequence[Entry],
        seeds: int,
        episodes: int,
        budget: Budget,
    ) -> Tournament:
        """Makes its folder."""
        found = cls(path, environment, tuple(entries), seeds, episodes, budget)
        for name in ("runs", "logs", "results"):
            (path / name).mkdir(parents=True, exist_ok=True)
        plain = {
            "format": FORMAT,
            "env": environment.id,
            "entries": [to_plain(entry) | {"env": entry.env} for entry in entries],
            "seeds": seeds,
            "episodes": episodes,
            "budget": to_plain(budget),
        }
        write_json(path / "tournament.json", plain)
        return found

    @classmethod
    def open(cls, path: Path, env_name: str | None = None) -> Tournament:
        """Reads its folder, which may come from a stranger: it may name only what is registered.

        Args:
            path: the folder.
            env_name: the environment as the caller named it, needed where it lies in another package.

        Raises:
            ValueError: one line, when there is no tournament, or it is altered or newer.
        """
        file = path / "tournament.json"
        if not file.is_file():
            raise ValueError(f"{path} is not a tournament's folder (it holds no tournament.json)")
        plain = read_json(file)
        if not isinstance(plain, dict) or type(plain.get("format")) is not int or plain["format"] < 1:
            raise ValueError(f"{file} is not a tournament's settings")
        if plain["format"] > FORMAT:
            raise ValueError(f"{path} is from a newer version of meze (format {plain['format']})")
        try:
            env_id = str(plain["env"])
            envs = [entry.pop("env") for entry in plain["entries"]]
            entries = [from_plain(Entry, entry, str(file)) for entry in plain["entries"]]
            seeds, episodes = (
                from_plain(int, plain[name], f"{file}: {name}") for name in ("seeds", "episodes")
            )
            budget = from_plain(Budget, plain["budget"], f"{file}: budget")
            if seeds < 1 or episodes < 1 or not all(isinstance(env, dict) for env in envs):
                raise ValueError(f"{file} was cut short or altered")
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file} was cut short or altered") from error
        if env_name is None and ":" in env_id:
            raise ValueError(
                f"{path} is on {env_id}, code of another package: name it on the command line too"
            )
        environment = find_environment(env_name or env_id)
        if environment.id.rpartition(":")[2] != env_id.rpartition(":")[2]:
            raise ValueError(f"{path} is on {env_id}, not on {environment.id}")
        for entry, env in zip(entries, envs, strict=True):
            from_plain(environment.config, env, f"{file}: {entry.name}")
        entries = [dataclasses.replace(entry, env=env) for entry, env in zip(entries, envs, strict=True)]
        return cls(path, environment, tuple(entries), seeds, episodes, budget, plain["format"])

    def matches(self) -> Iterator[tuple[int, int]]:
        """All pairs of an entry's number and a seed; yardsticks and references first."""
        order = sorted(range(len(self.entries)), key=lambda k: self.entries[k].kind == "trained")
        for k in order:
            if self.entries[k].kind != "trained":
                yield k, 0
        # Seed by seed: what is there when it is cut off has about as many runs of each.
        for number in range(self.seeds):
            for k in order:
                if self.entries[k].kind == "trained":
                    yield k, number * APART[self.format]

    def stem(self, number: int, seed: int | None = None) -> str:
        """Name of an entry's files."""
        slug = re.sub(r"[^\w.]+", "-", self.entries[number].name).strip("-")[:60]
        return f"{number:02d}-{slug}" + ("" if seed is None else f"-s{seed}")

    def result_path(self, number: int, seed: int) -> Path:
        """Where a result is kept."""
        return self.path / "results" / f"{self.stem(number, seed)}.npz"

    def results(self) -> dict[int, dict[int, Result]]:
        """What is there: entry's number to seed to result."""
        found: dict[int, dict[int, Result]] = {}
        for number, seed in self.matches():
            if (path := self.result_path(number, seed)).exists():
                found.setdefault(number, {})[seed] = Result.read(path)
        return found


# --- From names to entries ----------------------------------------------------------------------------------


def make_entries(
    names: Sequence[str],
    environment: Environment,
    env_flags: Sequence[str],
    budget: Budget,
    fit_flags: Sequence[str] = (),
) -> list[Entry]:
    """Finds out who is meant, and adds the yardsticks of each world that they play in.

    Args:
        names: agents; agents with a classifier or an encoder behind a colon; references; folders of runs;
            replay files, or folders of them.
        environment: where they act.
        env_flags: `--env.` flags that hold for all who are not runs or replays.
        budget: how long they are trained.
        fit_flags: `--fit.` flags of those with an encoder.

    Raises:
        ValueError: one line, when one is not known.
    """
    entries = [make_entry(name, environment, env_flags, budget, fit_flags) for name in names]
    called = [entry.name for entry in entries]
    if doubled := {name for name in called if called.count(name) > 1}:
        raise ValueError(f"{min(doubled)} is named twice")
    for entry in list(entries):
        if entry.kind == "replays":
            continue
        for name in yardsticks(environment, from_plain(environment.config, entry.env, entry.name)):
            yardstick = Entry(name, "ready", (), shown=False, env=entry.env)
            if not any(other.name == name and other.world == entry.world for other in entries):
                entries.append(yardstick)
    return entries


def yardsticks(environment: Environment, env_config: Any) -> tuple[str, ...]:
    """The random agent and, where there is one, the world's best reference."""
    return ("random", *reference_names(environment, env_config)[-1:])


def make_entry(
    name: str,
    environment: Environment,
    env_flags: Sequence[str],
    budget: Budget,
    fit_flags: Sequence[str] = (),
) -> Entry:
    """Finds out who is meant by a name; see `make_entries`."""
    path = Path(name)
    if path.is_file() or (path.is_dir() and not (path / "config.json").is_file()):
        replays = [path] if path.is_file() else sorted(path.glob("*.json"))
        if not replays:
            raise ValueError(f"{path} holds neither a run nor replays")
        first = from_plain(environment.config, dict(load_replay(replays[0]).config), f"{replays[0]}: config")
        words = tuple(str(each.resolve()) for each in replays)
        return Entry(path.stem, "replays", words, env=to_plain(first))
    if path.is_dir():
        config = RunDir.open(path).config(environment.id)
        where = on_split(config.env_config)
        title = f"{config.agent.name} {path.name}"
        return Entry(title, "run", (str(path.resolve()),), env=to_plain(where))
    agent, colon, variant = name.partition(":")
    default = default_env_config(environment)
    given = parse(group("Compare", env=default), env_flags, prog="meze compare", description="").env
    references = reference_names(environment, given)
    if not colon and agent in ("random", *references):
        return Entry(name, "ready", (), env=to_plain(on_split(given)))
    if agent not in agent_names():
        raise unknown_contestant(agent, environment, references)
    spec, flags = find_agent(agent), list(env_flags)
    if colon and spec.kind == "imitator":
        flags += ["--agent.classifier", variant]
    elif colon:
        flags += ["--encoder", variant, *fit_flags]
    asked = ask([spec.name, environment.id], flags)
    words = (spec.name, environment.id, *flags, *budget_flags(asked, budget))
    # However many maps or levels it was trained on, it is judged on those that all are judged on.
    common = {each: getattr(given, each) for each in ("pool_size",) if hasattr(given, each)}
    return Entry(name, "trained", words, env=to_plain(on_split(asked.given.env)) | common)


def budget_flags(asked: Asked, budget: Budget) -> list[str]:
    """Flags that make a run as long as the budget.

    An imitator asks its teacher no more often than it would anyway: more of the same teaches it no more.
    """
    if budget.steps is None:
        return []
    if asked.agent.kind == "searcher":
        return ["--generations", str(MANY), "--max-steps", str(budget.steps)]
    usual = asked.given.run.steps
    steps = min(budget.steps, usual) if asked.agent.kind == "imitator" else budget.steps
    return ["--steps", str(steps)]
