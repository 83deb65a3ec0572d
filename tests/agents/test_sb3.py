"""stable-baselines3's algorithms as agents: they learn, are saved, and leave the process as it was."""

import dataclasses
import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorWrapper
from meze.agents import checkpoint
from meze.agents.base import NonFiniteLossError
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.memory import forget, leaves, select_memory
from meze.agents.registry import find_agent
from meze.agents.sb3.config import A2CConfig, DQNConfig, PPOConfig, RecurrentPPOConfig
from meze.agents.sb3.recurrent import SB3RecurrentPPO
from meze.agents.sb3.trainers import SB3A2C, SB3DQN, SB3PPO
from meze.agents.schedules import Schedule
from meze.envs.core.vector import WorldVectorEnv

TABLE = NetworkConfig(hidden=(32,))
FAST = Schedule(1e-2, 1e-3, 4096)
STEADY = Schedule(0.01, 0.01, 0)
EPSILON = Schedule(1.0, 0.1, 2048)
CONFIGS = {
    SB3PPO: PPOConfig(
        net=TABLE, learning_rate=FAST, gamma=0.9, num_steps=16, num_minibatches=2, ent_coef=STEADY
    ),
    SB3A2C: A2CConfig(net=TABLE, learning_rate=FAST, gamma=0.9, ent_coef=STEADY),
    SB3DQN: DQNConfig(
        net=TABLE, learning_rate=FAST, gamma=0.9, exploration=EPSILON, buffer_size=4096, learning_starts=256,
        train_freq=1, target_update_interval=64,
    ),
    SB3RecurrentPPO: RecurrentPPOConfig(
        net=dataclasses.replace(TABLE, memory="lstm"), learning_rate=FAST, gamma=0.9, num_steps=16,
        num_minibatches=2, ent_coef=STEADY,
    ),
}  # fmt: skip
kinds = pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.name)
CORRIDOR = Discrete(8), Discrete(3)


def make(kind, spaces=CORRIDOR, *, num_envs=8, seed=0, device="cpu", **changes):
    config = dataclasses.replace(CONFIGS[kind], **changes)
    return kind(*spaces, num_envs=num_envs, config=config, rng=np.random.default_rng(seed), device=device)


def begin(trainer, *, seed=0, **settings):
    env = WorldVectorEnv("toy_world:Corridor", trainer.num_envs, 40, AutoresetMode.SAME_STEP, **settings)
    trainer.begin(env, env.reset(seed=seed)[0])
    return env


def train(trainer, steps):
    done, told = 0, []
    while done < steps:
        count, metrics = trainer.advance()
        done += count
        told.append(metrics)
    return done, told


def best(trainer):
    """What it does on the way from the left to the goal, at each cell."""
    memory, actions = None, []
    for cell in range(7):
        action, memory = trainer.policy.act(np.array([cell]), memory, explore=False)
        actions.append(int(action[0]))
    return actions


@pytest.mark.slow
@kinds
def test_learns_the_way(kind) -> None:
    trainer = make(kind, seed=3)
    assert best(trainer) != [2] * 7
    begin(trainer)
    done, told = train(trainer, 6000)
    assert best(trainer) == [2] * 7
    assert trainer.model.num_timesteps == done
    assert all(math.isfinite(value) for metrics in told for value in metrics.values())
    assert told[-1]["learning_rate"] == pytest.approx(
        FAST.end
    )  # beyond its schedule, which counts transitions
    assert "loss" in told[-1]


@pytest.mark.slow
def test_the_values_are_those_of_the_corridor() -> None:
    """A goal that is k steps away is worth gamma^(k - 1), less 1/1024 a step, if no move fails."""
    trainer = make(SB3DQN)
    begin(trainer, slip=0)
    train(trainer, 12_000)
    with torch.no_grad():
        values = trainer.scores(torch.arange(7)).numpy()
    worth = [0.9 ** (6 - cell) - sum(0.9**k for k in range(7 - cell)) / 1024 for cell in range(7)]
    np.testing.assert_allclose(values.max(axis=1), worth, atol=0.05)


