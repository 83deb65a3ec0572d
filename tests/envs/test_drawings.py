"""Drawings and shelves of them: what is read, what is refused and where, and what a user may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from meze.envs.core import DrawingError, Shelf, first_seed, read_drawing

VALUES = {"question": "none", "speed": (0, 5, 2), "hears": (0, 1, 0.5)}
KNOWN = "`# name: value` has one of title, question, speed, hears"


def read(text: str, name: str = "mine.txt", **changes):
    settings = {"high": (1, 3), "wide": (2, 6), "values": VALUES, "blank": "."}
    return read_drawing(text, name, ".XS", **settings | changes)


def test_values_rows_and_their_lines():
    drawing = read("# title: A: b\n# hears: 1\n\n X X\n\n# speed: 3\r\nSX.  \n")
    assert drawing.title == "A: b"
    assert drawing.values == {"title": "A: b", "question": "none", "speed": 3, "hears": 1.0}
    assert [type(drawing.values[key]) for key in ("speed", "hears")] == [int, float]
    assert (drawing.rows, drawing.lines) == ((".X.X", "SX."), (4, 7))
    assert read("SX").title == "mine.txt" and read("SX", values=None).values == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ": there are to be 1 to 3 rows of 2 to 6 letters; here are 0 of 0"),
        ("X\nS", ": there are to be 1 to 3 rows of 2 to 6 letters; here are 2 of 1"),
        ("XS\nXXXXXXX", ": there are to be 1 to 3 rows of 2 to 6 letters; here are 2 of 7"),
        ("XS\n\nX.q", ", line 3, column 3: 'q' is none of .XS"),
        ("XS\n# colour: red", f", line 2: {KNOWN}; got # colour: red"),
        ("# speed 3\nXS", f", line 1: {KNOWN}; got # speed 3"),
        ("# speed: 6\nXS", ": speed is a whole number from 0 to 5; got 6"),
        ("# speed: 1.5\nXS", ": speed is a whole number from 0 to 5; got 1.5"),
        ("# speed: inf\nXS", ": speed is a whole number from 0 to 5; got inf"),
        ("# hears: nan\nXS", ": hears is a number from 0 to 1; got nan"),
        ("# hears: often\nXS", ": hears is a number from 0 to 1; got often"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_its_place(text, words):
    with pytest.raises(DrawingError) as caught:
        read(text)
    assert str(caught.value) == f"mine.txt{words}"


def test_without_a_letter_for_them_there_are_no_spaces():
    with pytest.raises(DrawingError, match="line 1, column 2: ' ' is none of .XS"):
        read("X S", blank=" ")


def test_whoever_reads_on_refuses_with_the_place():
    drawing = read("# title: t\nXS\n\nXX")
    with pytest.raises(DrawingError, match=r"^mine\.txt, line 4, column 2: no start$"):
        drawing.refuse("no start", 1, 1)
    with pytest.raises(DrawingError, match=r"^mine\.txt: no start$"):
        drawing.refuse("no start")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    folder = tmp_path / "shipped"
    folder.mkdir()
    for name in ("02-b.txt", "01-a.txt", "notes.md"):
        (folder / name).write_text("XS")
    return Shelf("toy", folder, read)


def ask(shelf: Shelf, choice: str) -> list[str]:
    return [each.name for each in shelf.load(choice, lambda seed: read("SX", f"toy-{seed}"), "test", 2)]


def test_a_shelf_has_what_is_asked_for(shelf, tmp_path, monkeypatch):
    first = first_seed("test")
    assert shelf.names() == ("01-a", "02-b")
    assert ask(shelf, "generated") == [f"toy-{first}", f"toy-{first + 1}"]
    assert ask(shelf, "shipped") == ["01-a", "02-b"] and ask(shelf, "02-b") == ["02-b"]
    path = tmp_path / "mine.txt"
    path.write_text("SS")
    assert ask(shelf, str(path)) == ["mine"] and shelf.read(path).rows == ("SS",)
    monkeypatch.chdir(tmp_path)
    assert ask(shelf, "mine.txt") == ask(shelf, "mine") == ["mine"]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("01-b", "unknown toy '01-b'; did you mean '0"),
        ("zzz", "unknown toy 'zzz'; there are generated, shipped, 01-a, 02-b, or the path of a toy file"),
        ("none.txt", "none.txt: no such file or directory"),
        ("of/none", "of/none: no such file or directory"),
        ("wrong.txt", "wrong.txt, line 1, column 2: '?' is none of .XS"),
        ("large.txt", "large.txt: the file is too big for a toy"),
        ("folder", "folder: is a directory"),
    ],
)
def test_what_a_shelf_does_not_have(shelf, tmp_path, monkeypatch, choice, words):
    monkeypatch.chdir(tmp_path)
    Path("wrong.txt").write_text("X?")
    Path("large.txt").write_text("X" * 8193)
    Path("folder").mkdir()
    with pytest.raises(DrawingError) as caught:
        ask(shelf, choice)
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)


def test_errors_are_of_the_class_that_a_shelf_names(tmp_path):
    class ToyError(ValueError):
        pass

    shelf = Shelf("toy", tmp_path, read, 4, ToyError)
    (tmp_path / "large.txt").write_text("XXXXX")
    for choice in ("large", "none", "none.txt"):
        with pytest.raises(ToyError):
            shelf.find(choice)
