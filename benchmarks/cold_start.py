"""Seconds from the start of Python to a world's first step, the first time ever and later.

    python benchmarks/cold_start.py
    python benchmarks/cold_start.py --turns 5

Each turn is a new process with empty cache folders, and a second one that finds what the first has kept.
Told are the medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from meze.envs.core.registry import world_specs

FIRST_STEP = """
import sys, time
import gymnasium, meze
env = gymnasium.make_vec(sys.argv[1], num_envs=64)
env.reset(seed=0)
env.step(env.action_space.sample())
print(time.time() - float(sys.argv[2]))
"""


def seconds(world: str, cache: str) -> float:
    """Seconds that a new process takes with a cache folder."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "XDG_CACHE_HOME": cache}
    command = [sys.executable, "-c", FIRST_STEP, world, str(time.time())]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Prints a line for each world."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    turns = range(parser.parse_args().turns)
    for spec in world_specs():
        pairs = []
        for _ in turns:
            with tempfile.TemporaryDirectory() as cache:
                pairs.append((seconds(spec.id, cache), seconds(spec.id, cache)))
        first, later = map(statistics.median, zip(*pairs, strict=True))
        print(f"{spec.id}: {first:.1f} s, later {later:.1f} s", flush=True)


if __name__ == "__main__":
    main()
