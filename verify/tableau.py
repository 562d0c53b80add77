"""A trace read as one explicit Runge-Kutta tableau of a plain ODE.

The probability-flow ODE is plain, dY/dclock = f, in three forms; a sampler's rows are sparse in the
one that it was written in, and that is the form whose moments explain it:

    data      Y = x / sigma        clock = 1 / sigma         f = D
    noise     Y = x                clock = sigma             f = eps = (x - D) / sigma
    velocity  Y = x / (1 + sigma)  clock = sigma/(1+sigma)   f = eps - D

with x = x0 + sigma eps. The order does not depend on the form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from .trace import Trace

Array = NDArray[np.float64]
FORMS = ("data", "noise", "velocity")


@dataclass(frozen=True)
class Tableau:
    """Rows Y_i = (1 + drift_i) Y_0 + sum_j a_ij f_j at clock c_i; the last row is the result.

    Args:
        form: one of FORMS.
        c: (k+1,) clock.
        a: (k+1, k) weights.
        drift: (k+1,) deviation of the start value's weight from one.
        accepted: row of each grid level, see Trace.accepted.
    """

    form: str
    c: Array
    a: Array
    drift: Array
    accepted: tuple[int, ...]

    def support(self, relative: float = 1e-7) -> int:
        """Number of weights that the increments between accepted rows use, in all."""
        rows = [r for r in self.accepted if r >= 0]
        moves = np.diff(self.a[rows], axis=0)
        top = np.abs(moves).max(axis=1, keepdims=True) + 1e-300
        return int((np.abs(moves) > relative * top).sum())


def in_form(trace: Trace, form: str, after: int = 0) -> Tableau:
    """The tableau of a trace in one of the three forms."""
    s = trace.nodes
    clock, scale, keep, gain = _FORMULAS[form](s)
    k = trace.calls
    # D_j = keep_j x_j + gain_j f_j turns x = start x0 + W D into a triangular system for x
    inner = np.eye(k) - trace.weights[:k] * keep[None, :k]
    right = np.concatenate([trace.start[:k, None], trace.weights[:k] * gain[None, :k]], axis=1)
    solved = solve_triangular(inner, right, lower=True, unit_diagonal=True)
    last = trace.weights[k] * keep[:k] @ solved
    last[0] += trace.start[k]
    last[1:] += trace.weights[k] * gain[:k]
    rows = np.vstack([solved, last]) * scale[:, None]
    drift = rows[:, 0] / scale[0] - 1.0
    return Tableau(form, clock, rows[:, 1:], drift, tuple(trace.accepted(after)))


def own_form(trace: Trace, tolerance: float = 1e-7) -> Tableau:
    """The form in which the increments use the fewest weights; data when undecided."""
    made = [in_form(trace, form) for form in FORMS]
    return min(made, key=lambda t: t.support(tolerance))


def _data(s: Array) -> tuple[Array, Array, Array, Array]:
    return 1 / s, 1 / s, np.zeros_like(s), np.ones_like(s)


def _noise(s: Array) -> tuple[Array, Array, Array, Array]:
    return s, np.ones_like(s), np.ones_like(s), -s


def _velocity(s: Array) -> tuple[Array, Array, Array, Array]:
    return s / (1 + s), 1 / (1 + s), 1 / (1 + s), -s / (1 + s)


_FORMULAS = {"data": _data, "noise": _noise, "velocity": _velocity}


def accepted_row(table: Tableau, step: int) -> int:
    """The accepted row at a grid level, or the last row before it if the model is not called."""
    if table.accepted[step] >= 0:
        return table.accepted[step]
    known = [r for r in table.accepted[:step] if r >= 0]
    return known[-1]
