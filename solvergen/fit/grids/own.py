"""Two grids of our own: *own*, from a solver's local error on the model, and *best*, the yardstick.

Both are looked for among the points of a fine grid, by exchange: every inner level in turn is moved
to where the objective is least, from several published grids, until no move helps.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..problem import Problem, ProblemError
from ..run import Scaled, outputs
from ..table import Array, adams
from ..teacher import levels as teacher_levels

Sampler = Callable[..., Tensor]


@dataclass(frozen=True)
class ExactPath:
    """A model along its exact trajectories, at the points of a fine grid.

    Args:
        levels: (M,) descending σ; states, denoised: (M, b, d), x and D(x).
    """

    problem: Problem
    levels: Array
    states: Tensor
    denoised: Tensor


def exact_path(problem: Problem, x: Tensor, points: int, dense: int = 480) -> ExactPath:
    """Follow trajectories by a fine Adams run; keep states nearest to points uniform in log σ.

    Args:
        problem: with its deviation.
        x: starts at σ_max.
        points: M of the fine grid, half of them uniform in log σ and half in σ/(σ + s).
        dense: steps of the run.
    """
    scaled = Scaled(problem)
    logs = np.geomspace(scaled.start, scaled.end, dense // 2 + 1)
    run = np.unique(np.concatenate([logs[:-1], teacher_levels(scaled, dense // 2)]))[::-1]
    run = np.concatenate([run[:1], run[1:][-np.diff(np.log(run)) > 1e-4]])
    table = adams([float(v) for v in run], scaled.end, 2)
    state = scaled.inward(x, scaled.start)
    _, found = outputs(scaled, table, state)
    angles = torch.as_tensor(np.append(run, scaled.end)).arctan().to(x.dtype)
    kept = np.unique(np.round(_spread(np.append(run, scaled.end), points)).astype(int))
    states, denoised, levels = [], [], []
    for k in kept:
        at = state
        if k:
            width = float(angles[0] - angles[k])
            at = state + width * torch.einsum(
                "j,j...->...", found.new_tensor(table.shares[k - 1]), found[:k]
            )
        level = float(run[k]) if k < len(run) else scaled.end
        states.append(scaled.outward(at, level).flatten(1))
        with torch.no_grad():
            sigma = torch.tensor(level * problem.std, dtype=x.dtype)
            denoised.append(problem.denoiser(scaled.outward(at, level), sigma).flatten(1))
        levels.append(level * problem.std)
    return ExactPath(problem, np.asarray(levels), torch.stack(states), torch.stack(denoised))


def _spread(levels: Array, points: int) -> Array:
    """Indices of so many levels, dense where log σ or σ/(1 + σ) changes."""
    measure = np.cumsum(
        np.append(0.0, -np.diff(np.log(levels)) / math.log(levels[0] / levels[-1]))
    ) + np.cumsum(np.append(0.0, -np.diff(levels / (1 + levels))))
    index = np.arange(len(levels))
    return np.interp(np.linspace(0, measure[-1], points), measure, index)


def sampler(name: str) -> Sampler:
    """A gallery sampler by name.

    Raises:
        ProblemError: there is none.
    """
    try:
        found: Sampler = importlib.import_module(f"solvergen.generated.{name}").sample
        return found
    except ModuleNotFoundError:
        raise ProblemError(f"no sampler `{name}` in the gallery; see solvergen list") from None


def step_weights(sample: Sampler, levels: Sequence[float]) -> list[Array]:
    """The weights of D_0 … D_n in every step of a sampler of one call a step, read from its runs.

    Step n is x_{n+1} = (σ_{n+1}/σ_n) x_n + Σ_j w_nj D_j; outputs are fed one-hot, so that the states
    at the calls are the sampler's own weights.

    Raises:
        ProblemError: it does not call the model once a step.
    """
    steps = len(levels) - 1
    seen: list[Tensor] = []

    def model(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        seen.append(x)
        out = torch.zeros_like(x)
        if len(seen) <= steps:
            out[len(seen) - 1] = 1.0
        return out

    with torch.no_grad():
        grid = torch.tensor(levels, dtype=torch.float64)
        last = sample(model, torch.zeros(steps, 1, dtype=torch.float64), grid)
    if len(seen) != steps:
        raise ProblemError(
            f"own and best need a sampler of one call a step; this one called {len(seen)} times in "
            f"{steps} steps"
        )
    states = [*(state[:, 0].numpy() for state in seen), last[:, 0].numpy()]
    return [(states[n + 1] - levels[n + 1] / levels[n] * states[n])[: n + 1] for n in range(steps)]


def local_errors(path: ExactPath, sample: Sampler, index: Sequence[int]) -> Tensor:
    """What every step of a solver adds to the error at the end: (N, b, d).

    Each step starts from the exact state with exact outputs; its error then goes to the end as it
    does on a Gaussian of the data's deviation, by √((s² + σ_end²)/(s² + σ²)).

    Args:
        index: the levels of the grid, as indices into the path.
    """
    levels = [float(path.levels[i]) for i in index]
    std = path.problem.std
    found = []
    for n, row in enumerate(step_weights(sample, levels)):
        here, there = index[n], index[n + 1]
        landed = path.states[here] * (levels[n + 1] / levels[n])
        for j, weight in enumerate(row):
            if weight:
                landed = landed + float(weight) * path.denoised[index[j]]
        shrink = math.hypot(std, levels[-1]) / math.hypot(std, levels[n + 1])
        found.append((landed - path.states[there]) * shrink)
    return torch.stack(found)


def global_bound(path: ExactPath, sample: Sampler, index: Sequence[int]) -> float:
    """What *own* minimises: the sum of the steps' local errors, in the problem's units.

    The mean of two sums: that of their rms values, a bound which no cancellation lowers, and that of
    the errors themselves, which local errors of opposite sign do lower.
    """
    errors = local_errors(path, sample, index).double()
    bound = (errors**2).flatten(1).mean(1).sqrt().sum()
    together = (errors.sum(0) ** 2).mean().sqrt()
    return float(bound + together) / 2


def end_error(path: ExactPath, sample: Sampler, index: Sequence[int]) -> float:
    """The rms error of a run of the solver on a grid, in the problem's units."""
    problem = path.problem
    x = path.states[0].reshape(-1, *problem.shape)

    def model(at: Tensor, sigma: Tensor, **_: object) -> Tensor:
        return problem.denoiser(at, sigma.flatten()[0].to(at.dtype))

    with torch.no_grad():
        ends = sample(model, x, torch.tensor(path.levels[list(index)], dtype=torch.float64))
    error = float(((ends.flatten(1) - path.states[-1]).double() ** 2).mean().sqrt())
    return error if math.isfinite(error) else math.inf


