"""The value of an expression in any ring: floats, mpmath numbers, power series, sympy."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol, cast

from sympy import Expr

from ..errors import ExpressionError
from .arithmetic import (
    BINDERS,
    children,
    fraction_of,
    function_name,
    split,
    symbols,
    terms_of,
)
from .binders import BOUND, Applied
from .functions import PLACE
from .printing import show

Functions = Mapping[str, Callable[..., Any]]


def evaluate(
    expr: Expr,
    values: Mapping[str, Any],
    functions: Functions,
    number: Callable[[Fraction], Any],
    kept: dict[Reading, Any] | None = None,
) -> Any:
    """The value of an expression in a ring.

    Args:
        expr: the expression.
        values: the ring's value of every symbol.
        functions: the ring's functions; ``phi`` is called as ``phi(k, z)`` with an int k, ``integral``
            as ``integral(f, low, high)`` with a function f, ``riemann`` with an int count besides.
        number: the ring's image of an exact rational.
        kept: values of functions under the same symbols and functions; new ones are added.

    Raises:
        KeyError: a symbol or function has no value.
    """
    return read(expr).value(_Ring(values, functions, number, kept))


@dataclass(frozen=True, slots=True)
class _Ring:
    """The arguments of `evaluate`, at which every part of an expression is taken."""

    values: Mapping[str, Any]
    functions: Functions
    number: Callable[[Fraction], Any]
    kept: dict[Reading, Any] | None

    def inside(self, integrand: Reading) -> Callable[[Any], Any]:
        """An expression in the bound variable as a function of it."""
        values = cast(dict[str, Any], self.values)
        return lambda x: integrand.value(replace(self, values=ChainMap({BOUND.name: x}, values)))


class Reading(Protocol):
    """An expression as it is evaluated.

    sympy is asked once what an expression consists of: rings take the same weights at many sites.
    Equal expressions have one reading, by whose identity values are kept.
    """

    def value(self, ring: _Ring) -> Any:
        """The value in a ring."""


@lru_cache(1 << 16)
def read(node: Expr) -> Reading:
    """The reading of an expression.

    Raises:
        TypeError: it is not an expression of the spec language.
    """
    if node.is_Symbol:
        return _Symbol(node.name)
    if node.is_Rational:
        return _Number(fraction_of(node))
    if node.is_Add:
        return _Sum(tuple(map(read, terms_of(node))))
    if node.is_Mul:
        coefficient, factors = split(node)
        return _Product(coefficient, tuple(map(read, factors)))
    if node.is_Pow:
        exponent = node.exp
        if exponent.is_Integer:
            return _Power(read(node.base), int(exponent))
        if (2 * exponent).is_Integer:
            return _Root(read(node.base), int(2 * exponent))
        return _RealPower(read(node.base), read(exponent))
    name = "" if isinstance(node, Applied) else function_name(node)
    if isinstance(node, Applied):
        found: Reading = _Named(read(node.argument), read(node.body))
    elif not name:
        raise TypeError(f"not an expression of the spec language: {type(node).__name__}")
    elif name in BINDERS:
        integrand, low, high, *count = children(node)
        found = _Bound(tuple(map(int, count)), (read(low), read(high)), read(integrand), name, node)
    else:
        found = _Call(_arguments(name, children(node)), name)
    return found if BOUND.name in symbols(node) else _Kept(found)


def _arguments(name: str, args: tuple[Expr, ...]) -> tuple[Reading | int, ...]:
    """Arguments of a function: of φ the index, of coordinates power and number are integers."""
    place = 1 if name == "phi" else PLACE.get(name)
    return tuple(read(a) if place in (None, k) else int(a) for k, a in enumerate(args))


class _Node:
    """A reading and its parts; plain classes, since a dozen dataclasses take 9 ms to make."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, *parts: Any) -> None:
        for name, part in zip(self.__slots__, parts, strict=True):
            setattr(self, name, part)


