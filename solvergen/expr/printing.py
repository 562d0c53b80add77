"""Printers of expressions: sympy's, with an order of terms and a spelling of our own.

sympy's printers order terms by sympy's version and split quotients as they like; what is printed here
becomes files and digests, whose bytes must not change. Precedence: sum < product < power < atom.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

from sympy import Expr, Pow, S
from sympy.printing.latex import LatexPrinter
from sympy.printing.printer import Printer
from sympy.printing.str import StrPrinter

from .arithmetic import children, function_name, negative, split, terms_of
from .functions import lift

SUM, PRODUCT, ATOM = 1, 2, 4


def level(expr: Expr) -> int:
    """How tightly an expression binds once it is printed."""
    if expr.is_Add:
        return SUM
    if expr.is_Mul or expr.is_Pow:
        return PRODUCT
    if expr.is_Rational and not (expr.is_Integer and expr >= 0):
        return PRODUCT
    return ATOM


def ordered_terms(expr: Expr) -> list[tuple[str, Expr]]:
    """The terms of a sum as (sign, positive term) pairs, a positive one first if there is any.

    A sum reads better when it does not begin with a minus sign.
    """
    terms = terms_of(expr)
    signed = [("-", negative(term)) if split(term)[0] < 0 else ("+", term) for term in terms]
    lead = next((i for i, (sign, _) in enumerate(signed) if sign == "+"), 0)
    return [signed[lead], *signed[:lead], *signed[lead + 1 :]]


def divided(expr: Expr) -> tuple[Fraction, list[Expr], list[Expr]]:
    """A product as its coefficient, its factors, and those of its denominator."""
    coefficient, factors = split(expr)
    above = [f for f in factors if not (f.is_Pow and f.exp.is_Rational and f.exp < 0)]
    below = [Pow(f.base, -f.exp) for f in factors if f.is_Pow and f.exp.is_Rational and f.exp < 0]
    return coefficient, above, below


class OrderedPrinter(Printer):
    """Sums, products and quotients in our order; a subclass says how each piece is spelt."""

    printmethod = ""
    times = "*"
    parentheses = ("(", ")")

    def name(self, name: str) -> str:
        """A symbol, or a function that the spec names."""
        return name

    def call(self, name: str, args: tuple[str, ...]) -> str:
        """A function from its name and its printed arguments."""
        return f"{name}({', '.join(args)})"

    def fraction(self, top: str, top_level: int, bottom: str, bottom_level: int) -> str:
        """A quotient from its printed parts and how tightly they bind."""
        top = top if top_level >= PRODUCT else f"({top})"
        return f"{top}/{bottom if bottom_level >= ATOM else f'({bottom})'}"

    def power(self, base: str, exponent: int) -> str:
        """An integer power of a printed base, which has its parentheses."""
        return f"{base}**{exponent}"

    def group(self, text: str, binds: int, above: int) -> str:
        """Text in parentheses unless it binds tighter than `above`."""
        left, right = self.parentheses
        return text if binds > above else f"{left}{text}{right}"

    def _grouped(self, expr: Expr, above: int) -> str:
        return self.group(self._print(expr), level(expr), above)

    def _print_Symbol(self, expr: Expr) -> str:
        return self.name(expr.name)

    def _print_Add(self, expr: Expr, order: Any = None) -> str:
        (sign, first), *rest = ordered_terms(expr)
        text = ("-" if sign == "-" else "") + self._grouped(first, SUM)
        return text + "".join(f" {sign} {self._grouped(term, SUM)}" for sign, term in rest)

    def _print_Mul(self, expr: Expr) -> str:
        coefficient, above, below = divided(expr)
        sign, coefficient = ("-" if coefficient < 0 else ""), abs(coefficient)
        top, top_level = self._product(coefficient.numerator, above)
        if not below and coefficient.denominator == 1:
            return sign + top
        bottom, bottom_level = self._product(coefficient.denominator, below)
        return sign + self.fraction(top, top_level, bottom, bottom_level)

    def _product(self, coefficient: int, factors: list[Expr]) -> tuple[str, int]:
        if not factors:
            return str(coefficient), ATOM
        if coefficient == 1 and len(factors) == 1:
            return self._print(factors[0]), level(factors[0])
        shown = [str(coefficient)] if coefficient != 1 else []
        return self.times.join([*shown, *(self._grouped(f, SUM) for f in factors)]), PRODUCT

    def _print_Pow(self, expr: Expr, rational: bool = False) -> str:
        base, exponent = expr.args
        if exponent.is_Rational and exponent < 0:
            return self._print_Mul(expr)
        if exponent is S.Half:
            return self.call("sqrt", (self._print(base),))
        if exponent.is_Integer:
            return self.power(self._grouped(base, PRODUCT), int(exponent))
        return f"{self._grouped(base, PRODUCT)}**({self._print(exponent)})"

    def _print_Rational(self, expr: Expr) -> str:
        return self._print_Mul(expr)

    _print_Integer = _print_Half = _print_Zero = _print_One = _print_NegativeOne = _print_Rational

    def _print_function(self, expr: Expr) -> str:
        return self.call(function_name(expr), tuple(self._print(arg) for arg in children(expr)))

    _print_Function = _print_exp = _print_log = _print_Exp1 = _print_function
    _print_Integral = _print_riemann = _print_function

    def _print_Applied(self, expr: Expr) -> str:
        left, right = self.parentheses
        return f"{self.name(expr.name)}{left}{self._print(expr.argument)}{right}"


class PlainPrinter(OrderedPrinter, StrPrinter):
    """The text of digests and messages, which the spec language reads back."""


class OrderedLatexPrinter(OrderedPrinter, LatexPrinter):
    """LaTeX with our order of terms."""

    times = r" \, "
    parentheses = (r"\left(", r"\right)")

    def fraction(self, top: str, top_level: int, bottom: str, bottom_level: int) -> str:
        """A quotient, which needs no parentheses."""
        return rf"\frac{{{top}}}{{{bottom}}}"

    def power(self, base: str, exponent: int) -> str:
        """An integer power."""
        return f"{base}^{{{exponent}}}"


PLAIN = PlainPrinter()


@lru_cache(1 << 14)
def show(expr: Expr, printer: Printer = PLAIN) -> str:
    """An expression as one line of text; two in three were shown before.
    >>> from sympy import symbols
    >>> h, r = symbols("h r")
    >>> show(2 * r / h - 1 / (2 * h))
    '2*r/h - 1/(2*h)'
    """
    return str(printer.doprint(expr))


def rational(value: Fraction) -> str:
    """A fraction as plain text."""
    return show(lift(value))
