"""The folder of a training run: what is in it, how it is written, and how it is read again.

`runs/<env>/<agent>/<stamp>-s<seed>/` holds `config.json` (all settings, versions, git commit), `metrics.csv`,
TensorBoard events, `checkpoints/` and `evaluation.json`; with a constraint also `mixture.json`. Everything in
it is data: what is read back may name only what is registered, and is checked.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from ...agents import checkpoint
from ...agents.base import OutdatedError, Policy, State, Trainable
from ...agents.costs import MixedPolicy
from ...files import replaced
from ..reporting.scores import Scores
from ..setup.errors import refusal, train_command
from ..setup.files import new_folder, read_json, read_versioned, write_json
from ..setup.machine import commit, versions
from ..setup.pretrained import run_path
from ..setup.seeds import EVALUATION_SEED
from .config import RunConfig, read_config
from .metrics import METRICS, read_rows

MOST_TOLD = 12
"""Checkpoints that a message names, at most."""
STEP = re.compile(r"step-([0-9]{12,18})\.safetensors")
"""Names of checkpoints."""
MIXTURE = "mixture.json"
KEPT_TO_ACT = "kept_to_act"
"""What says in `config.json` that only what acts was kept of the run, as of those that ship with meze."""
FORMAT = 1
"""Version of the folder's layout; a folder with a higher one is refused."""


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    path: Path
    """Its folder, which all commands take."""
    scores: Scores
    """The agent's, the random agent's and the references', on what training has not seen."""
    named_again: tuple[str, ...] = ()
    """What commands need beside the folder, where the environment lies in another package."""

    @property
    def metrics(self) -> list[dict[str, float]]:
        """The rows of `metrics.csv`: what was measured on the way, as `pandas.DataFrame` takes it."""
        rows = read_rows(self.path / METRICS)
        return [{name: float(value) for name, value in row.items() if value} for row in rows]


class Chosen(NamedTuple):
    """Which checkpoints act: one, or several of which each episode draws one."""

    paths: tuple[Path, ...]
    shares: tuple[float, ...]
    """How often each is drawn; together 1."""
    words: str
    """How they are called in tables: "best, at 18,048"."""


