"""Derivatives of a run's end by the table's numbers, by differences: any model, one call each.

Forward mode costs some two calls for each direction and is refused by many attention kernels. A
number of a table moves only the calls after it, so the run up to there is not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .run import Scaled
from .shape import Numbers
from .table import Array

# Steps that balance rounding against curvature; numbers of a table are of size one.
STEPS = {torch.float32: 3e-3, torch.float64: 1e-6}


def differences(
    scaled: Scaled,
    numbers: Numbers,
    values: Array,
    state: Tensor,
    target: Tensor,
    free: Sequence[int] | None = None,
) -> tuple[float, Array, Array]:
    """Sum of squares of the end minus the target, its half gradient Jᵀr, and JᵀJ.

    Args:
        scaled: the problem.
        numbers, values: how numbers make a table, and they.
        state, target: x̂_0 and the exact x̂_N, (n, *shape); taken in chunks.
        free: the numbers that move, all unless given.
    """
    free = range(len(values)) if free is None else free
    total, gradient = 0.0, np.zeros(len(free))
    normal = np.zeros((len(free), len(free)))
    size = scaled.problem.chunk
    for begin, wanted in zip(state.split(size), target.split(size), strict=True):
        with torch.no_grad():
            rest, slopes = _slopes(scaled, numbers, values, begin, wanted, free)
        flat = slopes.reshape(len(free), -1).double()
        total += float((rest.double() ** 2).sum())
        gradient += (flat @ rest.reshape(-1).double()).numpy()
        normal += (flat @ flat.T).numpy()
    return total, gradient, normal


def calls(numbers: Numbers, free: Sequence[int] | None = None) -> int:
    """Model calls for one start: the run, and the part of it after every number that moves."""
    free = range(numbers.count) if free is None else free
    return numbers.calls + sum(numbers.calls - first for first in map(numbers.first_call, free))


def _slopes(
    scaled: Scaled,
    numbers: Numbers,
    values: Array,
    state: Tensor,
    target: Tensor,
    free: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Residual (b, …) and the derivatives of the end by every number that moves (P, b, …)."""
    step = STEPS[state.dtype]
    end, found = _run(scaled, numbers, values, state, 0, [])
    slopes = torch.empty((len(free), *state.shape), dtype=state.dtype)
    for k, number in enumerate(free):
        moved = values.copy()
        moved[number] += step
        first = numbers.first_call(number)
        slopes[k] = (_run(scaled, numbers, moved, state, first, found[:first])[0] - end) / step
    return end - target, slopes


def _run(
    scaled: Scaled,
    numbers: Numbers,
    values: Array,
    state: Tensor,
    first: int,
    found: list[Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """The end and all outputs of a run whose first outputs are known."""
    table = numbers.table(values)
    angles = np.append(table.angles, math.atan(scaled.end))
    found = [*found]

    def at(i: int) -> Tensor:
        width = float(angles[0] - angles[i])
        moved = state
        for share, out in zip(table.shares[i - 1] if i else (), found, strict=False):
            moved = torch.add(moved, out, alpha=width * share)
        return moved

    for i in range(first, table.calls):
        found.append(scaled.output(at(i), torch.tensor(angles[i], dtype=state.dtype)))
    return at(table.calls), found
