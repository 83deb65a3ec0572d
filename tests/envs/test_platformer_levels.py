"""Levels: files and their errors, tables, generator, certified pools and their cache, how hard they are."""

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from meze.envs.core.splits import FIRST_SEED, first_seed
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.platformer import pool
from meze.envs.platformer import state as codes
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.generator import draw_level
from meze.envs.platformer.levels import (
    LEVELS,
    THINGS,
    TILES,
    LevelError,
    build_pool,
    capacity_for,
    format_level,
    parse_level,
)
from meze.envs.platformer.pool import (
    CERTIFIED,
    MAX_POOL_SIZE,
    STRATA,
    certify,
    draw_certified,
    load_pool,
    notes_name,
    strata,
)
from meze.envs.platformer.world import Platformer
from platformer_stage import WIDE
from platformer_stage import draw_level as stage_level

HEADER = "title: A title\nidea: an idea\n\n"
ROWS = [
    "................................",
    "................................",
    "................................",
    "................................",
    "................................",
    "................................",
    "................................",
    ".......oo.......................",
    "..........................f.....",
    "....=?M=........................",
    ".............p..................",
    "....w........[].................",
    ".@..e..t.....[].^.S........F....",
    "################...-....########",
    "################..........|..###",
]
TEXT = HEADER + "\n".join(ROWS) + "\n"
FIRST_ROW = 4  # line number of the topmost row


def edited(line: int, column: int, characters: str) -> str:
    """The text with other characters from a place on, counted from 1."""
    lines = TEXT.split("\n")
    row = lines[line - 1]
    lines[line - 1] = row[: column - 1] + characters + row[column - 1 + len(characters) :]
    return "\n".join(lines)


SOME = [parse_level(TEXT, "text"), LEVELS.find("09-grand-tour"), draw_level(1, 3)]

# ------------------------------------------------------------ files


def test_a_level_is_what_its_file_says():
    level = parse_level(TEXT, "name")
    assert (level.name, level.title, level.idea, level.width) == ("name", "A title", "an idea", 32)
    assert level.rows == tuple(ROWS)
    assert level.find("@F") == [(1, 12, "@"), (27, 12, "F")]
    assert [chr(c) for c in level.cells[9, 4:8]] == ["=", "?", "M", "="]
    assert parse_level(TEXT.replace("\n", "\r\n") + "\r\n\r\n", "windows") == level
    assert parse_level("\n" + "\n".join(ROWS), "no header") == level


@pytest.mark.parametrize("level", [*map(LEVELS.find, LEVELS.names()), draw_level(0.7, 5)])
def test_writing_and_reading_gives_the_same_level(level):
    again = parse_level(format_level(level), level.name)
    assert again == level and (again.title, again.idea) == (level.title, level.idea)
    assert again.digest == level.digest


def test_the_digest_names_what_is_played():
    level = parse_level(TEXT, "name")
    assert parse_level("title: Another\n\n" + "\n".join(ROWS), "another").digest == level.digest
    others = {parse_level(edited(FIRST_ROW + 3, 1 + x, "o"), "other").digest for x in range(32)}
    assert len(others | {level.digest}) == 33


