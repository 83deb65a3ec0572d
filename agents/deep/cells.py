"""The compiled functions of `recurrent`'s cells, forward and back through time (Werbos 1990)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .products import add_outer, add_product, copy, matrix, part


class Recall(NamedTuple):
    """What M networks remember of S streams, and memory for a block of them on its way through the cells.

    A block has T steps of some streams, a step of all after the other: its K rows.
    """

    cells: NDArray[np.int64]
    """(M, 6) of each cell: inputs, units, and where weight (inputs, gates) and bias of what it sees, weight
    (units, gates) and bias of what it knows begin."""
    steps: int
    """T."""
    state: NDArray[np.float32]
    """(S, M * size) before the first step."""
    begins: NDArray[np.bool_]
    """(T, S) where nothing is remembered; (0, 0): everywhere something is."""
    ends: NDArray[np.float32]
    """(S, M * size), where the state after the last step is written; (0, 0): nowhere."""
    before: NDArray[np.float32]
    """(M, K * size) states before."""
    known: NDArray[np.float32]
    """(M, K * gates) what the products with what was known before come to."""
    gates: NDArray[np.float32]
    """(M, K * gates) how far the gates are open, and what is new."""
    after: NDArray[np.float32]
    """(M, K * size) states after."""
    given: NDArray[np.float32]
    """(M, K * units) what heads see."""
    backs: NDArray[np.float32]
    """(K * size) gradients of that, then of states after."""
    to_seen: NDArray[np.float32]
    """(K * gates) gradients of the products with what is seen."""
    to_known: NDArray[np.float32]
    """(K * gates) gradients of the products with what was known."""
    transposed: NDArray[np.float32]
    """(gates * (inputs + units)) weights."""


def recall_for(
    cells: NDArray[np.int64],
    kinds: tuple[int, int],
    streams: int,
    state: NDArray[np.float32],
    begins: NDArray[np.bool_],
    ends: NDArray[np.float32],
) -> Recall:
    """Makes it.

    Args:
        cells: see `Recall`.
        kinds: how many gates a unit has, and how many numbers it remembers.
        streams: in a block.
        state: see `Recall`.
        begins: see `Recall`.
        ends: see `Recall`.
    """
    inputs, units = cells[0, :2]
    gates, size = (each * units for each in kinds)
    steps = max(1, len(begins))
    count, rows = len(cells), steps * streams
    shapes = [(count, rows * each) for each in (size, gates, gates, size, units)]
    shapes += [(rows * each,) for each in (size, gates, gates)] + [(gates * (inputs + units),)]
    return Recall(cells, steps, state, begins, ends, *[np.empty(shape, np.float32) for shape in shapes])


@part
def tanh(x):
    """The hyperbolic tangent, in arithmetic of which a processor does several at once; off by 3e-7 at most.

    That of a quarter is the start of Lambert's continued fraction; twice tanh 2t = 2 tanh t / (1 + tanh^2 t).
    """
    one, two = np.float32(1), np.float32(2)
    nine = np.float32(9)
    t = np.float32(0.25) * (nine if x > nine else -nine if x < -nine else x)  # what is no number stays so
    s = t * t
    above = np.float32(135135) + s * (np.float32(17325) + s * (np.float32(378) + s))
    below = np.float32(135135) + s * (np.float32(62370) + s * (np.float32(3150) + s * np.float32(28)))
    t = t * above / below
    t = two * t / (one + t * t)
    return two * t / (one + t * t)


@part
def _open(x):
    """The logistic function."""
    half = np.float32(0.5)
    return half + half * tanh(half * x)


@njit(inline="always")
def hidden(flat, units, rows):
    """(K, units) what cells give, of their states."""
    return matrix(flat, 0, rows, units)


@njit(inline="always")
def _inner(flat, units, rows):
    """(K, units) what else they remember; of those that remember nothing else, the same."""
    return matrix(flat, len(flat) - rows * units, rows, units)


@part
def recalled(count, even, chosen, net, x, flat, recall):
    """Takes a block through a network's cell.

    Args:
        count: rows of the block.
        even: the same, and one more where there is room for a pair.
        chosen: (count,) their numbers.
        net: which network.
        x: (K, inputs) what the cell sees.
        flat: all weights.
        recall: `Recall`, where states after, and what the head sees, are written.
    """
    inputs, units, seen, seen_bias, known, known_bias = recall.cells[net]
    rows, width = len(x), recall.known.shape[1] // len(x)
    gates, products = matrix(recall.gates[net], 0, rows, width), matrix(recall.known[net], 0, rows, width)
    h, h_after = hidden(recall.before[net], units, rows), hidden(recall.after[net], units, rows)
    c, c_after = _inner(recall.before[net], units, rows), _inner(recall.after[net], units, rows)
    size, streams = recall.after.shape[1] // rows, count // recall.steps
    for b in range(even):
        copy(flat, seen_bias, gates[b])
        copy(flat, known_bias, products[b])
    add_product(x[:even], matrix(flat, seen, inputs, width), gates[:even])
    weight = matrix(flat, known, units, width)
    for t in range(recall.steps):
        lo = t * streams
        hi = even if recall.steps == 1 else lo + streams
        for b in range(lo, lo + streams):
            stream = chosen[b] % len(recall.state)
            if len(recall.begins) and recall.begins[t, stream]:
                h[b] = 0
                c[b] = 0
            elif t == 0:
                copy(recall.state[stream], net * size, h[b])
                copy(recall.state[stream], (net + 1) * size - units, c[b])
            else:
                copy(h_after[b - streams], 0, h[b])
                copy(c_after[b - streams], 0, c[b])
        add_product(h[lo:hi], weight, products[lo:hi])
        for b in range(lo, lo + streams):
            if size == units:
                _gru(gates[b], products[b], h[b], h_after[b])
            else:
                _lstm(gates[b], products[b], c[b], h_after[b], c_after[b])
    given = hidden(recall.given[net], units, rows)
    for b in range(count):
        for i in range(units):
            given[b, i] = x[b, i] + h_after[b, i]
    if len(recall.ends):
        for b in range(count - streams, count):
            ends = recall.ends[chosen[b] % len(recall.state), net * size : (net + 1) * size]
            for i in range(units):
                ends[i] = h_after[b, i]
                ends[size - units + i] = c_after[b, i]


@part
def _gru(gates, known, h, after):
    """A row's step of `recurrent.GRU`; in `gates` what it sees becomes how far they are open."""
    units = len(h)
    r, z, n, h_n = gates[:units], gates[units : 2 * units], gates[2 * units :], known[2 * units :]
    for i in range(units):
        r[i] = _open(r[i] + known[i])
        z[i] = _open(z[i] + known[units + i])
        n[i] = tanh(n[i] + r[i] * h_n[i])
        after[i] = n[i] + z[i] * (h[i] - n[i])


