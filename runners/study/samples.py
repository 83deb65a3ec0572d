"""Observations of training and of held-out episodes, with what came of them, and how encoders are judged."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...agents.base import Encoder
from ...agents.encoders.predictors import class_edges
from ...agents.encoders.registry import EncoderChain
from ..reporting.statistics import Readout, Score, accuracy, r_squared
from ..run.encoding import FitSettings
from ..run.recording import Recorded

BATCH = 1024
"""Observations that are encoded at once where it is timed."""
SHOWN = 2000
"""Observations at most of which silhouettes and pictures are made: their time grows with the square."""


@dataclass(frozen=True)
class Sample:
    """N observations of some episodes, and what is known of them."""

    obs: NDArray
    """(N, ...)."""
    episode: NDArray[np.int64]
    """(N,) numbers of their episodes."""
    target: NDArray
    """(N,) what supervised encoders are to predict."""
    value: NDArray[np.float32]
    """(N,) discounted return to come."""
    steps: NDArray[np.int64]
    """(N,) steps that remain; `recording.UNKNOWN` where the end was not seen."""
    action: NDArray[np.int64] | None
    """(N,) what the teacher would do; None without one."""

    def rows(self, scale: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, width) numbers, each times its scale."""
        return self.obs.reshape(len(self.obs), -1).astype(np.float32) * scale

    def some(self, count: int) -> Sample:
        """At most so many of them, evenly chosen."""
        chosen = np.unique(np.linspace(0, len(self.obs) - 1, min(count, len(self.obs))).astype(int))
        columns: Any = (getattr(self, field.name) for field in dataclasses.fields(self))
        parts: Any = (None if each is None else each[chosen] for each in columns)
        return Sample(*parts)


