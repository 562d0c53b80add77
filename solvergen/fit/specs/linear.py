"""A spec on a problem: the weights of its run, their exact derivatives, and those of its end.

On a fixed grid a deterministic solver is a list of rows: call j sees a_j x_0 + Σ_k b_jk D_k at σ_j.
`unroll` gives these numbers in any precision. Their derivatives are differences of two such runs in
40 digits, exact to float64; the chain through the model is forward mode, or
differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import torch
from torch import Tensor

from ...program.model import Program
from ...program.unroll import Unrolled, unroll
from ..directions import along, turned
from ..problem import Problem
from ..table import Array
from .numbers import Numbers

PRECISION, STEP = 40, "1e-17"


@dataclass(frozen=True)
class Linear:
    """The run of a solver as numbers.

    Args:
        sigmas: (calls,) levels at which the model is called.
        weights: (calls + 1, 1 + calls) of x_0 and the outputs in what each call sees and in the end.
    """

    sigmas: Array
    weights: Array

    @property
    def calls(self) -> int:
        """Model calls of the run."""
        return len(self.sigmas)


def linear(numbers: Numbers, values: Array) -> Linear:
    """The run at some values of the free numbers."""
    return _as_floats(_run(numbers, numbers.tables(values), list(numbers.lam(values))))


def linear_of(program: Program) -> Linear:
    """The run of a program at its own numbers and levels."""
    with mpmath.workdps(PRECISION):
        lam = [-mpmath.log(mpmath.mpf(v.numerator) / v.denominator) for v in program.levels]
        return _as_floats(unroll(program, lam))


def derivatives(numbers: Numbers, values: Array) -> tuple[Linear, Array, Array]:
    """The run, and derivatives (P, calls) of its levels and (P, calls + 1, 1 + calls) of its weights."""
    tables, lam = numbers.tables(values), list(numbers.lam(values))
    entries, moved = numbers.slopes(values)
    with mpmath.workdps(PRECISION):
        base, small = _run(numbers, tables, lam), mpmath.mpf(STEP)
        levels, weights = [], []

        def difference(other: Unrolled) -> tuple[Array, Array]:
            """What changed, over the step."""
            pairs = zip(_rows(other), _rows(base), strict=True)
            rows = [[float((p - q) / small) for p, q in zip(a, b, strict=True)] for a, b in pairs]
            turned = [
                float((mpmath.exp(-p.lam) - mpmath.exp(-q.lam)) / small)
                for p, q in zip(other.calls, base.calls, strict=True)
            ]
            return np.asarray(turned), _square(rows)

        for name, i in numbers.entries:
            nudged = {k: list(v) for k, v in tables.items()}
            nudged[name][i] = mpmath.mpf(nudged[name][i]) + small
            found = difference(_run(numbers, nudged, lam))
            levels.append(found[0])
            weights.append(found[1])
        raw_levels, raw_weights = _stacked(levels, weights, base)
        d_levels = np.tensordot(entries, raw_levels, 1) if numbers.entries else 0.0
        d_weights = np.tensordot(entries, raw_weights, 1) if numbers.entries else 0.0
        if numbers.grid:
            by_lam = []
            for k in range(1, numbers.steps):
                shifted = list(map(mpmath.mpf, lam))
                shifted[k] += small
                by_lam.append(difference(_run(numbers, tables, shifted)))
            inner = moved[:, 1:-1]
            d_levels = d_levels + np.tensordot(inner, np.stack([f[0] for f in by_lam]), 1)
            d_weights = d_weights + np.tensordot(inner, np.stack([f[1] for f in by_lam]), 1)
        return _as_floats(base), np.asarray(d_levels), np.asarray(d_weights)


def _stacked(levels: list[Array], weights: list[Array], base: Unrolled) -> tuple[Array, Array]:
    if levels:
        return np.stack(levels), np.stack(weights)
    calls = len(base.calls)
    return np.zeros((0, calls)), np.zeros((0, calls + 1, calls + 1))


def _run(numbers: Numbers, tables: dict[str, list[float]], lam: list[float]) -> Unrolled:
    with mpmath.workdps(PRECISION):
        made = {name: [mpmath.mpf(v) for v in row] for name, row in tables.items()}
        return unroll(numbers.program, lam, made)


def _rows(run: Unrolled) -> list[tuple[Any, ...]]:
    return [*(call.state for call in run.calls), run.final]


def _square(rows: list[list[float]]) -> Array:
    made = np.zeros((len(rows), len(rows)))
    for k, row in enumerate(rows):
        made[k, : len(row)] = row
    return made


def _as_floats(run: Unrolled) -> Linear:
    with mpmath.workdps(PRECISION):
        sigmas = np.asarray([float(mpmath.exp(-call.lam)) for call in run.calls])
        return Linear(sigmas, _square([[float(w) for w in row] for row in _rows(run)]))


def end(problem: Problem, run: Linear, x: Tensor) -> Tensor:
    """Ends of a run from states x (n, *shape)."""
    outputs: list[Tensor] = []
    for j, sigma in enumerate(run.sigmas):
        state = _mixed(run.weights[j], x, outputs)
        with torch.no_grad():
            outputs.append(_chunked(problem, state, torch.tensor(sigma, dtype=x.dtype)))
    return _mixed(run.weights[-1], x, outputs)


def _mixed(row: Array, x: Tensor, outputs: list[Tensor]) -> Tensor:
    state = float(row[0]) * x
    for weight, output in zip(row[1:], outputs, strict=False):
        state = torch.add(state, output, alpha=float(weight))
    return state


def _chunked(problem: Problem, state: Tensor, sigma: Tensor) -> Tensor:
    return torch.cat([problem.denoiser(part, sigma) for part in state.split(problem.chunk)])


def squares(
    problem: Problem, numbers: Numbers, values: Array, x: Tensor, ends: Tensor
) -> tuple[float, Array, Array]:
    """Sum of squares of the end minus the target, its half gradient Jᵀr, and JᵀJ.

    Samples are taken a chunk at a time, so memory does not grow with their number.
    """
    run, d_levels, d_weights = derivatives(numbers, values)
    total, gradient = 0.0, np.zeros(numbers.count)
    normal = np.zeros((numbers.count, numbers.count))
    for first in range(0, len(x), problem.chunk):
        part = slice(first, first + problem.chunk)
        residual, slopes = _tangents(problem, run, d_levels, d_weights, x[part], ends[part])
        flat, missing = slopes.flatten(1).double(), residual.flatten().double()
        total += float(missing @ missing)
        gradient += (flat @ missing).numpy()
        normal += (flat @ flat.T).numpy()
    return total, gradient, normal


def _tangents(
    problem: Problem, run: Linear, d_levels: Array, d_weights: Array, x: Tensor, ends: Tensor
) -> tuple[Tensor, Tensor]:
    """Residual (b, …) and derivatives of the end by every free number (P, b, …)."""
    outputs: list[Tensor] = []
    slopes: list[Tensor] = []
    for j in range(run.calls + 1):
        state = _mixed(run.weights[j], x, outputs)
        known = torch.stack([x, *outputs])
        direct = torch.as_tensor(np.ascontiguousarray(d_weights[:, j, : j + 1]), dtype=x.dtype)
        moved = (direct @ known.flatten(1)).reshape(-1, *x.shape)
        for weight, slope in zip(run.weights[j, 1:], slopes, strict=False):
            moved.add_(slope, alpha=float(weight))
        if j == run.calls:
            return state - ends, moved
        sigma = torch.tensor(run.sigmas[j], dtype=x.dtype)
        with torch.no_grad():
            still = torch.zeros_like(state)
            output, by_level = turned(problem, state, sigma, still, torch.ones_like(sigma))
            active = np.flatnonzero(moved.flatten(1).abs().amax(1).numpy())
            by_number = torch.zeros_like(moved)
            if len(active):
                by_number[active] = along(problem, state, sigma)(moved[active])
        column = torch.as_tensor(np.ascontiguousarray(d_levels[:, j]), dtype=x.dtype)
        by_number += column.reshape(-1, *([1] * x.ndim)) * by_level
        outputs.append(output)
        slopes.append(by_number)
    raise AssertionError("the last row returns")
