"""Exact numbers and expressions: strings and integers, never floats."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sympy import Expr, Symbol

from ...expr.arithmetic import fraction_of
from ...expr.parse import MAX_DIGITS
from ..names import GRID_POINT
from ..scope import Vocabulary
from .kind import KeyPath, Reading, shown

EXACT_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "integer"}, {"type": "string"}]}


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
        if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
            spec.fail(path, f"{shown(value)}; numbers have at most {MAX_DIGITS} digits")
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
