"""The value of an expression in any ring: floats, mpmath numbers, power series, sympy."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, cast

from ..errors import ExpressionError
from .show import show
from .substitution import symbols
from .tree import BINDERS, BOUND, Applied, Call, Expr, Number, Power, Product, Sum, Symbol


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
        if self.kept is None or not _worth_keeping(node):
            return self.fresh(node)
        if node not in self.kept:
            self.kept[node] = self.fresh(node)
        return self.kept[node]

    def fresh(self, node: Expr) -> Any:
        """The value of an expression, computed anew."""
        match node:
            case Number(exact):
                return self.number(exact)
            case Symbol(name):
                return self.values[name]
            case Power(base, exponent):
                return self.value(base) ** exponent
            case Product(coefficient, factors):
                result = self.value(factors[0])
                for factor in factors[1:]:
                    result = result * self.value(factor)
                return result if coefficient == 1 else self.number(coefficient) * result
            case Sum(terms):
                result = self.value(terms[0])
                for term in terms[1:]:
                    result = result + self.value(term)
                return result
            case Applied(_, argument, body):
                return self.inside(body)(self.value(argument))
            case Call(name, _) if name in BINDERS:
                return self.bound(node)
            case Call(name, args):
                return self.functions[name](*self.arguments(name, args))
        raise TypeError(f"not an expression: {node!r}")

    def bound(self, node: Call) -> Any:
        """The value of an integral or a Riemann sum.

        Raises:
            ExpressionError: its integrand is singular between its ends.
        """
        try:
            return self.functions[node.name](*self.arguments(node.name, node.args))
        except (ArithmeticError, ValueError) as error:
            raise ExpressionError(
                f"{show(node)}: {show(node.args[0])} is singular at an end or between "
                "the ends, so that nothing can be proved of it; write it in closed form, or with ends where the integrand is smooth"
            ) from error

    def arguments(self, name: str, args: tuple[Expr, ...]) -> list[Any]:
        """The arguments of a function as the ring's own takes them: integers and functions of x too."""
        match args:
            case (Number(index), *rest) if name in ("phi", "moment"):
                return [int(index), *map(self.value, rest)]
            case (integrand, low, high, *count) if name in BINDERS:
                counts = [int(n.value) for n in count if isinstance(n, Number)]
                return [self.inside(integrand), self.value(low), self.value(high), *counts]
        return [self.value(arg) for arg in args]

    def inside(self, integrand: Expr) -> Callable[[Any], Any]:
        """An expression in the bound variable as a function of it."""
        values = cast(dict[str, Any], self.values)
        return lambda x: replace(self, values=ChainMap({BOUND.name: x}, values)).value(integrand)


def _worth_keeping(node: Expr) -> bool:
    """Whether an expression is a function that has the same value wherever it stands."""
    return isinstance(node, (Applied, Call)) and BOUND.name not in symbols(node)


def left_sum(f: Callable[[Any], Any], low: Any, high: Any, count: int) -> Any:
    """The left Riemann sum of a function over equal parts, in any ring."""
    part = (high - low) / count
    return part * sum((f(low + k * part) for k in range(1, count)), f(low))
