"""Sums and products of sympy expressions in the form that files are printed in.

sympy multiplies a lone sum by a number term by term; here 2 (a + b) stays a product, so that weights
keep the factors that their rules give them. Terms and factors have an order of our own that depends
neither on hashing nor on sympy's version: equal derivations give equal bytes. Nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from sympy import Add, Expr, Function, Integral, Mul, Pow, S, Symbol

from .binders import BOUND, Applied, integral, riemann
from .functions import lift, minimum, phi

ZERO, ONE, MINUS_ONE = S.Zero, S.One, S.NegativeOne
BINDERS = {"integral": 3, "riemann": 4}  # functions of an integrand and their number of arguments
_NAMES = {minimum: "min", Integral: "integral", riemann: "riemann"}
_KEPT = 1 << 16


def _of_integral(expr: Integral) -> tuple[Expr, ...]:
    integrand, (_, low, high) = expr.args
    return integrand, low, high


_CHILDREN: dict[type, Callable[[Any], tuple[Expr, ...]]] = {
    Integral: _of_integral,
    riemann: lambda expr: expr.parts,
    Applied: lambda expr: (expr.argument,),
    type(S.Exp1): lambda _: (ONE,),
}


# -- the pieces of an expression ---------------------------------------------------------------


@lru_cache(_KEPT)
def fraction_of(number: Expr) -> Fraction:
    """A rational number as a Fraction."""
    return Fraction(int(number.p), int(number.q))


def function_name(expr: Expr) -> str:
    """What a function is called in a spec; empty for everything else, named functions of x too."""
    if isinstance(expr, (Function, Integral, riemann)):
        return _NAMES.get(type(expr)) or type(expr).__name__
    return "exp" if expr is S.Exp1 else ""


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct sub-expressions; of an integral the integrand and its ends."""
    special = _CHILDREN.get(type(expr))
    return expr.args if special is None else special(expr)


def walk(expr: Expr) -> Iterator[Expr]:
    """An expression and every expression below it, outermost first."""
    yield expr
    for child in children(expr):
        yield from walk(child)


@lru_cache(_KEPT)
def symbols(expr: Expr) -> frozenset[str]:
    """Names of all symbols in an expression, the variables of integrals apart."""
    return frozenset(symbol.name for symbol in expr.free_symbols)


@lru_cache(_KEPT)
def function_names(expr: Expr) -> frozenset[str]:
    """Names of all functions in an expression, those inside named functions of x apart."""
    return frozenset(filter(None, map(function_name, walk(expr))))


def symbols_outside_windows(expr: Expr) -> set[str]:
    """Names of the symbols by which an expression varies, the bounds of `between` apart."""
    if expr.is_Symbol:
        return {expr.name}
    if function_name(expr) == "between":
        return set()
    return set().union(*map(symbols_outside_windows, children(expr)))


def functions_of_x(*exprs: Expr) -> dict[str, Expr]:
    """Bodies of the named functions in some expressions, those that others use first."""
    found: dict[str, Expr] = {}
    for expr in exprs:
        found |= _functions_of(expr)
    return found


@lru_cache(_KEPT)
def _functions_of(expr: Expr) -> dict[str, Expr]:
    found: dict[str, Expr] = {}
    for node in walk(expr):
        if isinstance(node, Applied):
            found |= {**_functions_of(node.body), node.name: node.body}
    return found


# -- order -------------------------------------------------------------------------------------


@lru_cache(_KEPT)
def order_key(expr: Expr) -> tuple[Any, ...]:
    """A total order on expressions that does not depend on hashing, platform or version."""
    if expr.is_Rational:
        return (0, fraction_of(expr))
    if expr.is_Symbol:
        return (1, expr.name)
    if expr.is_Add:
        return (5, tuple(map(order_key, terms_of(expr))))
    if expr.is_Mul:
        coefficient, factors = split(expr)
        return (4, tuple(map(order_key, factors)), coefficient)
    if expr.is_Pow:
        return (3, order_key(expr.base), order_key(expr.exp))
    name = expr.name if isinstance(expr, Applied) else function_name(expr)
    return (2, name, tuple(map(order_key, children(expr))))


@lru_cache(_KEPT)
def split(term: Expr) -> tuple[Fraction, tuple[Expr, ...]]:
    """A term as (rational coefficient, factors without it), the factors in order."""
    coefficient, rest = term.as_coeff_Mul(rational=True)
    if rest is ONE:
        return fraction_of(coefficient), ()
    factors = sorted(rest.args, key=order_key) if rest.is_Mul else [rest]
    return fraction_of(coefficient), tuple(factors)


