"""A run's macro-actions: how many are asked for, and whose, and how the run's folder keeps them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...agents.macros import LONGEST, MOST, Macros
from ...agents.registry import AgentSpec
from ...checking import at_least, within
from ..setup.files import read_versioned, write_json
from ..setup.resolve import Environment
from ..setup.settings import from_plain, to_plain

FILE = "macros.json"
"""The sequences, in a run's folder."""
FORMAT = 1


@dataclass(frozen=True)
class MacroSettings:
    """Sequences of actions that become further actions.

    Raises:
        ValueError: for a number out of its range.
    """

    number: int = 0
    """How many, at most; `--macros 8` is short for it. Those that save most decisions come first."""
    source: str = "expert"
    """Whose sequences: a reference of the world, a run's folder, or `pretrained:NAME`; or `random`, drawn
    evenly, as a control."""
    longest: int = 4
    """Actions of each, at most."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 0, "number")
        within(self, 2, LONGEST, "longest")
        if self.number > MOST:
            raise ValueError(f"macros.number must be at most {MOST:,}; got {self.number:,}")


@dataclass(frozen=True)
class RunMacros:
    """A run's macro-actions: which are asked for, and what came of it."""

    settings: MacroSettings
    found: Macros | None = None
    """None before they are looked for."""

    def described(self) -> dict[str, Any]:
        """What stands of them in `config.json`."""
        return to_plain(self.settings)

    def write(self, folder: Path, environment: Environment) -> None:
        """Keeps the sequences in a run's folder."""
        assert self.found is not None, "nobody has looked for macro-actions"
        plain = {"env": environment.id, "num_actions": self.found.num_actions}
        sequences = [list(each) for each in self.found.sequences]
        write_json(folder / FILE, {"format": FORMAT, **plain, "sequences": sequences})

    def read(self, folder: Path, environment: Environment) -> RunMacros:
        """The same with the sequences that `write` kept, which may come from a stranger.

        Raises:
            ValueError: one line, when the file is missing, damaged, or of another world.
        """
        file = folder / FILE
        plain = read_versioned(file, FORMAT, "a run's macro-actions")
        if set(plain) != {"format", "env", "num_actions", "sequences"}:
            raise ValueError(f"{file} was cut short or altered")
        if plain["env"] != environment.id:
            raise ValueError(f"{file} has macro-actions of {plain['env']}, not of {environment.id}")
        try:
            sequences = from_plain(tuple[tuple[int, ...], ...], plain["sequences"], "sequences")
            found = Macros(from_plain(int, plain["num_actions"], "num_actions"), sequences)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        return dataclasses.replace(self, found=found)


def read_macros(plain: Any, file: Path) -> RunMacros:
    """Reads what `described` told, which may come from a stranger; the sequences are not read.

    Args:
        plain: decoded JSON.
        file: where it stands, for messages.

    Raises:
        ValueError: one line, when it is damaged.
    """
    return RunMacros(from_plain(MacroSettings, plain, f"{file}: macros"))


def check_takes_macros(agent: AgentSpec, agent_config: Any) -> None:
    """Makes sure that an agent can learn with macro-actions.

    Raises:
        ValueError: one line, when it can't.
    """
    takes = agent.kind == "learner" and getattr(agent.agent_class(), "discounts_each", False)
    if not takes:
        raise ValueError(
            f"{agent.name} discounts each decision alike, so it takes no macros; "
            "the tabular agents, dqn, pqn and ppo do"
        )
    if not hasattr(agent_config, "gamma"):
        raise ValueError(
            f"{agent.name} takes no macros: it has no setting gamma, by which rewards within a decision are "
            "discounted"
        )
