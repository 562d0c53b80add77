"""One self-contained HTML page: claims and verdicts, charts, tableau, versions. No network."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ..errors import PageError
from ..verdict import SHOWN, Verdict
from . import site
from .finite import finite
from .terminal import WORD, noise_lines, orders, past_lines, ratios, slopes

CAPTIONS = {
    "convergence": "Error against steps; dotted: reference slopes, shaded: fitted window",
    "work": "Error against model evaluations",
    "trajectories": "Trajectories in 12 steps over the mixture's density",
    "stability": "Stability region, {form} clock",
}


def page(verdicts: Sequence[Verdict]) -> str:
    """The whole report as one HTML document.

    Raises:
        PageError: a package that pages need is not installed.
    """
    data = [chart_data(v) for v in verdicts]
    drawn = any(data)
    return site.render(
        "report.html",
        verdicts=[shown(v, d) for v, d in zip(verdicts, data, strict=True)],
        content=[finite(d) for d in data],
        drawn=drawn,
        report_script=site.part(site.HERE / "report.js"),
    )


def fragment(verdict: Verdict) -> str:
    """One verdict as HTML for notebooks, without charts."""
    return site.render("verdict.html", v=shown(verdict, {}), charts=False, index=0)


def shown(verdict: Verdict, charts: dict[str, Any]) -> dict[str, Any]:
    """What a template shows of a verdict."""
    said = [*noise_lines(verdict), *past_lines(verdict), *verdict.findings]
    known = " ".join(said)
    causes: dict[str, list[str]] = {}
    for cause in verdict.causes:
        causes.setdefault(cause["text"], []).append(cause["grid"])
    said += [f"cause ({', '.join(g)}): {t}" for t, g in causes.items() if t not in known]
    form = verdict.figures.get("stability", {}).get("form", "")
    return {
        "target": verdict.target,
        "title": verdict.title,
        "status": verdict.status,
        "word": WORD[verdict.status],
        "claim": "-" if verdict.claim is None else str(verdict.claim),
        "orders": orders(verdict),
        "slopes": slopes(verdict),
        "ratios": ratios(verdict),
        "calls": "-" if verdict.calls_per_step is None else f"{verdict.calls_per_step:g}",
        "said": said,
        "formula": verdict.formula[:2000],
        "charts": [(kind, CAPTIONS[kind].format(form=form)) for kind in charts],
        "budget": _budget(verdict),
        "tableau": _tableau(verdict),
        "details": _details(verdict),
    }


def chart_data(verdict: Verdict) -> dict[str, Any]:
    """What the charts of a verdict are drawn from, by kind; kinds without data are left out."""
    data: dict[str, Any] = {}
    known = [o for o in verdict.audited.values() if o is not None]
    if verdict.rates:
        data["convergence"] = _convergence(verdict.rates, min(known, default=None))
    if verdict.budget:
        curves = {
            grid: sorted([float(n), e] for n, e in table.items() if e is not None and e > 0)
            for grid, table in verdict.budget.items()
        }
        if sum(map(len, curves.values())) > 1:
            data["work"] = {"curves": curves}
    if "trajectories" in verdict.figures:
        paths = verdict.figures["trajectories"]
        reach = max(abs(v) for row in paths["x"] for v in row)
        density = _density(paths["lam"][0], paths["lam"][-1], reach)
        data["trajectories"] = {"lam": paths["lam"], "x": paths["x"], "density": density}
    if "stability" in verdict.figures:
        region = verdict.figures["stability"]
        stable = [[int(value) for value in row] for row in region["stable"]]
        data["stability"] = {"box": region["box"], "stable": stable}
    return {kind: values for kind, values in data.items() if values}


def _convergence(rates: dict[str, Any], order: float | None) -> dict[str, Any]:
    curves = {
        name: [
            [n, error]
            for n, error in zip(r["steps"], r["errors"], strict=True)
            if error > 0 and math.isfinite(error)
        ]
        for name, r in rates.items()
    }
    if not any(curves.values()):
        return {}
    windows = [r["window"] for r in rates.values() if r["window"]]
    return {
        "curves": curves,
        "window": [min(w[0] for w in windows), max(w[1] for w in windows)] if windows else None,
        "floor": max(r["floor"] for r in rates.values()),
        "order": order or 2,
    }


@lru_cache(maxsize=4)
def _density(first: float, last: float, reach: float) -> list[list[float]]:
    """Density of the 1-D problem on columns of lambda, each scaled to one."""
    import numpy as np
    import torch

    from ..problems.mixture import oracle_mixture

    mixture = oracle_mixture()
    x = torch.linspace(-reach, reach, 49, dtype=torch.float64)
    x = ((x[1:] + x[:-1]) / 2)[:, None]
    out = []
    for lam in np.linspace(first, last, 37)[:-1]:
        column = mixture.log_density(x, 1.0, float(np.exp(-lam))).exp()
        out.append([round(value, 4) for value in (column / column.max()).tolist()])
    return out


def _budget(verdict: Verdict) -> dict[str, Any]:
    if not verdict.budget:
        return {}
    calls = list(next(iter(verdict.budget.values())))
    rows = [
        (grid, ["-" if table[c] is None else f"{table[c]:.2e}" for c in calls])
        for grid, table in verdict.budget.items()
    ]
    return {"calls": calls, "rows": rows}


def _tableau(verdict: Verdict) -> dict[str, Any]:
    table = verdict.audit.get("tableau") if verdict.audit else None
    if not table:
        return {}
    steps = [
        {
            "step": step["step"],
            "pairs": [
                (f"{c:+.4f}", f"{w:+.6f}")
                for c, w in list(zip(step["nodes"], step["weights"], strict=True))[:8]
            ],
        }
        for step in table["steps"]
    ]
    return {"form": table["form"], "steps": steps}


def _details(verdict: Verdict) -> str:
    kept: dict[str, Any] = {
        "orders": {
            k: {n: g[n] for n in ("exact_start", "own_start", "own_end", "exact")}
            for k, g in (verdict.audit.get("grids") or {}).items()
        },
        "constants": verdict.constants,
        "stated": verdict.stated,
        "refused": {k: r["reason"] for k, r in verdict.rates.items() if r["reason"]},
        "problems": "oracle 1-D mixture (orders up to 3), coupled 2-D mixture (4 and more)",
        "seed": 0,
        "versions": verdict.versions,
    }
    return json.dumps(finite(kept), indent=1, sort_keys=True)


def _in_notebooks(verdict: Verdict) -> str | None:
    """The fragment, or None, which leaves the verdict's text, where jinja2 is not installed."""
    try:
        return fragment(verdict)
    except PageError:
        return None


SHOWN.append(_in_notebooks)
