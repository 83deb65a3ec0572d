"""A Markov chain of columns: each column is drawn by those before it, as often as it was seen behind them.

The chain that Snodgrass & Ontañón ("Experiments in Map Generation Using Markov Chains", FDG 2014) take as
their baseline, of any order; where a context was never seen, as at a drawing's end, the longest part of it
that was seen takes its place (backing off, Katz 1987). How wide a drawing is does not come from the chain:
it is the width of one of those that were learnt from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..base import State
from ..checks import check_range, taken
from .base import DrawingModel, Rows, Tell, alphabet, decode, encode, widths_of
from .config import MarkovConfig

BEGIN = -1
"""Stands for what is before the first column."""
MOST_ORDER = 8
MOST_GRAMS = 1 << 17
"""Different runs of columns of a chain, at most: at order 8 they take up to 7 KB each."""


class MarkovChain(DrawingModel):
    """The chain.

    Attributes:
        columns: (N, height) uint8 different columns, as numbers of letters.
        grams: (G, order + 1) int32 numbers of columns that were seen behind one another; `BEGIN` before the
            first one.
        counts: (G,) int64 how often.

    Raises:
        ValueError: for more than `MOST_GRAMS`.
    """

    name = "markov"

    def __init__(
        self,
        letters: str,
        height: int,
        widths: NDArray[np.int32],
        columns: NDArray[np.uint8],
        grams: NDArray[np.int32],
        counts: NDArray[np.int64],
    ) -> None:
        if len(grams) > MOST_GRAMS:
            raise ValueError(
                f"a chain has at most {MOST_GRAMS:,} different runs of columns, not {len(grams):,}; "
                "of fewer drawings, or at a lower order, there are fewer"
            )
        super().__init__(letters, height, widths)
        self.columns, self.grams, self.counts = columns, grams, counts
        self._order = grams.shape[1] - 1
        seen: dict[tuple[int, ...], Counter[int]] = {}
        for gram, count in zip(grams.tolist(), counts.tolist(), strict=True):
            for first in range(self._order + 1):
                seen.setdefault(tuple(gram[first:-1]), Counter())[gram[-1]] += count
        self._next = {
            context: (np.array(list(after)), np.cumsum(list(after.values())))
            for context, after in seen.items()
        }

    @classmethod
    def fit(cls, drawings: Sequence[Rows], config: MarkovConfig, seed: int, tell: Tell) -> Self:
        """Counts; see `DrawingModel.fit`. There is no chance in it, and nothing to tell."""
        letters = alphabet(drawings)
        number: dict[bytes, int] = {}
        grams: Counter[tuple[int, ...]] = Counter()
        for rows in drawings:
            columns = [column.tobytes() for column in encode(rows, letters).T]
            chain = [BEGIN] * config.order
            chain += [number.setdefault(column, len(number)) for column in columns]
            grams.update(tuple(chain[k : k + config.order + 1]) for k in range(len(columns)))
        height = len(drawings[0])
        columns = np.frombuffer(b"".join(number), np.uint8).reshape(-1, height)
        rows = np.array(list(grams), np.int32)
        return cls(letters, height, widths_of(drawings), columns, rows, np.array(list(grams.values())))

    def draw(self, rng: np.random.Generator) -> tuple[str, ...]:
        """Draws column by column; whole numbers alone, so it is the same everywhere."""
        chain = [BEGIN] * self._order
        for _ in range(self.some_width(rng)):
            context = tuple(chain[-self._order :])
            while context not in self._next:
                context = context[1:]
            after, total = self._next[context]
            chosen = np.searchsorted(total, rng.integers(total[-1]), side="right")
            chain.append(int(after[chosen]))
        return decode(self.columns[chain[self._order :]].T, self.letters)

    def arrays(self) -> State:
        """Columns, and how often they were seen behind one another."""
        return {"columns": self.columns, "grams": self.grams, "counts": self.counts}

    @classmethod
    def restore(cls, letters: str, height: int, widths: NDArray[np.int32], state: Mapping[str, Any]) -> Self:
        """Takes what `arrays` gave; see `DrawingModel.restore`."""
        columns = taken(state, "columns", np.uint8, None, height)
        check_range("columns", columns, 0, len(letters))
        grams = taken(state, "grams", np.int32, None, None)
        if not 2 <= grams.shape[1] <= MOST_ORDER + 1:
            raise ValueError(f"the order of a chain is 1 to {MOST_ORDER}; got {grams.shape[1] - 1}")
        check_range("grams", grams, BEGIN, len(columns))
        check_range("grams", grams[:, -1], 0, len(columns))
        counts = taken(state, "counts", np.int64, len(grams))
        check_range("counts", counts, 1, 1 << 40)
        return cls(letters, height, widths, columns, grams, counts)
