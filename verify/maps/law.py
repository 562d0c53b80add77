"""The law of a map's output against the exact law of the data, by bands that no luck crosses.

A projection of a Gaussian mixture is a mixture in one dimension with a closed distribution function,
so a sample is held to the truth itself, not to another sample. Every band is a theorem for an exact
sample of that size. There are three (distance, shares, spread), each crossed with probability at
most DELTA, so an exact sample is refuted at most once in a million.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor

from ..problems.mixture import GaussianMixture
from .check import REPORTED, Check, judged
from .problem import covariances

Array = NDArray[np.float64]
DELTA = 1e-6 / 3
DIRECTIONS = 16


@dataclass(frozen=True)
class Projected:
    """A mixture seen along unit directions: (directions, k) means and standard deviations."""

    weights: Array
    means: Array
    std: Array

    def cdf(self, row: int, x: Array) -> Array:
        """Distribution function along one direction."""
        z = (x[:, None] - self.means[row]) / self.std[row]
        return np.asarray(ndtr(z) @ self.weights)


def directions(dimension: int, count: int) -> Array:
    """(count, d) unit vectors: equally spaced in the plane, fixed random ones elsewhere.

    >>> directions(2, 2).round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if dimension == 1:
        return np.ones((1, 1))
    if dimension == 2:
        turns = np.pi * np.arange(count) / count
        return np.stack([np.cos(turns), np.sin(turns)], axis=1)
    drawn = np.random.default_rng(20).standard_normal((count, dimension))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def projected(mixture: GaussianMixture, u: Array, sigma: float) -> Projected:
    """The law of u . (x0 + sigma z)."""
    cov = covariances(mixture).numpy()
    spread = np.einsum("ad,kde,ae->ak", u, cov, u) + sigma**2
    return Projected(mixture.weights.numpy(), u @ mixture.means.numpy().T, np.sqrt(spread))


def ks_band(count: int, projections: int, delta: float = DELTA) -> float:
    """What an exact sample exceeds with probability at most delta (Dvoretzky-Kiefer-Wolfowitz).

    >>> round(ks_band(262144, 16, 1e-6), 4)
    0.0057
    """
    return math.sqrt(math.log(2 * projections / delta) / (2 * count))


def projected_ks(sample: Tensor, mixture: GaussianMixture, sigma: float) -> tuple[float, int]:
    """Largest Kolmogorov-Smirnov distance over fixed directions, and how many those are."""
    u = directions(mixture.dimension, DIRECTIONS)
    law, values, worst = projected(mixture, u, sigma), sample.numpy() @ u.T, 0.0
    count = len(values)
    rank = np.arange(count + 1) / count
    for row in range(len(u)):
        exact = law.cdf(row, np.sort(values[:, row]))
        worst = max(worst, float(np.max(rank[1:] - exact)), float(np.max(exact - rank[:-1])))
    return worst, len(u)


