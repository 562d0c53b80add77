"""Hosts that hand every option to every sampler: those that a solver has arrive, others are dropped."""

import pytest
import torch

from solvergen.hosts.k_diffusion import adapted

SIGMAS = torch.tensor([8.0, 3.0, 1.0, 0.4, 0.0])
EVERYTHING = {
    "eta": 0.6,
    "s_noise": 1.02,
    "s_churn": 1.5,
    "s_tmin": 0.0,
    "s_tmax": 50.0,
    "order": 4,
    "solver_type": "midpoint",
    "r": 0.4,
    "generator": None,
}


def model(x, sigma):
    return torch.tanh(x) / (1 + sigma.reshape(-1, 1) ** 2)


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("dpmpp_2m", set()),
        ("euler_ancestral", {"eta", "s_noise"}),
        ("heun_churn", {"s_churn", "s_tmin", "s_tmax", "s_noise"}),
        ("seeds_2", {"r", "eta", "s_noise"}),
        ("lcm", set()),
    ],
)
def test_options_that_a_solver_has_arrive(name, used, committed):
    module, x = committed(name), 8 * torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    sample, kept = adapted(module), SIGMAS.clone()

    def noise(sigma, sigma_next):
        return torch.full((3, 2), float(sigma_next))

    found = sample(model, x, SIGMAS, {}, None, True, noise_sampler=noise, **EVERYTHING)
    own = {key: value for key, value in EVERYTHING.items() if key in used}
    own |= {"noise_sampler": noise} if hasattr(module, "NOISE") else {}
    assert torch.equal(found, module.sample(model, x, SIGMAS, **own))
    assert torch.equal(SIGMAS, kept) and sample.__name__ == f"sample_{name}"
    asked = {"eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "order", "solver_type", "r"}
    assert set(sample.dropped) == asked - used


def test_the_host_s_noise_and_one_seed_a_sample(committed):
    module, x = committed("euler_ancestral"), torch.ones(3, 2)
    levels = []

    def noise(sigma, sigma_next):
        levels.append((sigma.dtype, float(sigma), float(sigma_next)))
        return torch.zeros(3, 2, dtype=torch.float64)

    adapted(module)(model, x, SIGMAS, noise_sampler=noise)
    assert levels[0] == (torch.float32, 8.0, 3.0)
    seeded = adapted(module, seeds=lambda state: range(40, 40 + len(state)))
    batch = seeded(model, x, SIGMAS)
    alone = adapted(module, seeds=lambda state: [41])(model, x[:1], SIGMAS)
    assert torch.allclose(batch[1:2], alone, atol=1e-6)
    half = seeded(model, x.half(), SIGMAS)
    assert (half - batch).abs().max() < 0.05


def test_flow_models(committed):
    module, x = committed("dpmpp_2m"), torch.ones(2, 2)
    times = torch.tensor([1.0, 0.7, 0.3, 0.0])
    found = adapted(module, flow=True)(model, x, times, eta=1.0)
    assert torch.equal(found, module.sample(model, x, times, alphas=1 - times.double()))
