"""Models of drawings: counts against brute force, equal chance makes equal drawings, strangers' files."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from meze.agents import checkpoint
from meze.agents.base import NonFiniteLossError
from meze.agents.generative import base, markov
from meze.agents.generative.config import GanConfig, MarkovConfig
from meze.agents.generative.markov import BEGIN, MarkovChain
from meze.agents.generative.windows import cut_windows, has_collapsed, spread

HILLS = [("....#...", "..##.##.", "########"), (".......#.", ".#.##..#.", "####..###")]
"""Drawings of three rows."""
TINY = GanConfig(steps=2, batch_size=2, width=8, channels=4)


def fitted(name):
    config = TINY if name == "gan" else MarkovConfig(order=2)
    return base.fit(name, HILLS, config, 5, lambda step, row: None)


def drawings(model, count=8):
    return [model.draw(np.random.default_rng([3, k])) for k in range(count)]


# ------------------------------------------------------------ the chain


def columns_of(rows):
    return list(map("".join, zip(*rows, strict=True)))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_columns_follow_each_other_as_often_as_they_were_seen_to(order):
    chain = MarkovChain.fit(HILLS, MarkovConfig(order), 0, lambda step, row: None)
    names = columns_of(base.decode(chain.columns.T, chain.letters))
    seen = {
        tuple("" if k == BEGIN else names[k] for k in gram): count
        for gram, count in zip(chain.grams.tolist(), chain.counts.tolist(), strict=True)
    }
    wanted = Counter()
    for rows in HILLS:
        columns = [*[""] * order, *columns_of(rows)]
        for k in range(order, len(columns)):
            wanted[tuple(columns[k - order : k + 1])] += 1
    assert seen == wanted


def test_what_is_drawn_has_only_been_seen_and_as_often():
    one = [("ab" * 20 + "c" * 20,)]  # behind a, b; behind b, a or c; behind c, c
    chain = base.fit("markov", one, MarkovConfig(order=1), 0, lambda step, row: None)
    found = Counter()
    for k in range(300):
        (row,) = chain.draw(np.random.default_rng(k))
        assert len(row) == 60 and row[0] == "a"
        found.update(zip(row, row[1:], strict=False))
    assert set(found) == {("a", "b"), ("b", "a"), ("b", "c"), ("c", "c")}
    after_b = found["b", "a"] / (found["b", "a"] + found["b", "c"])
    assert abs(after_b - 19 / 20) < 0.02


def test_where_a_context_was_never_seen_a_shorter_one_decides():
    chain = base.fit("markov", [("aab",)], MarkovConfig(order=2), 0, lambda step, row: None)
    chain.widths = np.array([9], np.int32)
    rows = {chain.draw(np.random.default_rng(k))[0] for k in range(50)}
    # Behind "ab" and behind "b" nothing was ever seen: any letter, as often as it is there at all.
    assert all(row.startswith("aab") for row in rows) and {row[3] for row in rows} == {"a", "b"}


def test_a_chain_that_would_take_too_much_memory_is_refused(tmp_path, monkeypatch):
    chain = fitted("markov")
    base.save(tmp_path / "model.safetensors", chain)
    monkeypatch.setattr(markov, "MOST_GRAMS", len(chain.grams) - 1)
    for make in (lambda: fitted("markov"), lambda: base.load(tmp_path / "model.safetensors")):
        with pytest.raises(ValueError, match=f"different runs of columns, not {len(chain.grams)}; of fewer"):
            make()


# ------------------------------------------------------------ both


@pytest.mark.parametrize("name", base.MODELS)
def test_drawings_are_those_of_the_seed_and_a_saved_model_draws_the_same(name, tmp_path):
    model = fitted(name)
    drawn = drawings(model)
    assert drawn == drawings(fitted(name)) and len(set(drawn)) > 1
    for rows in drawn:
        assert len(rows) == 3 and {len(row) for row in rows} <= {8, 9} and set("".join(rows)) <= set("#.")
    base.save(tmp_path / "model.safetensors", model)
    assert drawings(base.load(tmp_path / "model.safetensors")) == drawn


DAMAGES = {
    "markov": {
        "columns": np.full((3, 3), 9, np.uint8),
        "grams": np.array([[0, 1, 99]], np.int32),
        "counts": np.zeros(1, np.int64),
        "widths": np.array([0], np.int32),
        "letters": "##",
        "height": 4,
        "algorithm": "wavelets",
    },
    "gan": {
        "generator.first.weight": np.zeros((1025, 32, 3), np.float32),
        "generator.rest.2.weight": np.full((4, 4, 4, 4), np.nan, np.float32),
        "generator.rest.5.weight": np.zeros((4, 4, 3, 3), np.float64),
        "widths": np.array([1 << 30], np.int32),
        "letters": "",
        "height": -1,
        "algorithm": ["gan"],
    },
}


@pytest.mark.parametrize("name, field", [(name, field) for name, each in DAMAGES.items() for field in each])
def test_a_damaged_model_is_refused_in_one_line(name, field, tmp_path):
    path = tmp_path / "model.safetensors"
    base.save(path, fitted(name))
    checkpoint.save(path, {**checkpoint.load(path), field: DAMAGES[name][field]})
    with pytest.raises(ValueError, match="is no model of drawings: ") as caught:
        base.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: MarkovConfig(order=0), "order must lie in 1 .. 8; got 0"),
        (lambda: GanConfig(width=10), "width must be a multiple of 4; got 10"),
        (lambda: GanConfig(channels=1025), "channels must lie in 1 .. 1024; got 1025"),
        (lambda: GanConfig(batch_size=1 << 20), "batch_size must lie in 2 .. 1024; got 1048576"),
        (lambda: GanConfig(steps=0), "steps must be at least 1; got 0"),
    ],
)
def test_settings_out_of_range_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# ------------------------------------------------------------ windows


def test_windows_are_cut_from_everywhere_and_narrow_drawings_are_continued():
    grids = [base.encode(rows, ".#") for rows in HILLS]
    windows = {each.tobytes() for each in cut_windows(grids, 7, 200, np.random.default_rng(0))}
    assert windows == {grid[:, k : k + 7].tobytes() for grid in grids for k in range(grid.shape[1] - 6)}
    (wide,) = cut_windows(grids[:1], 10, 1, np.random.default_rng(0))
    assert (wide[:, :8] == grids[0]).all() and (wide[:, 8:] == grids[0][:, -1:]).all()


def test_spread_by_hand():
    windows = np.array([[[0, 0, 1, 1]], [[0, 0, 1, 1]], [[0, 1, 1, 2]], [[2, 2, 2, 2]]])
    found = spread(windows)
    pairs = [(a != b).mean() for k, a in enumerate(windows) for b in windows[:k]]
    assert found.distinct == 0.75 and found.difference == pytest.approx(np.mean(pairs))


def test_the_check_for_collapse_fires_where_a_model_makes_the_same_again_and_again():
    rng = np.random.default_rng(0)
    source = spread(rng.integers(0, 3, (64, 15, 8)))
    one = rng.integers(0, 3, (1, 15, 8))
    few = np.concatenate([rng.integers(0, 3, (8, 15, 8))] * 8)
    noisy = one.repeat(64, 0)
    noisy[np.arange(64), rng.integers(0, 15, 64), rng.integers(0, 8, 64)] = 3
    for collapsed in (one.repeat(64, 0), few, noisy):
        assert has_collapsed(spread(collapsed), source)
    assert not has_collapsed(spread(rng.integers(0, 3, (64, 15, 8))), source)


@pytest.mark.parametrize("steps", [1, 60])
def test_networks_that_diverge_are_told_in_one_line(steps):
    config = replace(TINY, steps=steps, learning_rate=1e38)
    with pytest.raises(NonFiniteLossError, match="a lower --gan.learning-rate may help") as caught:
        base.fit("gan", HILLS, config, 0, lambda step, row: None)
    assert "\n" not in str(caught.value)


def test_a_training_is_told_with_its_curve():
    told = []
    base.fit("gan", HILLS, TINY, 0, lambda step, row: told.append((step, row)))
    ((step, row),) = told
    assert step == 2 and set(row) == {
        "generator_loss", "critic_loss", "distinct", "difference", "source_distinct", "source_difference",
    }  # fmt: skip
    assert all(np.isfinite(value) for value in row.values())
