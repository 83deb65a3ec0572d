"""What is recorded of a mixture of policies, and what becomes known of it afterwards."""

import dataclasses
import errno
import json
import os
import warnings

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from meze.agents.base import Policy
from meze.envs.city.jams import road_ahead
from meze.envs.city.world import City
from meze.envs.core.measures import Event, Target
from meze.envs.core.vector import WorldVectorEnv
from meze.runners import cli
from meze.runners.run import recording
from meze.runners.run.recording import (
    PolicyMixture,
    Recorded,
    collect,
    find_targets,
    find_witness,
    read_recorded,
)
from meze.runners.run.rollout import Rollout
from meze.runners.setup.seeds import stream_seeds

CITY = ["collect", "city", "--num-envs", "16", "--steps", "3000", "--env.pool-size", "8", "--seed", "7"]


def test_a_mixture_is_recorded_on_disk_and_read_again(tmp_path, capsys):
    flags = ["--policies", "random", "expert", "--ask", "--epsilon", "0", "--out", str(tmp_path)]
    assert cli.main([*CITY, *flags]) == 0
    assert "3,008 steps, " in capsys.readouterr().out
    data = read_recorded(tmp_path / "city-s7")
    assert json.loads((tmp_path / "city-s7" / "data.json").read_text())["env"]["id"] == "meze/City-v0"
    assert data.obs.shape == (188, 16, 13, 9, 9) and data.obs.dtype == np.uint8
    assert (data.action[:, 1::2] == data.advice[:, 1::2]).all()  # the expert's environments
    assert (data.action[:, ::2] != data.advice[:, ::2]).mean() > 0.3
    assert data.cost.sum() > 0 and data.ended.any()
    jam = data.told["jam"]
    assert set(data.told) == {"jam"} and jam.dtype == np.float32 and 0 < jam.mean() < jam.max() <= 1
    # It is what happened: the actions lead to the observations, jams and rewards again.
    env = WorldVectorEnv(
        "meze.envs.city.world:City", 16, 500, AutoresetMode.SAME_STEP, pool_size=8, observation="grid"
    )
    obs, _ = env.reset(seed=stream_seeds(7, 16))
    for t in range(60):
        assert (obs == data.obs[t]).all() and (road_ahead(env.world.params(), env.state) == jam[t]).all()
        obs, reward, terminated, truncated, _ = env.step(data.action[t])
        assert reward == pytest.approx(data.reward[t]) and ((terminated | truncated) == data.ended[t]).all()
    assert cli.main([*CITY, *flags]) == 0  # never over an earlier one
    again = read_recorded(tmp_path / "city-s7-2")
    assert all((getattr(again, name) == getattr(data, name)).all() for name in ("obs", "action", "advice"))