class _Symbol(_Node):
    __slots__ = ("name",)

    name: str

    def value(self, ring: _Ring) -> Any:
        return ring.values[self.name]


class _Number(_Node):
    __slots__ = ("exact",)

    exact: Fraction

    def value(self, ring: _Ring) -> Any:
        return ring.number(self.exact)


class _Sum(_Node):
    __slots__ = ("terms",)

    terms: tuple[Reading, ...]

    def value(self, ring: _Ring) -> Any:
        total = self.terms[0].value(ring)
        for term in self.terms[1:]:
            total = total + term.value(ring)
        return total


class _Product(_Node):
    __slots__ = ("factors", "number")

    factors: tuple[Reading, ...]
    number: Fraction | None

    def __init__(self, coefficient: Fraction, factors: tuple[Reading, ...]) -> None:
        self.factors = factors
        self.number = None if coefficient == 1 else coefficient

    def value(self, ring: _Ring) -> Any:
        product = self.factors[0].value(ring)
        for factor in self.factors[1:]:
            product = product * factor.value(ring)
        return product if self.number is None else ring.number(self.number) * product


class _Power(_Node):
    __slots__ = ("base", "exponent")

    base: Reading
    exponent: int

    def value(self, ring: _Ring) -> Any:
        return self.base.value(ring) ** self.exponent


class _Root(_Node):
    """A power of the square root."""

    __slots__ = ("base", "exponent")

    base: Reading
    exponent: int

    def value(self, ring: _Ring) -> Any:
        return ring.functions["sqrt"](self.base.value(ring)) ** self.exponent


class _RealPower(_Node):
    """Any other power; sympy makes roots of its own from logarithms and exponentials."""

    __slots__ = ("base", "exponent")

    base: Reading
    exponent: Reading

    def value(self, ring: _Ring) -> Any:
        logarithm = ring.functions["log"](self.base.value(ring))
        return ring.functions["exp"](self.exponent.value(ring) * logarithm)


class _Kept(_Node):
    """A function that has the same value wherever it stands."""

    __slots__ = ("inner",)

    inner: Reading

    def value(self, ring: _Ring) -> Any:
        kept = ring.kept
        if kept is None:
            return self.inner.value(ring)
        if self not in kept:
            kept[self] = self.inner.value(ring)
        return kept[self]


class _Named(_Node):
    """A function of x that has a name."""

    __slots__ = ("argument", "body")

    argument: Reading
    body: Reading

    def value(self, ring: _Ring) -> Any:
        return ring.inside(self.body)(self.argument.value(ring))


class _Call(_Node):
    __slots__ = ("arguments", "name")

    arguments: tuple[Reading | int, ...]
    name: str

    def value(self, ring: _Ring) -> Any:
        args = [a if isinstance(a, int) else a.value(ring) for a in self.arguments]
        return ring.functions[self.name](*args)


class _Bound(_Node):
    """An integral or a Riemann sum."""

    __slots__ = ("count", "ends", "integrand", "name", "node")

    count: tuple[int, ...]
    ends: tuple[Reading, Reading]
    integrand: Reading
    name: str
    node: Expr

    def value(self, ring: _Ring) -> Any:
        try:
            ends = [end.value(ring) for end in self.ends]
            return ring.functions[self.name](ring.inside(self.integrand), *ends, *self.count)
        except (ArithmeticError, ValueError) as error:
            raise ExpressionError(
                f"{show(self.node)}: {show(children(self.node)[0])} is singular at an end or between "
                "the ends, so that nothing can be proved of it; write it in closed form, or with ends where the integrand is smooth"
            ) from error


def left_sum(f: Callable[[Any], Any], low: Any, high: Any, count: int) -> Any:
    """The left Riemann sum of a function over equal parts, in any ring."""
    part = (high - low) / count
    return part * sum((f(low + k * part) for k in range(1, count)), f(low))
