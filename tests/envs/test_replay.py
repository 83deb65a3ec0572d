"""Replay files: exact, checked, never run."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from meze import files
from meze.envs.core import registry, replay
from meze.envs.core.env import WorldEnv
from meze.envs.core.registry import WorldSpec
from meze.envs.core.replay import Replay, ReplayError, load, play
from toy_world import LENGTH, RIGHT, STAY, Corridor

ID = "toy/Corridor-v3"


@pytest.fixture(autouse=True)
def corridor(monkeypatch):
    spec = WorldSpec(ID, "corridor", f"{Corridor.__module__}:Corridor", "toy_world:CorridorConfig", None)
    monkeypatch.setattr(registry, "_worlds", {"corridor": spec})


def record() -> Replay:
    """An episode with slips, from the start to the goal."""
    env = WorldEnv(Corridor, slip=300)
    env.reset(seed=5, options={"start": 2})
    actions, score, over = [], 0.0, False
    while not over:
        actions.append(np.int64(RIGHT))
        _, reward, over, _, _ = env.step(RIGHT)
        score += reward
    known = {"state_hash": env.state_hash(), "layout": env.state_layout}
    return Replay(ID, 5, tuple(actions), {"slip": 300}, {"start": 2}, "human", score, **known)


def test_a_saved_episode_plays_again_exactly(tmp_path):
    recorded = record()
    recorded.save(tmp_path / "episode.json")
    loaded = load(tmp_path / "episode.json")
    assert loaded == recorded
    steps = list(play(loaded))
    assert [step.action for step in steps] == list(recorded.actions)
    assert sum(step.reward for step in steps) == recorded.score
    assert steps[-1].terminated and steps[-1].state["cell"] == LENGTH - 1
    assert [path.name for path in tmp_path.iterdir()] == ["episode.json"], "no temporary file is left"


def test_a_truncated_episode_plays_again(tmp_path):
    from meze.envs.core.vector import WorldVectorEnv

    env = WorldVectorEnv(Corridor, 1, max_episode_steps=2, autoreset_mode="Disabled")
    env.reset(seed=5, options={"start": 0})
    for _ in range(2):
        env.step([STAY])
    cut = Replay(ID, 5, (STAY, STAY), options={"start": 0}, state_hash=int(env.state_hash()[0]))
    assert not list(play(cut))[-1].terminated


def test_an_episode_that_goes_another_way_is_told():
    recorded = record()
    with pytest.raises(ReplayError, match="another way"):
        list(play(replace(recorded, seed=6, actions=recorded.actions[:1])))
    with pytest.raises(ReplayError, match="ends before the actions do"):
        list(play(replace(recorded, actions=(*recorded.actions, RIGHT))))
    with pytest.raises(ReplayError, match="99 .* invalid"):
        list(play(replace(recorded, actions=(99,))))
    with pytest.raises(ReplayError, match="no reset option 'pace'"):
        list(play(replace(recorded, options={"pace": 1})))
    with pytest.raises(ReplayError, match="slip is 0 to 1024"):
        list(play(replace(recorded, config={"slip": 2000})))


def test_where_states_were_laid_out_otherwise_the_score_tells(tmp_path):
    recorded = replace(record(), state_hash=7)
    with pytest.raises(ReplayError, match="another way"):
        list(play(recorded))
    for layout in (None, recorded.layout + 1):
        earlier = replace(recorded, layout=layout)
        assert sum(step.reward for step in play(earlier)) == earlier.score
        with pytest.raises(ReplayError, match="another way"):
            list(play(replace(earlier, score=earlier.score + 1)))
    recorded.save(tmp_path / "first.json")  # as it was before there were layouts
    content = json.loads((tmp_path / "first.json").read_text())
    del content["layout"]
    (tmp_path / "first.json").write_text(json.dumps({**content, "meze_replay": 1}))
    assert load(tmp_path / "first.json") == replace(recorded, layout=None)


def altered(**changes):
    def alter(content: dict) -> str:
        return json.dumps({**content, **changes})

    return alter


def without_seed(content: dict) -> str:
    del content["seed"]
    return json.dumps(content)


@pytest.mark.parametrize(
    ("alter", "complaint"),
    [
        (lambda content: json.dumps(content)[:-20], "truncated"),
        (lambda content: "[" * 100_000, "truncated or not a replay"),
        (lambda content: json.dumps([content]), "not a replay file"),
        (lambda content: json.dumps({"a": 1}), "not a replay file"),
        (without_seed, "missing or not known: 'seed'"),
        (altered(extra=1), "missing or not known: 'extra'"),
        (altered(meze_replay=3, version="9.9"), "newer version of meze .9.9."),
        (altered(seed=-1), "'seed' must be an integer"),
        (altered(seed=True), "'seed' must be an integer"),
        (altered(seed=1 << 64), "'seed' must be an integer"),
        (altered(actions=[0, 1.5]), "'actions' must be a list of integers"),
        (altered(actions="001"), "'actions' must be a list of integers"),
        (altered(config=[]), "'config' must be an object"),
        (altered(score=float("nan")), "NaN is not a number"),
        (
            lambda content: json.dumps({**content, "score": 0}).replace('"score": 0', '"score": 1e999'),
            "'score'",
        ),
        (altered(state_hash="x"), "'state_hash' must be"),
        (altered(meze_replay=-5), "'meze_replay' must be the number of a format"),
        (altered(score=10**400), "'score'"),
        (altered(id="toy/Other-v0"), "not registered here: 'toy/Other-v0'"),
        # What a stranger could have loaded or written by the environment's other arguments.
        (altered(config={"world": "os:system"}), "no setting 'world'"),
        (altered(config={"render_mode": "human"}), "no setting 'render_mode'"),
    ],
)
def test_altered_files_are_refused_in_one_line(tmp_path, alter, complaint):
    path = tmp_path / "episode.json"
    record().save(path)
    path.write_text(alter(json.loads(path.read_text())))
    with pytest.raises(ReplayError, match=complaint) as caught:
        load(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_missing_binary_and_huge_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ReplayError, match="No such file"):
        load(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReplayError, match="not a replay file"):
        load(tmp_path / "binary.json")
    (tmp_path / "digits.json").write_text("9" * 10_000)
    with pytest.raises(ReplayError, match="not a replay file"):
        load(tmp_path / "digits.json")
    monkeypatch.setattr(replay, "MAX_BYTES", 100)
    record().save(tmp_path / "large.json")
    with pytest.raises(ReplayError, match="larger than"):
        load(tmp_path / "large.json")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "episode.json"
    record().save(path)
    before = path.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        replace(record(), agent="other").save(path)
    assert path.read_text() == before and len(list(tmp_path.iterdir())) == 1


def test_a_whole_number_is_a_score(tmp_path):
    path = tmp_path / "episode.json"
    record().save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "score": 1}))
    assert load(path).score == 1.0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes there")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "episode.json")
    with pytest.raises(ReplayError, match="not a regular file"):
        load(tmp_path / "episode.json")
