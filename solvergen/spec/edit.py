"""Changing a spec's text: what differs is replaced, everything else is kept."""

from __future__ import annotations

import json
import re

from .model import End, Solver, Start

_HEADER = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_]+)(\.[^\]]*)?\s*\]\]?")


def changed(text: str, before: Solver, after: Solver) -> str:
    """The text of a spec with another name, title, start and end; comments and layout stay.

    A claim that no longer records the publication's loses that key.

    Args:
        text: the TOML that `before` was read from.
        before: the solver as it was.
        after: the same solver with another name, title, start or end, all steps given by name, or
            with a claim of its own.

    Returns:
        TOML that reads back as `after`.

    >>> from solvergen.spec import parse_solver
    >>> from dataclasses import replace
    >>> old = 'name = "a"\\nintegrand = "data"\\n[step]\\nrule = "adams-bashforth"\\nsteps = 2\\n'
    >>> solver = parse_solver(old)
    >>> new = replace(solver, name="b", start=Start(("dpmpp_2s",)))
    >>> parse_solver(changed(old, solver, new)) == new
    True
    """
    tables = _tables(text)
    if before.name != after.name:
        tables[0] = re.sub(r'(?m)^(name\s*=\s*)".*?"', rf'\g<1>"{after.name}"', tables[0], count=1)
    if before.title != after.title:
        tables[0] = re.sub(
            r'(?m)^(title\s*=\s*)(?!"""|\'\'\')("(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')',
            lambda found: found[1] + json.dumps(after.title, ensure_ascii=False),
            tables[0],
            count=1,
        )
    if before.claim.records and not after.claim.records:
        tables = [
            re.sub(r"(?m)^\s*records\s*=.*\n?", "", t) if _named(t) == "claim" else t
            for t in tables
        ]
        inline = r'(?m)^(claim\s*=\s*\{.*?),\s*records\s*=\s*"[^"]*"'
        tables[0] = re.sub(inline, r"\1", tables[0])
    for name, same, lines in (
        ("start", before.start == after.start, _start(after.start)),
        ("end", before.end == after.end, _end(after.end)),
    ):
        if same:
            continue
        kept = [t for t in tables if _named(t) != name]
        if lines:
            claim = next((i for i, t in enumerate(kept) if _named(t) == "claim"), len(kept))
            kept.insert(claim, "\n".join([f"[{name}]", *lines, "", ""]))
        tables = kept
    return "".join(tables)


def _tables(text: str) -> list[str]:
    """The text cut before every table header; comments above a header go with it."""
    pieces, pending = [""], ""
    for line in text.splitlines(keepends=True):
        if _HEADER.match(line):
            pieces.append(pending + line)
            pending = ""
        elif line.lstrip().startswith("#"):
            pending += line
        else:
            pieces[-1] += pending + line
            pending = ""
    pieces[-1] += pending
    return pieces


def _named(piece: str) -> str:
    found = next((m for line in piece.splitlines() if (m := _HEADER.match(line))), None)
    return found[1] if found else ""


def _start(after: Start) -> list[str]:
    lines = []
    if after.using:
        lines.append(f"using = {_names(after.using)}")
    if after.shrink is not None:
        lines.append(f'shrink = "{after.shrink}"')
    return lines


def _end(after: End) -> list[str]:
    lines = [f"using = {_names(after.using)}"] if after.using else []
    if after.ramp:
        lines.append("ramp = true")
    if after.zero != "ddim":
        lines.append(f'zero = "{after.zero}"')
    if after.corrector:
        lines.append("corrector = true")
    return lines


def _names(using: tuple[object, ...]) -> str:
    """A list of names as TOML.

    Raises:
        ValueError: a step that is written out as a rule cannot be named.
    """
    if not all(isinstance(name, str) for name in using):
        raise ValueError("steps written out as [[…rule]] tables cannot be moved; name them instead")
    return "[" + ", ".join(f'"{name}"' for name in using) + "]"
