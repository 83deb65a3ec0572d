"""SAC and TD3, and Box actions of PPO and A2C: bounds, exploring, learning, saved as data."""

import dataclasses
import math
from fractions import Fraction

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from meze.agents import checkpoint
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.sb3.box import SB3SAC, SB3TD3
from meze.agents.sb3.config import A2CConfig, PPOConfig, SACConfig, TD3Config
from meze.agents.sb3.spaces import Scaled
from meze.agents.sb3.trainers import SB3A2C, SB3PPO
from meze.agents.schedules import Schedule
from meze.agents.spaces import Combined

SMALL, FAST = NetworkConfig(hidden=(16,)), Schedule(1e-2, 1e-2, 0)
REPLAY = {
    "net": SMALL,
    "learning_rate": FAST,
    "buffer_size": 2000,
    "learning_starts": 64,
    "batch_size": 32,
    "gamma": 0.0,
}
CONFIGS = {
    SB3SAC: SACConfig(**REPLAY, gradient_steps=2),
    SB3TD3: TD3Config(**REPLAY, gradient_steps=2, action_noise=0.3),
    SB3PPO: PPOConfig(net=SMALL, learning_rate=FAST, num_steps=16, num_minibatches=2, gamma=0.0),
    SB3A2C: A2CConfig(net=SMALL, learning_rate=FAST, gamma=0.0),
}
LOW, HIGH = np.array([-1.0, 0.0, 5.0], np.float32), np.array([1.0, 50.0, 10.0], np.float32)
BOUNDED, SIGHT = Box(LOW, HIGH), Box(-1.0, 1.0, (2,))
every = pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.name)
off_policy = pytest.mark.parametrize("kind", [SB3SAC, SB3TD3], ids=lambda kind: kind.name)


class Target(gym.Env):
    """Wants an action three quarters up its bounds; costs the mean distance, as a share of them."""

    observation_space, action_space = SIGHT, BOUNDED

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        assert action in self.action_space
        share = (action - LOW) / (HIGH - LOW)
        return self.reset()[0], -float(np.abs(share - 0.75).mean()), False, True, {}


def make(kind, spaces=(SIGHT, BOUNDED), seed=0, **changes):
    config = dataclasses.replace(CONFIGS[kind], **changes)
    return kind(*spaces, num_envs=4, config=config, rng=np.random.default_rng(seed))


def begin(trainer):
    env = SyncVectorEnv([Target] * 4, autoreset_mode=AutoresetMode.SAME_STEP)
    trainer.begin(env, env.reset(seed=0)[0])


def train(trainer, steps):
    done, told = 0, {}
    while done < steps:
        count, metrics = trainer.advance()
        done += count
        told |= metrics
    return told


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [SB3TD3, *(pytest.param(kind, marks=pytest.mark.slow) for kind in CONFIGS if kind is not SB3TD3)],
    ids=lambda kind: kind.name,
)
def test_learns_a_target_within_unequal_bounds(kind) -> None:
    trainer = make(kind)
    begin(trainer)
    told = train(trainer, 1600 if kind in (SB3SAC, SB3TD3) else 8000)
    assert math.isfinite(told["loss"])
    obs = np.random.default_rng(1).uniform(-1, 1, (20, 2)).astype(np.float32)
    share = (trainer.policy.act(obs, explore=False)[0] - LOW) / (HIGH - LOW)
    assert np.abs(share - 0.75).mean() < 0.12


