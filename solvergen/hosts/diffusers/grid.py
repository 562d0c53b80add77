"""Noise schedules and time grids as diffusers' classes make them, in float64 on the host.

Levels are ρ = σ/α for variance-preserving models and σ itself for flow models (α = 1 − σ). What a
config leaves open is decided as by the class of the solver's family, whose name is an argument here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddpm import betas_for_alpha_bar

# Whose timesteps are integers: n of n + 1 points of the table, or n points of it.
MULTISTEP = (
    "DPMSolverMultistep",
    "DPMSolverSinglestep",
    "UniPCMultistep",
    "DEISMultistep",
    "SASolver",
)
WHOLE = (*MULTISTEP, "DDIM", "DDPM", "PNDM", "LCM", "TCD")
ZERO_SNR = ("DDIM", "DDPM", "LCM", "TCD")  # they keep an alpha of 0; others have 2^-24 in its place


def train_alphas_cumprod(config: Any, family: str) -> torch.Tensor:
    """The training schedule ᾱ_t, as every diffusers scheduler makes it.

    Raises:
        ValueError: the config names a schedule that there is none of, or β of another length.
    """
    count, low, high = config.num_train_timesteps, config.beta_start, config.beta_end
    kind = config.beta_schedule
    if config.trained_betas is not None:
        betas = torch.as_tensor(config.trained_betas, dtype=torch.float32)
        if len(betas) != count:
            raise ValueError(f"trained_betas are {len(betas)}, num_train_timesteps is {count}")
    elif kind == "linear":
        betas = torch.linspace(low, high, count, dtype=torch.float32)
    elif kind == "scaled_linear":
        betas = torch.linspace(low**0.5, high**0.5, count, dtype=torch.float32) ** 2
    elif kind == "squaredcos_cap_v2":
        betas = betas_for_alpha_bar(count)
    elif kind in ("exp", "laplace"):
        betas = betas_for_alpha_bar(count, alpha_transform_type=kind)
    elif kind == "sigmoid":
        betas = torch.sigmoid(torch.linspace(-6, 6, count)) * (high - low) + low
    else:
        raise ValueError(
            "beta_schedule must be linear, scaled_linear, squaredcos_cap_v2, exp, laplace or "
            f"sigmoid; found {kind!r}"
        )
    product = torch.cumprod(1.0 - betas, dim=0)
    if not config.rescale_betas_zero_snr:
        return product
    root = product.sqrt()  # shifted and scaled so that the last alpha is zero, the first unchanged
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    product = root**2
    product[-1] = 0.0 if family in ZERO_SNR else 2**-24
    return product


def train_levels(alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """ρ = σ/α at every training timestep, rising; infinite where α is 0. Rounded as in diffusers."""
    return (((1 - alphas_cumprod) / alphas_cumprod) ** 0.5).double()


def time_of(level: torch.Tensor, levels: torch.Tensor, single: bool = False) -> torch.Tensor:
    """The training time at which a level is reached, linear in log ρ between timesteps.

    single: with logarithms of the table in float32, as diffusers has them: what it truncates
        depends on their last digit.
    """
    log, logs = level.clamp_min(1e-10).log(), levels.log()
    logs = levels.float().log().double() if single else logs
    high = torch.searchsorted(logs, log).clamp(1, len(logs) - 1)
    low = high - 1
    part = ((log - logs[low]) / (logs[high] - logs[low])).clamp(0, 1)
    part = torch.where(logs[high].isinf(), (log >= logs[high]).double(), part)
    return low + part


def level_at(time: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """The level at a training time, linear in ρ between timesteps."""
    low = time.floor().long().clamp(0, len(levels) - 1)
    high = (low + 1).clamp_max(len(levels) - 1)
    part = time - low
    return torch.where(part == 0, levels[low], levels[low] + (levels[high] - levels[low]) * part)


def spaced_times(config: Any, family: str, count: int, levels: torch.Tensor) -> torch.Tensor:
    """`count` falling training timesteps in the spacing of the config.

    Raises:
        ValueError: the spacing is none of the three, or it makes timesteps that do not fall within
            the table.
    """
    train, spacing = config.num_train_timesteps, config.timestep_spacing
    last = int((-levels.log() >= config.lambda_min_clipped).sum())
    if family == "DPMSolverSinglestep":
        spacing = "linspace"  # the one that their class has
    points = count + 1 if family in MULTISTEP else count
    ramp = torch.arange(points, dtype=torch.float64)
    if spacing == "linspace":
        top = last - 1 if family in MULTISTEP else train - 1
        times = ramp * (top / max(points - 1, 1))
        times = times.round() if family in WHOLE else times
    elif spacing == "leading":
        times = ramp * ((last if family in MULTISTEP else train) // points)
    elif spacing == "trailing":
        ratio, top = train / count, last if family in MULTISTEP else train
        places = [top - k * ratio for k in range(count)]
        times = torch.tensor([round(place) - 1 for place in places if place > 0]).double().flip(0)
    else:
        raise ValueError(
            f"timestep_spacing must be linspace, leading or trailing; found {spacing!r}"
        )
    times = times.flip(0)[:count] + (config.steps_offset if spacing == "leading" else 0)
    found = times.tolist()
    offset = f" and steps_offset = {config.steps_offset}" if spacing == "leading" else ""
    for time, after in itertools.pairwise([*found, -1.0]):
        if not train > time > after:
            raise ValueError(
                f"timestep_spacing = {spacing}{offset} makes timesteps {time:g} and {after:g} of "
                f"num_inference_steps = {count}: they must fall within 0 to {train - 1}; take fewer "
                "steps"
            )
    return times


def distilled_times(
    config: Any, family: str, count: int, original: int | None, strength: float
) -> torch.Tensor:
    """`count` of the timesteps that a consistency model was distilled on, as LCM and TCD take them.

    Args:
        original: timesteps of the distillation; those of the config unless given. TCD, where they
            are given, picks from all timesteps, as its class does.
        strength: which part of them is used, from the lowest up.

    Raises:
        ValueError: more timesteps are asked for than there are.
    """
    train = config.num_train_timesteps
    known = config.original_inference_steps if original is None else original
    if not 1 <= known <= train:
        raise ValueError(f"original_inference_steps must be from 1 to {train}; found {known}")
    stride, used = train // known, int(known * strength)
    times = [k * stride - 1 for k in range(used, 0, -1)]
    if family == "TCD" and original is not None:
        times = list(range(int(train * strength)))[::-1]
    if not 1 <= count <= min(len(times), known):
        raise ValueError(
            f"num_inference_steps must be from 1 to {min(len(times), known)}, the timesteps that "
            f"original_inference_steps = {known} and strength = {strength} leave; found {count}"
        )
    return torch.tensor([times[k * len(times) // count] for k in range(count)]).double()


def shaped_levels(config: Any, count: int, high: float, low: float) -> torch.Tensor | None:
    """Levels from high to low in the shape that the config asks for, if it asks for one.

    Raises:
        ValueError: it asks for two.
    """
    asked = [key for key in SHAPES if config.get(key)]
    if len(asked) > 1:
        raise ValueError(f"only one of {', '.join(SHAPES)} can be used; found {', '.join(asked)}")
    if not asked:
        return None
    high = high if config.sigma_max is None else config.sigma_max
    low = low if config.sigma_min is None else config.sigma_min
    if not 0 < low < high < math.inf and count > 1:
        raise ValueError(
            f"{asked[0]} needs levels from a finite one down to one above 0; found {high} and {low}"
        )
    ramp = torch.linspace(0, 1, count, dtype=torch.float64)
    if asked[0] == "use_karras_sigmas":
        a, b = high ** (1 / 7), low ** (1 / 7)
        return (a + ramp * (b - a)) ** 7
    if asked[0] == "use_beta_sigmas":
        from scipy.stats import beta  # type: ignore[import-untyped,unused-ignore]

        quantiles = torch.as_tensor(beta.ppf(1 - ramp.numpy(), 0.6, 0.6), dtype=torch.float64)
        return low + quantiles * (high - low)
    return torch.exp(math.log(high) + ramp * (math.log(low) - math.log(high)))


SHAPES = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas")


def told_times(config: Any, family: str, time: torch.Tensor) -> torch.Tensor:
    """Times that the network gets for shaped levels.

    Where levels are not those of timesteps diffusers' multistep classes round times to the nearest
    (Karras, Lu) or truncate them, so the network gets another level. `timestep_rounding` is
    "nearest" (rounded where they round, else exact), "exact", or "diffusers".
    """
    rule = config.timestep_rounding
    if rule == "exact":
        return time
    nearest = config.use_karras_sigmas and family in (*MULTISTEP, "KDPM2Discrete")
    nearest = nearest or config.use_karras_sigmas and family == "KDPM2AncestralDiscrete"
    nearest = nearest or config.use_lu_lambdas
    if family == "DPMSolverMultistep" and config.beta_schedule == "squaredcos_cap_v2":
        nearest = False
    if nearest:
        return time.round()
    return time.floor() if rule == "diffusers" and family in MULTISTEP else time


def checked_times(timesteps: Sequence[float], train: int) -> torch.Tensor:
    """A caller's timesteps, within the table and no two neighbours equal.

    Raises:
        ValueError: one of them is not within 0 to train − 1, or equals the next.
    """
    times = torch.as_tensor(timesteps, dtype=torch.float64)
    found = times.tolist() if times.ndim == 1 else []
    if not found or not all(0 <= time <= train - 1 for time in found):
        raise ValueError(f"timesteps must be from 0 to {train - 1}; found {found or timesteps!r}")
    same = [time for time, after in itertools.pairwise(found) if time == after]
    if same:
        raise ValueError(f"timesteps must decrease; found {same[0]:g} twice")
    return times


def checked_levels(sigmas: Sequence[float], levels: torch.Tensor | None) -> torch.Tensor:
    """A caller's sigmas, of which no two neighbours are equal.

    Args:
        levels: those of the timesteps, to name the one that two sigmas belong to.

    Raises:
        ValueError: two neighbours are equal, or there is nothing but 0.
    """
    level = torch.as_tensor(sigmas, dtype=torch.float64)
    if level.ndim != 1 or not len(level) or not float(level[0]) > 0:
        raise ValueError(f"sigmas must be a list of numbers, the first above 0; found {sigmas!r}")
    for place, (value, after) in enumerate(itertools.pairwise(level.tolist())):
        if value == after:
            where = ""
            if levels is not None:
                where = (
                    f", the level of timestep {float(time_of(level[place : place + 1], levels)):g}"
                )
            raise ValueError(
                f"sigmas must decrease: sigmas[{place}] and sigmas[{place + 1}] are both "
                f"{value:g}{where}; leave out one of the two timesteps"
            )
    return level


def threshold(denoised: torch.Tensor, ratio: float, ceiling: float) -> torch.Tensor:
    """Dynamic thresholding (Saharia et al. 2022): clip each sample to a percentile, rescale."""
    flat = denoised.float().flatten(1)
    bound = torch.quantile(flat.abs(), ratio, dim=1).clamp(1, ceiling)[:, None]
    clipped = torch.clamp(flat, -bound, bound) / bound
    return clipped.reshape(denoised.shape).to(denoised.dtype)
