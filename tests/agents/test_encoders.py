"""Encoders keep scikit-learn's promises, row by row, and are saved as numbers."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from meze.agents import checkpoint
from meze.agents.affine import Affine
from meze.agents.base import OutdatedError
from meze.agents.encoders.registry import encoder_specs, find_encoder

SPACE = Box(0, 255, (3, 2, 2), np.uint8)
SMALL = {
    "kmeans": {"k": 8},
    "gaussian-mixture": {"k": 4},
    "pca": {"components": 3},
    "svd": {"components": 3},
    "tree": {"leaves": 16},
    "autoencoder": {"components": 3, "epochs": 5},
    "vae": {"components": 3, "epochs": 5},
    "tiles": {"tilings": 2, "tiles": 2, "size": 64},
}
NAMES = [spec.name for spec in encoder_specs()]


def observations(seed, count=400):
    """Grids with few different cells that are not zero, in four heaps."""
    rng = np.random.default_rng(seed)
    heaps = np.array([[9, 0, 0, 200], [0, 120, 60, 0], [255, 255, 0, 0], [0, 0, 0, 40]])
    cells = heaps[rng.integers(4, size=(count, 3))].reshape(count, 3, 2, 2)
    return np.clip(cells + rng.integers(-4, 5, cells.shape) * (cells > 0), 0, 255).astype(np.uint8)


def targets(obs):
    return obs.reshape(len(obs), -1)[:, :4].astype(np.float32) @ [1.0, -2.0, 0.5, 0.0]


def made(name, seed=0):
    chain = find_encoder(name)
    settings = SMALL.get(name, {}) if "+" not in name else {}
    return chain.make(SPACE, chain.config_class()(**settings), seed)


def fitted(name, seed=0):
    obs = observations(1)
    return made(name, seed).fit(obs, targets(obs))


@pytest.mark.parametrize("name", [*NAMES, "pca+kmeans", "svd+tiles"])
def test_codes_lie_in_the_space_and_are_the_same_one_by_one_again_and_loaded(name, tmp_path):
    if name == "pca+kmeans":  # fewer observations than the default's groups
        config = find_encoder(name).config_class()
        kinds = {field.name: field.type for field in config.__dataclass_fields__.values()}
        encoder = find_encoder(name).make(SPACE, config(pca=kinds["pca"](3), kmeans=kinds["kmeans"](8)), 0)
        encoder.fit(observations(1))
    else:
        encoder = fitted(name)
    unseen = np.concatenate(
        [observations(2, 50), np.random.default_rng(0).integers(0, 256, (50, 3, 2, 2), dtype=np.uint8)]
    )
    codes = encoder.transform(unseen)
    assert len(codes) == 100 and all(encoder.space.contains(code) for code in codes)
    assert len(np.unique(codes, axis=0)) > 1
    assert (np.stack([encoder.transform(row[None])[0] for row in unseen]) == codes).all()
    if "+" not in name:
        assert (fitted(name).transform(unseen) == codes).all()
        path = tmp_path / "encoder.safetensors"
        checkpoint.save(path, encoder.state_dict())
        loaded = made(name, seed=5)
        loaded.load_state_dict(checkpoint.load(path))
        assert loaded.space == encoder.space and (loaded.transform(unseen) == codes).all()


def scaled(obs):
    """What scikit-learn is given."""
    rows = observations(1).reshape(400, -1).astype(np.float32)
    return obs.reshape(len(obs), -1) / np.maximum(rows.max(axis=0), 1)


def test_nearest_centres_components_gaussians_and_leaves_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture
    from sklearn.tree import DecisionTreeRegressor

    obs, unseen = observations(1), observations(2, 200)
    centres = fitted("kmeans").state_dict()["0.centres"]
    distances = ((scaled(unseen)[:, None] - centres) ** 2).sum(axis=2)
    assert (fitted("kmeans").transform(unseen) == distances.argmin(axis=1)).all()

    pca = PCA(3).fit(scaled(obs))
    found = fitted("pca").transform(unseen)
    assert np.abs(found) == pytest.approx(np.abs(pca.transform(scaled(unseen))), abs=1e-4)

    state = fitted("gaussian-mixture").state_dict()
    model = GaussianMixture(4, covariance_type="diag")
    model.means_, model.weights_ = state["0.means"].astype(float), state["0.shares"].astype(float)
    model.precisions_cholesky_ = np.sqrt(state["0.precisions"].astype(float))
    assert (fitted("gaussian-mixture").transform(unseen) == model.predict(scaled(unseen))).all()

    # Which leaf is which number may differ: equal leaves must be equal codes.
    tree = DecisionTreeRegressor(max_leaf_nodes=16, min_samples_leaf=5, random_state=0)
    leaves = tree.fit(scaled(obs).astype(np.float32), targets(obs)).apply(scaled(unseen).astype(np.float32))
    codes = fitted("tree").transform(unseen)
    assert len(set(zip(leaves, codes, strict=True))) == len(set(leaves)) == len(set(codes))


@pytest.mark.parametrize(("wide", "values"), [(5, 7), (100, 9), (200, 3)])
def test_linear_maps_are_products_of_matrices(wide, values):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (50, wide), dtype=np.uint8)
    weights, offsets = rng.normal(size=(wide, values)), rng.normal(size=values)
    linear, exact = Affine(weights, offsets), offsets + rows @ weights
    assert linear(rows) == pytest.approx(exact, rel=1e-4, abs=0.05)
    index, least = linear.lowest(rows)
    assert (index == exact.argmin(axis=1)).all() and least == pytest.approx(exact.min(axis=1), rel=1e-3)
    assert (np.concatenate([linear(row[None]) for row in rows]) == linear(rows)).all()
    same = Affine(np.ones((wide, values)), np.zeros(values))
    assert (same.lowest(rows)[0] == 0).all()  # the first of equals


def test_what_dbscan_has_never_seen_is_an_anomaly_and_is_counted():
    encoder = fitted("dbscan")
    (part,) = encoder._parts
    before = part.anomalies
    strange = np.full((3, 3, 2, 2), 255, np.uint8)
    anomaly = encoder.space.n - 1
    assert (encoder.transform(strange) == anomaly).all() and part.anomalies == before + 3
    assert (encoder.transform(observations(1)) == anomaly).mean() < 0.2


def test_neighbouring_places_share_tiles_and_distant_ones_do_not():
    space = Box(0, 1, (2,), np.float32)
    chain = find_encoder("tiles")
    encoder = chain.make(space, chain.config_class()(tilings=8, tiles=4, size=1024), 0)
    encoder.fit(np.array([[0, 0], [1, 1]], np.float32))
    here, near, far = encoder.transform(np.array([[0.5, 0.5], [0.53, 0.5], [0.9, 0.1]], np.float32))
    assert here.sum() == near.sum() == far.sum() == 8
    assert here @ near > 4 and here @ far == 0


@pytest.mark.parametrize("name", [spec.name for spec in encoder_specs() if spec.supervised])
def test_whole_numbers_are_classes(name):
    obs = observations(1)
    group = np.digitize(targets(obs), np.quantile(targets(obs), [0.33, 0.66]))
    action = np.array([1, 4, 7])[group]
    encoder = made(name).fit(obs, action)
    codes = encoder.transform(obs)
    loaded = made(name)
    loaded.load_state_dict(encoder.state_dict())
    assert (loaded.transform(obs) == codes).all()
    if name == "tree":  # most of a leaf is of one class
        codes = np.stack([np.bincount(group[codes == code], minlength=3) for code in codes])
    assert codes.shape == (400, 3)
    assert (codes.argmax(axis=1) == group).mean() > 0.75


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kmean", "unknown encoder 'kmean'; did you mean 'kmeans'?"),
        ("kmeans+pca", "kmeans makes indices, which can't be encoded further"),
        ("pca+pca", "each can stand in it once"),
    ],
)
def test_names_that_mean_nothing_are_refused(name, words):
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        find_encoder(name)


def test_numbers_and_too_few_observations_are_refused():
    chain = find_encoder("kmeans")
    with pytest.raises(ValueError, match="encoders need observations that are arrays; got Discrete"):
        chain.make(Discrete(4), chain.config_class()(), 0)
    with pytest.raises(ValueError, match="512 groups need as many observations; there are 400"):
        chain.make(SPACE, chain.config_class()(), 0).fit(observations(1))
    with pytest.raises(ValueError, match="has to be fitted first"):
        made("pca").transform(observations(1))
    with pytest.raises(ValueError, match="k must be at least 1; got 0"):
        chain.config_class()(k=0)


@pytest.mark.parametrize(("field", "value"), [("left", 10_000), ("right", -7), ("feature", 99), ("leaf", 16)])
def test_trees_that_lead_out_of_their_arrays_are_refused(field, value):
    state = dict(fitted("tree").state_dict())
    changed = state[f"0.{field}"].copy()
    changed[-1 if field == "leaf" else 0] = value  # the root is no leaf: what stands there is not read
    state[f"0.{field}"] = changed
    with pytest.raises(ValueError, match=r"out of range|lead out of them"):
        made("tree").load_state_dict(state)


def test_an_estimator_of_another_kind_or_an_older_version_is_refused():
    state = fitted("ridge").state_dict()
    with pytest.raises(ValueError, match="naive-bayes: the array 'mean' is missing"):
        made("naive-bayes").load_state_dict({**state, "0.classes": np.array([3])})
    with pytest.raises(ValueError, match="predicts something else"):
        made("ridge").load_state_dict({**state, "0.classes": np.array([3])})
    older = {"0.scale": state["0.scale"], "0.classes": np.array([0])}
    with pytest.raises(OutdatedError, match="an object of scikit-learn"):
        made("ridge").load_state_dict({**older, "0.estimator": np.frombuffer(b"PK", np.uint8)})


def altered(array):
    """What a stranger may write in the place of an array."""
    yield from (array[:0], array[:-1], np.concatenate([array, array]), array[None], array.astype(np.uint8))
    for value in (np.nan, -1) if array.dtype.kind == "f" else (-1, 2**31 - 1, len(array)):
        changed = array.copy()
        changed.flat[0] = value
        yield changed


@pytest.mark.parametrize("name", NAMES)
def test_altered_arrays_are_refused_or_harmless(name):
    state, unseen = fitted(name).state_dict(), observations(3, 20)
    for key, array in state.items():
        with pytest.raises(ValueError):
            made(name).load_state_dict({other: each for other, each in state.items() if other != key})
        for changed in altered(array):
            encoder = made(name)
            try:
                encoder.load_state_dict({**state, key: changed})
            except ValueError as error:
                assert "\n" not in str(error)
                continue
            assert all(encoder.space.contains(code) for code in encoder.transform(unseen)), key
