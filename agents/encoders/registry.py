"""The encoders by name, and chains of them: `kmeans`, or `pca+kmeans`, one after the other.

Their files, and the libraries these need, load only when an encoder is asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Space
from numpy.typing import NDArray

from ...checking import load_object, needed, unknown
from ..base import Encoder, State


@dataclass(frozen=True)
class EncoderSpec:
    """What runners need to know of an encoder before its file is loaded."""

    name: str
    """Name on the command line."""
    entry: str
    """`module:Class`, the module inside `meze.agents`."""
    codes: Literal["index", "vector"]
    """What observations become: a table's index, or a vector for networks."""
    summary: str
    """One line for listings."""
    config: str
    """`module:Class` of the frozen dataclass of settings."""
    supervised: bool = False
    """Whether it is fitted on targets."""
    estimator: str | None = None
    """Which of scikit-learn's estimators predicts."""
    extra: str = "sklearn"
    """The extra of the distribution that it is fitted with, as in `pip install meze[sklearn]`."""

    def config_class(self) -> type:
        """Loads the class of its settings."""
        return load_object(f".{self.config}", __package__)

    def make(self, observation_space: Space, config: Any, rng: np.random.Generator) -> Encoder:
        """Makes the encoder, not fitted.

        Raises:
            ValueError: for observations that do not fit.
        """
        which = {} if self.estimator is None else {"estimator": self.estimator}
        made = load_object(f".{self.entry}", __package__)
        return made(observation_space, config=config, rng=rng, **which)


def _groups(name: str, class_name: str, summary: str) -> EncoderSpec:
    return EncoderSpec(name, f"clustering:{class_name}", "index", summary, f"clustering:{class_name}Config")


def _predictor(name: str, summary: str) -> EncoderSpec:
    return EncoderSpec(
        name,
        "predictors:Predictor",
        "vector",
        summary,
        ".registry:NoSettings",
        supervised=True,
        estimator=name,
    )


def _classifier(name: str, summary: str) -> EncoderSpec:
    return dataclasses.replace(_predictor(name, summary), config="predictors:ClassesConfig")


_ENCODERS = {
    spec.name: spec
    for spec in (
        _groups("kmeans", "KMeans", "nearest of k centres (Sculley 2010)"),
        _groups("mean-shift", "MeanShift", "nearest peak of the density (Comaniciu & Meer 2002)"),
        _groups("dbscan", "DBSCAN", "dense groups of any shape, and anomalies (Ester et al. 1996)"),
        _groups("gaussian-mixture", "GaussianMixture", "most probable of k Gaussians (Dempster et al. 1977)"),
        EncoderSpec(
            "tree",
            "predictors:TreeLeaves",
            "index",
            "leaf of a decision tree (Breiman et al. 1984)",
            "predictors:TreeConfig",
            supervised=True,
        ),
        EncoderSpec(
            "pca",
            "projections:PCA",
            "vector",
            "principal components (Pearson 1901)",
            "projections:ProjectionConfig",
        ),
        EncoderSpec(
            "svd",
            "projections:SVD",
            "vector",
            "truncated singular value decomposition (Halko et al. 2011)",
            "projections:ProjectionConfig",
        ),
        EncoderSpec(
            "autoencoder",
            "autoencoders:Autoencoder",
            "vector",
            "narrowest layer of a network that rebuilds its input (Hinton & Salakhutdinov 2006)",
            "autoencoders:AutoencoderConfig",
            extra="torch",
        ),
        EncoderSpec(
            "vae",
            "autoencoders:VariationalAutoencoder",
            "vector",
            "the same with codes that lie smoothly (Kingma & Welling 2014)",
            "autoencoders:VariationalConfig",
            extra="torch",
        ),
        EncoderSpec(
            "tiles", "projections:Tiles", "vector", "tile coding (Albus 1971)", "projections:TilesConfig"
        ),
        _predictor("linear", "what least squares predict"),
        _predictor("polynomial", "what ridge regression on squares and products predicts"),
        _predictor("ridge", "what ridge regression predicts"),
        _predictor("knn", "what the nearest neighbours had"),
        _predictor("svm", "what a support vector machine predicts"),
        _predictor("random-forest", "what a random forest predicts"),
        _predictor("gradient-boosting", "what gradient boosting predicts"),
        _predictor("stacking", "what a ridge regression on a tree and a ridge regression predicts"),
        _predictor("mlp", "what a small network predicts"),
        _classifier("logistic", "classes' probabilities by logistic regression"),
        _classifier("naive-bayes", "classes' probabilities by naive Bayes"),
    )
}


