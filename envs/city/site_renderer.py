"""Draws the city's still streets from above: pavements, markings, houses, parks, lamps."""

from __future__ import annotations

import pygame

from ..core.renderer import NEUTRAL, Color, Sprites
from ..streets.maps import BUILDING, CROSSING, JUNCTION, NONE, ROAD, SIDEWALK, STEPS, StreetMap
from .scene import Lot, in_lane, noise_of

UNIT = 64  # pixels of a cell in the sprites and in the streets before they are scaled
CHUNK = 16  # cells; the streets are drawn and kept in squares of that side
MARGIN = 2  # cells; as far as a shadow or a street lamp's light falls from one chunk into the next

NIGHT = (108, 116, 164)
ASPHALT, KERB = (82, 86, 97), (222, 217, 204)
PAVING, JOINT = (196, 190, 176), (183, 176, 161)
LAWN, POND, SHORE = (132, 174, 98), (98, 168, 206), (206, 196, 160)
PAINT, CENTRE = (240, 237, 224), (244, 196, 84)
WINDOW, LIT_WINDOW = (74, 88, 116), (255, 214, 128)
TILES = ((202, 104, 76), (112, 126, 148), (160, 116, 90), (186, 82, 74), (212, 166, 108), (98, 142, 134))
FLAT = ((208, 202, 190), (178, 186, 196), (224, 208, 178), (192, 174, 162), (164, 184, 186))
WALLS = ((240, 226, 200), (226, 210, 196), (204, 192, 182), (196, 132, 106), (232, 214, 160))
BLOSSOMS = ((250, 244, 240), (250, 206, 90), (236, 120, 150))
NUM_TREES = 3


