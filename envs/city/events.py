"""What may be so before a tick in the city, or happen in it, as recordings keep it and rules tell it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.compiling import kernel
from ..core.measures import Event
from ..core.scalars import Digits, bind_policy
from .kernels import ego_target
from .observe import GIVE_WAY, SITUATION_WORDS, TAKEN, observe_situation
from .roads import town_of, word_at
from .state import FORWARD, ON_ROAD_MASK, STEPPING_MASK, CityParams

AHEAD, SIGNAL, SIREN = 0, 3, 4  # digits of a situation
GREEN, RED = 1, 2  # values of SIGNAL

_situation = Digits(observe_situation, [len(words) for words in SITUATION_WORDS])


@kernel
def people_one(p, s, i):
    """Who is on the cell ahead: bits of its word, 0 for nobody."""
    e = s[i]
    t = town_of(p, e.map)
    to = ego_target(t, e, FORWARD)
    return 0 if to == e.cars[0].cell else word_at(e, to) & (ON_ROAD_MASK | STEPPING_MASK)


@kernel
def wait_one(p, s, i):
    """For how many ticks the car on the cell ahead has stood, -1 where there is none."""
    e = s[i]
    to = ego_target(town_of(p, e.map), e, FORWARD)
    for v in range(1, e.num_cars + 1):
        if e.cars[v].cell == to:
            return int(e.cars[v].wait)
    return -1


def _people(mask: int) -> Callable[..., Any]:
    return lambda params, before, after: bind_policy(people_one)(params, before) & mask != 0


def _car_stops(params: CityParams, before: NDArray, after: NDArray) -> NDArray[np.bool_]:
    """Whether the car that is ahead has not moved in this tick, but did in the one before."""
    return bind_policy(wait_one)(params, after) == 1


def _turns(to: int) -> Callable[..., Any]:
    """Whether the light changes before which the car stands."""

    def tell(params: CityParams, before: NDArray, after: NDArray) -> NDArray[np.bool_]:
        was, now = (_situation(params, each)[SIGNAL] for each in (before, after))
        return ~_moved(before, after) & (was == GREEN + RED - to) & (now == to)

    return tell


def _moved(before: NDArray, after: NDArray) -> NDArray[np.bool_]:
    return after["cars"]["cell"][:, 0] != before["cars"]["cell"][:, 0]


def _turned(turn: int) -> Callable[..., Any]:
    """Whether the car heads so many quarter turns further to the right."""
    return lambda params, before, after: (
        (after["cars"]["heading"][:, 0] - before["cars"]["heading"][:, 0]) % 4 == turn
    )


def _told(name: str) -> Callable[..., Any]:
    return lambda params, before, after: after["info"][name] > 0


EVENTS = (
    Event("light_red", "the light is red", _situation.holds(SIGNAL, RED)),
    Event("light_turns_red", "the light turns red", _turns(RED)),
    Event("light_turns_green", "the light turns green", _turns(GREEN)),
    Event("others_first", "others go first", _situation.holds(AHEAD, GIVE_WAY)),
    Event("siren", "a siren is heard", _situation.holds(SIREN, 1, 2)),
    Event("siren_behind", "an ambulance wants to pass", _situation.holds(SIREN, 2)),
    Event("car_ahead", "a car is ahead", _situation.holds(AHEAD, TAKEN)),
    Event("car_ahead_stops", "the car ahead stops", _car_stops),
    Event("person_at_kerb", "somebody is about to cross", _people(STEPPING_MASK)),
    Event("person_ahead", "somebody crosses ahead", _people(ON_ROAD_MASK)),
    Event("stood", "it stands still", lambda params, before, after: ~_moved(before, after)),
    Event("turned_left", "it turns left", _turned(3)),
    Event("turned_right", "it turns right", _turned(1)),
    Event("held_up", "it holds up the ambulance", _told("ambulance_delayed")),
    Event("collided", "it collides", _told("cost")),
    Event("arrived", "it arrives", _told("success")),
)
