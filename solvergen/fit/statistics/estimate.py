"""The statistics of DPM-Solver-v3, estimated by us: three functions of λ for every element of a sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..directions import differentiable, turned
from ..problem import Problem, ProblemError, remembered

Told = Callable[[str], None]


@dataclass(frozen=True)
class Statistics:
    """l, s and b at equal steps in λ = −log σ.

    With x = x0 + σ ε, f = (1 − l) x − D and f¹ its derivative in λ along the ODE, per element:
    l is the mean of the diagonal of ∂(σ ε)/∂x, and s f + b the best linear guess of f¹. The letters are
    the paper's.

    Args:
        lam: (n + 1,), rising. l, s, b: (n + 1, *shape), float64.
        points: states behind every level.
    """

    lam: Tensor
    l: Tensor
    s: Tensor
    b: Tensor
    points: int

    def tensors(self) -> dict[str, Tensor]:
        """As the sampler takes them, and as a file keeps them."""
        return {"lam": self.lam, "l": self.l, "s": self.s, "b": self.b}


def estimate(
    problem: Problem,
    data: Tensor,
    *,
    levels: int = 120,
    seed: int = 0,
    tell: Told = lambda line: None,
) -> Statistics:
    """Estimate the statistics from samples of the data with noise added.

    Two passes over the same states: l first, by products with random signs; then, with the derivative
    of l by differences, s and b by least squares. Every level takes three derivatives of the model.

    Args:
        problem: model and levels.
        data: samples x0 (points, *shape); ends of trajectories serve.
        levels: steps of the table.
        seed: of noise and signs.
        tell: takes lines of progress.

    Raises:
        ProblemError: too few samples, another shape, a model without derivatives or not finite.

    Source: Zheng et al. 2023, arXiv:2310.13268, Section 3.1 and Appendix C.
    """
    where = f"problem {problem.name}"
    if data.shape[1:] != problem.shape or len(data) < 8:
        raise ProblemError(
            f"{where}: statistics need 8 samples of shape {problem.shape} at least; found "
            f"{tuple(data.shape)}"
        )
    if levels < 8:
        raise ProblemError(f"{where}: statistics need 8 levels at least; found {levels}")
    fits(problem, len(data), levels)
    if reason := differentiable(problem)[1]:
        raise ProblemError(f"{where}: {reason}; statistics need one")
    ends = -math.log(problem.sigma_max), -math.log(problem.sigma_min)
    lam = torch.linspace(*ends, levels + 1, dtype=torch.float64)
    made = torch.Generator().manual_seed(seed)
    clean = data.to(problem.dtype)
    noise = torch.randn(clean.shape, generator=made, dtype=torch.float64).to(problem.dtype)
    signs = (torch.randint(0, 2, clean.shape, generator=made) * 2 - 1).to(problem.dtype)
    slopes, outputs, turned = [], [], []
    for i, level in enumerate((-lam).exp().tolist()):
        parts = zip(*(v.split(problem.chunk) for v in (clean, noise, signs)), strict=True)
        found = [_derivatives(problem, x + level * e, v, level) for x, e, v in parts]
        out, along, total = (torch.cat(part).double() for part in zip(*found, strict=True))
        if not bool(torch.isfinite(along).all() and torch.isfinite(total).all()):
            raise ProblemError(f"{where}: a derivative is not finite at sigma = {level:.4g}")
        slopes.append((1 - signs.double() * along).mean(0))
        outputs.append(out)
        turned.append(total)
        tell(f"statistics: level {i + 1}/{levels + 1}")
    slope = torch.stack(slopes)
    (rate,) = torch.gradient(slope, spacing=(lam,), dim=(0,))
    s, b = [], []
    for i, level in enumerate((-lam).exp()):
        x = clean.double() + level * noise.double()
        drift = outputs[i] - x  # dx/dλ along the ODE
        f = (1 - slope[i]) * x - outputs[i]
        turn = (1 - slope[i]) * drift - turned[i] - rate[i] * x
        centred = f - f.mean(0)
        s.append((centred * turn).mean(0) / (centred * centred).mean(0).clamp_min(1e-300))
        b.append(turn.mean(0) - s[-1] * f.mean(0))
    return Statistics(lam, slope, torch.stack(s), torch.stack(b), len(data))


def fits(problem: Problem, points: int, levels: int) -> None:
    """Refuse points whose statistics would not fit the memory that is free.

    Raises:
        ProblemError: says how many would fit.
    """
    remembered(problem, points, 3 + 4 * (levels + 1), "--points")


def _derivatives(
    problem: Problem, x: Tensor, signs: Tensor, level: float
) -> tuple[Tensor, Tensor, Tensor]:
    """D, its derivative by x along the signs, and its derivative in λ along the ODE."""
    sigma = torch.tensor(level, dtype=problem.dtype)
    out, along = turned(problem, x, sigma, signs, torch.zeros_like(sigma))
    return out, along, turned(problem, x, sigma, out - x, -sigma)[1]
