"""Joins what lies too close together for a grid, and counts it: carriageways, clusters of junctions."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from .network import Network, Street, along, at_offset

SAME_LENGTH = 1.5  # streets between two junctions that differ by less are one, if they lie close together
MOST_RIVALS = 8  # streets between the same two junctions
DETOUR = 1.3  # how much longer than the way along the grid a street may be and still be routed freely
LEAST_LOOP = 5  # reaches; shorter loops are left out


def merge(network: Network, reach: float, counts: Counter[str]) -> None:
    """Merges what lies within reach, until a node is left for each place of the grid.

    Args:
        network: the city, changed in place.
        reach: metres between two places of the grid.
        counts: of merged things, to which is added.
    """
    _cut_opposite(network, reach)
    _contract(network, reach, counts)
    _join_parallel(network, reach, counts)
    network.dissolve()
    _join_parallel(network, reach, counts)
    _open_loops(network, reach, counts)
    _split_stars(network, reach, counts)
    _hold_to_lines(network, reach)


def _samples(street: Street, step: float) -> NDArray[np.float64]:
    return np.arange(step / 2, street.length, step)


def _nearest(line: NDArray[np.float64], place: NDArray[np.float64]) -> tuple[float, float, NDArray]:
    """Distance from a place to a line, the offset of the nearest point, and the line's direction there."""
    start, step = line[:-1], np.diff(line, axis=0)
    length = np.maximum((step**2).sum(axis=1), 1e-9)
    share = np.clip(((place - start) * step).sum(axis=1) / length, 0, 1)
    gaps = np.hypot(*(start + share[:, None] * step - place).T)
    k = int(gaps.argmin())
    size = float(np.sqrt(length[k]))
    return float(gaps[k]), float(along(line)[k] + share[k] * size), step[k] / size


def _cut_opposite(network: Network, reach: float) -> None:
    """Where a street meets one carriageway of a dual one, cuts the other one beside it.

    The two cuts are contracted afterwards, so that the carriageways become one street from cut to cut.
    """
    one_way = [s for s in network.streets if s.ahead != s.back]
    if not one_way:
        return
    low = np.array([s.line.min(axis=0) for s in one_way]) - reach
    high = np.array([s.line.max(axis=0) for s in one_way]) + reach
    number = max(network.places, default=0)
    cuts: dict[int, list[tuple[float, int]]] = {}
    links: list[Street] = []
    for node, arms in network.arms().items():
        place = network.places[node]
        through = [s for s in (network.streets[k] for k in set(arms)) if s.ahead != s.back]
        if len(arms) < 3 or not through:
            continue
        for other in (one_way[k] for k in np.flatnonzero(((low <= place) & (place <= high)).all(axis=1))):
            # Of its own street, which may come back beside it, a node looks at the middle only.
            skipped = 2 * reach if node in (other.tail, other.head) else 1.0
            if other.length < 2 * skipped + reach:
                continue
            line = other.between(skipped, other.length - skipped)
            gap, offset, heading = _nearest(line, place)
            if gap >= reach or not 0 < offset < other.length - 2 * skipped:
                continue
            offset += skipped
            if any(_against(s, place, heading * (1 if other.ahead else -1)) for s in through):
                number += 1
                cuts.setdefault(id(other), []).append((offset, number))
                network.places[number] = at_offset(other.line, offset)
                line = np.array([place, network.places[number]])
                links.append(Street(node, number, line, True, True, other.rank, 2))
    network.streets = [
        part for s in network.streets for part in (_cut(s, sorted(cuts[id(s)])) if id(s) in cuts else [s])
    ] + links


def _against(street: Street, place: NDArray[np.float64], heading: NDArray[np.float64]) -> bool:
    """Whether a one-way street runs against a heading where it passes a place, within about 30 degrees."""
    _, _, mine = _nearest(street.line, place)
    return float(mine @ heading) * (1 if street.ahead else -1) < -0.85


def _cut(street: Street, cuts: list[tuple[float, int]]) -> list[Street]:
    """Cuts a street at some metres from its tail, where nodes of given numbers stand from now on."""
    ends = [(0.0, street.tail), *cuts, (street.length, street.head)]
    return [
        Street(
            tail,
            head,
            street.between(start, end),
            street.ahead,
            street.back,
            street.rank,
            street.lanes,
            [at - start for at in street.crossings if start < at <= end],
            [at - start for at in street.signals if start < at <= end],
        )
        for (start, tail), (end, head) in zip(ends[:-1], ends[1:], strict=True)
        if end - start > 0
    ]


def _contract(network: Network, reach: float, counts: Counter[str]) -> None:
    """Makes one node of those that short streets join, the shortest first, as long as it stays small."""
    parent = {node: node for node in network.places}
    members = {node: [place] for node, place in network.places.items()}

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    arms = network.arms()
    for street in sorted(network.streets, key=lambda s: s.length):
        if street.length >= reach:
            break
        a, b = root(street.tail), root(street.head)
        both = np.array(members[a] + members[b])
        if a == b or np.ptp(both, axis=0).max() > 1.5 * reach:
            continue
        if len(arms[street.tail]) > 2 and len(arms[street.head]) > 2:
            counts["junctions merged with a neighbour"] += 1
        parent[b] = a
        members[a] += members.pop(b)
    network.places = {node: np.mean(places, axis=0) for node, places in members.items()}
    network.became = {node: root(node) for node in parent}
    network.signals = {root(node) for node in network.signals}
    network.loops = {root(node) for node in network.loops if node in parent}
    kept = []
    for s in network.streets:
        tail, head = root(s.tail), root(s.head)
        if tail == head and s.length < LEAST_LOOP * reach:
            counts["short streets that became part of a junction"] += 1
            continue
        s.tail, s.head = tail, head
        s.line = np.vstack([network.places[tail], s.line[1:-1], network.places[head]])
        kept.append(s)
    network.streets = kept


