"""Draws a robot vacuum in its flat; everything is painted by code, nothing is read from files."""

from collections.abc import Sequence

import numpy as np
import pygame
from numpy.typing import NDArray

from ..core import BAD, GOOD, Drawing, PanelRenderer
from .flat import CARPETS, DIRT, cells_of, letters_of
from .state import SIDE, VacuumParams

UNIT = 36  # pixels of a cell
SIZE = UNIT * SIDE  # of the flat's picture, in pixels
OUTSIDE, WALL, FACE = (30, 33, 44), (72, 80, 104), (118, 128, 156)
PLANKS = (206, 164, 116), (198, 154, 106), (212, 172, 124)
RUG, WEAVE = (120, 58, 84), (142, 76, 100)
SOFA, SEAT = (46, 104, 112), (66, 134, 140)
DUST = (82, 66, 52), (112, 92, 72), (58, 48, 40)
DOCK, BOLT, SHINE = (38, 46, 62), (120, 232, 150), (255, 255, 255)
SHELL, RING, EYE = (44, 48, 60), (236, 240, 246), (96, 200, 255)
FUR, STRIPE, PINK = (238, 158, 72), (196, 112, 40), (250, 196, 180)
ANGLES = 0, 90, 180, 270  # degrees clockwise of the headings


class VacuumRenderer(PanelRenderer):
    """Draws one environment of a batch.

    Args:
        params: the flats as kernels take them.
        flats: the flats as they were written.
    """

    legend = "robot", "dock", "pet", "dirt", "carpet", "furniture", "not yet seen"

    def __init__(self, params: VacuumParams, flats: Sequence[Drawing]) -> None:
        self._params, self._flats = params, flats
        super().__init__(SIZE, SIZE)

    def paint(self, e: np.void, phase: float) -> None:
        """Paints the flat as far as it is known, pet and robot."""
        flat = self._flats[e["flat"]]
        rows, columns = len(flat.rows), max(map(len, flat.rows))
        self._left, self._top = UNIT * (SIDE - columns) // 2, UNIT * (SIDE - rows) // 2
        dirt, known = (cells_of(e[name]).reshape(SIDE, SIDE) for name in ("dirt", "known"))
        self.frame.fill(OUTSIDE, (0, 0, SIZE, SIZE))
        letters = letters_of(flat.rows)
        for row, column in np.ndindex(rows, columns):
            self._tile(letters, row, column)
            if str(letters[row, column]) in DIRT:
                corner = self._at(SIDE * row + column)
                self._dust(corner, SIDE * row + column) if dirt[row, column] else self._shine(corner)
        self._dock(self._at(int(self._params.flats[e["flat"]]["dock"])))
        area = self._left, self._top, UNIT * columns, UNIT * rows
        self.veil(np.where(known[:rows, :columns].T, 0, 190), OUTSIDE, area)
        names = "pet_came", "pet", "came", "cell"
        pet_came, pet, came, cell = (np.array(self._at(int(e[name]))) + UNIT / 2 for name in names)
        if e["pet"]:
            self._pet(tuple((1 - phase) * pet_came + phase * pet))
        turn = (ANGLES[e["heading"]] - ANGLES[e["faced"]] + 180) % 360 - 180
        place = tuple((1 - phase) * came + phase * cell)
        self._robot(place, ANGLES[e["faced"]] + phase * turn, bool(e["bumped"]))

    def _at(self, cell: int) -> tuple[int, int]:
        """Upper left corner of a cell, in pixels."""
        return self._left + UNIT * (cell % SIDE), self._top + UNIT * (cell // SIDE)

    def _tile(self, letters: NDArray[np.str_], row: int, column: int) -> None:
        letter, (x, y) = letters[row, column], self._at(SIDE * row + column)
        if letter == "X":
            self.frame.fill(WALL, (x, y, UNIT, UNIT))
            if row + 1 < SIDE and letters[row + 1, column] != "X":
                self.frame.fill(FACE, (x, y + UNIT - 12, UNIT, 12))
            return
        is_rug = letter in CARPETS or letter == "o" and ":" in letters[row, column - 1 : column + 2]
        if is_rug:
            self.frame.fill(RUG, (x, y, UNIT, UNIT))
            for k in range(0, UNIT, 6):
                self.frame.fill(WEAVE, (x + k, y + (k * 5) % 9, 2, UNIT - 9))
        else:
            for k in range(3):
                self.frame.fill(PLANKS[(row + 2 * k + column // 2) % 3], (x, y + 12 * k, UNIT, 11))
                self.frame.fill((176, 134, 90), (x, y + 12 * k + 11, UNIT, 1))
        if letter == "o":
            pygame.draw.rect(self.frame, SOFA, (x + 1, y + 1, UNIT - 2, UNIT - 2), border_radius=7)
            pygame.draw.rect(self.frame, SEAT, (x + 6, y + 6, UNIT - 12, UNIT - 14), border_radius=5)

    def _dust(self, corner: Sequence[float], seed: int) -> None:
        rng = np.random.default_rng(seed)
        for k in range(16):
            spot = np.array(corner) + UNIT / 2 + rng.normal(0, UNIT / 7, 2)
            pygame.draw.aacircle(self.frame, DUST[k % 3], spot, float(rng.uniform(1.2, 3.4)))

    def _shine(self, corner: Sequence[float]) -> None:
        x, y = corner[0] + UNIT - 11, corner[1] + 11
        for length, width in ((6, 1), (3, 3)):
            pygame.draw.line(self.frame, SHINE, (x - length, y), (x + length, y), width)
            pygame.draw.line(self.frame, SHINE, (x, y - length), (x, y + length), width)

    def _dock(self, corner: Sequence[float], scale: float = 1.0) -> None:
        x, y, size = corner[0] + 2 * scale, corner[1] + 2 * scale, (UNIT - 4) * scale
        pygame.draw.rect(self.frame, DOCK, (x, y, size, size), border_radius=round(7 * scale))
        points = np.array([(18, 3), (8, 18), (15, 18), (12, 29), (24, 13), (17, 13)]) * scale + (x, y)
        pygame.draw.polygon(self.frame, BOLT, points)

    def _pet(self, middle: Sequence[float], scale: float = 1.0) -> None:
        def at(x: float, y: float) -> tuple[float, float]:
            return middle[0] + scale * x, middle[1] + scale * y

        tail = [at(8, 6), at(14, 3), at(15, -5), at(12, -8)]
        pygame.draw.lines(self.frame, STRIPE, False, tail, max(2, round(4 * scale)))
        pygame.draw.aacircle(self.frame, FUR, at(2, 4), 11 * scale)
        for k in (-2, 3, 8):
            pygame.draw.line(self.frame, STRIPE, at(k + 2, -4), at(k + 1, 2), max(1, round(2 * scale)))
        for side in (-1, 1):
            ear = [at(-6 + 8 * side, -15), at(-6 + 8 * side, -4), at(-6 + 1 * side, -8)]
            pygame.draw.polygon(self.frame, FUR, ear)
        pygame.draw.aacircle(self.frame, FUR, at(-6, -3), 8.5 * scale)
        for side in (-1, 1):
            pygame.draw.aacircle(self.frame, (40, 60, 40), at(-6 + 3.4 * side, -4), 1.6 * scale)
        pygame.draw.aacircle(self.frame, PINK, at(-6, 0), 1.5 * scale)

    def _robot(self, place: Sequence[float], angle: float, bumped: bool, scale: float = 1.0) -> None:
        ahead = np.array([np.sin(np.radians(angle)), -np.cos(np.radians(angle))])
        aside, middle = np.array([-ahead[1], ahead[0]]), np.array(place)
        brush = middle + scale * (9 * ahead + 10 * aside)
        for turn in range(6):
            way = np.array([np.cos(turn * np.pi / 3 + 0.3), np.sin(turn * np.pi / 3 + 0.3)])
            pygame.draw.line(self.frame, RING, brush, brush + 8 * scale * way, 1)
        circles = (RING, 15.5), (SHELL, 13.5), ((66, 72, 88), 7.5), (SHELL, 5.5)
        for color, radius in circles:
            pygame.draw.aacircle(self.frame, color, tuple(middle), radius * scale)
        spread = np.radians(angle) + np.linspace(-0.9, 0.9, 9)
        arc = middle + 14 * scale * np.stack([np.sin(spread), -np.cos(spread)], axis=1)
        pygame.draw.lines(self.frame, BAD if bumped else EYE, False, arc, max(2, round(4 * scale)))
        pygame.draw.aacircle(self.frame, GOOD, tuple(middle - 3 * scale * ahead), 2.2 * scale)

    def tell(self, e: np.void) -> None:
        """Writes battery and dirt."""
        panel, info = self.panel, e["info"]
        left = e["battery"] / self._params.flats[e["flat"]]["battery"]
        panel.gauge("battery", f"{e['battery']}", left, GOOD if left > 0.3 else BAD)
        panel.gauge("cleaned", f"{100 * info['cleaned']:.0f} %", info["cleaned"], GOOD)
        panel.row("cells still dirty", f"{e['dirty']}")
        panel.rule()
        end = "done" if info["success"] else "battery flat" if info["flat_battery"] else "not yet"
        panel.row("end", end)

    def sample(self, n: int, x: int, y: int) -> None:
        """Paints a sample for the legend."""
        name = self.legend[n]
        if name == "robot":
            self._robot((x, y), 45, False, 0.6)
        elif name == "dock":
            self._dock((x - 9, y - 9), 0.5)
        elif name == "pet":
            self._pet((x, y), 0.6)
        else:
            plain = {"dirt": PLANKS[0], "carpet": RUG, "furniture": SEAT, "not yet seen": (52, 54, 64)}
            self.frame.fill(plain[name], (x - 8, y - 8, 16, 16))
            for k in range(5 if name == "dirt" else 0):
                pygame.draw.aacircle(self.frame, DUST[k % 3], (x - 4 + 2 * k, y + (3 * k) % 7 - 3), 2)
