"""Draws the kiosk world: the map with its people and kiosks, and a panel with who walks how far."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pygame
from numpy.typing import NDArray

from ..core.renderer import ACCENT, BAD, BOARD, FAINT, GOOD, RULE, TEXT, Color, Panel, Sprites, to_array
from ..core.splits import shown_name
from ..core.world import Renderer
from .objective import Objective
from .pool import Pool
from .scene import BINS, LAWN, City, Histogram, Scene, color
from .state import KioskParams
from .validate import with_kiosks

MAP = 768
"""Pixels along the map's side."""
PANEL_WIDTH = 280
GROUND = (236, 230, 214)
NOBODYS = (122, 120, 118)
"""Color of people while there is no kiosk."""
SITE = (176, 168, 150)
REALM = 46
"""How strongly a kiosk colors its realm, of 255."""
THREAD = 90
"""The same, for the lines from people to their kiosk."""
RIVAL_TINT = (150, 154, 168)
BIGGEST, SMALLEST = 0.9, 0.5
"""Scale of a kiosk's sprite where there are few, and many."""
DROP = 60
"""Pixels from which a new kiosk comes down."""
LEGEND_LINE = 30
BEST_SITES = 8
"""Sites of which the agent's values are written on the map."""
WHITE = (255, 255, 255)
"""Light that leaves a sprite's colors as they are."""
HISTOGRAM = 130
"""Pixels of height."""

TITLES = {
    "p-median": ("mean walk", "steps", "saves"),
    "p-center": ("longest walk", "steps", "saves"),
    "coverage": ("people covered", "%", "wins"),
    "revenue": ("people won", "%", "wins"),
}
"""What each objective counts, its unit, and what a kiosk does for it."""


