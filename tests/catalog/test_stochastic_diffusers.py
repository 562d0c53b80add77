"""Stochastic samplers of the gallery against diffusers' schedulers, their source read in float64."""

import itertools
from dataclasses import replace

import pytest
import torch

from solvergen.gallery import load
from solvergen.spec.model import Start
from tests.catalog.noise_runs import apart, draws, gauged, levels, run
from tests.peer_code import diffusers_in_float64

STEPS = (5, 10, 20)
TOLERANCE = 1e-13


@pytest.fixture
def start():
    return draws(1)()


@pytest.fixture
def made(monkeypatch):
    """A function that builds a scheduler whose draws are those of `draws()`, in order."""

    def build(module, name, **options):
        found = diffusers_in_float64(module)
        asked = draws()
        if hasattr(found, "randn_tensor"):
            monkeypatch.setattr(found, "randn_tensor", lambda *a, **k: asked())
        return getattr(found, name)(**options)

    return build


def noise_prediction(mixture, x, level, alpha):
    """ε of a state α x0 + σ ε."""
    return (x / alpha - mixture(x / alpha, level.expand(len(x)))) / level


def trained(scheduler, timesteps):
    """σ/α at timesteps of the trained schedule, then 0."""
    kept = scheduler.alphas_cumprod[timesteps.long()]
    return torch.cat([((1 - kept) / kept).sqrt(), torch.zeros(1, dtype=torch.float64)])


def walk_trained(scheduler, mixture, x, **options):
    """A scheduler that steps on integer timesteps and a variance-preserving state."""
    level = trained(scheduler, scheduler.timesteps)
    alpha = gauged("vp", level)[1]
    x = x * level[0] * alpha[0]
    for i, t in enumerate(scheduler.timesteps):
        output = noise_prediction(mixture, x, level[i], alpha[i])
        x = scheduler.step(output, t, x, **options).prev_sample
    return level, x


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("kind", ["fixed_small", "fixed_large"])
def test_ddpm(kind, steps, made, committed, mixture, start):
    scheduler = made("ddpm", "DDPMScheduler", variance_type=kind, clip_sample=False)
    scheduler.set_timesteps(steps)
    level, wanted = walk_trained(scheduler, mixture, start)
    found = run(committed(f"ddpm_{kind}"), mixture, start * level[0], level, "vp")
    assert apart(found, wanted) < TOLERANCE


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("eta", [0.6, 1.0])
def test_ddim(eta, steps, made, committed, mixture, start):
    scheduler = made("ddim", "DDIMScheduler", clip_sample=False)
    scheduler.set_timesteps(steps)
    level, wanted = walk_trained(scheduler, mixture, start, eta=eta)
    found = run(committed("ddim_eta"), mixture, start * level[0], level, "vp", eta=eta)
    assert apart(found, wanted) < TOLERANCE


def test_ddim_from_a_state_without_signal(made, committed, mixture, start):
    """Zero terminal SNR: the first step begins at alpha = 0 and draws noise all the same."""
    options = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    scheduler = made(
        "ddim", "DDIMScheduler", prediction_type="sample", clip_sample=False, **options
    )
    scheduler.set_timesteps(10)
    kept = scheduler.alphas_cumprod[scheduler.timesteps]
    alpha, sigma = kept.sqrt(), (1 - kept).sqrt()
    assert alpha[0] == 0
    model = lambda x, sigma: torch.tanh(x) / (1 + sigma[:, None])
    x = start
    for i, t in enumerate(scheduler.timesteps):
        x = scheduler.step(model(x, sigma[i].expand(5)), t, x, eta=0.6).prev_sample
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    grid = {"alphas": torch.cat([alpha, one]), "noise_sampler": draws(), "eta": 0.6}
    found = committed("ddim_eta").sample(model, start, torch.cat([sigma, zero]), **grid)
    assert apart(found, x) < TOLERANCE


