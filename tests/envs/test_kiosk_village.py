"""The village: small enough for brute force, and for a table."""

import json
from itertools import combinations

import numpy as np
import pytest
from kiosk_stage import make
from meze.envs.kiosk.objective import Objective, value
from meze.runners import cli


def test_its_optimum_is_that_of_brute_force():
    env = make(source="village", observation="index")
    instance = env.world.instances[0]
    assert env.single_observation_space.n == 1024
    placements = combinations(range(instance.num_sites), instance.num_kiosks)
    totals = [value(instance, Objective(), np.array(sites)) for sites in placements]
    assert min(totals) == instance.optimum
    assert make(source="village", kiosks=4).world.instances[0].optimum is None
    assert make(source="village", metric="manhattan").world.instances[0].optimum is None


@pytest.mark.slow
@pytest.mark.parametrize("agent", ("q-learning", "double-q-learning", "expected-sarsa", "sarsa"))
def test_tabular_learners_find_it(agent, tmp_path, capsys):
    args = ["train", agent, "kiosk", "--seed", "1", "--eval-episodes", "4", "--out", str(tmp_path)]
    assert cli.main(args) == 0
    scores = json.loads(next(tmp_path.rglob("evaluation.json")).read_text())["scores"]
    best = scores["exact"]["return"]["mean"]
    assert scores["greedy"]["return"]["mean"] < best
    assert scores[agent]["return"]["mean"] == best
