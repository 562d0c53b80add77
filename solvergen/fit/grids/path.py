"""A model along its exact trajectories: states, outputs, and how its output answers a small error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..directions import along, differentiable
from ..problem import Problem
from ..run import Scaled, outputs
from ..table import Array, adams
from ..teacher import levels as teacher_levels

DIRECTIONS = 8  # of a trajectory; outputs of a network move in three or four (Zhou et al. 2024)


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


@dataclass(frozen=True)
class Slopes:
    """The derivative of D by x at the points of a path, in each sample's own directions.

    Outside of these directions it is that of a Gaussian of the data's deviation s, s²/(s² + σ²).

    Args:
        basis: (b, d, r) orthonormal directions of each sample.
        inside: (M, b, r, r), the derivative in them.
        outside: (M,).
    """

    basis: Tensor
    inside: Tensor
    outside: Array

    def along(self, point: int, error: Tensor) -> Tensor:
        """The derivative at a point of the path, along errors (b, d)."""
        part = torch.einsum("bdr,bd->br", self.basis, error)
        turned = torch.einsum("brs,bs->br", self.inside[point], part) - self.outside[point] * part
        return torch.einsum("bdr,br->bd", self.basis, turned) + self.outside[point] * error


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


def slopes(path: ExactPath, directions: int = DIRECTIONS) -> Slopes:
    """Measure how D answers a small error along a path.

    Args:
        directions: of each sample: those in which its own outputs move most along the path. All of
            them where the sample has no more coordinates.
    """
    problem, _ = differentiable(path.problem)
    shape = problem.shape
    moved = (path.denoised - path.denoised.mean(0)).transpose(0, 1)
    _, _, axes = torch.linalg.svd(moved, full_matrices=moved.shape[-1] <= directions)
    axes = axes[:, :directions].contiguous()
    found = []
    for level, state in zip(path.levels, path.states, strict=True):
        sigma = torch.tensor(level, dtype=state.dtype)
        parts = []
        for at, own in zip(state.split(problem.chunk), axes.split(problem.chunk), strict=True):
            inward = own.transpose(0, 1).unflatten(-1, shape)
            with torch.no_grad():
                answer = along(problem, at.unflatten(-1, shape), sigma)(inward).flatten(2)
            parts.append(torch.einsum("brd,sbd->brs", own, answer))
        found.append(torch.cat(parts))
    variance = problem.std**2
    outside = variance / (variance + path.levels**2)
    return Slopes(axes.transpose(1, 2), torch.stack(found), outside)


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


def _spread(levels: Array, points: int) -> Array:
    """Indices of so many levels, dense where log σ or σ/(1 + σ) changes."""
    measure = np.cumsum(
        np.append(0.0, -np.diff(np.log(levels)) / math.log(levels[0] / levels[-1]))
    ) + np.cumsum(np.append(0.0, -np.diff(levels / (1 + levels))))
    index = np.arange(len(levels))
    return np.interp(np.linspace(0, measure[-1], points), measure, index)
