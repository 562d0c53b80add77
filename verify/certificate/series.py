"""Exact arithmetic for certificates: truncated power series in h over rational functions, and texts.

Standard library only. A coefficient is a polynomial over the rationals in named variables, square roots
of primes and quotients 1/d. A quotient is a variable of its own until `Series.vanishes` clears it.
"""

import ast
import operator
from collections.abc import Callable
from fractions import Fraction
from math import factorial, prod
from typing import Protocol

DIGITS, HALF = 99, 1 << 15
BIAS = sum(HALF << 16 * digit for digit in range(DIGITS))


class Refuted(Exception):
    """The certificate does not prove what it says."""


class Short(Refuted):
    """More terms of the series are needed: weights divide by powers of h."""


def power(monomial: int, digit: int) -> int:
    """Monomials are integers; their 16-bit digits are the powers of the variables, of h the lowest."""
    return ((monomial + BIAS) >> 16 * digit & 0xFFFF) - HALF


FAULTS = (
    Refuted,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    SyntaxError,
    TypeError,
)


class Series:
    """A polynomial {monomial: coefficient} with powers of h below `end`; what lies beyond is unknown."""

    limit: int  # of the expansion
    digits: dict[str, int]  # of the variables
    roots: dict[int, int]  # digits of square roots, and of what
    divisors: dict[int, "Series"]  # digits of quotients 1/d, and d
    fixed: dict[str, Fraction]  # names that stand for numbers

    def __init__(self, terms: dict[int, Fraction], end: int | None = None) -> None:
        self.end = Series.limit if end is None else end
        self.terms = {m: x for m, x in terms.items() if x and power(m, 0) < self.end}
        self.low = min((power(m, 0) for m in self.terms), default=self.end)

    def __add__(self, other: "Series") -> "Series":
        both = self.terms.keys() | other.terms.keys()
        total = {m: self.terms.get(m, Fraction(0)) + other.terms.get(m, 0) for m in both}
        return Series(total, min(self.end, other.end))

    def __sub__(self, other: "Series") -> "Series":
        return self + number(-1) * other

    def __mul__(self, other: "Series") -> "Series":
        total: dict[int, Fraction] = {}
        for m, x in self.terms.items():
            for n, y in other.terms.items():
                total[m + n] = total.get(m + n, Fraction(0)) + x * y
        for digit, square in Series.roots.items():
            for m in [m for m in total if power(m, digit) > 1]:
                lower = m - (2 << 16 * digit)
                total[lower] = total.get(lower, Fraction(0)) + square * total.pop(m)
        return Series(total, min(self.end + other.low, other.end + self.low, Series.limit))

    def part(self, exponent: int, digit: int = 0) -> "Series":
        """The coefficient of a power of a variable."""
        shift = exponent << 16 * digit
        return Series({m - shift: x for m, x in self.terms.items() if power(m, digit) == exponent})

    def vanishes(self) -> bool:
        """Whether nothing is left once every quotient 1/d is cleared by powers of d."""
        left = self
        for digit, d in reversed(Series.divisors.items()):
            powers = {power(m, digit) for m in left.terms}
            parts = (prod([d] * (max(powers) - k), start=left.part(k, digit)) for k in powers)
            left = sum(parts, number(0))
        return not left.terms

    def inverse(self) -> "Series":
        """1 over the series; what its first coefficient divides by must not vanish."""
        low = next((k for k in range(self.low, self.end) if not self.part(k).vanishes()), None)
        if low is None:
            raise Short("a weight divides by zero, or by too high a power of h")
        lead = self.part(low)
        scale = number(1 / lead.terms[top := max(lead.terms)])
        first = Series({-top: Fraction(1)}) if len(lead.terms) == 1 else over(lead * scale)
        rest = {m - low: -x for m, x in self.terms.items() if power(m, 0) > low}
        tail, total = first * scale * Series(rest, self.end - low), number(1)
        for _ in range(self.end - low):
            total = number(1) + tail * total
        found = (first * scale * total).terms
        return Series({m - low: x for m, x in found.items()}, self.end - 2 * low)

    def into(self, coefficient: Callable[[int], Fraction]) -> "Series":
        """Σ coefficient(j) self^j, of a series without constant term."""
        if self.low < 1:
            raise Refuted("a function is taken at a value that does not tend to 0 with h")
        total = number(0)
        for j in reversed(range(Series.limit)):
            total = number(coefficient(j)) + self * total
        return total


