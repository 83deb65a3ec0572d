"""Memory of the replay beside its frames', and how long it takes to add and to draw.

    python benchmarks/replay_memory.py

First bytes, known before anything is allocated, of 1,000,000 transitions of 64x64x3 pixels, and what a
smaller replay really takes once it is full (the process's resident memory). Then microseconds of adding 1,024
transitions and of drawing 256, of the city's `grid` (13x9x9 bytes), beside copying the same frames between
random rows of memory with nothing else: medians of many calls.
"""

import argparse
import statistics
import time

import numpy as np
import psutil
import torch
from gymnasium.spaces import Box
from meze.agents.base import Transition
from meze.agents.deep.priorities import PriorityConfig
from meze.agents.deep.replay import Replay, replay_bytes
from meze.agents.schedules import Schedule

PIXELS = Box(0, 255, (64, 64, 3), np.uint8)
GRID = Box(0, 255, (13, 9, 9), np.uint8)
ACTIONS = 5
PRIORITIES = PriorityConfig(0.6, Schedule(0.4, 1.0, 1_000_000))
SETTINGS = {
    "one step": {},
    "3 steps": {"n_step": 3},
    "4 frames": {"frames": 4},
    "3 steps, priorities": {"n_step": 3, "prioritized": PRIORITIES},
}


def make(space: Box, num_envs: int, capacity: int, **settings) -> Replay:
    """A replay in the CPU's memory."""
    generator = torch.Generator().manual_seed(0)
    return Replay(
        space,
        ACTIONS,
        capacity=capacity,
        num_envs=num_envs,
        gamma=0.99,
        device=torch.device("cpu"),
        generator=generator,
        **settings,
    )


def batches(space: Box, num_envs: int, count: int = 16) -> list[Transition]:
    """Random transitions; every 100th terminates, every 200th is truncated."""
    rng = np.random.default_rng(0)

    def frames() -> np.ndarray:
        return rng.integers(0, 256, (num_envs, *space.shape), np.uint8)

    def one() -> Transition:
        reward, ends = rng.random(num_envs), rng.random((2, num_envs))
        action = rng.integers(ACTIONS, size=num_envs)
        return Transition(frames(), action, reward, frames(), ends[0] < 0.01, ends[1] < 0.005, None)

    return [one() for _ in range(count)]


def print_memory(num_envs: int, full: int) -> None:
    """Prints bytes for a million transitions, and of a replay of `full` transitions that is full."""
    frame = int(np.prod(PIXELS.shape))
    print(f"{'transitions':>11}  {'':<20}  {'MiB':>8}  of its frames")
    for name, settings in SETTINGS.items():
        kinds = {**settings, "prioritized": "prioritized" in settings}
        size = replay_bytes(PIXELS, ACTIONS, capacity=1_000_000, num_envs=num_envs, masked=True, **kinds)
        print(f"{1_000_000:>11,}  {name:<20}  {size / 2**20:>8,.0f}  {size / (1_000_000 * frame):.3f}")
    rows = batches(PIXELS, num_envs, 4)
    before = psutil.Process().memory_info().rss
    replay = make(PIXELS, num_envs, full)
    empty = psutil.Process().memory_info().rss - before
    for step in range(2 * full // num_envs):
        replay.add(rows[step % len(rows)])
    resident = psutil.Process().memory_info().rss - before
    print(f"{full:>11,}  {'resident, empty':<20}  {empty / 2**20:>8,.0f}  {empty / (full * frame):.3f}")
    print(f"{full:>11,}  {'resident, full':<20}  {resident / 2**20:>8,.0f}  {resident / (full * frame):.3f}")


def microseconds(function, calls: int) -> float:
    """The median time of a call."""
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return 1e6 * statistics.median(times)


def print_times(num_envs: int, capacity: int, size: int, calls: int) -> None:
    """Prints microseconds of adding and drawing, and of copying as many frames."""
    rows = batches(GRID, num_envs)
    rng = np.random.default_rng(0)
    memory = np.ones((capacity, int(np.prod(GRID.shape))), np.uint8)
    flat = [row.obs.reshape(num_envs, -1) for row in rows]
    turn = iter(range(10**9))

    def write() -> None:
        memory[rng.integers(capacity, size=num_envs)] = flat[next(turn) % len(flat)]

    def read(frames: int) -> np.ndarray:
        return memory.take(rng.integers(capacity, size=2 * size * frames), axis=0)

    print(f"\n{'':<20}  {f'add {num_envs:,}':>10}  {'copy':>6}  {f'draw {size}':>10}  {'copy':>6}")
    for name, settings in SETTINGS.items():
        replay = make(GRID, num_envs, capacity, **settings)
        for step in range(2 * capacity // num_envs):
            replay.add(rows[step % len(rows)])
        add = microseconds(lambda: replay.add(rows[next(turn) % len(rows)]), calls)  # noqa: B023
        draw = microseconds(lambda: replay.sample(size), calls)  # noqa: B023
        copied = microseconds(write, calls), microseconds(lambda: read(settings.get("frames", 1)), calls)  # noqa: B023
        print(f"{name:<20}  {add:>10.0f}  {copied[0]:>6.0f}  {draw:>10.0f}  {copied[1]:>6.0f}")


def main() -> None:
    """Prints both tables."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--num-envs", type=int, default=1024)
    parser.add_argument("--capacity", type=int, default=200_000, help="of the replay that is timed")
    parser.add_argument("--full", type=int, default=40_000, help="transitions of pixels to fill memory with")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print_memory(16, arguments.full)
    print_times(arguments.num_envs, arguments.capacity, arguments.size, arguments.calls)


if __name__ == "__main__":
    main()
