"""A Markdown summary for a pull request, and a badge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from ..verdict import Verdict
from .machine import BROKEN
from .terminal import WORD, orders

COLOURS = {"good": "#1a7f37", "bad": "#c0392b", "open": "#b08800"}
WIDTH, HEIGHT = 6.6, 20


def as_markdown(verdicts: Sequence[Verdict]) -> str:
    """Counts, then a row for each target with its first finding."""
    counts = Counter(WORD[v.status] for v in verdicts)
    head = ", ".join(
        f"{n} {word if word != '-' else 'without a claim'}" for word, n in counts.items()
    )
    lines = [
        f"**{len(verdicts)} samplers judged**: {head or 'none'}",
        "",
        "| sampler | verdict | claim | audited u/s/a | first finding |",
        "|---|---|---|---|---|",
    ]
    worst = sorted(verdicts, key=lambda v: v.status not in BROKEN)
    for v in worst:
        first = v.findings[0] if v.findings else ""
        cells = (
            f"`{v.target}`",
            WORD[v.status],
            "-" if v.claim is None else str(v.claim),
            orders(v),
            first,
        )
        lines.append("| " + " | ".join(_cell(c) for c in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def as_badge(verdicts: Sequence[Verdict]) -> str:
    """An SVG badge: how many claims hold."""
    failed = sum(v.status == "fail" for v in verdicts)
    unknown = sum(v.status in ("error", "disagree") for v in verdicts)
    held = sum(v.status == "pass" for v in verdicts)
    colour = COLOURS["bad" if failed else "open" if unknown else "good"]
    parts = [f"{held} hold"]
    parts += [f"{failed} refuted"] if failed else []
    parts += [f"{unknown} open"] if unknown else []
    left, right = "sampler orders", ", ".join(parts)
    one, two = (int(len(t) * WIDTH) + 10 for t in (left, right))
    font = 'font-family="Verdana,sans-serif" font-size="11" fill="#fff"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{one + two}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(left)}: {escape(right)}">'
        f'<rect width="{one}" height="{HEIGHT}" fill="#444"/>'
        f'<rect x="{one}" width="{two}" height="{HEIGHT}" fill="{colour}"/>'
        f'<text x="5" y="14" {font}>{escape(left)}</text>'
        f'<text x="{one + 5}" y="14" {font}>{escape(right)}</text></svg>\n'
    )
