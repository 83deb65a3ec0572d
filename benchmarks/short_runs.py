"""What agents make of a twentieth of their presets' lengths, in every environment that takes them.

    python benchmarks/short_runs.py
    python benchmarks/short_runs.py --envs city CartPole-v1 --share 10

Each pair is `meze train AGENT ENV --steps N --eval-episodes 64` (or `--generations N`). Told is the mean
return of its best checkpoint and the random agent's, in episodes that no training sees; who is not above
random says why at the run's end, which stands behind. Wanted: every pair runs to its end, and two thirds are
above random.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from meze.agents.registry import find_agent
from meze.runners.listing import listed, offered
from meze.runners.setup.kinds import KINDS
from meze.runners.setup.presets import default_settings
from meze.runners.setup.resolve import find_environment

TRAIN = "import sys; from meze.runners.cli import main; sys.exit(main(sys.argv[1:]))"
JUDGED = ("--eval-episodes", "64")
"""A quarter of the usual: environments of others take most of the time for evaluations."""
REASONS = ("is not above the random agent", "never updated")


def run(agent, name, share):
    """Trains; returns the scores by agents, or None, and what was said at the end."""
    spec, environment = find_agent(agent), find_environment(name)
    length = KINDS[spec.kind].length
    steps = max(1, getattr(default_settings(environment, spec), length) // share)
    with tempfile.TemporaryDirectory() as folder:
        words = ["train", agent, name, f"--{length}", str(steps), *JUDGED, "--out", folder]
        done = subprocess.run([sys.executable, "-c", TRAIN, *words], capture_output=True, text=True)
        found = list(Path(folder).glob("*/*/*/evaluation.json"))
        said = (done.stdout + done.stderr).strip().splitlines()
        scores = json.loads(found[0].read_text())["scores"] if found else None
        told = [line for line in said if any(reason in line for reason in REASONS)]
        return steps, scores, (told or [""])[-1] if scores else said[-1]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--envs", nargs="+")
    parser.add_argument("--agents", nargs="+")
    parser.add_argument("--share", type=int, default=20, help="1 / this of the preset's length")
    given = parser.parse_args()
    ran = above = count = 0
    offers = [(spec.name, env) for env in given.envs or listed() for spec in offered(find_environment(env))]
    for agent, name in offers:
        if given.agents and agent not in given.agents:
            continue
        count += 1
        steps, scores, said = run(agent, name, given.share)
        if scores is None:
            print(f"{agent} {name}: FAILED: {said}", flush=True)
            continue
        own, random = (scores[who]["return"]["mean"] for who in (agent, "random"))
        ran, above = ran + 1, above + (own > random)
        print(f"{agent} {name}, {steps:,}: {own:.2f}, random {random:.2f}. {said}", flush=True)
    print(f"{ran} of {count} ran to their end, {above} above random")


if __name__ == "__main__":
    main()
