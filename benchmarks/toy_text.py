"""How fast the tabular learners reach the exact optimum of Gymnasium's Taxi and CliffWalking.

    python benchmarks/toy_text.py
    python benchmarks/toy_text.py --agents sarsa --seeds 10

Trains with the presets that `meze train` uses. After every 2,000 transitions the greedy policy's mean return
is computed exactly from the environment's own table (no sampling), and compared with value iteration's.
"""

import argparse
import time

import numpy as np
from gymnasium.vector import AutoresetMode
from meze.agents.planning import toy_text_model, value_iteration
from meze.agents.registry import find_agent, make_agent
from meze.runners.run.rollout import Rollout
from meze.runners.setup.presets import default_agent_config, default_env_config, default_settings
from meze.runners.setup.resolve import find_environment, make_vector
from meze.runners.setup.seeds import stream_seeds

AGENTS = ("q-learning", "sarsa", "expected-sarsa", "double-q-learning")
HORIZON = 200  # both environments' time limit


class Yardstick:
    """Exact mean returns over the starts of a toy-text environment."""

    def __init__(self, env) -> None:
        self.transition, self.reward = toy_text_model(env.P)
        self.start = env.initial_state_distrib
        self.states = np.arange(len(self.reward))
        self.masks = None
        if hasattr(env, "action_mask"):
            self.masks = np.array([env.action_mask(state) for state in self.states])

    def optimum(self) -> float:
        return float(value_iteration(self.transition, self.reward, gamma=1.0).max(axis=1) @ self.start)

    def of(self, policy) -> float:
        actions, _ = policy.act(self.states, explore=False, mask=self.masks)
        transition, reward = self.transition[self.states, actions], self.reward[self.states, actions]
        values = np.zeros(len(reward))
        for _ in range(HORIZON):
            values = reward + transition @ values
        return float(values @ self.start)


def curve(env_id: str, agent: str, seed: int, every: int = 2_000) -> list[tuple[int, float, float]]:
    """Trains once; returns (transitions, seconds of training, exact mean return) as they went."""
    environment, spec = find_environment(env_id), find_agent(agent)
    settings = default_settings(environment, spec)
    config = default_env_config(environment, spec)
    envs = make_vector(environment, config, settings.num_envs, AutoresetMode.SAME_STEP)
    learner = make_agent(
        agent,
        envs.single_observation_space,
        envs.single_action_space,
        num_envs=settings.num_envs,
        config=default_agent_config(environment, spec),
        seed=seed,
    )
    yardstick = Yardstick(envs.envs[0].unwrapped)
    rollout = Rollout(envs, learner.policy, stream_seeds(seed, settings.num_envs))
    points, seconds = [], 0.0
    while learner.steps < settings.steps:
        start = time.perf_counter()
        for _ in range(every // settings.num_envs):
            transitions, _ = rollout.step()
            learner.learn(transitions)
        seconds += time.perf_counter() - start
        points.append((learner.steps, seconds, yardstick.of(learner.policy)))
    envs.close()
    return points


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--envs", nargs="+", default=["Taxi-v4", "CliffWalking-v1"])
    parser.add_argument("--agents", nargs="+", default=AGENTS)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    for agent in args.agents:  # compiles, outside of the clock
        curve("CliffWalking-v1", agent, seed=0)
    for env_id in args.envs:
        environment, spec = find_environment(env_id), find_agent("q-learning")
        env = make_vector(environment, default_env_config(environment, spec), 1, AutoresetMode.SAME_STEP)
        optimum = Yardstick(env.envs[0].unwrapped).optimum()
        print(f"{env_id}: optimal mean return {optimum:.2f}")
        print(f"  {'agent':18s} seed  last return  first at 95 % of the optimum     first at the optimum")
        for agent in args.agents:
            for seed in range(args.seeds):
                points = curve(env_id, agent, seed)
                marks = [
                    next((f"{steps:8,d} in {s:5.2f} s" for steps, s, value in points if value >= bar), "-")
                    for bar in (optimum - 0.05 * abs(optimum), optimum - 1e-9)
                ]
                print(f"  {agent:18s} {seed:4d} {points[-1][2]:12.2f}  {marks[0]:>28s}  {marks[1]:>23s}")


if __name__ == "__main__":
    main()
