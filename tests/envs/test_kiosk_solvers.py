"""Solvers against brute force, published optima, and a plain Teitz-Bart; the checker against wrong claims."""

import itertools
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from kiosk_stage import LAYOUTS
from meze.envs.kiosk import interchange, solvers
from meze.envs.kiosk.check import CheckError, confirm, recompute
from meze.envs.kiosk.exact import prove
from meze.envs.kiosk.generator import TownConfig, generate
from meze.envs.kiosk.instances import Instance, from_coordinates
from meze.envs.kiosk.objective import KINDS, Objective, value
from meze.envs.kiosk.readers import read_instance, shipped_instance, shipped_instances
from meze.envs.kiosk.solvers import NAMES, able, frames, solve

RADIUS = 8
CASES = Path(__file__).parents[1] / "data" / "kiosk"


def small_towns() -> list[Instance]:
    """Towns of every layout with 1 to 4 kiosks, some people missing."""
    towns = []
    for seed, layout in itertools.product(range(4), LAYOUTS):
        config = TownConfig(layout, 14, 11, num_kiosks=1 + seed % 4, num_rivals=seed % 2 + 1, side=32)
        town = generate(config, seed)
        weights = town.weights * (np.arange(14) % 5 > 0)
        towns.append(
            Instance(
                town.name, town.distances, weights, town.num_kiosks, town.points, town.sites, town.rivals
            )
        )
    return towns


def defined(town: Instance, kind: str, sites: tuple[int, ...]) -> float:
    """An objective by its definition, in floating point where the model has real numbers."""
    walks = [min(int(town.distances[site, i]) for site in sites) for i in range(town.num_points)]
    people = town.weights.tolist()
    if kind == "p-median":
        return sum(n * walk for n, walk in zip(people, walks, strict=True))
    if kind == "p-center":
        return max(walk for n, walk in zip(people, walks, strict=True) if n > 0)
    if kind == "coverage":
        return sum(n for n, walk in zip(people, walks, strict=True) if walk <= RADIUS)
    won = 0.0
    for i, n in enumerate(people):
        own, rival = (
            sum((1 + town.distances[site, i] / RADIUS) ** -2 for site in stands)
            for stands in (sites, town.rivals)
        )
        won += n * own / (own + rival)
    return 1024 * won


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_checker_follow_the_definition(kind):
    objective = Objective(kind, RADIUS)
    for town in small_towns():
        for sites in itertools.combinations(np.flatnonzero(town.free).tolist(), town.num_kiosks):
            worth = value(town, objective, np.array(sites))
            assert worth == recompute(town, objective, sites)
            expected = defined(town, kind, sites)
            assert worth == expected or (kind == "revenue" and abs(worth - expected) < 20)


@pytest.mark.parametrize("kind", KINDS)
def test_solvers_against_brute_force(kind):
    objective = Objective(kind, RADIUS)
    better = min if objective.less_is_better else max
    found = {name: 0 for name in NAMES if (name, kind) != ("exact", "revenue")}
    towns = small_towns()
    for town in towns:
        choices = itertools.combinations(np.flatnonzero(town.free).tolist(), town.num_kiosks)
        optimum = better(recompute(town, objective, sites) for sites in choices)
        for name in found:
            solution = solve(name, town, objective)
            assert solution.objective == recompute(town, objective, solution.sites)
            assert better(solution.objective, optimum) == optimum
            found[name] += solution.objective == optimum
            if name == "exact":
                assert solution.is_optimal and solution.bound == optimum and solution.gap == 0
            else:
                assert solution.bound is None
    for name in ("interchange", "genetic-sets", "exact"):
        assert found.get(name, len(towns)) == len(towns), name
    assert found["random"] < found["greedy"] <= len(towns)


@pytest.mark.parametrize("seed", range(40))
def test_proofs_against_brute_force(seed: int):
    draw = np.random.default_rng(seed)
    sites, points = int(draw.integers(3, 13)), int(draw.integers(2, 25))
    k = int(draw.integers(1, min(5, sites) + 1))
    table = draw.integers(0, (2, 6, 1000)[seed % 3], (sites, points)) * draw.integers(0, 4, points)
    best = min(int(table[list(c)].min(axis=0).sum()) for c in itertools.combinations(range(sites), k))
    incumbent = draw.choice(sites, k, replace=False)
    proof = prove(table, incumbent, deadline=time.perf_counter() + 60)
    assert proof.bound == best == table[proof.sites].min(axis=0).sum()
    for below in (best, best + 1):
        if below > 0:
            proof = prove(table, incumbent, time.perf_counter() + 60, below)
            assert proof.bound == best
            assert below == best or table[proof.sites].min(axis=0).sum() == best