@pytest.mark.parametrize(
    "text, error",
    [
        ("", "f: no rows of tiles behind an empty line"),
        (HEADER, "f: no rows of tiles behind an empty line"),
        ("\n".join(ROWS), "f, line 1, column 1: neither 'key: value' nor the empty line before the rows"),
        (TEXT.replace("idea", "aim"), "f, line 2, column 1: unknown key 'aim', there are title and idea"),
        ("title: Twice\n" + TEXT, "f, line 2, column 1: second title"),
        (TEXT.replace(ROWS[3] + "\n", "", 1), "f, line 4: 14 rows; a level has 15"),
        (TEXT + ROWS[0], "f, line 4: 16 rows; a level has 15"),
        ("\n" + "\n".join(row[1:] for row in ROWS), "f, line 2: 31 columns; a level has 32 to 512"),
        ("\n" + "\n".join(row * 17 for row in ROWS), "f, line 2: 544 columns; a level has 32 to 512"),
        (
            TEXT.replace("...|..###", "...|..##"),
            "f, line 18, column 32: 31 columns in this line, 32 in the first",
        ),
        (
            TEXT.replace("...|..###", "...|..####"),
            "f, line 18, column 33: 33 columns in this line, 32 in the first",
        ),
        (edited(6, 7, "x"), "f, line 6, column 7: unknown character 'x'"),
        (edited(6, 7, "é"), "f, line 6, column 7: unknown character '\\xe9'"),
        (edited(6, 7, "\t"), "f, line 6, column 7: unknown character '\\t'"),
        (edited(16, 2, "."), "f: no start '@'"),
        (edited(16, 28, "."), "f: no flag 'F'"),
        (edited(10, 20, "@"), "f, line 10, column 20: second start '@'"),
        (edited(16, 30, "F"), "f, line 16, column 30: second flag 'F'"),
        (
            edited(16, 2, ".").replace("F....", "F..@."),
            "f, line 16, column 28: the flag is not to the right of the start",
        ),
        (edited(15, 15, "."), "f, line 15, column 14: pipe '[' without its right half ']'"),
        (
            edited(15, 14, "."),
            "f, line 14, column 14: plant 'p' not above the left half '[' of a pipe's mouth",
        ),
        (edited(8, 5, "]"), "f, line 8, column 5: pipe ']' without its left half '['"),
        (edited(17, 14, "."), "f, line 15, column 14: pipe '[' is held by nothing at either end"),
        (edited(17, 15, "w"), "f, line 15, column 15: pipe ']' is held by nothing at either end"),
        (edited(8, 5, "("), "f, line 8, column 5: pipe '(' without its lower half ')' below"),
        (edited(8, 5, ")"), "f, line 8, column 5: pipe ')' without its upper half '(' above"),
        (edited(5, 3, "p"), "f, line 5, column 3: plant 'p' not above the left half '[' of a pipe's mouth"),
        (edited(17, 22, "o"), "f, line 17, column 20: platform '-' needs 2 empty cells '.' to its right"),
        (edited(18, 28, "w"), "f, line 18, column 27: platform '|' needs 2 empty cells '.' to its right"),
        (edited(5, 31, "-"), "f, line 5, column 31: platform '-' needs 2 empty cells '.' to its right"),
        (
            edited(8, 28, "o"),
            "f, line 16, column 28: flag 'F' needs 8 empty cells '.' above it, for its pole",
        ),
    ],
)
def test_errors_name_the_place(text, error):
    with pytest.raises(LevelError) as caught:
        parse_level(text, "f")
    assert str(caught.value) == error


@pytest.mark.parametrize(
    "character, most, what",
    [("w", 64, "creatures, platforms and mushrooms"), ("o", 1024, "bricks, blocks and coins")],
)
def test_a_level_has_so_many_at_most(character, most, what):
    def level(count):
        rows = [(character * min(120, max(0, count - 120 * y))).ljust(128, ".") for y in range(12)]
        return "\n" + "\n".join([*rows, ".@" + "." * 121 + "F....", *["#" * 128] * 2])

    tables = build_pool([parse_level(level(most), "f")])
    assert {"w": tables.levels["num_things"], "o": tables.levels["num_slots"]}[character] == most
    assert build_pool([stage_level()]).things.shape < tables.things.shape
    with pytest.raises(LevelError, match=f"{most + 1} {what}; a level has at most {most}$"):
        parse_level(level(most + 1), "f")


def test_capacity_follows_the_levels():
    usual, large = ([stage_level(), other] for other in (draw_level(1, 3), WIDE))
    assert capacity_for(usual) == codes.USUAL and capacity_for(large) == codes.LARGE
    for levels, capacity in ((usual, codes.USUAL), (large, codes.LARGE)):
        assert codes.capacity_of(build_pool(levels)) == capacity
        assert Platformer(levels=levels).state_dtype == codes.STATES[capacity]
    assert WIDE.width > codes.USUAL.width and codes.PLATFORMER_STATE.itemsize == 704


