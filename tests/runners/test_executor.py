"""Who runs tasks, here or on a cluster: when they are made, what is told, and that they stop saved."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import psutil
import pytest
from meze.runners import cli
from meze.runners.run import away, executors
from meze.runners.run.executor import Processes, Task
from meze.runners.setup.interrupts import exit_code, raising
from meze.runners.setup.machines import Machines
from run_files import assert_same_end, only_run, play_here

CHILD = """
    import os, signal, sys, time
    from pathlib import Path
    from meze.runners.run.executor import Stopped, serve

    def main(words, stop):
        what, path = words
        path = Path(path)
        if what == "count":
            return count(path, stop)
        path.touch()
        if what == "fail":
            raise ValueError("it is broken")
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "wait":
            assert stop.wait(60)
            path.write_text("saved")
            raise Stopped

    def count(folder, stop):
        # Counts to 5 from where it was, and waits at 3, where it is begun for the first time.
        folder.mkdir(exist_ok=True)
        done = [int(each.name) for each in folder.glob("[0-9]")]
        with open(folder / "begun.txt", "a") as file:
            file.write(f"from {max(done, default=0)}\\n")
        for k in range(max(done, default=0) + 1, 6):
            temporary = folder / ".tmp"
            temporary.write_text(str(os.getppid()))
            os.replace(temporary, folder / str(k))
            if k == 3:
                (folder / "1").unlink()
                assert not stop.wait(100)

    serve(main)
"""
HERE = "here"
CLOCK = {"seconds", "began", "path"}
AWAY = [pytest.param(name, marks=pytest.mark.slow) for name in ("ray", "ray-apart")]


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """A module of a task, which other processes find."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "some_task.py").write_text(textwrap.dedent(CHILD))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def cluster(modules):
    """A cluster of two machines, which are both this one, and to which only this one can connect."""
    ray = pytest.importorskip("ray")
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, "0")
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else the user's token would be asked for, or not
        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        found.add_node(num_cpus=2)
        patch.setenv("RAY_ADDRESS", found.address)
        yield found
        ray.shutdown()
        found.shutdown()


@pytest.fixture(params=[HERE, *AWAY])
def executor(request, modules):
    """Makes executors that run so many tasks side by side, of each of which the other suite knows nothing."""
    if request.param == HERE:
        return Processes
    request.getfixturevalue("cluster")
    from meze.runners.run.ray_executor import RayExecutor

    return lambda jobs: RayExecutor(jobs, shared=None if request.param == "ray" else False)


@pytest.fixture
def task(tmp_path, modules):
    """Makes tasks of a module that is only there for this test."""
    folder = tmp_path / "tasks"
    (folder / "logs").mkdir(parents=True)

    def make(what, name):
        words = what, str(folder / name)
        log = folder / "logs" / f"{name}.log"
        return Task(name, "some_task", words, log, folder, (f"{name}/*" if what == "count" else name,))

    make.folder = folder
    return make


def test_a_task_is_made_of_what_the_last_ones_came_to(executor, task):
    told = []

    def tasks():
        yield task("do", "first")
        while len(told) < 3:
            yield task("do", f"after-{told[-1]}")

    with executor(1).running(tasks()) as ended:
        for each, reason in ended:
            assert not reason
            assert (task.folder / each.name).exists()
            told.append(each.name)
    assert told == ["first", "after-first", "after-after-first"]


def test_why_a_task_failed_is_told_and_the_others_go_on(executor, task):
    tasks = [task("fail", "a"), task("die", "b"), task("do", "c")]
    with executor(2).running(tasks) as ended:
        assert {each.name: reason for each, reason in ended} == {
            "a": "it is broken",
            "b": "killed by signal 9",
            "c": "",
        }
    assert (task.folder / "logs" / "a.log").read_text() == "meze: error: it is broken\n"


def meanwhile(do):
    """Does something while tasks run; tells afterwards what went wrong."""
    thread = ThreadPoolExecutor(1)
    return thread.submit(do)


def wait_for(what, seconds=100):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_asks_all_to_save(executor, task, number):
    def interrupt():
        wait_for(lambda: all((task.folder / name).exists() for name in "ab"))
        os.kill(os.getpid(), number)

    made, interrupted = executor(2), meanwhile(interrupt)
    with pytest.raises(KeyboardInterrupt) as error, raising():
        with made.running([task("wait", name) for name in "abc"]) as ended:
            assert not list(ended)
    interrupted.result()
    assert exit_code(error.value) == 128 + number
    assert (task.folder / "a").read_text() == (task.folder / "b").read_text() == "saved"
    assert not (task.folder / "c").exists()


