"""A searcher's whole generation at once: as ghosts in one level, or its fittest side by side."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from ..agents.base import Memory, Searcher
from .show import Show
from .watch import Source, Viewer, WatchSettings, keep_loaded, make_env

FITTEST = 16
"""Genomes side by side where the world can't draw ghosts, unless --envs says otherwise."""


class GenerationPolicy:
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
        self, obs: NDArray, memory: Memory = None, *, explore: bool, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Chooses (B,) actions; row b acts for the genome of rank b."""
        if len(obs) != self._rows:
            self._rows = len(obs)
            self._policy = self._searcher.policy_of(self._searcher.population, self._order[: self._rows])
        return self._policy.act(obs, memory, explore=explore, mask=mask)


class GenerationViewer(Viewer):
    """Draws a generation: the fittest genome that still plays, the others that play as ghosts.

    Args:
        show: what is shown, all environments together.
        title: of the agent.
        searcher: whose generation it is.
        policy: its policy.
    """

    def __init__(self, show: Show, title: str, searcher: Searcher, policy: GenerationPolicy) -> None:
        super().__init__(show, title)
        self._searcher = searcher
        self._policy = policy

    def tiles(self, phase: float, sees: bool) -> list[Any]:
        """The tiles of the show's moment; see `Viewer.tiles`."""
        if not draws_ghosts(self._renderer):
            return super().tiles(phase, sees)
        playing = np.flatnonzero(~self._show.moment.ended)
        leader = int(playing[0]) if len(playing) else int(self._show.moment.returns.argmax())
        return [self._tile(leader, self._records(phase), phase, sees, ghosts=playing.tolist())]

    def _hud(self, moment: Any, i: int) -> dict[str, str]:
        hud = super()._hud(moment, i)
        own = {"rank": str(i + 1), "fitness": f"{self._policy.fitness[i]:.2f}"}
        if not draws_ghosts(self._renderer):  # little room below so many pictures
            return own | {name: hud[name] for name in ("step", "return")}
        playing = f"{int((~moment.ended).sum())} of {len(moment.ended)}"
        return hud | {"generation": str(self._searcher.generation), "playing": playing} | own


def draws_ghosts(renderer: Any) -> bool:
    """Whether a renderer can draw several environments in one picture."""
    return renderer is not None and "ghosts" in inspect.signature(renderer.draw).parameters


def generation_viewer(
    source: Source, env_config: Any, settings: WatchSettings
) -> tuple[VectorEnv, Show, GenerationViewer]:
    """Makes the environments, the show and the viewer of a run's generation.

    Raises:
        ValueError: when there is no such generation.
    """
    assert source.run is not None
    probe = make_env(source.environment, env_config, replace(settings, envs=1))
    searcher = source.run.config(source.environment.id).make_learner(probe)
    keep = keep_loaded(source.run, searcher, settings)
    policy = GenerationPolicy(searcher)
    world = getattr(probe.unwrapped, "world", None)
    ghosts = world is not None and draws_ghosts(world.renderer())
    wanted = len(searcher.population) if ghosts else settings.envs if settings.envs > 1 else FITTEST
    probe.close()

    def before_episode() -> None:
        keep()
        policy.refresh()

    rows = min(wanted, len(searcher.population))
    env = make_env(source.environment, env_config, settings, AutoresetMode.NEXT_STEP, num_envs=rows)
    show = Show(env, policy, lambda k: settings.seed + k, before_episode=before_episode, together=True)
    return env, show, GenerationViewer(show, source.title, searcher, policy)
