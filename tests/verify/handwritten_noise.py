"""Stochastic samplers written out by hand, honest and not: k-diffusion's signature with a hook."""

from __future__ import annotations

import itertools
import math

import torch

from .handwritten import _gauss


def _source(x, noise_sampler):
    return noise_sampler or (lambda sigma, sigma_next: torch.randn_like(x))


def _spread(tau2, h):
    return math.sqrt(-math.expm1(-2 * tau2 * h))


def sde_adams(model, x, sigmas, *, order=1, tau=1.0, scale=1.0, noise_sampler=None):
    """SA-Solver's predictor: exact Adams weights of the kernel 1 + tau^2; `scale` spoils the noise."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    nodes, outputs = [], []
    for s, t in itertools.pairwise(sigmas):
        nodes.append(-math.log(float(s)))
        outputs.append(model(x, s * ones))
        x = _adams(x, s, t, nodes[-order:], outputs[-order:], tau)
        x = x + scale * t * _spread(tau**2, math.log(float(s / t))) * noise(s, t)
    return x


def _adams(x, s, t, nodes, outputs, tau):
    """Drift of one step: the interpolant of the outputs under the kernel A e^(-A (h - l))."""
    h = math.log(float(s / t))
    rate = 1 + tau**2
    where = -math.log(float(s))
    out = math.exp(-rate * h) * x
    points, weights = _gauss(h)
    for j, output in enumerate(outputs):
        total = 0.0
        for point, w in zip(points, weights, strict=True):
            basis = 1.0
            for k, node in enumerate(nodes):
                if k != j:
                    basis *= (where + point - node) / (nodes[j] - node)
            total += w * rate * math.exp(-rate * (h - point)) * basis
        out = out + total * output
    return out


def sde_noise(model, x, sigmas, *, tau=1.5, scale=1.0, noise_sampler=None):
    """Euler of the reverse SDE in predicted noise: where tau > 1 a long step adds more than s1^2."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    for s0, s1 in itertools.pairwise(sigmas):
        slope = (x - model(x, s0 * ones)) / s0
        x = x + (1 + tau**2) * (s1 - s0) * slope
        x = x + scale * tau * (s0**2 - s1**2).sqrt() * noise(s0, s1)
    return x


def sde_pec(model, x, sigmas, *, tau=0.4, shared=True, noise_sampler=None):
    """SA-Solver, predictor 2 and corrector 2 (PEC); the corrector reuses the predictor's draw."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    accepted, kick = x, None
    nodes, outputs = [], []
    for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
        nodes.append(-math.log(float(s)))
        outputs.append(model(x, s * ones))
        if i:
            last = sigmas[i - 1]
            size = s * _spread(tau**2, math.log(float(last / s)))
            again = kick if shared else noise(last, s)
            accepted = _adams(accepted, last, s, nodes[-2:], outputs[-2:], tau) + size * again
        kick = noise(s, t)
        size = t * _spread(tau**2, math.log(float(s / t)))
        x = _adams(accepted, s, t, nodes[-2:], outputs[-2:], tau) + size * kick
    return x


def ddim_eta(model, x, sigmas, *, eta=0.5, noise_sampler=None):
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    for s, t in itertools.pairwise(sigmas):
        denoised = model(x, s * ones)
        variance = eta**2 * t**2 * (1 - (t / s) ** 2)
        x = denoised + torch.sqrt(t**2 - variance) * (x - denoised) / s
        x = x + torch.sqrt(variance) * noise(s, t)
    return x


def loud_at_the_end(model, x, sigmas, *, size=1.5, noise_sampler=None):
    """Ancestral Euler whose last step alone has noise of another size."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
        x = (t / s) ** 2 * x + (1 - (t / s) ** 2) * model(x, s * ones)
        last = i == len(sigmas) - 2
        x = x + (size if last else 1.0) * t * (1 - (t / s) ** 2).sqrt() * noise(s, t)
    return x