def encoder_specs() -> tuple[EncoderSpec, ...]:
    """All encoders, in the order of listings."""
    return tuple(_ENCODERS.values())


@dataclass(frozen=True)
class EncoderChain:
    """Encoders of which each takes what the one before it made."""

    name: str
    """Their names, joined by `+`."""
    parts: tuple[EncoderSpec, ...]

    @property
    def codes(self) -> Literal["index", "vector"]:
        """What observations become at last."""
        return self.parts[-1].codes

    @property
    def supervised(self) -> bool:
        """Whether one of them is fitted on targets."""
        return any(part.supervised for part in self.parts)

    def config_class(self) -> type:
        """The class of settings: of a single encoder its own; otherwise one field for each, by its name."""
        kinds = [(part.name.replace("-", "_"), part.config_class()) for part in self.parts]
        if len(kinds) == 1:
            return kinds[0][1]
        fields = [(name, kind, dataclasses.field(default_factory=kind)) for name, kind in kinds]
        return dataclasses.make_dataclass("ChainConfig", fields, frozen=True)

    def make(self, observation_space: Space, config: Any, seed: int) -> Chain:
        """Makes the encoders, not fitted.

        Raises:
            ValueError: for observations that do not fit.
        """
        names = [part.name.replace("-", "_") for part in self.parts]
        configs = [config] if len(names) == 1 else [getattr(config, name) for name in names]
        return Chain(self.parts, observation_space, configs, seed)


def find_encoder(name: str) -> EncoderChain:
    """The encoder of that name, or a chain of them.

    Raises:
        ValueError: when there is none, or an index would have to be encoded further.
    """
    parts = []
    for each in name.split("+"):
        if each not in _ENCODERS:
            raise ValueError(unknown("encoder", each, _ENCODERS))
        parts.append(_ENCODERS[each])
    if len(set(parts)) < len(parts):
        raise ValueError(f"encoder {name}: each can stand in it once")
    for part in parts[:-1]:
        if part.codes == "index":
            raise ValueError(f"encoder {name}: {part.name} makes indices, which can't be encoded further")
    return EncoderChain(name, tuple(parts))


class Chain:
    """Encoders one after the other; see `Encoder`."""

    def __init__(
        self, specs: Sequence[EncoderSpec], observation_space: Space, configs: Sequence[Any], seed: int
    ) -> None:
        self._specs, self._configs = specs, configs
        self._rngs = list(map(np.random.default_rng, np.random.SeedSequence(seed).spawn(len(specs))))
        self._parts = [specs[0].make(observation_space, configs[0], self._rngs[0])]

    @property
    def space(self) -> Space:
        """The space of one code."""
        return self._parts[-1].space

    def fit(self, obs: NDArray, targets: NDArray | None = None) -> Chain:
        """Fits them on (N, ...) observations, and (N,) targets where one of them predicts."""
        for k in range(len(self._specs)):
            if k:
                obs = self._parts[k - 1].transform(obs)
                self._follow(k)
            with needed(self._specs[k].name, self._specs[k].extra):
                self._parts[k].fit(obs, targets)
        return self

    def transform(self, obs: NDArray) -> NDArray:
        """(B, ...) observations to (B,) int64 indices or (B, D) float32 vectors."""
        for part in self._parts:
            obs = part.transform(obs)
        return obs

    def state_dict(self) -> State:
        """What was fitted."""
        return {
            f"{k}.{name}": each
            for k, part in enumerate(self._parts)
            for name, each in part.state_dict().items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it does not fit.
        """
        for k in range(len(self._specs)):
            if k:
                self._follow(k)
            own = {name.partition(".")[2]: each for name, each in state.items() if name.startswith(f"{k}.")}
            with needed(self._specs[k].name, self._specs[k].extra):
                self._parts[k].load_state_dict(own)

    def _follow(self, k: int) -> None:
        """Makes the k-th encoder, now that the one before it is known."""
        del self._parts[k:]
        self._parts.append(self._specs[k].make(self._parts[k - 1].space, self._configs[k], self._rngs[k]))
