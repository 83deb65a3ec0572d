"""Runs of agents that compute with torch: device, time, losses that are no numbers, networks of others."""

import csv
import dataclasses
import json
import sys
from pathlib import Path

import gymnasium
import meze
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.deep.pqn import PQN, PQNConfig
from meze.runners import cli
from meze.runners.reporting.measures import Episodes
from meze.runners.run import device
from meze.runners.run.config import RunConfig
from meze.runners.run.folder import RunDir
from meze.runners.run.metrics import Meter
from meze.runners.run.stopwatch import PARTS
from meze.runners.setup.kinds import DeepSettings
from meze.runners.setup.resolve import find_environment, find_learner
from meze.runners.show import sources
from meze.runners.show.show import Show
from run_files import assert_same_end, final, kill_and_resume, only_run

SMALL = ["--agent.net.hidden", "16", "--agent.num-steps", "8", "--agent.num-minibatches", "2"]
SHORT = ["--steps", "4096", "--num-envs", "32", "--eval-episodes", "16", "--torch-threads", "1"]
PQN_ARGS = ["train", "pqn", "corridor", *SHORT, *SMALL]


@pytest.fixture(autouse=True)
def own_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def settings_of(run: Path) -> dict:
    return json.loads((run / "config.json").read_text())["run"]


def put_device(run: Path, name: str) -> None:
    text = (run / "config.json").read_text()
    (run / "config.json").write_text(text.replace('"device": "cpu"', f'"device": "{name}"'))


def refused(args: list[str], capsys, *words: str) -> None:
    assert cli.main(args) == 2
    said = capsys.readouterr().err
    assert said.startswith("meze: error: ") and said.count("\n") == 1
    for word in words:
        assert word in said


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert cli.main([*PQN_ARGS, "--out", str(out), "--device", "cpu"]) == 0
    return only_run(out)


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    for path in finished.rglob("*"):
        if path.is_file():
            target = tmp_path / "run" / path.relative_to(finished)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path / "run"


# --- Device ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")
class TestWithoutCuda:
    def test_auto_takes_the_cpu_and_says_why(self, tmp_path, capsys) -> None:
        assert cli.main([*PQN_ARGS, "--out", str(tmp_path)]) == 0
        assert "device: cpu (torch finds no CUDA device)\n" in capsys.readouterr().out
        assert settings_of(only_run(tmp_path))["device"] == "cpu"

    def test_cuda_is_refused(self, tmp_path, capsys) -> None:
        refused([*PQN_ARGS, "--out", str(tmp_path), "--device", "cuda"], capsys, "--device cpu")
        assert not list(tmp_path.iterdir())

    def test_a_run_from_a_machine_with_cuda_goes_on_without(self, copy, capsys) -> None:
        put_device(copy, "cuda")
        before = (copy / "config.json").read_text()
        refused(["train", "--resume", str(copy), "--steps", "8192"], capsys, "--device cpu")
        assert (copy / "config.json").read_text() == before
        assert cli.main(["evaluate", "corridor", str(copy), "--episodes", "4"]) == 0
        assert meze.load(copy)[0].act(np.zeros(2, np.int64), explore=False)[0].shape == (2,)
        capsys.readouterr()
        assert cli.main(["train", "--resume", str(copy), "--steps", "8192", "--device", "cpu"]) == 0
        assert "on cpu from now on" in capsys.readouterr().out
        assert (settings_of(copy)["device"], settings_of(copy)["steps"]) == ("cpu", 8192)
        assert final(copy)["step"] == 8192


def config_of() -> RunConfig:
    environment, spec = find_environment("corridor"), find_learner("pqn")
    return RunConfig(spec, PQNConfig(), environment, environment.config(), DeepSettings(num_envs=32))


@pytest.mark.parametrize(
    ("speeds", "chosen", "said"),
    [
        ({"cpu": 2000.4, "cuda": 1000}, "cpu", "cpu learns from 2,000 transitions/s, cuda learns from 1,000"),
        ({"cpu": 2000.0, "cuda": 3e6}, "cuda", "cuda learns from 3,000,000 transitions/s"),
        ({"cpu": 2000.0}, "cpu", "cuda is too small"),
        ({"cuda": 2000.0}, "cuda", "cpu is too small"),
    ],
)
def test_auto_takes_the_faster_device(speeds, chosen, said, monkeypatch, capsys) -> None:
    def speed(config, name):
        if name not in speeds:
            raise ValueError(f"{name} is too small")
        return speeds[name]

    monkeypatch.setattr(device, "speed", speed)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.with_device(config_of()).settings.device == chosen
    line = capsys.readouterr().out
    assert line.startswith(f"device: {chosen} (") and said in line and line.count("\n") == 1


