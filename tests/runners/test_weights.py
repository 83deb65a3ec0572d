"""Costs that a world tells apart, weighed by who trains: what is learned is the best for these weights."""

from __future__ import annotations

import meze
import numpy as np
import pytest
from meze.envs.core import Cost
from meze.envs.tram.config import TramConfig
from meze.envs.tram.process import process_of, solve
from meze.envs.tram.world import Tram
from meze.runners.setup.costs import read_weights

COSTS = (Cost("harm_outside", "people hit"), Cost("delay", "ticks"))
SCENE = "02-the-bell"


def best(weights):
    """Expected costs of the best policy of a scene, by its exact process."""
    process = process_of(Tram(TramConfig(scene=SCENE)), 0)
    policy = solve(process, np.array(weights))
    chance, total = np.zeros(len(policy)), np.zeros(3)
    chance[0] = 1.0
    for _ in range(64):
        going = chance * process.possible.any(axis=1)
        total += going @ process.cost[np.arange(len(policy)), policy]
        chance = np.zeros_like(chance)
        np.add.at(
            chance,
            process.after[np.arange(len(policy)), policy],
            going[:, None] * process.chance[np.arange(len(policy)), policy],
        )
    return total


@pytest.mark.parametrize(("outside", "aboard"), [(0.0, 0.0), (3.0, 0.1), (3.0, 3.0)])
def test_what_is_learned_is_the_best_for_the_weights(outside, aboard, tmp_path):
    settings = {"env.scene": SCENE, "agent.gamma": 1.0, "agent.exploration.end": 0.05}
    weights = f"harm_outside={outside},harm_aboard={aboard}"
    run = meze.train("q-learning", "tram", settings, steps=150_000, weights=weights, out=tmp_path, seed=1)
    scores = meze.evaluate("tram", [run], episodes=2000)
    (found,) = scores.of.values()
    wanted = best([outside, aboard, 1 / 16])
    told = [found[name]["mean"] for name in ("harm_outside", "harm_aboard", "length")]
    prices = np.array([outside, aboard, 1 / 16])
    assert np.dot(told, prices) == pytest.approx(np.dot(wanted, prices), abs=0.05)
    # Rewards that are told are the world's own, whatever costs count.
    assert found["return"]["mean"] == pytest.approx(1 - told[2] / 16, abs=1e-6)


def test_a_run_with_weights_goes_on_with_them(tmp_path):
    settings = {"env.scene": SCENE, "eval_episodes": 4, "weights": "harm_outside=3", "num_envs": 16}
    settings |= {"agent.exploration.steps": 3000, "agent.learning-rate.steps": 3000}  # whatever the length
    whole = meze.train("q-learning", "tram", settings, steps=4096, out=tmp_path / "a")
    half = meze.train("q-learning", "tram", settings, steps=2048, out=tmp_path / "b")
    assert "harm_outside=3" in (half.path / "config.json").read_text()
    longer = meze.resume(half.path, steps=4096)
    found = [meze.load(run.path, checkpoint="newest")[0].q for run in (whole, longer)]
    assert found[0].tobytes() == found[1].tobytes() and found[0].any()


@pytest.mark.parametrize(
    ("text", "costs", "words"),
    [
        ("harm=1", COSTS, "no cost 'harm'"),
        ("delai=1", COSTS, "did you mean 'delay'"),
        ("delay", COSTS, "written as delay=10"),
        ("delay=1,delay=2", COSTS, "each once"),
        ("delay=-1", COSTS, "at least 0; got '-1'"),
        ("delay=inf", COSTS, "at least 0; got 'inf'"),
        ("delay=much", COSTS, "got 'much'"),
        ("", COSTS, "no cost ''"),
        ("delay=1", (), "tells costs apart"),
    ],
)
def test_weights_that_mean_nothing_are_one_line(text, costs, words):
    with pytest.raises(ValueError) as caught:
        read_weights(text, costs)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_who_does_not_take_weights_says_so(tmp_path):
    for agent in ("clone", "sb3-ppo"):
        with pytest.raises(ValueError, match=f"{agent} does not learn from single transitions"):
            meze.train(agent, "tram", weights="delay=1", out=tmp_path)
    with pytest.raises(ValueError, match="--weights"):
        meze.train("genetic", "tram", weights="delay=1", out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_weights_are_read():
    assert read_weights(" harm_outside = 10, delay=0.5", COSTS) == {"harm_outside": 10.0, "delay": 0.5}