@pytest.mark.parametrize("observation", ["grid", "index", "pixels"])
def test_a_level_is_the_same_beside_a_larger_one(observation):
    """Nothing that is seen depends on the size of the record."""
    level, seen = draw_level(0.6, 4), []
    rng = np.random.default_rng(0)
    actions = rng.choice([2, 4, 4, 4, 5, 6], (400, 8))
    for levels in ([level], [WIDE, level]):
        world = Platformer(PlatformerConfig(observation=observation), levels)
        env = WorldVectorEnv(world, 8, 300, AutoresetMode.DISABLED)
        played = [env.reset(seed=0, options={"level": np.full(8, len(levels) - 1)})[0]]
        over = np.zeros(8, bool)
        for action in actions:
            obs, reward, terminated, truncated, info = env.step(action)
            played += [np.where(over, 0, each) for each in (reward, terminated, info["x"], info["progress"])]
            played.append(obs[~over])
            over |= terminated | truncated
            if over.all():
                break
            if (terminated | truncated).any():
                env.reset(options={"reset_mask": terminated | truncated})
        seen.append(played)
    assert len(seen[0]) == len(seen[1]) > 100
    for one, other in zip(*seen, strict=True):
        np.testing.assert_array_equal(one, other)


def test_files_that_are_no_levels(tmp_path):
    path = tmp_path / "level.txt"
    with pytest.raises(LevelError, match="level.txt: no such file or directory"):
        LEVELS.read(path)
    with pytest.raises(LevelError, match="is a directory"):
        LEVELS.read(tmp_path)
    path.write_bytes(TEXT.encode() + b"\xff")
    with pytest.raises(LevelError, match=rf"level.txt, byte {len(TEXT) + 1}: not UTF-8 text"):
        LEVELS.read(path)
    path.write_bytes(b"." * 100_000)
    with pytest.raises(LevelError, match="level.txt: the file is too big for a level"):
        LEVELS.read(path)
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert LEVELS.read(path) == parse_level(TEXT, "level") and LEVELS.read(path).name == "level"


# ------------------------------------------------------------ tables


