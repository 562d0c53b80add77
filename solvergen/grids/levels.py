"""Grids of noise levels σ/α between a least and a greatest level.

Each has n steps, n + 1 falling levels. With ``zero`` (the libraries' way) the level σ_min is the
last but one and the last step goes to 0; without, the grid ends at σ_min. An argument out of its
domain is refused by name with a ValueError, and so are levels that float64 cannot tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .arguments import falling, real, reals, shown, whole
from .level_table import quantile
from .schedules import between

# Sabour et al. 2024 (Align Your Steps), as the authors publish them: ten steps and the end.
ALIGN_YOUR_STEPS = {
    "sd1": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
    "svd": (700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
    "deepfloyd": (160.41, 8.081, 3.315, 1.885, 1.207, 0.785, 0.553, 0.293, 0.186, 0.030, 0.006),
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
    rho = real("rho", rho, above=0)

    def level(u: float, high: float, low: float) -> float:
        return (high ** (1 / rho) + u * (low ** (1 / rho) - high ** (1 / rho))) ** rho

    return _descend(level, n, sigma_min, sigma_max, zero, rho=rho)


def exponential(n: int, sigma_min: float, sigma_max: float, zero: bool = True) -> list[float]:
    """Equal steps in log σ, which is uniform λ.

    >>> [round(level, 12) for level in exponential(2, 0.01, 1.0, zero=False)]
    [1.0, 0.1, 0.01]
    """
    return polyexponential(n, sigma_min, sigma_max, 1.0, zero)


def polyexponential(
    n: int, sigma_min: float, sigma_max: float, rho: float = 1.0, zero: bool = True
) -> list[float]:
    """log σ falls as the power ρ of a straight line (k-diffusion); σ_min is above 0."""
    rho = real("rho", rho, above=0)
    real("sigma_min", sigma_min, above=0)

    def level(u: float, high: float, low: float) -> float:
        return math.exp((1 - u) ** rho * (math.log(high) - math.log(low)) + math.log(low))

    return _descend(level, n, sigma_min, sigma_max, zero, rho=rho)


def kl_optimal(n: int, sigma_min: float, sigma_max: float, zero: bool = True) -> list[float]:
    """Equal steps in arctan σ (Sabour et al. 2024, Theorem 3.1 for a Gaussian).

    >>> [round(level, 12) for level in kl_optimal(2, 0.0, 1.0, zero=False)]
    [1.0, 0.414213562373, 0.0]
    """

    def level(u: float, high: float, low: float) -> float:
        return math.tan(math.atan(high) + u * (math.atan(low) - math.atan(high)))

    return _descend(level, n, sigma_min, sigma_max, zero)


def beta_levels(
    n: int,
    sigma_min: float,
    sigma_max: float,
    alpha: float = 0.6,
    beta: float = 0.6,
    zero: bool = True,
) -> list[float]:
    """Levels at quantiles of a beta distribution (Lee et al. 2024, arXiv 2407.12173; diffusers).

    Raises:
        ImportError: scipy is not installed.

    >>> [round(level, 12) for level in beta_levels(2, 0.0, 1.0, 1.0, 1.0, zero=False)]
    [1.0, 0.5, 0.0]
    """
    quantile(0.5, alpha, beta)

    def level(u: float, high: float, low: float) -> float:
        return low + quantile(u, alpha, beta) * (high - low)

    return _descend(level, n, sigma_min, sigma_max, zero, alpha=alpha, beta=beta)


def align_your_steps(
    n: int,
    model: str = "sd1",
    zero: bool = True,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
) -> list[float]:
    """The optimised grids of Align Your Steps; other n than 10 by interpolation of log σ.

    Args:
        n: number of steps.
        model: "sd1", "sdxl", "svd", or "deepfloyd" (DeepFloyd-IF, stage 1).
        zero: whether the last level is 0 in place of the table's end.
        sigma_min, sigma_max: ends that the table is rescaled to, linearly in log σ; its own unless
            given.

    >>> align_your_steps(10, "sdxl")[:3]
    [14.615, 6.315, 3.771]
    >>> align_your_steps(10, sigma_max=80.0, sigma_min=0.002, zero=False)[::10]
    [80.0, 0.002]
    """
    if model not in ALIGN_YOUR_STEPS:
        raise ValueError(
            f"no table for model {model!r:.60}; known are {', '.join(ALIGN_YOUR_STEPS)}"
        )
    table: tuple[float, ...] = ALIGN_YOUR_STEPS[model]
    high = real("sigma_max", table[0] if sigma_max is None else sigma_max, above=0)
    low = real("sigma_min", table[-1] if sigma_min is None else sigma_min, above=0, below=high)
    if (high, low) != (table[0], table[-1]):
        slope = (math.log(high) - math.log(low)) / math.log(table[0] / table[-1])
        inner = [math.exp(math.log(low) + slope * math.log(s / table[-1])) for s in table[1:-1]]
        table = (high, *inner, low)
    levels = log_linear(table, n)
    ends = {"sigma_min": low, "sigma_max": high}
    return falling([*levels[:-1], 0.0] if zero else levels, n=n, **ends)


def log_linear(levels: Sequence[float], n: int) -> list[float]:
    """A grid of n steps by piecewise linear interpolation of the logarithm of another grid.

    >>> [round(level, 12) for level in log_linear([1.0, 0.01], 2)]
    [1.0, 0.1, 0.01]
    """
    n, known = whole("n", n), falling(reals("levels", levels), levels=levels)
    if len(known) < 2 or not known[-1]:
        raise ValueError(f"levels must be two or more, each above 0; found {levels!r:.60}")
    if n == len(known) - 1:
        return known
    found = []
    for place in between(0.0, float(len(known) - 1), n):
        left = min(int(place), len(known) - 2)
        low, high = math.log(known[left]), math.log(known[left + 1])
        found.append(math.exp(low + (place - left) * (high - low)))
    return falling([known[0], *found[1:-1], known[-1]], n=n)


def _descend(
    level: Callable[[float, float, float], float],
    n: int,
    sigma_min: float,
    sigma_max: float,
    zero: bool,
    **shape: float,
) -> list[float]:
    """σ_max … σ_min with exact ends, and a last 0 if asked for.

    level: from a place between 0 and 1, σ_max and σ_min to the level there.
    """
    n, high = whole("n", n), real("sigma_max", sigma_max, above=0)
    low = real("sigma_min", sigma_min, least=0, below=high)
    if zero and not low:
        raise ValueError("sigma_min must be above 0 where a last step leads to 0; found 0")
    if zero and n == 1:
        return [high, 0.0]
    given = {"n": n, "sigma_min": low, "sigma_max": high, **shape}
    try:
        inner = [level(u, high, low) for u in between(0.0, 1.0, n - 1 if zero else n)[1:-1]]
    except (OverflowError, ZeroDivisionError):
        raise ValueError(f"{shown(**given)}: the levels overflow float64") from None
    return falling([high, *inner, low] + [0.0] * zero, **given)
