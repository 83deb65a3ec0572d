"""Rules of events: what goes together, and what follows what within some steps.

Rules are found on training episodes and checked on held-out ones, which took no part in finding them. Steps
of one episode depend on each other, so whatever is said of chance is said of episodes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ...checking import needed
from ...envs.core.env import world_of
from ..reporting.statistics import covariance_test, holm, shares
from ..run.recording import Recorded
from ..setup.resolve import Environment, world_class

LONGEST = 3
"""Events of a rule, at most."""
LEAST_STEPS = 30
"""Training steps in which a rule is so, at least."""
GAIN = 1.2
"""How many times as great a rule's lift or its conviction must be as those of each rule that has fewer
conditions, and as 1, which is to have none (minimum improvement; Bayardo, Agrawal & Gunopulos 1999)."""
LEAST_EPISODES = 10
"""Episodes of training, and held out, that are needed."""
LEAST_SEEN = 5
"""Held-out episodes in which a rule's conditions come about, at least, or nothing is said of it."""
ALPHA = 0.05
"""How probable it may be that of all that is claimed anything is wrong."""

Kind = Literal["together", "follows"]


class Worth(NamedTuple):
    """What a rule is worth on some episodes."""

    support: float
    """Share of the steps in which it is so: conditions and what is said of them."""
    confidence: float
    """Share of the steps with its conditions in which it is so."""
    base: float
    """Share of all steps in which what it says of the conditions is so."""

    @property
    def lift(self) -> float:
        """How many times as often as usual it is so."""
        return self.confidence / self.base if self.base else math.nan

    @property
    def conviction(self) -> float:
        """How many times as often it would be wrong if both were independent (Brin et al. 1997)."""
        return (1 - self.base) / (1 - self.confidence) if self.confidence < 1 else math.inf

    def plain(self) -> dict[str, float | None]:
        """All of it as plain values; None for a conviction without end, or a lift over nothing."""
        ratios = {"lift": self.lift, "conviction": self.conviction}
        finite = {name: each if math.isfinite(each) else None for name, each in ratios.items()}
        return self._asdict() | finite


@dataclass(frozen=True)
class Rule:
    """What is so, or follows, when something is so."""

    kind: Kind
    when: tuple[str, ...]
    """Names of its conditions."""
    then: str
    """Name of what is so in the same step, or in one of the next."""
    clauses: tuple[str, ...]
    """The words of its conditions, and last those of what is said of them."""
    horizon: int
    """Steps within which it follows, where it does."""
    found: Worth
    """On the episodes on which it was found."""
    held: Worth
    """On the held-out ones."""
    interval: tuple[float, float]
    """Ends of the 95 % interval of the held-out confidence."""
    episodes: int
    """Held-out episodes in which its conditions come about."""
    p_value: float
    """How probable it is that a condition that adds nothing seems to add as much on held-out episodes."""
    corrected: float
    """The same, corrected for how many rules were tried (Holm)."""

    @property
    def holds(self) -> bool:
        """Whether it is claimed, which never is what its own interval allows to be as usual."""
        return self.corrected < ALPHA and self.interval[0] > self.held.base

    @property
    def words(self) -> str:
        """The same as a sentence."""
        *when, then = self.clauses
        return f"When {' and '.join(when)}, {soon(self.kind, self.horizon)}{then}"

    @property
    def said(self) -> str:
        """The rule with its figures, as a sentence."""
        low, high = self.interval
        return (
            f"{self.words}: {percent(self.held.confidence)} % ({percent(low)} to {percent(high)}) "
            f"instead of {percent(self.held.base)} %"
        )

    def plain(self) -> dict[str, Any]:
        """All of it as plain values."""
        told = "kind", "when", "then", "words", "interval", "episodes", "p_value", "corrected"
        plain = {name: getattr(self, name) for name in told}
        worths = {"found": self.found.plain(), "held": self.held.plain()}
        return {**plain, **worths, "holds": self.holds, "said": self.said}


