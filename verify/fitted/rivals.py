"""Plain samplers beside which a fitted file is measured, on mixtures that it may not know."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..probe.trace import Run, count_calls
from ..problems.mixture import coupled_mixture, oracle_mixture
from ..problems.named import ring_mixture
from ..problems.reference import Ends, near_ends
from ..rates.measure import Problem, error

Array = NDArray[np.float64]
STARTS, NEAR = 24, 1e-7
MADE = {"oracle": oracle_mixture, "coupled": coupled_mixture, "ring": ring_mixture}


def tasks(levels: tuple[float, ...]) -> list[tuple[str, Problem]]:
    """Named mixtures with exact ends between the first and the last level above 0."""
    last = levels[-1] if levels[-1] > 0 else levels[-2]
    return [(name, _task(name, levels[0], last)) for name in MADE]


@lru_cache(maxsize=16)
def _task(name: str, first: float, last: float) -> Problem:
    mixture = MADE[name]()
    made = np.random.default_rng(5)
    mean = (mixture.weights @ mixture.means).numpy()
    start = mean + first * made.standard_normal((STARTS, mixture.dimension))
    lam = (-math.log(first), -math.log(last))
    return Problem(name, mixture, lam, start, Ends(near_ends(mixture, start, first, last), NEAR))


def calls(run: Run, levels: tuple[float, ...]) -> int:
    """Model calls of a run."""
    return count_calls(run, np.asarray(levels))


def best(task: Problem, levels: tuple[float, ...], steps: int) -> tuple[str, float]:
    """The plain sampler and grid with the least error at this number of calls."""
    high, low = (math.exp(-v) for v in task.lam)
    share = np.linspace(0, 1, steps + 1)
    grids: dict[str, Array] = {"uniform λ": high * (low / high) ** share}
    for power in (3, 7):
        root = high ** (1 / power) + share * (low ** (1 / power) - high ** (1 / power))
        grids[f"poly {power}"] = root**power
    angle = math.atan(high) + share * (math.atan(low) - math.atan(high))
    grids["uniform arctan σ"] = np.tan(angle)
    found = {
        f"{rule} on {grid}": error(run, task, sigmas)
        for rule, run in (("DDIM", ddim), ("2M", two_m))
        for grid, sigmas in grids.items()
    }
    name = min(found, key=lambda pair: found[pair])
    return name, found[name]


def ddim(denoiser: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    """Euler in the clock of the denoised prediction."""
    ones = torch.ones(len(x), dtype=x.dtype)
    for high, low in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
        x = low / high * x + (1 - low / high) * denoiser(x, high * ones)
    return x


def two_m(denoiser: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    """The line through two denoised predictions in λ, read at the middle of the step."""
    ones = torch.ones(len(x), dtype=x.dtype)
    past: tuple[Tensor, float] | None = None
    for high, low in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
        found = denoiser(x, high * ones)
        h, mean = math.log(high / low), found
        if past is not None:
            mean = found + 0.5 * h / past[1] * (found - past[0])
        x = low / high * x + (1 - low / high) * mean
        past = found, h
    return x
