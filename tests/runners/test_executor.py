"""Who runs tasks: when they are made, what is told of them, and that they stop saved."""

import os
import textwrap
import time

import pytest
from meze.runners.run.executor import Processes, Task

CHILD = """
    import os, signal, sys, time
    from pathlib import Path
    from meze.runners.run.executor import Stopped, serve

    def main(words, stop):
        what, path = words
        Path(path).touch()
        if what == "fail":
            raise ValueError("it is broken")
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "wait":
            assert stop.wait(60)
            Path(path).write_text("saved")
            raise Stopped

    serve(main)
"""


@pytest.fixture
def task(tmp_path, monkeypatch):
    """Makes tasks of a module that is only there for this test."""
    (tmp_path / "some_task.py").write_text(textwrap.dedent(CHILD))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    def make(what, name):
        return Task(name, "some_task", (what, str(tmp_path / name)), tmp_path / f"{name}.log")

    return make


def test_a_task_is_made_of_what_the_last_ones_came_to(task):
    told = []

    def tasks():
        yield task("do", "first")
        while len(told) < 3:
            yield task("do", f"after-{told[-1]}")

    with Processes(1).running(tasks()) as ended:
        for each, reason in ended:
            assert not reason
            told.append(each.name)
    assert told == ["first", "after-first", "after-after-first"]


def test_why_a_task_failed_is_told_and_the_others_go_on(task):
    tasks = [task("fail", "a"), task("die", "b"), task("do", "c")]
    with Processes(2).running(tasks) as ended:
        assert {each.name: reason for each, reason in ended} == {
            "a": "it is broken",
            "b": "killed by signal 9",
            "c": "",
        }


def test_an_interruption_asks_all_to_save(task, tmp_path):
    def begun():
        return [(tmp_path / name).exists() for name in ("a", "b", "c")]

    with pytest.raises(KeyboardInterrupt):
        with Processes(3).running([task("wait", "a"), task("wait", "b"), task("do", "c")]) as ended:
            for each, _ in ended:
                assert each.name == "c"
                while not all(begun()):
                    time.sleep(0.01)
                raise KeyboardInterrupt
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == "saved"
