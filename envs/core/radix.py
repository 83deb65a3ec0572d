"""Numbers in mixed radix as a space that tells their digits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gymnasium.spaces import Discrete


class MixedRadix(Discrete):
    """The numbers of so many digits: tables take them as they are, small networks see each digit.

    Args:
        digits: of each digit, the highest first, how many values it has, or what these mean in words.

    Attributes:
        digits: what the values of each digit mean.
    """

    def __init__(self, digits: Sequence[int | Sequence[str]]) -> None:
        self.digits = tuple(
            tuple(f"digit {k} is {value}" for value in range(each)) if isinstance(each, int) else tuple(each)
            for k, each in enumerate(digits)
        )
        super().__init__(math.prod(map(len, self.digits)))
