"""Noise grids: N+1 decreasing levels sigma/alpha with the last above zero, float64.

Three classes matter to the order of a sampler (uniform in lambda, smooth, arbitrary), and two
well-known grids of practice (Karras, uniform in t) are smooth ones. Independent random steps are
too noisy to read an order from; the arbitrary class is a fixed rough pattern that repeats.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import ProblemError
from .paths import Path, vp_linear

Array = NDArray[np.float64]

ROUGH = (1.0, 2.2, 0.6, 1.7)
# for local audits: states six steps apart then meet the same step ratios, so that errors which a
# sampler carries from step to step without adding to them (a predicted state) cancel
ROUGH_LOCAL = (1.0, 2.2, 0.6, 1.7, 0.8, 1.3)
LAMBDA = (-1.2, 1.6)


def uniform(n: int, lam: tuple[float, float] = LAMBDA) -> Array:
    """Equal steps in lambda."""
    return np.exp(-np.linspace(*_checked(n, lam), n + 1))


def rough(n: int, lam: tuple[float, float] = LAMBDA) -> Array:
    """Steps in lambda proportional to 1, 2.2, 0.6, 1.7, repeating: the arbitrary class."""
    return _by_steps(np.resize(np.asarray(ROUGH), n), lam, n)


def smooth(n: int, lam: tuple[float, float] = LAMBDA, *, seed: int = 0) -> Array:
    """lambda = Lambda(i/n) with one smooth random Lambda for all n (three sine waves)."""
    start, end = _checked(n, lam)
    rng = np.random.default_rng(seed)
    s = np.linspace(0.0, 1.0, n + 1)
    warp = s.copy()
    for k in (1, 2, 3):
        # the slopes sum to less than one, so Lambda stays monotone
        amplitude = rng.choice([-1.0, 1.0]) * rng.uniform(0.15, 0.28)
        phase = rng.uniform(0.0, 2 * np.pi)
        warp += amplitude / (np.pi * k) * (np.sin(np.pi * k * s + phase) - np.sin(phase))
    warp = (warp - warp[0]) / (warp[-1] - warp[0])
    return np.exp(-(start + (end - start) * warp))


def karras(n: int, lam: tuple[float, float] = LAMBDA, *, rho: float = 7.0) -> Array:
    """Uniform in sigma^(1/rho) (Karras et al. 2022, Eq. 5)."""
    start, end = _checked(n, lam)
    ramp = np.linspace(np.exp(-start / rho), np.exp(-end / rho), n + 1)
    return np.asarray(ramp**rho)


def uniform_t(n: int, lam: tuple[float, float] = LAMBDA, *, path: Path | None = None) -> Array:
    """Equal steps in the time of a schedule (VP with linear beta when none is given)."""
    path = path or vp_linear()
    first, last = path.time(np.asarray(_checked(n, lam)))
    return path.edm_sigma(np.linspace(first, last, n + 1))


Grid = Callable[..., Array]
GRIDS: dict[str, Grid] = {
    "uniform": uniform,
    "karras": karras,
    "uniform_t": uniform_t,
    "smooth": smooth,
    "rough": rough,
}

# which class of the order theory each grid belongs to
CLASS = {
    "uniform": "uniform",
    "karras": "smooth",
    "uniform_t": "smooth",
    "smooth": "smooth",
    "rough": "arbitrary",
}


def local(kind: str, n: int, h: float, lam: float) -> Array:
    """n steps of size about h that begin at lam, for order conditions as h goes to zero.

    Args:
        kind: "uniform", "smooth" (step ratios 1 + O(h)) or "arbitrary" (the rough pattern).

    Raises:
        ProblemError: another kind.
    """
    if kind == "uniform":
        steps = np.full(n, h)
        offsets = np.concatenate([[0.0], np.cumsum(steps)])
    elif kind == "smooth":
        # one smooth Lambda of slope 0.6 to 1.4, seen through ever smaller windows
        s = h * (np.arange(n + 1) - n / 2)
        offsets = s + 0.5 * np.sin(0.8 * s + 1.0)
        offsets -= offsets[0]
    elif kind == "arbitrary":
        steps = h * np.resize(np.asarray(ROUGH_LOCAL), n) / np.mean(ROUGH_LOCAL)
        offsets = np.concatenate([[0.0], np.cumsum(steps)])
    else:
        raise ProblemError(f"grid class: found {kind!r}; choose uniform, smooth or arbitrary")
    return np.asarray(np.exp(-(lam + offsets)))


def _checked(n: int, lam: tuple[float, float]) -> tuple[float, float]:
    if n < 1 or not lam[1] > lam[0]:
        raise ProblemError(
            f"grid: needs at least one step and a growing lambda; found n = {n}, lambda = {lam}"
        )
    return lam


def _by_steps(steps: Array, lam: tuple[float, float], n: int) -> Array:
    start, end = _checked(n, lam)
    offsets = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(np.exp(-(start + (end - start) * offsets / offsets[-1])))
