"""Threads are there after a fork, and gone after closing."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from meze.envs.core.vector import WorldVectorEnv
from meze.threads import Threads
from toy_world import RIGHT, Corridor

FORK = """
import os
import numpy as np
from meze.envs.core.batch import Batch
from meze.envs.core.vector import WorldVectorEnv
from toy_world import RIGHT, Corridor

Batch.slice_seconds = 0.0  # all threads, however little there is to do
env = WorldVectorEnv(Corridor, 64, num_threads=2)
env.reset(seed=1)
env.step(np.full(64, RIGHT))
before = env.get_state()
child = os.fork()
for _ in range(3):
    env.step(np.full(64, RIGHT))
other = env.clone()  # one that was made after the fork
other.set_state(before)
for _ in range(3):
    other.step(np.full(64, RIGHT))
assert (other.state_hash() == env.state_hash()).all()
env.close()
os.write(1, (" ".join(map(str, env.state_hash())) + "\\n").encode())  # in one piece
if child:
    os.waitpid(child, 0)
    env.reset(seed=1)  # threads that were closed are made again
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks there")
def test_environments_go_on_in_both_processes_after_a_fork():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    one, other = done.stdout.splitlines()
    assert one == other and len(one.split()) == 64


def test_threads_end_when_they_are_shut_down_and_come_again_when_needed():
    threads = Threads(2)
    before = threading.active_count()
    threads.shutdown()  # nothing was there yet
    for _ in range(2):
        assert threads.submit(lambda: threading.current_thread().name).result().startswith("meze")
        assert threading.active_count() > before
        threads.shutdown()
        assert threading.active_count() == before


@pytest.mark.parametrize(("num_envs", "times"), [(64, 0), (200_000, 10)])
def test_threads_are_woken_where_there_is_enough_to_do(num_envs, times, monkeypatch):
    env, handed = WorldVectorEnv(Corridor, num_envs, num_threads=2), []
    submit = env._batch._threads.submit
    monkeypatch.setattr(env._batch._threads, "submit", lambda *args: handed.append(args) or submit(*args))
    env.reset(seed=1)
    env.step(np.full(num_envs, RIGHT))  # now it is known how long rows take
    handed.clear()
    for _ in range(10):
        env.step(np.full(num_envs, RIGHT))
    assert len(handed) == times
