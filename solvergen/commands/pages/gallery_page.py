"""The gallery as one HTML page: a card a solver, no network, readable on a phone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...catalogue import FAMILIES, Entry
from ...loading import find

REFERENCE = "ddim"
GRIDS = {"uniform": "uniform in λ", "smooth": "smooth", "arbitrary": "any"}
MODES = {"exact_start": "exact start", "own_start": "own start", "own_end": "own end"}
TEMPLATES = Path(__file__).parent / "templates"
MOST_LINES, MOST_WORDS = 15, 8  # of an update that stands open, of a leading error

Curve = Sequence[tuple[int, float]]


def page(entries: Sequence[Entry], measured: Mapping[str, Curve]) -> str:
    """The whole page.

    Args:
        entries: the solvers, in the order shown.
        measured: name → (evaluations, error) pairs; solvers without any have no chart.

    Raises:
        VerifyError: a package that pages need is not installed.
    """
    from solvergen.verify.report import site

    reference = measured.get(REFERENCE, ())
    levels = [error for curve in measured.values() for _, error in curve if 0 < error < math.inf]
    scale = (min(levels), min(max(levels), 10.0)) if levels else (1e-6, 1.0)
    text: str = site.render(
        "gallery.html",
        TEMPLATES,
        own_style=site.part(TEMPLATES / "gallery.css"),
        own_script=site.part(TEMPLATES / "gallery.js"),
        measured=bool(measured),
        reference=bool(reference),
        content={"reference": _finite(reference), "scale": scale},
        cards=[_card(one, measured.get(one.name, ())) for one in entries],
        families=[name for name in FAMILIES if any(one.family == name for one in entries)],
        integrands=sorted({one.integrand for one in entries}),
        orders=sorted({one.true_order for one in entries}),
        calls=sorted({one.evaluations for one in entries}),
    )
    return text


def _card(one: Entry, curve: Curve) -> dict[str, Any]:
    heads, rows = _orders(one)
    return {
        "name": one.name,
        "title": one.title,
        "description": one.description,
        "source": one.source,
        "family": one.family,
        "integrand": one.integrand,
        "order": one.true_order,
        "calls": one.evaluations,
        "short": one.falls_short,
        "text": f"{one.name} {one.title} {one.description} {one.source}".lower(),
        "claim": _claim(one),
        "formula": one.formula,
        "long": one.formula.count("\n") >= MOST_LINES,
        "heads": heads,
        "rows": rows,
        "leading": _leading(one),
        "curve": _finite(curve),
        "spec": find(one.target).read_text(encoding="utf-8"),
    }


def _finite(curve: Curve) -> list[tuple[int, float]]:
    return [(calls, error) for calls, error in curve if math.isfinite(error)]


def _claim(one: Entry) -> str:
    if one.falls_short:
        claimed = one.claim["covariance" if one.weak else "order"]
        true = one.true_order or "none: does not converge"
        return f"published {claimed}, true {true}"
    what = "mean/cov./strong" if one.weak else "order"
    return f"{what} {one.shown_order.replace('=', 'exact')}"


def _orders(one: Entry) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The table of orders: its columns, and a row for each class of grids."""
    if one.weak:
        quantities = list(one.weak["uniform"])
        return [name.replace("_", " ") for name in quantities], [
            (label, [_rate(one.weak[kind][name]) for name in quantities])
            for kind, label in GRIDS.items()
        ]
    return list(MODES.values()), [
        (label, [_order(*one.order[kind][mode]) for mode in MODES]) for kind, label in GRIDS.items()
    ]


def _rate(rate: object) -> str:
    if isinstance(rate, (list, tuple)):
        return _order(rate[0], rate[1])
    return str(rate or "-")


def _order(value: int, exact: bool) -> str:
    if value <= 0:
        return "none"
    return str(value) if exact else f"≥ {value}"


def _leading(one: Entry) -> str:
    shown = " ".join(
        f"{'+' if not coef.startswith('-') else '−'} {coef.lstrip('-')} {word}"
        for word, coef in one.leading[:MOST_WORDS]
    ).removeprefix("+ ")
    more = len(one.leading) - MOST_WORDS
    return f"{shown} … {more} more" if more > 0 else shown
