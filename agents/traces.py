"""SARSA over more than one step: SARSA(lambda) with eligibility traces, and n-step SARSA.

Both act, and draw their next actions, as `tabular.Sarsa` does, and differ in how far back an error reaches.
What they keep of its episode belongs to a stream of the batch, and is void where an episode begins: where one
ended before, and where the environment was reset meanwhile.

**Batches.** Rows are applied one after another, as `tabular` says. A visit lessens the traces that its pair
has in other streams as it lessens the old one of its own stream: replacing ones are gone, dutch ones keep
1 - learning_rate. So these add up to no more than in one stream. If streams knew nothing of each other, a
thousand of them would correct one error a thousand times, and the table would diverge, as with accumulating
traces, which lose nothing, it may.

Sections are those of Sutton & Barto, Reinforcement Learning, 2nd edition (2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checking import at_least, one_of, within
from .base import MisfitError, State, Transition
from .checks import check_discounts, check_range, packed, taken, unpacked
from .choosing import bounds_checked, epsilon_greedy_action
from .ranges import Choices, Range
from .tabular import MAX_TABLE_VALUES, Sarsa, TabularConfig

TINY = 1e-4
"""A trace that fell below it is forgotten, so that a step costs the pairs visited lately, and not all."""


@dataclass(frozen=True)
class SarsaLambdaConfig(TabularConfig):
    """Settings of SARSA(lambda).

    Raises:
        ValueError: for a value out of its range.
    """

    trace_decay: Annotated[float, Range(0.3, 0.99)] = 0.9
    """Lambda, from 0 (SARSA) to 1 (Monte Carlo): how far back an error reaches."""
    traces: Annotated[Literal["accumulating", "replacing", "dutch"], Choices("replacing", "dutch")] = "dutch"
    """What a visit makes of a pair's trace: 1 more, 1, or between them, which with a correction looks ahead
    exactly as lambda returns do. Accumulating ones add up, and diverge where pairs are visited often."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        within(self, 0.0, 1.0, "trace_decay")
        one_of(self, "traces")


@dataclass(frozen=True)
class NStepSarsaConfig(TabularConfig):
    """Settings of n-step SARSA.

    Raises:
        ValueError: for a value out of its range.
    """

    n_step: Annotated[int, Range(1, 16, log=True)] = 4
    """Rewards that are added up before the table's value is trusted."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "n_step")


class StreamSarsa(Sarsa):
    """What both share: they know in which rows an episode begins.

    Attributes:
        begins: (B,) bool of the last batch.
    """

    begins: NDArray[np.bool_]

    def learn(self, batch: Transition) -> dict[str, float]:
        """As `TabularLearner.learn`; an episode begins where the policy remembered none."""
        under_way = np.zeros(len(batch.obs), np.bool_) if batch.memory is None else batch.memory
        self.begins = ~under_way
        return super().learn(batch)

    def _check_room(self, values: int, cure: str) -> None:
        if values > MAX_TABLE_VALUES:
            raise MisfitError(
                f"{self.name} keeps at most {MAX_TABLE_VALUES} values of its streams, here {values}; {cure}"
            )


# --- SARSA(lambda) --------------------------------------------------------------------------------------


class Traces(NamedTuple):
    """Pairs of B streams that were visited lately, at most K each; others have a trace of 0."""

    pair: NDArray[np.int64]
    """(B, K) their numbers, s * A + a."""
    trace: NDArray[np.float64]
    """(B, K) their eligibility when the stream took its last step."""
    seen: NDArray[np.int64]
    """(B, K) visits that the pair had had then."""
    count: NDArray[np.int64]
    """(B,) how many there are, at the front of these."""
    next_value: NDArray[np.float64]
    """(B,) Q(S', A') as it was before the last update; 0 where the episode terminated."""
    discount: NDArray[np.float64]
    """(B,) of the stream's last step, by which its traces fade."""
    visits: NDArray[np.int64]
    """(S * A,) visits of each pair, in all streams."""


def most_traces(decay: float, num_pairs: int) -> int:
    """How many pairs can have a trace at once, if every step leaves the share `decay` of each.

    A trace is at most 1 / (1 - decay) when its pair is visited, and each of the others was visited at
    another step since.
    """
    if decay == 0:
        return 1
    if decay == 1:
        return num_pairs
    return min(num_pairs, 1 + math.ceil(math.log(TINY * (1 - decay)) / math.log(decay)))