def split(
    recorded: Recorded, fit: FitSettings, asked: bool, rng: np.random.Generator
) -> tuple[Sample, Sample]:
    """Draws from a recording what to fit on, and what to judge by: they share no episode.

    Args:
        recorded: what was played.
        fit: how many observations in all, and the target.
        asked: whether the teacher was asked.
        rng: draws.

    Raises:
        ValueError: when there are too few episodes to hold some out.
    """
    target, known = recorded.targets(fit.target, fit.horizon)
    value, valued = recorded.targets("return", fit.horizon)
    episode, steps = recorded.episode, recorded.steps_to_go()
    held = max(1, fit.samples // 5)
    parts = []
    for chosen, count in ((~recorded.for_test, fit.samples - held), (recorded.for_test, held)):
        flat = np.flatnonzero(known & valued & chosen)
        if len(flat) > count:
            flat = np.sort(rng.choice(flat, count, replace=False))
        t, b = np.unravel_index(flat, recorded.ended.shape)
        action = np.asarray(recorded.advice[t, b], np.int64) if asked else None
        obs = np.asarray(recorded.obs[t, b])
        parts.append(Sample(obs, episode[t, b], target[t, b], value[t, b], steps[t, b], action))
    if any(len(np.unique(part.episode)) < 2 for part in parts):
        raise ValueError("too few episodes were played to hold some out; more --samples give more of them")
    return parts[0], parts[1]


@dataclass(frozen=True)
class Judged:
    """What an encoder that was fitted on training episodes is worth on held-out ones."""

    name: str
    codes: str
    """`512` for as many indices, `16-d` for vectors."""
    rebuilt: float
    """Share of the observations' variance that a readout of codes rebuilds. Of PCA it is the explained
    variance, of k-means what the distances to the centres (inertia) leave of the whole."""
    value: Score
    """R^2 of the return to come, as a readout of codes tells it."""
    action: Score | None
    """Share of states in which a readout of codes tells the teacher's action; None without a teacher."""
    predicts: Score | None = None
    """Of supervised encoders the score of what they predict themselves."""
    measure: str = ""
    """Which score that is: `accuracy`, `accuracy of n classes`, or `R^2`."""
    trivial: float | None = None
    """The same score of the training episodes' most frequent class, or mean."""
    used: int | None = None
    """Of indices: how many occur."""
    silhouette: float | None = None
    """Of indices: how much nearer observations are to their own group than to the next, -1 to 1."""
    anomalies: float | None = None
    """Of DBSCAN: share of observations in no group."""
    fit_seconds: float = 0.0
    microseconds: float = 0.0
    """To encode one observation, in a batch of 1,024."""


class EncoderJudge:
    """Judges codes by what is common to all.

    Args:
        train: what encoders are fitted on.
        test: what they are judged by.
    """

    def __init__(self, train: Sample, test: Sample) -> None:
        self.train, self.test = train, test
        largest = np.abs(train.obs.reshape(len(train.obs), -1)).max(axis=0).astype(np.float32)
        self.scale = np.divide(1, largest, out=np.zeros_like(largest), where=largest > 0)
        self._rows = test.rows(self.scale)
        self._width = len(self.scale)
        parts = [train.rows(self.scale), train.value[:, None]]
        if train.action is not None:
            parts.append(np.eye(int(train.action.max()) + 1, dtype=np.float32)[train.action])
        self._wanted = np.concatenate(parts, axis=1)

    def yardsticks(self) -> list[Judged]:
        """What can be told of nothing, and of all numbers of an observation."""
        train, test = self.train, self.test
        nothing = [np.zeros(len(part.obs), np.int64) for part in (train, test)]
        found = self._judged("(nothing)", "1", *nothing)
        predicts, measure = _trivial(train.target, test)
        first = Judged(
            **{**found, "predicts": predicts, "measure": measure, "trivial": predicts.value, "used": 1}
        )
        raw = self._judged(
            "(observation)", f"{self._width}-d", *(part.rows(self.scale) for part in (train, test))
        )
        return [first, Judged(**raw)]

    def __call__(self, chain: EncoderChain, encoder: Encoder, config: Any) -> Judged:
        """Fits an encoder on the training episodes and judges it on the others.

        Raises:
            ValueError: when it can't be fitted.
        """
        train, test = self.train, self.test
        begun = time.perf_counter()
        encoder.fit(train.obs, train.target if chain.supervised else None)
        seconds = time.perf_counter() - begun
        codes, shown = encoder.transform(train.obs), encoder.transform(test.obs)
        index = shown.ndim == 1
        size = str(getattr(encoder.space, "n", 0)) if index else f"{shown.shape[1]}-d"
        found = self._judged(chain.name, size, codes, shown)
        found |= {"fit_seconds": seconds, "microseconds": _microseconds(encoder, test.obs)}
        if index:
            found |= {"used": len(np.unique(shown)), "silhouette": self._silhouette(shown)}
        if chain.parts[-1].name == "dbscan":
            found["anomalies"] = float((shown == int(size) - 1).mean())
        if chain.parts[-1].supervised:
            classes = getattr(config, "classes", None) or getattr(
                getattr(config, chain.parts[-1].name.replace("-", "_"), None), "classes", 0
            )
            found |= self._own(codes, shown, classes)
        return Judged(**found)

    def _judged(self, name: str, size: str, codes: NDArray, shown: NDArray) -> dict[str, Any]:
        """What readouts of codes tell: those of the training episodes, and of the others."""
        test, width = self.test, self._width
        found = Readout(codes, self._wanted)(shown)
        action = None
        if test.action is not None:
            action = accuracy(test.action, found[:, width + 1 :].argmax(axis=1), test.episode)
        return {
            "name": name,
            "codes": size,
            "rebuilt": r_squared(self._rows, found[:, :width], test.episode).value,
            "value": r_squared(test.value, found[:, width], test.episode),
            "action": action,
        }

    def _own(self, codes: NDArray, shown: NDArray, classes: int) -> dict[str, Any]:
        """How well a supervised encoder predicts the target itself."""
        test, target = self.test, self.train.target
        truth, measure = test.target, "accuracy"
        if target.dtype.kind == "f" and classes and shown.ndim > 1:  # a classifier sorted it into classes
            edges = class_edges(target, classes)
            target, truth = (np.searchsorted(edges, each, side="right") for each in (target, truth))
            measure = f"accuracy of {len(edges) + 1} classes"
        if target.dtype.kind == "f":
            found = Readout(codes, target[:, None])(shown)[:, 0] if shown.ndim == 1 else shown[:, 0]
            predicts, measure = r_squared(truth, found, test.episode), "R^2"
            return {"predicts": predicts, "measure": measure, "trivial": _trivial(target, test)[0].value}
        names, numbers = np.unique(target, return_inverse=True)
        each = Readout(codes, np.eye(len(names))[numbers])(shown) if shown.ndim == 1 else shown
        if each.shape[1] != len(names):  # a rare class was not among the rows that it was fitted on
            return {}
        predicts = accuracy(truth, names[each.argmax(axis=1)], test.episode)
        trivial = float((truth == names[np.bincount(numbers).argmax()]).mean())
        return {"predicts": predicts, "measure": measure, "trivial": trivial}

    def _silhouette(self, codes: NDArray) -> float | None:
        from sklearn.metrics import silhouette_score

        chosen = np.linspace(0, len(codes) - 1, min(SHOWN, len(codes))).astype(int)
        groups = len(np.unique(codes[chosen]))
        if not 2 <= groups < len(chosen):
            return None
        return float(silhouette_score(self._rows[chosen], codes[chosen]))


def _trivial(target: NDArray, test: Sample) -> tuple[Score, str]:
    """The score of always predicting the most frequent class of (N,) training targets, or their mean."""
    if target.dtype.kind == "f":
        return r_squared(test.target, np.full(len(test.target), target.mean()), test.episode), "R^2"
    names, counts = np.unique(target, return_counts=True)
    return accuracy(test.target, np.full(len(test.target), names[counts.argmax()]), test.episode), "accuracy"


def _microseconds(encoder: Encoder, obs: NDArray) -> float:
    """Time to encode an observation, the least of a few batches."""
    batch = obs[np.arange(BATCH) % len(obs)]
    times: list[float] = []
    while len(times) < 5 and sum(times) < 0.5:
        begun = time.perf_counter()
        encoder.transform(batch)
        times.append(time.perf_counter() - begun)
    return min(times) / BATCH * 1e6
