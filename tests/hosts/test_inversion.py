"""Inversion: solved where the fixed point diverges, or said to be unsolved."""

import itertools
import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from solvergen.hosts.inversion import NotInverted, invert


def gaussian(x, sigma):
    return x * 0.36 / (0.36 + sigma.reshape(-1, *[1] * (x.ndim - 1)) ** 2)


def down(model, x, sigmas):
    """DDIM along the grid."""
    for a, b in itertools.pairwise(sigmas):
        x = b / a * x + (1 - b / a) * model(x, torch.full((len(x),), a, dtype=x.dtype))
    return x


def test_the_step_that_the_fixed_point_diverges_on():
    found = invert(gaussian, torch.ones(1, dtype=torch.float64), [0.4, 0.1], refine=10)
    assert float(found) == pytest.approx(1.3, abs=1e-4)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(high=st.floats(0.05, 200), ratios=st.lists(st.floats(1.01, 1000), min_size=1, max_size=5))
def test_gaussians_are_inverted_on_every_grid(high, ratios):
    sigmas = [high]
    for ratio in ratios:
        sigmas.append(sigmas[-1] / ratio)
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = invert(gaussian, x, sigmas, refine=20)
    back = down(gaussian, found, sigmas)
    assert ((back - x).norm(dim=1) / x.norm(dim=1)).max() < 2e-5 * len(ratios)


def mixture(x, sigma):
    """Two tight modes: D(x) = (x v + σ² tanh(x/(v + σ²)))/(v + σ²) with v = 0.01."""
    spread = 0.01 + sigma.reshape(-1, 1) ** 2
    return (x * 0.01 + sigma.reshape(-1, 1) ** 2 * torch.tanh(x / spread)) / spread


def test_what_is_not_inverted_is_said_with_its_residual():
    x = 0.3 * torch.ones(2, 3)  # between the modes: no noise leads there at once
    with pytest.warns(NotInverted, match=r"levels 0\.03 and 0\.5 .* residual of .* h = 2\.81"):
        found = invert(mixture, x, [0.5, 0.03], refine=4)
    assert found.isfinite().all()


def test_near_the_modes_mixtures_are_inverted_sample_by_sample():
    source = torch.Generator().manual_seed(3)
    x = torch.sign(torch.randn(4, 3, generator=source)) + 0.1 * torch.randn(4, 3, generator=source)
    grid, calls, told = [2.0, 1.0, 0.5, 0.25, 0.125], [], []

    def model(seen, sigma):
        calls.append(sigma.dtype)
        return mixture(seen, sigma)

    found = invert(model, x.bfloat16(), grid, refine=15, callback=told.append)
    assert found.dtype == torch.bfloat16 and set(calls) == {torch.float32}
    whole = invert(mixture, x, grid, refine=15)
    alone = torch.cat([invert(mixture, row[None], grid, refine=15) for row in x])
    assert (down(mixture, whole, grid) - x).norm() < 1e-4 * x.norm()
    assert torch.allclose(whole, alone, atol=1e-3)
    assert [at["i"] for at in told] == [3, 2, 1, 0] and all(at["calls"] <= 15 for at in told)


def test_explicit_inversion_costs_one_call_a_step():
    calls = []
    invert(lambda x, s: calls.append(1) or gaussian(x, s), torch.ones(1), [1.0, 0.5, 0.2], refine=0)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("sigmas", "options", "message"),
    [
        ([1.0, 0.0], {}, "last sigma must be above zero"),
        ([0.5, 1.0], {}, "must decrease"),
        ([1.0], {}, "2 or more"),
        ([1.0, 0.5], {"refine": -1}, "refine must be 0 or more"),
        ([1.0, 0.5], {"tolerance": math.nan}, "tolerance must be 0 or more"),
    ],
)
def test_refusals(sigmas, options, message):
    with pytest.raises(ValueError, match=message):
        invert(gaussian, torch.ones(1), sigmas, **options)