class RunDir:
    """A run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"

    @classmethod
    def create(cls, out: Path, config: RunConfig, command: str) -> RunDir:
        """Makes a new folder below `out`, its name not used before, and writes `config.json`."""
        stem = f"{time.strftime('%Y%m%d-%H%M%S')}-s{config.settings.seed}"
        path = new_folder(out / config.environment.name / config.agent.name, stem)
        run = cls(path)
        run.checkpoints.mkdir()
        if config.encoding:
            config.encoding.write(path)
        if config.macros:
            config.macros.write(path, config.environment)
        write_json(  # last, as it makes the folder a run's
            path / "config.json",
            {
                "format": FORMAT,
                **config.described(),
                "command": command,
                "commit": commit(),
                "versions": versions(),
            },
        )
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunDir:
        """Finds a run by its folder, or as `pretrained:NAME`.

        Raises:
            ValueError: one line, when there is no run.
        """
        path = run_path(path)
        if not (path / "config.json").is_file():
            raise ValueError(f"{path} is not a run folder (it holds no config.json)")
        return cls(path)

    def config(self, env_id: str | None = None, networks: Collection[str] = ()) -> RunConfig:
        """Reads `config.json`.

        Args:
            env_id: the environment as the caller named it; needed where the run's lies in another package,
                because a file must not say which code to import.
            networks: networks of other packages that the caller named, for the same reason.

        Raises:
            ValueError: one line, when the file is altered, from a newer version, or names what is not there.
        """
        file = self.path / "config.json"
        config = read_config(read_versioned(file, FORMAT, "a run's configuration"), file, env_id, networks)
        return dataclasses.replace(
            config,
            encoding=config.encoding and config.encoding.fitted(self.path),
            macros=config.macros and config.macros.read(self.path, config.environment),
        )

    def check_whole(self) -> None:
        """Makes sure that the run can go on.

        Raises:
            ValueError: one line, when only what acts was kept of it.
        """
        if read_versioned(self.path / "config.json", FORMAT, "a run's configuration").get(KEPT_TO_ACT):
            raise ValueError(
                f"{self.path} can't go on, as only what acts was kept of it; "
                f"train one like it: {train_command(self.path)}"
            )

    def checkpoint_path(self, step: int) -> Path:
        """Where the checkpoint after so many transitions lies; of a searcher, after so many generations."""
        return self.checkpoints / f"step-{step:012d}.safetensors"

    def steps(self) -> list[int]:
        """After which steps there are checkpoints, rising."""
        found = (STEP.fullmatch(path.name) for path in self.checkpoints.glob("step-*.safetensors"))
        return sorted(int(each[1]) for each in found if each)

    def latest_checkpoint(self) -> Path | None:
        """The newest checkpoint, or None before the first."""
        steps = self.steps()
        return self.checkpoint_path(steps[-1]) if steps else None

    def evaluated(self) -> dict[int, dict[str, float]]:
        """What `metrics.csv` tells of the evaluations of checkpoints, by their steps.

        Nothing of older runs: their evaluations are those by which they are judged.
        """
        steps = set(self.steps())
        found = {}
        try:
            if read_json(self.path / "config.json").get("streams", 1) == 1:
                return {}
            for row in read_rows(self.path / METRICS):
                step = int(row.get("generation") or row["step"])
                if row.get("eval_return") and step in steps:
                    found[step] = {name: float(value) for name, value in row.items() if value}
        except (OSError, ValueError, AttributeError):  # saved again by a spreadsheet, say
            return {}
        return {step: row for step, row in found.items() if math.isfinite(row["eval_return"])}

    def best(self) -> tuple[int, float] | None:
        """Step and mean return of the checkpoint that was evaluated best; None where that can't be told."""
        scores = [(row["eval_return"], step) for step, row in self.evaluated().items()]
        if not scores:
            return None
        score, step = max(scores)
        return step, score

    def write_mixture(self, record: Mapping[str, Any]) -> None:
        """Writes `mixture.json`: with `step` and `share` of each checkpoint, see `Evaluator.mix`."""
        write_json(self.path / MIXTURE, {"format": FORMAT, **record})

    def mixture(self) -> dict[int, float]:
        """Steps and shares of the checkpoints that act for a run with a constraint; empty where none do.

        Raises:
            ValueError: one line, when the file is damaged.
        """
        file = self.path / MIXTURE
        if not file.exists():
            return {}
        plain = read_versioned(file, FORMAT, "a run's mixture")
        try:
            found = {int(each["step"]): float(each["share"]) for each in plain["checkpoints"]}
            sound = (
                found and all(0 < share <= 1 for share in found.values()) and set(found) <= set(self.steps())
            )
            if not sound or abs(sum(found.values()) - 1) > 1e-6:
                raise ValueError
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ValueError(f"{file} was cut short or altered") from None
        return found

    def find_checkpoint(self, which: str = "best") -> Chosen:
        """Finds checkpoints by how they are called.

        Args:
            which: `best` by the evaluations on the way (the newest, where that can't be told), `newest`, or
                the step after which it was written; of a searcher's run, the generation.

        Returns:
            The one, or with a constraint those that are mixed.

        Raises:
            ValueError: one line, when there is no such checkpoint.
        """
        steps = self.steps()
        if not steps:
            raise ValueError(f"{self.path} has no checkpoint yet")
        if which == "best":
            if mixture := self.mixture():
                parts = [f"{100 * share:.0f} % at {step:,}" for step, share in mixture.items()]
                words = f"mixture, {' and '.join(parts)}" if len(parts) > 1 else f"best, at {max(mixture):,}"
                return Chosen(tuple(map(self.checkpoint_path, mixture)), tuple(mixture.values()), words)
            if best := self.best():
                return Chosen((self.checkpoint_path(best[0]),), (1.0,), f"best, at {best[0]:,}")
        if which in ("best", "newest"):
            return Chosen((self.checkpoint_path(steps[-1]),), (1.0,), f"newest, at {steps[-1]:,}")
        if not which.isdecimal() or int(which) not in steps:
            found = [str(step) for step in steps]
            there = ", ".join(found if len(found) <= MOST_TOLD else [*found[:3], "...", *found[-3:]])
            raise ValueError(f"checkpoint takes best, newest, or one of {there}; got {which}")
        return Chosen((self.checkpoint_path(int(which)),), (1.0,), f"at {int(which):,}")

    def newest_sound(self) -> Path | None:
        """The newest checkpoint that can be read, or None before the first; says which can't.

        Raises:
            ValueError: when there are some, and none can be read.
        """
        found = [self.checkpoint_path(step) for step in reversed(self.steps())]
        for path in found:
            try:
                checkpoint.verify(path)
                return path
            except (OSError, checkpoint.CheckpointError) as error:
                if path == found[-1]:
                    raise
                print(f"{error}; going on from the one before", flush=True)
        return None

    def reached(self) -> int:
        """How far the newest checkpoint is: transitions of a learner, generations of a searcher."""
        return max(self.steps(), default=0)

    def furthest(self) -> int:
        """How far the newest checkpoint is, or an island's that is further."""
        return max([self.reached(), *(RunDir(each).reached() for each in self.path.glob("islands/*"))])

    def extend(self, **settings: Any) -> None:
        """Writes down the settings with which the run goes on: `steps`, or `generations`, and `device`."""
        file = self.path / "config.json"
        plain = read_json(file)
        plain["run"] |= settings
        write_json(file, plain)

    def write_evaluation(self, record: Mapping[str, Any]) -> None:
        """Writes `evaluation.json`."""
        write_json(self.path / "evaluation.json", record)

    def write_batch(self, batch: Mapping[str, NDArray]) -> Path:
        """Writes a batch that a learner could not learn from to `nonfinite.npz`, and returns its path."""
        path = self.path / "nonfinite.npz"
        with replaced(path) as temporary:
            np.savez(temporary, **batch)  # type: ignore[arg-type]
        return path

    def policy(self, config: RunConfig, env: VectorEnv, chosen: Chosen) -> Policy:
        """Who acts, as some checkpoints say.

        Args:
            config: the run's.
            env: where it is to act.
            chosen: the checkpoints.

        Raises:
            ValueError: when a file is damaged or does not fit.
        """
        learners = [config.make_agent(env) for _ in chosen.paths]
        for learner, path in zip(learners, chosen.paths, strict=True):
            self.load_learner(learner, path)
        if len(learners) == 1:
            return learners[0].policy
        rng = np.random.default_rng(EVALUATION_SEED)
        return MixedPolicy([learner.policy for learner in learners], chosen.shares, rng)

    def load_learner(self, learner: Trainable, path: Path) -> None:
        """Puts a checkpoint's learner into one that is to act, and not to learn.

        Raises:
            ValueError: when the file is damaged or does not fit.
        """
        restore(learner, checkpoint.load(path), path, to_learn=False)


