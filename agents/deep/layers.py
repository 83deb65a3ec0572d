"""The compiled functions of `perceptron`: layers, and what is added up for them, block of rows by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...caching import compiled
from ...kernels import Kernel
from .planes import differing_bytes

BLOCK = 32
"""Rows that go through the layers together."""
SUMS = {"reassoc", "contract", "nsz"}
"""What the compiler may do to sums: take several terms at once."""


class Inputs(NamedTuple):
    """What the first layer sees of (B, ...) observations: numbers, or how bytes differ (see `Planes`)."""

    numbers: NDArray[np.float32]
    """(B, K); (B, 0) of bytes."""
    bytes: NDArray[np.uint8]
    """(B, bytes); (B, 0) of numbers."""
    where: NDArray[np.int64]
    run: int
    usual: NDArray[np.uint8]
    scale: np.float32


class Scratch(NamedTuple):
    """Memory for a block on its way through the layers."""

    rows: NDArray[np.int64]
    bytes: NDArray[np.uint8]
    numbers: NDArray[np.float32]
    words: NDArray[np.uint64]
    index: NDArray[np.int32]
    value: NDArray[np.float32]
    bounds: NDArray[np.int64]
    start: NDArray[np.float32]
    """What the first layer begins with."""
    products: NDArray[np.float32]
    """Of all layers, one after another; normalised where they are."""
    scales: NDArray[np.float32]
    """(L, BLOCK) what was multiplied by to normalise."""
    hidden: NDArray[np.float32]
    """Outputs of all layers."""
    backs: NDArray[np.float32]
    """Gradients of them, then of the products."""
    outputs: NDArray[np.float32]
    """(BLOCK, A) of the head."""
    transposed: NDArray[np.float32]
    """All weights, transposed."""


def scratch_for(inputs: Inputs, layers: NDArray, head: NDArray, size: int = 0) -> Scratch:
    """Makes it, and room for so many transposed weights."""
    units, most = layers[:, 1].sum() * BLOCK, BLOCK * len(inputs.where) + 1
    words = np.empty((inputs.run + 7) // 8, np.uint64)
    lists = words, np.empty(most, np.int32), np.empty(most, np.float32), np.empty(BLOCK + 1, np.int64)
    seen = [np.empty((BLOCK, each.shape[1]), each.dtype) for each in (inputs.bytes, inputs.numbers)]
    shapes = layers[0, 1], units, (len(layers), BLOCK), units, units, (BLOCK, head[1]), size
    floats = [np.empty(shape, np.float32) for shape in shapes]
    return Scratch._make([np.empty(BLOCK, np.int64), *seen, *lists, *floats])


# ---------------------------------------------------------------- products


def _part(function: Callable) -> Kernel:
    return Kernel(function, fastmath=SUMS)


@_part
def _add_product(a, b, c):
    """Adds a @ b to c. Two rows of c and four of b at a time: so no number is read for one product alone."""
    terms = b.shape[0]
    fours, pairs = terms - terms % 4, len(c) - len(c) % 2
    for m in range(0, pairs, 2):
        row, other = c[m], c[m + 1]
        for k in range(0, fours, 4):
            a0, a1, a2, a3 = a[m, k], a[m, k + 1], a[m, k + 2], a[m, k + 3]
            o0, o1, o2, o3 = a[m + 1, k], a[m + 1, k + 1], a[m + 1, k + 2], a[m + 1, k + 3]
            b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
            for i in range(len(row)):
                x0, x1, x2, x3 = b0[i], b1[i], b2[i], b3[i]
                row[i] += (a0 * x0 + a1 * x1) + (a2 * x2 + a3 * x3)
                other[i] += (o0 * x0 + o1 * x1) + (o2 * x2 + o3 * x3)
        for k in range(fours, terms):
            ak, ok, bk = a[m, k], a[m + 1, k], b[k]
            for i in range(len(row)):
                row[i] += ak * bk[i]
                other[i] += ok * bk[i]
    for m in range(pairs, len(c)):
        row = c[m]
        for k in range(terms):
            ak, bk = a[m, k], b[k]
            for i in range(len(row)):
                row[i] += ak * bk[i]


@njit(inline="always")
def _matrix(flat, at, rows, columns):
    return flat[at : at + rows * columns].reshape(rows, columns)


@_part
def _add_chosen(index, value, lo, hi, b, row):
    """Adds chosen rows of b, times their values, to a row; four at a time."""
    fours = hi - (hi - lo) % 4
    for n in range(lo, fours, 4):
        a0, a1, a2, a3 = value[n], value[n + 1], value[n + 2], value[n + 3]
        b0, b1, b2, b3 = b[index[n]], b[index[n + 1]], b[index[n + 2]], b[index[n + 3]]
        for i in range(len(row)):
            row[i] += (a0 * b0[i] + a1 * b1[i]) + (a2 * b2[i] + a3 * b3[i])
    for n in range(fours, hi):
        ak, bk = value[n], b[index[n]]
        for i in range(len(row)):
            row[i] += ak * bk[i]


@_part
def _copy(source, at, target):
    """Fills a (K,) array from a place in another one on."""
    for i in range(len(target)):
        target[i] = source[at + i]


# ---------------------------------------------------------------- a layer


@_part
def _normalise(h, gain, offset, scale, y):
    """From products to outputs; h becomes n, and `scale` what it was multiplied by."""
    units = h.shape[1]
    for b in range(h.shape[0]):
        row, out = h[b], y[b]
        total = np.float32(0)
        for i in range(units):
            total += row[i]
        mean = total / np.float32(units)
        square = np.float32(0)
        for i in range(units):
            square += (row[i] - mean) * (row[i] - mean)
        s = np.float32(1) / np.sqrt(square / np.float32(units) + np.float32(1e-5))
        scale[b] = s
        for i in range(units):
            row[i] = (row[i] - mean) * s
            x = row[i] * gain[i] + offset[i]
            out[i] = np.float32(0) if x <= 0 else x  # what is no number stays so


@_part
def _denormalise(back, n, gain, scale, y, to_gain, to_offset):
    """From gradients of outputs to those of products, in place; adds those of gain and offset up."""
    units = back.shape[1]
    zero = np.float32(0)
    for b in range(back.shape[0]):
        row, normal, value = back[b], n[b], y[b]
        mean = zero
        along = zero
        for i in range(units):
            g = zero if value[i] <= zero else row[i]
            to_gain[i] += g * normal[i]
            to_offset[i] += g
            g *= gain[i]
            row[i] = g
            mean += g
            along += g * normal[i]
        mean /= np.float32(units)
        along /= np.float32(units)
        for i in range(units):
            row[i] = scale[b] * (row[i] - mean - normal[i] * along)


# ---------------------------------------------------------------- a block of rows


@_part
def _usual_product(inputs, layers, flat, start):
    """What the first layer makes of the usual observation, bias included."""
    terms, units, weight, bias = layers[0, :4]
    columns = _matrix(flat, weight, terms, units)
    _copy(flat, bias, start)
    for k in range(len(inputs.usual)):
        x = inputs.scale * np.float32(inputs.usual[k])
        if x != 0:
            column = columns[k]
            for i in range(units):
                start[i] += x * column[i]


@_part
def _forward(inputs, chosen, layers, flat, scratch):
    """Takes chosen rows, a block at most, through the hidden layers."""
    count = len(chosen)
    even = count + count % 2  # rows are multiplied in pairs, so that none depends on whether it has another
    index, value, bounds, start = scratch.index, scratch.value, scratch.bounds, scratch.start
    products, outputs, rows, numbers = scratch.products, scratch.hidden, scratch.bytes, scratch.numbers
    at = 0
    for number in range(len(layers)):
        terms, units, weight, bias, gain, offset = layers[number]
        h = _matrix(products, BLOCK * at, BLOCK, units)[:even]
        y = _matrix(outputs, BLOCK * at, BLOCK, units)[:count]
        columns = _matrix(flat, weight, terms, units)
        for b in range(even):
            _copy(flat if number else start, bias if number else 0, h[b])
        if number > 0:
            before = _matrix(outputs, BLOCK * (at - terms), BLOCK, terms)
            _add_product(before[:even], columns, h)
        elif len(inputs.where) == 0:
            for b in range(count):
                _copy(inputs.numbers[chosen[b]], 0, numbers[b])
            _add_product(numbers[:even], columns, h)
        else:
            for b in range(count):
                _copy(inputs.bytes[chosen[b]], 0, rows[b])
            seen = inputs.where, inputs.run, inputs.usual, inputs.scale
            differing_bytes(rows[:count], *seen, scratch.words, index, value, bounds)
            for b in range(count):
                _add_chosen(index, value, bounds[b], bounds[b + 1], columns, h[b])
        if gain >= 0:
            _normalise(
                h[:count], flat[gain : gain + units], flat[offset : offset + units], scratch.scales[number], y
            )
        else:
            for b in range(count):
                for i in range(units):
                    y[b, i] = np.float32(0) if h[b, i] <= 0 else h[b, i]
        at += units


@_part
def _backward(inputs, count, layers, flat, grad, scratch):
    """Adds up what gradients of the last outputs, in `backs`, come to for all weights but the head's."""
    index, value, bounds, backs = scratch.index, scratch.value, scratch.bounds, scratch.backs
    products, outputs, numbers = scratch.products, scratch.hidden, scratch.numbers
    at = layers[:, 1].sum()
    for number in range(len(layers) - 1, -1, -1):
        terms, units, weight, bias, gain, offset = layers[number]
        at -= units
        y = _matrix(outputs, BLOCK * at, BLOCK, units)
        back = _matrix(backs, BLOCK * at, BLOCK, units)[:count]
        if gain >= 0:
            n = _matrix(products, BLOCK * at, BLOCK, units)
            to_gain, to_offset = grad[gain : gain + units], grad[offset : offset + units]
            _denormalise(back, n, flat[gain : gain + units], scratch.scales[number], y, to_gain, to_offset)
        else:
            for b in range(count):
                for i in range(units):
                    back[b, i] = np.float32(0) if y[b, i] <= 0 else back[b, i]
        to_bias, to_weight = grad[bias : bias + units], _matrix(grad, weight, terms, units)
        for b in range(count):
            row = back[b]
            for i in range(units):
                to_bias[i] += row[i]
        if number > 0:
            before = _matrix(outputs, BLOCK * (at - terms), BLOCK, terms)[:count]
            _add_product(before.T, back, to_weight)
            further = _matrix(backs, BLOCK * (at - terms), BLOCK, terms)[:count]
            further[:] = 0
            _add_product(back, _matrix(scratch.transposed, weight, units, terms), further)
        elif len(inputs.where) == 0:
            _add_product(numbers[:count].T, back, to_weight)
        else:
            for b in range(count):
                row = back[b]
                for n in range(bounds[b], bounds[b + 1]):
                    v, column = value[n], to_weight[index[n]]
                    for i in range(units):
                        column[i] += v * row[i]


