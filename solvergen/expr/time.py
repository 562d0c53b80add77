"""Expressions in the time t of a noise process: their names, their functions, their meaning in sympy."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from ..errors import ExpressionError
from .functions import log, log1p

T = sp.Symbol("t", positive=True)
PI = sp.Symbol("pi", positive=True)  # π while it is read: sympy would evaluate numbers made of it
NAMES = {"t": T, "pi": PI}


def _of_a_variable(function: type[sp.Function]) -> Callable[[sp.Expr], sp.Expr]:
    """The function, refused at numbers: sympy evaluates those to compare them, and may not end."""

    def applied(z: sp.Expr) -> sp.Expr:
        if not z.free_symbols and not z.is_zero:
            raise ExpressionError(f"{function.__name__} of the number {z}; write its value instead")
        return function(z)

    return applied


# What an expression in t may call besides exp, expm1 and sqrt.
FUNCTIONS: dict[str, Callable[..., sp.Expr]] = {
    "log": log,
    "log1p": log1p,
    **{
        function.__name__: _of_a_variable(function)
        for function in (sp.sin, sp.cos, sp.tan, sp.atan, sp.sinh, sp.cosh, sp.tanh)
    },
}


def in_sympy(read: sp.Expr) -> sp.Expr:
    """An expression that was read, in sympy's own functions and with sympy's π.

    >>> in_sympy(sp.sin(PI * T / 2) + log1p(T))
    log(t + 1) + sin(pi*t/2)
    """
    return read.doit().xreplace({PI: sp.pi})