# --- Clusters --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("executor", AWAY, indirect=True)
def test_a_lost_workers_task_goes_on_from_its_last_checkpoint(executor, task):
    folder = task.folder / "a"

    def kill():
        wait_for((folder / "3").exists)
        wait_for(lambda: not (folder / "1").exists())
        os.kill(int((folder / "3").read_text()), signal.SIGKILL)

    killed = meanwhile(kill)
    with executor(2).running([task("count", "a"), task("do", "b")]) as ended:
        assert {each.name: reason for each, reason in ended} == {"a": "", "b": ""}
    killed.result()
    assert (folder / "begun.txt").read_text() == "from 0\nfrom 3\n"
    assert sorted(each.name for each in folder.iterdir()) == ["2", "3", "4", "5", "begun.txt"]
    assert (folder / "3").read_text() != (folder / "5").read_text(), "another worker has done it"


@pytest.fixture
def apart(cluster, monkeypatch):
    """Has commands run on a cluster whose machines see none of each other's folders."""
    from meze.runners.run import ray_executor

    made = partial(ray_executor.RayExecutor, shared=False)
    monkeypatch.setattr(ray_executor, "RayExecutor", made)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [None, False])
def test_a_lost_machines_task_goes_on_on_another(cluster, task, shared):
    from meze.runners.run.ray_executor import RayExecutor

    folder = task.folder / "a"
    nodes = [cluster.add_node(num_cpus=3) for _ in range(2)]
    raylets = {node.all_processes["raylet"][0].process.pid: node for node in nodes}

    def kill():
        wait_for((folder / "3").exists)
        worker = int((folder / "3").read_text())
        cluster.remove_node(raylets[psutil.Process(worker).ppid()], allow_graceful=False)

    executor, killed = RayExecutor(cpus=3, shared=shared), meanwhile(kill)
    with executor.running([task("count", "a")]) as ended:
        assert [reason for _, reason in ended] == [""]
    killed.result()
    assert (folder / "begun.txt").read_text() == "from 0\nfrom 3\n" and (folder / "5").exists()
    for node in cluster.worker_nodes & set(nodes):
        cluster.remove_node(node)


def told(report):
    """A report without what a clock said."""
    if isinstance(report, dict):
        report = {name: value for name, value in report.items() if name not in CLOCK}
        report |= {"curve": [[row[0], row[2]] for row in report["curve"]]} if "curve" in report else {}
        return {name: told(value) for name, value in report.items()}
    return [told(each) for each in report] if isinstance(report, list) else report


def reports(monkeypatch, out, *args):
    """What a command tells that is given here, and where no machine sees the folders of another."""
    for place in ("here", "ray"):
        with monkeypatch.context() as patch:
            play_here(patch)
            assert cli.main([*args, "--on", place, "--out", str(out / place)]) == 0
        (report,) = (out / place).rglob("report.json")
        yield report.parent, told(json.loads(report.read_text()))


@pytest.mark.slow
def test_a_tournament_comes_to_the_same_without_a_shared_folder(apart, tmp_path, monkeypatch):
    args = [
        "compare",
        "maze",
        "--agents",
        "q-learning",
        "--seeds",
        "2",
        "--budget",
        "4000",
        "--episodes",
        "8",
    ]
    (_, here), (folder, there) = reports(monkeypatch, tmp_path, *args)
    assert here == there
    runs = list(folder.glob("runs/*/*/*/*"))
    assert sorted(each.name[-3:] for each in runs) == ["-s0", "-s1"]
    assert all(list(run.glob("checkpoints/step-*")) and (run / "metrics.csv").exists() for run in runs)
    assert list(folder.glob("results/*.gif"))


@pytest.mark.slow
def test_a_study_comes_to_the_same_without_a_shared_folder(apart, tmp_path, monkeypatch):
    from meze.runners.tuning import study

    monkeypatch.setattr(study, "FRESH", 1)
    args = ["tune", "q-learning", "maze", "--trials", "3", "--seeds", "1", "--steps", "2000",
            "--num-envs", "8", "--eval-episodes", "8", "--jobs", "1"]  # fmt: skip
    (_, here), (folder, there) = reports(monkeypatch, tmp_path, *args)
    assert here == there and len(there["trials"]) == 3
    assert not list(folder.glob("trials/*/*/*/*/checkpoints/*")), "they would fill the disk"


