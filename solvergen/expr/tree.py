"""Exact expressions: rationals, named symbols, sums, products, integer powers and functions.

The trees are what a Program is made of. They are immutable and hashable, and their constructors
keep a light normal form (like terms collected, equal bases merged, a fixed order of terms), so that
equal derivations give equal trees and equal bytes. Nothing is ever rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Expr:
    """Base of all expressions; supports ``+ - * /`` and integer powers with exact results.

    >>> h = Symbol("h")
    >>> str((h + 1) * 2 / h - h / h)
    '2*(h + 1)/h - 1'
    """

    def __add__(self, other: Expr | Fraction | int) -> Expr:
        return add(self, lift(other))

    def __radd__(self, other: Fraction | int) -> Expr:
        return add(lift(other), self)

    def __sub__(self, other: Expr | Fraction | int) -> Expr:
        return add(self, multiply(MINUS_ONE, lift(other)))

    def __rsub__(self, other: Fraction | int) -> Expr:
        return add(lift(other), multiply(MINUS_ONE, self))

    def __mul__(self, other: Expr | Fraction | int) -> Expr:
        return multiply(self, lift(other))

    def __rmul__(self, other: Fraction | int) -> Expr:
        return multiply(lift(other), self)

    def __truediv__(self, other: Expr | Fraction | int) -> Expr:
        return multiply(self, power(lift(other), -1))

    def __rtruediv__(self, other: Fraction | int) -> Expr:
        return multiply(lift(other), power(self, -1))

    def __pow__(self, exponent: int) -> Expr:
        return power(self, exponent)

    def __neg__(self) -> Expr:
        return multiply(MINUS_ONE, self)

    def children(self) -> tuple[Expr, ...]:
        """The direct sub-expressions."""
        return ()

    def walk(self) -> Iterator[Expr]:
        """This expression and every expression below it, outermost first."""
        yield self
        for child in self.children():
            yield from child.walk()

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """A total order on expressions that does not depend on hashing or platform."""
        raise NotImplementedError

    def __str__(self) -> str:
        from .show import show

        return show(self)


@dataclass(frozen=True)
class Number(Expr):
    """An exact rational."""

    value: Fraction

    @cached_property
    def key(self) -> tuple[Any, ...]:
        return (0, self.value)


@dataclass(frozen=True)
class Symbol(Expr):
    """A named quantity: a parameter, the step ``h``, a history offset ``theta1`` …"""

    name: str

    @cached_property
    def key(self) -> tuple[Any, ...]:
        return (1, self.name)


@dataclass(frozen=True)
class Call(Expr):
    """A function: ``phi(k, z)``, ``exp``, ``expm1``, ``log``, ``log1p``, ``sqrt``, ``min``, ``moment``.

    ``between(low, x, high)`` is 1 where low ≤ x ≤ high and 0 elsewhere. ``integral(f, low, high)`` is
    ∫ f dx, f an expression in the symbol ``x``; ``riemann(f, low, high, count)`` is its left sum over
    `count` equal parts.
    """

    name: str
    args: tuple[Expr, ...]

    def children(self) -> tuple[Expr, ...]:
        return self.args

    @cached_property
    def key(self) -> tuple[Any, ...]:
        return (2, self.name, tuple(arg.key for arg in self.args))


@dataclass(frozen=True)
class Applied(Expr):
    """A function of x that has a name, at an argument; its body is an expression in x alone."""

    name: str
    argument: Expr
    body: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.argument,)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        return (2, self.name, (self.argument.key,))


@dataclass(frozen=True)
class Power(Expr):
    """A base to an integer power other than 0 and 1."""

    base: Expr
    exponent: int

    def children(self) -> tuple[Expr, ...]:
        return (self.base,)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        return (3, self.base.key, self.exponent)


@dataclass(frozen=True)
class Product(Expr):
    """A rational coefficient times powers of distinct bases."""

    coefficient: Fraction
    factors: tuple[Expr, ...]

    def children(self) -> tuple[Expr, ...]:
        return self.factors

    @cached_property
    def key(self) -> tuple[Any, ...]:
        return (4, tuple(factor.key for factor in self.factors), self.coefficient)


@dataclass(frozen=True)
class Sum(Expr):
    """A sum of terms that are not sums."""

    terms: tuple[Expr, ...]

    def children(self) -> tuple[Expr, ...]:
        return self.terms

    @cached_property
    def key(self) -> tuple[Any, ...]:
        return (5, tuple(term.key for term in self.terms))


BOUND = Symbol("x")  # the variable of an integral, which means nothing outside
BINDERS = {"integral": 3, "riemann": 4}  # functions of an integrand and their number of arguments

ZERO, ONE, MINUS_ONE = Number(Fraction(0)), Number(Fraction(1)), Number(Fraction(-1))


def lift(value: Expr | Fraction | int) -> Expr:
    """An expression from an exact number; expressions pass through."""
    return value if isinstance(value, Expr) else Number(Fraction(value))


def split(term: Expr) -> tuple[Fraction, tuple[Expr, ...]]:
    """A term as (rational coefficient, factors without it)."""
    if isinstance(term, Number):
        return term.value, ()
    if isinstance(term, Product):
        return term.coefficient, term.factors
    return Fraction(1), (term,)


def add(*terms: Expr) -> Expr:
    """The sum, with like terms collected. Terms keep the order in which they first appear."""
    collected: dict[tuple[Expr, ...], Fraction] = {}
    for term in terms:
        for part in term.terms if isinstance(term, Sum) else (term,):
            coefficient, factors = split(part)
            collected[factors] = collected.get(factors, Fraction(0)) + coefficient
    parts = [_product(c, factors) for factors, c in collected.items() if c]
    if not parts:
        return ZERO
    # Numbers last and everything else in a fixed order: equal sums are equal trees.
    parts.sort(key=lambda part: (isinstance(part, Number), split(part)[1] and _order(part)))
    return parts[0] if len(parts) == 1 else Sum(tuple(parts))


def _order(part: Expr) -> tuple[Any, ...]:
    return tuple(factor.key for factor in split(part)[1])


def multiply(*factors: Expr) -> Expr:
    """The product, with powers of equal bases merged; sums are not expanded."""
    coefficient = Fraction(1)
    powers: dict[Expr, int] = {}
    for factor in factors:
        c, parts = split(factor)
        coefficient *= c
        for part in parts:
            base, exponent = (part.base, part.exponent) if isinstance(part, Power) else (part, 1)
            powers[base] = powers.get(base, 0) + exponent
    merged = [base if e == 1 else Power(base, e) for base, e in powers.items() if e]
    return _product(coefficient, tuple(sorted(merged, key=lambda part: part.key)))


def _product(coefficient: Fraction, factors: tuple[Expr, ...]) -> Expr:
    if not coefficient or not factors:
        return Number(coefficient)
    if coefficient == 1 and len(factors) == 1:
        return factors[0]
    if len(factors) == 1 and isinstance(factors[0], Sum) and abs(coefficient) == 1:
        return Sum(tuple(multiply(Number(coefficient), term) for term in factors[0].terms))
    return Product(coefficient, factors)


def power(base: Expr, exponent: int) -> Expr:
    """An integer power.

    Raises:
        ZeroDivisionError: zero to a negative power.
    """
    if exponent == 0:
        return ONE
    if isinstance(base, Number):
        return Number(base.value**exponent)
    if isinstance(base, Power):
        return power(base.base, base.exponent * exponent)
    if isinstance(base, Call) and base.name == "sqrt" and exponent % 2 == 0:
        return power(base.args[0], exponent // 2)
    if isinstance(base, Product):
        raised = [power(factor, exponent) for factor in base.factors]
        return multiply(Number(base.coefficient**exponent), *raised)
    return base if exponent == 1 else Power(base, exponent)


def divide(numerator: Expr, denominator: Expr) -> Expr:
    """A quotient; a short sum over a single symbol is written out term by term.

    >>> t = Symbol("t")
    >>> str(divide(t + Fraction(1, 2), t))
    '1/(2*t) + 1'
    """
    single = isinstance(_unsigned(denominator), Symbol)
    if isinstance(numerator, Sum) and len(numerator.terms) <= 2 and single:
        return add(*(term / denominator for term in numerator.terms))
    return numerator / denominator


def _unsigned(expr: Expr) -> Expr:
    coefficient, factors = split(expr)
    return -expr if coefficient == -1 and len(factors) == 1 else expr


def phi(k: int, z: Expr) -> Expr:
    """φ_k(z) = ∫₀¹ e^{(1−t)z} t^{k−1}/(k−1)! dt, with φ_0 = exp and φ_k(0) = 1/k!."""
    if k == 0:
        return exp(z)
    if z == ZERO:
        value = Fraction(1)
        for i in range(2, k + 1):
            value /= i
        return Number(value)
    return Call("phi", (lift(k), z))


def exp(z: Expr) -> Expr:
    """The exponential; exp(0) is 1."""
    return ONE if z == ZERO else Call("exp", (z,))
