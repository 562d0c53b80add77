"""The objective of DM-NonUniform (Xue et al. 2024), a bound that knows the schedule alone.

Step n uses the interpolant through the newest 1 (first and last step), 2 (the steps beside them) or
3 outputs in λ. Output j enters with J_{n,j} = ∫ e^λ ℓ_j dλ over the step, and its model error with
w_j = σ_j^p/α_j. The norm form, the default here, sums the steps' root sums of squares. The published
form pools the steps from `pooled` on by output, |Σ_n w_j J_{n,j}|: errors of either sign cancel, and
its true minimum for many steps is a degenerate grid with levels piled up at the ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from ..table import Array


@dataclass(frozen=True)
class Bound:
    """What is minimised.

    Args:
        power: p of the model's error σ^p/α: 2 for latents, 1 for pixels.
        pooled: the first step that is pooled by output; None for the norm form.
    """

    power: int = 1
    pooled: int | None = None

    def value(self, lams: Sequence[float] | Array) -> float:
        """The objective on a grid of λ, under the variance preserving scaling."""
        return float(self._parts(torch.as_tensor(np.asarray(lams)), 0.0))

    def _parts(self, lams: Tensor, smooth: float) -> Tensor:
        steps = len(lams) - 1
        weight = torch.sigmoid(-2 * lams) ** (self.power / 2) / torch.sigmoid(2 * lams).sqrt()
        total = lams.new_zeros(())
        pools: dict[int, Tensor] = {}
        for n in range(steps):
            order = 1 if n in (0, steps - 1) else 2 if n in (1, steps - 2) else 3
            terms = {n - k: weight[n - k] * v for k, v in enumerate(_integrals(lams, n, order))}
            if self.pooled is None or n < self.pooled or order == 1:
                total = total + (sum(v * v for v in terms.values()) + smooth**2) ** 0.5
                continue
            for j, v in terms.items():
                pools[j] = pools[j] + v if j in pools else v
        return total + sum((v * v + smooth**2) ** 0.5 for v in pools.values())


def _integrals(lams: Tensor, n: int, order: int) -> list[Tensor]:
    """∫ e^λ ℓ_j dλ over step n, for the newest `order` nodes, newest first."""
    start, h = lams[n], lams[n + 1] - lams[n]
    grown = h.exp()
    moments = [torch.expm1(h)]
    for k in range(1, order):
        moments.append(h**k * grown - k * moments[-1])
    nodes = [lams[n - k] - start for k in range(order)]
    found = []
    for j, node in enumerate(nodes):
        others = nodes[:j] + nodes[j + 1 :]
        scale = lams.new_ones(())
        for other in others:
            scale = scale * (node - other)
        # ∏ (x − other) as coefficients of 1, x, x², integrated against e^x.
        coefficients = [lams.new_ones(())]
        for other in others:
            lower = [-other * c for c in coefficients]
            raised = [lams.new_zeros(()), *coefficients]
            coefficients = [
                (lower[i] if i < len(lower) else lams.new_zeros(())) + c
                for i, c in enumerate(raised)
            ]
        total = sum(c * m for c, m in zip(coefficients, moments, strict=True))
        found.append(start.exp() * total / scale)
    return found


def dmn_grid(bound: Bound, steps: int, first: float, last: float, starts: int = 4) -> Array:
    """λ of the grid with the least bound that was found.

    The bound has kinks, where quasi-Newton methods stall; they are smoothed by √(c² + δ²) and δ is
    brought to zero. Gaps are a softmax of free numbers, so λ always rises.

    Args:
        bound: the objective.
        steps: of the grid.
        first, last: λ of the ends.
        starts: grids to begin from: uniform λ, uniform time, and two quadratic ones.
    """
    found: list[tuple[float, Array]] = []
    for begin in _starts(steps, first, last)[:starts]:
        free = np.log(np.diff(begin))
        scale = bound.value(begin)
        for smooth in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8):
            result = minimize(
                _with_gradient,
                free,
                args=(bound, first, last, smooth * scale),
                jac=True,
                method="L-BFGS-B",
                bounds=[(-12.0, 6.0)] * steps,
                options={"maxiter": 300, "maxcor": 20, "ftol": 1e-13, "gtol": 1e-9},
            )
            free = result.x
        lams = _lams(torch.as_tensor(free), first, last).numpy()
        found.append((bound.value(lams), lams))
    return min(found, key=lambda pair: pair[0])[1]


def _lams(free: Tensor, first: float, last: float) -> Tensor:
    inner = torch.cumsum(torch.softmax(free, 0), 0)[:-1]
    ends = inner.new_tensor([0.0]), inner.new_tensor([1.0])
    return first + (last - first) * torch.cat([ends[0], inner, ends[1]])


def _with_gradient(
    free: Array, bound: Bound, first: float, last: float, smooth: float
) -> tuple[float, Array]:
    at = torch.as_tensor(free).requires_grad_(True)
    value = bound._parts(_lams(at, first, last), smooth)
    (slope,) = torch.autograd.grad(value, at)
    return float(value.detach()), slope.numpy()


def _starts(steps: int, first: float, last: float) -> list[Array]:
    """λ of grids uniform in λ, in VP-linear time, in its square root, and in σ^(1/7)."""
    from ...grids import VP

    schedule = VP()
    begin, end = schedule.time(first), schedule.time(last)
    part = np.linspace(0, 1, steps + 1)
    times = [begin + (end - begin) * part, (begin**0.5 + (end**0.5 - begin**0.5) * part) ** 2]
    grids = [first + (last - first) * part]
    grids += [np.asarray([schedule.lam(float(t)) for t in row]) for row in times]
    high, low = np.exp(-first / 7), np.exp(-last / 7)
    grids.append(-7 * np.log(high + (low - high) * part))
    for grid in grids:
        grid[0], grid[-1] = first, last
    return [g for g in grids if all(b > a for a, b in itertools.pairwise(g))]
