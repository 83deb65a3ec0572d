"""`meze envs`: what is found quickly is what building the agents finds, and it is quick."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from meze.agents.registry import _AGENTS, agent_specs, register_agent
from meze.runners import cli, listing
from meze.runners.listing import PACKAGE, fits, is_built, kept_rows, listed, rows_of, spaces_of
from meze.runners.setup.presets import default_env_config, observation_modes
from meze.runners.setup.resolve import find_environment

CLI = "import sys; from meze.runners.cli import main; main(sys.argv[1:]); "


@pytest.mark.slow
@pytest.mark.parametrize("name", listed())
def test_the_quick_answer_is_that_of_building_the_agents(name, monkeypatch) -> None:
    # First weights are most of what building large networks takes, and decide nothing here.
    for draw in ("kaiming_uniform_", "normal_", "orthogonal_"):
        monkeypatch.setattr(torch.nn.init, draw, lambda weights, *_, **__: weights)
    environment = find_environment(name)
    for mode in observation_modes(environment.config) or (None,):
        spaces, _ = listing._shown(environment, mode)
        for spec in agent_specs():
            quick, built = (each(environment, spec, *spaces, mode) for each in (fits, is_built))
            assert quick == built, (spec.name, mode, spaces)
    for spec in agent_specs():
        config = default_env_config(environment, spec)
        try:
            spaces, _ = spaces_of(environment, config)
        except ValueError:
            continue  # no settings for this agent here
        assert fits(environment, spec, *spaces) == is_built(environment, spec, *spaces), spec.name


@pytest.mark.slow
def test_so_it_is_on_spaces_of_every_kind() -> None:
    cartpole = find_environment("CartPole-v1")  # whose presets ask for nothing special
    seen = [
        Discrete(5),
        Discrete(5, start=1),
        Discrete(5000),
        Box(-1, 1, (3,), np.float32),
        Box(-np.inf, np.inf, (2, 3), np.float64),
        Box(0, 255, (24, 24, 3), np.uint8),
        MultiBinary(4),
        MultiDiscrete([3, 2]),
        MultiDiscrete([9] * 12),
    ]
    done = [
        Discrete(3),
        Discrete(3, start=1),
        Box(np.array([-1, -3]), np.array([2, 1]), dtype=np.float32),
        Box(-np.inf, np.inf, (2,), np.float32),
        MultiDiscrete([70, 70]),
        MultiBinary(13),
    ]
    for spaces in ((obs, action) for obs in seen for action in done):
        for spec in agent_specs():
            if spec.extra in listing.SLOW:
                quick, built = (each(cartpole, spec, *spaces) for each in (fits, is_built))
                assert quick == built, (spec.name, spaces)


def run_envs(cache: str) -> tuple[float, dict]:
    """Seconds of CPU of `meze envs --json`, and what it says."""
    code = f"{CLI} assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code, "envs", "--json"],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, json.loads(done.stdout)


@pytest.mark.slow
def test_it_is_quick_once_it_has_been_called_and_says_the_same(tmp_path) -> None:
    _, first = run_envs(str(tmp_path))
    (notes,) = tmp_path.rglob("envs.json")
    used, second = run_envs(str(tmp_path))
    assert first == second and used < 1.0
    notes.write_text('{"city": ')  # damaged
    assert run_envs(str(tmp_path))[1] == first


def test_an_agent_of_others_is_asked_itself() -> None:
    register_agent("picky", "conformance_picky:Picky", "learner", "takes nothing")
    try:
        notes: dict = {}
        assert "picky" not in rows_of(find_environment("Taxi-v4"))[0]["agents"]
        assert kept_rows("Taxi-v4", notes) and not notes  # whose code may change, so nothing is kept
    finally:
        del _AGENTS["picky"]
    assert kept_rows("Taxi-v4", notes) == notes["Taxi-v4"]
    assert kept_rows("corridor", notes) and set(notes) == {"Taxi-v4"}  # nor of a world of others
    assert PACKAGE == "meze"


def test_aliases_are_listed(capsys) -> None:
    assert cli.main(["envs", "Taxi-v4", "--json"]) == 0
    agents = {each["name"]: each["aliases"] for each in json.loads(capsys.readouterr().out)["agents"]}
    assert agents["genetic"] == ["ga"] and agents["sarsa"] == []
    assert cli.main(["envs", "Taxi-v4"]) == 0
    assert "genetic, ga" in capsys.readouterr().out


def test_imitators_are_listed_where_a_teacher_is() -> None:
    assert "dagger" in rows_of(find_environment("corridor"))[0]["agents"]
    assert "dagger" not in rows_of(find_environment("Taxi-v4"))[0]["agents"]
