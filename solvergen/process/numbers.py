"""The value of a sympy expression at a time, in mpmath's precision and without `lambdify`."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add, mul
from typing import Any

import mpmath
import sympy as sp

from ..expr.time import T

Function = Callable[[Any], Any]
LARGEST = 10**8
# sympy's names are mpmath's for these; anything else goes through sympy's own evalf.
SAME = {
    "exp", "log", "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "acot", "sinh",
    "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "erfi",
}  # fmt: skip


def function_of(expr: sp.Expr, variable: sp.Symbol = T) -> Function:
    """The function that an expression in one symbol is.

    Returns:
        A function of a number, which computes in mpmath's current precision.

    >>> print(function_of(sp.sqrt(T) + sp.Rational(1, 4))(mpmath.mpf(4)))
    2.25
    """
    if expr == variable:
        return lambda x: x
    if not expr.has(variable):
        return lambda x: _number(expr)
    parts = [function_of(part, variable) for part in expr.args if not isinstance(part, sp.Tuple)]
    if isinstance(expr, sp.Add | sp.Mul):
        combine = add if isinstance(expr, sp.Add) else mul
        return lambda x: reduce(combine, [part(x) for part in parts])
    if isinstance(expr, sp.Pow):
        base, exponent = parts
        if expr.exp.is_Integer:
            whole = int(expr.exp)
            return lambda x: base(x) ** whole
        return lambda x: mpmath.power(base(x), exponent(x))
    name = type(expr).__name__
    if name in SAME and len(parts) == 1:
        function, inner = getattr(mpmath, name), parts[0]
        return lambda x: function(_ordinary(inner(x)))
    if isinstance(expr, sp.Integral) and len(expr.limits) == 1 and len(expr.limits[0]) == 3:
        bound, low, high = expr.limits[0]
        integrand = function_of(expr.function, bound)
        ends = function_of(low, variable), function_of(high, variable)
        return lambda x: mpmath.quad(integrand, [ends[0](x), ends[1](x)])
    return lambda x: _number(expr.subs(variable, sp.Float(x, mpmath.mp.dps)))


def _ordinary(x: Any) -> Any:
    """An argument whose exponential is a number that can be written down."""
    if abs(x) > LARGEST:
        raise OverflowError(f"a function at {mpmath.nstr(x, 5)}")
    return x


def _number(expr: sp.Expr) -> Any:
    value = expr.evalf(mpmath.mp.dps)
    return mpmath.mpf(value) if value.is_real else mpmath.mpmathify(value)
