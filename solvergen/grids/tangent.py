"""bong_tangent: two arctangents that meet in the middle, a grid of the RES4LYF samplers."""

from __future__ import annotations

import math

from .arguments import falling, real, whole


def bong_tangent(
    n: int,
    start: float = 1.0,
    middle: float = 0.5,
    end: float = 0.0,
    pivots: tuple[float, float] = (0.6, 0.6),
    slopes: tuple[float, float] = (0.2, 0.2),
) -> list[float]:
    """Levels from start to middle and from there to end, each along an arctangent (RES4LYF).

    Args:
        n: number of steps.
        start, middle, end: levels; flow models take 1, 0.5, 0.
        pivots: where each arctangent is steepest, as a part of the n + 2 points; the parts meet at
            the mean of the two.
        slopes: steepness at 40 points.

    Raises:
        ValueError: an argument out of bounds, or too few points on one side of the middle.

    >>> [round(level, 3) for level in bong_tangent(4)]
    [1.0, 0.857, 0.5, 0.117, 0.0]
    """
    n = whole("n", n)
    start = real("start", start)
    middle = real("middle", middle, below=start)
    end = real("end", end, least=0, below=middle)
    count, given = n + 2, {"n": n, "pivots": pivots, "slopes": slopes}
    first, second = (real(f"pivots[{i}]", p, above=0, below=1) for i, p in enumerate(pivots))
    steep = [real(f"slopes[{i}]", s, above=0) / (count / 40) for i, s in enumerate(slopes)]
    before = int((count * first + count * second) / 2)
    if n == 1:
        return [start, end]
    if not 2 <= before <= count - 2:
        raise ValueError(
            f"pivots {pivots} leave {before} and {count - before} of n + 2 = {count} points beside "
            "the middle; each side needs two: take pivots nearer to 0.5, or more steps"
        )
    upper = _arctangent(before, steep[0], int(count * first), start, middle)
    lower = _arctangent(count - before, steep[1], int(count * second) - before, middle, end)
    if any(math.isnan(level) for level in (*upper, *lower)):
        raise ValueError(f"slopes are too small or too large for float64; found {slopes}")
    return falling([start, *upper[1:-1], middle, *lower[1:-1], end], **given)


def _arctangent(count: int, slope: float, pivot: int, high: float, low: float) -> list[float]:
    """An arctangent about `pivot` at 0, 1, …, scaled to go from high to low."""
    values = [-math.atan(slope * (i - pivot)) for i in range(count)]
    size = values[0] - values[-1]
    if not size:
        return [math.nan] * count
    return [(value - values[-1]) / size * (high - low) + low for value in values]
