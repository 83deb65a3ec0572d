"""Model-based and model-free on one map: sample efficiency, and what happens when a street is closed.

    python benchmarks/closed_street.py                                  # ten minutes on a core of its own
    python benchmarks/closed_street.py --seeds 2 --before 1000000 --after 100000 --picture /tmp/closed-street

Q-learning, Dyna-Q and value iteration on a learned model drive downtown on the `place` index, all with the
same settings and the same number of transitions. A place shows neither signals nor traffic, so both are left
out; and so is the reward for progress, which follows the shortest way and would tell it. Then a street is
closed: of those that can be (every destination can still be reached), the one where the trained agents are
most of the time when they act greedily. They go on learning with the tables that they have.

The normalised score is (agent - random) / (expert - random), of mean returns in the same episodes, from
evaluation's seeds, on the map as it is then; intervals are 95 % bootstraps over the agents' seeds. The
picture is written as PICTURE.svg and PICTURE.png.
"""

import argparse
import itertools
import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from gymnasium.vector import AutoresetMode
from meze.agents.dyna import DynaConfig, ModelConfig
from meze.agents.registry import make_agent
from meze.agents.schedules import Schedule
from meze.agents.tabular import TabularConfig
from meze.envs.city.config import CityConfig
from meze.envs.city.maps import street_at
from meze.envs.city.world import City
from meze.envs.streets.maps import MAPS, NONE, format_map
from meze.runners.reporting.statistics import statistics
from meze.runners.run.evaluation import find_contestant, make_evaluation_env, play_episodes
from meze.runners.run.rollout import Rollout
from meze.runners.setup.resolve import find_environment, make_vector
from meze.runners.setup.seeds import stream_seeds

CITY = find_environment("city")
QUIET = {"hour": 12, "cars": 0, "pedestrians": 0, "ambulance": 0.0, "progress": 0.0}
# Nothing is left to chance, so one sight of a transition tells all.
SHARED = {"learning_rate": Schedule(1.0, 1.0, 0), "exploration": Schedule(0.1, 0.1, 0), "gamma": 0.99}
AGENTS = {
    "q-learning": TabularConfig(**SHARED),
    "dyna-q": DynaConfig(**SHARED, memory=1),
    "value-iteration": ModelConfig(**SHARED, memory=1),
}
LOOKS = {"q-learning": ("#0072B2", "o"), "dyna-q": ("#D55E00", "s"), "value-iteration": ("#009E73", "^")}
NUM_ENVS = 64
GOOD = 0.95


class Scorer:
    """Normalised scores on the map as it is."""

    def __init__(self, config: CityConfig, episodes: int) -> None:
        self.env, self.episodes = make_evaluation_env(CITY, config, episodes), episodes
        policies = (find_contestant(name, CITY, config).policy(self.env) for name in ("random", "expert"))
        self.random, self.expert = map(self.mean_return, policies)

    def mean_return(self, policy) -> float:
        return play_episodes(self.env, policy, self.episodes).measures["return"].mean()

    def score(self, policy) -> float:
        return (self.mean_return(policy) - self.random) / (self.expert - self.random)


