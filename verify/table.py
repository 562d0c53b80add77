"""The verdict on a calibrated file: a fixed number of calls at its own levels has no order.

What such a file states is checked from runs alone: its calls and where they are made, exactness on
the Gaussian of its mean and deviation, how much of a constant output it misses, that the end is linear
in the model's outputs, and that one sample does not see the others of its batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .errors import ANYTHING
from .verdict import Verdict, versions

if TYPE_CHECKING:
    from .targets import Target

CLOSE = 1e-9  # relative, in float64; files hold 12 digits
LEVEL = 1e-6  # of a level as the model is given it
Denoiser = Callable[[Tensor, Tensor], Tensor]


def judge_table(target: Target, module: ModuleType, claim: int | None) -> Verdict:
    """Check what a calibrated file states; misbehaviour is in the verdict, never raised."""
    base: dict[str, Any] = {
        "target": target.name,
        "title": target.title,
        "claim": claim,
        "formula": target.formula,
        "path": target.path,
        "stated": target.stated,
        "versions": versions(),
    }
    try:
        breaches, told = _checked(module)
    except ANYTHING as error:
        message = f"{type(error).__name__}: {error}"
        return Verdict(**base, status="error", reason="raises", findings=(message,))
    base["calls_per_step"] = float(module.EVALUATIONS)
    if claim is not None:
        breaches.insert(
            0,
            f"claims order {claim}; a table of {module.EVALUATIONS} calls at its own levels has no "
            "order: compare its errors (solvergen frontier)",
        )
    status = "fail" if breaches else "pass"
    return Verdict(**base, status=status, findings=(*breaches, *told))


def _checked(module: ModuleType) -> tuple[list[str], list[str]]:
    """What does not hold, and what is reported in any case."""
    high, low = map(float, module.SIGMAS)
    mean = torch.as_tensor(module.MEAN, dtype=torch.float64)
    std = float(module.STD)
    shape = tuple(mean.shape) or (4,)
    source = torch.Generator().manual_seed(0)  # no verdict by luck, and the caller's draws stay

    def drawn(*size: int) -> Tensor:
        return torch.randn(*size, generator=source, dtype=torch.float64)

    start = high * drawn(3, *shape)
    breaches: list[str] = []

    seen: list[float] = []

    def gaussian(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
        seen.append(float(sigma.flatten()[0]))
        pull = 1 / (1 + (seen[-1] / std) ** 2)
        return mean + pull * (x - mean)

    end = module.sample(gaussian, start.clone())
    exact = mean + (start - mean) * math.hypot(1, low / std) / math.hypot(1, high / std)
    away = _apart(end, exact)
    if away > CLOSE:
        breaches.append(
            f"it is not exact on the Gaussian of its mean and deviation: {away:.2g} away"
        )
    if len(seen) != module.EVALUATIONS:
        breaches.append(f"it makes {len(seen)} model calls and states {module.EVALUATIONS}")
        return breaches, []
    wanted = [std * level for level in module.LEVELS]
    if any(abs(a - b) > LEVEL * b for a, b in zip(seen, wanted, strict=False)):
        breaches.append("it calls the model at other levels than it states")

    slope = drawn(*shape)

    def constant(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
        level = float(sigma.flatten()[0]) / std
        return mean + (x - mean) / (1 + level**2) + std * slope * level / math.hypot(1, level)

    moved = (module.sample(constant, start.clone()) - exact) / (std * math.hypot(1, low / std))
    width = math.atan(module.LEVELS[0]) - math.atan(low / std)
    defect = float((moved[0] * slope).sum() / (slope * slope).sum()) / width - 1
    stated = float(module.DEFECTS[-1])
    if abs(defect - stated) > 1e-5:
        breaches.append(
            f"a constant output is missed by {defect:.4g} of its integral, stated {stated:g}"
        )

    outputs = [drawn(*start.shape) for _ in range(2 * module.EVALUATIONS)]
    first, second = outputs[: module.EVALUATIONS], outputs[module.EVALUATIONS :]
    both = [a + b for a, b in zip(first, second, strict=True)]
    runs = [module.sample(_played(script), start.clone()) for script in (first, second, both)]
    still = module.sample(_played([torch.zeros_like(start)] * len(first)), start.clone())
    if _apart(runs[0] + runs[1] - still, runs[2]) > CLOSE:
        breaches.append("its end is not linear in the model's outputs")
    one = module.sample(_played([a[:1] for a in first]), start[:1].clone())
    if _apart(one, runs[0][:1]) > CLOSE:
        breaches.append("a sample depends on the others of its batch")
    single = module.sample(lambda x, sigma, **_: torch.zeros_like(x), start.float())
    if single.dtype != torch.float32:
        breaches.append(f"a float32 state comes back as {single.dtype}")
    told = (
        f"{module.EVALUATIONS} calls at its own levels: it has no order; exact on the Gaussian of its "
        f"mean and deviation to {away:.1g}; a constant output is missed by {abs(defect):.2g}"
    )
    return breaches, [told]


def _played(outputs: list[Tensor]) -> Denoiser:
    """A model that answers with these outputs, whatever it is asked."""
    rest = iter(outputs)
    return lambda x, sigma, **_: next(rest)


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())
