"""The compiled functions of `perceptron`: layers, and what is added up for them, block of rows by block."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...caching import compiled
from .cells import hidden, recalled, recalled_back
from .planes import differing_bytes
from .products import FAST, add_chosen, add_outer, add_product, copy, matrix, part

BLOCK = 32
"""Rows that go through the layers together."""


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


class Nets(NamedTuple):
    """Where the layers of M networks of one form lie in their weights; their outputs are one row together."""

    layers: NDArray[np.int64]
    """(M, L, 6) of each hidden layer: inputs, units, and where weight (inputs, units), bias, gain and offset
    begin; -1 where nothing is normalised."""
    heads: NDArray[np.int64]
    """(M, 5): inputs, outputs, where weight (outputs, inputs) and bias begin, and the column of the first."""


class Scratch(NamedTuple):
    """Memory for a block of at most K rows on its way through the layers of M networks."""

    rows: NDArray[np.int64]
    bytes: NDArray[np.uint8]
    numbers: NDArray[np.float32]
    words: NDArray[np.uint64]
    index: NDArray[np.int32]
    value: NDArray[np.float32]
    bounds: NDArray[np.int64]
    start: NDArray[np.float32]
    """(M, units) what the first layers begin with."""
    products: NDArray[np.float32]
    """(M, K * units) of all layers, one after another; normalised where they are."""
    scales: NDArray[np.float32]
    """(M, L, K) what was multiplied by to normalise."""
    hidden: NDArray[np.float32]
    """(M, K * units) outputs of all layers."""
    backs: NDArray[np.float32]
    """(M, K * units) gradients of them, then of the products."""
    outputs: NDArray[np.float32]
    """(K, A) of the heads."""
    slopes: NDArray[np.float32]
    """(K, A) gradients of the loss by them."""
    transposed: NDArray[np.float32]
    """All weights, transposed."""


def scratch_for(inputs: Inputs, nets: Nets, size: int = 0, block: int = BLOCK) -> Scratch:
    """Makes it for so many rows, with room for so many transposed weights."""
    count, depth, _ = nets.layers.shape
    units, most = nets.layers[0, :, 1].sum() * block, block * len(inputs.where) + 1
    words = np.empty((inputs.run + 7) // 8, np.uint64)
    lists = words, np.empty(most, np.int32), np.empty(most, np.float32), np.empty(block + 1, np.int64)
    seen = [np.empty((block, each.shape[1]), each.dtype) for each in (inputs.bytes, inputs.numbers)]
    row = block, nets.heads[:, 1].sum()
    shapes = (count, nets.layers[0, 0, 1]), (count, units), (count, depth, block), *[(count, units)] * 2
    floats = [np.empty(shape, np.float32) for shape in (*shapes, row, row, size)]
    return Scratch._make([np.empty(block, np.int64), *seen, *lists, *floats])


# ---------------------------------------------------------------- a layer


@part
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


@part
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


@part
def usual_products(inputs, nets, flat, scratch):
    """What the first layers make of the usual observation, bias included."""
    for net in range(len(nets.layers)):
        terms, units, weight, bias = nets.layers[net, 0, :4]
        columns, start = matrix(flat, weight, terms, units), scratch.start[net]
        copy(flat, bias, start)
        for k in range(len(inputs.usual)):
            x = inputs.scale * np.float32(inputs.usual[k])
            if x != 0:
                column = columns[k]
                for i in range(units):
                    start[i] += x * column[i]


@part
def block_of(minibatch, lo, rows, recall):
    """Writes which rows of a minibatch, from a place on, go through the layers together; returns how many."""
    if recall is None:
        count = min(len(rows), len(minibatch) - lo)
        for k in range(count):
            rows[k] = minibatch[lo + k]
        return count
    all_streams, first = len(minibatch) // recall.steps, lo // recall.steps
    streams = min(len(rows) // recall.steps, all_streams - first)
    for t in range(recall.steps):
        for k in range(streams):
            rows[t * streams + k] = minibatch[t * all_streams + first + k]
    return recall.steps * streams


@part
def forward(inputs, chosen, nets, flat, scratch, recall, outputs):
    """Takes chosen rows, a block at most, through all layers; writes (rows, A) outputs.

    `recall` is None where nothing is remembered.
    """
    _read(inputs, chosen, scratch)
    count = len(chosen)
    for net in range(len(nets.layers)):
        _hidden_layers(inputs, count, net, nets.layers[net], flat, scratch)
        y = _last(scratch.hidden[net], nets.layers[net], len(scratch.rows))
        if recall is None:
            _head(count, net, nets, flat, y, outputs)
        else:
            recalled(count, count + count % 2, chosen, net, y, flat, recall)
            given = hidden(recall.given[net], recall.cells[net, 1], len(y))
            _head(count, net, nets, flat, given, outputs)


@part
def _read(inputs, chosen, scratch):
    """What the first layers see of chosen rows."""
    if len(inputs.where) == 0:
        for b in range(len(chosen)):
            copy(inputs.numbers[chosen[b]], 0, scratch.numbers[b])
        return
    rows = scratch.bytes[: len(chosen)]
    for b in range(len(chosen)):
        copy(inputs.bytes[chosen[b]], 0, rows[b])
    seen = inputs.where, inputs.run, inputs.usual, inputs.scale
    differing_bytes(rows, *seen, scratch.words, scratch.index, scratch.value, scratch.bounds)


@part
def _hidden_layers(inputs, count, net, layers, flat, scratch):
    """Takes a block through a network's hidden layers."""
    block = len(scratch.rows)
    even = count + count % 2  # rows are multiplied in pairs, so that none depends on whether it has another
    index, value, bounds, start = scratch.index, scratch.value, scratch.bounds, scratch.start[net]
    products, outputs = scratch.products[net], scratch.hidden[net]
    at = 0
    for number in range(len(layers)):
        terms, units, weight, bias, gain, offset = layers[number]
        h = matrix(products, block * at, block, units)[:even]
        y = matrix(outputs, block * at, block, units)[:count]
        columns = matrix(flat, weight, terms, units)
        for b in range(even):
            copy(flat if number else start, bias if number else 0, h[b])
        if number > 0:
            before = matrix(outputs, block * (at - terms), block, terms)
            add_product(before[:even], columns, h)
        elif len(inputs.where) == 0:
            add_product(scratch.numbers[:even], columns, h)
        else:
            for b in range(count):
                add_chosen(index, value, bounds[b], bounds[b + 1], columns, h[b])
        if gain >= 0:
            _normalise(
                h[:count],
                flat[gain : gain + units],
                flat[offset : offset + units],
                scratch.scales[net, number],
                y,
            )
        else:
            for b in range(count):
                for i in range(units):
                    y[b, i] = np.float32(0) if h[b, i] <= 0 else h[b, i]
        at += units


