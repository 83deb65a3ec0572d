"""A searcher's whole generation at once: as ghosts in one level, or its fittest side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from ...agents.base import Decided, Memory, Policy, Searcher
from ...envs.core.env import world_of
from .board import View
from .show import Moment, Show
from .sources import Kept, Source, WatchSettings, make_env
from .viewer import Viewer

FITTEST = 16
"""Genomes side by side where the world can't draw ghosts, unless --envs says otherwise."""


class GenerationPolicy(Policy):
    """Acts for the genomes of a searcher's last generation, the fittest in the first row.

    Args:
        searcher: the searcher, to which a checkpoint was given.

    Attributes:
        fitness: (P,) of the rows' genomes, falling; NaN where it is not known yet.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self.fitness: NDArray[np.float64] = np.empty(0)
        self.refresh()

    def refresh(self) -> None:
        """Takes the searcher's generation as it is now."""
        population, fitness = self._searcher.population, self._searcher.fitness
        fitness = np.full(len(population), np.nan) if fitness is None else fitness
        self._order = np.argsort(-fitness, kind="stable")
        self.fitness = fitness[self._order]
        self._rows = -1

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> Decided:
        """Chooses (B,) actions; row b acts for the genome of rank b."""
        return self._fittest(len(obs)).act(obs, memory, explore=explore, mask=mask)

    def action_values(self, obs: NDArray, memory: Memory = None) -> NDArray | None:
        """The (B, A) values of those genomes, where they have any."""
        return self._fittest(len(obs)).action_values(obs, memory)

    def _fittest(self, rows: int) -> Policy:
        if rows != self._rows:
            self._rows = rows
            self._policy = self._searcher.policy_of(self._searcher.population, self._order[:rows])
        return self._policy


class GenerationViewer(Viewer):
    """Draws a generation: who is furthest of those that still play, the others that play as ghosts.

    Args:
        show: what is shown, all environments together.
        title: of the agent.
        searcher: whose generation it is.
        policy: its policy.
        checkpoint: tells which checkpoint is shown.
    """

    def __init__(
        self,
        show: Show,
        title: str,
        searcher: Searcher,
        policy: GenerationPolicy,
        checkpoint: Callable[[], str],
    ) -> None:
        super().__init__(show, title, checkpoint)
        self._searcher = searcher
        self._policy = policy
        self._followed: int | None = None

    @property
    def chosen(self) -> int:
        """Who was chosen, while it plays; else who is furthest."""
        moment = self._show.moment
        if self._followed is not None and not moment.ended[self._followed]:
            return self._followed
        counted = ~moment.ended if not moment.ended.all() else np.ones_like(moment.ended)
        return int(np.where(counted, self._ways(moment), -np.inf).argmax())

    def look_on(self) -> None:
        """Chooses the fittest one, then by rank those that still play, then again who is furthest."""
        first = 0 if self._followed is None else self._followed + 1
        later = np.flatnonzero(~self._show.moment.ended[first:])
        self._followed = first + int(later[0]) if len(later) else None

    def view(self, phase: float = 1.0, sees: bool = False, cursor: int | None = None) -> View:
        """The show's moment; see `Viewer.view`."""
        if self._renderer is None or "ghosts" not in self._renderer.draws:
            return super().view(phase, sees, cursor)
        playing = np.flatnonzero(~self._show.moment.ended).tolist()
        picture = self._picture(self.chosen, self._records(phase), phase, sees, ghosts=playing)
        return self._view([picture], sees)

    def _ways(self, moment: Moment) -> NDArray[np.float64]:
        """How far everybody has come: the progress that a world tells, else the return."""
        records = moment.records
        info = None if records is None or "info" not in (records.dtype.names or ()) else records["info"]
        if info is not None and "progress" in (info.dtype.names or ()):
            return info["progress"]
        return moment.returns

    def _caption(self, moment: Moment, i: int) -> str:
        return f"rank {i + 1}   return {moment.returns[i]:.2f}{'   over' * bool(moment.ended[i])}"

    def _hud(self, moment: Moment, i: int) -> dict[str, str]:
        hud = super()._hud(moment, i) | {"generation": str(self._searcher.generation)}
        playing = f"{int((~moment.ended).sum())} of {len(moment.ended)}"
        followed = self._followed is not None and not moment.ended[self._followed]
        hud |= {"playing": playing, "followed": "by rank" if followed else "the furthest"}
        return hud | {"rank": str(i + 1), "fitness": f"{self._policy.fitness[i]:.2f}"}


def generation_viewer(
    source: Source, env_config: Any, settings: WatchSettings
) -> tuple[VectorEnv, Show, GenerationViewer]:
    """Makes the environments, the show and the viewer of a run's generation.

    Raises:
        ValueError: when there is no such generation.
    """
    assert source.run and source.config
    probe = make_env(source.environment, env_config, 1, settings.max_episode_steps)
    searcher = source.config.make_agent(probe)
    kept = Kept(source.run, searcher, settings)
    policy = GenerationPolicy(searcher)
    world = world_of(probe)
    ghosts = world is not None and "ghosts" in world.renderer().draws
    wanted = len(searcher.population) if ghosts else settings.envs if settings.envs > 1 else FITTEST
    probe.close()

    def before_episode() -> None:
        kept()
        policy.refresh()

    rows = min(wanted, len(searcher.population))
    limit = settings.max_episode_steps
    env = make_env(source.environment, env_config, rows, limit, AutoresetMode.NEXT_STEP)
    show = Show(env, policy, lambda k: settings.seed + k, before_episode=before_episode, together=True)
    return env, show, GenerationViewer(show, source.title, searcher, policy, lambda: kept.words)