def test_auto_refuses_what_no_device_takes(monkeypatch) -> None:
    def speed(config, name):
        raise ValueError(f"{name} is too small")

    monkeypatch.setattr(device, "speed", speed)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ValueError, match="cpu is too small"):
        device.with_device(config_of())


def test_a_measurement_lasts_from_update_to_update(monkeypatch) -> None:
    learned = []
    learn = PQN.learn

    def counted(self, batch):
        metrics = learn(self, batch)
        learned.append("loss" in metrics)
        return metrics

    monkeypatch.setattr(PQN, "learn", counted)
    monkeypatch.setattr(device, "SECONDS", 0.05)
    found = device.speed(config_of(), "cpu")
    assert learned[-1] and sum(learned) > device.UPDATES
    assert 32 < found < 1e8


def test_torch_computes_with_so_many_threads(tmp_path, monkeypatch) -> None:
    seen = []
    learn = PQN.learn

    def watched(self, batch):
        seen.append(torch.get_num_threads())
        return learn(self, batch)

    monkeypatch.setattr(PQN, "learn", watched)
    torch.set_num_threads(2)
    assert cli.main([*PQN_ARGS, "--out", str(tmp_path)]) == 0
    assert set(seen) == {1}
    torch.set_num_threads(2)
    seen.clear()
    assert cli.main(["train", "--resume", str(only_run(tmp_path)), "--steps", "8192"]) == 0
    assert set(seen) == {1}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train pqn corridor --device tpu", "Expected one of ('auto', 'cpu', 'cuda')"),
        ("train pqn corridor --torch-threads 0", "torch_threads must be at least 1"),
        ("train dqn corridor --agent.buffer-size 9 --agent.batch-size 10", "larger than buffer_size"),
        ("train dqn corridor --agent.buffer-size 10_000_000_000_000", "lower --agent.buffer-size"),
        (
            "train dqn corridor --env.observation strip --agent.buffer-size 10_000_000_000_000 --encoder pca "
            "--encoder.components 2 --fit.samples 200",
            "lower --agent.buffer-size",
        ),
        ("train dqn Pendulum-v1", "Discrete actions"),
        ("train pqn corridor --agent.net.kind cnn", "three axes"),
        ("train pqn corridor --agent.net.kind no_such_module:Net", "no_such_module"),
        ("train q-learning corridor --device cpu", "unknown flag --device"),
        ("train pqn corridor --network a:B", "unknown flag --network"),
        ("evaluate corridor random --network", "--network needs a value"),
    ],
)
def test_bad_input_is_one_line(line, words, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(line.split(), capsys, words)
    assert not list(tmp_path.iterdir())


# --- What is told ---------------------------------------------------------------------------------------


def test_notes_and_time_are_told(tmp_path, capsys) -> None:
    assert cli.main([*PQN_ARGS, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.index("network: ") < said.index("trained for ") < said.index("IQM")
    (line,) = (line for line in said.splitlines() if line.startswith("trained for "))
    assert all(part in line for part in PARTS)
    shares = [int(part.split()[-2]) for part in line.split(",")]
    assert abs(sum(shares) - 100) <= 2 and shares[PARTS.index("learning")] > 0
    with open(only_run(tmp_path) / "metrics.csv", newline="") as file:
        table = list(csv.DictReader(file))
    for row in table:
        parts = [float(row[f"seconds_{part}"]) for part in PARTS]
        assert sum(parts) == pytest.approx(float(row["seconds"]), rel=1e-3)
    assert any(row["loss"] for row in table)


def test_time_goes_on_where_a_run_stood(copy) -> None:
    before = final_seconds(copy)
    assert cli.main(["train", "--resume", str(copy), "--steps", "8192"]) == 0
    after = final_seconds(copy)
    assert all(after[part] > before[part] > 0 for part in PARTS)


def final_seconds(run: Path) -> dict[str, float]:
    path = RunDir.open(run).latest_checkpoint()
    assert path is not None
    return meze.agents.checkpoint.load(path)["seconds"]


def test_metrics_may_be_tensors_and_may_be_missing() -> None:
    meter, total = Meter(), torch.zeros(())
    for k in range(6):
        total += 1.0
        meter.add({"epsilon": k / 10} | ({"loss": total} if k % 2 else {}), None)
    assert meter.take() == pytest.approx({"episodes": 0.0, "epsilon": 0.25, "loss": (2 + 4 + 6) / 3})
    meter.add({}, Episodes(np.arange(1), {"return": np.ones(1)}))
    assert meter.take() == {"episodes": 1.0, "return": 1.0}  # nothing is left of the row before


# --- Losses that are no numbers --------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_the_run(tmp_path, capsys, monkeypatch) -> None:
    fit, calls = PQN._fit, []

    def spoilt(self, obs, action, target):
        calls.append(0)
        return fit(self, obs, action, target * (torch.nan if len(calls) == 12 else 1.0))

    monkeypatch.setattr(PQN, "_fit", spoilt)
    refused([*PQN_ARGS, "--out", str(tmp_path)], capsys, "loss", "nonfinite.npz", "step-")
    run = only_run(tmp_path)
    with np.load(run / "nonfinite.npz", allow_pickle=False) as batch:
        assert np.isnan(batch["target"]).any() and len(batch["obs"]) == len(batch["target"])
    good = final(run)
    assert 0 < good["step"] < 4096
    assert all(np.isfinite(value).all() for name, value in good.items() if name.startswith("learner.network"))
    assert cli.main(["train", "--resume", str(run)]) == 0


def test_such_a_loss_before_the_first_checkpoint(tmp_path, capsys, monkeypatch) -> None:
    fit = PQN._fit
    monkeypatch.setattr(PQN, "_fit", lambda self, obs, action, target: fit(self, obs, action, target / 0))
    refused([*PQN_ARGS, "--out", str(tmp_path)], capsys, "nonfinite.npz", "none yet")
    run = only_run(tmp_path)
    assert (run / "nonfinite.npz").exists() and not list(run.glob("checkpoints/step-*"))


# --- Networks of others ----------------------------------------------------------------------------------

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, observation_space, num_actions):
        super().__init__()
        self.values = nn.Embedding(int(observation_space.n), num_actions)

    def forward(self, obs):
        return self.values(obs)

class Other(Net):
    pass
"""


def test_a_network_of_another_package_must_be_named_again(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "elsewhere_net.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    kind = ["--agent.net.kind", "elsewhere_net:Net"]
    assert cli.main([*PQN_ARGS, *kind, "--out", str(tmp_path / "runs")]) == 0
    run = only_run(tmp_path / "runs")
    del sys.modules["elsewhere_net"]
    capsys.readouterr()

    resume = ["train", "--resume", str(run), "--steps", "8192"]
    evaluation = ["evaluate", "corridor", str(run), "--episodes", "4"]
    recording = ["watch", str(run), "--record", str(tmp_path / "x.gif"), "--steps", "2"]
    for command in (resume, evaluation, recording):
        refused(command, capsys, "elsewhere_net:Net", "command line", "--network")
        refused([*command, "--network", "elsewhere_net:Other"], capsys, "elsewhere_net:Net")
    with pytest.raises(ValueError, match="command line"):
        meze.load(run)
    assert "elsewhere_net" not in sys.modules  # a file must not say what to import

    for command in (resume, evaluation, recording):
        assert cli.main([*command, "--network", "elsewhere_net:Net"]) == 0
    policy, _ = meze.load(run, network="elsewhere_net:Net")
    assert type(policy.network).__name__ == "Net"
    del sys.modules["elsewhere_net"]


def test_an_altered_network_imports_nothing(copy, monkeypatch, capsys, tmp_path) -> None:
    text = (copy / "config.json").read_text()
    (copy / "config.json").write_text(text.replace('"kind": "auto"', '"kind": "antigravity:geohash"'))
    refused(["train", "--resume", str(copy)], capsys, "antigravity:geohash", "command line")
    refused(["watch", str(copy)], capsys, "antigravity:geohash", "command line")
    assert "antigravity" not in sys.modules


# --- Going on --------------------------------------------------------------------------------------------


FRAMES = ["--env.observation", "strip", "--agent.frame-stack", "3", "--agent.net.hidden", "16"]
REMEMBERS = ["--env.observation", "strip", "--agent.net.hidden", "16", "--agent.net.memory"]
REPLAY = [
    "--agent.buffer-checkpoint",
    "full",
    "--agent.buffer-size",
    "2000",
    "--agent.learning-starts",
    "1000",
]


class FromOne(gymnasium.Env):
    """Four places in a row, numbered from 1, of which the last is the goal; actions are numbered from 3."""

    observation_space = Discrete(4, start=1)
    action_space = Discrete(2, start=3)

    def reset(self, *, seed=None, options=None):
        self.place = 1
        return 1, {}

    def step(self, action):
        self.place = min(max(self.place + (1 if action == 4 else -1), 1), 4)
        return self.place, float(self.place == 4), self.place == 4, False, {}


@pytest.mark.parametrize("agent", ["pqn", "dqn"])
def test_numbers_need_not_begin_with_0(agent, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(
        gymnasium.registry, "FromOne-v0", EnvSpec("FromOne-v0", FromOne, max_episode_steps=30)
    )
    flags = [*REPLAY, "--agent.target-update-interval", "20"] if agent == "dqn" else SMALL
    flags = [*flags, "--steps", "10_000", "--agent.gamma", "0.8", "--agent.learning-rate.start", "0.01"]
    assert cli.main(["train", agent, "FromOne-v0", *SHORT, *flags, "--out", str(tmp_path)]) == 0
    scores = json.loads((only_run(tmp_path) / "evaluation.json").read_text())["scores"]
    assert scores[agent]["length"]["mean"] == 3.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "flags"),
    [
        ("pqn", [*SMALL, *FRAMES, "--agent.exploration.end", "0.2"]),  # checkpoints fall into rollouts
        (
            "dqn",
            [
                *REPLAY,
                *FRAMES,
                "--agent.exploration.end",
                "0.2",
                "--agent.n-step",
                "3",
                "--agent.prioritized",
            ],
        ),
        ("ppo", [*SMALL, *FRAMES, "--agent.normalize-rewards", "--agent.clip-values"]),
        ("pqn", [*SMALL, *REMEMBERS, "gru", "--agent.overlap"]),
        ("ppo", [*SMALL, *REMEMBERS, "lstm", "--agent.shared-net"]),
    ],
)
def test_killed_and_resumed_equals_never_stopped(agent, flags, tmp_path) -> None:
    args = ["train", agent, "corridor", *SHORT, *flags, "--steps", "60_000", "--checkpoint-every", "3000"]
    args += ["--eval-every", "20_000", "--num-envs", "24"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert cli.main([*args, "--out", str(whole)]) == 0
    run, left = kill_and_resume([*args, "--out", str(broken)], broken, after=(0, 4, 9))
    assert left < 18  # far from the end
    assert cli.main(["train", "--resume", str(run)]) == 0
    assert_same_end(run, only_run(whole))
    assert {"rollout.memory", "learner.steps"} <= set(final(run))


def test_a_replay_that_was_not_saved_begins_empty(tmp_path, capsys) -> None:
    args = ["train", "dqn", "corridor", *SHORT, *REPLAY, "--agent.buffer-checkpoint", "none"]
    assert cli.main([*args, "--out", str(tmp_path)]) == 0
    assert "replay: 2,000 transitions" in capsys.readouterr().out
    assert cli.main(["train", "--resume", str(only_run(tmp_path)), "--steps", "8192"]) == 0
    said = capsys.readouterr().out
    assert "replay" in said and "begins empty, so the run goes on otherwise than" in said
    assert final(only_run(tmp_path))["step"] == 8192


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("learner.network.", np.zeros((3, 3), np.float32))], "shape"),
        ([("learner.algorithm", "sarsa")], "sarsa"),
        ([("learner.optimizer.", np.zeros(7, np.float32))], "optimiser"),
        ([("learner.steps", "many")], "many"),
        ([("learner.steps", -1)], "-1 steps"),
        ([("learner.generator", np.full(5056, 77, np.uint8))], "random generator"),
        ([("learner.filled", 3)], "rollout is damaged"),
        ([("learner.filled", 99)], "99 steps of a rollout"),
        ([("learner.rollout.terminated", np.zeros((0, 32), np.int8))], "rollout is damaged"),
        ([("seconds", {"policy": 1.0})], "seconds"),
        ([("seconds", {part: -1.0 for part in PARTS})], "seconds"),
        ([("seconds", 3.0)], "does not fit"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_one_line(copy, capsys, changes, words) -> None:
    path = RunDir.open(copy).latest_checkpoint()
    assert path is not None
    state = meze.agents.checkpoint.load(path)
    for prefix, value in changes:
        names = [name for name in state if name.startswith(prefix)]
        assert names
        state |= dict.fromkeys(names[:1], value)
    meze.agents.checkpoint.save(path, state)
    refused(["train", "--resume", str(copy), "--steps", "8192"], capsys, str(path), words)


def test_a_checkpoint_of_another_network_is_one_line(copy, capsys) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["agent"]["config"]["net"]["hidden"] = [17]
    (copy / "config.json").write_text(json.dumps(config))
    refused(["train", "--resume", str(copy), "--steps", "8192"], capsys, "step-", "shape")
    refused(["evaluate", "corridor", str(copy), "--episodes", "4"], capsys, "step-", "shape")


def test_a_damaged_checkpoint_is_one_line(copy, capsys) -> None:
    path = RunDir.open(copy).latest_checkpoint()
    assert path is not None
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    refused(["watch", str(copy)], capsys, "cut short or altered")
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for earlier in path.parent.iterdir():
        if earlier != path:
            earlier.unlink()
    refused(["train", "--resume", str(copy), "--steps", "8192"], capsys, "altered")


def test_a_score_of_sites_serves_other_cities(tmp_path, capsys) -> None:
    city = ["--env.source", "generated", "--env.pool-size", "4", "--env.points", "12", "--env.sites", "12"]
    few = ["--env.most-kiosks", "3", "--env.least-kiosks", "1", "--env.least-points", "6"]
    line = ["train", "pqn", "kiosk", *city, *few, *SHORT, *SMALL, "--out", str(tmp_path), "--device", "cpu"]
    assert cli.main([*line, "--steps", "416", "--agent.num-steps", "10", "--agent.num-minibatches", "5"]) == 0
    run = str(only_run(tmp_path))
    capsys.readouterr()
    other = ["--env.source", "pmed1", "--episodes", "1"]
    assert cli.main(["evaluate", "kiosk", run, *other, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores[f"pqn {Path(run).name}"]["regret"]["mean"] > 0


@pytest.mark.parametrize(
    "past", [{"frame_stack": 3, "net": NetworkConfig(hidden=(16,))}, {"net": NetworkConfig(memory="gru")}]
)
def test_shown_values_are_of_what_the_agent_sees_and_remembers(past) -> None:
    """The policy is greedy, so it took the action of the highest value that was shown before."""
    config = config_of()
    strip = dataclasses.replace(config.env_config, observation="strip")
    agent = PQNConfig(**past)
    config = dataclasses.replace(config, env_config=strip, agent_config=agent)
    env = config.make_env(2, AutoresetMode.DISABLED)
    policy = config.make_agent(env).policy
    show, differs = Show(env, policy, lambda k: k), False
    for _ in range(60):
        before = show.moment
        show.forward()
        if show.moment.actions is not None and before.steps[0] + 1 == show.moment.steps[0]:
            values = np.where(before.mask, before.values, -np.inf)
            assert show.moment.actions[0] == values[0].argmax()
            differs |= bool(np.abs(before.values - policy.action_values(before.obs)).max() > 1e-6)
    assert differs
    for _ in range(9):
        show.back()
    values, rewound = show.moment.values, show.moment
    show.forward()
    show.back()
    assert show.moment is rewound and np.array_equal(show.moment.values, values)


def test_a_deep_agent_is_watched(finished, tmp_path) -> None:
    assert (
        cli.main(["watch", str(finished), "--record", str(tmp_path / "x.gif"), "--sees", "--steps", "3"]) == 0
    )
    assert sources.find_source([str(finished)]).title == "pqn"
