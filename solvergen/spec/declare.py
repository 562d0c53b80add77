"""How the spec language is declared: a table is a frozen dataclass, and its fields are its keys.

Each field that a spec file may set is annotated with a `Key` (one value) or a `Table` (a table of its
own), and nothing else knows of it: the reader, the JSON Schema, the reference page and the help in
editors are made from these annotations. A class may say more of its keys together:

* ``CHOICE`` names the key whose value decides which others are taken (`Key.of`, `Key.needed_by`);
* ``mistakes(raw, whole)`` yields what is wrong with the keys given, before they are understood;
* ``fault()`` of the value made says what is wrong with its values together;
* ``SHORTHANDS`` are keys without a field, which ``written_out(given, raw, path)`` puts into others.

    >>> from solvergen.spec.model import Claim
    >>> table = Table(Claim, "[claim]", "What the author claims.")
    >>> table.name, table.keys["order"].example
    ('claim', '2')
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, get_args, get_origin

from .kinds import KeyPath, Kind

Raw = Mapping[str, Any]  # a table as TOML gives it
Mistake = tuple[KeyPath, str]  # where in the table, and what is wrong


@dataclass(frozen=True)
class Key:
    """One key of a table.

    Args:
        kind: what its value must be.
        doc: a sentence or two for the reference page and for editors.
        example: a TOML value.
        name: the key in TOML, where the field has another name.
        of: the rules (or forms) that take the key; all of them unless given.
        needed_by: the rules (or forms) that cannot do without it; they need not be named in `of`.
        required: whether the table is an error without it; a field without default is.
    """

    kind: Kind
    doc: str
    example: str
    name: str = ""
    of: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()
    required: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed strings, where they are a closed list."""
        return self.kind.choices

    @property
    def takers(self) -> tuple[str, ...]:
        """The rules (or forms) that take the key; empty when all do."""
        return (*self.needed_by, *self.of)


@dataclass(frozen=True)
class Table:
    """One table of the spec.

    Args:
        of: the dataclass that it fills; ``None`` for a table of free names.
        header: as written in TOML; ``[[stage]]`` repeats, ``[parameters.NAME]`` is one table a name.
        doc: a sentence or two for the reference page and for editors.
        also: keys that stand in this table and fill fields of the table around it.
        needs: tables that must stand beside it.
        excludes: tables that cannot stand beside it, each with the reason.
        at_most: how often it may be repeated.
    """

    of: type | None
    header: str
    doc: str
    also: Mapping[str, Key] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    excludes: Mapping[str, str] = field(default_factory=dict)
    at_most: int = 32

    @property
    def name(self) -> str:
        """Dotted name: ``start.rule`` for ``[[start.rule]]``; empty for the top of the file."""
        inner = self.header.strip("[]").removesuffix(".NAME")
        return inner if self.header.startswith("[") else ""

    @property
    def repeated(self) -> bool:
        return self.header.startswith("[[")

    @property
    def named(self) -> bool:
        return self.header.endswith(".NAME]")

    @cached_property
    def keys(self) -> dict[str, Key]:
        """Its keys by their names in TOML, in the order declared."""
        return {**self.also, **(keys_of(self.of) if self.of else {})}


class Inline:
    """Marks a field whose keys stand in the same table: the rule of a stage."""


def declared(cls: type) -> Iterator[tuple[dataclasses.Field[Any], tuple[Any, ...]]]:
    """The fields of a dataclass with what is declared of each.

    Raises:
        TypeError: the annotations of the class are postponed, so they cannot be read.
    """
    for one in dataclasses.fields(cls):
        if isinstance(one.type, str):
            raise TypeError(
                f"{cls.__name__} is declared under `from __future__ import annotations`"
            )
        if get_origin(one.type) is Annotated:
            yield one, get_args(one.type)[1:]


def keys_of(cls: type) -> dict[str, Key]:
    """The keys that fill a dataclass, by their names in TOML.

    A class may declare shorthands besides: keys that are written out as others.
    """
    found: dict[str, Key] = dict(getattr(cls, "SHORTHANDS", {}))
    for one, marks in declared(cls):
        for mark in marks:
            if isinstance(mark, Key):
                required = mark.required or is_required(one)
                found[mark.name or one.name] = dataclasses.replace(mark, required=required)
            elif isinstance(mark, Inline):
                found |= keys_of(held(one))
    return found


def fields_of(cls: type) -> dict[str, str]:
    """The field that each key of a dataclass fills, without those of fields inline."""
    return {
        mark.name or one.name: one.name
        for one, marks in declared(cls)
        for mark in marks
        if isinstance(mark, Key)
    }


def inline_of(cls: type) -> dataclasses.Field[Any] | None:
    """The field whose keys stand in the same table, if there is one."""
    marked = (one for one, marks in declared(cls) if any(isinstance(m, Inline) for m in marks))
    return next(marked, None)


def tables_of(cls: type) -> dict[str, Table]:
    """The tables that fill fields of a dataclass, by field."""
    return {
        one.name: mark for one, marks in declared(cls) for mark in marks if isinstance(mark, Table)
    }


def held(one: dataclasses.Field[Any]) -> type:
    """The class that a field is annotated with."""
    made: type = get_args(one.type)[0]
    return made


def is_required(one: dataclasses.Field[Any]) -> bool:
    """Whether a field has no default."""
    return one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
