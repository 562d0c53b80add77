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
# so many levels that miss by the same, to this share of it, are no rounding
MANY, ALIKE = 6, 1e-3


def meant(made: Trace) -> Trace | None:
    """The trace at the levels that its states stand at; None where these are the levels told.

    None too where levels miss by one factor, see stretched(): that is a wrong level, not a snapped one.
    """
    levels = _stands(made)
    if levels is None or _factor(levels, made) is not None:
        return None
    return replace(made, nodes=np.append(np.exp(levels), made.nodes[-1]))


def stretched(made: Trace) -> float | None:
    """The factor by which levels told miss those of the states, where it is one for all; None without."""
    levels = _stands(made)
    return None if levels is None else _factor(levels, made)


def _factor(levels: Array, made: Trace) -> float | None:
    away = np.log(made.nodes[:-1]) - levels
    away = away[np.abs(away) > TOLD]
    if len(away) < MANY or np.ptp(away) > ALIKE * np.abs(away).max():
        return None
    return float(np.exp(away.mean()))


def _stands(made: Trace) -> Array | None:
    """Logarithms of the levels at which states stand, where others close to them are told."""
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
    out: Array = levels
    return out


def distance(made: Trace, other: Trace) -> float:
    """Largest relative distance between the levels of two traces of one run."""
    return float(np.abs(np.log(made.nodes / other.nodes)).max())


def trace_meant(run: Run, sigmas: Array, *, calls: int | None = None, seed: int = 0) -> Trace:
    """As trace(), at the levels meant where the levels told are snapped."""
    made = trace(run, sigmas, calls=calls, seed=seed)
    return meant(made) or made
