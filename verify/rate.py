"""From errors at several N to an order, or to a refusal with its reason. numpy only.

Errors are root mean squares over trajectories (a single trajectory crosses zero and shows slopes
from -3 to 10). The window is the finest run of pairs above the rounding floor on which the local
slope has settled; an order is stated only when that window exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SETTLED = 0.12
CLOSE = 0.3


@dataclass(frozen=True)
class Rate:
    """A measured rate of convergence.

    Args:
        order: the whole number that the slope confirms, or None when refused.
        slope: extrapolated slope on the window, or None.
        window: (first, last) N of the window, or None.
        floor: error level that was taken as rounding.
        reason: why there is no order, or "".
        steps, errors: the curve.
    """

    order: int | None
    slope: float | None
    window: tuple[int, int] | None
    floor: float
    reason: str
    steps: tuple[int, ...]
    errors: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def root_mean_square(error: Any) -> float:
    """RMS over all trajectories and coordinates of an array of errors."""
    return float(np.sqrt(np.mean(np.square(np.asarray(error, dtype=np.float64)))))


def rounding_floor(errors: Sequence[float], *, precision: float = 2.0**-52) -> float:
    """Level below which errors are rounding.

    The larger of thirty times the precision and three times the least error met after which the
    curve rises again or stands still: there truncation is no longer what is seen.
    """
    least = 30.0 * precision
    for i in range(len(errors) - 1):
        here = errors[i]
        if here < 1e4 * least and min(errors[i + 1 :]) > 0.7 * here:
            return max(least, 3.0 * here)
    return least


def measure(
    steps: Sequence[int], errors: Sequence[float], *, precision: float = 2.0**-52
) -> Rate:
    """The order that a convergence curve shows.

    Args:
        steps: N, growing.
        errors: RMS error at each N.
        precision: unit roundoff of the slowest part of the run (2**-52, or a host's float32).

    Returns:
        A Rate; its order is None, with a reason, when there is no asymptotic window.
    """
    floor = rounding_floor(errors, precision=precision)
    kept = (tuple(int(n) for n in steps), tuple(float(e) for e in errors))

    def refused(reason: str) -> Rate:
        return Rate(None, None, None, floor, reason, *kept)

    if not np.all(np.isfinite(errors)):
        return refused("the error is not finite")
    good = [i for i, e in enumerate(errors) if e > floor]
    if not good:
        return refused(f"every error lies below the rounding floor {floor:.1e}")
    last = next((i for i in range(len(errors)) if errors[i] <= floor), len(errors))
    n, e = np.asarray(kept[0][:last], float), np.asarray(kept[1][:last])
    if len(n) < 3:
        return refused(f"only {len(n)} point(s) above the rounding floor {floor:.1e}")
    slopes = -np.diff(np.log(e)) / np.diff(np.log(n))
    if abs(slopes[-1] - slopes[-2]) > SETTLED:
        return refused(
            f"no asymptotic window: the last slopes {slopes[-2]:.2f} and {slopes[-1]:.2f} "
            f"differ by more than {SETTLED}"
        )
    first = len(slopes) - 2
    while first > 0 and abs(slopes[first - 1] - slopes[-1]) <= SETTLED:
        first -= 1
    slope = _extrapolated(n, slopes)
    order = int(round(slope))
    if abs(slope - order) > CLOSE:
        return refused(f"the slope settles at {slope:.2f}, which is not near a whole number")
    return Rate(order, float(slope), (int(n[first]), int(n[-1])), floor, "", *kept)


def _extrapolated(n: Any, slopes: Any) -> float:
    """Slope at h = 0 from the last two, the deviation being O(h); capped to a small move."""
    growth = (n[-1] / n[-2] + n[-2] / n[-3]) / 2
    move = (slopes[-1] - slopes[-2]) / (growth - 1)
    return float(slopes[-1] + np.clip(move, -SETTLED, SETTLED))
