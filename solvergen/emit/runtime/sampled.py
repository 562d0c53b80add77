"""Numbers of their own for every sample of a batch, known at the latest at a step's first model output."""

import math

import torch

from .choices import ANALYTIC, step
from .first import begun
from .stepping import check, check_state


def by_sample(values):
    """Whether numbers of their own for every sample are among the values."""

    def own(value):
        if isinstance(value, (list, tuple)):
            return any(isinstance(entry, (list, tuple)) or own(entry) for entry in value)
        return callable(value) or getattr(value, "ndim", 0) > 0

    return any(map(own, values))


def at_step(name, value, i, x, denoised):
    """The numbers of step i, one for each sample, as floats."""
    if isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) == 2:
        value = value[i]
    if callable(value):
        value = value(i, x, denoised)
    try:
        wide = None if hasattr(value, "dtype") else torch.float64  # plain numbers have no other
        found = torch.as_tensor(value, dtype=wide).detach()
        if found.is_complex() or found.is_meta:
            told = "found " + ("complex numbers" if found.is_complex() else "a meta tensor")
        else:
            found = found.double().cpu().expand(len(x)).tolist()
            if all(map(math.isfinite, found)):
                return found
            told = "found NaN or infinity"
    except (TypeError, ValueError, RuntimeError):
        told = f"found {tuple(value.shape) if torch.is_tensor(value) else repr(value)}"
    raise ValueError(
        f"{name} must be one number at step {i}, or one for each of {len(x)} samples; {told}"
    )


def integrate_by_sample(model, x, planned, values, extra_args=None, callback=None):
    """Run the sampler with numbers of their own for every sample.

    planned: a plan from a list of numbers for each name, one a step.
    values: by name, each a number, a list of one entry a step, a tensor (batch,) or
        (steps, batch), or a callable (i, x, denoised) that is asked after the first model call
        of step i. They are taken as numbers: no gradient flows into them.
    """
    check_state(x)
    extra_args, calls = {} if extra_args is None else extra_args, 0
    plan = planned()
    if not plan.steps or not len(x):
        return x
    steps = plan.steps[-1] + 1
    for name, value in values.items():
        listed = isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) == 2
        if listed and len(value) != steps:
            told = f"{name} holds {len(value)} entries, one a step, and the grid has {steps} steps"
            raise ValueError(told)
    dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))
    ones, wide = x.new_ones([x.shape[0]]), (-1,) + (1,) * (x.ndim - 1)
    known, memory, previous = [{name: [] for name in values} for _ in x], (), None
    opened, weights, sigmas = 0, (), ()
    for k, (i, kind, sigma, _) in enumerate(plan):
        if i == previous:
            sigma = sigmas[k - opened]
        seen = x.to(dtype)
        if ANALYTIC:
            denoised = model(seen, sigma * ones, **extra_args) if calls else begun(x, plan.first)
        else:
            denoised = model(seen, sigma * ones, **extra_args)
        check(seen, denoised, calls)
        if i != previous:
            if callback is not None:
                level = {"sigma": sigma, "sigma_hat": sigma}
                callback({"x": seen, "i": i, **level, "denoised": denoised})
            for name, value in values.items():
                for own, number in zip(known, at_step(name, value, i, x, denoised)):
                    own[name].append(number)
            opened, made, alike = k, {}, []
            ends = [place for place, at in enumerate(plan.steps) if at == i]
            for place, own in enumerate(known):
                key = tuple(map(tuple, own.values()))
                if key not in made:
                    later = steps - i - 1  # what comes after a step does not change its rows
                    whole = {name: v + v[-1:] * later for name, v in own.items()}
                    try:
                        made[key] = len(made), planned(**whole)
                    except ValueError as error:
                        raise ValueError(f"sample {place}, step {i}: {error}") from None
                alike.append(made[key][0])
            index = torch.tensor(alike)
            rows = [[own[place] for _, own in made.values()] for place in ends]
            sigmas = [torch.stack([row[2] for row in r])[index].to(ones) for r in rows]
            weights = [
                [torch.stack(w)[index].to(x).reshape(wide) for w in zip(*(row[3] for row in r))]
                for r in rows
            ]
        row = i, kind, sigma, weights[k - opened]
        x, memory = step(row, x, denoised.to(x.dtype), memory)
        previous, calls = i, calls + 1
    return x.to(dtype)
