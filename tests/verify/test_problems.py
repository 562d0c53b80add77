"""Mixtures, schedules, references and grids against exact answers."""

from __future__ import annotations

import json
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from mpmath import mp, mpf

from verify.errors import ExactnessError, ProblemError
from verify.problems import digits, grids, paths, reference
from verify.problems.mixture import GaussianMixture, coupled_mixture, oracle_mixture
from verify.problems.precise import PreciseMixture, transport

from .conftest import needs_sklearn

ORACLE = json.loads(
    (Path(__file__).parents[1] / "data" / "order_oracle.json").read_text(encoding="utf-8")
)
PROBLEM = ORACLE["test_problem"]


@pytest.mark.parametrize("start", ["0.9", "-1.7"])
def test_end_points_to_thirty_digits(start):
    with mp.workdps(45):
        mixture = PreciseMixture.isotropic(
            PROBLEM["weights"], [[m] for m in PROBLEM["means"]], PROBLEM["std"]
        )
        first = mpmath.exp(-mpf(PROBLEM["lambda0"]))
        last = mpmath.exp(-mpf(PROBLEM["lambda1"]))
        found = transport(mixture, start, first, last, digits=32)
        assert abs(found - mpf(PROBLEM["exact_final_x"][start])) < mpf(10) ** -29


def test_integrators_agree_with_the_exact_answer():
    start = np.asarray([[0.9], [-1.7]])
    first, last = np.exp(1.2), np.exp(-1.6)
    found = reference.integrated_ends(oracle_mixture(), start, first, last)
    exact = np.asarray([[float(PROBLEM["exact_final_x"][k])] for k in ("0.9", "-1.7")])
    assert np.abs(found.value - exact).max() <= found.bound < 1e-11


def test_a_bound_that_cannot_be_met_is_refused():
    with pytest.raises(ExactnessError, match="agree only to"):
        reference.integrated_ends(oracle_mixture(), np.ones((1, 1)), 3.0, 0.2, bound=1e-17)


def full_and_isotropic():
    return GaussianMixture([0.4, 0.6], [[0.0, 1.0], [2.0, -1.0]], std=[0.5, 0.8]), GaussianMixture(
        [0.4, 0.6],
        [[0.0, 1.0], [2.0, -1.0]],
        cov=[np.eye(2) * 0.25, np.eye(2) * 0.64],
    )


def test_full_covariance_contains_the_isotropic_case():
    one, two = full_and_isotropic()
    x = torch.randn(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(one.denoise(x, 0.8, 0.6), two.denoise(x, 0.8, 0.6), atol=1e-14)
    assert torch.allclose(one.log_density(x, 0.8, 0.6), two.log_density(x, 0.8, 0.6), atol=1e-13)


def test_score_is_the_gradient_of_the_log_density():
    mixture = coupled_mixture()
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x.requires_grad_(True)
    (slope,) = torch.autograd.grad(mixture.log_density(x, 0.7, 0.5).sum(), x)
    assert torch.allclose(slope, mixture.score(x.detach(), 0.7, 0.5), atol=1e-12)


def test_predictions_are_affine_images_of_each_other():
    mixture = coupled_mixture()
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    alpha, sigma = 0.8, 0.6
    data, noise = mixture.denoise(x, alpha, sigma), mixture.noise(x, alpha, sigma)
    assert torch.allclose(alpha * data + sigma * noise, x, atol=1e-14)
    assert torch.allclose(mixture.v(x, alpha, sigma), alpha * noise - sigma * data, atol=1e-14)
    assert torch.allclose(mixture.velocity(x, alpha, sigma), noise - data, atol=1e-14)


def test_the_twin_at_high_precision_agrees():
    mixture = coupled_mixture()
    x = torch.tensor([[0.4, -1.3]], dtype=torch.float64)
    found = PreciseMixture.of(mixture).denoise([mpf("0.4"), mpf("-1.3")], mpf("0.8"), mpf("0.6"))
    exact = mixture.denoise(x, 0.8, 0.6)[0].tolist()
    assert max(abs(float(f) - e) for f, e in zip(found, exact, strict=True)) < 1e-14


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_answers_come_in_the_dtype_of_the_state(dtype):
    x = torch.zeros(2, 3, 2, 1, dtype=dtype)
    mixture = GaussianMixture([1.0], np.zeros((1, 6)), std=[1.0])
    out = mixture.denoise(x, 1.0, torch.ones(2, dtype=dtype))
    assert out.dtype == dtype and out.shape == x.shape


@pytest.mark.parametrize("name", sorted(paths.PATHS))
def test_time_and_lambda_are_inverse(name):
    path = paths.PATHS[name]()
    lam = np.linspace(-1.2, 1.6, 7)
    assert np.allclose(path.lam(path.time(lam)), lam, atol=1e-10)


def test_schedules_of_ones_own_are_checked():
    with pytest.raises(ProblemError, match="must fall"):
        paths.user(lambda t: 0 * t + 1, lambda t: 2 - t, 0.1, 1.0)
    own = paths.user(lambda t: 1 - t, lambda t: t, 0.01, 0.99)
    assert np.allclose(own.lam(0.25), paths.flow().lam(0.25))


@pytest.mark.parametrize("name", sorted(grids.GRIDS))
def test_grids_fall_from_end_to_end(name):
    made = grids.GRIDS[name](12)
    assert made.shape == (13,) and np.all(np.diff(made) < 0)
    assert np.allclose(-np.log(made[[0, -1]]), grids.LAMBDA)


def test_one_smooth_grid_serves_all_step_numbers():
    coarse, fine = grids.smooth(12, seed=3), grids.smooth(24, seed=3)
    assert np.allclose(coarse, fine[::2])


def test_rough_pattern():
    steps = -np.diff(np.log(grids.rough(8)))
    assert np.allclose(steps / steps[0], [1, 2.2, 0.6, 1.7] * 2)


@pytest.mark.parametrize("bad", [{"std": [1.0], "cov": [[[1.0]]]}, {}])
def test_mixtures_want_exactly_one_kind_of_spread(bad):
    with pytest.raises(ProblemError, match="not both"):
        GaussianMixture([1.0], [[0.0]], **bad)


@needs_sklearn
def test_digits_are_denoised_into_pictures():
    mixture = digits.digits_mixture()
    assert mixture.dimension == 64 and len(mixture.weights) == 10
    sample = mixture.sample(4, seed=1)
    made = torch.Generator().manual_seed(4)
    noisy = sample + 0.05 * torch.randn(sample.shape, dtype=torch.float64, generator=made)
    cleaned = mixture.denoise(noisy, 1.0, 0.05)
    assert (cleaned - sample).norm() < (noisy - sample).norm()
    text = digits.picture(sample[0])
    assert len(text.splitlines()) == 8
