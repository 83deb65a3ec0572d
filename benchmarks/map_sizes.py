"""What maps cost by size: seconds to make the world, bytes, steps a second; how fast maps are imported.

    python benchmarks/map_sizes.py
    python benchmarks/map_sizes.py --import-only

Cities of one generated map each, and the shipped maps of real places: 16 cars and 16 pedestrians off-peak,
and the rush hour, in which cars take 30 % of the lanes. Steps are those of 256 environments with random
actions that observe the grid, the median of several runs. Imported are random cities, the largest of about
1 MB of XML with thousands of streets; what is compiled is compiled before.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from gymnasium.vector import AutoresetMode
from meze.envs.city.config import CityConfig
from meze.envs.city.world import City
from meze.envs.core.vector import WorldVectorEnv

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "envs"))

SIDES = (40, 64, 128, 256)
PLACES = ("berlin-neukoelln", "west-oakland", "fremantle")
NUM_ENVS, STEPS = 256, 100


def speed(world: City, hour: int, runs: int) -> float:
    """Steps a second."""
    envs = WorldVectorEnv(
        world, num_envs=NUM_ENVS, max_episode_steps=512, autoreset_mode=AutoresetMode.SAME_STEP
    )
    actions = np.random.default_rng(0).integers(0, 4, (STEPS, NUM_ENVS))
    speeds = []
    for run in range(runs):
        envs.reset(seed=run, options={"hour": hour})
        started = time.perf_counter()
        for action in actions:
            envs.step(action)
        speeds.append(NUM_ENVS * STEPS / (time.perf_counter() - started))
    return statistics.median(speeds)


def measure_maps(runs: int) -> None:
    """Prints a line for each map."""
    print(f"{'map':<17} {'cells':>9} {'world':>7} {'tables':>9} {'an environment':>15}  off-peak  rush hour")
    configs = [(f"generated {n}", CityConfig(width=n, height=n, pool_size=1)) for n in SIDES]
    for name, config in [*configs, *((name, CityConfig(map=name)) for name in PLACES)]:
        started = time.perf_counter()
        world = City(config)
        tables = sum(np.asarray(table).nbytes for table in world.params())
        seconds = time.perf_counter() - started
        height, width = world.shape
        line = f"{name:<17} {f'{width} x {height}':>9} {seconds:>5.2f} s {tables / 1e6:>6.1f} MB"
        line += f" {world.state_dtype.itemsize / 1e3:>12.1f} kB"
        print(f"{line} {speed(world, 12, runs):>9,.0f} {speed(world, 8, runs):>10,.0f}", flush=True)


def measure_import(runs: int) -> None:
    """Prints how long it takes to import random cities."""
    from meze.envs.streets.osm.importing import import_map
    from osm_stage import random_city

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "city.osm"
        for side in (4, 20, 40):
            path.write_text(random_city(side, seed=0))
            seconds = []
            for _ in range(runs):
                started = time.perf_counter()
                made = import_map(path, "city")
                seconds.append(time.perf_counter() - started)
            size, streets = path.stat().st_size / 1e6, made.report["kept"]["streets between junctions"]
            cells = made.report["map"]["cells"]
            print(
                f"{size:.2f} MB, {streets:,} streets, {cells} cells: {statistics.median(seconds[1:]):.1f} s"
            )


def main() -> None:
    """Prints both tables."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--import-only", action="store_true")
    arguments = parser.parse_args()
    if not arguments.import_only:
        measure_maps(arguments.runs)
    measure_import(1 + arguments.runs // 2)


if __name__ == "__main__":
    main()
