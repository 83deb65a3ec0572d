"""The compiled functions that fit `perceptron`'s networks: a loss each, and Adam, minibatch by minibatch."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...caching import compiled
from .layers import backward, begin, block_of, finish, forward
from .products import FAST, part

FLOOR = np.float32(-1e9)
"""Logit of an impossible action: its probability is 0, and no gradient is infinite."""
HALF_LOG_2_PI = np.float32(0.5 * math.log(2.0 * math.pi))

# ---------------------------------------------------------------- chosen outputs towards targets


class Aims(NamedTuple):
    """Which outputs shall be what."""

    chosen: NDArray[np.int64]
    """(B,) which output."""
    target: NDArray[np.float32]
    """(B,) what it should be."""
    weight: NDArray[np.float32]
    """(B,) of the rows in their minibatch's mean, in which those of weight 0 do not count."""
    huber: bool
    """Whether the loss grows straight beyond an error of 1 (Huber 1964), else it is squared."""


@compiled(nogil=True, _nrt=False, **FAST)
def fit_values(inputs, order, minibatches, aims, nets, flat, grad, optimizer, scratch, recall, errors):
    """Steps of Adam, one a minibatch, that bring chosen outputs nearer to their targets.

    Args:
        inputs: `Inputs` of B observations.
        order: rows of them, minibatch after minibatch.
        minibatches: how many.
        aims: `Aims`.
        nets: `Nets`.
        flat: all weights.
        grad: room for as many.
        optimizer: both moments, (1,) steps so far, and `FlatAdam.settings`.
        scratch: `Scratch`, with room for transposed weights.
        recall: `Recall`, where rows are streams; else None.
        errors: (B,) float32, where outputs less targets are written.
    """
    size = len(order) // minibatches
    for lowest in range(0, minibatches * size, size):
        begin(inputs, nets, flat, grad, scratch)
        minibatch = order[lowest : lowest + size]
        counted = 0
        for row in minibatch:
            counted += aims.weight[row] > 0
        share = np.float32(1) / np.float32(max(1, counted))
        for lo in range(0, size, len(scratch.rows)):
            rows = scratch.rows[: block_of(minibatch, lo, scratch.rows, recall)]
            forward(inputs, rows, nets, flat, scratch, recall, scratch.outputs)
            _value_slopes(rows, aims, share, scratch.outputs, scratch.slopes, errors)
            backward(inputs, rows, nets, flat, grad, scratch, recall)
        finish(inputs, nets, flat, grad, optimizer)


@part
def _value_slopes(rows, aims, share, outputs, slopes, errors):
    """A block's errors, and the gradients of their losses."""
    one = np.float32(1)
    slopes[:] = 0
    for b in range(len(rows)):
        row = rows[b]
        n = aims.chosen[row]
        error = outputs[b, n] - aims.target[row]
        errors[row] = error
        slope = error if aims.huber else error + error
        if aims.huber and abs(error) > one:
            slope = one if error > 0 else -one
        slopes[b, n] = slope * share * aims.weight[row]


# ---------------------------------------------------------------- a policy, and the values of states


class Rollout(NamedTuple):
    """What was done in B observations, and what came of it; see `ppo`."""

    action: NDArray
    """(B, parts) int64 or float32, as the distribution has it."""
    mask: NDArray[np.bool_]
    """(B, P) what is possible; (0, P): everything."""
    log_then: NDArray[np.float32]
    """(B,) how likely it was."""
    value_then: NDArray[np.float32]
    """(B,) what the observations were worth."""
    advantage: NDArray[np.float32]
    """(B,)."""
    target: NDArray[np.float32]
    """(B,) what they should have been worth."""


class Clipping(NamedTuple):
    """Settings of PPO's loss."""

    choices: NDArray[np.int64]
    """(parts,) how many choices each number has; none: numbers of a Box."""
    deviations: int
    """Where the logarithms of the deviations of Box actions lie among the weights."""
    clip: np.float32
    entropy: np.float32
    vf_coef: np.float32
    clip_values: bool
    normalise: bool
    """Whether a minibatch's advantages are brought to mean 0 and deviation 1."""


