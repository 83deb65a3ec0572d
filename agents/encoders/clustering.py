"""Encoders that sort observations into groups: k-means, mean-shift, DBSCAN, Gaussian mixtures.

scikit-learn fits them; a code is the number of a group, which makes an observation of any shape a row of a
table. Rows are scaled by their largest components before.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from ...checking import at_least, within
from ..affine import Affine
from ..checks import check_range, taken
from .arrays import ArrayEncoder

CLIMBS = 128
"""Observations from which mean-shift climbs; a peak to which none of so many leads is of few observations."""


@dataclass(frozen=True)
class KMeansConfig:
    """Settings of k-means.

    Raises:
        ValueError: for no groups.
    """

    k: int = 512
    """Groups."""
    batch_size: int = 4096
    """Observations of each step of the fit."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "k", "batch_size")


@dataclass(frozen=True)
class MeanShiftConfig:
    """Settings of mean-shift.

    Raises:
        ValueError: for a share outside (0, 1].
    """

    quantile: float = 0.1
    """The radius is the distance within which this share of the others lies, in the mean."""
    samples: int = 1000
    """Observations that it is fitted on, drawn from all: its time grows with their square."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "samples")
        within(self, 0.0, 1.0, "quantile", left_open=True)


@dataclass(frozen=True)
class DBSCANConfig:
    """Settings of DBSCAN.

    Raises:
        ValueError: for a number or share out of its range.
    """

    neighbours: int = 5
    """Observations, itself included, within the radius of a core point."""
    quantile: float = 0.9
    """The radius is such that this share of all observations has so many neighbours: they are core points."""
    samples: int = 5000
    """Observations that it is fitted on, drawn from all: each core point is kept."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "neighbours", "samples")
        within(self, 0.0, 1.0, "quantile", left_open=True)


@dataclass(frozen=True)
class GaussianMixtureConfig:
    """Settings of a mixture of Gaussians with diagonal covariances.

    Raises:
        ValueError: for no components.
    """

    k: int = 64
    """Gaussians."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "k")


class _Centres(ArrayEncoder):
    """Codes are the numbers of the nearest of the fitted `centres`, a (K, D) array of scaled rows."""

    def _check(self) -> None:
        taken(self._arrays, "centres", np.float32, None, self.width)

    def _codes(self) -> Discrete:
        return Discrete(len(self._arrays["centres"]))

    def _encode(self, rows: NDArray) -> NDArray[np.int64]:
        return self._nearest(rows)[0]

    def _nearest(self, rows: NDArray) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest centres, and squared distances to them less the rows' own squares."""
        # |x - c|^2 without |x|^2, which is the same for all: |c|^2 - 2 c x. x is a raw row times the scale.
        if self._prepared is None:
            centres = self._arrays["centres"]
            weights = (-2 * centres * self._arrays["scale"]).T
            self._prepared = Affine(weights, (centres**2).sum(axis=1))
        return self._prepared.lowest(rows)


class KMeans(_Centres):
    """Sculley's k-means in small batches ("Web-scale k-means clustering", WWW 2010)."""

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        from sklearn.cluster import MiniBatchKMeans

        _check_enough(rows, self.config.k, "groups")
        settings: dict[str, Any] = {"batch_size": self.config.batch_size, "n_init": 1, "max_iter": 20}
        model = MiniBatchKMeans(self.config.k, **settings, random_state=self._seed()).fit(rows)
        return {"centres": np.asarray(model.cluster_centers_, np.float32)}


class MeanShift(_Centres):
    """Mean-shift (Comaniciu & Meer, IEEE PAMI 24, 2002): as many groups as the density has peaks."""

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        from sklearn.cluster import MeanShift, estimate_bandwidth

        rows = self._drawn(rows, self.config.samples)
        radius = estimate_bandwidth(rows, quantile=self.config.quantile)
        if radius <= 0:
            raise ValueError("mean-shift: the observations are all alike; a greater quantile may help")
        # From the corners of bins, scikit-learn's quicker way, none would begin: they lie far from wide rows.
        model = MeanShift(bandwidth=radius, seeds=self._drawn(rows, CLIMBS)).fit(rows)
        return {"centres": model.cluster_centers_.astype(np.float32)}


