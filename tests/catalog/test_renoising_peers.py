"""Samplers that draw their state anew, and those of score-SDE, against diffusers in float64."""

import pytest
import torch

from solvergen.grids.restart import undershot
from solvergen.hosts.models import Denoiser, Preconditioned, discrete_time, latent_consistency
from tests.catalog.noise_runs import apart, draws, gauged
from tests.peer_code import diffusers_in_float64

TOLERANCE = 1e-13


@pytest.fixture
def start():
    return draws(1)()


@pytest.fixture
def made(monkeypatch):
    """A function that builds a scheduler whose draws are those of `draws()`, in order."""

    def build(module, name, **options):
        found, asked = diffusers_in_float64(module), draws()
        monkeypatch.setattr(found, "randn_tensor", lambda *a, **k: asked())
        return getattr(found, name)(**options)

    return build


def network(x, time):
    """Any network of a state and a time."""
    return torch.tanh(x.roll(1, -1) + time.double()[:, None].mul(0.37).sin())


def test_latent_consistency(made, committed, start):
    scheduler = made("lcm", "LCMScheduler", prediction_type="v_prediction", clip_sample=False)
    scheduler.set_timesteps(8)
    kept = scheduler.alphas_cumprod[scheduler.timesteps]
    alpha, sigma = kept.sqrt(), (1 - kept).sqrt()
    x = start
    for t in scheduler.timesteps:
        # As a number: a tensor timestep makes the scheduler's scalings float32.
        x = scheduler.step(network(x, t.expand(5)), int(t), x).prev_sample
    time = discrete_time(scheduler.alphas_cumprod, whole=True)
    model = Denoiser(network, "v", walked="vp", time=time, boundary=latent_consistency())
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    grid = torch.cat([sigma, zero]), {"alphas": torch.cat([alpha, one])}
    found = committed("lcm").sample(model, start, grid[0], noise_sampler=draws(), **grid[1])
    assert apart(found, x) < TOLERANCE


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.8])
def test_trajectory_consistency(gamma, made, committed, start):
    scheduler = made("tcd", "TCDScheduler", clip_sample=False)
    scheduler.set_timesteps(6)
    x = start
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t.expand(5)), t, x, eta=gamma).prev_sample
    lower = torch.floor((1 - gamma) * torch.cat([scheduler.timesteps[1:], torch.zeros(1)])).long()
    level = [
        (((1 - kept) / kept).sqrt()).tolist()
        for kept in (scheduler.alphas_cumprod[t] for t in (scheduler.timesteps, lower))
    ]
    sigma, alpha = gauged("vp", torch.tensor(undershot(*level), dtype=torch.float64))
    time = discrete_time(scheduler.alphas_cumprod, whole=True)
    model = Denoiser(network, "noise", walked="vp", time=time)
    found = committed("tcd").sample(model, start, sigma, alphas=alpha, noise_sampler=draws())
    assert apart(found, x) < TOLERANCE


@pytest.mark.parametrize("steps", [2, 5, 10])
def test_consistency_model(steps, made, committed, start):
    scheduler = made("consistency_models", "CMStochasticIterativeScheduler", clip_denoised=False)
    scheduler.set_timesteps(steps)
    x = start * scheduler.sigmas[0]
    for t in scheduler.timesteps:
        output = network(scheduler.scale_model_input(x, t), t.double().expand(5))
        x = scheduler.step(output, t, x).prev_sample
    level = torch.cat([scheduler.sigmas[:steps], torch.zeros(1, dtype=torch.float64)])
    times = {float(s): t for s, t in zip(scheduler.sigmas, scheduler.timesteps, strict=False)}
    # The scheduler's own times, which are those of 1000 log(sigma)/4 to float32.
    timed = lambda x, time: network(x, times[timed.level].double().expand(5))
    model = Preconditioned(timed, sigma_min=0.002, scaling=1000.0)

    def called(x, sigma):
        timed.level = float(sigma[0])
        return model(x, sigma)

    sampler = committed("consistency_multistep")
    options = {"noise_sampler": draws(), "sigma_min": 0.002}
    # The first levels down to sigma_min; a level at sigma_min itself takes no noise.
    found = sampler.sample(called, start * level[0], level, **options)
    assert apart(found, x) < TOLERANCE


def test_trigflow(made, committed, start):
    scheduler = made("scm", "SCMScheduler")
    times = torch.tensor([1.57, 1.3, 0.9, 0.4, 0.0], dtype=torch.float64)
    scheduler.set_timesteps(4, timesteps=times, max_timesteps=None, intermediate_timesteps=None)
    x = start
    for t in times[:-1]:
        x = scheduler.step(network(x, t.expand(5)), t, x).prev_sample
    seen = iter(times[:-1])

    def model(x, sigma):
        t = next(seen)
        return t.cos() * x - t.sin() * network(x, t.expand(5))

    grid = {"alphas": times.cos(), "noise_sampler": draws()}
    found = committed("lcm").sample(model, start, 0.5 * times.sin(), **grid)
    assert apart(found, x) < TOLERANCE


