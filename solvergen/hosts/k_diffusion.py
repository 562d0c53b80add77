"""Emitted samplers for hosts that hand every option to every sampler: A1111, Forge, SD.Next, InvokeAI.

An emitted `sample` has k-diffusion's signature and takes the solver's own parameters; these hosts pass
`eta`, `s_noise`, `s_churn`, `noise_sampler`, `order`, `solver_type`, `r` and more, whether a sampler
has them or not. The adapter gives a sampler those that it has, under their names there, and drops the
others:

    their name                        ours
    eta                               eta; or tau = √eta, the strength of an SDE: both multiply h by
                                      1 + eta = 1 + tau²
    s_noise                           s_noise
    s_churn, s_tmin, s_tmax           the same
    r                                 r
    noise_sampler                     noise_sampler, for solvers that draw noise
    order, solver_type, generator…    none: a solver is one method

    from solvergen.hosts.k_diffusion import adapted
    import samplers.dpmpp_2m

    sample_dpmpp_2m = adapted(samplers.dpmpp_2m)   # A1111: an entry of samplers_k_diffusion
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .noise import NoiseSampler, Seeded, level_of

# Their name of an option, and the names of a solver's parameter that it may be.
NAMES = {"eta": ("eta", "tau")}
HELD = ("model", "x", "sigmas", "extra_args", "callback", "disable", "alphas", "noise_sampler")


def adapted(
    module: ModuleType,
    *,
    flow: bool = False,
    seeds: Callable[[Tensor], Sequence[int]] | None = None,
) -> Callable[..., Tensor]:
    """The sampler of an emitted file, which takes any option and uses those that it has.

    Args:
        module: an emitted file, imported.
        flow: whether models walk x = (1 − σ) x0 + σ ε; else x = x0 + σ ε, as in k-diffusion.
        seeds: from the state to one seed per sample, for solvers that draw noise: then every sample
            draws by itself, whatever the batch. Without it the host's noise_sampler draws, or
            torch's own generator.

    Returns:
        ``sample(model, x, sigmas, extra_args, callback, disable, **options)``; `dropped` on it names
        the options that hosts pass and this solver has not.
    """
    own = [name for name in inspect.signature(module.sample).parameters if name not in HELD]
    stochastic = hasattr(module, "NOISE")

    def sample(
        model: Callable[..., Tensor],
        x: Tensor,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Callable[[dict[str, Any]], None] | None = None,
        disable: bool | None = None,
        noise_sampler: NoiseSampler | None = None,
        **options: Any,
    ) -> Tensor:
        """Sample from x at sigmas[0] down to sigmas[-1]; options that the solver has not are dropped."""
        levels = torch.as_tensor(sigmas).detach().clone().cpu()
        given: dict[str, Any] = {"alphas": 1 - levels.double()} if flow else {}
        for name, value in options.items():
            known = next((found for found in NAMES.get(name, (name,)) if found in own), None)
            if known is not None and value is not None:
                given[known] = math.sqrt(value) if known == "tau" != name else value
        if stochastic:
            source = Seeded(x, seeds(x)) if seeds is not None else noise_sampler
            given["noise_sampler"] = source if seeds or source is None else _numbers(source, x)
        return module.sample(model, x, levels, extra_args, callback, disable, **given)

    hosts = ("eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "order", "solver_type", "r")
    sample.__name__ = f"sample_{module.NAME}"
    sample.__doc__ = module.__doc__
    sample.own = own  # type: ignore[attr-defined]
    sample.dropped = [  # type: ignore[attr-defined]
        name for name in hosts if not set(NAMES.get(name, (name,))) & set(own)
    ]
    return sample


def _numbers(source: NoiseSampler, x: Tensor) -> NoiseSampler:
    """A host's noise, asked for levels as tensors where the state is, in a dtype that fits it."""

    def draw(sigma: Any, sigma_next: Any) -> Tensor:
        pair = [
            torch.as_tensor(level_of(level), dtype=torch.float32) for level in (sigma, sigma_next)
        ]
        return source(*(level.to(x.device) for level in pair)).to(x.dtype).to(x.device)

    return draw
