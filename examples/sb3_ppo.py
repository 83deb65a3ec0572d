"""stable-baselines3's PPO, from a script of one's own, on 64 native environments of the city.

Takes about a minute: python examples/sb3_ppo.py
"""

import sys

from meze.agents.sb3 import MezeVecEnv
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy


def main(steps: int) -> float:
    """Trains for so many steps; returns the mean return of 64 episodes on maps that were not trained on."""
    train = MezeVecEnv("meze/City-v0", num_envs=64, observation="index")
    model = PPO("MlpPolicy", train, n_steps=64, batch_size=1024, learning_rate=1e-3, gamma=0.97, seed=0)
    model.learn(steps)
    test = MezeVecEnv("meze/City-v0", num_envs=64, observation="index", split="test")
    test.seed(10**9)
    mean, _ = evaluate_policy(model, test, n_eval_episodes=64)
    return mean


if __name__ == "__main__":
    print(f"mean return: {main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000):.1f}")
