"""Gaussian mixtures whose components share their principal axes: fast exact denoisers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from ..problem import Problem


@dataclass(frozen=True)
class Mixture:
    """Σ_k w_k N(m_k, diag v_k) in d coordinates, centred, with root mean square deviation 1.

    Args:
        name: of the problem.
        weights: (k,); means, variances: (k, d).
    """

    name: str
    weights: Tensor
    means: Tensor
    variances: Tensor

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x], x: (b, d) or (d,), sigma one number; matrix products alone."""
        total = self.variances + sigma * sigma
        weight = 1 / total
        pull = self.means * weight
        constant = (
            self.weights.log() - 0.5 * (self.means * pull).sum(-1) - 0.5 * total.log().sum(-1)
        )
        logs = constant + x @ pull.T - 0.5 * (x * x) @ weight.T
        share = torch.softmax(logs, dim=-1)
        squared = sigma * sigma
        return (share @ (pull * squared)) + x * (share @ (self.variances * weight))

    def derivative(self, x: Tensor, sigma: Tensor) -> Callable[[Tensor], Tensor]:
        """Directions (p, b, d) → the derivatives of D at x (b, d) along them: four products."""
        squared = sigma * sigma
        weight = 1 / (self.variances + squared)
        pull = self.means * weight
        constant = (
            self.weights.log() - 0.5 * (self.means * pull).sum(-1) + 0.5 * weight.log().sum(-1)
        )
        share = torch.softmax(constant + x @ pull.T - 0.5 * (x * x) @ weight.T, dim=-1)
        kept = self.variances * weight
        straight = share @ kept

        def along(directions: Tensor) -> Tensor:
            logs = directions @ pull.T
            logs -= (directions * x) @ weight.T
            logs -= (logs * share).sum(-1, keepdim=True)
            logs *= share
            out = logs @ kept
            out *= x
            out += logs @ (pull * squared)
            return out.addcmul_(directions, straight)

        return along

    def moments(self) -> tuple[Tensor, float]:
        """The mean (d,) and the root mean square deviation from it."""
        mean = self.weights @ self.means
        squared = self.weights @ ((self.means - mean) ** 2 + self.variances)
        return mean, float(squared.mean().sqrt())

    def problem(self, sigma_max: float = 80.0, sigma_min: float = 0.002) -> Problem:
        """The mixture as a problem, with exact moments and ends."""
        mean, std = self.moments()
        return Problem(
            name=self.name,
            denoiser=self.denoise,
            derivative=self.derivative,
            shape=(self.means.shape[1],),
            sigma_max=sigma_max,
            sigma_min=sigma_min,
            mean=mean if float(mean.abs().max()) > 1e-9 else torch.zeros((), dtype=torch.float64),
            std=round(std, 12),
            teacher=lambda x: exact_ends(self, x, sigma_max, sigma_min),
            dtype=torch.float64,
        )


def planar() -> Mixture:
    """Four isotropic Gaussians in the plane, with a mean: a small model that fits well."""
    means = [[-0.6, -0.4], [0.5, -0.5], [0.1, 0.55], [-0.3, 0.3]]
    spread = torch.tensor([0.15, 0.22, 0.18, 0.3], dtype=torch.float64)
    return Mixture(
        "mixtures",
        torch.tensor([0.3, 0.25, 0.25, 0.2], dtype=torch.float64),
        torch.tensor(means, dtype=torch.float64),
        (spread**2)[:, None].expand(4, 2).contiguous(),
    )


def centred(name: str, weights: Tensor, means: Tensor, variances: Tensor) -> Mixture:
    """A mixture moved to mean 0 and scaled to root mean square deviation 1."""
    weights = weights / weights.sum()
    means = means - weights @ means
    scale = ((weights @ (means**2 + variances)).mean()).sqrt()
    return Mixture(name, weights, means / scale, variances / scale**2)


class Denoises(Protocol):
    """What has a denoiser of states (b, d) at one level."""

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x]."""


def exact_ends(
    mixture: Denoises, x: Tensor, sigma_max: float, sigma_min: float, tolerance: float = 1e-6
) -> Tensor:
    """Ends of the probability-flow ODE from σ_max to σ_min, by an adaptive method of order 5.

    Solved in λ for x/√(1+σ²), which is nearly constant where little happens.

    Args:
        tolerance: relative, and absolute a tenth of it.
    """
    shape = x.shape

    def slope(lam: float, flat: np.ndarray) -> np.ndarray:
        sigma = math.exp(-lam)
        scale = math.hypot(1.0, sigma)
        state = torch.from_numpy(flat).reshape(shape)
        denoised = mixture.denoise(state * scale, torch.tensor(sigma, dtype=x.dtype))
        moved = (denoised - state / scale) / scale
        return np.asarray(moved.reshape(-1))

    first = (x / math.hypot(1.0, sigma_max)).reshape(-1).numpy()
    span = (-math.log(sigma_max), -math.log(sigma_min))
    found = solve_ivp(slope, span, first, rtol=tolerance, atol=tolerance / 10, t_eval=span[1:])
    return torch.from_numpy(found.y[:, -1]).reshape(shape) * math.hypot(1.0, sigma_min)
