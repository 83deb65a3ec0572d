"""Levels of models: what becomes of drawings, and how levels are judged beside others, by hand."""

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from meze.envs.platformer import judging, mending, pool
from meze.envs.platformer.generator import draw_level as generated
from meze.envs.platformer.judging import edit_distances, judge, pattern_divergence, run_hastily
from meze.envs.platformer.levels import Level, LevelError
from meze.envs.platformer.making import MOST_DRAWS, check_letters, make_levels, terrain
from meze.envs.platformer.pool import certify_drawn, search_levels
from platformer_stage import MENAGERIE, ZOO, draw_level

FLAT = terrain(draw_level())
CHASM = terrain(draw_level(pits=range(8, 40)))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Notes of certified levels do not outlive a test."""
    folders = SimpleNamespace(user_cache_dir=lambda _: str(tmp_path / "cache"))
    monkeypatch.setattr(pool, "platformdirs", folders)


def with_coin(k: int) -> tuple[str, ...]:
    return terrain(draw_level({(4 + k, 9): "o"}))


# ------------------------------------------------------------ making


def test_only_what_is_cleared_is_kept_and_none_twice():
    odd = ("." * 20,) * 15  # too narrow
    crowd = (*FLAT[:9], *["w" * len(FLAT[0])] * 2, *FLAT[11:])
    broken = terrain(draw_level({(20, 12): "#"}))
    broken = (*broken[:12], broken[12].replace("#", "["), *broken[13:])
    script = [FLAT, CHASM, FLAT, odd, with_coin(1), (".",), crowd, broken, with_coin(2), CHASM]
    made = make_levels(lambda k: script[k], 4)
    assert [level.name for level in made.levels] == [f"made-{k:05}" for k in (0, 4, 7, 8)]
    assert (made.drawn, made.unfit, made.repeats, made.uncertified, made.mended) == (9, 3, 1, 1, 1)
    assert made.playable == 4 / 8
    for level, plan in zip(made.levels, made.plans, strict=True):
        assert level.par_time == plan.ticks > 0 and plan.clears and 0 < plan.effort <= plan.tried
        assert len(level.find("@")) == len(level.find("F")) == 1
    assert made.levels[2].at(20, 12) == "#"
    assert [time for _, time, _ in certify_drawn(made.levels)] == [each.par_time for each in made.levels]
    assert make_levels(lambda k: script[k], 2).levels == made.levels[:2]


def test_too_few_that_can_be_played_are_told_in_one_line():
    with pytest.raises(
        ValueError, match=f"only 1 of {2 * MOST_DRAWS} drawings are levels that can be"
    ) as caught:
        make_levels(lambda k: FLAT, 2)
    assert "\n" not in str(caught.value)


def test_what_is_mended():
    rows = list(map(list, FLAT))
    for x, y, letters in ((6, 9, "-#"), (10, 9, "p"), (14, 12, "]"), (18, 9, "(")):
        rows[y][x : x + len(letters)] = letters
    lost = Counter()
    mending.place_ends(rows, "rows", lost)
    level = mending.mend_parts(Level("rows", tuple(map("".join, rows))), lost)
    assert +lost == {mending.PLATFORMS: 1, mending.PLANTS: 1, mending.PIPES: 2}
    assert [level.at(*place) for place in ((6, 9), (7, 9), (10, 9), (14, 12), (18, 9))] == list(".#.##")


@pytest.mark.parametrize(
    "letters, height, words",
    [("#.x", 15, "'x' is no tile of the platformer"), ("#.", 14, "14 rows; a level has 15")],
)
def test_a_model_of_other_tiles_is_refused(letters, height, words):
    with pytest.raises(LevelError, match=f"theirs is a model of another tile set: {words}"):
        check_letters(letters, height, "theirs")
    check_letters("".join(map("".join, terrain(ZOO) + terrain(MENAGERIE))) and "#.w", 15, "ours")


# ------------------------------------------------------------ judging


def test_a_level_without_its_ends():
    level = draw_level()
    assert "".join(terrain(level)) == "".join(level.rows).replace("@", ".").replace("F", ".")


def test_divergence_by_hand(monkeypatch):
    monkeypatch.setattr(judging, "PATTERNS", (1,))
    a, b = (Level("x", (row,) * 1) for row in ("##..", "#..."))  # frequencies 1/2, 1/2 and 1/4, 3/4
    one = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    other = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert pattern_divergence([a], [b]) == pytest.approx((one + other) / 2, abs=1e-4)
    assert pattern_divergence([a], [a]) == 0
    monkeypatch.setattr(judging, "PATTERNS", (2,))
    rows, others = Level("x", ("ab", "ab")), Level("x", ("ba", "ab"))
    epsilon = judging.SMOOTHING  # of one pattern each, which the other has not
    wanted = math.log((1 + epsilon) / epsilon) / ((1 + epsilon) * (1 + epsilon))
    assert pattern_divergence([rows], [others]) == pytest.approx(wanted)


def test_edit_distances_by_hand():
    words = ("kitten", "sitting", "kitten", "")
    levels = [Level("x", (word or "k",)) for word in words]
    found = edit_distances(levels[:2], levels)
    assert found.tolist() == [[0, 3 / 7, 0, 5 / 6], [3 / 7, 0, 3 / 7, 1]]


def test_copies_show():
    source = [generated(0.3, seed) for seed in range(4)]
    levels = [source[2], generated(0.3, 7), generated(0.3, 8)]
    plans = search_levels(levels)
    found = judge(levels, plans, source)
    assert found.copies == 1 and found.levels == 3 and 0 < found.apart < 1
    among = judge(source, search_levels(source), source, within=True)
    assert among.copies == 0 and among.divergence == 0 and among.nearest > 0.2


def test_haste_clears_what_is_easy_and_dies_in_a_chasm():
    died, reached = run_hastily([draw_level(), draw_level(pits=range(20, 40)), ZOO])
    assert died.tolist() == [False, True, True]
    assert reached[0] == 1 and 0.3 < reached[1] < 0.6
    again = run_hastily([draw_level(), draw_level(pits=range(20, 40)), ZOO])
    assert np.array_equal(again[1], reached)