# ---------------------------------------------------------------- batches


@compiled(nogil=True, _nrt=False, fastmath=SUMS)
def all_outputs(inputs, layers, head, flat, scratch, result):
    """Writes the (B, A) outputs of a network.

    Args:
        inputs: `Inputs` of B observations.
        layers: (L, 6) int64, of each hidden layer: inputs, units, and where in `flat` weight (inputs, units),
            bias, gain and offset begin; -1 where nothing is normalised.
        head: (4,) int64: inputs, outputs, and where weight (outputs, inputs) and bias begin.
        flat: all weights.
        scratch: `Scratch`.
        result: (B, A).
    """
    _usual_product(inputs, layers, flat, scratch.start)
    for lo in range(0, len(result), BLOCK):
        rows = scratch.rows[: min(BLOCK, len(result) - lo)]
        for b in range(len(rows)):
            rows[b] = lo + b
        _forward(inputs, rows, layers, flat, scratch)
        _head(layers, head, flat, scratch, result[lo : lo + BLOCK])


@_part
def _head(layers, head, flat, scratch, result):
    """The head's outputs for the rows of a block."""
    terms, units, weight, bias = head
    y = _matrix(scratch.hidden, BLOCK * (layers[:, 1].sum() - terms), BLOCK, terms)
    weights = _matrix(flat, weight, units, terms)
    for b in range(len(result)):
        for n in range(units):
            total = np.float32(0)
            for i in range(terms):
                total += y[b, i] * weights[n, i]
            result[b, n] = total + flat[bias + n]


