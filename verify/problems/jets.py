"""Derivatives of the denoiser along exact trajectories, by truncated power series.

For a 1-D mixture, u' = -kappa u + N(lam, u) with u = x/alpha, N = D (kappa = 1) or u = x/sigma,
N = -eps (kappa = -1). The total derivatives D^(l) = d^l N / dlam^l and J_m^(l) = d^l/dlam^l of the
m-th u-derivative of N are read from one bivariate series N(lam + t, u(lam + t) + v).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .mixture import GaussianMixture

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """Bivariate series: terms[i, j] is the coefficient of t^i v^j, an array over trajectories."""

    terms: Array

    @classmethod
    def constant(cls, value: Array, rows: int, columns: int) -> Series:
        """A number (array over trajectories) as a series."""
        terms = np.zeros((rows, columns, *np.shape(value)))
        terms[0, 0] = value
        return cls(terms)

    def __add__(self, other: Series) -> Series:
        return Series(self.terms + other.terms)

    def __sub__(self, other: Series) -> Series:
        return Series(self.terms - other.terms)

    def scaled(self, factor: float) -> Series:
        """All terms times a number."""
        return Series(self.terms * factor)

    def shifted(self, value: Array | float) -> Series:
        """The constant term moved by a number."""
        terms = self.terms.copy()
        terms[0, 0] += value
        return Series(terms)

    def __mul__(self, other: Series) -> Series:
        rows, columns = self.terms.shape[:2]
        out = np.zeros(np.broadcast_shapes(self.terms.shape, other.terms.shape))
        for i in range(rows):
            for j in range(columns):
                if np.any(self.terms[i, j]):
                    out[i:, j:] += self.terms[i, j] * other.terms[: rows - i, : columns - j]
        return Series(out)

    def _depth(self) -> int:
        return self.terms.shape[0] + self.terms.shape[1] - 2

    def _composed(self, coefficients: list[float]) -> Series:
        """sum c_k s^k by Horner, for a series s without constant term."""
        rows, columns = self.terms.shape[:2]
        zero = np.zeros(self.terms.shape[2:])
        out = Series.constant(zero + coefficients[-1], rows, columns)
        for c in reversed(coefficients[:-1]):
            out = (self * out).shifted(c)
        return out

    def exp(self) -> Series:
        """Exponential."""
        inner = self.shifted(-self.terms[0, 0])
        made = inner._composed([1 / math.factorial(k) for k in range(self._depth() + 1)])
        return Series(made.terms * np.exp(self.terms[0, 0]))

    def inverse(self) -> Series:
        """Reciprocal."""
        inner = Series(self.terms / self.terms[0, 0]).shifted(-1.0)
        made = inner._composed([(-1.0) ** k for k in range(self._depth() + 1)])
        return Series(made.terms / self.terms[0, 0])

    def log(self) -> Series:
        """Logarithm."""
        inner = Series(self.terms / self.terms[0, 0]).shifted(-1.0)
        depth = self._depth()
        made = inner._composed([0.0, *[(-1.0) ** (k + 1) / k for k in range(1, depth + 1)]])
        return made.shifted(np.log(self.terms[0, 0]))


def _denoiser(mixture: GaussianMixture, lam: Array, x: Series) -> Series:
    """E[x0 | x] with sigma = e^-(lam + t), for a series x."""
    rows, _columns = x.terms.shape[:2]
    time = np.zeros_like(x.terms)
    time[0, 0] = lam
    if rows > 1:
        time[1, 0] = 1.0
    noise = Series(time).scaled(-2.0).exp()
    logs, answers = [], []
    variances = mixture.variances[:, 0].tolist()
    means = mixture.means[:, 0].tolist()
    for weight, mean, variance in zip(mixture.weights.tolist(), means, variances, strict=True):
        total = noise.shifted(variance)
        delta = x.shifted(-mean)
        ratio = delta * total.inverse()
        log = (delta * ratio).scaled(-0.5) - total.log().scaled(0.5)
        logs.append(log.shifted(math.log(weight)))
        answers.append(ratio.scaled(variance).shifted(mean))
    top = np.max([log.terms[0, 0] for log in logs], axis=0)
    shares = [log.shifted(-top).exp() for log in logs]
    norm = sum(shares[1:], shares[0])
    mean = sum(
        (s * a for s, a in zip(shares[1:], answers[1:], strict=True)), shares[0] * answers[0]
    )
    return mean * norm.inverse()


def integrand_series(
    mixture: GaussianMixture, kappa: int, lam: Array, x: Array, rows: int, columns: int
) -> Array:
    """Coefficients of N(lam + t, u(lam + t) + v) along exact trajectories.

    Args:
        kappa: 1 (data) or -1 (noise).
        lam: (...) and x: (...) points of exact trajectories, alpha = 1.
        rows, columns: number of powers of t and of v.

    Returns:
        (rows, columns, ...): entry [l, m] is J_m^(l) / (l! m!), with J_0 = N.
    """
    u = x if kappa == 1 else x * np.exp(lam)
    path = np.zeros((rows, columns, *np.shape(u)))
    path[0, 0] = u
    for k in range(rows):
        # each pass makes one more coefficient of u(lam + t) right
        here = Series(path[:, :1].copy())
        value = _integrand(mixture, kappa, lam, here).terms[:, 0]
        if k + 1 < rows:
            path[k + 1, 0] = (-kappa * path[k, 0] + value[k]) / (k + 1)
    if columns > 1:
        path[0, 1] = 1.0
    return _integrand(mixture, kappa, lam, Series(path)).terms


def _integrand(mixture: GaussianMixture, kappa: int, lam: Array, u: Series) -> Series:
    if kappa == 1:
        return _denoiser(mixture, lam, u)
    decay = np.zeros_like(u.terms)
    decay[0, 0] = -lam
    if u.terms.shape[0] > 1:
        decay[1, 0] = -1.0
    sigma = Series(decay).exp()
    # N = -eps = (D - x) / sigma = D / sigma - u
    denoised = _denoiser(mixture, lam, sigma * u)
    return denoised * sigma.inverse() - u
