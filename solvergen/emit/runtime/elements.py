"""Arrays of numbers, one for every element of a sample, with which weights change in proportion."""

import torch

from .choices import ANALYTIC, step
from .first import begun
from .stepping import check, check_state


def by_element(values):
    """Whether arrays, a number for every element of a sample, are among the values."""

    def array(value):
        if isinstance(value, (list, tuple)):
            return any(map(array, value))
        return getattr(value, "ndim", 0) > 0

    return any(map(array, values))


def element_numbers(name, value, steps, shape):
    """The numbers of a parameter in float64: steps, then the shape of a sample or 1 in its place."""
    each = getattr(value, "ndim", 0) == len(shape) + 1
    parts = list(value) if isinstance(value, (list, tuple)) or each else [value] * steps
    if len(parts) != steps:
        raise ValueError(
            f"{name} holds {len(parts)} entries, one a step, and the grid has {steps} steps"
        )
    found, one = [], (1,) * len(shape)
    for i, part in enumerate(parts):
        try:
            wide = None if hasattr(part, "dtype") else torch.float64  # plain numbers have no other
            part = torch.as_tensor(part, dtype=wide)
        except (TypeError, ValueError, RuntimeError):
            told = f"found {type(part).__name__}: give a tensor, a number, or a list of one a step"
            raise ValueError(f"{name} at step {i}: {told}") from None
        if part.is_complex() or part.is_meta:
            told = "complex numbers" if part.is_complex() else "a tensor without values (meta)"
            raise ValueError(f"{name} at step {i}: real numbers are needed; found {told}")
        part = part.detach().cpu().double().reshape(part.shape or one)
        fits = part.ndim == len(shape) and all(a in (1, b) for a, b in zip(part.shape, shape))
        if not fits or not part.isfinite().all():
            told = f"found {tuple(part.shape)}" if not fits else "found NaN or infinity"
            wanted = f"must have the shape of a sample, {tuple(shape)}, or 1 in places of it"
            raise ValueError(f"{name} at step {i} {wanted}; {told}")
        found.append(part)
    return torch.stack(torch.broadcast_tensors(*found))


def integrate_by_element(model, x, planned, values, extra_args=None, callback=None):
    """Run the sampler with numbers of their own for every element of a sample.

    planned: a plan from a list of numbers for each name, one a step.
    values: by name, each a number, a tensor (*shape of a sample) or (steps, *shape), or a list of
        such, one a step; any dimension may be 1. No gradient flows into them.

    Weights are of degree one in these numbers: those of an element lie on the line through the weights
    at the least and at the greatest number of its step.
    """
    check_state(x)
    extra_args, calls = {} if extra_args is None else extra_args, 0
    plan = planned()
    if not plan.steps:
        return x
    shape, steps = x.shape[1:], plan.steps[-1] + 1
    arrays = {n: element_numbers(n, v, steps, shape) for n, v in values.items()}
    low = {n: v.flatten(1).amin(1) for n, v in arrays.items()}
    high = {n: v.flatten(1).amax(1) for n, v in arrays.items()}
    least = {n: v.tolist() for n, v in low.items()}
    plan = planned(**least)
    raised = {n: planned(**{**least, n: v.tolist()}) for n, v in high.items()}
    dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))
    ones, wide = x.new_ones([x.shape[0]]), (1,) * x.ndim
    memory, previous = (), None
    for k, (i, kind, sigma, weights) in enumerate(plan):
        seen = x.to(dtype)
        if ANALYTIC:
            denoised = model(seen, sigma * ones, **extra_args) if calls else begun(x, plan.first)
        else:
            denoised = model(seen, sigma * ones, **extra_args)
        check(seen, denoised, calls)
        if callback is not None and i != previous:
            level = {"sigma": sigma, "sigma_hat": sigma}
            callback({"x": seen, "i": i, **level, "denoised": denoised})
        made = [weight.reshape(wide) for weight in weights]
        for name, other in raised.items():
            width = high[name][i] - low[name][i]
            if width > 0:
                share = ((arrays[name][i] - low[name][i]) / width)[None]
                pairs = zip(made, other[k][3], weights)
                made = [w if end == begin else w + share * (end - begin) for w, end, begin in pairs]
        row = i, kind, sigma, [w.to(x) for w in made]
        x, memory = step(row, x, denoised.to(x.dtype), memory)
        previous, calls = i, calls + 1
    return x.to(dtype)