@kinds
@pytest.mark.parametrize(
    "space",
    [
        Box(0, 255, (5, 9, 9), np.uint8),
        Box(0, 255, (16, 16, 3), np.uint8),
        Box(-np.inf, np.inf, (4,)),
        Box(-9, 9, (6, 8), np.int32),
        Discrete(5),
        MultiDiscrete([3, 2]),
        MultiBinary(4),
    ],
    ids=str,
)
def test_acts_on_batches_of_any_observations_the_torso_takes(kind, space) -> None:
    policy = make(kind, (space, Discrete(4)), num_envs=2).policy
    space.seed(0)
    obs = np.stack([space.sample() for _ in range(3)])
    for explore in (False, True):
        action, memory = policy.act(obs, explore=explore)
        assert action.shape == (3,) and bool(leaves(memory)) == (kind is SB3RecurrentPPO)
        assert all(Discrete(4).contains(each) for each in action)
    together = policy.act(obs, explore=False)[0]
    assert together.tolist() == [policy.act(obs[k : k + 1], explore=False)[0][0] for k in range(3)]


@kinds
def test_masks_are_honoured(kind) -> None:
    policy = make(kind, exploration=Schedule(0.5, 0.5, 0)).policy if kind is SB3DQN else make(kind).policy
    rng = np.random.default_rng(0)
    obs = rng.integers(8, size=400)
    mask = rng.integers(2, size=(400, 3), dtype=np.int8)
    mask[np.arange(400), rng.integers(3, size=400)] = 1
    for explore in (False, True):
        action, _ = policy.act(obs, explore=explore, mask=mask)
        assert mask[np.arange(400), action].all()
    free = policy.act(obs, explore=False)[0]
    kept = mask[np.arange(400), free] == 1
    assert np.array_equal(policy.act(obs, explore=False, mask=mask)[0][kept], free[kept])


def test_exploring_draws_from_the_policy_of_ppo() -> None:
    trainer = make(SB3PPO)
    with torch.no_grad():
        trainer.model.policy.action_net.bias += torch.tensor([0.0, 1.0, 2.0])
        logits = trainer.scores(torch.zeros(1, dtype=torch.long))[0].numpy()
    drawn = trainer.policy.act(np.zeros(20_000, int), explore=True)[0]
    np.testing.assert_allclose(np.bincount(drawn) / 20_000, np.exp(logits), atol=0.015)
    mask = np.tile([1, 0, 1], (20_000, 1))
    drawn = trainer.policy.act(np.zeros(20_000, int), explore=True, mask=mask)[0]
    expected = np.exp(logits) * [1, 0, 1]
    np.testing.assert_allclose(np.bincount(drawn) / 20_000, expected / expected.sum(), atol=0.015)


def test_exploring_takes_a_share_of_dqns_actions_at_random() -> None:
    trainer = make(SB3DQN, exploration=Schedule(0.3, 0.3, 0))
    obs = np.zeros(20_000, int)
    greedy = trainer.policy.act(obs, explore=False)[0]
    share = (trainer.policy.act(obs, explore=True)[0] != greedy).mean()
    assert share == pytest.approx(0.3 * 2 / 3, abs=0.015)


def saved(trainer, folder: Path):
    checkpoint.save(folder / "state", trainer.state_dict())
    return checkpoint.load(folder / "state")


