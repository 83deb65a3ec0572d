"""A limit on what an episode may cost: learned with a multiplier, kept by a mixture of two checkpoints."""

from __future__ import annotations

import json
from functools import partial

import meze
import numpy as np
import pytest
from meze.agents.costs import MixedPolicy, Multiplier, best_mixture
from meze.agents.fronts import coverage_set
from meze.agents.memory import forget
from meze.envs.core import Cost
from meze.envs.tram.config import TramConfig
from meze.envs.tram.process import expected_costs, process_of, solve
from meze.envs.tram.world import Tram
from meze.runners import cli
from meze.runners.reporting.limits import limits_told, verdict
from meze.runners.reporting.statistics import cost_interval
from meze.runners.setup.costs import Limit, read_limit
from scipy.optimize import linprog

COSTS = (Cost("harm_outside", "people hit"), Cost("delay", "ticks"))
SCENE = "06-the-timetable"
SHORT = {
    "env.scene": SCENE,
    "eval_episodes": 8,
    "num_envs": 16,
    "agent.exploration.steps": 3000,
    "agent.learning-rate.steps": 3000,
}
FEW = 200


@pytest.fixture
def soon(monkeypatch) -> None:
    """Checkpoints are judged by few episodes."""
    monkeypatch.setattr("meze.runners.run.evaluation.CERTIFIED", FEW)


def least_delay(scene, most):
    """Ticks that the best policy takes which hits so many people at most, by the exact front."""
    process = process_of(Tram(TramConfig(scene=scene)), 0)

    def best(weights):
        outside, delay = np.maximum(weights, 1e-6)
        return expected_costs(process, solve(process, np.array([outside, 1e-7, delay])))[[0, 2]]

    front = coverage_set(best, 2)
    return linprog(front[:, 1], front[:, :1].T, [most], np.ones((1, len(front))), [1.0]).fun


@pytest.mark.parametrize(("scene", "most"), [(SCENE, 0.2), ("08-a-crowd", 1.0)])
def test_the_limit_is_kept_and_costs_what_it_must(scene, most, tmp_path):
    settings = {"env.scene": scene, "constraint": f"harm_outside<={most}"}
    run = meze.train("q-learning", "tram", settings, steps=200_000, out=tmp_path, seed=5)
    scores = meze.evaluate("tram", [run], episodes=20_000)
    (told,), (limit,) = scores.of.values(), scores.limits.values()
    assert limit["cost"] == "harm_outside" and limit["most"] == most and limit["mean_95"][1] <= 1.2 * most
    assert told["length"]["mean"] == pytest.approx(least_delay(scene, most), abs=0.1)
    mixture = json.loads((run.path / "mixture.json").read_text())
    assert mixture["kept"] and len(mixture["checkpoints"]) == 2
    assert scores.plain()["limits"] == dict(scores.limits)
    policy, env = meze.load(run.path, num_envs=8)
    assert isinstance(policy, MixedPolicy)
    env.close()


def test_a_run_with_a_limit_goes_on_exactly(tmp_path, soon):
    train = partial(meze.train, "q-learning", "tram", SHORT | {"constraint": "harm_outside<=0.2"})
    often = {"eval_every": 256, "checkpoint_every": 512}
    whole = train(steps=4096, out=tmp_path / "a", **often)
    half = train(steps=2000, out=tmp_path / "b", **often)  # its end lies between two evaluations
    longer = meze.resume(half.path, steps=4096)
    found = [meze.load(run.path, checkpoint="newest")[0].q for run in (whole, longer)]
    assert found[0].tobytes() == found[1].tobytes() and found[0].any()
    multipliers = [
        [row["multiplier"] for row in run.metrics if "multiplier" in row] for run in (whole, longer)
    ]
    assert multipliers[0][-1] == multipliers[1][-1] != 1.0 and len(set(multipliers[0])) > 8


def test_weights_of_other_costs_go_with_a_limit(tmp_path, soon):
    settings = SHORT | {"constraint": "harm_outside<=0.2", "weights": "harm_aboard=2"}
    run = meze.train("sarsa-lambda", "tram", settings, steps=512, out=tmp_path)
    assert (run.path / "mixture.json").exists()


