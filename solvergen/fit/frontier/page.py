"""The frontier's page, from plain data: charts, who wins where, samples, and how to make each figure."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 5  # winners listed for each number of calls


def page(data: dict[str, Any], pictures: dict[str, bytes]) -> str:
    """The whole page.

    Args:
        data: of a study.
        pictures: PNG files of samples, by the problem's name.

    Raises:
        PageError: a package that pages need is not installed.
    """
    from solvergen.verify.report import site

    problems = [_problem(one, data, pictures.get(one["name"])) for one in data["problems"]]
    text: str = site.render(
        "frontier.html",
        TEMPLATES,
        own_script=site.part(TEMPLATES / "frontier.js"),
        problems=problems,
        starts=data["starts"],
        content=[one["chart"] for one in problems],
    )
    return text


def best(problem: dict[str, Any], calls: int) -> list[dict[str, Any]]:
    """The pairs of published samplers and grids at so many calls, the best first."""
    found = [p for p in problem["points"] if p["calls"] == calls]
    return sorted(found, key=lambda p: (p["error"], p["solver"], p["grid"]))


def trimmed(data: dict[str, Any], top: int) -> dict[str, Any]:
    """The same data with the best pairs alone for every number of calls, and the solvers in them."""
    problems = [
        {**one, "points": [p for calls in data["calls"] for p in best(one, calls)[:top]]}
        for one in data["problems"]
    ]
    kept = {p["solver"] for one in problems for p in one["points"]}
    solvers = {name: facts for name, facts in data["solvers"].items() if name in kept}
    return {**data, "problems": problems, "solvers": solvers}


def front(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that none of fewer or as many calls beats, by calls.

    >>> [p["calls"] for p in front([{"calls": 5, "error": 2}, {"calls": 6, "error": 3}])]
    [5]
    """
    found: list[dict[str, Any]] = []
    for point in sorted(points, key=lambda p: (p["calls"], p["error"])):
        if not found or point["error"] < found[-1]["error"]:
            found.append(point)
    return found


def winners(problem: dict[str, Any], data: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table: for each number of calls the best pairs, and the tables over the first."""
    rows = []
    for calls in data["calls"]:
        pairs = best(problem, calls)
        if not pairs:
            continue
        unit = pairs[0]["error"]
        tables = sorted(
            (t for t in problem["tables"] if t["calls"] == calls), key=lambda t: t["error"]
        )
        seen: list[dict[str, Any]] = []
        for pair in pairs:  # a solver once, on its best grid
            if all(pair["solver"] != other["solver"] for other in seen):
                facts = data["solvers"].get(pair["solver"], {})
                seen.append({**pair, **facts, "ratio": pair["error"] / unit})
        rows.append(
            {
                "calls": calls,
                "pairs": seen[:SHOWN],
                "tables": [{**t, "ratio": t["error"] / unit} for t in tables],
                "span": problem["bounds"].get(str(calls), unit) / unit,
                "command": f"solvergen frontier --on {problem['name']} --nfe {calls} --solvers "
                f"{' '.join(s['solver'] for s in seen[:SHOWN])}",
            }
        )
    return rows


def _problem(
    problem: dict[str, Any], data: dict[str, Any], picture: bytes | None
) -> dict[str, Any]:
    published = front([pair for calls in data["calls"] for pair in best(problem, calls)[:1]])
    cloud = [pair for calls in data["calls"] for pair in best(problem, calls)[:60]]
    return {
        **problem,
        "rows": winners(problem, data),
        "command": f"solvergen frontier --on {problem['name']}",
        "picture": None if picture is None else base64.b64encode(picture).decode(),
        "chart": {
            "cloud": _columns(cloud),
            "front": _columns(published),
            "tables": {
                kind: _columns([t for t in problem["tables"] if t["kind"] == kind])
                for kind in ("family", "calibrated")
            },
        },
    }


def _columns(points: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {
        "calls": [p["calls"] for p in points],
        "error": [p["error"] for p in points],
        "name": [f"{p['solver']} on {p['grid']}" if "grid" in p else p["solver"] for p in points],
    }


def drawn(rows: Sequence[Any], scale: int = 3) -> bytes:
    """Rows of grey pictures in −1 … 1, each (n, h, w), as one PNG file."""
    import numpy as np
    from PIL import Image

    gap = 2
    strips = []
    for row in rows:
        cells = [np.pad(np.asarray(cell, dtype=float), gap, constant_values=1.0) for cell in row]
        strips.append(np.concatenate(cells, axis=1))
    grey = np.clip((np.concatenate(strips, axis=0) + 1) * 127.5, 0, 255).astype("uint8")
    large = grey.repeat(scale, 0).repeat(scale, 1)
    stream = io.BytesIO()
    Image.fromarray(large).save(stream, "PNG", optimize=True)
    return stream.getvalue()
