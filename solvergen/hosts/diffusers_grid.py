"""Noise schedules and time grids as diffusers configures them, in float64 on the host.

Levels are ρ = σ/α for variance-preserving models and σ itself for flow models (α = 1 − σ).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch


def train_alphas_cumprod(config: Any) -> torch.Tensor:
    """The training schedule ᾱ_t, as every diffusers scheduler makes it."""
    count, low, high = config.num_train_timesteps, config.beta_start, config.beta_end
    if config.trained_betas is not None:
        betas = torch.tensor(config.trained_betas, dtype=torch.float32)
    elif config.beta_schedule == "linear":
        betas = torch.linspace(low, high, count, dtype=torch.float32)
    elif config.beta_schedule == "scaled_linear":
        betas = torch.linspace(low**0.5, high**0.5, count, dtype=torch.float32) ** 2
    elif config.beta_schedule == "squaredcos_cap_v2":
        bar = [math.cos((i / count + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(count + 1)]
        betas = torch.tensor([min(1 - bar[i + 1] / bar[i], 0.999) for i in range(count)])
    else:
        raise ValueError(
            f"beta_schedule must be linear, scaled_linear or squaredcos_cap_v2; "
            f"found {config.beta_schedule!r}"
        )
    product = torch.cumprod(1.0 - betas, dim=0)
    if not config.rescale_betas_zero_snr:
        return product
    root = product.sqrt()  # shifted and scaled so that the last alpha is zero, the first unchanged
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    product = root**2
    product[-1] = 2**-24  # close to zero without being zero: the first level stays finite
    return product


def train_levels(alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """ρ = σ/α at every training timestep, rising."""
    wide = alphas_cumprod.double()
    return ((1 - wide) / wide).sqrt()


def time_of(level: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """The training time at which a level is reached, linear in log ρ between timesteps."""
    log, logs = level.clamp_min(1e-10).log(), levels.log()
    high = torch.searchsorted(logs, log).clamp(1, len(logs) - 1)
    low = high - 1
    part = ((log - logs[low]) / (logs[high] - logs[low])).clamp(0, 1)
    return low + part


def level_at(time: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """The level at a training time, linear in ρ between timesteps."""
    low = time.floor().long().clamp(0, len(levels) - 1)
    high = (low + 1).clamp_max(len(levels) - 1)
    return levels[low] + (levels[high] - levels[low]) * (time - low)


def spaced_times(config: Any, count: int, levels: torch.Tensor) -> torch.Tensor:
    """`count` falling training timesteps in the spacing of the config."""
    last = int((-levels.log() >= config.lambda_min_clipped).sum())
    if config.timestep_spacing == "linspace":
        ramp = torch.arange(count + 1, dtype=torch.float64) * ((last - 1) / count)
        return ramp.round().flip(0)[:-1]
    if config.timestep_spacing == "leading":
        times = torch.arange(0, count + 1, dtype=torch.float64) * (last // (count + 1))
        return times.flip(0)[:-1] + config.steps_offset
    if config.timestep_spacing == "trailing":
        ratio = config.num_train_timesteps / count
        places = [last - k * ratio for k in range(count)]
        return torch.tensor([round(place) - 1 for place in places if place > 0]).double()
    raise ValueError(
        f"timestep_spacing must be linspace, leading or trailing; found {config.timestep_spacing!r}"
    )


def shaped_levels(config: Any, count: int, high: float, low: float) -> torch.Tensor | None:
    """Levels from high to low in the shape that the config asks for, if it asks for one."""
    ramp = torch.linspace(0, 1, count, dtype=torch.float64)
    if config.use_karras_sigmas:
        a, b = high ** (1 / 7), low ** (1 / 7)
        return (a + ramp * (b - a)) ** 7
    if config.use_exponential_sigmas or config.use_lu_lambdas:
        return torch.exp(math.log(high) + ramp * (math.log(low) - math.log(high)))
    if config.use_beta_sigmas:
        from scipy.stats import beta  # type: ignore[import-untyped,unused-ignore]

        quantiles = [beta.ppf(1 - float(r), 0.6, 0.6) for r in ramp]
        return low + torch.tensor(quantiles, dtype=torch.float64) * (high - low)
    return None


def flow_levels(
    config: Any, count: int | None, sigmas: Sequence[float] | None, mu: float | None
) -> torch.Tensor:
    """Flow levels σ with the shift of the config, or exp(mu) where mu is given."""
    if sigmas is None:
        assert count is not None
        ramp = torch.linspace(1, 1 / config.num_train_timesteps, count + 1, dtype=torch.float64)
        sigma = ramp[:-1]
    else:
        sigma = torch.as_tensor(sigmas, dtype=torch.float64)
        sigma = sigma[:-1] if sigma[-1] == 0 else sigma
    static = config.flow_shift if config.shift is None else config.shift
    grown = mu if mu is None or config.time_shift_type == "linear" else math.exp(mu)
    shift = static if grown is None else grown
    sigma = shift * sigma / (1 + (shift - 1) * sigma)
    if config.shift_terminal:
        sigma = 1 - (1 - sigma) * (1 - config.shift_terminal) / (1 - sigma[-1])
    shaped = shaped_levels(config, len(sigma), float(sigma[0]), float(sigma[-1]))
    return sigma if shaped is None else shaped


def threshold(denoised: torch.Tensor, ratio: float, ceiling: float) -> torch.Tensor:
    """Dynamic thresholding (Saharia et al. 2022): clip each sample to a percentile, rescale."""
    flat = denoised.float().flatten(1)
    bound = torch.quantile(flat.abs(), ratio, dim=1).clamp(1, ceiling)[:, None]
    clipped = torch.clamp(flat, -bound, bound) / bound
    return clipped.reshape(denoised.shape).to(denoised.dtype)
