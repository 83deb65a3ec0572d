"""What is exported: graphs that act as runs do, cards that tell their scores, data sets that Minari reads."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from meze.agents.base import decide
from meze.runners import cli
from meze.runners.run.card import escaped
from meze.runners.run.dataset import write_minari
from meze.runners.run.folder import RunDir, load
from meze.runners.run.recording import read_recorded
from meze.runners.run.rollout import action_mask
from run_files import only_run

SHORT = ["--steps", "2048", "--num-envs", "16", "--eval-episodes", "8"]


def told(capsys) -> str:
    """The one line that a command ended in."""
    said = capsys.readouterr().err
    assert said.startswith("meze: error: ") and said.count("\n") == 1, said
    return said


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert cli.main(["train", "q-learning", "corridor", *SHORT, "--out", str(out)]) == 0
    return only_run(out)


# --- ONNX -----------------------------------------------------------------------------------------------


def test_a_run_becomes_a_graph_that_acts_as_it_does(run, tmp_path, monkeypatch, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", str(run), "--to", "onnx"]) == 0
    said = capsys.readouterr().out
    assert "takes obs " in said and "gives values " in said and said.endswith("corridor-q-learning.onnx\n")
    assert "on 1,000 observations it does the same as the agent" in said
    session = onnxruntime.InferenceSession("corridor-q-learning.onnx")
    assert session.get_modelmeta().custom_metadata_map["env"] == "toy/Corridor-v0"
    policy, env = load(run, num_envs=1)
    obs = np.arange(env.single_observation_space.n)
    masks = (
        {}
        if len(session.get_inputs()) == 1
        else {"mask": np.ones((len(obs), env.single_action_space.n), bool)}
    )
    action, values = session.run(None, {"obs": obs, **masks})
    assert (action == decide(policy, obs).action).all() and (values == policy.action_values(obs)).all()
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pretrained:city", "pretrained:platformer-ppo", "pretrained:kiosk"])
def test_trained_networks_become_graphs_that_act_as_they_do(name, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "graph.onnx"
    assert cli.main(["export", name, "--to", "onnx", "--out", str(file)]) == 0
    session = onnxruntime.InferenceSession(file)
    outputs = [each.name for each in session.get_outputs()]
    policy, env = load(name, num_envs=100)
    obs, info = env.reset(seed=5)
    acted = set()
    for _ in range(10):
        mask = action_mask(info)
        known = {"obs": obs} if mask is None else {"obs": obs, "mask": mask != 0}
        told = dict(zip(outputs, session.run(None, known), strict=True))
        action, possible = decide(policy, obs, mask=mask).action, 1 if mask is None else mask != 0
        assert (told["action"] == action).all()
        given = told["values" if "values" in told else "probabilities"] * possible
        values = policy.action_values(obs) * possible
        assert np.abs(given - values).max() < 1e-5 * max(1.0, np.abs(values).max())
        acted |= set(action.tolist())
        obs, _, _, _, info = env.step(action)
    assert len(acted) > 2
    env.close()


def test_what_is_no_network_is_told(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("deap")
    flags = ["--generations", "1", "--episodes", "1", "--eval-episodes", "2", "--out", str(tmp_path)]
    assert cli.main(["train", "genetic", "corridor", *flags, "--agent.population-size", "16"]) == 0
    capsys.readouterr()
    assert (
        cli.main(["export", str(only_run(tmp_path)), "--to", "onnx", "--out", str(tmp_path / "a.onnx")]) == 2
    )
    assert "genetic: onnx takes the tables of q-learning and its kin" in told(capsys)
    assert not (tmp_path / "a.onnx").exists()


def test_a_network_that_is_no_graph_is_told(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("torch")
    network = ["--network", "odd_network:OddNetwork"]
    flags = [*SHORT, "--agent.net.kind", network[1], "--device", "cpu", "--out", str(tmp_path)]
    assert cli.main(["train", "dqn", "corridor", *flags, "--agent.buffer-size", "2048"]) == 0
    capsys.readouterr()
    words = ["export", str(only_run(tmp_path)), "--to", "onnx", "--out", str(tmp_path / "a.onnx")]
    assert cli.main(words) == 2
    assert "name it on the command line too" in told(capsys)
    assert cli.main([*words, *network]) == 2
    assert "its network can't be written as ONNX: " in told(capsys)
    assert not (tmp_path / "a.onnx").exists()


def test_libraries_that_are_missing_are_told(run, tmp_path, monkeypatch, capsys):
    for library, to in (("onnxruntime", "onnx"), ("minari", "minari")):
        monkeypatch.setitem(__import__("sys").modules, library, None)
        folder = recording(tmp_path) if to == "minari" else run
        assert cli.main(["export", str(folder), "--to", to, "--out", str(tmp_path / "out")]) == 2
        assert f"needs {library}, which is not installed: pip install 'meze[{to}]'" in told(capsys)


# --- Cards ----------------------------------------------------------------------------------------------


def test_a_card_tells_the_scores_and_how_to_run_it(run, tmp_path):
    file = tmp_path / "card.md"
    assert cli.main(["export", str(run), "--to", "card", "--out", str(file)]) == 0
    page = file.read_text()
    _, front, body = page.split("---\n", 2)
    facts = yaml.safe_load(front)
    evaluation = json.loads((run / "evaluation.json").read_text())
    mean = evaluation["scores"]["q-learning"]["return"]["mean"]
    [result] = facts["model-index"][0]["results"]
    assert facts["library_name"] == "meze" and "toy/Corridor-v0" in facts["tags"]
    assert abs(float(result["metrics"][0]["value"].split(" ")[0]) - mean) < 0.01
    for agent in evaluation["scores"]:
        assert f"\n| {agent} | " in body
    [settings] = [part.split("```")[0] for part in body.split("```json\n")[1:]]
    assert json.loads(settings) == RunDir.open(run).config().described()
    assert f"meze watch {run.name}" in body and "meze train q-learning corridor" in body


def test_what_a_stranger_wrote_means_nothing_in_a_card(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    trap = "<img src=x onerror=y>|`a`\n# [b](javascript:c)"
    plain = json.loads((copy / "evaluation.json").read_text())
    plain["scores"][trap] = plain["scores"].pop("random")
    (copy / "evaluation.json").write_text(json.dumps(plain))
    plain = json.loads((copy / "config.json").read_text())
    plain |= {"versions": {trap: trap}, "command": f"meze train {trap}"}
    (copy / "config.json").write_text(json.dumps(plain))
    assert cli.main(["export", str(copy), "--to", "card", "--out", str(tmp_path / "card.md")]) == 0
    page = (tmp_path / "card.md").read_text()
    assert page.count(escaped(trap)) == 3 and "<img" not in page.replace(r"\<img", "")
    assert not [line for line in page.splitlines() if line.startswith("# ") and "corridor" not in line]


@pytest.mark.parametrize("text", ["[]", '{"scores": {"a": {"return": 3}}}', "{"])
def test_damaged_scores_are_told(text, run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "evaluation.json").write_text(text)
    assert cli.main(["export", str(copy), "--to", "card", "--out", str(tmp_path / "card.md")]) == 2
    assert "evaluation.json" in told(capsys)
    (copy / "evaluation.json").unlink()
    assert cli.main(["export", str(copy), "--to", "card", "--out", str(tmp_path / "card.md")]) == 2
    assert "has no scores yet" in told(capsys)


# --- Minari ---------------------------------------------------------------------------------------------


def recording(folder: Path) -> Path:
    words = ["collect", "corridor", "--steps", "300", "--num-envs", "4", "--out", str(folder / "data")]
    assert cli.main([*words, "--policies", "random", "expert"]) == 0
    [found] = (folder / "data").iterdir()
    return found


def test_minari_reads_what_was_recorded(tmp_path, monkeypatch, capsys):
    minari = pytest.importorskip("minari")
    pytest.importorskip("h5py")
    folder = recording(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", str(folder), "--to", "minari", "--out", "sets"]) == 0
    assert "300 steps, " in capsys.readouterr().out
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    found, was = minari.load_dataset("corridor-s0-v0"), read_recorded(folder)
    assert was.final is not None and was.terminated is not None
    assert found.total_steps == was.reward.size and found.total_episodes == was.cut.sum()
    episodes, cut = iter(found), was.cut
    number = np.cumsum(cut).reshape(cut.shape) - 1
    for stream in range(cut.shape[1]):
        begin = 0
        for last in np.flatnonzero(cut[:, stream]):
            each, steps = next(episodes), slice(begin, last + 1)
            begin = last + 1
            assert (each.observations[:-1] == was.obs[steps, stream]).all()
            assert each.observations[-1] == was.final[number[last, stream]]
            assert (each.actions == was.action[steps, stream]).all()
            assert (each.rewards == was.reward[steps, stream]).all()
            assert each.terminations[-1] == was.terminated[last, stream]
            assert each.terminations[-1] != each.truncations[-1]
            assert not each.terminations[:-1].any() and not each.truncations[:-1].any()
            assert (each.infos["advice"] == was.advice[steps, stream]).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = found.recover_environment()
    assert env.observation_space == found.observation_space and env.action_space == found.action_space
    assert cli.main(["export", str(folder), "--to", "minari", "--out", "sets"]) == 2
    assert "is there already; --out takes another folder" in told(capsys)


def test_final_observations_are_what_the_last_actions_led_to(tmp_path):
    folder = recording(tmp_path)
    was = read_recorded(folder)
    policy_steps = np.argwhere(was.cut)
    assert was.final is not None and was.terminated is not None and len(was.final) == len(policy_steps)
    assert was.terminated[was.ended].any() and not was.terminated[~was.ended].any()
    for place, (t, b) in zip(was.final, policy_steps, strict=True):
        assert abs(int(place) - int(was.obs[t, b])) <= 1, (
            "a step leads to a neighbour, never to the next episode"
        )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reward", "reward.npy can't be read"),
        ("terminated", "does not tell how episodes ended"),
        ("final", "does not tell how episodes ended"),
        ("data.json", "no recording of meze collect"),
    ],
)
def test_a_recording_that_lacks_something_is_told(name, words, tmp_path, capsys):
    pytest.importorskip("minari")
    folder = recording(tmp_path)
    capsys.readouterr()
    (folder / (name if "." in name else f"{name}.npy")).unlink()
    assert cli.main(["export", str(folder), "--to", "minari", "--out", str(tmp_path / "sets")]) == 2
    assert words in told(capsys)
    assert not (tmp_path / "sets").exists()


def test_half_a_data_set_is_not_left_behind(tmp_path, monkeypatch):
    pytest.importorskip("minari")
    from meze.runners.run import dataset

    def full(recorded):
        raise OSError(28, "No space left on device")
        yield

    folder = recording(tmp_path)
    monkeypatch.setattr(dataset, "_episodes", full)
    with pytest.raises(OSError, match="No space left"):
        write_minari(folder, tmp_path / "sets")
    assert not list((tmp_path / "sets").iterdir())


# --- What is asked for ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN"], "--to is needed; see meze export RUN --help"),
        (["RUN", "--to", "onx"], "--to"),
        (["RUN", "--to", "minari"], "no recording of meze collect"),
        (["nowhere", "--to", "card"], "is not a run folder"),
        (["--to", "card"], "usage: meze export"),
        (["RUN", "--to", "onnx", "--checkpoint", "7"], "checkpoint takes best, newest, or one of"),
        (["pretrained:nobody", "--to", "card"], "unknown agent 'pretrained:nobody'"),
    ],
)
def test_wrong_words_are_one_line(words, said, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [str(run) if word == "RUN" else word for word in words]
    assert cli.main(["export", *words]) == 2
    assert said in told(capsys)
    assert not list(tmp_path.iterdir())
