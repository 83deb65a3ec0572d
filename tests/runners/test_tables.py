"""Tables in the terminal keep their names whole, whatever its width."""

import pytest
from meze.runners.reporting.scores import print_table
from meze.runners.reporting.statistics import statistics
from meze.runners.reporting.tables import print_rows

COLUMNS = ["agent", "score", "success", "harm"]
ROWS = [["double-q-learning", "-31.0\n-33.4..-28.7", "54.0 %", "0.52"], ["expert", "10.6", "100.0 %", "0.00"]]


@pytest.mark.parametrize(("width", "shown"), [(80, 4), (60, 4), (48, 4), (47, 3), (40, 2), (33, 2)], ids=str)
def test_columns_for_which_there_is_no_room_are_left_out_whole(width, shown, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_rows("A title", COLUMNS, ROWS, ["A note."])
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= width
    head = said.splitlines()[3].split()
    assert head == COLUMNS[:shown]
    table = said.split("No room")[0]
    for number, column in enumerate(zip(*ROWS, strict=True)):
        for line in "\n".join(column).split("\n"):
            assert (line in table) == (number < shown), "whole or not at all"
    words = " ".join(said.split())
    assert ("No room for: " + ", ".join(COLUMNS[shown:]) + "." in words) == (shown < 4)
    assert words.endswith("A note.")


def test_a_name_longer_than_the_terminal_is_folded_beside_its_first_number(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    print_rows("A title", COLUMNS, [["q-learning:pca+kmeans-of-a-long-name", "12.5", "-", "-"]])
    said = capsys.readouterr().out
    assert "12.5" in said and "success" not in said.split("No room")[0]
    first = "".join(line.split()[0] for line in said.splitlines()[5:8] if line.split())
    assert first.startswith("q-learning:pca+kmeans-of-a-long-name")


def test_scores_are_shown_by_what_matters_most_and_with_a_note(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    measures = dict.fromkeys(("length", "cost", "success", "return"), statistics([0.25, 0.75]))
    print_table("A title", {"double-q-learning": measures}, "Settings: pool size 4.")
    said = capsys.readouterr().out
    assert said.splitlines()[3].split() == ["agent", "return", "IQM", "success", "harm"]
    assert "double-q-learning" in said and "No room for: length." in said and "Settings: pool size 4." in said
