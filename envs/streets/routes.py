"""Legal moves and shortest ways on street maps, compiled."""

from __future__ import annotations

import numpy as np

from ...caching import compiled

NONE = 255
"""The heading of cells that are not lanes."""

UNREACHABLE = 65535
"""The distance where no route leads."""

MAX_JUNCTION = 64  # cells


@compiled
def neighbour(y, x, heading, height, width):
    """The cell one step on, or (-1, -1) beyond the edge."""
    y += (heading == 2) - (heading == 0)
    x += (heading == 1) - (heading == 3)
    if y < 0 or x < 0 or y >= height or x >= width:
        return -1, -1
    return y, x


@compiled
def label_parts(mask):
    """Numbers the 4-connected components of `mask` in the order of their first cells.

    Returns:
        (H, W) int32 component numbers, -1 outside, and their count.
    """
    height, width = mask.shape
    label = np.full((height, width), -1, np.int32)
    stack = np.empty(mask.size, np.int32)
    count = 0
    for first in range(mask.size):
        if not mask[first // width, first % width] or label[first // width, first % width] >= 0:
            continue
        label[first // width, first % width] = count
        stack[0] = first
        top = 1
        while top:
            top -= 1
            cell = stack[top]
            for h in range(4):
                y, x = neighbour(cell // width, cell % width, h, height, width)
                if y >= 0 and mask[y, x] and label[y, x] < 0:
                    label[y, x] = count
                    stack[top] = y * width + x
                    top += 1
        count += 1
    return label, count


@compiled
def add_junction_exits(heading, junction, exits, left_hand):
    """Gives junction cells the headings of the lanes that cross them, where a lane or the junction goes on.

    Where none goes on, traffic turns round: to the left, or in left-hand traffic to the right.

    Args:
        heading: (H, W) headings of the lanes.
        junction: (H, W) junction numbers.
        exits: (H, W) exit bits, to which those of the junction cells are added.
        left_hand: traffic keeps left.

    Returns:
        (H, W) bool, cells whose lanes before and behind the junction disagree.
    """
    height, width = heading.shape
    clash = np.zeros((height, width), np.bool_)
    for cell in range(heading.size):
        y, x = cell // width, cell % width
        if junction[y, x] < 0:
            continue
        lanes = 0
        for axis in range(2):
            lane = NONE
            for h in (axis, axis + 2):
                v, u = neighbour(y, x, h, height, width)
                while v >= 0 and junction[v, u] >= 0:
                    v, u = neighbour(v, u, h, height, width)
                if v < 0 or heading[v, u] == NONE or heading[v, u] % 2 != axis:
                    continue
                clash[y, x] |= lane != NONE and lane != heading[v, u]
                lane = heading[v, u]
            if lane != NONE:
                lanes |= 1 << lane
                v, u = neighbour(y, x, lane, height, width)
                if v >= 0 and (junction[v, u] >= 0 or heading[v, u] == lane):
                    exits[y, x] |= 1 << lane
        if exits[y, x] == 0:
            for lane in range(4):
                aside = (lane + (1 if left_hand else 3)) % 4
                v, u = neighbour(y, x, aside, height, width)
                if lanes >> lane & 1 and v >= 0 and junction[v, u] >= 0:
                    exits[y, x] |= 1 << aside
    return clash


@compiled
def search(exits, start, forward, distance):
    """Breadth-first search over the legal moves.

    Args:
        exits: (H, W) exit bits.
        start: cell number to search from.
        forward: whether to find the ways from `start`, or the ways to it.
        distance: (H, W) uint16, overwritten with the number of moves, UNREACHABLE where there is no way.

    Returns:
        False if a way is too long for uint16.
    """
    height, width = exits.shape
    distance[:] = UNREACHABLE
    distance[start // width, start % width] = 0
    queue = np.empty(exits.size, np.int32)
    queue[0] = start
    head, tail = 0, 1
    while head < tail:
        cell = queue[head]
        head += 1
        y, x = cell // width, cell % width
        moves = np.int64(distance[y, x]) + 1
        for h in range(4):
            v, u = neighbour(y, x, h if forward else h ^ 2, height, width)
            if v < 0 or distance[v, u] != UNREACHABLE:
                continue
            if (exits[y, x] if forward else exits[v, u]) >> h & 1:
                if moves >= UNREACHABLE:
                    return False
                distance[v, u] = moves
                queue[tail] = v * width + u
                tail += 1
    return True


def distances(exits, targets, out):
    """Shortest ways to some cells.

    Args:
        exits: (H, W) uint8 exit bits of a map.
        targets: (D,) cell numbers y * W + x.
        out: (D, H, W) uint16, overwritten with the number of legal moves from each cell to each target,
            UNREACHABLE where no way leads.
    """
    for target, ways in zip(targets.tolist(), out, strict=True):
        search(exits, target, False, ways)


@compiled
def turn_paths(heading, exits, junction, approaches):
    """Shortest paths through the junctions.

    Args:
        heading: (H, W) uint8 headings of the lanes.
        exits: (H, W) uint8 exit bits.
        junction: (H, W) junction numbers.
        approaches: (A,) cell numbers of lane cells whose next cell is a junction cell.

    Returns:
        (A, 3, 65) int32: for each approach and turn (straight, left, right) the cells of the junction that
        are passed, then the lane cell beyond; -1 behind the end and where that turn does not exist. Where
        none exists, the first one leads back.
    """
    height, width = exits.shape
    paths = np.full((len(approaches), 3, MAX_JUNCTION + 1), -1, np.int32)
    queue = np.empty(MAX_JUNCTION + 1, np.int32)
    parent = np.empty(MAX_JUNCTION + 1, np.int32)  # position in the queue
    seen = np.full((height, width), -1, np.int32)
    for a in range(len(approaches)):
        y, x = approaches[a] // width, approaches[a] % width
        entry = heading[y, x]
        y, x = neighbour(y, x, entry, height, width)
        queue[0], parent[0], seen[y, x] = y * width + x, -1, a
        head, tail = 0, 1
        back, back_to = -1, -1
        while head < tail:
            y, x = queue[head] // width, queue[head] % width
            for h in range(4):
                if not exits[y, x] >> h & 1:
                    continue
                v, u = neighbour(y, x, h, height, width)
                if junction[v, u] >= 0:
                    if seen[v, u] != a:
                        queue[tail], parent[tail], seen[v, u] = v * width + u, head, a
                        tail += 1
                    continue
                turn = (0, 2, 3, 1)[(h - entry) % 4]  # 3: round
                if turn == 3:
                    back, back_to = head, v * width + u
                elif paths[a, turn, 0] < 0:
                    _write_path(queue, parent, head, v * width + u, paths[a, turn])
            head += 1
        if back >= 0 and paths[a, 0, 0] < 0 and paths[a, 1, 0] < 0 and paths[a, 2, 0] < 0:
            _write_path(queue, parent, back, back_to, paths[a, 0])
    return paths


@compiled
def _write_path(queue, parent, last, beyond, path):
    """Writes the way that a search took to the entry `last` of its queue, and the cell beyond."""
    length, k = 0, last
    while k >= 0:
        length, k = length + 1, parent[k]
    path[length] = beyond
    k = last
    while k >= 0:
        length -= 1
        path[length] = queue[k]
        k = parent[k]
