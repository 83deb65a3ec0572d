"""The platformer's sprites: pixel art from `platformer_art.txt`, and the coast behind it, drawn here.

`draw_sprites.py` writes them. Everything is in integers, so that the pictures are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pygame
from draw_coast import coast_layers
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(height, width, 4) red, green, blue, alpha."""

ART = Path(__file__).with_name("platformer_art.txt")
INK = "k"
NOTHING = "."


def platformer_sprites() -> dict[str, pygame.Surface]:
    """The platformer's sprites by name."""
    art = read_art(ART.read_text())
    pictures = winged(art) | turned_pipes(art) | coast_layers() | art
    return {name: surface(picture) for name, picture in pictures.items()}


def surface(picture: Picture) -> pygame.Surface:
    """The picture as pygame has it."""
    height, width = picture.shape[:2]
    return pygame.image.frombytes(np.ascontiguousarray(picture).tobytes(), (width, height), "RGBA")


def winged(art: dict[str, Picture]) -> dict[str, Picture]:
    """Those that have wings, and beat them; the wings themselves are no sprites of their own."""
    wings = [art.pop(f"wing_{frame}") for frame in range(2)]
    return {
        f"{name}_winged_{frame}": np.where(wing[..., 3:] > 0, wing, art[f"{name}_{frame}"])
        for name in ("walker", "shelled", "spiny")
        for frame, wing in enumerate(wings)
    }


def turned_pipes(art: dict[str, Picture]) -> dict[str, Picture]:
    """Pipes that hang, and that lie with their mouths to the west or to the east, of those that stand."""
    pictures = {}
    for half, lying in (("left", "upper"), ("right", "lower")):
        mouth = art[f"pipe_mouth_{half}"]
        pictures[f"hanging_mouth_{half}"] = mouth[::-1]
        pictures[f"lying_{lying}"] = art[f"pipe_{half}"].swapaxes(0, 1)
        pictures[f"west_mouth_{lying}"] = mouth.swapaxes(0, 1)
        pictures[f"east_mouth_{lying}"] = mouth.swapaxes(0, 1)[:, ::-1]
    return pictures


# ---------------------------------------------------------------- art


def read_art(text: str) -> dict[str, Picture]:
    """Reads the file of pixel art, whose first lines tell its format."""
    lines = [line for line in text.splitlines() if line and not line.startswith("# ") and line != "#"]
    sections = "\n".join(lines).split("\n[")
    colors, darker = {NOTHING: (0, 0, 0, 0)}, {}
    for letter, red, green, blue, *dark in map(str.split, sections[0].splitlines()[1:]):
        colors[letter] = (int(red), int(green), int(blue), 255)
        darker[letter] = dark[0] if dark else letter
    parts: dict[str, list[str]] = {}
    pictures = {}
    for section in sections[1:]:
        title, *body = section.splitlines()
        name, *how = title.rstrip("]").split()
        parts[name] = [row for line in body for row in rows_of(line, parts, "mirror" in how)]
        if not name.startswith("_"):
            letters = np.array([list(row) for row in parts[name]])
            if "plain" not in how:
                letters = outline(round_off(letters, darker))
            table = np.array([[colors[letter] for letter in row] for row in letters], np.uint8)
            pictures[name] = table
    return pictures


def rows_of(line: str, parts: dict[str, list[str]], mirror: bool) -> Iterator[str]:
    """The rows of pixels that a line of the file stands for."""
    if not line.startswith("="):
        yield line + line[::-1] if mirror else line
        return
    words = line[1:].split()
    change = str.maketrans({word[0]: word[2] for word in words if ">" in word})
    for word in words:
        if ">" not in word:
            yield from (row.translate(change) for row in parts[word])


def shifted(array: NDArray, down: int, right: int, fill: str) -> NDArray:
    """The array moved by some pixels."""
    padded = np.pad(array, 1, constant_values=fill)
    return padded[1 - down : 1 - down + array.shape[0], 1 - right : 1 - right + array.shape[1]]


def round_off(letters: NDArray, darker: dict[str, str]) -> NDArray:
    """Shades the rims that face down and to the right, where nothing of the thing follows."""
    rim = (shifted(letters, 0, -1, NOTHING) == NOTHING) | (shifted(letters, -1, 0, NOTHING) == NOTHING)
    shaded = letters.copy()
    for letter, dark in darker.items():
        shaded[rim & (letters == letter)] = dark
    return shaded


def outline(letters: NDArray) -> NDArray:
    """Draws a line of ink around a thing."""
    solid = letters != NOTHING
    near = np.zeros_like(solid)
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        near |= shifted(letters, down, right, NOTHING) != NOTHING
    return np.where(near & ~solid, INK, letters)