class KioskRenderer(Renderer):
    """Draws one environment of a batch of kiosk worlds.

    Args:
        pool: cities of the world whose states are drawn.
        params: its tables.
        objective: what counts.
    """

    panel_width = PANEL_WIDTH
    draws = ("cursor", "values", "marks")

    def __init__(self, pool: Pool, params: KioskParams, objective: Objective) -> None:
        self._params, self._objective = params, objective
        self._scene = Scene(pool)
        self._frame = pygame.Surface((MAP + PANEL_WIDTH, MAP), 0, 32)
        self._map = self._frame.subsurface((0, 0, MAP, MAP))
        self._panel = Panel(self._frame.subsurface((MAP, 0, PANEL_WIDTH, MAP)))
        self._sprites = Sprites("kiosk")

    def draw(
        self,
        state: NDArray,
        i: int = 0,
        *,
        phase: float = 1.0,
        hud: Mapping[str, str] | None = None,
        marks: NDArray | None = None,
        values: NDArray | None = None,
        cursor: int | None = None,
    ) -> NDArray[np.uint8]:
        """Draws environment `i`.

        Args:
            state: batch of the kiosk's state records.
            i: which of them.
            phase: how much of the last step has been shown, from 0 (the state before it) to 1.
            hud: further lines for the panel, label to text.
            marks: (C, 2) x and y of places to be marked, in steps: a search's centres of clusters.
            values: (A,) what an agent expects of each site, NaN where none can be built on; the best are
                written beside their sites.
            cursor: the site that is pointed at; beside it stands what a kiosk there would save.

        Returns:
            (height, width, 3) uint8 picture, of one size whatever the state.
        """
        e = state[i]
        city = self._scene.city(e)
        self._draw_ground(e)
        self._draw_people(e, city)
        self._draw_sites(e, city)
        self._draw_kiosks(e, city, phase)
        if marks is not None and city.origin is not None:
            self._draw_marks((marks - city.origin) / city.side)
        places = self.spots(state, i)
        if values is not None:
            self._draw_values(places, values)
        if cursor is not None and not e["done"] and not np.isnan(places[cursor, 0]):
            text = f"site {cursor}: {self._worth(state[i : i + 1], cursor)}"
            self._draw_ring(places[cursor], ACCENT, 13)
            self._draw_chip(places[cursor], text, ACCENT, 24, [])
        self._write(e, city, hud or {})
        return to_array(self._frame)

    def spots(self, state: NDArray, i: int = 0) -> NDArray[np.float64]:
        """(A, 2) pixels of the picture where the sites are, NaN where no kiosk may be placed."""
        e = state[i]
        places = np.full((len(e["taken"]), 2), np.nan)
        free = np.flatnonzero(e["taken"] == 0)
        places[free] = self._scene.city(e).corners[free] * MAP
        return places

    # ------------------------------------------------------------ the map

    def _draw_ground(self, e: np.void) -> None:
        self._map.fill(GROUND)
        if self._draw_plan(e):
            return
        realms = self._scene.realms(e)
        if realms is None:
            return
        colors = np.array([color(k) for k in range(len(e["kiosks"]))])
        tints = (np.array(GROUND) * (255 - REALM) + colors * REALM) // 255
        surface = pygame.surfarray.make_surface(tints[realms].swapaxes(0, 1))
        self._map.blit(pygame.transform.scale(surface, (MAP, MAP)), (0, 0))

    def _draw_plan(self, e: np.void) -> bool:
        """Draws the streets of a city, where it has any, with the realms of the kiosks on them."""
        plan, city = self._scene.plan(e), self._scene.city(e)
        if plan is None or city.origin is None:
            return False
        streets = city.instance.streets
        assert streets is not None
        self._map.fill(LAWN)
        step = MAP / city.side
        cell = (streets.cell_metres or 1) * step
        surface = pygame.surfarray.make_surface(plan.swapaxes(0, 1))
        size = [round(cell * side) for side in surface.get_size()]
        corner = -city.origin * step - cell / 2  # a place is the middle of a cell
        self._map.blit(pygame.transform.scale(surface, size), corner)
        if streets.credit:
            words = self._panel.image(streets.credit, TEXT, 19, MAP - 16)
            place = words.get_rect(bottomleft=(8, MAP - 6))
            pygame.draw.rect(self._map, BOARD, place.inflate(10, 6), border_radius=4)
            self._map.blit(words, place)
        return True

    def _draw_people(self, e: np.void, city: City) -> None:
        homes, corners = city.homes * MAP, city.corners * MAP
        visits = e["visits"][: len(homes)]
        threads = self._map.copy()
        for j in np.flatnonzero(visits >= 0):
            site = e["kiosks"][visits[j]]
            pygame.draw.aaline(threads, color(visits[j]), homes[j], corners[site])
        threads.set_alpha(THREAD)
        self._map.blit(threads, (0, 0))
        weights = city.instance.weights
        mean = weights.sum() / len(weights)
        scale = 5.5 * min(1.0, math.sqrt(150 / len(weights)))
        for (x, y), weight, visit in zip(homes, weights, visits, strict=True):
            if weight == 0:
                continue
            radius = max(2.0, scale * math.sqrt(weight / mean))
            inside = NOBODYS if visit < 0 else color(int(visit))
            pygame.draw.circle(self._map, GROUND, (x, y), radius + 1.2)
            pygame.draw.circle(self._map, inside, (x, y), radius)

    def _draw_sites(self, e: np.void, city: City) -> None:
        """Marks the sites where a kiosk may be placed, unless they are simply the points."""
        if city.homes.shape == city.corners.shape and np.allclose(city.homes, city.corners):
            return
        for x, y in city.corners[e["taken"][: len(city.corners)] == 0] * MAP:
            pygame.draw.rect(self._map, SITE, (round(x) - 3, round(y) - 3, 7, 7), 2)

    def _draw_kiosks(self, e: np.void, city: City, phase: float) -> None:
        rivals = city.instance.rivals
        count = len(e["kiosks"]) + len(rivals)
        scale = min(BIGGEST, max(SMALLEST, BIGGEST * math.sqrt(12 / count)))
        stalls: list[tuple[NDArray, str, Color]] = [
            (city.corners[site] * MAP, "rival", RIVAL_TINT) for site in rivals
        ]
        for number, site in enumerate(e["kiosks"]):
            if site >= 0:
                place = city.corners[site] * MAP
                if number == e["elapsed"] - 1:
                    place = place - (0, DROP * (1 - phase) ** 2)
                stalls.append((place, "kiosk", color(number)))
        for place, name, tint in sorted(stalls, key=lambda stall: stall[0][1]):
            self._draw_stall(self._map, (float(place[0]), float(place[1])), name, tint, round(scale, 2))

    def _draw_stall(
        self, surface: pygame.Surface, foot: tuple[float, float], name: str, tint: Color, scale: float
    ) -> None:
        for part, light in ((name, WHITE), ("awning", WHITE), ("stripes", tint)):
            sprite = self._sprites.get(part, scale, 0, light)
            corner = foot[0] - sprite.get_width() / 2, foot[1] - 0.85 * sprite.get_height()
            surface.blit(sprite, corner, special_flags=pygame.BLEND_PREMULTIPLIED)

    def _draw_marks(self, places: NDArray) -> None:
        for number, (x, y) in enumerate(places * MAP):
            for width, shade in ((7, GROUND), (3, color(number))):
                for dx, dy in ((8, 8), (8, -8)):
                    pygame.draw.line(self._map, shade, (x - dx, y - dy), (x + dx, y + dy), width)

    def _draw_values(self, places: NDArray, values: NDArray) -> None:
        known = np.flatnonzero(~np.isnan(values) & ~np.isnan(places[:, 0]))
        best = known[np.argsort(-values[known], kind="stable")][:BEST_SITES]
        chips: list[pygame.Rect] = []
        for rank, site in enumerate(best):
            color = TEXT if rank else ACCENT
            self._draw_ring(places[site], color, 8)
            self._draw_chip(places[site], f"{values[site]:.2f}", color, 19, chips)

    def _draw_ring(self, place: NDArray, color: Color, radius: int) -> None:
        pygame.draw.circle(self._map, BOARD, place, radius + 2, 5)
        pygame.draw.circle(self._map, color, place, radius, 2)

    def _draw_chip(
        self, place: NDArray, text: str, color: Color, size: int, others: list[pygame.Rect]
    ) -> None:
        """Writes beside a place, within the map, where it covers no other text; else nowhere."""
        words = self._panel.image(text, color, size, MAP - 40)
        chip = words.get_rect().inflate(12, 8)
        x, y = round(place[0]), round(place[1])
        away = chip.width // 2 + 16, chip.height // 2 + 14
        for dx, dy in ((1, 0), (-1, 0), (0, -1), (0, 1)):
            chip.center = x + dx * away[0], y + dy * away[1]
            if self._map.get_rect().contains(chip) and chip.collidelist(others) < 0:
                pygame.draw.rect(self._map, BOARD, chip, border_radius=5)
                self._map.blit(words, words.get_rect(center=chip.center))
                others.append(chip)
                return

    def _worth(self, record: NDArray, site: int) -> str:
        """What a kiosk would change, by the world's own rules, in words."""
        kiosks, placed = record["kiosks"].copy(), record["placed"]
        kiosks[0, placed] = site
        _, unit, does = TITLES[self._objective.kind]
        then = with_kiosks(self._params, record, kiosks, placed + 1)
        change = then["info"]["objective"][0] - record["info"]["objective"][0]
        return f"{does} {abs(change):.1f} {unit}"

    # ------------------------------------------------------------ the panel

    def _write(self, e: np.void, city: City, hud: Mapping[str, str]) -> None:
        panel, info = self._panel, e["info"]
        title, unit, _ = TITLES[self._objective.kind]
        panel.begin()
        panel.write(f"{info['objective']:.1f} {unit}", panel.MARGIN, panel.y, size=40)
        panel.y += 34
        panel.write(title, panel.MARGIN, panel.y, FAINT)
        panel.y += 26
        panel.rule()
        panel.row("city", shown_name(city.instance.name))
        instance = self._params.instances[e["instance"]]
        panel.row("kiosks", f"{e['placed']} of {instance['num_kiosks']}")
        self._write_colors(e, int(instance["num_kiosks"]))
        panel.row("people", f"{instance['people']}")
        if len(city.instance.rivals):
            panel.row("rivals", f"{len(city.instance.rivals)}")
        panel.rule()
        self._write_optimum(e, unit)
        panel.rule()
        self._write_histogram(e, city)
        panel.rule()
        panel.rows(hud)
        rivals = bool(len(city.instance.rivals))
        legend_top = panel.surface.get_height() - panel.MARGIN - LEGEND_LINE * (4 + rivals)
        if panel.y <= legend_top:
            self._write_legend(legend_top, rivals)

    def _write_colors(self, e: np.void, count: int) -> None:
        """Shows the color of each kiosk, filled where it stands."""
        panel = self._panel
        width = panel.surface.get_width() - 2 * panel.MARGIN
        for number in range(count):
            left, right = (panel.MARGIN + width * k // count for k in (number, number + 1))
            rect = pygame.Rect(left, panel.y, max(2, right - left - 2), 8)
            stands = e["kiosks"][number] >= 0
            pygame.draw.rect(panel.surface, color(number), rect, 0 if stands else 1)
        panel.y += 16

    def _write_legend(self, y: int, rivals: bool) -> None:
        panel = self._panel
        middle = panel.MARGIN + 14
        stalls = [("kiosk", color(0), "kiosk"), ("rival", RIVAL_TINT, "rival")][: 1 + rivals]
        for number, text in enumerate(
            [text for *_, text in stalls]
            + ["site where one may be placed", "people, colored by kiosk", "mean walk"]
        ):
            panel.write(text, middle + 30, y + number * LEGEND_LINE + 8, FAINT, 19)
        for name, tint, _ in stalls:
            self._draw_stall(panel.surface, (middle, y + 25), name, tint, 0.45)
            y += LEGEND_LINE
        y += LEGEND_LINE // 2
        pygame.draw.rect(panel.surface, SITE, (middle - 4, y - 4, 8, 8), 2)
        pygame.draw.circle(panel.surface, color(0), (middle, y + LEGEND_LINE), 6)
        y += 2 * LEGEND_LINE
        pygame.draw.line(panel.surface, TEXT, (middle, y - 8), (middle, y + 8))

    def _write_optimum(self, e: np.void, unit: str) -> None:
        """The objective against the optimum: a bar that is full when it is reached."""
        panel, info = self._panel, e["info"]
        instance = self._params.instances[e["instance"]]
        scale = instance["scale"] / instance["per"] / 1024
        panel.row("start", f"{int(e['start']) * scale:.1f} {unit}")
        if info["optimum"] < 0:
            panel.row("optimum", "not known", FAINT)
            return
        panel.row("optimum", f"{int(info['optimum']) * scale:.1f} {unit}")
        done = (int(e["start"]) - int(e["total"])) / max(1, abs(int(e["start"]) - int(info["optimum"])))
        reached = info["regret"] == 0
        worst = BAD if info["regret"] > 0.1 else TEXT
        panel.row("regret", f"{100 * info['regret']:.2f} %", GOOD if reached else worst)
        panel.bar(done, GOOD if reached else ACCENT)

    def _write_histogram(self, e: np.void, city: City) -> None:
        panel = self._panel
        panel.write("people by walking distance", panel.MARGIN, panel.y, FAINT, 19)
        panel.y += 20
        left, width = panel.MARGIN, panel.surface.get_width() - 2 * panel.MARGIN
        bottom = panel.y + HISTOGRAM
        if (e["visits"][: city.instance.num_points] >= 0).all():
            self._draw_bars(self._scene.histogram(e), city, pygame.Rect(left, panel.y, width, HISTOGRAM))
        if self._objective.kind in ("coverage", "revenue"):
            x = left + min(1.0, self._objective.radius / city.reach) * width
            for y in range(panel.y, bottom, 6):
                pygame.draw.line(panel.surface, ACCENT, (x, y), (x, y + 2))
        pygame.draw.line(panel.surface, RULE, (left, bottom), (left + width, bottom))
        panel.y = bottom + 5
        panel.row("0 steps", f"{city.reach} or more", FAINT)

    def _draw_bars(self, histogram: Histogram, city: City, room: pygame.Rect) -> None:
        """Draws how many people walk how far, each kiosk's in its color, and a line at the mean."""
        surface = self._panel.surface
        # A sixth of the people in one bar fill the room, unless a bar has more.
        unit = room.height / max(histogram.people.sum(axis=0).max(), histogram.people.sum() / 6)
        for column in range(BINS):
            x, y = room.x + column * room.width / BINS, float(room.bottom)
            for number, people in enumerate(histogram.people[:, column]):
                top = y - people * unit
                rect = round(x), round(top), round(room.width / BINS) - 1, round(y) - round(top)
                pygame.draw.rect(surface, color(number), rect)
                y = top
        x = room.x + min(1.0, histogram.mean / city.reach) * room.width
        pygame.draw.line(surface, TEXT, (x, room.y), (x, room.bottom))
