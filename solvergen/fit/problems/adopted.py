"""Anybody's object as a problem: its parts, looked at one by one, and its model, watched as it answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..problem import Problem, ProblemError, answered

NEEDED = ("denoiser", "shape", "sigma_max", "sigma_min")


def adopted(made: Any, name: str) -> Problem:
    """A user's object, or class of one, as a problem.

    Raises:
        ProblemError: a part is missing or of another kind.
    """
    where = f"problem {name}"
    if isinstance(made, type):
        try:
            made = made()
        except OSError:
            raise
        except Exception as error:
            raise ProblemError(
                f"{where}: {made.__name__}() fails, {_told(error)}; give an object, or a class that "
                "needs no arguments"
            ) from error
    if hasattr(made, "velocity") and not hasattr(made, "denoiser"):
        made = Flow(made)
    missing = [k for k in NEEDED if not hasattr(made, k)]
    if missing:
        raise ProblemError(
            f"{where}: lacks {', '.join(missing)}; it needs denoiser(x, sigma), shape, "
            "sigma_max and sigma_min, or velocity(x, t) and shape"
        )
    dtype = getattr(made, "dtype", torch.float32)
    if not isinstance(dtype, torch.dtype):
        raise ProblemError(
            f"{where}: dtype must be torch.float32 or torch.float64; found {dtype!r}"
        )
    shape = _shape(made.shape, where)
    std = _number(getattr(made, "std", 0.0), "std", where)
    if std < 0 or (hasattr(made, "mean") and std == 0):
        raise ProblemError(f"{where}: std must be above 0, the deviation of the data from its mean")
    period = _count(getattr(made, "period", 1), "period", where)
    chunk = _count(getattr(made, "chunk", 16), "chunk", where)
    return Problem(
        name=name,
        denoiser=Watched(name, made.denoiser),
        shape=shape,
        sigma_max=_number(made.sigma_max, "sigma_max", where),
        sigma_min=_number(made.sigma_min, "sigma_min", where),
        mean=_mean(getattr(made, "mean", 0.0), shape, where).to(dtype),
        std=std,
        starts=_of_tensors(getattr(made, "starts", None), "starts(n, seed)", where),
        teacher=_of_tensors(getattr(made, "teacher", None), "teacher(starts)", where),
        dtype=dtype,
        chunk=period * max(1, chunk // period),
        period=period,
    )


@dataclass(frozen=True)
class Watched:
    """A denoiser whose every answer must be a tensor like its input; what it raises is said in words."""

    name: str
    model: Callable[[Tensor, Tensor], Any]

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """D(x, sigma).

        Raises:
            ProblemError: it fails, or answers with something else than a tensor like x.
        """
        where = f"problem {self.name}: the denoiser"
        try:
            out = self.model(x, sigma)
        except ProblemError:
            raise
        except Exception as error:
            raise ProblemError(
                f"{where} fails for x of shape {tuple(x.shape)} at sigma = {float(sigma.detach()):g}, "
                f"one number for all rows: {_told(error)}"
            ) from error
        out = answered(out, x, where)
        if out.device != x.device:
            raise ProblemError(f"{where} must answer on {x.device}, where x is; found {out.device}")
        return out


class Flow:
    """An object with velocity(x, t), x = (1 − t) x0 + t ε, as one with a denoiser.

    In ρ = t/(1 − t) and x/(1 − t) a flow is the process that all fits use.
    """

    def __init__(self, made: Any) -> None:
        self.made = made
        self.sigma_max = getattr(made, "sigma_max", 999.0)
        self.sigma_min = getattr(made, "sigma_min", 0.001)

    def __getattr__(self, key: str) -> Any:
        return getattr(self.__dict__["made"], key)

    def denoiser(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """E[x0 | x] = x_t − t v."""
        time = sigma / (1 + sigma)
        state = x / (1 + sigma)
        answer: torch.Tensor = self.made.velocity(state, time)
        return state - time * answer


def _of_tensors(function: Any, told: str, where: str) -> Any:
    """A function of the user's that must return a tensor; None where there is none."""
    if function is None:
        return None

    def watched(*given: Any) -> Tensor:
        try:
            found = function(*given)
        except ProblemError:
            raise
        except Exception as error:
            raise ProblemError(f"{where}: {told} fails, {_told(error)}") from error
        if not isinstance(found, Tensor):
            raise ProblemError(
                f"{where}: {told} must return a tensor; found {type(found).__name__}"
            )
        return found

    return watched


def _told(error: Exception) -> str:
    line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _shape(given: Any, where: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(n) for n in given)
        if isinstance(given, str) or not shape or min(shape) < 1:
            raise ValueError
    except (TypeError, ValueError):
        raise ProblemError(
            f"{where}: shape must be that of one sample, as (3, 32, 32); found {given!r}"
        ) from None
    return shape


def _number(given: Any, key: str, where: str) -> float:
    try:
        found = float(given)
        if not math.isfinite(found):
            raise ValueError
    except (TypeError, ValueError):
        raise ProblemError(f"{where}: {key} must be a finite number; found {given!r}") from None
    return found


def _count(given: Any, key: str, where: str) -> int:
    try:
        found = int(given)
        if found < 1:
            raise ValueError
    except (TypeError, ValueError):
        raise ProblemError(
            f"{where}: {key} must be a whole number above 0; found {given!r}"
        ) from None
    return found


def _mean(given: Any, shape: tuple[int, ...], where: str) -> Tensor:
    try:
        mean = torch.as_tensor(given).detach().cpu()
        finite = bool(torch.isfinite(mean).all())
    except (TypeError, ValueError, RuntimeError):
        finite = False
    if not finite:
        raise ProblemError(f"{where}: mean must be a finite number or a tensor; found {given!r}")
    try:
        fits = torch.broadcast_shapes(mean.shape, shape) == shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ProblemError(
            f"{where}: mean has shape {tuple(mean.shape)}, which does not broadcast to {shape}"
        )
    return mean
