"""What state features and imitation come to in the city: normalised scores on maps that nobody trained on.

    python benchmarks/feature_learning.py
    python benchmarks/feature_learning.py --only clone dagger

Each line is `meze train` with the flags below, judged in 1,000 episodes of the test split, at all hours. The
normalised score is (agent - random) / (expert - random), of mean returns in the same episodes; after it
stands its 95 % bootstrap interval over episodes, pooled over seeds. Wanted: 0.9 for Q-learning on the grid
with some encoder, 0.9 for a cloned random forest, and more for DAgger than for cloning.

DAgger and cloning from as many transitions are compared seed by seed and episode by episode, since both play
the same ones. The interval of that difference draws seeds anew, and then episodes. It should show where an
imitator's mistakes lead to states that the expert never comes to, and leave it there: naive Bayes stands
still once it stands, and so does a car that an ambulance has met in the middle of a junction.
"""

import argparse
import functools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from meze.runners.reporting.statistics import statistics
from meze.runners.run.evaluation import find_contestant, make_evaluation_env, on_split, play_episodes
from meze.runners.run.folder import RunDir
from meze.runners.setup.resolve import find_environment

TRAIN = "import sys; from meze.runners.cli import main; sys.exit(main(sys.argv[1:]))"
TAUGHT = ["--fit.policies", "random", "expert", "--fit.samples", "40000"]
LITTLE = ["--steps", "500", "--num-envs", "8"]
BAYES = ["--steps", "2000", "--num-envs", "8", "--agent.classifier", "naive-bayes"]
SIRENS = ["--steps", "10000", "--num-envs", "16", "--agent.classifier", "tree", "--env.ambulance", "0.05"]
MEMBERS = {
    "q-learning, pca+kmeans": ["q-learning", "--encoder", "pca+kmeans", *TAUGHT],
    "q-learning, tree of actions": ["q-learning", "--encoder", "tree", *TAUGHT],
    "q-learning, tree of returns": ["q-learning", "--encoder", "tree", *TAUGHT, "--fit.target", "return"],
    "q-learning, tree of harm": ["q-learning", "--encoder", "tree", *TAUGHT, "--fit.target", "harm"],
    "clone, random-forest": ["clone"],
    "clone, tree": ["clone", "--agent.classifier", "tree"],
    "dagger, random-forest": ["dagger"],
    "dagger, tree": ["dagger", "--agent.classifier", "tree"],
    "clone, 500 transitions": ["clone", *LITTLE],
    "dagger, 500 transitions": ["dagger", *LITTLE, "--agent.round", "100"],
    "clone, naive-bayes": ["clone", *BAYES],
    "dagger, naive-bayes": ["dagger", *BAYES, "--agent.round", "200"],
    "clone, many ambulances": ["clone", *SIRENS],
    "dagger, many ambulances": ["dagger", *SIRENS, "--agent.round", "500"],
}


def played(env_config, contestant, episodes):
    """What the test episodes are measured by."""
    env = make_evaluation_env(find_environment("city"), env_config, episodes)
    return play_episodes(env, contestant.policy(env), episodes).measures


@functools.cache
def reference(name, env_config, episodes):
    """The mean return of the random agent or the expert."""
    contestant = find_contestant(name, find_environment("city"), env_config)
    return played(env_config, contestant, episodes)["return"].mean()


def interval(values):
    """The 95 % interval of the mean of (S, E) values: it draws seeds anew, and episodes, the same for all."""
    rng, (seeds, episodes) = np.random.default_rng(0), values.shape
    means = []
    for _ in range(10_000):
        weights = np.bincount(rng.integers(episodes, size=episodes), minlength=episodes)
        means.append((values[rng.integers(seeds, size=seeds)] @ weights).mean() / episodes)
    return np.percentile(means, [2.5, 97.5])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--only", nargs="+", help="beginnings of the lines wanted")
    parser.add_argument("--episodes", type=int, default=1000)
    given = parser.parse_args()
    city, scores = find_environment("city"), {}
    for name, flags in MEMBERS.items():
        if given.only and not name.startswith(tuple(given.only)):
            continue
        parts, times = [], []
        for seed in given.seeds:
            with tempfile.TemporaryDirectory() as folder:
                agent, *rest = flags
                command = ["train", agent, "city", "--seed", str(seed), "--out", folder, *rest]
                begun = time.perf_counter()
                subprocess.run([sys.executable, "-c", TRAIN, *command], stdout=subprocess.DEVNULL, check=True)
                times.append(time.perf_counter() - begun)
                (run,) = (path.parent for path in Path(folder).glob("*/*/*/config.json"))
                env_config = on_split(RunDir.open(run).config().env_config)
                measures = played(
                    env_config, find_contestant(str(run), city, checkpoint="newest"), given.episodes
                )
            random, expert = (reference(who, env_config, given.episodes) for who in ("random", "expert"))
            score = (measures["return"] - random) / (expert - random)
            parts.append(score)
            success = 100 * measures["success"].mean()
            print(
                f"{name}, seed {seed}: {score.mean():.3f}, success {success:.1f} %, {times[-1]:.0f} s",
                flush=True,
            )
        found = statistics(np.concatenate(parts))
        low, high = found["mean_95"]
        print(
            f"{name}, {len(parts)} seeds: {found['mean']:.3f} ({low:.3f} to {high:.3f}), "
            f"{np.median(times):.0f} s with evaluations",
            flush=True,
        )
        scores[name] = np.stack(parts)
        cloned = name.replace("dagger", "clone")
        if cloned != name and cloned in scores:
            more = scores[name] - scores[cloned]
            low, high = interval(more)
            better = int((more.mean(axis=1) > 0).sum())
            print(
                f"{name}, more than {cloned}: {more.mean():+.3f} ({low:+.3f} to {high:+.3f}), "
                f"in {better} of {len(more)} seeds",
                flush=True,
            )


if __name__ == "__main__":
    main()
