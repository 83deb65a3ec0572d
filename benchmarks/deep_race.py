"""Deep learners against stable-baselines3's: seconds of training until a score is held.

    python benchmarks/deep_race.py cartpole            # return of 475, three evaluations in a row
    python benchmarks/deep_race.py city                # normalised score of 0.9 on unseen maps
    python benchmarks/deep_race.py city --agents ppo sb3-ppo sb3-ppo-zoo

stable-baselines3's steps the same native batch, on CartPole environments one after another. CartPole: RL
Zoo's tuned settings. City, DQN: our network and learning rate with 1 or 16 environments (`--sb3-envs`). City,
PPO: all of our settings (`sb3-ppo`), or what RL Zoo has for most others (`sb3-ppo-zoo`) with our network. All
run one after another on the same number of threads; a run that does not hold the score within the cap counts
as the cap. The normalised score is (agent - random) / (expert - random), of mean returns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any, Literal

import gymnasium as gym
import torch
import tyro
from meze.runners.setup.seeds import stream_seeds
from race import Examiner, Ours, Result, normalised, preset, race

HELD = 3
"""Evaluations in a row that must reach the score."""


@dataclass(frozen=True)
class Settings:
    """What to run."""

    task: Annotated[Literal["cartpole", "city"], tyro.conf.Positional]
    agents: tuple[str, ...] = ("dqn", "pqn", "sb3-dqn")
    """Who runs."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of each agent."""
    cap: float = 1200.0
    """Training seconds after which a run is given up."""
    device: str = "cpu"
    """Where our networks compute."""
    threads: int = 1
    """Threads of torch."""
    sb3_envs: int = 1
    """Environments of stable-baselines3's DQN in the city."""
    sb3_every: int = 5_000
    """Transitions between two evaluations of stable-baselines3."""


class Theirs:
    """A run of stable-baselines3's, taken step by step."""

    shares = "its own loop"

    def __init__(self, model: Any) -> None:
        self.model, self.seconds, self.steps = model, 0.0, 0

    def train(self, steps: int) -> None:
        """Trains up to so many transitions in all."""
        started = time.perf_counter()
        self.model.learn(steps - self.steps, reset_num_timesteps=False)
        self.seconds += time.perf_counter() - started
        self.steps = self.model.num_timesteps

    @property
    def policy(self) -> Theirs:
        """Acts as well as the model can so far."""
        return self

    def act(self, obs: Any, memory: Any = None, *, explore: bool, mask: Any = None) -> tuple[Any, Any]:
        """(B,) best actions; the mask is not used, as in training."""
        return self.model.predict(obs, deterministic=True)[0], memory


def cartpole_dqn(seed: int) -> Theirs:
    """RL Zoo's settings of DQN for CartPole-v1."""
    from stable_baselines3 import DQN

    model = DQN(
        "MlpPolicy",
        gym.make("CartPole-v1"),
        learning_rate=2.3e-3,
        batch_size=64,
        buffer_size=100_000,
        learning_starts=1_000,
        gamma=0.99,
        target_update_interval=10,
        train_freq=256,
        gradient_steps=128,
        policy_kwargs={"net_arch": [256, 256]},
        seed=seed,
        device="cpu",
    )
    # exploration_fraction 0.16 of its 50,000 transitions, then 0.04; its run goes on longer here
    model.exploration_schedule = lambda _: max(0.04, 1.0 - 0.96 * model.num_timesteps / 8_000)
    return Theirs(model)


def city_dqn(seed: int, num_envs: int) -> Theirs:
    """stable-baselines3's DQN with our network and learning rate; its own defaults otherwise."""
    from meze.agents.sb3 import MezeVecEnv, TorsoExtractor
    from stable_baselines3 import DQN

    ours = preset("dqn", "city", **CITY)
    env_settings = {name: getattr(ours.env_config, name) for name in ("observation", "hour", "pool_size")}
    env = MezeVecEnv(
        "meze/City-v0", num_envs, max_episode_steps=ours.environment.max_episode_steps, **env_settings
    )
    model = DQN(
        "MlpPolicy",
        env,
        learning_rate=ours.agent_config.learning_rate.start,
        gamma=ours.agent_config.gamma,
        buffer_size=ours.agent_config.buffer_size,
        policy_kwargs={
            "features_extractor_class": TorsoExtractor,
            "features_extractor_kwargs": {"net": ours.agent_config.net},
            "net_arch": [],
            "normalize_images": False,
        },
        learning_starts=1_000,
        gradient_steps=num_envs,  # as many for each transition as with one environment
        seed=seed,
        device="cpu",
    )
    env.seed(
        stream_seeds(seed, 1)[0]
    )  # neighbouring seeds, which the model has just given it, share episodes
    # exploration as its default share of a million transitions
    model.exploration_schedule = lambda _: max(0.05, 1.0 - 0.95 * model.num_timesteps / 100_000)
    return Theirs(model)


