"""One self-contained HTML page: verdict, checks, tables, the error over the start plane, pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...report import site
from ...report.finite import finite
from ..check import HELD, REFUTED, Examination
from .terminal import headline, shown

TEMPLATES = Path(__file__).parent / "templates"
CLASSES = {HELD: "pass", REFUTED: "fail"}
ACROSS = 10  # pictures in a row
LEAST = 1e-12  # error over sd: below it all errors look alike
PLANE = (
    "Error of one step over sd, at each start. Lines of strong colour are the edges of basins: "
    "starts beside them end in another mode."
)


def page(made: Sequence[Examination]) -> str:
    """The whole report as one HTML document.

    Raises:
        PageError: a package that pages need is not installed.
    """
    charts = [_charts(one) for one in made]
    drawn = any(charts)
    return site.render(
        "maps.html",
        TEMPLATES,
        sections=[_section(one, drawn) for one, drawn in zip(made, charts, strict=True)],
        content=[finite(one) for one in charts],
        drawn=drawn,
        own_script=site.part(TEMPLATES / "maps.js"),
    )


def _section(made: Examination, charts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the template shows of one examination."""
    return {
        "headline": headline(made),
        "checks": [
            (one.name, CLASSES.get(one.status, ""), one.status, one.text) for one in made.checks
        ],
        "charts": [one["caption"] for one in charts],
        "tables": [_table(name, rows) for name, rows in made.tables.items() if rows],
        "facts": [(key, shown(value)) for key, value in made.facts.items()],
    }


def _table(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    keys = [key for key in rows[0] if not isinstance(rows[0][key], list)]
    return {
        "name": name,
        "heads": keys,
        "rows": [[shown(row[key], key) for key in keys] for row in rows],
    }


def _charts(made: Examination) -> list[dict[str, Any]]:
    """What the charts of one examination are drawn from."""
    found: list[dict[str, Any]] = []
    if made.picture:
        found.append({"kind": "plane", "caption": PLANE, **start_plane(made)})
    for title, pictures in made.galleries.items():
        found.append({"kind": "pictures", "caption": title, **mosaic(pictures)})
    return found


def start_plane(made: Examination) -> dict[str, list[float]]:
    """Starts at the highest level and log₁₀ of their errors, the greatest last, to lie on top.

    A map that returned NaN at a start has the greatest error there is.
    """
    errors = [math.inf if math.isnan(error) else error for _, _, error in made.picture]
    rows = sorted(zip(made.picture, errors, strict=True), key=lambda row: row[1])
    return {
        "x": [round(x, 2) for (x, _, _), _ in rows],
        "y": [round(y, 2) for (_, y, _), _ in rows],
        "power": [round(math.log10(min(max(error, LEAST), 1 / LEAST)), 2) for _, error in rows],
    }


def mosaic(pictures: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Square pictures of values in [-1, 1] as one raster of shares of ink, its lowest row first.

    >>> rows = mosaic([[1.0, -1.0, -1.0, 0.0]])["rows"]
    >>> [row[:3] for row in rows]
    [[0, 0, 0], [0, 0.5, 0], [1.0, 0, 0]]
    """
    side = math.isqrt(len(pictures[0]))
    cell, down = side + 1, math.ceil(len(pictures) / ACROSS)
    rows: list[list[float]] = [[0] * (cell * ACROSS) for _ in range(cell * down)]
    for number, values in enumerate(pictures):
        left, top = (number % ACROSS) * cell, (number // ACROSS) * cell
        for place, value in enumerate(values):
            ink = min(max((value + 1) / 2, 0.0), 1.0)
            rows[top + place // side][left + place % side] = round(ink, 2) or 0
    return {"rows": rows[::-1], "wide": cell * ACROSS, "high": cell * down}