@pytest.mark.slow
def test_islands_come_to_the_same_without_a_shared_folder(apart, tmp_path):
    args = ["train", "genetic", "maze", "--islands", "2", "--migrate-every", "2", "--generations", "4",
            "--episodes", "2", "--eval-episodes", "8", "--agent.population-size", "12"]  # fmt: skip
    for place in ("here", "ray"):
        assert cli.main([*args, "--on", place, "--out", str(tmp_path / place)]) == 0
    assert_same_end(only_run(tmp_path / "here"), only_run(tmp_path / "ray"))


@pytest.mark.slow
def test_who_reads_files_from_elsewhere_is_done_where_they_are(apart, task, cluster):
    own = replace(task("do", "a"), folder=None)
    with executors.make_executor(Machines(on="ray")).running([own]) as ended:
        assert [reason for _, reason in ended] == [""]
    assert (task.folder / "a").exists()


# --- On a cluster that is not there ---------------------------------------------------------------------


@pytest.fixture
def nowhere(monkeypatch):
    """An executor without a cluster, and the actors that it has ended."""
    pytest.importorskip("ray")
    from meze.runners.run import ray_executor

    killed = []
    monkeypatch.setattr(ray_executor.ray, "kill", killed.append)
    monkeypatch.setattr(ray_executor.ray, "get", lambda ref: ref)
    executor = object.__new__(ray_executor.RayExecutor)
    executor._under_way, executor._idle, executor._stopping = {}, {}, False
    return executor, killed, ray_executor


def test_who_is_asked_to_stop_gives_back_the_cores_for_which_others_wait(nowhere, task, monkeypatch):
    executor, killed, module = nowhere

    def ends():
        yield
        return "stopped"

    pending = module._Flight(task("do", "a"), actor=MagicMock(), steps=ends(), begun=True)
    next(pending.steps)
    executor._under_way, executor._idle = {"call": pending}, {(0, False): ["idle"]}

    def news():
        assert killed == ["idle"], "the pending actor would never begin"
        return list(executor._under_way)

    monkeypatch.setattr(executor, "_news", news)
    executor._stop()
    pending.actor.stop.remote.assert_called_once()
    assert not executor._under_way


def test_a_machine_that_joins_with_another_version_ends_the_command(nowhere, task, monkeypatch):
    executor, _, module = nowhere

    def get(_):
        raise module.exceptions.RayActorError(error_msg="from __init__", actor_init_failed=True)

    refuse = MagicMock(side_effect=ValueError("meze is 1 here, and 2 on b"))
    monkeypatch.setattr(module.ray, "get", get)
    monkeypatch.setattr(module, "_check_versions", refuse)
    flight = module._Flight(task("do", "a"), actor="dead", steps=MagicMock())
    with pytest.raises(ValueError, match="meze is 1 here"):
        executor._advance(flight, "call", deque())


JOINING = """
import os
from meze.runners.run import ray_executor
ray_executor._check_answers = lambda address: None
ray_executor._nodes = list
ray_executor.ray.init = lambda *_, **__: print(os.environ.get("RAY_AUTH_MODE"))
ray_executor._connect()
"""


@pytest.mark.parametrize(("there", "mode"), [(True, "token"), (False, "None")])
def test_a_cluster_is_joined_with_the_token_that_ray_start_asks_for(there, mode, tmp_path):
    pytest.importorskip("ray")
    if there:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("a" * 64)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    environ |= {"HOME": str(tmp_path), "RAY_ADDRESS": "127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", JOINING], capture_output=True, text=True, env=environ, check=True
    )
    assert done.stdout.splitlines()[0] == mode


def test_an_actor_that_was_lost_is_not_taken_for_idle(nowhere, task, monkeypatch):
    executor, _, module = nowhere
    monkeypatch.setattr(module, "_nodes", lambda: [{"Resources": {"CPU": 1}}])
    flight = module._Flight(replace(task("do", "a"), gpus=1), lost=1, actor="dead")
    assert executor._begin(flight) == (flight.task, "it wants a GPU, and no machine of the cluster has one")
    assert not executor._idle