class Watched:
    """A policy, and how often it was in each cell of a map."""

    def __init__(self, policy, num_cells: int) -> None:
        self.policy, self.seen = policy, np.zeros(num_cells, np.int64)

    def act(self, obs, memory=None, *, explore, mask=None):
        states_of_cell = len(self.policy.q) // len(self.seen)
        self.seen += np.bincount(obs // states_of_cell, minlength=len(self.seen))
        return self.policy.act(obs, memory, explore=explore, mask=mask)


def train(learners, config: CityConfig, phase: int, marks, scorer: Scorer):
    """All learners go on learning on a map; {name: (seeds, marks) scores after so many transitions}."""
    found = {name: np.empty((len(each), len(marks))) for name, each in learners.items()}
    for name, each in learners.items():
        for number, learner in enumerate(each):
            env = make_vector(CITY, config, NUM_ENVS, AutoresetMode.SAME_STEP)
            rollout, done = Rollout(env, learner.policy, stream_seeds([phase, number], NUM_ENVS)), 0
            for k, mark in enumerate(marks):
                while done < mark:
                    done += rollout.advance(learner)[0]
                found[name][number, k] = scorer.score(learner.policy)
    return found


def most_used(learners, config: CityConfig, scorer: Scorer):
    """Of the streets that can be closed, the one most used: a cell of it, and its share of the time."""
    (streets,) = City(config).maps
    seen = np.zeros(streets.kind.shape)
    for learner in learners:
        watched = Watched(learner.policy, seen.size)
        scorer.mean_return(watched)
        seen += watched.seen.reshape(seen.shape)
    lanes, use = streets.heading != NONE, []
    while lanes.any():
        y, x = map(int, np.argwhere(lanes)[0])
        street = street_at(streets, x, y)
        use.append((seen[street].sum() / seen.sum(), (x, y)))
        lanes &= ~street
    for share, cell in sorted(use, reverse=True):
        with suppress(ValueError):
            City(replace(config, closed=cell))
            return cell, share
    raise SystemExit("no street of this map can be closed")


def report(phase: str, scorer: Scorer, marks, found) -> None:
    """Prints the scores of the agents, {name: (seeds, marks)}, at each mark."""
    print(f"\n{phase} map: mean return of random {scorer.random:.2f}, of the expert {scorer.expert:.2f}")
    print(f"{'transitions':>11}", *(f"{name:>24}" for name in found))
    for k, mark in enumerate(marks):
        each = [statistics(scores[:, k]) for scores in found.values()]
        texts = (f"{one['mean']:.3f} ({one['mean_95'][0]:.3f} to {one['mean_95'][1]:.3f})" for one in each)
        print(f"{mark:11,.0f}", *(f"{text:>24}" for text in texts))
    for name, scores in found.items():
        first = [next((m for m, s in zip(marks, run, strict=True) if s >= GOOD), np.inf) for run in scores]
        low, middle, high = np.quantile(first, (0, 0.5, 1), method="nearest")
        when = (
            f"after {middle:,.0f} (median; {low:,.0f} to {high:,.0f})" if middle < np.inf else "not reached"
        )
        print(f"{name}: {GOOD} {when}", flush=True)


def draw(results, picture: Path) -> None:
    """One panel a phase: means over the seeds, with their intervals, against transitions."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "meze", "font.size": 11})
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for axis, (phase, (marks, found)) in zip(axes, results.items(), strict=True):
        for name, scores in found.items():
            each = [statistics(column) for column in scores.T]
            low, high = zip(*(one["mean_95"] for one in each), strict=True)
            color, marker = LOOKS[name]
            axis.plot(marks, [one["mean"] for one in each], label=name, color=color, marker=marker)
            axis.fill_between(marks, low, high, color=color, alpha=0.25, linewidth=0)
        axis.axhline(1, color="black", linestyle="--", linewidth=1, label="expert")
        axis.set_xlabel("transitions on the open map" if phase == "open" else "transitions since the closing")
        axis.grid(alpha=0.3)
    axes[0].set_xscale("log")
    axes[1].set_xscale("symlog", linthresh=1_000, linscale=0.4)  # with room for zero
    axes[1].set_xlim(left=-200)
    axes[1].set_xticks([0, *(tick for tick in axes[1].get_xticks() if 1_000 <= tick <= marks[-1])])
    axes[0].set_ylabel("normalised score (random 0, expert 1)")
    axes[1].legend(frameon=False, loc=(0.03, 0.52))
    figure.savefig(picture.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(picture.with_suffix(".png"), dpi=130)


def main() -> None:
    """Trains all, closes the street, trains on, prints and draws."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--before", type=int, default=3_000_000)
    parser.add_argument("--after", type=int, default=1_000_000)
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--picture", type=Path, default=Path("docs/closed-street"))
    given = parser.parse_args()
    phases = {
        "open": np.geomspace(10_000, given.before, 12),
        "closed": np.array([0, *np.geomspace(1_000, given.after, 13)]),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "downtown.txt"
        path.write_text(format_map(MAPS.find("downtown")).replace("*", "+"))  # no signals
        config = CityConfig(map=str(path), observation="index", index="place", **QUIET)
        scorer, learners, results = Scorer(config, given.episodes), {}, {}
        spaces = scorer.env.single_observation_space, scorer.env.single_action_space
        for name, settings in AGENTS.items():
            make = partial(make_agent, name, *spaces, num_envs=NUM_ENVS, config=settings)
            learners[name] = [make(seed=seed) for seed in range(given.seeds)]
        for phase, marks in phases.items():
            if phase == "closed":
                cell, share = most_used(itertools.chain(*learners.values()), config, scorer)
                print(f"\nthe street at {cell}, where the agents are {share:.1%} of the time, is closed")
                config = replace(config, closed=cell)
                scorer = Scorer(config, given.episodes)
            results[phase] = marks, train(learners, config, len(results), marks, scorer)
            report(phase, scorer, *results[phase])
    draw(results, given.picture)


if __name__ == "__main__":
    main()
