"""The library in thirty lines: train, evaluate, load, act, with a world and an agent of one's own."""

from __future__ import annotations

import sys
from dataclasses import replace

import meze
from meze.agents.tabular import ExpectedSarsa
from meze.envs.city.config import CityConfig
from meze.envs.city.world import City


class NightCity(City):
    """The city at three in the morning."""

    def __init__(self, config: CityConfig) -> None:
        """Makes it."""
        super().__init__(replace(config, hour=3))


class Farsighted(ExpectedSarsa):
    """Expected SARSA under a name of its own; its update rule would stand here."""

    name = "farsighted"


def main(steps: int = 400_000) -> None:
    """Trains, compares, and drives one episode."""
    config = "meze.envs.city.config:CityConfig"
    meze.register_world("mine/Night-v0", "night", "library:NightCity", config=config, max_episode_steps=512)
    settings = "meze.agents.tabular:TabularConfig"
    meze.register_agent(
        "farsighted", "library:Farsighted", "learner", "expected SARSA", config=settings, modes=("index",)
    )

    run = meze.train("farsighted", "mine/Night-v0", {"agent.gamma": 0.95}, steps=steps, seed=1)
    scores = meze.evaluate("mine/Night-v0", ["random", "expert", run], episodes=200)
    for record in scores.records:
        print(record["agent"], record["measure"], record["mean"])

    policy, env = meze.load(run.path, num_envs=4)
    observations, infos = env.reset(seed=0)
    actions, *_ = policy.act(observations, mask=infos["action_mask"])
    observations, rewards, terminated, truncated, infos = env.step(actions)
    print(actions, rewards, terminated | truncated)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
