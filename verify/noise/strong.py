"""Strong error, exact on Gaussian targets: sampler and reverse SDE on one Brownian path.

Every draw is read as a normalised integral of the path over the part of the step that it belongs
to; the end of the run and the exact solution are then two linear functionals of the start value and
of the path, and the mean square of their difference is an integral. No path is ever drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from ..probe.noise_trace import NoiseTrace
from ..problems.grids import ROUGH
from .moments import VARIANCES, Steps, states, steps
from .weak import EXACT, NO_LIMIT, STUCK, Order, held_down, measured

Array = NDArray[np.float64]
Strength = Callable[[Array], Array]

POINTS = 4
PATTERN = len(ROUGH)
RISEN = 1e-9
SHARED = 1e-6
SILENT = 1e-6


@dataclass(frozen=True)
class Path:
    """One run laid along the Brownian path.

    Args:
        edges: (n+1,) lambda of the grid.
        density: (n,) tau^2 in each step, of the limit that refinement shows.
        kernels: (d, p) each draw as a function of lambda at the quadrature points.
        points, weights: (p,) Gauss-Legendre over all pieces of the path.
        step: (p,) the step that each point lies in.
    """

    edges: Array
    density: Array
    kernels: Array
    points: Array
    weights: Array
    step: NDArray[np.int64]


def strong(made: Sequence[NoiseTrace], variances: Sequence[float] = VARIANCES) -> Order:
    """Strong order from the traces of one ladder."""
    counts = [t.drift.steps for t in made]
    if any(clash(t, steps(t)) for t in made):
        reason = (
            "several draws in one step do not say which part of the step they belong to; only a "
            "noise_sampler(sigma, sigma_next) can tell"
        )
        return Order(None, False, None, reason, tuple(counts), ())
    limit = _limit_strength(made)
    if limit is None:
        return Order(None, False, None, NO_LIMIT, tuple(counts), ())
    vectors = []
    for t in made:
        path = laid(t, steps(t), limit)
        vectors.append(np.asarray([strong_parts(t, path, c2) for c2 in variances]))
    precision = max([2.0**-52, *(t.drift.bend for t in made)])
    whole = measured(counts, [np.hypot(*v.T) for v in vectors], precision)
    if path.density.max(initial=0.0) > SILENT:
        return whole  # either part holds what is uncertain in the limit strength
    for part in (0, 1):
        whole = held_down(whole, measured(counts, [v[:, part] for v in vectors], precision))
    return whole


def on_one_path(made: Sequence[NoiseTrace]) -> list[NoiseTrace] | None:
    """The traces with independent draws read as parts of one path; None when that is the same.

    Draws over intervals that overlap then share what the path did on both.
    """
    limit = None if any(clash(t, steps(t)) for t in made) else _limit_strength(made)
    if limit is None:
        return None
    grams, same = [], True
    for t in made:
        path = laid(t, steps(t), limit)
        gram = (path.kernels * path.weights) @ path.kernels.T
        used = np.abs(t.weights).max(axis=0, initial=0.0) > 1e-14
        apart = gram[np.ix_(used, used)] - np.eye(int(used.sum()))
        same = same and float(np.abs(apart).max(initial=0.0)) < SHARED
        grams.append(gram)
    if same:
        return None
    out = []
    for t, gram in zip(made, grams, strict=True):
        values, axes = np.linalg.eigh(gram)
        mix = axes * np.sqrt(np.maximum(values, 0.0))
        # triangular, so that a draw uses pieces of its own and of draws before it alone
        out.append(replace(t, mix=np.asarray(np.linalg.qr(mix.T, mode="r")).T))
    return out


def strong_parts(t: NoiseTrace, path: Path, c2: float) -> tuple[float, float]:
    """Root mean square difference at the end of a run from a start in the marginal on N(0, c2).

    What the start value and the draws leave of it, which are independent.
    """
    solved = states(t, c2, t.weights)
    level = np.log(c2 + np.exp(-2 * path.edges))
    # decay of the exact solution from the start of each step to the end of the run
    whole = 0.5 * (1 + path.density) * np.diff(level)
    after = np.append(np.cumsum(whole[::-1])[::-1][1:], 0.0)
    here = np.log(c2 + np.exp(-2 * path.points))
    tau2 = path.density[path.step]
    inside = 0.5 * (1 + tau2) * (level[path.step + 1] - here)
    exact = np.exp(inside + after[path.step]) * np.sqrt(2 * tau2) * np.exp(-path.points)
    ours = solved.noise[-1] @ path.kernels
    first = (solved.start[-1] - np.exp(whole.sum())) ** 2 * (c2 + t.drift.sigmas[0] ** 2)
    # the path may be read with either sign, once for all
    rest = min(float(path.weights @ (ours - s * exact) ** 2) for s in (1.0, -1.0))
    return float(np.sqrt(first)), float(np.sqrt(rest))


def laid(t: NoiseTrace, cut: Steps, limit: Strength) -> Path:
    """Place the draws of one run on the path."""
    edges = -np.log(t.drift.sigmas[cut.grid])
    # mean of the limit strength over each step
    density = np.maximum(np.diff(limit(edges)) / np.diff(edges), 0.0)
    spans = intervals(t, cut)
    ends = np.unique(np.concatenate([edges, spans.ravel()]))
    ends = ends[np.concatenate([[True], np.diff(ends) > 1e-10])]
    x, w = np.polynomial.legendre.leggauss(POINTS)
    half = np.diff(ends)[:, None] / 2
    points = (ends[:-1, None] + half * (1 + x)).ravel()
    weights = (half * w).ravel()
    step = np.clip(np.searchsorted(edges, points) - 1, 0, len(density) - 1)
    inside = (points > spans[:, :1] - 1e-12) & (points < spans[:, 1:] + 1e-12)
    # most draws stand for one step of many
    draw, at = np.nonzero(inside)
    # a Brownian tree runs in sigma; other draws carry the weight of the semilinear form
    tree = np.asarray([d.times is not None for d in t.draws], dtype=bool)[draw]
    rate = np.where(tree, -0.5, density[step[at]])
    grown = np.exp(rate * (points[at] - spans[draw, 0]))
    size = np.sqrt(np.bincount(draw, grown**2 * weights[at], minlength=len(spans)))
    kernels = np.zeros(inside.shape)
    kernels[draw, at] = grown / size[draw]
    return Path(edges, density, kernels, points, weights, step)


def intervals(t: NoiseTrace, cut: Steps) -> Array:
    """(d, 2) the part of the path, in lambda, that each draw stands for.

    A draw with known, falling levels stands for these; any other for the step that it enters.
    """
    edges = -np.log(t.drift.sigmas[cut.grid])
    home = steps_of_draws(t, cut)
    out = np.stack([edges[home], edges[home + 1]], axis=1)
    for i, draw in enumerate(t.draws):
        if draw.levels is None or min(draw.levels) <= 0:
            continue
        low, high = -np.log(draw.levels[0]), -np.log(draw.levels[1])
        if high > low > edges[0] - 1e-9 and high < edges[-1] + 1e-9:
            out[i] = np.clip([low, high], edges[0], edges[-1])
    return out


def risen(t: NoiseTrace, cut: Steps) -> bool:
    """Whether steps begin by raising the noise level (churn)."""
    return bool(np.any(cut.levels[1:-1] > t.drift.sigmas[cut.grid[:-1]] * (1 + RISEN)))


def steps_of_draws(t: NoiseTrace, cut: Steps) -> NDArray[np.int64]:
    """Step that each draw belongs to: where it first shows, or the step that it opens (churn)."""
    seen = np.abs(t.weights) > 1e-14
    first = np.where(seen.any(axis=0), seen.argmax(axis=0), 0)
    place = np.searchsorted(cut.rows, first)
    shift = 0 if risen(t, cut) else 1
    out: NDArray[np.int64] = np.clip(place - shift, 0, len(cut.rows) - 2)
    return out


def clash(t: NoiseTrace, cut: Steps) -> bool:
    """Whether two draws without levels share a step, so that their parts of it are unknown."""
    used = np.abs(t.weights).max(axis=0, initial=0.0) > 1e-14
    home = steps_of_draws(t, cut)
    dumb = [int(h) for h, d, u in zip(home, t.draws, used, strict=True) if u and d.levels is None]
    return len(dumb) != len(set(dumb))


def _limit_strength(made: Sequence[NoiseTrace]) -> Strength | None:
    """Integral of tau^2 as steps shrink, as a function of lambda; None when it has no limit."""
    totals = []
    for t in made:
        cut = steps(t)
        # a raise counts for the step that it opens
        share = cut.strength[:-1] if risen(t, cut) else cut.strength[1:]
        total = np.concatenate([[0.0], np.cumsum(share)])
        totals.append(np.interp(np.arange(t.drift.steps + 1), cut.grid, total))
    moves = np.abs(np.diff([total[-1] for total in totals]))
    if moves[-1] > STUCK * moves[-2] and moves[-1] > EXACT:
        return None
    # whole patterns of the rough grid end at the same levels on every refinement
    finest, coarser = totals[-1][:: 2 * PATTERN], totals[-2][::PATTERN]
    better = 2 * finest - coarser
    where = -np.log(made[-1].drift.sigmas)[:: 2 * PATTERN]
    return CubicSpline(where, better)
