"""Levels of flow models as diffusers' classes make them: shifted, stretched, shaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .grid import SHAPES, checked_levels, shaped_levels


def flow_levels(
    config: Any,
    family: str,
    count: int | None,
    sigmas: Sequence[float] | None,
    mu: float | None,
    table: torch.Tensor,
    set_shift: float | None = None,
) -> torch.Tensor:
    """Flow levels σ before the last 0, with the shift of the config, or of mu where it is dynamic.

    A config with `shift` is one of FlowMatchEulerDiscreteScheduler, one with `flow_shift` that of a
    solver's own class. Sigmas of the caller are shifted too, as there, unless the config says that
    they are final (`sigmas_are_final`).

    Args:
        set_shift: a shift in place of the config's, whose least level stays what it was.
        table: σ/α of the variance-preserving training schedule, which UniPC's Karras levels are of.

    Raises:
        ValueError: mu is missing or no number, the shift is not above 0, a shape that the class does
            not know with flow levels, or sigmas out of order.
    """
    train, matching = config.num_train_timesteps, config.shift is not None
    shift = shift_of(config, mu)
    if set_shift is not None and not config.use_dynamic_shifting:
        shift = set_shift
    asked = [key for key in SHAPES if config.get(key)]
    karras = asked == ["use_karras_sigmas"] and family == "UniPCMultistep"
    if asked and not matching and not karras:
        raise ValueError(
            f"{asked[0]} and use_flow_sigmas do not go together in {family}Scheduler; flow-matching "
            "configs (`shift`) have it"
        )
    if sigmas is not None:
        sigma = checked_levels(sigmas, None)
        if float(sigma.max()) > 1 + 1e-6:
            raise ValueError(
                f"sigmas of a flow model are from 0 to 1, noise alone; found {float(sigma.max()):g}"
            )
        sigma = sigma[:-1] if sigma[-1] == 0 else sigma
        if config.sigmas_are_final:
            return sigma
    elif matching:
        low = shifted(torch.tensor(1 / train, dtype=torch.float64), static(config))
        # Their class takes for its least level one that is shifted, and shifts it again.
        twice = not (config.use_dynamic_shifting or config.shift_once)
        ends = 1.0, float(low) if twice else 1 / train
        sigma = ramp(*ends, count or 1)
    elif family in ("DPMSolverMultistep", "DPMSolverSinglestep", "DEISMultistep", "SASolver"):
        sigma = (1 - ramp(1.0, 1 / train, (count or 1) + 1)).flip(0)[:-1]
    else:
        sigma = ramp(1.0, 1 / train, (count or 1) + 1)[:-1]
    if karras:
        raised = shaped_levels(config, len(sigma), float(table[-1]), float(table[0]))
        assert raised is not None
        return raised / (1 + raised)
    sigma = shifted(sigma, shift)
    if config.shift_terminal:
        if len(sigma) == 1 and sigma[0] == 1:
            raise ValueError(
                "shift_terminal needs two steps or more: one step has no time to stretch"
            )
        sigma = 1 - (1 - sigma) / ((1 - sigma[-1]) / (1 - config.shift_terminal))
    shaped = (
        shaped_levels(config, len(sigma), float(sigma[0]), float(sigma[-1])) if matching else None
    )
    sigma = sigma if shaped is None else shaped
    if family == "UniPCMultistep" and not matching and abs(float(sigma[0]) - 1) < 1e-6:
        sigma[0] -= 1e-6  # as their class does; its update knows no alpha of 0
    return sigma


def ramp(start: float, end: float, count: int) -> torch.Tensor:
    """Equidistant values, to the last digit those of numpy: what diffusers truncates hangs on it."""
    if count == 1:
        return torch.tensor([start], dtype=torch.float64)
    values = torch.arange(count, dtype=torch.float64) * ((end - start) / (count - 1)) + start
    values[-1] = end
    return values


def static(config: Any) -> float:
    """The shift that does not depend on the image."""
    return float(config.flow_shift if config.shift is None else config.shift)


def shift_of(config: Any, mu: float | None) -> float:
    """The shift of this run; mu is for dynamic shifting and ignored without, as in diffusers.

    Raises:
        ValueError: dynamic shifting without mu, or a shift that is not above 0.
    """
    shift = static(config)
    if config.use_dynamic_shifting:
        if mu is None:
            raise ValueError(
                "use_dynamic_shifting needs mu: call set_timesteps(…, mu=…), as pipelines do, or "
                "make the scheduler with use_dynamic_shifting=False"
            )
        shift = float(mu) if config.time_shift_type == "linear" else math.exp(mu)
    if not 0 < shift < math.inf:
        raise ValueError(f"the shift of times must be above 0 and finite; found {shift}")
    return shift


def shifted(sigma: torch.Tensor, shift: float) -> torch.Tensor:
    """s σ / (1 + (s − 1) σ): the time shift of SD3 (Esser et al. 2024, Eq. 23)."""
    return shift * sigma / (1 + (shift - 1) * sigma)