@dataclass(frozen=True)
class RuleStudy:
    """The rules of a recording."""

    horizon: int
    """Steps within which what follows follows."""
    steps: tuple[int, int]
    """Of training, and held out."""
    episodes: tuple[int, int]
    rules: list[Rule]
    """All that were tried on held-out episodes: first those that are claimed, the greatest lift first."""

    def of(self, kind: Kind) -> tuple[list[Rule], int]:
        """Those of a kind that are claimed, and how many were tried."""
        tried = [rule for rule in self.rules if rule.kind == kind]
        return [rule for rule in tried if rule.holds], len(tried)

    def plain(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "horizon": self.horizon,
            "steps": list(self.steps),
            "episodes": list(self.episodes),
            "tried": len(self.rules),
            "rules": [rule.plain() for rule in self.rules],
        }


@dataclass(frozen=True)
class Steps:
    """N steps and the I items that may be so in each."""

    now: NDArray[np.bool_]
    """(N, I) whether each item is so."""
    later: NDArray[np.bool_]
    """(N, I) whether it is so in one of the next steps of the episode."""
    known: NDArray[np.bool_]
    """(N,) whether that is known."""
    episode: NDArray[np.int64]
    """(N,) numbers of their episodes."""

    def part(self, rows: NDArray[np.bool_]) -> Steps:
        """Some of them."""
        return Steps(*(getattr(self, each.name)[rows] for each in dataclasses.fields(self)))

    def of(self, kind: Kind) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
        """What may be so, what may be so then, and the episodes, of the steps of which both are known."""
        if kind == "together":
            return self.now, self.now, self.episode
        return self.now[self.known], self.later[self.known], self.episode[self.known]


