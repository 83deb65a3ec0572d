"""What a run's encoder is, on what it is fitted before training, and how the run's folder keeps it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Space

from ...agents import checkpoint
from ...agents.base import Encoder, OutdatedError, State
from ...agents.encoders.registry import EncoderChain, find_encoder
from ...checking import at_least, within
from ..setup.errors import refusal
from ..setup.settings import from_plain, to_plain
from ..setup.text import one_line

FILE = "encoder.safetensors"
"""What was fitted, in a run's folder."""

TARGETS = ("action", "return", "steps", "harm")
"""What encoders may predict in any environment; a world declares further targets."""


@dataclass(frozen=True)
class PolicyMixtureSettings:
    """Who plays while observations are collected.

    Raises:
        ValueError: for a share outside 0 to 1, or nobody.
    """

    policies: tuple[str, ...] = ("random",)
    """Who plays: `random`, references of the world, runs (folders, `pretrained:NAME`). They share the
    environments evenly."""
    epsilon: float = 0.1
    """Share of their actions that are random ones: without them, mistakes are never seen."""
    teacher: str | None = None
    """Who says what should be done: a reference of the world, by default its `expert`, or a run's folder."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        within(self, 0.0, 1.0, "epsilon")
        if not self.policies:
            raise ValueError("policies must name at least one")


@dataclass(frozen=True)
class FitSettings(PolicyMixtureSettings):
    """On what an encoder is fitted.

    Raises:
        ValueError: for a number out of its range.
    """

    samples: int = 20_000
    """Observations."""
    target: str = "action"
    """What supervised encoders predict: the teacher's `action`, the discounted `return` to come, the `steps`
    that remain, whether `harm` is done within the horizon, or a target that the world declares."""
    horizon: int = 10
    """Steps over which returns are discounted (by 1 - 1/horizon), and within which harm is near."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "samples", "horizon")


@dataclass(frozen=True)
class Encoding:
    """A run's encoder: which, how it is fitted, and what came of it."""

    chain: EncoderChain
    config: Any
    fit: FitSettings
    state: State = field(default_factory=dict)
    """Empty before it is fitted."""
    folder: Path | None = None
    """The run's folder that it was read from."""

    def make(self, observation_space: Space) -> Encoder:
        """Makes the fitted encoder for an environment's observations.

        Raises:
            ValueError: when they do not fit.
        """
        encoder = self.chain.make(observation_space, self.config, 0)
        try:
            encoder.load_state_dict(self.state)
            shown = np.zeros((1, *(observation_space.shape or ())), observation_space.dtype)
            fits = encoder.space.contains(encoder.transform(shown)[0])
        except OutdatedError as error:
            raise error if self.folder is None else refusal(self.folder, error) from None
        except ValueError:
            raise
        except Exception as error:  # a stranger's arrays can fail in any way
            raise ValueError(f"the encoder is damaged ({one_line(error, 200)})") from error
        if not fits:
            raise ValueError("the encoder is damaged")
        return encoder

    def described(self) -> dict[str, Any]:
        """What stands of it in `config.json`."""
        return {"name": self.chain.name, "config": to_plain(self.config), "fit": to_plain(self.fit)}

    def fitted(self, folder: Path) -> Encoding:
        """The encoder with what was fitted, as `write` kept it in a run's folder.

        Raises:
            ValueError: one line, when it is damaged.
        """
        return dataclasses.replace(self, state=checkpoint.load(folder / FILE), folder=folder)

    def write(self, folder: Path) -> None:
        """Keeps in a run's folder what was fitted."""
        checkpoint.save(folder / FILE, self.state)


def read_encoding(plain: Any, file: Path) -> Encoding:
    """Reads what `described` told, which may come from a stranger; what was fitted is not read.

    Args:
        plain: decoded JSON.
        file: where it stands, for messages.

    Raises:
        ValueError: one line, when it is damaged or names what is not there.
    """
    where = f"{file}: encoder"
    if not isinstance(plain, dict) or set(plain) != {"name", "config", "fit"}:
        raise ValueError(f"{where} was cut short or altered")
    chain = find_encoder(str(plain["name"]))
    config = from_plain(chain.config_class(), plain["config"], where)
    return Encoding(chain, config, from_plain(FitSettings, plain["fit"], where))
