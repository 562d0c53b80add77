"""Symbolic coefficients that know their value at generic points.

A `Traced` number is an unexpanded expression in step ratios, parameters and jets, carried together
with its exact rational value at two random points. What vanishes at both points is dropped at once,
and what agrees at both is a constant (Schwartz-Zippel: a wrong verdict needs a polynomial of degree
d to vanish at two random points out of 1.5·10⁶ per variable at once). So expressions stay small
although nothing is ever expanded; `canonical` in the module `rational` expands what is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

from .scalar import Scalar


class Traced:
    """An exact expression with its values at generic points.

    Args:
        values: the values at the points.
        operation: ``symbol``, ``number``, ``+``, ``*``, ``/``.
        parts: a name, a number, or the two operands.
    """

    __slots__ = ("operation", "parts", "values")

    def __init__(
        self, values: tuple[Scalar, ...], operation: str, parts: tuple[Scalar | str, ...]
    ) -> None:
        self.values, self.operation, self.parts = values, operation, parts

    def __bool__(self) -> bool:
        return True  # zeros never stay traced: see `_simplest`

    def __add__(self, other: Scalar) -> Scalar:
        right = _traced(other)
        if right is None:
            return NotImplemented
        if right.operation == "number" and not right.parts[0]:
            return self
        values = tuple(a + b for a, b in zip(self.values, right.values, strict=True))
        return _simplest(values, "+", (self, right))

    __radd__ = __add__

    def __neg__(self) -> Scalar:
        return self * Fraction(-1)

    def __sub__(self, other: Scalar) -> Scalar:
        return NotImplemented if _traced(other) is None else self + (-other)

    def __rsub__(self, other: Scalar) -> Scalar:
        return -self + other

    def __mul__(self, other: Scalar) -> Scalar:
        right = _traced(other)
        if right is None:
            return NotImplemented
        if right.operation == "number":
            return self._scaled(right.values[0])
        values = tuple(a * b for a, b in zip(self.values, right.values, strict=True))
        return _simplest(values, "*", (self, right))

    def __rmul__(self, other: Scalar) -> Scalar:
        return self * other

    def _scaled(self, factor: Scalar) -> Scalar:
        first = self
        if self.operation == "*":
            left, right = cast(tuple[Traced, Traced], self.parts)
            if right.operation == "number":
                first, factor = left, factor * right.values[0]
        if factor == 1:
            return first
        values = tuple(a * factor for a in first.values)
        return _simplest(values, "*", (first, Traced((factor, factor), "number", (factor,))))

    def __truediv__(self, other: Scalar) -> Scalar:
        right = _traced(other)
        if right is None:
            return NotImplemented
        if right.operation == "number":
            return self._scaled(Fraction(1) / right.values[0])
        values = tuple(a / b for a, b in zip(self.values, right.values, strict=True))
        return _simplest(values, "/", (self, right))

    def __rtruediv__(self, other: Scalar) -> Scalar:
        first = _traced(other)
        return NotImplemented if first is None else first / self

    def __pow__(self, exponent: int) -> Scalar:
        base: Scalar = self if exponent >= 0 else 1 / self
        result: Scalar = Fraction(1)
        for _ in range(abs(exponent)):
            result = base * result
        return result

    def walk(self) -> Iterator[Traced]:
        """Every distinct node below and including this one."""
        seen: set[int] = set()
        stack = [self]
        while stack:
            node = stack.pop()
            if id(node) not in seen:
                seen.add(id(node))
                yield node
                stack += [part for part in node.parts if isinstance(part, Traced)]

    def __repr__(self) -> str:
        """Its symbols and values; `rational.spell` writes it out in lowest terms."""
        shown = ", ".join(map(str, self.values))
        return f"<in {', '.join(sorted(symbols_of(self)))}: {shown} at the generic points>"


def symbol(name: str, values: tuple[Scalar, ...]) -> Traced:
    """A named quantity with its values at the generic points.

    >>> x = symbol("x", (Fraction(3), Fraction(5)))
    >>> (x * x - 1) / (x - 1) - x
    Fraction(1, 1)
    """
    return Traced(values, "symbol", (name,))


def _traced(value: Scalar) -> Traced | None:
    if isinstance(value, Traced):
        return value
    if isinstance(value, int | Fraction) or type(value).__name__ == "Surd":
        return Traced((value, value), "number", (value,))
    return None


def _simplest(values: tuple[Scalar, ...], operation: str, parts: tuple[Traced, ...]) -> Scalar:
    if all(value == values[0] for value in values):
        return values[0]
    return Traced(values, operation, parts)


def symbols_of(value: Scalar) -> set[str]:
    """Names that a coefficient depends on."""
    if not isinstance(value, Traced):
        return set()
    return {str(node.parts[0]) for node in value.walk() if node.operation == "symbol"}
