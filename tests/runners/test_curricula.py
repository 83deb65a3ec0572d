"""Runs with a curriculum: what they draw, that they go on exactly, and what is refused."""

import csv

import numpy as np
import pytest
from meze.agents import checkpoint
from meze.envs.vacuum.config import VacuumConfig
from meze.envs.vacuum.world import Vacuum
from meze.runners import cli
from meze.runners.run.training import Training
from run_files import assert_same_end, final, kill_and_resume, only_run, rows

VACUUM = ["--env.pool-size", "6", "--max-episode-steps", "60"]
SHORT = ["--steps", "4096", "--num-envs", "16", "--eval-episodes", "16"]
DEEP = ["--agent.net.kind", "mlp", "--agent.net.hidden", "16", "--torch-threads", "1", "--device", "cpu"]
PQN = [*DEEP, "--agent.num-steps", "8", "--agent.num-minibatches", "2"]


def levels_of(run) -> list[float]:
    with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
        return [float(row["levels"]) for row in csv.DictReader(file)]


def refused(args, capsys, *words) -> None:
    assert cli.main(args) == 2
    said = capsys.readouterr().err
    assert said.startswith("meze: error: ") and said.count("\n") == 1, said
    for word in words:
        assert word in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "curriculum", "flags"),
    [
        ("sarsa", "plr", []),
        ("q-learning", "ramp", []),
        ("pqn", "plr", PQN),
        ("ppo", "plr", [*PQN, "--agent.normalize-rewards"]),
    ],
)
def test_killed_and_resumed_equals_never_stopped(agent, curriculum, flags, tmp_path) -> None:
    args = ["train", agent, "vacuum", *VACUUM, *flags, "--steps", "60_000", "--num-envs", "16"]
    args += ["--curriculum", curriculum, "--checkpoint-every", "3000", "--eval-every", "20_000"]
    args += ["--eval-episodes", "16"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert cli.main([*args, "--out", str(whole)]) == 0
    run, left = kill_and_resume([*args, "--out", str(broken)], broken, after=(0, 4, 9))
    assert left < 18  # far from the end
    assert cli.main(["train", "--resume", str(run)]) == 0
    assert_same_end(run, only_run(whole))
    state = final(run)
    assert state["curriculum.weights"].shape == (6,)
    assert levels_of(run) == levels_of(only_run(whole))


def test_a_ramp_lets_nothing_but_its_open_levels_be_drawn(tmp_path, monkeypatch) -> None:
    met, advance = [], Training.advance

    def watched(self, progress, stop):
        step = self._rollout.step

        def taken():
            found = step()
            share = self.step / self.config.settings.steps
            met.append((share, set(self.env.unwrapped.state["flat"].tolist())))
            return found

        self._rollout.step = taken
        return advance(self, progress, stop)

    monkeypatch.setattr(Training, "advance", watched)
    args = ["train", "q-learning", "vacuum", *VACUUM, *SHORT, "--curriculum", "ramp", "--out", str(tmp_path)]
    assert cli.main(args) == 0
    hardness = Vacuum(VacuumConfig(pool_size=6)).hardness()
    order = np.argsort(hardness, kind="stable").tolist()
    assert {level for share, levels in met if share < 0.05 for level in levels} == {order[0]}
    assert {level for share, levels in met if share > 0.6 for level in levels} == set(range(6))
    found = levels_of(only_run(tmp_path))
    assert found[0] == 1.0 and found[-1] == 6.0 and found == sorted(found)


def test_prioritised_levels_are_those_with_errors(tmp_path) -> None:
    args = ["train", "q-learning", "vacuum", *VACUUM, *SHORT, "--curriculum", "plr", "--out", str(tmp_path)]
    assert cli.main(args) == 0
    state = final(only_run(tmp_path))
    score, weights = state["curriculum.levels.score"], state["curriculum.weights"]
    assert state["curriculum.levels.seen"].all() and (score > 0).all()
    assert weights.argmax() == score.argmax() and weights.max() > 2 * np.median(weights)  # 1 and 7 / 24


def test_a_search_meets_easy_levels_first(tmp_path) -> None:
    args = ["train", "genetic", "vacuum", *VACUUM, "--curriculum", "ramp", "--generations", "6"]
    args += ["--episodes", "2", "--agent.population-size", "12", "--eval-episodes", "4"]
    args += ["--out", str(tmp_path)]
    assert cli.main(args) == 0
    assert levels_of(only_run(tmp_path)) == [1, 2, 4, 6, 6, 6]


NEAT = ["--episodes", "2", "--agent.population-size", "40", "--agent.species", "4", "--eval-episodes", "4"]


def histories(path) -> list[int]:
    """For how many generations each species' fitness is remembered."""
    state = checkpoint.load(path)
    return [int(age) for age in state["learner.species.age"]]


def test_neat_forgets_what_species_did_on_easier_levels(tmp_path) -> None:
    args = ["train", "neat", "vacuum", *VACUUM, *NEAT, "--curriculum", "ramp", "--generations", "10"]
    assert cli.main([*args, "--out", str(tmp_path)]) == 0
    run = only_run(tmp_path)
    paths = sorted((run / "checkpoints").iterdir())
    levels, oldest = levels_of(run), [max(histories(path)) for path in paths]
    assert levels == [1, 2, 3, 4, 5, 6, 6, 6, 6, 6]
    # A generation's fitness is noted when the next one is bred, so the last one's never is yet.
    assert oldest[:6] == [0] * 6 and oldest[6:] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_search_on_a_ramp_goes_on_exactly(tmp_path) -> None:
    args = ["train", "neat", "vacuum", *VACUUM, *NEAT, "--curriculum", "ramp", "--generations", "20"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert cli.main([*args, "--out", str(whole)]) == 0
    run, left = kill_and_resume([*args, "--out", str(broken)], broken, after=(0, 4, 13))
    assert left < 19
    assert cli.main(["train", "--resume", str(run)]) == 0
    assert_same_end(run, only_run(whole))
    assert levels_of(run) == levels_of(only_run(whole))


def test_a_trainer_of_another_library_takes_a_ramp(tmp_path) -> None:
    args = ["train", "sb3-a2c", "vacuum", *VACUUM, *SHORT, "--steps", "640", "--curriculum", "ramp"]
    assert cli.main([*args, "--out", str(tmp_path)]) == 0
    assert levels_of(only_run(tmp_path))[-1] == 6


def test_without_a_curriculum_nothing_is_kept_of_it(tmp_path) -> None:
    assert cli.main(["train", "q-learning", "vacuum", *VACUUM, *SHORT, "--out", str(tmp_path)]) == 0
    run = only_run(tmp_path)
    assert not [name for name in final(run) if name.startswith("curriculum")]
    assert "levels" not in rows(run)[-1]


@pytest.mark.parametrize(
    ("agent", "env", "flags", "words"),
    [
        ("q-learning", "vacuum", ["--curriculum", "rampp"], ["uniform", "ramp", "plr"]),
        ("genetic", "vacuum", ["--curriculum", "plr"], ["uniform", "ramp"]),
        ("q-learning", "fire-escape", ["--curriculum", "plr"], ["has no levels to choose from"]),
        ("q-learning", "FrozenLake-v1", ["--curriculum", "ramp"], ["has no levels to choose from"]),
        ("sb3-a2c", "vacuum", ["--curriculum", "plr"], ["sb3-a2c does not tell its errors"]),
        ("clone", "vacuum", ["--curriculum", "ramp"], ["clone learns what a teacher does"]),
        ("q-learning", "tram", ["--curriculum", "ramp"], ["can't say which scene is easy"]),
        ("q-learning", "vacuum", ["--curriculum", "plr", "--env.pool-size", "1"], ["has one flat here"]),
        ("pqn", "platformer", ["--curriculum", "ramp", "--env.level", "01-running"], ["has one level here"]),
    ],
)
def test_who_takes_no_curriculum_says_so(agent, env, flags, words, tmp_path, capsys) -> None:
    refused(["train", agent, env, *flags, "--out", str(tmp_path)], capsys, *words)
    assert not list(tmp_path.iterdir())


def test_a_damaged_curriculum_is_one_line(tmp_path, capsys) -> None:
    args = ["train", "q-learning", "vacuum", *VACUUM, *SHORT, "--curriculum", "plr", "--out", str(tmp_path)]
    assert cli.main(args) == 0
    run = only_run(tmp_path)
    path = sorted((run / "checkpoints").iterdir())[-1]
    state = checkpoint.load(path)
    checkpoint.save(path, state | {"curriculum.weights": np.zeros(6, np.int64)})
    refused(["train", "--resume", str(run), "--steps", "8000"], capsys, "does not fit its run", "no level")
