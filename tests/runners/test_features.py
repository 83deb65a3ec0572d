"""Encoders are compared on episodes that nothing was fitted on, with scores that can be checked."""

import json
import re

import numpy as np
import pytest
from gymnasium.spaces import Box
from meze.agents.encoders.registry import Chain, find_encoder
from meze.agents.estimators import REGRESSORS
from meze.runners import cli
from meze.runners.reporting.statistics import Readout, accuracy, r_squared
from meze.runners.run.encoding import FitSettings
from meze.runners.run.recording import Recorded
from meze.runners.study.samples import EncoderJudge, Sample, split
from meze.runners.study.traffic import Traffic, split_days, study_jams
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

RNG = np.random.default_rng


# --- Scores ---------------------------------------------------------------------------------------------


def test_scores_are_scikit_learns_and_intervals_are_over_groups():
    truth = RNG(0).normal(size=(300, 2))
    found = truth + RNG(1).normal(size=truth.shape)
    score = r_squared(truth, found, np.arange(300) // 3)
    assert score.value == pytest.approx(r2_score(truth, found, multioutput="variance_weighted"))
    assert score.low < score.value < score.high
    twice = r_squared(np.repeat(truth, 9, 0), np.repeat(found, 9, 0), np.repeat(np.arange(300) // 3, 9))
    assert twice == pytest.approx(score)  # the same row again tells nothing new
    hits = accuracy(np.arange(10), np.where(np.arange(10) < 7, np.arange(10), -1), np.arange(10))
    assert hits.value == pytest.approx(0.7) and hits.low < 0.7 < hits.high


def test_readouts_are_means_of_indices_and_linear_in_vectors():
    codes, wanted = np.array([0, 0, 2, 2]), np.array([[1.0], [3.0], [5.0], [7.0]])
    assert Readout(codes, wanted)(np.array([0, 1, 2])).ravel().tolist() == [2, 4, 6]  # unseen: the mean
    vectors = RNG(0).normal(size=(500, 3))
    assert Readout(vectors, vectors @ [[1.0], [2.0], [-1.0]])(np.eye(3)).ravel() == pytest.approx(
        [1, 2, -1], abs=0.02
    )


def sample(obs, values, episode):
    value, steps = np.asarray(values, np.float32), np.ones(len(obs), int)
    return Sample(np.asarray(obs, np.float32), np.asarray(episode), value, value, steps, None)


def test_rebuilt_is_the_explained_variance_of_pca_and_of_groups():
    obs = RNG(0).normal(size=(600, 5)) * [5, 3, 1, 1, 1]
    both = sample(obs, obs[:, 0], np.arange(600) // 10)
    judge, chain = EncoderJudge(both, both), find_encoder("pca")
    config = chain.config_class()(components=2)
    space = Box(-np.inf, np.inf, (5,), np.float32)
    found = judge(chain, chain.make(space, config, 0), config)
    share = PCA(2).fit(both.rows(judge.scale)).explained_variance_ratio_.sum()
    assert found.rebuilt == pytest.approx(share, abs=1e-3) and found.codes == "2-d"
    chain = find_encoder("kmeans")
    config = chain.config_class()(k=6)
    encoder = chain.make(space, config, 0)
    found = judge(chain, encoder, config)
    rows, codes = both.rows(judge.scale), encoder.transform(both.obs)
    within = sum(((rows[codes == k] - rows[codes == k].mean(0)) ** 2).sum() for k in range(6))
    assert found.rebuilt == pytest.approx(1 - within / ((rows - rows.mean(0)) ** 2).sum(), abs=1e-4)
    assert found.used == 6 and -1 <= found.silhouette <= 1 and found.microseconds > 0


# --- Leakage --------------------------------------------------------------------------------------------


def recorded_with_signatures(length=400, streams=16):
    """Episodes that can be recognised, each with a return of its own that nothing foretells."""
    ended = RNG(0).random((length, streams)) < 0.08
    zeros = np.zeros((length, streams), np.float32)
    plain = Recorded(zeros, zeros, zeros, zeros, zeros, ended)
    numbers = plain.episode
    signature = RNG(1).normal(size=(numbers.max() + 1, 6)).astype(np.float32)
    worth = RNG(2).normal(size=numbers.max() + 1).astype(np.float32)
    advice = RNG(3).integers(4, size=numbers.max() + 1)
    return Recorded(signature[numbers], advice[numbers], advice[numbers], worth[numbers], zeros, ended)


def test_what_is_remembered_of_an_episode_is_worth_nothing_on_others():
    recorded = recorded_with_signatures()
    fit = FitSettings(samples=3000, target="return", horizon=1)  # the return is the step's own reward
    train, test = split(recorded, fit, True, RNG(0))
    assert not set(train.episode) & set(test.episode)
    assert len(np.unique(test.episode)) > 20 and len(test.obs) == 600
    assert judged(train, test).predicts.value < 0.2
    # Rows instead of episodes held out would have made it look perfect.
    order = RNG(0).permutation(len(train.obs))
    mixed = [
        Sample(*(getattr(train, name)[rows] for name in Sample.__dataclass_fields__))
        for rows in (order[600:], order[:600])
    ]
    assert judged(*mixed).predicts.value > 0.6


def judged(train, test):
    chain = find_encoder("knn")
    config = chain.config_class()()
    space = Box(-np.inf, np.inf, (6,), np.float32)
    return EncoderJudge(train, test)(chain, chain.make(space, config, 0), config)


def test_the_command_fits_nothing_on_held_out_episodes(tmp_path, monkeypatch, capsys):
    """CartPole's observations are numbers that no two episodes share, so that each row tells its own."""
    fitted, judges, plain_fit, plain_init = [], [], Chain.fit, EncoderJudge.__init__

    def fit(self, obs, targets=None):
        fitted.append(obs)
        return plain_fit(self, obs, targets)

    def init(self, train, test):
        judges.append((train, test))
        plain_init(self, train, test)

    monkeypatch.setattr(Chain, "fit", fit)
    monkeypatch.setattr(EncoderJudge, "__init__", init)
    monkeypatch.setenv("COLUMNS", "80")
    line = "features CartPole-v1 --samples 900 --encoders pca tree gaussian-mixture ridge logistic kmeans"
    assert cli.main([*line.split(), "--seeds", "0", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= max(80, len(str(tmp_path)) + 60)
    ((train, test),) = judges
    assert not set(train.episode) & set(test.episode)
    held = set(map(bytes, test.obs))
    assert len(held) > 150 and len(fitted) == 6
    assert not any(held & set(map(bytes, obs)) for obs in fitted)

    folder = tmp_path / "features-CartPole-v1-s0"
    report = json.loads((folder / "report.json").read_text())
    assert [each["name"] for each in report["encoders"]][:3] == ["(nothing)", "(observation)", "pca"]
    assert all(-1 < each["value"][0] < 1 and each["action"] is None for each in report["encoders"])
    by_name = {each["name"]: each for each in report["encoders"]}
    assert by_name["ridge"]["measure"] == "R^2" and by_name["logistic"]["measure"] == "accuracy of 4 classes"
    assert 0.15 < by_name["logistic"]["trivial"] < 0.6 < by_name["(observation)"]["rebuilt"]
    html = (folder / "report.html").read_text()
    assert html.count("<svg") == 6 and "Groups" in html and "Traffic jams" not in html
    for method in ("PCA", "t-SNE"):
        for what in ("return to come", "k-means, 8 groups", "steps to go"):
            assert f">{method}: {what}<" in html
        legend = html.split(f">{method}: k-means")[1].split("</svg>")[0]
        shares = [int(share) for share in re.findall(r">[1-8]: (\d+) %<", legend)]
        assert len(shares) == 8 and 95 <= sum(shares) <= 105
    assert "negative where a readout" in html


def test_jam_predictors_see_no_held_out_day():
    rng = RNG(0)
    level = rng.random((24, 5)) / 2
    occupancy = np.clip(level + rng.normal(size=(12, 24, 5)) / 10, 0, 1)
    traffic = Traffic(occupancy, np.zeros((2, 2), np.int32), {"length": np.arange(5, dtype=np.float32)})
    train, test = split_days(12)
    assert sorted([*train, *test]) == list(range(12)) and len(test) == 3
    names = ("ridge", "tree", "knn")
    study = study_jams(traffic, names)
    altered = occupancy.copy()
    altered[test] = rng.random(altered[test].shape)
    again = study_jams(Traffic(altered, traffic.of_cell, traffic.features), names)
    for name, found in study.predicted.items():
        assert (found == again.predicted[name]).all()
    best = study.scores["mean by hour and place"]
    assert best.low < best.value < best.high and best.value > study.scores["mean by place"].value
    assert again.scores["tree"].value < 0 < study.scores["tree"].value
    assert set(study.scores) == {"mean by hour", "mean by place", "mean by hour and place", *names}
    assert set(names) <= set(REGRESSORS)


# --- Bad input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("features", "usage"),
        ("features city kiosk", "usage: meze features ENV"),
        ("features CartPole-v1 --encoders pcaa", "unknown encoder 'pcaa'; did you mean 'pca'?"),
        ("features CartPole-v1 --samples 0", "samples must be at least 1; got 0"),
        ("features CartPole-v1 --samples 20", "too few episodes were played"),
        ("features CartPole-v1 --target jam", "the target jam needs a world that tells"),
        ("features CartPole-v1 --target action", "no reference to learn from"),
        ("features FrozenLake-v1", "encoders need observations that are arrays"),
        ("train q-learning CartPole-v1 --encoder tree --fit.target jam", "the target jam needs a world"),
    ],
)
def test_wrong_flags_are_one_line(line, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split()) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_q_learners_stand_behind_each_encoder_of_indices(tmp_path, capsys):
    line = "features CartPole-v1 --samples 900 --encoders pca tree --seeds 2 --steps 2000"
    assert cli.main([*line.split(), "--out", str(tmp_path)]) == 0
    assert "Q-learners behind 1 encoders, 2,000 transitions each" in capsys.readouterr().out
    folder = tmp_path / "features-CartPole-v1-s0"
    assert "q-learning:tree" in json.dumps(json.loads((folder / "report.json").read_text())["learners"])
    assert "the same Q-learner" in (folder / "report.html").read_text()
