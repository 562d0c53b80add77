"""Quantiles of the beta distribution, without a statistics package."""

from __future__ import annotations

import math


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x in [0, 1] below which a beta(a, b) variable stays with probability p.

    Raises:
        ValueError: p outside [0, 1], or a or b not positive.

    >>> round(beta_quantile(0.25, 0.5, 0.5), 14) == round(math.sin(math.pi / 8) ** 2, 14)
    True
    """
    if not (0 <= p <= 1 and a > 0 and b > 0):
        raise ValueError(f"need 0 <= p <= 1 and a, b > 0; found p = {p}, a = {a}, b = {b}")
    if p in (0, 1):
        return float(p)
    if beta_cdf(0.5, a, b) < p:  # small quantiles are the accurate ones
        return 1 - beta_quantile(1 - p, b, a)
    low, high = 0.0, 0.5
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if beta_cdf(middle, a, b) < p:
            low = middle
        else:
            high = middle


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b).

    >>> round(beta_cdf(0.3, 2, 3), 12)
    0.3483
    """
    if x in (0, 1):
        return float(x)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    log_front = a * math.log(x) + b * math.log1p(-x)
    log_front += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_front) / (a * _fraction(x, a, b))


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b), from its tail (DLMF 8.17.22)."""
    value = 1.0
    for m in range(60, 0, -1):
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        value = 1 + even / (1 + odd / value)
    return 1 - (a + b) * x / ((a + 1) * value)
