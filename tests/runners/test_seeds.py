"""Where runs start: neighbours share no episode, and what is judged on was not chosen by."""

import json
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
from meze.envs.core.splits import first_seed
from meze.envs.core.vector import WorldVectorEnv
from meze.runners import cli
from meze.runners.run import rollout
from meze.runners.run.config import RunConfig
from meze.runners.run.evaluation import CERTIFIED, on_split
from meze.runners.run.folder import RunDir
from meze.runners.run.search import Search
from meze.runners.run.start import new_run
from meze.runners.setup import seeds
from meze.runners.setup.kinds import settings_class
from meze.runners.setup.resolve import find_environment, find_learner
from meze.runners.setup.seeds import (
    CHOICE_SEED,
    EVALUATION_SEED,
    FRESH_SEED,
    MOST_EPISODES,
    RANGE,
    SEARCH_SEED,
    TUNING_SEED,
    choice_seed,
    range_of,
    stream_seeds,
)
from meze.runners.tournament.tournament import Budget, Tournament, make_entries


def test_neighbouring_runs_share_no_stream():
    runs = [set(stream_seeds(seed, 64)) for seed in range(20)]
    assert len(set.union(*runs)) == 20 * 64
    assert all(0 <= seed < EVALUATION_SEED for run in runs for seed in run)
    words = np.random.SeedSequence(3).generate_state(5, np.uint64)
    assert stream_seeds(3, 5) == [int(word) % 10**9 for word in words]


def test_ranges_do_not_meet():
    firsts = [EVALUATION_SEED, CHOICE_SEED, TUNING_SEED, SEARCH_SEED, FRESH_SEED]
    assert all(other - first >= RANGE for first, other in pairwise(firsts))


@pytest.mark.parametrize(
    ("first", "choice"), [(0, CHOICE_SEED), (SEARCH_SEED, TUNING_SEED), (FRESH_SEED, CHOICE_SEED)]
)
def test_a_run_trains_in_the_range_of_its_own_seed(first, choice):
    for seed in (first, first + 7):
        allowed = range_of(seed)
        assert allowed.start == first and choice_seed(seed) == choice
        assert all(each in allowed for each in stream_seeds(seed, 64) + stream_seeds([seed, 500], 64))
        spec = find_learner("random-search")
        env = find_environment("corridor")
        run = settings_class(spec)(seed=seed, episodes=64)
        config = RunConfig(spec, spec.config_class()(), env, env.config(), run)
        search = SimpleNamespace(config=config, agent=SimpleNamespace(generation=3))
        assert all(each in allowed for each in Search.seeds(search))


@pytest.mark.parametrize("seed", [-1, EVALUATION_SEED, CHOICE_SEED, TUNING_SEED, FRESH_SEED + RANGE])
def test_nobody_trains_with_what_judges(seed):
    with pytest.raises(ValueError, match="seed must lie in 0 .. 999999999; got"):
        settings_class(find_learner("q-learning"))(seed=seed)
    with pytest.raises(ValueError, match="seed must lie"):
        stream_seeds(seed, 2)


@pytest.mark.parametrize("agent", ["q-learning", "genetic", "clone"])
def test_tuning_training_choosing_and_judging_have_no_episode_in_common(agent, tmp_path, monkeypatch):
    """All seeds that environments are reset with, and those of the maps, of one run of each kind."""
    met = {}
    searches, evaluate, reset = Search.seeds, rollout.evaluate, WorldVectorEnv.reset

    def note(what, seeds, env_config):
        first = first_seed(env_config.split)
        episodes, maps = met.setdefault(what, (set(), set()))
        episodes.update(int(each) for each in seeds)
        maps.update(range(first, first + env_config.pool_size))

    def noted_search(self):
        note("train", drawn := searches(self), self.config.env_config)
        return drawn

    def noted_evaluation(env, policy, episodes):
        split = env.unwrapped.world.config.split
        note("judge" if split == "test" else f"choose {split}", episodes, env.unwrapped.world.config)
        return evaluate(env, policy, episodes)

    def noted_reset(self, *, seed=None, options=None):
        if self.world.config.split == "train" and isinstance(seed, list):
            note("train", seed, self.world.config)
        return reset(self, seed=seed, options=options)

    monkeypatch.setattr(rollout, "evaluate", noted_evaluation)
    monkeypatch.setattr(Search, "seeds", noted_search)
    monkeypatch.setattr(WorldVectorEnv, "reset", noted_reset)
    length = ["--generations", "2", "--agent.population-size", "16", "--episodes", "2"]
    if agent != "genetic":
        length = ["--steps", "1000", "--num-envs", "8"]
    everything = {}
    for first in (0, SEARCH_SEED, FRESH_SEED):
        met.clear()
        words = ["--seed", str(first), "--env.pool-size", "2", "--eval-episodes", "3", *length]
        assert cli.main(["train", agent, "city", *words, "--out", str(tmp_path / str(first))]) == 0
        choosing = f"choose {choice_seed(first)}"
        assert set(met) == {"train", choosing, "judge"}
        for what, (episodes, _) in met.items():
            everything.setdefault((first if what == "train" else 0, what), set()).update(episodes)
        maps = [each for _, each in met.values()]
        assert sum(map(len, maps)) == len(set.union(*maps))
    assert len(everything) == 3 + 2 + 1  # each trains in a range of its own; studies choose in theirs
    assert sum(map(len, everything.values())) == len(set.union(*everything.values()))


