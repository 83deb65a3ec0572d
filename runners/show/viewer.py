"""From moments of a show to views: pictures, who acts, what it did, what it sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ...envs.core.env import world_of
from ...envs.core.measures import Measure
from ...envs.core.splits import shown_seed
from ..reporting.measures import LENGTH, RETURN, measured_in, reported
from ..reporting.scores import short
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
        self._world = world_of(show.env)
        self._renderer = self._world.renderer() if self._world is not None else None
        self._names = action_names(show.env)
        self._measures = measured_in(show.env)
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
        return self._view([self._picture(i, records, phase, sees, cursor=cursor) for i in range(count)], sees)

    def _view(self, pictures: list[NDArray[np.uint8]], sees: bool) -> View:
        """A view of pictures, one of each environment, or one of all."""
        moment, chosen = self._show.moment, self.chosen
        panel, rows, captions = None, (), ()
        beside = 0 if self._renderer is None else self._renderer.panel_width
        if self._renderer is None:
            rows = tuple(self._lines(moment, chosen).items())
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
        before, records = self._show.before.records, self._show.moment.records
        if self._renderer is None or before is None or records is None:
            return records
        return self._renderer.between(before, records, phase)  # whatever moves is shown on its way

    def _picture(
        self, i: int, records: NDArray | None, phase: float, sees: bool, **drawn: Any
    ) -> NDArray[np.uint8]:
        moment = self._show.moment
        if self._renderer is None:
            assert moment.pictures is not None
            return moment.pictures[i]
        assert records is not None
        if moment.marks is not None:
            drawn["marks"] = moment.marks[i]
        if sees and moment.values is not None:
            possible = True if moment.mask is None else moment.mask[i] != 0
            drawn["values"] = np.where(possible, moment.values[i], np.nan)
        drawn = {name: each for name, each in drawn.items() if name in self._renderer.draws}
        return self._renderer.draw(records, i, phase=phase, hud=self._lines(moment, i), **drawn)

    def _caption(self, moment: Moment, i: int) -> str:
        """The line below one of several pictures."""
        over = "   over" if moment.ended[i] else ""
        seed = shown_seed(self._show.seed_of(int(moment.episodes[i])))
        return f"{seed}   return {moment.returns[i]:.2f}{over}"

    def _lines(self, moment: Moment, i: int) -> dict[str, str]:
        """The lines of the panel: who acts, and what the episode comes to so far."""
        counted = {name: values[i : i + 1] for name, values in moment.measures.items()}
        found = reported(counted, self._measures, self._world and self._world.config)
        shown = (each for each in self._measures if each not in (RETURN, LENGTH) and each.name in found)
        return self._hud(moment, i) | {each.title: _value(each, found[each.name][0]) for each in shown}

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
        if moment.carried is not None:
            hud["macro"] = moment.carried[i] if moment.carried else "-"
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
        if values is not None and mask is not None and self._show.values_are == "chance":
            values = values / max(values[mask != 0].sum(), 1e-9)  # what is not possible is not drawn
        seen = see(space, moment.obs[i], self._world, values, mask, lambda k: self._name(first + k))
        worth = "" if moment.worth is None else f", and expects {moment.worth[i]:.2f}"
        return seen._replace(title=seen.title + worth, values_are=self._show.values_are)

    def _name(self, action: int) -> str:
        return self._names[action] if 0 <= action < len(self._names) else str(action)


def _value(measure: Measure, value: float) -> str:
    """What one episode comes to."""
    if measure.how == "any":
        return "yes" if value else "no"
    if measure.share:
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if value == round(value) else short(value)


def action_names(env: VectorEnv) -> Sequence[str]:
    """Names of the actions, where a world gives them any."""
    world = world_of(env)
    return () if world is None else world.action_names