def energy_distance(
    sample: Tensor, mixture: GaussianMixture, sigma: float, *, independent: bool = True
) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| with Y exact: no reference sample (Szekely and Rizzo).

    A norm is a mean over directions of absolute projections, times sqrt(pi) G((d+1)/2) / G(d/2).

    Args:
        sample: (n, d).
        sigma: noise in the law of Y.
        independent: U-statistic for independent draws, V-statistic for Sobol points.
    """
    size = mixture.dimension
    u = directions(size, 32)
    law, values, total = projected(mixture, u, sigma), sample.numpy() @ u.T, 0.0
    count = len(values)
    rank = 2 * np.arange(1, count + 1) - count - 1
    pairs = count * (count - 1 if independent else count)
    for row in range(len(u)):
        x = np.sort(values[:, row])
        cross = _mean_gap(x[:, None] - law.means[row], law.std[row]) @ law.weights
        apart = law.means[row][:, None] - law.means[row]
        spread = np.hypot(law.std[row][:, None], law.std[row])
        own = law.weights @ _mean_gap(apart, spread) @ law.weights
        total += 2 * cross.mean() - 2 * float(rank @ x) / pairs - own
    factor = math.sqrt(math.pi) * math.exp(math.lgamma((size + 1) / 2) - math.lgamma(size / 2))
    return float(factor * total / len(u))


def _mean_gap(m: Array, s: Array) -> Array:
    """E|N(m, s^2)|."""
    z = m / s
    return np.asarray(
        s * (np.sqrt(2 / np.pi) * np.exp(-0.5 * z**2) + z * (2 * ndtr(z) - 1)), dtype=float
    )


@dataclass(frozen=True)
class Modes:
    """Shares and within-mode spread by responsibilities, whose exact expectations are w_k and w_k d.

    Args:
        weights, shares: (k,) exact and found.
        share_bands: (k,) Bernstein bands of the shares.
        spread: (k,) mean squared Mahalanobis distance over d, 1 when exact.
        pooled: over all components.
        spread_band: band of `pooled`.
    """

    weights: Array
    shares: Array
    share_bands: Array
    spread: Array
    pooled: float
    spread_band: float


def modes(sample: Tensor, mixture: GaussianMixture, sigma: float) -> Modes:
    """Shares of modes and the spread within them.

    For x from the mixture, E[r_k(x) g(x)] = w_k E_k[g] for any g: with g = 1 the share, with g the
    squared Mahalanobis distance over d the spread. Bernstein's inequality gives both bands: r_k has
    variance at most w_k, and E[(r_k g)^m] <= w_k m! for d >= 2 (the moments of a chi-squared
    variable), w_k 3 2^(m-2) m!/2 for d = 1.
    """
    alpha = torch.ones(1, 1, dtype=sample.dtype)
    size, count, k = mixture.dimension, len(sample), len(mixture.weights)
    shares, moments = torch.zeros(k).double(), torch.zeros(k).double()
    for part in sample.split(65536):
        share, delta, _ = mixture._posterior(part, alpha, sigma * alpha)
        # isotropic: one variance per component meets all d squared deviations
        far = (delta**2 / (mixture.variances + sigma**2)[None]).sum(-1) / size
        shares += share.sum(0)
        moments += (share * far).sum(0)
    shares, moments = shares / count, moments / count
    w = mixture.weights.numpy()
    log = math.log(2 * k / DELTA)
    bands = np.sqrt(2 * w * (1 - w) * log / count) + log / (3 * count)
    heavy, reach = (2.0, 1.0) if size > 1 else (3.0, 2.0)
    log = math.log(2 / DELTA)
    wide = math.sqrt(2 * heavy * log / count) + reach * log / count
    spread = (moments / shares.clamp_min(1e-12)).numpy()
    return Modes(w, shares.numpy(), bands, spread, float(moments.sum()), wide)


def law_checks(
    sample: Tensor, mixture: GaussianMixture, sigma: float, claims: dict[str, Any], *, exact: bool
) -> tuple[list[Check], list[dict[str, Any]]]:
    """All checks of a law, against exactness or, where it is claimed, against the claim.

    Args:
        sample: (n, d) independent outputs.
        claims: may hold law (a KS distance), shares (a distance of shares), spread (low, high).
        exact: whether what is not claimed is held to exactness; otherwise it is reported.

    Returns:
        the checks and one row a mode.
    """
    found, seen = projected_ks(sample, mixture, sigma)
    band = ks_band(len(sample), seen)
    parts = modes(sample, mixture, sigma)
    off = np.abs(parts.shares - parts.weights)
    energy = energy_distance(sample, mixture, sigma)
    checks = [
        _law_check("law", found, band, claims.get("law"), exact, "projected KS distance"),
        Check(
            "energy distance",
            REPORTED,
            f"energy distance to the exact law {energy:.2e}",
            energy,
        ),
    ]
    worst = int(np.argmax(off / parts.share_bands))
    tolerated = claims.get("shares")
    if tolerated is not None or exact:
        slack = float(tolerated or 0.0)
        excess = float(np.max(off - parts.share_bands))
        checks.append(
            judged(
                "modes",
                excess,
                slack,
                f"component {worst} holds {parts.shares[worst]:.4f} of the samples, exactly "
                f"{parts.weights[worst]:.4f}, band {parts.share_bands[worst]:.4f}",
                remedy="a mode is lost, or has the wrong weight",
            )
        )
    else:
        checks.append(
            Check(
                "modes",
                REPORTED,
                f"shares differ from the weights by up to {float(off.max()):.4f}",
                float(off.max()),
            )
        )
    checks.append(_spread_check(parts, claims, exact))
    rows = [
        {
            "component": k,
            "weight": float(parts.weights[k]),
            "share": float(parts.shares[k]),
            "band": float(parts.share_bands[k]),
            "spread": float(parts.spread[k]),
        }
        for k in range(len(parts.weights))
    ]
    return checks, rows


def _law_check(name: str, found: float, band: float, claimed: Any, exact: bool, what: str) -> Check:
    if claimed is None and not exact:
        text = f"{what} {found:.4f} (exact samples stay below {band:.4f})"
        return Check(name, REPORTED, text, found, band)
    slack = float(claimed or 0.0)
    against = f"the claim {slack:g}" if claimed is not None else "an exact law"
    return judged(
        name,
        found,
        band + slack,
        f"{what} {found:.4f} against {against}; the band of an exact sample is {band:.4f}",
        exact="not refuted at this size",
    )


def _spread_check(parts: Modes, claims: dict[str, Any], exact: bool) -> Check:
    claimed, found, band = claims.get("spread"), parts.pooled, parts.spread_band
    text = f"mean squared distance within modes is {found:.3f} of the exact one"
    if claimed is not None:
        low, high = float(claimed[0]) - band, float(claimed[1]) + band
        off = max(found - high, low - found)
        return judged("spread", off, 0.0, f"{text}; claimed {claimed[0]:g} to {claimed[1]:g}")
    if not exact:
        return Check("spread", REPORTED, text, found)
    return judged(
        "spread",
        abs(found - 1),
        band,
        f"{text}; the band of an exact sample is {band:.3f}",
        remedy="samples are too narrow or too wide within their modes",
    )


def several_steps(
    jump: Callable[[Tensor, float], Tensor],
    start: Tensor,
    levels: list[float],
    low: float,
    generator: torch.Generator,
) -> Tensor:
    """Multistep sampling (Song et al. 2023, Algorithm 1): map, noise to the next level, map.

    Args:
        jump: the map from a level to the lowest.
        levels: descending; the first is the level of `start`.
    """
    x = jump(start, levels[0])
    for level in levels[1:]:
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = jump(x + math.sqrt(max(level**2 - low**2, 0.0)) * noise, level)
    return x