def test_evaluations_and_what_mixes_checkpoints_stay_in_their_range():
    assert MOST_EPISODES + CERTIFIED < RANGE
    with pytest.raises(ValueError, match="eval_episodes must be at most 50,000,000"):
        settings_class(find_learner("q-learning"))(eval_episodes=MOST_EPISODES + 1)


def test_evaluations_on_the_way_have_maps_and_episodes_of_their_own(tmp_path, monkeypatch):
    played = []
    evaluate = rollout.evaluate

    def noted(env, policy, seeds):
        played.append((env.unwrapped.world.config.split, seeds[0], len(seeds)))
        return evaluate(env, policy, seeds)

    monkeypatch.setattr(rollout, "evaluate", noted)
    few = [
        "--env.pool-size",
        "2",
        "--num-envs",
        "8",
        "--eval-episodes",
        "2",
        "--steps",
        "2000",
        "--eval-every",
        "1000",
    ]
    assert cli.main(["train", "q-learning", "city", *few, "--out", str(tmp_path)]) == 0
    assert played[:2] == [(CHOICE_SEED, CHOICE_SEED, 2)] * 2
    assert set(played[2:]) == {("test", EVALUATION_SEED, 2)} and len(played) > 3

    # A run from before has one range for both, and seed + i.
    [file] = tmp_path.glob("*/*/*/config.json")
    plain = json.loads(file.read_text())
    assert plain.pop("streams") == 2
    file.write_text(json.dumps(plain))
    played.clear()
    assert cli.main(["train", "--resume", str(file.parent), "--steps", "3000"]) == 0
    assert set(played) == {("test", EVALUATION_SEED, 2)}
    assert "streams" not in json.loads(file.read_text())


def test_older_runs_keep_their_streams(tmp_path):
    flags = ["--seed", "7", "--num-envs", "3", "--out", str(tmp_path)]
    config, run, *_ = new_run(["q-learning", "corridor"], flags)
    assert RunDir.open(run.path).config().env_seeds() == config.env_seeds() == stream_seeds(7, 3)
    assert not set(config.env_seeds(12)) & set(config.env_seeds())
    file = run.path / "config.json"
    plain = json.loads(file.read_text())
    del plain["streams"]
    file.write_text(json.dumps(plain))
    old = RunDir.open(run.path).config()
    assert old.env_seeds() == [7, 8, 9] and old.env_seeds(12) == [19, 20, 21]


@pytest.mark.parametrize("streams", [0, 3, "2", None, [2]])
def test_unknown_streams_are_refused_in_one_line(streams, tmp_path, capsys):
    run = new_run(["q-learning", "corridor"], ["--out", str(tmp_path)]).run
    file = run.path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"streams": streams}))
    assert cli.main(["train", "--resume", str(run.path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "streams" in line


def test_tournaments_play_seeds_side_by_side_and_older_ones_their_own(tmp_path):
    corridor, budget = find_environment("corridor"), Budget(steps=100)
    entries = make_entries(["q-learning"], corridor, budget)
    Tournament(tmp_path, corridor, entries, 3, 5, budget).create()
    trained = [seed for number, seed in Tournament.open(tmp_path).matches() if number == 0]
    assert trained == [0, 1, 2]
    file = tmp_path / "tournament.json"
    plain = json.loads(file.read_text()) | {"format": 1}
    for entry in plain["entries"]:  # which had words then
        entry["words"] = ["q-learning", "corridor"] if entry["kind"] == "trained" else []
    file.write_text(json.dumps(plain))
    trained = [seed for number, seed in Tournament.open(tmp_path).matches() if number == 0]
    assert trained == [0, 10_000, 20_000]
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 0}))
    with pytest.raises(ValueError, match="is not a tournament's settings"):
        Tournament.open(tmp_path)


def test_a_world_whose_parts_have_names_alone_stays_on_its_test_split():
    @dataclass(frozen=True)
    class Named:
        split: Literal["train", "test"] = "train"

    @dataclass(frozen=True)
    class Without:
        size: int = 3

    assert on_split(Named(), CHOICE_SEED).split == "test" == on_split(Named()).split
    assert on_split(Without(), CHOICE_SEED) == Without()
    assert seeds.STREAMS == 2
