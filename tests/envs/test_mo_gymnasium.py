"""MO-Gymnasium's own wrappers and checks on worlds whose reward is a vector, in an environment of its own.

It is no dependency: it brings the other pygame. So it is installed beside what there is, for this test alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = "1.3.2"
CHECKS = """
import mo_gymnasium as mo
import numpy as np
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit
from meze.envs.core import MOWorldEnv

class Weighted(mo.wrappers.LinearReward):
    # It hands on one array of weights with each info, which Gymnasium's newest checker refuses.

    def step(self, action):
        *told, info = super().step(action)
        return *told, info | {"reward_weights": self.w.copy()}

for world in ("meze.envs.tram.world:Tram", "meze.envs.city.world:City"):
    size = 1 + len(MOWorldEnv(world).world.costs)
    weight = np.linspace(1, 2, size)
    make = lambda: TimeLimit(MOWorldEnv(world), 64)
    check_env(Weighted(make(), weight), skip_render_check=True)

    # A weighted reward is the product of vector and weights, and its first number the world's own.
    plain, linear = make(), mo.wrappers.LinearReward(make(), weight)
    assert linear.unwrapped.reward_space.shape == (size,)
    plain.reset(seed=3), linear.reset(seed=3)
    for action in (0, 1, 0, 0):
        _, vector, *_ = plain.step(action)
        _, reward, ended, _, info = linear.step(action)
        assert reward == vector @ weight and (info["vector_reward"] == vector).all()

    told = mo.wrappers.MORecordEpisodeStatistics(make(), gamma=1.0)
    told.reset(seed=3)
    total, ended = np.zeros(size), False
    while not ended:
        _, vector, terminated, truncated, info = told.step(0)
        total, ended = total + vector, terminated or truncated
    assert np.allclose(info["episode"]["r"], total)

    several = mo.wrappers.vector.MOSyncVectorEnv([make] * 3)
    several.reset(seed=1)
    _, vectors, *_ = several.step(np.zeros(3, int))
    assert vectors.shape == (3, size)
    several.close()
print("all is well")
"""


@pytest.mark.slow
def test_mo_gymnasium_takes_worlds_that_tell_costs(tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-q", "--no-deps", f"mo-gymnasium=={VERSION}"]
    subprocess.run(pip, check=True, timeout=300)
    own = tmp_path / "env" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (own / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "meze").symlink_to(ROOT)
    done = subprocess.run(
        [str(python), "-c", CHECKS],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "path")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.endswith("all is well\n"), done.stderr[-2000:]
