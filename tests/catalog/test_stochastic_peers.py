"""Stochastic samplers of the gallery against k-diffusion as it runs here, draw for draw, in float64."""

import pytest
import torch

from tests.catalog.noise_runs import agrees, by_step, draws, levels
from tests.peer_code import crowson_sampling

STEPS = (5, 10, 20)

TOLERANCE = 1e-13


@pytest.fixture(scope="module")
def crowson():
    return crowson_sampling()


@pytest.fixture
def start():
    return 14 * draws(1)()


LOUD = {"eta": 0.7, "s_noise": 1.1}
CASES = [
    ("euler_ancestral", "sample_euler_ancestral", {}, {}),
    ("euler_ancestral", "sample_euler_ancestral", LOUD, {}),
    ("ddim_eta", "sample_euler_ancestral", {"eta": 0.4}, {}),
    ("dpm2_ancestral", "sample_dpm_2_ancestral", {}, {}),
    ("dpm2_ancestral", "sample_dpm_2_ancestral", LOUD, {}),
    ("dpmpp_2s_ancestral", "sample_dpmpp_2s_ancestral", {}, {}),
    ("dpmpp_2s_ancestral", "sample_dpmpp_2s_ancestral", LOUD, {}),
    ("dpmpp_sde", "sample_dpmpp_sde", {}, {}),
    ("dpmpp_sde", "sample_dpmpp_sde", {**LOUD, "r": 0.3}, {}),
    ("dpmpp_2m_sde", "sample_dpmpp_2m_sde", {}, {"solver_type": "midpoint"}),
    ("dpmpp_2m_sde", "sample_dpmpp_2m_sde", LOUD, {"solver_type": "midpoint"}),
    ("dpmpp_2m_sde_heun", "sample_dpmpp_2m_sde", LOUD, {"solver_type": "heun"}),
    ("dpmpp_3m_sde_as_shipped_by_k_diffusion", "sample_dpmpp_3m_sde", {}, {}),
    ("dpmpp_3m_sde_as_shipped_by_k_diffusion", "sample_dpmpp_3m_sde", LOUD, {}),
]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("name", "function", "options", "theirs"), CASES)
def test_k_diffusion(name, function, options, theirs, steps, crowson, committed, mixture, start):
    grid = levels(steps)
    peer = getattr(crowson, function)
    wanted = peer(mixture, start, grid, disable=True, noise_sampler=draws(), **options, **theirs)
    agrees(committed(name), mixture, start, grid, wanted, TOLERANCE, **options)


CHURN = {"s_churn": 4.0, "s_tmin": 0.1, "s_tmax": 9.0, "s_noise": 1.007}


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("churn", [CHURN, {"s_churn": 40.0}])
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("euler_churn", "sample_euler"),
        ("heun_churn", "sample_heun"),
        ("dpm2_churn", "sample_dpm_2"),
    ],
)
def test_churn(name, function, churn, steps, crowson, committed, mixture, start, monkeypatch):
    grid = levels(steps)
    kept, noise = by_step(grid)
    asked = iter(kept)
    monkeypatch.setattr(torch, "randn_like", lambda x: next(asked))  # one a step, used or not
    wanted = getattr(crowson, function)(mixture, start, grid, disable=True, **churn)
    agrees(committed(name), mixture, start, grid, wanted, TOLERANCE, noise=noise, **churn)
