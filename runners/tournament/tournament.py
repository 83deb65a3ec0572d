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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from ...agents.encoders.registry import find_encoder
from ...agents.registry import AgentSpec, agent_names, find_agent
from ...envs.core.replay import load as load_replay
from ...files import check_regular, write_whole
from ..run.config import RunConfig, read_config
from ..run.encoding import FitSettings
from ..run.evaluation import on_split
from ..run.folder import RunDir
from ..run.start import read_request, stretch, usual, words
from ..setup.files import read_versioned, write_json
from ..setup.kinds import KINDS
from ..setup.presets import default_env_config
from ..setup.pretrained import is_pretrained, run_path
from ..setup.resolve import Environment, environment_of, find_learner, reference_names, unknown_contestant
from ..setup.settings import from_plain, override, to_plain
from ..setup.text import one_line

FORMAT = 3
"""Version of the folder's layout; a folder with a higher one is refused. The first two have words of `meze
train` where settings stand now."""
APART = {1: 10_000}
"""Version to what lies between two seeds, if not 1: in the first one, neighbouring runs shared episodes."""
EARLIER = re.compile(
    r"--(env\.[\w.-]+|fit\.[\w.-]+|encoder|agent\.classifier|agent(\.[\w-]+)+\.steps|steps|generations|max-steps)"
    r"(=.*)?|-[\d.]+(e-?\d+)?"
)
"""Flags, and negative numbers, that may stand in words of the first versions."""


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
        ValueError: when it does not tell who it is.
    """

    name: str
    """How it is called in tables."""
    kind: Literal["trained", "ready", "run", "replays"]
    """`ready` acts without training; `run` is a folder of a run, `replays` are files of episodes."""
    config: RunConfig | None = None
    """With what it is trained, but for the seed, which is that of the match; None: it is not."""
    paths: tuple[str, ...] = ()
    """The run's folder, or the replays' files."""
    shown: bool = True
    """Whether it stands in the tables; a yardstick that nobody asked for does not."""
    env: dict[str, Any] = field(default_factory=dict)
    """Settings of its world, plain; of replays, which have their own, those of the first."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        least = {"run": 1, "replays": 1}.get(self.kind, 0)
        if (self.kind == "trained") != (self.config is not None) or len(self.paths) < least:
            raise ValueError(f"{self.name}: its settings or paths are missing")

    @property
    def words(self) -> list[str]:
        """How it is told to people: what to say after `meze train`, or the paths."""
        return words(self.config) if self.config else list(self.paths)

    def described(self) -> dict[str, Any]:
        """The entry as plain values; see `_read_entry`."""
        plain = {key: to_plain(getattr(self, key)) for key in ("name", "kind", "paths", "shown")}
        settings = {"settings": self.config.described()} if self.config else {}
        return plain | settings | {"env": self.env}

    @property
    def world(self) -> str:
        """What the episodes are of: entries with the same world meet the same ones."""
        return json.dumps({name: value for name, value in self.env.items() if name != "observation"})


@dataclass(frozen=True)
class Result:
    """What became of one entry with one seed."""

    measures: dict[str, NDArray[np.float64]]
    """Name to (E,) values by episode; see `rollout.Tally`."""
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
            raise ValueError(f"{path} is damaged ({one_line(error, 200)})") from error


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

    def create(self) -> None:
        """Makes its folder."""
        for name in ("runs", "logs", "results"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        plain = {
            "format": self.format,
            "env": self.environment.id,
            "entries": [entry.described() for entry in self.entries],
            "seeds": self.seeds,
            "episodes": self.episodes,
            "budget": to_plain(self.budget),
        }
        write_json(self.path / "tournament.json", plain)

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
        plain = read_versioned(file, FORMAT, "a tournament's settings")
        try:
            environment = environment_of(path, str(plain["env"]), env_name)
            entries = tuple(
                _read_entry(each, file, environment, earlier=plain["format"] < 3) for each in plain["entries"]
            )
            seeds, episodes = (
                from_plain(int, plain[name], f"{file}: {name}") for name in ("seeds", "episodes")
            )
            budget = from_plain(Budget, plain["budget"], f"{file}: budget")
            if seeds < 1 or episodes < 1:
                raise ValueError(f"{file} was cut short or altered")
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file} was cut short or altered") from error
        return cls(path, environment, entries, seeds, episodes, budget, plain["format"])

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
                    yield k, number * APART.get(self.format, 1)

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


def _read_entry(plain: Any, file: Path, environment: Environment, *, earlier: bool) -> Entry:
    """Reads what `Entry.described` told, or an entry of the first versions; both may come from a stranger."""
    if earlier:
        plain = _of_words(plain, environment)
    kinds = {"name": str, "kind": Literal["trained", "ready", "run", "replays"], "shown": bool}
    kinds["paths"] = tuple[str, ...]
    found = {key: from_plain(kind, plain[key], f"{file}: {key}") for key, kind in kinds.items()}
    config = read_config(plain["settings"], file, environment.id) if "settings" in plain else None
    from_plain(environment.config, plain["env"], f"{file}: {found['name']}")
    return Entry(**found, config=config, env=plain["env"])


