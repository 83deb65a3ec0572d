"""The batch loop, written once and bound to a world, and the batch of records that it runs on."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import ArrayLike, NDArray

from ...caching import compiled
from ...threads import Threads
from .binding import bind, entry_point, record_types
from .compiling import kernel
from .info import Columns, Reports
from .lots import lots_of
from .rng import seed_stream
from .settings import settled
from .world import REWARD_SCALE, Kernels, World, check_ranges

# What happens to an environment whose episode is over (gymnasium's AutoresetMode, as the loop reads it).
DISABLED, NEXT_STEP, SAME_STEP = 0, 1, 2
# What a row may be told instead of an action.
KEEP, RESET, RESET_SEEDED = -1, -2, -3

_REWARD_UNIT = 1.0 / REWARD_SCALE  # a power of two: the product is exact


def _unbound(*_: Any) -> Any:
    raise NotImplementedError("bound to a world's kernels by bind_loop")


# The names that `bind` gives a meaning.
reset_one: Callable[..., Any] = _unbound
step_one: Callable[..., Any] = _unbound
observe_one: Callable[..., Any] = _unbound
mask_one: Callable[..., Any] = _unbound
write_numbers: Callable[..., Any] = _unbound
write_counts: Callable[..., Any] = _unbound
write_flags: Callable[..., Any] = _unbound
write_parts: Callable[..., Any] = _unbound
write_drawn: Callable[..., Any] = _unbound


def _advance_rows(
    params,
    state,
    action,
    obs,
    mask,
    reward,
    terminated,
    truncated,
    numbers,
    counts,
    flags,
    final_obs,
    final_mask,
    final_numbers,
    final_counts,
    final_flags,
    autoreset,
    max_steps,
    lo,
    hi,
):
    # Kernels are large, and the compiler copies them to where they are called: each is called in one place.
    ended = 0
    for i in range(lo, hi):
        command = action[i]
        if autoreset != DISABLED and state[i].done and command >= 0:
            command = RESET  # in SAME_STEP only after `set_state`: what is over never goes on
        reward[i] = 0.0
        terminated[i] = False
        truncated[i] = False
        while True:
            over = False
            if command >= 0:
                state[i].elapsed += 1
                units, terminal = step_one(params, state, i, command)
                cut = max_steps > 0 and state[i].elapsed >= max_steps
                over = terminal or cut
                reward[i] = units * _REWARD_UNIT
                terminated[i] = terminal
                truncated[i] = cut
                state[i].done = over
            elif command != KEEP:
                if command == RESET_SEEDED:
                    seed_stream(state[i].rng, state[i].rng[0])
                state[i].elapsed = 0
                state[i].done = False
                reset_one(params, state, i)
            observe_one(params, state, i, obs)
            mask_one(params, state, i, mask)
            write_numbers(state, i, numbers)
            write_parts(state, i, numbers)
            write_counts(state, i, counts)
            write_drawn(state, i, counts)
            write_flags(state, i, flags)
            ended += over
            if not (over and autoreset == SAME_STEP):
                break
            _keep_row(obs, i, final_obs)
            _keep_row(mask, i, final_mask)
            _keep_column(numbers, i, final_numbers)
            _keep_column(counts, i, final_counts)
            _keep_column(flags, i, final_flags)
            command = RESET
    return ended


@compiled(nogil=True, _nrt=False)
def _first_wrong(action, num_actions):
    for i in range(len(action)):
        if not 0 <= action[i] < num_actions:
            return i
    return -1


@kernel
def _no_mask(params, state, i, mask):
    pass


@kernel
def _keep_row(array, i, kept):
    width = array.size // len(array)
    for k in range(i * width, (i + 1) * width):
        kept.flat[k] = array.flat[k]


@kernel
def _keep_column(block, i, kept):
    for k in range(len(block)):
        kept[k, i] = block[k, i]


def bind_loop(world: World) -> Callable[..., Any]:
    """Binds the batch loop to a world; the same kernels and records give the same loop.

    Args:
        world: its kernels, and the types of its records, matter.

    Returns:
        `(params, state, action, *Outputs, *Finals, autoreset, max_steps, lo, hi)`, over rows [lo, hi); it
        returns how many episodes ended.
    """
    return _bind_loop(world.kernels, record_types(world.params(), world.state_dtype))


@cache
def _bind_loop(kernels: Kernels, records: tuple[np.dtype[Any], ...]) -> Callable[..., Any]:
    functions = {**kernels._asdict(), "mask_one": kernels.mask_one or _no_mask, **Reports(records[0]).writers}
    name = f"{kernels.step_one.__module__}.{kernels.observe_one.__name__}"
    return bind(_advance_rows, name, functions, records)


class Outputs(NamedTuple):
    """What a step fills: one row an environment."""

    obs: NDArray[Any]
    mask: NDArray[np.uint8]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    numbers: NDArray[np.float64]
    counts: NDArray[np.int64]
    flags: NDArray[np.bool_]

    @property
    def columns(self) -> Columns:
        """What is reported."""
        return Columns(*self[5:])


class Finals(NamedTuple):
    """What SAME_STEP sets aside before a reset: the end of the episode, in the rows where one ended."""

    obs: NDArray[Any]
    mask: NDArray[np.uint8]
    numbers: NDArray[np.float64]
    counts: NDArray[np.int64]
    flags: NDArray[np.bool_]

    @property
    def columns(self) -> Columns:
        """What was reported."""
        return Columns(*self[2:])


class Batch:
    """The records of N environments of one world, and the loop over them.

    The only state is the records: everything else is made from the world's config.

    Attributes:
        slice_seconds: work for which a thread is woken, which takes 80 us.
    """

    slice_seconds = 2e-4

    def __init__(
        self, world: World, num_envs: int = 1, num_threads: int = 1, loop: Callable[..., Any] | None = None
    ) -> None:
        """Makes N records that await their first reset.

        Args:
            world: the world.
            num_envs: number N of environments.
            num_threads: threads that share the rows; results do not depend on it.
            loop: another loop than the compiled one.

        Raises:
            TypeError: for an action space other than `Discrete` from 0.
            ValueError: for fewer than one environment or thread, or numbers that are not whole.
        """
        space = world.action_space
        if not isinstance(space, Discrete) or space.start != 0:
            raise TypeError(f"a world's actions are Discrete, from 0; {type(world).__name__} has {space}")
        num_envs, num_threads = settled("num_envs", num_envs, int), settled("num_threads", num_threads, int)
        if num_envs < 1 or num_threads < 1:
            raise ValueError(f"num_envs and num_threads are at least 1, got {num_envs} and {num_threads}")
        self.world = world
        self.num_envs = num_envs
        self.num_threads = min(num_threads, num_envs)
        self.num_actions = int(space.n)
        self.has_mask = world.kernels.mask_one is not None
        self.params = world.params()
        self.state = np.zeros(num_envs, world.state_dtype)
        self.reports = Reports(world.state_dtype)
        self.loop = bind_loop(world) if loop is None else loop
        # The loop, and the check of actions, compiled for the types of this batch's arrays.
        self._advance_rows: Callable[..., Any] | None = None
        self._find_wrong: Callable[..., Any] | None = None
        self._row_seconds = 1e-6  # it took for a row of the last call
        space, n = world.observation_space, self.num_envs
        seen = ((n, *(space.shape or ())), space.dtype), ((n, self.num_actions * self.has_mask), np.uint8)
        columns = [((count, n), dtype) for count, dtype in self.reports.blocks]
        outputs = [*seen, (n, np.float64), (n, np.bool_), (n, np.bool_), *columns]
        self._outputs = [(shape, np.dtype(dtype)) for shape, dtype in outputs]  # made once: each costs 50 ns
        self._finals = [*seen[1:], *columns]
        none = [((0, *shape[1:]), dtype) for shape, dtype in seen] + [
            ((k, 0), d) for k, d in self.reports.blocks
        ]
        self.finals = Finals._make([np.empty(*each) for each in none])
        self._threads = Threads(self.num_threads - 1)  # beside the caller's own

    # ------------------------------------------------------------ outputs

    def outputs(self, others: Outputs | None = None) -> Outputs:
        """Fresh arrays for all that a step fills; for observations and masks only if the others are given."""
        if others is None:
            return Outputs._make([np.empty(*each) for each in self._outputs])
        obs, mask = self._outputs[:2]
        return Outputs(np.empty(*obs), np.empty(*mask), *others[2:])

    def columns(self) -> dict[str, NDArray[Any]]:
        """Fresh arrays for what a step reports, by the names that `Outputs` has for them."""
        names = Columns._fields
        return {name: np.empty(*each) for name, each in zip(names, self._outputs[5:], strict=True)}

    # ------------------------------------------------------------ the loop

    def weigh_levels(self, weights: ArrayLike) -> None:
        """Draws levels by weights from now on, in this batch alone; see `WorldAccess.weigh_levels`."""
        self.params = self.params._replace(lots=lots_of(weights, self.world.num_levels))

    def first_wrong(self, action: NDArray[np.int64]) -> int:
        """The first row of (N,) actions that is none; -1 if all are."""
        if self._find_wrong is None:
            self._find_wrong = entry_point(_first_wrong, (action, self.num_actions))
        return self._find_wrong(action, self.num_actions)

    def reset(
        self,
        command: NDArray[np.int64],
        seeds: NDArray[np.uint64],
        fields: Mapping[str, ArrayLike],
        out: Outputs,
    ) -> None:
        """Begins episodes, and observes every row.

        Args:
            command: (N,) KEEP, RESET (the row's stream goes on) or RESET_SEEDED.
            seeds: (N,) seeds of the rows that are reset seeded.
            fields: record fields to write before, scalars or (N,) arrays (see `World.reset_fields`).
            out: filled.
        """
        rows = command != KEEP
        values = {name: np.broadcast_to(value, self.state[name].shape) for name, value in fields.items()}
        for name, value in values.items():
            self.state[name][rows] = value[rows]
        seeded = command == RESET_SEEDED
        self.state["rng"][seeded, 0] = seeds[seeded]
        self._advance(command, out)

    def step(self, action: NDArray[np.int64], autoreset: int, max_steps: int, out: Outputs) -> int:
        """Steps every row.

        Args:
            action: (N,) actions, in range (a kernel does not check).
            autoreset: DISABLED, NEXT_STEP or SAME_STEP.
            max_steps: steps after which an episode is truncated; 0 is never.
            out: filled.

        Returns:
            How many episodes ended; how they did in SAME_STEP, `finals` has in their rows.
        """
        if autoreset == SAME_STEP:
            self.finals = self._fresh_finals()
        return self._advance(action, out, autoreset, max_steps)

    def _fresh_finals(self) -> Finals:
        """Zeros, but for observations, which are copied where they are needed."""
        obs = self.finals.obs if len(self.finals.obs) else np.empty(*self._outputs[0])
        return Finals._make([obs, *(np.zeros(*each) for each in self._finals)])

    def observe(self) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Observations and masks of the current states, in fresh arrays."""
        out = self.outputs()
        self._advance(np.full(self.num_envs, KEEP), out)
        return out.obs, out.mask

    def _advance(
        self, action: NDArray[np.int64], out: Outputs, autoreset: int = DISABLED, max_steps: int = 0
    ) -> int:
        arguments = self.params, self.state, action, *out, *self.finals, autoreset, max_steps
        if self._advance_rows is None:
            self._advance_rows = entry_point(self.loop, (*arguments, 0, 0))
        advance = self._advance_rows
        if self.num_threads == 1:
            return advance(*arguments, 0, self.num_envs)
        *others, (lo, hi) = self._slices()
        futures = [self._threads.submit(advance, *arguments, *rows) for rows in others]
        started = time.perf_counter()
        ended = advance(*arguments, lo, hi)  # a slice for the caller's thread, which would only wait
        self._row_seconds = (time.perf_counter() - started) / (hi - lo)
        return ended + sum(future.result() for future in futures)

    def _slices(self) -> list[tuple[int, int]]:
        """Rows of each thread, as many threads as pay if rows take as long as the last time."""
        count, seconds = self.num_threads, self.num_envs * self._row_seconds
        while count > 1 and seconds < count * self.slice_seconds:
            count -= 1
        return list(pairwise(self.num_envs * k // count for k in range(count + 1)))

    # ------------------------------------------------------------ states

    @property
    def ready(self) -> bool:
        """Whether every row has been reset once: a stream that was never seeded is all zeros."""
        return bool(self.state["rng"].any(axis=1).all())

    def get_state(self, indices: ArrayLike | None = None) -> NDArray[Any]:
        """Copies records.

        Args:
            indices: which environments (integers or a bool mask); None for all.

        Returns:
            (K,) structured array of the world's state dtype; the bytes between the fields are zeros.
        """
        records = self._bytes(self.state)
        chosen = records.copy() if indices is None else records[np.atleast_1d(np.asarray(indices))]
        return chosen.view(self.state.dtype)

    def set_state(self, records: NDArray[Any], indices: ArrayLike | None = None) -> None:
        """Puts records back, of this batch or of another of the same world.

        Args:
            records: (K,) structured array as `get_state` gives; it may come from a file that anybody wrote.
            indices: which environments to overwrite; None for all.

        Raises:
            ValueError: when the records are not of this world's dtype or number, or hold what no state of the
                world can hold; nothing is overwritten then.
        """
        records = np.ascontiguousarray(np.atleast_1d(records))
        if records.dtype != self.state.dtype:
            raise ValueError("these records are not states of this world and config")
        rows = np.arange(self.num_envs) if indices is None else np.atleast_1d(np.asarray(indices))
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        if records.shape != rows.shape:
            raise ValueError(f"{records.shape} records do not fit {rows.shape} environments")
        records = self._bytes(records).copy().view(records.dtype)  # ten times as fast as by fields
        # numpy leaves anything between the fields of what it copies; equal states must be equal bytes.
        records.view(np.uint8).reshape(len(records), -1)[:, ~_field_bytes(records.dtype)] = 0
        self._check(records)
        self._bytes(self.state)[rows] = self._bytes(records)

    def _check(self, records: NDArray[Any]) -> None:
        """Raises ValueError for records that kernels can't be trusted with."""
        begun = records["rng"].any(axis=1)
        if not begun.all():
            if self._bytes(records)[~begun].view(np.uint8).any():
                raise ValueError("no state of this world: a record without a random stream must be all zeros")
            records = records[begun]
        if len(records):
            check_ranges(records, {"elapsed": (0, np.iinfo(np.int32).max)})
            self.world.check_state(records)

    def state_hash(self, indices: ArrayLike | None = None) -> NDArray[np.uint64]:
        """Names states in 64 bits: (K,) BLAKE2b digests of the records' bytes."""
        digests = (hashlib.blake2b(record, digest_size=8) for record in self._bytes(self.get_state(indices)))
        return np.array([int.from_bytes(digest.digest(), "little") for digest in digests], np.uint64)

    @property
    def layout(self) -> int:
        """Names in 64 bits how records lie in memory; hashes of different layouts can't be compared."""
        digest = hashlib.blake2b(repr(self.state.dtype.descr).encode(), digest_size=8)
        return int.from_bytes(digest.digest(), "little")

    @staticmethod
    def _bytes(records: NDArray[Any]) -> NDArray[Any]:
        """The records as opaque bytes, so that copies include those between the fields."""
        return records.view(np.dtype((np.void, records.dtype.itemsize)))

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown()

    # ------------------------------------------------------------ copies

    def __deepcopy__(self, memo: dict) -> Batch:
        """Copies the records and shares the world, whose tables are read-only."""
        copy = Batch(self.world, self.num_envs, self.num_threads, self.loop)
        copy.params = self.params
        copy.state = self.get_state()
        return copy

    def __reduce__(self) -> tuple:
        """Pickles the world's class and config with the records; the tables and the loop are built again."""
        parts = type(self.world), self.world.config, self.num_threads, self.get_state()
        return _rebuild_batch, (*parts, getattr(self.params, "lots", None))


@cache
def _field_bytes(dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Which bytes of a record belong to a field."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.tile(_field_bytes(base), math.prod(shape))
    used = np.full(dtype.itemsize, dtype.names is None)
    fields: Any = dtype.fields or {}
    for kind, offset, *_ in fields.values():
        used[offset : offset + kind.itemsize] = _field_bytes(kind)
    return used


def _rebuild_batch(world: type[World], config: Any, num_threads: int, state: NDArray, lots: Any) -> Batch:
    batch = Batch(world(config), len(state), num_threads)
    if lots is not None:
        lots.flags.writeable = False  # copies of arrays can be written
        batch.params = batch.params._replace(lots=lots)
    batch.set_state(state)
    return batch
