"""From what a user names to a problem: fashion, digits, a mixture of a family, or `module:name`."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import torch

from ...errors import hint
from ..problem import Problem, ProblemError, checked
from .families import COUNTS, family
from .mixture import planar
from .networks import fashion

KNOWN = ("fashion", "digits", "mixtures", *COUNTS)


def cache_folder() -> Path:
    """Where pairs and trained networks are kept: $XDG_CACHE_HOME/solvergen, ~/.cache unless set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "solvergen"


def problem(
    name: str, *, std: float | None = None, ends: tuple[float, float] | None = None
) -> Problem:
    """The problem that a user names.

    Args:
        name: `fashion` (also `fashion:label=3,guidance=2`, or all labels and several scales in turn,
            `fashion:label=all,guidance=1/2/3`), `digits`, `mixtures` (four Gaussians in
            the plane), `image` or `generic` (the
            first held-out mixture; `image/held-out/4` another), or `module:name`.
        std: deviation of the data, in place of what the problem says.
        ends: other ends of σ/α, for mixtures; networks keep those that they were trained for.

    Raises:
        ProblemError: there is none of that name, or it cannot be used.
    """
    head, _, options = name.partition(":")
    if head == "fashion":
        found = fashion(**_options(name, options))
    elif name == "digits":
        from .digits import digits

        found = digits(cache_folder())
    elif name == "mixtures":
        found = planar().problem()
    elif name.split("/")[0] in COUNTS:
        found = _mixture(name, ends)
    elif ":" in name:
        found = adopted(_imported(name), name)
    else:
        raise ProblemError(
            f"no problem `{name}`{hint(name, KNOWN)}; there are {', '.join(KNOWN)}, or give "
            "module:name of an object with denoiser, shape, sigma_max and sigma_min"
        )
    if std is not None:
        found = found.with_moments(found.mean, std)
    return checked(found)


def adopted(made: Any, name: str) -> Problem:
    """A user's object as a problem.

    Raises:
        ProblemError: a part is missing or of another kind.
    """
    made = made() if isinstance(made, type) else made
    if hasattr(made, "velocity") and not hasattr(made, "denoiser"):
        made = Flow(made)
    missing = [k for k in ("denoiser", "shape", "sigma_max", "sigma_min") if not hasattr(made, k)]
    if missing:
        raise ProblemError(
            f"problem {name}: lacks {', '.join(missing)}; it needs denoiser(x, sigma), shape, "
            "sigma_max and sigma_min, or velocity(x, t) and shape"
        )
    try:
        shape = tuple(int(n) for n in made.shape)
        first, last = float(made.sigma_max), float(made.sigma_min)
        mean = torch.as_tensor(getattr(made, "mean", 0.0)).detach().cpu()
        std = float(getattr(made, "std", 0.0))
    except (TypeError, ValueError) as error:
        raise ProblemError(f"problem {name}: {error}") from None
    dtype = getattr(made, "dtype", torch.float32)
    period = int(getattr(made, "period", 1))
    try:
        torch.broadcast_shapes(mean.shape, shape)
    except RuntimeError:
        raise ProblemError(
            f"problem {name}: mean has shape {tuple(mean.shape)}, which does not broadcast to "
            f"{shape}"
        ) from None
    if std < 0 or (hasattr(made, "mean") and std == 0):
        raise ProblemError(
            f"problem {name}: std must be above 0, the deviation of the data from its mean"
        )
    return Problem(
        name=name,
        denoiser=made.denoiser,
        shape=shape,
        sigma_max=first,
        sigma_min=last,
        mean=mean.to(dtype),
        std=std,
        starts=getattr(made, "starts", None),
        teacher=getattr(made, "teacher", None),
        dtype=dtype,
        chunk=period * max(1, int(getattr(made, "chunk", 16)) // period),
        period=period,
    )


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


def _options(name: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, _, value = item.partition("=")
        try:
            found[key] = {"label": _label, "guidance": _scales}[key](value)
        except (KeyError, ValueError):
            raise ProblemError(
                f"problem {name}: `{item}` is not an option; write fashion:label=3,guidance=2 "
                "or fashion:label=all,guidance=1/2/3"
            ) from None
    return found


def _label(text: str) -> int | str:
    return text if text == "all" else int(text)


def _scales(text: str) -> float | tuple[float, ...]:
    found = tuple(float(part) for part in text.split("/"))
    return found[0] if len(found) == 1 else found


def _mixture(name: str, ends: tuple[float, float] | None) -> Problem:
    kind, part, index = (
        (*name.split("/"), "held-out", "0")[:3]
        if "/" not in name
        else (
            *name.split("/"),
            "0",
        )[:3]
    )
    if not index.isdigit() or int(index) > 999:
        raise ProblemError(f"problem {name}: write {kind}/held-out/3")
    return family(kind, part, int(index) + 1)[-1].problem(*(ends or ()))


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ProblemError(
            f"problem {name}: no module {error.name}; run from its folder or install it"
        ) from None
    except AttributeError:
        raise ProblemError(f"problem {name}: module {module} has no `{attribute}`") from None