def _of_words(plain: Any, environment: Environment) -> dict[str, Any]:
    """An entry of the first versions, whose words are what is said after `meze train`, as one of today's."""
    words = from_plain(tuple[str, ...], plain["words"], "words")
    if plain["kind"] != "trained":
        return plain | {"paths": list(words)}
    agent, flags = words[:1], words[2:]
    strange = [word for word in flags if word.startswith("-") and not EARLIER.fullmatch(word)]
    if not agent or strange:
        raise ValueError(f"{plain['name']}: {' '.join(strange) or 'its words'} can't stand in a tournament")
    asked = read_request([*agent, environment.id], flags)
    return plain | {"paths": [], "settings": asked.config.described()}


# --- From names to entries ----------------------------------------------------------------------------------


def make_entries(
    names: Sequence[str],
    environment: Environment,
    budget: Budget,
    over: Callable[[Any], Any] = lambda env: env,
    fit: FitSettings | None = None,
) -> tuple[Entry, ...]:
    """Finds out who is meant, and adds the yardsticks of each world that they play in.

    Args:
        names: agents; agents with a classifier or an encoder behind a colon; references; folders of runs;
            replay files, or folders of them.
        environment: where they act.
        budget: how long they are trained.
        over: lays what holds for all who are not runs or replays over somebody's settings of the world.
        fit: on what encoders are fitted.

    Raises:
        ValueError: one line, when one is not known.
    """
    entries = [make_entry(name, environment, budget, over, fit) for name in names]
    called = [entry.name for entry in entries]
    if doubled := {name for name in called if called.count(name) > 1}:
        raise ValueError(f"{min(doubled)} is named twice")
    for entry in list(entries):
        if entry.kind == "replays":
            continue
        for name in yardsticks(environment, from_plain(environment.config, entry.env, entry.name)):
            yardstick = Entry(name, "ready", shown=False, env=entry.env)
            if not any(other.name == name and other.world == entry.world for other in entries):
                entries.append(yardstick)
    return tuple(entries)


def yardsticks(environment: Environment, env_config: Any) -> tuple[str, ...]:
    """The random agent and, where there is one, the world's best reference."""
    return ("random", *reference_names(environment, env_config)[-1:])


def make_entry(
    name: str,
    environment: Environment,
    budget: Budget,
    over: Callable[[Any], Any] = lambda env: env,
    fit: FitSettings | None = None,
) -> Entry:
    """Finds out who is meant by a name; see `make_entries`."""
    path = run_path(name)
    if path.is_file() or (path.is_dir() and not (path / "config.json").is_file()):
        replays = [path] if path.is_file() else sorted(path.glob("*.json"))
        if not replays:
            raise ValueError(f"{path} holds neither a run nor replays")
        first = from_plain(environment.config, dict(load_replay(replays[0]).config), f"{replays[0]}: config")
        paths = tuple(str(each.resolve()) for each in replays)
        return Entry(path.stem, "replays", paths=paths, env=to_plain(first))
    if path.is_dir():
        config = RunDir.open(path).config(environment.id)
        where = on_split(config.env_config)
        title = f"{config.agent.name} {path.name}"
        where_it_is = name if is_pretrained(name) else str(path.resolve())
        return Entry(title, "run", paths=(where_it_is,), env=to_plain(where))
    agent, colon, variant = name.partition(":")
    given = over(default_env_config(environment))
    references = reference_names(environment, given)
    spec = find_agent(agent) if agent in agent_names() else None
    if not colon and (agent in references or spec and not spec.is_trained):
        return Entry(name, "ready", env=to_plain(on_split(given)))
    if spec is None:
        raise unknown_contestant(agent, environment, references)
    config = _trained(find_learner(agent), variant if colon else None, environment, budget, over, fit)
    # However many maps or levels it was trained on, it is judged on those that all are judged on.
    common = {each: getattr(given, each) for each in ("pool_size",) if hasattr(given, each)}
    title = spec.name + colon + variant
    return Entry(title, "trained", config, env=to_plain(on_split(config.env_config)) | common)


def _trained(
    spec: AgentSpec,
    variant: str | None,
    environment: Environment,
    budget: Budget,
    over: Callable[[Any], Any],
    fit: FitSettings | None,
) -> RunConfig:
    """With what an agent is trained; `variant` stands behind the colon of its name, if that has one."""
    setting = KINDS[spec.kind].variant
    chain = find_encoder(variant) if variant is not None and setting is None else None
    env = over(default_env_config(environment, spec, encoded=chain is not None))
    asked = usual(spec, environment, chain, getattr(env, "observation", None))
    run, changed = asked.given.run, {"env": env}
    if budget.steps is not None:
        changed["run"] = override(run, run.within(budget.steps))
    if setting and variant is not None:
        changed["agent"] = override(asked.given.agent, {setting: variant}, "agent.")
    if chain and fit:
        changed["fit"] = fit
    return stretch(asked._replace(given=dataclasses.replace(asked.given, **changed)), run).config
