"""[let] of a spec: abbreviations and functions of x, each of which may use those above it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..expr.parse import function_of_x
from .kinds import Expression, KeyPath, Reading
from .names import language_names, reserved
from .scope import Scope, Vocabulary, words

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_ENTRY = re.compile(rf"({PLAIN.pattern})(\(x\))?")


def read_entry(spec: Reading, scope: Scope, listed: list[str], name: str, value: Any) -> None:
    """Put an entry of [let] into the scope.

    Args:
        spec: reads expressions and reports mistakes.
        scope: the names known so far.
        listed: the keys of [let], in the order of the file.
        name: the key: ``w``, or ``f(x)`` for a function of x.
        value: its value, of any kind.

    Raises:
        SpecError: with the place and a remedy.
    """
    path = ("let", name)
    found = _ENTRY.fullmatch(name)
    if not found or name == "x":
        spec.fail(path, f"`{name}` is not a valid name; write a function as `f(x)`")
    own, is_function = found[1], bool(found[2])
    _refuse_what_is_below(spec, scope, path, listed, own, value)
    if not is_function and own in language_names():
        spec.fail(path, f"`{own}` has a meaning in weights, which this would hide; choose another")
    if not is_function:
        scope.abbreviations[own] = Expression(Vocabulary.WEIGHTS).read(spec, path, value)
        return
    if owner := _owner(scope, own):
        spec.fail(path, f"`{own}` cannot name a function: it is {owner}; choose another")
    body = Expression(Vocabulary.FUNCTION).read(spec, path, value)
    scope.functions = {**scope.functions, own: function_of_x(own, body)}


def unused(data: Mapping[str, Any]) -> list[str]:
    """The keys of [let] on which no rule depends.

    >>> unused({"let": {"a": "h", "b": "a*2", "f(x)": "x"}, "step": {"weights": {"n": "f(h)"}}})
    ['a', 'b']
    """
    entries = data.get("let", {})
    waiting = [{name: value for name, value in data.items() if name != "let"}]
    found: set[str] = set()
    while waiting:
        used = {name for value in waiting for text in _texts(value) for name in words(text)}
        fresh = [key for key in entries if key.removesuffix("(x)") in used - found]
        found |= used
        waiting = [entries[key] for key in fresh]
    return [key for key in entries if key.removesuffix("(x)") not in found]


def _texts(value: Any) -> Iterator[str]:
    """The strings in a value of TOML, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for one in value.values() for text in _texts(one))
    elif isinstance(value, list):
        yield from (text for one in value for text in _texts(one))


def _owner(scope: Scope, name: str) -> str:
    """What a name already is, where [let] cannot make it a function; empty where it can."""
    if name in scope.parameters:
        return "a parameter"
    if name in language_names():
        return "a name of the spec language"
    return "a name that emitted files or Python use" if reserved(name) else ""


def _refuse_what_is_below(
    spec: Reading, scope: Scope, path: KeyPath, listed: list[str], own: str, value: Any
) -> None:
    """An entry uses neither itself nor what is written below it."""
    order = [key.removesuffix("(x)") for key in listed]
    known = {*language_names(), *scope.parameters, *scope.unsure, "x"}
    known |= {*order[: order.index(own)]}
    for used in words(str(value)):
        if used in order and used not in known:
            place = "itself" if used == own else f"`{used}`, which is written below it"
            message = f"`{own}` uses {place}; an entry of [let] may use those above it"
            spec.fail(path, message, used)