def exchanged(
    objective: Callable[[Sequence[int]], float], start: Sequence[int], points: int
) -> tuple[float, tuple[int, ...]]:
    """Move inner indices one at a time while that lowers an objective; the ends stay."""
    current, value = tuple(start), objective(start)
    known = {current: value}
    moved = True
    while moved:
        moved = False
        for k in range(1, len(current) - 1):
            for shift in (-6, -3, -2, -1, 1, 2, 3, 6):
                place = current[k] + shift
                if not current[k - 1] < place < current[k + 1]:
                    continue
                tried = (*current[:k], place, *current[k + 1 :])
                if tried not in known:
                    known[tried] = objective(tried)
                if known[tried] < value:
                    current, value, moved = tried, known[tried], True
    return value, current


def nearest(path: ExactPath, levels: Sequence[float]) -> tuple[int, ...]:
    """A grid as indices of the fine one, all different."""
    logs, count = np.log(path.levels), len(path.levels)
    index = [int(np.abs(logs - math.log(max(level, path.levels[-1]))).argmin()) for level in levels]
    index[0], index[-1] = 0, count - 1
    for k in range(1, len(index)):
        index[k] = max(index[k], index[k - 1] + 1)
    for k in range(len(index) - 2, 0, -1):
        index[k] = min(index[k], index[k + 1] - 1)
    index[-1] = count - 1
    return tuple(index)
