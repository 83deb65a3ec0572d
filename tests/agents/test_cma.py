"""CMA-ES on functions whose optimum is known; going on equals never having stopped; what is refused."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, Text
from meze.agents import checkpoint
from meze.agents.evolution.cma import MOST_COVARIANCES, CmaConfig
from meze.agents.registry import make_agent
from threadpoolctl import threadpool_limits

VECTOR, FEW = Box(-1, 1, (5,)), Discrete(3)
LONG = {"hidden": 30}  # 273 weights


def make(spaces=(VECTOR, FEW), seed=0, **settings):
    config = CmaConfig(**{"population_size": 20, "hidden": 0, **settings})
    return make_agent("cma-es", *spaces, num_envs=1, config=config, seed=seed)


def ridge(population):
    """A function whose optimum, 0, lies where each weight is 2; half of them matter 100 times as much."""
    factors = np.where(np.arange(population.shape[1]) % 2, 1.0, 100.0)
    return -(factors * (population - 2.0) ** 2).sum(axis=1)


def search(searcher, function, generations):
    return [searcher.tell(function(searcher.ask())) for _ in range(generations)]


def test_it_finds_the_optimum_and_its_mean_acts() -> None:
    searcher = make()
    metrics = search(searcher, ridge, 300)
    assert metrics[0]["best"] < -1000 and metrics[-1]["best"] > -1e-3
    assert metrics[-1]["mutation_step"] < 0.05 and metrics[-1]["diversity"] < metrics[0]["diversity"] / 10
    assert np.allclose(searcher.policy.genes, 2.0, atol=0.02)


def test_long_genomes_learn_variances_alone() -> None:
    short, long = make(), make(**LONG)
    assert short.genome.size <= MOST_COVARIANCES < long.genome.size
    assert short.state_dict()["C"].ndim == 2 and long.state_dict()["C"].ndim == 1
    metrics = search(long, ridge, 700)
    assert metrics[-1]["best"] > 0.01 * metrics[0]["best"]
    variances = long.state_dict()["C"]  # all alike at first
    assert variances[1::2].mean() > 1.5 * variances[::2].mean()  # those that matter less may vary more


def test_the_first_sample_is_spread_as_the_genetic_algorithms_first_genomes() -> None:
    searcher = make(population_size=1000, hidden=4)
    wanted = searcher.genome.initial(1000, np.random.default_rng(0)).std(axis=0)
    assert np.allclose(searcher.ask().std(axis=0), wanted, rtol=0.15)
    assert np.allclose(make(population_size=1000, sigma=0.5).ask().std(axis=0), 0.5 * 5**-0.5, rtol=0.15)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("settings", [{}, LONG])
def test_going_on_from_a_file_equals_never_having_stopped(settings, told, tmp_path) -> None:
    searcher = make(**settings)
    search(searcher, ridge, 7)
    if not told:
        searcher.ask()
    checkpoint.save(tmp_path / "state", searcher.state_dict())
    wanted = search(searcher, ridge, 7)

    other = make(seed=7, **settings)
    other.load_state_dict(checkpoint.load(tmp_path / "state"))
    assert other.generation == 7
    assert search(other, ridge, 7) == wanted
    assert other.population.tobytes() == searcher.population.tobytes()
    assert other.policy.genes.tobytes() == searcher.policy.genes.tobytes()


def test_threads_change_nothing() -> None:
    ends = []
    for threads in 1, 2:
        with threadpool_limits(threads):
            searcher = make(hidden=20)  # 183 weights, whose covariances are rounded otherwise on more threads
            metrics = search(searcher, ridge, 40)
        ends.append((metrics, searcher.state_dict()["C"].tobytes()))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("settings", [{}, LONG])
def test_a_state_that_does_not_fit_is_refused(settings) -> None:
    searcher = make(**settings)
    search(searcher, ridge, 2)
    with pytest.raises(ValueError, match="cma-es can't go on from a state of genetic"):
        searcher.load_state_dict(searcher.state_dict() | {"algorithm": "genetic"})
    with pytest.raises(ValueError, match="'population' has the shape"):
        make(population_size=21, **settings).load_state_dict(searcher.state_dict())
    with pytest.raises(ValueError, match="'mean' has the shape"):
        make((Box(-1, 1, (6,)), FEW), **settings).load_state_dict(searcher.state_dict())
    damages = {
        "mean": (np.nan, "'mean' holds what is no number"),
        "p_sigma": (np.inf, "'p_sigma' holds what is no number"),
        "C": (-1.0, "no distribution"),
    }
    for name, (value, words) in damages.items():
        state = searcher.state_dict()
        state[name].flat[0] = value
        with pytest.raises(ValueError, match=words):
            make(**settings).load_state_dict(state)
    for change in {"sigma": 0.0}, {"sigma": np.nan}, {"generation": -1}:
        with pytest.raises(ValueError, match="no distribution"):
            make(**settings).load_state_dict(searcher.state_dict() | change)
    state = searcher.state_dict()
    state["mean"] = state["mean"].astype(np.float32)
    with pytest.raises(ValueError, match="'mean' is missing or damaged"):
        make(**settings).load_state_dict(state)
    state = searcher.state_dict()
    state["mean"][0] = 1e30
    with pytest.raises(ValueError, match="out of range"):
        make(**settings).load_state_dict(state)


@pytest.mark.parametrize("settings", [{}, LONG])
def test_a_state_out_of_range_is_refused(settings) -> None:
    searcher = make(**settings)
    search(searcher, ridge, 2)
    for name, value in {"p_sigma": 1e300, "pc": 1e300, "population": 1e35, "C": 1e30}.items():
        state = searcher.state_dict()
        state[name].flat[0] = value
        with pytest.raises(ValueError, match="out of range"):
            make(**settings).load_state_dict(state)
    with pytest.raises(ValueError, match="out of range"):
        make(**settings).load_state_dict(searcher.state_dict() | {"sigma": 1e15})
    # Only together they say how far weights lie apart.
    state = searcher.state_dict()
    other = make(**settings)
    other.load_state_dict(state | {"C": 1e12 * state["C"], "pc": 1e6 * state["pc"], "sigma": 1e-6})
    assert np.isfinite(search(other, ridge, 3)[-1]["best"])


def test_what_are_no_covariances_is_refused() -> None:
    searcher = make()
    search(searcher, ridge, 2)
    sound = searcher.state_dict()["C"]
    singular, lopsided, negative = np.zeros_like(sound), sound.copy(), sound.copy()
    np.fill_diagonal(singular[1:, 1:], 1.0)
    lopsided[0, 1] += 0.1
    negative[0, 1] = negative[1, 0] = 100.0
    for covariances in singular, lopsided, negative:
        with pytest.raises(ValueError, match="no distribution"):
            make().load_state_dict(searcher.state_dict() | {"C": covariances})


@pytest.mark.parametrize("settings", [{}, LONG])
def test_a_step_that_grows_without_end_stays_in_range(settings) -> None:
    searcher = make(**settings)
    search(searcher, ridge, 2)
    searcher.load_state_dict(searcher.state_dict() | {"p_sigma": np.full(searcher.genome.size, 1e5)})
    assert np.isfinite(search(searcher, ridge, 3)[-1]["mutation_step"])
    make(**settings).load_state_dict(searcher.state_dict())
    searcher.load_state_dict(searcher.state_dict() | {"sigma": 1e-300})
    with pytest.raises(ValueError, match="went out of range"):
        search(searcher, ridge, 3)


def test_a_generation_can_be_too_large_for_variances() -> None:
    with pytest.raises(ValueError, match="of 2,048 genomes cma-es can't learn the variances of 273 weights"):
        make(population_size=2048, **LONG)
    make(population_size=1024, **LONG)
    make(population_size=2048)


@pytest.mark.parametrize(
    ("spaces", "settings", "words"),
    [
        ((Text(3), FEW), {}, "observations that are arrays or numbers"),
        ((VECTOR, MultiBinary(3)), {}, "Discrete actions or a Box with bounds; got MultiBinary"),
        ((VECTOR, FEW), {"hidden": 300}, "need 2703 weights; at most 2000"),
        ((Discrete(900), FEW), {}, "need 2703 weights; at most 2000"),
    ],
)
def test_a_misfit_is_told_in_one_line(spaces, settings, words) -> None:
    with pytest.raises(ValueError, match=words):
        make(spaces, **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"population_size": 3}, "population_size"), ({"hidden": -1}, "hidden"), ({"sigma": 0.0}, "sigma")],
)
def test_settings_are_checked(settings, words) -> None:
    with pytest.raises(ValueError, match=words):
        make(**settings)


@pytest.mark.parametrize("settings", [{}, LONG])
def test_a_stranger_from_far_away_is_brought_near(settings) -> None:
    one, twin = make(**settings), make(**settings)
    search(one, ridge, 3)
    twin.load_state_dict(one.state_dict())
    drawn = {"genes": twin.ask()[0].copy()}
    twin.load_state_dict(one.state_dict())
    one.receive(drawn)
    assert one.fitness is None and np.allclose(one.ask()[-1], drawn["genes"], rtol=1e-5)
    twin.receive({"genes": 1000 * drawn["genes"]})
    size = twin.genome.size
    way = twin.population[-1] / twin.genome.units - twin.state_dict()["mean"]
    assert twin._length(way) == pytest.approx(size**0.5 + 2 * size / (size + 2), rel=1e-4)
    with pytest.raises(ValueError, match="'genes'"):
        twin.receive({"genes": drawn["genes"][:-1]})
    with pytest.raises(ValueError, match="'genes'"):
        twin.receive({"genes": np.full(size, np.nan, np.float32)})
