"""Emitted samplers under the signatures of EDM and diff-sampler."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .models import widened
from .noise import Level, NoiseSampler, level_of

# EDM's arguments of noise: the parameter that they are, and the value that means none.
CHURN = {
    "S_churn": ("s_churn", 0.0),
    "S_min": ("s_tmin", 0.0),
    "S_max": ("s_tmax", math.inf),
    "S_noise": ("s_noise", 1.0),
}


def karras(count: int, low: float, high: float, rho: float) -> Tensor:
    """`count` levels from high to low, uniform in σ^(1/ρ) (Karras et al. 2022, Eq. 5)."""
    ramp = torch.linspace(0, 1, count, dtype=torch.float64)
    return (high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))) ** rho


def edm_sampler(module: ModuleType) -> Callable[..., Tensor]:
    """The sampler as EDM's generate.py calls it: float64 state, σ rounded by the network.

    S_churn, S_min, S_max and S_noise are the parameters s_churn, s_tmin, s_tmax and s_noise of
    solvers that have them; noise comes from randn_like. Solvers with churn call it once a step,
    as EDM does, also where no noise is added: seeds give EDM's noise. A raised level is not
    rounded, which differs from EDM for networks that know a list of levels only.

    Raises (when called):
        ValueError: one of the four is given to a solver without that parameter.
    """

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
        S_churn: float = 0.0,
        S_min: float = 0.0,
        S_max: float = math.inf,
        S_noise: float = 1.0,
        **parameters: float,
    ) -> Tensor:
        low, high = max(sigma_min, net.sigma_min), min(sigma_max, net.sigma_max)
        steps = torch.as_tensor(net.round_sigma(karras(num_steps, low, high, rho)))
        sigmas = torch.cat([steps.double().cpu(), torch.zeros(1, dtype=torch.float64)])

        def model(x: Tensor, sigma: Tensor) -> Tensor:
            return net(x, sigma, class_labels).to(x.dtype)

        start = widened(latents) * float(sigmas[0])
        given = {"S_churn": S_churn, "S_min": S_min, "S_max": S_max, "S_noise": S_noise}
        options: dict[str, Any] = {**_churn(module, given), **parameters}
        if hasattr(module, "NOISE"):
            options["noise_sampler"] = _edm_noise(module, start, sigmas, randn_like)
        return module.sample(model, start, sigmas, **options)

    return sampler


def _churn(module: ModuleType, given: dict[str, float]) -> dict[str, float]:
    """EDM's arguments of noise as the solver's parameters."""
    known = inspect.signature(module.coefficients).parameters
    taken = {}
    for argument, value in given.items():
        name, none = CHURN[argument]
        if name in known:
            taken[name] = value
        elif value != none:
            raise ValueError(
                f"{module.NAME} has no parameter {name}, which {argument} = {value} would set; "
                f"leave {argument} out or take a solver with churn"
            )
    return taken


def _edm_noise(
    module: ModuleType, x: Tensor, sigmas: Tensor, randn_like: Callable[[Tensor], Tensor]
) -> NoiseSampler:
    """Draws of randn_like; under churn those of the steps, one for each."""
    places = {level: i for i, level in enumerate(sigmas.tolist())}
    drawn = 0

    def draw(sigma: Level, sigma_next: Level) -> Tensor:
        nonlocal drawn
        noise = randn_like(x)
        while module.NOISE["form"] == "churn" and drawn < places[level_of(sigma)]:
            noise, drawn = randn_like(x), drawn + 1
        drawn += 1
        return noise

    return draw


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
        start = latents * float(sigmas[0])
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
