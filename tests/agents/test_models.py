"""Fitted estimators are plain arrays: they predict what scikit-learn predicts, and can't be led astray."""

import hashlib

import numpy as np
import pytest
from meze.agents import checkpoint
from meze.agents.estimators import _PARTS, _TELLERS, CLASSIFIERS, REGRESSORS, _told, fit, make_model

WIDTH, SAMPLES = 12, 400
MODELS = [*((name, 0) for name in REGRESSORS), *((name, k) for name in CLASSIFIERS for k in (2, 3))]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def samples(seed, count=SAMPLES):
    """Rows without ties, so that nearest neighbours are the same for everybody."""
    return np.random.default_rng(seed).random((count, WIDTH), np.float32)


def aims(classes):
    values = samples(1) @ np.linspace(-1, 2, WIDTH, dtype=np.float32)
    edges = np.quantile(values, np.arange(1, classes) / classes) if classes else ()
    return np.searchsorted(edges, values) if classes else values


def model_of(name, arrays, classes):
    return make_model(name, arrays, WIDTH, classes)


@pytest.mark.parametrize(("name", "classes"), MODELS)
def test_models_predict_what_scikit_learn_predicts(name, classes):
    table = CLASSIFIERS if classes else REGRESSORS
    estimator = table[name](5, WIDTH).fit(samples(1), aims(classes))
    unseen = samples(2)
    if hasattr(estimator, "predict_proba"):
        right = estimator.predict_proba(unseen)
    else:
        right = estimator.predict(unseen)
        right = np.eye(classes)[right] if classes else right[:, None]
    found = model_of(name, _told(name, estimator), classes)(unseen)
    assert found.shape == right.shape and found.dtype == np.float64
    exact = name in ("tree", "random-forest") or (name == "gradient-boosting" and not classes)
    assert (found == right).all() if exact else found == pytest.approx(right, abs=2e-5, rel=1e-4)


@pytest.mark.parametrize(("name", "classes"), MODELS)
def test_what_is_predicted_of_a_row_does_not_depend_on_the_others(name, classes):
    rng = np.random.default_rng(0)
    rows = (rng.integers(0, 5, (300, 200)) / 4).astype(np.float32)
    sums = rows[:, :9].sum(axis=1)
    goal = np.searchsorted([3.75, 5.0][: classes - 1], sums) if classes else sums
    model = make_model(name, fit(name, rows, goal, 0), 200, classes)
    whole = model(rows)
    assert len(np.unique(whole, axis=0)) > 1
    for size in (1, 7, 100):
        few = range(0, min(300, 30 * size), size)
        parts = np.concatenate([model(rows[at : at + size]) for at in few])
        assert (parts == whole[: len(parts)]).all()
    mixed = rng.permutation(300)[:130]
    assert (model(rows[mixed]) == whole[mixed]).all()


@pytest.mark.parametrize(("name", "classes"), MODELS)
def test_saved_models_are_the_same_to_the_byte_and_predict_the_same(name, classes, tmp_path):
    digests = set()
    for path in (tmp_path / "a.safetensors", tmp_path / "b.safetensors"):
        arrays = fit(name, samples(1), aims(classes), 3)
        checkpoint.save(path, arrays)
        loaded = {key: value for key, value in checkpoint.load(path).items()}
        before, after = model_of(name, arrays, classes), model_of(name, loaded, classes)
        assert (after(samples(2)) == before(samples(2))).all()
        digests.add(hashlib.blake2b(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def bad_values(array):
    """What a stranger may write in the place of an array."""
    yield array[:0]
    yield array[..., :-1]
    yield np.concatenate([array, array])
    yield array[None]
    yield array.astype(np.uint8)
    yield array.astype(array.dtype.newbyteorder())
    extremes = (np.nan, np.inf) if array.dtype.kind == "f" else (-1, -(2**31), 2**31 - 1, SAMPLES)
    for value in extremes:
        for place in (0, -1):
            changed = array.copy()
            changed.flat[place] = value
            yield changed


@pytest.mark.parametrize(("name", "classes"), MODELS)
def test_altered_arrays_are_refused_or_harmless(name, classes):
    arrays = fit(name, samples(1), aims(classes), 3)
    for key, array in arrays.items():
        with pytest.raises(ValueError, match=name.split("-")[0]):
            model_of(name, {other: each for other, each in arrays.items() if other != key}, classes)
        for changed in bad_values(array):
            try:
                model = model_of(name, {**arrays, key: changed}, classes)
            except ValueError as error:
                assert str(error).startswith(name) and "\n" not in str(error)
                continue
            found = model(samples(2, 10))  # such as another leaf of the same tree
            assert found.shape == (10, model.outputs) and np.isfinite(found).all()
    for words in ({}, {"estimator": np.frombuffer(b"PK", np.uint8)}, {"0.weights": np.array(["a"])}):
        with pytest.raises(ValueError, match="missing or damaged"):
            model_of(name, words, classes)
    with pytest.raises(ValueError, match=name.split("-")[0]):
        make_model(name, arrays, WIDTH - 1, classes)
    if classes:
        with pytest.raises(ValueError, match=name.split("-")[0]):
            model_of(name, arrays, classes + 1)


@pytest.mark.parametrize("name", ["tree", "random-forest", "gradient-boosting"])
def test_no_tree_can_be_walked_for_ever_or_out_of_its_arrays(name):
    arrays = fit(name, samples(1), aims(2), 3)
    inner = np.flatnonzero(arrays["feature"] >= 0)
    leaf = np.flatnonzero(arrays["feature"] < 0)
    for key, node, value in (
        ("left", inner[0], 0),
        ("right", inner[-1], inner[-1]),
        ("left", inner[0], len(arrays["left"])),
        ("feature", inner[0], WIDTH),
        ("feature", leaf[0], -2),
        ("leaf", leaf[0], len(arrays["value"])),
        ("root", 0, len(arrays["left"])),
        ("root", -1, 1 if len(arrays["root"]) == 1 else 0),
        ("right", inner[0], arrays["root"][1] if len(arrays["root"]) > 1 else len(arrays["left"])),
        ("column", 0, len(arrays["start"])),
    ):
        changed = {**arrays, key: arrays[key].copy()}
        changed[key][node] = value
        with pytest.raises(ValueError, match=r"out of range|lead out of them|out of order"):
            model_of(name, changed, 2)


def test_every_estimator_has_its_arrays():
    parts = {part for names, final in _PARTS.values() for part in (*names, final)}
    assert {*REGRESSORS, *CLASSIFIERS} == {*_TELLERS, "stacking"} and parts <= set(_TELLERS)
