"""The scheduler classes of diffusers by where they keep their levels, and instances of them."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import ANYTHING, TargetError
from .alone import double, stood_in

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
KNOWN = VP | VE | VE_PAIRS | EDM | FLOW | FLOW_PAIRS | TABLE | INDEX
# classes that diffusers offers only beside torchsde, whose Brownian tree the judge replaces
TORCHSDE = {
    "DPMSolverSDEScheduler": "diffusers.schedulers.scheduling_dpmsolver_sde",
    "CosineDPMSolverMultistepScheduler": (
        "diffusers.schedulers.scheduling_cosine_dpmsolver_multistep"
    ),
}


def classes() -> list[str]:
    """Names of the scheduler classes of the installed diffusers.

    Raises:
        TargetError: diffusers is absent.
    """
    try:
        module = importlib.import_module("diffusers.schedulers")
    except ANYTHING as error:
        raise TargetError(f"diffusers: not installed ({error}); pip install diffusers") from error
    return sorted(
        n for n in dir(module) if n.endswith("Scheduler") and not n.startswith(("Flax", "_"))
    )


@dataclass
class Made:
    """A scheduler and how it was made.

    Args:
        cls, options: its class, with exact arithmetic where that was asked for, and its arguments.
        family: the class of diffusers that says where it keeps its levels.
        step_options: arguments of step().
    """

    scheduler: Any
    cls: type
    options: dict[str, Any]
    family: str
    step_options: dict[str, Any]


def instance(scheduler: Any, options: dict[str, Any], exact: bool) -> Made:
    """A scheduler of a class, of a name in diffusers, or like an instance.

    Raises:
        TargetError: diffusers is absent, or the class is none that integrates an ODE on a grid.
    """
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
    family = next((c.__name__ for c in scheduler.__mro__ if c.__name__ in KNOWN), None)
    if family is None:
        raise TargetError(
            f"{scheduler.__name__}: not a scheduler that integrates an ODE on a grid of noise "
            "levels, or one whose tables are not known here"
        )
    if scheduler.__module__.startswith("diffusers."):
        scheduler = (
            exact_class(scheduler.__name__, scheduler.__module__) if exact else whole(scheduler)
        )
    options, step_options = _split(scheduler, options)
    with default_dtype(torch.float64 if exact else torch.float32):
        try:
            made = scheduler(**options)
        except ANYTHING as error:
            raise TargetError(f"{scheduler.__name__}({options}): {error}") from error
    return Made(made, scheduler, options, family, step_options)


def whole(scheduler: type) -> type:
    """A class of diffusers itself where the package shows a stand-in, for want of torchsde."""
    source = TORCHSDE.get(scheduler.__name__, scheduler.__module__)
    if source == scheduler.__module__:
        return scheduler
    with stood_in("torchsde"):
        found: type = getattr(importlib.import_module(source), scheduler.__name__)
    return found


def exact_class(name: str, module: str) -> type:
    """A class of diffusers with exact arithmetic."""
    with stood_in("torchsde"):
        found: type = getattr(double(TORCHSDE.get(name, module)), name)
    return found


def _split(cls: type, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the constructor, and those that only step() knows."""
    built = inspect.signature(cls).parameters
    stepped = inspect.signature(getattr(cls, "step")).parameters  # noqa: B009
    later = {k: v for k, v in options.items() if k not in built and k in stepped}
    return {k: v for k, v in options.items() if k not in later}, later


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """torch's default dtype, for a while."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
