"""What a frame of `meze watch` costs: step, picture, board and window, of each world that can be drawn.

    SDL_VIDEODRIVER=dummy python benchmarks/frames.py

In time of the processor, of the watching thread alone: other programs do not count, nor do the window's own
process and the wait for the next frame. A random agent is watched, one step a frame, on a screen of 1920 x
1080 pixels. A 60th of a second is 16.7 ms.
"""

import argparse
import time

import numpy as np
from meze.envs.core.registry import world_specs
from meze.runners.show.board import Board
from meze.runners.show.screen import Window
from meze.runners.show.sources import WatchSettings, find_source, make_viewer

SCREEN = 1920, 1080


def measure(world: str, frames: int) -> np.ndarray:
    """Milliseconds of each frame but the first ten."""
    source = find_source(["random", world])
    settings = WatchSettings(max_episode_steps=source.max_episode_steps)
    env, show, viewer = make_viewer(source, source.env_config, settings)
    window = Window(world)
    board = Board((int(SCREEN[0] * 0.9), int(SCREEN[1] * 0.85)))
    times = []
    for _ in range(10 + frames):
        begun = time.thread_time()
        show.forward()
        window.show(board.draw(viewer.view(1.0, False), [world]))
        times.append(1000 * (time.thread_time() - begun))
    window.close()
    env.close()
    return np.array(times[10:])


def main() -> None:
    """Prints a line for each world."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--frames", type=int, default=300)
    arguments = parser.parse_args()
    print(f"{'world':<12}  {'ms a frame':>10}  {'of 100, the slowest 5':>21}")
    for world in (spec.name for spec in world_specs()):
        times = measure(world, arguments.frames)
        print(f"{world:<12}  {np.median(times):>10.1f}  {np.quantile(times, 0.95):>21.1f}", flush=True)


if __name__ == "__main__":
    main()
