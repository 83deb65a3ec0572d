"""Binding and its cache, which holds and is never stale; the batch: its rows and its states."""

import json
import os
import pickle
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from meze import caching
from meze.envs.core.batch import (
    DISABLED,
    KEEP,
    NEXT_STEP,
    RESET,
    RESET_SEEDED,
    SAME_STEP,
    Batch,
    _field_bytes,
    bind_loop,
)
from meze.envs.core.binding import bind
from meze.envs.core.scalars import bind_policy
from numba import njit
from toy_world import LENGTH, RIGHT, Corridor, CorridorConfig, right_one

# ---------------------------------------------------------------- the cache, across processes

WORLD = """
from dataclasses import replace
from numba import njit
from toy_world import Corridor, CorridorConfig, step_one as walk
from rules import gain

@njit
def step_one(p, s, i, action):
    units, over = walk(p, s, i, action)
    return units + gain(action), over

@njit
def observe_far(p, s, i, obs):
    obs[i] = 100 + s[i].cell

class Plugin(Corridor):
    kernels = Corridor.kernels._replace(step_one=step_one)

    def __init__(self, config: CorridorConfig) -> None:
        super().__init__(replace(config, observation="index", slip=0))
        self.config = config
        if config.observation == "strip":  # the same argument types as `index`
            self.kernels = self.kernels._replace(observe_one=observe_far)
"""
RULES = "from numba import njit\nfrom costs import BASE\n\n@njit\ndef gain(action):\n    return BASE + {}\n"
SCRIPT = """
import json, sys
from meze.envs.core.env import WorldEnv
from plugin import Plugin
result = []
for mode in sys.argv[1:]:
    env = WorldEnv(Plugin, observation=mode)
    env.reset(seed=1, options={"start": 2})
    obs, reward, *_ = env.step(2)
    hits = sum(env._batch.loop.stats.cache_hits.values())
    result.append([obs, round(reward * 1024), hits])
print(json.dumps(result))
"""