@part
def _head(count, net, nets, flat, y, outputs):
    """A network's outputs for a block."""
    terms, units, weight, bias, column = nets.heads[net]
    weights = matrix(flat, weight, units, terms)
    for b in range(count):
        for n in range(units):
            total = np.float32(0)
            for i in range(terms):
                total += y[b, i] * weights[n, i]
            outputs[b, column + n] = total + flat[bias + n]


@njit(inline="always")
def _last(flat, layers, block):
    """(K, units) of the last hidden layer."""
    units = layers[-1, 1]
    return matrix(flat, block * (layers[:, 1].sum() - units), block, units)


@part
def backward(inputs, chosen, nets, flat, grad, scratch, recall):
    """Adds up what a block's `scratch.slopes` come to for all weights."""
    count, block = len(chosen), len(scratch.rows)
    for net in range(len(nets.layers)):
        y = _last(scratch.hidden[net], nets.layers[net], block)
        to_y = _last(scratch.backs[net], nets.layers[net], block)
        if recall is None:
            _head_back(count, net, nets, flat, grad, scratch.slopes, y, to_y)
        else:
            units = recall.cells[net, 1]
            given, back = hidden(recall.given[net], units, block), hidden(recall.backs, units, block)
            _head_back(count, net, nets, flat, grad, scratch.slopes, given, back)
            recalled_back(count, chosen, net, y, to_y, flat, grad, recall)
        _hidden_back(inputs, count, net, nets.layers[net], flat, grad, scratch)


