"""On which device a run's networks compute: the one that is given, or the faster one."""

from __future__ import annotations

import dataclasses
import gc
import time
from contextlib import closing

from gymnasium.vector import AutoresetMode

from ..setup.kinds import KINDS
from .config import RunConfig
from .levels import make_curriculum
from .recording import find_teacher

UPDATES = 8
"""Updates before the measurement: the first ones compile and record, and a replay must be filled."""
WARM_UP_SECONDS = 10.0
"""Longest time for these."""
SECONDS = 1.0
"""Length of the measurement; it ends with an update."""


def with_device(config: RunConfig) -> RunConfig:
    """Makes sure that a run's learner can be made, on the device that `auto` stands for.

    Says which device `auto` took and why, and gives torch as many threads as the run has.

    Returns:
        The run, its device `cpu` or `cuda`.

    Raises:
        ValueError: one line, when the learner does not fit the environment or the device, or lacks a teacher.
    """
    settings = config.settings
    device = settings.device
    if settings.torch_threads is not None:
        import torch

        torch.set_num_threads(settings.torch_threads)
    if device != "auto":
        _try(config, device)
        return config
    return dataclasses.replace(config, settings=dataclasses.replace(settings, device=_choose(config)))


def _try(config: RunConfig, device: str) -> None:
    with closing(config.make_env(1, AutoresetMode.SAME_STEP)) as env:
        agent = config.make_agent(env, device)
        agent.prepare()
        make_curriculum(config, env, agent)  # which checks it
        if config.agent.is_taught:
            find_teacher(env, config.environment, config.settings.teacher)


def _choose(config: RunConfig) -> str:
    """The device on which throw-away learners go through more transitions a second; says which, and why."""
    import torch

    if not torch.cuda.is_available():
        _try(config, "cpu")
        print("device: cpu (torch finds no CUDA device)")
        return "cpu"
    speeds: dict[str, float] = {}
    refusals: dict[str, Exception] = {}
    for device in ("cpu", "cuda"):
        try:
            speeds[device] = speed(config, device)
        except (ValueError, RuntimeError) as error:  # its memory is too small, say
            refusals[device] = error.with_traceback(None)  # which would keep the learner alive
        gc.collect()  # the learner, whose memory the next one needs; its parts know each other
        torch.cuda.empty_cache()
    if not speeds:
        raise refusals["cpu"]
    device = max(speeds, key=lambda name: speeds[name])
    told = [f"{name} learns from {each:,.0f} transitions/s" for name, each in speeds.items()]
    print(f"device: {device} ({', '.join([*told, *map(str, refusals.values())])})")
    return device


def speed(config: RunConfig, device: str) -> float:
    """Transitions a second of a throw-away learner on a device, environment and all, while it learns."""
    import torch

    with closing(config.make_env(config.settings.num_envs, AutoresetMode.SAME_STEP)) as env:
        agent = config.make_agent(env, device)
        make_curriculum(config, env, agent)  # which checks it
        inner, learner = agent.inside(env)
        rollout = KINDS[config.agent.kind].rollout_class()(inner, learner.policy, config.env_seeds())

        def update(until: float) -> int:
            """Goes on up to the next update, or the time given; returns how many transitions that took."""
            count = 0
            while True:
                transitions, metrics, _ = rollout.advance(learner)
                count += transitions
                if "loss" in metrics or time.perf_counter() > until:
                    return count

        def now() -> float:
            if device == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter()

        limit = now() + WARM_UP_SECONDS
        for _ in range(UPDATES):
            update(limit)
        started, count = now(), 0
        while time.perf_counter() < started + SECONDS:
            count += update(started + WARM_UP_SECONDS)
        return count / (now() - started)
