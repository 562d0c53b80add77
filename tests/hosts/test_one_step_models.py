"""One-step models and learned variances against the schedulers of diffusers, in float64."""

import math

import pytest
import torch

from solvergen.hosts.models import (
    Denoiser,
    Guided,
    Preconditioned,
    TrigFlow,
    discrete_time,
    latent_consistency,
    static,
)
from solvergen.hosts.noise import from_generator
from solvergen.hosts.variance import LearnedVariance

schedulers = pytest.importorskip("diffusers.schedulers")
SHAPE = (2, 3, 4)


def drawn(seed, shape=SHAPE):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def generator():
    return torch.Generator().manual_seed(9)


def widened(scheduler):
    """Its tables in float64; they are made in float32."""
    for name in ("alphas_cumprod", "sigmas", "timesteps", "betas", "alphas", "one"):
        table = getattr(scheduler, name, None)
        if torch.is_tensor(table) and table.is_floating_point():
            setattr(scheduler, name, table.double())
    return scheduler


def walked_at(scheduler, timestep, x):
    """A vp state at a timestep as the state x0 + ρ ε, and ρ for every sample."""
    kept = scheduler.alphas_cumprod[timestep]
    return x / kept.sqrt(), ((1 - kept) / kept).sqrt().expand(len(x))


def network(x, time):
    """Any network: it must only see the same state and time as the scheduler's."""
    return torch.tanh(x.roll(1, -1) + time.double().reshape(-1, 1, 1).mul(0.37).sin())


KINDS = {"epsilon": "noise", "sample": "data", "v_prediction": "v"}


@pytest.mark.parametrize("predicted", KINDS)
@pytest.mark.parametrize("clipped", [False, True])
def test_latent_consistency(predicted, clipped):
    scheduler = widened(
        schedulers.LCMScheduler(
            prediction_type=predicted, clip_sample=clipped, num_train_timesteps=50
        )
    )
    scheduler.set_timesteps(timesteps=[49, 20, 3, 0], original_inference_steps=50)
    model = Denoiser(
        network,
        KINDS[predicted],
        time=discrete_time(scheduler.alphas_cumprod, whole=True),
        threshold=static if clipped else None,
        boundary=latent_consistency(),
    )
    for i, timestep in enumerate(scheduler.timesteps):
        x = drawn(i)
        output = network(x, timestep.expand(2))
        # As a number: a tensor timestep makes the scheduler's scalings float32.
        wanted = scheduler.step(output, int(timestep), x, generator=generator())
        found = model(*walked_at(scheduler, timestep, x))
        assert torch.allclose(found, wanted.denoised, rtol=1e-12, atol=1e-13)
        if i < 3:
            kept = scheduler.alphas_cumprod[scheduler.timesteps[i + 1]]
            noise = from_generator(x, generator())(1.0, 1.0)
            again = kept.sqrt() * found + (1 - kept).sqrt() * noise
            assert torch.allclose(again, wanted.prev_sample, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("predicted", KINDS)
def test_trajectory_consistency_is_a_plain_denoiser(predicted):
    """TCD goes from the denoised prediction by DDIM to a level s and adds noise from there."""
    scheduler = widened(schedulers.TCDScheduler(prediction_type=predicted))
    scheduler.set_timesteps(4)
    times = discrete_time(scheduler.alphas_cumprod, whole=True)
    model = Denoiser(network, KINDS[predicted], time=times)
    for i, timestep in enumerate(scheduler.timesteps[:-1]):
        x, gamma = drawn(i), 0.3
        output = network(x, timestep.expand(2))
        wanted = scheduler.step(output, timestep, x, eta=gamma, generator=generator())
        state, rho = walked_at(scheduler, timestep, x)
        denoised = model(state, rho)
        later = int(scheduler.timesteps[i + 1])
        kept = scheduler.alphas_cumprod[[math.floor((1 - gamma) * later), later]]
        down, up = ((1 - kept) / kept).sqrt()
        between = denoised + down / rho[0] * (state - denoised)
        noise = from_generator(x, generator())(1.0, 1.0)
        end = between + (up**2 - down**2).sqrt() * noise
        assert torch.allclose(between * kept[0].sqrt(), wanted.pred_noised_sample, atol=1e-12)
        assert torch.allclose(end * kept[1].sqrt(), wanted.prev_sample, atol=1e-12)


def test_consistency_models():
    scheduler = schedulers.CMStochasticIterativeScheduler(clip_denoised=False)
    scheduler.set_timesteps(5)
    scheduler = widened(scheduler)
    least = scheduler.config.sigma_min
    model = Preconditioned(network, sigma_min=least, scaling=1000)
    for i, timestep in enumerate(scheduler.timesteps):
        x, sigma = 10 * drawn(i), scheduler.sigmas[i]
        inside = scheduler.scale_model_input(x, timestep)
        # The timesteps were made of the levels before those were rounded to float32.
        output = network(inside, torch.as_tensor(scheduler.sigma_to_t(sigma.numpy())).expand(2))
        wanted = scheduler.step(output, timestep, x, generator=generator()).prev_sample
        noise = from_generator(x, generator())(1.0, 1.0)
        again = (scheduler.sigmas[i + 1].clamp_min(least) ** 2 - least**2).sqrt()
        found = model(x, sigma.expand(2)) + again * noise
        assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-12)
    x = drawn(1)
    assert torch.equal(model(x, torch.tensor([least, least], dtype=torch.float64)), x)