@compiled(nogil=True, _nrt=False, fastmath=SUMS)
def fit(inputs, order, minibatches, wanted, layers, head, flat, grad, optimizer, scratch):
    """Steps of Adam, one a minibatch.

    Args:
        inputs: `Inputs` of B observations.
        order: rows of them, minibatch after minibatch.
        minibatches: how many.
        wanted: (B,) chosen outputs, (B,) targets, (B,) weights of rows, whether the loss is Huber's, and (B,)
            where errors are written.
        layers: see `all_outputs`.
        head: see `all_outputs`.
        flat: all weights.
        grad: room for as many.
        optimizer: both moments, (1,) steps so far, and `FlatAdam.settings`.
        scratch: `Scratch`, with room for transposed weights.
    """
    size = len(order) // minibatches
    for number in range(minibatches):
        _usual_product(inputs, layers, flat, scratch.start)
        _transpose(layers, flat, scratch.transposed)
        grad[:] = 0
        end = (number + 1) * size
        counted = 0
        for row in order[number * size : end]:
            counted += wanted[2][row] > 0
        share = np.float32(1) / np.float32(max(1, counted))
        for lo in range(number * size, end, BLOCK):
            rows = order[lo : min(lo + BLOCK, end)]
            _forward(inputs, rows, layers, flat, scratch)
            _head(layers, head, flat, scratch, scratch.outputs[: len(rows)])
            _slopes(rows, *wanted, share, layers, head, flat, grad, scratch)
            _backward(inputs, len(rows), layers, flat, grad, scratch)
        _add_usual(inputs, layers, grad)
        _descend(flat, grad, *optimizer)


