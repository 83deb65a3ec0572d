"""Pictures of environments, one panel of text for all, and what an agent sees, on one surface."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pygame
from numpy.typing import NDArray

from ...envs.core.renderer import ACCENT, Panel, font, shortened
from .seen import Plane, Sees, number_text

BACKGROUND = (24, 26, 32)
TEXT = (226, 228, 233)
FAINT = (140, 146, 158)
BAR = (84, 118, 168)
BEST = (240, 176, 64)
RAMP = ((12, 14, 20), (70, 104, 158), (255, 232, 178))
"""Colors of the least, the middle and the greatest number of a plane."""
GAP = 8
LINE = 20
LETTERS, SMALL = 20, 17
"""Sizes of the font."""
NUMBER = 64
"""Width of a number beside its bar, in pixels."""
CELL = 132
"""Width of a number with its name, and of a column of a table, in pixels."""
SMALLEST = 360
"""Smaller pictures are enlarged to this width."""
BESIDE, WIDEST = 372, 680
"""Width of what the agent sees, beside the pictures."""
BELOW, TALLEST = 200, 420
"""Height of what the agent sees, below the pictures."""
PANEL = 216
"""Width of the panel for environments that draw none."""

Size = tuple[int, int]


class View(NamedTuple):
    """What there is to be drawn at one time."""

    pictures: tuple[NDArray[np.uint8], ...]
    """One for each environment."""
    captions: tuple[str, ...] = ()
    """A line below each; none where there is one picture."""
    panel: NDArray[np.uint8] | None = None
    """The text that all share, drawn by the world."""
    rows: tuple[tuple[str, str], ...] = ()
    """Labels and values of the panel where the world draws none."""
    chosen: int = 0
    """Of which picture the panel tells."""
    sees: Sees | None = None
    """What its agent sees."""


class Board:
    """Draws views, made to fit into a size.

    Args:
        limit: largest width and height in pixels.

    Attributes:
        places: where each picture lies in the last view drawn.
    """

    def __init__(self, limit: Size) -> None:
        self._limit = limit
        self.places: list[pygame.Rect] = []
        self._sizes: list[Size] = []

    def pixel(self, point: tuple[int, int]) -> tuple[float, float] | None:
        """The pixel of the first picture that is shown at a point of the last view; None outside of it."""
        if not self.places or not self.places[0].collidepoint(point):
            return None
        place, (width, height) = self.places[0], self._sizes[0]
        return (point[0] - place.x) * width / place.width, (point[1] - place.y) * height / place.height

    def draw(self, view: View, status: Sequence[str]) -> pygame.Surface:
        """Draws a view with lines of status below it; the size is even, as video wants it."""
        below = LINE * len(status) + (GAP if status else 0)
        room = self._limit[0] - 2 * GAP, self._limit[1] - below - 2 * GAP
        sees, size = view.sees, (0, 0)
        if sees is None:
            main = self._main(view, room)
        else:
            beside = max(room[0] - BESIDE - GAP, 64), room[1]
            under = room[0], max(room[1] - BELOW - GAP, 64)
            is_beside = self._scale(view, beside) >= self._scale(view, under)
            main = self._main(view, beside if is_beside else under)
            left = room[0] - main.get_width() - GAP, room[1] - main.get_height() - GAP
            if is_beside and _is_text(sees):
                lines = _lines(sees, BESIDE) + len(sees.values) + 3
                size = BESIDE, max(main.get_height(), min(LINE * lines, room[1]))
            elif is_beside:
                size = min(left[0], WIDEST), max(main.get_height(), min(room[1], WIDEST))
            else:
                size = max(main.get_width(), min(room[0], WIDEST)), min(left[1], TALLEST)
        corner = (
            (GAP + main.get_width() + GAP, GAP) if sees and is_beside else (GAP, 2 * GAP + main.get_height())
        )
        wide = max([main.get_width() + GAP, *(font(LETTERS).size(line)[0] + GAP for line in status)])
        high = main.get_height() + GAP
        if sees:
            wide, high = max(wide, corner[0] + size[0]), max(high, corner[1] + size[1])
        board = pygame.Surface((_even(wide + GAP), _even(high + GAP + below)), 0, 32)
        board.fill(BACKGROUND)
        board.blit(main, (GAP, GAP))
        if sees:
            draw_sees(board.subsurface((*corner, *size)), sees)
        for n, line in enumerate(status):
            write(board, line, (GAP, high + GAP + n * LINE), FAINT)
        for place in self.places:
            place.move_ip(GAP, GAP)
        return board

    def _grid(self, view: View, room: Size) -> tuple[int, int, Size]:
        """Columns and rows in which the pictures are largest, and the room of each of them."""
        count, line = len(view.pictures), LINE if view.captions else 0
        panel = self._panel_size(view, room[1])[0]
        wide, high = _size(view.pictures[0])
        found = []
        for columns in range(1, count + 1):
            rows = math.ceil(count / columns)
            cell = (room[0] - panel + GAP) // columns - GAP, (room[1] + GAP) // rows - GAP - line
            found.append((min(cell[0] / wide, cell[1] / high), -columns, rows, cell))
        _, columns, rows, cell = max(found)
        return -columns, rows, (max(cell[0], 16), max(cell[1], 16))

    def _scale(self, view: View, room: Size) -> float:
        """How large pictures become, 1 for as they are or larger."""
        *_, (width, height) = self._grid(view, room)
        wide, high = _size(view.pictures[0])
        return min(1.0, width / wide, height / high)

    def _panel_size(self, view: View, height: int) -> Size:
        """Width, with a gap, and height of the panel."""
        if view.panel is not None:
            wide, high = _size(view.panel)
            share = min(1.0, height / high)
            return round(wide * share) + GAP, round(high * share)
        return (PANEL + GAP, Panel.LINE * len(view.rows) + 2 * Panel.MARGIN) if view.rows else (0, 0)

    def _main(self, view: View, room: Size) -> pygame.Surface:
        """The pictures with their captions, and the panel beside them."""
        columns, rows, cell = self._grid(view, room)
        surfaces = [fit(picture, *cell) for picture in view.pictures]
        wide, high = (max(surface.get_size()[k] for surface in surfaces) for k in (0, 1))
        line = LINE if view.captions else 0
        panel, tall = self._panel_size(view, room[1])
        self.places, self._sizes = [], [_size(picture) for picture in view.pictures]
        if len(surfaces) == 1 and not panel:  # most often, and 60 times a second: not copied once more
            self.places.append(surfaces[0].get_rect())
            return surfaces[0]
        width = columns * (wide + GAP) - GAP
        height = rows * (high + line + GAP) - GAP
        main = pygame.Surface((width + panel, max(height, tall)), 0, 32)
        main.fill(BACKGROUND)
        for n, surface in enumerate(surfaces):
            x, y = n % columns * (wide + GAP), n // columns * (high + line + GAP)
            self.places.append(main.blit(surface, (x, y)))
            chosen = n == view.chosen and len(surfaces) > 1
            if chosen:
                pygame.draw.rect(main, ACCENT, self.places[-1], 2)
            if view.captions:
                caption = shortened(view.captions[n], LETTERS, wide)
                write(main, caption, (x, y + high + 4), TEXT if chosen else FAINT)
        if panel:
            text = self._panel(view, main.get_height() if view.panel is None else tall, panel - GAP)
            main.blit(text, (width + GAP, 0))
        return main

    def _panel(self, view: View, height: int, width: int) -> pygame.Surface:
        if view.panel is not None:
            return fit(view.panel, width, height)
        panel = Panel(pygame.Surface((width, height), 0, 32))
        panel.begin()
        for label, value in view.rows:
            panel.row(label, value)
        return panel.surface


# ------------------------------------------------------------ what the agent sees


def draw_sees(surface: pygame.Surface, sees: Sees) -> None:
    """Draws what an agent sees and expects into all of a surface."""
    room = surface.get_rect()
    write(surface, shortened(sees.title, LETTERS, room.width), room.topleft, FAINT)
    room = _below(room, LINE + 4)
    shows = bool(_lines(sees, 1)) or not _is_text(sees)
    values = pygame.Rect(0, 0, 0, 0)
    if sees.values and shows and room.width > room.height:  # side by side
        values = pygame.Rect(room.centerx + GAP, room.y, room.width // 2 - GAP, room.height)
        room.width = room.width // 2 - GAP
    elif sees.values:
        tall = LINE * _lines(sees, room.width) if _is_text(sees) else room.height
        tall = min(tall, room.height - min(LINE * (len(sees.values) + 1), room.height // 2) - GAP)
        values = pygame.Rect(room.x, room.y + tall + GAP, room.width, room.height - tall - GAP)
        room.height = tall
    for line in sees.words:
        write(surface, shortened(line, LETTERS, room.width), room.topleft, TEXT)
        room = _below(room, LINE)
    if sees.numbers:
        _draw_numbers(surface, sees.numbers, room)
    if sees.planes:
        _draw_planes(surface, sees.planes, room)
    if sees.table:
        _draw_table(surface, sees.table, room)
    if sees.picture is not None:
        surface.blit(fit(sees.picture, max(room.width, 1), max(room.height, 1)), room)
    if sees.values:
        _draw_values(surface, sees.values, sees.values_are, values)


def _is_text(sees: Sees) -> bool:
    """Whether there is nothing to see that is drawn as large as there is room."""
    return not (sees.planes or sees.table or sees.picture is not None)


def _lines(sees: Sees, width: int) -> int:
    """Lines that words and numbers take."""
    return len(sees.words) + math.ceil(len(sees.numbers) / max(width // CELL, 1))


def _draw_numbers(surface: pygame.Surface, numbers: Sequence[tuple[str, str]], room: pygame.Rect) -> None:
    columns = max(room.width // CELL, 1)
    for n, (name, number) in enumerate(numbers):
        x, y = room.x + n % columns * CELL, room.y + n // columns * LINE
        name = shortened(name, LETTERS, CELL // 2)
        write(surface, name, (x, y), FAINT)
        write(surface, number, (x + font(LETTERS).size(name)[0] + GAP, y), TEXT)


def _draw_planes(surface: pygame.Surface, planes: Sequence[Plane], room: pygame.Rect) -> None:
    """Draws named planes side by side, as large as fits, and their scale below them."""
    shared = len({(plane.low, plane.high) for plane in planes}) == 1
    names = [""] if len(planes) == 1 else [plane.name if shared else _ranged(plane) for plane in planes]
    high, wide = planes[0].values.shape
    height = room.height - (LINE + GAP if shared else 0)
    for lines in (1, 2):  # names that are wider than their planes are broken
        head = (SMALL - 2) * lines if len(planes) > 1 else 0
        best: tuple[float, int] = 0.0, -1
        for columns in range(1, len(planes) + 1):
            rows = math.ceil(len(planes) / columns)
            scale = min((room.width // columns - GAP) / wide, (height // rows - head - GAP) / high)
            best = max(best, (scale, -columns))
        scale, columns = best[0], -best[1]
        size = max(1, int(wide * scale)), max(LINE if high == 1 else 1, int(high * scale))
        if max(font(SMALL).size(name)[0] for name in names) < size[0] + GAP:
            break
    for n, (name, plane) in enumerate(zip(names, planes, strict=True)):
        x, y = room.x + n % columns * (size[0] + GAP), room.y + n // columns * (size[1] + head + GAP)
        for k, line in enumerate(name.split(" ", 1) if lines == 2 else [name]):
            line = shortened(line, SMALL, size[0] + GAP - 2)
            write(surface, line, (x, y + k * (SMALL - 3)), FAINT, SMALL)
        place = pygame.Rect(x, y + head, *size)
        surface.blit(pygame.transform.scale(_surface(colored(plane)), size), place)
        if plane.values.min() == plane.values.max() and plane.values.size > 1:
            _stamp(surface, number_text(float(plane.values.flat[0])), place)
    if shared:
        rows = math.ceil(len(planes) / columns)
        _draw_scale(surface, planes[0], (room.x, room.y + rows * (size[1] + head + GAP) + 2))


def _ranged(plane: Plane) -> str:
    return f"{plane.name}: {number_text(plane.low)} to {number_text(plane.high)}"


def _stamp(surface: pygame.Surface, text: str, place: pygame.Rect) -> None:
    """Writes the one number of a plane into its middle."""
    if font(SMALL).size(text)[0] + 6 > place.width or place.height < SMALL:
        return
    words = font(SMALL).render(text, True, TEXT)
    chip = words.get_rect(center=place.center)
    pygame.draw.rect(surface, BACKGROUND, chip.inflate(6, 4), border_radius=3)
    surface.blit(words, chip)


def _draw_scale(surface: pygame.Surface, plane: Plane, place: tuple[int, int]) -> None:
    low, high = number_text(plane.low), number_text(plane.high)
    x = place[0] + font(SMALL).size(low)[0] + 5
    ramp = colored(Plane("", np.linspace(0, 1, 120)[None], 0, 1))
    write(surface, low, place, FAINT, SMALL)
    surface.blit(pygame.transform.scale(_surface(ramp), (120, 10)), (x, place[1]))
    write(surface, high, (x + 125, place[1]), FAINT, SMALL)


def colored(plane: Plane) -> NDArray[np.uint8]:
    """(height, width, 3) colors of a plane's numbers."""
    share = (plane.values - plane.low) / max(plane.high - plane.low, 1e-9)
    channels = [np.interp(share, (0, 0.5, 1), [color[k] for color in RAMP]) for k in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _draw_table(surface: pygame.Surface, table: Sequence[tuple[str, ...]], room: pygame.Rect) -> None:
    """Draws the head and the first rows, and of the columns those for which there is room."""
    shown = table[: max(room.height // LINE, 1)]
    x = room.x
    for column in range(len(table[0])):
        cells = [row[column] for row in shown]
        width = max(max(font(LETTERS).size(cell)[0] for cell in cells), 44)
        if x + width > room.right:
            return
        for n, cell in enumerate(cells):
            color = FAINT if n == 0 or column == 0 else BEST if n == 1 else TEXT
            left = x + width - font(LETTERS).size(cell)[0]
            write(surface, cell, (left, room.y + n * LINE), color)
        x += width + 2 * GAP


def _draw_values(
    surface: pygame.Surface, values: Sequence[tuple[str, float | None]], are: str, room: pygame.Rect
) -> None:
    """Draws bars from a common zero; of many actions the best, as many as there is room for."""
    lines = max(room.height // LINE - 1, 1)
    title = f"{are} of each action"
    if len(values) > lines:
        values = sorted(values, key=lambda each: math.inf if each[1] is None else -each[1])[:lines]
        title = f"{are} of the best {len(values)} actions"
    write(surface, shortened(title, LETTERS, room.width), room.topleft, FAINT)
    possible = [value for _, value in values if value is not None]
    low, high = min([0.0, *possible]), max([0.0, *possible])
    left = room.x + GAP + min(max(font(LETTERS).size(name)[0] for name, _ in values), room.width // 2)
    before = NUMBER if low < 0 else 0  # numbers stand outside of their bars
    width = max(room.right - left - before - NUMBER, GAP)
    zero = left + before + round(-low / max(high - low, 1e-9) * width)
    for n, (name, value) in enumerate(values, 1):
        y = room.y + n * LINE
        name = shortened(name, LETTERS, left - GAP - room.x)
        write(surface, name, (room.x, y + 3), FAINT if value is None else TEXT)
        if value is None:
            write(surface, "not possible", (zero + 5, y + 4), FAINT, SMALL)
            continue
        color = BEST if value == max(possible) else BAR
        length = round(abs(value) / max(high - low, 1e-9) * width)
        start = zero - length if value < 0 else zero
        pygame.draw.rect(surface, color, (start, y + 4, max(length, 1), LINE - 8))
        text = f"{value:.2f}"
        x = start - font(LETTERS).size(text)[0] - 4 if value < 0 else start + length + 5
        write(surface, text, (x, y + 3), color)
    pygame.draw.line(surface, FAINT, (zero, room.y + LINE + 1), (zero, room.y + (len(values) + 1) * LINE - 1))


# ------------------------------------------------------------ parts


def write(
    surface: pygame.Surface,
    text: str,
    place: tuple[int, int],
    color: tuple[int, int, int],
    size: int = LETTERS,
) -> None:
    """Writes one line."""
    surface.blit(font(size).render(text, True, color), place)


def fit(picture: NDArray[np.uint8], width: int, height: int) -> pygame.Surface:
    """A picture as a surface that fits into a size; small ones are enlarged by a whole number."""
    w, h = _size(picture)
    surface = _surface(picture)
    if w > width or h > height:
        scale = min(width / w, height / h)
        return pygame.transform.smoothscale(surface, (max(1, int(w * scale)), max(1, int(h * scale))))
    scale = min(math.ceil(SMALLEST / w), width // w, height // h)
    return pygame.transform.scale(surface, (w * scale, h * scale)) if scale > 1 else surface


def _surface(picture: NDArray[np.uint8]) -> pygame.Surface:
    return pygame.image.frombuffer(np.ascontiguousarray(picture).data, _size(picture), "RGB")


def _size(picture: NDArray[np.uint8]) -> Size:
    return picture.shape[1], picture.shape[0]


def _below(room: pygame.Rect, height: int) -> pygame.Rect:
    return pygame.Rect(room.x, room.y + height, room.width, max(room.height - height, 0))


def _even(number: int) -> int:
    return number + number % 2
