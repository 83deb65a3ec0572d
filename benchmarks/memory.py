"""What fog hides from agents without a memory, and what part of that a memory brings back.

    python benchmarks/memory.py city                 # wanted: 70 % of the gap closed in two worlds,
    python benchmarks/memory.py fire-escape          # at a third of the memoryless rate at least
    python benchmarks/memory.py corridor             # wanted: solved in 5 of 5 seeds, by none without memory
    python benchmarks/memory.py city --opponent      # sb3-recurrent-ppo in fog, for as many seconds as ppo

All runs of an agent take equally many transitions and differ in fog and memory alone. Scores are normalised
returns on maps that were not trained on: 0 as the random agent, 1 as the expert, both in the same episodes;
means over seeds with their 95 % bootstrap intervals.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from gymnasium.vector import AutoresetMode
from meze.runners.reporting.statistics import over_runs
from meze.runners.run.config import RunConfig
from meze.runners.run.rollout import TrainerRollout
from meze.runners.run.stopwatch import Stopwatch
from race import Examiner, Ours, normalised, preset

CLEAR, FOG, MEMORY = "clear", "fog", "fog, memory"
CHANGES: dict[tuple[str, str], dict[str, Any]] = {
    ("city", "ppo"): {"steps": 4_000_000, "agent__ent_coef__start": 0.1},
    ("city", "pqn"): {
        "steps": 16_000_000,
        "agent__learning_rate__start": 5e-4,
        "agent__exploration__steps": 650_000,
        "agent__loss": "huber",
    },
    ("fire-escape", "pqn"): {"steps": 12_000_000},
}
"""What differs from the presets, in all runs: who settles early learns to stand still in fog, and it takes
long to learn what memories are good for."""


@dataclass(frozen=True)
class Settings:
    """What to run."""

    world: Annotated[str, tyro.conf.Positional]
    """A world with a fogged twin, or `corridor`."""
    agents: tuple[str, ...] = ("pqn", "ppo")
    """Who learns."""
    memory: tuple[str, ...] = ("gru",)
    """What remembers."""
    seeds: tuple[int, ...] = (1013, 7919, 104729, 1299709, 15485863)
    """Seeds of each."""
    steps: int | None = None
    """Transitions of each run; by default the preset's."""
    episodes: int = 1_000
    """Episodes of each evaluation."""
    fog: str = "fog"
    """The setting that hides something."""
    fogged: bool = True
    """Its value then."""
    opponent: bool = False
    """Instead, stable-baselines3's recurrent PPO in fog, for as many seconds as ppo with a memory takes."""


def told(values: list[float], digits: int = 3) -> str:
    """A mean, its interval, and all values."""
    found = over_runs(np.array(values))
    between = " to ".join(f"{end:.{digits}f}" for end in found["mean_95"] or ())
    return f"{found['mean']:.{digits}f} ({between}): {', '.join(f'{value:.{digits}f}' for value in values)}"


def learn(settings: Settings, agent: str, seed: int, **changes: Any) -> tuple[Ours, Examiner]:
    """Trains one agent."""
    usual = CHANGES.get((settings.world, agent), {})
    length = {"steps": settings.steps} if settings.steps else {}
    config = preset(agent, settings.world, seed=seed, **{**usual, **length, **changes})
    run = Ours(config)
    run.train(config.settings.steps)
    return run, Examiner(config, settings.episodes)