@pytest.mark.parametrize("num_kiosks", range(1, 12))
def test_large_weights_are_proven_as_small_ones_are(num_kiosks: int):
    town = read_instance(CASES / "large-weights.csv", num_kiosks)
    for objective in (Objective(), Objective("coverage", 20)):
        better = min if objective.less_is_better else max
        choices = itertools.combinations(range(town.num_sites), num_kiosks)
        optimum = better(value(town, objective, np.array(sites)) for sites in choices)
        solution = solve("exact", town, objective, time_limit=60)
        assert solution.objective == solution.bound == optimum and solution.is_optimal


@pytest.mark.parametrize("scale", [1, 10**6, 10**9, 10**12])
@pytest.mark.parametrize("seed", range(12))
def test_the_last_digit_of_a_total_counts(seed: int, scale: int):
    """Many choices cost nearly the same, and differ by 1 in a total of 10^13."""
    draw = np.random.default_rng(seed)
    sites, points, k = 10, 8, int(draw.integers(2, 5))
    table = scale * draw.integers(0, 4, (sites, points)) + draw.integers(0, 2, (sites, points))
    best = min(int(table[list(c)].min(axis=0).sum()) for c in itertools.combinations(range(sites), k))
    proof = prove(table, draw.choice(sites, k, replace=False), time.perf_counter() + 60)
    assert proof.bound == best == table[proof.sites].min(axis=0).sum()
    for below in (best, best + 1):
        if below > 0:
            assert prove(table, np.arange(k), time.perf_counter() + 60, below).bound == best


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pmed1", "pmed6", "pmed11"])
def test_large_instances_with_large_weights_are_proven(name: str):
    """The same places, with thousands of people at each: the published optimum, times as much, and proven."""
    small = shipped_instance(name)
    many = (1 << 24) // small.num_points
    large = Instance(name, small.distances, many * small.weights, small.num_kiosks)
    solution = solve("exact", large, time_limit=120)
    assert solution.objective == solution.bound == many * small.optimum


def test_bounds_of_large_totals_hold_when_time_is_short():
    small = shipped_instance("pmed16")
    large = Instance("t", small.distances, 40_000 * small.weights, small.num_kiosks)
    hasty = solve("exact", large, time_limit=0.5)
    assert hasty.bound is not None and hasty.bound <= 40_000 * small.optimum and hasty.seconds < 3


def test_solvers_know_what_they_can_not_solve():
    town = small_towns()[0]
    bare = Instance("t", town.distances, town.weights, town.num_kiosks, rivals=town.rivals)
    for instance, kind in itertools.product((town, bare), KINDS):
        objective = Objective(kind, RADIUS)
        for name in NAMES:
            if name in able(objective, [town, instance]):
                solve(name, instance, objective)
                continue
            with pytest.raises(ValueError, match="revenue is not linear|k-means needs coordinates"):
                solve(name, instance, objective)
    assert able(Objective(), [town]) == NAMES


# ------------------------------------------------------------ published optima


@pytest.mark.parametrize("name", shipped_instances())
def test_interchange_reaches_the_published_optimum(name: str):
    instance = shipped_instance(name)
    solution = solve("interchange", instance, time_limit=120, target=instance.optimum)
    assert solution.objective == instance.optimum
    assert solution.seconds < 120


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_instances())
def test_genetic_comes_within_one_percent(name: str):
    instance = shipped_instance(name)
    assert instance.optimum is not None
    assert instance.optimum <= solve("genetic-sets", instance).objective <= 1.01 * instance.optimum


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pmed1", "pmed2", "pmed5", "pmed6", "pmed10"])
def test_exact_proves_the_published_optimum(name: str):
    instance = shipped_instance(name)
    solution = solve("exact", instance, time_limit=600)
    assert solution.objective == solution.bound == instance.optimum


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "optimum"), [("pmed1", 127), ("pmed2", 98), ("pmed5", 48), ("pmed6", 84), ("pmed10", 20)]
)
def test_exact_proves_the_published_p_center(name: str, optimum: int):
    """Mladenovic, Labbe and Hansen, "Solving the p-center problem with tabu search", Networks 42 (2003)."""
    solution = solve("exact", shipped_instance(name), Objective("p-center"))
    assert solution.objective == solution.bound == optimum


