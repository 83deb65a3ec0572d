"""Tournaments along weights and limits, and the front that agents come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from meze.envs.core import Cost
from meze.runners import cli
from meze.runners.setup.costs import read_weights
from meze.runners.tournament.fronts import _measured, limits, weights_grid
from meze.runners.tournament.tournament import Tournament

COSTS = (Cost("harm", "people hit"), Cost("delay", "ticks", in_reward=True))
FRONT = np.array([[0.0, 4.0, 7.0], [2.0, 1.0, 7.0], [3.0, 0.0, 7.0]])


def compare(out: Path, *flags: str) -> dict[str, Any]:
    """Holds a small tournament in the tram; its report."""
    common = ["--env.scene", "10-three-ways", "--seeds", "1", "--episodes", "200", "--out", str(out)]
    assert cli.main(["compare", "tram", *flags, *common]) == 0
    (folder,) = (out / "tram").iterdir()
    return json.loads((folder / "report.json").read_text())


def test_a_grid_is_even_over_orders_of_magnitude() -> None:
    ways = weights_grid(32, COSTS)
    found = np.array([list(read_weights(each["weights"], COSTS).values()) for each in ways.values()])
    assert found.shape == (32, 2) and (0.01 <= found).all() and (found <= 100).all()
    for column in found.T:
        counts, _ = np.histogram(np.log10(column), bins=4, range=(-2, 2))
        assert counts.min() >= 7
    assert list(weights_grid(3, COSTS)) == list(ways)[:3]


def test_limits_are_of_the_first_cost_or_of_the_one_that_is_named() -> None:
    assert list(limits("0, 0.01", COSTS)) == ["harm<=0", "harm<=0.01"]
    assert limits("delay<=5,9", COSTS) == {f"delay<={n}": {"constraint": f"delay<={n}"} for n in (5, 9)}


def test_the_front_itself_has_all_of_the_hypervolume_and_no_regret() -> None:
    worst = np.array([3.0, 4.0, 7.0])  # nobody can change the third
    own = [{"seed": seed, "costs": each} for seed in (0, 1) for each in FRONT.tolist()]
    found = _measured(own, FRONT, worst)
    assert found["hypervolume"]["mean"] == pytest.approx(1) and found["regret"]["mean"] == pytest.approx(0)
    # Of 12 there are 6.5 beyond the front, and 6 without the point in the middle.
    less = [each for each in own if each["costs"][0] != 2]
    assert _measured(less, FRONT, worst)["hypervolume"]["mean"] == pytest.approx(6 / 6.5)
    assert _measured(own[:3], FRONT[:1], FRONT[0])["hypervolume"]["mean"] == 1.0


def test_a_tournament_along_weights(tmp_path, capsys) -> None:
    found = compare(tmp_path, "--agents", "q-learning", "--weights-grid", "4", "--budget", "100_000")
    front = found["front"]
    assert front["costs"] == ["harm_outside", "harm_aboard", "delay"]
    assert front["exact"] == front["front"] and len(front["exact"]) == 3
    (told,) = front["agents"].values()
    assert len(told["points"]) == 4 and 0.3 < told["hypervolume"]["mean"] < 1.01
    assert set(front["others"]) == {"random", "timetable"} and not found["agents"]
    (folder,) = (tmp_path / "tram").iterdir()
    page = (folder / "report.html").read_text()
    assert "Cost against cost" in page and "exact front" in page and "--weights" in page
    out = capsys.readouterr().out
    assert "hypervolume" in out and "largest regret" in out
    assert not list((folder / "results").glob("*.gif"))
    # What is there is not trained again; what is missing is.
    next((folder / "results").glob("*q-learning*")).unlink()
    assert cli.main(["compare", "--resume", str(folder)]) == 0
    assert "1/1 after" in capsys.readouterr().out
    assert all(
        entry.name.startswith("q-learning ") for entry in Tournament.open(folder).entries if entry.config
    )


def test_a_tournament_along_limits(tmp_path) -> None:
    front = compare(tmp_path, "--agents", "sarsa", "--constraints", "0,1", "--budget", "60_000")["front"]
    assert front["costs"] == ["harm_outside", "delay"]  # nobody learned of those aboard
    points = {each["way"]: each["costs"] for each in front["agents"]["sarsa"]["points"]}
    assert list(points) == ["harm_outside<=0", "harm_outside<=1"]
    assert points["harm_outside<=0"][0] == 0 and points["harm_outside<=1"][0] <= 1.2
    assert points["harm_outside<=1"][1] < points["harm_outside<=0"][1]


@pytest.mark.parametrize(
    ("world", "flags", "words"),
    [
        ("kiosk", "--agents ppo --weights-grid 3", "two costs apart, or more"),
        ("CartPole-v1", "--agents ppo --constraints 0", "two costs apart, or more"),
        ("tram", "--agents genetic --weights-grid 3", "genetic takes no weights and no constraint"),
        ("tram", "--agents dqn --constraints 0,1", "dqn learns again"),
        ("tram", "--agents sarsa --constraints 0,x", "the limit of harm_outside is a number"),
        ("tram", "--agents sarsa --constraints hope<=0", "tells no cost 'hope'"),
        ("tram", "--agents sarsa --weights-grid 0", "weights_grid must be at least 1"),
        ("tram", "--agents sarsa --weights-grid 2 --constraints 0", "give one of both"),
    ],
)
def test_what_is_no_front_is_one_line(world, flags, words, tmp_path, capsys) -> None:
    assert cli.main(["compare", world, *flags.split(), "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err.strip()
    assert words in told and "\n" not in told and not list(tmp_path.iterdir())
