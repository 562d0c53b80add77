"""The value of an expression in any ring: floats, mpmath numbers, power series, sympy."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

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


def evaluate(
    expr: Expr,
    values: Mapping[str, Any],
    functions: Mapping[str, Callable[..., Any]],
    number: Callable[[Fraction], Any],
    kept: dict[Expr, Any] | None = None,
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
    return _Ring(values, functions, number, kept).value(expr)


@dataclass(frozen=True)
class _Ring:
    """The arguments of `evaluate`, at which every part of an expression is taken."""

    values: Mapping[str, Any]
    functions: Mapping[str, Callable[..., Any]]
    number: Callable[[Fraction], Any]
    kept: dict[Expr, Any] | None

    def value(self, node: Expr) -> Any:
        """The value of an expression, from what is kept where it is there."""
        kept = self.kept
        if kept is None or node.is_Symbol or node.is_Rational or not _worth_keeping(node):
            return self.fresh(node)
        if node not in kept:
            kept[node] = self.fresh(node)
        return kept[node]

    def fresh(self, node: Expr) -> Any:
        """The value of an expression, computed anew."""
        if node.is_Symbol:
            return self.values[node.name]
        if node.is_Rational:
            return self.number(fraction_of(node))
        if node.is_Add:
            first, *others = terms_of(node)
            total = self.value(first)
            for term in others:
                total = total + self.value(term)
            return total
        if node.is_Mul:
            coefficient, factors = split(node)
            if not factors:
                return self.number(coefficient)
            product = self.value(factors[0])
            for factor in factors[1:]:
                product = product * self.value(factor)
            return product if coefficient == 1 else self.number(coefficient) * product
        if node.is_Pow:
            return self.raised(node.base, node.exp)
        if isinstance(node, Applied):
            return self.inside(node.body)(self.value(node.argument))
        name = function_name(node)
        if not name:
            raise TypeError(f"not an expression of the spec language: {type(node).__name__}")
        if name in BINDERS:
            return self.bound(node, name)
        return self.functions[name](*self.arguments(name, children(node)))

    def raised(self, base: Expr, exponent: Expr) -> Any:
        """A power; sympy makes roots of its own from logarithms and exponentials."""
        if exponent.is_Integer:
            return self.value(base) ** int(exponent)
        if (2 * exponent).is_Integer:
            return self.functions["sqrt"](self.value(base)) ** int(2 * exponent)
        logarithm = self.functions["log"](self.value(base))
        return self.functions["exp"](self.value(exponent) * logarithm)

    def bound(self, node: Expr, name: str) -> Any:
        """The value of an integral or a Riemann sum.

        Raises:
            ExpressionError: its integrand is singular between its ends.
        """
        try:
            return self.functions[name](*self.arguments(name, children(node)))
        except (ArithmeticError, ValueError) as error:
            raise ExpressionError(
                f"{show(node)}: {show(children(node)[0])} is singular at an end or between "
                "the ends, so that nothing can be proved of it; write it in closed form, or with ends where the integrand is smooth"
            ) from error

    def arguments(self, name: str, args: tuple[Expr, ...]) -> list[Any]:
        """The arguments of a function as the ring's own takes them: integers and functions of x too."""
        if name == "phi":
            return [int(args[0]), self.value(args[1])]
        if name in PLACE:  # a power and the number of a coordinate beside the place
            return [self.value(a) if k == PLACE[name] else int(a) for k, a in enumerate(args)]
        if name in BINDERS:
            integrand, low, high, *count = args
            return [self.inside(integrand), self.value(low), self.value(high), *map(int, count)]
        return [self.value(arg) for arg in args]

    def inside(self, integrand: Expr) -> Callable[[Any], Any]:
        """An expression in the bound variable as a function of it."""
        values = cast(dict[str, Any], self.values)
        return lambda x: replace(self, values=ChainMap({BOUND.name: x}, values)).value(integrand)


@lru_cache(1 << 16)
def _worth_keeping(node: Expr) -> bool:
    """Whether an expression is a function that has the same value wherever it stands."""
    function = isinstance(node, Applied) or bool(function_name(node))
    return function and BOUND.name not in symbols(node)


def left_sum(f: Callable[[Any], Any], low: Any, high: Any, count: int) -> Any:
    """The left Riemann sum of a function over equal parts, in any ring."""
    part = (high - low) / count
    return part * sum((f(low + k * part) for k in range(1, count)), f(low))
