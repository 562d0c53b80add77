"""A run of a solver that draws noise."""

import torch

from .choices import LIFTED, LINEAR, PATH, STRENGTH, coefficients, step
from .run import rolled
from .stepping import check, check_noise, check_state, same_path


def integrate(model, x, plan, extra_args=None, callback=None, noise_sampler=None, empty=None):
    """Run the sampler along a plan; differentiable; no step waits for the device.

    noise_sampler: (sigma, sigma_next) -> unit Gaussian noise like x; sigma is sigma / alpha.
    plan: of `coefficients`; compiled, its loop is part of the graph and its weights are inputs.
        ``list(plan)`` is unrolled.
    empty: gives memory for new states, as torch.empty_like; torch does unless given.
    """
    check_state(x)
    extra_args, calls = {} if extra_args is None else extra_args, 0
    if LINEAR:
        whole = torch.compiler.is_compiling() and callback is None and noise_sampler is None
        if whole and getattr(plan, "tensors", None):
            return rolled(model, x, plan.tensors, extra_args)
    dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))  # halves step in float32
    ones = x.new_ones([x.shape[0]])  # levels are told in float32 at least
    memory, previous = (), None

    def draw(*levels):
        if noise_sampler is None:
            return torch.randn_like(x)
        noise = noise_sampler(*levels)
        check_noise(x, noise, dtype, row[0] == plan[0][0])
        return noise.to(x)

    for row in plan:
        if LIFTED:
            for keep, spread, *levels in row[5]:  # noise before the call
                x = keep * x + spread * draw(*levels)
        i, sigma, seen = row[0], row[2], x.to(dtype)
        denoised = model(seen, sigma * ones, **extra_args)
        check(seen, denoised, calls)
        if callback is not None and i != previous:
            level = {"sigma": sigma, "sigma_hat": sigma}
            callback({"x": seen, "i": i, **level, "denoised": denoised})
        noise = [draw(*levels) for levels in row[4]]
        x, memory = step(row, x, denoised.to(x.dtype), memory, noise, empty)
        previous, calls = i, calls + 1
    return x.to(dtype)


@torch.no_grad()
def sample(
    model,
    x,
    sigmas,
    extra_args=None,
    callback=None,
    disable=None,
    *,
    alphas=None,
    noise_sampler=None,
    **parameters,
):
    """Sample from x at sigmas[0] down to sigmas[-1].

    model: (x, sigma, **extra_args) -> denoised prediction of x0; sigma has one entry per sample.
    x: the state alpha x0 + sigma eps at the first grid point.
    LEVELS
    callback: called once a step with x, i, sigma, sigma_hat, denoised. disable: accepted, unused.
    noise_sampler: (sigma, sigma_next) -> unit Gaussian noise like x; torch.randn_like unless given.
    """
    plan = coefficients(sigmas, alphas, **parameters)
    if PATH:
        same_path(noise_sampler, STRENGTH)
    return integrate(model, x, plan, extra_args, callback, noise_sampler)
