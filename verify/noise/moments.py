"""Exact mean and covariance of a traced sampler on a Gaussian target; no random numbers.

On data N(mu, C) the denoiser is affine, one gain per eigenvalue c2 of C, so that every state of a
run is an affine function of the start value and of the draws. One triangular system per c2 gives
that function for all states of the run at once.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from ..probe.noise_trace import NoiseTrace

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

VARIANCES = (0.05, 0.6, 4.0)
FULL = 1.0 - 1e-12


@dataclass(frozen=True)
class States:
    """The states of one run on N(mu, c2), as functions of start value, mu and independent draws.

    Args:
        c2: variance of the data in this direction.
        start, target: (k+1,) factors of the start value and of mu.
        noise: (k+1, m) factors of the draws.
        nodes: (k+1,) noise levels of the states.
    """

    c2: float
    start: Array
    target: Array
    noise: Array
    nodes: Array

    def covariance(self, rows: Rows, first: float) -> Array:
        """Variances of some states when the start value has variance `first`."""
        out: Array = self.start[rows] ** 2 * first + (self.noise[rows] ** 2).sum(axis=1)
        return out


def states(traced: NoiseTrace, c2: float, gap: Array | None = None) -> States:
    """Solve for every state of a run.

    Args:
        c2: variance of the data.
        gap: (k+1, m) weights of independent draws in place of those traced.
    """
    made = traced.drift
    calls = made.calls
    noise = traced.independent if gap is None else gap
    gain = c2 / (c2 + made.nodes[:calls] ** 2)
    right = np.concatenate(
        [made.start[:, None], (made.weights @ (1 - gain))[:, None], noise], axis=1
    )
    system = np.eye(calls) - made.weights[:calls] * gain
    inner = solve_triangular(system, right[:calls], lower=True, unit_diagonal=True)
    last = right[calls] + (made.weights[calls] * gain) @ inner
    out = np.concatenate([inner, last[None]], axis=0)
    return States(c2, out[:, 0], out[:, 1], out[:, 2:], made.nodes)


@dataclass(frozen=True)
class Steps:
    """One run cut at the states that its steps begin with.

    Args:
        rows: (n+1,) row of the state at which each step begins; last, the result.
        grid: (n+1,) index of the grid level of each of these rows.
        levels: (n+2,) noise level of the start value, then of these rows.
        strength: (n+1,) integral of tau^2 over lambda, from the variance that each step adds.
        added: (n+1,) half that variance over s^2: the same integral as h goes to zero, which no
            step is too long for.
        columns: for each step, the draws (independent ones) that it brings in.
    """

    rows: Rows
    grid: Rows
    levels: Array
    strength: Array
    added: Array
    columns: tuple[Rows, ...]


@lru_cache(maxsize=8)
def steps(traced: NoiseTrace) -> Steps:
    """Cut a run into steps and read the strength of its noise.

    A step that adds variance q and ends at level s has a tau^2 whose integral over lambda is
    -log(1 - q / s^2) / 2: exact for the semilinear forms, right as h goes to zero for all.
    """
    rows = step_rows(traced)
    noise = traced.independent
    grid = np.arange(len(rows))
    kept = _carried_on(traced, rows)
    rows, grid = rows[kept], grid[kept]
    levels = np.concatenate([traced.drift.sigmas[:1], traced.drift.nodes[rows]])
    first = _first_rows(noise)
    added, columns = np.zeros(len(rows)), []
    before = -1
    for i, row in enumerate(rows):
        new = np.flatnonzero((first > before) & (first <= row))
        added[i] = 0.5 * float((noise[row, new] ** 2).sum()) / levels[i + 1] ** 2
        columns.append(new)
        before = int(row)
    strength = -0.5 * np.log1p(-np.minimum(2 * added, FULL))
    return Steps(rows, grid, levels, strength, added, tuple(columns))


def _first_rows(noise: Array) -> Rows:
    """(m,) the first row that each draw reaches; the number of rows where it reaches none."""
    seen = np.abs(noise) > 1e-14
    out: Rows = np.where(seen.any(axis=0), seen.argmax(axis=0), len(noise))
    return out


def _carried_on(traced: NoiseTrace, rows: Rows) -> NDArray[np.bool_]:
    """Which of these states the run goes on from.

    A scheduler that spends grid levels on stages starts each step anew from an older state: the
    noise that it added for a stage is dropped. When every state is left like that, all are kept.
    """
    noise, start = traced.independent, traced.drift.start
    kept = np.ones(len(rows), dtype=bool)
    first = _first_rows(noise)
    for i, (low, row) in enumerate(itertools.pairwise(rows), start=1):
        new = (np.abs(noise[row]) > 1e-14) & (first > low)
        if i == len(rows) - 1 or not new.any() or start[row] == 0:
            continue
        ahead = noise[rows[-1], new]
        expected = noise[row, new] * start[rows[-1]] / start[row]
        kept[i] = not np.abs(ahead).max() < 1e-6 * np.abs(expected).max()
    return kept if kept.sum() > len(rows) // 4 else np.ones(len(rows), dtype=bool)


def step_rows(traced: NoiseTrace) -> Rows:
    """Row of the state that begins each step, then the row of the result."""
    made = traced.drift
    n = made.steps
    if made.calls % n == 0:
        return np.append(np.arange(n) * (made.calls // n), made.calls)
    # a sampler with extra calls somewhere: the first call at or below each level
    found, row = [], 0
    for level in made.sigmas[:-1]:
        while row < made.calls - 1 and made.nodes[row] > level * (1 + 1e-9):
            row += 1
        found.append(row)
    return np.append(np.asarray(found), made.calls)


def log_variance(c2: float, levels: Array) -> Array:
    """log of the marginal variance c2 + sigma^2."""
    out: Array = np.log(c2 + levels**2)
    return out


def pull(cut: Steps, c2: float) -> Array:
    """(n+1,) sum over steps of tau^2 d log(variance), from the start value to each step's row."""
    distance = np.diff(-np.log(cut.levels))
    change = np.diff(log_variance(c2, cut.levels))
    slope = np.divide(change, distance, out=np.zeros_like(change), where=distance != 0)
    out: Array = np.cumsum(cut.strength * slope)
    return out
