"""The same mixtures at any precision (mpmath), and exact end points in one dimension.

In one dimension the probability-flow ODE conserves the distribution function: F_lam(x_lam) is
constant along a trajectory. That gives the exact solution without an ODE solver, and its
derivative with respect to the start is the ratio of densities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
from mpmath import mp, mpf

from ..errors import ExactnessError
from .mixture import GaussianMixture

Number = Any


@dataclass(frozen=True)
class PreciseMixture:
    """A mixture whose arithmetic follows mpmath's working precision.

    Args:
        weights: k positive numbers or decimal strings.
        means: k points of d numbers.
        covariances: k matrices d x d (lists of lists).
    """

    weights: tuple[Number, ...]
    means: tuple[tuple[Number, ...], ...]
    covariances: tuple[Any, ...]

    @classmethod
    def isotropic(
        cls, weights: Sequence[Any], means: Sequence[Sequence[Any]], std: Sequence[Any]
    ) -> PreciseMixture:
        """From standard deviations, one a component; decimal strings stay exact."""
        d = len(means[0])
        cov = [
            [[mpf(s) ** 2 if i == j else mpf(0) for j in range(d)] for i in range(d)] for s in std
        ]
        return cls(
            tuple(mpf(w) for w in weights),
            tuple(tuple(mpf(v) for v in m) for m in means),
            tuple(mpmath.matrix(c) for c in cov),
        )

    @classmethod
    def of(cls, mixture: GaussianMixture) -> PreciseMixture:
        """The float64 parameters of a torch mixture, taken as exact numbers."""
        means = mixture.means.double().tolist()
        d = mixture.dimension
        matrices = []
        for k, values in enumerate(mixture.variances.double().tolist()):
            if mixture.axes is None:
                matrices.append(mpmath.eye(d) * mpf(values[0]))
            else:
                axes = mpmath.matrix(mixture.axes[k].double().tolist())
                matrices.append(axes * mpmath.diag([mpf(v) for v in values]) * axes.T)
        weights = tuple(mpf(w) for w in mixture.weights.double().tolist())
        return cls(weights, tuple(tuple(mpf(v) for v in m) for m in means), tuple(matrices))

    def denoise(self, x: Sequence[Number], alpha: Number, sigma: Number) -> list[Number]:
        """E[x0 | x] for one state of d numbers."""
        d = len(x)
        logs, shifted = [], []
        for w, m, c in zip(self.weights, self.means, self.covariances, strict=True):
            total = alpha**2 * c + sigma**2 * mpmath.eye(d)
            delta = mpmath.matrix([x[i] - alpha * m[i] for i in range(d)])
            solved = mpmath.lu_solve(total, delta)
            quad = (delta.T * solved)[0]
            logs.append(mpmath.log(w) - quad / 2 - mpmath.log(mpmath.det(total)) / 2)
            shift = alpha * (c * solved)
            shifted.append([m[i] + shift[i] for i in range(d)])
        top = max(logs)
        shares = [mpmath.exp(v - top) for v in logs]
        norm = mpmath.fsum(shares)
        return [
            mpmath.fsum(s * row[i] for s, row in zip(shares, shifted, strict=True)) / norm
            for i in range(d)
        ]

    def _spread(self, k: int, alpha: Number, sigma: Number) -> Number:
        return mpmath.sqrt(alpha**2 * self.covariances[k][0, 0] + sigma**2)

    def cdf(self, x: Number, alpha: Number, sigma: Number) -> Number:
        """Distribution function of alpha x0 + sigma eps, one dimension only."""
        return mpmath.fsum(
            w * mpmath.ncdf((x - alpha * m[0]) / self._spread(k, alpha, sigma))
            for k, (w, m) in enumerate(zip(self.weights, self.means, strict=True))
        )

    def pdf(self, x: Number, alpha: Number, sigma: Number) -> Number:
        """Density of alpha x0 + sigma eps, one dimension only."""
        return mpmath.fsum(
            w * mpmath.npdf(x, alpha * m[0], self._spread(k, alpha, sigma))
            for k, (w, m) in enumerate(zip(self.weights, self.means, strict=True))
        )


def transport(
    mixture: PreciseMixture, x: Number, sigma: Number, sigma_end: Number, *, digits: int = 30
) -> Number:
    """Exact end point of the 1-D probability-flow ODE from noise level sigma to sigma_end.

    Scaling x = x0 + sigma eps; both levels and x as numbers or decimal strings.

    Args:
        digits: correct decimal digits asked for.

    Raises:
        ExactnessError: more than one dimension, or the root was not found.
    """
    if len(mixture.means[0]) != 1:
        raise ExactnessError(
            "exact transport: needs one dimension; found "
            f"{len(mixture.means[0])}; use reference.integrated_ends"
        )
    with mp.workdps(digits + 10):
        one, x, s0, s1 = mpf(1), mpf(x), mpf(sigma), mpf(sigma_end)
        goal = mixture.cdf(x, one, s0)
        low, high = _bracket(mixture, goal, s1)
        for _ in range(200):
            middle = (low + high) / 2
            if high - low < mpf(10) ** (-8):
                break
            if mixture.cdf(middle, one, s1) < goal:
                low = middle
            else:
                high = middle
        y = (low + high) / 2
        for _ in range(60):
            step = (mixture.cdf(y, one, s1) - goal) / mixture.pdf(y, one, s1)
            y -= step
            if abs(step) < mpf(10) ** (-digits - 3):
                return +y
    raise ExactnessError(
        f"exact transport: Newton did not reach {digits} digits from x = {x} at sigma = {sigma}"
    )


def _bracket(mixture: PreciseMixture, goal: Number, sigma: Number) -> tuple[Number, Number]:
    """An interval on which the distribution function passes the goal."""
    one, reach = mpf(1), mpf(1)
    while mixture.cdf(-reach, one, sigma) > goal or mixture.cdf(reach, one, sigma) < goal:
        reach *= 2
        if reach > mpf(10) ** 9:
            raise ExactnessError("exact transport: the start lies too far in the tail")
    return -reach, reach