@pytest.mark.parametrize("level", SOME)
def test_tables_repeat_the_level(level):
    other = stage_level()
    tables = build_pool([other, level])
    tiles = tables.tiles[1].reshape(codes.TABLE_ROWS, codes.USUAL.stride)
    flag_x, flag_y, _ = level.find("F")[0]
    changing = []
    for x in range(-codes.MARGIN, codes.USUAL.stride - codes.MARGIN):
        for y in range(-codes.SKY, codes.TABLE_ROWS - codes.SKY):
            code = tiles[y + codes.SKY, x + codes.MARGIN]
            assert code == tables.tiles[1, codes.USUAL.cell(x, y)]
            if y == -codes.SKY or not 0 <= x < level.width:
                assert code == codes.GROUND
            elif y < 0:
                assert code == (codes.GROUND if TILES.get(level.rows[0][x], 0) >= codes.FIRST_SOLID else 0)
            elif y >= codes.HEIGHT:
                assert code == codes.EMPTY
            else:
                character = level.rows[y][x]
                mouth = character in "[]" and level.rows[y - 1][x] != character
                pole = x == flag_x and flag_y - codes.FLAG_HEIGHT < y <= flag_y
                expected = TILES.get(character, codes.EMPTY) - 2 * mouth
                assert code == (codes.FLAG if pole else expected)
                if character in "=?Mo":
                    changing.append(codes.USUAL.cell(x, y))
    assert tables.levels["num_slots"][1] == len(changing)
    assert tables.slot_cells[1].tolist() == changing + [0] * (codes.USUAL.slots - len(changing))
    assert tables.slots[1, changing].tolist() == list(range(len(changing)))
    assert np.delete(tables.slots[1], changing).max(initial=0) == 0

    things = tables.things[1]
    places = level.find("".join(THINGS))
    assert tables.levels["num_things"][1] == len(places)
    assert sorted(things["kind"][: len(places)]) == sorted(THINGS[c] for _, _, c in places)
    assert (np.diff(things["x"][: len(places)]) >= 0).all() and not things[len(places) :].view(np.uint8).any()
    for x, y, _ in level.find("M"):
        thing = things[tables.releases[1, tables.slots[1, codes.USUAL.cell(x, y)]] - 1]
        assert thing["kind"] == codes.IN_BLOCK
        assert (thing["x"] // codes.TILE, thing["y"] // codes.TILE) == (x, y + 1)
    assert np.count_nonzero(tables.releases[1]) == len(level.find("M"))

    start = level.find("@")[0]
    assert tuple(tables.levels[1][["start_x", "start_y"]]) == codes.player_start(*start[:2])
    assert tables.levels["flag_x"][1] == flag_x * codes.TILE + codes.TILE // 2
    for table, alone in zip(tables, build_pool([other]), strict=True):
        np.testing.assert_array_equal(table[:1], alone)


# ------------------------------------------------------------ the generator


def test_equal_arguments_draw_equal_levels():
    assert draw_level(0.3, 7).digest == draw_level(0.3, 7).digest
    drawn = {draw_level(d, s, a).digest for d in (0.3, 0.301, 0.9) for s in range(20) for a in range(3)}
    assert len(drawn) == 180
    # The same on every machine; another digest is another generator, and needs another version of the world.
    assert draw_level(0.3, 0).digest == "24a8ded131a5dee1745181244d8a4e34"


@pytest.mark.parametrize("difficulty", [0, 0.3, 1])
def test_levels_of_the_generator_are_within_bounds(difficulty):
    levels = [draw_level(difficulty, seed) for seed in range(200)]  # which are checked as files are
    widths = [level.width for level in levels]
    assert min(widths) >= 115 and max(widths) < 200
    assert any("^" in row for level in levels for row in level.rows)


@pytest.mark.slow
def test_harder_levels_have_more_of_what_is_hard():
    def mean(count):
        return [np.mean([count(draw_level(d, seed)) for seed in range(200)]) for d in (0, 0.5, 1)]

    pits = mean(lambda level: level.rows[-1].count("."))
    creatures = mean(lambda level: len(level.find("wetfp")))
    spikes = mean(lambda level: len(level.find("^")))
    for amounts in (pits, creatures, spikes):
        assert amounts[0] < amounts[1] < amounts[2]


def test_no_level_is_in_training_and_test():
    assert FIRST_SEED["train"] + MAX_POOL_SIZE <= FIRST_SEED["test"]
    train, test = (
        {draw_level(difficulty, FIRST_SEED[split] + k).digest for k in range(400) for difficulty in (0, 0.3)}
        for split in ("train", "test")
    )
    assert len(train) == len(test) == 800 and not train & test


# ------------------------------------------------------------ pools and their cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own, and how many levels were certified."""
    folders = SimpleNamespace(user_cache_dir=lambda name: str(tmp_path / name))
    monkeypatch.setattr(pool, "platformdirs", folders)
    monkeypatch.setattr(pool, "CERTIFIED", tmp_path / "nothing shipped")
    counts = []

    def counting(levels):
        counts.append(len(levels))
        return certify(levels)

    monkeypatch.setattr(pool, "certify", counting)
    return tmp_path, counts


def test_a_pool_is_certified_once(cache):
    folder, counts = cache
    first = load_pool("generated", 0.3, "train", 4)
    assert counts == [4] and all(level.par_time > 0 for level in first)
    again = load_pool("generated", 0.3, "train", 4)
    assert counts == [4] and again == first
    assert [level.par_time for level in again] == [level.par_time for level in first]

    more = load_pool("generated", 0.3, "train", 6)
    assert counts == [4, 2] and more[:4] == first
    assert load_pool("generated", 0.3, "train", 2) == first[:2] and counts == [4, 2]
    assert load_pool("generated", 0.3, "train", 6) == more and counts == [4, 2]
    assert load_pool("generated", 0.3, "test", 2) != first[:2] and counts == [4, 2, 2]
    assert load_pool("generated", 0.4, "train", 1) != first[:1] and counts == [4, 2, 2, 1]
    assert len(list(folder.rglob("*.json"))) == 3 and len(list(folder.rglob("*.*"))) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda notes: "",
        lambda notes: json.dumps(notes)[:-9],
        lambda notes: "[" * 100_000,
        lambda notes: "7",
        lambda notes: json.dumps([1, 2, 3]),
        lambda notes: json.dumps({"a": notes}),
        lambda notes: json.dumps([note[:2] for note in notes]),
        lambda notes: json.dumps([[note[0], 10**30, note[2]] for note in notes]),
        lambda notes: json.dumps([[-1, *note[1:]] for note in notes]),
        lambda notes: json.dumps([[note[0], True, note[2]] for note in notes]),
        lambda notes: json.dumps([[note[0], None, note[2]] for note in notes]),
        lambda notes: json.dumps([[*note[:2], "0" * 32] for note in notes]),
        lambda notes: b"\xff\xfe\x00".decode("latin-1"),
    ],
)
def test_a_damaged_cache_is_built_anew(cache, damage):
    folder, counts = cache
    first = load_pool("generated", 0.3, "train", 2)
    (file,) = folder.rglob("*.json")
    sound = file.read_bytes()
    file.write_text(damage(json.loads(sound)), encoding="latin-1")
    again = load_pool("generated", 0.3, "train", 2)
    assert counts == [2, 2] and again == first
    assert [level.par_time for level in again] == [level.par_time for level in first]
    assert file.read_bytes() == sound


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("count", [100, pytest.param(None, marks=pytest.mark.slow)])
def test_what_is_shipped_is_what_would_be_found(cache, split, count):
    """After a change of generator, physics or search: `python assets/draw_levels.py`."""
    shipped = json.loads((CERTIFIED / notes_name(0.3, split)).read_text())
    count = count or len(shipped)
    levels, notes = draw_certified(0.3, first_seed(split), count)
    assert [list(note) for note in notes] == shipped[:count]
    assert all(level.par_time > 0 for level in levels)


