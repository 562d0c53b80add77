"""Emitted files that differ in their numbers alone have one shape: what runs is the same code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from solvergen import gallery

GENERATED = Path(__file__).parents[2] / "generated"
# A hundred calls a step: a compiled graph of it alone takes a minute.
LONG = {"annealed_langevin"}
# Constants that decide what a host sees: their values are data, except the integrand.
_SEEN = re.compile(r"^(INTEGRAND = .*|SPANS = |NOISE = )", re.MULTILINE)
_WRITTEN = {"coefficients", "embedded", "step", "sample", "sample_adaptive", "numbers"}
# A function to the line before the next unindented one: its name, its signature, its body.
_FUNCTION = re.compile(r"^def (\w+)(\((?:[^)]*\)) ?.*?:\n)((?:(?:[ \t].*)?\n)*)", re.MULTILINE)
_SAID = re.compile(r'"""[\s\S]*?"""|#.*')
_NAME = re.compile(r"(?<![.\w])[A-Za-z_]\w*")


def shape(source: str) -> tuple[object, ...]:
    """What decides how a file runs: which of its functions it has, and what they work with.

    A planner and a step count by the names that they use (λ or clock, φ, levels of stages, draws,
    memory, corrections) with indices and parameters left out; the fixed functions count word for word.
    Read as text: parsing all of the gallery takes ten seconds.
    """
    parts: list[object] = list(_SEEN.findall(source))
    for name, signature, body in _FUNCTION.findall(source):
        runs = _SAID.sub("", body)
        if name in _WRITTEN:
            names = set(_NAME.findall(runs)) - set(_NAME.findall(signature))
            runs = frozenset(re.sub(r"_?[a-z]?\d+", "", one) for one in names)
        parts.append((name, runs))
    return tuple(parts)


@cache
def representatives() -> tuple[str, ...]:
    """The first file of every shape."""
    found: dict[tuple[object, ...], str] = {}
    for path in sorted(GENERATED.glob("*.py")):
        if path.stem != "__init__":
            found.setdefault(shape(path.read_text(encoding="utf-8")), path.stem)
    return tuple(found.values())


def daily(names: Iterable[str]) -> list[object]:
    """Names as cases of a test; those of solvers that make a hundred calls a step are for the night."""
    return [pytest.param(n, marks=pytest.mark.nightly) if n in LONG else n for n in names]


def every_other(names: Iterable[str]) -> list[object]:
    """Names as cases of a test: every other one by day, all of them by night."""
    return [
        pytest.param(name, marks=pytest.mark.nightly) if turn % 2 else name
        for turn, name in enumerate(names)
    ]


@cache
def by_shape() -> list[object]:
    """The whole gallery as cases of a test: solvers of every other shape by day, all by night."""
    day = set(representatives()[::2])
    return [
        name if name in day else pytest.param(name, marks=pytest.mark.nightly)
        for name in gallery.names()
    ]


@cache
def with_parameters() -> tuple[str, ...]:
    """Gallery solvers with parameters, by the tables of their specs."""
    specs = (gallery.CATALOG / f"{name}.toml" for name in gallery.names())
    return tuple(
        p.stem for p in specs if re.search(r"^\[parameters\b", p.read_text("utf-8"), re.MULTILINE)
    )
