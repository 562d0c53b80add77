"""Emitted samplers under the signatures of EDM and diff-sampler."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor


def karras(count: int, low: float, high: float, rho: float) -> Tensor:
    """`count` levels from high to low, uniform in σ^(1/ρ) (Karras et al. 2022, Eq. 5)."""
    ramp = torch.linspace(0, 1, count, dtype=torch.float64)
    return (high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))) ** rho


def edm_sampler(module: ModuleType) -> Callable[..., Tensor]:
    """The sampler as EDM's generate.py calls it: float64 state, σ rounded by the network."""

    @torch.no_grad()
    def sampler(
        net: Any,
        latents: Tensor,
        class_labels: Tensor | None = None,
        randn_like: Callable[[Tensor], Tensor] = torch.randn_like,
        num_steps: int = 18,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
        rho: float = 7.0,
        **parameters: float,
    ) -> Tensor:
        low, high = max(sigma_min, net.sigma_min), min(sigma_max, net.sigma_max)
        steps = torch.as_tensor(net.round_sigma(karras(num_steps, low, high, rho)))
        sigmas = torch.cat([steps.double().cpu(), torch.zeros(1, dtype=torch.float64)])

        def model(x: Tensor, sigma: Tensor) -> Tensor:
            return net(x, sigma, class_labels).to(x.dtype)

        start = latents.double() * sigmas[0]
        return module.sample(model, start, sigmas, **parameters)

    return sampler


def diff_sampler(module: ModuleType) -> Callable[..., Tensor]:
    """The sampler as diff-sampler's sample.py calls it; `num_steps` counts grid points."""

    @torch.no_grad()
    def sampler(
        net: Any,
        latents: Tensor,
        class_labels: Tensor | None = None,
        condition: Any = None,
        unconditional_condition: Any = None,
        num_steps: int | None = None,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
        schedule_type: str = "polynomial",
        schedule_rho: float = 7.0,
        denoise_to_zero: bool = False,
        return_inters: bool = False,
        t_steps: Tensor | None = None,
        **parameters: float,
    ) -> Tensor:
        if t_steps is None:
            t_steps = _schedule(schedule_type, num_steps, sigma_min, sigma_max, schedule_rho)
        sigmas = t_steps.double().cpu()
        if denoise_to_zero:
            sigmas = torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)])
        known = (
            {"class_labels": class_labels}
            if condition is None
            else {"condition": condition, "unconditional_condition": unconditional_condition}
        )

        def model(x: Tensor, sigma: Tensor) -> Tensor:
            return net(x, sigma, **known).to(x.dtype)

        seen: list[Tensor] = []
        start = latents * sigmas[0]
        end = module.sample(
            model, start, sigmas, callback=lambda at: seen.append(at["x"]), **parameters
        )
        return torch.stack([*seen, end]) if return_inters else end

    return sampler


def _schedule(kind: str, count: int | None, low: float, high: float, rho: float) -> Tensor:
    """diff-sampler's grids; others are given as t_steps."""
    if count is None:
        raise ValueError("give num_steps or t_steps")
    if kind == "polynomial":
        return karras(count, low, high, rho)
    if kind == "logsnr":
        return torch.logspace(0, 1, count, base=low / high, dtype=torch.float64) * high
    raise ValueError(f"schedule_type must be polynomial or logsnr, or give t_steps; found {kind!r}")
