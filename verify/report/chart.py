"""Small SVG charts as text: logarithmic curves, trajectories, a region. No script, no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 14, 40
INK = ("#3b6fb6", "#c2542d", "#3f8f5b", "#8a5aa8", "#a8842c", "#4b8c94", "#777777")
DASH = ("", "6 3", "2 3", "8 3 2 3", "4 4", "1 3", "10 4")


@dataclass
class Frame:
    """A chart with a range on each axis, either of them logarithmic.

    Args:
        x, y: (low, high).
        log_x, log_y: whether the axis is logarithmic.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool = False
    log_y: bool = False
    parts: list[str] = field(default_factory=list)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Pixel of a point, clipped to the frame."""
        u = _share(x, self.x, self.log_x)
        v = _share(y, self.y, self.log_y)
        return (
            LEFT + u * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - v * (HEIGHT - TOP - BOTTOM),
        )

    def line(self, points: Sequence[tuple[float, float]], style: str) -> None:
        """A polyline."""
        text = " ".join("{:.1f},{:.1f}".format(*self.place(*p)) for p in points)
        self.parts.append(f'<polyline fill="none" points="{text}" {style}/>')

    def dots(self, points: Sequence[tuple[float, float]], colour: str, title: str) -> None:
        """Points with a title each."""
        for x, y in points:
            u, v = self.place(x, y)
            label = escape(f"{title}: N = {x:g}, error {y:.3g}")
            self.parts.append(
                f'<circle cx="{u:.1f}" cy="{v:.1f}" r="3" fill="{colour}">'
                f"<title>{label}</title></circle>"
            )

    def band(self, x: tuple[float, float], style: str) -> None:
        """A vertical band over a range of x."""
        (a, top), (b, bottom) = self.place(x[0], self.y[1]), self.place(x[1], self.y[0])
        self.parts.append(
            f'<rect x="{a:.1f}" y="{top:.1f}" width="{max(b - a, 1):.1f}" '
            f'height="{bottom - top:.1f}" {style}/>'
        )

    def text(self, x: float, y: float, words: str, style: str = "") -> None:
        """Words at a point."""
        u, v = self.place(x, y)
        self.parts.append(f'<text x="{u:.1f}" y="{v:.1f}" {style}>{escape(words)}</text>')

    def svg(self, label: str, x_label: str, y_label: str) -> str:
        """The whole chart with axes."""
        axes = [*_ticks(self, True), *_ticks(self, False)]
        middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
        axes.append(
            f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
        )
        axes.append(f'<text x="4" y="11">{escape(y_label)}</text>')
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
            + "".join(axes + self.parts)
            + "</svg>"
        )


def _share(value: float, limits: tuple[float, float], log: bool) -> float:
    low, high = limits
    if log:
        value, low, high = math.log(max(value, 1e-300)), math.log(low), math.log(high)
    return min(max((value - low) / (high - low), -0.02), 1.02)


def _ticks(frame: Frame, horizontal: bool) -> list[str]:
    limits, log = (frame.x, frame.log_x) if horizontal else (frame.y, frame.log_y)
    out = []
    for value in _tick_values(limits, log):
        if horizontal:
            u, v = frame.place(value, frame.y[0])
            out.append(f'<line class="grid" x1="{u:.1f}" y1="{TOP}" x2="{u:.1f}" y2="{v:.1f}"/>')
            out.append(
                f'<text x="{u:.1f}" y="{v + 14:.1f}" text-anchor="middle">{_number(value)}</text>'
            )
        else:
            u, v = frame.place(frame.x[0], value)
            out.append(
                f'<line class="grid" x1="{u:.1f}" y1="{v:.1f}" x2="{WIDTH - RIGHT}" y2="{v:.1f}"/>'
            )
            out.append(
                f'<text x="{u - 5:.1f}" y="{v + 4:.1f}" text-anchor="end">{_number(value)}</text>'
            )
    return out


def _tick_values(limits: tuple[float, float], log: bool) -> list[float]:
    low, high = limits
    if not log:
        step = 10 ** math.floor(math.log10((high - low) / 3))
        step = next(step * k for k in (1, 2, 5, 10) if (high - low) / (step * k) <= 6)
        first = math.ceil(low / step - 1e-9)
        return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]
    decades = math.log10(high / low)
    if decades < 2:
        return [low * 2**k for k in range(int(math.log2(high / low) + 1e-9) + 1)]
    stride = max(1, math.ceil(decades / 6))
    first = math.ceil(math.log10(low) - 1e-9)
    return [10.0**k for k in range(first, math.floor(math.log10(high)) + 1, stride)]


def _number(value: float) -> str:
    if value and (abs(value) < 1e-3 or abs(value) >= 1e5):
        return f"1e{round(math.log10(value))}"
    return f"{value:g}"


def convergence(rates: dict[str, Any], order: float | None) -> str:
    """Error against N with reference slopes, the fitted windows and the rounding floor."""
    curves = {k: list(zip(r["steps"], r["errors"], strict=True)) for k, r in rates.items()}
    points = [p for c in curves.values() for p in c if p[1] > 0 and math.isfinite(p[1])]
    if not points:
        return ""
    low = max(min(y for _, y in points) / 3, 1e-17)
    high = max(y for _, y in points) * 3
    frame = Frame((min(x for x, _ in points), max(x for x, _ in points)), (low, high), True, True)
    windows = [r["window"] for r in rates.values() if r["window"]]
    if windows:
        frame.band((min(w[0] for w in windows), max(w[1] for w in windows)), 'class="window"')
    floor = max(r["floor"] for r in rates.values())
    if floor > low:
        frame.line([(frame.x[0], floor), (frame.x[1], floor)], 'class="floor"')
        frame.text(frame.x[0], floor, "rounding", 'class="small"')
    for p in sorted({max(1, (order or 2) - 1), order or 2, (order or 2) + 1}):
        start = high / 2
        end = start * (frame.x[0] / frame.x[1]) ** p
        frame.line([(frame.x[0], start), (frame.x[1], end)], 'class="slope"')
        mark = frame.x[0] * (frame.x[1] / frame.x[0]) ** 0.62
        frame.text(mark, start * (frame.x[0] / mark) ** p, f"h^{p}", 'class="small"')
    for i, (name, curve) in enumerate(curves.items()):
        kept = [(x, y) for x, y in curve if y > 0 and math.isfinite(y)]
        colour = INK[i % len(INK)]
        frame.line(kept, f'stroke="{colour}" stroke-width="1.6" stroke-dasharray="{DASH[i]}"')
        frame.dots(kept, colour, name)
    return frame.svg("error against number of steps", "steps N", "RMS error") + _legend(curves)


def work(budget: dict[str, Any]) -> str:
    """Error against model evaluations at small budgets."""
    curves = {
        grid: [(float(n), e) for n, e in table.items() if e is not None and e > 0]
        for grid, table in budget.items()
    }
    points = [p for c in curves.values() for p in c]
    if len(points) < 2:
        return ""
    frame = Frame(
        (4.0, 21.0),
        (min(y for _, y in points) / 2, max(y for _, y in points) * 2),
        log_y=True,
    )
    for i, (name, curve) in enumerate(curves.items()):
        curve.sort()
        colour = INK[i % len(INK)]
        frame.line(curve, f'stroke="{colour}" stroke-width="1.6" stroke-dasharray="{DASH[i]}"')
        frame.dots(curve, colour, name)
    return frame.svg("error against evaluations", "evaluations", "RMS error") + _legend(curves)


def _legend(names: dict[str, Any]) -> str:
    marks = []
    for i, name in enumerate(names):
        marks.append(
            f'<span class="key"><svg viewBox="0 0 24 8" width="24" height="8"><line x1="0" y1="4" '
            f'x2="24" y2="4" stroke="{INK[i % len(INK)]}" stroke-width="2" '
            f'stroke-dasharray="{DASH[i % len(DASH)]}"/></svg> {escape(name)}</span>'
        )
    return f'<p class="legend">{" ".join(marks)}</p>'


def trajectories(data: dict[str, Any], density: list[list[float]] | None = None) -> str:
    """States over log signal-to-noise, drawn over the density of the mixture."""
    lam, states = data["lam"], data["x"]
    values = [v for row in states for v in row]
    reach = max(abs(v) for v in values)
    frame = Frame((lam[0], lam[-1]), (-reach, reach))
    if density:
        frame.parts.extend(_shade(frame, density, lam, reach))
    for row in states:
        frame.line(list(zip(lam, row, strict=True)), f'stroke="{INK[1]}" stroke-width="1.2"')
    return frame.svg("trajectories over the mixture", "λ = log(α/σ)", "x")


def _shade(frame: Frame, density: list[list[float]], lam: list[float], reach: float) -> list[str]:
    columns, rows = len(density), len(density[0])
    top = max(max(c) for c in density)
    out = []
    for i, column in enumerate(density):
        a = lam[0] + (lam[-1] - lam[0]) * i / columns
        b = lam[0] + (lam[-1] - lam[0]) * (i + 1) / columns
        for j, value in enumerate(column):
            if value < 0.02 * top:
                continue
            y0 = -reach + 2 * reach * j / rows
            u, v = frame.place(a, y0 + 2 * reach / rows)
            w, z = frame.place(b, y0)
            shade = 0.5 * (value / top) ** 0.6
            out.append(
                f'<rect x="{u:.1f}" y="{v:.1f}" width="{w - u + 0.3:.1f}" '
                f'height="{z - v + 0.3:.1f}" fill="{INK[0]}" opacity="{shade:.2f}"/>'
            )
    return out


def region(data: dict[str, Any]) -> str:
    """The set of z = mu * step where a sampler does not grow."""
    x0, x1, y0, y1 = data["box"]
    frame = Frame((x0, x1), (y0, y1))
    rows, columns = len(data["stable"]), len(data["stable"][0])
    for i, row in enumerate(data["stable"]):
        j = 0
        while j < columns:
            if not row[j]:
                j += 1
                continue
            k = j
            while k < columns and row[k]:
                k += 1
            a, top = frame.place(x0 + (x1 - x0) * j / columns, y0 + (y1 - y0) * (i + 1) / rows)
            b, bottom = frame.place(x0 + (x1 - x0) * k / columns, y0 + (y1 - y0) * i / rows)
            frame.parts.append(
                f'<rect x="{a:.1f}" y="{top:.1f}" width="{b - a:.1f}" '
                f'height="{bottom - top + 0.4:.1f}" fill="{INK[0]}" opacity="0.45"/>'
            )
            j = k
    frame.line([(x0, 0.0), (x1, 0.0)], 'stroke="currentColor" stroke-width="0.6"')
    frame.line([(0.0, y0), (0.0, y1)], 'stroke="currentColor" stroke-width="0.6"')
    return frame.svg("stability region", "Re z", "Im z")