@compiled(nogil=True, _nrt=False, **FAST)
def fit_policy(
    inputs, order, minibatches, rollout, clipping, nets, flat, grad, optimizer, scratch, recall, told
):
    """Steps of Adam, one a minibatch, down PPO's loss; outputs are numbers of a distribution, and a value.

    Args:
        inputs: `Inputs` of B observations.
        order: rows of them, minibatch after minibatch.
        minibatches: how many.
        rollout: `Rollout`.
        clipping: `Clipping`.
        nets: `Nets`.
        flat: all weights.
        grad: room for as many.
        optimizer: both moments, (1,) steps so far, and `FlatAdam.settings`.
        scratch: `Scratch`, with room for transposed weights.
        recall: `Recall`, where rows are streams; else None.
        told: (minibatches, 6) float64, where the parts of the loss are written; see `PPO.learn`.
    """
    size = len(order) // minibatches
    for number in range(minibatches):
        begin(inputs, nets, flat, grad, scratch)
        minibatch = order[number * size : (number + 1) * size]
        mean, spread = _spread(rollout.advantage, minibatch)
        level = (mean, spread) if clipping.normalise else (np.float32(0), np.float32(1))
        parts = told[number]
        parts[:] = 0
        for lo in range(0, size, len(scratch.rows)):
            rows = scratch.rows[: block_of(minibatch, lo, scratch.rows, recall)]
            forward(inputs, rows, nets, flat, scratch, recall, scratch.outputs)
            for b in range(len(rows)):
                y, slope = scratch.outputs[b], scratch.slopes[b]
                _policy_slope(rows[b], y, slope, rollout, level, clipping, flat, grad, parts)
                _critic_slope(rows[b], y, slope, rollout, clipping, parts)
                for n in range(len(slope)):
                    slope[n] /= np.float32(size)
            backward(inputs, rows, nets, flat, grad, scratch, recall)
        if len(clipping.choices) == 0:
            for n in range(clipping.deviations, clipping.deviations + rollout.action.shape[1]):
                grad[n] /= np.float32(size)
        finish(inputs, nets, flat, grad, optimizer)
        parts /= size
        parts[0] = parts[1] + clipping.vf_coef * parts[2] - clipping.entropy * parts[3]


@part
def _spread(values, rows):
    """Mean and standard deviation of chosen values, the latter to be divided by."""
    total = 0.0
    for row in rows:
        total += values[row]
    mean = total / len(rows)
    square = 0.0
    for row in rows:
        square += (values[row] - mean) ** 2
    return np.float32(mean), np.float32(math.sqrt(square / len(rows)) + 1e-8)


@part
def _policy_slope(row, y, slope, rollout, level, clipping, flat, grad, parts):
    """A row's clipped objective (Schulman et al. 2017, equation 7) and entropy, and their gradient."""
    action, choices, log_deviation = rollout.action[row], clipping.choices, flat[clipping.deviations :]
    masked = len(rollout.mask) > 0
    if masked:
        _forbid(y, rollout.mask[row])
    log = log_probability(y, action, choices, log_deviation, slope)
    log_ratio = log - rollout.log_then[row]
    ratio = np.exp(log_ratio)
    advantage = (rollout.advantage[row] - level[0]) / level[1]
    kept = max(min(ratio, np.float32(1) + clipping.clip), np.float32(1) - clipping.clip)
    far = kept * advantage < ratio * advantage  # and no further in that direction
    push = np.float32(0) if far else -ratio * advantage
    parts[1] -= kept * advantage if far else ratio * advantage
    parts[4] += abs(ratio - np.float32(1)) > clipping.clip
    parts[5] += ratio - np.float32(1) - log_ratio
    if len(choices):
        parts[3] += _categorical_slope(y, action, choices, log, push, clipping.entropy, slope)
        if masked:
            for n in range(rollout.mask.shape[1]):
                slope[n] = slope[n] if rollout.mask[row, n] else np.float32(0)
    else:
        to_deviation = grad[clipping.deviations :]
        parts[3] += _normal_slope(y, action, log_deviation, push, clipping.entropy, slope, to_deviation)