@every
@pytest.mark.parametrize(
    "space", [BOUNDED, Box(0, 9, (2, 2), np.int32), Box(-2.0, 2.0, (1,), np.float64)], ids=str
)
def test_actions_are_of_the_space(kind, space) -> None:
    policy = make(kind, (Discrete(5, start=2), space)).policy
    obs = np.arange(5) + 2
    for explore in (False, True):
        actions, memory = policy.act(obs, explore=explore)
        assert memory is None and all(space.contains(each) for each in actions)
    alone = [policy.act(obs[k : k + 1], explore=False)[0][0] for k in range(5)]
    assert np.allclose(policy.act(obs, explore=False)[0], alone, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
@pytest.mark.filterwarnings("error")
def test_whole_actions_keep_any_bounds(dtype) -> None:
    least, most = (int(bound) for bound in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    seen = np.concatenate([np.linspace(-1.5, 1.5, 301), np.nextafter([1.0, -1.0], 0.0), [-1.0, 1.0]])
    for low, high in ((least, most), (least, least + 3), (most - 9, most), (most, most), (1, 2)):
        space = Box(np.full((1, 2), low, dtype), np.full((1, 2), high, dtype), dtype=dtype)
        actions = Scaled(space).decode(np.stack([seen, seen], axis=1))
        assert all(space.contains(each) for each in actions)
        for value, action in zip(seen, actions[:, 0, 0].tolist(), strict=True):
            share = (1 + Fraction(float(np.clip(value, -1, 1)))) / 2
            error = abs(action - (low + (high - low) * share))  # exact
            assert error <= Fraction(1, 2) + Fraction(high - low, 2**52), (low, high, value)
        assert actions[-2:, 0, 0].tolist() == [low, high]


@every
def test_exploring_draws_around_what_it_would_do(kind) -> None:
    trainer = make(kind, (Discrete(1), Box(-1.0, 1.0, (1,))))
    if kind is SB3TD3:  # in the middle, where no bound cuts the noise
        for parameter in trainer.model.actor.mu.parameters():
            parameter.data.zero_()
    drawn = trainer.policy.act(np.zeros(4000, int), explore=True)[0]
    greedy = trainer.policy.act(np.zeros(1, int), explore=False)[0]
    assert len(np.unique(drawn)) > 1000 and np.median(drawn) == pytest.approx(float(greedy[0, 0]), abs=0.1)
    if kind is SB3TD3:
        assert drawn.std() == pytest.approx(0.3, abs=0.03)


@off_policy
def test_goes_on_from_what_was_saved(kind, tmp_path) -> None:
    first, second = make(kind, seed=1), make(kind, seed=2)
    begin(first)
    train(first, 400)
    state = first.state_dict()
    checkpoint.save(tmp_path / "state", state)
    second.load_state_dict(checkpoint.load(tmp_path / "state"))
    again = second.state_dict()
    assert state.keys() == again.keys() and all(np.array_equal(state[name], again[name]) for name in state)
    assert {"actor_optimizer", "critic_optimizer"} <= {name.split(".")[0] for name in state}
    assert ("log_ent_coef" in state) == (kind is SB3SAC)
    obs = np.random.default_rng(0).uniform(-1, 1, (9, 2)).astype(np.float32)
    acts = [each.policy.act(obs, explore=True)[0] for each in (first, second)]
    assert not np.array_equal(*acts)  # streams of exploring are the trainer's own
    acts = [each.policy.act(obs, explore=False)[0] for each in (first, second)]
    assert np.array_equal(*acts) and not kind.exact
    begin(second)
    train(second, 400)
    assert second.model.num_timesteps == 800


@off_policy
@pytest.mark.parametrize("change", ["algorithm", "shape", "optimiser", "missing"])
def test_a_state_that_does_not_fit_is_refused(kind, change) -> None:
    trainer = make(kind)
    begin(trainer)
    train(trainer, 200)
    state = trainer.state_dict()
    if change == "algorithm":
        state["algorithm"] = "sb3-ppo"
    elif change == "shape":
        state["policy.actor.mu.bias" if kind is SB3SAC else "policy.actor.mu.0.bias"] = np.zeros(
            9, np.float32
        )
    elif change == "optimiser":
        state["critic_optimizer.0.pace"] = np.zeros(1)
    else:
        del state["log_ent_coef" if kind is SB3SAC else "updates"]
    with pytest.raises((ValueError, LookupError)):
        make(kind).load_state_dict(state)


@pytest.mark.parametrize("kind", [SB3PPO, SB3A2C], ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    "space", [MultiBinary(13), MultiDiscrete([[40, 50], [60, 2]], start=[[1, 1], [0, -3]])], ids=str
)
def test_actors_choose_parts_of_any_number(kind, space) -> None:
    policy = make(kind, (SIGHT, space)).policy
    obs = np.zeros((50, 2), np.float32)
    for explore in (False, True):
        actions, _ = policy.act(obs, explore=explore)
        assert all(space.contains(each) for each in actions)
    assert len({each.tobytes() for each in policy.act(obs, explore=True)[0]}) > 10


def test_a_mask_of_combinations_is_met_by_the_joint_distribution() -> None:
    trainer = make(SB3PPO, (Discrete(1), Combined(MultiDiscrete([2, 3]))))
    with torch.no_grad():
        trainer.model.policy.action_net.bias += torch.tensor([0.0, 1.0, 0.0, 1.0, 2.0])
        parts = trainer.model.policy.get_distribution(torch.zeros(1, dtype=torch.long)).distribution
        joint = np.outer(*(part.probs[0].numpy() for part in parts)).ravel()
    mask, obs = np.array([1, 0, 1, 0, 1, 0], np.int8), np.zeros(20_000, int)
    drawn, _ = trainer.policy.act(obs, explore=True, mask=np.tile(mask, (20_000, 1)))
    np.testing.assert_allclose(
        np.bincount(drawn, minlength=6) / 20_000, joint * mask / (joint @ mask), atol=0.02
    )
    assert trainer.policy.act(obs[:1], explore=False, mask=mask[None])[0] == (joint * mask).argmax()
    free = trainer.policy.act(obs, explore=True)[0]
    np.testing.assert_allclose(np.bincount(free, minlength=6) / 20_000, joint, atol=0.02)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: SACConfig(net=NetworkConfig(layer_norm=True)), "no layer_norm"),
        (lambda: SACConfig(ent_coef=-1.0), "ent_coef"),
        (lambda: SACConfig(tau=0.0), "tau"),
        (lambda: TD3Config(policy_delay=0), "policy_delay"),
        (lambda: TD3Config(action_noise=-0.1), "noise"),
        (lambda: TD3Config(gradient_steps=0), "gradient_steps"),
        (lambda: make(SB3SAC, (SIGHT, Discrete(2))), "it needs Box actions"),
        (lambda: make(SB3TD3, (SIGHT, Box(0, np.inf, (2,)))), "with bounds"),
    ],
)
def test_settings_and_spaces_that_are_not_possible(build, words) -> None:
    with pytest.raises(ValueError, match=words):
        build()
