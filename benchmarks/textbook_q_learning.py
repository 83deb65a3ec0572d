"""Q-learning as a plain textbook loop over one environment, and the batched learner, in the same run.

    python benchmarks/textbook_q_learning.py
    python benchmarks/textbook_q_learning.py --env Taxi-v4 --num-envs 16

Prints transitions a second, environment, policy and update together: medians of several stretches of time,
textbook and batched in turn, so that both meet the machine in the same mood.
"""

import argparse
import dataclasses
import random
import statistics
import time
from collections.abc import Iterator

import gymnasium as gym
from gymnasium.vector import AutoresetMode
from meze.agents.registry import find_agent, make_agent
from meze.runners.run.rollout import Rollout
from meze.runners.setup.presets import default_agent_config, default_env_config
from meze.runners.setup.resolve import find_environment, make_vector

STEP_SIZE, EPSILON, GAMMA = 0.1, 0.1, 0.99


def textbook(env: gym.Env, seed: int) -> Iterator[int]:
    """Sutton & Barto, 2nd edition, section 6.5, line by line; yields 1 after each transition."""
    random.seed(seed)
    actions = range(env.action_space.n)
    q = [[0.0] * len(actions) for _ in range(env.observation_space.n)]
    state, _ = env.reset(seed=seed)
    while True:
        if random.random() < EPSILON:
            action = random.choice(actions)
        else:
            action = max(actions, key=q[state].__getitem__)
        next_state, reward, terminated, truncated, _ = env.step(action)
        target = reward if terminated else reward + GAMMA * max(q[next_state])
        q[state][action] += STEP_SIZE * (target - q[state][action])
        state = env.reset()[0] if terminated or truncated else next_state
        yield 1


def batched(rollout: Rollout, learner) -> Iterator[int]:
    """The project's learner; yields the number of transitions after each batch."""
    while True:
        transitions, _ = rollout.step()
        learner.learn(transitions)
        yield len(transitions.reward)


def rate(transitions: Iterator[int], seconds: float) -> float:
    """Transitions a second over a stretch of time."""
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        count += next(transitions)
    return count / elapsed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default="meze/City-v0", help="an environment with Discrete spaces")
    parser.add_argument("--agent", default="q-learning", help="the batched learner")
    parser.add_argument("--num-envs", type=int, default=1024)
    parser.add_argument("--num-threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a stretch")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    environment, spec = find_environment(args.env), find_agent(args.agent)
    config = default_env_config(environment, spec)
    kwargs = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    single = gym.make(environment.id, **kwargs)
    envs = make_vector(
        environment, config, args.num_envs, AutoresetMode.SAME_STEP, num_threads=args.num_threads
    )
    learner = make_agent(
        spec.name,
        envs.single_observation_space,
        envs.single_action_space,
        num_envs=args.num_envs,
        config=default_agent_config(environment, spec),
        seed=0,
    )
    loops = {
        "textbook loop, 1 environment": textbook(single, seed=0),
        f"{spec.name}, {args.num_envs} environments": batched(
            Rollout(envs, learner.policy, seeds=0), learner
        ),
    }
    for loop in loops.values():
        next(loop)  # compiles
    rates = {name: [] for name in loops}
    for _ in range(args.repeats):
        for name, loop in loops.items():
            rates[name].append(rate(loop, args.seconds))
    medians = {name: statistics.median(each) for name, each in rates.items()}
    first = next(iter(medians.values()))
    print(f"{environment.id}, {single.observation_space} x {single.action_space}")
    for name, median in medians.items():
        print(f"{name:36s} {median:12,.0f} transitions/s {median / first:8.1f} x")


if __name__ == "__main__":
    main()
