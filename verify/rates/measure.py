"""Running a sampler on exact problems: convergence curves, and the error at a small budget.

Two truths are measured and never mixed: the rate as N grows, and the error at 5 to 20 evaluations
on named grids. The problems start at a signal-to-noise ratio where the model output already varies,
so that a poor start shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ANYTHING, ConductError
from ..probe.trace import Run, count_calls
from ..problems import grids
from ..problems.mixture import GaussianMixture, coupled_mixture, oracle_mixture
from ..problems.reference import Ends, ends
from . import rate

Array = NDArray[np.float64]

LADDER = (12, 24, 48, 96, 192, 384)
LONGER = 768
BUDGETS = (5, 8, 10, 15, 20)


@dataclass(frozen=True)
class Problem:
    """A mixture, the range of log signal-to-noise, and start values with exact ends.

    Args:
        name: for reports.
        mixture: in the scaling x = x0 + sigma eps.
        lam: (first, last).
        start: (b, d) states at the first level.
        exact: their end points.
    """

    name: str
    mixture: GaussianMixture
    lam: tuple[float, float]
    start: Array
    exact: Ends


@lru_cache(maxsize=4)
def problem(name: str) -> Problem:
    """ "oracle" (1-D, exact ends) or "coupled" (2-D, full covariances, bounded ends)."""
    mixture = oracle_mixture() if name == "oracle" else coupled_mixture()
    lam = grids.LAMBDA
    if name == "oracle":
        start = np.asarray([[0.9], [-1.7], [2.6], [-3.4], [0.15], [4.1], [-5.2], [1.6]])
    else:
        angle = 2 * np.pi * np.arange(8) / 8 + 0.3
        reach = np.asarray([1.2, 3.1, 2.2, 4.0, 1.7, 2.8, 3.6, 0.8])
        start = reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    exact = ends(mixture, start, float(np.exp(-lam[0])), float(np.exp(-lam[1])))
    return Problem(name, mixture, lam, start, exact)


def solve(run: Run, task: Problem, sigmas: Array, dtype: torch.dtype = torch.float64) -> Array:
    """End points (b, d) of a sampler on a problem and a grid.

    Raises:
        ConductError: "shape", "dtype" or "nan".
    """
    # a trailing pair of ones makes a picture of the state: several hosts insist on one
    x = torch.from_numpy(task.start.copy()).to(dtype).reshape(*task.start.shape, 1, 1)
    out = run(task.mixture.model(), x, torch.from_numpy(sigmas.copy()).to(dtype))
    if not isinstance(out, torch.Tensor) or out.shape != x.shape:
        found = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise ConductError("shape", f"the result is {found}; the state is {tuple(x.shape)}")
    if out.dtype != x.dtype:
        raise ConductError("dtype", f"the result is {out.dtype}; the state was {x.dtype}")
    values = out.detach().double().reshape(task.start.shape).numpy()
    if not np.all(np.isfinite(values)):
        raise ConductError("nan", f"the result is not finite on a grid of {len(sigmas) - 1} steps")
    return np.asarray(values)


def error(run: Run, task: Problem, sigmas: Array) -> float:
    """RMS error over the problem's trajectories."""
    return rate.root_mean_square(solve(run, task, sigmas) - task.exact.value)


def convergence(
    run: Run, grid: str, *, task: Problem | None = None, precision: float = 2.0**-52
) -> rate.Rate:
    """The convergence curve of a sampler on one grid, and the order that it shows.

    The ladder of N is doubled once more when the window has not settled yet.
    """
    task = task or problem("oracle")
    make = grids.GRIDS[grid]
    steps = list(LADDER)
    # the reference's own error is a floor as well
    least = max(precision, task.exact.bound / 10)
    vectors = [solve(run, task, make(n, task.lam)) - task.exact.value for n in steps]
    found = rate.measure(steps, vectors, precision=least)
    poor = found.order is None or (found.misfit or 0.0) > rate.GOOD
    if poor and found.errors[-1] > 10 * found.floor:
        steps.append(LONGER)
        vectors.append(solve(run, task, make(LONGER, task.lam)) - task.exact.value)
        found = rate.measure(steps, vectors, precision=least)
    return found


def budget(run: Run, grid: str, *, task: Problem | None = None) -> dict[str, float | None]:
    """RMS error with at most 5, 8, 10, 15, 20 model calls; None where no grid is that short."""
    task = task or problem("oracle")
    make = grids.GRIDS[grid]
    out: dict[str, float | None] = {}
    for calls in BUDGETS:
        out[str(calls)] = None
        for n in range(calls, 0, -1):
            sigmas = make(n, task.lam)
            try:
                if count_calls(run, sigmas) > calls:
                    continue
                out[str(calls)] = error(run, task, sigmas)
            except ANYTHING:  # some hosts refuse to run so few steps
                out[str(calls)] = None
            break
    return out


def precision_floor(run: Run, single: Run, grid: str = "karras") -> float:
    """RMS difference that a host's single-precision casts make, on a grid of 48 steps."""
    task = problem("oracle")
    sigmas = grids.GRIDS[grid](48, task.lam)
    exact = solve(run, task, sigmas)
    try:
        cast = solve(single, task, sigmas)
    except ConductError:
        cast = solve(single, task, sigmas, torch.float32)
    return rate.root_mean_square(cast - exact)


def trajectories(run: Run, n: int = 12, grid: str = "uniform") -> dict[str, Any]:
    """States at the model calls, for drawing: {"lam": [...], "x": [[...] per trajectory]}."""
    task = problem("oracle")
    sigmas = grids.GRIDS[grid](n, task.lam)
    model = task.mixture.model()
    seen: list[tuple[float, Array]] = []

    def watch(x: torch.Tensor, sigma: torch.Tensor, **named: Any) -> torch.Tensor:
        level = torch.as_tensor(sigma, dtype=torch.float64).reshape(-1)
        seen.append((float(-level[0].log()), x.detach().double().reshape(len(x)).numpy().copy()))
        return model(x, level.expand(len(x)) if len(level) == 1 else level, **named)

    x = torch.from_numpy(task.start.copy()).reshape(-1, 1, 1, 1)
    out = run(watch, x, torch.from_numpy(sigmas.copy()))
    seen.append((float(-np.log(sigmas[-1])), out.detach().double().reshape(len(x)).numpy()))
    order = np.argsort([lam for lam, _ in seen], kind="stable")
    return {
        "lam": [seen[i][0] for i in order],
        "x": np.stack([seen[i][1] for i in order], axis=1).tolist(),
    }
