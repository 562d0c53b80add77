"""An examination on a terminal."""

from __future__ import annotations

from typing import Any

from ..check import HELD, REFUTED, REPORTED, SKIPPED, Examination

MARK = {HELD: "held", REFUTED: "REFUTED", REPORTED: "", SKIPPED: "-"}
COLOUR = {HELD: "32", REFUTED: "31", REPORTED: "0", SKIPPED: "2"}


def headline(made: Examination) -> str:
    """The verdict in one line: a map is refuted, or it is not refuted by these checks."""
    where = f"{made.target} as {made.form} on {made.problem}"
    if made.error:
        return f"{where}: could not be examined: {made.error}"
    if made.refuted:
        names = ", ".join(one.name for one in made.refuted)
        return f"{where}: refuted by {names}"
    return f"{where}: not refuted by these checks"


def text(made: Examination, *, colour: bool = False) -> str:
    """Headline, checks and tables."""
    lines = [headline(made)]
    width = max((len(one.name) for one in made.checks), default=0)
    for one in made.checks:
        mark = f"{MARK[one.status]:8}"
        if colour:
            mark = f"\x1b[{COLOUR[one.status]}m{mark}\x1b[0m"
        lines.append(f"  {one.name:{width}}  {mark} {one.text}")
    for name, rows in made.tables.items():
        if rows and name != "guided":
            lines += ["", f"  {name}", *table(rows)]
    facts = ", ".join(f"{key} {shown(value)}" for key, value in made.facts.items())
    return "\n".join([*lines, "", f"  {facts}"])


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as aligned columns."""
    keys = [key for key in rows[0] if not isinstance(rows[0][key], list)]
    cells = [[shown(row[key], key) for key in keys] for row in rows]
    wide = [max(len(key), *(len(line[i]) for line in cells)) for i, key in enumerate(keys)]
    head = "  ".join(f"{key:>{w}}" for key, w in zip(keys, wide, strict=True))
    return [f"    {head}"] + [
        "    " + "  ".join(f"{cell:>{w}}" for cell, w in zip(line, wide, strict=True))
        for line in cells
    ]


PERCENT = {"rms", "mean", "median", "q90", "flips", "rms_kept", "defect"}


def shown(value: Any, key: str = "") -> str:
    """One value of a table: errors as percentages of sd.

    >>> shown(0.0123, "rms"), shown(80.0, "level"), shown(True)
    ('1.23%', '80', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2%}" if key in PERCENT else f"{value:.4g}"
    return str(value)
