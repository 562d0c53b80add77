"""A run of a deterministic solver."""

import torch

from .choices import ANALYTIC, BY_ELEMENT, BY_SAMPLE, LATE, LIFTED, PLANNED, coefficients, step
from .elements import by_element, integrate_by_element
from .first import begun
from .sampled import by_sample, integrate_by_sample
from .stepping import check, check_state


def rolled(model, x, plan, extra_args):
    """`integrate` as a loop in the graph, whose number of steps is that of its inputs."""
    dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))
    if ANALYTIC:
        *plan, first = plan
    ones, shape = x.new_ones([x.shape[0]]), plan[1].shape

    def call(states, row):
        x, *memory = states
        if LIFTED:
            for keep, spread in row[2].unbind():
                x = keep * x + spread * torch.randn_like(x)
        seen = x.to(dtype)
        denoised = model(seen, row[0] * ones, **extra_args)
        check(seen, denoised)
        drawn = [torch.randn_like(x) for _ in range(shape[2] - 1 - shape[1])]
        values = [x, denoised.to(x.dtype), *memory, *drawn]
        states = [sum([w * v for w, v in zip(r, values)]) for r in row[1].unbind()]
        return states, x.new_zeros(())

    states = [x.clone(), *(torch.zeros_like(x) for _ in range(shape[1] - 1))]
    rows = tuple(part.to(x.device) for part in plan)
    if ANALYTIC:  # the first row, without a call
        values = [x, begun(x, first), *states[1:]]
        states = [sum([w * v for w, v in zip(r, values)]) for r in rows[1][0].unbind()]
        rows = tuple(part[1:] for part in rows)
    return torch._higher_order_ops.scan(call, states, rows)[0][0].to(dtype)


def integrate(model, x, plan, extra_args=None, callback=None, empty=None):
    """Run the sampler along a plan; differentiable; no step waits for the device.

    plan: of `coefficients`; compiled, its loop is part of the graph and its weights are inputs.
        ``list(plan)`` is unrolled.
    empty: gives memory for new states, as torch.empty_like; torch does unless given.
    """
    check_state(x)
    extra_args, calls = {} if extra_args is None else extra_args, 0
    whole = torch.compiler.is_compiling() and callback is None
    if ANALYTIC:  # noqa: SIM102
        if not hasattr(plan, "first"):
            raise ValueError("the first output is the plan's; pass what `coefficients` returned")
    if whole and getattr(plan, "tensors", None):
        if ANALYTIC:
            return rolled(model, x, (*plan.tensors, plan.first), extra_args)
        else:
            return rolled(model, x, plan.tensors, extra_args)
    dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))  # halves step in float32
    ones = x.new_ones([x.shape[0]])  # levels are told in float32 at least
    memory, previous = (), None
    for row in plan:
        i, sigma, seen = row[0], row[2], x.to(dtype)
        if ANALYTIC:
            denoised = model(seen, sigma * ones, **extra_args) if calls else begun(x, plan.first)
        else:
            denoised = model(seen, sigma * ones, **extra_args)
        check(seen, denoised, calls)
        if callback is not None and i != previous:
            level = {"sigma": sigma, "sigma_hat": sigma}
            callback({"x": seen, "i": i, **level, "denoised": denoised})
        x, memory = step(row, x, denoised.to(x.dtype), memory, empty)
        previous, calls = i, calls + 1
    return x.to(dtype)


@torch.no_grad()
def sample(
    model, x, sigmas, extra_args=None, callback=None, disable=None, *, alphas=None, **parameters
):
    """Sample from x at sigmas[0] down to sigmas[-1].

    model: (x, sigma, **extra_args) -> denoised prediction of x0; sigma has one entry per sample.
    x: the state alpha x0 + sigma eps at the first grid point.
    sigmas: n + 1 decreasing values, the last may be 0; alphas: the same number, ones unless given.
    callback: called once a step with x, i, sigma, sigma_hat, denoised. disable: accepted, unused.
    """
    if BY_SAMPLE:
        late, planned = LATE, PLANNED
        if by_sample(late.values()):
            return integrate_by_sample(model, x, planned, late, extra_args, callback)
    if BY_ELEMENT:
        late, planned = LATE, PLANNED
        if by_element(late.values()):
            return integrate_by_element(model, x, planned, late, extra_args, callback)
    plan = coefficients(sigmas, alphas, **parameters)
    return integrate(model, x, plan, extra_args, callback)
