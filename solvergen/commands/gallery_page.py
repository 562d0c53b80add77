"""The gallery as one HTML page: a card a solver, no network, readable on a phone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from ..catalogue import FAMILIES, Entry
from ..loading import find
from .gallery_chart import Curve, chart

REFERENCE = "ddim"
GRIDS = {"uniform": "uniform in λ", "smooth": "smooth", "arbitrary": "any"}
MODES = {"exact_start": "exact start", "own_start": "own start", "own_end": "own end"}

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --mark: #c2410c; --own: #2563eb; }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 100rem; }
header p { max-width: 60rem; }
form { display: flex; flex-wrap: wrap; gap: .5rem; position: sticky; top: 0; padding: .6rem 0;
  background: Canvas; z-index: 1; border-bottom: 1px solid var(--line); }
input, select { font: inherit; padding: .3rem .4rem; max-width: 100%; }
main { display: grid; gap: 1rem; margin-top: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
article { border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; min-width: 0; }
article[hidden] { display: none; }
h2 { font-size: 1.05rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; }
.badges span { display: inline-block; background: var(--soft); border-radius: 4px;
  padding: 0 .4rem; margin: 0 .25rem .2rem 0; font-size: .85rem; }
.short { color: var(--mark); font-weight: 600; }
pre { overflow-x: auto; background: var(--soft); border-radius: 4px; padding: .5rem;
  font-size: .8rem; margin: .4rem 0; }
code { overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .1rem .6rem .1rem 0; text-align: left; font-weight: normal; }
td { font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; display: block; margin: .4rem 0; }
svg text { font-size: 10px; fill: currentColor; }
.source { font-size: .85rem; opacity: .8; overflow-wrap: anywhere; }
"""

SCRIPT = """
const form = document.querySelector("form"), cards = [...document.querySelectorAll("article")];
const shown = document.querySelector("#shown");
function sift() {
  const words = form.words.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const card of cards) {
    const d = card.dataset;
    const keep = words.every(word => d.text.includes(word))
      && ["family", "integrand", "order", "calls"].every(k => !form[k].value || form[k].value === d[k])
      && (!form.short.checked || d.short === "yes");
    card.hidden = !keep;
    count += keep;
  }
  shown.textContent = count + " of " + cards.length;
}
form.addEventListener("input", sift);
form.addEventListener("submit", event => event.preventDefault());
sift();
"""


def page(entries: Sequence[Entry], measured: Mapping[str, Curve]) -> str:
    """The whole page.

    Args:
        entries: the solvers, in the order shown.
        measured: name → (evaluations, error) pairs; solvers without any have no chart.
    """
    reference = measured.get(REFERENCE, ())
    levels = [error for curve in measured.values() for _, error in curve if 0 < error < math.inf]
    scale = (min(levels), min(max(levels), 10.0)) if levels else (1e-6, 1.0)
    cards = "\n".join(_card(one, measured.get(one.name, ()), reference, scale) for one in entries)
    beside = " (DDIM's in grey)" if reference else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>solvergen: gallery of diffusion samplers</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>Diffusion samplers</h1>
<p>Every sampler from its spec: the update, its proved order on three kinds of grid, the leading
local error (numerical minus exact, over h<sup>p+1</sup>, uniform grid), and the measured distance to
the exact end points of a mixture in 2-D on a Karras grid from σ = 10 to 0.05{beside}. The order is
what happens as steps shrink, the measurement is what happens at a budget; they rank samplers
differently.</p>
</header>
{_form(entries)}
<main>
{cards}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _form(entries: Sequence[Entry]) -> str:
    orders = sorted({one.true_order for one in entries})
    calls = sorted({one.evaluations for one in entries})
    families = [name for name in FAMILIES if any(one.family == name for one in entries)]
    integrands = sorted({one.integrand for one in entries})
    return (
        '<form><input name="words" type="search" placeholder="name, paper, word" aria-label="search">'
        + _select("family", "family", families)
        + _select("integrand", "prediction", integrands)
        + _select("order", "true order", orders)
        + _select("calls", "evaluations per step", calls)
        + '<label><input type="checkbox" name="short"> published order not reached</label>'
        + '<output id="shown"></output></form>'
    )