class DBSCAN(_Centres):
    """DBSCAN (Ester et al., KDD 1996): groups of any shape, grown through core points.

    An observation is in the group of its nearest core point. One that is near none is an anomaly: it has the
    last index, and is counted.

    Attributes:
        anomalies: how many of the observations transformed so far were near no core point.
    """

    anomalies: int = 0

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        from sklearn.cluster import DBSCAN
        from sklearn.neighbors import NearestNeighbors

        rows, wanted = self._drawn(rows, self.config.samples), self.config.neighbours
        _check_enough(rows, wanted, "neighbours")
        away = NearestNeighbors(n_neighbors=wanted).fit(rows).kneighbors(rows)[0][:, -1]
        radius = max(float(np.quantile(away, self.config.quantile)), 1e-6)
        model = DBSCAN(eps=radius, min_samples=wanted).fit(rows)
        cores, first = np.unique(rows[model.core_sample_indices_], axis=0, return_index=True)
        groups = model.labels_[model.core_sample_indices_][first].astype(np.int64)
        return {"centres": cores, "groups": groups, "radius": np.array([radius], np.float32)}

    def _check(self) -> None:
        super()._check()
        count = len(self._arrays["centres"])
        check_range("groups", taken(self._arrays, "groups", np.int64, count), 0, count)
        taken(self._arrays, "radius", np.float32, 1)

    def _codes(self) -> Discrete:
        return Discrete(int(self._arrays["groups"].max()) + 2)

    def _encode(self, rows: NDArray) -> NDArray[np.int64]:
        core, _ = self._nearest(rows)
        away = rows * self._arrays["scale"] - self._arrays["centres"][core]
        near = (away**2).sum(axis=1) <= self._arrays["radius"][0] ** 2 * (1 + 1e-5)
        self.anomalies += int((~near).sum())
        groups = self._arrays["groups"]
        return np.where(near, groups[core], groups.max() + 1)


class GaussianMixture(ArrayEncoder):
    """Gaussians with diagonal covariances, fitted by expectation-maximisation (Dempster et al. 1977).

    An observation's code is the Gaussian that most probably made it.
    """

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        _check_enough(rows, self.config.k, "Gaussians")
        model = GaussianMixture(
            self.config.k, covariance_type="diag", random_state=self._seed(), reg_covar=1e-4, max_iter=50
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # how long it is fitted is settled
            model.fit(rows)
        precisions = model.precisions_cholesky_**2
        names = {"means": model.means_, "precisions": precisions, "shares": model.weights_}
        return {name: np.asarray(each, np.float32) for name, each in names.items()}

    def _check(self) -> None:
        count = len(taken(self._arrays, "means", np.float32, None, self.width))
        precisions = taken(self._arrays, "precisions", np.float32, count, self.width)
        if not (precisions > 0).all() or not (taken(self._arrays, "shares", np.float32, count) > 0).all():
            raise ValueError("the mixture's precisions and shares must be more than 0")

    def _codes(self) -> Discrete:
        return Discrete(len(self._arrays["means"]))

    def _encode(self, rows: NDArray) -> NDArray[np.int64]:
        # -2 log of share * density, less what is the same for all: a linear map of x and x^2.
        means, precisions = self._arrays["means"], self._arrays["precisions"]
        if self._prepared is None:
            scale = self._arrays["scale"]
            weights = np.concatenate([precisions * scale**2, -2 * precisions * means * scale], axis=1).T
            constant = (precisions * means**2).sum(axis=1) - np.log(precisions).sum(axis=1)
            constant -= 2 * np.log(self._arrays["shares"])
            self._prepared = Affine(weights, constant)
        raw = rows.astype(np.float32)
        return self._prepared.lowest(np.concatenate([raw**2, raw], axis=1))[0]


def _check_enough(rows: NDArray, wanted: int, what: str) -> None:
    if len(rows) < wanted:
        raise ValueError(f"{wanted} {what} need as many observations; there are {len(rows)}")
