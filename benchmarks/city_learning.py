"""The learning bar of the city: tabular learners on `situation`, off-peak, judged on maps they never saw.

    python benchmarks/city_learning.py
    python benchmarks/city_learning.py --agents q-learning --seeds 10

Each run is `meze train AGENT city --env.hour 12 --seed S`. Printed are, for each agent, the training seconds,
and over the seeds the mean and the worst seed's success and own fault, beside the expert's and the random
agent's. The bar: in each of five seeds at least 80 % of the expert's success, with own fault in under 5 % of
the episodes, within 60 s of training.
"""

import argparse
import csv
import json
import tempfile
from contextlib import closing
from pathlib import Path

from meze.runners import cli
from meze.runners.reporting.measures import measured_in
from meze.runners.reporting.scores import score
from meze.runners.run.evaluation import find_contestant, make_evaluation_env, on_split, play_episodes
from meze.runners.setup.resolve import find_environment
from rich.console import Console
from rich.table import Table

CITY, EPISODES = find_environment("city"), 256
AGENTS = ("q-learning", "sarsa", "expected-sarsa", "double-q-learning")


def train(agent: str, seed: int, hour: int) -> tuple[float, dict]:
    """Trains one agent; returns the seconds of training, and scores: its own are its newest checkpoint's."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--seed", str(seed), "--env.hour", str(hour), "--out", folder]
        if cli.main(["train", agent, "city", *flags]):
            raise SystemExit(f"{agent}, seed {seed} failed")
        [run] = Path(folder).glob("*/*/*")
        with open(run / "metrics.csv") as file:
            seconds = float(list(csv.DictReader(file))[-1]["seconds"])
        scores = json.loads((run / "evaluation.json").read_text())["scores"]
        trained = find_contestant(str(run), CITY, checkpoint="newest")
        env_config = on_split(trained.env_config)
        with closing(make_evaluation_env(CITY, env_config, EPISODES)) as env:
            return seconds, scores | {
                agent: score(play_episodes(env, trained.policy(env), EPISODES), measured_in(env))
            }


def main() -> None:
    """Trains all and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", nargs="+", default=AGENTS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--hour", type=int, default=12)
    arguments = parser.parse_args()
    table = Table(title=f"City at {arguments.hour} o'clock, unseen maps, {arguments.seeds} seeds")
    for column in ("agent", "seconds", "success", "worst", "own fault", "worst", "return"):
        table.add_column(column, justify="left" if column == "agent" else "right")
    yardsticks: dict = {}
    for agent in arguments.agents:
        runs = [train(agent, seed, arguments.hour) for seed in range(arguments.seeds)]
        yardsticks = {name: runs[0][1][name] for name in ("expert", "random")}
        add_row(table, agent, [scores[agent] for _, scores in runs], max(seconds for seconds, _ in runs))
    for name, scores in yardsticks.items():
        add_row(table, name, [scores], None)
    Console().print(table)


def add_row(table: Table, name: str, scores: list[dict], seconds: float | None) -> None:
    """Adds an agent's line: means over the seeds, and the worst seed's success and own fault."""
    success, fault, returns = ([s[key]["mean"] for s in scores] for key in ("success", "own_fault", "return"))
    cells = [f"{sum(success) / len(success):.1%}", f"{min(success):.1%}"]
    cells += [f"{sum(fault) / len(fault):.1%}", f"{max(fault):.1%}", f"{sum(returns) / len(returns):.2f}"]
    table.add_row(name, "" if seconds is None else f"{seconds:.0f}", *cells)


if __name__ == "__main__":
    main()