def _select(name: str, label: str, values: Sequence[object]) -> str:
    options = "".join(f"<option>{escape(str(value))}</option>" for value in values)
    return f'<select name="{name}" aria-label="{label}"><option value="">{label}</option>{options}</select>'


def _card(one: Entry, curve: Curve, reference: Curve, scale: tuple[float, float]) -> str:
    calls = one.evaluations
    data = {
        "family": one.family,
        "integrand": one.integrand,
        "order": one.true_order,
        "calls": calls,
        "short": "yes" if one.falls_short else "no",
        "text": f"{one.name} {one.title} {one.description} {one.source}".lower(),
    }
    attributes = " ".join(f'data-{key}="{escape(str(value))}"' for key, value in data.items())
    spec = find(one.target).read_text(encoding="utf-8")
    return "\n".join(
        (
            f'<article id="{escape(one.name)}" {attributes}>',
            f"<h2>{escape(one.title)}</h2>",
            f"<p><code>from solvergen.generated.{escape(one.name)} import sample</code></p>",
            (
                f'<p class="badges"><span>{one.family}</span><span>{one.integrand}</span>'
                f"<span>{calls} evaluation{'s' * (calls > 1)} a step</span>{_claim(one)}</p>"
            ),
            f"<p>{escape(one.description)}</p>",
            _update(one),
            _orders(one),
            _leading(one),
            chart(curve, reference, scale),
            f'<p class="source">{escape(one.source)}</p>',
            f"<details><summary>spec</summary><pre>{escape(spec)}</pre></details>",
            "</article>",
        )
    )


def _claim(one: Entry) -> str:
    if not one.falls_short:
        what = "mean/cov./strong" if one.weak else "order"
        return f"<span>{what} {one.shown_order.replace('=', 'exact')}</span>"
    return f'<span class="short">published {one.claim["order"]}, true {one.true_order}</span>'


def _update(one: Entry) -> str:
    text = f"<pre>{escape(one.formula)}</pre>"
    if text.count("\n") <= 14:
        return text
    return f"<details><summary>update</summary>{text}</details>"


def _rates(one: Entry) -> str:
    """The orders of a solver with noise."""
    quantities = list(one.weak["uniform"])
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in quantities)
    rows = ""
    for kind, label in GRIDS.items():
        cells = "".join(f"<td>{_cell(one.weak[kind][name])}</td>" for name in quantities)
        rows += f"<tr><th>{label}</th>{cells}</tr>"
    return f"<table><tr><th>order on a grid</th>{head}</tr>{rows}</table>"


def _cell(rate: object) -> str:
    if isinstance(rate, (list, tuple)):
        return _order(rate[0], rate[1])
    return str(rate or "-")


def _orders(one: Entry) -> str:
    if one.weak:
        return _rates(one)
    head = "".join(f"<th>{label}</th>" for label in MODES.values())
    rows = ""
    for kind, label in GRIDS.items():
        cells = "".join(f"<td>{_order(*one.order[kind][mode])}</td>" for mode in MODES)
        rows += f"<tr><th>{label}</th>{cells}</tr>"
    return f"<table><tr><th>order on a grid</th>{head}</tr>{rows}</table>"


def _order(value: int, exact: bool) -> str:
    return str(value) if exact else f"≥ {value}"


def _leading(one: Entry) -> str:
    shown = " ".join(
        f"{'+' if not coef.startswith('-') else '−'} {coef.lstrip('-')} {word}"
        for word, coef in one.leading[:8]
    ).removeprefix("+ ")
    more = f" … {len(one.leading) - 8} more" if len(one.leading) > 8 else ""
    return f"<p>local error [{escape(shown)}{more}]</p>" if shown else ""
