"""A run of an implicit solver, whose sweeps may end early."""

import torch

from .choices import REPEATS, coefficients, step
from .run import rolled
from .stepping import check, check_state


def integrate(model, x, plan, extra_args=None, callback=None, empty=None, tolerance=None):
    """Run the sampler along a plan; differentiable.

    plan: of `coefficients`; compiled, its loop is part of the graph and its weights are inputs.
        ``list(plan)`` is unrolled.
    empty: gives memory for new states, as torch.empty_like; torch does unless given.
    tolerance: once no model output of a sweep differs by more from the sweep before, the sweeps
    that remain reuse them. This reads one number from the device each sweep; without it no step
    waits for the device.
    """
    check_state(x)
    extra_args, calls = {} if extra_args is None else extra_args, 0
    whole = torch.compiler.is_compiling() and callback is None and tolerance is None
    if whole and getattr(plan, "tensors", None):
        return rolled(model, x, plan.tensors, extra_args)
    dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))  # halves step in float32
    ones = x.new_ones([x.shape[0]])  # levels are told in float32 at least
    memory, previous = (), None
    outputs, settled, changes = [], False, []
    for row in plan:
        i, kind, sigma, seen = row[0], row[1], row[2], x.to(dtype)
        if i != previous:
            outputs, settled, changes = [], False, []
        back = REPEATS.get(kind)
        if settled and back:
            denoised = outputs[-back]
        else:
            denoised = model(seen, sigma * ones, **extra_args)
        check(seen, denoised, calls)
        if callback is not None and i != previous:
            level = {"sigma": sigma, "sigma_hat": sigma}
            callback({"x": seen, "i": i, **level, "denoised": denoised})
        if tolerance is not None:
            if back and not settled:
                changes.append((denoised - outputs[-back]).abs().max())
                if len(changes) == back:  # a sweep is complete
                    settled, changes = bool(torch.stack(changes).max() <= tolerance), []
            outputs.append(denoised)
        x, memory = step(row, x, denoised.to(x.dtype), memory, empty)
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
    tolerance=None,
    **parameters,
):
    """Sample from x at sigmas[0] down to sigmas[-1].

    model: (x, sigma, **extra_args) -> denoised prediction of x0; sigma has one entry per sample.
    x: the state alpha x0 + sigma eps at the first grid point.
    sigmas: n + 1 decreasing values, the last may be 0; alphas: the same number, ones unless given.
    callback: called once a step with x, i, sigma, sigma_hat, denoised. disable: accepted, unused.
    tolerance: ends the sweeps of a step early, see integrate; all are made unless given.
    """
    plan = coefficients(sigmas, alphas, **parameters)
    return integrate(model, x, plan, extra_args, callback, tolerance=tolerance)
