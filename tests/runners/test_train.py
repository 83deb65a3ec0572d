"""Training: what a run leaves behind, and that stopping it in any way changes nothing."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import meze
import numpy as np
import pytest
from meze.agents import checkpoint
from meze.runners import cli
from meze.runners.run.folder import RunDir
from meze.runners.run.rollout import Rollout
from meze.runners.setup.files import held
from meze.runners.setup.interrupts import INTERRUPTED
from run_files import assert_same_end, final, kill_and_resume, only_run, rows


@pytest.mark.parametrize("agent", ["q-learning", "sarsa", "expected-sarsa", "double-q-learning"])
def test_a_run(agent, tmp_path, capsys) -> None:
    assert cli.main(["train", agent, "corridor", "--seed", "3", "--out", str(tmp_path)]) == 0
    run = only_run(tmp_path)
    assert run.parent == tmp_path / "corridor" / agent and run.name.endswith("-s3")
    config = json.loads((run / "config.json").read_text())
    assert config["format"] == 1 and config["agent"]["name"] == agent and config["run"]["steps"] == 4096
    assert config["env"] == {"id": "toy/Corridor-v0", "config": {"observation": "index", "slip": 256}}
    assert config["agent"]["config"]["gamma"] == 0.9  # as the world's table for q-learning says
    scores = json.loads((run / "evaluation.json").read_text())["scores"]
    assert set(scores) == {agent, "random", "expert"}
    assert scores["random"]["return"]["mean"] < scores[agent]["return"]["mean"]
    assert len(list((run / "checkpoints").iterdir())) == 10
    assert [int(row["step"]) for row in rows(run)][-1] == 4096
    said = capsys.readouterr().out
    assert f"meze watch {run}" in said and "expert" in said

    policy, env = meze.load(run, num_envs=3)
    obs, info = env.reset(seed=0)
    actions, _ = policy.act(obs, explore=False, mask=info["action_mask"])
    assert actions.shape == (3,)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "flags"), [("corridor", []), ("city", ["--env.pool-size", "2", "--env.ambulance", "0.1"])]
)
def test_killed_and_resumed_equals_never_stopped(env, flags, tmp_path) -> None:
    args = ["train", "sarsa", env, "--steps", "200_000", "--num-envs", "16", "--eval-episodes", "16", *flags]
    args += ["--checkpoint-every", "3000", "--eval-every", "20_000", "--agent.exploration.end", "0.2"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert cli.main([*args, "--out", str(whole)]) == 0

    run, left = kill_and_resume([*args, "--out", str(broken)], broken, after=(0, 9, 30))
    assert left < 60  # far from the end
    with open(run / "metrics.csv", "a", encoding="utf-8") as file:
        file.write("12")  # a line that was being written
    assert cli.main(["train", "--resume", str(run)]) == 0
    assert_same_end(run, only_run(whole))


def test_ctrl_c_saves_and_exits(tmp_path, monkeypatch, capsys) -> None:
    args = ["train", "double-q-learning", "corridor"]
    assert cli.main([*args, "--out", str(tmp_path / "whole")]) == 0
    step, taken = Rollout.step, []

    def interrupted(self):
        taken.append(0)
        if len(taken) == 50:
            signal.raise_signal(signal.SIGINT)
        return step(self)

    monkeypatch.setattr(Rollout, "step", interrupted)
    assert cli.main([*args, "--out", str(tmp_path / "stopped")]) == INTERRUPTED
    run = only_run(tmp_path / "stopped")
    assert f"meze train --resume {run}" in capsys.readouterr().out
    assert final(run)["step"] in (50 * 32, 51 * 32)
    assert not (run / "evaluation.json").exists()
    assert cli.main(["train", "--resume", str(run)]) == 0
    a, b = final(run), final(only_run(tmp_path / "whole"))
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_a_foreign_run_resumes_and_says_what_differs(tmp_path, capsys) -> None:
    args = [
        "train",
        "q-learning",
        "FrozenLake-v1",
        "--steps",
        "400",
        "--num-envs",
        "4",
        "--eval-episodes",
        "4",
    ]
    assert cli.main([*args, "--out", str(tmp_path), "--env.no-is-slippery"]) == 0
    run = only_run(tmp_path)
    assert json.loads((run / "config.json").read_text())["env"]["config"]["is_slippery"] is False
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(run), "--steps", "800"]) == 0
    assert "otherwise than one that was never stopped" in capsys.readouterr().out
    assert final(run)["step"] == 800 and final(run)["learner.steps"] == 800
    assert json.loads((run / "config.json").read_text())["run"]["steps"] == 800  # for the next time


def test_a_run_whose_states_were_laid_out_otherwise_goes_on_with_new_episodes(tmp_path, capsys) -> None:
    args = ["train", "q-learning", "corridor", "--steps", "400", "--num-envs", "4", "--eval-episodes", "4"]
    assert cli.main([*args, "--out", str(tmp_path)]) == 0
    run = only_run(tmp_path)
    for path in run.glob("checkpoints/*.safetensors"):
        state = checkpoint.load(path)
        layout = state["rollout.records"].dtype
        wider = [(name, np.int64 if name == "cell" else layout[name]) for name in layout.names]
        state["rollout.records"] = state["rollout.records"].astype(wider)
        checkpoint.save(path, state)
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(run), "--steps", "800"]) == 0
    assert "lays them out otherwise" in capsys.readouterr().out
    assert final(run)["step"] == 800


def test_a_full_disk_leaves_earlier_checkpoints(tmp_path, monkeypatch, capsys) -> None:
    replace, count = os.replace, []

    def full(source, target):
        if str(target).endswith(".safetensors"):
            count.append(target)
            if len(count) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    assert cli.main(["train", "q-learning", "corridor", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("meze: error: ") and said.count("\n") == 1 and "No space left" in said
    checkpoints = sorted((only_run(tmp_path) / "checkpoints").iterdir())
    assert [path.name for path in checkpoints] == [Path(count[0]).name, Path(count[1]).name]
    monkeypatch.undo()
    assert all("learner.q" in checkpoint.load(path) for path in checkpoints)
    assert cli.main(["train", "--resume", str(only_run(tmp_path))]) == 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert cli.main(["train", "q-learning", "corridor", "--out", str(out)]) == 0
    return only_run(out)


def damaged(finished: Path, folder: Path, name: str, change) -> Path:
    """A copy of the run in which one file was changed."""
    copy = folder / "run"
    (copy / "checkpoints").mkdir(parents=True)
    for path in finished.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(finished)).write_bytes(path.read_bytes())
    target = max(copy.glob(name))
    target.write_bytes(change(target.read_bytes()))
    return copy


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("config.json", lambda data: data.replace(b'"format": 1', b'"format": 99'), "newer version"),
        ("config.json", lambda data: data[:50], "not JSON"),
        ("config.json", lambda data: b"[]", "not a run's configuration"),
        ("config.json", lambda data: b'{"format": 1}', "cut short or altered"),
        ("config.json", lambda data: data.replace(b"toy/Corridor-v0", b"toy/Corridor-v9"), "Corridor"),
        ("config.json", lambda data: data.replace(b"toy/Corridor-v0", b"os:toy/Corridor-v0"), "command line"),
        ("config.json", lambda data: data.replace(b"q-learning", b"q-lerning"), "did you mean 'q-learning'?"),
        ("config.json", lambda data: data.replace(b'"slip": 256', b'"slip": "x"'), "slip"),
        ("config.json", lambda data: data.replace(b'"gamma"', b'"gama"'), "gama"),
    ],
)
@pytest.mark.parametrize("command", [["watch", "RUN"], ["train", "--resume", "RUN"]])
def test_a_damaged_run_is_told_in_one_line(finished, tmp_path, capsys, command, name, change, words) -> None:
    run = damaged(finished, tmp_path, name, change)
    assert cli.main([str(run) if arg == "RUN" else arg for arg in command]) == 2
    said = capsys.readouterr().err
    assert said.startswith("meze: error: ") and said.count("\n") == 1 and words in said


DAMAGED = [
    (lambda data: data[:-20], "cut short or altered"),
    (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "altered"),
    (lambda data: b"", "checkpoint"),
]


@pytest.mark.parametrize(("change", "words"), DAMAGED)
def test_a_damaged_checkpoint_is_told_and_the_one_before_goes_on(
    finished, tmp_path, capsys, change, words
) -> None:
    run = damaged(finished, tmp_path, "checkpoints/*", change)
    newest = max((run / "checkpoints").iterdir())
    assert cli.main(["watch", str(run)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("meze: error: ") and said.count("\n") == 1 and words in said
    assert cli.main(["train", "--resume", str(run)]) == 0
    said = capsys.readouterr().out
    assert words in said and f"{newest} " in said and "going on from the one before" in said
    assert_same_end(finished, run)
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"")
    assert cli.main(["train", "--resume", str(run)]) == 2
    assert f"{min((run / 'checkpoints').iterdir())} is not a checkpoint" in capsys.readouterr().err


def put(name: str, field: str, value: int) -> Callable[[dict], None]:
    return lambda state: state[name][field].__setitem__(-1, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("rollout.records", "cell", 8), "cell is 8, and must lie in 0 .. 7"),
        (put("rollout.records", "cell", -(2**31)), "cell is -2147483648"),
        (put("rollout.records", "elapsed", -1), "elapsed is -1"),
        (put("rollout.records", "rng", 0), "without a random stream"),
        (lambda state: state.update({"rollout.records": state["rollout.records"][1:]}), "do not fit"),
        (lambda state: state.update({"rollout.tally.return": np.zeros(3)}), "damaged"),
        (lambda state: state.update({"rollout.tally.success": np.zeros(3)}), "damaged"),
        (lambda state: state.update({"step": "many"}), "number of transitions so far is damaged"),
        (lambda state: state.update({"step": float("inf")}), "number of transitions so far is damaged"),
        (lambda state: state.update({"learner.q": np.zeros((3, 3))}), "shape"),
        (lambda state: state["learner.rng"].update(state={}), "learner"),
        (lambda state: state["seconds"].update(other=2**63), "the seconds so far are damaged"),
        (lambda state: state["seconds"].update(other=float("nan")), "the seconds so far are damaged"),
        (lambda state: state["learner.rng"]["state"].update(state=0, inc=0), "generator's state is damaged"),
    ],
)
def test_a_strangers_checkpoint_is_refused_in_one_line(finished, tmp_path, capsys, change, words) -> None:
    """The file is whole, its digest right, and what it says can't be."""
    run = damaged(finished, tmp_path, "config.json", bytes)
    path = RunDir.open(run).latest_checkpoint()
    assert path is not None
    state = checkpoint.load(path)
    change(state)
    checkpoint.save(path, state)
    assert cli.main(["train", "--resume", str(run), "--steps", "9999"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"meze: error: {path}") and said.count("\n") == 1 and words in said


@pytest.mark.parametrize(
    ("group", "name"), [("run", "steps"), ("run", "eval_episodes"), ("agent", "gamma"), ("env", "slip")]
)
def test_a_number_of_400_digits_is_refused_in_one_line(finished, tmp_path, capsys, group, name) -> None:
    run = damaged(finished, tmp_path, "config.json", bytes)
    plain = json.loads((run / "config.json").read_text())
    (plain[group] if group == "run" else plain[group]["config"])[name] = 10**400
    (run / "config.json").write_text(json.dumps(plain))
    assert cli.main(["train", "--resume", str(run)]) == 2
    said = capsys.readouterr().err
    assert name in said and said.count("\n") == 1 and len(said) < 700


def test_a_run_is_written_by_one_process_at_a_time(finished, tmp_path, capsys) -> None:
    run = damaged(finished, tmp_path, "config.json", bytes)
    with held(run):
        assert cli.main(["train", "--resume", str(run), "--steps", "9999"]) == 2
        assert f"{run} is being written by another process" in capsys.readouterr().err
        assert json.loads((run / "config.json").read_text())["run"]["steps"] == 4096
        assert cli.main(["evaluate", "corridor", str(run), "--episodes", "2"]) == 0
    assert cli.main(["train", "--resume", str(run), "--steps", "5000"]) == 0


CLI = """
import sys
from meze.envs.core.registry import register_world
register_world(id="toy/Corridor-v0", name="corridor", world="toy_world:Corridor",
               config="toy_world:CorridorConfig", max_episode_steps=40)
from meze.runners import cli
sys.argv[1:] = sys.argv[1:]
sys.exit(cli.main())
"""


def begun(tmp_path: Path, *words: str, **streams) -> subprocess.Popen:
    """`meze` in another process."""
    path = str(Path(__file__).parents[1] / "envs")
    environment = {**os.environ, "PYTHONPATH": path, **streams.pop("env", {})}
    command = [sys.executable, "-c", CLI, *words]
    return subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **streams)


