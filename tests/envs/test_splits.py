"""The seeds of generated worlds: two ranges that never overlap, and any other."""

import numpy as np
import pytest
from meze.envs.city.maps import load_pool as city_pool
from meze.envs.core.splits import CHOOSING, FIRST_SEED, LAST_SEED, UNSEEN, drawn_apart, first_seed
from meze.envs.kiosk.config import KioskConfig
from meze.envs.kiosk.pool import load_pool as kiosk_pool
from meze.envs.platformer.pool import load_pool as platformer_pool
from meze.envs.streets.maps import StreetConfig, format_map, generate


def test_ranges():
    assert [first_seed(split) for split in ("train", "test", 7)] == [0, 10**9, 7]
    for split in (-1, LAST_SEED + 1):
        with pytest.raises(ValueError, match="split must be train, test, or a seed from 0"):
            first_seed(split)


def test_what_is_drawn_is_never_on_both_sides_however_little_there_is():
    rng = np.random.default_rng(0)
    sides = [
        {tuple(drawn_apart(seed, lambda: [str(rng.integers(8)), "X"])) for _ in range(200)}
        for seed in (UNSEEN[0], UNSEEN[-1], CHOOSING[0], 2 * UNSEEN.start, 0, UNSEEN.start - 1)
    ]
    assert sides[0] == sides[1] == sides[2] == sides[3] and sides[4] == sides[5] and not sides[0] & sides[4]
    assert len(sides[0] | sides[4]) == 8 and all(sides)


def test_a_number_is_where_maps_levels_and_cities_begin():
    config = StreetConfig()
    assert [format_map(each) for each in city_pool("generated", 7, 2, config)] == [
        format_map(generate(config, seed)) for seed in (7, 8)
    ]
    same, test = (city_pool("generated", split, 2, config) for split in (FIRST_SEED["test"], "test"))
    assert [format_map(each) for each in same] == [format_map(each) for each in test]
    of_seven, of_six = (platformer_pool("generated", 0.0, split, 2) for split in (7, 6))
    assert of_seven[0].digest == of_six[1].digest != of_six[0].digest
    seven, six = (kiosk_pool(KioskConfig(split=split, pool_size=2)) for split in (7, 6))
    assert (seven[0].distances == six[1].distances).all()