def test_what_was_cut_short_is_told(tmp_path):
    with pytest.raises(OSError, match="data.json"):
        read_recorded(tmp_path)
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(ValueError, match="obs.npy can't be read"):
        read_recorded(tmp_path)
    for name in ("obs", "action", "advice", "reward", "cost", "ended"):
        np.save(tmp_path / f"{name}.npy", np.zeros((3, 2), bool))
    np.save(tmp_path / "cost.npy", np.zeros((2, 2)))
    with pytest.raises(ValueError, match="do not belong together"):
        read_recorded(tmp_path)
    np.save(tmp_path / "obs.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(ValueError, match="obs.npy can't be read"):
        read_recorded(tmp_path)


class Counting(Policy):
    """Does one thing after the other, each episode anew, and remembers how far it is."""

    def act(self, obs, memory=None, *, explore=False, mask=None):
        steps = np.zeros(len(obs), np.int64) if memory is None else memory
        return steps % 4, steps + 1


class Turning(Policy):
    """Turns left and remembers nothing."""

    def act(self, obs, memory=None, *, explore=False, mask=None):
        return np.full(len(obs), 2), None


@pytest.mark.parametrize("players", [[Turning()], [Counting(), Turning()]])
def test_a_teacher_remembers_the_episode(players):
    env = WorldVectorEnv("meze.envs.city.world:City", 16, 50, AutoresetMode.SAME_STEP, pool_size=8)
    mixture = PolicyMixture(players, 0.5, 4, np.random.default_rng(0), Counting())
    data = collect(Rollout(env, mixture, seeds=0), mixture, 3000)
    assert data.ended.any(axis=0).all()
    steps = np.zeros(16, np.int64)
    for advice, ended in zip(data.advice, data.ended, strict=True):
        assert (advice == steps % 4).all()
        steps = np.where(ended, 0, steps + 1)


def test_who_takes_anothers_place_remembers_nothing_yet():
    mixture, obs = PolicyMixture([Counting()], 0.0, 4, np.random.default_rng(0), Counting()), np.zeros(3)
    memory = None
    for _ in range(2):
        action, memory = mixture.act(obs, memory)
    mixture.replace([Counting()])
    action, memory = mixture.act(obs, memory)
    assert action.tolist() == [0, 0, 0] and mixture.advice.tolist() == [2, 2, 2]
    assert [part.tolist() for part in memory] == [[1, 1, 1], [3, 3, 3]]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--steps", "0"], "steps must be at least 1; got 0"),
        (["--steps", "1e15"], "steps must lie in 1 .. 1000000000000; got 1000000000000000"),
        (["--epsilon", "2"], "epsilon must lie in [0, 1]; got 2.0"),
        (["--policies", "nobody"], "unknown agent or run 'nobody'"),
        (["--seed", "-1"], "seed must lie in 0 .. "),
    ],
)
def test_wrong_flags_are_one_line(flags, words, tmp_path, capsys):
    assert cli.main([*CITY, "--out", str(tmp_path / "data"), *flags]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [10**17, 10**18, 10**19])  # too large for a file, an array, a number
def test_an_impossible_size_leaves_no_file(count, tmp_path):
    kinds = {"ended": (np.bool_, (3, 2)), "obs": (np.float64, (count, 2))}
    with pytest.raises((OSError, ValueError)) as caught, warnings.catch_warnings(action="ignore"):
        recording._reserved(tmp_path, kinds)
    assert str(tmp_path / "obs.npy") in str(caught.value) and not list(tmp_path.iterdir())


def recorded():
    """Two streams of six steps: episodes of 2 and 3 steps and one that is cut off; one of 6."""
    ended = np.zeros((6, 2), bool)
    ended[[1, 4], 0] = ended[5, 1] = True
    cost = np.zeros((6, 2), np.float32)
    cost[4, 0] = 1
    ones = np.ones((6, 2), np.float32)
    numbers = np.arange(12).reshape(6, 2)
    return Recorded(numbers, numbers, numbers, ones, cost, ended)


def test_targets_are_what_came_afterwards():
    data = recorded()
    assert data.steps_to_go().T.tolist() == [[2, 1, 3, 2, 1, -1], [6, 5, 4, 3, 2, 1]]
    steps, known = data.targets("steps", 2)
    assert known.T.tolist() == [[True] * 5 + [False], [True] * 6]
    harm, _ = data.targets("harm", 2)
    assert harm.T.tolist() == [[0, 0, 0, 1, 1, 0], [0] * 6]
    values, _ = data.targets("return", 2)  # the discount is 1/2
    assert values[:, 0].tolist() == [1.5, 1, 1.75, 1.5, 1, 1]


def test_what_the_world_tells_is_a_target():
    data = recorded()
    with pytest.raises(ValueError, match="the target jam needs a world that tells of it; here are action, "):
        data.targets("jam", 2)
    jams = np.linspace(0, 1, 12, dtype=np.float32).reshape(6, 2)
    found, known = dataclasses.replace(data, told={"jam": jams}).targets("jam", 2)
    assert (found == jams).all() and known.all()