def test_levels_that_are_shipped_certified_are_not_searched(cache, monkeypatch):
    _, counts = cache
    found = load_pool("generated", 0.3, "train", 3)
    monkeypatch.setattr(pool, "CERTIFIED", CERTIFIED)
    assert [level.par_time for level in load_pool("generated", 0.3, "train", 64)[:3]] == [
        level.par_time for level in found
    ]
    assert counts == [3]


def test_without_a_place_for_the_cache_levels_are_certified_each_time(cache):
    folder, counts = cache
    (folder / "meze").write_text("a file where the folder should be")
    assert load_pool("generated", 0.3, "train", 2) == load_pool("generated", 0.3, "train", 2)
    assert counts == [2, 2]


def test_a_level_that_fails_is_drawn_again(cache, monkeypatch):
    """As if the first two attempts of every odd seed failed."""
    attempts = {draw_level(0.3, k, a).digest: (k, a) for k in range(4) for a in range(3)}

    def choosy(levels):
        places = [attempts[level.digest] for level in levels]
        return [0 if k % 2 and a < 2 else 100 + k for k, a in places]

    monkeypatch.setattr(pool, "certify", choosy)
    expected = [draw_level(0.3, k, 2 * (k % 2)) for k in range(4)]
    for _ in range(2):  # the second time from the cache
        levels = load_pool("generated", 0.3, "train", 4)
        assert levels == expected and [level.par_time for level in levels] == [100, 101, 102, 103]
    monkeypatch.setattr(pool, "certify", lambda levels: [0] * len(levels))
    with pytest.raises(ValueError, match="100 levels of difficulty 0.5 and seed 0 can't be cleared"):
        load_pool("generated", 0.5, "train", 1)


def test_shipped_levels_and_files(tmp_path):
    names = LEVELS.names()
    levels = load_pool("shipped", 0.3, "train", 1)
    assert tuple(level.name for level in levels) == names and len(names) >= 8
    assert all(level.par_time > 0 and level.title and level.idea for level in levels)
    assert len({level.digest for level in levels}) == len(names)
    assert load_pool(names[2], 0.3, "train", 1) == [levels[2]]
    path = tmp_path / "mine.txt"
    path.write_text(format_level(levels[1]))
    (mine,) = load_pool(str(path), 0.3, "train", 1)
    assert mine == levels[1] and (mine.name, mine.par_time) == ("mine", levels[1].par_time)


