"""Fast interchange against Teitz and Bart's in plain numpy: same start, same best swaps, same local optimum.

    python benchmarks/kiosk_interchange.py

The plain one computes what each swap is worth from scratch, slot by slot, for all sites at once (M. B. Teitz
and P. Bart, "Heuristic methods for estimating the generalized vertex median of a weighted graph", Operations
Research 16, 1968). Times are medians over the starts; the fast one's include sorting the distances.
"""

import argparse
import statistics
import time

import numpy as np
from meze.envs.kiosk import interchange
from meze.envs.kiosk.readers import shipped_instance
from numpy.typing import NDArray


def teitz_bart(table: NDArray, chosen: NDArray) -> tuple[NDArray, int]:
    """Descends by best swaps, of equals the lowest site, then the lowest slot.

    Args:
        table: (S, N) costs.
        chosen: (K,) sites to start from.

    Returns:
        (K,) sites, and the number of swaps.
    """
    chosen, swaps = chosen.copy(), 0
    worth = np.empty((len(table), len(chosen)), np.int64)
    while True:
        served = table[chosen]
        total = served.min(axis=0).sum()
        for slot in range(len(chosen)):
            rest = np.delete(served, slot, axis=0).min(axis=0)
            worth[:, slot] = total - np.minimum(table, rest).sum(axis=1)
        worth[chosen] = -1
        site, slot = divmod(int(worth.argmax()), len(chosen))
        if worth[site, slot] <= 0:
            return chosen, swaps
        chosen[slot] = site
        swaps += 1


def fast(table: NDArray, chosen: NDArray) -> NDArray:
    costs = interchange.Costs.of(table, np.ones(len(table), bool))
    swaps = interchange.start(costs, chosen)
    interchange.descend(costs, swaps)
    return swaps.chosen


def main() -> None:
    """Prints a line for each instance."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--instances", nargs="*", default=["pmed6", "pmed20", "pmed35", "pmed40"])
    parser.add_argument("--starts", type=int, default=3)
    arguments = parser.parse_args()
    print("instance    n    K  swaps  plain, s   fast, s  ratio  same")
    fast(np.ones((4, 4), np.int64), np.array([0, 1]))  # compiles
    for name in arguments.instances:
        instance = shipped_instance(name)
        table = instance.distances.astype(np.int64)
        seconds, swaps, same = ([], []), [], True
        for seed in range(arguments.starts):
            chosen = np.random.default_rng(seed).choice(len(table), instance.num_kiosks, replace=False)
            moments = [time.perf_counter()]
            found = fast(table, chosen)
            moments.append(time.perf_counter())
            expected, count = teitz_bart(table, chosen)
            moments.append(time.perf_counter())
            seconds[0].append(moments[1] - moments[0])
            seconds[1].append(moments[2] - moments[1])
            swaps.append(count)
            same &= found.tolist() == expected.tolist()
        quick, plain = (statistics.median(times) for times in seconds)
        shape = f"{name:<8}  {len(table):>3}  {instance.num_kiosks:>3}  {statistics.median(swaps):>5}"
        print(f"{shape}  {plain:>8.3f}  {quick:>8.4f}  {plain / quick:>5.0f}  {same}", flush=True)


if __name__ == "__main__":
    main()
