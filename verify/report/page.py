"""One self-contained HTML page: claims and verdicts, charts, tableau, versions. No network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Any

from ..verdict import SHOWN, Verdict
from . import chart
from .finite import finite
from .terminal import WORD, noise_lines, orders, past_lines, ratios, slopes

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#d5d9de;--soft:#f4f6f8}
@media (prefers-color-scheme:dark){:root{--ink:#e4e7eb;--paper:#15181c;--line:#3a4048;--soft:#1f242a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:66rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;
 color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;margin:.2em 0}h2{font-size:1.2rem;margin:1.6em 0 .3em;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:.9rem}
.wide{overflow-x:auto}
th,td{padding:.3em .6em;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
.pass{color:#1a7f37}.fail,.error,.disagree{color:#c0392b}.none{color:#3b6fb6}
.pass,.fail,.error,.disagree,.none{font-weight:600}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:1rem}
figure{margin:0}figcaption{font-size:.85rem}
svg{width:100%;height:auto}.key svg{width:24px;height:8px}
svg text{font:11px system-ui,sans-serif;fill:currentColor}svg .small{font-size:9px}
.grid{stroke:var(--line);stroke-width:.6}.slope{stroke:currentColor;stroke-dasharray:1 4;opacity:.6}
.floor{stroke:#c0392b;stroke-dasharray:4 2}.window{fill:#3f8f5b;opacity:.1}
.legend{margin:.2em 0;font-size:.8rem}.key{margin-right:.8em;white-space:nowrap}
pre{background:var(--soft);padding:.6em;overflow-x:auto;font-size:.8rem;white-space:pre-wrap}
ul{padding-left:1.2em}
@media print{body{max-width:none;font-size:10pt}section{break-inside:avoid}details{display:none}}
"""


def page(verdicts: Sequence[Verdict]) -> str:
    """The whole report as one HTML document."""
    body = [
        "<h1>Samplers judged</h1>",
        (
            "<p>Two truths, never mixed: the <b>order</b> (a theorem, read exactly from the running "
            "sampler's weights) and the <b>error at a budget</b> of 5 to 20 evaluations (a measurement "
            "on a named problem). They rank samplers differently.</p>"
        ),
        _summary(verdicts),
        *[f'<section id="v{i}">{fragment(v)}</section>' for i, v in enumerate(verdicts)],
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Samplers judged</title><style>{STYLE}</style></head><body>"
        + "".join(body)
        + "</body></html>\n"
    )


def _summary(verdicts: Sequence[Verdict]) -> str:
    head = "".join(
        f"<th>{h}</th>"
        for h in (
            "target",
            "verdict",
            "claim",
            "audited<br><small>uniform/smooth/arbitrary</small>",
            "measured<br><small>uniform/karras/rough</small>",
            "constant",
            "calls a step",
        )
    )
    rows = []
    for i, v in enumerate(verdicts):
        cells = (
            f'<a href="#v{i}">{escape(v.target)}</a>',
            f'<span class="{v.status}">{WORD[v.status]}</span>',
            "-" if v.claim is None else str(v.claim),
            orders(v),
            slopes(v),
            ratios(v),
            "-" if v.calls_per_step is None else f"{v.calls_per_step:g}",
        )
        rows.append("<tr>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>")
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def fragment(verdict: Verdict) -> str:
    """One verdict as HTML, also for notebooks."""
    said = [*noise_lines(verdict), *past_lines(verdict), *verdict.findings]
    known = " ".join(said)
    causes: dict[str, list[str]] = {}
    for cause in verdict.causes:
        causes.setdefault(cause["text"], []).append(cause["grid"])
    said += [f"cause ({', '.join(g)}): {t}" for t, g in causes.items() if t not in known]
    items = "".join(f"<li>{escape(s)}</li>" for s in said)
    formula = f"<pre>{escape(verdict.formula[:2000])}</pre>" if verdict.formula else ""
    return (
        f"<h2>{escape(verdict.title)}</h2>"
        f'<p><code>{escape(verdict.target)}</code>: <span class="{verdict.status}">'
        f"{WORD[verdict.status]}</span>. Audited {orders(verdict)}, measured {slopes(verdict)}.</p>"
        + (f"<ul>{items}</ul>" if items else "")
        + formula
        + _charts(verdict)
        + _budget(verdict)
        + _tableau(verdict)
        + _details(verdict)
    )


def _charts(verdict: Verdict) -> str:
    known = [o for o in verdict.audited.values() if o is not None]
    made = []
    if verdict.rates:
        drawing = chart.convergence(verdict.rates, min(known, default=None))
        made.append(
            (drawing, "Error against steps; dotted: reference slopes, shaded: fitted window")
        )
    if verdict.budget:
        made.append((chart.work(verdict.budget), "Error against model evaluations"))
    figures = verdict.figures
    if "trajectories" in figures:
        data = figures["trajectories"]
        reach = max(abs(v) for row in data["x"] for v in row)
        drawing = chart.trajectories(data, _density(data["lam"][0], data["lam"][-1], reach))
        made.append((drawing, "Trajectories in 12 steps over the mixture's density"))
    if "stability" in figures:
        made.append(
            (
                chart.region(figures["stability"]),
                f"Stability region, {figures['stability']['form']} clock",
            )
        )
    drawn = [f"<figure>{d}<figcaption>{c}</figcaption></figure>" for d, c in made if d]
    return f'<div class="charts">{"".join(drawn)}</div>' if drawn else ""


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
        out.append((column / column.max()).tolist())
    return out


def _budget(verdict: Verdict) -> str:
    if not verdict.budget:
        return ""
    grids = list(verdict.budget)
    calls = list(verdict.budget[grids[0]])
    head = "<th>grid</th>" + "".join(f"<th>{c} evaluations</th>" for c in calls)
    rows = []
    for grid in grids:
        cells = [verdict.budget[grid][c] for c in calls]
        shown = "".join(f"<td>{'-' if e is None else format(e, '.2e')}</td>" for e in cells)
        rows.append(f"<tr><td>{escape(grid)}</td>{shown}</tr>")
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _tableau(verdict: Verdict) -> str:
    table = verdict.audit.get("tableau") if verdict.audit else None
    if not table:
        return ""
    rows = []
    for step in table["steps"]:
        pairs = "".join(
            f"<td>{c:+.4f}<br><b>{w:+.6f}</b></td>"
            for c, w in list(zip(step["nodes"], step["weights"], strict=True))[:8]
        )
        rows.append(f"<tr><td>step {step['step']}</td>{pairs}</tr>")
    return (
        f"<p>Recovered weights ({escape(table['form'])} form): node in steps of the clock, then "
        f'the share of the step, newest first.</p><div class="wide"><table>{"".join(rows)}'
        "</table></div>"
    )


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
    text = json.dumps(finite(kept), indent=1, sort_keys=True)
    return f"<details><summary>All figures</summary><pre>{escape(text)}</pre></details>"


SHOWN.append(fragment)