@pytest.mark.slow
def test_bounds_hold_when_time_is_short():
    instance = shipped_instance("pmed6")
    for kind in ("p-median", "p-center", "coverage"):
        objective = Objective(kind, 40)
        hasty, optimal = (
            solve("exact", instance, objective, time_limit=0.4),
            solve("interchange", instance, objective),
        )
        assert hasty.bound is not None and hasty.gap is not None
        assert hasty.seconds < 3
        if objective.less_is_better:
            assert hasty.bound <= optimal.objective
        else:
            assert hasty.bound >= optimal.objective


@pytest.mark.slow
@pytest.mark.parametrize("name", ["interchange", "genetic-sets"])
@pytest.mark.parametrize("kind", KINDS)
def test_searches_use_the_time_they_are_given(name: str, kind):
    town = generate(TownConfig(num_rivals=2), 0)
    objective = Objective(kind, 100)
    solve(name, town, objective, time_limit=0.1)  # compiles
    assert solve(name, town, objective, time_limit=0.5).seconds < 1.5
    if kind != "p-center":  # ends when no smaller radius is left to try, or none is found in time
        assert solve(name, town, objective, time_limit=0.5).seconds > 0.5


def test_a_target_is_enough():
    town = generate(TownConfig(), 0)
    best = solve("interchange", town, Objective("coverage", 100)).objective
    began = time.perf_counter()
    assert (
        solve("interchange", town, Objective("coverage", 100), time_limit=60, target=best).objective >= best
    )
    assert time.perf_counter() - began < 30


# ------------------------------------------------------------ fast interchange


