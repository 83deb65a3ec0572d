"""Encoders that make short vectors of long ones, PCA and truncated SVD; and tile coding, long ones of short.

Rows are scaled by their largest components before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from ...caching import compiled
from ...checking import at_least
from ..affine import Affine
from ..checks import taken
from .arrays import ArrayEncoder, vectors


@dataclass(frozen=True)
class ProjectionConfig:
    """Settings of PCA and of truncated SVD.

    Raises:
        ValueError: for no components.
    """

    components: int = 16
    """Numbers of each vector."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "components")


@dataclass(frozen=True)
class TilesConfig:
    """Settings of tile coding.

    Raises:
        ValueError: for no tilings, or no tiles.
    """

    tilings: int = 8
    """Grids that lie over the space, each shifted against the others."""
    tiles: int = 8
    """Tiles along each axis."""
    size: int = 4096
    """Numbers of the vector, over which tiles are hashed where there are more of them."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "tilings", "tiles", "size")


class _Projection(ArrayEncoder):
    """Codes are offsets + row @ weights, where `components` is (M, D) and `mean` (D,), of scaled rows."""

    def _check(self) -> None:
        taken(self._arrays, "components", np.float32, None, self.width)
        taken(self._arrays, "mean", np.float32, self.width)

    def _codes(self) -> Box:
        return vectors(len(self._arrays["components"]))

    def _encode(self, rows: NDArray) -> NDArray[np.float32]:
        if self._prepared is None:
            components, mean = self._arrays["components"], self._arrays["mean"]
            self._prepared = Affine((components * self._arrays["scale"]).T, -(components @ mean))
        return self._prepared(rows)

    def _check_enough(self, rows: NDArray) -> int:
        wanted = min(self.config.components, self.width)
        if len(rows) <= wanted:
            raise ValueError(f"{wanted} components need more observations; there are {len(rows)}")
        return wanted


class PCA(_Projection):
    """Principal components (Pearson 1901): the directions in which observations differ most."""

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        from sklearn.decomposition import PCA

        wanted = self._check_enough(rows)
        model = PCA(wanted, svd_solver="randomized", random_state=self._seed()).fit(rows)
        found = {"components": model.components_, "mean": model.mean_}
        return {name: np.asarray(each, np.float32) for name, each in found.items()}


class SVD(_Projection):
    """Truncated singular value decomposition (Halko et al. 2011): PCA around zero instead of the mean."""

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        from sklearn.decomposition import TruncatedSVD

        wanted = self._check_enough(rows)
        model = TruncatedSVD(wanted, random_state=self._seed()).fit(rows)
        return {
            "components": np.asarray(model.components_, np.float32),
            "mean": np.zeros(self.width, np.float32),
        }


class Tiles(ArrayEncoder):
    """Tile coding (Albus 1971; Sutton & Barto 2018, section 9.5.4): which tile of each tiling one is in.

    Codes are vectors of zeros with a one for each tiling, for networks and linear methods. Observations have
    few numbers, or are made short before: `--encoder pca+tiles`.
    """

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        low, high = rows.min(axis=0), rows.max(axis=0)
        return {"low": low, "span": np.maximum(high - low, 1e-6)}

    def _check(self) -> None:
        taken(self._arrays, "low", np.float32, self.width)
        if not (taken(self._arrays, "span", np.float32, self.width) > 0).all():
            raise ValueError("the tiles' span must be more than 0")

    def _codes(self) -> Box:
        return Box(0, 1, (self.config.size,), np.float32)

    def _encode(self, rows: NDArray) -> NDArray[np.float32]:
        scale, low, span = (self._arrays[name] for name in ("scale", "low", "span"))
        places = (rows * scale - low) / span * np.float32(self.config.tiles)
        return _mark_tiles(
            places.astype(np.float32), self.config.tilings, self.config.tiles, self.config.size
        )


@compiled(nogil=True)
def _mark_tiles(places, tilings, tiles, size):
    """(B, size) ones at the tiles that hold (B, D) places, which lie from 0 to `tiles`.

    Tiling t is shifted by t * (2 d + 1) / tilings of a tile along axis d, as Miller & Glanz (1996) advise.
    """
    out = np.zeros((len(places), size), np.float32)
    axes = places.shape[1]
    for b in range(len(places)):
        for t in range(tilings):
            key = np.uint64(t)
            for d in range(axes):
                shift = (t * (2 * d + 1) % tilings) / tilings
                tile = min(max(int(np.floor(places[b, d] + shift)), 0), tiles)
                key = key * np.uint64(tiles + 1) + np.uint64(tile)
            if (tiles + 1.0) ** axes * tilings > size:  # SplitMix64's last steps (Steele et al. 2014)
                key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                key ^= key >> np.uint64(31)
            out[b, key % np.uint64(size)] = 1.0
    return out
