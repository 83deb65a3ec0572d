"""Toy worlds: the corridor, registered as the runners' tests need it, and one of somebody else."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest
from meze.envs.core import registry
from run_files import register_corridor

HERE = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def corridor() -> str:
    register_corridor()
    return "corridor"


@pytest.fixture
def alley(tmp_path, monkeypatch) -> Iterator[str]:
    """What the commands call a plug-in world, which nobody has imported yet; other processes find it, too."""
    monkeypatch.chdir(tmp_path)
    for folder in (HERE, HERE.parent / "envs"):
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(registry, "_worlds", dict(registry._worlds))
    yield "alley_world:mine/Alley-v0"
    sys.modules.pop("alley_world", None)
    gymnasium.registry.pop("mine/Alley-v0", None)
