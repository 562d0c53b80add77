"""The functions of the spec language that sympy lacks, or keeps in another form, as sympy Functions.

``exp`` and ``integral`` (`sympy.Integral`) are sympy's own. The others never change their shape by
themselves: ``sqrt(2*h)`` stays one root, as it is computed in an emitted file; ``.doit()`` turns them
into sympy's.
"""

from __future__ import annotations

from fractions import Fraction
from math import factorial
from typing import Any

import mpmath
import sympy
from sympy import (
    Expr,
    Function,
    Min,
    Piecewise,
    Pow,
    Rational,
    S,
    Symbol,
    exp,
)


class phi(Function):
    """φ_k(z) = ∫₀¹ e^{(1−t)z} t^{k−1}/(k−1)! dt, with φ_0 = exp and φ_k(0) = 1/k!.

    >>> h = Symbol("h")
    >>> phi(2, h).diff(h)
    (phi(1, h) - 2*phi(2, h))/h
    >>> phi(1, -h).series(h, 0, 3)
    1 - h/2 + h**2/6 + O(h**3)
    >>> phi(3, 0), phi(1, 1).rewrite(exp), phi(1, 1).n(8)
    (1/6, -1 + E, 1.7182818)
    """

    nargs = 2

    @classmethod
    def eval(cls, k: Expr, z: Expr) -> Expr | None:
        """exp for k = 0, the limit at z = 0."""
        if not (k.is_Integer and k >= 0):
            raise ValueError(f"phi needs a whole index from 0 up, found {k}")
        if k.is_zero:
            return exp(z)
        return Rational(1, factorial(int(k))) if z.is_zero else None

    def fdiff(self, argindex: int = 2) -> Expr:
        """z φ_k' = φ_{k−1} − k φ_k."""
        k, z = self.args
        return (phi(k - 1, z) - k * phi(k, z)) / z

    def _eval_rewrite_as_exp(self, k: Expr, z: Expr, **hints: Any) -> Expr:
        value = exp(z)
        for j in range(int(k)):
            value = (value - Rational(1, factorial(j))) / z
        return value

    def _eval_evalf(self, prec: int) -> Expr | None:
        k, z = self.args
        with mpmath.workprec(prec + 10):
            at = z._to_mpmath(prec + 10)
            value = mpmath.hyp1f1(1, int(k) + 1, at) / factorial(int(k))
        return Expr._from_mpmath(value, prec)

    def _eval_nseries(self, x: Symbol, n: int, logx: Expr | None, cdir: int = 0) -> Expr:
        k, z = self.args
        start = z.limit(x, 0)
        if not start.is_zero:
            return self.rewrite(exp)._eval_nseries(x, n, logx=logx, cdir=cdir)
        terms = (z**j / factorial(j + int(k)) for j in range(max(n, 1) + 1))
        return sum(terms, S.Zero)._eval_nseries(x, n, logx=logx, cdir=cdir)

    def _eval_as_leading_term(self, x: Symbol, logx: Expr | None = None, cdir: int = 0) -> Expr:
        k, z = self.args
        if z.limit(x, 0).is_zero:
            return Rational(1, factorial(int(k)))
        return self.rewrite(exp).as_leading_term(x, logx=logx, cdir=cdir)

    def _eval_is_finite(self) -> bool | None:
        return self.args[1].is_finite

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        k, z = self.args
        shown = rf"\varphi_{{{printer._print(k)}}}\left({printer._print(z)}\right)"
        return f"{shown}^{{{exp}}}" if exp else shown

    def _pretty(self, printer: Any) -> Any:
        k, z = self.args
        return printer._print(Function(f"phi_{k}")(z))


class _Elementary(Function):
    """A function of one number that sympy knows in another form."""

    nargs = 1

    def in_sympy(self) -> Expr:
        """The same value in sympy's own functions."""
        raise NotImplementedError

    def fdiff(self, argindex: int = 1) -> Expr:
        """The derivative by the argument."""
        raise NotImplementedError

    def doit(self, **hints: Any) -> Expr:
        """The same value in sympy's own functions."""
        return self.in_sympy().doit(**hints)

    def _eval_rewrite(self, rule: Any, args: Any, **hints: Any) -> Expr:
        return self.in_sympy()

    def _eval_evalf(self, prec: int) -> Expr | None:
        return self.in_sympy()._eval_evalf(prec)

    def _eval_nseries(self, x: Symbol, n: int, logx: Expr | None, cdir: int = 0) -> Expr:
        return self.in_sympy()._eval_nseries(x, n, logx=logx, cdir=cdir)

    def _eval_as_leading_term(self, x: Symbol, logx: Expr | None = None, cdir: int = 0) -> Expr:
        return self.in_sympy().as_leading_term(x, logx=logx, cdir=cdir)


class expm1(_Elementary):
    """e^z − 1, to be computed without cancellation.

    >>> h = Symbol("h")
    >>> expm1(2 * h).diff(h), expm1(h).series(h, 0, 3)
    (2*exp(2*h), h + h**2/2 + O(h**3))
    """

    @classmethod
    def eval(cls, z: Expr) -> Expr | None:
        """0 at 0."""
        return S.Zero if z.is_zero else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """e^z."""
        return exp(self.args[0])

    def in_sympy(self) -> Expr:
        """exp(z) − 1."""
        return exp(self.args[0]) - 1