def pack(**parts: Mapping[str, Any]) -> State:
    """Joins named states into one for a checkpoint: `learner.q`, `rollout.records`, ..."""
    return {f"{part}.{name}": value for part, state in parts.items() for name, value in state.items()}


def unpack(state: Mapping[str, Any], part: str) -> State:
    """One of the states that `pack` joined."""
    return {name[len(part) + 1 :]: value for name, value in state.items() if name.startswith(f"{part}.")}


def restore(learner: Trainable, state: Mapping[str, Any], path: Path, *, to_learn: bool = True) -> None:
    """Gives a learner its part of a checkpoint, or only what it needs to act.

    Raises:
        ValueError: when it does not fit.
    """
    load = learner.load_state_dict if to_learn else learner.load_policy
    try:
        load(unpack(state, "learner"))
    except OutdatedError as error:
        raise refusal(path.parents[1], error) from error
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} does not fit the run's learner ({error})") from error


def load(
    run: str | Path,
    env_id: str | None = None,
    *,
    network: str | None = None,
    num_envs: int = 1,
    checkpoint: str = "best",
    render_mode: str | None = None,
) -> tuple[Policy, VectorEnv]:
    """Loads a trained policy and its environment, for a notebook.

    Args:
        run: the run's folder, or `pretrained:NAME`.
        env_id: `package.module:Id`, needed where the environment lies in another package.
        network: `package.module:Class`, needed where the network does.
        num_envs: environments of the batch.
        checkpoint: `best` by the evaluations during training, `newest`, or the step after which it was
            written.
        render_mode: `rgb_array`, if the environment is to be drawn.

    Returns:
        The policy, which explores only if told to, and the vector environment it was trained on (autoreset
        `NEXT_STEP`).

    Raises:
        ValueError: one line, when the run can't be used.
    """
    folder = RunDir.open(run)
    config = folder.config(env_id, [network] if network else [])
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode is rgb_array or nothing; got {render_mode!r}")
    env = config.make_env(num_envs, AutoresetMode.NEXT_STEP, render=bool(render_mode))
    try:
        policy = folder.policy(config, env, folder.find_checkpoint(checkpoint))
    except BaseException:
        env.close()
        raise
    return policy, env