def teitz_bart(table: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Best swap after best swap, each from scratch (Teitz and Bart, 1968)."""
    chosen = chosen.copy()
    while True:
        served = table[chosen]
        worth = np.empty((len(table), len(chosen)), np.int64)
        for slot in range(len(chosen)):
            rest = np.delete(served, slot, axis=0).min(axis=0, initial=table.max() + 1)
            worth[:, slot] = served.min(axis=0).sum() - np.minimum(table, rest).sum(axis=1)
        worth[chosen] = -1
        site, slot = np.unravel_index(worth.argmax(), worth.shape)
        if worth[site, slot] <= 0:
            return chosen
        chosen[slot] = site


@pytest.mark.parametrize("num_kiosks", [1, 2, 7, 29])
def test_fast_interchange_is_teitz_bart(num_kiosks: int):
    for seed in range(5):
        town = generate(TownConfig(num_points=50, num_sites=30, num_kiosks=num_kiosks, side=64), seed)
        table = town.distances * town.weights.astype(np.int64)
        chosen = np.random.default_rng(seed).choice(30, num_kiosks, replace=False)
        costs = interchange.Costs.of(table, town.free)
        swaps = interchange.start(costs, chosen)
        interchange.descend(costs, swaps)
        assert swaps.chosen.tolist() == teitz_bart(table, chosen).tolist()


def test_what_swaps_are_worth_is_kept_as_from_scratch():
    random_numbers = np.random.default_rng(0)
    table = random_numbers.integers(0, 12, (20, 40))  # many ties
    costs = interchange.Costs.of(table, np.ones(20, bool))
    swaps = interchange.start(costs, random_numbers.choice(20, 6, replace=False))
    for _ in range(200):
        outside = np.flatnonzero(swaps.slot < 0)
        interchange.swap(costs, swaps, random_numbers.choice(outside), random_numbers.integers(6))
        fresh = interchange.start(costs, swaps.chosen)
        assert (swaps.cost == fresh.cost).all() and (swaps.gain == fresh.gain).all()
        assert swaps.total == table[swaps.chosen].min(axis=0).sum()
        worth, expected = (s.gain[:, None] - s.loss + s.extra for s in (swaps, fresh))
        assert (worth[outside] == expected[outside]).all()
        for site, slot in itertools.product(outside[:3].tolist(), range(6)):
            moved = swaps.chosen.copy()
            moved[slot] = site
            assert swaps.total - worth[site, slot] == table[moved].min(axis=0).sum()


# ------------------------------------------------------------ the checker, and what may go wrong


def test_checker_refuses_what_is_not_so():
    town = generate(TownConfig(num_points=9, num_sites=9, num_kiosks=2, num_rivals=1), 0)
    objective = Objective()
    right = recompute(town, objective, [3, 5])
    confirm(town, objective, [3, 5], right)
    for sites, worth, message in (
        ([3, 5], right + 1, f"p-median is {right}, not {right + 1}"),
        ([3], right, "1 kiosks were placed, not 2"),
        ([3, 3], right, "site 3 was chosen more than once"),
        ([0, 3], right, "a rival holds site 0"),
        ([3, 9], right, "there is no site 9"),
        ([-1, 3], right, "there is no site -1"),
    ):
        with pytest.raises(CheckError, match=message):
            confirm(town, objective, sites, worth)


def test_no_solver_reports_what_the_checker_does_not_confirm(monkeypatch: pytest.MonkeyPatch):
    town = generate(TownConfig(), 0)
    monkeypatch.setitem(solvers._HEURISTICS, "greedy", lambda task: np.zeros(task.k, np.int64))
    with pytest.raises(CheckError, match="site 0 was chosen more than once"):
        solve("greedy", town)


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_solutions_and_leave_global_random_alone(name: str):
    pytest.importorskip("sklearn.cluster")  # importing it, which k-means does, draws from `random`
    town = generate(TownConfig(num_points=40, num_sites=30, num_kiosks=4), 3)
    states = random.getstate(), np.random.get_state()[1].tolist()
    one, again = solve(name, town, seed=7), solve(name, town, seed=7)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert one.sites.tolist() == again.sites.tolist()
    assert len(set(one.sites.tolist())) == 4
    if name == "random":
        assert one.sites.tolist() != solve(name, town, seed=8).sites.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_as_many_kiosks_as_sites_and_fewer_people_than_kiosks(name: str):
    town = from_coordinates("t", [[0, 0], [3, 4], [9, 9]], 3, weights=[0, 2, 0])
    solution = solve(name, town)
    assert solution.sites.tolist() == [0, 1, 2] and solution.objective == 0


def test_impossible_tasks_are_refused():
    town = generate(TownConfig(), 0)
    bare = Instance("t", town.distances, town.weights, 3)
    for call, message in (
        (lambda: solve("gredy", town), "unknown solver 'gredy'; did you mean 'greedy'"),
        (lambda: solve("k-means", bare), "t: k-means needs coordinates"),
        (lambda: solve("exact", town, Objective("revenue", 9)), "revenue needs at least one rival"),
        (lambda: solve("greedy", town, time_limit=0), "time_limit must be positive"),
        (lambda: solve("greedy", bare, Objective("revenue", 9)), "revenue needs at least one rival"),
        (lambda: next(frames("greedy", town)), "there is nothing to see of greedy"),
        (lambda: next(frames("interchange", town, Objective("p-center"))), "nothing to see of interchange"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("name", ["k-means", "interchange"])
def test_frames_end_where_nothing_improves(name: str):
    town = generate(TownConfig(), 1)
    shown = list(frames(name, town))
    assert len(shown) > 2
    assert all(frame.objective == recompute(town, Objective(), frame.sites) for frame in shown)
    if name == "k-means":  # which lowers the squares of distances to the means, not what people walk
        assert town.points is not None
        squares = [
            town.weights @ ((town.points[:, None] - frame.centres) ** 2).sum(axis=2).min(axis=1)
            for frame in shown
        ]
        assert squares == sorted(squares, reverse=True) and squares[-1] < squares[0]
    else:
        worths = [frame.objective for frame in shown]
        assert worths == sorted(set(worths), reverse=True)
        assert all(len(set(a.sites) - set(b.sites)) == 1 for a, b in itertools.pairwise(shown))


def test_solvers_load_no_learning_library():
    slow = {"scipy.optimize", "scipy.sparse", "sklearn", "deap"}
    code = f"import sys, meze.envs.kiosk.solvers; print({slow} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