@kinds
def test_goes_on_exactly_where_it_stood(kind, tmp_path) -> None:
    settings = {"normalize_rewards": True} if kind.exact else {}
    first, second = make(kind, seed=1, **settings), make(kind, seed=2, **settings)
    env = begin(first)
    train(first, 1200)
    other = begin(second)
    second.load_state_dict(saved(first, tmp_path))
    other.set_state(env.get_state())
    second.begin(other, other.observe())
    assert all(map(torch.equal, first.model.policy.parameters(), second.model.policy.parameters()))
    assert first.model.num_timesteps == second.model.num_timesteps
    assert kind.exact == (kind is not SB3DQN)
    if kind.exact:
        train(first, 600)
        train(second, 600)
        a, b = first.state_dict(), second.state_dict()
        assert a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
        return
    # The replay begins empty: it learns only when that holds as much as at first.
    _, told = train(second, 400)
    assert ["loss" in metrics for metrics in told] == [k > 256 // 8 for k in range(1, 51)]


def test_rewards_are_divided_by_the_deviation_of_returns() -> None:
    trainer, plain = (make(SB3A2C, normalize_rewards=each) for each in (True, False))
    for each in (trainer, plain):
        begin(each)
        train(each, 4000)
    rewards, seen = trainer.model.rollout_buffer.rewards, trainer.state_dict()
    count, _, variance = seen["returns.told"]
    assert count == pytest.approx(4000) and 0 < variance < 1
    own = np.unique(plain.model.rollout_buffer.rewards)
    nearest = np.abs(rewards[..., None] * np.sqrt(variance) - own).min(axis=-1)
    assert nearest.max() < 0.02 and np.abs(rewards).max() > np.abs(own).max()
    assert "returns.told" not in plain.state_dict()
    trainer.load_policy(plain.state_dict())  # who only acts needs none
    for damaged in ({"returns.told": -seen["returns.told"]}, {"returns.running": np.zeros(3)}):
        with pytest.raises(ValueError, match="returns"):
            trainer.load_state_dict(seen | damaged)


def test_the_entropys_weight_follows_its_schedule() -> None:
    trainer = make(SB3PPO, ent_coef=Schedule(0.2, 0.1, 256), num_envs=8)  # an update each 128 transitions
    begin(trainer)
    weights, learn = [], trainer.model.train
    trainer.model.train = lambda: (weights.append(trainer.model.ent_coef), learn())
    train(trainer, 3 * 128)
    assert weights == pytest.approx([0.15, 0.1, 0.1])


def test_rewards_of_several_steps_are_added_up() -> None:
    """In a corridor without slips whoever is k steps before the goal is told of it by what they add up to."""
    trainer = make(SB3DQN, n_step=3, gamma=0.5)
    begin(trainer, slip=0)
    train(trainer, 2048)
    drawn, cost = trainer.model.replay_buffer.drawn, -1 / 1024
    ends = {1.0 + cost, cost + 0.5 * (1 + cost), cost + 0.5 * cost + 0.25 * (1 + cost)}
    rewards = drawn.rewards[drawn.dones == 1].numpy()
    nearest = np.abs(rewards[:, None] - sorted(ends))
    assert nearest.min(axis=1).max() < 1e-6 and nearest.min(axis=0).max() < 1e-6  # no other, and each of them
    assert set(np.unique(drawn.discounts.numpy())) == {0.125, 0.25, 0.5}


def test_the_target_network_moves_a_share_of_the_way() -> None:
    trainer = make(SB3DQN, tau=0.25, target_update_interval=512)
    begin(trainer)
    train(trainer, 504)  # of 512 transitions all but a step
    network, target = ([*each.parameters()] for each in (trainer.model.q_net, trainer.model.q_net_target))
    then = [(a.detach().clone(), b.clone()) for a, b in zip(network, target, strict=True)]
    trainer.advance()  # the target moves before the network learns
    assert not torch.equal(target[0], then[0][1])
    for (a, b), moved in zip(then, target, strict=True):
        torch.testing.assert_close(moved, 0.25 * a + 0.75 * b)


def played(trainer, cells, memory=None):
    """Actions and memories in (T, B) cells."""
    record = []
    for row in cells:
        action, memory = trainer.policy.act(row, memory)
        record.append((action, memory))
    return record


def test_zeros_are_what_an_episode_begins_with() -> None:
    trainer = make(SB3RecurrentPPO)
    begin(trainer)
    train(trainer, 512)
    cells = np.random.default_rng(0).integers(7, size=(5, 6))
    (_, memory), *_ = reversed(played(trainer, cells))
    assert {name: tuple(each.shape) for name, each in memory.items()} == {"hidden": (6, 32), "cell": (6, 32)}
    once = trainer.policy.act(cells[0])[1]
    again = trainer.policy.act(cells[0], forget(memory, np.arange(6)))[1]
    assert all(map(torch.equal, leaves(once), leaves(again)))
    assert not torch.equal(trainer.policy.act(cells[0], memory)[1]["hidden"], once["hidden"])
    some = trainer.policy.act(cells[0][[4, 1]], select_memory(memory, np.array([4, 1])))[1]
    torch.testing.assert_close(some["cell"], trainer.policy.act(cells[0], memory)[1]["cell"][[4, 1]])


def test_what_was_seen_last_tells_whose_episodes_go_on(tmp_path) -> None:
    """In the middle of episodes it goes on with what it remembers; elsewhere with nothing."""
    trainer = make(SB3RecurrentPPO)
    env = begin(trainer)
    assert trainer.model._last_episode_starts.all()
    train(trainer, 256)
    remembered = [each.clone() for each in leaves(trainer._streams["policy"])]
    assert all(each.abs().sum() > 0 for each in remembered)
    starts = trainer.model._last_episode_starts.copy()
    assert not starts.all()
    other = make(SB3RecurrentPPO, seed=3)
    other.load_state_dict(saved(trainer, tmp_path))
    other.begin(env, env.observe())
    assert np.array_equal(other.model._last_episode_starts, starts)
    assert all(map(torch.equal, leaves(other._streams["policy"]), remembered))
    moved = env.observe()
    moved[3] = (moved[3] + 1) % 7
    other.begin(env, moved)
    assert np.array_equal(other.model._last_episode_starts, starts | (np.arange(8) == 3))
    other = make(SB3RecurrentPPO, num_envs=2)  # acts in other environments, and can't learn there
    other.load_policy(saved(trainer, tmp_path))
    assert best(other) == best(trainer)
    for change, words in (
        (lambda state: state.update({"memory.policy.cell": np.zeros((2, 32), np.float32)}), "damaged"),
        (lambda state: [state.pop(name) for name in list(state) if name.startswith("memory.")], "missing"),
    ):
        state = trainer.state_dict()
        change(state)
        with pytest.raises(ValueError, match=words):
            make(SB3RecurrentPPO).load_state_dict(state)


def test_training_remembers_as_acting_does() -> None:
    """The states that are kept when acting in training are those that its policy comes to by itself."""
    trainer = make(SB3RecurrentPPO, update_epochs=1, learning_rate=Schedule(1e-9, 1e-9, 0))
    begin(trainer)
    train(trainer, 128)
    buffer = trainer.model.rollout_buffer  # as the library leaves it: stream after stream
    seen, starts = buffer.observations.reshape(8, 16).T, buffer.episode_starts.reshape(8, 16).T
    kept = buffer.hidden_states_pi.reshape(8, 16, -1).swapaxes(0, 1)
    memory = None
    for step in range(16):
        if memory is not None:
            np.testing.assert_allclose(memory["hidden"], kept[step], atol=1e-5)
            memory = forget(memory, np.flatnonzero(starts[step]))
        memory = trainer.policy.act(seen[step].astype(int), memory)[1]


def test_without_the_library_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    monkeypatch.delitem(sys.modules, "meze.agents.sb3.recurrent")
    words = r"^sb3-recurrent-ppo needs sb3_contrib, .*pip install 'meze\[sb3-contrib\]'$"
    with pytest.raises(ValueError, match=words):
        find_agent("sb3-recurrent-ppo").agent_class()


@kinds
def test_the_seed_decides_and_nothing_else_in_the_process_does(kind) -> None:
    def weights(seed: int) -> list:
        trainer = make(kind, seed=seed)
        begin(trainer)
        train(trainer, 500)
        return [each.tolist() for each in trainer.model.policy.parameters()]

    torch.manual_seed(1), np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()
    a = weights(0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1][1])
    torch.manual_seed(2), np.random.seed(2)
    assert weights(0) == a
    assert weights(1) != a


