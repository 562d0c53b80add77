"""A trace read as one explicit Runge-Kutta tableau of a plain ODE.

The probability-flow ODE is plain, dY/dclock = f, in four forms; a sampler's rows are sparse in the
one that it was written in, and that is the form whose moments explain it:

    data      Y = x / sigma        clock = 1 / sigma         f = D
    noise     Y = x                clock = sigma             f = eps = (x - D) / sigma
    velocity  Y = x / (1 + sigma)  clock = sigma/(1+sigma)   f = eps - D
    v         Y = x / sqrt(1 + sigma^2)  clock = atan sigma  f = (eps - sigma D) / sqrt(1 + sigma^2)

with x = x0 + sigma eps. The order does not depend on the form.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from ..errors import ConductError
from .trace import Trace

Array = NDArray[np.float64]
FORMS = ("data", "noise", "velocity", "v")


@dataclass(frozen=True)
class Tableau:
    """Rows Y_i = (1 + drift_i) Y_0 + sum_j a_ij f_j at clock c_i; the last row is the result.

    Args:
        form: one of FORMS.
        c: (k+1,) clock.
        a: (k+1, k) weights.
        drift: (k+1,) deviation of the start value's weight from one.
        accepted: row of each grid level, see Trace.accepted.
        past, own: (k+1, k+1), (k+1, k) the rows written on past states and on the outputs that they
            know, Y_i = sum_j past_ij Y_j + sum_j own_ij f_j; None where one past state is enough.
    """

    form: str
    c: Array
    a: Array
    drift: Array
    accepted: tuple[int, ...]
    past: Array | None = None
    own: Array | None = None

    @property
    def states(self) -> list[int]:
        """Rows that are the sampler's answer at a grid level."""
        return [r for r in self.accepted if r >= 0]

    def since(self, exact: int, result: int) -> tuple[Array, Array]:
        """Rows exact + 1 to result, written on Y up to row `exact` and on f.

        Returns:
            weights (result - exact, result) on f, and (result - exact, exact + 1) on Y.
        """
        rows = slice(exact + 1, result + 1)
        if self.past is None or self.own is None:
            known = np.zeros((result - exact, exact + 1))
            known[:, exact] = 1.0 + self.drift[rows] - self.drift[exact]
            return self.a[rows, :result] - self.a[exact, :result], known
        system = np.eye(result - exact) - self.past[rows, rows]
        right = np.concatenate([self.own[rows, :result], self.past[rows, : exact + 1]], axis=1)
        solved = solve_triangular(system, right, lower=True, unit_diagonal=True)
        return solved[:, :result], solved[:, result:]

    def move(self, low: int, high: int) -> tuple[Array, Array]:
        """Row `high` alone, written on Y up to row `low` and on f: weights (high,), (low + 1,)."""
        f, y = self.since(low, high)
        return f[-1], y[-1]

    def support(self, relative: float = 1e-7) -> int:
        """Number of weights that the increments between accepted rows use, in all."""
        count = 0
        for low, high in itertools.pairwise(self.states):
            f, y = self.move(low, high)
            count += int((np.abs(f) > relative * (np.abs(f).max() + 1e-300)).sum())
            count += int((np.abs(y) > relative).sum()) - 1
        return count


def in_form(trace: Trace, form: str, after: int = 0) -> Tableau:
    """The tableau of a trace in one of the four forms."""
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
    if not (np.isfinite(solved).all() and np.isfinite(last).all()):
        raise ConductError(
            "unproved",
            "its weights grow from step to step until they overflow: what one step leaves behind the next "
            "ones multiply (it is not zero-stable), so that nothing converges and no order can be read",
        )
    rows = np.vstack([solved, last]) * scale[:, None]
    drift = rows[:, 0] / scale[0] - 1.0
    return Tableau(form, clock, rows[:, 1:], drift, tuple(trace.accepted(after)))


def _data(s: Array) -> tuple[Array, Array, Array, Array]:
    return 1 / s, 1 / s, np.zeros_like(s), np.ones_like(s)


def _noise(s: Array) -> tuple[Array, Array, Array, Array]:
    return s, np.ones_like(s), np.ones_like(s), -s


def _velocity(s: Array) -> tuple[Array, Array, Array, Array]:
    return s / (1 + s), 1 / (1 + s), 1 / (1 + s), -s / (1 + s)


def _v(s: Array) -> tuple[Array, Array, Array, Array]:
    return np.arctan(s), 1 / np.sqrt(1 + s**2), 1 / (1 + s**2), -s / np.sqrt(1 + s**2)


_FORMULAS = {"data": _data, "noise": _noise, "velocity": _velocity, "v": _v}


def accepted_row(table: Tableau, step: int) -> int:
    """The accepted row at a grid level, or the last row before it if the model is not called."""
    if table.accepted[step] >= 0:
        return table.accepted[step]
    known = [r for r in table.accepted[:step] if r >= 0]
    return known[-1]
