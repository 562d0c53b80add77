"""One door to all methods: a grid of N steps for a problem."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import SolvergenError, hint
from ...grids import karras
from ...grids.optimised import shortest_path
from ..problem import Problem, finite, moments, remembered
from ..published import level_lists
from ..teacher import taught
from . import dmn, gits, klub, own
from .path import ExactPath, exact_path, nearest, slopes

FINEST = 1001  # points of a fine grid; costs are found for every pair of them
BEGINS = 3  # grids from which an exchange begins: those with the least objective
RUNS = 32  # grids that *own* runs: those with the least first-order error
METHODS = ("gits", "boss", "oss", "klub", "dmn", "own", "best")


@dataclass(frozen=True)
class FittedGrid:
    """Levels σ/α from the first to the last, and the objective that they minimise."""

    levels: list[float]
    objective: str
    value: float


def fitted_grid(
    method: str,
    problem: Problem,
    steps: int,
    *,
    solver: str = "dpmpp_2m",
    starts: int = 32,
    seed: int = 0,
    points: int = 61,
    gamma: float = 1.15,
    tell: Callable[[str], None] = lambda line: None,
) -> FittedGrid:
    """Find a grid.

    Args:
        method: gits, boss, oss (OptimalSteps), klub (Align Your Steps), dmn (norm form), own, best.
        problem: the model.
        steps: N.
        solver: own and best: the sampler that the grid is for.
        starts, seed: of the trajectories.
        points: of the fine grid.
        gamma: gits: weight of later jumps.
        tell: takes lines of progress.

    Raises:
        SolvergenError: no such method or solver, fewer points than steps, or an output that is not finite.
    """
    if method not in METHODS:
        raise SolvergenError(
            f"no method `{method}`{hint(method, METHODS)}; there are {', '.join(METHODS)}"
        )
    if not 2 <= steps < points <= FINEST:
        raise SolvergenError(
            f"--steps must be at least 2, --points above it and at most {FINEST}; found {steps} and "
            f"{points}"
        )
    if starts < 2 or not 0 < gamma < math.inf:
        raise SolvergenError(
            f"--starts must be at least 2 and --gamma above 0; found {starts} and {gamma:g}"
        )
    remembered(problem, starts, 3 * points)
    problem = finite(problem)
    first, last = -math.log(problem.sigma_max), -math.log(problem.sigma_min)
    if method == "dmn":
        bound = dmn.Bound()
        lams = dmn.dmn_grid(bound, steps, first, last)
        return FittedGrid(_levels(lams), "bound", bound.value(lams))
    if method == "klub":
        teach = taught(problem, max(starts, 256), seed, tell=tell)
        error = klub.measured(teach.problem, teach.ends)
        lams = klub.klub_grid(error, steps)
        return FittedGrid(_levels(lams), "KLUB", klub.klub(error, [float(v) for v in lams]))
    x = problem.noise(starts, seed)
    if method == "gits":
        fine = karras(points - 1, problem.sigma_min, problem.sigma_max, zero=False)
        run = gits.fine_run(problem.denoiser, x, fine, "ipndm")
        cost = gits.cost_matrix(run)
        chosen = shortest_path(cost, steps, gamma)
        total = sum(cost[a][b] for a, b in itertools.pairwise(chosen))
        return FittedGrid([fine[k] for k in chosen], "cost", total)
    if method in ("boss", "oss"):
        return _in_flow_time(method, problem, x / problem.sigma_max, steps, points)
    problem = with_deviation(problem, starts, seed)
    path = exact_path(problem, problem.noise(starts, seed), points)
    value, index = searched(method, path, solver, steps, tell)
    return FittedGrid([float(v) for v in path.levels[list(index)]], "error", value)


def searched(
    method: str,
    path: ExactPath,
    solver: str,
    steps: int,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[float, tuple[int, ...]]:
    """The exchange for *own* or *best*, from grids that know no model and, for *best*, from *own*.

    What *own* minimises holds for small errors. So the grids with the least of it, and those from which
    they were looked for, are each run once on the path's starts, and the best of them is taken.

    Returns:
        The rms error of the solver at the path's starts, and the grid as indices of the path.
    """
    sample = own.sampler(solver)
    plain = {nearest(path, levels) for levels in level_lists(path.problem, steps).values()}
    ends = (-math.log(path.levels[0]), -math.log(path.levels[-1]))
    plain.add(nearest(path, _levels(dmn.dmn_grid(dmn.Bound(), steps, *ends))))

    def error(index: Sequence[int]) -> float:
        return own.end_error(path, sample, index)

    if method == "own":
        model = slopes(path)

        def objective(index: Sequence[int]) -> float:
            return own.size(own.global_error(path, model, sample, index))

    else:
        plain.add(searched("own", path, solver, steps)[1])
        objective = error
    values = {index: objective(index) for index in plain}
    known: dict[tuple[int, ...], float] = {}
    for begin in sorted(values, key=values.__getitem__)[:BEGINS]:
        known.setdefault(begin, values[begin])
        value, _ = own.exchanged(objective, begin, len(path.levels), known)
        tell(f"{method}: {value:.4g}")
    if method == "best":
        return min((value, index) for index, value in known.items())
    least = heapq.nsmallest(RUNS, known, key=known.__getitem__)
    return min((error(index), index) for index in {*least, *plain})


def with_deviation(problem: Problem, starts: int, seed: int) -> Problem:
    """The problem with mean and deviation, estimated from a few ends where it has none."""
    if problem.std > 0:
        return problem
    return problem.with_moments(*moments(taught(problem, starts, seed).ends))


def _levels(lams: np.ndarray) -> list[float]:
    return [float(v) for v in np.exp(-lams)]


def _in_flow_time(method: str, problem: Problem, x: Tensor, steps: int, points: int) -> FittedGrid:
    """BOSS and OptimalSteps, whose teachers run in the time t = σ/(1 + σ) of rectified flow."""

    def velocity(state: Tensor, t: float) -> Tensor:
        t = min(t, problem.sigma_max / (1 + problem.sigma_max))
        sigma = t / (1 - t)
        with torch.no_grad():
            clean = problem.denoiser(state / (1 - t), torch.tensor(sigma, dtype=state.dtype))
        return (state - clean) / t

    if method == "boss":
        path, times = gits.boss(velocity, x, points, steps)
        cost = float(len(path))
        inner = times[1:-1]
    else:
        grid = [k / (points - 1) for k in range(points)]
        _, median = gits.optimal_steps(velocity, x, grid, steps)
        inner = [grid[k] for k in median[-2::-1]]
        cost = grid[median[-1]]
    levels = [t / (1 - t) for t in inner]
    levels = [v for v in levels if problem.sigma_min < v < problem.sigma_max]
    name = "levels" if method == "boss" else "time of the first call"
    return FittedGrid([problem.sigma_max, *levels, problem.sigma_min], name, cost)