def corridor(settings: Settings) -> None:
    """Who finds the way out that was shown at the beginning of 20 steps."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
    settings = Settings(**{**vars(settings), "world": "corridor:Corridor"})
    steps = settings.steps or 1_200_000
    common = {"steps": steps, "num_envs": 64, "agent__net__hidden": (32,), "agent__num_minibatches": 4}
    schedule = {
        f"agent__learning_rate__{k}": v for k, v in (("start", 2e-3), ("end", 1e-4), ("steps", steps))
    }
    explore = {"agent__exploration__steps": steps // 2, "agent__update_epochs": 2}
    for agent in settings.agents:
        for memory in ("none", *settings.memory):
            changes = {
                **common,
                **schedule,
                **(explore if agent == "pqn" else {}),
                "agent__net__memory": memory,
            }
            right = []
            for seed in settings.seeds:
                run, examine = learn(settings, agent, seed, **changes)
                right.append(float((examine(run.policy).measures["return"] > 0).mean()))
            solved = sum(each == 1.0 for each in right)
            print(f"{agent}, {memory}: solved by {solved} of {len(right)}; {told(right)}", flush=True)


def fog(settings: Settings) -> None:
    """What fog hides, and what memory brings back."""
    hidden = {f"env__{settings.fog}": settings.fogged}
    ways: dict[str, dict[str, Any]] = {CLEAR: {}, FOG: hidden}
    ways |= {f"{MEMORY} {each}": {**hidden, "agent__net__memory": each} for each in settings.memory}
    for agent in settings.agents:
        scores: dict[str, list[float]] = {}
        for way, changes in ways.items():
            scores[way], rates = [], []
            for seed in settings.seeds:
                run, examine = learn(settings, agent, seed, **changes)
                ends = [examine.contestant(name).measures["return"].mean() for name in ("random", "expert")]
                scores[way].append(normalised(float(examine(run.policy).measures["return"].mean()), *ends))
                rates.append(run.steps / run.seconds)
            print(f"{agent}, {way}: {told(scores[way])}; {np.median(rates):,.0f} transitions/s", flush=True)
        clear, fogged = (np.array(scores[way]) for way in (CLEAR, FOG))
        for way in list(ways)[2:]:
            closed = (np.mean(scores[way]) - fogged.mean()) / (clear.mean() - fogged.mean())
            print(
                f"{agent}: {way} closes {100 * closed:.0f} % of a gap of {clear.mean() - fogged.mean():.3f}",
                flush=True,
            )


class Theirs:
    """A run of a trainer, which steps the environments itself."""

    def __init__(self, config: RunConfig) -> None:
        env = config.make_env(config.settings.num_envs, AutoresetMode.SAME_STEP)
        self.trainer = config.make_agent(env, "cpu")
        self.stopwatch, self.steps = Stopwatch(), 0
        self._rollout = TrainerRollout(env, self.trainer.policy, config.env_seeds(), self.stopwatch)

    def train(self, seconds: float) -> None:
        """Trains for so long."""
        self.stopwatch.start()
        while self.seconds < seconds:
            self.steps += self._rollout.advance(self.trainer)[0]

    @property
    def policy(self) -> Any:
        """Acts as well as the trainer can so far."""
        return self.trainer.policy

    @property
    def seconds(self) -> float:
        """Training seconds so far."""
        return self.stopwatch.total


def opponent(settings: Settings) -> None:
    """Rate and score of stable-baselines3's recurrent PPO, beside ours, in equal seconds."""
    hidden = {"env__observation": "grid", f"env__{settings.fog}": settings.fogged}
    for seed in settings.seeds:
        ours, examine = learn(settings, "ppo", seed, **hidden, agent__net__memory=settings.memory[0])
        theirs = Theirs(preset("sb3-recurrent-ppo", settings.world, seed=seed, **hidden))
        theirs.train(ours.seconds)
        ends = [examine.contestant(name).measures["return"].mean() for name in ("random", "expert")]
        for name, run in (("ppo", ours), ("sb3-recurrent-ppo", theirs)):
            score = normalised(float(examine(run.policy).measures["return"].mean()), *ends)
            rate = f"{run.steps / run.seconds:,.0f} transitions/s"
            print(f"{name}, seed {seed}: {score:.3f}; {rate}", flush=True)


def main(settings: Settings) -> None:
    """Runs one of them."""
    torch.set_num_threads(1)
    print(f"{settings}, torch {torch.__version__}", flush=True)
    how = opponent if settings.opponent else corridor if settings.world == "corridor" else fog
    how(settings)


if __name__ == "__main__":
    main(tyro.cli(Settings))