@pytest.mark.slow
def test_sigterm_saves_as_ctrl_c_does(tmp_path) -> None:
    words = ["train", "q-learning", "corridor", "--steps", "100000000", "--out", "runs"]
    process = begun(tmp_path, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list(tmp_path.glob("runs/*/*/*/metrics.csv")):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143 and err == ""
    run = only_run(tmp_path / "runs")
    assert f"go on with: meze train --resume {run.relative_to(tmp_path)}\n" in out and final(run)["step"] > 0


@pytest.mark.slow
def test_a_closed_pipe_ends_printing_and_not_the_work(tmp_path) -> None:
    read, write = os.pipe()
    process = begun(tmp_path, "train", "q-learning", "corridor", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    os.close(read)  # whoever read, as `head -c 1`, is gone
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0 and err == ""
    assert (only_run(tmp_path / "runs") / "evaluation.json").exists()


@pytest.mark.slow
def test_letters_that_a_terminal_lacks_end_nothing(tmp_path) -> None:
    words = ["train", "q-learning", "corridor", "--out", "with blanks/\u0141\u00f3d\u017a"]
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    process = begun(tmp_path, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ascii_only)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and err == ""
    assert "meze watch 'with blanks/\\u0141" in out, "what is printed can be pasted, but for those letters"


def test_resuming_with_another_agent_or_environment_is_refused(finished, capsys) -> None:
    assert cli.main(["train", "sarsa", "corridor", "--resume", str(finished)]) == 2
    assert "a run of q-learning, not of sarsa" in capsys.readouterr().err
    assert cli.main(["train", "q-learning", "Taxi-v4", "--resume", str(finished)]) == 2
    assert "is on toy/Corridor-v0, not on Taxi-v4" in capsys.readouterr().err


def test_a_run_can_not_become_shorter_than_it_is(finished, capsys) -> None:
    before = (finished / "config.json").read_bytes()
    assert cli.main(["train", "--resume", str(finished), "--steps", "4000"]) == 2
    assert "is at 4,096 steps already; --steps must be more" in capsys.readouterr().err
    assert (finished / "config.json").read_bytes() == before