def _shade(color: Color, percent: int) -> Color:
    """A lighter (above 100) or darker color."""
    red, green, blue = (min(255, value * percent // 100) for value in color)
    return red, green, blue


class Site:
    """A piece of a city under construction, wider than a chunk by a margin on each side.

    Args:
        streets: the map.
        lots: its lots.
        sprites: where the trees and lamps come from.
        top: row of the first cell.
        left: column of the first cell.
    """

    SIDE = (CHUNK + 2 * MARGIN) * UNIT

    def __init__(self, streets: StreetMap, lots: list[Lot], sprites: Sprites, top: int, left: int) -> None:
        self._streets, self._sprites = streets, sprites
        self._heading = streets.heading
        self._top, self._left = top, left
        self._canvas = pygame.Surface((self.SIDE, self.SIDE), 0, 32)
        self._lots = [lot for lot in lots if self._rect(lot).colliderect(self._canvas.get_rect())]
        self._cells = [
            (y, x)
            for y in range(max(0, top), min(top + CHUNK + 2 * MARGIN, streets.kind.shape[0]))
            for x in range(max(0, left), min(left + CHUNK + 2 * MARGIN, streets.kind.shape[1]))
        ]
        self._lit: list[pygame.Rect] = []  # windows behind which a lamp burns by night

    def paint(self, light: Color) -> pygame.Surface:
        """Draws everything and returns the chunk, without the margin."""
        self._canvas.fill(ASPHALT)
        for y, x in self._cells:
            if self._streets.kind[y, x] == SIDEWALK:
                self._pave(y, x)
            elif self._heading[y, x] != NONE:
                self._mark(y, x, int(self._heading[y, x]))
        for y, x in self._cells:
            if self._streets.ground[y, x]:
                self._grow(y, x)
        parks = [lot for lot in self._lots if self._is_park(lot)]
        houses = [lot for lot in self._lots if not self._is_park(lot)]
        for lot in parks:
            self._canvas.fill(LAWN, self._rect(lot))
        for lot in houses:
            self._canvas.fill((LAWN, JOINT)[noise_of(lot.x, lot.y, 1) % 2], self._rect(lot))
        self._cast_shadows(houses)
        for lot in houses:
            self._build(lot)
        for lot in parks:
            self._plant(lot)
        if light != NEUTRAL:
            self._canvas.fill(light, special_flags=pygame.BLEND_RGB_MULT)
        if light == NIGHT:
            self._light_up()
        return self._canvas.subsurface((MARGIN * UNIT, MARGIN * UNIT, CHUNK * UNIT, CHUNK * UNIT))

    def _rect(self, lot: Lot) -> pygame.Rect:
        x, y = (lot.x - self._left) * UNIT, (lot.y - self._top) * UNIT
        return pygame.Rect(x, y, lot.width * UNIT, lot.height * UNIT)

    def _kind(self, y: int, x: int) -> int:
        height, width = self._streets.kind.shape
        return int(self._streets.kind[y, x]) if 0 <= y < height and 0 <= x < width else BUILDING

    def _is_park(self, lot: Lot) -> bool:
        return noise_of(lot.x, lot.y, 2) % 10 < (7 if min(lot.width, lot.height) == 1 else 1)

    # ------------------------------------------------------------ pavements and markings

    def _pave(self, y: int, x: int) -> None:
        """A sidewalk with its kerb; a lawn where no street is near."""
        cell = pygame.Rect((x - self._left) * UNIT, (y - self._top) * UNIT, UNIT, UNIT)
        north, east, south, west = (self._kind(y + dy, x + dx) >= ROAD for dy, dx in STEPS)
        diagonal = {(b, a): self._kind(y + b, x + a) >= ROAD for b in (-1, 1) for a in (-1, 1)}
        if not (north or east or south or west or any(diagonal.values())):
            self._canvas.fill(LAWN, cell)
            for k in range(noise_of(x, y) % 4):
                spot = noise_of(x, y, k)
                color = BLOSSOMS[spot % len(BLOSSOMS)]
                place = cell.x + 8 + spot // 7 % 48, cell.y + 8 + spot // 400 % 48
                pygame.draw.circle(self._canvas, color, place, 4)
            return
        for color, kerb, radius in ((KERB, 0, 26), (PAVING, 6, 20)):
            left, top = cell.x + kerb * west, cell.y + kerb * north
            area = (left, top, cell.right - kerb * east - left, cell.bottom - kerb * south - top)
            corners = {"top_left": north and west, "top_right": north and east}
            corners |= {"bottom_left": south and west, "bottom_right": south and east}
            round_off = {f"border_{name}_radius": radius * is_round for name, is_round in corners.items()}
            pygame.draw.rect(self._canvas, color, area, border_radius=0, **round_off)
        pygame.draw.line(self._canvas, JOINT, (cell.x + 31, cell.y + 6), (cell.x + 31, cell.bottom - 7), 2)
        pygame.draw.line(self._canvas, JOINT, (cell.x + 6, cell.y + 31), (cell.right - 7, cell.y + 31), 2)
        for (b, a), is_road in diagonal.items():
            if is_road and not (south if b > 0 else north) and not (east if a > 0 else west):
                place = cell.x if a < 0 else cell.right - 6, cell.y if b < 0 else cell.bottom - 6
                self._canvas.fill(KERB, (*place, 6, 6))

    def _grow(self, y: int, x: int) -> None:
        """Open ground: a lawn, with a tree here and there."""
        cell = pygame.Rect((x - self._left) * UNIT, (y - self._top) * UNIT, UNIT, UNIT)
        self._canvas.fill(LAWN, cell)
        noise = noise_of(x, y, 6)
        if noise % 6 == 0:
            tree = self._sprites.get(f"tree_{noise // 8 % NUM_TREES}", (0.8, 0.95, 1.1)[noise // 32 % 3])
            self._canvas.blit(
                tree, tree.get_rect(center=cell.center), special_flags=pygame.BLEND_PREMULTIPLIED
            )
        elif noise % 3 == 0:
            place = cell.x + 8 + noise // 64 % 48, cell.y + 8 + noise // 4096 % 48
            pygame.draw.circle(self._canvas, BLOSSOMS[noise // 16 % len(BLOSSOMS)], place, 4)

    def _mark(self, y: int, x: int, heading: int) -> None:
        """What is painted on a lane."""
        dy, dx = STEPS[heading]
        if self._streets.kind[y, x] == CROSSING:
            for k in range(4):
                self._strip(PAINT, y, x, heading, 4 + 16 * k, 12 + 16 * k, 8, 56)
            return
        next_to = [self._kind(y + dy * k, x + dx * k) for k in (-2, -1, 1, 2)]
        for side, across in ((heading + 3, 0), (heading + 1, UNIT)):
            b, a = STEPS[side % 4]
            if self._kind(y + b, x + a) != ROAD:
                continue
            if self._heading[y + b, x + a] == heading:
                self._strip(PAINT, y, x, heading, across - 2, across + 2, 18, 46)
            elif JUNCTION in next_to:
                self._strip(CENTRE, y, x, heading, across - 3, across + 3, 0, UNIT)
            else:
                self._strip(CENTRE, y, x, heading, across - 3, across + 3, 14, 50)
        if next_to[2] == JUNCTION:
            signalled = self._streets.signalled[self._streets.junction[y + dy, x + dx]]
            for left, right in ((6, 58),) if signalled else ((7, 19), (26, 38), (45, 57)):
                self._strip(PAINT, y, x, heading, left, right, 51, 59)
        elif next_to[3] == JUNCTION or noise_of(x, y) % 9 == 0:
            outline = ((29, 14), (29, 34), (22, 34), (32, 52), (42, 34), (35, 34), (35, 14))
            points = [self._point(y, x, heading, across, along) for across, along in outline]
            pygame.draw.polygon(self._canvas, _shade(PAINT, 78), points)

    def _point(self, y: int, x: int, heading: int, across: float, along: float) -> tuple[float, float]:
        u, v = in_lane(x, y, heading, across / UNIT, along / UNIT)
        return (u - self._left) * UNIT, (v - self._top) * UNIT

    def _strip(
        self, color: Color, y: int, x: int, heading: int, left: int, right: int, rear: int, front: int
    ) -> None:
        """Paints a rectangle on a lane, in pixels as its driver sees it."""
        (u, v), (w, z) = (self._point(y, x, heading, *c) for c in ((left, rear), (right, front)))
        self._canvas.fill(color, (min(u, w), min(v, z), abs(w - u), abs(z - v)))

    # ------------------------------------------------------------ houses and parks

    def _walls(self, lot: Lot) -> pygame.Rect:
        """What a house covers, its front included."""
        rect = self._rect(lot)
        return pygame.Rect(rect.x + 5, rect.y + 3, rect.width - 12, rect.height - 9)

    def _cast_shadows(self, houses: list[Lot]) -> None:
        shadows = pygame.Surface(self._canvas.get_size(), pygame.SRCALPHA, 32)
        for lot in houses:
            x, y, w, h = self._walls(lot)
            near = (x, y), (x + w, y), (x, y + h)
            far = [(u + 14, v + 14) for u, v in ((x + w, y), (x + w, y + h), (x, y + h))]
            pygame.draw.polygon(shadows, (22, 26, 52, 84), (*near[:2], *far, near[2]))
        self._canvas.blit(shadows, (0, 0))

    def _build(self, lot: Lot) -> None:
        """A house whose front faces south."""
        noise = noise_of(lot.x, lot.y, 3)
        rect, front = self._walls(lot), 22
        wall = WALLS[noise % len(WALLS)]
        pygame.draw.rect(self._canvas, wall, rect)
        pygame.draw.rect(self._canvas, _shade(wall, 74), (rect.x, rect.bottom - 4, rect.width, 4))
        for k in range((rect.width - 8) // 18):
            window = pygame.Rect(rect.x + 8 + 18 * k, rect.bottom - 16, 10, 10)
            self._glaze(window, noise + k)
        roof = pygame.Rect(rect.x - 2, rect.y - 2, rect.width + 4, rect.height - front + 2)
        if min(lot.width, lot.height) > 1 and noise // 8 % 5 < 3:
            self._flat_roof(roof, noise // 64)
        else:
            self._hip_roof(roof, TILES[noise // 64 % len(TILES)])

    def _glaze(self, window: pygame.Rect, noise: int) -> None:
        self._canvas.fill(WINDOW, window)
        if noise_of(noise) % 5 < 3:
            self._lit.append(window)

    def _hip_roof(self, roof: pygame.Rect, tiles: Color) -> None:
        a, b, c, d = roof.topleft, roof.topright, roof.bottomright, roof.bottomleft
        depth = min(roof.width, roof.height) // 2
        if roof.width >= roof.height:
            start, end = (roof.x + depth, roof.centery), (roof.right - depth, roof.centery)
            faces = (a, b, end, start), (b, c, end), (d, c, end, start), (a, d, start)
        else:
            start, end = (roof.centerx, roof.y + depth), (roof.centerx, roof.bottom - depth)
            faces = (a, b, start), (b, c, end, start), (d, c, end), (a, d, end, start)
        for face, percent in zip(faces, (116, 86, 94, 106), strict=True):
            pygame.draw.polygon(self._canvas, _shade(tiles, percent), face)
        pygame.draw.line(self._canvas, _shade(tiles, 128), start, end, 4)
        chimney = pygame.Rect(start[0] + 6, start[1] - 16, 10, 12)
        self._canvas.fill(_shade(tiles, 60), chimney.move(4, 4))
        self._canvas.fill((150, 96, 84), chimney)

    def _flat_roof(self, roof: pygame.Rect, noise: int) -> None:
        color = FLAT[noise % len(FLAT)]
        self._canvas.fill(_shade(color, 112), roof)
        floor = roof.inflate(-12, -12)
        self._canvas.fill(color, floor)
        self._canvas.fill(_shade(color, 80), (floor.x, floor.y, floor.width, 5))
        self._canvas.fill(_shade(color, 80), (floor.x, floor.y, 5, floor.height))
        if min(roof.width, roof.height) > 2 * UNIT and noise % 3 == 0:
            for shade, radius in ((70, 44), (100, 38)):
                pygame.draw.circle(self._canvas, _shade(color, shade), roof.center, radius)
            for part in ((-16, -20, 8, 40), (8, -20, 8, 40), (-16, -4, 32, 8)):
                self._canvas.fill(PAINT, pygame.Rect(part).move(roof.center))
            return
        for y in range(floor.y + 12, floor.bottom - 34, 48):
            for x in range(floor.x + 12, floor.right - 34, 48):
                number = noise_of(x + self._left * UNIT, y + self._top * UNIT)
                self._roof_thing(pygame.Rect(x, y, 30, 26), number)

    def _roof_thing(self, place: pygame.Rect, noise: int) -> None:
        thing = noise % 6
        if thing == 0:  # air conditioning
            self._canvas.fill((120, 124, 132), place.move(4, 5))
            self._canvas.fill((226, 230, 232), place)
            pygame.draw.circle(self._canvas, (140, 146, 154), place.center, 9)
        elif thing == 1:  # skylight
            self._canvas.fill(PAINT, place.inflate(4, 4))
            self._glaze(place, noise)
        elif thing == 2:  # solar panels
            self._canvas.fill((44, 66, 120), place)
            self._canvas.fill((128, 156, 206), (place.centerx - 1, place.y, 2, place.height))
            self._canvas.fill((128, 156, 206), (place.x, place.centery - 1, place.width, 2))
        elif thing == 3:  # roof garden
            pygame.draw.rect(self._canvas, LAWN, place.inflate(8, 8), border_radius=8)

    def _plant(self, lot: Lot) -> None:
        """Trees, flowers, and in large parks a pond."""
        rect = self._rect(lot)
        pond = pygame.Rect(0, 0, 0, 0)
        if min(lot.width, lot.height) > 2:
            pond = rect.inflate(-rect.width // 3, -rect.height // 3)
            for color, grow in ((SHORE, 12), (POND, 0), (_shade(POND, 108), -24)):
                pygame.draw.ellipse(self._canvas, color, pond.inflate(grow, grow))
        for k in range(2 * lot.width * lot.height):
            spot = noise_of(lot.x, lot.y, k, 4)
            place = rect.x + 8 + spot % (rect.width - 16), rect.y + 8 + spot // 999 % (rect.height - 16)
            if not pond.collidepoint(place):
                pygame.draw.circle(self._canvas, BLOSSOMS[spot % len(BLOSSOMS)], place, 4)
        for y in range(rect.y, rect.bottom, UNIT):
            for x in range(rect.x, rect.right, UNIT):
                noise = noise_of(x + self._left * UNIT, y + self._top * UNIT, 5)
                tree = self._sprites.get(f"tree_{noise % NUM_TREES}", (0.8, 0.95, 1.1)[noise // 8 % 3])
                middle = x + 26 + noise // 32 % 13, y + 26 + noise // 512 % 13
                if noise // 8192 % 6 and not pond.collidepoint(middle):
                    place = tree.get_rect(center=middle)
                    self._canvas.blit(tree, place, special_flags=pygame.BLEND_PREMULTIPLIED)

    def _light_up(self) -> None:
        """Windows and street lamps by night."""
        for window in self._lit:
            self._canvas.fill(LIT_WINDOW, window)
        glow = self._sprites.get("glow_street", 1.0)
        for y, x in self._cells:
            by_street = any(self._kind(y + dy, x + dx) == ROAD for dy, dx in STEPS)
            if self._streets.kind[y, x] == SIDEWALK and by_street and (x + 2 * y) % 5 == 0:
                place = glow.get_rect(center=((x - self._left + 0.5) * UNIT, (y - self._top + 0.5) * UNIT))
                self._canvas.blit(glow, place, special_flags=pygame.BLEND_RGB_ADD)
