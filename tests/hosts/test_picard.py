"""Runs with many model calls in one batch: the same samples as one call after the other."""

import pytest
import torch
from solvergen.generated import byrne_lambert_3, dpmpp_2m, euler_ancestral, heun_edm, unipc_3_bh2

from solvergen.hosts.picard import sample_parallel

SIGMAS = torch.logspace(1, -1.5, 21, dtype=torch.float64).tolist() + [0.0]


def denoise(x, sigma, **extra):
    """Two points at -1 and 1 in every coordinate: D = tanh(x / σ²)."""
    shift = extra.get("shift", torch.zeros(len(x)))
    return torch.tanh(x / sigma[:, None] ** 2) + shift.to(x)[:, None]


def start():
    x = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return SIGMAS[0] * x


@pytest.mark.parametrize("module", [dpmpp_2m, heun_edm, unipc_3_bh2, byrne_lambert_3])
@pytest.mark.parametrize("window", [1, 5, 100])
def test_repeated_until_nothing_moves_it_is_the_run(module, window):
    wanted = module.sample(denoise, start(), SIGMAS)
    found, took = sample_parallel(module, denoise, start(), SIGMAS, window=window, tolerance=0)
    assert (found - wanted).abs().max() < 1e-12
    assert took.rounds <= took.calls <= took.evaluated
    if window == 1:
        assert took.rounds == took.calls == took.evaluated


def test_a_tolerance_takes_fewer_rounds_than_calls_and_keeps_the_sample():
    sizes = []

    def model(x, sigma):
        sizes.append(len(x))
        return denoise(x, sigma)

    sigmas = torch.logspace(1, -1.5, 81, dtype=torch.float64).tolist()
    wanted = dpmpp_2m.sample(denoise, start(), sigmas)
    found, took = sample_parallel(dpmpp_2m, model, start(), sigmas, window=40, tolerance=1e-3)
    assert took.rounds == len(sizes) < took.calls / 3
    assert max(sizes) == 40 * 3 and sum(sizes) == 3 * took.evaluated
    assert (found - wanted).abs().max() < 3e-3


def test_noise_is_drawn_once_in_the_order_of_the_run():
    torch.manual_seed(4)
    wanted = euler_ancestral.sample(denoise, start(), SIGMAS)
    torch.manual_seed(4)
    found, took = sample_parallel(euler_ancestral, denoise, start(), SIGMAS, window=8, tolerance=0)
    assert took.rounds < took.calls
    assert (found - wanted).abs().max() < 1e-12


def test_arguments_of_the_model_are_repeated_with_the_batch():
    extra = {"shift": torch.tensor([0.0, 0.5, -0.5]), "scale": 2}
    wanted = dpmpp_2m.sample(denoise, start(), SIGMAS, extra_args=extra)
    seen = []
    found, _ = sample_parallel(
        dpmpp_2m, denoise, start(), SIGMAS, tolerance=0, extra_args=extra, callback=seen.append
    )
    assert (found - wanted).abs().max() < 1e-12
    assert seen[0]["i"] == 0 and seen[-1]["x"].shape == (3, 5)


@pytest.mark.parametrize("wrong", [{"window": 0}, {"tolerance": -1.0}, {"tolerance": float("nan")}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="at least"):
        sample_parallel(dpmpp_2m, denoise, start(), SIGMAS, **wrong)


def test_a_model_that_returns_nan_is_named_with_its_call():
    with pytest.raises(ValueError, match="the model returned NaN"):
        sample_parallel(dpmpp_2m, lambda x, sigma: x * float("nan"), start(), SIGMAS)