def run_plugin(folder: Path, *modes: str) -> list:
    path = os.pathsep.join([str(folder), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-c", SCRIPT, *modes]
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_cache_holds_across_processes_and_is_never_stale(tmp_path):
    (tmp_path / "plugin.py").write_text(WORLD)
    (tmp_path / "rules.py").write_text(RULES.format(10))
    (tmp_path / "costs.py").write_text("BASE = 1\n")
    # The observed cell, the reward in 1/1024 (-1 for the step itself), and whether the cache served the loop.
    assert run_plugin(tmp_path, "index", "strip") == [[3, 10, 0], [103, 10, 0]]
    assert run_plugin(tmp_path, "strip", "index") == [[103, 10, 1], [3, 10, 1]], "each is served its own code"
    (tmp_path / "rules.py").write_text(RULES.format(20))
    assert run_plugin(tmp_path, "index") == [[3, 20, 0]], "a callee in another file changed"
    (tmp_path / "costs.py").write_text("BASE = 2\n")
    assert run_plugin(tmp_path, "strip") == [[103, 21, 0]], "a constant in a third file changed"
    folders = {path.parents[1].name for path in tmp_path.rglob("*.nbc")}
    assert folders == {"meze"}, "below NUMBA_CACHE_DIR, and nowhere else"


SIZED = """
import sys
import numpy as np
from meze.envs.core.env import WorldEnv
from meze.envs.core.compiling import rare_kernel
from meze.envs.core.world import state_dtype
from numba import njit
from toy_world import Corridor, CorridorConfig, reset_one

@rare_kernel
def move(e):  # too long to be copied into its caller
    e.cell += 1
LINES

@njit
def step_one(p, s, i, action):
    move(s[i])
    return 0, False

class Sized(Corridor):
    kernels = Corridor.kernels._replace(step_one=step_one)

for size in sys.argv[1:]:
    Sized.state_dtype = state_dtype(
        [("gap", np.int32, int(size)), ("cell", np.int32), ("start", np.int32)],
        info=[("moved", np.int32), ("slipped", np.bool_), ("bumps", np.int64), ("hope", np.float32)],
        parts=["goal", "time"],
    )
    env = WorldEnv(Sized)
    env.reset(seed=1, options={"start": 2})
    print(env.step(0)[0])
""".replace("LINES", "    e.start = e.start * 3 ^ e.cell + e.gap[0]\n" * 100)


@pytest.mark.slow
def test_what_two_processes_compiled_for_two_records_works_in_a_third(tmp_path):
    """numba numbers record types as a process meets them, and names compiled code by the number.

    Left alone, the two records' `move` have one name, and one of the two worlds runs the other's.
    """
    (tmp_path / "sized.py").write_text(SIZED)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "NUMBA_CACHE_DIR": str(tmp_path)}
    for sizes in (["1"], ["50"], ["1", "50"], ["50", "1"]):
        command = [sys.executable, str(tmp_path / "sized.py"), *sizes]
        done = subprocess.run(command, capture_output=True, env=environment, text=True, check=True)
        assert done.stdout.split() == ["3"] * len(sizes)


def scale_one(x): ...


def _double(x):
    return scale_one(x)


def make_kernel(body: str):
    scope = {}
    exec(f"def kernel(x):\n    return {body}", scope)
    return njit(scope["kernel"])


def test_without_any_cache_folder_loops_still_run(monkeypatch):
    def refuse(digest):
        raise OSError("nowhere")

    monkeypatch.setattr(caching, "cache_folder", refuse)
    loop = bind(_double, "test", {"scale_one": make_kernel("x * 2")})
    with pytest.warns(RuntimeWarning, match="nowhere: functions are compiled anew in every process"):
        assert loop(21) == 42


# ---------------------------------------------------------------- the batch


def make_batch(num_envs: int = 3, **settings) -> Batch:
    return Batch(Corridor(CorridorConfig(**settings)), num_envs)


def start(batch: Batch, cells) -> None:
    n = batch.num_envs
    seeds = np.arange(n, dtype=np.uint64)
    out = batch.outputs()
    batch.reset(np.full(n, RESET_SEEDED), seeds, {"start": np.asarray(cells) + 1}, out)
    assert out.obs.tolist() == list(cells)


def test_same_kernels_share_a_loop_and_others_do_not():
    index, again, strip = (Corridor(CorridorConfig(mode)) for mode in ("index", "index", "strip"))
    assert bind_loop(index) is bind_loop(again)
    assert bind_loop(index) is not bind_loop(strip)


def test_the_same_kernels_over_other_records_have_code_of_another_name():
    """Otherwise a process could be given the code of another one's loop."""
    usual, wider = Corridor(CorridorConfig()), Corridor(CorridorConfig())
    wider.state_dtype = np.dtype([*usual.state_dtype.descr, ("more", np.int64)])
    assert bind_loop(usual).__qualname__ != bind_loop(wider).__qualname__


@pytest.mark.parametrize("autoreset", [NEXT_STEP, SAME_STEP])
def test_ends_and_restarts_by_hand(autoreset):
    # Without slips: row 0 reaches the end in one step, row 1 is cut off after two, row 2 after two.
    batch, out = make_batch(slip=0), make_batch().outputs()
    start(batch, [LENGTH - 2, 0, 1])
    batch.step(np.full(3, RIGHT), autoreset, 2, out)
    assert out.reward.tolist() == [1023 / 1024, -1 / 1024, -1 / 1024]
    assert out.terminated.tolist() == [True, False, False] and not out.truncated.any()
    restarted = autoreset == SAME_STEP
    assert batch.state["done"].tolist() == [not restarted, False, False]
    assert batch.state["elapsed"].tolist() == [0 if restarted else 1, 1, 1]
    if restarted:
        finals, names = batch.finals, batch.reports.names
        assert finals.obs[0] == LENGTH - 1 and finals.mask.tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]
        told = dict(zip(names, (each for block in finals.columns for each in block.tolist()), strict=True))
        assert told["reward_goal"] == [1, 0, 0] and told["reward_time"] == [-1 / 1024, 0, 0]
        assert told["moved"] == [1, 0, 0]
    before = batch.get_state()
    batch.step(np.full(3, RIGHT), autoreset, 2, out)
    assert out.truncated.tolist() == [False, True, True]
    if not restarted:
        assert out.reward[0] == 0 and batch.state["elapsed"][0] == 0, "the action was ignored"
    else:
        assert batch.state["cell"][0] == min(before["cell"][0] + 1, LENGTH - 1)


@pytest.mark.parametrize("autoreset", [NEXT_STEP, SAME_STEP])
def test_an_episode_that_was_put_back_after_its_end_does_not_go_on(autoreset):
    batch = make_batch(slip=0)
    start(batch, [LENGTH - 2, 0, 1])
    batch.step(np.full(3, RIGHT), DISABLED, 0, batch.outputs())
    assert batch.state["done"].tolist() == [True, False, False]
    other, out = make_batch(slip=0), batch.outputs()
    other.set_state(batch.get_state())
    other.step(np.full(3, RIGHT), autoreset, 0, out)
    assert other.state["elapsed"].tolist() == [0, 2, 2] and out.reward[0] == 0 and not out.terminated.any()


