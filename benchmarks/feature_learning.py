"""What state features and imitation come to in the city: normalised scores on maps that nobody trained on.

    python benchmarks/feature_learning.py --seeds 0 1 2 3 4
    python benchmarks/feature_learning.py --only clone dagger

Each line is `meze train` with the flags below, judged in 1,000 episodes of the test split, off-peak. The
normalised score is (agent - random) / (expert - random), of mean returns in the same episodes; after it
stands its 95 % bootstrap interval over episodes, pooled over seeds. Wanted: 0.9 for Q-learning on the grid
with some encoder, 0.9 for a cloned random forest, and more for DAgger than for cloning.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from meze.runners.evaluate import find_contestant, make_evaluation_env, on_test_split, play_episodes
from meze.runners.resolve import find_environment
from meze.runners.rundir import RunDir
from meze.runners.scores import statistics

TRAIN = "import sys; from meze.runners.cli import main; sys.exit(main(sys.argv[1:]))"
TAUGHT = ["--fit.policies", "random", "expert", "--fit.samples", "40000"]
LITTLE = ["--steps", "500", "--num-envs", "8"]
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
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--only", nargs="+", help="beginnings of the lines wanted")
    parser.add_argument("--episodes", type=int, default=1000)
    given = parser.parse_args()
    city, returns = find_environment("city"), {}
    for name in ("random", "expert"):
        contestant = find_contestant(name, city)
        env = make_evaluation_env(city, on_test_split(contestant.env_config), given.episodes)
        returns[name] = play_episodes(env, contestant.policy(env), given.episodes).measures["return"].mean()
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
                contestant = find_contestant(str(run), city)
                config = RunDir.open(run).config()
                env = make_evaluation_env(city, on_test_split(config.env_config), given.episodes)
                played = play_episodes(env, contestant.policy(env), given.episodes).measures
            score = (played["return"] - returns["random"]) / (returns["expert"] - returns["random"])
            parts.append(score)
            success = 100 * played["success"].mean()
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


if __name__ == "__main__":
    main()