class Unrewarding(VectorWrapper):
    """Rewards that are no numbers."""

    def step(self, actions):
        obs, reward, *rest = self.env.step(actions)
        return obs, reward * np.nan, *rest


@kinds
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, where the library takes means
def test_weights_that_are_no_numbers_stop_it(kind) -> None:
    trainer = make(kind)
    env = Unrewarding(WorldVectorEnv("toy_world:Corridor", 8, 40, AutoresetMode.SAME_STEP))
    trainer.begin(env, env.reset(seed=0)[0])
    with pytest.raises(NonFiniteLossError, match="lower --agent.learning-rate.start") as caught:
        train(trainer, 20_000)
    batch = caught.value.batch
    assert set(batch) >= {"observations", "actions", "rewards"}
    assert all(isinstance(each, np.ndarray) for each in batch.values())


@kinds
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.update(algorithm="pqn"), "state of pqn"),
        (lambda state: state.update({name: value[:-1] for name, value in weights_of(state)}), "shape"),
        (lambda state: [state.pop(name) for name, _ in weights_of(state)], "shape"),
        (lambda state: state.update({"optimizer.0.pace": np.zeros(1)}), "another optimiser"),
        (lambda state: state.update({"optimizer.99.step": np.zeros(())}), "another optimiser"),
        (
            lambda state: state.update({name: np.zeros((1, 1, 1)) for name in moments_of(state)}),
            "another shape",
        ),
        (lambda state: state.update({"optimizer.0.step": np.zeros(5, np.float32)}), "another shape"),
        (lambda state: state.update({"torch_random.0": np.zeros(9, np.uint8)}), "damaged"),
        (lambda state: state.update(numpy_random={"bit_generator": "PCG64"}), "state"),
        (lambda state: state.update(steps="many"), "many"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(kind, change, words) -> None:
    trainer = make(kind)
    begin(trainer)
    train(trainer, 400)
    state = trainer.state_dict()
    change(state)
    with pytest.raises((ValueError, LookupError), match=words):
        make(kind).load_state_dict(state)


def moments_of(state) -> list:
    return [name for name in state if name.startswith("optimizer.0.") and not name.endswith("step")]


def weights_of(state) -> list:
    return [(name, state[name]) for name in state if name.endswith("torso.parts.1.weight")]


@kinds
@pytest.mark.parametrize(
    "spaces",
    [
        (Dict(a=Discrete(2)), Discrete(2)),
        (Discrete(2), Box(0, np.inf, (2,))),
        (Discrete(2), Dict(a=Discrete(2))),
    ],
    ids=str,
)
def test_spaces_that_do_not_fit_are_refused_by_name(kind, spaces) -> None:
    with pytest.raises(ValueError, match="Discrete") as caught:
        make(kind, spaces)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: PPOConfig(net=NetworkConfig(dueling=True)), "not dueling"),
        (lambda: PPOConfig(net=NetworkConfig(memory="lstm")), "net.memory is none for .*; got lstm"),
        (lambda: RecurrentPPOConfig(net=NetworkConfig(memory="gru")), "net.memory is .*; got gru"),
        (lambda: PPOConfig(net=NetworkConfig(kind="package.module:Net")), "auto, mlp or cnn"),
        (lambda: PPOConfig(gamma=1.5), r"gamma must lie in \[0, 1\]; got 1.5"),
        (lambda: PPOConfig(learning_rate=Schedule(0.0, 0.0, 0)), "learning_rate"),
        (lambda: PPOConfig(learning_rate=Schedule(2.0, 0.0, 0)), "learning_rate"),
        (lambda: PPOConfig(max_grad_norm=0.0), "max_grad_norm"),
        (lambda: PPOConfig(num_minibatches=0), "num_minibatches must be at least 1"),
        (lambda: make(SB3PPO, num_minibatches=7), r"must divide num_steps \* num_envs"),
        (lambda: PPOConfig(clip_range=0.0), "clip_range"),
        (lambda: PPOConfig(update_epochs=0), "update_epochs"),
        (lambda: A2CConfig(num_steps=0), "num_steps must be at least 1"),
        (lambda: A2CConfig(ent_coef=Schedule(0.1, -0.1, 100)), "ent_coef.end"),
        (lambda: A2CConfig(gae_lambda=float("nan")), "gae_lambda"),
        (lambda: DQNConfig(exploration=Schedule(2.0, 0.0, 1)), "exploration"),
        (lambda: DQNConfig(batch_size=500, buffer_size=400), "below buffer_size = 400; got 500"),
        (lambda: DQNConfig(train_freq=0), "train_freq"),
        (lambda: DQNConfig(n_step=0), "n_step"),
        (lambda: DQNConfig(tau=0.0), "tau"),
        (lambda: make(SB3DQN, num_envs=65), "are 64; got num_envs 65"),
        (lambda: make(SB3PPO, device="gpu"), "device is cpu or cuda"),
    ],
)
def test_settings_that_are_not_possible(build, words) -> None:
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.slow
def test_the_example_learns() -> None:
    path = Path(__file__).parents[2] / "examples" / "sb3_ppo.py"
    spec = importlib.util.spec_from_file_location("sb3_ppo_example", path)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert example.main(4096) < example.main(60_000)
    finally:
        torch.set_num_threads(threads)