@part
def _head_back(count, net, nets, flat, grad, slopes, y, back):
    """From slopes of outputs to those of the head, and of what it saw, in `back`."""
    terms, units, weight, bias, column = nets.heads[net]
    weights, grads = matrix(flat, weight, units, terms), matrix(grad, weight, units, terms)
    back[:count] = 0
    for b in range(count):
        for n in range(units):
            slope = slopes[b, column + n]
            if slope != 0:
                grad[bias + n] += slope
                for i in range(terms):
                    back[b, i] += slope * weights[n, i]
                    grads[n, i] += slope * y[b, i]


@part
def _hidden_back(inputs, count, net, layers, flat, grad, scratch):
    """Adds up what gradients of the last outputs, in `backs`, come to for the weights of hidden layers."""
    index, value, bounds, backs = scratch.index, scratch.value, scratch.bounds, scratch.backs[net]
    products, outputs, numbers = scratch.products[net], scratch.hidden[net], scratch.numbers
    at, block = layers[:, 1].sum(), len(scratch.rows)
    for number in range(len(layers) - 1, -1, -1):
        terms, units, weight, bias, gain, offset = layers[number]
        at -= units
        y = matrix(outputs, block * at, block, units)
        back = matrix(backs, block * at, block, units)[:count]
        if gain >= 0:
            n = matrix(products, block * at, block, units)
            to_gain, to_offset = grad[gain : gain + units], grad[offset : offset + units]
            _denormalise(
                back, n, flat[gain : gain + units], scratch.scales[net, number], y, to_gain, to_offset
            )
        else:
            for b in range(count):
                for i in range(units):
                    back[b, i] = np.float32(0) if y[b, i] <= 0 else back[b, i]
        to_bias, to_weight = grad[bias : bias + units], matrix(grad, weight, terms, units)
        for b in range(count):
            row = back[b]
            for i in range(units):
                to_bias[i] += row[i]
        if number > 0:
            before = matrix(outputs, block * (at - terms), block, terms)[:count]
            add_outer(before, back, to_weight)
            further = matrix(backs, block * (at - terms), block, terms)[:count]
            further[:] = 0
            add_product(back, matrix(scratch.transposed, weight, units, terms), further)
        elif len(inputs.where) == 0:
            add_outer(numbers[:count], back, to_weight)
        else:
            for b in range(count):
                row = back[b]
                for n in range(bounds[b], bounds[b + 1]):
                    v, column = value[n], to_weight[index[n]]
                    for i in range(units):
                        column[i] += v * row[i]


# ---------------------------------------------------------------- before and after a minibatch


@part
def begin(inputs, nets, flat, grad, scratch):
    """What is the same for all blocks of a minibatch; nothing is added up yet."""
    usual_products(inputs, nets, flat, scratch)
    for net in range(len(nets.layers)):
        for number in range(1, nets.layers.shape[1]):
            terms, units, weight = nets.layers[net, number, :3]
            to = matrix(scratch.transposed, weight, units, terms)
            columns = matrix(flat, weight, terms, units)
            for i in range(units):
                for k in range(terms):
                    to[i, k] = columns[k, i]
    grad[:] = 0


@part
def finish(inputs, nets, flat, grad, optimizer):
    """Adds what the usual observation does to first layers, since all rows saw it; then takes a step."""
    for net in range(len(nets.layers)):
        terms, units, weight, bias = nets.layers[net, 0, :4]
        to_weight, to_bias = matrix(grad, weight, terms, units), grad[bias : bias + units]
        for k in range(len(inputs.usual)):
            x = inputs.scale * np.float32(inputs.usual[k])
            if x != 0:
                for i in range(units):
                    to_weight[k, i] += x * to_bias[i]
    _descend(flat, grad, *optimizer)


@part
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


@compiled(nogil=True, _nrt=False, **FAST)
def all_outputs(inputs, nets, flat, scratch, recall, result):
    """Writes the (B, A) outputs of networks.

    Args:
        inputs: `Inputs` of B observations.
        nets: `Nets`.
        flat: all weights.
        scratch: `Scratch`.
        recall: `Recall` of one step; None where nothing is remembered.
        result: (B, A).
    """
    usual_products(inputs, nets, flat, scratch)
    for lo in range(0, len(result), BLOCK):
        rows = scratch.rows[: min(BLOCK, len(result) - lo)]
        for b in range(len(rows)):
            rows[b] = lo + b
        forward(inputs, rows, nets, flat, scratch, recall, result[lo:])