FLOW = torch.tensor([1.0, 0.93, 0.8, 0.55, 0.3, 0.1, 0.0], dtype=torch.float64)


def flow_model(x, sigma):
    return x - sigma[:, None] * network(x, sigma)


@pytest.mark.parametrize(
    ("module", "scheduler", "options"),
    [
        (
            "flow_match_euler_discrete",
            "FlowMatchEulerDiscreteScheduler",
            {"stochastic_sampling": True},
        ),
        ("flow_match_lcm", "FlowMatchLCMScheduler", {}),
    ],
)
def test_stochastic_flow_from_pure_noise(module, scheduler, options, made, committed, start):
    peer = made(module, scheduler, **options)
    peer.set_timesteps(sigmas=FLOW[:-1].tolist())
    assert torch.equal(peer.sigmas, FLOW)
    x = start
    for sigma, t in zip(FLOW, peer.timesteps, strict=False):
        x = peer.step(network(x, sigma.expand(5)), t, x).prev_sample
    found = committed("lcm").sample(flow_model, start, FLOW, alphas=1 - FLOW, noise_sampler=draws())
    assert apart(found, x) < TOLERANCE


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ancestral_flow_from_pure_noise(eta, made, committed, start):
    """Their denominators carry 1e-12 beside alpha^2, which is down to 0.005 here."""
    options = {"eta": eta, "s_noise": 0.9}
    peer = made("ltx_euler_ancestral_rf", "LTXEulerAncestralRFScheduler", **options)
    peer.set_timesteps(sigmas=FLOW)
    x = start
    for sigma, t in zip(FLOW, peer.timesteps, strict=False):
        x = peer.step(network(x, sigma.expand(5)), t, x).prev_sample
    sampler = committed("euler_ancestral_rf")
    grid = {"alphas": 1 - FLOW, "noise_sampler": draws(), **options}
    assert apart(sampler.sample(flow_model, start, FLOW, **grid), x) < 1e-10


@pytest.fixture
def wide():
    """Tensors made without a dtype, as ScoreSdeVeScheduler's levels and rates are, in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("steps", [5, 10, 20])
def test_reverse_diffusion(steps, made, committed, mixture, start):
    peer = made("sde_ve", "ScoreSdeVeScheduler", sigma_min=0.05, sigma_max=14.0)
    peer.set_timesteps(steps)
    peer.set_sigmas(steps)
    level = torch.cat([peer.discrete_sigmas.flip(0), torch.zeros(1, dtype=torch.float64)])
    x = start * level[0]
    for sigma, t in zip(level, peer.timesteps, strict=False):
        score = (mixture(x, sigma.expand(5)) - x) / sigma**2
        output = peer.step_pred(score, t, x)
        x = output.prev_sample
    found = committed("reverse_diffusion_ve").sample(
        mixture, start * level[0], level, noise_sampler=draws()
    )
    assert apart(found, output.prev_sample_mean) < TOLERANCE  # theirs of the last step, as theirs


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("steps", [5, 10])
def test_predictor_corrector(steps, made, committed, mixture, start):
    """Their rate comes from norms at every step; with that rate each step is theirs."""
    peer = made("sde_ve", "ScoreSdeVeScheduler", sigma_min=0.05, sigma_max=14.0, snr=0.15)
    peer.set_timesteps(steps)
    peer.set_sigmas(steps)
    level = torch.cat([peer.discrete_sigmas.flip(0), torch.zeros(1, dtype=torch.float64)])
    sampler = committed("predictor_corrector_ve")
    x = found = start * level[0]
    noise, asked = draws(), draws()
    for i, t in enumerate(peer.timesteps):
        sigma = level[i].expand(5)
        score = (mixture(x, sigma) - x) / level[i] ** 2
        first, _ = asked(), asked()
        rate = 2 * (0.15 * first.norm(dim=1).mean() / score.norm(dim=1).mean() / level[i]) ** 2
        x = peer.step_correct(score, x).prev_sample
        output = peer.step_pred((mixture(x, sigma) - x) / level[i] ** 2, t, x)
        x = output.prev_sample
        pair = level[i : i + 2]
        found = sampler.sample(mixture, found, pair, noise_sampler=noise, delta=float(rate))
    assert apart(found, output.prev_sample_mean) < TOLERANCE
