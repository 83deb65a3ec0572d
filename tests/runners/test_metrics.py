"""The table of a run's metrics."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from meze.envs.kiosk.world import Kiosk
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.world import Platformer
from meze.runners.reporting.measures import Episodes, measures_of
from meze.runners.run.metrics import Meter, MetricsLog, read_rows


def test_the_first_column_counts_transitions_whatever_a_learner_calls_its_metrics(tmp_path) -> None:
    log = MetricsLog(tmp_path)
    log.write(10, {"step": 0.3, "loss": 1.0})
    log.write(20, {"step": 0.2, "loss": 0.5, "new": 7.0})
    log.close()
    with open(tmp_path / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["loss"], row["new"]) for row in rows] == [("10", "1", ""), ("20", "0.5", "7")]


def test_a_row_has_what_is_told_of_all_episodes_since_the_last_one() -> None:
    def ended(**columns):
        return Episodes(np.arange(2), {name: np.array(values, float) for name, values in columns.items()})

    meter = Meter(measures_of(Platformer), PlatformerConfig(frame_skip=8))
    meter.add({}, ended(**{"return": [1, 3]}, length=[10, 20], clear=[1, 0], par_time=[40, 40]))
    meter.add({}, ended(**{"return": [5, 7]}, length=[30, 60], clear=[1, 1], par_time=[0, 80]))
    # Over par are 80 / 40 and 480 / 80; one was not cleared, and of another nobody knows the par.
    told = {"return": 4.0, "clear": 0.75, "time_over_par": 4.0, "length": 30.0}
    assert meter.take() == {"episodes": 4.0, **told}
    meter.add({}, ended(**{"return": [1, 3]}, length=[10, 20], clear=[0, 0], par_time=[40, 40]))
    assert meter.take() == {"episodes": 2.0, "return": 2.0, "clear": 0.0, "length": 15.0}
    assert meter.take() == {"episodes": 0.0}
    meter = Meter(measures_of(Kiosk))
    meter.add({}, ended(**{"return": [1, 3]}, length=[3, 3], regret=[-1, 0.5], objective=[4, 6]))
    assert meter.take() == {"episodes": 2.0, "return": 2.0, "objective": 5.0, "length": 3.0}


def test_a_run_goes_on_with_other_columns(tmp_path) -> None:
    (tmp_path / "metrics.csv").write_text("step,return,length,par_time\r\n10,1,2,3\r\n", newline="")
    log = MetricsLog(tmp_path, 10)
    log.write(20, {"return": 4.0, "length": 5.0})
    log.write(30, {"return": 6.0, "time_over_par": 2.0, "length": 7.0})
    log.close()
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "step,return,length,par_time,time_over_par",
        "10,1,2,3,",
        "20,4,5,,",
        "30,6,7,,2",
    ]


SPREADSHEET = Path(__file__).parents[1] / "data" / "metrics-from-a-spreadsheet.csv"
TEXT = "step,loss\r\n10,1\r\n20,0.5\r\n"
SAVED_AGAIN = {
    "with semicolons and a mark": SPREADSHEET.read_bytes(),
    "as UTF-16": TEXT.encode("utf-16"),
    "with a mark": TEXT.encode("utf-8-sig"),
    "without the column": b"loss\n1\n",
    "with words": b"step,loss\n10,much\n",
    "with fields too many": b"step,loss\n10,1,2,3\n",
    "with a field too long": b"step,loss\n10," + b"1" * 200_000 + b"\n",
}


@pytest.mark.parametrize("how", SAVED_AGAIN)
def test_what_another_program_saved_is_set_aside_and_begun_anew(how, tmp_path, capsys) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(SAVED_AGAIN[how])
    log = MetricsLog(tmp_path, 20)
    (aside,) = [each for each in tmp_path.glob("metrics-*.csv")]
    assert aside.read_bytes() == SAVED_AGAIN[how], "nothing is lost"
    assert f"set aside as {aside.name}" in capsys.readouterr().out
    log.write(30, {"loss": 0.25})
    log.close()
    assert read_rows(path) == [{"step": "30", "loss": "0.25"}]


def test_rows_beyond_where_it_goes_on_are_cut_off_and_half_lines_dropped(tmp_path) -> None:
    (tmp_path / "metrics.csv").write_text(TEXT + "30,0.2", newline="")
    assert [row["step"] for row in read_rows(tmp_path / "metrics.csv")] == ["10", "20"]
    MetricsLog(tmp_path, 10).close()
    assert [row["step"] for row in read_rows(tmp_path / "metrics.csv")] == ["10"]


def test_tensorboard_groups_what_it_shows_and_knows_settings_and_final_scores(tmp_path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.plugins.hparams import metadata

    agent = {"name": "sarsa", "config": {"gamma": 0.5, "exploration": {"start": 1.0}}}
    config = {
        "agent": agent,
        "env": {"id": "toy", "config": {"map": None, "sizes": [1, 2]}},
        "macros": {"number": 8, "source": "expert"},
        "run": {"steps": 9},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    log = MetricsLog(tmp_path)
    row = {"loss": 1.0, "return": 2.0, "eval_return": 3.0, "seconds": 4.0, "steps_per_second": 5.0}
    log.write(10, row)
    log.final({"return": 6.0})
    log.close()
    assert read_rows(tmp_path / "metrics.csv")[0].keys() == {"step", *row}, "columns keep their names"

    found = event_accumulator.EventAccumulator(str(tmp_path)).Reload()
    scalars = {
        tag: [(each.step, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]
    }
    assert scalars == {
        "train/loss": [(10, 1.0)],
        "train/return": [(10, 2.0)],
        "eval/return": [(10, 3.0)],
        "time/seconds": [(10, 4.0)],
        "time/steps_per_second": [(10, 5.0)],
        "final/return": [(10, 6.0)],
    }
    (text,) = found.Tensors("settings")
    assert "| agent.exploration.start | 1.0 |" in text.tensor_proto.string_val[0].decode()
    content = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    hparams = metadata.parse_session_start_info_plugin_data(content).hparams
    assert hparams["agent.gamma"].number_value == 0.5 and hparams["agent.name"].string_value == "sarsa"
    assert hparams["env.map"].string_value == "None" and hparams["env.sizes"].string_value == "[1, 2]"
    assert hparams["run.steps"].number_value == 9 and hparams["macros.number"].number_value == 8
