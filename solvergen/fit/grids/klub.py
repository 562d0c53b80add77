"""The objective of Align Your Steps, exactly: a Riemann sum of the denoising error over the SNR.

Sabour et al. 2024 bound the divergence of a run of N steps (of the reverse SDE, D frozen in every
step) by Σ_n ∫ t⁻³ E|D(x_t) − D(x_{t_n})|² dt. The exact denoiser is a martingale, so that expectation
is mmse(t_n) − mmse(t), and the bound is

    KLUB = ½ [Σ_n mmse(λ_n) (snr_{n+1} − snr_n) − ∫ mmse d snr],    snr = e^{2λ}.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from scipy.linalg import solve_banded

from ..problem import Problem
from ..table import Array


@dataclass(frozen=True)
class DenoisingError:
    """mmse(λ) = E|x0 − D|², as a spline of its logarithm through measured values.

    Args:
        lams: ascending λ = −log σ; values: mmse there.
    """

    lams: Array
    values: Array

    @cached_property
    def _spline(self) -> Callable[..., Array]:
        degree = 5 if len(self.lams) > 5 else 1
        made: Callable[..., Array] = make_interp_spline(self.lams, np.log(self.values), k=degree)
        return made

    def __call__(self, lam: Array) -> Array:
        """mmse at λ."""
        return np.exp(self._spline(lam))

    def slopes(self, lam: Array) -> tuple[Array, Array]:
        """First and second derivative by λ."""
        value, first, second = self(lam), self._spline(lam, 1), self._spline(lam, 2)
        return value * first, value * (second + first**2)

    @cached_property
    def integral(self) -> float:
        """∫ mmse d snr over the whole range, by Gauss-Legendre between the given points."""
        nodes, weights = np.polynomial.legendre.leggauss(8)
        low, high = self.lams[:-1, None], self.lams[1:, None]
        lam = (high + low) / 2 + (high - low) / 2 * nodes
        return float((self(lam) * 2 * np.exp(2 * lam) * weights * (high - low) / 2).sum())


def measured(
    problem: Problem, ends: torch.Tensor, points: int = 60, seed: int = 0
) -> DenoisingError:
    """The mean squared error of a model's denoiser as a function of the level: its training loss.

    Args:
        problem: the model.
        ends: samples of the data (n, *shape); ends of a good sampler will do.
        points: levels, equally spaced in λ.
    """
    lams = np.linspace(-math.log(problem.sigma_max), -math.log(problem.sigma_min), points)
    made = torch.Generator().manual_seed(seed)
    values = []
    for lam in lams:
        noise = torch.randn(ends.shape, generator=made).to(ends)
        sigma = torch.tensor(math.exp(-lam), dtype=ends.dtype)
        total = 0.0
        for x, clean in zip(
            (ends + sigma * noise).split(problem.chunk), ends.split(problem.chunk), strict=True
        ):
            with torch.no_grad():
                total += float(((problem.denoiser(x, sigma) - clean).double() ** 2).sum())
        values.append(total / len(ends))
    return DenoisingError(lams, np.minimum.accumulate(np.asarray(values)))


def klub(error: DenoisingError, lams: Sequence[float]) -> float:
    """KLUB of a grid that spans the whole range of the measured error."""
    at = np.asarray(lams)
    return float((error(at[:-1]) * np.diff(np.exp(2 * at))).sum() - error.integral) / 2


def klub_grid(error: DenoisingError, steps: int, fine: int = 401) -> Array:
    """The λ of the grid of so many steps with the least KLUB.

    Global: dynamic programming over a fine grid, then Newton's method on the levels themselves.
    """
    first, last = float(error.lams[0]), float(error.lams[-1])
    points = np.linspace(first, last, max(fine, steps + 1))
    cost = error(points)[:, None] * (np.exp(2 * points)[None] - np.exp(2 * points)[:, None])
    cost[np.tril_indices(len(points))] = np.inf
    value, chosen = cost[:, -1], []
    for _ in range(steps - 1):
        total = cost + value[None]
        chosen.append(total.argmin(1))
        value = total.min(1)
    path = [0]
    for choice in chosen[::-1]:
        path.append(int(choice[path[-1]]))
    lams = np.append(points[path], last)
    return _polished(error, lams)


def _polished(error: DenoisingError, lams: Array) -> Array:
    """Newton's method on the stationarity conditions, whose matrix is tridiagonal."""
    for _ in range(50):
        inner, snr, level = lams[1:-1], np.exp(2 * lams), error(lams)
        if not len(inner):
            break
        first, second = error.slopes(inner)
        ahead, here = snr[2:] - snr[1:-1], 2 * snr[1:-1]
        gradient = first * ahead + (level[:-2] - level[1:-1]) * here
        diagonal = second * ahead - 2 * first * here + (level[:-2] - level[1:-1]) * 2 * here
        beside = first[:-1] * here[1:]
        bands = np.zeros((3, len(inner)))
        bands[0, 1:], bands[1], bands[2, :-1] = beside, diagonal, beside
        step = -solve_banded((1, 1), bands, gradient)
        room = np.diff(lams).min() / 3
        step *= min(1.0, room / max(np.abs(step).max(), 1e-300))
        lams = np.concatenate([lams[:1], inner + step, lams[-1:]])
        if np.abs(step).max() < 1e-12:
            break
    return lams