def test_a_recording_holds_a_column_of_each_target(tmp_path):
    folder = small_recording(tmp_path)
    assert read_recorded(folder).told == {}
    jams = np.linspace(0, 1, 6, dtype=np.float32).reshape(3, 2)
    np.save(folder / "jam.npy", jams)  # as it was called when there was no other
    assert (read_recorded(folder).told["jam"] == jams).all()
    for strange in (jams[:2], np.arange(6).reshape(3, 2)):
        np.save(folder / "jam.npy", strange)
        with pytest.raises(ValueError, match="do not belong together"):
            read_recorded(folder)


def test_events_are_columns_and_those_of_a_last_step_are_the_episodes_own(tmp_path):
    """Beside the same steps of an environment that waits at its end until it is reset."""
    flags = ["--policies", "random", "expert", "--out", str(tmp_path), "--steps", "4000"]
    assert cli.main([*CITY, *flags]) == 0
    data = read_recorded(tmp_path / "city-s7")
    world = WorldVectorEnv(City, 1, pool_size=8).world
    assert set(data.events) == {each.name for each in City.events} and set(data.told) == {"jam"}
    env = WorldVectorEnv(City, 16, 512, AutoresetMode.DISABLED, pool_size=8, observation="grid")
    env.reset(seed=stream_seeds(7, 16))
    happened = dict.fromkeys(data.events, 0)
    for t in range(len(data.ended)):
        before = env.get_state()
        env.step(data.action[t])
        after = env.get_state()
        for event in City.events:
            is_so = event.of(world.params(), before, after)
            assert (is_so == data.events[event.name][t]).all(), event.name
            happened[event.name] += is_so.sum()
        assert (data.events["arrived"][t] <= data.ended[t]).all()
        if data.ended[t].any():
            env.reset(options={"reset_mask": data.ended[t]})
    assert happened["arrived"] and happened["collided"] and happened["siren"] and happened["turned_left"]
    assert (
        data.ended.sum() == happened["arrived"] + happened["collided"]
        and (data.terminated == data.ended).all()
    )


def test_what_only_ran_out_of_steps_is_told():
    env = WorldVectorEnv("meze.envs.city.world:City", 4, 5, AutoresetMode.SAME_STEP, pool_size=1)
    mixture = PolicyMixture([Turning()], 0.0, 4, np.random.default_rng(0))
    data = collect(Rollout(env, mixture, seeds=0), mixture, 40, witness=find_witness(env))
    assert data.ended.sum() == 8 and not data.terminated.any() and set(data.events) >= {"siren", "stood"}


@pytest.mark.parametrize("name", ["terminated", "final", "jam"])
def test_an_event_can_not_take_a_name_that_stands_for_something_else(name, monkeypatch):
    monkeypatch.setattr(City, "events", (Event(name, "a trap is set", lambda params, before, after: before),))
    env = WorldVectorEnv(City, 2, 50, AutoresetMode.SAME_STEP, pool_size=1)
    with pytest.raises(ValueError, match=f"can't declare an event {name}: the name is taken"):
        find_witness(env)


def test_what_newer_recordings_have_must_fit_the_rest(tmp_path):
    folder = small_recording(tmp_path)
    was = read_recorded(folder)  # of a version that did not keep it
    assert (
        was.terminated is None and was.final is None and was.cut.tolist() == [[False] * 2] * 2 + [[True] * 2]
    )
    np.save(folder / "terminated.npy", np.zeros((3, 2), bool))
    np.save(folder / "final.npy", np.array([5, 6]))
    now = read_recorded(folder)
    assert now.final is not None and now.final.tolist() == [5, 6] and now.told == {}
    for name, strange in (
        ("final", np.array([5, 6, 7])),
        ("final", np.array([5.0, 6.0])),
        ("terminated", np.zeros((3, 3), bool)),
        ("terminated", np.zeros((3, 2), np.int8)),
    ):
        kept = (folder / f"{name}.npy").read_bytes()
        np.save(folder / f"{name}.npy", strange)
        with pytest.raises(ValueError, match="do not belong"):
            read_recorded(folder)
        (folder / f"{name}.npy").write_bytes(kept)