@part
def _critic_slope(row, y, slope, rollout, clipping, parts):
    """A row's error of the value, and its gradient."""
    value, then, target = y[-1], rollout.value_then[row], rollout.target[row]
    error = value - target
    square = error * error
    if clipping.clip_values and abs(value - then) > clipping.clip:
        kept = then + max(min(value - then, clipping.clip), -clipping.clip) - target
        if kept * kept > square:
            square, error = kept * kept, np.float32(0)
    parts[2] += np.float32(0.5) * square
    slope[-1] = clipping.vf_coef * error


# ---------------------------------------------------------------- distributions; see `Distribution`


@part
def log_probability(y, action, choices, log_deviation, p):
    """Logarithm of an action's probability, or density; `p` gets the probabilities of all choices."""
    total = np.float32(0)
    lo = 0
    for k in range(len(choices)):
        hi = lo + choices[k]
        highest = y[lo]
        for n in range(lo, hi):
            highest = max(highest, y[n])
        mass = np.float32(0)
        for n in range(lo, hi):
            p[n] = np.exp(y[n] - highest)
            mass += p[n]
        for n in range(lo, hi):
            p[n] /= mass
        total += y[lo + np.int64(action[k])] - highest - np.log(mass)
        lo = hi
    if len(choices) == 0:
        for n in range(len(action)):
            off = (action[n] - y[n]) * np.exp(-log_deviation[n])
            total -= np.float32(0.5) * off * off + log_deviation[n] + HALF_LOG_2_PI
    return total


@part
def _categorical_slope(y, action, choices, log, push, entropy_weight, slope):
    """From probabilities to the gradient by their logits, in place; returns the entropy.

    With the mean m of the logits, the entropy is log sum exp y - m, and its gradient p (m - y).
    """
    entropy = -log
    lo = 0
    for k in range(len(choices)):
        hi = lo + choices[k]
        mean = np.float32(0)
        for n in range(lo, hi):
            mean += slope[n] * y[n]
        for n in range(lo, hi):
            slope[n] *= entropy_weight * (y[n] - mean) - push
        chosen = lo + np.int64(action[k])
        slope[chosen] += push
        entropy += y[chosen] - mean
        lo = hi
    return entropy


@part
def _normal_slope(y, action, log_deviation, push, entropy_weight, slope, to_deviation):
    """Writes the gradient by the means, adds that by the logarithms of deviations; returns the entropy."""
    entropy = np.float32(0)
    for n in range(len(action)):
        narrow = np.exp(-log_deviation[n])
        off = (action[n] - y[n]) * narrow
        slope[n] = push * off * narrow
        to_deviation[n] += push * (off * off - np.float32(1)) - entropy_weight
        entropy += log_deviation[n] + HALF_LOG_2_PI + np.float32(0.5)
    return entropy


@part
def _forbid(y, mask):
    for n in range(len(mask)):
        if not mask[n]:
            y[n] = FLOOR


@compiled(nogil=True, _nrt=False, **FAST)
def draw(given, noise, choices, action, log):
    """Draws actions.

    Args:
        given: (B, P) numbers of distributions.
        noise: (B, P) uniform, for Gumbel's trick: the largest of logits with noise; or (B, parts) normal. It
            is overwritten.
        choices: (parts,) how many choices each number has; none: numbers of a Box.
        action: (B, parts) int64 or float32, where actions are written.
        log: (B,) float32, where the logarithms of their probabilities, or densities, are written.
    """
    numbers = np.int64(action.shape[1])
    for b in range(len(given)):
        y = given[b]
        lo = 0
        for k in range(len(choices)):
            best, highest = 0, np.float32(-np.inf)
            for n in range(choices[k]):
                x = y[lo + n] - np.log(-np.log(noise[b, lo + n]))
                if x > highest:
                    best, highest = n, x
            action[b, k] = best
            lo += choices[k]
        if len(choices) == 0:
            for n in range(numbers):
                action[b, n] = y[n] + np.exp(y[numbers + n]) * noise[b, n]
        log[b] = log_probability(y, action[b], choices, y[numbers:], noise[b])
