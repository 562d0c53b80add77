"""Definitions of `runtime`, specialised to one solver: the part of a file that holds no mathematics.

`runtime` holds them as code, under lint and types; here their text is cut out, never executed. What
is static, known when the file is written, has an upper-case name in `runtime.choices`: conditions on
it are decided and other uses are replaced. `**parameters` becomes the parameters of the solver.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path

from .python_text import WIDTH

RUNTIME = Path(__file__).parent / "runtime"
PAD = " " * 4
VARIADIC = "**parameters"


@dataclass(frozen=True)
class Static:
    """What is known of the upper-case names when a file is written.

    Args:
        choices: values of the names that conditions ask for.
        texts: what replaces other names; ``NAME = …`` gives way to all lines of a list.
        parameters: names of the solver's parameters, and their defaults as Python; unless given,
            ``**parameters`` stays as it is.
        first: names that a definition takes before its own parameters, in place of what it reads from
            its module.
    """

    choices: Mapping[str, object] = field(default_factory=dict)
    texts: Mapping[str, str | list[str]] = field(default_factory=dict)
    parameters: Mapping[str, str] | None = None
    first: Sequence[str] = ()


def definition(module: str, name: str, static: Static | None = None) -> str:
    """The text of a definition of `runtime`, as this file needs it.

    Args:
        module: the module of `runtime`; `name`: a function or class in it.

    >>> print(definition("stepping", "corrected", Static({"INTEGRAND": "data"})).splitlines()[2])
        a, *rest = weights
    """
    static = static or Static()
    lines, nodes = _source(module)
    node = nodes[name]
    begin = min([node.lineno, *(mark.lineno for mark in node.decorator_list)]) - 1
    head = node.body[0].lineno - 1
    text = [*_signature(lines[begin:head], static), *_decided(lines, node.body, head, static)]
    return "\n".join(wrapped(line) for line in _given(text, static)) + "\n"


@cache
def _source(module: str) -> tuple[list[str], dict[str, ast.FunctionDef | ast.ClassDef]]:
    """The lines of a module and its definitions by name."""
    text = (RUNTIME / f"{module}.py").read_text(encoding="utf-8")
    nodes = ast.parse(text).body
    found = {n.name: n for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    return text.splitlines(), found


def _decided(
    lines: list[str], body: Sequence[ast.stmt], start: int, static: Static
) -> Iterator[str]:
    """Lines from `start` to the end of some statements, with what is static in them decided."""
    for node in _open(body, static):
        yield from lines[start : node.lineno - 1]
        start = node.end_lineno or node.lineno
        if isinstance(node, ast.Assign):
            assert isinstance(node.value, ast.Name)
            yield from (" " * node.col_offset + line for line in static.texts[node.value.id])
            continue
        while True:  # along the branches of the condition
            chosen = node.body if _holds(node.test, static.choices) else node.orelse
            other = chosen[0] if chosen is node.orelse and chosen else None
            if not (isinstance(other, ast.If) and _asked(other.test, static.choices)):
                break
            node = other
        if chosen:
            first = chosen[0].lineno - 1
            while lines[first - 1].lstrip().startswith("#"):
                first -= 1
            for line in _decided(lines, chosen, first, static):
                yield line[chosen[0].col_offset - node.col_offset :]
    yield from lines[start : body[-1].end_lineno]


def _open(body: Iterable[ast.AST], static: Static) -> Iterator[ast.If | ast.Assign]:
    """The outermost statements that are open, in order."""
    for node in body:
        if (
            isinstance(node, ast.If)
            and _asked(node.test, static.choices)
            or isinstance(node, ast.Assign)
            and _listed(node.value, static)
        ):
            yield node
        else:
            inner = (
                getattr(node, part, ()) for part in ("body", "orelse", "handlers", "finalbody")
            )
            yield from _open(chain.from_iterable(inner), static)  # expressions hold no statements


def _listed(value: ast.expr, static: Static) -> bool:
    """Whether lines of their own replace the value."""
    return isinstance(value, ast.Name) and isinstance(static.texts.get(value.id), list)


def _asked(test: ast.expr, choices: Mapping[str, object]) -> bool:
    """Whether a condition is one on an open name."""
    name = test.left if isinstance(test, ast.Compare) else test
    return isinstance(name, ast.Name) and name.id in choices


def _holds(test: ast.expr, choices: Mapping[str, object]) -> bool:
    """The truth of a condition ``NAME`` or ``NAME == constant``."""
    if isinstance(test, ast.Name):
        return bool(choices[test.id])
    assert isinstance(test, ast.Compare) and isinstance(test.left, ast.Name)
    return choices[test.left.id] == ast.literal_eval(test.comparators[0])


def _signature(lines: list[str], static: Static) -> list[str]:
    """Decorators and the first line of a definition, joined; its parameters are named."""
    start = next(k for k, line in enumerate(lines) if line.startswith(("def ", "class ")))
    joined = " ".join(line.strip() for line in lines[start:])
    joined = joined.replace("( ", "(").replace(" )", ")").replace(",)", ")")
    joined = joined.replace("(", "(" + "".join(f"{name}, " for name in static.first), 1)
    if static.parameters is not None:
        named = "".join(f", {name}={value}" for name, value in static.parameters.items())
        joined = joined.replace(f", {VARIADIC}", named)
    return [*lines[:start], joined]


def _given(lines: Iterable[str], static: Static) -> Iterator[str]:
    """Lines with parameters passed on by name, and texts in place of open names."""
    passed = "".join(f", {name}={name}" for name in static.parameters or ())
    for line in lines:
        if static.parameters is not None:
            line = line.replace(f", {VARIADIC}", passed)
        for name, text in static.texts.items():
            if isinstance(text, str) and name in line:
                line = text.join(re.split(rf"\b{name}\b", line))
        yield line


def wrapped(line: str) -> str:
    """A line that ends with a call or a signature, broken as a formatter would where it is long."""
    if len(line) <= WIDTH or "(" not in line:
        return line
    pad = line[: len(line) - len(line.lstrip())]
    head, inner = line.split("(", 1)
    inner, tail = inner.rsplit(")", 1)
    if len(pad) + 4 + len(inner) <= WIDTH:
        return f"{head}(\n{pad}{PAD}{inner}\n{pad}){tail}"
    rows = [f"{pad}{PAD}{item}," for item in inner.split(", ")]
    return "\n".join([f"{head}(", *rows, f"{pad}){tail}"])