def test_a_level_of_ones_own_need_not_be_certified(tmp_path):
    path = tmp_path / "wall.txt"
    path.write_text(format_level(stage_level({(20, row): "#" for row in range(13)})))
    with pytest.warns(UserWarning, match="level 'wall' is not certified"):
        world = Platformer(PlatformerConfig(level=str(path)))
    assert world.levels[0].par_time == 0 and world.params().levels["par_time"].tolist() == [0]


@pytest.mark.slow
def test_on_the_command_line_the_warning_is_one_line(tmp_path):
    path = tmp_path / "wall.txt"
    path.write_text(format_level(stage_level({(20, row): "#" for row in range(13)})))
    words = ["evaluate", "platformer", "random", "--env.level", str(path), "--episodes", "1"]
    code = f"from meze.runners.cli import main; raise SystemExit(main({words}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [line for line in run.stderr.splitlines() if not line.startswith("Compiling")] == [
        "meze: warning: level 'wall' is not certified: no way to its flag was found among 5,000,000 states; "
        "it came to column 20 of 48"
    ]


@pytest.mark.parametrize(
    "settings, error",
    [
        (("01-runing", 0.3, "train", 1), "unknown level '01-runing'; did you mean '01-running'?"),
        (("xyz", 0.3, "train", 1), "unknown level 'xyz'; there are generated, shipped, 01-running, "),
        (("xyz.txt", 0.3, "train", 1), "xyz.txt: no such file or directory"),
        (("generated", 0.3, "train", 0), "pool_size must be from 1 to 4096, not 0"),
        (("generated", 0.3, "train", 4097), "pool_size must be from 1 to 4096, not 4097"),
    ],
)
def test_levels_that_there_are_not(settings, error):
    with pytest.raises(ValueError) as caught:
        load_pool(*settings)
    assert str(caught.value).startswith(error)


# ------------------------------------------------------------ how hard they are


def cleared(world: Platformer, levels, act, max_steps: int = 1024):
    """Plays an episode in each of some environments.

    Args:
        world: the world, with at least as many levels as `levels` names.
        levels: (N,) the level of each environment.
        act: `(records, step) -> (N,) actions`.
        max_steps: length of an episode at most.

    Returns:
        (N,) whether it got to the flag, and (N,) the greatest progress, 0 to 1.
    """
    envs = WorldVectorEnv(
        world, num_envs=len(levels), max_episode_steps=max_steps, autoreset_mode=AutoresetMode.DISABLED
    )
    envs.reset(seed=0, options={"level": np.asarray(levels)})
    clear, over, progress = np.zeros(len(levels), bool), np.zeros(len(levels), bool), np.zeros(len(levels))
    for step in range(max_steps):
        _, _, terminated, truncated, info = envs.step(act(envs.get_state(), step))
        clear |= info["clear"] & ~over
        progress = np.where(over, progress, np.maximum(progress, info["progress"]))
        ended = terminated | truncated
        over |= ended
        if over.all():
            break
        if ended.any():
            envs.reset(options={"reset_mask": ended})
    return clear, progress


def run_right_and_jump(records, step):
    """Holds right and run, and jumps as soon as it stands and has let go of the button."""
    return np.where(records["grounded"] & (records["jump_held"] > 0), 3, 4)


def at_random(seed: int, num_actions: int = 7):
    rng = np.random.default_rng(seed)
    return lambda records, step: rng.integers(0, num_actions, len(records))


@pytest.mark.slow
def test_the_scale_of_difficulty():
    count = 200
    rates = {}
    for difficulty in (0, 0.3, 0.6):
        world = Platformer(PlatformerConfig(difficulty=difficulty, pool_size=count, observation="index"))
        levels = np.arange(count)
        rates[difficulty] = [
            cleared(world, levels, act)[0].mean()
            for act in (run_right_and_jump, at_random(0), at_random(1, 5))
        ]
    assert rates[0.3][0] <= 0.2 and max(rates[0.3][1:]) <= 0.02
    assert rates[0][0] > rates[0.3][0] > rates[0.6][0]


