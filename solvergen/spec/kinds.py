"""The kinds of value that a key may have: how each is named, described to editors, and read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn, Protocol

from sympy import Expr, Symbol

from ..errors import hint
from ..expr.arithmetic import fraction_of
from .file_name import NAME, name_refusal
from .names import GRID_POINT, MAX_STEPS, NODE, STATE
from .scope import Vocabulary

KeyPath = tuple[str | int, ...]
MAX_TEXT = 2000

_DRAW = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
EXACT_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "integer"}, {"type": "string"}]}


class Reading(Protocol):
    """What a kind needs of the reader of a spec."""

    def fail(self, path: KeyPath, message: str, needle: str = "") -> NoReturn: ...

    def each(
        self, read: Callable[..., Any], items: Iterable[tuple[Any, ...]]
    ) -> tuple[Any, ...]: ...

    def expression(self, path: KeyPath, value: str | int, names: Vocabulary) -> Expr: ...


class Kind(Protocol):
    """What a value must be.

    Attributes:
        phrase: completes "must be …".
        plural: completes "a list of …".
        schema: JSON Schema.
        choices: the allowed strings, where they are a closed list.
        range: completes "it must be …", where numbers are bounded.
    """

    @property
    def phrase(self) -> str: ...

    @property
    def plural(self) -> str: ...

    @property
    def schema(self) -> dict[str, Any]: ...

    @property
    def choices(self) -> tuple[str, ...]: ...

    @property
    def range(self) -> str: ...

    def fits(self, value: object) -> bool:
        """Whether a TOML value has the right type; what it says is checked when it is read."""
        ...

    def read(self, spec: Reading, path: KeyPath, value: Any) -> Any:
        """The checked value.

        Raises:
            SpecError: with the place and a remedy.
        """
        ...


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
class Bounds:
    """Where a number must lie; ``None`` where it is not bounded."""

    at_least: Fraction | int | None = None
    above: Fraction | int | None = None
    at_most: Fraction | int | None = None
    below: Fraction | int | None = None

    def hold(self, value: Fraction) -> bool:
        """Whether a number lies within."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """``greater than 0 and at most 1``; empty when nothing is bounded.

        >>> str(Bounds(above=0, at_most=1))
        'greater than 0 and at most 1'
        """
        words = {
            "at least": self.at_least,
            "greater than": self.above,
            "at most": self.at_most,
            "less than": self.below,
        }
        return " and ".join(f"{word} {end}" for word, end in words.items() if end is not None)


@dataclass(frozen=True)
class Expression:
    """An exact expression in the names of a vocabulary; one that is a number lies within bounds."""

    names: Vocabulary
    bounds: Bounds = Bounds()
    choices = ()

    @property
    def phrase(self) -> str:
        return f"an expression in a string, {self.names.value}"

    @property
    def plural(self) -> str:
        return "expressions"

    @property
    def range(self) -> str:
        return str(self.bounds)

    @property
    def schema(self) -> dict[str, Any]:
        return EXACT_SCHEMA

    def fits(self, value: object) -> bool:
        return isinstance(value, (str, int, float)) and not isinstance(value, bool)

    def read(self, spec: Reading, path: KeyPath, value: Any) -> Any:
        made = self.expression(spec, path, value)
        if made.is_Rational:
            self.check(spec, path, fraction_of(made))
        return made

    def expression(self, spec: Reading, path: KeyPath, value: Any) -> Expr:
        """The expression, whatever its size.

        Raises:
            SpecError: a float, or a string that is not such an expression.
        """
        if isinstance(value, int) and abs(value) >= 10**60:
            spec.fail(path, f"{shown(value)}; numbers have at most 60 digits")
        if isinstance(value, float):
            remedy = f'floats are not exact; found {value}; write "{value}"'
            spec.fail(path, f"must be a string or an integer: {remedy}")
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            spec.fail(path, f"must be {self.phrase}, found {shown(value)}")
        return spec.expression(path, value, self.names)

    def check(self, spec: Reading, path: KeyPath, value: Fraction) -> None:
        """Refuse a number beyond the bounds."""
        if not self.bounds.hold(value):
            spec.fail(path, f"`{path[-1]}` must be {self.range}, found {value}")


@dataclass(frozen=True)
class Exact(Expression):
    """A rational number."""

    names: Vocabulary = Vocabulary.NUMBERS

    @property
    def phrase(self) -> str:
        return 'an exact number: an integer or a string such as "1/2" or "0.25"'

    def read(self, spec: Reading, path: KeyPath, value: Any) -> Fraction:
        number = self.expression(spec, path, value)
        if not number.is_Rational:
            spec.fail(path, f"must be a rational number, found {shown(value)}", str(value))
        exact = fraction_of(number)
        self.check(spec, path, exact)
        return exact


@dataclass(frozen=True)
class StagePlace(Expression):
    """Where a stage lies: a fraction of the step, or a point of the grid."""

    names: Vocabulary = Vocabulary.PARAMETERS

    @property
    def phrase(self) -> str:
        return f'{super().phrase}; or a point of the grid, such as "grid 1"'

    def read(self, spec: Reading, path: KeyPath, value: Any) -> Any:
        if found := GRID_POINT.fullmatch(str(value)):
            return Symbol(f"gamma{found[1]}")
        return super().read(spec, path, value)


@dataclass(frozen=True)
class Node(Text):
    """A model evaluation: a point of the grid, or a stage by its name."""

    def read(self, spec: Reading, path: KeyPath, value: str) -> str:
        found = NODE.fullmatch(value)
        if not found:
            remedy = 'write "n", "n-1", "n+1" or the name of a stage'
            spec.fail(path, f"`{value}` is not a node; {remedy}", value)
        if found[1] and not 1 <= int(found[1]) <= MAX_STEPS:
            spec.fail(path, f"`{value}` looks back more than {MAX_STEPS} steps", value)
        return value


@dataclass(frozen=True)
class State(Text):
    """An accepted state: the current one or one before it."""

    def read(self, spec: Reading, path: KeyPath, value: str) -> str:
        found = STATE.fullmatch(value)
        if not found or (found[1] and not 1 <= int(found[1]) <= MAX_STEPS):
            remedy = f'write "x" for the current one, "x-1" to "x-{MAX_STEPS}" for those before it'
            spec.fail(path, f"`{value}` is not an accepted state; {remedy}", value)
        return value


@dataclass(frozen=True)
class Draw(Text):
    """The name of a random draw."""

    def read(self, spec: Reading, path: KeyPath, value: str) -> str:
        if not _DRAW.fullmatch(value):
            spec.fail(path, f"`{value}` is not a valid name for a draw", value)
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


@dataclass(frozen=True)
class Weights:
    """A table from nodes, states or draws to expressions."""

    of: Kind
    plural, range, choices = "tables of weights", "", ()
    phrase = 'a table from names to expressions, such as { n = "1/6", k2 = "1/3" }'

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": EXACT_SCHEMA}

    def fits(self, value: object) -> bool:
        return isinstance(value, dict)

    def read(self, spec: Reading, path: KeyPath, value: dict[str, Any]) -> tuple[Any, ...]:
        weight = Expression(Vocabulary.WEIGHTS)

        def pair(name: str, given: Any) -> tuple[Any, ...]:
            parts = [(self.of, path, name), (weight, (*path, name), given)]
            return spec.each(lambda kind, at, found: kind.read(spec, at, found), parts)

        return spec.each(pair, value.items())


def shown(value: object) -> str:
    """A wrong value in a few words, however large or deep it is."""
    if isinstance(value, (dict, list)):
        return f"a {'table' if isinstance(value, dict) else 'list'} of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**40:
        return f"an integer of {value.bit_length()} bits"
    return f"{value!r:.60}"
