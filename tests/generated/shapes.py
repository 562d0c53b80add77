"""Emitted files that differ in their numbers alone have one shape: what runs is the same code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

GENERATED = Path(__file__).parents[2] / "generated"
# Constants that decide what a host sees: their values are data, except the integrand.
_SEEN = {"INTEGRAND", "SPANS", "NOISE"}
_WRITTEN = {"coefficients", "embedded", "step", "sample", "sample_adaptive", "numbers"}


def shape(source: str) -> tuple[object, ...]:
    """What decides how a file runs: which of its functions it has, and what they work with.

    A planner and a step count by the names that they use (λ or clock, φ, levels of stages, draws,
    memory, corrections) with indices and parameters left out; the fixed functions count word for word.
    """
    parts: list[object] = []
    tree, lines = ast.parse(source), source.splitlines()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in _WRITTEN:
            given = {arg.arg for arg in (*node.args.kwonlyargs, *node.args.args)}
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - given
            parts.append((node.name, frozenset(re.sub(r"_?[a-z]?\d+", "", n) for n in names)))
        elif isinstance(node, ast.FunctionDef):
            parts.append((node.name, *lines[node.body[0].end_lineno : node.end_lineno]))
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in _SEEN:
            known = node.value if node.targets[0].id == "INTEGRAND" else None
            parts.append((node.targets[0].id, known and ast.dump(known)))
    return tuple(parts)


@cache
def representatives() -> tuple[str, ...]:
    """The first file of every shape."""
    found: dict[tuple[object, ...], str] = {}
    for path in sorted(GENERATED.glob("*.py")):
        if path.stem != "__init__":
            found.setdefault(shape(path.read_text(encoding="utf-8")), path.stem)
    return tuple(found.values())
