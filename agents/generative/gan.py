"""Adversarial networks over windows of letters (Goodfellow et al. 2014), convolutional as in DCGAN.

As for Mario levels by Volz et al. ("Evolving Mario Levels in the Latent Space of a Deep Convolutional
Generative Adversarial Network", GECCO 2018), every cell is a distribution over letters. What differs: noise
has a column for every four of the drawing (Jetchev, Bergmann & Vollgraf 2016), so that a drawing of any width
is made at once, without seams. The critic sees letters, never shades of them: they are drawn from their
distributions, through which the gradient goes. It also sees how different the windows of a batch are, so
that a generator gains nothing by making few (Karras et al. 2018). Its loss is the hinge, its weights are
normalised by their spectra (Miyato et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from ..base import NonFiniteLossError, State
from ..checks import check_range, taken
from .base import DrawingModel, Rows, Tell, alphabet, decode, encode, widths_of
from .config import MOST_CHANNELS, GanConfig
from .windows import cut_windows, spread

NOISE = 32
"""Numbers of each column of noise."""
STRIDE = 4
"""Columns, and rows, of a drawing for each of the coarsest map."""
EDGE = 2
"""Coarse columns on either side that are made and cut off: what lies beyond them is missing there."""
TEMPERATURE = 0.5
"""Of what is drawn: letters that are hardly likely anywhere would else be sprinkled everywhere."""
TELL_EVERY = 50
JUDGED = 256
"""Windows by which the spread is measured."""
LEAST = np.float32(1e-30)


class Generator(nn.Module):
    """Makes logits of letters from columns of noise.

    Args:
        letters: how many there are.
        height: rows of a drawing.
        channels: of the widest layer.
    """

    def __init__(self, letters: int, height: int, channels: int) -> None:
        super().__init__()
        self.height, self.channels = height, channels
        self.rows = -(-height // STRIDE)
        self.first = nn.Conv1d(NOISE, channels * self.rows, 3, bias=False)
        self.rest = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, channels, 4, 2, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, letters, 4, 2, 1),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """(B, letters, height, 4 W) of noise (B, NOISE, W + 2 EDGE + 2)."""
        coarse = self.first(noise).view(len(noise), self.channels, self.rows, -1)
        cut = EDGE * STRIDE
        return self.rest(coarse)[:, :, -self.height :, cut:-cut]


def noise_columns(width: int) -> int:
    """Columns of noise for so many of a drawing, at least."""
    return -(-width // STRIDE) + 2 * EDGE + 2


class Critic(nn.Module):
    """Tells windows of drawings from made ones.

    Args:
        letters: how many there are.
        height: rows of a window.
        width: columns of a window.
        channels: of the widest layer.
    """

    def __init__(self, letters: int, height: int, width: int, channels: int) -> None:
        super().__init__()
        self.lift = -height % STRIDE
        coarse = (height + self.lift) // STRIDE * (width // STRIDE)
        self.near = nn.Sequential(
            spectral_norm(nn.Conv2d(letters, channels, 3, 1, 1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(channels, channels, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(channels, 2 * channels, 4, 2, 1)),
            nn.LeakyReLU(0.2),
        )
        self.far = nn.Sequential(
            spectral_norm(nn.Conv2d(2 * channels + 1, 2 * channels, 3, 1, 1)),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            spectral_norm(nn.Linear(2 * channels * coarse, 1)),
        )

    def forward(self, windows: Tensor) -> Tensor:
        """(B, 1) how real (B, letters, height, width) windows look, B at least 2."""
        seen = self.near(functional.pad(windows, (0, 0, self.lift, 0)))
        difference = seen.std(0).mean().expand(len(seen), 1, *seen.shape[2:])
        return self.far(torch.cat([seen, difference], 1))


def as_letters(logits: Tensor, rng: np.random.Generator) -> Tensor:
    """Letters drawn from their distributions, one-hot; gradients go through the noisy distributions.

    The straight-through Gumbel-softmax at temperature 1 (Jang, Gu & Poole 2017).
    """
    gumbel = -np.log(np.maximum(rng.standard_exponential(logits.shape, np.float32), LEAST))
    noisy = logits + torch.from_numpy(gumbel)
    soft = noisy.softmax(dim=1)
    hard = functional.one_hot(noisy.argmax(dim=1), logits.shape[1]).movedim(-1, 1)
    return hard + soft - soft.detach()


@contextmanager
def one_thread() -> Iterator[None]:
    """Has torch use one: enough for small networks, and it rounds alike however many cores there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Gan(DrawingModel):
    """The pair, of which the generator is kept.

    Attributes:
        generator: makes letters of noise.
    """

    name = "gan"

    def __init__(self, letters: str, height: int, widths: NDArray[np.int32], generator: Generator) -> None:
        super().__init__(letters, height, widths)
        self.generator = generator.requires_grad_(False)

    @classmethod
    @one_thread()
    def fit(cls, drawings: Sequence[Rows], config: GanConfig, seed: int, tell: Tell) -> Self:
        """Trains both networks by turns; see `DrawingModel.fit`.

        Raises:
            NonFiniteLossError: when it can't go on, with the last windows.
        """
        letters, height = alphabet(drawings), len(drawings[0])
        grids = [encode(rows, letters) for rows in drawings]
        rng = np.random.default_rng(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            generator = Generator(len(letters), height, config.channels)
            critic = Critic(len(letters), height, config.width, config.channels)
        optimisers = [
            torch.optim.Adam(each.parameters(), config.learning_rate, betas=(0.5, 0.99))
            for each in (generator, critic)
        ]
        model = cls(letters, height, widths_of(drawings), generator)
        source = spread(cut_windows(grids, config.width, JUDGED, rng))
        losses = np.zeros(2)
        for step in range(1, config.steps + 1):
            windows = cut_windows(grids, config.width, config.batch_size, rng)
            real = functional.one_hot(torch.from_numpy(windows).long(), len(letters)).movedim(-1, 1).float()
            generator.train().requires_grad_(True)
            made = as_letters(generator(model.noise(rng, config.batch_size, config.width)), rng)
            critic_loss = (1 - critic(real)).relu().mean() + (1 + critic(made.detach())).relu().mean()
            of_critic = _descend(optimisers[1], critic_loss)
            losses += [_descend(optimisers[0], -critic(made).mean()), of_critic]
            generator.requires_grad_(False)
            if step % TELL_EVERY == 0 or step == config.steps:
                since = (step - 1) % TELL_EVERY + 1
                if not (np.isfinite(losses).all() and _is_finite(generator)):
                    raise NonFiniteLossError(
                        f"the networks diverged: losses or weights are not finite after {step:,} steps; "
                        "a lower --gan.learning-rate may help",
                        {"windows": windows},
                    )
                found = spread(model.windows(rng, JUDGED, config.width))
                tell(
                    step,
                    dict(zip(("generator_loss", "critic_loss"), (losses / since).tolist(), strict=True))
                    | {"distinct": found.distinct, "difference": found.difference}
                    | {"source_distinct": source.distinct, "source_difference": source.difference},
                )
                losses[:] = 0
        return model

    def noise(self, rng: np.random.Generator, count: int, width: int) -> Tensor:
        """Noise for so many drawings of a width."""
        return torch.from_numpy(rng.standard_normal((count, NOISE, noise_columns(width)), np.float32))

    def windows(self, rng: np.random.Generator, count: int, width: int) -> NDArray[np.uint8]:
        """Makes (count, height, width) numbers of letters."""
        logits = self.generator.eval()(self.noise(rng, count, width)) / TEMPERATURE
        return as_letters(logits, rng).argmax(dim=1).numpy().astype(np.uint8)[:, :, :width]

    @one_thread()
    def draw(self, rng: np.random.Generator) -> tuple[str, ...]:
        """Draws letters from their distributions, sharpened by `TEMPERATURE`."""
        return decode(self.windows(rng, 1, self.some_width(rng))[0], self.letters)

    def arrays(self) -> State:
        """The generator's weights."""
        return {f"generator.{name}": each.numpy().copy() for name, each in _weights(self.generator).items()}

    @classmethod
    def restore(cls, letters: str, height: int, widths: NDArray[np.int32], state: Mapping[str, Any]) -> Self:
        """Takes what `arrays` gave; see `DrawingModel.restore`."""
        rows = -(-height // STRIDE)
        channels = len(taken(state, "generator.first.weight", np.float32, None, NOISE, 3)) // rows
        check_range("generator.first.weight", np.array(channels), 1, MOST_CHANNELS + 1)
        with torch.random.fork_rng(devices=[]):
            generator = Generator(len(letters), height, channels)
        for name, each in _weights(generator).items():
            each.copy_(torch.from_numpy(taken(state, f"generator.{name}", np.float32, *each.shape)))
        return cls(letters, height, widths, generator)


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """All numbers with a fraction that a module has, by name."""
    return {name: each for name, each in module.state_dict().items() if each.is_floating_point()}


def _is_finite(module: nn.Module) -> bool:
    return all(bool(each.isfinite().all()) for each in _weights(module).values())


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> float:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()