@bounds_checked
def visit(traces, b, pair, decay, kept):
    """Lets the traces of stream b fade, and renews a pair's: E = kept E + 1. Returns where it stands."""
    traces.visits[pair] += 1
    place, count = -1, 0
    for i in range(traces.count[b]):
        here = traces.pair[b, i]
        trace, seen = decay * traces.trace[b, i], traces.visits[here]
        if seen != traces.seen[b, i]:  # in other streams, or here and now
            trace *= kept ** (seen - traces.seen[b, i])
        if here == pair:
            place = count
        elif trace < TINY:
            continue
        traces.pair[b, count], traces.trace[b, count], traces.seen[b, count] = here, trace, seen
        count += 1
    if place < 0:
        place = min(count, traces.pair.shape[1] - 1)  # there is room, but for what a stranger's file held
        traces.pair[b, place], traces.trace[b, place] = pair, 0.0
        traces.seen[b, place] = traces.visits[pair]
        count = place + 1
    traces.trace[b, place] += 1.0
    traces.count[b] = count
    return place


@bounds_checked
def sarsa_lambda_update(q, t, begins, traces, learning_rate, trace_decay, kept, corrected, epsilon, uniform):
    """SARSA(lambda) (Rummery & Niranjan 1994; Sutton & Barto 12.7): traces tell who shares in the error.

        E = gamma lambda E, then E(S, A) = kept E(S, A) + 1, and kept E(S, A) in all other streams
        Q += learning_rate (error E + drift (E - [1 for S, A]))

    Gamma is what the step before was discounted by. `kept` is 1 for accumulating, 0 for replacing, 1 -
    learning_rate for dutch traces (12.5). The drift, which is 0 unless `corrected`, is what became of Q(S, A)
    since the step before took it for the value of what follows; with it and dutch traces this is true online
    SARSA(lambda) (van Seijen et al. 2016).
    Returns the error and the (B,) actions A'.
    """
    total = 0.0
    next_action = np.empty(len(t.obs), np.int64)
    values = q.reshape(-1)
    for b in range(len(t.obs)):
        next_action[b] = epsilon_greedy_action(q, t.next_obs[b], t.next_mask, b, epsilon, uniform[b])
        next_value = 0.0 if t.terminated[b] else q[t.next_obs[b], next_action[b]]
        s, a = t.obs[b], t.action[b]
        error = t.reward[b] + t.discount[b] * next_value - q[s, a]
        if begins[b]:
            traces.count[b] = 0
        drift = q[s, a] - traces.next_value[b] if corrected and not begins[b] else 0.0
        place = visit(traces, b, s * q.shape[1] + a, traces.discount[b] * trace_decay, kept)
        for i in range(traces.count[b]):
            trace = traces.trace[b, i]
            values[traces.pair[b, i]] += learning_rate * (error * trace + drift * (trace - (i == place)))
        traces.next_value[b], traces.discount[b] = next_value, t.discount[b]
        total += abs(error)
    return total / len(t.obs), next_action


