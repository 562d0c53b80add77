"""A grid of noise levels in a scheduler: its own tables are overwritten after set_timesteps."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .scheduler_classes import FLOW, FLOW_PAIRS, INDEX, TABLE, VE_PAIRS, VP, Made


@dataclass
class Placed:
    """A scheduler with a grid placed in it.

    Args:
        scheduler: ready for its first step.
        levels: sigma/alpha of each model call.
        alpha: level -> the factor alpha of the host's states.
        last: sigma/alpha where the run ends.
    """

    scheduler: Any
    levels: list[Tensor]
    alpha: Callable[[Tensor], Tensor]
    last: Tensor


def place(made: Made, sigmas: Tensor) -> Placed:
    """A grid of levels sigma/alpha, written into a scheduler's own tables."""
    n = len(sigmas) - 1
    name = made.family
    if name in TABLE:
        return _placed_table(made, sigmas)
    scheduler = made.scheduler
    if name in INDEX:
        return _placed_index(scheduler, sigmas)
    pairs = name in VE_PAIRS | FLOW_PAIRS
    with contextlib.suppress(KeyError):
        scheduler.set_timesteps(n, **_extra(scheduler))
    flow = name in FLOW | FLOW_PAIRS or bool(getattr(scheduler.config, "use_flow_sigmas", False))
    own = sigmas / (1 + sigmas) if flow else sigmas
    calls = sigmas[:-1]
    if pairs:
        calls = torch.cat([sigmas[:1], sigmas[1:].repeat_interleave(2)])[:-1]
        own = torch.cat([own[:1], own[1:].repeat_interleave(2)])
    if name == "KDPM2AncestralDiscreteScheduler":
        calls = _place_ancestral(scheduler, sigmas)
    elif name == "DPMSolverSDEScheduler":
        calls = torch.stack([sigmas[:-1], (sigmas[1:] * sigmas[:-1]).sqrt()], dim=1).flatten()
    elif "KDPM2" in name:
        middle = own.new_tensor(sigmas.tolist())
        middle = torch.cat([middle[:1], (middle[1:] * middle[:-1]).sqrt()])
        scheduler.sigmas_interpol = torch.cat([middle[:1], middle[1:].repeat_interleave(2)])
        calls = torch.stack([sigmas[:-1], middle[1:]], dim=1).flatten()
    dtype = scheduler.sigmas.dtype
    scheduler.sigmas = own.to(dtype)
    # times only name the steps: begin_index keeps every class from looking them up
    times = own[: len(calls)] * (1000.0 if flow else 1.0)
    scheduler.timesteps = times.to(dtype if flow else torch.float64)
    if name in VP:
        scheduler.timesteps = torch.arange(n, 0, -1)
    scheduler.num_inference_steps = n
    scheduler.set_begin_index(0)
    alpha = _flow if flow else (_vp if name in VP else _one)
    return Placed(scheduler, list(calls), alpha, sigmas[-1])


def _place_ancestral(scheduler: Any, sigmas: Tensor) -> Tensor:
    """KDPM2Ancestral's own tables of levels down, up and between, for this grid; its call levels."""
    here, there = sigmas[:-1], sigmas[1:]
    up = (there**2 * (here**2 - there**2) / here**2).sqrt()
    down = (there**2 - up**2).sqrt()
    middle = (here * down).sqrt()
    for name, values in (("up", up), ("down", down), ("interpol", middle)):
        paired = torch.cat([values[:1], values[1:].repeat_interleave(2), values[-1:]])
        setattr(scheduler, f"sigmas_{name}", paired)
    return torch.stack([here, middle], dim=1).flatten()


def _extra(scheduler: Any) -> dict[str, Any]:
    """Arguments without which set_timesteps refuses."""
    dynamic = getattr(scheduler.config, "use_dynamic_shifting", False)
    return {"mu": 0.5} if dynamic else {}


def _placed_table(made: Made, sigmas: Tensor) -> Placed:
    """Levels by integer time; the table is made to measure and its end kept apart."""
    n = len(sigmas) - 1
    ratio = 2 if made.family == "PNDMScheduler" else 1
    options = {
        **made.options,
        "num_train_timesteps": n * ratio + 1,
        "timestep_spacing": "leading",
        "steps_offset": ratio,
    }
    known = inspect.signature(made.cls).parameters
    scheduler = made.cls(**{k: v for k, v in options.items() if k in known})
    log = sigmas.log()
    table = log if ratio == 1 else _with_middles(log)
    # time k*ratio holds level n - k
    scheduler.alphas_cumprod = (1 / (1 + (2 * table.flip(0)).exp())).to(
        scheduler.alphas_cumprod.dtype
    )
    scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
    scheduler.one = scheduler.alphas_cumprod[0]
    scheduler.set_timesteps(n)
    levels = [table.flip(0)[int(t)].exp() for t in scheduler.timesteps]
    return Placed(scheduler, levels, _vp, sigmas[-1])


def _with_middles(log: Tensor) -> Tensor:
    middle = (log[1:] + log[:-1]) / 2
    return torch.cat([torch.stack([log[:-1], middle], dim=1).flatten(), log[-1:]])


def _placed_index(scheduler: Any, sigmas: Tensor) -> Placed:
    scheduler.set_timesteps(len(sigmas) - 1)
    alpha = _vp(sigmas)
    dtype = scheduler.betas.dtype
    scheduler.betas, scheduler.alphas = (sigmas * alpha).to(dtype), alpha.to(dtype)
    scheduler.timesteps = sigmas[:-1].to(dtype)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    return Placed(_WithKind(scheduler, "v_prediction"), list(sigmas[:-1]), _vp, sigmas[-1])


class _WithKind:
    """A scheduler with a prediction type that its config does not state."""

    def __init__(self, scheduler: Any, kind: str) -> None:
        self._scheduler = scheduler
        self.config = type("config", (), {"prediction_type": kind})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheduler, name)


def _one(level: Tensor) -> Tensor:
    return torch.ones_like(level)


def _vp(level: Tensor) -> Tensor:
    return 1 / torch.sqrt(1 + level**2)


def _flow(level: Tensor) -> Tensor:
    return 1 / (1 + level)
