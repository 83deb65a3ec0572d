"""The first layer on planes of bytes: the dense layer's numbers, forward and backward, row by row."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from meze.agents.deep.net_config import NetworkConfig
from meze.agents.deep.networks import Torso, load_usual, saved_usual
from torch import nn

RNG = np.random.default_rng(5)


def grids(count: int, shape: tuple[int, ...], differing: float) -> torch.Tensor:
    """Grids of which a share differs from the usual one."""
    usual = RNG.integers(0, 256, shape)
    drawn = RNG.integers(0, 256, (count, *shape))
    return torch.from_numpy(np.where(RNG.random(drawn.shape) < differing, drawn, usual).astype(np.uint8))


def make_torso(shape: tuple[int, ...], planes: tuple[int, ...] | None) -> Torso:
    torch.manual_seed(0)
    config = NetworkConfig(kind="mlp", hidden=(24, 16), planes=planes, layer_norm=True)
    return Torso(Box(0, 255, shape, np.uint8), config, "mlp")


def gradients(torso: Torso, features: torch.Tensor) -> list[torch.Tensor]:
    weights = torch.linspace(-1.0, 1.0, features.numel()).view_as(features)
    return list(torch.autograd.grad((features * weights).sum(), list(torso.parameters())))


@pytest.mark.parametrize(
    ("shape", "planes"), [((5, 7, 9), None), ((5, 7, 9), (0, 1, 3)), ((6, 5, 5), ()), ((9, 8, 3), (2, 0))]
)
def test_it_is_the_dense_layer(shape, planes) -> None:
    torso, obs = make_torso(shape, planes), grids(40, shape, 0.1)
    with torch.no_grad():
        assert torch.equal(torso(obs), torso.parts(obs)), "dense, before it is fitted to any"
    dense, sparse = torso.parts(obs), torso(obs)
    assert torso.planes.sparse
    torch.testing.assert_close(sparse, dense, atol=1e-4, rtol=1e-4)
    for one, other in zip(gradients(torso, sparse), gradients(torso, dense), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)


def test_bytes_that_come_as_floats_are_multiplied_as_they_are() -> None:
    torso, obs = make_torso((5, 7, 9), None), grids(30, (5, 7, 9), 0.1)
    assert torch.equal(torso(obs.float()), torso.parts(obs)) and torso.planes.usual is None
    torso(obs)
    assert torch.equal(torso(obs.float()), torso.parts(obs)), "stable-baselines3 makes floats of them"


def test_a_row_does_not_depend_on_the_others() -> None:
    torso, obs = make_torso((5, 7, 9), None), grids(30, (5, 7, 9), 0.1)
    torso(obs)
    first = nn.Sequential(torso)
    torso.parts = torso.parts[:3]  # what follows is torch's
    with torch.no_grad():
        whole = first(obs)
        assert all(torch.equal(first(obs[k : k + 1])[0], whole[k]) for k in range(len(obs)))


def test_where_much_differs_it_stays_dense() -> None:
    torso, obs = make_torso((5, 7, 9), None), grids(30, (5, 7, 9), 1.0)
    with torch.no_grad():
        torso(obs)
    assert torso.planes.usual is None, "only what is fitted is met"
    torso(obs)
    assert not torso.planes.sparse and torso.planes.usual is not None
    torso(grids(30, (5, 7, 9), 0.0))
    assert not torso.planes.sparse, "it decides once"


def test_what_is_usual_is_saved_and_taken_back() -> None:
    obs = grids(30, (5, 7, 9), 0.1)
    one, other = (nn.Sequential(make_torso((5, 7, 9), None)) for _ in range(2))
    assert saved_usual(one, "usual.") == {}
    one(obs)
    state = saved_usual(one, "usual.")
    load_usual(other, state, "usual.")
    with torch.no_grad():
        assert torch.equal(one(obs[:4]), other(obs[:4]))
    load_usual(other, {}, "usual.")
    assert not other[0].planes.sparse
    (name,) = state
    for damaged in (state[name][:-1], state[name].astype(np.int64)):
        with pytest.raises(ValueError, match="usual"):
            load_usual(other, {name: damaged}, "usual.")
