"""What the edge of an extract has cut: traffic leaves the city there, and comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from .network import Network, Street

FAR, FARTHER = 150.0, 250.0
"""Metres between two ends up to which a turning loop joins them: about a block, and more where both are known
to be cut, since then they lie at the rim of the extract, and the loop outside."""


def open_edges(network: Network, counts: Counter[str]) -> list[Street]:
    """Lets traffic leave and enter where one-way streets end at nothing, or begin at nothing.

    No street does so in a city: there the data ends. A carriageway on which one leaves is joined to the
    nearest one on which one enters, by a turning loop, as two-way streets that end at nothing have one. Where
    none is near, and a way is known to be cut there, its street is driven both ways up to the next junction.

    Args:
        network: as it was read, changed in place.
        counts: of what was inferred, to which is added.

    Returns:
        The turning loops, which are among the network's streets now.
    """
    leaving, entering = _loose_ends(network)
    arms, loops = network.arms(), []
    for out, back in _pairs(network, leaving, entering):
        line = np.array([network.places[out], network.places[back]])
        # Without its loop a carriageway leads nowhere: the one is as important as the other.
        rank = max(network.streets[k].rank for k in arms[out] + arms[back])
        loops.append(Street(out, back, line, True, False, rank, 1))
        network.loops |= {out, back}
        counts["turning loops where carriageways are cut"] += 1
    for node in (*leaving, *entering):
        if node not in network.loops and node in network.cut:
            _drive_both_ways(network, node)
            counts["one-way streets, cut, that are driven both ways"] += 1
    network.streets += loops
    return loops


def _loose_ends(network: Network) -> tuple[list[int], list[int]]:
    """The nodes to which streets lead and from which none does, and those of which the opposite is true."""
    comes, goes = set(), set()
    for street in network.streets:
        for tail, head, driven in (
            (street.tail, street.head, street.ahead),
            (street.head, street.tail, street.back),
        ):
            if driven:
                goes.add(tail)
                comes.add(head)
    return sorted(comes - goes), sorted(goes - comes)


def _pairs(network: Network, leaving: list[int], entering: list[int]) -> Iterator[tuple[int, int]]:
    """Pairs of near ends, the nearest first, each end once; then those left over, with one that is paired."""
    if not (leaving and entering):
        return
    outs, backs = (np.array([network.places[node] for node in nodes]) for nodes in (leaving, entering))
    gaps = np.hypot(*(outs[:, None] - backs).transpose(2, 0, 1))
    cut = [np.array([node in network.cut for node in nodes]) for nodes in (leaving, entering)]
    near = np.argwhere(gaps <= np.where(cut[0][:, None] & cut[1], FARTHER, FAR))
    near = near[np.argsort(gaps[tuple(near.T)], kind="stable")].tolist()
    joined: set[int] = set()
    for taken in (0, 1):  # of the two ends
        for i, j in near:
            pair = {leaving[i], entering[j]}
            if len(pair & joined) <= taken and not pair <= joined:
                joined |= pair
                yield leaving[i], entering[j]


def _drive_both_ways(network: Network, node: int) -> None:
    """Opens the other direction of a street from where it is cut to the next junction."""
    arms = network.arms()
    number, seen = arms[node][0], set()
    while number not in seen:
        seen.add(number)
        street = network.streets[number]
        street.ahead = street.back = True
        node = street.head if node == street.tail else street.tail
        if len(arms[node]) != 2:
            return
        number = next((k for k in arms[node] if k != number), number)
