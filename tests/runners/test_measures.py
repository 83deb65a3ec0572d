"""What episodes are measured by: how steps are summed up, what is made of it, and that all of it is shown."""

import csv
import json

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from meze.agents.base import Policy
from meze.envs.city.world import City
from meze.envs.core.measures import COST, SUCCESS, Measure
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.fire_escape.world import FireEscape
from meze.envs.kiosk.world import Kiosk
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.world import Platformer
from meze.runners import cli
from meze.runners.reporting.measures import STANDARD, measures_of, reported
from meze.runners.run.rollout import Rollout, Tally
from meze.runners.setup.seeds import EVALUATION_SEED
from meze.runners.show.show import Show
from meze.runners.show.viewer import Viewer
from run_files import only_run
from toy_world import Corridor

HOWS = ("any", "sum", "last", "mean", "max")


class Always(Policy):
    """Does the same thing again and again."""

    def __init__(self, action: int) -> None:
        self._action = action

    def act(self, obs, memory=None, *, explore=False, mask=None):
        return np.full(len(obs), self._action), memory


# ---------------------------------------------------------------- summing up


@pytest.mark.parametrize("how", HOWS)
def test_an_episode_sums_up_its_steps_as_is_declared(how) -> None:
    """Three rows in SAME_STEP, against a plain list of each episode's values, of which some are negative."""
    oracle = {
        "any": lambda x: min(sum(x), 1),
        "sum": sum,
        "last": lambda x: x[-1],
        "mean": np.mean,
        "max": max,
    }
    rng, tally = np.random.default_rng(3), Tally(3, measures_of(None) + (Measure("speed", how),))
    seen: list[list[float]] = [[], [], []]
    ends = 0
    for _ in range(60):
        values = rng.integers(0 if how == "any" else -5, 6, 3).astype(float)
        ended = rng.random(3) < 0.2
        for row in range(3):
            seen[row].append(values[row])
        info = {"speed": np.where(ended, 99.0, values)}  # of the next episode, where one has ended
        if not ended.any():
            assert tally.count(np.ones(3), ended, info) is None
        else:
            episodes = tally.count(np.ones(3), ended, info | {"final_info": {"speed": values * ended}})
            assert episodes is not None and episodes.index.tolist() == np.flatnonzero(ended).tolist()
            for row, found in zip(episodes.index, episodes.measures["speed"], strict=True):
                assert found == pytest.approx(oracle[how](seen[row]))
                seen[row], ends = [], ends + 1
        for row, found in enumerate(tally.so_far()["speed"]):
            assert found == pytest.approx(oracle[how](seen[row]) if seen[row] else 0)
    assert ends > 10


def test_a_tally_goes_on_with_what_is_still_measured() -> None:
    """As after an update: a checkpoint knows another measure, and none of the one that is new."""
    before = Tally(2, (*STANDARD, Measure("hope", "last")))
    before.add(np.ones(2), {"hope": np.ones(2), "cost": np.array([0, 3])})
    after = Tally(2, (*STANDARD, Measure("slipped", "mean")))
    after.load_state_dict(before.state_dict())
    after.add(np.ones(2), {"slipped": np.ones(2), "cost": np.array([1, 1])})
    assert {name: values.tolist() for name, values in after.take(np.arange(2)).items()} == {
        "return": [2, 2],
        "length": [2, 2],
        "cost": [1, 4],
        "slipped": [0.5, 0.5],
    }


# ---------------------------------------------------------------- what is declared


def test_standard_names_stand_first_and_last_and_are_not_declared_twice() -> None:
    names = {world: [each.name for each in measures_of(world)] for world in (None, City, Kiosk, Corridor)}
    assert names[None] == names[Corridor] == ["return", "success", "cost", "length"]
    costs = ["harm_car", "harm_person", "harm_ambulance", "ambulance_delayed", "time"]  # behind all else
    assert names[City] == ["return", "success", "cost", "own_fault", "length", *costs]
    assert names[Kiosk] == ["return", "success", "cost", "regret", "objective", "length"]