def test_the_least_is_told_where_no_policy_keeps_the_limit(tmp_path, soon, capsys):
    flags = ["--env.scene", "11-too-late", "--constraint", "harm_outside<=0.5", "--steps", "20_000"]
    assert cli.main(["train", "q-learning", "tram", *flags, "--out", str(tmp_path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "no checkpoint keeps" in line]
    assert len(lines) == 1 and "harm_outside<=0.5: the least that was reached is 1" in lines[0]
    (run,) = (tmp_path / "tram" / "q-learning").iterdir()
    assert not json.loads((run / "mixture.json").read_text())["kept"]
    assert cli.main(["evaluate", "tram", str(run), "--episodes", "50"]) == 0
    assert "and may be 0.5: above it" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("agent", "settings", "words"),
    [
        ("dqn", {"constraint": "delay<=9"}, "dqn learns again from what costs counted long ago"),
        ("dyna-q", {"constraint": "delay<=9"}, "dyna-q learns again"),
        ("clone", {"constraint": "delay<=9"}, "clone does not learn from single transitions"),
        ("q-learning", {"constraint": "delay<=9", "weights": "delay=1"}, "it takes no weight"),
    ],
)
def test_who_takes_no_limit_says_so(agent, settings, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        meze.train(agent, "tram", settings, out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "costs", "words"),
    [
        ("delay", COSTS, "written as harm<=0.01; got 'delay'"),
        ("delai<=1", COSTS, "did you mean 'delay'"),
        ("delay<=-1", COSTS, "at least 0; got '-1'"),
        ("delay<=nan", COSTS, "at least 0; got 'nan'"),
        ("delay<=1", (), "tells costs apart"),
    ],
)
def test_limits_that_mean_nothing_are_one_line(text, costs, words):
    with pytest.raises(ValueError) as caught:
        read_limit(text, costs)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert read_limit(" delay <= 0.5 ", COSTS) == Limit("delay", 0.5)


@pytest.mark.parametrize(
    "altered", ['{"format": 1}', '{"format": 1, "checkpoints": [{"step": 3, "share": 1}]}']
)
def test_a_mixture_that_was_altered_is_one_line(altered, tmp_path, soon, capsys):
    run = meze.train(
        "q-learning", "tram", SHORT | {"constraint": "delay<=9"}, steps=512, out=tmp_path, eval_every=256
    )
    (run.path / "mixture.json").write_text(altered)
    capsys.readouterr()
    assert cli.main(["evaluate", "tram", str(run.path)]) == 2
    told = capsys.readouterr().err.strip()
    assert "mixture.json was cut short or altered" in told and "\n" not in told


# ---------------------------------------------------------------- parts


def test_the_best_mixture_is_that_of_the_linear_program():
    rng = np.random.default_rng(0)
    for _ in range(200):
        gain, paid = rng.normal(size=(2, 6)).round(1)
        most = float(rng.normal())
        shares, kept = best_mixture(gain, paid, most)
        found = linprog(-gain, paid[None], [most], np.ones((1, 6)), [1.0])
        assert kept == (found.status == 0) and (shares > 0).sum() <= 2 and shares.sum() == pytest.approx(1)
        if kept:
            assert shares @ gain == pytest.approx(-found.fun) and shares @ paid <= most + 1e-9
        else:
            assert paid[shares.argmax()] == paid.min()


class Always:
    values_are = "expects"

    def __init__(self, action):
        self.action = action

    def act(self, obs, memory=None, *, explore=False, mask=None):
        return np.full(len(obs), self.action), None

    def action_values(self, obs, memory=None):
        return np.full((len(obs), 3), float(self.action))


def test_one_policy_is_drawn_for_each_episode():
    mixed = MixedPolicy([Always(1), Always(2)], [0.25, 0.75], np.random.default_rng(0))  # type: ignore[list-item]
    obs = np.zeros((4000, 1))
    first, memory = mixed.act(obs)
    assert np.mean(first == 1) == pytest.approx(0.25, abs=0.03)
    again, memory = mixed.act(obs, memory)
    assert (again == first).all()
    assert (mixed.action_values(obs, memory)[:, 0] == first).all() and mixed.state_values is not None
    later, _ = mixed.act(obs, forget(memory, np.arange(2000)))
    assert (later[2000:] == first[2000:]).all() and 0.2 < np.mean(later[:2000] != first[:2000]) < 0.55


def test_the_multiplier_finds_what_keeps_the_limit():
    for worth in (1e-3, 0.2, 30.0):  # the cost is 1 while it counts less than that, else 0
        multiplier = Multiplier(0.3)
        for _ in range(60):
            multiplier.learn(float(multiplier.value < worth))
        assert multiplier.value == pytest.approx(worth, rel=0.12)
    again = Multiplier(0.3)
    again.load_state_dict(multiplier.state_dict())
    again.learn(1.0), multiplier.learn(1.0)
    assert again.value == multiplier.value
    with pytest.raises(ValueError, match="damaged"):
        again.load_state_dict({"value": -1.0, "step": 0.5})


def test_what_was_not_seen_may_still_be():
    none = np.zeros(1000)
    assert cost_interval(none) == (0.0, pytest.approx(0.00368, abs=1e-5))
    rare = none.copy()
    rare[:3] = 2.0
    low, high = cost_interval(rare)
    assert low < 0.0013 and high == pytest.approx(2 * 0.00874, abs=1e-4)
    many = np.random.default_rng(0).poisson(2.0, 5000).astype(float)
    assert cost_interval(many) == pytest.approx((many.mean() - 0.04, many.mean() + 0.04), abs=0.02)


def test_a_verdict_needs_a_whole_interval():
    of = {"harm_outside": np.array([0.0] * 900 + [1.0] * 100)}
    told = {most: verdict(Limit("harm_outside", most), of) for most in (0.05, 0.1, 0.2)}
    assert [each["kept"] for each in told.values()] == [False, None, True]
    (line,) = limits_told({"a": told[0.2]})
    assert line.startswith("a: harm_outside is 0.1 (0.08") and line.endswith(") and may be 0.2: within it")