def walk_levels(scheduler, mixture, x, **options):
    """A scheduler that steps on σ/α, its calls as many as its timesteps."""
    x = x * scheduler.sigmas[0]
    seen = iter(scheduler.timesteps)
    for t in seen:
        scheduler.scale_model_input(x, t)
        level = called_at(scheduler)
        x = scheduler.step(noise_prediction(mixture, x, level, 1.0), t, x, **options).prev_sample
    return x


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(
    "churn",
    [
        {"s_churn": 4.0, "s_tmin": 0.1, "s_tmax": 9.0, "s_noise": 1.007},
        {"s_churn": 40.0, "s_tmin": 0.1},
        {},
    ],
)
def test_churn_after_the_call(churn, steps, made, committed, mixture, start):
    """Unlike EDM's and k-diffusion's, which raise the level before it."""
    scheduler = made("euler_discrete", "EulerDiscreteScheduler")
    scheduler.set_timesteps(steps)
    wanted = walk_levels(scheduler, mixture, start, **churn)
    level = scheduler.sigmas.double()
    name = "euler_churn_as_shipped_by_diffusers"
    found = run(committed(name), mixture, start * level[0], level, **churn)
    assert apart(found, wanted) < TOLERANCE


def called_at(scheduler):
    """σ/α at which a scheduler means its next model call."""
    i = scheduler.step_index
    if (
        scheduler.__class__.__name__ == "DPMSolverSDEScheduler"
        and not scheduler.state_in_first_order
    ):
        return (scheduler.sigmas[i - 1] * scheduler.sigmas[i]).sqrt()
    if getattr(scheduler, "state_in_first_order", True):
        return scheduler.sigmas[i]
    return scheduler.sigmas_interpol[i - 1]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(
    ("name", "module", "scheduler"),
    [
        ("euler_ancestral", "euler_ancestral_discrete", "EulerAncestralDiscreteScheduler"),
        ("dpm2_ancestral", "k_dpm_2_ancestral_discrete", "KDPM2AncestralDiscreteScheduler"),
        ("dpmpp_sde", "dpmsolver_sde", "DPMSolverSDEScheduler"),
    ],
)
def test_levels(name, module, scheduler, steps, made, committed, mixture, start):
    peer = made(module, scheduler)
    peer.set_timesteps(steps)
    peer.noise_sampler = draws()  # DPMSolverSDEScheduler's own
    wanted = walk_levels(peer, mixture, start)
    level = peer.sigmas.unique().flip(0)
    found = run(committed(name), mixture, start * level[0], level)
    assert apart(found, wanted) < TOLERANCE


MULTISTEP = [
    ("sde_dpmpp_1", 1, "midpoint"),
    ("sde_dpmpp_2m", 2, "midpoint"),
    ("sde_dpmpp_2m_exact", 2, "heun"),
    ("sde_dpmpp_3m_as_shipped_by_diffusers", 3, "midpoint"),
    ("sde_dpm_solver_1", 1, "midpoint"),
    ("sde_dpm_solver_2m", 2, "midpoint"),
    ("sde_dpm_solver_2m_exact", 2, "heun"),
]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(
    ("name", "order", "kind", "grid"),
    # Its noise-prediction kinds take no flow.
    [(*case, grid) for case in MULTISTEP for grid in ("vp", "flow")[: 1 + ("pp" in case[0])]],
)
def test_multistep(name, order, kind, grid, steps, made, committed, mixture, start):
    """Down to 0 for data prediction; theirs of the noise ends at the least trained level."""
    data = "dpmpp" in name
    peer = made(
        "dpmsolver_multistep",
        "DPMSolverMultistepScheduler",
        solver_order=order,
        solver_type=kind,
        algorithm_type="sde-dpmsolver++" if data else "sde-dpmsolver",
        final_sigmas_type="zero" if data else "sigma_min",
        lower_order_final=False,
        use_flow_sigmas=grid == "flow",
        prediction_type="flow_prediction" if grid == "flow" else "epsilon",
    )
    peer.set_timesteps(steps)
    level = peer.sigmas / (1 - peer.sigmas) if grid == "flow" else peer.sigmas
    sigma, alpha = gauged(grid, level)
    x = start * sigma[0]
    for i in range(len(level) - 1):
        output = noise_prediction(mixture, x, level[i], alpha[i])
        if grid == "flow":  # velocity
            output = output - mixture(x / alpha[i], level[i].expand(5))
        x = peer.step(output, peer.timesteps[i], x).prev_sample
    found = run(committed(name), mixture, start * level[0], level, grid)
    assert apart(found, x / alpha[-1]) < TOLERANCE