def prepare(limit: int, roots: dict[str, int], fixed: dict[str, Fraction]) -> None:
    """Begin anew: how far series go, the square roots, and the names that stand for numbers."""
    for name, square in roots.items():
        if square < 2 or any(square % k == 0 for k in range(2, square)):
            raise Refuted(f"{name} is not the square root of a prime")
    Series.limit, Series.divisors, Series.fixed = limit, {}, fixed
    Series.digits = {name: digit for digit, name in enumerate(["h", *roots])}
    Series.roots = {Series.digits[name]: square for name, square in roots.items()}


def number(value: Fraction | int) -> Series:
    """A constant."""
    return Series({0: Fraction(value)})


def named(name: str) -> Series:
    """The variable, or the number, of a name."""
    if name in Series.fixed:
        return number(Series.fixed[name])
    if len(Series.digits) >= DIGITS:
        raise Refuted("more variables than monomials have digits")
    return Series({1 << 16 * Series.digits.setdefault(name, len(Series.digits)): Fraction(1)})


def over(d: Series) -> Series:
    """The quotient 1/d as a variable of its own."""
    found = named(f"1/{sorted(d.terms.items())}")
    Series.divisors[max(found.terms).bit_length() // 16] = d
    return found


class Names(Protocol):
    """What a step knows of the names in its weights."""

    functions: dict[str, Callable[..., Series]]

    def name(self, name: str) -> Series:
        """The series of a name."""


def phi(k: int, z: Series) -> Series:
    """φ_k(z) = Σ z^j/(j + k)!."""
    return z.into(lambda j: Fraction(1, factorial(j + k)))


FUNCTIONS: dict[str, Callable[..., Series]] = {
    "exp": lambda z: phi(0, z),
    "expm1": lambda z: z * phi(1, z),
    "log1p": lambda z: z * z.into(lambda j: Fraction((-1) ** j, j + 1)),
}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def value(node: ast.expr, step: Names) -> Series:
    """The series of an expression; the step knows the names and further functions in it."""
    match node:
        case ast.Constant(int(whole)):
            return number(whole)
        case ast.Name(name):
            return step.name(name)
        case ast.UnaryOp(ast.USub(), operand):
            return number(-1) * value(operand, step)
        case ast.BinOp(left, ast.Pow(), ast.Constant(int(n))) if 0 < n < 40:
            return prod([value(left, step)] * n, start=number(1))
        case ast.BinOp(left, ast.Div(), ast.BinOp(first, ast.Mult(), second)):  # factor by factor
            return value(ast.BinOp(ast.BinOp(left, ast.Div(), first), ast.Div(), second), step)
        case ast.BinOp(left, ast.Div(), right):
            return value(left, step) * value(right, step).inverse()
        case ast.BinOp(left, sign, right) if type(sign) in OPERATORS:
            return OPERATORS[type(sign)](value(left, step), value(right, step))
        case ast.Call(ast.Name("phi"), [ast.Constant(int(k)), z], []) if 0 <= k < 40:
            return phi(k, value(z, step))
        case ast.Call(ast.Name(name), [z], []) if name in FUNCTIONS:
            return FUNCTIONS[name](value(z, step))
        case ast.Call(ast.Name(name), arguments, []) if name in step.functions:
            return step.functions[name](*(value(one, step) for one in arguments))
    raise Refuted(f"{ast.unparse(node)} is not an expression of certificates")
