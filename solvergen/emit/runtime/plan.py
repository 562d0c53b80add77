"""The plan of a run: what its rows hold, and the parameters of the solver."""

import math

import torch

from .choices import LANGEVIN, OPENING


def tensors(plan):
    """The plan with 0-d float64 tensors; the first row of a step that lists a draw asks for it."""

    def tensor(value):
        return torch.tensor(value, dtype=torch.float64)

    if LANGEVIN:
        places, p = [], 0
        for row in plan:  # rows that share draws follow each other, and begin with one of this kind
            p += row[1] in OPENING
            places.append(p)
    else:
        places = [row[0] for row in plan]
    used = {(p, z) for p, row in zip(places, plan) for z, draw in enumerate(row[4]) if draw[0]}
    rows, known = [], {}
    for p, (i, kind, sigma, weights, noise, *lifts) in zip(places, plan):
        kept = [z for z in range(len(noise)) if (p, z) in used]
        new = tuple(tensor(noise[z][1:]).unbind() for z in kept if z >= known.get(p, 0))
        known[p] = len(noise)
        weights = tensor([*weights, *(noise[z][0] for z in kept)]).unbind()
        lifts = [tuple(tensor(lift).unbind() for lift in before) for before in lifts]
        rows.append((i, kind, tensor(sigma), weights, new, *lifts))
    return rows


def numbers(*unlimited, **parameters):
    """Parameters as floats; refuse what is no number, and infinity unless it is unlimited."""
    for name, value in parameters.items():
        try:
            known = not math.isnan(value) if name in unlimited else math.isfinite(value)
        except (TypeError, ValueError, OverflowError):
            known = False
        if not known:
            raise ValueError(f"{name} must be a finite number; got {value!r}")
    return map(float, parameters.values())