@pytest.mark.parametrize("name", ["/nowhere/a", "../a", "a/../../b"])
def test_another_machine_names_files_of_the_folder_alone(name, tmp_path):
    folder = tmp_path / "own" / "a"
    folder.mkdir(parents=True)
    for named in {"files": [(name, b"")]}, {"files": [], "gone": [name]}:
        with pytest.raises(ValueError, match="not in the task's folder"):
            away.put(folder, **named)
    assert list(tmp_path.rglob("*")) == [tmp_path / "own", folder]


def test_folders_of_killed_workers_are_deleted_and_those_of_others_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(away.tempfile, "tempdir", str(tmp_path))
    code = "import os; from meze.runners.run.away import Temporary; Temporary(); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)})
    assert done.returncode == -signal.SIGKILL
    (abandoned,) = tmp_path.iterdir()
    (tmp_path / "meze-task-trap").symlink_to(abandoned)
    (tmp_path / "meze-task-no-lock").mkdir()
    first = away.Temporary()
    second = away.Temporary()
    kept = {first.path, second.path, tmp_path / "meze-task-trap", tmp_path / "meze-task-no-lock"}
    assert set(tmp_path.iterdir()) == kept and not abandoned.exists()
    first.delete()
    second.delete()
    assert set(tmp_path.iterdir()) == kept - {first.path, second.path}


# --- What is refused -------------------------------------------------------------------------------------


def refused(capsys, *flags):
    assert cli.main(["compare", "city", "--agents", "random", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert not Path("tournaments").exists(), "nothing is left behind"
    return line


def test_without_ray_it_is_said_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "meze.runners.run.ray_executor", raising=False)
    line = refused(capsys, "--on", "ray")
    assert line == "meze: error: --on ray needs ray, which is not installed: pip install 'meze[ray]'"


@pytest.mark.parametrize("flags, words", [
    (["--on", "mars"], "('here', 'ray')"),
    (["--cpus-per-run", "0"], "at least 1"),
    (["--cpus-per-run", "5000"], "a run wants 5000 cores, and this machine has"),
])  # fmt: skip
def test_what_no_machine_has_is_refused(flags, words, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert words in refused(capsys, *flags)


@pytest.mark.slow
def test_what_no_machine_of_the_cluster_has_is_refused(cluster, task, monkeypatch, tmp_path, capsys):
    from meze.runners.run import ray_executor

    monkeypatch.chdir(tmp_path)
    assert "no machine of the cluster has as many" in refused(capsys, "--on", "ray", "--cpus-per-run", "64")
    with ray_executor.RayExecutor().running([replace(task("do", "a"), gpus=1), task("do", "b")]) as ended:
        reasons = {each.name: reason for each, reason in ended}
    assert reasons == {"a": "it wants a GPU, and no machine of the cluster has one", "b": ""}
    monkeypatch.setattr(ray_executor, "__version__", "9.9")
    assert "meze is 9.9 here, and " in refused(capsys, "--on", "ray")


@pytest.mark.slow
def test_a_cluster_that_is_gone_is_told_at_once(monkeypatch, tmp_path, capsys):
    ray = pytest.importorskip("ray")
    ray.shutdown()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert "nobody answers at" in refused(capsys, "--on", "ray")


ALONE = """
import signal, psutil, sys
from meze.runners.run.executors import make_executor
from meze.runners.setup.machines import Machines
own = lambda *_: None
signal.signal(signal.SIGTERM, own)
make_executor(Machines(on="ray"))
mine = [psutil.Process(), *psutil.Process().children(recursive=True)]
found = [each for process in mine for each in process.net_connections("inet") if each.status == "LISTEN"]
print(len(found), signal.getsignal(signal.SIGTERM) is own, *{each.laddr.ip for each in found})
"""


@pytest.mark.slow
def test_nobody_else_can_connect_to_a_runtime_of_its_own(modules, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    words = [sys.executable, "-c", ALONE]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=True)
    said, found = done.stdout.splitlines()
    assert said == "no cluster of Ray is there: starting one on this machine alone, for some 10 s"
    count, kept, *hosts = found.split()
    assert kept == "True" and int(count) >= 3 and set(hosts) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_nothing_imports_ray_that_was_not_asked_to():
    code = "import sys, meze.runners.compare, meze.runners.tune; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"
