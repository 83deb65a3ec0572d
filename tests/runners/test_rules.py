"""Rules of events: counted by brute force, cut at episodes' ends, and held against chance."""

import json
import re
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meze.runners import cli
from meze.runners.reporting.statistics import covariance_test, shares
from meze.runners.run.recording import Recorded, read_recorded
from meze.runners.study import rules as study
from meze.runners.study.rule_tables import table
from meze.runners.study.rules import Steps, find_rules, following, mine

RNG = np.random.default_rng


def recorded(so, ended, cut=None, action=None, words=None):
    """A recording of nothing but the events of (T, B, I)."""
    zeros, events = np.zeros(ended.shape), {f"e{k}": so[..., k] for k in range(so.shape[-1])}
    action = zeros if action is None else action
    cut = np.zeros_like(ended) if cut is None else cut
    return Recorded(
        zeros, action, action, zeros, zeros, ended, events=events, words=words or {}, terminated=ended & ~cut
    )


# --- Windows --------------------------------------------------------------------------------------------


def test_windows_stop_at_the_ends_of_episodes():
    """Two episodes of four and two steps and one that the recording leaves open."""
    so = np.array([0, 0, 0, 1, 1, 0, 0, 1], bool).reshape(8, 1, 1)
    ended = np.array([0, 0, 0, 1, 0, 1, 0, 0], bool).reshape(8, 1)
    follows, known = following(so, ended, np.zeros_like(ended), 2)
    assert follows.ravel().astype(int).tolist() == [0, 1, 1, 0, 0, 0, 1, 0]
    # After an end nothing follows, which is known; after the last two steps something might have.
    assert known.ravel().astype(int).tolist() == [1, 1, 1, 1, 1, 1, 0, 0]
    # Where an episode was only cut off, what lies beyond is not known.
    _, known = following(so, ended, ended & (np.arange(8) == 3)[:, None], 2)
    assert known.ravel().astype(int).tolist() == [1, 1, 0, 0, 1, 1, 0, 0]


def in_plain_python(so, ended, cut, horizon):
    """The same as `following`, step by step."""
    steps, streams, items = so.shape
    follows, known = np.zeros_like(so), np.zeros((steps, streams), bool)
    for b in range(streams):
        for t in range(steps):
            last = t
            while last < steps and not ended[last, b]:
                last += 1
            window = range(t + 1, min(t + horizon, last, steps - 1) + 1)
            follows[t, b] = [any(so[u, b, k] for u in window) for k in range(items)]
            known[t, b] = t + horizon <= min(last, steps - 1) or (last < steps and not cut[last, b])
    return follows, known


@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([0.05, 0.3, 0.7]))
def test_windows_are_those_of_plain_python(seed, horizon, rate):
    rng = RNG(seed)
    so, ended = rng.random((20, 3, 2)) < 0.3, rng.random((20, 3)) < rate
    cut = ended & (rng.random((20, 3)) < 0.5)
    for mine_, plain in zip(
        following(so, ended, cut, horizon), in_plain_python(so, ended, cut, horizon), strict=True
    ):
        assert (mine_ == plain).all()


# --- Rules against counts -------------------------------------------------------------------------------


def worth_by_counting(now, then, when, what):
    """Support, confidence and base of a rule, row by row."""
    rows = list(zip(now.tolist(), then.tolist(), strict=True))
    if_so = [so for is_so, so in rows if all(is_so[k] for k in when)]
    both = sum(so[what] for so in if_so)
    return both / len(rows), both / len(if_so) if if_so else None, sum(so[what] for _, so in rows) / len(rows)


def rules_by_counting(now, then, kind):
    """All rules of up to three events that gain by each condition, without any cleverness."""
    count = now.shape[1]
    varies = [k for k in range(count) if 0 < now[:, k].sum() < len(now)]
    found = {}
    for size in (1, 2):
        for when in combinations(varies, size):
            for what in range(count):
                if what in when or not 0 < then[:, what].sum() < len(then):
                    continue
                support, confidence, base = worth_by_counting(now, then, when, what)
                if round(support * len(now)) < study.LEAST_STEPS:
                    continue
                fewer = [less for n in range(size) for less in combinations(when, n)]
                before = [worth_by_counting(now, then, less, what)[1] for less in fewer]
                if all(
                    confidence > each
                    and (confidence >= study.GAIN * each or 1 - each >= study.GAIN * (1 - confidence))
                    for each in before
                ):
                    found[frozenset(when), what] = support, confidence, base
    if kind == "follows":
        return found
    best = {}
    for when, what in found:
        most = best.setdefault(when | {what}, found[when, what][1])
        best[when | {what}] = max(most, found[when, what][1])
    return {pair: each for pair, each in found.items() if each[1] == best[pair[0] | {pair[1]}]}


