"""Numbers that differ from step to step, and levels that they were fitted at."""

import math
import warnings

import torch

from .choices import LEVELS


def per_step(steps, **tables):
    """Lists of floats, one a step; a single number holds at every step."""
    found = []
    for name, values in tables.items():
        if torch.is_tensor(values):
            values = values.tolist()
        values = list(values) if isinstance(values, (list, tuple)) else [values] * steps
        if len(values) != steps:
            raise ValueError(
                f"{name} holds {len(values)} numbers, one a step, and the grid has {steps} steps; "
                "fit it for that number (solvergen fit --steps), or give other numbers"
            )
        for i, value in enumerate(values):
            try:
                known = math.isfinite(value)
            except (TypeError, ValueError, OverflowError):
                known = False
            if not known:
                raise ValueError(f"{name}[{i}] must be a finite number; got {value!r}")
        found.append([float(value) for value in values])
    return found


def fitted_levels(alpha, sigma):
    """Warn where the levels are not those of the fit."""
    found = [s / a if a else math.inf for a, s in zip(alpha, sigma)]
    if len(found) != len(LEVELS):
        told = f"there are {len(LEVELS) - 1} fitted steps, and the grid has {len(found) - 1}"
    else:
        pairs = list(zip(found, LEVELS))
        apart = [abs(level - own) > 1e-4 * own + 1e-12 for level, own in pairs]
        if not any(apart):
            return
        i = apart.index(True)
        told = f"level {i} is {found[i]:.4g}, and {LEVELS[i]:.4g} in the fit"
    warnings.warn(f"fitted at other levels: {told}", stacklevel=3)