@pytest.mark.parametrize("gauge", ["ve", "vp", "flow"])
def test_trigflow(gauge):
    scheduler = schedulers.SCMScheduler()
    scheduler.set_timesteps(4, max_timesteps=1.5708, intermediate_timesteps=None)
    scheduler = widened(scheduler)
    data = scheduler.config.sigma_data
    model = TrigFlow(network, data, gauge)
    for i, t in enumerate(scheduler.timesteps[1:-1], 1):
        x = drawn(i)
        wanted = scheduler.step(data * network(x / data, t.expand(2)), t, x).pred_original_sample
        rho = data * t.tan()
        alpha = {"ve": 1.0, "vp": (1 + rho**2) ** -0.5, "flow": 1 / (1 + rho)}[gauge]
        found = model(x / t.cos() * alpha, (rho * alpha).expand(2))
        assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-13)


def test_trigflow_made_of_a_flow_network():
    """The conversion of diffusers' Sana Sprint pipeline is the velocity network's own denoiser."""
    data, t, x = 0.5, torch.tensor(0.9).double(), drawn(4)
    s = t.sin() / (t.cos() + t.sin())
    size = (s**2 + (1 - s) ** 2).sqrt()

    def converted(state, time):
        inside = state * size
        velocity = network(inside, s.expand(2))
        return ((1 - 2 * s) * inside + (1 - 2 * s + 2 * s**2) * velocity) / size

    rho = (data * t.tan()).expand(2)
    found = data * Denoiser(network, "velocity", trained="flow")(x / data, rho / data)
    assert torch.allclose(found, TrigFlow(converted, data)(x, rho), rtol=1e-12, atol=1e-13)


def variance_head(kind):
    def both(x, time):
        head = torch.tanh(3 * x.roll(1, 1)) if kind == "range" else 0.01 + 0.1 * x.square()
        return torch.cat([network(x, time), head], 1)

    return both


@pytest.mark.parametrize("variance", ["learned", "learned_range"])
@pytest.mark.parametrize("weight", ["small", "large"])
def test_learned_variance(variance, weight):
    """DDPM's step, drawn with a plain weight and the scaled draw."""
    scheduler = widened(schedulers.DDPMScheduler(variance_type=variance, clip_sample=False))
    scheduler.set_timesteps(7)
    kind = "range" if variance == "learned_range" else "variance"
    learned = LearnedVariance(variance_head(kind), kind)
    model = Denoiser(learned, time=discrete_time(scheduler.alphas_cumprod, whole=True))
    for i, timestep in enumerate(scheduler.timesteps[:-1]):
        x, later = drawn(i), scheduler.timesteps[i + 1]
        output = variance_head(kind)(x, timestep.expand(2))
        wanted = scheduler.step(output, timestep, x, generator=generator()).prev_sample
        state, rho = walked_at(scheduler, timestep, x)
        low = walked_at(scheduler, later, x)[1][0]
        fall = (low / rho[0]) ** 2
        own = low * (1 - fall).sqrt()  # β̃ of the state x / α; β is larger by the ratio of σ²
        if weight == "large":
            own = own * (rho[0] / low) * ((1 + low**2) / (1 + rho[0] ** 2)).sqrt()
        mean = fall * state + (1 - fall) * model(state, rho)
        draw = learned.noise_sampler(from_generator(x, generator()), weight)
        found = (mean + own * draw(rho[0], low)) * scheduler.alphas_cumprod[later].sqrt()
        assert torch.allclose(found, wanted, rtol=1e-11, atol=1e-12)


def test_learned_variance_under_guidance_is_the_conditional_one():
    def both(x, time, label):
        return torch.cat([network(x, time), label[:, None, None].expand_as(x)], 1)

    learned, ones = LearnedVariance(both), torch.ones(2, dtype=torch.float64)
    guided = Guided(Denoiser(learned), 3.0, {"label": -ones})
    x, sigma = drawn(0), 2 * ones
    with pytest.raises(ValueError, match="not called yet"):
        learned.noise_sampler(from_generator(x))(2.0, 1.0)
    guided(x, sigma, label=ones)
    found = learned.noise_sampler(from_generator(x, generator()), "large")(2.0, 1.0)
    assert torch.equal(found, from_generator(x, generator())(2.0, 1.0))


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="kind must be"):
        LearnedVariance(network, "learned")
    with pytest.raises(ValueError, match="walked must be"):
        TrigFlow(network, walked="edm")
    x = drawn(0)
    with pytest.raises(ValueError, match="needs 6 channels.*returned 3"):
        LearnedVariance(network)(x, torch.zeros(2))
    learned = LearnedVariance(variance_head("range"))
    learned(x, torch.zeros(2))
    with pytest.raises(ValueError, match="drawn must be"):
        learned.noise_sampler(from_generator(x), "learned")
    for step in ((1.0, 0.0), (1.0, 2.0), (1.0, 1.0)):
        with pytest.raises(ValueError, match="down to a level above 0"):
            learned.noise_sampler(from_generator(x))(*step)
