"""From errors at several N to an order, or to a refusal with its reason. numpy only.

The error of a one-step or multistep rule is, trajectory by trajectory, a series
c_q h^q + c_(q+1) h^(q+1) + ... We fit three terms with a free, real q to the error vectors of all
trajectories at once, on the finest N above the rounding floor. A single trajectory's slope, or a
slope of norms, passes through anything from -3 to 10 where terms cancel; the series does not. An
order is stated only when the fit is good, q is near a whole number, and the term h^q carries a
visible part of the error at the finest N.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WINDOW = 5
FEWEST = 4
MISFIT = 0.01
GOOD = 0.005
VISIBLE = 0.2
CLOSE = 0.2
SLACK = 1e-3
CLEAR = 100.0
STUCK = 0.75
FLAT = 0.05
LESS = 0.85
# powers that a fit may have
TRIED: Array = np.arange(0.4, 8.6, 0.01)


@dataclass(frozen=True)
class Rate:
    """A measured rate of convergence.

    Args:
        order: the whole number, or the half one where these are asked for, that the slope confirms;
            None when refused.
        slope: the fitted q, or None.
        window: (first, last) N of the window, or None.
        floor: error level that was taken as rounding.
        reason: why there is no order, or "".
        misfit: relative misfit of the series on the window, or None.
        steps, errors: the curve (RMS).
    """

    order: float | None
    slope: float | None
    window: tuple[int, int] | None
    floor: float
    reason: str
    misfit: float | None
    steps: tuple[int, ...]
    errors: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def vanishes(self) -> bool:
        """Whether the error still falls as steps are halved, or has reached rounding."""
        last = self.errors[-1]
        # order one halves it; three quarters leave room for a curve that is not asymptotic yet
        return last < CLEAR * self.floor or last < STUCK * self.errors[max(0, len(self.errors) - 2)]

    def levels_off(self) -> bool:
        """Whether the error tends to a limit above zero: each refinement changes it less and less.

        Where an error c0 + c1 h^p shows its c0, what halving the step takes away falls like h^p; an
        error of order 1/2 that is not asymptotic yet keeps falling by much the same share.
        """
        if self.vanishes() or len(self.errors) < 3:
            return False
        one, two, three = self.errors[-3:]
        return abs(three / two - 1) < max(FLAT, LESS * abs(two / one - 1))


def root_mean_square(error: Any) -> float:
    """RMS over all trajectories and coordinates of an array of errors."""
    return float(np.sqrt(np.mean(np.square(np.asarray(error, dtype=np.float64)))))


def rounding_floor(errors: Sequence[float], *, precision: float = 2.0**-52) -> float:
    """Level below which errors are rounding.

    Thirty times the precision, or three times the level at which the curve stops falling if that
    is within reach of it: there truncation is no longer what is seen.
    """
    least = 30.0 * precision
    for i in range(len(errors) - 1):
        here = errors[i]
        if here < 1e4 * least and min(errors[i + 1 :]) > 0.7 * here:
            return max(least, 3.0 * here)
    return least


def measure(
    steps: Sequence[int],
    vectors: Sequence[Any],
    *,
    precision: float = 2.0**-52,
    halves: bool = False,
) -> Rate:
    """The order that a family of runs shows.

    Args:
        steps: N, growing.
        vectors: signed errors of all trajectories at each N, equal shapes; (m,) or (b, d).
        precision: unit roundoff of the coarsest part of the run (2**-52, or a host's float32).
        halves: whether an order may be half a whole number, as along a path of noise.

    Returns:
        A Rate; its order is None, with a reason, when there is no asymptotic window.
    """
    errors = tuple(root_mean_square(v) for v in vectors)
    floor = rounding_floor(errors, precision=precision)
    kept = (tuple(int(n) for n in steps), errors)

    def refused(reason: str, misfit: float | None = None) -> Rate:
        return Rate(None, None, None, floor, reason, misfit, *kept)

    if not np.all(np.isfinite(errors)):
        return refused("the error is not finite")
    first, last = _above(errors, floor)
    if last - first < FEWEST:
        return refused(
            f"only {last} point(s) above the rounding floor {floor:.1e}; {FEWEST} are needed"
        )
    n = np.asarray(kept[0][first:last], dtype=np.float64)
    table = np.stack([np.asarray(v, dtype=np.float64).ravel() for v in vectors[first:last]])
    slope, misfit, share = _series_fit(n, table, floor)
    if misfit > MISFIT:
        return refused(f"no asymptotic window: a series in h misses by {misfit:.1%}", misfit)
    if slope is None:
        return refused(
            f"no asymptotic window: the leading term is {share:.0%} of the error at N = {n[-1]:g}",
            misfit,
        )
    order = _nearest(slope, halves)
    if order is None:
        kinds = "neither whole nor half" if halves else "no whole number"
        return refused(f"the slope settles at {slope:.2f}, which is {kinds}", misfit)
    hidden = _hidden_share(n, table, floor, order)
    if hidden is not None:
        return refused(
            f"no asymptotic window: the slope is {slope:.2f}, but a term h^{order - 1:g} already "
            f"carries {hidden:.1%} of the error and will take over",
            misfit,
        )
    window = (int(n[0]), int(n[-1]))
    return Rate(order, slope, window, floor, "", misfit, *kept)


def _above(errors: Sequence[float], floor: float) -> tuple[int, int]:
    """The finest runs whose errors stand clear of rounding: from a first one, up to a last one."""
    last = next((i for i, e in enumerate(errors) if e <= floor), len(errors))
    while last > FEWEST and errors[last - 1] < CLEAR * floor:
        last -= 1
    return max(0, last - WINDOW), last


def _nearest(slope: float, halves: bool) -> float | None:
    """The whole number, or half of one, to which a slope is close."""
    known = [round(slope), *([math.floor(slope) + 0.5] if halves else [])]
    return next((order for order in known if abs(slope - order) <= CLOSE), None)


def _series_fit(n: Array, table: Array, floor: float) -> tuple[float | None, float, float]:
    """Best real q, its relative misfit, and the share of the leading term at the finest N.

    q is None when no fit with a visible leading term exists.
    """
    size = np.sqrt(np.mean(table**2, axis=1))
    norm = size + floor
    # sums of squares over the columns are those over this triangle
    errors = np.asarray(np.linalg.qr((table / norm[:, None]).T, mode="r")).T
    h = n[-1] / n
    powers = TRIED[:, None] + np.arange(3 if len(n) > FEWEST else 2)
    bases = h[:, None] ** powers[:, None, :] / norm[:, None]
    found = np.linalg.pinv(bases, rcond=len(n) * np.finfo(float).eps) @ errors
    misfits = np.sqrt(((bases @ found - errors) ** 2).sum(axis=(1, 2)) / table.size)
    shares = np.sqrt((found[:, 0] ** 2).sum(axis=1) / table.shape[1]) / size[-1]
    tried = list(zip(TRIED.round(2).tolist(), misfits.tolist(), shares.tolist(), strict=True))
    # a small q with a vanishing coefficient fits too: the first term must carry part of the error
    visible = [VISIBLE < share < 5 for _, _, share in tried]
    lows = [
        tried[i]
        for i in range(1, len(tried) - 1)
        if visible[i] and tried[i][1] <= min(tried[i - 1][1], tried[i + 1][1])
    ]
    if not lows:
        return None, min(misfit for _, misfit, _ in tried), 0.0
    limit = 2 * min(misfit for _, misfit, _ in lows) + SLACK
    # of fits that are alike the one of highest power needs the fewest terms
    return max(low for low in lows if low[1] <= limit)


def _hidden_share(n: Array, table: Array, floor: float, order: float) -> float | None:
    """Share of a term h^(order-1) at the finest N, when the data do contain one."""
    if len(n) <= FEWEST or order < 2:
        return None
    norm = np.sqrt(np.mean(table**2, axis=1)) + floor
    h, misfits, share = n[-1] / n, [], 0.0
    for powers in (order + np.arange(3), order - 1 + np.arange(4)):
        basis = np.stack([h**p for p in powers], axis=1) / norm[:, None]
        found, *_ = np.linalg.lstsq(basis, table / norm[:, None], rcond=None)
        misfits.append(float(np.sqrt(np.mean((basis @ found - table / norm[:, None]) ** 2))))
        share = float(np.sqrt(np.mean(found[0] ** 2)) / norm[-1])
    if share > 0.015 and misfits[0] > 4 * misfits[1]:
        return share
    return None
