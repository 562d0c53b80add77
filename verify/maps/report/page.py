"""One self-contained HTML page: verdict, checks, tables, the error over the start plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ...report.site import HERE
from ..check import HELD, REFUTED, Examination
from ..pictures import gallery
from .terminal import headline, shown

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#d5d9de}
@media (prefers-color-scheme:dark){:root{--ink:#e4e7eb;--paper:#15181c;--line:#3a4048}}
body{margin:0 auto;max-width:66rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;
 color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem}h2{font-size:1.2rem;overflow-wrap:anywhere}h3{font-size:1rem}
table{border-collapse:collapse;font-size:.9rem}.wide{overflow-x:auto}
th,td{padding:.25em .6em;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
.pass{color:#1a7f37;font-weight:600}.fail{color:#c0392b;font-weight:600}
figure{margin:1rem 0}figcaption{font-size:.85rem}svg{width:100%;height:auto}
svg text{font:11px system-ui,sans-serif;fill:currentColor}
"""
SIDE = 420
# log10 of the error over sd at the ends of the colour scale
FAINT, STRONG = -3.5, 0.0


def page(made: Sequence[Examination]) -> str:
    """The whole report as one HTML document."""
    body = ["<h1>Maps examined</h1>", *[_section(one) for one in made]]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Maps examined</title><style>{(HERE / 'style.css').read_text(encoding='utf-8')}</style></head><body>"
        + "".join(body)
        + "</body></html>\n"
    )


def _section(made: Examination) -> str:
    css = {HELD: "pass", REFUTED: "fail"}
    rows = "".join(
        f'<tr><td>{escape(one.name)}</td><td class="{css.get(one.status, "")}">'
        f"{escape(one.status)}</td><td>{escape(one.text)}</td></tr>"
        for one in made.checks
    )
    checks = f'<div class="wide"><table>{rows}</table></div>' if rows else ""
    tables = "".join(
        f"<h3>{escape(name)}</h3>{_table(rows)}" for name, rows in made.tables.items() if rows
    )
    return (
        f"<section><h2>{escape(headline(made))}</h2>{checks}{start_plane(made)}{tables}</section>"
    )


def galleries(made: Examination) -> str:
    """Sampled pictures, one row of digits a line."""
    return "".join(
        f"<figure>{gallery(pictures)}<figcaption>{escape(title)}</figcaption></figure>"
        for title, pictures in made.galleries.items()
    )


def _table(rows: list[dict[str, object]]) -> str:
    keys = [key for key in rows[0] if not isinstance(rows[0][key], list)]
    head = "".join(f"<th>{escape(key)}</th>" for key in keys)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(shown(row[key], key))}</td>" for key in keys) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def start_plane(made: Examination) -> str:
    """Each start at the highest level, coloured by how far its end is from the exact one.

    Basin edges show as lines of strong colour: that is where starts end in another mode.
    """
    if not made.picture:
        return ""
    reach = max(max(abs(x), abs(y)) for x, y, _ in made.picture) * 1.02
    dots = []
    for x, y, error in sorted(made.picture, key=lambda row: row[2]):
        u, v = (SIDE / 2 * (1 + x / reach), SIDE / 2 * (1 - y / reach))
        dots.append(
            f'<circle cx="{u:.1f}" cy="{v:.1f}" r="3.2" fill="{colour(error)}">'
            f"<title>error {error:.2%} of sd</title></circle>"
        )
    scale = "".join(
        f'<tspan fill="{colour(10.0**power)}">■</tspan> {10.0**power:.1%}  '
        for power in (-3, -2.5, -2, -1.5, -1, -0.5, 0)
    )
    return (
        f'<figure style="max-width:34rem"><svg viewBox="0 0 {SIDE} {SIDE + 22}" role="img" '
        f'aria-label="error over the start plane">{"".join(dots)}'
        f'<text x="4" y="{SIDE + 16}">{scale}</text></svg>'
        "<figcaption>Error of one step, over sd, at each start. Lines of strong colour are the edges "
        "of basins.</figcaption></figure>"
    )


def colour(error: float) -> str:
    """From pale to dark with the logarithm of the error.

    >>> colour(1e-5), colour(10.0)
    ('#f3e9c6', '#5b0f3c')
    """
    power = math.log10(max(error, 1e-12))
    share = min(max((power - FAINT) / (STRONG - FAINT), 0.0), 1.0)
    stops = ((0xF3, 0xE9, 0xC6), (0xE0, 0x7B, 0x39), (0x5B, 0x0F, 0x3C))
    index, part = (0, share * 2) if share < 0.5 else (1, share * 2 - 1)
    low, high = stops[index], stops[index + 1]
    mixed = (round(a + part * (b - a)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)