@pytest.mark.parametrize(
    ("measures", "words"),
    [
        ((Measure("length", "sum"),), "can't declare a measure length: the name is taken"),
        ((Measure("seconds", "sum"),), "can't declare a measure seconds: the name is taken"),
        ((Measure("hope", "sum"), Measure("hope", "max")), "declares a measure twice: hope, hope"),
    ],
)
def test_names_that_are_taken_are_refused(measures, words, monkeypatch) -> None:
    monkeypatch.setattr(Corridor, "measures", measures)
    with pytest.raises(ValueError, match=words):
        measures_of(Corridor)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("own fault", "any"), "letters, digits and underscores"),
        (("../x", "any"), "letters, digits and underscores"),
        (("hope", "median"), "how is one of any, sum, last, mean, max; got 'median'"),
        (("hope",), "how is one of any"),
    ],
)
def test_a_measure_that_makes_no_sense_is_refused(arguments, words) -> None:
    with pytest.raises(ValueError, match=words):
        Measure(*arguments)


def test_a_regret_is_told_where_the_optimum_is_known_or_a_reference_has_played() -> None:
    known = {"regret": np.array([0.0, 0.5]), "objective": np.array([4.0, 6.0])}
    unknown = known | {"regret": np.array([0.0, -1.0])}
    best = {"objective": np.array([4.0, 5.0])}
    measures = measures_of(Kiosk)
    assert list(reported(known, measures)) == ["regret", "objective"]
    assert reported(known, measures)["regret"].tolist() == [0.0, 0.5]
    assert list(reported(unknown, measures)) == ["objective"]
    assert reported(unknown, measures, None, best)["regret"] == pytest.approx([0, 0.2])


def test_a_time_over_par_is_that_of_levels_that_were_cleared() -> None:
    counted = {name: np.array(values, float) for name, values in {
        "length": [10, 20, 30], "clear": [1, 0, 1], "par_time": [40, 40, 0]}.items()}  # fmt: skip
    config, measures = PlatformerConfig(frame_skip=8), measures_of(Platformer)
    found = reported(counted, measures, config)
    assert list(found) == ["clear", "time_over_par", "length"] and found["time_over_par"].tolist() == [2.0]
    assert "time_over_par" not in reported(counted | {"clear": np.zeros(3)}, measures, config)
    assert "time_over_par" not in reported({"length": counted["length"]}, measures, config)  # older


def test_what_is_made_of_something_that_nobody_counts_is_told_and_not_left_out() -> None:
    def despair(played):
        return 1 - (played.best or played.counted)["hop"]

    measures = (*STANDARD, Measure("hope", "max"), Measure("despair", of=despair))
    counted = {"return": np.ones(2), "hope": np.ones(2)}
    for best in (None, counted):
        with pytest.raises(ValueError, match="^measure despair is made of 'hop', which nobody counts$"):
            reported(counted, measures, None, best)
    declared = (*measures, Measure("hop", "last"))
    assert "despair" not in reported(counted, declared)  # these results are older than the field
    assert "despair" not in reported(counted | {"hop": np.ones(2)}, declared, None, counted)  # or its
    assert reported(counted | {"hop": np.ones(2)}, declared)["despair"].tolist() == [0, 0]


def test_what_a_step_reports_is_summed_where_the_world_says_so() -> None:
    env = WorldVectorEnv(FireEscape, 8, 128, AutoresetMode.SAME_STEP)
    rollout, seen = Rollout(env, Always(0), seeds=0), 0
    while seen < 20:
        _, episodes = rollout.step()
        if episodes is not None:
            assert list(episodes.measures) == ["return", "length", "success", "cost", "health", "out"]
            # It stood still and was harmed: by smoke, which takes all health, or by fire before that.
            assert not episodes.measures["success"].any() and (episodes.measures["health"] < 100).any()
            seen += len(episodes.index)


# ---------------------------------------------------------------- a world of somebody else


def by_hand(episodes: int) -> dict[str, float]:
    """What the expert's episodes come to, step by step in single environments."""
    means, hopes = [], []
    env = gymnasium.make("mine/Alley-v0")
    for seed in range(EVALUATION_SEED, EVALUATION_SEED + episodes):
        env.reset(seed=seed)
        infos, over = [], False
        while not over:
            _, _, terminated, truncated, info = env.step(2)  # right, as the expert goes
            infos.append(info)
            over = terminated or truncated
        means.append(np.mean([info["slipped"] for info in infos]))
        hopes.append(max(info["hope"] for info in infos))
    return {"slipped": float(np.mean(means)), "hope": float(np.mean(hopes))}


