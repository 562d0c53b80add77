"""Symbolic coefficients that know their value at generic points.

A `Traced` number is an unexpanded expression in step ratios, parameters and jets, carried together
with its exact rational value at two random points. What vanishes at both points is dropped at once,
and what agrees at both is a constant (Schwartz-Zippel: a wrong verdict needs a polynomial of degree
d to vanish at two random points out of 1.5·10⁶ per variable at once). So expressions stay small
although nothing is ever expanded; `canonical` in the module `rational` expands what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from operator import add, mul, truediv
from typing import TYPE_CHECKING, cast

from .scalar import Scalar

try:
    from flint import fmpq as quick
except ImportError:  # pragma: no cover - depends on what is installed
    if not TYPE_CHECKING:
        quick = Fraction

RATIONAL: type = quick  # of which values are where they are no surds


class Traced:
    """An exact expression with its values at generic points.

    Args:
        values: the values at the points, fractions of python-flint where that is installed.
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
        if right.operation == "number" and not right.values[0]:
            return self
        return _simplest(_each(add, self.values, right.values), "+", (self, right))

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
        return _simplest(_each(mul, self.values, right.values), "*", (self, right))

    def __rmul__(self, other: Scalar) -> Scalar:
        return self * other

    def _scaled(self, factor: Scalar) -> Scalar:
        first = self
        if self.operation == "*":
            left, right = cast(tuple[Traced, Traced], self.parts)
            if right.operation == "number":
                first, (factor,) = left, _each(mul, (factor,), right.values[:1])
        if factor == 1:
            return first
        values = _each(mul, first.values, (factor, factor))
        return _simplest(values, "*", (first, Traced((factor, factor), "number", (factor,))))

    def __truediv__(self, other: Scalar) -> Scalar:
        right = _traced(other)
        if right is None:
            return NotImplemented
        if right.operation == "number":
            return self._scaled(1 / right.values[0])
        return _simplest(_each(truediv, self.values, right.values), "/", (self, right))

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
    return Traced(tuple(map(_quick, values)), "symbol", (name,))


def _traced(value: Scalar) -> Traced | None:
    if isinstance(value, Traced):
        return value
    if isinstance(value, int | Fraction) or type(value).__name__ == "Surd":
        known = _quick(value)
        return Traced((known, known), "number", (known,))
    return None


def plain(value: Scalar) -> Scalar:
    """A value of a `Traced` number as a `Fraction` or a `Surd`."""
    if isinstance(value, Fraction) or not isinstance(value, RATIONAL):
        return value
    exact = cast(quick, value)
    return Fraction(int(exact.p), int(exact.q))


def _quick(value: Scalar) -> Scalar:
    if isinstance(value, int | Fraction):
        return cast(Scalar, quick(value.numerator, value.denominator))
    return value


def _each(
    operation: Callable[[Scalar, Scalar], Scalar],
    left: tuple[Scalar, ...],
    right: tuple[Scalar, ...],
) -> tuple[Scalar, ...]:
    """An operation at each point; surds know the fractions of Python alone."""
    return tuple(
        operation(a, b)
        if type(a) is RATIONAL and type(b) is RATIONAL
        else _quick(operation(plain(a), plain(b)))
        for a, b in zip(left, right, strict=True)
    )


def _simplest(values: tuple[Scalar, ...], operation: str, parts: tuple[Traced, ...]) -> Scalar:
    if all(value == values[0] for value in values):
        return plain(values[0])
    return Traced(values, operation, parts)


def symbols_of(value: Scalar) -> set[str]:
    """Names that a coefficient depends on."""
    if not isinstance(value, Traced):
        return set()
    return {str(node.parts[0]) for node in value.walk() if node.operation == "symbol"}
