"""Expressions in t from strings: parsed through the allow-list, never handed to sympy as text."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from fractions import Fraction

import sympy as sp

from ..errors import ExpressionError
from ..expr.arithmetic import function_name, symbols, walk
from ..expr.evaluation import evaluate
from ..expr.parse import parse
from ..expr.time import FUNCTIONS, NAMES, PI, T, in_sympy

CALLS = {"exp", "expm1", "sqrt", *FUNCTIONS}
FLOATS: dict[str, Callable[..., float]] = {name: getattr(math, name) for name in CALLS}
MAX_PARAMETERS = 12


def expression(text: str | sp.Expr | int | Fraction, where: str = "expression") -> sp.Expr:
    """An expression in t; every other name in it is a positive parameter, and pi is π.

    Args:
        text: a string in the language of specs with sin, cos, tan, atan, sinh, cosh, tanh and log
            besides; or a sympy expression, whose symbol named ``t`` is taken as the time.
        where: what the expression is, for messages.

    Raises:
        ExpressionError: anything that is not on the allow-list; it shows the place in the text.

    >>> expression("exp(-t/2)")
    exp(-t/2)
    >>> expression("1 - sin(pi*t/2)")
    1 - sin(pi*t/2)
    """
    if isinstance(text, sp.Basic):
        return _adopted(text, where)
    if isinstance(text, int | Fraction):
        return sp.Rational(text.numerator, text.denominator)
    if not isinstance(text, str):
        raise ExpressionError(f"{where}: needs a string or a sympy expression, found {text!r}")
    names = _names(text)
    if len(names) > MAX_PARAMETERS:
        raise ExpressionError(f"{where}: {len(names)} names; at most {MAX_PARAMETERS} are read")
    known = NAMES | {name: parameter(name) for name in names}
    try:
        read = parse(text, known, FUNCTIONS)
    except ExpressionError as error:
        caret = " " * error.column + "^" * max(1, error.width)
        raise ExpressionError(
            f"{where}: {error.message}\n  {text}\n  {caret}", error.column, error.width
        ) from None
    _check_size(read, where)
    return in_sympy(read)


def _check_size(read: sp.Expr, where: str) -> None:
    """Refuse numbers that no float holds, before sympy tries to."""
    for node in walk(read):
        if function_name(node) and symbols(node) <= {PI.name}:
            try:
                evaluate(node, {PI.name: math.pi}, FLOATS, float)
            except (OverflowError, ValueError, ZeroDivisionError):
                raise ExpressionError(f"{where}: {node} is not a number of ordinary size") from None


def parameter(name: str) -> sp.Symbol:
    """The symbol of a parameter: positive, as schedules' constants are."""
    return sp.Symbol(name, positive=True)


def _names(text: str) -> list[str]:
    """Names in the text that are neither functions nor t nor π, in alphabetical order."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []  # the parser says what is wrong
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return sorted(found - CALLS - {"t", "pi"})


def _adopted(given: sp.Basic, where: str) -> sp.Expr:
    """A sympy expression with our symbols in place of those of the same names."""
    if not isinstance(given, sp.Expr):
        raise ExpressionError(f"{where}: needs an expression, found {type(given).__name__}")
    if given.has(sp.Float):
        raise ExpressionError(
            f"{where}: {given} has a float; use fractions, such as sympy.Rational(1, 3)"
        )
    ours: Mapping[sp.Symbol, sp.Symbol] = {
        symbol: T if symbol.name == "t" else parameter(symbol.name)
        for symbol in given.free_symbols
        if isinstance(symbol, sp.Symbol)
    }
    return given.xreplace(dict(ours))
