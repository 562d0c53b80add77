"""From data back to noise: the inverse of DDIM steps, solved for and checked.

A DDIM step from level a to level b is x_b = s x_a + w D(x_a), linear but for the model D. Its inverse
is the x_a that solves this. The fixed point x_a ← (x_b − w D(x_a)) / s converges where the step is
short, h < log 2 for models whose derivative reaches 1 (near the data it does); Anderson's method
(Walker and Ni 2011) converges beyond, and both are the same for the first two calls.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

KEPT = 5  # past iterates that Anderson's method mixes


class NotInverted(UserWarning):
    """A step whose inverse was not found to the tolerance asked for."""


@torch.no_grad()
def invert(
    model: Callable[..., Tensor],
    x: Tensor,
    sigmas: Any,
    alphas: Any = None,
    *,
    extra_args: dict[str, Any] | None = None,
    refine: int = 12,
    tolerance: float | None = None,
    callback: Callable[[dict[str, Any]], None] | None = None,
) -> Tensor:
    """Integrate a state at the last grid point back to the first, along the ODE.

    Each step is the inverse of a DDIM step, so that DDIM leads back: up to `refine` model calls
    after the first, fewer once every sample is within the tolerance.

    Args:
        model: (x, sigma, **extra_args) -> denoised prediction.
        x: the state at the last grid point, where σ is above 0.
        sigmas, alphas: the grid of the way down, as for `sample`.
        extra_args: keyword arguments of the model.
        refine: model calls a step after the first; 0 is the usual explicit inversion.
        tolerance: of |s x_a + w D(x_a) − x_b| / |x_b| in each sample; 50 roundings of the dtype of x,
            at least 1e-8, unless given.
        callback: called once a step with i, sigma (of the level reached), x, denoised, residual and
            calls.

    Warns:
        NotInverted: a step has not come within the tolerance (with refine above 0); the message has
            its residual and length.

    Raises:
        ValueError: the last σ is zero: there data is the state and noise is not determined; or the
            grid does not fall, or refine or the tolerance is out of range.

    >>> gaussian = lambda x, sigma: x * 0.36 / (0.36 + sigma[0] ** 2)
    >>> round(float(invert(gaussian, torch.ones(1), [0.4, 0.1])), 4)
    1.3
    """
    sigma = torch.as_tensor(sigmas).detach().to("cpu", torch.float64)
    alpha = torch.ones_like(sigma)
    if alphas is not None:
        alpha = torch.as_tensor(alphas).detach().to("cpu", torch.float64)
    if sigma.ndim != 1 or len(sigma) < 2 or alpha.shape != sigma.shape:
        raise ValueError("sigmas and alphas must be 1-d, equally long, 2 or more")
    if sigma[-1] <= 0:
        raise ValueError(
            "the last sigma must be above zero to invert: at 0 the noise is not determined; drop the "
            "final zero, or put a small level such as 0.03 in its place"
        )
    if not bool((sigma[:-1] * alpha[1:] > sigma[1:] * alpha[:-1]).all()):
        raise ValueError(
            "sigma / alpha must decrease: give the grid of the way down, as for sample"
        )
    if refine < 0:
        raise ValueError(f"refine must be 0 or more; found {refine}")
    dtype, wide = x.dtype, torch.promote_types(x.dtype, torch.float32)
    least = max(1e-8, 50 * torch.finfo(dtype).eps) if tolerance is None else tolerance
    if not least >= 0:
        raise ValueError(f"tolerance must be 0 or more; found {tolerance}")
    ones = torch.ones(len(x), dtype=wide, device=x.device)
    extra = extra_args or {}
    state = x.to(wide)

    for i in range(len(sigma) - 2, -1, -1):
        shrink = float(sigma[i + 1] / sigma[i])
        weight = float(alpha[i + 1] - alpha[i] * shrink)

        def denoise(seen: Tensor, place: int) -> Tensor:
            return model(seen.to(dtype), float(sigma[place]) * ones, **extra).to(wide)

        denoised = denoise(state, i + 1)
        start = (state - weight * denoised) / shrink
        residual, calls = math.inf, 1
        if refine:
            there = functools.partial(denoise, place=i)
            solved = _solved(there, state, start, shrink, weight, refine, least)
            start, denoised, residual, calls = solved
            if not residual <= least:
                _report(residual, least, sigma[i : i + 2], alpha[i : i + 2], calls)
        state = start
        if callback is not None:
            told = {"x": state.to(dtype), "i": i, "sigma": sigma[i], "denoised": denoised.to(dtype)}
            callback({**told, "residual": residual, "calls": calls})
    return state.to(dtype)


def _solved(
    denoise: Callable[[Tensor], Tensor],
    x: Tensor,
    start: Tensor,
    shrink: float,
    weight: float,
    refine: int,
    tolerance: float,
) -> tuple[Tensor, Tensor, float, int]:
    """The state before a step, the model's value there, the worst residual left, and calls made.

    Anderson's method on the map start -> (x - weight denoised(start)) / shrink, for each sample by
    itself; of all iterates the one with the least residual.
    """
    shape = x.shape
    size = x.reshape(len(x), -1).norm(dim=1).clamp_min(torch.finfo(x.dtype).tiny)
    best, least, value = start, torch.full_like(size, math.inf), start
    states: list[Tensor] = []
    moves: list[Tensor] = []
    for call in range(1, refine + 1):
        denoised = denoise(start)
        move = ((x - weight * denoised) / shrink - start).reshape(len(x), -1)
        residual = abs(shrink) * move.norm(dim=1) / size
        better = (residual < least).view(-1, *[1] * (x.ndim - 1))
        best = torch.where(better, start, best)
        value = torch.where(better, denoised, value)
        least = torch.minimum(least, residual)
        if bool((least <= tolerance).all()) or call == refine:
            break
        states, moves = [*states[-KEPT:], start.reshape(len(x), -1)], [*moves[-KEPT:], move]
        start = mixed(states, moves).view(shape)
        stray = ~start.reshape(len(x), -1).isfinite().all(dim=1)
        if bool(stray.any()):  # an iterate that left the domain begins again at the best one
            start = torch.where(stray.view(-1, *[1] * (x.ndim - 1)), best, start)
    return best, value, float(least.max()), call


def mixed(states: list[Tensor], moves: list[Tensor]) -> Tensor:
    """The next iterate: the combination of past ones whose move is least, and its move."""
    state, move = states[-1], moves[-1]
    if len(states) == 1:
        return state + move
    of_moves = torch.stack([b - a for a, b in itertools.pairwise(moves)], dim=2)
    of_states = torch.stack([b - a for a, b in itertools.pairwise(states)], dim=2)
    gram = of_moves.mT @ of_moves
    share = torch.linalg.pinv(gram, hermitian=True, rtol=len(moves) * torch.finfo(move.dtype).eps)
    share = share @ (of_moves.mT @ move[:, :, None])
    return state + move - ((of_states + of_moves) @ share).squeeze(2)


def _report(residual: float, tolerance: float, sigma: Tensor, alpha: Tensor, calls: int) -> None:
    """Say which step was not inverted, how far from it, and what to do."""
    levels = [
        f"{float(s / a):.4g}" if a > 0 else "infinity" for s, a in zip(sigma, alpha, strict=True)
    ]
    length = float((sigma[0] / sigma[1]).log() - (alpha[0] / alpha[1]).log())
    warnings.warn(
        f"the step between levels {levels[1]} and {levels[0]} is not inverted: a residual of "
        f"{residual:.1e} is left after {calls} model calls, above {tolerance:.1e}. The step has "
        f"h = {length:.2f}; below log 2 = 0.69 the iteration converges: use a finer grid, "
        "a greater refine, or a greater tolerance",
        NotInverted,
        stacklevel=4,  # past invert and torch's wrapper for it
    )
