"""The noise of an exported scheduler: as diffusers draws it, or from a source that it is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor


def strength_of(
    eta: float | None, coefficients: Callable[..., Any], planned: Any, family: str, solver: str
) -> float | None:
    """The strength of noise that a call asks for, or None for the solver's own.

    Args:
        eta: the argument of a scheduler's step; 0 is what pipelines pass unasked, and leaves a
            strength that the scheduler was made with, and a solver whose class takes no eta.
        coefficients: the sampler's function, which tells its parameters.
        planned: `solver_parameters` of the config.
        family, solver: the class that the solver stands in for, and its name.

    Raises:
        ValueError: a strength for a solver that has none.
    """
    if eta is None:
        return None
    if "eta" not in inspect.signature(coefficients).parameters and family != "TCD":
        if eta:
            raise ValueError(f"{solver} has no parameter eta: it must be 0; found {eta}")
        return None
    if not eta and ("eta" in (planned or {}) or family not in ("DDIM", "TCD")):
        return None
    own = (planned or {}).get("eta")
    return None if own == eta else float(eta)


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
    given: torch.Tensor | None = None,
) -> Callable[[Any], torch.Tensor]:
    """What draws noise like x, given the two levels that it leads from and to."""
    if isinstance(generator, list) and len(generator) not in (1, len(x)):
        raise ValueError(f"{len(generator)} generators for {len(x)} samples; give one per sample")

    def draw(levels: Any) -> torch.Tensor:
        if given is not None:
            return given.to(x)
        if noise_sampler is not None:
            return noise_sampler(*levels).to(x)
        return randn_tensor(x.shape, generator=generator, device=x.device, dtype=x.dtype)

    return draw
