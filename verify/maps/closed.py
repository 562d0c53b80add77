"""Laws without a sample: affine maps of a Gaussian in closed form, maps of the line by quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from .check import REPORTED, SKIPPED, Check
from .law import projected
from .problem import Problem, covariance, mean

QUANTILES = 4096


def gaussian_law(jump: Callable[[Tensor], Tensor], problem: Problem) -> list[Check]:
    """Mean, covariance and Frechet distance of an affine map's output, exactly.

    Args:
        jump: the map from the highest level to the lowest.
    """
    size = problem.dimension
    step = math.sqrt(float(covariance(problem.mixture).trace()) / size) + problem.sigma_max
    origin = torch.zeros(1, size, dtype=torch.float64)
    units = step * torch.eye(size, dtype=torch.float64)
    offset = jump(origin)
    linear = (jump(units) - offset) / step
    probe = torch.cat([-units, units.sum(0, keepdim=True), 0.3 * units])
    bent = float((jump(probe) - (offset + probe @ linear)).abs().max()) / problem.sd
    if bent > 0.05:
        return [
            Check(
                "gaussian law",
                SKIPPED,
                f"the map is not affine: it bends by {bent:.1%} of sd within a standard deviation",
                bent,
            )
        ]
    identity = torch.eye(size, dtype=torch.float64)
    top = covariance(problem.mixture) + problem.sigma_max**2 * identity
    goal = covariance(problem.mixture) + problem.sigma_min**2 * identity
    centre = offset[0] + mean(problem.mixture) @ linear
    spread = linear.T @ top @ linear
    distance = frechet(centre, spread, mean(problem.mixture), goal)
    return [
        Check(
            "gaussian law",
            REPORTED,
            f"mean off by {float((centre - mean(problem.mixture)).norm()):.2e}, covariance by "
            f"{float((spread - goal).norm()):.2e}, Frechet distance {distance:.2e}, in closed form "
            f"(bent by {bent:.1e} of sd)",
            distance,
        )
    ]


def frechet(m: Tensor, c: Tensor, other_m: Tensor, other_c: Tensor) -> float:
    """Squared Frechet distance of two Gaussians.

    >>> one = torch.eye(2).double()
    >>> round(frechet(torch.zeros(2).double(), one, torch.ones(2).double(), 4 * one), 6)
    4.0
    """
    values, axes = torch.linalg.eigh(c)
    root = axes @ torch.diag(values.clamp_min(0).sqrt()) @ axes.T
    inner = torch.linalg.eigvalsh(root @ other_c @ root).clamp_min(0).sqrt().sum()
    return float((m - other_m).square().sum() + c.trace() + other_c.trace() - 2 * inner)


def line_law(jump: Callable[[Tensor], Tensor], problem: Problem) -> list[Check]:
    """W1 and KS of a map of the line, from its quantiles: no sample.

    The law at the highest level is cut into equal shares; each goes where its middle goes.
    """
    u = np.ones((1, 1))
    top = projected(problem.mixture, u, problem.sigma_max)
    low = projected(problem.mixture, u, problem.sigma_min)
    share = (np.arange(QUANTILES) + 0.5) / QUANTILES
    start = _quantiles(top.weights, top.means[0], top.std[0], share)
    goal = _quantiles(low.weights, low.means[0], low.std[0], share)
    ends = np.sort(jump(torch.from_numpy(start[:, None]))[:, 0].numpy())
    w1 = float(np.abs(ends - goal).mean()) / problem.sd
    exact = low.cdf(0, ends)
    rank = np.arange(QUANTILES + 1) / QUANTILES
    ks = max(float((rank[1:] - exact).max()), float((exact - rank[:-1]).max()))
    return [
        Check(
            "law on the line",
            REPORTED,
            f"W1 {w1:.2e} of sd and KS {max(ks - 1 / QUANTILES, 0.0):.2e}, from {QUANTILES} "
            "quantiles, without a sample",
            w1,
        )
    ]


def _quantiles(
    weights: np.ndarray, means: np.ndarray, std: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Quantiles of a mixture on the line by bisection."""
    reach = np.abs(ndtri(share[0])) + 1
    low = np.full_like(share, (means - reach * std).min())
    high = np.full_like(share, (means + reach * std).max())
    for _ in range(80):
        middle = 0.5 * (low + high)
        below = ndtr((middle[:, None] - means) / std) @ weights < share
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(0.5 * (low + high))
