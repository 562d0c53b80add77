"""The order of a sampler that snaps its whole grid: measured where steps are larger than the snapping.

Its grids cannot shrink, so conditions cannot be read. Errors at growing N fall with the order until
they reach what the snapping itself leaves; the slope above that floor is reported, with the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ANYTHING
from ..probe.trace import Run, level_told
from ..problems import grids
from ..problems.mixture import oracle_mixture
from ..problems.reference import ends
from . import rate

Array = NDArray[np.float64]

COUNTS = (5, 8, 12, 18, 27, 40)
FINE = (150, 300)
CLEAR, CLOSE = 4.0, 0.3
START = np.asarray([[0.9], [-1.7], [2.6], [-3.4], [0.15], [4.1]])


@dataclass(frozen=True)
class SnappedOrder:
    """What was measured.

    Args:
        order: the whole number near the slope, or None.
        slope: of log error over log N above the floor, or None.
        floor: RMS error that refinement does not take away.
        distance: largest relative distance of a level told from the one given.
        errors: (N, RMS error).
    """

    order: int | None
    slope: float | None
    floor: float
    distance: float
    errors: tuple[tuple[int, float], ...]

    def sentence(self) -> str:
        """For reports."""
        start = f"the grid is snapped to levels up to {self.distance:.2g} (relative) away"
        if self.order is None:
            return f"{start}; no slope could be measured above the floor of {self.floor:.1e}"
        return (
            f"{start}: measured order {self.order} (slope {self.slope:.2f}) until the floor of "
            f"{self.floor:.1e}"
        )


def measured(run: Run) -> SnappedOrder | None:
    """The order of a sampler whose levels told lie near the grid's, and not on it; else None."""
    try:
        away, first, last = _told(run, grids.karras(16))
        if not 1e-6 < away < 0.1:
            return None
        mixture = oracle_mixture()
        exact = ends(mixture, START, first, last).value
        made = []
        for n in (*COUNTS, *FINE):
            sigmas = np.geomspace(first, last, n + 1)
            x = torch.from_numpy(START.copy()).reshape(*START.shape, 1, 1)
            out = run(mixture.model(), x, torch.from_numpy(sigmas))
            values = out.detach().double().reshape(START.shape).numpy()
            made.append((n, rate.root_mean_square(values - exact)))
    except ANYTHING:  # what is wrong with it is reported elsewhere
        return None
    floor = min(e for n, e in made if n in FINE)
    above = [(n, e) for n, e in made if n in COUNTS and e > CLEAR * floor]
    slope: float | None = None
    if len(above) >= 3:
        n, e = (np.log(np.asarray(v, dtype=float)) for v in zip(*above, strict=True))
        slope = float(-np.polyfit(n, e, 1)[0])
    near = slope is not None and abs(slope - round(slope)) < CLOSE
    order = round(slope) if slope is not None and near else None
    return SnappedOrder(order, slope, floor, away, tuple(made))


def _told(run: Run, sigmas: Array) -> tuple[float, float, float]:
    """Largest relative distance of levels told from the grid's, and the snapped ends of the grid."""
    seen: list[float] = []

    def denoiser(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        seen.append(level_told(sigma))
        return x / (1 + seen[-1] ** 2)

    x = torch.ones(1, 4, 1, 1, dtype=torch.float64)
    # the last level is told where the grid goes on beyond it
    longer = np.append(sigmas, sigmas[-1] * 0.7)
    run(denoiser, x, torch.from_numpy(longer.copy()))
    told = np.log(np.asarray(seen))
    gap = np.abs(told[None, :] - np.log(sigmas)[:, None])
    nearest = np.exp(told[gap.argmin(axis=1)])
    return float(gap.min(axis=1).max()), float(nearest[0]), float(nearest[-1])