@lru_cache(_KEPT)
def terms_of(expr: Expr) -> tuple[Expr, ...]:
    """The terms of a sum in order, a number last; of another expression itself."""
    if not expr.is_Add:
        return (expr,)
    return tuple(sorted(expr.args, key=_place_in_sum))


def _place_in_sum(term: Expr) -> tuple[Any, ...]:
    return (bool(term.is_Rational), tuple(map(order_key, split(term)[1])))


# -- arithmetic --------------------------------------------------------------------------------


def add(*terms: Expr) -> Expr:
    """The sum, with like terms collected."""
    return Add(*terms)


def multiply(*factors: Expr) -> Expr:
    """The product, with powers of equal bases merged; sums are not expanded."""
    coefficient, rest = ONE, []
    for factor in factors:
        number, other = factor.as_coeff_Mul(rational=True)
        coefficient *= number
        rest.append(other)
    product = Mul(*rest)
    if coefficient is ONE:
        return product
    if coefficient is MINUS_ONE and product.is_Add:
        return Add(*(negative(term) for term in product.args))
    if product.is_Add and coefficient is not ZERO:
        return Mul(coefficient, product, evaluate=False)
    return Mul(coefficient, product)


def negative(expr: Expr) -> Expr:
    """−1 times an expression."""
    return multiply(MINUS_ONE, expr)


def subtract(left: Expr, right: Expr) -> Expr:
    """left − right."""
    return add(left, negative(right))


def power(base: Expr, exponent: int) -> Expr:
    """An integer power.

    Raises:
        ZeroDivisionError: zero to a negative power.
    """
    if exponent < 0 and base.is_zero:
        raise ZeroDivisionError("zero to a negative power")
    number, rest = base.as_coeff_Mul(rational=True)
    if number is ONE or rest is ONE:
        return Pow(base, exponent)
    return multiply(Pow(number, exponent), Pow(rest, exponent))


def quotient(numerator: Expr, denominator: Expr) -> Expr:
    """numerator / denominator.

    Raises:
        ZeroDivisionError: the denominator is zero.
    """
    return multiply(numerator, power(denominator, -1))


def divide(numerator: Expr, denominator: Expr) -> Expr:
    """A quotient; a short sum over a single symbol is written out term by term.

    >>> t = Symbol("t")
    >>> divide(t + S.Half, t)
    1 + 1/(2*t)
    """
    single = denominator.is_Symbol or (-denominator).is_Symbol
    if numerator.is_Add and len(numerator.args) <= 2 and single:
        return add(*(quotient(term, denominator) for term in numerator.args))
    return quotient(numerator, denominator)


# -- replacement -------------------------------------------------------------------------------


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """Replace symbols by expressions; unlike ``.subs`` it keeps the form of what it does not touch.

    Raises:
        ZeroDivisionError: a denominator becomes zero.
    """
    if symbols(expr).isdisjoint(values):
        return expr
    return rebuild(expr, lambda symbol: values.get(symbol.name, symbol))


def rebuild(
    expr: Expr,
    leaf: Callable[[Symbol], Expr],
    outer: Callable[[Expr], Expr] = lambda call: call,
) -> Expr:
    """The same expression with its symbols mapped through `leaf`, then its functions through `outer`.

    What an integral binds stays as it is, and what stands inside one goes through `leaf` alone.
    """

    def inner(node: Expr) -> Expr:
        return rebuild(node, leaf, outer)

    if expr.is_Symbol:
        return leaf(expr)
    if expr.is_Add:
        return add(*map(inner, terms_of(expr)))
    if expr.is_Mul:
        coefficient, factors = split(expr)
        return multiply(lift(coefficient), *map(inner, factors))
    if expr.is_Pow:
        base = inner(expr.base)
        return power(base, int(expr.exp)) if expr.exp.is_Integer else Pow(base, expr.exp)
    if isinstance(expr, (Integral, riemann)):
        integrand, *rest = children(expr)
        inside = rebuild(integrand, lambda s: s if s == BOUND else leaf(s))
        ends = (rebuild(part, leaf) for part in rest)
        return outer((riemann if isinstance(expr, riemann) else integral)(inside, *ends))
    if isinstance(expr, Applied):
        return Applied(expr.name, inner(expr.argument), expr.body)
    if isinstance(expr, phi):
        return outer(phi(expr.args[0], inner(expr.args[1])))
    if isinstance(expr, Function):
        return outer(expr.func(*map(inner, expr.args)))
    return expr
