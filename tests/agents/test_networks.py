"""Networks of action values: which one suits a space, what it sees, and what it refuses."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.deep.networks import choose_kind, make_network

PLANES = Box(0, 255, (6, 9, 9), np.uint8)
PIXELS = Box(0, 255, (64, 64, 3), np.uint8)
ACTIONS = 4


def values(space, config, obs, frames=1):
    torch.manual_seed(0)
    with torch.no_grad():
        return make_network(space, ACTIONS, config, frames)(torch.from_numpy(np.asarray(obs)))


def observations(space, count=5, seed=0):
    space.seed(seed)
    return np.stack([space.sample() for _ in range(count)])


@pytest.mark.parametrize(
    ("space", "kind"),
    [
        (Box(-1, 1, (7,)), "mlp"),
        (Box(0, 1, (3, 5)), "mlp"),
        (Box(0, 1, (ACTIONS, 5)), "sites"),
        (PLANES, "cnn"),
        (PIXELS, "cnn"),
        (Discrete(9, start=-2), "mlp"),
        (MultiDiscrete([3, 4]), "mlp"),
        (MultiBinary(6), "mlp"),
        (MultiBinary((2, 3)), "mlp"),
    ],
)
@pytest.mark.parametrize("dueling", [False, True])
def test_every_space_has_its_network(space, kind, dueling):
    assert choose_kind(space, ACTIONS) == kind
    obs = observations(space)
    result = values(space, NetworkConfig(dueling=dueling), obs)
    assert result.shape == (5, ACTIONS)
    assert result.dtype == torch.float32
    assert torch.isfinite(result).all()
    alone = values(space, NetworkConfig(dueling=dueling), obs[2:3])
    torch.testing.assert_close(result[2:3], alone)
    assert len(torch.unique(result, dim=0)) > 1


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_other_planes_are_seen_in_the_middle_only(kind):
    config = NetworkConfig(kind=kind, planes=(0, 3))
    obs = observations(PLANES, 1)
    before = values(PLANES, config, obs)
    unseen, place, number = obs.copy(), obs.copy(), obs.copy()
    unseen[0, 1, 0, 0] ^= 255
    place[0, 3, 0, 0] ^= 255
    number[0, 5, 4, 4] ^= 255
    assert torch.equal(before, values(PLANES, config, unseen))
    assert not torch.equal(before, values(PLANES, config, place))
    assert not torch.equal(before, values(PLANES, config, number))


def test_numbers_and_values_are_scaled_by_their_bounds():
    wide, narrow = Box(0, 100, (3,), np.float32), Box(0, 1, (3,), np.float32)
    obs = observations(narrow)
    torch.testing.assert_close(
        values(narrow, NetworkConfig(), obs), values(wide, NetworkConfig(), obs * np.float32(100))
    )


def test_a_number_is_a_one_hot_vector():
    network = make_network(Discrete(5, start=3), ACTIONS, NetworkConfig(hidden=(8,)))
    one_hot = torch.nn.functional.one_hot(torch.arange(5), 5).float()
    rows = one_hot @ network[0].parts[0].rows.weight
    with torch.no_grad():
        torch.testing.assert_close(network[0].parts[1:](rows), network[0](torch.arange(5) + 3))


@pytest.mark.parametrize("space", [PLANES, PIXELS, Box(-1, 1, (7,)), Box(0, 255, (84, 84), np.uint8)])
def test_frames_are_seen_in_their_order(space):
    obs = observations(space, 3)[None]
    result = values(space, NetworkConfig(), obs, frames=3)
    assert result.shape == (1, ACTIONS)
    assert not torch.allclose(result, values(space, NetworkConfig(), obs[:, ::-1].copy(), frames=3))


@pytest.mark.parametrize(
    ("space", "config", "message"),
    [
        (Dict({"a": Discrete(2)}), NetworkConfig(), "no network fits"),
        (Box(0, 1, (7,)), NetworkConfig(kind="cnn"), "three axes"),
        (Box(0, 1, (7,)), NetworkConfig(kind="sites"), "as many actions"),
        (PLANES, NetworkConfig(planes=(0, 6)), "there are 6 planes"),
        (Box(0, 1, (7,)), NetworkConfig(planes=(0,)), "three axes"),
        (Box(0, 1, (7,)), NetworkConfig(kind="nowhere_to:be_found"), "can't be imported"),
        (Box(0, 1, (7,)), NetworkConfig(kind="torch.nn:Identity"), "fails on|values of shape"),
    ],
)
def test_a_misfit_is_refused_in_one_line(space, config, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_network(space, ACTIONS, config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", [{"kind": "nn"}, {"hidden": ()}, {"channels": (0,)}, {"planes": (-1,)}])
def test_bad_settings_are_refused(setting):
    with pytest.raises(ValueError, match=r"net\."):
        NetworkConfig(**setting)


SITES = Box(
    np.tile(np.float32([0, -1, 0]), (ACTIONS, 1)), np.tile(np.float32([1, 2**31, 2**31]), (ACTIONS, 1))
)
"""A table with a row an action: one column of known bounds, two without."""


def site_network(rows=ACTIONS, **settings):
    torch.manual_seed(0)
    space = Box(np.tile(SITES.low[:1], (rows, 1)), np.tile(SITES.high[:1], (rows, 1)))
    return make_network(space, rows, NetworkConfig(hidden=(8, 8), layer_norm=True, **settings))


def tables(rows=ACTIONS):
    return torch.from_numpy(np.random.default_rng(0).random((5, rows, 3), np.float32) * [1, 90, 900]).float()


@pytest.mark.parametrize("dueling", [False, True])
def test_sites_are_scored_alike_in_any_order_number_and_unit(dueling):
    network, table = site_network(dueling=dueling), tables()
    with torch.no_grad():
        scores = network(table)
        order = torch.randperm(ACTIONS)
        torch.testing.assert_close(network(table[:, order]), scores[:, order])
        padded = torch.cat([table, torch.zeros(5, 3, 3)], dim=1)
        more = site_network(ACTIONS + 3, dueling=dueling)
        more.load_state_dict(network.state_dict())
        torch.testing.assert_close(more(padded)[:, :ACTIONS], scores)
        assert (more(padded)[:, ACTIONS:] < scores.min() - 1e6).all()
        torch.testing.assert_close(network(table * torch.tensor([1.0, 8.0, 8.0])), 8 * scores)


def test_a_site_is_scored_by_its_own_row_and_by_the_others():
    network, table = site_network(), tables()
    other, further = table.clone(), table.clone()
    other[:, 1] *= 0.9
    further[:, 0, 0] *= 0.5
    with torch.no_grad():
        scores = network(table)
        assert (network(other)[:, 0] != scores[:, 0]).all()
        assert (network(further)[:, 0] != scores[:, 0]).all()
        assert torch.isfinite(network(torch.zeros(2, ACTIONS, 3))).all()
