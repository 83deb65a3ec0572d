"""Levels of others: each letter of both formats, what is left out, and sets that are parted by content."""

from collections import Counter
from types import SimpleNamespace

import pytest
from meze.envs.core.splits import CHOOSING, FIRST_SEED
from meze.envs.platformer import corpora, mending, pool
from meze.envs.platformer.corpora import FORMATS, read_collection, read_foreign
from meze.envs.platformer.levels import Level, LevelError, format_level, parse_level
from meze.envs.platformer.pool import load_pool
from meze.envs.platformer.sets import UNSEEN_SHARE, part, read_set, write_levels
from platformer_stage import draw_level

VGLC, MARIO_AI = FORMATS["vglc"], FORMATS["mario-ai"]
WIDTH = 40


def foreign(form, changes=None, width=WIDTH) -> str:
    """A level of theirs: two rows of ground, and what stands where it is told, by column and our row."""
    rows = [["-"] * width for _ in range(form.rows - 2)] + [["X"] * width for _ in range(2)]
    for (column, row), letters in (changes or {}).items():
        rows[row + form.rows - 15][column : column + len(letters)] = letters
    return "\n".join(map("".join, rows)) + "\n"


def read(form, changes=None, width=WIDTH) -> tuple[Level, Counter]:
    return read_foreign(foreign(form, changes, width), "theirs.txt", form)


# What stands alone in the air, two rows above the ground, and becomes one of our letters.
LONELY = [
    *((VGLC, theirs, ours) for theirs, ours in zip("-XSE?QoBb", ".#=w?uo##", strict=True)),
    *((MARIO_AI, theirs, ours) for theirs, ours in zip("-XSEo#%|*Bb", ".#=wo#_.###", strict=True)),
    *((MARIO_AI, theirs, ours) for theirs, ours in zip("?@!Q12DCUL", "MM??Iiucmm", strict=True)),
    *((MARIO_AI, theirs, ours) for theirs, ours in zip("gGkKrRyY", "wWtTefhH", strict=True)),
]
LOST = {
    (14, "B"): corpora.BULLETS,
    (16, "B"): corpora.BULLETS,
    (16, "*"): corpora.BULLETS,
    (16, "|"): corpora.BACKGROUND,
    (16, "1"): corpora.LIFE,
    (16, "L"): corpora.LIFE,
    (16, "r"): corpora.SHELL,
    (16, "R"): corpora.FEET,
}


@pytest.mark.parametrize("form, theirs, ours", LONELY)
def test_a_letter_becomes_one_of_ours(form, theirs, ours):
    level, lost = read(form, {(20, 10): theirs})
    assert level.at(20, 10) == ours
    what = LOST.get((form.rows, theirs))
    assert lost == ({what: 1} if what else {})


def test_there_is_no_letter_besides():
    pipes_and_ends = {14: set("<>[]"), 16: set("<>[]tTMF")}
    for form in FORMATS.values():
        told = {theirs for each, theirs, _ in LONELY if each is form}
        assert told | pipes_and_ends[form.rows] == set(form.letters)


def test_the_rows_keep_their_places():
    for form in FORMATS.values():
        level, _ = read(form, {(5, 5): "X", (6, 1): "o"})
        assert level.at(5, 5) == "#" and level.at(6, 1) == "o" and level.rows[14] == "#" * WIDTH
    assert read(VGLC)[0].rows[0] == "." * WIDTH
    level, lost = read(MARIO_AI, {(7, -1): "XX-g", (7, 0): "o"})
    assert level.at(7, 0) == "o" and lost == {corpora.TOP_ROW: 3}


# ------------------------------------------------------------ pipes


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_pipes_stand_and_hang(form):
    level, lost = read(form, {(8, 11): "<>", (8, 12): "[]", (20, 5): "XX", (20, 6): "[]", (20, 7): "<>"})
    assert [level.at(x, y) for y in (11, 12) for x in (8, 9)] == ["[", "]"] * 2
    assert [level.at(x, y) for y in (6, 7) for x in (20, 21)] == ["[", "]"] * 2 and not lost


