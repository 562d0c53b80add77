"""Noise inside a window: a strength that is zero on a part of the range and not on the rest.

Where the strength jumps no power series in h holds, and where the jump falls between two levels the
sampler moves it to one of them. Inside the window and outside the sampler is judged on grids of its
own; the run as a whole has the lowest order of its parts. The marginal law does not depend on the
strength, so that the covariance is also looked at over the whole range, where it settles.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..order.audit import CLASSES
from ..probe.noise_trace import NoiseTrace
from .findings import GridNoise, NoiseAudit
from .moments import steps
from .strong import risen
from .weak import Order, Weak

Array = NDArray[np.float64]

SILENT = 1e-14
# of the steps of a run, so that a step at its start or end is not a window
PART = 0.02
# of lambda, on which steps can still be refined
SHORTEST = 0.1
MOST = 2


@dataclass(frozen=True)
class Part:
    """A part of the range on which noise is drawn in every step, or in none.

    Args:
        lam: its ends, a step away from where the noise begins or stops.
        noisy: whether steps draw noise there.
    """

    lam: tuple[float, float]
    noisy: bool


def parts_of(t: NoiseTrace) -> list[Part]:
    """The parts of a run inside and outside its window; [] when all steps are alike."""
    lam, strength = _strengths(t)
    loud = strength > SILENT
    turns = np.flatnonzero(np.diff(loud.astype(int))) + 1
    if not PART < loud.mean() < 1 - PART or len(turns) > MOST:
        return []
    edges = [0, *turns.tolist(), len(loud)]
    found = []
    for low, high in itertools.pairwise(edges):
        first = low + (low > 0)
        last = high - (high < len(loud))
        if lam[last] - lam[first] > SHORTEST:
            found.append(Part((float(lam[first]), float(lam[last])), bool(loud[low])))
    return found


def _strengths(t: NoiseTrace) -> tuple[Array, Array]:
    """(n+1,) lambda of the levels, and (n,) the integral of tau^2 over each step."""
    cut = steps(t)
    strength = cut.strength[:-1] if risen(t, cut) else cut.strength[1:]
    return -np.log(t.drift.sigmas[cut.grid]), strength


def strength_inside(t: NoiseTrace) -> float:
    """Mean tau^2 of the steps that draw noise; a churn for a number of steps knows the whole run."""
    lam, strength = _strengths(t)
    loud = strength > SILENT
    return float(strength[loud].sum() / np.diff(lam)[loud].sum())


def drawn(t: NoiseTrace) -> float:
    """Draws a step that reach a state."""
    return float((np.abs(t.weights) > SILENT).any(axis=0).sum()) / t.drift.steps


def lowest(orders: Sequence[Order]) -> Order:
    """The order of a run whose parts have these; unknown where a part's is."""
    known = [o for o in orders if not o.exact]
    if not known:
        return orders[0]
    return min(known, key=lambda o: -np.inf if o.order is None else o.order)


def merged(
    judged: Sequence[tuple[Part, Mapping[str, GridNoise]]],
    finest: NoiseTrace,
    whole: Mapping[str, Weak],
) -> NoiseAudit:
    """The audit of a run from those of its parts.

    Args:
        judged: each part with its orders.
        finest: a trace of the whole run on many steps.
        whole: class -> weak orders over the whole range; the covariance is used where it settled.
    """
    grids = {}
    for kind in CLASSES:
        parts = [found[kind] for _, found in judged]
        loud = next((found[kind] for part, found in judged if part.noisy), parts[0])
        across = [o for o in [whole[kind].covariance] if o.order is not None]
        grids[kind] = replace(
            loud,
            mean=lowest([g.mean for g in parts]),
            covariance=lowest([*(g.covariance for g in parts), *across]),
            strong=lowest([g.strong for g in parts]),
            exact_mean=None,
            exact_covariance=None,
            path_covariance=None,
            strength=(strength_inside(finest),),
            martingale=None,
        )
    windows = tuple(
        {"sigma": tuple(np.exp(-np.asarray(p.lam)).tolist()), "noisy": p.noisy, "grids": dict(g)}
        for p, g in judged
    )
    return NoiseAudit(
        grids=grids,
        calls_per_step=finest.drift.calls / finest.drift.steps,
        draws_per_step=drawn(finest),
        kind="before" if risen(finest, steps(finest)) else "after",
        tree=any(d.times is not None for d in finest.draws),
        shared=False,
        promise=dict.fromkeys(CLASSES),
        said=tuple(_said(p, g) for p, g in judged),
        windows=windows,
    )


def _said(part: Part, found: Mapping[str, GridNoise]) -> str:
    high, low = np.exp(-np.asarray(part.lam))
    orders = []
    for name in ("mean", "covariance", "strong"):
        said = [getattr(found[kind], name).said() for kind in CLASSES]
        orders.append(f"{name} {said[0] if len(set(said)) == 1 else '/'.join(said)}")
    where = "with noise" if part.noisy else "without noise"
    return f"{where}, sigma {high:.3g} to {low:.3g}: order of {', '.join(orders)}"
