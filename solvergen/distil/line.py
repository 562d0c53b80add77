"""Limits on the line, by quadrature: consistency training for any metric, and rectified flow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def line_limit(
    mixture: Any,
    grid: list[float],
    c: float = math.inf,
    *,
    points: int = 1201,
    nodes: int = 96,
) -> Callable[[Array, int], Array]:
    """The limit of consistency training in one dimension: f_n at any state, for every level.

    f_n(x) minimises E[d(f_{n-1}(x0 + (t_{n-1}/t_n)(x - x0)), y) given x] over y: the mean for the
    squared loss, the M-estimate of sqrt(|D|^2 + c^2) - c otherwise.

    Args:
        grid: ascending levels.
        c: of the pseudo-Huber loss; infinity is the squared loss.
        points: states at each level, equally spaced in units of its spread.
        nodes: Gauss-Legendre nodes for each component of the posterior, in its probability.

    Returns:
        (states, level index) -> values.
    """
    from scipy.interpolate import CubicSpline

    w, m = mixture.weights.numpy(), mixture.means[:, 0].numpy()
    v = mixture.variances[:, 0].numpy()
    centre = float(w @ m)
    sd = math.sqrt(float(w @ (v + (m - centre) ** 2)))
    unit = np.linspace(-8.5, 8.5, points)
    # Gauss-Legendre in probability would meet the tails badly; in 8 sd of the normal it is exact
    z, gauss = np.polynomial.legendre.leggauss(nodes)
    z = 8.0 * z
    gauss = 8.0 * gauss * np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    states = [centre + unit * math.hypot(sd, t) for t in grid]
    held = [CubicSpline(states[0], states[0])]
    for n in range(1, len(grid)):
        t, near = grid[n], grid[n - 1] / grid[n]
        x = states[n]
        log = -0.5 * (x[:, None] - m) ** 2 / (v + t * t) - 0.5 * np.log(v + t * t) + np.log(w)
        share = np.exp(log - log.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        gain = v / (v + t * t)
        mean, spread = m + gain * (x[:, None] - m), np.sqrt(v * t * t / (v + t * t))
        origin = mean[..., None] + spread[:, None] * z
        weight = share[..., None] * gauss
        before = np.clip(
            origin + near * (x[:, None, None] - origin), states[n - 1][0], states[n - 1][-1]
        )
        value = held[n - 1](before).reshape(points, -1)
        weight = weight.reshape(points, -1)
        weight /= weight.sum(1, keepdims=True)
        made = (weight * value).sum(1)
        if math.isfinite(c):
            for _ in range(200):
                pull = weight / np.sqrt((value - made[:, None]) ** 2 + c * c)
                new = (pull * value).sum(1) / pull.sum(1)
                moved, made = float(np.abs(new - made).max()), new
                if moved < 1e-10:
                    break
        held.append(CubicSpline(x, made))

    def at(x: Array, n: int) -> Array:
        return np.asarray(held[n](np.clip(x, states[n][0], states[n][-1])))

    return at


def line_crookedness(start: Array, end: Array, top: float, low: float, steps: int = 64) -> float:
    """How far one Euler step of a rectified flow on the line ends from many steps.

    The couples of start and end are the teacher's; the flow's velocity is E[z - x1 given x_t] over
    them. On the line couples keep their order, so their straight paths never cross and one step is
    exact.

    Args:
        start, end: states at the levels `top` and `low`, in x = x0 + sigma z.

    Returns:
        The largest difference of the ends, absolute.
    """
    order = np.argsort(start)
    t, r = top / (1 + top), low / (1 + low)
    first, last = start[order] * (1 - t), end[order] * (1 - r)
    slope = (first - last) / (t - r)
    x, size = first.copy(), (t - r) / steps
    for n in range(steps):
        there = last + (t - n * size - r) * slope
        x = x - size * np.interp(x, there, slope)
    once = first - (t - r) * slope
    return float(np.abs(x - once).max() / (1 - r))
