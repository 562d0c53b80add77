"""The table of a solver that is exact on a Gaussian: levels, and shares of the model's outputs.

In units of the data's deviation s about its mean m, with σ = tan θ, the state x̂ = (x − m)/(s √(1+σ²))
obeys

    dx̂/dθ = −F,    F = (D̂ − x̂/√(1+σ²)) √(1+σ²)/σ,    D̂ = (D − m)/s,

and F = 0 on the Gaussian N(m, s²) (F is the output of a network with EDM's preconditioning). Every
linear sampler that is exact on that Gaussian is therefore

    x̂_i = x̂_0 + (θ_0 − θ_i) Σ_{j<i} share_ij F_j,    i = 1 … N,

whatever the shares; x̂_0 is the start itself, so the first call, at θ_0, costs nothing before it.
With Σ_j share_ij = 1 a constant F is integrated exactly, and the order in θ is at least 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Levels and shares of a solver of N calls.

    Args:
        levels: N descending levels σ in units of the deviation, where the model is called.
        shares: row i (from 1 to N) holds the i shares of the outputs before it; row N gives the end.
    """

    levels: tuple[float, ...]
    shares: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if any(a <= b for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError(f"levels must fall; found {list(self.levels)}")
        if [len(row) for row in self.shares] != list(range(1, len(self.levels) + 1)):
            raise ValueError("row i of the shares must have i entries, one row for each level")

    @property
    def calls(self) -> int:
        """N, the number of model calls."""
        return len(self.levels)

    @property
    def angles(self) -> Array:
        """θ = arctan σ of the levels."""
        return np.arctan(np.asarray(self.levels))

    def gain(self) -> float:
        """max_i Σ_j |share_ij|: how much an error of the model is magnified, 1 at least."""
        return max(sum(map(abs, row)) for row in self.shares)

    def defects(self) -> tuple[float, ...]:
        """Σ_j share_ij − 1 of every row: 0 where a constant F is integrated exactly."""
        return tuple(sum(row) - 1 for row in self.shares)

    def rounded(self, digits: int = 12) -> Table:
        """The same numbers with so many significant digits, as a file holds them."""

        def cut(value: float) -> float:
            return float(f"{value:.{digits}g}")

        return Table(
            tuple(map(cut, self.levels)), tuple(tuple(map(cut, row)) for row in self.shares)
        )


def adams(levels: Sequence[float], end: float, order: int) -> Table:
    """The Adams-Bashforth rule in θ on these levels, as a table: every fit starts from one.

    Args:
        levels: N descending levels in units of the deviation.
        end: the level of the result, in the same units.
        order: most outputs that a step uses.

    >>> table = adams([4.0, 1.0, 0.3], 0.01, 2)
    >>> [round(sum(row), 12) for row in table.shares]
    [1.0, 1.0, 1.0]
    """
    angles = np.append(np.arctan(np.asarray(levels)), math.atan(end))
    n = len(levels)
    total = np.zeros((n + 1, n))
    for i in range(n):
        nodes = np.arange(max(0, i - order + 1), i + 1)
        centre = angles[i]
        powers = np.arange(len(nodes))
        matrix = (angles[nodes][None, :] - centre) ** powers[:, None]
        step = angles[i + 1] - centre
        moments = -(step ** (powers + 1)) / (powers + 1)
        total[i + 1] = total[i]
        total[i + 1, nodes] += np.linalg.solve(matrix, moments)
    shares = [total[i, :i] / (angles[0] - angles[i]) for i in range(1, n + 1)]
    return Table(tuple(map(float, levels)), tuple(tuple(map(float, row)) for row in shares))


FROZEN = ((1.0,), (1.5, -0.5), (23 / 12, -16 / 12, 5 / 12))


def frozen(levels: Sequence[float], end: float, order: int) -> Table:
    """Adams-Bashforth weights of equal steps, used on any levels, as iPNDM does in σ.

    At few calls this extrapolates less than weights that follow the steps.

    >>> table = frozen([4.0, 1.0, 0.3], 0.01, 2)
    >>> [round(sum(row), 12) for row in table.shares]
    [1.0, 1.0, 1.0]
    """
    angles = np.append(np.arctan(np.asarray(levels)), math.atan(end))
    total = np.zeros(len(levels))
    rows = []
    for i in range(len(levels)):
        for back, weight in enumerate(FROZEN[min(order, i + 1) - 1]):
            total[i - back] += (angles[i] - angles[i + 1]) * weight
        rows.append(tuple(map(float, total[: i + 1] / (angles[0] - angles[i + 1]))))
    return Table(tuple(map(float, levels)), tuple(rows))


def spread(table: Table, calls: int) -> tuple[float, ...]:
    """The levels of a table for another number of calls: linear in log σ, the ends a little wider.

    >>> spread(Table((4.0, 1.0), ((1.0,), (0.5, 0.5))), 2)
    (4.0, 1.0)
    """
    logs = np.log(np.asarray(table.levels))
    grow = 0.5 * math.log(calls / table.calls)
    shape = np.interp(np.linspace(0, 1, calls), np.linspace(0, 1, len(logs)), logs)
    part = (shape - shape[0]) / (shape[-1] - shape[0])
    first, last = logs[0] + grow, logs[-1] - grow
    return tuple(float(v) for v in np.exp(first + part * (last - first)))


def grown(table: Table) -> Table:
    """A table of one call more with the same end: the new output has no weight yet.

    The call is put into the widest gap of log σ, at a state between its neighbours'.

    >>> more = grown(Table((8.0, 2.0, 1.0), ((1.0,), (0.5, 0.5), (0.2, 0.3, 0.5))))
    >>> more.levels[1], more.shares[-1]
    (4.0, (0.2, 0.0, 0.3, 0.5))
    """
    logs = np.log(np.asarray(table.levels))
    at = int(np.argmax(logs[:-1] - logs[1:])) + 1
    level = math.exp((logs[at - 1] + logs[at]) / 2)
    angles, angle = table.angles, math.atan(level)
    part = (angles[at - 1] - angle) / (angles[at - 1] - angles[at])
    before = np.zeros(at)
    if at > 1:
        before[: at - 1] = (angles[0] - angles[at - 1]) * np.asarray(table.shares[at - 2])
    after = (angles[0] - angles[at]) * np.asarray(table.shares[at - 1])
    row = ((1 - part) * before + part * after) / (angles[0] - angle)
    later = [(*shares[:at], 0.0, *shares[at:]) for shares in table.shares[at - 1 :]]
    levels = (*table.levels[:at], round(level, 12), *table.levels[at:])
    return Table(levels, (*table.shares[: at - 1], tuple(map(float, row)), *later))


def coefficients(table: Table, start: float, end: float) -> tuple[Array, Array]:
    """The table as combinations of the start and the denoised outputs.

    State i (the calls 0 … N−1, then the end N) is, in units of the deviation about the mean,
    a_i z + Σ_j c_ij D̂_j.

    Args:
        table: levels and shares.
        start, end: levels of the start z and of the result, in units of the deviation.

    Returns:
        a (N + 1) and c (N + 1, N).
    """
    n = table.calls
    levels = np.append(np.asarray(table.levels), end)
    angles = np.arctan(levels)
    scale = np.hypot(1.0, levels)
    first = 1 / math.hypot(1.0, start)
    states = np.zeros((n + 1, n + 1))  # of x̂: the factor of z, then of the outputs
    outputs = np.zeros((n, n + 1))  # of F
    states[0, 0] = first
    for i in range(n + 1):
        if i:
            row = (angles[0] - angles[i]) * np.asarray(table.shares[i - 1])
            states[i] = states[0] + row @ outputs[:i]
        if i < n:
            outputs[i] = -states[i] / levels[i]
            outputs[i, 1 + i] += scale[i] / levels[i]
    states *= scale[:, None]
    return states[:, 0], states[:, 1:]
