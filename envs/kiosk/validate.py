"""Whether records could be states of a kiosk world: what its kernels trust, since they check nothing.

All but a few fields follow from these; so a record is made again from them and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..core.binding import bind
from ..core.world import check_ranges
from .kernels import rebuild
from .state import INSTANCE, RULES, SIDE, KioskParams


def check_state(params: KioskParams, state: NDArray) -> None:
    """Checks records of a kiosk world.

    Args:
        params: its tables.
        state: (N,) records, N at least 1.

    Raises:
        ValueError: in one line, for records that are no states of these instances.
    """
    count = len(params.instances)
    last_slot = state["kiosks"].shape[1]
    ranges = {"ask_instance": (0, count), "instance": (0, count - 1), "placed": (0, last_slot)}
    last = SIDE - 1 if params.rules[0]["fresh"] else 0
    check_ranges(state, ranges | {"x": (0, last), "y": (0, last)})
    kiosks, instances = state["kiosks"], params.instances[state["instance"]]
    if (state["placed"] > instances["num_kiosks"]).any():
        raise ValueError("no state of this world: placed is more than there are kiosks")
    if ((kiosks < -1) | (kiosks >= instances["num_sites"][:, None])).any():
        raise ValueError("no state of this world: kiosks has a site that does not exist")
    again = state.copy()
    _bound_rebuild(state.dtype)(params, again, kiosks.copy())
    for name in state.dtype.names or ():
        if again[name].tobytes() != state[name].tobytes():
            raise ValueError(f"no state of this world: {name} is not what follows from the kiosks")


@cache
def _bound_rebuild(state_dtype: np.dtype) -> Callable:
    return bind(_rebuild_rows, __name__, {"rebuild": rebuild}, (state_dtype, RULES, INSTANCE))


def _rebuild_rows(params, state, kiosks):
    for i in range(len(state)):
        rebuild(params, state[i], kiosks[i], state[i].placed)
