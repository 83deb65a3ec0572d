"""Populations on islands: who goes where, and that the end depends on nobody who did the work."""

import contextlib
import dataclasses
import json
import re
import signal
import threading

import numpy as np
import pytest
from meze.agents import checkpoint
from meze.runners import cli
from meze.runners.run import islands, progress, search
from meze.runners.run.executor import Stopped
from meze.runners.run.folder import RunDir
from meze.runners.setup.files import held
from meze.runners.setup.interrupts import INTERRUPTED
from run_files import assert_same_end, final, kill_and_resume, only_run, rows

SMALL = ["--episodes", "2", "--eval-episodes", "16", "--islands", "3", "--migrate-every", "2"]
SIZES = {
    "genetic": ["--agent.population-size", "12", "--agent.elites", "2"],
    "cma-es": ["--agent.population-size", "8"],
    "neat": ["--agent.population-size", "12", "--agent.species", "3"],
}


def train(agent, out, *flags, generations=6):
    sizes = [*SMALL, *SIZES[agent], "--generations", str(generations)]
    return cli.main(["train", agent, "corridor", *sizes, *flags, "--out", str(out)])


@pytest.mark.parametrize("agent", list(SIZES))
def test_a_run_on_islands_is_a_run_like_any(agent, tmp_path, capsys) -> None:
    assert train(agent, tmp_path, generations=5) == 0
    run = only_run(tmp_path)
    table = rows(run)
    assert [row["generation"] for row in table] == ["2", "4", "5"]
    assert all(float(row["best"]) >= float(row["median"]) and row["island"] in "012" for row in table)
    assert table[-1]["eval_return"] and float(table[0]["diversity"]) > 0
    names = [path.name for path in sorted((run / "checkpoints").iterdir())]
    assert names == [f"step-{k:012d}.safetensors" for k in (2, 4, 5)]
    own = [rows(run / "islands" / str(k)) for k in range(3)]
    assert int(table[-1]["step"]) == sum(int(each[-1]["step"]) for each in own)
    fittest = own[int(table[-1]["island"])]
    assert float(fittest[-1]["best"]) == float(table[-1]["best"]) == max(float(o[-1]["best"]) for o in own)
    said = capsys.readouterr().out
    assert "5 of 5 generations evaluated: return " in said
    assert cli.main(["evaluate", "corridor", str(run), "random", "--episodes", "8"]) == 0
    assert not list((run / "islands").rglob("events*"))
    assert len(list((run / "islands").rglob("step-*"))) == 3 * islands.KEPT


def test_islands_meet_the_same_episodes_with_other_genomes(tmp_path) -> None:
    assert train("genetic", tmp_path, generations=2) == 0
    run = only_run(tmp_path)
    made = [
        islands.Island((run_dir := RunDir(run / "islands" / str(k))).config(), run_dir, k) for k in (0, 1)
    ]
    assert made[0].seeds() == made[1].seeds()
    assert not np.array_equal(made[0].agent.population, made[1].agent.population)
    for island in made:
        island.close()


@pytest.mark.parametrize("agent", list(SIZES))
def test_the_best_joins_the_next_island(agent, tmp_path) -> None:
    assert train(agent, tmp_path, generations=2) == 0
    run = only_run(tmp_path)
    config = RunDir(run).config()
    made = [islands.Island(config, RunDir(run / "islands" / str(k)), k) for k in range(3)]
    for k, island in enumerate(made):
        sent = checkpoint.load(islands.arrival(made[(k + 1) % 3].run, 2))
        best = island.agent.emigrant()
        assert sent.keys() == best.keys()
        assert all(np.array_equal(sent[name], best[name], equal_nan=True) for name in sent)
    arrived = checkpoint.load(islands.arrival(made[1].run, 2))
    made[1].agent.receive(arrived)
    population = made[1].agent.population
    assert len(population) == len(made[0].agent.population)
    if agent == "genetic":
        assert np.array_equal(population[-1], arrived["genes"])
        assert not (population[:-1] == arrived["genes"]).all(axis=1).any()
    if agent == "neat":
        weights = sorted(each.weight for each in population.genomes[-1].connections.values())
        assert weights == sorted(arrived["connection.weight"])
    for island in made:
        island.close()