def _join_parallel(network: Network, reach: float, counts: Counter[str]) -> None:
    """Makes one street of those that join the same two nodes and lie close together."""
    by_ends: dict[tuple[int, int], list[Street]] = {}
    for s in network.streets:
        ends = min(s.tail, s.head), max(s.tail, s.head)
        rivals = by_ends.setdefault(ends, [])
        s = s if s.tail == ends[0] else s.reverse()
        if len(rivals) == MOST_RIVALS:
            counts["streets left out, of many between two junctions"] += 1
            continue
        for k, other in enumerate(rivals):
            if s.tail != s.head and _alike(s, other, reach):
                opposite = not (s.ahead and s.back or other.ahead and other.back) and s.ahead != other.ahead
                name = "carriageways merged into two-way streets" if opposite else "parallel streets merged"
                counts[name] += 1
                rivals[k] = _joined(other, s)
                break
        else:
            rivals.append(s)
    network.streets = [s for streets in by_ends.values() for s in streets]


def _alike(one: Street, other: Street, reach: float) -> bool:
    """Whether two streets between the same nodes run side by side, nowhere more than 1.5 reaches apart."""
    short, long = sorted((one, other), key=lambda s: s.length)
    if long.length > SAME_LENGTH * short.length + reach:
        return False
    places = at_offset(long.line, _samples(long, reach / 2))
    return all(_nearest(short.line, place)[0] < 1.5 * reach for place in places)


def _joined(one: Street, other: Street) -> Street:
    """One street that allows what either did; the more important one lends its line."""
    main, side = sorted((one, other), key=lambda s: (s.rank, s.lanes), reverse=True)
    share = main.length / side.length
    return Street(
        main.tail,
        main.head,
        main.line,
        one.ahead or other.ahead,
        one.back or other.back,
        main.rank,
        one.lanes + other.lanes,
        sorted(main.crossings + [share * at for at in side.crossings]),
    )


def _open_loops(network: Network, reach: float, counts: Counter[str]) -> None:
    """Puts two nodes on each street that ends where it begins; a short one is left out."""
    number = max(network.places, default=0)
    streets = []
    for s in network.streets:
        if s.tail != s.head:
            streets.append(s)
            continue
        length = s.length
        if length < LEAST_LOOP * reach:
            counts["short loops left out"] += 1
            continue
        cuts = [(length / 3, number + 1), (2 * length / 3, number + 2)]
        number += 2
        for offset, node in cuts:
            network.places[node] = at_offset(s.line, offset)
        streets += _cut(s, cuts)
    network.streets = streets
    used = {node for s in streets for node in (s.tail, s.head)}
    network.places = {node: place for node, place in network.places.items() if node in used}


def _split_stars(network: Network, reach: float, counts: Counter[str]) -> None:
    """Splits nodes at which more than four streets meet: a grid has no more headings."""
    number = max(network.places, default=0)
    waiting = [node for node, arms in network.arms().items() if len(arms) > 4]
    while waiting:
        node = waiting.pop()
        arms = network.arms()[node]
        if len(arms) <= 4:
            continue
        number += 1
        counts["junctions of more than four streets split"] += 1
        place = network.places[node]
        angle = {k: _leaving(network.streets[k], node, place, reach) for k in arms}
        order = sorted(arms, key=angle.__getitem__)
        # The neighbours with the least angle between the first and the last of them move on together.
        count = 2 if len(arms) == 5 else 3
        spread = [
            (angle[order[(k + count - 1) % len(order)]] - angle[order[k]]) % (2 * np.pi)
            for k in range(len(order))
        ]
        first = int(np.argmin(spread))
        moved = [order[(first + k) % len(order)] for k in range(count)]
        middle = angle[moved[0]] + spread[first] / 2
        network.places[number] = place + reach * np.array([np.cos(middle), np.sin(middle)])
        for k in moved:
            s = network.streets[k]
            if s.tail == node:
                s.tail = number
                s.line = np.vstack([network.places[number], s.line[1:]])
            else:
                s.head = number
                s.line = np.vstack([s.line[:-1], network.places[number]])
        rank = max(network.streets[k].rank for k in moved)
        line = np.array([place, network.places[number]])
        network.streets.append(Street(node, number, line, True, True, rank, 2))
        if node in network.signals:
            network.signals.add(number)
        waiting.append(node)


def _hold_to_lines(network: Network, reach: float) -> None:
    """Puts nodes on streets that are longer than the way between their ends: they keep their length."""
    number = max(network.places, default=0)
    waiting, done = network.streets[::-1], []
    while waiting:
        street = waiting.pop()
        length, chord = street.length, np.abs(street.line[-1] - street.line[0]).sum()
        if length <= DETOUR * chord + reach or length < 4 * reach:
            done.append(street)
            continue
        number += 1
        network.places[number] = at_offset(street.line, length / 2)
        waiting += reversed(_cut(street, [(length / 2, number)]))
    network.streets = done


def _leaving(street: Street, node: int, place: NDArray[np.float64], reach: float) -> float:
    """The angle at which a street leaves a node, looked at two reaches away."""
    street = street if street.tail == node else street.reverse()
    ahead = at_offset(street.line, min(2 * reach, street.length)) - place
    return float(np.arctan2(ahead[1], ahead[0]))
