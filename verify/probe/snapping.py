"""Levels that a sampler snaps before it tells them to the model: integer times, rounded decimals.

Where only the model's level is snapped, the states go on as if it were not, and the weight of the
start value tells the level that was meant: with every output zero a state is sigma / sigma_0 of it.
The rule is judged at the levels meant; the distance to the levels told is a floor of its errors.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .trace import Run, Trace, trace

Array = NDArray[np.float64]

# further than this a level is another one, not one snapped
FURTHEST = 0.1
# of a step: what a state misses its grid level by, for rules that do not keep zero exactly
CLOSE = 0.12
TOLD = 2e-6
NEARER = 0.1


def meant(made: Trace) -> Trace | None:
    """The trace at the levels that its states stand at; None where these are the levels told."""
    grid = np.log(made.sigmas)
    told = np.log(made.nodes[:-1])
    if made.on_grid()[1:-1].any(axis=1).mean() > 0.5 or (made.start[:-1] <= 0).any():
        return None
    stands = np.log(made.start[:-1] * made.sigmas[0])
    apart = np.abs(np.diff(grid)).min()
    nearest = np.abs(stands[:, None] - grid[None, :]).argmin(axis=1)
    on = np.abs(stands - grid[nearest]) < CLOSE * apart
    levels = np.where(on, grid[nearest], stands)
    hit = np.isin(np.arange(1, len(grid) - 1), nearest[on]).mean()
    if hit < 0.5 or np.abs(levels - told).max() > FURTHEST:
        return None
    if np.abs(levels - told).max() < TOLD:
        return None
    # states that stand as far from the grid as the levels told are on a grid that is snapped itself
    missed = np.median(np.abs(stands - grid[nearest])[on])
    if missed > NEARER * np.abs(grid[nearest] - told)[on].max():
        return None
    return replace(made, nodes=np.append(np.exp(levels), made.nodes[-1]))


def distance(made: Trace, other: Trace) -> float:
    """Largest relative distance between the levels of two traces of one run."""
    return float(np.abs(np.log(made.nodes / other.nodes)).max())


def trace_meant(run: Run, sigmas: Array, *, calls: int | None = None, seed: int = 0) -> Trace:
    """As trace(), at the levels meant where the levels told are snapped."""
    made = trace(run, sigmas, calls=calls, seed=seed)
    return meant(made) or made
