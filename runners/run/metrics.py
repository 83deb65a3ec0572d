"""What a training run measures: averages between two rows, `metrics.csv` and TensorBoard events.

TensorBoard shows the columns in groups, `train/`, `eval/` and `time/`, the last evaluation as `final/`, and
the run's settings as text and as hyperparameters, by which runs can be compared.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...envs.core.measures import Measure
from ...files import check_regular, open_own, replaced
from ..reporting.measures import STANDARD, Episodes, reported
from ..setup.files import read_json

METRICS = "metrics.csv"


class Meter:
    """Averages over what happened since the last row.

    A learner's metric may be a number on another device, which is added up there: only a row waits for it. It
    is averaged over the calls that had it.

    Args:
        measures: what the episodes are measured by.
        config: the world's.
    """

    def __init__(self, measures: Sequence[Measure] = STANDARD, config: Any = None) -> None:
        self._measures, self._config = measures, config
        self._clear()

    def _clear(self) -> None:
        self._episodes: list[Episodes] = []
        self._sums: dict[str, tuple[Any, int]] = {}

    def add(self, metrics: Mapping[str, Any], episodes: Episodes | None) -> None:
        """Counts one step of the batch: the learner's metrics, and the episodes that ended."""
        for name, value in metrics.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value, count + 1
        if episodes is not None:
            self._episodes.append(episodes)

    def take(self) -> dict[str, float]:
        """The averages since the last call."""
        row: dict[str, float] = {"episodes": float(sum(len(e.index) for e in self._episodes))}
        columns = [episodes.measures for episodes in self._episodes]
        counted = {
            name: np.concatenate([column[name] for column in columns])
            for name in (columns[0] if columns else ())
        }
        found = reported(counted, self._measures, self._config)
        row |= {name: float(values.mean()) for name, values in found.items() if len(values)}
        row |= {name: float(total) / count for name, (total, count) in self._sums.items()}
        self._clear()
        return row


class MetricsLog:
    """Appends rows to `metrics.csv` and to TensorBoard events, if tensorboard is installed.

    Args:
        folder: the run's folder.
        step: where the run goes on from; rows beyond it are cut off.
        events: whether TensorBoard gets them too.
    """

    def __init__(self, folder: Path, step: int = 0, *, events: bool = True) -> None:
        self._path = folder / METRICS
        self._columns: list[str] = []
        try:
            rows = read_rows(self._path)
        except ValueError as error:  # a spreadsheet saved it, for one; the run matters more
            aside = self._path.with_name(f"metrics-{time.strftime('%Y%m%d-%H%M%S')}.csv")
            os.replace(self._path, aside)
            print(f"{error}: set aside as {aside.name}, and begun anew", flush=True)
            rows = []
        if self._path.exists():
            self._rewrite([row for row in rows if int(row["step"]) <= step])
        self._step = step
        self._events = _event_writer(folder, step) if events else None
        if self._events and (settings := _settings(folder)):
            _add_settings(self._events, step, settings)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a row; a column that is new is empty in the earlier rows."""
        row = {"step": "", **{name: f"{value:.6g}" for name, value in values.items()}}
        row["step"] = str(step)  # whatever else is called so
        if set(row) <= set(self._columns):
            with open(self._path, "a", newline="", encoding="utf-8", opener=open_own) as file:
                csv.DictWriter(file, self._columns).writerow(row)
        else:
            self._rewrite([*read_rows(self._path), row])
        self._step = step
        if self._events:
            _add_scalars(self._events, step, {_tag(name): value for name, value in values.items()})

    def final(self, scores: Mapping[str, float]) -> None:
        """Tells TensorBoard what the run came to.

        Args:
            scores: the agent's mean measures in the evaluation at the end.
        """
        if self._events:
            _add_scalars(self._events, self._step, {f"final/{name}": each for name, each in scores.items()})

    def close(self) -> None:
        """Flushes the events."""
        if self._events:
            self._events.close()

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        self._columns = list(dict.fromkeys(name for row in rows for name in row))
        with replaced(self._path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The complete rows of a `metrics.csv`; a line that a killed process left unfinished is dropped.

    Raises:
        ValueError: one line, when the file was not written by us, or saved again by another program.
    """
    if not path.exists():
        return []
    check_regular(path)
    try:
        text = path.read_text(encoding="utf-8")
        complete = text[: text.rfind("\n") + 1]
        reader = csv.DictReader(io.StringIO(complete, newline=""), strict=True)
        rows = [row for row in reader if (row["step"] or "").isdecimal()]
        sound = all(None not in row and len(row["step"]) < 20 for row in rows)
        [float(value or 0) for row in rows for value in row.values()]
    except (ValueError, LookupError, TypeError, csv.Error):
        sound, rows = False, []
    if not sound:
        raise ValueError(f"{path} holds no metrics that can be read")
    return rows


# --- TensorBoard ----------------------------------------------------------------------------------------


def _tag(column: str) -> str:
    """How TensorBoard calls a column, which it groups by what stands before the slash."""
    if column.startswith("eval_"):
        return f"eval/{column.removeprefix('eval_')}"
    return f"{'time' if column.startswith(('seconds', 'steps_per_second')) else 'train'}/{column}"


def _settings(folder: Path) -> dict[str, str | float]:
    """The settings in a run's `config.json` by their names, such as `agent.exploration.start`."""
    path = folder / "config.json"
    plain = read_json(path) if path.exists() else {}
    found: dict[str, str | float] = {}

    def collect(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, each in value.items():
                collect(prefix if name == "config" else f"{prefix}.{name}", each)
        else:
            found[prefix] = value if isinstance(value, (str, int, float)) else str(value)

    for part in ("agent", "encoder", "env", "macros", "run"):
        collect(part, plain.get(part, {}))
    return found


def _event_writer(folder: Path, step: int) -> Any:
    """TensorBoard's own writer, which needs no torch; None where it is not installed."""
    try:
        from tensorboard.compat.proto.event_pb2 import SessionLog  # type: ignore[attr-defined]
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        return None
    writer = EventFileWriter(str(folder))
    if step:  # tells TensorBoard to forget what lies beyond
        _add(writer, step + 1, session_log=SessionLog(status=SessionLog.START))
    return writer


def _add_settings(writer: Any, step: int, settings: Mapping[str, str | float]) -> None:
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.plugins.text.summary_v2 import text_pb

    rows = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
    _add(writer, step, summary=text_pb("settings", f"| setting | value |\n|---|---|\n{rows}"))
    _add(writer, step, summary=hparams_pb(settings))


def _add_scalars(writer: Any, step: int, values: Mapping[str, float]) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[attr-defined]

    parts = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
    _add(writer, step, summary=Summary(value=parts))


def _add(writer: Any, step: int, **what: Any) -> None:
    from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[attr-defined]

    writer.add_event(Event(wall_time=time.time(), step=step, **what))