class SarsaLambda(StreamSarsa):
    """On-policy TD control whose errors reach back along eligibility traces, those of each stream its own.

    Attributes:
        traces: of the streams' episodes.
    """

    name = "sarsa-lambda"
    config: SarsaLambdaConfig

    def __init__(self, *args: Any, num_envs: int, config: SarsaLambdaConfig, **kwargs: Any) -> None:
        """Builds the table, and room for the traces of `num_envs` streams; see `TabularLearner`."""
        super().__init__(*args, num_envs=num_envs, config=config, **kwargs)
        shape = num_envs, most_traces(config.gamma * config.trace_decay, self.q.size)
        self._check_room(3 * math.prod(shape), "--agent.trace-decay lowers them")
        self.traces = Traces(
            np.zeros(shape, np.int64),
            np.zeros(shape),
            np.zeros(shape, np.int64),
            np.zeros(num_envs, np.int64),
            np.zeros(num_envs),
            np.full(num_envs, config.gamma),
            np.zeros(self.q.size, np.int64),
        )

    def _update(self, rows: Transition, learning_rate: float) -> float:
        config, uniform = self.config, self.rng.random(len(rows.obs))
        kept = {"accumulating": 1.0, "replacing": 0.0, "dutch": 1.0 - learning_rate}[config.traces]
        error, self.policy.next_action = sarsa_lambda_update(
            self.q, rows, self.begins, self.traces, learning_rate, config.trace_decay, kept,
            config.traces == "dutch", self.policy.epsilon, uniform,
        )  # fmt: skip
        return error

    def state_dict(self) -> State:
        """As `Sarsa`, and the traces."""
        count = self.traces.count
        live = np.arange(max(1, count.max())) < count[:, None]
        first = self._first(live.shape[1])
        tidied = Traces._make(part * live if part.ndim == 2 else part for part in first)
        return super().state_dict() | packed("traces", tidied)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `TabularLearner`."""
        super().load_state_dict(state)
        width = taken(state, "traces.pair", np.int64, len(self.traces.pair), None).shape[1]
        first = self._first(width)
        usual = {"traces.discount": np.full(len(self.traces.pair), self.config.gamma)}  # of older runs
        saved = unpacked(usual | dict(state), "traces", first)
        ends = {"pair": self.q.size, "count": width + 1, "seen": 1 << 62, "visits": 1 << 62}
        for name, end in ends.items():
            check_range(f"traces.{name}", getattr(saved, name), 0, end)
        check_discounts("traces.discount", saved.discount)
        if (saved.seen > saved.visits[saved.pair]).any() or saved.trace.min() < 0:
            raise ValueError("the traces are damaged")
        for own, part in zip(first, saved, strict=True):
            own[...] = part

    def _first(self, width: int) -> Traces:
        """The traces, of each stream only so many; what lies behind is never tidied up."""
        return Traces._make(part[:, :width] if part.ndim == 2 else part for part in self.traces)


# --- n-step SARSA ---------------------------------------------------------------------------------------


class LastSteps(NamedTuple):
    """The last n steps of B streams; step t of an episode is in slot t % n."""

    pair: NDArray[np.int64]
    """(B, n) what was done, s * A + a."""
    reward: NDArray[np.float64]
    """(B, n) what it earned."""
    discount: NDArray[np.float64]
    """(B, n) what that which follows it is discounted by."""
    time: NDArray[np.int64]
    """(B,) steps of the episode so far."""


@bounds_checked
def n_step_sarsa_update(q, t, begins, last, learning_rate, epsilon, uniform):
    """n-step SARSA (Sutton & Barto 7.2): the pair of n steps ago moves towards what it earned since.

        G = R_tau+1 + gamma R_tau+2 + ... + gamma^n Q(S', A')
        Q(S_tau, A_tau) += learning_rate (G - Q(S_tau, A_tau))

    Where the episode ends, all pairs that still wait follow, the oldest first, with the rewards there are.
    Returns the absolute errors' sum, the number of updates, and the (B,) actions A'.
    """
    total, updates = 0.0, 0
    next_action = np.empty(len(t.obs), np.int64)
    values, n = q.reshape(-1), last.pair.shape[1]
    for b in range(len(t.obs)):
        next_action[b] = epsilon_greedy_action(q, t.next_obs[b], t.next_mask, b, epsilon, uniform[b])
        now = 0 if begins[b] else last.time[b]
        last.pair[b, now % n] = t.obs[b] * q.shape[1] + t.action[b]
        last.reward[b, now % n] = t.reward[b]
        last.discount[b, now % n] = t.discount[b]
        last.time[b] = now + 1
        oldest = now + 1 - n
        newest = now if t.terminated[b] or t.truncated[b] else oldest
        for tau in range(max(oldest, 0), newest + 1):
            target = 0.0 if t.terminated[b] else q[t.next_obs[b], next_action[b]]
            for step in range(now, tau - 1, -1):
                target = last.reward[b, step % n] + last.discount[b, step % n] * target
            error = target - values[last.pair[b, tau % n]]
            values[last.pair[b, tau % n]] += learning_rate * error
            total += abs(error)
            updates += 1
    return total, updates, next_action


class NStepSarsa(StreamSarsa):
    """On-policy TD control that waits n steps for rewards before it trusts the table.

    Attributes:
        last: steps of the streams' episodes.
    """

    name = "n-step-sarsa"
    config: NStepSarsaConfig

    def __init__(self, *args: Any, num_envs: int, config: NStepSarsaConfig, **kwargs: Any) -> None:
        """Builds the table, and room for the last steps of `num_envs` streams; see `TabularLearner`."""
        super().__init__(*args, num_envs=num_envs, config=config, **kwargs)
        shape = num_envs, config.n_step
        # The discounts are left out, so that what is refused does not hang on macro-actions.
        self._check_room(2 * math.prod(shape), "--agent.n-step lowers them")
        discount = np.full(shape, config.gamma)
        self.last = LastSteps(
            np.zeros(shape, np.int64), np.zeros(shape), discount, np.zeros(num_envs, np.int64)
        )

    def _update(self, rows: Transition, learning_rate: float) -> float | None:
        uniform = self.rng.random(len(rows.obs))
        total, updates, self.policy.next_action = n_step_sarsa_update(
            self.q, rows, self.begins, self.last, learning_rate, self.policy.epsilon, uniform
        )
        return total / updates if updates else None

    def state_dict(self) -> State:
        """As `Sarsa`, and the last steps."""
        return super().state_dict() | packed("last", self.last)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `TabularLearner`."""
        super().load_state_dict(state)
        usual = {"last.discount": np.full(self.last.reward.shape, self.config.gamma)}  # of older runs
        last = unpacked(usual | dict(state), "last", self.last)
        check_range("last.pair", last.pair, 0, self.q.size)
        check_range("last.time", last.time, 0, 1 << 62)
        check_discounts("last.discount", last.discount)
        self.last = last
