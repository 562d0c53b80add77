"""The noise of an exported scheduler: as diffusers draws it, or from a source that it is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor


def check_strength(eta: float, coefficients: Callable[..., Any], planned: Any) -> None:
    """Refuse a strength that is not the one planned with; 0 is what pipelines pass unasked.

    Args:
        eta: the argument of a scheduler's step.
        coefficients: the sampler's function, which tells its parameters.
        planned: those that the scheduler gives it, or None.
    """
    if not eta:
        return
    parameters = inspect.signature(coefficients).parameters
    if "eta" not in parameters:
        raise ValueError(f"this solver has no parameter eta: it must be 0; found {eta}")
    value = (planned or {}).get("eta", parameters["eta"].default)
    if eta != value:
        raise ValueError(
            f"this run is planned with eta = {value}; found {eta}. Make the scheduler with "
            f'solver_parameters={{"eta": {eta}}}'
        )


def check_parameters(coefficients: Callable[..., Any], given: Any) -> None:
    """Refuse a name that is not a parameter of the sampler's `coefficients`."""
    known = list(inspect.signature(coefficients).parameters)[2:]
    unknown = [name for name in given or {} if name not in known]
    if unknown:
        raise ValueError(
            f"solver_parameters are {', '.join(known) or 'none of this solver'}; "
            f"found {', '.join(unknown)}"
        )


def noise_source(
    x: torch.Tensor,
    generator: torch.Generator | list[torch.Generator] | None,
    noise_sampler: Callable[[Any, Any], torch.Tensor] | None,
) -> Callable[[Any], torch.Tensor]:
    """What draws noise like x, given the two levels that it leads from and to."""
    if isinstance(generator, list) and len(generator) not in (1, len(x)):
        raise ValueError(f"{len(generator)} generators for {len(x)} samples; give one per sample")

    def draw(levels: Any) -> torch.Tensor:
        if noise_sampler is not None:
            return noise_sampler(*levels).to(x)
        return randn_tensor(x.shape, generator=generator, device=x.device, dtype=x.dtype)

    return draw
