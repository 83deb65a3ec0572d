"""Environments of others: named by module, one after another or in processes, trained, resumed, evaluated."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gymnasium.vector import AutoresetMode
from meze.runners import cli
from meze.runners.setup import workers
from meze.runners.setup.resolve import find_environment, make_vector
from run_files import assert_same_end, final, only_run

WALK = "foreign_env:Foreign/Walk-v0"
CLI = "import sys; from meze.runners.cli import main; sys.exit(main(sys.argv[1:]))"


def train(out: Path, *flags: str) -> Path:
    size = ["--steps", "600", "--num-envs", "4", "--eval-episodes", "4", "--out", str(out)]
    assert cli.main(["train", "q-learning", "--env", WALK, *size, *flags]) == 0
    assert not multiprocessing.active_children()
    return only_run(out)


def test_no_request_makes_more_processes_than_a_machine_bears(monkeypatch) -> None:
    made = []
    monkeypatch.setattr(workers, "WorkerVectorEnv", lambda *args: made.append(args))  # which makes none
    walk = find_environment(WALK)
    with pytest.raises(ValueError, match="a process of its own: 1,024 at most; got 1,025"):
        make_vector(walk, walk.config(), 1025, AutoresetMode.SAME_STEP, vectorization="async")
    assert not made


@pytest.mark.slow
def test_processes_change_nothing_and_runs_go_on(tmp_path, capsys) -> None:
    sync, other = train(tmp_path / "sync"), train(tmp_path / "async", "--vectorization", "async")
    assert_same_end(sync, other)
    assert json.loads((other / "config.json").read_text())["run"]["vectorization"] == "async"
    assert f"watch it:   meze watch {other} --env {WALK}" in capsys.readouterr().out

    assert cli.main(["train", "--resume", str(other), "--steps", "800"]) == 2  # no file says what to import
    assert "name it on the command line" in capsys.readouterr().err
    assert cli.main(["train", "--resume", str(other), "--steps", "800", "--env", WALK]) == 0
    assert cli.main(["train", "q-learning", WALK, "--resume", str(sync), "--steps", "800"]) == 0
    assert_same_end(sync, other)
    assert "can't save its state: new episodes begin" in capsys.readouterr().out

    found = []
    for flags in ([], ["--vectorization", "async"]):
        names = [str(other), "random", "--env", WALK]
        assert cli.main(["evaluate", *names, "--episodes", "8", "--json", *flags]) == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    "line",
    [
        "train q-learning corridor --vectorization async",
        "evaluate corridor random --vectorization async",
        "collect corridor --vectorization async",
    ],
)
def test_native_worlds_take_no_processes(line, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split()) == 2
    assert "toy/Corridor-v0 is one compiled batch" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:.*ERROR:UserWarning")  # gymnasium tells the traceback of the process
def test_what_an_environment_raises_ends_all_processes(tmp_path, capsys) -> None:
    with pytest.raises(RuntimeError, match="the walk is closed"):
        train(tmp_path, "--vectorization", "async", "--env.raises-after", "40")
    assert not multiprocessing.active_children()


def test_a_process_that_died_is_told(tmp_path, capsys) -> None:
    size = ["--steps", "600", "--num-envs", "2", "--eval-episodes", "2", "--out", str(tmp_path)]
    flags = ["--vectorization", "async", "--env.dies-after", "40"]
    assert cli.main(["train", "q-learning", WALK, *size, *flags]) == 2
    assert "process has ended by itself (exit codes: [9])" in capsys.readouterr().err
    assert not multiprocessing.active_children()


@pytest.mark.slow
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_leaves_no_process_behind(tmp_path, presses) -> None:
    flags = [
        "--vectorization",
        "async",
        "--env.delay",
        "0.01" if presses == 1 else "1.5",
        "--steps",
        "100000",
    ]
    flags += ["--num-envs", "2", "--eval-episodes", "2", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", CLI, "train", "q-learning", WALK, *flags],
        cwd=Path(__file__).parent,  # where modules that are named are looked for, too
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(tmp_path.glob("*/*/*/config.json")):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(2.0)  # now it trains
    for _ in range(presses):
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to every process
        time.sleep(0.3)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    if presses == 1:
        run = only_run(tmp_path)
        assert f"meze train --resume {run} --env {WALK}" in out and final(run)["step"] > 0


def test_env_stands_for_the_name(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = {
        "evaluate random expert --env corridor --episodes 4 --json": "toy/Corridor-v0",
        "evaluate --env=corridor random --env.slip 0 --episodes 4 --json": "toy/Corridor-v0",
        "envs --env corridor --json": "corridor",
        "watch random --env corridor --steps 2 --record out.gif": "out.gif",
        "collect --env corridor --steps 8 --num-envs 2 --policies random": "corridor-s0",
    }
    for line, words in wanted.items():
        assert cli.main(line.split()) == 0, line
        assert words in capsys.readouterr().out
    for line, words in {
        "train q-learning --env": "--env needs a value",
        "train q-learning corridor --env corridor": "usage",
        "play --env corridr": "did you mean 'corridor'?",
        "train q-learning --env.slip 3": "usage",
        "bench --env Taxi-v4": "not one of the project's worlds",
        "compare --env corridr --agents random": "did you mean 'corridor'?",
        "features --env corridr": "did you mean 'corridor'?",
    }.items():
        assert cli.main(line.split()) == 2, line
        assert words in capsys.readouterr().err
