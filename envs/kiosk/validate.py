"""Whether records could be states of a kiosk world: what its kernels trust, since they check nothing.

All but a few fields follow from these; so a record is made again from them and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..core.binding import bind
from ..core.world import check_ranges, refuse_if
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
    refuse_if(state["placed"] > instances["num_kiosks"], "placed is more than there are kiosks")
    is_none = (kiosks < -1) | (kiosks >= instances["num_sites"][:, None])
    refuse_if(is_none, "kiosks has a site that does not exist")
    again = with_kiosks(params, state, kiosks, state["placed"])
    for name in state.dtype.names or ():
        differs = again[name].tobytes() != state[name].tobytes()
        refuse_if(differs, f"{name} is not what follows from the kiosks")


def with_kiosks(
    params: KioskParams, state: NDArray, kiosks: NDArray, placed: NDArray | None = None
) -> NDArray:
    """Records of the same cities with other kiosks.

    Args:
        params: the world's tables.
        state: (N,) records.
        kiosks: (N, K) sites that exist, -1 where there is none.
        placed: (N,) how many of them have been placed; by default all.

    Returns:
        (N,) records of their own.
    """
    records, kiosks = state.copy(), kiosks.copy()  # those of the records are written anew
    placed = params.instances["num_kiosks"][state["instance"]] if placed is None else placed.copy()
    _bound_rebuild(state.dtype)(params, records, kiosks, placed)
    return records


@cache
def _bound_rebuild(state_dtype: np.dtype) -> Callable:
    return bind(_rebuild_rows, __name__, {"rebuild": rebuild}, (state_dtype, RULES, INSTANCE))


def _rebuild_rows(params, state, kiosks, placed):
    for i in range(len(state)):
        rebuild(params, state[i], kiosks[i], placed[i])
