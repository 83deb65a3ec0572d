"""The random stream against published vectors, for bias, and against its own Python text."""

import numpy as np
import pytest
from meze.envs.core.rng import chance, mix64, next_u64, seed_stream, uniform_int
from scipy.stats import chisquare

# Outputs of SplitMix64 seeded with 1234567 (Steele, Lea, Flood 2014; the reference C program by Vigna).
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def stream(seed: int) -> np.ndarray:
    rng = np.zeros(2, np.uint64)
    seed_stream(rng, seed)
    return rng


def test_stream_is_the_published_splitmix64():
    rng = np.array([1234567, 0], np.uint64)
    assert [int(next_u64(rng)) for _ in PUBLISHED] == PUBLISHED
    assert rng.tolist() == [1234567, len(PUBLISHED)]


def test_draw_depends_on_key_and_counter_alone():
    rng = np.array([1234567, 3], np.uint64)
    assert int(next_u64(rng)) == PUBLISHED[3]


def test_seeds_give_distinct_uncorrelated_streams():
    first = np.array([int(next_u64(stream(seed))) for seed in range(4096)], np.uint64)
    assert len(np.unique(first)) == 4096
    # Neighbouring seeds differ in half of the bits of their first draw: 32 +- 4 standard errors.
    flipped = np.bitwise_count(first[1:] ^ first[:-1])
    assert abs(flipped.mean() - 32) < 4 * 4 / np.sqrt(len(flipped))
    seed_stream(rng := np.array([5, 9], np.uint64), 2**63 - 1)
    assert rng[1] == 0


@pytest.mark.parametrize("n", [1, 2, 3, 7, 640, 1000])
def test_uniform_int_is_uniform(n):
    rng = stream(n)
    counts = np.bincount([uniform_int(rng, n) for _ in range(20_000)], minlength=n)
    assert len(counts) == n
    if n > 1:
        assert chisquare(counts).pvalue > 1e-4


def test_uniform_int_rejects_what_would_bias():
    # At n = 3 * 2**30, plain multiply-shift would give every third value twice as often as the others.
    n = 3 << 30
    rng = stream(0)
    counts = np.bincount([uniform_int(rng, n) % 3 for _ in range(20_000)], minlength=3)
    assert chisquare(counts).pvalue > 1e-4
    assert rng[1] > 20_000 * 1.25, "a quarter of the draws is rejected, so more draws than numbers"


@pytest.mark.parametrize("p1024", [0, 1, 100, 512, 1023, 1024])
def test_chance_is_exact(p1024):
    rng = stream(p1024)
    draws = 40_000
    hits = sum(chance(rng, p1024) for _ in range(draws))
    p = p1024 / 1024
    assert abs(hits - draws * p) <= 4 * np.sqrt(draws * p * (1 - p))


def test_compiled_equals_python():
    numbers = np.random.default_rng(0).integers(0, 2**63, 50)
    with np.errstate(over="ignore"):
        for z in numbers.astype(np.uint64):
            assert mix64(z) == mix64.py_func(z)
        for seed in numbers:
            compiled, python = np.zeros(2, np.uint64), np.zeros(2, np.uint64)
            seed_stream(compiled, seed)
            seed_stream.py_func(python, seed)
            for n in (1, 6, 3 << 30, 2**32 - 1):
                assert uniform_int(compiled, n) == uniform_int.py_func(python, n)
            assert chance(compiled, 300) == chance.py_func(python, 300)
            assert compiled.tolist() == python.tolist()
