"""Where a run's time goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

PARTS = ("environment", "policy", "learning", "other")
"""What a run's time is put down to. A device works beside the program: what is left of its learning when the
next actions are needed is waited for there, so it is counted as the policy's."""
MOST = 1e10
"""Seconds of the longest run: 300 years. Beyond them no more seconds can be told apart."""


def duration(seconds: Any) -> float:
    """Seconds that stand in a file.

    Raises:
        ValueError: when they are no duration.
    """
    if type(seconds) not in (int, float) or not 0 <= seconds <= MOST:
        raise ValueError("the seconds so far are damaged")
    return float(seconds)


def count(number: Any) -> int:
    """A number of transitions that stands in a file.

    Raises:
        ValueError: when it is none.
    """
    if type(number) is not int or not 0 <= number < 1 << 62:
        raise ValueError("the number of transitions so far is damaged")
    return number


class Stopwatch:
    """Puts down each lap to the part of the work on which it was spent.

    Attributes:
        seconds: part to seconds so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._since = time.perf_counter()

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self.seconds.values())

    def start(self) -> None:
        """Begins a lap; what was since the last one is not counted."""
        self._since = time.perf_counter()

    def lap(self, part: str) -> float:
        """Ends a lap that was spent on a part and begins the next.

        Returns:
            The time now, as `time.perf_counter()` has it.
        """
        now = time.perf_counter()
        self.seconds[part] += now - self._since
        self._since = now
        return now

    def summary(self) -> str:
        """The parts in percent, on one line."""
        total = self.total
        shares = (f"{part} {100 * each / total if total else 0:.0f} %" for part, each in self.seconds.items())
        return f"{total:,.1f} s: {', '.join(shares)}"

    def restore(self, seconds: Mapping[str, Any]) -> None:
        """Goes on from the seconds of an earlier process.

        Raises:
            ValueError: when they are of other parts, or no durations.
        """
        if set(seconds) != set(PARTS):
            raise ValueError("the seconds so far are damaged")
        self.seconds = {part: duration(seconds[part]) for part in PARTS}