@pytest.mark.parametrize("name", ["harm", "obs", "final"])
def test_a_target_can_not_take_a_name_that_stands_for_something_else(name, monkeypatch):
    monkeypatch.setattr(City, "targets", (Target(name, "a trap", road_ahead),))
    env = WorldVectorEnv(City, 2, 50, AutoresetMode.SAME_STEP, pool_size=1)
    with pytest.raises(ValueError, match=f"can't declare a target {name}: the name is taken"):
        find_targets(env)


def test_training_and_test_sets_never_share_an_episode():
    rng = np.random.default_rng(0)
    ended = rng.random((400, 16)) < 0.05
    zeros = np.zeros((400, 16), np.float32)
    data = Recorded(zeros, zeros, zeros, zeros, zeros, ended)
    for_test, episode = data.for_test, data.episode
    assert 0.1 < for_test.mean() < 0.3
    assert not set(episode[for_test]) & set(episode[~for_test])
    for b in range(16):  # an episode is what lies between two ends of a stream
        changes = np.flatnonzero(np.diff(episode[:, b])) + 1
        assert (changes == np.flatnonzero(ended[:-1, b]) + 1).all()


def small_recording(folder):
    folder.mkdir(exist_ok=True)
    (folder / "data.json").write_text("{}")
    arrays = {name: np.zeros((3, 2), np.int64) for name in ("obs", "action", "advice")}
    arrays |= {name: np.zeros((3, 2), np.float32) for name in ("reward", "cost")}
    for name, array in {**arrays, "ended": np.zeros((3, 2), bool)}.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def test_words_of_events_are_made_printable_and_older_recordings_have_none(tmp_path):
    folder = small_recording(tmp_path)
    for name in ("rang", "opened"):
        np.save(folder / f"{name}.npy", np.zeros((3, 2), bool))
    assert read_recorded(folder).words == {"rang": "rang", "opened": "opened"}
    (folder / "data.json").write_text(json.dumps({"events": {"rang": "a bell\x1b[2J\nrings", "more": "?"}}))
    assert read_recorded(folder).words == {"rang": "a bell\\x1b[2J\\nrings", "opened": "opened"}
    for strange in ({"events": {"rang": 3}}, {"events": ["rang"]}, []):
        (folder / "data.json").write_text(json.dumps(strange))
        with pytest.raises(ValueError, match=r"data\.json: its events must be names with the words"):
            read_recorded(folder)


def test_whatever_is_altered_in_a_recording_is_told_in_one_line(tmp_path):
    read_recorded(small_recording(tmp_path))
    rng = np.random.default_rng(0)
    path, refused = tmp_path / "obs.npy", 0
    whole = path.read_bytes()
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(130, size=rng.integers(1, 4)):  # the header, Python text that numpy reads
            data[place] = rng.integers(256)
        path.write_bytes(bytes(data))
        try:
            read_recorded(tmp_path)
        except ValueError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 200
    path.write_bytes(whole)
    for name, array in (
        ("reward", np.zeros((3, 2), "U4")),
        ("action", np.zeros((3, 2, 1), np.int64)),
        ("ended", np.zeros((3, 2), np.int8)),
        ("obs", np.zeros((2, 2), np.int64)),
    ):
        np.save(small_recording(tmp_path) / f"{name}.npy", array)
        with pytest.raises(ValueError, match="do not belong together"):
            read_recorded(tmp_path)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no room can be reserved there")
def test_without_room_it_says_so_before_anything_is_played(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert cli.main(["collect", "corridor", "--steps", "600", "--out", str(tmp_path / "data")]) == 2
    (said,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("meze: error:"))
    assert said.endswith("/obs.npy: No space left on device")
    assert not list((tmp_path / "data").iterdir()), "nothing half made is left"
