"""The table of a run's metrics."""

import csv

from meze.runners.metrics import MetricsLog


def test_the_first_column_counts_transitions_whatever_a_learner_calls_its_metrics(tmp_path) -> None:
    log = MetricsLog(tmp_path)
    log.write(10, {"step": 0.3, "loss": 1.0})
    log.write(20, {"step": 0.2, "loss": 0.5, "new": 7.0})
    log.close()
    with open(tmp_path / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["loss"], row["new"]) for row in rows] == [("10", "1", ""), ("20", "0.5", "7")]
