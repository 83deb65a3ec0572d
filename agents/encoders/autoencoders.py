"""Encoders that learn what an observation can be rebuilt from: an autoencoder, and a variational one.

torch fits them; a code is the narrowest layer, a vector, computed row by row without torch. Rows are scaled
by their largest components before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from ...checking import at_least, within
from ..affine import Affine
from ..checks import taken
from .arrays import ArrayEncoder, vectors


@dataclass(frozen=True)
class AutoencoderConfig:
    """Settings of autoencoders.

    Raises:
        ValueError: for a number out of its range.
    """

    components: int = 16
    """Numbers of each vector."""
    hidden: int = 128
    """Units of the layer before it, and of the one after it."""
    epochs: int = 20
    """Passes over all observations."""
    batch_size: int = 256
    """Observations of each gradient step."""
    learning_rate: float = 1e-3
    """Step size of Adam."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "components", "hidden", "epochs", "batch_size")
        within(self, 0.0, 1.0, "learning_rate", left_open=True)


@dataclass(frozen=True)
class VariationalConfig(AutoencoderConfig):
    """Settings of the variational autoencoder.

    Raises:
        ValueError: for a number out of its range.
    """

    beta: float = 1.0
    """Weight of the codes' distance from a standard normal (Higgins et al. 2017)."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 0, "beta")


class Autoencoder(ArrayEncoder):
    """An autoencoder (Hinton & Salakhutdinov, Science 313, 2006) with a hidden layer on either side."""

    variational: ClassVar[bool] = False

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        import torch
        from torch import nn

        config, random = self.config, torch.Generator().manual_seed(self._seed())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed())
            inner = nn.Linear(self.width, config.hidden)
            code = nn.Linear(config.hidden, config.components * (2 if self.variational else 1))
            decoder = nn.Sequential(
                nn.Linear(config.components, config.hidden), nn.ReLU(), nn.Linear(config.hidden, self.width)
            )
        parameters = [*inner.parameters(), *code.parameters(), *decoder.parameters()]
        optimiser = torch.optim.Adam(parameters, config.learning_rate)
        data = torch.from_numpy(rows)
        for _ in range(config.epochs):
            for chosen in torch.randperm(len(data), generator=random).split(config.batch_size):
                batch = data[chosen]
                found = code(torch.relu(inner(batch)))
                loss = torch.zeros(())
                if self.variational:  # Kingma & Welling 2014: a draw from the posterior, and its divergence
                    mean, log_variance = found.chunk(2, dim=1)
                    noise = torch.randn(mean.shape, generator=random)
                    found = mean + noise * (0.5 * log_variance).exp()
                    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
                    loss = config.beta * divergence.mean()
                loss = loss + ((decoder(found) - batch) ** 2).sum(dim=1).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        found = {"hidden": inner.weight, "hidden_bias": inner.bias}
        found |= {"code": code.weight[: config.components], "code_bias": code.bias[: config.components]}
        return {name: np.asarray(each.detach().numpy(), np.float32) for name, each in found.items()}

    def _check(self) -> None:
        hidden = len(taken(self._arrays, "hidden", np.float32, None, self.width))
        taken(self._arrays, "hidden_bias", np.float32, hidden)
        codes = len(taken(self._arrays, "code", np.float32, None, hidden))
        taken(self._arrays, "code_bias", np.float32, codes)

    def _codes(self) -> Box:
        return vectors(len(self._arrays["code"]))

    def _encode(self, rows: NDArray) -> NDArray[np.float32]:
        if self._prepared is None:
            hidden = (self._arrays["hidden"] * self._arrays["scale"]).T
            code = self._arrays["code"].T
            self._prepared = [
                Affine(hidden, self._arrays["hidden_bias"]),
                Affine(code, self._arrays["code_bias"]),
            ]
        hidden, code = self._prepared
        return code(np.maximum(hidden(rows), 0))


class VariationalAutoencoder(Autoencoder):
    """A variational autoencoder (Kingma & Welling 2014); a code is the mean of its distribution."""

    variational: ClassVar[bool] = True
