"""Adam over all weights at once: torch's own, parameter by parameter, also when saved."""

import copy

import numpy as np
import pytest
import torch
from meze.agents.deep.adam import FlatAdam
from meze.agents.deep.planes import by_columns
from meze.agents.deep.tensors import saved_optimizer
from torch import nn

RATE = torch.tensor(0.01)


@pytest.fixture
def networks() -> tuple[nn.Module, nn.Module]:
    """Two that are the same; the weight of a layer lies column by column, and another is not trained."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.ReLU(), nn.Linear(5, 3), nn.Linear(3, 2))
    by_columns(network[0])
    network[4].requires_grad_(False)
    return network, copy.deepcopy(network)


def losses(network: nn.Module, count: int, scale: float = 1.0):
    generator = torch.Generator().manual_seed(2)
    for _ in range(count):
        yield scale * network(torch.randn(8, 6, generator=generator)).square().mean()


def make_plain(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), RATE, eps=1e-5, fused=True)


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_it_is_adam_with_clipped_gradients(networks, scale) -> None:
    flat, plain = FlatAdam(networks[0], RATE, 0.5), make_plain(networks[1])
    for one, other in zip(*(losses(each, 20, scale) for each in networks), strict=True):
        flat.descend(one)
        plain.zero_grad()
        other.backward()
        nn.utils.clip_grad_norm_(networks[1].parameters(), 0.5)
        plain.step()
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(one, other)
    mine, theirs = flat.state_dict("optimizer"), saved_optimizer(plain, "optimizer")
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_allclose(mine[name], value, rtol=1e-4, atol=1e-7)


def test_it_goes_on_bit_for_bit_and_from_what_torch_saved(networks) -> None:
    first, second = (FlatAdam(each, RATE, 10.0) for each in networks)
    for loss in losses(networks[0], 5):
        first.descend(loss)
    networks[1].load_state_dict(networks[0].state_dict())
    second.load_state_dict(first.state_dict("o"), "o")
    for optimizer, network in ((first, networks[0]), (second, networks[1])):
        for loss in losses(network, 5):
            optimizer.descend(loss)
    assert all(map(torch.equal, networks[0].parameters(), networks[1].parameters()))

    plain = make_plain(networks[1])
    next(losses(networks[1], 1)).backward()
    plain.step()
    second.load_state_dict(saved_optimizer(plain, "o"), "o")
    for name, value in saved_optimizer(plain, "o").items():
        np.testing.assert_array_equal(second.state_dict("o")[name], value)
    second.load_state_dict({}, "o")
    assert second.state_dict("o") == {}
