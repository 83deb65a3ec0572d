"""How near tabular learners come to the exact front of each of the tram's hand-made scenes.

    python benchmarks/tram_fronts.py
    python benchmarks/tram_fronts.py --scenes 07-who-hears --seeds 1

For each scene: `meze compare tram --agents q-learning --weights-grid 36 --budget 300_000`. The hypervolume is
a share of the exact front's, the regret one of what costs range over; both are means over seeds.
"""

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path

from meze.envs.tram.scene import SCENES
from meze.runners import cli

FLAGS = "--agents q-learning --weights-grid 36 --budget 300_000 --episodes 5000"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scenes", nargs="*", default=list(SCENES.names()))
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    print(f"{'scene':<20} points  hypervolume  largest regret", flush=True)
    for scene in given.scenes:
        with tempfile.TemporaryDirectory() as out:
            words = ["compare", "tram", *FLAGS.split(), "--env.scene", scene, "--seeds", str(given.seeds)]
            with contextlib.redirect_stdout(io.StringIO()):
                code = cli.main([*words, "--out", out])
            assert code == 0, f"{scene} failed"
            (report,) = Path(out).rglob("report.json")
            front = json.loads(report.read_text())["front"]
        (told,) = front["agents"].values()
        volume, regret = 100 * told["hypervolume"]["mean"], 100 * told["regret"]["mean"]
        print(f"{scene:<20} {len(front['exact']):6}  {volume:9.1f} %  {regret:12.1f} %", flush=True)


if __name__ == "__main__":
    main()