@pytest.mark.parametrize("agent", list(SIZES))
def test_neither_order_nor_interruptions_change_the_end(agent, tmp_path, monkeypatch, capsys) -> None:
    assert train(agent, tmp_path / "whole") == 0
    play, played = search.Search.play, []

    def interrupted(self, population, stop):
        played.append(population)
        if len(played) in (3, 5, 6, 14):
            signal.raise_signal(signal.SIGINT)
        return play(self, population, stop)

    def backwards(self, until, progress, stop):
        try:
            for number in 2, 0, 1:
                self._island(number).evolve(until, stop)
        except Stopped:
            return False
        return True

    monkeypatch.setattr(search.Search, "play", interrupted)
    monkeypatch.setattr(islands.Islands, "_play_here", backwards)
    assert train(agent, tmp_path / "broken") == INTERRUPTED
    run = only_run(tmp_path / "broken")
    said = capsys.readouterr().out
    assert f"meze train --resume {run}" in said and "0 generations and a part of the next round" in said
    furthest = RunDir(run).furthest()
    assert furthest > RunDir(run).reached(), "an island is further than the run"
    assert cli.main(["train", "--resume", str(run), "--generations", str(furthest - 1)]) == 2
    assert f"is at {furthest} generations already" in capsys.readouterr().err
    codes = [cli.main(["train", "--resume", str(run)]) for _ in range(4)]
    assert codes == [INTERRUPTED] * 3 + [0]
    assert_same_end(run, only_run(tmp_path / "whole"))


@pytest.mark.slow
def test_neither_processes_nor_a_kill_change_the_end(tmp_path) -> None:
    args = ["train", "genetic", "corridor", *SMALL, *SIZES["genetic"], "--generations", "60"]
    assert cli.main([*args, "--out", str(tmp_path / "whole")]) == 0
    run, done = kill_and_resume(
        [*args, "--out", str(tmp_path / "broken")], tmp_path / "broken", after=(0, 3, 9)
    )
    assert done < 25
    assert cli.main(["train", "--resume", str(run)]) == 0
    assert_same_end(run, only_run(tmp_path / "whole"))

    args = ["train", "genetic", "city", *SMALL, *SIZES["genetic"], "--generations", "3"]
    args += ["--max-episode-steps", "30"]
    for jobs in "1", "2":  # the corridor is unknown to other processes
        assert cli.main([*args, "--jobs", jobs, "--out", str(tmp_path / jobs)]) == 0
    assert_same_end(only_run(tmp_path / "1"), only_run(tmp_path / "2"))


def test_it_goes_on_for_longer_as_if_it_had_been_asked_to(tmp_path) -> None:
    assert train("genetic", tmp_path / "short", generations=3) == 0
    run = only_run(tmp_path / "short")
    assert cli.main(["train", "--resume", str(run), "--generations", "6"]) == 0
    assert train("genetic", tmp_path / "long", generations=6) == 0
    a, b = final(run), final(only_run(tmp_path / "long"))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert json.loads((run / "islands" / "0" / "config.json").read_text())["run"]["generations"] == 6


def test_no_round_begins_after_the_last_step(tmp_path) -> None:
    assert train("genetic", tmp_path / "whole") == 0
    steps = [int(row["step"]) for row in rows(only_run(tmp_path / "whole"))]
    assert train("genetic", tmp_path / "part", "--max-steps", str(steps[0] + 1)) == 0
    part = rows(only_run(tmp_path / "part"))
    assert [row["generation"] for row in part] == ["2", "3"]  # one more is enough
    assert int(part[0]["step"]) == steps[0] < int(part[1]["step"]) < steps[1]


def test_what_an_island_can_not_take_in_is_named(tmp_path, capsys) -> None:
    assert train("genetic", tmp_path, generations=2) == 0
    run = only_run(tmp_path)
    path = islands.arrival(RunDir(run / "islands" / "1"), 2)
    arrived = checkpoint.load(path)
    for change in {"genes": arrived["genes"] + 100}, {"genes": arrived["genes"][:1]}, {"step": np.zeros(1)}:
        checkpoint.save(path, arrived | change)
        assert cli.main(["train", "--resume", str(run), "--generations", "4"]) == 2
        assert f"{path} does not fit the island" in capsys.readouterr().err
    path.unlink()
    assert cli.main(["train", "--resume", str(run), "--generations", "4"]) == 2
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("name", [".", "1", "1/checkpoints", "1/config.json"])
def test_nothing_is_written_through_links(name, tmp_path, capsys) -> None:
    assert train("genetic", tmp_path / "runs", generations=2) == 0
    run = only_run(tmp_path / "runs")
    link, mine = run / "islands" / name, tmp_path / "mine"
    link.rename(mine)
    link.symlink_to(mine)
    before = {path: path.read_bytes() for path in [mine, *mine.rglob("*")] if path.is_file()}
    assert cli.main(["train", "--resume", str(run), "--generations", "4"]) == 2
    assert f"{link} is a link" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in [mine, *mine.rglob("*")] if path.is_file()}


