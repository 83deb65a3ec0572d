"""Replay memory: a ring of transitions on the training device, drawn evenly or by priority.

Each of the N streams (environments) has a ring of T slots, one for each observation in the order of time. A
slot holds a frame, what was done in it, and how many slots ahead the next observation is: next observations
and stacks of frames are read from frames that are stored once. The last observation of an episode that was
truncated has a slot of its own; that of one that terminated is worth nothing, and is not kept.

Rewards of n steps are added up when they come, so that drawing is a short and fixed sequence of operations on
tensors of fixed shapes. It never waits for the device: a CUDA graph can hold it together with the update.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from gymnasium.spaces import Space
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..base import State, Transition
from .priorities import Priorities, PriorityConfig
from .tensors import to_device


class Sample(NamedTuple):
    """B transitions on the device. A row of weight 0 is none, and must not be learned from."""

    obs: Tensor
    """(B, ...) observations, or (B, frames, ...) stacks, newest last, zeros from before the episode."""
    action: Tensor
    """(B,) int64 actions, counted from 0."""
    reward: Tensor
    """(B,) float32 discounted sum of the n rewards that follow, or fewer where the episode ended."""
    discount: Tensor
    """(B,) float32 gamma^k where `next_obs` is k steps on; 0 where the episode terminated by then."""
    next_obs: Tensor
    """As `obs`; the true last one where the episode was truncated, anything where `discount` is 0."""
    next_mask: Tensor | None
    """(B, A) bool, actions possible in `next_obs`; all where `discount` is 0. None without masks."""
    weight: Tensor
    """(B,) float32 importance weights up to 1; all 1 without priorities."""
    slot: Tensor
    """(B,) int64 where the transitions are, for `Replay.prioritise`."""


def replay_bytes(
    observation_space: Space,
    num_actions: int,
    *,
    capacity: int,
    num_envs: int,
    n_step: int = 1,
    frames: int = 1,
    masked: bool = False,
    prioritized: bool = False,
) -> int:
    """Bytes that a replay takes on its device; see `Replay` for the arguments."""
    slots = num_envs * _ring_length(capacity, num_envs, n_step, frames)
    columns = _columns(observation_space, num_actions, masked).values()
    size = (slots + 1) * sum(math.prod(shape) * dtype.itemsize for shape, dtype in columns)
    return size + (Priorities.bytes_of(slots) if prioritized else 0)


class Replay:
    """The newest transitions of N streams.

    Args:
        observation_space: space of one environment's observations: arrays of one shape, or numbers.
        num_actions: A, how many there are.
        capacity: transitions to hold, of all streams together.
        num_envs: N, streams.
        gamma: discount factor.
        n_step: n, how many steps `next_obs` is ahead, where the episode lasts that long.
        frames: observations in a stack.
        masked: whether batches have a `next_mask`.
        prioritized: how to draw by priority; None: evenly.
        device: where the transitions are kept.
        generator: random generator of that device.

    Attributes:
        capacity: as given.
        nbytes: bytes that it takes on the device.

    Raises:
        ValueError: one line, when it does not fit in the device's free memory.
    """

    def __init__(
        self,
        observation_space: Space,
        num_actions: int,
        *,
        capacity: int,
        num_envs: int,
        gamma: float,
        n_step: int = 1,
        frames: int = 1,
        masked: bool = False,
        prioritized: PriorityConfig | None = None,
        device: torch.device,
        generator: torch.Generator,
    ) -> None:
        self.capacity = capacity
        self.nbytes = replay_bytes(
            observation_space,
            num_actions,
            capacity=capacity,
            num_envs=num_envs,
            n_step=n_step,
            frames=frames,
            masked=masked,
            prioritized=prioritized is not None,
        )
        check_memory(self.nbytes, capacity, device)
        self._num_envs, self._num_actions = num_envs, num_actions
        self._n_step, self._frames = n_step, frames
        self._device, self._generator = device, generator
        self._length = _ring_length(capacity, num_envs, n_step, frames)
        self._blank = slots = num_envs * self._length  # the last slot stays all zeros
        self._columns = {
            name: _zeros((slots + 1, *shape), dtype, device)
            for name, (shape, dtype) in _columns(observation_space, num_actions, masked).items()
        }
        self._priorities = None if prioritized is None else Priorities(prioritized, slots, device)
        self._back = torch.arange(frames - 1, -1, -1, device=device)

        # Where each stream stands is known on the host; what its slots hold, on the device.
        self._powers = gamma ** np.arange(n_step + 1)
        self._passed: NDArray | None = None  # discounts of its last 0, 1, ... n steps; None: as powers
        self._first = self._length * np.arange(num_envs)
        self._head = np.zeros(num_envs, np.int64)  # position in the ring of its next frame
        self._age = np.zeros(num_envs, np.int64)  # steps of its episode so far
        self._returns = np.zeros((num_envs, n_step))  # discounted rewards of its last 1, 2, ... n steps
        self._added = self._steps = 0  # transitions, and steps of the world
        self._next_obs: NDArray | None = None  # of the last batch
        self._frame_dtype = np.dtype(observation_space.dtype)
        self._resumed = False

        self._filled = 0  # positions that any stream has used, on the host and below on the device
        self._used_positions = torch.zeros((), dtype=torch.int64, device=device)
        self._used_slots = torch.zeros((), dtype=torch.float64, device=device)
        self._clear()

    def __len__(self) -> int:
        """Transitions held, at most `capacity`; an episode that was truncated takes one's place."""
        return min(self._added, self.capacity)

    @torch.no_grad()
    def add(self, batch: Transition, obs: Tensor | None = None) -> None:
        """Adds a transition of each stream, which can be drawn once its successor is here.

        Args:
            batch: N transitions, row b of stream b; actions count from 0.
            obs: `batch.obs` on the device, if it is there already.

        Raises:
            ValueError: when there is a mask and none was announced, or the other way round.
        """
        if (batch.next_mask is None) == ("mask" in self._columns):
            raise ValueError("the batches of a replay have masks always or never")
        if self._resumed:
            self._leave_broken_episodes(batch.obs)
        terminated = np.asarray(batch.terminated, np.bool_)
        cut = np.asarray(batch.truncated, np.bool_) & ~terminated
        rows, at, ended = np.flatnonzero(cut), self._head, terminated | cut
        slot, after = self._first + at, self._first + (at + 1) % self._length
        self._head = (at + 1 + cut) % self._length

        self._put("frame", slot, batch.obs if obs is None else obs)
        self._put("earlier", slot, np.minimum(self._age, self._frames - 1))
        self._put("action", slot, batch.action)
        if batch.next_mask is not None:
            self._put("mask", after, batch.next_mask)
        if len(rows):
            self._put("frame", after[rows], batch.next_obs[rows])
            self._put("earlier", after[rows], np.minimum(self._age[rows] + 1, self._frames - 1))
        self._steps += batch.taken
        self._complete(at, batch, terminated, ended)

        self._age = np.where(ended, 0, self._age + 1)
        self._added += len(at)
        self._next_obs = batch.next_obs
        self._fill(int(at.max()) + 2)  # also where the successor's mask is already

    @torch.no_grad()
    def sample(self, size: int) -> Sample:
        """Draws `size` rows with replacement; those that hit no transition have weight 0."""
        columns = self._columns
        slot = self._draw(size) if self._priorities is None else self._priorities.draw(size, self._generator)
        ahead = columns["ahead"].take(slot)
        weight = (ahead > 0).float()
        position = slot % self._length
        positions = torch.stack([position, position + ahead])[:, :, None] - self._back
        frames = (slot - position)[:, None] + positions % self._length  # slots, (2, B, frames)
        newest = frames[:, :, -1]
        if self._frames > 1:
            known = self._back <= columns["earlier"].take(newest)[:, :, None]
            frames = torch.where(known, frames, self._blank)
        obs, next_obs = self._frames_at(frames if self._frames > 1 else newest)
        discount = columns["discount"].take(slot) * weight
        next_mask = None
        if "mask" in columns:
            next_mask = columns["mask"].index_select(0, newest[1]) | (discount == 0)[:, None]
        if self._priorities is not None:
            weight = self._priorities.weights(slot, weight)
        action, reward = columns["action"].take(slot), columns["reward"].take(slot)
        return Sample(obs, action, reward, discount, next_obs, next_mask, weight, slot)

    @torch.no_grad()
    def prioritise(self, slot: Tensor, error: Tensor) -> None:
        """Gives sampled transitions new priorities; without priorities nothing happens.

        Args:
            slot: (B,) as sampled.
            error: (B,) absolute TD errors.
        """
        if self._priorities is not None:
            self._priorities.update(slot, error)

    def state_dict(self) -> State:
        """Everything it holds, as copies."""
        state: State = {"added": self._added, "layout": self._layout()}
        if self._steps != self._added:
            state["steps"] = self._steps
        state |= {name: host.copy() for name, host in self._on_host().items()}
        if self._next_obs is not None:
            state["next_obs"] = np.array(self._next_obs, self._frame_dtype)
        if self._priorities is not None:
            state["highest"] = float(self._priorities.highest)
        return state | {name: _to_host(used) for name, used in self._used().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        An environment that can't be saved goes on with a new episode. The next batch shows where that is so,
        and the episode that was under way there stays without its end.

        Raises:
            ValueError: when the state is of another replay, or damaged.
        """
        self._passed = np.ones((self._num_envs, self._n_step + 1)) if "passed" in state else None
        filled = self._check(state)
        self._clear()
        self._fill(filled)
        for name, used in self._used().items():
            for row, given in zip(used, torch.from_numpy(state[name]), strict=True):
                row.copy_(given)  # one stream after another: all at once would take the memory twice
        for name, host in self._on_host().items():
            host[...] = state[name]
        self._added = int(state["added"])
        self._steps = int(state.get("steps", self._added))
        self._next_obs = state.get("next_obs")
        self._resumed = self._next_obs is not None
        if self._priorities is not None:
            self._priorities.restore(float(state["highest"]), self._steps)

    def _draw(self, size: int) -> Tensor:
        """(B,) slots, each of those in use as likely as any other."""
        share = torch.rand(size, dtype=torch.float64, device=self._device, generator=self._generator)
        number = (share * self._used_slots).long()
        stream = number.div(self._used_positions, rounding_mode="floor")
        return number + stream * (self._length - self._used_positions)

    def _frames_at(self, slot: Tensor) -> Tensor:
        """The frames in slots, of any shape."""
        column = self._columns["frame"]
        if self._device.type == "cpu":  # numpy copies rows without waiting for a second thread
            return torch.from_numpy(column.numpy().take(slot.numpy(), axis=0))
        return column.index_select(0, slot.view(-1)).view(*slot.shape, *column.shape[1:])

    def _complete(
        self,
        at: NDArray[np.int64],
        batch: Transition,
        terminated: NDArray[np.bool_],
        ended: NDArray[np.bool_],
    ) -> None:
        """Lets transitions be drawn whose next observation has come, and those overwritten no more.

        Args:
            at: (N,) positions of the newest frames.
            batch: the newest steps.
            terminated: (N,) whether the episodes terminated with them.
            ended: (N,) whether they are over.
        """
        n, reward = self._n_step, np.asarray(batch.reward, np.float64)
        passed, discounts = self._discounts(batch.discount)
        # In column j the last j + 1 steps; in the last one the n steps before this one.
        returns = np.concatenate([reward[:, None] * passed[:, :n], self._returns[:, -1:]], axis=1)
        returns[:, 1:n] += self._returns[:, :-1]
        self._returns = returns[:, :n]

        # The newest frame is the next observation of n steps ago; an episode's end is that of all since.
        back = np.arange(n + 1)
        stream, back = np.nonzero((back <= self._age[:, None]) & (ended[:, None] | (back == n)))
        fresh = self._first[stream] + (at[stream] - back) % self._length
        ahead = np.minimum(back + 1, n)
        discount = np.where(terminated[stream] & (back < n), 0.0, discounts[stream, back])
        # Those before the head and at it are no transitions; the oldest after it lost part of their stacks.
        gone = self._head[:, None] + np.arange(-1, self._frames)
        gone = (self._first[:, None] + gone % self._length).ravel()

        self._put("ahead", gone, np.zeros(len(gone)))
        self._put("ahead", fresh, ahead)
        self._put("discount", fresh, discount)
        self._put("reward", fresh, returns[stream, back])
        if self._priorities is not None:
            self._priorities.admit(gone, fresh)
            self._priorities.advance(self._steps)

    def _discounts(self, discount: NDArray | None) -> tuple[NDArray, NDArray]:
        """Takes the (N,) newest steps' discounts.

        Returns:
            (N, n + 1) what the last 0, 1, ... n steps before them discount by, and what transitions do that
            end with them: in column j those of the last j + 1 steps, in the last one the n steps before.
        """
        n, powers = self._n_step, np.broadcast_to(self._powers, (self._num_envs, self._n_step + 1))
        if discount is None:
            return powers, powers[:, np.minimum(np.arange(n + 1) + 1, n)]
        before = powers if self._passed is None else self._passed
        self._passed = np.concatenate(
            [np.ones_like(before[:, :1]), before[:, :-1] * discount[:, None]], axis=1
        )
        return before, np.concatenate([self._passed[:, 1:], before[:, -1:]], axis=1)

    def _leave_broken_episodes(self, obs: NDArray) -> None:
        """Starts a new episode in those streams that don't go on from where they stood."""
        self._resumed = False
        same = (np.asarray(obs, self._frame_dtype) == self._next_obs).reshape(self._num_envs, -1).all(axis=1)
        self._age[~same] = 0  # what waits for its next observation will never be drawn

    def _put(self, name: str, slot: NDArray[np.int64], values: ArrayLike | Tensor) -> None:
        """Writes into slots of a column."""
        column = self._columns[name]
        if self._device.type == "cpu":  # numpy copies whole rows, torch one element after another
            column.numpy()[slot] = values
            return
        if not isinstance(values, Tensor):
            values = to_device(np.asarray(values), self._device)
        column[to_device(slot, self._device)] = values.to(column.dtype)

    def _fill(self, positions: int) -> None:
        """Notes that positions up to there are used; transitions are drawn from these, in every stream."""
        positions = min(positions, self._length)
        if positions > self._filled:
            self._filled = positions
            self._used_positions.fill_(positions)
            self._used_slots.fill_(positions * self._num_envs)

    def _clear(self) -> None:
        """Empties all slots."""
        self._columns["ahead"].zero_()
        if self._priorities is not None:
            self._priorities.values.zero_()
        self._filled = 0
        self._fill(1)

    def _by_stream(self) -> dict[str, Tensor]:
        """(N, T, ...) views of what is known of each slot."""
        columns = dict(self._columns)
        if self._priorities is not None:
            columns["priority"] = self._priorities.values
        ring = self._num_envs, self._length
        return {
            name: column[: self._blank].view(*ring, *column.shape[1:]) for name, column in columns.items()
        }

    def _used(self) -> dict[str, Tensor]:
        """(N, filled, ...) views of what is known of the slots in use."""
        return {name: column[:, : self._filled] for name, column in self._by_stream().items()}

    def _layout(self) -> list[int]:
        """What two replays must share if one is to go on from the other."""
        return [self._num_envs, self._length, self._n_step, self._frames]

    def _on_host(self) -> dict[str, NDArray]:
        """Where each stream stands."""
        found = {"head": self._head, "age": self._age, "returns": self._returns}
        return found if self._passed is None else found | {"passed": self._passed}

    def _check(self, state: Mapping[str, Any]) -> int:
        """Refuses a state that nobody can go on from; returns how many positions are in use in it."""
        if state.get("layout") != self._layout():
            raise ValueError("the saved replay is of another size, or other settings, than this one")
        shape = np.shape(state.get("ahead", ()))
        filled = min(max(shape[1], 1), self._length) if len(shape) == 2 else 1
        wanted = {name: column[:, :filled] for name, column in self._by_stream().items()}
        wanted |= {name: torch.from_numpy(host) for name, host in self._on_host().items()}
        if "next_obs" in state:
            wanted["next_obs"] = self._by_stream()["frame"][:, 0]
        for name, tensor in wanted.items():
            array, shape, dtype = (
                state.get(name),
                tuple(tensor.shape),
                tensor.new_empty(0).cpu().numpy().dtype,
            )
            if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
                raise ValueError(
                    f"the saved replay is of another kind than this one: no {name} {dtype} {shape}"
                )
        most = {"ahead": self._n_step, "action": self._num_actions - 1, "head": self._length - 1}
        most |= {"passed": 1, "discount": 1}
        for name in {*most, "earlier", "age", "added", "steps", "priority", "highest"} & state.keys():
            if not np.all((state[name] >= 0) & (state[name] <= most.get(name, np.finfo(np.float32).max))):
                raise ValueError(f"the saved replay is damaged: {name} lies out of its range")
        return filled


def _columns(
    observation_space: Space, num_actions: int, masked: bool
) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """What is kept of each slot: shapes and dtypes."""
    columns: dict[str, tuple[tuple[int, ...], np.dtype]] = {
        "frame": (observation_space.shape or (), np.dtype(observation_space.dtype)),
        "earlier": ((), np.dtype(np.int32)),  # frames of the episode before it, as far as a stack needs them
        "action": ((), np.dtype(np.int64)),
        "ahead": ((), np.dtype(np.int32)),  # slots from here to the next observation; 0: not to be drawn
        "reward": ((), np.dtype(np.float32)),
        "discount": ((), np.dtype(np.float32)),
    }
    if masked:
        columns["mask"] = (num_actions,), np.dtype(np.bool_)  # of the slot's own frame
    return columns


def _ring_length(capacity: int, num_envs: int, n_step: int, frames: int) -> int:
    """Slots of each stream, so that `capacity` transitions can be drawn where none of them was truncated.

    A stream's newest n have no successor yet, its oldest `frames` - 1 lost part of their stacks, and two
    slots are for the gap and a final frame.
    """
    return math.ceil(capacity / num_envs) + n_step + frames + 1


def _zeros(shape: tuple[int, ...], dtype: np.dtype, device: torch.device) -> Tensor:
    """Zeros; in the CPU's memory they take room only once they are written to."""
    zeros = torch.from_numpy(np.zeros(shape if device.type == "cpu" else 0, dtype))
    return zeros if device.type == "cpu" else torch.zeros(shape, dtype=zeros.dtype, device=device)


def _to_host(used: Tensor) -> NDArray:
    """A copy of a column, made one stream after another: all at once would take the device's memory twice."""
    host = torch.empty(used.shape, dtype=used.dtype)
    for row, given in zip(host, used, strict=True):
        row.copy_(given)
    return host.numpy()


def check_memory(nbytes: int, capacity: int, device: torch.device) -> None:
    """Refuses a replay that does not fit."""
    on_cpu = device.type == "cpu"
    free = psutil.virtual_memory().available if on_cpu else _free_on_cuda(device)
    if nbytes > free:
        raise ValueError(
            f"a replay of {capacity:,} transitions takes {nbytes / 2**30:,.1f} GiB, and {device} has "
            f"{free / 2**30:,.1f} GiB free: lower --agent.buffer-size"
        )


def _free_on_cuda(device: torch.device) -> int:
    """Free bytes of a CUDA device, with those that torch keeps for itself and does not use."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused
