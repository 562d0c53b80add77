"""diffusers schedulers: hosts that own one step, run here on any grid of noise levels.

A scheduler's tables are overwritten after set_timesteps with the grid to be judged; the loop is the
pipelines' own: scale_model_input, the network, step. Where a class keeps its levels decides how:
sigma/alpha with states in VP scaling, the same with VE states, EDM's preconditioning, the flow
time, or a table of alphas_cumprod by integer time.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import TargetError
from ..trace import Denoiser, Run
from .alone import double, stood_in
from .functions import predicted

VP = {
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
    "SASolverScheduler",
}
VE = {"EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "LMSDiscreteScheduler"}
VE_PAIRS = {
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "DPMSolverSDEScheduler",
}
EDM = {
    "EDMEulerScheduler",
    "EDMDPMSolverMultistepScheduler",
    "CosineDPMSolverMultistepScheduler",
}
FLOW = {"FlowMatchEulerDiscreteScheduler", "LTXEulerAncestralRFScheduler"}
FLOW_PAIRS = {"FlowMatchHeunDiscreteScheduler"}
TABLE = {
    "DDIMScheduler",
    "DDIMParallelScheduler",
    "CogVideoXDDIMScheduler",
    "DDPMScheduler",
    "DDPMParallelScheduler",
    "PNDMScheduler",
}
INDEX = {"IPNDMScheduler"}
# classes that diffusers offers only beside torchsde, whose Brownian tree the judge replaces
TORCHSDE = {
    "DPMSolverSDEScheduler": "diffusers.schedulers.scheduling_dpmsolver_sde",
    "CosineDPMSolverMultistepScheduler": (
        "diffusers.schedulers.scheduling_cosine_dpmsolver_multistep"
    ),
}


@dataclass
class Placed:
    """A scheduler with a grid placed in it.

    Args:
        scheduler: ready for its first step.
        levels: sigma/alpha of each model call.
        alpha: level -> the factor alpha of the host's states.
        flow: whether the host's sigma is the flow time.
    """

    scheduler: Any
    levels: list[Tensor]
    alpha: Callable[[Tensor], Tensor]
    last: Tensor


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
    made = _instance(scheduler, options or {}, exact)

    def run(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        with _default_dtype(torch.float64 if exact else torch.float32):
            # some change their own options for a number of steps, and keep the change
            fresh = replace(made, scheduler=copy.deepcopy(made.scheduler))
            return _loop(_placed(fresh, sigmas), denoiser, x, sigmas, made.step_options)

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


def _one(level: Tensor) -> Tensor:
    return torch.ones_like(level)


def _vp(level: Tensor) -> Tensor:
    return 1 / torch.sqrt(1 + level**2)


def _flow(level: Tensor) -> Tensor:
    return 1 / (1 + level)


def _placed(made: _Made, sigmas: Tensor) -> Placed:
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


def _placed_table(made: _Made, sigmas: Tensor) -> Placed:
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


@dataclass
class _Made:
    scheduler: Any
    cls: type
    options: dict[str, Any]
    family: str
    step_options: dict[str, Any]


def _instance(scheduler: Any, options: dict[str, Any], exact: bool) -> _Made:
    try:
        diffusers = importlib.import_module("diffusers")
    except ImportError as error:
        raise TargetError(f"diffusers: not installed ({error}); pip install diffusers") from error
    if isinstance(scheduler, str):
        name = scheduler
        scheduler = getattr(importlib.import_module("diffusers.schedulers"), name, None)
        scheduler = scheduler or getattr(diffusers, name, None)
        if scheduler is None:
            raise TargetError(f"diffusers:{name}: no such scheduler in the installed diffusers")
    if not isinstance(scheduler, type):
        options = {**{k: v for k, v in scheduler.config.items() if k[0] != "_"}, **options}
        known = inspect.signature(type(scheduler)).parameters
        options = {k: v for k, v in options.items() if k in known}
        scheduler = type(scheduler)
    known_names = VP | VE | VE_PAIRS | EDM | FLOW | FLOW_PAIRS | TABLE | INDEX
    family = next((c.__name__ for c in scheduler.__mro__ if c.__name__ in known_names), None)
    if family is None:
        raise TargetError(
            f"{scheduler.__name__}: not a scheduler that integrates an ODE on a grid of noise "
            "levels, or one whose tables are not known here"
        )
    if exact and scheduler.__module__.startswith("diffusers."):
        source = TORCHSDE.get(scheduler.__name__, scheduler.__module__)
        with stood_in("torchsde"):
            scheduler = getattr(double(source), scheduler.__name__)
    options, step_options = _split(scheduler, options)
    with _default_dtype(torch.float64 if exact else torch.float32):
        try:
            made = scheduler(**options)
        except Exception as error:
            raise TargetError(f"{scheduler.__name__}({options}): {error}") from error
    return _Made(made, scheduler, options, family, step_options)


def _split(cls: type, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the constructor, and those that only step() knows."""
    built = inspect.signature(cls).parameters
    stepped = inspect.signature(getattr(cls, "step")).parameters  # noqa: B009
    later = {k: v for k, v in options.items() if k not in built and k in stepped}
    return {k: v for k, v in options.items() if k not in later}, later


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
