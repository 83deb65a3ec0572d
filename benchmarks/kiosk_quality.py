"""How good the kiosk's solvers are: published optima of the OR-Library, and k-means under each distance.

    python benchmarks/kiosk_quality.py

Gaps are (objective - optimum) / optimum of the p-median, times are seconds in one process, without that of
compiling. In the first table `time to optimum` is the longest of five seeds until iterated interchange holds
the published optimum; the other columns are `solve` as it comes, the exact solver with a limit of 600 s. In
the second table every figure is the mean over 20 generated towns, whose optima the exact solver proves.
"""

import argparse
import statistics

import numpy as np
from meze.envs.core.splits import FIRST_SEED
from meze.envs.kiosk.generator import TownConfig, generate
from meze.envs.kiosk.instances import Instance
from meze.envs.kiosk.readers import shipped_instance, shipped_instances
from meze.envs.kiosk.solvers import NAMES, Solution, solve

TOWNS = {
    "euclidean, districts": TownConfig("districts"),
    "euclidean, uniform": TownConfig("uniform"),
    "manhattan, districts": TownConfig("districts", metric="manhattan"),
    "manhattan, uniform": TownConfig("uniform", metric="manhattan"),
    "along streets": TownConfig("streets", side=64),
}


def gap(solution: Solution, optimum: int) -> float:
    return 100 * (solution.objective / optimum - 1)


def cell(solution: Solution, optimum: int) -> str:
    return f"{gap(solution, optimum):.2f} %, {solution.seconds:.2f} s"


def print_row(*cells: object) -> None:
    print("| " + " | ".join(str(each) for each in cells) + " |", flush=True)


def print_library(names: list[str]) -> None:
    """One line an instance; with coordinates unknown, k-means has nothing to cluster."""
    solvers = [name for name in NAMES if name not in ("k-means", "exact")]
    print_row("instance", "n", "K", "optimum", *solvers, "time to optimum", "exact: proven, time")
    print("|---" * (len(solvers) + 6) + "|")
    for name in names:
        instance = shipped_instance(name)
        optimum = instance.optimum
        assert optimum is not None
        cells = [cell(solve(solver, instance), optimum) for solver in solvers]
        reached = [
            solve("interchange", instance, seed=seed, time_limit=120, target=optimum) for seed in range(5)
        ]
        if all(solution.objective == optimum for solution in reached):
            cells.append(f"{max(solution.seconds for solution in reached):.2f} s")
        else:
            cells.append("not within 120 s")
        proof = solve("exact", instance, time_limit=600)
        shown = proof.objective if proof.is_optimal else f"{proof.bound} to {proof.objective}"
        print_row(
            name, instance.num_points, instance.num_kiosks, optimum, *cells, f"{shown}, {proof.seconds:.2f} s"
        )


def print_towns() -> None:
    """One line a distance."""
    print_row("distance", *(f"{name}" for name in NAMES))
    print("|---" * (len(NAMES) + 1) + "|")
    for title, config in TOWNS.items():
        towns: list[Instance] = [generate(config, FIRST_SEED["test"] + seed) for seed in range(20)]
        proofs = [solve("exact", town) for town in towns]
        assert all(proof.is_optimal for proof in proofs)
        cells = []
        for name in NAMES:
            solutions = [solve(name, town) for town in towns] if name != "exact" else proofs
            gaps = [gap(found, proof.objective) for found, proof in zip(solutions, proofs, strict=True)]
            seconds = statistics.mean(solution.seconds for solution in solutions)
            cells.append(f"{np.mean(gaps):.2f} %, {seconds:.3f} s")
        print_row(title, *cells)


def main() -> None:
    """Prints both tables."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--instances", nargs="*", default=list(shipped_instances()))
    arguments = parser.parse_args()
    tiny = generate(TownConfig(num_points=40, num_sites=40, num_kiosks=9), 0)
    for name in NAMES:
        solve(name, tiny)  # compiles and imports
    print_library(arguments.instances)
    print()
    print_towns()


if __name__ == "__main__":
    main()
