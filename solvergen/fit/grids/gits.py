"""GITS, BOSS and OptimalSteps: levels chosen among the points of a fine run of the model itself."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...grids.optimised import shortest_path

Denoiser = Callable[[Tensor, Tensor], Tensor]
Velocity = Callable[[Tensor, float], Tensor]
METRICS = ("dev", "l1", "l2")


@dataclass(frozen=True)
class FineRun:
    """A teacher's states and slopes d = (x − D)/σ at all points of a fine grid (T, b, …)."""

    levels: tuple[float, ...]
    states: Tensor
    slopes: Tensor


def fine_run(denoiser: Denoiser, x: Tensor, levels: Sequence[float], teacher: str) -> FineRun:
    """Run a teacher on the fine grid.

    Args:
        denoiser: (x, sigma) → D.
        x: start at the first level.
        levels: descending, the last above 0.
        teacher: "euler", "heun", or "ipndm" (of order 4, diff-sampler's).

    Raises:
        ValueError: another teacher.
    """
    if teacher not in ("euler", "heun", "ipndm"):
        raise ValueError(f"no teacher `{teacher}`; use euler, heun or ipndm")

    def slope(state: Tensor, level: float) -> Tensor:
        with torch.no_grad():
            return (state - denoiser(state, torch.tensor(level, dtype=x.dtype))) / level

    weights: tuple[tuple[float, ...], ...] = (
        (1.0,),
        (1.5, -0.5),
        (23 / 12, -16 / 12, 5 / 12),
        (55 / 24, -59 / 24, 37 / 24, -9 / 24),
    )
    states, slopes = [x], [slope(x, levels[0])]
    for here, there in itertools.pairwise(levels):
        width = there - here
        if teacher == "heun":
            tried = states[-1] + width * slopes[-1]
            mean = (slopes[-1] + slope(tried, there)) / 2
        else:
            row = weights[0 if teacher == "euler" else min(len(slopes), 4) - 1]
            parts = [w * d for w, d in zip(row, slopes[::-1], strict=False)]
            mean = torch.stack(parts).sum(0)
        states.append(states[-1] + width * mean)
        slopes.append(slope(states[-1], there))
    return FineRun(tuple(levels), torch.stack(states), torch.stack(slopes))


def cost_matrix(run: FineRun, metric: str = "dev") -> list[list[float]]:
    """How far one Euler jump from point j to point i misses the teacher, averaged over starts.

    Args:
        metric: "l1", "l2", or "dev": the distance to the chord from the start to the end of the
            trajectory, minus the teacher's own (Chen et al. 2024); it may be negative.

    Returns:
        cost[j][i] for i > j; zero elsewhere.

    Raises:
        ValueError: another metric.
    """
    if metric not in METRICS:
        raise ValueError(f"no metric `{metric}`; use {', '.join(METRICS)}")
    count = len(run.levels)
    states, slopes = run.states.flatten(2), run.slopes.flatten(2)
    cost = [[0.0] * count for _ in range(count)]
    chord = states[-1] - states[0]
    chord = chord / chord.norm(dim=-1, keepdim=True)

    def away(state: Tensor) -> Tensor:
        offset = state - states[0]
        return (offset - (offset * chord).sum(-1, keepdim=True) * chord).norm(dim=-1)

    for j in range(count - 1):
        widths = [level - run.levels[j] for level in run.levels[j + 1 :]]
        landed = states[j] + states.new_tensor(widths)[:, None, None] * slopes[j]
        if metric == "dev":
            miss = away(landed) - away(states[j + 1 :])
        elif metric == "l1":
            miss = (landed - states[j + 1 :]).abs().sum(-1)
        else:
            miss = (landed - states[j + 1 :]).norm(dim=-1)
        cost[j][j + 1 :] = miss.mean(-1).tolist()
    return cost


def gits(run: FineRun, steps: int, *, metric: str = "dev", gamma: float = 1.15) -> list[int]:
    """Indices of the fine grid that GITS chooses."""
    return shortest_path(cost_matrix(run, metric), steps, gamma)


def boss(velocity: Velocity, x: Tensor, points: int, steps: int) -> tuple[list[int], list[float]]:
    """BOSS (Bellman-optimal steps): squared jumps of Euler in flow time, γ = 1.

    Args:
        velocity: (x, t) → dx/dt of rectified flow, t from 1 to 0.
        x: unit noise.
        points: of the teacher's grid, uniform in t.
        steps: of the grid that is looked for.

    Returns:
        Indices of the teacher's grid, and the times there.
    """
    times = [1 - k / (points - 1) for k in range(points)]
    states, slopes = [x], []
    for here, there in itertools.pairwise(times):
        slopes.append(velocity(states[-1], here))
        states.append(states[-1] + (there - here) * slopes[-1])
    cost = [[0.0] * points for _ in range(points)]
    for j, slope in enumerate(slopes):
        for i in range(j + 1, points):
            miss = states[j] + (times[i] - times[j]) * slope - states[i]
            cost[j][i] = float((miss.flatten(1) ** 2).sum(-1).mean())
    path = shortest_path(cost, steps)
    return path, [times[k] for k in path]


def optimal_steps(
    velocity: Velocity, x: Tensor, times: Sequence[float], steps: int
) -> tuple[list[list[int]], list[int]]:
    """OptimalSteps (arXiv 2503.21774): along the student's own path, one state kept a node.

    As published: the first jump may leave any node with the raw start.

    Args:
        velocity: (x, t) → dx/dt, t falling from 1 to 0.
        x: unit noise, (b, …).
        times: ascending, times[0] = 0: node k of the teacher is at times[k].
        steps: of the student.

    Returns:
        For every sample the nodes from the last jump's start up to the first, and the medians.
    """
    paths = [_optimal(velocity, x[k : k + 1], times, steps) for k in range(len(x))]
    return paths, [int(statistics.median(column)) for column in zip(*paths, strict=True)]


def _optimal(velocity: Velocity, x: Tensor, times: Sequence[float], steps: int) -> list[int]:
    count = len(times) - 1
    teacher = [x] * (count + 1)
    for k in range(count, 0, -1):
        slope = velocity(teacher[k], times[k])
        teacher[k - 1] = teacher[k] + (times[k - 1] - times[k]) * slope
    kept = [x] * (count + 1)
    least = [float("inf")] * (count + 1)
    came = [[0] * (count + 1)]
    for _ in range(steps):  # a node that no jump improves keeps its state and where it came from
        from_node, best, new = list(came[-1]), list(least), list(kept)
        for i in range(count, 0, -1):
            slope = velocity(kept[i], times[i])
            for j in range(i):
                landed = kept[i] + (times[j] - times[i]) * slope
                miss = float(((landed - teacher[j]) ** 2).mean())
                if miss < best[j]:
                    best[j], new[j], from_node[j] = miss, landed, i
        kept, least = new, best
        came.append(from_node)
    path, node = [], 0
    for from_node in came[:0:-1]:
        node = from_node[node]
        path.append(node)
    return path
