"""Grids of noise levels σ/α between a least and a greatest level.

Each has n steps, n + 1 descending levels. With ``zero`` (the libraries' way) the level σ_min is the
last but one and the last step goes to 0; without, the grid ends at σ_min.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .distribution import beta_quantile
from .schedules import between

# Sabour et al. 2024 (Align Your Steps), as the authors publish them: ten steps and the end.
ALIGN_YOUR_STEPS = {
    "sd1": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
    "svd": (700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}


def karras(
    n: int, sigma_min: float, sigma_max: float, rho: float = 7.0, zero: bool = True
) -> list[float]:
    """Equal steps in σ^(1/ρ): Karras et al. 2022, Eq. 5.

    >>> karras(2, 1.0, 4.0, rho=1.0)
    [4.0, 1.0, 0.0]
    >>> karras(3, 1.0, 4.0, rho=1.0, zero=False)
    [4.0, 3.0, 2.0, 1.0]
    """
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return _descend(n, sigma_min, sigma_max, zero, lambda u: (high + u * (low - high)) ** rho)


def exponential(n: int, sigma_min: float, sigma_max: float, zero: bool = True) -> list[float]:
    """Equal steps in log σ, which is uniform λ.

    >>> [round(level, 12) for level in exponential(2, 0.01, 1.0, zero=False)]
    [1.0, 0.1, 0.01]
    """
    return polyexponential(n, sigma_min, sigma_max, 1.0, zero)


def polyexponential(
    n: int, sigma_min: float, sigma_max: float, rho: float = 1.0, zero: bool = True
) -> list[float]:
    """log σ falls as the power ρ of a straight line (k-diffusion)."""
    high, low = math.log(sigma_max), math.log(sigma_min)

    def level(u: float) -> float:
        return math.exp((1 - u) ** rho * (high - low) + low)

    return _descend(n, sigma_min, sigma_max, zero, level)


def kl_optimal(n: int, sigma_min: float, sigma_max: float, zero: bool = True) -> list[float]:
    """Equal steps in arctan σ (Sabour et al. 2024, Theorem 3.1 for a Gaussian).

    >>> [round(level, 12) for level in kl_optimal(2, 0.0, 1.0, zero=False)]
    [1.0, 0.414213562373, 0.0]
    """
    high, low = math.atan(sigma_max), math.atan(sigma_min)
    return _descend(n, sigma_min, sigma_max, zero, lambda u: math.tan(high + u * (low - high)))


def beta_levels(
    n: int,
    sigma_min: float,
    sigma_max: float,
    alpha: float = 0.6,
    beta: float = 0.6,
    zero: bool = True,
) -> list[float]:
    """Levels at quantiles of a beta distribution (Lee et al. 2024, arXiv 2407.12173; diffusers).

    >>> [round(level, 12) for level in beta_levels(2, 0.0, 1.0, 1.0, 1.0, zero=False)]
    [1.0, 0.5, 0.0]
    """

    def level(u: float) -> float:
        return sigma_min + beta_quantile(1 - u, alpha, beta) * (sigma_max - sigma_min)

    return _descend(n, sigma_min, sigma_max, zero, level)


def align_your_steps(n: int, model: str = "sd1", zero: bool = True) -> list[float]:
    """The optimised grids of Align Your Steps; other n than 10 by interpolation of log σ.

    Args:
        n: number of steps.
        model: "sd1", "sdxl" or "svd".
        zero: whether the last level is 0 in place of the table's end.

    Raises:
        ValueError: no table for that model, or fewer than one step.

    >>> align_your_steps(10, "sdxl")[:3]
    [14.615, 6.315, 3.771]
    """
    if model not in ALIGN_YOUR_STEPS:
        raise ValueError(f"no table for `{model}`; known are {', '.join(ALIGN_YOUR_STEPS)}")
    levels = log_linear(ALIGN_YOUR_STEPS[model], n)
    return [*levels[:-1], 0.0] if zero else levels


def log_linear(levels: Sequence[float], n: int) -> list[float]:
    """A grid of n steps by piecewise linear interpolation of the logarithm of another grid."""
    if n == len(levels) - 1:
        return list(levels)
    found = []
    for place in between(0.0, float(len(levels) - 1), n):
        left = min(int(place), len(levels) - 2)
        low, high = math.log(levels[left]), math.log(levels[left + 1])
        found.append(math.exp(low + (place - left) * (high - low)))
    return found


def _descend(
    n: int, sigma_min: float, sigma_max: float, zero: bool, level: Callable[[float], float]
) -> list[float]:
    """σ_max … σ_min with exact ends, and a last 0 if asked for."""
    if not 0 <= sigma_min < sigma_max:
        raise ValueError(f"levels need 0 <= sigma_min < sigma_max; found {sigma_min}, {sigma_max}")
    steps = n - 1 if zero else n
    if zero and n == 1:
        return [sigma_max, 0.0]
    inner = [level(u) for u in between(0.0, 1.0, steps)[1:-1]]
    return [sigma_max, *inner, sigma_min] + [0.0] * zero
