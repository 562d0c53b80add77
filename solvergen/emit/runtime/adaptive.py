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
from .stepping import check, check_state, combine


def attempt(model, x, dtype, levels, extra_args, first, call, **parameters):
    """One step by both rules: the result, the one of lower order, the first model output.

    dtype: of the states that the model sees; call: the number of model calls made before.
    """
    alpha, sigma, lam = levels
    ones, state, memory, values = x.new_ones([x.shape[0]]), x, (), []
    for row in coefficients(sigma, alpha, **parameters):
        denoised = first
        if denoised is None or values:
            seen = state.to(dtype)
            denoised = model(seen, row[2] * ones, **extra_args)
            check(seen, denoised, call)
            denoised, call = denoised.to(x.dtype), call + 1
        if not values:
            first = denoised
        if INTEGRAND == "data":
            values.append(denoised)
        else:
            values.append(combine(row[3][:2], (state, denoised)))
        state, memory = step(row, state, denoised, memory)
    weights = torch.tensor(embedded(alpha, sigma, lam, **parameters), dtype=torch.float64)
    return state, combine(weights.unbind(), [x, *values]), first, call


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
    max_calls=4000,
    **parameters,
):
    """Sample like `sample`, but choose the steps between the first and the last level.

    sigmas: of a grid only the ends count, and the level before a last sigma of 0.
    callback: called after each try, also of a step that is rejected: `accepted` tells.
    rtol, atol: tolerances of the local error, the difference of the two rules; rtol is at least
    what the dtype of x can tell apart, 16 times its rounding.
    max_calls: model calls after which the run gives up.
    Each step reads one number from the device. Raises ArithmeticError when no step is small enough,
    or the calls are used up: of a model that is noisy no step is.
    """
    check_state(x)
    alpha, sigma, lam = grid(sigmas, alphas)
    if lam[0] == -math.inf:
        raise ValueError(
            f"an adaptive run begins at a finite level: at sigmas[0] = {sigma[0]} alpha is 0, so "
            f"sigma / alpha is infinite; begin a little lower, as at sigma = {0.999 * sigma[0]:.4g}"
        )
    gauge, extra_args = recognise(alpha, sigma), {} if extra_args is None else extra_args
    last = len(lam) - 1 if lam[-1] < math.inf else len(lam) - 2
    dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))  # halves step in float32
    rtol, calls = max(rtol, 16 * torch.finfo(dtype).eps), 0
    if PID:
        now, h, before, first, index, past = lam[0], FIRST, x, None, 0, ()
    else:
        now, h, before, first, index = lam[0], FIRST, x, None, 0
    while lam[last] - now > CLOSE:
        ahead = min(lam[last], now + h)
        pairs = [level(now, gauge), level(ahead, gauge)]
        levels = [a for a, _ in pairs], [s for _, s in pairs], [now, ahead]
        known = dtype, levels, extra_args, first, calls
        high, low, denoised, calls = attempt(model, x, *known, **parameters)
        scale = torch.maximum(low.abs(), before.abs()).mul(rtol).clamp(min=atol)
        if PID:
            error = ((low - high) / scale).square().mean().sqrt().item()
        else:
            error = ((low - high) / scale).flatten(1).square().mean(1).max().sqrt().item()
        place = f"at sigma = {pairs[0][1]:.6g} (sigma / alpha = {math.exp(-now):.6g})"
        if not math.isfinite(error) or ahead == now:
            raise ArithmeticError(f"{place} a step of {h} in lambda has the local error {error}")
        if PID:
            inverse = 1 / (error + TINY)
            recent = (inverse, *(past or (inverse, inverse)))
            factor = 1 + math.atan(FACTOR - 1)
            accepted, h = factor >= SAFETY, h * factor
            past = recent[:2] if accepted else recent[1:]
        else:
            accepted = error <= 1
            h *= SAFETY * max(error, 2.0**-52) ** (EXPONENT)
        if callback is not None:
            level_now = {"sigma": pairs[0][1], "sigma_hat": pairs[0][1], "accepted": accepted}
            callback({"x": x.to(dtype), "i": index, **level_now, "denoised": denoised.to(dtype)})
        if calls >= max_calls and (not accepted or lam[last] - ahead > CLOSE):
            raise ArithmeticError(
                f"{place} {calls} model calls are used up (max_calls = {max_calls}), and the next "
                f"step would be {h:.2g} in lambda of {lam[last] - now:.4g} that are left: "
                "raise rtol "
                f"= {rtol:.2g} or max_calls; of a noisy model no step is small enough"
            )
        if not accepted:
            first = denoised
            continue
        x, before, now, first, index = high, low, ahead, None, index + 1
    if last < len(lam) - 1:
        plan = coefficients(sigma[-2:], alpha[-2:], **parameters)
        x = integrate(model, x.to(dtype), plan, extra_args)
    return x.to(dtype)
