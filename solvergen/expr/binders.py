"""Expressions with a bound variable x: integrals, Riemann sums and functions that have a name."""

from __future__ import annotations

from typing import Any, Self

from sympy import (
    Expr,
    Integral,
    S,
    Symbol,
    Tuple,
)
from sympy.core.symbol import Str

from .functions import lift

BOUND = Symbol("x")  # the variable of an integral, which means nothing outside


def integral(integrand: Expr, low: Expr, high: Expr) -> Expr:
    """∫ f dx between two ends, f an expression in the symbol ``x``."""
    return Integral(integrand, (BOUND, low, high))


class riemann(Expr):
    """The left Riemann sum of an expression in ``x`` over equal parts of an interval.

    >>> x, h = Symbol("x"), Symbol("h")
    >>> riemann(x * h, 0, h, 2).doit()
    h**3/4
    """

    def __new__(cls, integrand: Expr, *rest: Any) -> Self:
        """From (f, low, high, count), or from its own arguments (f, (x, low, high), count)."""
        ends, count = rest if len(rest) == 2 else ((BOUND, *rest[:2]), rest[2])
        inside = Tuple(BOUND, *map(lift, ends[1:]))
        made: Self = Expr.__new__(cls, lift(integrand), inside, lift(count))
        return made

    @property
    def parts(self) -> tuple[Expr, Expr, Expr, Expr]:
        """Integrand, lower end, upper end and count."""
        integrand, (_, low, high), count = self.args
        return integrand, low, high, count

    @property
    def free_symbols(self) -> set[Symbol]:
        """Those of the ends and of the integrand, its variable apart."""
        integrand, low, high, _ = self.parts
        inside = integrand.free_symbols - {BOUND}
        return inside.union(low.free_symbols, high.free_symbols)

    def _eval_subs(self, old: Expr, new: Expr) -> Expr:
        integrand, low, high, count = self.parts
        inside = integrand if old == BOUND else integrand._subs(old, new)
        return riemann(inside, low._subs(old, new), high._subs(old, new), count)

    def doit(self, **hints: Any) -> Expr:
        """The sum, written out."""
        integrand, low, high, count = self.parts
        part = (high - low) / count
        places = (low + k * part for k in range(int(count)))
        return part * sum((integrand.subs(BOUND, at) for at in places), S.Zero)

    def _eval_derivative(self, s: Symbol) -> Expr:
        return self.doit().diff(s)

    def _eval_evalf(self, prec: int) -> Expr | None:
        return self.doit()._eval_evalf(prec)


class Applied(Expr):
    """A function of x that has a name, at an argument; its body is an expression in x alone.

    >>> x, h = Symbol("x"), Symbol("h")
    >>> Applied("f", 2 * h, x**2 + 1).diff(h)
    8*h
    """

    def __new__(cls, name: str | Str, argument: Expr, body: Expr) -> Self:
        label = name if isinstance(name, Str) else Str(name)
        made: Self = Expr.__new__(cls, label, lift(argument), lift(body))
        return made

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self.args[0].name)

    @property
    def argument(self) -> Expr:
        """Where it is taken."""
        return self.args[1]

    @property
    def body(self) -> Expr:
        """The function as an expression in x."""
        return self.args[2]

    @property
    def free_symbols(self) -> set[Symbol]:
        """Those of the argument."""
        return set(self.argument.free_symbols)

    def _eval_subs(self, old: Expr, new: Expr) -> Expr:
        return Applied(self.name, self.argument._subs(old, new), self.body)

    def doit(self, **hints: Any) -> Expr:
        """The body at the argument."""
        return self.body.subs(BOUND, self.argument).doit(**hints)

    def _eval_derivative(self, s: Symbol) -> Expr:
        inner = self.argument.diff(s)
        return self.body.diff(BOUND).subs(BOUND, self.argument) * inner

    def _eval_evalf(self, prec: int) -> Expr | None:
        return self.body.subs(BOUND, self.argument)._eval_evalf(prec)

    def _sympystr(self, printer: Any) -> str:
        return f"{self.name}({printer._print(self.argument)})"