@pytest.mark.slow
def test_a_measure_of_a_plugin_stands_in_evaluate_and_compare(alley, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["evaluate", alley, "expert", "--episodes", "8", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)["scores"]["expert"]
    assert list(measured) == ["return", "slipped", "hope", "length"]
    expected = by_hand(8)
    assert expected["slipped"] > 0.1 and expected["hope"] == 7 / 8
    assert {name: measured[name]["mean"] for name in expected} == pytest.approx(expected)
    assert cli.main(["evaluate", alley, "expert", "--episodes", "8"]) == 0
    said = capsys.readouterr().out
    assert "ground lost" in said and f"{100 * expected['slipped']:.1f} %" in said

    args = ["compare", alley, "--agents", "random,expert", "--episodes", "8", "--out", str(tmp_path / "out")]
    assert cli.main(args) == 0
    said = capsys.readouterr().out
    assert "ground lost" in said and f"{100 * expected['slipped']:.1f} %" in said
    (report,) = (tmp_path / "out").glob("*/*/report.json")
    found = json.loads(report.read_text())
    measures = found["agents"]["expert"]["measures"]
    assert {name: measures[name]["mean"] for name in expected} == pytest.approx(expected)
    assert found["measures"]["slipped"] == {
        "title": "ground lost", "note": "share of steps that failed", "share": True, "better": False
    }  # fmt: skip
    page = report.with_suffix(".html").read_text()
    assert "ground lost" in page and "Each run. Ground lost: share of steps that failed." in page


def test_a_measure_of_a_plugin_stands_in_all_that_training_shows(alley, tmp_path, capsys) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    small = ["--steps", "4096", "--num-envs", "32", "--eval-episodes", "16", "--out", str(tmp_path / "runs")]
    assert cli.main(["train", "q-learning", alley, *small]) == 0
    said = capsys.readouterr().out
    run = only_run(tmp_path / "runs")
    scores = json.loads((run / "evaluation.json").read_text())["scores"]["q-learning"]
    with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    last = float(rows[-1]["eval_slipped"])
    assert f"4,096 of 4,096 transitions evaluated: return {float(rows[-1]['eval_return']):.2f}, " in said
    assert f"ground lost {100 * last:.0f} %" in said
    events = event_accumulator.EventAccumulator(str(run)).Reload()
    value = {tag: events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"]}
    assert value["eval/slipped"] == pytest.approx(last, rel=1e-4)
    assert value["final/slipped"] == pytest.approx(scores["slipped"]["mean"])
    assert 0.05 < value["train/slipped"] < 0.6 and value["final/hope"] == pytest.approx(
        scores["hope"]["mean"]
    )
    assert cli.main(["train", "--resume", str(run), "--env", alley, "--steps", "8192"]) == 0


# ---------------------------------------------------------------- the panel of watch


@pytest.mark.parametrize("together", [False, True])
def test_the_panel_tells_what_each_episode_comes_to_so_far(together, monkeypatch) -> None:
    declared = (SUCCESS, COST, Measure("slipped", "sum", "slips"), Measure("hope", "max", share=True))
    monkeypatch.setattr(Corridor, "measures", declared)
    mode = AutoresetMode.NEXT_STEP if together else AutoresetMode.DISABLED
    show = Show(WorldVectorEnv(Corridor, 4, 40, mode), Always(2), lambda k: k, together=together)
    viewer = Viewer(show, "right")
    assert not {"slips", "success"} & viewer._lines(show.moment, 0).keys()
    slips, over, episode = np.zeros(4), np.zeros(4, bool), 0
    while episode < 3:
        show.forward()
        moment = show.moment
        begun = moment.steps == 1
        slips = np.where(begun, 0, slips) + (moment.records["info"]["slipped"] * ~(over & ~begun))
        over = moment.ended
        for row in range(4):
            lines = viewer._lines(moment, row)
            assert lines["slips"] == f"{slips[row]:.0f}" and "success" not in lines  # infos have none
            assert lines["hope"] == f"{100 * moment.records['info']['hope'][row]:.1f} %"
        episode += int(over.all() if together else over.any())
    assert slips.max() > 0


def test_a_label_that_stands_there_is_not_written_again() -> None:
    from meze.envs.core.renderer import Panel
    from pygame import Surface

    panel = Panel(Surface((200, 16 + 3 * Panel.LINE + 16)))
    for _ in range(2):
        panel.begin()
        panel.row("harm", "none")
        panel.rows({"harm": "0"})
        assert panel.y == panel.MARGIN + panel.LINE
        panel.rows(dict.fromkeys("abcd", "1"))
        assert panel.y == panel.MARGIN + 3 * panel.LINE, "what does not fit is left out"