def test_pipes_of_one_letter_are_parted_and_have_their_plants():
    level, lost = read(MARIO_AI, {(8, 11): "Tt", (8, 12): "tt", (20, 12): "tttt", (30, 12): "TTTT"})
    assert level.rows[11][8:10] == level.rows[12][8:10] == "[]" and level.rows[10][8:10] == "p."
    assert level.rows[12][20:24] == level.rows[12][30:34] == "[][]"
    assert level.rows[11][30:34] == "p.p." and len(level.find("p")) == 3 and not lost


@pytest.mark.parametrize(
    "form, changes, count, plants",
    [
        (VGLC, {(8, 12): "<"}, 1, 0),
        (VGLC, {(8, 12): ">"}, 1, 0),
        (VGLC, {(8, 8): "<>"}, 2, 0),  # held by nothing
        (VGLC, {(8, 11): "<-", (8, 12): "[]"}, 1, 0),
        (MARIO_AI, {(8, 12): "T"}, 1, 1),
        (MARIO_AI, {(8, 12): "Tt", (8, 11): "o"}, 0, 1),  # no room for the plant
    ],
)
def test_what_is_no_pipe_becomes_ground_and_is_counted(form, changes, count, plants):
    level, lost = read(form, changes)
    places = [place for place in changes for letter in changes[place]]
    assert lost == +Counter({mending.PIPES: count, mending.PLANTS: plants})
    assert sum(level.at(x + k, y) == "#" for x, y in {*places} for k in (0, 1)) == count
    assert not level.find("p")


# ------------------------------------------------------------ start and flag


def test_a_start_and_a_flag_of_their_own():
    level, lost = read(MARIO_AI, {(4, 9): "M", (5, 9): "X", (30, 12): "F", (30, 8): "S"})
    assert level.find("@F") == [(4, 9, "@"), (30, 12, "F")] and level.at(30, 8) == "."
    assert lost == {mending.POLE: 1}


def test_where_none_is_named_they_stand_at_both_ends():
    assert read(VGLC)[0].find("@F") == [(0, 12, "@"), (WIDTH - 1, 12, "F")]
    wall = {(0, row): "X" for row in range(2, 13)}
    level, lost = read(VGLC, wall | {(WIDTH - 1, 12): "X", (WIDTH - 1, 6): "S"})
    assert level.find("@F") == [(1, 12, "@"), (WIDTH - 1, 11, "F")]
    assert lost == {mending.POLE: 1}
    pits = {(column, row): "-" for column in (0, 1, WIDTH - 1) for row in (13, 14)}
    assert read(VGLC, pits)[0].find("@F") == [(2, 12, "@"), (WIDTH - 2, 12, "F")]
    floor = {(0, 13): "-" * WIDTH, (0, 14): "%" * WIDTH}
    assert read(MARIO_AI, floor)[0].find("@F") == [(0, 13, "@"), (WIDTH - 1, 13, "F")]


# ------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "form, changes, error",
    [
        (VGLC, {(20, 10): "z"}, "line 10, column 21: unknown character 'z'"),
        (MARIO_AI, {(20, 10): "\t"}, "line 12, column 21: unknown character '\\t'"),
        (MARIO_AI, {(3, 12): "MM"}, "line 14, column 5: second start '@'"),
        (MARIO_AI, {(30, 12): "M", (9, 12): "F"}, "line 14, column 10: the flag is not to the right of"),
        (VGLC, {(0, row): "-" * WIDTH for row in (13, 14)}, ": no ground on which a start could stand"),
        (MARIO_AI, {(0, row): "U" * WIDTH for row in (4, 5)}, "line 6, column 33: 78 creatures"),
    ],
)  # fmt: skip
def test_errors_name_the_place_in_the_file(form, changes, error):
    with pytest.raises(LevelError) as caught:
        read(form, changes)
    assert str(caught.value).startswith("theirs.txt") and error in str(caught.value)
    assert "\n" not in str(caught.value)


