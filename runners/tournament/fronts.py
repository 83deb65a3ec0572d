"""Cost against cost: a tournament along weights or limits, and the front that each agent comes to.

A point is what a run's episodes cost in the mean; an agent's front is made of the points of one seed. It is
set against the exact front where the world can be solved, else against that of all who were trained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...agents.fronts import coverage_set, hypervolume, largest_regret, needed
from ...envs.core.measures import Cost
from ...envs.core.world import World
from ..reporting.page import Page, legend_below, new_figure, style_of
from ..reporting.scores import cell, short
from ..reporting.statistics import over_runs
from ..reporting.tables import print_rows
from ..setup.costs import read_limit
from ..setup.resolve import world_class
from ..setup.settings import from_plain, override
from .tournament import Entry, Result, Tournament

SPAN = 2.0
"""Weights of a grid lie between 10 to the minus this and 10 to this."""
MARGIN = 0.1
"""Between the highest costs and those up to which hypervolumes count, as a share of what costs range over."""
COLUMNS = "agent", "hypervolume", "largest regret", "runs"


def weights_grid(count: int, costs: Sequence[Cost]) -> dict[str, dict[str, str]]:
    """So many ways of weighing costs against the reward and each other, spread over orders of magnitude.

    They are Halton's points (1960), so that any number of them is even.

    Args:
        count: how many.
        costs: what the world tells apart.

    Returns:
        How each is called, to settings of `meze train`.

    Raises:
        ValueError: one line, when there is nothing to weigh against each other.
    """
    _check_several(costs)
    from scipy.stats import qmc

    points = qmc.Halton(len(costs), scramble=False).random(count + 1)[1:]  # without their first, the corner
    found = {}
    for weights in 10 ** (SPAN * (2 * points - 1)):
        words = [f"{each:.3g}" for each in weights]
        pairs = zip(costs, words, strict=True)
        found["/".join(words)] = {"weights": ",".join(f"{cost.name}={word}" for cost, word in pairs)}
    return found


def limits(text: str, costs: Sequence[Cost]) -> dict[str, dict[str, str]]:
    """Limits of one cost; see `weights_grid`.

    Args:
        text: as in `0,0.01,0.05`, of the first cost, or `harm_aboard<=0,0.5`, of that one.
        costs: what the world tells apart.
    """
    _check_several(costs)
    name, sign, values = text.rpartition("<=")
    name = name.strip() if sign else costs[0].name
    found = [str(read_limit(f"{name}<={each}", costs)) for each in values.split(",")]
    return {limit: {"constraint": limit} for limit in found}


def _check_several(costs: Sequence[Cost]) -> None:
    if len(costs) < 2:
        raise ValueError("a front needs a world that tells two costs apart, or more, such as tram")


def along(entries: Sequence[Entry], ways: Mapping[str, Mapping[str, str]]) -> tuple[Entry, ...]:
    """Each who is trained once for each way of weighing costs, and the others.

    Raises:
        ValueError: one line, for who is trained and takes no weights or limits.
    """
    found = []
    for entry in entries:
        if entry.config is None:
            found.append(dataclasses.replace(entry, shown=False))
            continue
        for way, settings in ways.items():
            if not hasattr(entry.config.settings, next(iter(settings))):
                raise ValueError(f"{entry.name} takes no weights and no constraint")
            config = dataclasses.replace(entry.config, settings=override(entry.config.settings, settings))
            _ = config.weights, config.limit  # which checks them
            found.append(dataclasses.replace(entry, name=f"{entry.name} {way}", config=config, shown=False))
    return tuple(found)


def front_of(tournament: Tournament, results: Mapping[int, Mapping[int, Result]]) -> dict[str, Any] | None:
    """Who comes how near to the front, as plain values; None where nobody was trained along one.

    Args:
        tournament: whose settings hold.
        results: entry's number to seed to result.
    """
    entries = {number: tournament.entries[number] for number in results}
    trained = [each.config for each in entries.values() if each.config]
    if not any(config.weights or config.limit for config in trained):
        return None
    environment = trained[0].environment
    world_kind: Any = world_class(environment)
    world = world_kind(from_plain(environment.config, next(iter(entries.values())).env, "env"))
    # Who learned from a limit and the reward knows of no other cost.
    limited = {config.limit.cost for config in trained if config.limit}
    costs = [each.name for each in world.costs if each.name in limited or each.in_reward or not limited]
    points: dict[str, list[dict[str, Any]]] = {}
    others: dict[str, list[float]] = {}
    for number, entry in entries.items():
        for seed, result in results[number].items():
            paid = [float(result.measures[name].mean()) for name in costs]
            if entry.config is None:
                others[entry.name] = paid
                continue
            name, _, way = entry.name.rpartition(" ")
            points.setdefault(name, []).append({"way": way, "seed": seed, "costs": paid})
    exact = _exact_front(world, costs)
    every = np.array([each["costs"] for own in points.values() for each in own])
    front = needed(every, 0.0) if exact is None else exact
    # What is far beyond the random agent and all of the front counts for nothing, whoever takes part; what
    # is just beyond may be so by chance.
    worst = np.maximum(front.max(axis=0), np.array([*others.values(), front[0]]).max(axis=0))
    worst += MARGIN * (worst - front.min(axis=0))
    agents = {name: _measured(own, front, worst) | {"points": own} for name, own in points.items()}
    return {
        "costs": costs,
        "exact": None if exact is None else exact.tolist(),
        "front": front.tolist(),
        "worst": worst.tolist(),
        "agents": agents,
        "others": others,
    }


def _exact_front(world: World, costs: Sequence[str]) -> NDArray[np.float64] | None:
    """(F, K) the coverage set of some of a world's costs; None where it can't be solved."""
    every = [cost.name for cost in world.costs]
    chosen = [every.index(name) for name in costs]

    def best(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        prices = np.zeros(len(every))
        prices[chosen] = weights
        return np.asarray(world.least_costs(prices))[chosen]

    return None if world.least_costs(np.ones(len(every))) is None else coverage_set(best, len(costs))


def _measured(
    points: Sequence[Mapping[str, Any]], front: NDArray[np.float64], worst: NDArray[np.float64]
) -> dict[str, Any]:
    """Hypervolume, as a share of the front's, and largest regret, as a share of what costs range over."""
    low = front.min(axis=0)
    told = worst > low  # what nobody can change is no reason to prefer one to the other
    scaled = (front - low)[:, told] / (worst - low)[told]
    whole = hypervolume(scaled, np.ones(told.sum())) if told.any() else 0.0
    volumes, regrets = [], []
    for seed in sorted({each["seed"] for each in points}):
        costs = np.array([each["costs"] for each in points if each["seed"] == seed])
        own = (costs - low)[:, told] / (worst - low)[told]
        volumes.append(hypervolume(own, np.ones(told.sum())) / whole if whole else 1.0)
        regrets.append(largest_regret(scaled, own) if whole else 0.0)
    return {"hypervolume": over_runs(np.array(volumes)), "regret": over_runs(np.array(regrets))}


