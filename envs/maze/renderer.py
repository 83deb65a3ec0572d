"""Draws a maze as a garden at night; everything is painted by code, nothing is read from files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pygame
from numpy.typing import NDArray

from ..core import BAD, GOOD, PanelRenderer
from .state import COLUMNS, EYES, FULL, GHOSTS, HEIGHT, HUNTS, POWER, ROWS, SCARED, WIDTH, MazeParams

UNIT = 32  # pixels of a cell
SIZE = UNIT * WIDTH, UNIT * (HEIGHT + 1)  # of the maze's picture, in pixels; its title stands on top
PATH, HEDGE, SHADE, LEAF, LIGHT = (38, 40, 62), (40, 96, 74), (20, 24, 40), (52, 122, 88), (86, 160, 108)
FOOD, GLOW, DIM, HOME = (255, 226, 170), (255, 170, 90), (104, 78, 70), (88, 74, 130)
SPIKES, TIPS, BELLY = (150, 92, 54), (222, 164, 104), (236, 170, 150)
FACE, DARK, GREY = (250, 222, 186), (30, 26, 44), (150, 146, 150)
COLORS = (255, 112, 88), (255, 212, 96), (112, 222, 176), (190, 146, 255)
AFRAID, FADING = (70, 92, 214), (226, 232, 255)
FADES = 12  # ticks before power ends in which ghosts flicker


class MazeRenderer(PanelRenderer):
    """Draws one environment of a batch.

    Args:
        params: the mazes.
        titles: of each.
    """

    legend = "chases", "cuts off", "circles", "wanders", "is afraid", "goes home"

    def __init__(self, params: MazeParams, titles: Sequence[str]) -> None:
        self._params, self._titles = params, titles
        super().__init__(*SIZE)
        self._garden = lru_cache(16)(self._paint_garden)
        self._pellet = pygame.Surface((16, 16), pygame.SRCALPHA, 32)
        pygame.draw.aacircle(self._pellet, FOOD, (8, 8), 3.5)

    def paint(self, e: np.void, phase: float) -> None:
        """Paints the garden, pellets, ghosts and the eater."""
        m, time = self._params.mazes[e["maze"]], float(e["elapsed"]) + phase
        self.frame.blit(self._garden(int(e["maze"])), (0, 0))
        for cell in range(m["cells"]):
            if food := e["food"][m["at"][cell]]:
                x, y = self._at(m, m["place"][cell])
                self.frame.blit(self._pellet, (x - 8, y - 8))
                if food == POWER:
                    self._power((x, y), time)
        order = [g for g in range(self._params.ghosts) if e["mode"][g] != HUNTS]
        order += [g for g in reversed(range(self._params.ghosts)) if g not in order]
        for g in order:
            mode = int(e["mode"][g])
            if mode == SCARED and e["power"] < FADES and int(2 * time) % 2:
                mode = -1
            spot = self._at(m, self._spot(e, m, g, phase))
            self._ghost(spot, g, mode, int(e["heading"][1 + g]), time)
        start, end = (m["place"][e[name][0]].astype(float) for name in ("came", "cell"))
        if np.abs(end - start).max() > 1:  # out of a tunnel
            start = end - (ROWS[e["heading"][0]], COLUMNS[e["heading"][0]])
        place = self._at(m, start + (end - start) * phase)
        self._eater(place, int(e["heading"][0]), time, e["info"]["cost"] > 0)

    def _spot(self, e: np.void, m: NDArray[np.void], g: int, phase: float) -> NDArray[np.float64]:
        """Row and column of a ghost on its way; drawn half a cell behind, its cell is nearest."""
        pace = {HUNTS: self._params.speed, SCARED: FULL // 2, EYES: FULL}[int(e["mode"][g])]
        heading, last, earlier = (int(each) for each in (e["heading"][1 + g], e["last"][g], e["earlier"][g]))
        done = (e["way"][g] - (1 - phase) * pace) / FULL - 0.5
        if e["wait"][g] > 0 or heading == last ^ 2:  # still at home, or just turned round
            done = max(0.0, done)
        parts = (heading, max(0.0, done)), (last, min(0.0, max(-1.0, done))), (earlier, min(0.0, done + 1))
        return m["place"][e["cell"][1 + g]] + sum(part * np.array([ROWS[d], COLUMNS[d]]) for d, part in parts)

    @staticmethod
    def _at(m: NDArray[np.void], place: NDArray) -> tuple[float, float]:
        height, width = m["sides"]
        off = (WIDTH - width) / 2, 1 + (HEIGHT - height) / 2
        return (off[0] + place[1] + 0.5) * UNIT, (off[1] + place[0] + 0.5) * UNIT

    def _paint_garden(self, maze: int) -> pygame.Surface:
        """Hedges, paths and home."""
        m, rng = self._params.mazes[maze], np.random.default_rng(maze)
        picture = pygame.Surface(SIZE, 0, 32)
        picture.fill(SHADE)
        height, width = map(int, m["sides"])
        free = np.zeros((height, width), bool)
        free[tuple(m["place"][: m["cells"]].T)] = True
        left, top = (round(each - UNIT / 2) for each in self._at(m, np.zeros(2)))
        picture.fill(PATH, (left, top, width * UNIT, height * UNIT))
        walls = np.argwhere(~free)
        for color, radius, shift in ((SHADE, 13, 4), (HEDGE, 13, 0), (LEAF, 9, -2)):
            for r, c in walls:
                x, y = (round(each) + (0, shift)[k] for k, each in enumerate(self._at(m, np.array([r, c]))))
                pygame.draw.aacircle(picture, color, (x, y), radius)
                if c + 1 < width and not free[r, c + 1]:
                    picture.fill(color, (x, y - radius, UNIT, 2 * radius + 1))
                if r + 1 < height and not free[r + 1, c]:
                    picture.fill(color, (x - radius, y, 2 * radius + 1, UNIT))
        for r, c in walls:
            x, y = self._at(m, np.array([r, c]))
            for dx, dy in rng.uniform(-9, 9, (5, 2)):
                pygame.draw.aacircle(picture, LIGHT if dx + dy < 0 else HEDGE, (x + dx, y + dy - 2), 2)
        home = self._at(m, m["place"][m["home"]])
        for radius, color in ((14, HOME), (10, PATH), (6, HOME)):
            pygame.draw.aacircle(picture, color, home, radius)
        title = self.panel.image(self._titles[maze], (226, 228, 240), 24, SIZE[0] - 24)
        picture.blit(title, (12, 9))
        return picture

    def _power(self, place: tuple[float, float], time: float) -> None:
        radius = 8 + 1.5 * np.sin(time * 0.9)
        for color, size in ((DIM, radius + 4), (GLOW, radius), (FOOD, 5)):
            pygame.draw.aacircle(self.frame, color, place, size)

    def _eater(self, place: tuple[float, float], heading: int, time: float, is_caught: bool) -> None:
        """A hedgehog seen from above; it sways while it trots."""
        sway = 0 if is_caught else 0.12 * np.sin(2 * np.pi * time)
        angle = np.arctan2(ROWS[heading], COLUMNS[heading]) + sway

        def at(ahead: float, side: float) -> tuple[float, float]:
            turn = np.exp(1j * angle) * complex(ahead, side)
            return place[0] + turn.real, place[1] + turn.imag

        for color, size, spikes in ((SPIKES, 16.0, 26), (TIPS, 11.5, 22), (SPIKES, 7.0, 16)):
            turns = np.linspace(0.75, 2 * np.pi - 0.75, spikes)
            fur = [
                at(r * np.cos(a) - 2, r * np.sin(a))
                for a, r in zip(turns, np.resize([size, size - 3], spikes), strict=True)
            ]
            pygame.draw.polygon(self.frame, GREY if is_caught else color, fur)
        pygame.draw.aacircle(self.frame, FACE, at(9, 0), 8)
        pygame.draw.aacircle(self.frame, DARK, at(17, 0), 3)
        for side in (-4, 4):
            pygame.draw.aacircle(self.frame, DARK, at(11.5, 0.9 * side), 2)
            pygame.draw.aacircle(self.frame, BELLY, at(3, 1.9 * side), 3.4)

    def _ghost(
        self, place: tuple[float, float], g: int, mode: int, heading: int, time: float, scale: float = 1.0
    ) -> None:
        """A sheet with a waving hem, and eyes that look where it goes; of one that was eaten, eyes alone."""
        x, y = place
        color = COLORS[g] if mode == HUNTS else AFRAID if mode == SCARED else FADING
        if mode != EYES:
            y += 1.2 * np.sin(time * 0.8 + g) * scale
            self._veil(x, y, color, time, scale)
        look = COLUMNS[heading] * 2 * scale, ROWS[heading] * 2 * scale
        for side in (-5, 5):
            eye = x + side * scale, y - 3 * scale
            if mode in (HUNTS, EYES):
                pygame.draw.aacircle(self.frame, (250, 250, 255), eye, 4.4 * scale)
                pupil = eye[0] + look[0], eye[1] + look[1]
                pygame.draw.aacircle(self.frame, (40, 44, 110), pupil, 2.3 * scale)
            else:
                pygame.draw.aacircle(self.frame, FOOD if mode == SCARED else BAD, eye, 2.2 * scale)
        if mode in (SCARED, -1):
            points = [(x + k * 3 * scale, y + (6 if k % 2 else 4) * scale) for k in range(-3, 4)]
            pygame.draw.aalines(self.frame, FOOD if mode == SCARED else BAD, False, points)

    def _veil(self, x: float, y: float, color: tuple[int, int, int], time: float, scale: float) -> None:
        turns = np.linspace(np.pi, 2 * np.pi, 15)
        points = [(x + 12 * scale * np.cos(a), y + scale * (12 * np.sin(a) - 1)) for a in turns]
        wave = np.linspace(12, -12, 13)
        points += [(x + k * scale, y + scale * (11 + 2.6 * np.cos(k * np.pi / 4 + 1.5 * time))) for k in wave]
        pygame.draw.polygon(self.frame, color, points)
        pygame.draw.aalines(self.frame, color, True, points)

    def tell(self, e: np.void) -> None:
        """Writes pellets, power, and what ghosts do."""
        m = self._params.mazes[e["maze"]]
        panel, info = self.panel, e["info"]
        eaten = int(m["pellets"]) - int(e["left"])
        panel.row("pellets", f"{eaten} of {m['pellets']}")
        panel.bar(eaten / int(m["pellets"]), GOOD)
        panel.row("power", f"{e['power']} ticks" if e["power"] else "-")
        panel.bar(int(e["power"]) / self._params.power, GLOW)
        panel.row("ghosts", "scatter" if e["scatters"] else "chase", GOOD if e["scatters"] else BAD)
        panel.rule()
        end = "cleared" if info["success"] else "caught" if info["cost"] else "not yet"
        panel.row("end", end)

    def sample(self, n: int, x: int, y: int) -> None:
        """Paints a sample for the legend."""
        mode = HUNTS if n < GHOSTS else SCARED if n == GHOSTS else EYES
        self._ghost((x, y), min(n, GHOSTS - 1), mode, 1, 0.0, 0.7)
