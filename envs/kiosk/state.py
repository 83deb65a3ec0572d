"""The kiosk's state record and the read-only tables that its kernels share.

A record knows which kiosks stand; everything else in it is kept for speed, and follows from them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.world import state_dtype

P_MEDIAN, P_CENTER, COVERAGE, REVENUE = range(4)
"""Codes of the objectives; those from COVERAGE on are to grow."""

NOWHERE = 1 << 24
"""Steps to the nearest kiosk while there is none: more than any distance (`instances.MAX_DISTANCE`)."""

BEYOND = 2048
"""What people of a fresh city walk while there is no kiosk, for `walks`: more than any distance there."""

SIDE = 1024
"""Steps along a side of the square on which fresh cities lie: squares of distances stay below 2^21, of which
square roots in single precision are so exact that the nearest whole number is always the right one."""

# Features of a free site, columns of the observation `sites`; rows of all others are zeros. Walks (means over
# all people) and distances are in UNIT-ths of the instance's reach (see INSTANCE), and at most MOST (`walk`:
# MOST_WALK).
FEATURES = (
    "walk",  # what all people would walk if the next kiosk were here
    "far walk",  # the same if nobody walked further than twice the reach
    "near walk",  # the same if nobody walked further than the reach
    "alone",  # what all people would walk to a kiosk here, if it were the only one
    "kiosk",  # distance to the nearest own kiosk; MOST while there is none
    "rival",  # distance to the nearest rival; MOST where there is none
    "left",  # share of the kiosks still to be placed, in UNIT-ths; equal in all rows
    "reach",  # steps; equal in all rows
)
NUM_FEATURES = len(FEATURES)
WALK, FAR_WALK, NEAR_WALK, ALONE, KIOSK, RIVAL, LEFT, REACH = range(NUM_FEATURES)
UNIT = 1 << 12
MOST = 16 * UNIT
MOST_WALK = 64 * UNIT
NUM_WALKS = 3
"""WALK and those after it: without a limit to what people walk, and with the two limits."""

# Planes of `grid`.
PLANE_NAMES = (
    "people",  # 64 for as many as live at a point on average
    "sites",  # 255: a kiosk can be placed here
    "rivals",  # 255: a rival is here
    "kiosks",  # 255: an own kiosk is here
    "distance",  # to the nearest kiosk, from where people live; 255 is the greatest distance of the city
    "left",  # kiosks still to be placed, constant
)
NUM_PLANES = len(PLANE_NAMES)
GRID = 32
"""Cells along a side."""

INFO = (
    ("objective", np.float64),  # in the reward's unit: mean steps, worst steps, or percent of the people
    ("total", np.int64),  # exact, as solvers and published optima count it
    ("optimum", np.int64),  # proven best total, -1 where it is not known
    ("regret", np.float64),  # how far the total is from the optimum, as a share of it; -1 where not known
)


def kiosk_state(
    num_sites: int, num_points: int, num_kiosks: int, *, fresh: bool, pulls: bool, walks: bool
) -> np.dtype:
    """The record of one environment.

    Args:
        num_sites: slots for sites, S.
        num_points: slots for points, N.
        num_kiosks: slots for kiosks, K.
        fresh: whether the city itself stands in the record.
        pulls: whether attractions are counted, for revenue.
        walks: whether it is counted how far people would walk with one more kiosk, for `sites`.
    """
    city = num_points if fresh else 1
    pull = num_points if pulls else 1
    candidates = num_sites if walks else 1
    return state_dtype(
        [
            ("ask_instance", np.int32),  # 1 + the instance that the next reset must take; 0: a random one
            ("instance", np.int32),  # number in the pool
            ("placed", np.int32),  # kiosks placed so far, those wasted on a taken site too
            ("total", np.int64),  # the objective, exactly; before the first kiosk the episode's start
            ("start", np.int64),  # what it starts from
            ("kiosks", np.int32, (num_kiosks,)),  # sites in their order; -1: wasted, or still to come
            ("x", np.int32, (city,)),  # steps; places of a fresh city's points, which are its sites too
            ("y", np.int32, (city,)),
            ("alone", np.int32, (city,)),  # steps of everybody to one kiosk, if it stood on this site
            ("nearest", np.int32, (num_points,)),  # steps to the nearest kiosk; 0 in unused slots
            ("visits", np.int32, (num_points,)),  # which of `kiosks` it is, the first of equals; -1: none
            ("own", np.int32, (pull,)),  # attraction of all own kiosks
            ("theirs", np.int32, (pull,)),  # attraction of all rivals
            # Steps of all people with one more kiosk, on each site, if nobody walked further than each of the
            # `limits`.
            ("walks", np.int32 if fresh else np.int64, (NUM_WALKS, candidates)),
            ("taken", np.uint8, (num_sites,)),  # 1 where no kiosk may be placed: taken, a rival's, unused
        ],
        info=INFO,
    )


RULES = np.dtype(
    [
        ("objective", np.int32),  # code
        ("radius", np.int32),  # steps
        ("attraction", np.int32),  # of a kiosk at one's door
        ("fresh", np.bool_),  # cities are drawn at every reset
        ("walks", np.bool_),  # `walks` of the record are kept
    ],
    align=True,
)

INSTANCE = np.dtype(
    [
        ("num_sites", np.int32),
        ("num_points", np.int32),
        ("num_kiosks", np.int32),
        ("people", np.int32),  # sum of the weights
        ("share", np.float64),  # 1 / people
        ("start", np.int64),  # total of the worst single site; 0 for what is to grow
        # Steps: NOWHERE (fresh cities: BEYOND), twice the reach, and the reach. That is two thirds of what
        # people would walk on average to a typical site if each kiosk had an equal share, the nearest ones.
        ("limits", np.int32, (NUM_WALKS,)),
        ("optimum", np.int64),  # -1 where it is not known
        ("span", np.int32),  # greatest distance, steps
        ("scale", np.int64),  # the reward's unit is 1024 / (scale / per) of a total's
        ("per", np.int64),
    ],
    align=True,
)


class KioskParams(NamedTuple):
    """Read-only tables that the whole batch shares: M instances of up to S sites and N points.

    Slots that an instance does not use hold zeros: nobody lives there, and no distance is worse.
    """

    rules: NDArray[np.void]
    """(1,) record of RULES."""
    instances: NDArray[np.void]
    """(M,) records of INSTANCE."""
    weights: NDArray[np.int32]
    """(M, N) people."""
    distances: NDArray[np.int32]
    """(M, S, N) steps; (1, 1, 1) for fresh cities."""
    distances_back: NDArray[np.int32]
    """(M, N, S) the same, from points to sites; (1, 1, 1) where walks are not counted."""
    walks: NDArray[np.int64]
    """(M, NUM_WALKS, S) `walks` of a record without kiosks; (1, NUM_WALKS, 1) where they are not counted."""
    pulls: NDArray[np.int32]
    """(M, S, N) attraction of a kiosk on a site to a point; (1, 1, 1) if not needed."""
    theirs: NDArray[np.int32]
    """(M, N) attraction of all rivals; 1 in unused slots."""
    taken: NDArray[np.uint8]
    """(M, S) 1 on rivals' sites and in unused slots."""
    places: NDArray[np.int32]
    """(M, 4, max(S, N)) x and y of points, x and y of sites; zeros where there are no coordinates."""
    cells: NDArray[np.int32]
    """(M, 2, max(S, N)) cells of points and of sites, in the grid."""
    people: NDArray[np.uint8]
    """(M, GRID * GRID) the grid's first plane."""
    homes: NDArray[np.int32]
    """(M, S) the point nearest to a site."""
    standing: NDArray[np.int32]
    """(M, S, 2) the features that stand still, ALONE and RIVAL; (1, 1, 2) for fresh cities."""
    lots: NDArray[np.int64]
    """(M,) running sums of the instances' weights, by which a reset draws one; see `core.lots`."""