def cartpole_ppo(seed: int) -> Theirs:
    """RL Zoo's settings of PPO for CartPole-v1; rates fall to 0 in 100,000 transitions."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    model = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", 8, seed=seed),
        n_steps=32,
        batch_size=256,
        gae_lambda=0.8,
        gamma=0.98,
        n_epochs=20,
        seed=seed,
        device="cpu",
    )

    def left(_: float) -> float:
        return max(0.0, 1.0 - model.num_timesteps / 100_000)

    model.lr_schedule, model.clip_range = lambda _: 1e-3 * left(_), lambda _: 0.2 * left(_) + 1e-6
    return Theirs(model)


def city_ppo(seed: int, *, zoo: bool) -> Theirs:
    """stable-baselines3's PPO on the native batch, with our network and rewards divided as ours are."""
    from meze.agents.sb3 import MezeVecEnv, TorsoExtractor
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecNormalize

    ours = preset("ppo", "city", **CITY)
    config, num_envs = ours.agent_config, ours.settings.num_envs
    env_settings = {name: getattr(ours.env_config, name) for name in ("observation", "hour", "pool_size")}
    limit = ours.environment.max_episode_steps
    env = MezeVecEnv("meze/City-v0", num_envs, max_episode_steps=limit, **env_settings)
    # Of RL Zoo's settings for Atari's games, which are its only ones for planes, what does not say otherwise.
    rates = {"n_steps": 128, "batch_size": 256, "n_epochs": 4, "ent_coef": 0.01, "learning_rate": 2.5e-4}
    if not zoo:
        rates = {
            "n_steps": config.num_steps,
            "batch_size": config.num_steps * num_envs // config.num_minibatches,
            "n_epochs": config.update_epochs,
            "ent_coef": config.ent_coef.start,
        }
    model: Any = PPO(
        "MlpPolicy",
        VecNormalize(env, norm_obs=False, gamma=config.gamma),
        gamma=config.gamma,
        policy_kwargs={
            "features_extractor_class": TorsoExtractor,
            "features_extractor_kwargs": {"net": config.net},
            "share_features_extractor": False,
            "net_arch": [],
            "normalize_images": False,
        },
        seed=seed,
        device="cpu",
        **rates,
    )
    if not zoo:
        model.lr_schedule = lambda _: config.learning_rate.value(model.num_timesteps)
    env.seed(stream_seeds(seed, 1)[0])
    return Theirs(model)


CITY = {"env__hour": 12}


def contest(settings: Settings, name: str, seed: int) -> tuple[Any, Examiner, Callable[[Any], bool], int]:
    """A run, who examines it, what it has to reach, and how often it is examined."""
    foreign = name.startswith("sb3-")
    ours = name.removeprefix("sb3-").removesuffix("-zoo")
    cartpole = settings.task == "cartpole"
    config = preset(ours, "CartPole-v1", seed=seed) if cartpole else preset(ours, "city", seed=seed, **CITY)
    if not foreign:
        run: Any = Ours(config, settings.device)
    elif cartpole:
        run = cartpole_dqn(seed) if ours == "dqn" else cartpole_ppo(seed)
    else:
        run = (
            city_dqn(seed, settings.sb3_envs) if ours == "dqn" else city_ppo(seed, zoo=name.endswith("-zoo"))
        )
    if cartpole:
        every = settings.sb3_every if foreign else 4_096
        return run, Examiner(config, 100), lambda means: means["return"] >= 475.0, every
    examiner = Examiner(config, 256)
    ends = [float(examiner.contestant(who).measures["return"].mean()) for who in ("random", "expert")]
    every = settings.sb3_every if name == "sb3-dqn" else 65_536
    return run, examiner, lambda means: normalised(means["return"], *ends) >= 0.9, every


def told(name: str, seed: int, result: Result) -> str:
    """A line about a run."""
    last = result.points[-1]
    best = max(point.measures["return"] for point in result.points)
    end = "not held" if result.seconds is None else f"held after {result.seconds:.1f} s"
    speed = last.steps / last.seconds
    return (
        f"{name} seed {seed}: {end}, {last.steps:,} transitions, {speed:,.0f} a second, "
        f"return {last.measures['return']:.1f} (best {best:.1f}); {result.shares}"
    )


def main(settings: Settings) -> None:
    """Runs all and prints the medians and their ratios."""
    torch.set_num_threads(settings.threads)
    print(f"{settings}, torch {torch.__version__}", flush=True)
    medians = {}
    for name in settings.agents:
        seconds = []
        if not name.startswith("sb3-"):  # compiles, which happens once
            contest(settings, name, 0)[0].train(100_000)
        for seed in settings.seeds:
            run, examiner, reached, every = contest(settings, name, seed)
            result = race(run, examiner, reached, every=every, times=HELD, cap=settings.cap)
            print(told(name, seed, result), flush=True)
            seconds.append(settings.cap if result.seconds is None else result.seconds)
        medians[name] = median(seconds)
        print(f"{name}: median {medians[name]:.1f} s", flush=True)
    theirs = [name for name in medians if name.startswith("sb3-")]
    for name in [name for name in medians if name not in theirs]:
        for other in theirs:
            print(f"{name} is {medians[other] / medians[name]:.1f} times as fast as {other}")


if __name__ == "__main__":
    main(tyro.cli(Settings))