def test_constant_actions_clear_no_shipped_level():
    world = Platformer(PlatformerConfig(level="shipped", actions="complex", observation="index"))
    levels, actions = (
        grid.ravel() for grid in np.meshgrid(np.arange(len(world.levels)), np.arange(12), indexing="ij")
    )
    clear, _ = cleared(world, levels, lambda records, step: actions)
    assert not clear.any()
    assert not cleared(world, np.arange(len(world.levels)), run_right_and_jump)[0].any()


def test_random_search_seldom_clears_the_first_level_and_evolution_soon_does():
    """Random: 1,000 episodes of independent actions. Evolution: fixed sequences, 3,000 episodes at most."""
    world = Platformer(PlatformerConfig(level="01-running", observation="index"))
    clear, progress = cleared(world, np.zeros(1000, int), at_random(0))
    assert clear.mean() < 0.1 and progress.mean() > 0.2

    rng = np.random.default_rng(0)
    population = rng.integers(0, 7, (200, 50))
    for _ in range(15):
        genes = population
        clear, progress = cleared(
            world, np.zeros(200, int), lambda records, step, genes=genes: genes[:, step // 4], 200
        )
        if clear.any():
            break
        parents = population[np.argsort(-progress)[rng.integers(0, 40, 200)]]
        mutated = rng.random(parents.shape) < 0.04
        population = np.where(mutated, rng.integers(0, 7, parents.shape), parents)
    assert clear.any()


@pytest.mark.slow
@pytest.mark.parametrize("difficulty", [0.3, 1])
def test_500_seeds_are_certified(cache, difficulty):
    levels = load_pool("generated", difficulty, "train", 500)
    times = np.array([level.par_time for level in levels])
    at_full_speed = np.array(
        [codes.TILE * (level.find("F")[0][0] - 3) // codes.RUN_SPEED for level in levels]
    )
    assert (times >= at_full_speed).all() and (times < 2 * at_full_speed).mean() > 0.95
    # Nearly all of them at the first attempt: the generator's pieces can be passed.
    assert sum(draw_level(difficulty, k) == level for k, level in enumerate(levels)) >= 480


# ------------------------------------------------------------ from easy to hard


def test_a_pool_to_train_on_may_go_from_easy_to_hard():
    world = Platformer(PlatformerConfig(difficulty=0.7, easiest=0.0, pool_size=17))
    difficulties = [level.difficulty for level in world.levels]
    assert difficulties == sorted(difficulties) and len(set(difficulties)) == STRATA == 8
    assert difficulties[0] == 0.0 and difficulties[-1] == round(0.7 * 1024) / 1024
    assert len({level.digest for level in world.levels}) == 17
    hardness, times = world.hardness(), [level.par_time for level in world.levels]
    assert sorted(hardness.tolist()) == list(range(17))
    order = np.argsort(hardness)
    assert [(difficulties[k], times[k]) for k in order] == sorted(zip(difficulties, times, strict=True))


def test_what_is_judged_is_as_hard_as_was_said():
    for split in ("test", 5):
        config = PlatformerConfig(difficulty=0.3, easiest=0.0, pool_size=3, split=split)
        assert Platformer(config).levels == load_pool("generated", 0.3, split, 3)


def test_the_easiest_is_not_harder_than_the_hardest():
    with pytest.raises(ValueError, match=r"easiest must lie between 0 and 0\.3, got 0\.5"):
        PlatformerConfig(easiest=0.5)


@pytest.mark.parametrize("easiest", [0.3, 0.2995, 0.297])
def test_difficulties_that_are_hardly_apart_make_no_copies(easiest):
    levels = load_pool("generated", 0.3, "train", 64, easiest)
    assert len({level.digest for level in levels}) == 64
    one = round(easiest * 1024) == round(0.3 * 1024)
    assert (levels == load_pool("generated", 0.3, "train", 64)) == one
    parts = strata(0.6, "train", 64, 0.0)
    assert [(round(hard, 9), count) for hard, _, count in parts] == [
        (round(0.6 * k / 7, 9), 8) for k in range(8)
    ]


def test_what_the_expert_does_not_clear_is_harder_than_all_else():
    levels = [replace(stage_level(), par_time=time) for time in (0, 900, 300)]
    assert Platformer(levels=levels).hardness().argsort().tolist() == [2, 1, 0]