SINGLE = [
    ("sde_dpmpp_2s_as_shipped_by_diffusers", 2, "midpoint"),
    ("sde_dpmpp_2s_exact_as_shipped_by_diffusers", 2, "heun"),
    ("sde_dpmpp_3s_as_shipped_by_diffusers", 3, "midpoint"),
    ("sde_dpmpp_3s_exact_as_shipped_by_diffusers", 3, "heun"),
]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("name", "order", "kind"), SINGLE)
def test_single_step(name, order, kind, steps, made, committed, mixture, start):
    """Its nodes are grid points, so that a grid of even pieces in lambda has the spec's nodes."""
    options = {"solver_order": order, "solver_type": kind, "algorithm_type": "sde-dpmsolver++"}
    peer = made("dpmsolver_singlestep", "DPMSolverSinglestepScheduler", **options)
    level = levels(steps, zero=False)
    pieces = [
        torch.exp(torch.lerp(a.log(), b.log(), torch.arange(order, dtype=torch.float64) / order))
        for a, b in itertools.pairwise(level)
    ]
    peer.sigmas = torch.cat([*pieces, level[-1:]])
    alpha = gauged("vp", peer.sigmas)[1]
    x, noise, outputs = start * level[0] * alpha[0], draws(), []
    for i in range(len(peer.sigmas) - 1):
        if i % order == 0:
            begun = x
        outputs.append(mixture(x / alpha[i], peer.sigmas[i].expand(5)))
        peer._step_index = i
        x = peer.singlestep_dpm_solver_update(
            outputs[-3:], sample=begun, order=i % order + 1, noise=noise()
        )
    found = run(committed(name), mixture, start * level[0], level, "vp")
    assert apart(found, x / alpha[-1]) < TOLERANCE


def sa_solver(predictor, corrector):
    """A gallery solver with the first steps that diffusers takes: UniC's of order 1, UniPC's of 2."""
    if (predictor, corrector) == (2, 2):
        return load("sa_solver_sde_p2c2_as_shipped_by_diffusers")
    made = load(f"sa_solver_sde_p{predictor}c{corrector}")
    names = ("unipc_1_bh1", "unipc_2_bh1")[: predictor - 1]
    return replace(made, start=Start(using=names))


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("orders", [(1, 1), (2, 2), (3, 3), (3, 4)])
@pytest.mark.parametrize("tau", [0.0, 0.6, 1.0])
def test_sa_solver(tau, orders, steps, made, sampler, mixture, start):
    options = {"predictor_order": orders[0], "corrector_order": orders[1]}
    peer = made(
        "sasolver",
        "SASolverScheduler",
        **options,
        lower_order_final=False,
        tau_func=lambda t: torch.tensor(tau if 200 <= t <= 800 else 0.0, dtype=torch.float64),
    )
    peer.set_timesteps(steps)
    level, alpha = peer.sigmas, gauged("vp", peer.sigmas)[1]
    inside = level[:-1][(peer.timesteps >= 200) & (peer.timesteps <= 800)]
    x = start * level[0] * alpha[0]
    asked = draws()
    kept = [asked() for _ in range(steps)]
    for i, t in enumerate(peer.timesteps):
        x = peer.step(noise_prediction(mixture, x, level[i], alpha[i]), t, x).prev_sample
    noise = lambda high, low: kept[int((level - high).abs().argmin())]
    window = {"low": float(inside[-1]) * 0.99, "high": float(inside[0]) * 1.01}
    module = sampler(sa_solver(*orders))
    found = run(module, mixture, start * level[0], level, "vp", noise, tau=tau, **window)
    assert apart(found, x / alpha[-1]) < TOLERANCE
