"""Gaussian mixtures: the exact denoiser, noise, score, v and flow velocity, in torch.

With x0 distributed as sum_k w_k N(m_k, C_k) and x = alpha x0 + sigma eps, x is again a mixture and
E[x0 | x] is closed. The twin at any precision is `precise.PreciseMixture`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import ProblemError

Model = Callable[..., Tensor]


class GaussianMixture:
    """A mixture with isotropic or full covariances in any dimension.

    Args:
        weights: (k,) positive, summing to one.
        means: (k, d).
        std: (k,) standard deviations, for isotropic components; or None.
        cov: (k, d, d) symmetric positive semidefinite, for full ones; or None.
        dtype, device: of the stored parameters; states of another dtype are answered in theirs.

    Raises:
        ProblemError: shapes that do not fit, weights that do not sum to one, both or neither of
            std and cov.
    """

    def __init__(
        self,
        weights: Any,
        means: Any,
        std: Any = None,
        cov: Any = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        def made(value: Any) -> Tensor:
            return torch.as_tensor(value, dtype=dtype, device=device)

        self.weights, self.means = made(weights), made(means)
        self._check(std, cov)
        self.isotropic = std is not None
        if self.isotropic:
            self.variances = made(std)[:, None] ** 2
            self.axes = None
        else:
            values, axes = torch.linalg.eigh(made(cov))
            self.variances, self.axes = values.clamp_min(0.0), axes

    def _check(self, std: Any, cov: Any) -> None:
        if self.weights.ndim != 1 or self.means.ndim != 2 or len(self.weights) != len(self.means):
            raise ProblemError(
                "mixture: weights must be (k,) and means (k, d); found "
                f"{tuple(self.weights.shape)} and {tuple(self.means.shape)}"
            )
        if not torch.all(self.weights > 0) or abs(float(self.weights.sum()) - 1) > 1e-6:
            raise ProblemError(
                f"mixture: weights must be positive and sum to 1; found {self.weights.tolist()}"
            )
        if (std is None) == (cov is None):
            raise ProblemError("mixture: give either std (k,) or cov (k, d, d), not both")

    @property
    def dimension(self) -> int:
        """Number of coordinates d of one sample."""
        return int(self.means.shape[1])

    def _posterior(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Responsibilities (b, k), deviations in the components' axes (b, k, d), variances."""
        delta = x[:, None, :] - alpha[..., None] * self.means.to(x)
        if self.axes is not None:
            delta = torch.einsum("bkd,kde->bke", delta, self.axes.to(x))
        data = self.variances.to(x)[None]
        total = alpha[..., None] ** 2 * data + sigma[..., None] ** 2
        # isotropic: one variance per component stands for all d coordinates
        copies = self.dimension if self.isotropic else 1
        log = (
            self.weights.to(x).log()
            - 0.5 * (delta**2 / total).sum(-1)
            - 0.5 * copies * total.log().sum(-1)
        )
        return torch.softmax(log, dim=1), delta, data / total

    def denoise(self, x: Tensor, alpha: Any, sigma: Any) -> Tensor:
        """E[x0 | x]. x: (b, ...) with d values a sample; alpha, sigma: scalars or (b,)."""
        flat = x.reshape(len(x), -1)
        a, s = _column(alpha, flat), _column(sigma, flat)
        share, delta, gain = self._posterior(flat, a, s)
        shift = a[..., None] * gain * delta
        if self.axes is not None:
            shift = torch.einsum("bke,kde->bkd", shift, self.axes.to(flat))
        return (share[..., None] * (self.means.to(flat) + shift)).sum(1).reshape(x.shape)

    def noise(self, x: Tensor, alpha: Any, sigma: Any) -> Tensor:
        """E[eps | x] = (x - alpha E[x0 | x]) / sigma."""
        a, s = _like(alpha, x), _like(sigma, x)
        return (x - a * self.denoise(x, alpha, sigma)) / s

    def score(self, x: Tensor, alpha: Any, sigma: Any) -> Tensor:
        """Gradient of the log density of x: -E[eps | x] / sigma."""
        return -self.noise(x, alpha, sigma) / _like(sigma, x)

    def v(self, x: Tensor, alpha: Any, sigma: Any) -> Tensor:
        """The v prediction alpha eps - sigma x0 (variance preserving paths)."""
        a, s = _like(alpha, x), _like(sigma, x)
        denoised = self.denoise(x, alpha, sigma)
        return a * (x - a * denoised) / s - s * denoised

    def velocity(self, x: Tensor, alpha: Any, sigma: Any) -> Tensor:
        """The rectified-flow velocity eps - x0."""
        return self.noise(x, alpha, sigma) - self.denoise(x, alpha, sigma)

    def log_density(self, x: Tensor, alpha: Any, sigma: Any) -> Tensor:
        """Log density of x = alpha x0 + sigma eps; returns (b,)."""
        flat = x.reshape(len(x), -1)
        a, s = _column(alpha, flat), _column(sigma, flat)
        delta = flat[:, None, :] - a[..., None] * self.means.to(flat)
        if self.axes is not None:
            delta = torch.einsum("bkd,kde->bke", delta, self.axes.to(flat))
        total = a[..., None] ** 2 * self.variances.to(flat)[None] + s[..., None] ** 2
        copies = self.dimension if self.isotropic else 1
        log = -0.5 * (delta**2 / total).sum(-1) - 0.5 * copies * total.log().sum(-1)
        log = log + self.weights.to(flat).log() - 0.5 * self.dimension * math.log(2 * math.pi)
        return torch.logsumexp(log, dim=1)

    def sample(self, count: int, *, seed: int = 0) -> Tensor:
        """Exact samples of x0: (count, d), the same for the same seed."""
        made = torch.Generator(device="cpu").manual_seed(seed)
        pick = torch.multinomial(self.weights.cpu(), count, replacement=True, generator=made)
        noise = torch.randn(count, self.dimension, generator=made, dtype=self.means.dtype)
        noise = noise.to(self.means) * self.variances[pick.to(self.means.device)].sqrt()
        if self.axes is not None:
            noise = torch.einsum("be,bde->bd", noise, self.axes[pick.to(self.axes.device)])
        return self.means[pick.to(self.means.device)] + noise

    def model(self) -> Model:
        """k-diffusion's model(x, sigma) -> denoised, in the scaling x = x0 + sigma eps."""

        def denoiser(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
            return self.denoise(x, torch.ones_like(sigma), sigma)

        return denoiser


def oracle_mixture() -> GaussianMixture:
    """The 1-D two-component problem on which this project states exact end points."""
    return GaussianMixture([0.35, 0.65], [[-1.0], [0.8]], std=[0.5, 0.35])


def coupled_mixture() -> GaussianMixture:
    """A 2-D problem with full covariances, whose Jacobians do not commute along a trajectory.

    In one dimension elementary differentials that differ by the order of their factors coincide,
    so a one-step method of order 4 or more cannot be judged there.
    """
    cov: Sequence[Any] = [
        [[0.20, 0.12], [0.12, 0.15]],
        [[0.10, -0.06], [-0.06, 0.25]],
        [[0.30, 0.05], [0.05, 0.08]],
    ]
    return GaussianMixture(
        [0.4, 0.35, 0.25], [[-0.8, -0.3], [0.7, 0.6], [0.3, -0.9]], cov=torch.tensor(cov)
    )


def _column(value: Any, x: Tensor) -> Tensor:
    """A scalar or (b,) as (b or 1, 1), to meet (b, k)."""
    out = torch.as_tensor(value, dtype=x.dtype, device=x.device)
    return out.reshape(-1, 1)


def _like(value: Any, x: Tensor) -> Tensor:
    """A scalar or (b,) shaped to multiply a state (b, ...)."""
    out = torch.as_tensor(value, dtype=x.dtype, device=x.device)
    return out.reshape(-1, *([1] * (x.ndim - 1))) if out.ndim else out
