"""A card's chart: error against evaluations, both logarithmic, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

Curve = Sequence[tuple[int, float]]
WIDTH, HEIGHT = 300, 164
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 18, 30
CALLS = (6, 12, 24, 48, 96)


def chart(curve: Curve, reference: Curve, scale: tuple[float, float]) -> str:
    """A curve in colour over a grey reference; nothing where the curve has no points.

    Args:
        curve: (evaluations, error) pairs of the card's solver.
        reference: the same of the solver that every card shows.
        scale: the least and the greatest error on the axis; errors beyond are drawn at its ends.
    """
    if not curve:
        return ""
    drawn = _line(reference, "#888", scale) + _line(curve, "var(--own)", scale)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        f'aria-label="error against evaluations">{_axes(scale)}{drawn}{_dots(curve, scale)}</svg>'
    )


def _place(calls: int, error: float, scale: tuple[float, float]) -> tuple[float, float]:
    low, high = (math.log10(value) for value in scale)
    across = math.log(calls / 4) / math.log(32)
    share = (math.log10(min(max(error, scale[0]), scale[1])) - low) / (high - low or 1)
    x = LEFT + across * (WIDTH - LEFT - RIGHT)
    return round(x, 1), round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)


def _line(points: Curve, colour: str, scale: tuple[float, float]) -> str:
    joined = " ".join(f"{x},{y}" for x, y in (_place(*point, scale) for point in points))
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _dots(curve: Curve, scale: tuple[float, float]) -> str:
    return "".join(
        f'<circle cx="{x}" cy="{y}" r="2.6" fill="var(--own)"><title>{calls} evaluations: '
        f"{error:.2e}</title></circle>"
        for (calls, error) in curve
        for x, y in (_place(calls, error, scale),)
    )


def _axes(scale: tuple[float, float]) -> str:
    """Hairlines and numbers at every second decade, numbers at the evaluations, and both titles."""
    low, high = (math.log10(value) for value in scale)
    out = ['<text x="2" y="10">error</text>']
    out.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 2}" text-anchor="end">evaluations</text>')
    for k in range(math.ceil(low), math.floor(high) + 1, 2):
        y = _place(CALLS[0], 10.0**k, scale)[1]
        out.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="var(--line)"/>')
        out.append(f'<text x="2" y="{y + 3}">1e{k}</text>')
    for calls in CALLS:
        x = _place(calls, 1.0, scale)[0]
        out.append(f'<text x="{x}" y="{HEIGHT - 16}" text-anchor="middle">{calls}</text>')
    return "".join(out)
