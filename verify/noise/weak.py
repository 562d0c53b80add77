"""Weak order on Gaussian targets, measured without a random number.

Mean: a start off the marginal must be carried as the reverse SDE of the sampler's own strength
carries it; the strength is read from the variance that its steps add, as h goes to zero.
Covariance: a start in the marginal must stay in it, at every step. Both are exact functions of the
traced weights, and their orders are read from refinements like any other rate.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConductError
from ..probe.noise_trace import NoiseTrace, count, refinements
from ..probe.trace import Run, require_room
from ..problems import grids
from ..rates import rate
from .moments import VARIANCES, Rows, Steps, log_variance, pull, states, steps

Array = NDArray[np.float64]

LADDER = (16, 32, 64, 128, 256)
FEWEST = 4
MOST_CALLS = 2400  # a trace is a square of them
CLASS_GRID = {"uniform": "uniform", "smooth": "smooth", "arbitrary": "rough"}
PARTS = 4
EXACT = 1e-11
# a limit in N is settled when halving the step still halves its change
STUCK = 0.75
# a refinement makes such an error larger by so much; and what counts as visible
GROWING, SEEN_ERROR = 1.3, 1e-2
# share of its end's variance that a step adds, beyond which its logarithm is far from a series in h
WIDE = 0.5
NO_LIMIT = "the noise per step has no limit strength as steps shrink"
# spread of tau^2 between quarters that extrapolation leaves in a constant
SAME = 1e-3


@dataclass(frozen=True)
class Order:
    """One measured order.

    Args:
        order: whole number or half of one, or None when exact or refused.
        exact: the error is rounding on every grid.
        slope: fitted power of h, or None.
        reason: why there is no order, or "".
        steps, errors: the curve: RMS over checkpoints and directions.
    """

    order: float | None
    exact: bool
    slope: float | None
    reason: str
    steps: tuple[int, ...]
    errors: tuple[float, ...]

    def said(self) -> str:
        """ "exact", the order, or "?"."""
        return "exact" if self.exact else ("?" if self.order is None else str(self.order))

    def at_least(self, least: float) -> bool | None:
        """Whether the order is `least` or more; None when it is not known."""
        if self.exact:
            return True
        return None if self.order is None else self.order >= least


@dataclass(frozen=True)
class Weak:
    """Weak orders on one class of grids.

    Args:
        mean: from a start off the marginal.
        covariance: from a start in the marginal.
        strength: tau^2 over each quarter of the range, as h goes to zero.
        steady: whether the strength read is the same at every N.
        worst: largest relative error of the marginal variance over *all* steps, at each N.
        martingale: for tau = 1 throughout: whether E[x0 | x] keeps its mean; None otherwise.
    """

    mean: Order
    covariance: Order
    strength: tuple[float, ...]
    steady: bool
    worst: tuple[float, ...]
    martingale: bool | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def ladder(
    run: Run,
    kind: str,
    counts: Sequence[int] = LADDER,
    lam: tuple[float, float] = grids.LAMBDA,
) -> list[NoiseTrace]:
    """Traces of one sampler on refinements of one class of grids, coarser where a step is long."""
    shape = grids.GRIDS[CLASS_GRID[kind]]

    def make(n: int) -> Array:
        return shape(n, lam)

    try:
        calls, draws = (made / FEWEST for made in count(run, make(FEWEST)))
    except ConductError:  # so short a run says nothing of longer ones
        return refinements(run, make, counts)
    while counts[-1] * calls > MOST_CALLS and counts[-1] > 8 * FEWEST:
        counts = [n // 2 for n in counts]
    longest = counts[-1]
    # before the short ones are traced: they take their time too
    require_room(make(longest), round(longest * calls), round(longest * draws))
    return refinements(run, make, [n for n in counts if n >= FEWEST])


def weak(made: Sequence[NoiseTrace], variances: Sequence[float] = VARIANCES) -> Weak:
    """Mean and covariance orders from the traces of one ladder."""
    cuts = [steps(t) for t in made]
    counts = [t.drift.steps for t in made]
    precision = max([2.0**-52, *(t.drift.bend for t in made)])
    limit = _limit(made, cuts, variances)
    mean, covariance, added, worst, kept = [], [], [], [], []
    for t, cut in zip(made, cuts, strict=True):
        rows, marks = cut.rows, marks_of(cut)
        first = t.drift.sigmas[0] ** 2
        off, spread, brought, all_steps, kept_mean = [], [], [], [0.0], []
        for i, c2 in enumerate(variances):
            solved = states(t, c2)
            change = np.diff(log_variance(c2, np.append(t.drift.sigmas[0], cut.levels[1:][marks])))
            expected = np.exp(0.5 * (np.cumsum(change) + limit.pull[:, i]))
            off += [solved.start[rows[marks]] - expected]
            off += [solved.start[rows[marks]] + solved.target[rows[marks]] - 1]
            exact = c2 + cut.levels[1:] ** 2
            error = solved.covariance(rows, c2 + first) / exact - 1
            spread.append(error[marks])
            brought.append(((solved.noise[rows] ** 2).sum(axis=1) / exact)[marks])
            all_steps.append(float(np.abs(error).max()))
            kept_mean.append(solved.start[rows] / exact * (c2 + first) - 1)
        mean.append(np.concatenate(off))
        covariance.append(np.concatenate(spread))
        added.append(np.concatenate(brought))
        worst.append(max(all_steps))
        kept.append(float(np.abs(np.concatenate(kept_mean)).max()))
    full = limit.steady and bool(np.allclose(limit.strength[-1], 1.0, atol=1e-9))
    variance = measured(counts, covariance, precision)
    if not limit.strength.any():  # of no noise in the limit, all that is there is error
        variance = held_down(variance, measured(counts, added, precision))
    unsettled = "" if limit.settled else NO_LIMIT
    return Weak(
        mean=measured(counts, mean, precision, unsettled),
        covariance=variance,
        strength=tuple(limit.strength.tolist()),
        steady=limit.steady,
        worst=tuple(worst),
        martingale=(max(kept) < EXACT) if full else None,
    )


def measured(
    counts: Sequence[int], vectors: Sequence[Array], precision: float, refused: str = ""
) -> Order:
    """An order from error vectors on refinements; exact when nothing but rounding is seen."""
    sizes = tuple(rate.root_mean_square(v) for v in vectors)
    if refused:
        return Order(None, False, None, refused, tuple(counts), sizes)
    if max(sizes) < max(EXACT, 1e3 * precision):
        return Order(None, True, None, "", tuple(counts), sizes)
    if grows(sizes):
        said = f"the error grows with the number of steps, to {sizes[-1]:.2g} at N = {counts[-1]}"
        return Order(0, False, None, said, tuple(counts), sizes)
    found = rate.measure(counts, vectors, precision=precision, halves=True)
    if found.order is None and found.levels_off():
        slope = float(np.log2(sizes[-2] / sizes[-1]))
        said = f"at the finest steps the error changes like h^{slope:.2f}"
        return Order(0, False, slope, said, tuple(counts), sizes)
    return Order(found.order, False, found.slope, found.reason, tuple(counts), sizes)


def grows(errors: Sequence[float]) -> bool:
    """Whether visible errors grow with every refinement, beyond all numbers or up to there."""
    sizes = [e if np.isfinite(e) else np.inf for e in errors]
    rises = [b > GROWING * a or b == np.inf for a, b in itertools.pairwise(sizes)]
    return len(sizes) > 3 and sizes[-1] > SEEN_ERROR and all(rises)


def held_down(whole: Order, part: Order) -> Order:
    """The order of an error, one part of which may be of a lower one.

    A small part shows in the whole only at steps far shorter than those that were run.
    """
    if whole.order is None or part.order is None or part.order >= whole.order:
        return whole
    share = part.errors[-1] / whole.errors[-1]
    reason = f"{share:.1e} of the error at the finest steps is of this order, the rest is of higher"
    return replace(whole, order=part.order, reason=reason)


@dataclass(frozen=True)
class _Limit:
    """What the noise tends to as N grows.

    Args:
        pull: (parts, v) sum of tau^2 d log(variance) up to each quarter, for each c2.
        strength: (parts,) mean tau^2 of each quarter.
        steady: whether they are the same at every N.
        settled: whether there is a limit.
    """

    pull: Array
    strength: Array
    steady: bool
    settled: bool


def _limit(made: Sequence[NoiseTrace], cuts: Sequence[Steps], variances: Sequence[float]) -> _Limit:
    counts = [t.drift.steps for t in made]
    cuts = _as_read(counts, cuts)
    table = np.stack([_carried(cut, variances) for cut in cuts])
    total = np.stack([np.cumsum(cut.strength)[marks_of(cut)] for cut in cuts])
    finest = cuts[-1]
    # steps that raise the level begin above the grid, by less and less
    where = made[-1].drift.sigmas[finest.grid[marks_of(finest)]]
    width = np.diff(-np.log(np.append(finest.levels[0], where)))
    width = np.where(width > 0, width, np.inf)
    if np.abs(table - table[-1]).max() < EXACT:
        strength = np.diff(total[-1], prepend=0.0) / width
        return _Limit(table[-1], strength, True, True)
    moves = np.abs(np.diff(table, axis=0)).max(axis=(1, 2))
    settled = bool(moves[-1] < STUCK * moves[-2] or moves[-1] < EXACT)
    strength = np.diff(at_zero(counts, total), prepend=0.0) / width
    flat = at_zero(counts, table)
    known = strength[np.isfinite(width)]
    if np.ptp(known) < SAME:
        # what the coarsest grid still moves is how well the limit is known
        coarse = np.diff(at_zero(counts[1:], total[1:]), prepend=0.0) / width
        blur = float(np.abs(coarse - strength).max())
        # a constant strength: its pull is known without a limit, and the constant is mostly plain
        value = float(known.mean())
        value = round(value, 3) if abs(round(value, 3) - value) < max(SAME / 10, blur) else value
        strength = np.where(np.isfinite(width), value, 0.0)
        begun = [log_variance(c2, np.append(finest.levels[0], where)) for c2 in variances]
        flat = value * np.stack([b[1:] - b[0] for b in begun], axis=1)
    return _Limit(flat, strength, False, settled)


def _as_read(counts: Sequence[int], cuts: Sequence[Steps]) -> Sequence[Steps]:
    """Steps with the reading of their strength whose limit rests the least on the coarsest grid.

    The logarithm is right at every N for the semilinear forms; a step that adds as much variance as
    there is at its end, as noise predicted at tau^2 > 1 does on coarse grids, has no logarithm.
    """
    if max(float(c.added.max()) for c in cuts) < WIDE / 2:
        return cuts
    plain = [replace(cut, strength=cut.added) for cut in cuts]
    moved = []
    for read in (cuts, plain):
        total = np.stack([np.cumsum(cut.strength)[marks_of(cut)] for cut in read])
        apart = at_zero(counts[1:], total[1:]) - at_zero(counts, total)
        moved.append(float(np.abs(apart).max()))
    return cuts if moved[0] < EXACT or moved[0] <= moved[1] else plain


def at_zero(counts: Sequence[int], values: Array) -> Array:
    """Values (n, ...) at each N, extrapolated to h = 0 by the polynomial in 1 / N through all."""
    powers = np.vander(counts[-1] / np.asarray(counts, dtype=float), increasing=True)
    out: Array = np.linalg.solve(powers, values.reshape(len(counts), -1))[0]
    return out.reshape(values.shape[1:])


def _carried(cut: Steps, variances: Sequence[float]) -> Array:
    """(parts, v) the pull of the noise at the quarters, for each variance."""
    return np.stack([pull(cut, c2)[marks_of(cut)] for c2 in variances], axis=1)


def marks_of(cut: Steps) -> Rows:
    """Positions in cut.rows of the states at the quarters of the grid, or of the result alone."""
    n = int(cut.grid[-1])
    wanted = np.arange(1, PARTS + 1) * n // PARTS
    if not np.isin(wanted, cut.grid).all():
        return np.full(PARTS, len(cut.rows) - 1)
    out: Rows = np.searchsorted(cut.grid, wanted)
    return out
