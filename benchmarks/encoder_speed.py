"""What an encoder in front of the native batch costs: steps a second with it, beside the bare city's.

    python benchmarks/encoder_speed.py

1,024 cities off-peak that show their grid, random possible actions drawn before, fresh arrays, autoreset. The
bare city and each encoder take turns in one run, and the median of their ratios counts. Wanted: at most twice
the time of the bare city for leaves of a decision tree, at most six times for PCA to 16 components and
k-means of 512.
"""

import argparse
import statistics
import time

import numpy as np
from gymnasium.vector import AutoresetMode
from meze.agents.encoders.registry import find_encoder
from meze.agents.encoders.wrappers import VectorEncodeObservation
from meze.envs.core.vector import WorldVectorEnv

STEPS = 100
CHAINS = ("tree", "kmeans", "pca", "pca+kmeans", "autoencoder")


def made(num_envs):
    return WorldVectorEnv(
        "meze.envs.city.world:City",
        num_envs,
        500,
        AutoresetMode.SAME_STEP,
        observation="grid",
        pool_size=64,
        hour=12,
    )


def seconds(env, actions):
    env.reset(seed=0)
    begun = time.perf_counter()
    for action in actions:
        env.step(action)
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num-envs", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--encoders", nargs="+", default=CHAINS)
    given = parser.parse_args()
    bare, rng = made(given.num_envs), np.random.default_rng(0)
    expert, actions = bare.reference("expert"), []
    seen = [(bare.reset(seed=0)[0], expert())]
    for _ in range(STEPS):
        masks = bare.action_masks()
        actions.append((rng.random(masks.shape) * masks).argmax(axis=1))
        seen.append((bare.step(actions[-1])[0], expert()))
    every = max(1, given.num_envs // 200)
    shown, targets = (np.concatenate(part)[::every] for part in zip(*seen, strict=True))
    encoded = {}
    for name in given.encoders:
        chain = find_encoder(name)
        encoder = chain.make(bare.single_observation_space, chain.config_class()(), 0).fit(shown, targets)
        encoded[name] = VectorEncodeObservation(made(given.num_envs), encoder)
        encoded[name].step(actions[0]) if encoded[name].reset(seed=0) else None  # compiled
    times: dict[str, list[float]] = {name: [] for name in ("bare city", *encoded)}
    for _ in range(given.runs):
        for name, env in {"bare city": bare, **encoded}.items():
            times[name].append(seconds(env, actions))
    print(f"{'':<12}  {'steps/s':>10}  times the bare city")
    for name, each in times.items():
        ratio = statistics.median(a / b for a, b in zip(each, times["bare city"], strict=True))
        print(f"{name:<12}  {given.num_envs * STEPS / statistics.median(each):>10,.0f}  {ratio:.2f}")


if __name__ == "__main__":
    main()
