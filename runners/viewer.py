"""From moments of a show to views: pictures, who acts, what it did, what it sees."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ..envs.core.splits import shown_seed
from .board import View
from .seen import see
from .show import Moment, Show


class Viewer:
    """Turns moments of a show into views.

    Args:
        show: what is shown.
        title: who acts.
        checkpoint: tells which checkpoint is shown, in words; nothing where it is none.
        bare: whether pictures stand alone, without text.
    """

    def __init__(
        self, show: Show, title: str, checkpoint: Callable[[], str] = lambda: "", bare: bool = False
    ) -> None:
        self._show = show
        self._title = title
        self._checkpoint = checkpoint
        self._bare = bare
        self._world = getattr(show.env.unwrapped, "world", None)
        self._renderer: Any = self._world.renderer() if self._world is not None else None
        self._names = action_names(show.env)
        self._chosen = 0

    @property
    def smooth(self) -> bool:
        """Whether motion between two steps can be drawn."""
        return self._renderer is not None

    @property
    def chosen(self) -> int:
        """The environment that is told about."""
        return self._chosen

    def look_on(self) -> None:
        """Chooses the next environment to be told about."""
        self._chosen = (self._chosen + 1) % len(self._show.moment.obs)

    def view(self, phase: float = 1.0, sees: bool = False, cursor: int | None = None) -> View:
        """The show's moment.

        Args:
            phase: how much of its last step is done.
            sees: whether to show what the agent sees.
            cursor: the action that is pointed at.
        """
        count, records = len(self._show.moment.obs), self._records(phase)
        drawn: dict[str, Any] = {"cursor": cursor} if self._draws("cursor") else {}
        return self._view([self._picture(i, records, phase, sees, **drawn) for i in range(count)], sees)

    def _view(self, pictures: list[NDArray[np.uint8]], sees: bool) -> View:
        """A view of pictures, one of each environment, or one of all."""
        moment, chosen = self._show.moment, self.chosen
        panel, rows, captions = None, (), ()
        beside = getattr(self._renderer, "panel_width", 0)
        if self._renderer is None:
            rows = tuple(self._hud(moment, chosen).items())
        elif beside and (len(pictures) > 1 or self._bare):
            panel = pictures[chosen][:, -beside:]
            pictures = [picture[:, :-beside] for picture in pictures]
        if len(pictures) > 1:
            captions = tuple(self._caption(moment, i) for i in range(len(pictures)))
        if self._bare:
            panel, rows, captions = None, (), ()
        seen = self._sees(moment, chosen) if sees else None
        return View(tuple(pictures), captions, panel, rows, chosen if len(pictures) > 1 else 0, seen)

    def _records(self, phase: float) -> NDArray | None:
        records, between = self._show.moment.records, getattr(self._renderer, "between", None)
        if between is not None:  # whatever moves is shown on its way
            records = between(self._show.before.records, records, phase)
        return records

    def _picture(
        self, i: int, records: NDArray | None, phase: float, sees: bool, **drawn: Any
    ) -> NDArray[np.uint8]:
        moment = self._show.moment
        if self._renderer is None:
            assert moment.pictures is not None
            return moment.pictures[i]
        if moment.marks is not None:
            drawn["marks"] = moment.marks[i]
        if sees and moment.values is not None and self._draws("values"):
            possible = True if moment.mask is None else moment.mask[i] != 0
            drawn["values"] = np.where(possible, moment.values[i], np.nan)
        return self._renderer.draw(records, i, phase=phase, hud=self._hud(moment, i), **drawn)

    def _draws(self, name: str) -> bool:
        """Whether the renderer takes an argument."""
        return self._renderer is not None and takes(self._renderer, name)

    def _caption(self, moment: Moment, i: int) -> str:
        """The line below one of several pictures."""
        over = "   over" if moment.ended[i] else ""
        seed = shown_seed(self._show.seed_of(int(moment.episodes[i])))
        return f"{seed}   return {moment.returns[i]:.2f}{over}"

    def _hud(self, moment: Moment, i: int) -> dict[str, str]:
        hud = {"agent": self._title}
        if checkpoint := self._checkpoint():
            hud["checkpoint"] = checkpoint
        hud |= {
            "seed": shown_seed(self._show.seed_of(int(moment.episodes[i]))),
            "step": f"{moment.steps[i]:,}",
            "return": f"{moment.returns[i]:.2f}",
            "action": "-",  # takes its place from the beginning
        }
        if moment.actions is not None:
            action = moment.actions[i]
            hud["action"] = (
                self._name(int(action)) if np.ndim(action) == 0 else np.array_str(action, precision=2)
            )
        return hud

    def _sees(self, moment: Moment, i: int) -> Any:
        values = None if moment.values is None else moment.values[i]
        mask = None if moment.mask is None else moment.mask[i]
        first = int(getattr(self._show.env.single_action_space, "start", 0))
        space = self._show.env.single_observation_space
        return see(space, moment.obs[i], self._world, values, mask, lambda k: self._name(first + k))

    def _name(self, action: int) -> str:
        return self._names[action] if 0 <= action < len(self._names) else str(action)


def takes(renderer: Any, name: str) -> bool:
    """Whether a renderer's `draw` takes an argument."""
    return name in _arguments(type(renderer))


@cache
def _arguments(renderer: type) -> frozenset[str]:
    return frozenset(inspect.signature(renderer.draw).parameters)  # type: ignore[attr-defined]


def action_names(env: VectorEnv) -> tuple[str, ...]:
    """Names of the actions, where a world has `action_names`."""
    return tuple(getattr(getattr(env.unwrapped, "world", None), "action_names", ()))
