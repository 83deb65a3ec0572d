"""What on-policy learners keep: T steps of N environments, and what their successors are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from ..base import State, Transition
from ..checks import check_discounts
from .recurrent import Sequences
from .tensors import to_array, to_device

Layout = dict[str, tuple[tuple[int, ...], DTypeLike]]
"""Names of columns to the shape and dtype of one row."""


class Trajectories:
    """T steps of N environments, one step at a time, on a device.

    A step's successor is what the next step begins with, so its value is known then; but where an episode was
    cut off, and behind the last step, the true final observations are kept, and valued in the end.

    Args:
        steps: T.
        num_envs: N.
        device: where they are kept.
        frames: observations that a network sees at once.
        sets: how often there is memory for them; with two, what was finished stays until the next time.
        state_size: numbers that a network remembers; the column `state` holds them as they were before.

    Attributes:
        filled: steps so far.
    """

    def __init__(
        self,
        steps: int,
        num_envs: int,
        device: torch.device,
        *,
        frames: int = 1,
        sets: int = 1,
        state_size: int = 0,
    ) -> None:
        self._state_size = state_size
        self._spare: list[dict[str, Tensor]] = [{} for _ in range(1, sets)]
        self._size, self._device, self._frames = (steps, num_envs), device, frames
        self._columns: dict[str, Tensor] = {}  # (T, N, ...), made when the first step shows what it holds
        self._lasts: list[tuple[Tensor, ...]] = []  # places, frames, states, masks of true final observations
        self._newest: tuple[Transition, Tensor, Tensor | None] | None = None  # what the last step was made of
        self._awaited: tuple[Tensor, ...] | None = None  # as in `_lasts`, behind a step that was read
        self.filled = 0

    @property
    def full(self) -> bool:
        """Whether all steps are there."""
        return self.filled == self._size[0]

    @torch.no_grad()
    def add(
        self,
        batch: Transition,
        inputs: Tensor,
        value: Tensor,
        after: Tensor | None = None,
        /,
        **columns: Tensor,
    ) -> None:
        """Adds a step.

        Args:
            batch: N transitions.
            inputs: (N, ...) what the network saw of their observations.
            value: (N,) float32 what these are worth.
            after: (N, state_size) what it remembers of them, if it does.
            **columns: (N, ...) what else to keep.

        Raises:
            ValueError: when others than the steps before; a checkpoint may be another run's.
        """
        t, num_envs = self.filled, self._size[1]
        if self._awaited is not None:
            self._cut(inputs)
        step = {"obs": inputs, "reward": self._to_device(batch.reward, np.float32), **columns}
        step |= {
            name: self._to_device(getattr(batch, name), np.bool_) for name in ("terminated", "truncated")
        }
        if batch.discount is not None:
            step["discount"] = self._to_device(batch.discount, np.float64)
        if not self._columns:
            self._allocate({**step, "next_value": value})
        elif strange := (step.keys() | {"next_value"}) ^ self._columns.keys():
            raise ValueError(f"some steps of a rollout tell {min(strange)}, and others do not")
        for name, rows in step.items():
            self._columns[name][t] = rows
        if t > 0:
            self._columns["next_value"][t - 1] = value
        self.filled += 1
        self._newest = batch, inputs, after
        rows = np.arange(num_envs) if self.full else np.flatnonzero(batch.truncated)
        if len(rows):
            self._note(self._ends(rows))

    def _ends(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Places, frames, states and masks of what follows the newest step in some streams."""
        assert self._newest
        batch, inputs, after = self._newest
        chosen = self._to_device(rows, np.int64)
        final = self._to_device(batch.next_obs[rows])
        if self._frames > 1:
            final = torch.cat([inputs[chosen, 1:], final[:, None]], dim=1)
        state = () if after is None else (after[chosen],)
        mask = () if batch.next_mask is None else (self._to_device(batch.next_mask[rows], np.bool_),)
        return (self.filled - 1) * self._size[1] + chosen, final, *state, *mask

    def _cut(self, inputs: Tensor) -> None:
        """Ends what was under way in streams that do not go on: not every environment can be saved."""
        assert self._awaited
        awaited, self._awaited = self._awaited, None
        ended = self._columns["terminated"] | self._columns["truncated"]
        lost = (inputs != awaited[1]).view(len(inputs), -1).any(1) & ~ended[self.filled - 1]
        if lost.any():
            self._columns["truncated"][self.filled - 1, lost] = True
            self._note(tuple(part[lost] for part in awaited))

    def _note(self, ends: tuple[Tensor, ...]) -> None:
        """Takes down true final observations, all with masks or none: a checkpoint may be a stranger's."""
        if self._lasts and len(ends) != len(self._lasts[0]):
            raise ValueError("some steps of a rollout tell which actions are possible, and others do not")
        self._lasts.append(ends)

    @staticmethod
    def discounts(rollout: Mapping[str, Tensor], gamma: float) -> float | Tensor:
        """What the successors' values are discounted by: (T, N) float64, or gamma where all are alike."""
        return rollout.get("discount", gamma)

    @torch.no_grad()
    def finish(self, value: Callable[[Tensor, Tensor | None, Tensor | None], Tensor]) -> dict[str, Tensor]:
        """Values the final observations, and begins anew.

        Args:
            value: (B, ...) what the network sees, its (B, state_size) state before or None, and (B, A) masks
                or None, to (B,) values.

        Returns:
            The (T, N, ...) columns, with `next_value`; the next steps overwrite them.
        """
        place, final, *known = (torch.cat(parts) for parts in zip(*self._lasts, strict=True))
        state = known.pop(0) if self._state_size else None
        self._columns["next_value"].view(-1)[place] = value(final, state, known[0] if known else None)
        self._lasts.clear()
        self._newest = None
        self.filled = 0
        self._spare.append(self._columns)
        self._columns = self._spare.pop(0)
        return self._spare[-1] if self._spare else self._columns

    def sequences(self, rollout: Mapping[str, Tensor]) -> Sequences | None:
        """How the rows of what was finished hang together; None where nothing is remembered."""
        if not self._state_size:
            return None
        begins = torch.zeros_like(rollout["terminated"])
        torch.logical_or(rollout["terminated"][:-1], rollout["truncated"][:-1], out=begins[1:])
        return Sequences(rollout["state"][0], begins)

    def minibatches(self, epochs: int, count: int, generator: torch.Generator) -> list[Tensor]:
        """Shares rows out to so many parts, once an epoch; where something is remembered, whole streams.

        Returns:
            (rows,) int64 of each part; of streams, a step of all after the other.
        """
        steps, num_envs = self._size
        whole = num_envs if self._state_size else steps * num_envs
        parts: list[Tensor] = []
        for _ in range(epochs):
            parts += torch.randperm(whole, device=self._device, generator=generator).chunk(count)
        if not self._state_size:
            return parts
        firsts = num_envs * torch.arange(steps, device=self._device)[:, None]
        return [(firsts + part).flatten() for part in parts]

    def check(self, minibatches: int) -> None:
        """Refuses parts that would not be equal.

        Raises:
            ValueError: one line.
        """
        steps, num_envs = self._size
        whole = f"num_envs = {num_envs}, since net.memory keeps streams whole"
        if not self._state_size:
            whole = f"num_steps * num_envs = {steps * num_envs}"
        if (num_envs if self._state_size else steps * num_envs) % minibatches:
            raise ValueError(f"num_minibatches must divide {whole}; got {minibatches}")

    def _to_device(self, array: Any, dtype: Any = None) -> Tensor:
        return to_device(np.asarray(array, dtype), self._device)

    def _allocate(self, step: Mapping[str, Tensor]) -> None:
        for name, rows in step.items():
            shape = *self._size, *rows.shape[1:]
            self._columns[name] = torch.zeros(shape, dtype=rows.dtype, device=self._device)

    def state_dict(self) -> State:
        """The steps so far."""
        state: State = {"filled": self.filled}
        for name, each in self._columns.items():
            state[f"rollout.{name}"] = to_array(each[: self.filled])
        if self._lasts:
            for number, parts in enumerate(zip(*self._lasts, strict=True)):
                state[f"lasts.{number}"] = to_array(torch.cat(parts))
        awaited = self._awaited if self._newest is None else self._ends(np.arange(self._size[1]))
        for number, part in enumerate(awaited or ()):
            state[f"awaited.{number}"] = to_array(part)
        return state

    def load_state_dict(self, state: Mapping[str, Any], layout: Layout, num_actions: int) -> None:
        """Takes back what `state_dict` gave.

        Args:
            state: what it gave, among other names.
            layout: of the columns, but for those that are always there; masks of older states are left out.
            num_actions: columns of a mask.

        Raises:
            ValueError: when a part is missing, of another shape, or out of range.
        """
        steps, num_envs = self._size
        filled = int(state["filled"])
        if not 0 <= filled < steps:
            raise ValueError(f"{filled} steps of a rollout of {steps}")
        found = {name[8:]: np.array(rows) for name, rows in state.items() if name.startswith("rollout.")}
        found.pop("next_mask", None)
        lasts, awaited = (
            [np.array(state[f"{name}.{k}"]) for k in range(4) if f"{name}.{k}" in state]
            for name in ("lasts", "awaited")
        )
        known = [((self._state_size,), np.float32)] if self._state_size else []
        layout = layout | dict.fromkeys(["state"][: len(known)], ((self._state_size,), np.float32))
        layout |= dict.fromkeys(("reward", "next_value"), ((), np.float32))
        layout |= dict.fromkeys(("terminated", "truncated"), ((), np.bool_))
        layout |= {name: ((), np.float64) for name in ("discount",) if name in found}
        wanted = {
            name: ((filled, num_envs, *shape), np.dtype(dtype)) for name, (shape, dtype) in layout.items()
        }
        fits = {name: (rows.shape, rows.dtype) for name, rows in found.items()} == (
            wanted if found or filled else {}
        )
        for ends in (lasts, awaited):
            if ends:
                parts = [((), np.int64), layout["obs"], *known, ((num_actions,), np.bool_)][: len(ends)]
                rows = [((ends[0].size, *shape), dtype) for shape, dtype in parts]
                fits = fits and len(ends) > 1 + len(known)
                fits = fits and [(each.shape, each.dtype) for each in ends] == rows
                fits = fits and not ((ends[0] < 0) | (ends[0] >= filled * num_envs)).any()
        if awaited:
            fits = fits and np.array_equal(awaited[0], (filled - 1) * num_envs + np.arange(num_envs))
            fits = fits and len(lasts) in (0, len(awaited))
        if not fits:
            raise ValueError("the unfinished rollout is damaged")
        check_discounts("rollout.discount", found.get("discount", np.zeros(0)))
        self.filled, self._columns = filled, {}
        if filled:
            columns = {name: self._to_device(rows) for name, rows in found.items()}
            self._allocate({name: rows[0] for name, rows in columns.items()})
            for name, rows in columns.items():
                self._columns[name][:filled] = rows
        self._lasts = [tuple(map(self._to_device, lasts))] if lasts else []
        self._newest, self._awaited = None, tuple(map(self._to_device, awaited)) or None
