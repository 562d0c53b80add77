"""A run that chooses its own steps."""

import math

import torch

from .choices import (
    ATOL,
    CLOSE,
    EXPONENT,
    FACTOR,
    FIRST,
    INTEGRAND,
    PID,
    RTOL,
    SAFETY,
    TINY,
    coefficients,
    embedded,
    step,
)
from .levels import grid, level, recognise
from .run import integrate
from .stepping import combine


def attempt(model, x, levels, extra_args, first, **parameters):
    """One step by both rules: the result, the one of lower order, the first model output."""
    alpha, sigma, lam = levels
    ones, state, memory, values = x.new_ones([x.shape[0]]), x, (), []
    for row in coefficients(sigma, alpha, **parameters):
        denoised = first
        if denoised is None or values:
            denoised = model(state, row[2] * ones, **extra_args)
        if not values:
            first = denoised
        if INTEGRAND == "data":
            values.append(denoised)
        else:
            values.append(combine(row[3][:2], (state, denoised)))
        state, memory = step(row, state, denoised, memory)
    weights = torch.tensor(embedded(alpha, sigma, lam, **parameters), dtype=torch.float64)
    return state, combine(weights.unbind(), [x, *values]), first


@torch.no_grad()
def sample_adaptive(
    model,
    x,
    sigmas,
    extra_args=None,
    callback=None,
    disable=None,
    *,
    alphas=None,
    rtol=RTOL,
    atol=ATOL,
    **parameters,
):
    """Sample like `sample`, but choose the steps between the first and the last level.

    sigmas: of a grid only the ends count, and the level before a last sigma of 0.
    rtol, atol: tolerances of the local error, the difference of the two rules.
    Each step reads one number from the device. Raises ArithmeticError when no step is small enough.
    """
    alpha, sigma, lam = grid(sigmas, alphas)
    gauge, extra_args = recognise(alpha, sigma), {} if extra_args is None else extra_args
    last = len(lam) - 1 if lam[-1] < math.inf else len(lam) - 2
    if PID:
        now, h, before, first, index, past = lam[0], FIRST, x, None, 0, ()
    else:
        now, h, before, first, index = lam[0], FIRST, x, None, 0
    while lam[last] - now > CLOSE:
        ahead = min(lam[last], now + h)
        pairs = [level(now, gauge), level(ahead, gauge)]
        levels = [a for a, _ in pairs], [s for _, s in pairs], [now, ahead]
        high, low, denoised = attempt(model, x, levels, extra_args, first, **parameters)
        scale = torch.maximum(low.abs(), before.abs()).mul(rtol).clamp(min=atol)
        if PID:
            error = ((low - high) / scale).square().mean().sqrt().item()
        else:
            error = ((low - high) / scale).flatten(1).square().mean(1).max().sqrt().item()
        if not math.isfinite(error) or ahead == now:
            raise ArithmeticError(f"at lambda = {now} a step of {h} has the local error {error}")
        if PID:
            inverse = 1 / (error + TINY)
            recent = (inverse, *(past or (inverse, inverse)))
            factor = 1 + math.atan(FACTOR - 1)
            accepted, h = factor >= SAFETY, h * factor
            past = recent[:2] if accepted else recent[1:]
        else:
            accepted = error <= 1
            h *= SAFETY * max(error, 2.0**-52) ** (EXPONENT)
        if not accepted:
            first = denoised
            continue
        if callback is not None:
            level_now = {"sigma": pairs[0][1], "sigma_hat": pairs[0][1]}
            callback({"x": x, "i": index, **level_now, "denoised": denoised})
        x, before, now, first, index = high, low, ahead, None, index + 1
    if last == len(lam) - 1:
        return x
    plan = coefficients(sigma[-2:], alpha[-2:], **parameters)
    return integrate(model, x, plan, extra_args)