def test_creatures_for_which_there_is_no_room_are_counted():
    level, lost = read(MARIO_AI, {(1, row): letters * 38 for row, letters in ((4, "g"), (6, "U"))})
    assert lost == {mending.CROWD: 2 * 38 - 64}
    assert level.rows[4] == "." + "w" * 26 + "." * 13 and level.rows[6] == ".".join(("", "m" * 38, ""))
    assert not read(VGLC, {(1, row): "E" * 32 for row in (4, 6)})[1]


@pytest.mark.parametrize(
    "form, changes, count",
    [
        (MARIO_AI, {(8, row): "*" for row in (10, 11, 12)}, 1),
        (MARIO_AI, {(8, 10): "B", (8, 11): "b", (8, 12): "*"}, 1),
        (MARIO_AI, {(8, 10): "**", (8, 11): "-*", (8, 12): "**"}, 3),
        (MARIO_AI, {(8, 9): "B", (8, 10): "b", (8, 11): "B", (8, 12): "b"}, 2),
        (MARIO_AI, {(8, -1): "*", (8, 0): "*"}, 1),
        (VGLC, {(8, 10): "B", (8, 11): "b", (8, 12): "b", (9, 12): "B"}, 2),
    ],
)
def test_a_launcher_is_counted_once(form, changes, count):
    lost = read(form, changes)[1]
    assert lost[corpora.BULLETS] == count and set(lost) <= {corpora.BULLETS, corpora.TOP_ROW}


def test_rows_that_are_ragged_or_missing():
    rows = foreign(VGLC).splitlines()
    for text, error in (
        (
            "\n".join([*rows[:5], rows[5][:-3], *rows[6:]]),
            "line 6, column 38: 37 columns in this line, 40 in",
        ),
        ("\n".join(rows[1:]), "line 1: 13 rows; a level has 14"),
        ("\n".join(row[:20] for row in rows), "line 1: 20 columns; a level has 32 to 512"),
        ("", "line 1: 0 columns; a level has 32 to 512"),
    ):
        with pytest.raises(LevelError) as caught:
            read_foreign(text, "theirs.txt", VGLC)
        assert str(caught.value).startswith("theirs.txt, " + error)
    assert read_foreign("\r\n".join(rows) + "\r\n\r\n", "theirs.txt", VGLC)[0].width == WIDTH


# ------------------------------------------------------------ collections and sets


