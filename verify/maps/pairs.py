"""Maps between any two levels: pair errors, the semigroup law, average velocities."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .check import REPORTED, Check
from .flow import Trajectories
from .pointwise import Row
from .problem import Problem
from .target import Target


def from_velocity(target: Target) -> Target:
    """A map G(x, sigma, sigma_next) from an average velocity u(x, t, r) in the flow gauge.

    x_flow = (1 - t) x0 + t z with t = sigma / (1 + sigma), and x_r = x_t - (t - r) u(x_t, t, r).
    """
    call = target.call

    def jump(x: Tensor, sigma: Tensor, sigma_next: Tensor, **extra: Tensor) -> Tensor:
        t, r = sigma / (1 + sigma), sigma_next / (1 + sigma_next)
        column = [-1] + [1] * (x.ndim - 1)
        a, b = (1 - t).reshape(column), (1 - r).reshape(column)
        at = x * a
        return (at - (t - r).reshape(column) * call(at, t, r, **extra)) / b

    return Target(**{**target.__dict__, "form": "flow-map", "call": jump})


def pair_errors(target: Target, problem: Problem, truth: Trajectories) -> list[Row]:
    """|G(x, t, s) - Phi| / sqrt(s^2 + sd^2) for every pair of levels t > s."""
    rows: list[Row] = []
    for i, high in enumerate(truth.levels[:-1]):
        for low in truth.levels[i + 1 :]:
            gap = target(truth.at(high), high, low) - truth.at(low)
            size = (low**2 + problem.sd**2) ** 0.5
            rows.append({"from": high, "to": low, "rms": float(gap.square().mean().sqrt()) / size})
    return rows


def semigroup(target: Target, problem: Problem, truth: Trajectories) -> list[Check]:
    """|G(G(x, t, u), u, s) - G(x, t, s)| over neighbouring triples and the widest one."""
    levels = truth.levels
    triples = [*zip(levels, levels[1:], levels[2:], strict=False)]
    triples.append((levels[0], levels[len(levels) // 2], levels[-1]))
    worst, where = 0.0, triples[0]
    for high, middle, low in triples:
        x = truth.at(high)[:1024]
        gap = target(target(x, high, middle), middle, low) - target(x, high, low)
        size = float(gap.square().mean().sqrt()) / (low**2 + problem.sd**2) ** 0.5
        if size > worst:
            worst, where = size, (high, middle, low)
    high, middle, low = where
    return [
        Check(
            "semigroup",
            REPORTED,
            f"two jumps and one differ by up to {worst:.2%}, for {high:g} to {middle:g} to {low:g}",
            worst,
        )
    ]


def same_level(target: Target, problem: Problem, truth: Trajectories) -> list[Check]:
    """G(x, t, t) = x at every level, to rounding."""
    from .check import judged
    from .conduct import ROUNDING

    worst = 0.0
    for level in truth.levels:
        x = truth.at(level)[:256]
        gap = float((target(x, level, level) - x).abs().max())
        worst = max(worst, gap / max(1.0, float(x.abs().max())))
    return [
        judged(
            "identity on the diagonal",
            worst,
            ROUNDING[target.dtype],
            f"G(x, t, t) differs from x by {worst:.1e}",
            remedy="write the map as x plus (t - s) times something",
        )
    ]


def average_velocity(target: Target, problem: Problem, truth: Trajectories) -> list[Row]:
    """u(x, t, r) against (x - Phi_{t to r} x)/(t - r) in the flow gauge, over rms of the latter."""
    rows: list[Row] = []
    for high, low in ((truth.levels[0], truth.levels[-1]), (truth.levels[0], truth.levels[1])):
        rows.append(_velocity_row(target, truth, high, low))
    return rows


def _velocity_row(target: Target, truth: Trajectories, high: float, low: float) -> dict[str, Any]:
    t, r = high / (1 + high), low / (1 + low)
    start, end = truth.at(high) * (1 - t), truth.at(low) * (1 - r)
    exact = (start - end) / (t - r)
    gap = target(start, t, r) - exact
    size = exact.square().mean().sqrt()
    return {"t": t, "r": r, "rms": float(gap.square().mean().sqrt() / torch.clamp(size, min=1e-9))}