@part
def _lstm(gates, known, c, after, c_after):
    """A row's step of `recurrent.LSTM`; see `_gru`."""
    units = len(c)
    i, f, g, o = gates[:units], gates[units : 2 * units], gates[2 * units : 3 * units], gates[3 * units :]
    for k in range(units):
        i[k] = _open(i[k] + known[k])
        f[k] = _open(f[k] + known[units + k])
        g[k] = tanh(g[k] + known[2 * units + k])
        o[k] = _open(o[k] + known[3 * units + k])
        c_after[k] = f[k] * c[k] + i[k] * g[k]
        after[k] = o[k] * tanh(c_after[k])


@part
def recalled_back(count, chosen, net, x, to_x, flat, grad, recall):
    """From gradients of what a head saw, in `recall.backs`, to those of what a cell saw, and of its weights.

    Args:
        count: rows of the block.
        chosen: (count,) their numbers.
        net: which network.
        x: (K, inputs) what it saw.
        to_x: (K, inputs), where the gradient is written.
        flat: all weights.
        grad: all gradients, to which those of the cell are added.
        recall: `Recall`, as `recalled` left it.
    """
    inputs, units, seen, seen_bias, known, known_bias = recall.cells[net]
    rows, width = len(x), recall.known.shape[1] // len(x)
    h = hidden(recall.before[net], units, rows)
    to_seen, to_known = matrix(recall.to_seen, 0, rows, width), matrix(recall.to_known, 0, rows, width)
    back = hidden(recall.backs, units, rows)
    for b in range(count):
        copy(back[b], 0, to_x[b])
    to_state = matrix(recall.transposed, 0, width, units)
    _transpose(matrix(flat, known, units, width), to_state)
    _through_time(count, chosen, net, units, to_state, recall)
    add_outer(x[:count], to_seen[:count], matrix(grad, seen, inputs, width))
    add_outer(h[:count], to_known[:count], matrix(grad, known, units, width))
    to_seen_bias, to_known_bias = grad[seen_bias : seen_bias + width], grad[known_bias : known_bias + width]
    for b in range(count):
        one, other = to_seen[b], to_known[b]
        for i in range(width):
            to_seen_bias[i] += one[i]
            to_known_bias[i] += other[i]
    to_inputs = matrix(recall.transposed, width * units, width, inputs)
    _transpose(matrix(flat, seen, inputs, width), to_inputs)
    add_product(to_seen[:count], to_inputs, to_x[:count])


