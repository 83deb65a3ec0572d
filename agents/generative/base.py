"""What a model of drawings is: learnt from rows of letters, it draws others; saved, it is plain arrays."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...checking import load_object, unknown
from .. import checkpoint
from ..base import State
from ..checks import check_range, taken

Rows: TypeAlias = Sequence[str]
"""A drawing: rows of letters of equal length, from top to bottom."""
Tell: TypeAlias = Callable[[int, Mapping[str, float]], None]
"""Is told how far a training is: its steps so far, and what was measured."""

MODELS = {"markov": ".markov:MarkovChain", "gan": ".gan:Gan"}
"""By name: where each is."""
MOST_LETTERS = 200
"""Letters that a model tells apart, at most."""
MOST_COLUMNS = 4096
"""Columns of a drawing, at most."""


class DrawingModel(ABC):
    """Draws what is like the drawings from which it learnt: of their height, and of their widths.

    Attributes:
        letters: all that it draws.
        height: rows of its drawings.
        widths: (D,) int32 columns of the drawings from which it learnt.
    """

    name: ClassVar[str]
    """Of its algorithm."""

    def __init__(self, letters: str, height: int, widths: NDArray[np.int32]) -> None:
        self.letters, self.height, self.widths = letters, height, widths

    @classmethod
    @abstractmethod
    def fit(cls, drawings: Sequence[Rows], config: Any, seed: int, tell: Tell) -> Self:
        """Learns from drawings of equal height.

        Args:
            drawings: one at least.
            config: the model's settings.
            seed: of all chance.
            tell: is told how it goes; some models have nothing to tell.
        """

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> tuple[str, ...]:
        """Draws rows of letters."""

    @abstractmethod
    def arrays(self) -> State:
        """What it has learnt: names to arrays, or to plain values."""

    @classmethod
    @abstractmethod
    def restore(cls, letters: str, height: int, widths: NDArray[np.int32], state: Mapping[str, Any]) -> Self:
        """Makes the model of what `arrays` gave.

        Raises:
            ValueError: one line, for what can't have come from there.
        """

    def some_width(self, rng: np.random.Generator) -> int:
        """The width of one of the drawings from which it learnt."""
        return int(self.widths[rng.integers(len(self.widths))])


def alphabet(drawings: Sequence[Rows]) -> str:
    """All letters of some drawings, in order."""
    return "".join(sorted({letter for rows in drawings for row in rows for letter in row}))


def encode(rows: Rows, letters: str) -> NDArray[np.uint8]:
    """(height, width) numbers of a drawing's letters."""
    number = {letter: k for k, letter in enumerate(letters)}
    return np.array([[number[letter] for letter in row] for row in rows], np.uint8)


def decode(cells: NDArray, letters: str) -> tuple[str, ...]:
    """The rows of (height, width) numbers of letters."""
    return tuple("".join(letters[k] for k in row) for row in cells.tolist())


def widths_of(drawings: Sequence[Rows]) -> NDArray[np.int32]:
    """(D,) columns of some drawings."""
    return np.array([len(rows[0]) for rows in drawings], np.int32)


def fit(name: str, drawings: Sequence[Rows], config: Any, seed: int, tell: Tell) -> DrawingModel:
    """Has a model learn from drawings; see `DrawingModel.fit`."""
    return _class_of(name).fit(drawings, config, seed, tell)


def save(path: str | os.PathLike[str], model: DrawingModel) -> None:
    """Writes a model as safetensors."""
    common = {"algorithm": model.name, "letters": model.letters, "height": model.height}
    checkpoint.save(path, {**common, "widths": model.widths, **model.arrays()})


def load(path: str | os.PathLike[str]) -> DrawingModel:
    """Reads a model that anybody may have made.

    Raises:
        ValueError: one line, for what is none.
        OSError: when the file can't be read.
    """
    state = checkpoint.load(path)
    try:
        name, letters, height = (state.get(key) for key in ("algorithm", "letters", "height"))
        if name not in MODELS:
            raise ValueError(unknown("model", str(name), MODELS))
        if not isinstance(letters, str) or not 0 < len(set(letters)) == len(letters) <= MOST_LETTERS:
            raise ValueError("its letters are damaged")
        if type(height) is not int or not 1 <= height <= MOST_COLUMNS:
            raise ValueError("its height is damaged")
        widths = taken(state, "widths", np.int32, None)
        check_range("widths", widths, 1, MOST_COLUMNS + 1)
        return _class_of(name).restore(letters, height, widths, state)
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"{path} is no model of drawings: {error}") from None


def _class_of(name: str) -> type[DrawingModel]:
    return load_object(MODELS[name], __package__)