def random_steps(seed, rows=1000, items=6):
    """Events that hang together in some way or other, one by two others, and one that never varies."""
    rng = RNG(seed)
    cause = rng.random((rows, 2)) < 0.4
    now = rng.random((rows, items)) < rng.choice([0.2, 0.4], items)
    now[:, 0] |= cause[:, 0]
    now[:, 1] = cause.all(axis=1) | (now[:, 1] & now[:, 0])
    now[:, 4] = (now[:, 2] & now[:, 3]) ^ (rng.random(rows) < 0.05)
    now[:, -1] = seed % 2
    later = (rng.random((rows, items)) < 0.3) | (now & cause[:, :1])
    later[:, 0] = (now[:, 2] & now[:, 3]) ^ (rng.random(rows) < 0.05)
    return Steps(now, later, rng.random(rows) < 0.9, np.arange(rows) // 10)


@pytest.mark.parametrize("kind", ["together", "follows"])
@pytest.mark.parametrize("seed", range(12))
def test_rules_are_those_that_counting_finds(kind, seed):
    steps = random_steps(seed)
    found = mine(steps, kind)
    now, then, _ = steps.of(kind)
    counted = rules_by_counting(now, then, kind)
    assert set(found) <= set(counted)
    # Of rules as good in one direction as in the other, one is told.
    assert {pair[0] | {pair[1]} for pair in counted} == {pair[0] | {pair[1]} for pair in found}
    assert kind == "together" or set(found) == set(counted)
    assert len(found) > 1 and any(len(when) == 2 for when, _ in found)
    for pair, worth in found.items():
        support, confidence, base = counted[pair]
        assert worth == pytest.approx((support, confidence, base))
        assert worth.lift == pytest.approx(confidence / base)
        if confidence < 1:
            assert worth.conviction == pytest.approx((1 - base) / (1 - confidence))


def test_what_follows_exactly_is_found_though_its_column_is_one_of_now():
    rng = RNG(0)
    first = rng.random((300, 8)) < 0.2
    second = np.vstack([np.zeros((1, 8), bool), first[:-1]])
    ended = np.zeros((300, 8), bool)
    ended[9::10] = True
    found = find_rules(
        recorded(np.stack([first, second], axis=-1), ended, words={"e0": "one", "e1": "two"}), (), 1
    )
    told = {rule.words for rule in found.rules if rule.holds}
    assert "When one, within 1 step two" in told


def test_held_out_worth_is_counted_on_held_out_episodes_alone():
    so, ended = planted(RNG(3), 400, 16)
    data = recorded(so, ended)
    found = find_rules(data, (), 3)
    later, known = following(so, ended, np.zeros_like(ended), 3)
    assert len(found.rules) > 3 and {rule.kind for rule in found.rules} == {"together", "follows"}
    for rule in found.rules:
        when, what = [int(name[1:]) for name in rule.when], int(rule.then[1:])
        for worth, rows in ((rule.found, ~data.for_test), (rule.held, data.for_test)):
            rows = rows & known if rule.kind == "follows" else rows
            then = later[rows] if rule.kind == "follows" else so[rows]
            assert worth == pytest.approx(worth_by_counting(so[rows], then, when, what))
        rows = data.for_test & known if rule.kind == "follows" else data.for_test
        assert rule.episodes == len(np.unique(data.episode[rows & so[..., when].all(axis=-1)]))
        assert rule.interval[0] <= rule.held.confidence <= rule.interval[1]
        assert rule.corrected >= rule.p_value
    again = find_rules(data, (), 3)
    assert again.plain() == found.plain()


# --- Chance ---------------------------------------------------------------------------------------------


def by_chance(rng, length, streams, items=6):
    """Independent events, each of which lasts, and comes about more in some episodes than in others.

    Of those that are usually so, it is that they are not which lasts and comes about.
    """
    ended = rng.random((length, streams)) < 0.03
    fresh = np.vstack([np.ones((1, streams), bool), ended[:-1]])
    so = np.zeros((length, streams, items), bool)
    for k in range(items):
        usual, stays = rng.choice([0.02, 0.1, 0.3, 0.9, 0.97]), rng.choice([0.0, 0.6, 0.9])
        rate = min(usual, 1 - usual)
        often, lasts = np.ones(streams), np.zeros(streams, bool)
        for t in range(length):
            often = np.where(fresh[t], rng.exponential(size=streams), often)
            draw = rng.random(streams) < np.minimum(rate * often, 0.9)
            lasts = np.where(~fresh[t] & (rng.random(streams) < stays), lasts, draw)
            so[t, :, k] = lasts != (usual > 0.5)
    return so, ended


def planted(rng, length, streams):
    """The same, but e1 follows e0 by one to three steps in half of all cases; e2 is hardly ever with e3."""
    so, ended = by_chance(rng, length, streams)
    so[..., 0] = rng.random((length, streams)) < 0.05
    follows = so[..., 0] & (rng.random((length, streams)) < 0.5)
    so[..., 1] = rng.random((length, streams)) < 0.02
    for away in (1, 2, 3):
        chosen = follows & (rng.integers(1, 4, follows.shape) == away)
        so[away:, :, 1] |= chosen[:-away]
    so[..., 2] |= so[..., 4] & (rng.random((length, streams)) < 0.5)
    return so, ended


def test_a_planted_rule_is_found_and_told_in_words():
    said = {"e0": "a bell rings", "e1": "a door opens"}  # what has no words is called by its name
    found = find_rules(recorded(*planted(RNG(0), 400, 24), words=said), (), 3)
    (rule,) = [each for each in found.rules if each.when == ("e0",) and each.then == "e1" and each.holds]
    assert rule.kind == "follows" and 0.35 < rule.held.confidence < 0.65 and rule.held.lift > 2
    figures = r"\d\d % \(\d\d to \d\d\) instead of \d\.?\d %"
    assert re.fullmatch(f"When a bell rings, within 3 steps a door opens: {figures}", rule.said), rule.said
    claimed = {(rule.kind, frozenset((*rule.when, rule.then))) for rule in found.rules if rule.holds}
    assert ("together", frozenset({"e2", "e4"})) in claimed
    assert not any("e5" in events or "e3" in events for _, events in claimed if len(events) == 2)


def test_a_condition_that_adds_nothing_is_in_no_rule_that_holds():
    """e1 follows e0 whatever else is so; e2 and e4 each tell half of when e3 is so."""
    rng = RNG(5)
    ended = np.zeros((400, 24), bool)
    ended[24::25] = True
    so = rng.random((400, 24, 5)) < 0.3
    so[1:, :, 1] = so[:-1, :, 0] & (rng.random((399, 24)) < 0.9)
    so[..., 3] = so[..., 2] & so[..., 4]
    found = find_rules(recorded(so, ended), (), 1)
    claimed = {(rule.kind, rule.when, rule.then) for rule in found.rules if rule.holds}
    assert [each for each in claimed if each[2] == "e1" and each[0] == "follows"] == [
        ("follows", ("e0",), "e1")
    ]
    assert not any(set(when) & {"e0", "e1"} for kind, when, _ in claimed if kind == "together")
    (both,) = [rule for rule in found.rules if rule.holds and len(rule.when) == 2 and rule.kind == "together"]
    assert both.held.confidence == 1 and {*both.when, both.then} == {"e2", "e3", "e4"}


@pytest.mark.slow
def test_of_independent_events_hardly_ever_anything_is_claimed():
    """In 60 recordings; by 5 % of them it would be 3, and 8 or more once in 100 times."""
    wrong, p_values = 0, []
    for seed in range(60):
        data = recorded(*by_chance(RNG(seed), 200, 24))
        found = find_rules(data, (), 4)
        wrong += any(rule.holds for rule in found.rules)
        p_values += [rule.p_value for rule in found.rules]
    assert wrong <= 7 and len(p_values) > 100
    assert np.mean(np.array(p_values) < 0.05) < 0.08


@pytest.mark.parametrize("usual", [(0.97, 0.96), (0.9, 0.95)])
def test_no_miss_among_few_is_no_news_of_what_is_nearly_always_so(usual):
    """In 20 recordings; by 5 % of them it would be 1, and 5 or more once in 400 times."""
    wrong, tried = 0, 0
    for seed in range(20):
        rng = RNG(seed)
        so = rng.random((400, 24, 5)) < np.array([*usual, 0.02, 0.01, 0.03])
        data = recorded(so, rng.random((400, 24)) < 0.03)
        found = find_rules(data, (), 4)
        wrong, tried = wrong + any(rule.holds for rule in found.rules), tried + len(found.rules)
    assert wrong <= 4 and tried > 40


def test_many_steps_of_few_episodes_say_little():
    """An event that is so in whole episodes is with another by chance, however long they are."""
    rng = RNG(1)
    ended = np.zeros((4000, 1), bool)
    ended[39::40] = True
    whole = np.repeat(rng.random((100, 2)) < 0.3, 40, axis=0)[:, None]
    total, first, second = np.full(100, 40), *(whole[:, 0, k].reshape(100, 40).sum(axis=1) for k in (0, 1))
    both = (whole[:, 0, 0] & whole[:, 0, 1]).reshape(100, 40).sum(axis=1)
    columns = [each[:, None] for each in (total, first, second, both)]
    p = covariance_test(*columns)[0]
    each = [np.ones((4000, 1)), *(1.0 * whole[:, 0, k : k + 1] for k in (0, 1)), 1.0 * whole.all(axis=2)]
    rows = covariance_test(*each)[0]
    assert min(p, 1 - p) > 1.5 * min(rows, 1 - rows)  # of steps by themselves chance would say more
    twice = covariance_test(*(2 * each for each in columns))[0]
    assert twice == pytest.approx(p)  # each step told again tells nothing new


def test_shares_have_intervals_over_groups_and_exact_ones_at_the_ends():
    hits, total = np.array([[3, 0, 4], [1, 0, 4], [0, 0, 0], [2, 0, 3]]), np.array([[4, 2, 4]] * 4)
    total[2] = 0, 1, 0
    total[3, 2] = 3
    half, none, every = shares(hits, total)
    assert half.value == 0.5 and half.low < 0.5 < half.high
    assert none.value == none.low == 0 and none.high == pytest.approx(1 - 0.025**0.25)
    assert every.value == every.high == 1 and every.low == pytest.approx(0.025 ** (1 / 3))
    assert covariance_test(total * 0 + 5, total * 0, total, total * 0).tolist() == [1, 1, 1]


# --- The commands ---------------------------------------------------------------------------------------


def test_a_recording_tells_its_rules(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    line = "collect city --policies expert --steps 16000 --num-envs 64 --env.pool-size 8 --rules --horizon 6"
    assert cli.main([*line.split(), "--out", str(tmp_path)]) == 0
    said, folder = capsys.readouterr().out, tmp_path / "city-s0"
    assert "What follows within 6 steps: " in said and "the light is red" in said
    assert max(map(len, said.replace(str(tmp_path), "").splitlines())) <= 80
    plain = json.loads((folder / "rules.json").read_text())
    assert plain["tried"] == len(plain["rules"]) > 20 and plain["horizon"] == 6
    held = {(rule["kind"], *rule["when"], rule["then"]): rule for rule in plain["rules"] if rule["holds"]}
    green = held["follows", "light_red", "light_turns_green"]
    assert green["words"] == "When the light is red, within 6 steps the light turns green"
    assert green["held"]["lift"] > 3 and green["said"].startswith(green["words"] + ": ")
    assert held["together", "others_first", "stood"]["held"]["confidence"] > 0.8
    data, told = read_recorded(folder), json.loads((folder / "data.json").read_text())["events"]
    assert told["light_red"] == "the light is red" and data.words == told and set(told) == set(data.events)
    again = find_rules(data, ("wait", "forward", "left", "right"), 6)
    assert len(again.rules) == plain["tried"]
    names = {(rule.kind, rule.then, *sorted(rule.when)): rule.corrected for rule in again.rules}
    shared = [(rule["kind"], rule["then"], *sorted(rule["when"])) for rule in plain["rules"]]
    assert len(names.keys() & set(shared)) > 0.8 * len(shared)  # but for those as good the other way round
    for name, rule in zip(shared, plain["rules"], strict=True):
        assert names.get(name, rule["corrected"]) == pytest.approx(rule["corrected"])


def test_features_tell_rules_on_their_page(tmp_path, capsys):
    line = "features tram --policies expert --samples 900 --encoders pca --seeds 0 --rules"
    assert cli.main([*line.split(), "--out", str(tmp_path)]) == 0
    assert "What goes together: " in capsys.readouterr().out
    folder = tmp_path / "features-tram-s0"
    plain = json.loads((folder / "report.json").read_text())["rules"]
    assert plain["horizon"] == 10 and any(rule["holds"] for rule in plain["rules"])
    html = (folder / "report.html").read_text()
    assert "Rules of events" in html and "What follows within 10 steps: " in html


def test_a_cell_has_a_line_for_each_clause_whatever_its_words_are():
    """Clauses with the words of a horizon, and with those that join others."""
    said = {"e0": "a ghost is within 4 steps and near", "e1": "a door, or a gate, opens"}
    found = find_rules(recorded(*planted(RNG(0), 400, 24), words=said), (), 4)
    (rule,) = [each for each in found.rules if each.when == ("e0",) and each.then == "e1" and each.holds]
    _, ((cell, *_),) = table([rule])
    assert cell == f"When {said['e0']},\n{said['e1']}"
    assert rule.words == f"When {said['e0']}, within 4 steps {said['e1']}"


def test_features_are_told_though_episodes_are_too_few_for_rules(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(study, "LEAST_EPISODES", 1000)
    line = "features tram --policies expert --samples 300 --encoders pca --rules"
    assert cli.main([*line.split(), "--out", str(tmp_path)]) == 0
    assert "no rules: too few episodes were played for rules: " in capsys.readouterr().out
    folder = tmp_path / "features-tram-s0"
    assert "too few episodes" in json.loads((folder / "report.json").read_text())["rules"]
    assert "No rules: too few episodes" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("collect CartPole-v1 --rules", "rules need events, and CartPole-v1 declares none"),
        ("collect kiosk --rules", "rules need events, and meze/Kiosk-v0 declares none"),
        ("features CartPole-v1 --rules", "rules need events, and CartPole-v1 declares none"),
        ("collect vacuum --rules --horizon 0", "horizon must be at least 1; got 0"),
        ("collect vacuum --rules --steps 512 --horizon 2", "less than a stream's 2 steps; got 2"),
        ("collect vacuum --rules --steps 600 --num-envs 9", "too few episodes were played for rules: "),
        ("features vacuum --rules --horizon 9999", "horizon must be 1 at least, and less than"),
    ],
)
def test_bad_input_is_one_line(line, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split()) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_without_mlxtend_it_names_the_cure(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.frequent_patterns", None)
    assert cli.main(["collect", "vacuum", "--rules", "--out", str(tmp_path / "data")]) == 2
    said = capsys.readouterr().err
    assert "a search for rules needs mlxtend" in said and "pip install 'meze[rules]'" in said
    assert not list(tmp_path.iterdir())


def test_where_hardly_anything_is_known_there_are_no_rules():
    """Every window is cut off, events never vary, or nothing of the kind follows in held-out episodes."""
    so, ended = by_chance(RNG(0), 400, 4)
    never = find_rules(recorded(so, ended, ended), (), 399)
    assert all(rule.kind == "together" for rule in never.rules)
    assert find_rules(recorded(so & False, ended)).rules == []
    data = recorded(so, ended)
    so[..., 0] = np.roll(so[..., 1], 1, axis=0) & ~data.for_test
    found = find_rules(recorded(so, ended), (), 1)
    (rule,) = [
        each for each in found.rules if (each.kind, each.when, each.then) == ("follows", ("e1",), "e0")
    ]
    assert rule.found.confidence > 0.8 and rule.held.confidence == rule.held.base == 0 and not rule.holds
    assert rule.plain()["held"]["lift"] is None and json.dumps(found.plain(), allow_nan=False)


def test_a_recording_without_events_or_with_few_episodes_is_refused():
    so, ended = by_chance(RNG(0), 100, 4)
    plain = Recorded(*[np.zeros(ended.shape)] * 5, ended)
    with pytest.raises(ValueError, match="rules need events, and this recording has none"):
        find_rules(plain)
    with pytest.raises(ValueError, match="too few episodes were played for rules: "):
        find_rules(recorded(so[:20], ended[:20] & False))
    with pytest.raises(ValueError, match="less than a stream's 100 steps; got 100"):
        find_rules(recorded(so, ended), (), 100)