def test_a_folder_is_read_by_name_and_copies_are_left_out(tmp_path):
    for name, column in (("b", 9), ("a", 5), ("c", 9)):
        (tmp_path / f"{name}.txt").write_text(foreign(VGLC, {(column, 9): "S"}))
    (tmp_path / "notes.md").write_text("no level")
    levels, lost = read_collection(tmp_path, "vglc")
    assert [level.name for level in levels] == ["a", "b"] and lost == {corpora.COPIES: 1}
    alone, _ = read_collection(tmp_path / "b.txt", "vglc")
    assert alone == levels[1:]
    for path, error in (
        (tmp_path / "none.txt", "no such file"),
        (tmp_path / "empty", "0 files that end in .txt"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(LevelError, match=error):
            read_collection(path, "vglc")


def write_set(folder, levels) -> None:
    folder.mkdir()
    write_levels(folder, levels)
    (folder / "report.json").write_text("{}")


def levels_of_a_set(count: int) -> list[Level]:
    return [Level(f"{k:03}", draw_level({(4 + k % 30, 3 + k // 30): "o"}).rows) for k in range(count)]


def test_content_alone_parts_a_set():
    levels = levels_of_a_set(200)
    parts = part(levels)
    assert 20 < len(parts["test"]) < 60 and len(parts["train"]) + len(parts["test"]) == 200
    for level in levels:
        assert (level in parts["test"]) == (int(level.digest, 16) % UNSEEN_SHARE == 0)
    smaller = part(levels[::-3])
    assert set(smaller["test"]) <= set(parts["test"]) and set(smaller["train"]) <= set(parts["train"])


@pytest.mark.parametrize("part_of_all", ["train", "test"])
def test_two_levels_are_parted_whatever_they_are(part_of_all):
    two = part(levels_of_a_set(60))[part_of_all][:2]
    assert len(two) == 2 and sorted(map(len, part(two).values())) == [1, 1]
    assert part(two) == {name: each for name, each in part(two[::-1]).items()}


def test_a_set_is_what_was_written_and_its_parts_are_disjoint(tmp_path):
    levels = levels_of_a_set(20)
    write_set(tmp_path / "mine", levels)
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {
        "report.json",
        *(f"{level.name}.txt" for level in levels),
    }
    for level in levels:
        assert (tmp_path / "mine" / f"{level.name}.txt").read_text() == format_level(level)
    train, test = (read_set(tmp_path / "mine", split) for split in ("train", "test"))
    assert not set(train) & set(test) and set(train) | set(test) == set(levels)
    assert read_set(tmp_path / "mine", FIRST_SEED["test"] + 7) == test
    assert read_set(tmp_path / "mine", 7) == train
    assert read_set(tmp_path / "mine", CHOOSING.start) == train  # sets are small
    assert read_set(tmp_path / "mine", 2 * FIRST_SEED["test"]) == test


def test_a_set_is_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "there").touch()
    with pytest.raises(OSError):
        write_set(tmp_path / "mine", levels_of_a_set(3))
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "there"]


def test_a_pool_of_a_set_is_certified_and_told_in_one_warning(tmp_path, monkeypatch):
    folders = SimpleNamespace(user_cache_dir=lambda _: str(tmp_path / "cache"))
    monkeypatch.setattr(pool, "platformdirs", folders)
    pits = [draw_level({(k, 12): "o"}, pits=range(4 + k, 40)) for k in range(3, 9)]  # a short search tells
    levels = [*levels_of_a_set(8), *(Level(f"pit-{k}", level.rows) for k, level in enumerate(pits))]
    write_set(tmp_path / "mine", levels)
    for split in ("train", "train", "test"):
        failing = [level for level in part(levels)[split] if level.name.startswith("pit")]
        assert len(failing) != 1
        with pytest.warns(UserWarning) as said:
            found = load_pool(str(tmp_path / "mine"), 0.3, split, 1)
        (warning,) = said
        words = (
            f"level '{failing[0].name}' is not certified, nor are {len(failing) - 1} others of {len(found)}: "
        )
        assert str(warning.message).startswith(words) and "it came to column" in str(warning.message)
        assert [level.par_time > 0 for level in found] == [level not in failing for level in found]


@pytest.mark.parametrize("files", [1, 2])
def test_one_level_is_no_set(tmp_path, files):
    for k in range(files):
        (tmp_path / f"{k}.txt").write_text(format_level(draw_level()))
    with pytest.raises(
        LevelError, match="one level can't be parted into train and test; alone it is .*0.txt"
    ):
        load_pool(str(tmp_path), 0.3, "train", 1)


def test_a_faulty_file_of_a_set_is_named(tmp_path):
    write_set(tmp_path / "mine", levels_of_a_set(3))
    (tmp_path / "mine" / "bad.txt").write_text("title: bad\n\n...")
    with pytest.raises(LevelError, match="bad.txt, line 3"):
        load_pool(str(tmp_path / "mine"), 0.3, "train", 1)


def test_what_is_read_can_be_written_and_read(tmp_path):
    level, _ = read(MARIO_AI, {(8, 11): "Tt", (8, 12): "tt", (14, 9): "C2U1", (20, 12): "y", (25, 8): "%%%"})
    assert parse_level(format_level(level), "again") == level
