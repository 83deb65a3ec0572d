"""What levels that a model made are worth to who learns on them: judged on kinds that nobody learnt from.

    python benchmarks/made_levels.py                          # 15 trainings
    python benchmarks/made_levels.py --steps 1_000_000 --seeds 1013 --made 200

A few generated levels are the source, as a collection of hand-made ones would be. `pqn` learns on these, on
levels that a model made after them, and on both, for equally many transitions each, with the settings of
`meze train pqn platformer`. Of each set one level in five is kept for judging, and not learnt on. `pqn` is
judged on the generator's unseen levels of the same difficulty, and on two third kinds: unseen ones that are
harder, and the nine hand-made ones that come with meze. Told is the share of episodes in which it reaches the
flag: means over seeds with their 95 % bootstrap intervals.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from level_models import CONFIGS
from meze.agents.generative import base
from meze.envs.platformer.making import make_levels, terrain
from meze.envs.platformer.pool import load_pool, note_certified
from meze.envs.platformer.sets import part, write_levels
from meze.runners.reporting.statistics import over_runs
from race import Examiner, Ours, preset

HARDER = 0.6
UNSEEN = 500
"""Generated levels of each kind that is judged on."""


@dataclass(frozen=True)
class Settings:
    """What to run."""

    model: str = "markov"
    """Who makes levels."""
    source: int = 100
    """Generated levels."""
    made: int = 1_000
    """Levels that the model makes."""
    difficulty: float = 0.3
    """Of the generated ones."""
    steps: int = 28_000_000
    """Transitions of each training."""
    seeds: tuple[int, ...] = (1013, 7919, 104729, 1299709, 15485863)
    """Seeds of each."""
    episodes: int = 1_000
    """Episodes of each evaluation."""


def main(settings: Settings) -> None:
    """Makes the three sets, trains on each, and prints a line for each kind that is judged on."""
    torch.set_num_threads(1)
    print(f"{settings}, torch {torch.__version__}", flush=True)
    source = load_pool("generated", settings.difficulty, "train", settings.source)
    model = base.fit(settings.model, list(map(terrain, source)), CONFIGS[settings.model], 0, lambda *_: None)
    made = make_levels(lambda k: model.draw(np.random.default_rng([0, k])), settings.made).levels
    note_certified(source)
    kinds = {
        f"generated, {settings.difficulty:g}": {"level": "generated", "difficulty": settings.difficulty},
        f"generated, {HARDER:g}": {"level": "generated", "difficulty": HARDER},
        "shipped": {"level": "shipped"},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, levels in {"source": source, "made": made, "both": [*source, *made]}.items():
            path = Path(folder) / name
            path.mkdir()
            write_levels(path, [replace(level, name=f"{k:05}") for k, level in enumerate(levels)])
            scores: dict[str, list[float]] = {kind: [] for kind in kinds}
            for seed in settings.seeds:
                config = preset(
                    "pqn",
                    "platformer",
                    seed=seed,
                    env__level=str(path),
                    agent__learning_rate__steps=settings.steps,
                    agent__exploration__steps=min(1_000_000, settings.steps // 4),
                )
                run = Ours(config)
                run.train(settings.steps)
                for kind, change in kinds.items():
                    examine = Examiner(config, settings.episodes, pool_size=UNSEEN, **change)
                    scores[kind].append(float(examine(run.policy).measures["clear"].mean()))
            print(f"\n{name}: learnt on {len(part(levels)['train']):,} levels", flush=True)
            for kind, values in scores.items():
                found = over_runs(np.array(values))
                between = " to ".join(f"{100 * end:.1f}" for end in found["mean_95"] or ())
                each = ", ".join(f"{100 * value:.1f}" for value in values)
                print(f"  {kind:<16} {100 * found['mean']:5.1f} % ({between}): {each}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Settings))
