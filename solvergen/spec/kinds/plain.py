"""Strings, names, integers and booleans, and lists of any kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...errors import hint
from ..file_name import NAME, name_refusal
from .kind import KeyPath, Kind, Reading

MAX_TEXT = 2000

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Text:
    """A string on one line, perhaps one of a closed list."""

    choices: tuple[str, ...] = ()
    phrase, plural, range = "a string", "strings", ""

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string"} | ({"enum": list(self.choices)} if self.choices else {})

    def fits(self, value: object) -> bool:
        return isinstance(value, str)

    def read(self, spec: Reading, path: KeyPath, value: str) -> str:
        """The string with every run of white space as one space: it goes into comments of code."""
        if len(value) > MAX_TEXT:
            spec.fail(path, f"a string of {len(value)} characters; at most {MAX_TEXT} are read")
        joined = " ".join(value.split())
        if bad := _CONTROL.search(joined):
            spec.fail(path, f"contains the control character {bad[0]!r}; remove it")
        if self.choices and joined not in self.choices:
            known = f"`{joined}` is not one of {', '.join(self.choices)}"
            nearest = hint(joined, self.choices)
            spec.fail(path, known + nearest * ("did you mean" in nearest), joined)
        return joined


@dataclass(frozen=True)
class Name:
    """A plain name; `of_file` where an emitted file takes it, `reserved` where some are taken."""

    reserved: tuple[str, ...] = ()
    of_file: bool = False
    plural, range, choices = "names", "", ()
    phrase = "a name of letters, digits and underscores that does not start with a digit"

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{NAME.pattern}$"}

    def fits(self, value: object) -> bool:
        return isinstance(value, str) and bool(NAME.fullmatch(value))

    def read(self, spec: Reading, path: KeyPath, value: str) -> str:
        if value in self.reserved:
            spec.fail(path, f"`{value}` is a reserved name; choose another")
        if self.of_file and (refusal := name_refusal(value)):
            spec.fail(path, f"`{value}` cannot name a solver: {refusal}", value)
        return value


@dataclass(frozen=True)
class Integer:
    """A whole number between two ends, where they are given."""

    low: int | None = None
    high: int | None = None
    plural, choices = "whole numbers", ()

    @property
    def phrase(self) -> str:
        return "a whole number" + (f" {self.range}" if self.range else "")

    @property
    def range(self) -> str:
        """``from 1 to 9``, or nothing."""
        return "" if self.low is None else f"from {self.low} to {self.high}"

    @property
    def schema(self) -> dict[str, Any]:
        ends = {"minimum": self.low, "maximum": self.high}
        return {"type": "integer"} | {name: end for name, end in ends.items() if end is not None}

    def fits(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**6

    def read(self, spec: Reading, path: KeyPath, value: int) -> int:
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            spec.fail(path, f"`{path[-1]}` must be {self.range}, found {value}")
        return value


@dataclass(frozen=True)
class Boolean:
    """true or false."""

    phrase, plural, range, choices = "true or false", "booleans", "", ()

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def fits(self, value: object) -> bool:
        return isinstance(value, bool)

    def read(self, spec: Reading, path: KeyPath, value: bool) -> bool:
        return value


@dataclass(frozen=True)
class List:
    """A list; `distinct` says what is wrong with an item that is listed twice.

    `count` is how many items it has, where that is fixed, and `counted` says what they are.
    """

    item: Kind
    distinct: str = ""
    count: int | None = None
    counted: str = ""
    range, choices = "", ()

    @property
    def phrase(self) -> str:
        return f"a list of {self.item.plural}"

    @property
    def plural(self) -> str:
        return f"lists of {self.item.plural}"

    @property
    def schema(self) -> dict[str, Any]:
        ends = {} if self.count is None else {"minItems": self.count, "maxItems": self.count}
        return {"type": "array", "items": self.item.schema, **ends}

    def fits(self, value: object) -> bool:
        return isinstance(value, list) and all(map(self.item.fits, value))

    def read(self, spec: Reading, path: KeyPath, value: list[Any]) -> tuple[Any, ...]:
        if self.count is not None and len(value) != self.count:
            spec.fail(path, f"{self.counted}; found {len(value)}")
        return spec.each(self.entry, ((spec, path, value, i) for i in range(len(value))))

    def entry(self, spec: Reading, path: KeyPath, value: list[Any], i: int) -> Any:
        """One item, which is not the same as one before it."""
        if self.distinct and value[i] in value[:i]:
            spec.fail(path, f"`{value[i]}` is listed twice; {self.distinct}", str(value[i]))
        return self.item.read(spec, path, value[i])
