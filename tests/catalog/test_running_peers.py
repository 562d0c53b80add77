"""Gallery solvers against peers that run here: k-diffusion's functions and diffusers' updates."""

import pytest
import torch

from tests.peer_code import crowson_sampling

SIGMAS = torch.tensor([7.3, 4.1, 3.2, 1.4, 0.9, 0.35, 0.2, 0.0], dtype=torch.float64)
ABOVE_ZERO = SIGMAS[:-1]


@pytest.fixture(scope="module")
def crowson():
    return crowson_sampling()


@pytest.fixture
def start():
    noise = torch.Generator().manual_seed(1)
    return 7.3 * torch.randn(5, 2, generator=noise, dtype=torch.float64)


def near(found, wanted):
    assert (found - wanted).abs().max() < 1e-12 * wanted.abs().max()


@pytest.mark.parametrize(
    ("name", "function", "options"),
    [
        ("ddim", "sample_euler", {}),
        ("euler_sigma", "sample_euler", {}),
        ("heun_edm", "sample_heun", {}),
        ("dpm2", "sample_dpm_2", {}),
        ("dpmpp_2m", "sample_dpmpp_2m", {}),
        ("dpmpp_2m_exact", "sample_dpmpp_2m_sde", {"eta": 0.0, "solver_type": "heun"}),
        ("dpmpp_2s", "sample_dpmpp_2s_ancestral", {"eta": 0.0}),
        ("dpmpp_3m_as_shipped_by_k_diffusion", "sample_dpmpp_3m_sde", {"eta": 0.0}),
    ],
)
def test_k_diffusion_down_to_zero(name, function, options, crowson, committed, mixture, start):
    if "sde" in function or "ancestral" in function:
        options = {**options, "noise_sampler": lambda a, b: torch.zeros_like(start)}
    wanted = getattr(crowson, function)(mixture, start, SIGMAS, disable=True, **options)
    found = committed(name).sample(mixture, start, SIGMAS)
    near(found, wanted)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_lms_of_k_diffusion(order, crowson, committed, mixture, start):
    pytest.importorskip("scipy")
    wanted = crowson.sample_lms(mixture, start, ABOVE_ZERO, disable=True, order=order)
    near(committed(f"lms{order}").sample(mixture, start, ABOVE_ZERO), wanted)


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers")


def loop(scheduler, update, order, mixture, x):
    """diffusers' own update functions over a float64 grid, around its state machine."""
    scheduler.sigmas = ABOVE_ZERO
    outputs = []
    for i in range(len(ABOVE_ZERO) - 1):
        scheduler._step_index = i
        t = ABOVE_ZERO[i] / (1 + ABOVE_ZERO[i].square()).sqrt()
        scale = (1 + ABOVE_ZERO[i].square()).sqrt()
        denoised = mixture(x * scale, ABOVE_ZERO[i].expand(len(x)))
        noise = (x - denoised / scale) / t
        outputs.append(denoised if "data" in update else noise)
        x = step(scheduler, update.split()[1], min(order, i + 1), outputs, x)
    return x * (1 + ABOVE_ZERO[-1].square()).sqrt()


def step(scheduler, kind, order, outputs, x):
    if kind == "deis":
        names = {2: "multistep_deis_second_order_update", 3: "multistep_deis_third_order_update"}
        first = "deis_first_order_update"
    else:
        names = {
            2: "multistep_dpm_solver_second_order_update",
            3: "multistep_dpm_solver_third_order_update",
        }
        first = "dpm_solver_first_order_update"
    if order == 1:
        return getattr(scheduler, first)(outputs[-1], sample=x)
    return getattr(scheduler, names[order])(outputs[-3:], sample=x)


@pytest.mark.parametrize(
    ("name", "update", "order", "options"),
    [
        ("dpmpp_2m", "data dpm", 2, {"algorithm_type": "dpmsolver++"}),
        ("dpmpp_2m_exact", "data dpm", 2, {"algorithm_type": "dpmsolver++", "solver_type": "heun"}),
        ("dpmpp_3m_as_published", "data dpm", 3, {"algorithm_type": "dpmsolver++"}),
        ("dpm_solver_2m", "noise dpm", 2, {"algorithm_type": "dpmsolver"}),
        (
            "dpm_solver_2m_exact",
            "noise dpm",
            2,
            {"algorithm_type": "dpmsolver", "solver_type": "heun"},
        ),
        ("dpm_solver_3m_as_published", "noise dpm", 3, {"algorithm_type": "dpmsolver"}),
        ("deis_logrho2", "noise deis", 2, {}),
        ("deis_logrho3", "noise deis", 3, {}),
    ],
)
def test_updates_of_diffusers(name, update, order, options, diffusers, committed, mixture, start):
    kind = "DEIS" if "deis" in update else "DPMSolver"
    if options.get("algorithm_type") == "dpmsolver":
        options = {**options, "final_sigmas_type": "sigma_min"}
    scheduler = getattr(diffusers, f"{kind}MultistepScheduler")(**options)
    x = start / (1 + ABOVE_ZERO[0].square()).sqrt()
    wanted = loop(scheduler, update, order, mixture, x)
    near(committed(name).sample(mixture, start, ABOVE_ZERO), wanted)
