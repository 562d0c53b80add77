"""Changing a spec's text: what differs is replaced, comments and layout elsewhere stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..model import End, Solver, Start

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


def changed(text: str, before: Solver, after: Solver) -> str:
    """The text of a spec with another name, title, start and end.

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
    import tomlkit

    document = tomlkit.parse(text)
    for key in ("name", "title"):
        if getattr(before, key) != getattr(after, key):
            document[key] = getattr(after, key)
    if before.claim.records and not after.claim.records:
        del document["claim"]["records"]
    if before.start != after.start:
        _replace(document, "start", _start(after.start))
    if before.end != after.end:
        _replace(document, "end", _end(after.end))
    return tomlkit.dumps(document)


def _replace(document: TOMLDocument, name: str, values: Mapping[str, Any]) -> None:
    """Give a table these keys and no others; without keys it goes. A new one stands before [claim]."""
    import tomlkit

    if name in document and not values:
        del document[name]
        return
    if name in document:
        table: Any = document[name]
        for key in [key for key in table if key not in values]:
            del table[key]
        table.update(values)
        return
    made = tomlkit.table()
    made.update(values)
    made.add(tomlkit.nl())
    claim = document.get("claim")
    if claim is None:
        document.add(name, made)
        return
    del document["claim"]
    document.add(name, made)
    document.add("claim", claim)


def _start(after: Start) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if after.using:
        values["using"] = _names(after.using)
    if after.shrink is not None:
        values["shrink"] = str(after.shrink)
    return values


def _end(after: End) -> dict[str, Any]:
    values: dict[str, Any] = {"using": _names(after.using)} if after.using else {}
    if after.ramp:
        values["ramp"] = True
    if after.zero != "ddim":
        values["zero"] = after.zero
    if after.corrector:
        values["corrector"] = True
    if after.remainder:
        values["remainder"] = [list(names) for names in after.remainder]
    return values


def _names(using: tuple[object, ...]) -> list[str]:
    """The names of special steps.

    Raises:
        ValueError: a step that is written out as a rule cannot be named.
    """
    named = [name for name in using if isinstance(name, str)]
    if len(named) < len(using):
        raise ValueError("steps written out as [[…rule]] tables cannot be moved; name them instead")
    return named