def euler_maruyama(model, x, sigmas, *, tau=1.0, noise_sampler=None):
    """Euler-Maruyama in lambda."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    for s, t in itertools.pairwise(sigmas):
        h = torch.log(s / t)
        drift = (1 + tau**2) * (x - model(x, s * ones))
        x = x - h * drift + s * tau * torch.sqrt(2 * h) * noise(s, t)
    return x


def seeds_2(model, x, sigmas, *, r=0.5, tau=1.0, share=True, noise_sampler=None):
    """SEEDS-2 with phi_2; the stage's draw is part of the step's (an Ornstein-Uhlenbeck bridge)."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    rate = 1 + tau**2
    for s, t in itertools.pairwise(sigmas):
        h = math.log(float(s / t))
        m = s * math.exp(-r * h)
        z1, z2 = noise(s, m), noise(m, t)
        first = model(x, s * ones)
        inner = math.exp(-rate * r * h)
        stage = inner * x + (1 - inner) * first + m * _spread(tau**2, r * h) * z1
        second = model(stage, m * ones)
        whole = -math.expm1(-rate * h)
        b2 = (1 - whole / (rate * h)) / r
        x = math.exp(-rate * h) * x + (whole - b2) * first + b2 * second
        early = math.exp(-(tau**2) * (1 - r) * h) * _spread(tau**2, r * h)
        late = _spread(tau**2, (1 - r) * h)
        if not share:
            early, late = 0.0, _spread(tau**2, h)
        x = x + t * (early * z1 + late * z2)
    return x


def churned_heun(model, x, sigmas, *, churn=1.0, noise_sampler=None):
    """EDM's Algorithm 2 with gamma proportional to the step in lambda."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    for s, t in itertools.pairwise(sigmas):
        high = s * (1 + churn * torch.log(s / t))
        x = x + torch.sqrt(high**2 - s**2) * noise(s, high)
        slope = (x - model(x, high * ones)) / high
        ahead = x + (t - high) * slope
        x = x + (t - high) * (slope + (ahead - model(ahead, t * ones)) / t) / 2
    return x


def renoise(model, x, sigmas, *, noise_sampler=None):
    """Multistep consistency sampling: predict, then noise anew."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    for s, t in itertools.pairwise(sigmas):
        x = model(x, s * ones) + t * noise(s, t)
    return x


def reverse_diffusion(model, x, sigmas, *, noise_sampler=None):
    """Song's reverse diffusion: ancestral decay, the forward process's variance."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    for s, t in itertools.pairwise(sigmas):
        denoised = model(x, s * ones)
        x = denoised + (t / s) ** 2 * (x - denoised) + torch.sqrt(s**2 - t**2) * noise(s, t)
    return x


def restarted(model, x, sigmas, *, size=1.0, heun=False, noise_sampler=None):
    """The probability-flow ODE where levels fall, the forward process where they rise."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    for s, t in itertools.pairwise(sigmas):
        if t > s:
            x = x + size * torch.sqrt(t**2 - s**2) * noise(s, t)
            continue
        slope = (x - model(x, s * ones)) / s
        ahead = x + (t - s) * slope
        if heun:
            ahead = x + (t - s) * (slope + (ahead - model(ahead, t * ones)) / t) / 2
        x = ahead
    return x


def langevin(model, x, sigmas, *, count=2, rate=0.1, size=1.0, noise_sampler=None):
    """Annealed Langevin dynamics: `count` steps at each level, the next takes the state as it is."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    for s in sigmas[:-1]:
        for _ in range(count):
            denoised = model(x, s * ones)
            x = x + rate * (denoised - x) + size * s * math.sqrt(2 * rate) * noise(s, s)
    return x


def responding(model, x, sigmas, *, weight=0.5, shift=0.0, noise_sampler=None):
    """SDE-DPM-Solver++ with second differences of its outputs, of a weight that does not vanish."""
    noise, ones = _source(x, noise_sampler), x.new_ones(len(x))
    outputs = []
    for s, t in itertools.pairwise(sigmas):
        outputs.append(model(x, s * ones))
        decay = (t / s) ** 2
        x = decay * x + (1 - decay) * outputs[-1] + torch.sqrt(t**2 - t**4 / s**2) * noise(s, t)
        if len(outputs) > 2:
            new, old, oldest = outputs[-1], outputs[-2], outputs[-3]
            x = x - weight * (new - (2 - shift) * old + (1 - shift) * oldest)
    return x
