"""diffusers schedulers: hosts that own one step, run here on any grid of noise levels.

A scheduler's tables are overwritten after set_timesteps with the grid to be judged; the loop is the
pipelines' own: scale_model_input, the network, step. Where a class keeps its levels decides how:
sigma/alpha with states in VP scaling, the same with VE states, EDM's preconditioning, the flow
time, or a table of alphas_cumprod by integer time.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..probe.trace import Denoiser, Run
from .functions import predicted
from .scheduler_classes import EDM, VE, VE_PAIRS, default_dtype, instance
from .scheduler_grids import Placed, place


def scheduler_run(
    scheduler: Any, options: dict[str, Any] | None = None, *, exact: bool = True
) -> Run:
    """A scheduler class, its name in diffusers, or an instance, as run(denoiser, x, sigmas).

    Args:
        options: arguments of the constructor, for a class or a name, and of step().
        exact: load the class with its float32 casts replaced by float64.

    Raises:
        TargetError: diffusers is absent, or the class is none that integrates an ODE on a grid.
    """
    made = instance(scheduler, options or {}, exact)

    def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        with default_dtype(torch.float64 if exact else torch.float32):
            # some change their own options for a number of steps, and keep the change
            fresh = replace(made, scheduler=copy.deepcopy(made.scheduler))
            return _loop(place(fresh, sigmas), denoiser, x, sigmas, made.step_options)

    return run


def _loop(
    placed: Placed, denoiser: Denoiser, x: Tensor, sigmas: Tensor, options: dict[str, Any]
) -> Tensor:
    scheduler = placed.scheduler
    kind = getattr(scheduler.config, "prediction_type", "flow_prediction")
    name = type(scheduler).__name__
    state = x * placed.alpha(sigmas[0])
    for time, level in zip(scheduler.timesteps, placed.levels, strict=True):
        given = scheduler.scale_model_input(state, time) if _scales(scheduler) else state
        alpha = placed.alpha(level)
        if name in EDM:
            answer = _preconditioned(scheduler, state, denoiser(state, _batch(level, x)), level)
        elif name in VE | VE_PAIRS:
            # given is x / sqrt(sigma^2 + 1): the variance-preserving state of the network
            shrink = 1 / torch.sqrt(level**2 + 1)
            denoised = denoiser(given / shrink, _batch(level, x))
            answer = predicted(denoised, given, shrink, level * shrink, kind)
        else:
            denoised = denoiser(given / alpha, _batch(level, x))
            answer = predicted(denoised, given, alpha, level * alpha, kind)
        state = scheduler.step(answer, time, state, return_dict=False, **options)[0]
    return state / placed.alpha(placed.last)


def _preconditioned(scheduler: Any, state: Tensor, denoised: Tensor, level: Tensor) -> Tensor:
    """The raw network output F for which the scheduler's own preconditioning gives `denoised`."""
    zero = torch.zeros_like(state)
    base = scheduler.precondition_outputs(state, zero, level)
    slope = scheduler.precondition_outputs(state, zero + 1, level) - base
    return (denoised - base) / slope


def _batch(level: Tensor, x: Tensor) -> Tensor:
    return level.to(x.dtype).reshape(1).expand(len(x))


def _scales(scheduler: Any) -> bool:
    return hasattr(scheduler, "scale_model_input")