@part
def _through_time(count, chosen, net, units, to_state, recall):
    """From gradients of states after to those of all products, from the last step to the first."""
    rows, width = len(recall.to_seen) // to_state.shape[0], to_state.shape[0]
    gates, products = matrix(recall.gates[net], 0, rows, width), matrix(recall.known[net], 0, rows, width)
    h, back = hidden(recall.before[net], units, rows), hidden(recall.backs, units, rows)
    c, c_back = _inner(recall.before[net], units, rows), _inner(recall.backs, units, rows)
    c_after = _inner(recall.after[net], units, rows)
    to_seen, to_known = matrix(recall.to_seen, 0, rows, width), matrix(recall.to_known, 0, rows, width)
    only, streams = len(recall.backs) == rows * units, count // recall.steps
    if not only:
        c_back[:count] = 0
    for t in range(recall.steps - 1, -1, -1):
        lo, hi = t * streams, (t + 1) * streams
        for b in range(lo, hi):
            if only:
                _gru_back(gates[b], products[b], h[b], back[b], to_seen[b], to_known[b])
            else:
                _lstm_back(gates[b], c[b], c_after[b], back[b], c_back[b], to_seen[b], to_known[b])
        if t == 0:
            continue
        # `back` holds what reaches the state before directly; here comes what reaches it through the gates
        add_product(to_known[lo:hi], to_state, back[lo:hi])
        for b in range(lo, hi):
            if not recall.begins[t, chosen[b] % len(recall.state)]:
                _add(back[b], back[b - streams])
                if not only:
                    _add(c_back[b], c_back[b - streams])


@part
def _add(source, target):
    for i in range(len(target)):
        target[i] += source[i]


@part
def _transpose(source, target):
    for i in range(target.shape[0]):
        row = target[i]
        for k in range(len(row)):
            row[k] = source[k, i]


@part
def _gru_back(gates, known, h, back, to_seen, to_known):
    """From gradients of a row's state after to those of products, and of the state before, in place."""
    units = len(h)
    one = np.float32(1)
    for i in range(units):
        r, z, n = gates[i], gates[units + i], gates[2 * units + i]
        slope = back[i]
        to_n = slope * (one - z) * (one - n * n)
        to_r = to_n * known[2 * units + i] * r * (one - r)
        to_z = slope * (h[i] - n) * z * (one - z)
        to_seen[i] = to_r
        to_known[i] = to_r
        to_seen[units + i] = to_z
        to_known[units + i] = to_z
        to_seen[2 * units + i] = to_n
        to_known[2 * units + i] = to_n * r
        back[i] = slope * z


@part
def _lstm_back(gates, c, c_after, back, c_back, to_seen, to_known):
    """See `_gru_back`; the same gradients reach both products."""
    units = len(c)
    one = np.float32(1)
    for k in range(units):
        i, f, g, o = gates[k], gates[units + k], gates[2 * units + k], gates[3 * units + k]
        y = tanh(c_after[k])
        slope = c_back[k] + back[k] * o * (one - y * y)
        to_seen[k] = slope * g * i * (one - i)
        to_seen[units + k] = slope * c[k] * f * (one - f)
        to_seen[2 * units + k] = slope * i * (one - g * g)
        to_seen[3 * units + k] = back[k] * y * o * (one - o)
        back[k] = 0
        c_back[k] = slope * f
    for k in range(len(to_seen)):
        to_known[k] = to_seen[k]
