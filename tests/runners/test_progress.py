"""Long work shows that it goes on: in a terminal, and as lines in a file."""

import io
import re
import time

import pytest
import rich
from meze.envs.platformer.levels import LEVELS
from meze.envs.platformer.pool import certify
from meze.runners.run import progress
from meze.runners.run.progress import ProgressLine, Waiting
from rich.console import Console


def test_in_a_file_each_evaluation_is_a_line_and_the_end_is_told(capsys):
    with ProgressLine(100) as line:
        now = time.perf_counter()
        for done in range(0, 50, 10):
            line.update(done, now + done / 100)
        line.evaluated(50, {"eval_return": 1.5, "eval_success": 0.25})
        line.update(60, now + 60, 60)
        line.update(100, now + 61)
    first, second, last = capsys.readouterr().out.splitlines()
    assert first == "50 of 100 transitions evaluated: return 1.50, success 25 %"
    assert re.fullmatch(r"60 of 100 transitions, \d+ steps/s", second)
    assert last == "100 of 100 transitions"


def test_after_the_last_evaluation_nothing_is_told_again(capsys):
    with ProgressLine(100, unit="generations") as line:
        line.update(100, time.perf_counter())
        line.evaluated(100, {"eval_return": -2.0})
    assert capsys.readouterr().out == "100 of 100 generations evaluated: return -2.00\n"


def test_work_of_unknown_length_prints_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.05)
    began = time.perf_counter()
    with Waiting("fitting a \x1btree") as waiting:
        time.sleep(0.12)
        waiting.say("drawing")
        time.sleep(0.12)
    most = (time.perf_counter() - began) / 0.05
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"fitting a \\x1btree, for \d+ s now", lines[0])
    assert lines[-1].startswith("drawing, for ") and 2 <= len(lines) <= most
    with Waiting("a moment"):
        pass
    assert capsys.readouterr().out == ""


@pytest.fixture
def terminal(monkeypatch):
    """What is written to a terminal of 60 columns."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=60)
    monkeypatch.setattr(rich, "get_console", lambda: console)
    return written


def test_in_a_terminal_the_newest_evaluation_stands_there_with_its_time(terminal):
    with ProgressLine(1000) as line:
        now = time.perf_counter()
        line.update(500, now + 1)
        line.evaluated(500, {"eval_return": 3.0})
        with line.busy("evaluating"):
            line._bar.refresh()
            assert "evaluating" in terminal.getvalue()
        line.update(1000, now + 2)
        line.evaluated(1000, {"eval_return": -14.2, "eval_success": 0.359})
    last = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", terminal.getvalue()).splitlines()[-1]
    assert "100 %" in last and "evaluated at 1,000: return -14" in last


def test_in_a_terminal_a_worlds_own_bar_has_a_line_below_the_words(terminal):
    with Waiting("getting ready"):
        assert certify([LEVELS.find("01-running")])[0] > 0
    painted = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", terminal.getvalue()).split("\r")
    bars = [each for each in painted if "Certifying levels" in each]
    assert bars and all("getting ready\nCertifying" in each for each in bars), "one is painted over the other"


def test_in_a_terminal_waiting_moves(terminal):
    with Waiting("evaluating expert") as waiting:
        waiting.say("evaluating exact")
    assert "evaluating" in terminal.getvalue()
