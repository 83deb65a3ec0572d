"""Presets are settings known to work: what off-policy learners find with them is the optimum."""

import json

import pytest
from meze.runners import cli
from meze.runners.listing import rows_of
from meze.runners.resolve import find_environment


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["q-learning", "double-q-learning"])
def test_the_cliff_is_walked_along_its_edge(agent, tmp_path) -> None:
    """The optimal return is -13 (Sutton & Barto, example 6.6); the agents are greedy when evaluated."""
    assert cli.main(["train", agent, "CliffWalking-v1", "--seed", "8", "--out", str(tmp_path)]) == 0
    (scores,) = tmp_path.glob("*/*/*/evaluation.json")
    assert json.loads(scores.read_text())["scores"][agent]["return"]["mean"] == -13


def test_deep_networks_are_set_for_pixels_where_these_are_asked_for() -> None:
    """Their presets for the platformer's grid fit no pixels."""
    fitting = {row["mode"]: row["agents"] for row in rows_of(find_environment("platformer"))}
    assert {"dqn", "pqn"} <= set(fitting["pixels"])