# --- What is told ---------------------------------------------------------------------------------------


def _rows(front: Mapping[str, Any]) -> Iterator[list[str]]:
    for agent, told in front["agents"].items():
        yield [agent, cell(told["hypervolume"], True), cell(told["regret"], True), str(len(told["points"]))]


def _note(front: Mapping[str, Any]) -> str:
    whole = "the exact front's" if front["exact"] else "that of the front of all who were trained"
    worst = ", ".join(map(short, front["worst"]))
    return (
        f"Hypervolume: as a share of {whole}, mixtures included, up to the costs {worst}. Largest regret: by "
        "how much it costs more than the front where that is most, as a share of what costs range over. "
        "Below: 95 % bootstrap intervals over seeds."
    )


def print_front(front: Mapping[str, Any], title: str) -> None:
    """Prints one row an agent."""
    print_rows(title, COLUMNS, list(_rows(front)), [_note(front)])


def write_front(front: Mapping[str, Any], page: Page) -> None:
    """Writes the table, and a plot of the first cost against each other one."""
    page.heading("Cost against cost")
    page.table(COLUMNS, list(_rows(front)))
    page.paragraph(_note(front))
    first, *others = front["costs"]
    words = "The line is the exact front of these two costs" if front["exact"] else "Each point is a run"
    page.figures([(_plot(front, k), f"{words}: {first} against {name}.") for k, name in enumerate(others, 1)])
    page.heading("Runs")
    rows = [
        [agent, each["way"], str(each["seed"]), *map(short, each["costs"])]
        for agent, told in front["agents"].items()
        for each in told["points"]
    ]
    page.table(["agent", "weights or limit", "seed", *front["costs"]], rows)


def _plot(front: Mapping[str, Any], k: int) -> Any:
    """The first cost against the k-th."""
    figure, axes = new_figure()
    if front["exact"]:
        hull = needed(np.array(front["exact"])[:, [0, k]], 0.0)
        axes.plot(*hull.T, color="#808993", marker=".", linewidth=1, label="exact front")
    for number, (agent, told) in enumerate(front["agents"].items()):
        points = np.array([each["costs"] for each in told["points"]])[:, [0, k]]
        axes.plot(*points.T, "ox^sv"[number % 5], color=style_of(number)["color"], alpha=0.7, label=agent)
    for number, (name, costs) in enumerate(front["others"].items(), len(front["agents"])):
        axes.plot(costs[0], costs[k], "*D"[number % 2], color=style_of(number)["color"], label=name)
    axes.set_xlabel(front["costs"][0])
    axes.set_ylabel(front["costs"][k])
    legend_below(axes)
    return figure