def following(
    so: NDArray[np.bool_], ended: NDArray[np.bool_], cut: NDArray[np.bool_], horizon: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What follows within some steps, the step itself left out, never across the border of an episode.

    After the end of an episode nothing follows, which is known. Where it was only cut off, or the recording
    ends before it, what would have followed is not known.

    Args:
        so: (T, B, I) what is so in each step.
        ended: (T, B) whether the episode ended with the step.
        cut: (T, B) whether it was only cut off.
        horizon: steps.

    Returns:
        (T, B, I) whether it follows, and (T, B) whether that is known.
    """
    steps, streams, items = so.shape
    follows, known = np.zeros_like(so), np.zeros((steps, streams), np.bool_)
    away = np.full((streams, items), horizon + 1)  # steps to where it is so next
    ahead = np.zeros(streams, np.int64)  # steps of which it is known what is so
    for t in reversed(range(steps)):
        away[ended[t]] = horizon + 1
        ahead = np.where(ended[t], np.where(cut[t], 0, horizon), ahead)
        follows[t], known[t] = away <= horizon, ahead >= horizon
        away, ahead = np.where(so[t], 1, away + 1), ahead + 1
    return follows, known


def check_rules(environment: Environment, horizon: int, length: int) -> None:
    """Refuses what would show only after everything was played.

    Args:
        environment: which.
        horizon: steps within which what follows follows.
        length: steps of each of its streams.

    Raises:
        ValueError: one line, when its world declares no events, mlxtend is not installed, or no stream is
            longer than the horizon.
    """
    world = world_class(environment)
    if world is None or not world.events:
        raise ValueError(f"rules need events, and {environment.id} declares none")
    check_horizon(horizon, length)
    with needed("a search for rules", "rules"):
        import mlxtend.frequent_patterns  # noqa: F401


def check_horizon(horizon: int, length: int) -> None:
    """Refuses a horizon that has no room in streams of so many steps.

    Raises:
        ValueError: one line.
    """
    if not 1 <= horizon < length:
        raise ValueError(
            f"horizon must be 1 at least, and less than a stream's {length} steps; got {horizon}"
        )


def rules_of(env: VectorEnv, recorded: Recorded, horizon: int) -> RuleStudy:
    """The rules of what was played in an environment of a world; see `find_rules`."""
    world = world_of(env)
    assert world is not None
    return find_rules(recorded, world.action_names, horizon)


def find_rules(recorded: Recorded, actions: Sequence[str] = (), horizon: int = 5) -> RuleStudy:
    """Finds rules on training episodes, and checks them on the others.

    Args:
        recorded: what was played, with its events.
        actions: names of the actions, each of which is an event, too; without any, actions are left out.
        horizon: steps within which what follows follows.

    Raises:
        ValueError: one line, for a recording without events or with too few episodes, a horizon that no
            episode has room for, or when mlxtend is not installed.
    """
    if not recorded.events:
        raise ValueError("rules need events, and this recording has none")
    check_horizon(horizon, len(recorded.ended))
    clauses = {name: recorded.words.get(name, name) for name in recorded.events}
    columns = list(recorded.events.values())
    for number, name in enumerate(actions):
        clauses[f"action {name}"] = f"the action is {name}"
        columns.append(np.asarray(recorded.action) == number)
    so = np.stack(columns, axis=-1)
    ended, terminated = recorded.ended, recorded.terminated
    cut = np.zeros_like(ended) if terminated is None else ended & ~terminated
    later, known = following(so, ended, cut, horizon)
    flat: list[Any] = [each.reshape(-1, *each.shape[2:]) for each in (so, later, known, recorded.episode)]
    steps, is_test = Steps(*flat), recorded.for_test.ravel()
    train, test = steps.part(~is_test), steps.part(is_test)
    episodes = len(np.unique(train.episode)), len(np.unique(test.episode))
    if min(episodes) < LEAST_EPISODES:
        raise ValueError(
            f"too few episodes were played for rules: {episodes[0]}, and {episodes[1]} held out, where "
            f"{LEAST_EPISODES} of each are needed; more steps give more of them"
        )
    kinds: tuple[Kind, ...] = get_args(Kind)
    rules = [rule for kind in kinds for rule in try_out(mine(train, kind), kind, clauses, horizon, test)]
    corrected = holm(np.array([rule.p_value for rule in rules]))
    rules = [dataclasses.replace(rule, corrected=float(p)) for rule, p in zip(rules, corrected, strict=True)]
    rules.sort(key=lambda rule: (not rule.holds, -rule.held.lift if rule.holds else rule.p_value))
    return RuleStudy(horizon, (len(train.now), len(test.now)), episodes, rules)


Pair = tuple[frozenset[int], int]
"""Numbers of the items that are a rule's conditions, and that of what is said of them."""


def mine(steps: Steps, kind: Kind) -> dict[Pair, Worth]:
    """Finds rules that gain by each of their conditions, by FP-growth (Han, Pei & Yin 2000).

    Of items that are the same in all steps the first one counts.

    Raises:
        ValueError: when mlxtend is not installed.
    """
    with needed("a search for rules", "rules"):
        import pandas
        from mlxtend.frequent_patterns import association_rules, fpgrowth
    now, then, _ = steps.of(kind)
    both, items, shift = now, _different(now), 0
    if kind == "follows":  # what follows has numbers behind those of what is now
        shift = now.shape[1]
        both, items = np.hstack([now, then]), items + [shift + item for item in _different(then)]
    frame = pandas.DataFrame(both[:, items], columns=items)
    if len(both) < LEAST_STEPS or frame.empty:
        return {}
    least = LEAST_STEPS / len(both)
    frequent: Any = fpgrowth(frame, min_support=least, use_colnames=True, max_len=LONGEST)
    if frequent.empty:
        return {}
    support = dict(zip(frequent["itemsets"], frequent["support"], strict=True)) | {frozenset(): 1.0}
    table = association_rules(frequent, metric="lift", min_threshold=1.0)
    found: dict[Pair, Worth] = {}
    columns = "antecedents", "consequents", "support", "confidence", "consequent support"
    for when, thens, *figures in table[list(columns)].itertuples(index=False):
        what, worth = min(thens) - shift, Worth(*figures)
        if len(thens) > 1 or what < 0 or what in when or max(when) >= now.shape[1]:
            continue
        if all(_gains(worth.confidence, support[less | thens] / support[less]) for less in _subsets(when)):
            found[when, what] = worth
    return _one_way(found) if kind == "together" else found


def _different(so: NDArray[np.bool_]) -> list[int]:
    """Numbers of the columns that are neither constant nor the same as one before."""
    firsts: dict[bytes, int] = {}
    for number, column in enumerate(np.packbits(so, axis=0).T):
        if 0 < np.count_nonzero(so[:, number]) < len(so):
            firsts.setdefault(column.tobytes(), number)
    return sorted(firsts.values())


def _subsets(when: frozenset[int]) -> list[frozenset[int]]:
    """All that have fewer of some conditions."""
    return [frozenset(each) for count in range(len(when)) for each in combinations(when, count)]


def _gains(confidence: float, before: float) -> bool:
    """Whether a confidence is so much better than another, by lift or by conviction."""
    return confidence > before and (confidence >= GAIN * before or 1 - before >= GAIN * (1 - confidence))


def _one_way(found: Mapping[Pair, Worth]) -> dict[Pair, Worth]:
    """Of rules about the same events the one with the highest confidence."""
    best: dict[frozenset[int], Pair] = {}
    for pair in sorted(found, key=lambda pair: found[pair].confidence):
        best[pair[0] | {pair[1]}] = pair
    return {pair: found[pair] for pair in best.values()}


# --- What held-out episodes say -------------------------------------------------------------------------


def try_out(
    found: Mapping[Pair, Worth], kind: Kind, clauses: Mapping[str, str], horizon: int, test: Steps
) -> list[Rule]:
    """Rules with what they are worth on held-out episodes; without those whose conditions are too rare there.

    Their probabilities are not corrected.

    Args:
        found: what was found.
        kind: of rules.
        clauses: name of each item to the words that say it.
        horizon: steps within which what follows follows.
        test: the held-out steps.
    """
    now, then, episode = test.of(kind)
    pairs, names = list(found), list(clauses)
    if not pairs or not len(now):
        return []
    group = np.unique(episode, return_inverse=True)[1]
    counts = _counts([(frozenset(), *pair) for pair in pairs], now, then, group)
    seen = np.count_nonzero(counts[1], axis=0)
    tried = seen >= LEAST_SEEN
    pairs, seen = [pairs[k] for k in np.flatnonzero(tried)], seen[tried]
    _, if_so, so, both = counts[..., tried]
    support, base = both.sum(axis=0) / len(now), so.sum(axis=0) / len(now)
    p_values, rules = _probabilities(pairs, now, then, group), []
    for k, score in enumerate(shares(both, if_so)):
        pair, held = pairs[k], Worth(float(support[k]), score.value, float(base[k]))
        when, then_name = tuple(names[item] for item in sorted(pair[0])), names[pair[1]]
        said = tuple(clauses[name] for name in (*when, then_name))
        told = said, horizon, found[pair], held, (score.low, score.high), int(seen[k]), float(p_values[k])
        rules.append(Rule(kind, when, then_name, *told, corrected=float(p_values[k])))
    return rules


def _probabilities(
    pairs: Sequence[Pair], now: NDArray[np.bool_], then: NDArray[np.bool_], group: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(R,) how probable it is that rules gain by chance what they do by each of their conditions.

    A rule is tried beside each that has fewer conditions, that with none included, in the steps where these
    come about. The greatest of the probabilities counts, so that all conditions must have a part in it.
    """
    fewer = [(k, (less, *pair)) for k, pair in enumerate(pairs) for less in _subsets(pair[0])]
    if not fewer:
        return np.ones(0)
    rule, beside = zip(*fewer, strict=True)
    greatest = np.zeros(len(pairs))
    np.maximum.at(greatest, list(rule), covariance_test(*_counts(beside, now, then, group)))
    return greatest


def _counts(
    beside: Sequence[tuple[frozenset[int], frozenset[int], int]],
    now: NDArray[np.bool_],
    then: NDArray[np.bool_],
    group: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Counts rows, a rule at a time, so that memory does not grow with steps times rules.

    Args:
        beside: K times fewer conditions, all of them, and what is said of them.
        now: (N, I) what may be so.
        then: (N, I) what may be so then.
        group: (N,) numbers of the rows' groups, from 0 to G - 1.

    Returns:
        (4, G, K) in how many rows of each group there are the fewer conditions; all of them; the fewer with
        what is said; and all with it.
    """
    out = np.empty((4, group.max() + 1, len(beside)), np.int64)
    for k, (less, when, what) in enumerate(beside):
        fewer, every = (now[:, sorted(items)].all(axis=1) for items in (less, when))
        for row, so in enumerate((fewer, every, fewer & then[:, what], every & then[:, what])):
            out[row, :, k] = np.bincount(group[so], minlength=out.shape[1])
    return out


def soon(kind: Kind, horizon: int) -> str:
    """When it is so, in words."""
    return "" if kind == "together" else f"within {horizon} step{'s' * (horizon > 1)} "


def percent(share: float) -> str:
    """A share in percent, to two digits where it is small."""
    return f"{100 * share:.2g}" if share < 0.1 else f"{100 * share:.0f}"
