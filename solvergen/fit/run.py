"""A table run on a problem, and its exact derivatives by the table's numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .problem import Problem
from .shape import Numbers
from .table import Array, Table

Field = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Scaled:
    """A problem in units of its deviation about its mean, in the variables of a `Table`."""

    problem: Problem

    @property
    def start(self) -> float:
        """σ_max in units of the deviation."""
        return self.problem.sigma_max / self.problem.std

    @property
    def end(self) -> float:
        """σ_min in units of the deviation."""
        return self.problem.sigma_min / self.problem.std

    def inward(self, x: Tensor, level: float) -> Tensor:
        """x̂ of a state x at a level in units of the deviation."""
        return (x - self.problem.mean) / (self.problem.std * math.hypot(1.0, level))

    def outward(self, state: Tensor, level: float) -> Tensor:
        """The state x of x̂."""
        return state * (self.problem.std * math.hypot(1.0, level)) + self.problem.mean

    def output(self, state: Tensor, angle: Tensor) -> Tensor:
        """F at x̂ and θ: one model call."""
        sine, cosine = torch.sin(angle), torch.cos(angle)
        std, mean = self.problem.std, self.problem.mean
        x = state * (std / cosine) + mean
        denoised = (self.problem.denoiser(x, std * sine / cosine) - mean) / std
        return (denoised - state * cosine) / sine


def outputs(scaled: Scaled, table: Table, state: Tensor) -> tuple[Tensor, Tensor]:
    """The end x̂_N and all outputs F_j of a run from x̂_0: (b, …) and (N, b, …)."""
    angles = np.append(table.angles, math.atan(scaled.end))
    found: list[Tensor] = []
    current = state
    for i in range(table.calls):
        level = torch.tensor(angles[i], dtype=state.dtype)
        with torch.no_grad():
            found.append(_chunked(scaled, current, level))
        width = float(angles[0] - angles[i + 1])
        current = state + sum(
            width * share * out for share, out in zip(table.shares[i], found, strict=True)
        )
    return current, torch.stack(found)


def end(scaled: Scaled, table: Table, state: Tensor) -> Tensor:
    """The end x̂_N of a run from x̂_0."""
    return outputs(scaled, table, state)[0]


def jacobian(
    scaled: Scaled, numbers: Numbers, values: Array, state: Tensor, target: Tensor
) -> tuple[float, Array, Array]:
    """Sum of squares of the end minus the target, its half gradient Jᵀr, and JᵀJ.

    For problems that know the derivative of their denoiser; others have `differences`. Tangents are carried forward beside the states, each from the first call that it reaches; the
    chunks of the batch are taken one after the other, so memory does not grow with the batch.
    """
    total, gradient = 0.0, np.zeros(len(values))
    normal = np.zeros((len(values), len(values)))
    size = scaled.problem.chunk
    for first in range(0, len(state), size):
        part = slice(first, first + size)
        residual, tangents = _tangents(scaled, numbers, values, state[part], target[part])
        flat = tangents.reshape(len(values), -1).double()
        total += float((residual.double() ** 2).sum())
        gradient += (flat @ residual.reshape(-1).double()).numpy()
        normal += (flat @ flat.T).numpy()
    return total, gradient, normal


def _tangents(
    scaled: Scaled, numbers: Numbers, values: Array, state: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Residual (b, …) and the derivatives of the end by every number (P, b, …)."""
    angles, weights, d_angles, d_weights = numbers.derivatives(values, scaled.end)
    n = len(angles)
    dtype = state.dtype
    count = len(values)
    states, slopes = state, torch.zeros((count, *state.shape), dtype=dtype)
    found: list[Tensor] = []
    turned: list[Tensor] = []
    for i in range(n):
        angle = torch.tensor(angles[i], dtype=dtype)
        with torch.no_grad():
            out, by_angle = _by_angle(scaled, states, angle)
            moved = by_angle * _shaped(d_angles[:, i], by_angle)
            active = np.flatnonzero(numbers.reaches(i))
            if len(active):
                linear = _along(scaled, states, angle)
                moved[active] = moved[active] + linear(slopes[active])
        found.append(out)
        turned.append(moved)
        states = state + sum(float(w) * f for w, f in zip(weights[i], found, strict=False))
        direct = torch.as_tensor(np.ascontiguousarray(d_weights[:, i, : i + 1]), dtype=dtype)
        slopes = (direct @ torch.stack(found).reshape(i + 1, -1)).reshape(count, *state.shape)
        for weight, moved in zip(weights[i], turned, strict=False):
            slopes.add_(moved, alpha=float(weight))
    return states - target, slopes


def _by_angle(scaled: Scaled, states: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """F and its derivative by θ at fixed x̂.

    The chain rule about the model is taken by hand: inside it a tangent of a number without
    dimensions may be promoted to float64, which a float32 network refuses.
    """
    sine, cosine = torch.sin(angle), torch.cos(angle)
    std, mean = scaled.problem.std, scaled.problem.mean
    x, sigma = states * (std / cosine) + mean, std * sine / cosine
    turned = states * (std * sine / cosine**2), torch.full_like(sigma, std) / cosine**2
    found = torch.func.jvp(scaled.problem.denoiser, (x, sigma), turned)
    denoised, moved = found[0], found[1]
    out = ((denoised - mean) / std - states * cosine) / sine
    return out, (moved / std + states * sine - out * cosine) / sine


def _along(scaled: Scaled, states: Tensor, angle: Tensor) -> Callable[[Tensor], Tensor]:
    """The derivative of F in given directions of the state."""
    known = scaled.problem.derivative
    assert known is not None, "models without a derivative are differenced"
    sine, cosine = torch.sin(angle), torch.cos(angle)
    std, mean = scaled.problem.std, scaled.problem.mean
    along = known(states * (std / cosine) + mean, std * sine / cosine)
    return lambda directions: (along(directions) / cosine - directions * cosine) / sine


def _shaped(column: Array, like: Tensor) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(column), dtype=like.dtype).reshape(
        -1, *([1] * like.ndim)
    )


def _chunked(scaled: Scaled, state: Tensor, level: Tensor) -> Tensor:
    size = scaled.problem.chunk
    return torch.cat([scaled.output(part, level) for part in state.split(size)])
