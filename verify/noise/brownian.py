"""One Brownian path for every number of steps, on tensors.

A path is a table of independent normal numbers, one for each cell of a fine grid in lambda; a draw
over any run of cells is put together from them exactly, so that a sampler sees one and the same path
at every number of steps. The numbers come from a seed and are data like any other: what is measured
with them illustrates a strong order, and never decides one.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ConductError
from ..probe.noise_sources import Draw, Source, replaced
from ..probe.trace import Run
from ..rates.measure import Problem

Array = NDArray[np.float64]


class BrownianPath(Source):
    """A source of noise whose draws are integrals over one path.

    A draw over [a, b] is the normalised integral of e^(tau^2 l) dW: over two parts that meet it
    composes as sqrt(1 - e^(-2 tau^2 (h1 + h2))) z = e^(-tau^2 h2) sqrt(1 - e^(-2 tau^2 h1)) z1
    + sqrt(1 - e^(-2 tau^2 h2)) z2.

    Args:
        shape: of the state.
        edges: (m+1,) growing lambda, the fine grid; draws must begin and end on it.
        tau2: strength of the noise, above zero.
        seed: of the table of normal numbers.
    """

    def __init__(self, shape: tuple[int, ...], edges: Array, tau2: float, seed: int = 0) -> None:
        super().__init__(shape)
        self.edges, self.tau2 = edges, tau2
        made = torch.Generator().manual_seed(seed)
        size = (len(edges) - 1, int(np.prod(shape)))
        self.cells = torch.randn(size, generator=made, dtype=torch.float64).numpy()

    def value(self, draw: Draw) -> Array:
        """The path's own draw between two levels.

        Raises:
            ConductError: "random", for a draw without levels, or with one off the fine grid.
        """
        if draw.levels is None:
            raise ConductError(
                "random",
                "a draw does not say which part of the path it belongs to; a common path "
                "needs noise_sampler(sigma, sigma_next)",
            )
        weights, low, high = self.composition(*draw.levels)
        out: Array = weights @ self.cells[low:high]
        return out

    def composition(self, level: float, after: float) -> tuple[Array, int, int]:
        """(weights, first cell, end) of the draw between two levels; the weights have norm one."""
        ends = -np.log([level, after])
        low, high = (int(np.abs(self.edges - end).argmin()) for end in ends)
        if np.abs(self.edges[[low, high]] - ends).max() > 1e-9 or high <= low:
            raise ConductError(
                "random",
                f"draw from sigma {level:g} to {after:g}: its ends are not on the fine grid",
            )
        cells = self.edges[low : high + 1]
        spread = -np.expm1(-2 * self.tau2 * np.diff(cells))
        carried = np.exp(-self.tau2 * (cells[-1] - cells[1:]))
        whole = -np.expm1(-2 * self.tau2 * (cells[-1] - cells[0]))
        out: Array = carried * np.sqrt(spread / whole)
        return out, low, high


def on_path(run: Run, task: Problem, sigmas: Array, path: BrownianPath) -> Array:
    """End points (b, d) of a sampler on a problem, its noise taken from the path."""
    x = torch.from_numpy(task.start.copy()).reshape(*task.start.shape, 1, 1)
    with replaced(path):
        out = run(task.mixture.model(), x, torch.from_numpy(sigmas.copy()))
    return np.asarray(out.double().reshape(task.start.shape).numpy())


def gaps(
    run: Run, task: Problem, counts: tuple[int, ...], *, tau2: float, stage: int = 1, seed: int = 0
) -> list[float]:
    """RMS difference at the end between N and 2 N steps on one path, uniform in lambda.

    Args:
        counts: N, each a divisor of the last.
        stage: parts of a step at whose ends a sampler draws (2 for a stage in the middle).
    """
    fine = 2 * counts[-1] * stage
    edges = np.linspace(*task.lam, fine + 1)
    path = BrownianPath((*task.start.shape, 1, 1), edges, tau2, seed)
    out = []
    for n in counts:
        ends = [on_path(run, task, np.exp(-edges[:: fine // k]), path) for k in (n, 2 * n)]
        out.append(float(np.sqrt(np.mean((ends[0] - ends[1]) ** 2))))
    return out
