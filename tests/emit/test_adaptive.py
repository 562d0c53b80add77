"""Adaptive solvers: the emitted controller against recorded runs of k-diffusion, and refusals."""

from __future__ import annotations

import importlib

import pytest
import torch

from verify.problems.mixture import GaussianMixture

# The problem and the end points are those of the recorded peers (2-D mixture, sigma 3 to 0.1).
MIXTURE = GaussianMixture(
    [0.3, 0.25, 0.25, 0.2],
    [[-0.6, -0.4], [0.5, -0.5], [0.1, 0.55], [-0.3, 0.3]],
    std=[0.15, 0.22, 0.18, 0.3],
)
START = [[-6.248988927915605, -3.119259711682195], [-0.5581519462443465, -4.10082250753102]]
EXACT = [[-0.9035430971579914, -0.5236415986199399], [-0.40613775763887505, -0.5946186593766614]]
# (order, rtol, atol) -> end points of k-diffusion's sample_dpm_adaptive.
RECORDED = {
    (2, 0.05, 0.0078): [
        [-0.9127115107372187, -0.5294325008001829],
        [-0.40960109436839226, -0.6012503023836541],
    ],
    (2, 0.001, 0.000156): [
        [-0.9039190941026768, -0.5238528034604929],
        [-0.40624900786162066, -0.5948700611216183],
    ],
    (2, 1e-05, 1.5599999999999999e-06): [
        [-0.9035466135365618, -0.5236435472656803],
        [-0.4061391703267995, -0.5946209709512967],
    ],
}


def start() -> torch.Tensor:
    return torch.tensor(START, dtype=torch.float64)


def sampler(name: str):
    return importlib.import_module(f"generated.{name}").sample_adaptive


@pytest.mark.parametrize(("order", "rtol", "atol"), RECORDED)
def test_the_pid_controller_takes_the_steps_of_k_diffusion(
    order: int, rtol: float, atol: float
) -> None:
    ends = torch.tensor([3.0, 0.1], dtype=torch.float64)
    got = sampler("dpm_adaptive_12")(MIXTURE.model(), start(), ends, rtol=rtol, atol=atol)
    torch.testing.assert_close(
        got, torch.tensor(RECORDED[order, rtol, atol], dtype=torch.float64), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize(
    "name",
    [
        "dpm_adaptive_12",
        "dpm_adaptive_23",
        "dpm_adaptive_12_power",
        "dpm_adaptive_23_power",
        "dormand_prince_adaptive",
    ],
)
def test_the_error_follows_the_tolerance(name: str) -> None:
    exact = torch.tensor(EXACT, dtype=torch.float64)
    grid = torch.tensor([3.0, 1.0, 0.1], dtype=torch.float64)
    errors = []
    for tolerance in (1e-2, 1e-4, 1e-6):
        got = sampler(name)(MIXTURE.model(), start(), grid, rtol=tolerance, atol=tolerance)
        errors.append((got - exact).abs().max().item())
    assert errors[0] < 0.1
    assert errors[1] < errors[0] / 10
    assert errors[2] < errors[1] / 10


def test_a_rejected_step_reuses_its_first_evaluation() -> None:
    levels: list[float] = []

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        levels.append(sigma[0].item())
        return MIXTURE.denoise(x, torch.ones_like(sigma), sigma)

    grid = torch.tensor([3.0, 0.1], dtype=torch.float64)
    sampler("dpm_adaptive_12")(model, start(), grid, rtol=1e-4, atol=1e-4)
    assert len(levels) == len(set(levels))


def test_the_last_step_to_zero_returns_the_denoised_prediction() -> None:
    grid = torch.tensor([3.0, 0.1, 0.0], dtype=torch.float64)
    run = sampler("dpm_adaptive_23")
    before = run(MIXTURE.model(), start(), grid[:2])
    level = torch.full((2,), 0.1, dtype=torch.float64)
    denoised = MIXTURE.denoise(before, torch.ones_like(level), level)
    torch.testing.assert_close(run(MIXTURE.model(), start(), grid), denoised, rtol=0, atol=1e-13)


def test_variance_preserving_runs_are_rescaled_runs() -> None:
    sigma = torch.tensor([3.0, 0.1], dtype=torch.float64)
    alpha = (1 + sigma**2) ** -0.5

    def model(x: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return MIXTURE.denoise(x, (1 - s**2).sqrt(), s)

    run = sampler("dpm_adaptive_23")
    # The tolerances are absolute in x, so only a relative one compares across scalings.
    kept = run(model, start() * alpha[0], sigma * alpha, alphas=alpha, rtol=1e-6, atol=1e-9)
    plain = run(MIXTURE.model(), start(), sigma, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(kept / alpha[-1], plain, rtol=0, atol=1e-6)


def test_a_model_that_breaks_down_is_named() -> None:
    grid, calls = torch.tensor([3.0, 0.1], dtype=torch.float64), []

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return x * (float("nan") if len(calls) == 4 else 0.5)

    with pytest.raises(ValueError, match=r"NaN at call 3 \(x, which it was given, is free of it"):
        sampler("dpm_adaptive_12")(model, start(), grid)


def test_a_noisy_model_uses_up_its_calls_and_rejected_steps_are_shown() -> None:
    grid, source, told = torch.tensor([3.0, 0.1]), torch.Generator().manual_seed(0), []

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(x.shape, generator=source)
        return MIXTURE.denoise(x, torch.ones_like(sigma), sigma) + 0.3 * noise

    run = sampler("dpm_adaptive_23")
    with pytest.raises(ArithmeticError, match=r"at sigma = .* \(max_calls = 90\).*noisy"):
        run(model, start().float(), grid, callback=told.append, rtol=1e-3, atol=1e-3, max_calls=90)
    assert {at["accepted"] for at in told} == {False, True} or not any(a["accepted"] for a in told)
    assert len(told) > 20 and all(at["x"].dtype == torch.float32 for at in told)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tolerance_below_rounding_is_what_the_dtype_holds(dtype: torch.dtype) -> None:
    levels = []

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        levels.append((x.dtype, sigma.dtype))
        return MIXTURE.denoise(x, torch.ones_like(sigma), sigma).to(torch.float32)

    grid = torch.tensor([3.0, 0.1])
    run = sampler("dpm_adaptive_23")
    found = run(model, start().to(dtype), grid, rtol=1e-12, atol=1e-12)
    assert found.dtype == dtype and len(levels) < 1000 and set(levels) == {(dtype, torch.float32)}
    assert (found.double() - torch.tensor(EXACT).double()).abs().max() < (
        1e-4 if dtype == torch.float32 else 0.05
    )


def test_a_run_from_pure_noise_is_refused_in_the_caller_s_levels() -> None:
    times = torch.tensor([1.0, 0.5, 0.1])
    with pytest.raises(ValueError, match=r"sigmas\[0\] = 1.0 alpha is 0"):
        sampler("dpm_adaptive_23")(lambda x, s: x, start(), times, alphas=1 - times)