def test_islands_go_on_with_the_settings_of_the_command(tmp_path) -> None:
    assert train("genetic", tmp_path, generations=2) == 0
    run = only_run(tmp_path)
    assert cli.main(["train", "--resume", str(run), "--generations", "4", "--num-threads", "2"]) == 0
    own = RunDir(run / "islands" / "2").config()
    assert own.settings.num_threads == 2
    assert own == dataclasses.replace(RunDir(run).config(), settings=own.settings)


def test_no_round_begins_after_it_was_interrupted(tmp_path) -> None:
    class Recorded:
        begun = 0

        @contextlib.contextmanager
        def running(self, tasks):
            self.begun += len(list(tasks))
            yield iter(())

    assert train("genetic", tmp_path, generations=2) == 0
    run, recorded, stop = RunDir(only_run(tmp_path)), Recorded(), threading.Event()
    config = run.config()
    config = dataclasses.replace(config, settings=dataclasses.replace(config.settings, generations=4))
    job = islands.Islands(config, run, run.newest_sound(), recorded)
    stop.set()
    assert not job.advance(job.progress(), stop)
    job.close()
    assert recorded.begun == 0


def test_an_island_without_metrics_is_named(tmp_path, capsys) -> None:
    assert train("genetic", tmp_path, generations=2) == 0
    run = only_run(tmp_path)
    (run / "checkpoints" / "step-000000000002.safetensors").unlink()
    path = run / "islands" / "1" / "metrics.csv"
    for spoil in lambda: path.write_text(""), path.unlink:
        spoil()
        assert cli.main(["train", "--resume", str(run)]) == 2
        assert f"{path} has no row of generation 2" in capsys.readouterr().err


def test_how_far_islands_are_is_shown_while_a_round_lasts(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    assert train("genetic", tmp_path, generations=4) == 0
    told = re.findall(r"^(\d) of 4 generations, .*steps/s$", capsys.readouterr().out, re.MULTILINE)
    assert told == sorted(told) and {"1", "3"} <= set(told), "between two migrations"


def test_a_run_whose_own_newest_checkpoints_are_damaged(tmp_path, capsys) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for out in whole, broken:
        assert train("genetic", out, generations=6) == 0
    run = RunDir(only_run(broken))
    assert run.steps()[-2:] == [4, 6]
    run.checkpoint_path(6).write_bytes(b"rubbish")
    assert cli.main(["train", "--resume", str(run.path)]) == 0
    assert_same_end(run.path, only_run(whole))
    for step in 4, 6:
        run.checkpoint_path(step).write_bytes(b"rubbish")
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(run.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is at generation 6 and keeps none of generation 4, where the run would go on" in line


def test_genomes_that_arrived_long_ago_are_deleted(tmp_path) -> None:
    assert train("genetic", tmp_path, generations=7) == 0
    own = RunDir(only_run(tmp_path) / "islands" / "1")
    assert own.steps() == [6, 7]
    assert list(own.path.glob("arrival-*")) == [islands.arrival(own, 6)]


def test_an_island_is_held_while_it_evolves(tmp_path, monkeypatch) -> None:
    assert train("genetic", tmp_path, generations=2) == 0
    folder = only_run(tmp_path) / "islands" / "1"
    monkeypatch.setattr(islands, "PATIENCE", 0.1)
    words = str(folder), "toy/Corridor-v0", "1", "3"
    with held(folder), pytest.raises(ValueError, match="is being written by another process"):
        islands.main(words, threading.Event())
    assert RunDir(folder).reached() == 2
    islands.main(words, threading.Event())
    assert RunDir(folder).reached() == 3


def test_islands_are_not_listed_as_runs(tmp_path, capsys) -> None:
    assert train("genetic", tmp_path, generations=2) == 0
    run = only_run(tmp_path)
    capsys.readouterr()
    assert cli.main(["watch", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("a run") == 1 and f"meze watch {run}" in said
    assert cli.main(["watch", str(run / "islands")]) == 0  # unless they are asked for
    assert capsys.readouterr().out.count("a run") == 3


def test_settings_are_checked(tmp_path, capsys) -> None:
    for flags, words in (
        (["--islands", "0"], "islands must be at least 1"),
        (["--islands", "5000"], "islands must be at most 1,024"),
        (["--migrate-every", "0"], "migrate_every must be at least 1"),
        (["--islands", "1", "--jobs", "2"], "are for islands"),
    ):
        assert train("genetic", tmp_path, *flags) == 2
        assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
