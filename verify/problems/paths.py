"""Noise schedules: alpha(t) and sigma(t) of x_t = alpha x0 + sigma eps, and their clocks.

Everything here is float64 numpy on the host: a schedule is a property of the problem, never of
the sampler, and it is evaluated once per grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ..errors import ProblemError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """A schedule, given by two functions of the model time t, noise growing with t.

    Args:
        name: what reports call it.
        alpha, sigma: t -> float64 array of the same shape.
        t_min, t_max: the times between which the log signal-to-noise ratio is finite.
    """

    name: str
    alpha: Callable[[Array], Array]
    sigma: Callable[[Array], Array]
    t_min: float
    t_max: float

    def lam(self, t: Array | float) -> Array:
        """log(alpha / sigma) at the times t, any shape."""
        t = np.asarray(t, dtype=np.float64)
        return np.asarray(np.log(self.alpha(t) / self.sigma(t)))

    def edm_sigma(self, t: Array | float) -> Array:
        """sigma / alpha, the noise level in the scaling x / alpha, at the times t."""
        return np.asarray(np.exp(-self.lam(t)))

    def time(self, lam: Array | float) -> Array:
        """Times at which lambda takes the given values.

        Raises:
            ProblemError: a value outside what the schedule reaches.
        """
        flat = np.atleast_1d(np.asarray(lam, dtype=np.float64))
        high, low = float(self.lam(self.t_min)), float(self.lam(self.t_max))
        if flat.min() < low - 1e-9 or flat.max() > high + 1e-9:
            raise ProblemError(
                f"path {self.name!r}: lambda must lie in [{low:.4g}, {high:.4g}]; found "
                f"[{flat.min():.4g}, {flat.max():.4g}]; shorten the range of the grid"
            )
        out = [
            brentq(lambda t, v=v: float(self.lam(t)) - v, self.t_min, self.t_max, xtol=1e-15)
            for v in np.clip(flat, low, high)
        ]
        return np.asarray(out).reshape(np.shape(lam))


def ve() -> Path:
    """Variance exploding (EDM): alpha = 1, sigma = t."""
    return Path("ve", np.ones_like, lambda t: t, 1e-6, 1e6)


def flow() -> Path:
    """Rectified flow: alpha = 1 - t, sigma = t."""
    return Path("flow", lambda t: 1.0 - t, lambda t: t, 1e-6, 1.0 - 1e-6)


def vp_linear(beta_0: float = 0.1, beta_1: float = 20.0) -> Path:
    """Variance preserving with beta linear in t (Song et al. 2021, Eq. 33)."""

    def log_alpha(t: Array) -> Array:
        return -(beta_1 - beta_0) * t**2 / 4 - beta_0 * t / 2

    return _preserving("vp_linear", log_alpha, 1e-5, 1.0)


def vp_scaled_linear(beta_0: float = 0.85, beta_1: float = 12.0) -> Path:
    """Variance preserving with sqrt(beta) linear in t (latent diffusion, continuous limit)."""
    a, b = np.sqrt(beta_0), np.sqrt(beta_1)

    def log_alpha(t: Array) -> Array:
        return -0.5 * (a * a * t + a * (b - a) * t**2 + (b - a) ** 2 * t**3 / 3)

    return _preserving("vp_scaled_linear", log_alpha, 1e-5, 1.0)


def vp_cosine(offset: float = 0.008) -> Path:
    """Variance preserving, cosine (Nichol and Dhariwal 2021, Eq. 17), stopped before alpha = 0."""
    scale = np.pi / 2 / (1 + offset)
    start = np.log(np.cos(offset * scale))

    def log_alpha(t: Array) -> Array:
        return np.asarray(np.log(np.cos((t + offset) * scale)) - start)

    return _preserving("vp_cosine", log_alpha, 1e-5, 0.9999)


def user(
    alpha: Callable[[Array], Array],
    sigma: Callable[[Array], Array],
    t_min: float,
    t_max: float,
    name: str = "user",
) -> Path:
    """A schedule of one's own; lambda must fall strictly as t grows.

    Raises:
        ProblemError: alpha or sigma not positive, or lambda not monotone, on a sample of times.
    """
    path = Path(name, alpha, sigma, t_min, t_max)
    t = np.linspace(t_min, t_max, 101)
    if not (np.all(alpha(t) > 0) and np.all(sigma(t) > 0)):
        raise ProblemError(
            f"path {name!r}: alpha and sigma must be positive on [{t_min}, {t_max}]; "
            "move the end points inwards"
        )
    if not np.all(np.diff(path.lam(t)) < 0):
        raise ProblemError(
            f"path {name!r}: log(alpha/sigma) must fall as t grows; it does not; "
            "check the two functions or the direction of time"
        )
    return path


def _preserving(name: str, log_alpha: Callable[[Array], Array], t_min: float, t_max: float) -> Path:
    return Path(
        name,
        lambda t: np.exp(log_alpha(t)),
        # expm1 keeps sigma exact near t = 0, where 1 - alpha^2 cancels
        lambda t: np.sqrt(-np.expm1(2 * log_alpha(t))),
        t_min,
        t_max,
    )


PATHS: dict[str, Callable[[], Path]] = {
    "ve": ve,
    "flow": flow,
    "vp_linear": vp_linear,
    "vp_scaled_linear": vp_scaled_linear,
    "vp_cosine": vp_cosine,
}