def test_kept_rows_are_observed_only():
    batch = make_batch()
    start(batch, [1, 2, 3])
    before, out = batch.state_hash().tolist(), batch.outputs()
    key = batch.state["rng"][1, 0]
    batch.reset(np.array([KEEP, RESET, KEEP]), np.zeros(3, np.uint64), {"start": 6}, out)
    assert out.obs.tolist() == [1, 5, 3]
    assert batch.state_hash([0, 2]).tolist() == [before[0], before[2]]
    assert batch.state["rng"][1, 0] == key, "the stream goes on"


def test_states_of_a_subset():
    batch = make_batch(5)
    start(batch, [0, 1, 2, 3, 4])
    saved, hashes = batch.get_state(), batch.state_hash()
    batch.set_state(saved[[4, 0]], [0, 1])
    assert batch.state["cell"].tolist() == [4, 0, 2, 3, 4]
    assert batch.state_hash([0, 1]).tolist() == hashes[[4, 0]].tolist()
    batch.set_state(saved[:2], np.array([True, True, False, False, False]))
    assert batch.state_hash().tolist() == hashes.tolist() and len(set(hashes.tolist())) == 5
    with pytest.raises(ValueError, match="do not fit"):
        batch.set_state(saved, [0])
    with pytest.raises(ValueError, match="not states of this world"):
        batch.set_state(np.zeros(5))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cell", LENGTH, f"cell is {LENGTH}, and must lie in 0 .. {LENGTH - 1}"),
        ("cell", -1, "cell is -1"),
        ("start", LENGTH + 1, "start"),
        ("elapsed", -1, "elapsed"),
        ("rng", 0, "without a random stream"),  # as if never reset, but for the other fields
    ],
)
def test_a_record_that_no_state_can_hold_is_refused_whole(name, value, words):
    batch = make_batch()
    start(batch, [1, 2, 3])
    before, records = batch.state_hash().tolist(), batch.get_state()
    records["cell"] = 4
    records[name][1] = value
    with pytest.raises(ValueError, match=words):
        batch.set_state(records)
    assert batch.state_hash().tolist() == before


def test_records_that_were_never_reset_can_be_put_back():
    batch, other = make_batch(), make_batch()
    start(batch, [1, 2, 3])
    batch.set_state(other.get_state([0]), [1])
    assert not batch.ready and batch.state["cell"].tolist() == [1, 0, 3]


def test_copies_are_independent_and_share_the_tables():
    batch = make_batch()
    start(batch, [1, 2, 3])
    copy = deepcopy(batch)
    copy.step(np.full(3, RIGHT), SAME_STEP, 0, copy.outputs())
    assert batch.state["elapsed"].tolist() == [0, 0, 0] and copy.state["elapsed"].tolist() == [1, 1, 1]
    assert copy.world is batch.world and copy.state.flags.aligned


def test_equal_states_are_equal_bytes_whatever_numpy_left_between_the_fields():
    batch, other = make_batch(1), make_batch(1)
    start(batch, [3])
    between = ~_field_bytes(batch.state.dtype)
    assert between.any(), "the record has gaps"
    saved = batch.get_state()
    saved.view(np.uint8)[between] = 170
    other.set_state(saved)
    assert other.state.tobytes() == batch.state.tobytes()
    assert other.state_hash() == batch.state_hash()
    assert pickle.loads(pickle.dumps(batch)).state.tobytes() == batch.state.tobytes()


def test_bytes_of_fields_nested_and_repeated():
    inner = np.dtype([("a", np.int16), ("b", np.int8)], align=True)  # 2 + 1, one byte between
    outer = np.dtype([("x", np.uint8), ("y", np.int32), ("z", inner, (2,))], align=True)
    expected = [1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0]
    assert _field_bytes(outer).tolist() == [bool(byte) for byte in expected]


def test_reference_policy_is_bound_once():
    assert bind_policy(right_one) is bind_policy(right_one)
    assert bind_policy(right_one)(None, make_batch(4).state).tolist() == [RIGHT] * 4


@pytest.mark.parametrize(("num_envs", "num_threads"), [(0, 1), (2, 0)])
def test_counts_are_positive(num_envs, num_threads):
    with pytest.raises(ValueError, match="at least 1"):
        Batch(Corridor(CorridorConfig()), num_envs, num_threads)