class log1p(_Elementary):
    """log(1 + z), to be computed without cancellation.

    >>> log1p(Symbol("h")).diff(), log1p(1).n(6)
    (1/(h + 1), 0.693147)
    """

    @classmethod
    def eval(cls, z: Expr) -> Expr | None:
        """0 at 0."""
        return S.Zero if z.is_zero else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """1/(1 + z)."""
        return 1 / (1 + self.args[0])

    def in_sympy(self) -> Expr:
        """log(1 + z)."""
        return sympy.log(1 + self.args[0])


class log(_Elementary):
    """A logarithm that an exponential around it does not take apart.

    >>> exp(3 * log(Symbol("x")) / 10), log(Symbol("x")).diff()
    (exp(3*log(x)/10), 1/x)
    """

    def fdiff(self, argindex: int = 1) -> Expr:
        """1/z."""
        return 1 / self.args[0]

    def in_sympy(self) -> Expr:
        """sympy's log."""
        return sympy.log(self.args[0])


class sqrt(_Elementary):
    """A square root that is not taken apart: sqrt(2*h) is not a product of two roots.

    >>> h = Symbol("h")
    >>> sqrt(2 * h), sqrt(2 * h) ** 2, sqrt(h).diff(h), sqrt(2).n(6)
    (sqrt(2*h), 2*h, 1/(2*sqrt(h)), 1.41421)
    """

    def fdiff(self, argindex: int = 1) -> Expr:
        """1/(2 √z)."""
        return 1 / (2 * self)

    def _eval_power(self, exponent: Expr) -> Expr | None:
        return self.args[0] ** (exponent / 2) if exponent.is_even else None

    def in_sympy(self) -> Expr:
        """z to the power 1/2."""
        return Pow(self.args[0], S.Half)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        shown = rf"\sqrt{{{printer._print(self.args[0])}}}"
        return f"{shown}^{{{exp}}}" if exp else shown


class minimum(Function):
    """The smaller of two numbers, ``min`` in a spec."""

    nargs = 2

    def doit(self, **hints: Any) -> Expr:
        """sympy's Min, which is symmetric in its arguments."""
        return Min(*(arg.doit(**hints) for arg in self.args))

    def _eval_evalf(self, prec: int) -> Expr | None:
        return Min(*self.args)._eval_evalf(prec)

    def _eval_rewrite(self, rule: Any, args: Any, **hints: Any) -> Expr:
        return Min(*args)


class between(Function):
    """1 where low ≤ x ≤ high and 0 elsewhere: ``between(low, x, high)``."""

    nargs = 3

    def doit(self, **hints: Any) -> Expr:
        """The same as a Piecewise."""
        low, value, high = self.args
        return Piecewise((1, (low <= value) & (value <= high)), (0, True))

    def _eval_evalf(self, prec: int) -> Expr | None:
        return self.doit()._eval_evalf(prec)

    def _eval_derivative(self, s: Symbol) -> Expr:
        return S.Zero


class _OfTheStep(Function):
    """A function of a further coordinate y(λ) of the solver: it has a value on a grid only.

    The last argument is the coordinate's number, left out for the first of them.
    """

    def _eval_evalf(self, prec: int) -> None:
        return None


class moment(_OfTheStep):
    """``moment(m, c)``: ∫ Y^m d(clock) up to the fraction c of the step, per clock step."""

    nargs = (2, 3)


class offset(_OfTheStep):
    """``offset(c)``: Y = (y − y_n)/(y_{n+1} − y_n) at the fraction c of the step in λ."""

    nargs = (1, 2)


class fraction(_OfTheStep):
    """``fraction(c)``: where in the step, as a fraction of it in λ, Y = c."""

    nargs = (1, 2)


class slope(_OfTheStep):
    """``slope(c)``: d(clock)/dY at the fraction c of the step in λ, per clock step."""

    nargs = (1, 2)


PLACE = {"moment": 1, "offset": 0, "fraction": 0, "slope": 0}  # which argument is c


def in_coordinate(kind: type[_OfTheStep], number: int, *args: object) -> Expr:
    """A function of the further coordinate of this number.

    >>> in_coordinate(moment, 1, 0, Symbol("c")), in_coordinate(offset, 2, Symbol("c"))
    (moment(0, c), offset(c, 2))
    """
    return kind(*args, *([number] if number > 1 else []))


def number_of(call: Expr) -> int:
    """The number of the further coordinate that a function is one of.

    >>> number_of(slope(Symbol("c"))), number_of(slope(Symbol("c"), 3))
    (1, 3)
    """
    number = call.args[PLACE[type(call).__name__] + 1 :]
    return int(number[0]) if number else 1


def lift(value: object) -> Expr:
    """A sympy expression from an exact number; expressions pass through.

    Raises:
        TypeError: anything else. sympy would execute a string, and a float is not exact.
    """
    if isinstance(value, Expr):
        return value
    if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
        return Rational(value.numerator, value.denominator)
    raise TypeError(f"not an exact number or expression: {type(value).__name__}")