@_part
def _transpose(layers, flat, transposed):
    for number in range(1, len(layers)):
        terms, units, weight = layers[number, :3]
        to = _matrix(transposed, weight, units, terms)
        columns = _matrix(flat, weight, terms, units)
        for i in range(units):
            for k in range(terms):
                to[i, k] = columns[k, i]


@_part
def _slopes(rows, chosen, target, weight, huber, errors, share, layers, head, flat, grad, scratch):
    """A block's errors; the gradients of their losses go into `scratch.backs`, and the head's into `grad`."""
    terms, units, to_weights, to_bias = head
    place = BLOCK * (layers[:, 1].sum() - terms)
    y, back = _matrix(scratch.hidden, place, BLOCK, terms), _matrix(scratch.backs, place, BLOCK, terms)
    weights, grads = _matrix(flat, to_weights, units, terms), _matrix(grad, to_weights, units, terms)
    one = np.float32(1)
    for b in range(len(rows)):
        row = rows[b]
        n = chosen[row]
        error = scratch.outputs[b, n] - target[row]
        errors[row] = error
        slope = error if huber else error + error
        if huber and abs(error) > one:
            slope = one if error > 0 else -one
        slope *= share * weight[row]
        grad[to_bias + n] += slope
        for i in range(terms):
            back[b, i] = slope * weights[n, i]
            grads[n, i] += slope * y[b, i]


@_part
def _add_usual(inputs, layers, grad):
    """What the usual observation adds to the first layer's gradient: all rows saw it."""
    terms, units, weight, bias = layers[0, :4]
    to_weight, to_bias = _matrix(grad, weight, terms, units), grad[bias : bias + units]
    for k in range(len(inputs.usual)):
        x = inputs.scale * np.float32(inputs.usual[k])
        if x != 0:
            for i in range(units):
                to_weight[k, i] += x * to_bias[i]


@_part
def _descend(flat, grad, first, second, step, settings):
    """One step of Adam (Kingma & Ba 2015, algorithm 1) along a gradient that is shortened if it is long."""
    learning_rate, beta1, beta2, eps, max_norm = settings
    square = np.float32(0)
    for i in range(len(grad)):
        square += grad[i] * grad[i]
    shorter = max_norm / (np.sqrt(square) + np.float32(1e-6))
    if shorter > 1:
        shorter = np.float32(1)
    step[0] += 1
    bias1 = 1 - np.float64(beta1) ** step[0]
    bias2 = 1 - np.float64(beta2) ** step[0]
    rate, root = np.float32(learning_rate / bias1), np.float32(1 / np.sqrt(bias2))
    one = np.float32(1)
    for i in range(len(grad)):
        g = grad[i] * shorter
        m = beta1 * first[i] + (one - beta1) * g
        v = beta2 * second[i] + (one - beta2) * g * g
        first[i], second[i] = m, v
        flat[i] -= rate * m / (np.sqrt(v) * root + eps)
