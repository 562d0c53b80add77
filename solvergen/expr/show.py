"""Expressions as one line of text, in any notation that is a table of spellings.

One traversal serves the terminal (unicode), LaTeX and Python; a `Notation` says how each piece is
spelt. Precedence: sum < product < unary minus < power < atom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from .tree import Applied, Call, Expr, Number, Power, Product, Sum, Symbol, split

SUM, PRODUCT, ATOM = 1, 2, 4


@dataclass(frozen=True)
class Notation:
    """How a family of text (plain, LaTeX, Python) spells expressions.

    Args:
        times: text between factors.
        symbol: spelling of a symbol's name.
        call: spelling of a function from its name and shown arguments.
        fraction: a quotient from numerator, its level, denominator, its level.
        power: a shown base (parenthesised if need be) with an integer exponent.
        parentheses: a pair that groups.
    """

    times: str
    symbol: Callable[[str], str]
    call: Callable[[str, tuple[str, ...]], str]
    fraction: Callable[[str, int, str, int], str]
    power: Callable[[str, int], str]
    parentheses: tuple[str, str] = ("(", ")")

    def group(self, text: str, level: int, above: int) -> str:
        """The text, in parentheses unless its level binds tighter than `above`."""
        left, right = self.parentheses
        return text if level > above else f"{left}{text}{right}"


def _plain_fraction(top: str, top_level: int, bottom: str, bottom_level: int) -> str:
    top = top if top_level >= PRODUCT else f"({top})"
    return f"{top}/{bottom if bottom_level >= ATOM else f'({bottom})'}"


PLAIN = Notation(
    times="*",
    symbol=lambda name: name,
    call=lambda name, args: f"{name}({', '.join(args)})",
    fraction=_plain_fraction,
    power=lambda base, exponent: f"{base}**{exponent}",
)


def show(expr: Expr, notation: Notation = PLAIN) -> str:
    """The expression as text in a notation."""
    return _show(expr, notation)[0]


def ordered_terms(expr: Expr) -> list[tuple[str, Expr]]:
    """The terms of a sum as (sign, positive term) pairs, a positive one first if there is any.

    A sum reads better when it does not begin with a minus sign.
    """
    terms = expr.terms if isinstance(expr, Sum) else (expr,)
    signed = [("-", -term) if split(term)[0] < 0 else ("+", term) for term in terms]
    lead = next((i for i, (sign, _) in enumerate(signed) if sign == "+"), 0)
    return [signed[lead], *signed[:lead], *signed[lead + 1 :]]


def _shown_terms(expr: Expr, notation: Notation) -> list[tuple[str, str]]:
    return [
        (sign, notation.group(*_show(term, notation), SUM)) for sign, term in ordered_terms(expr)
    ]


def _show(expr: Expr, notation: Notation) -> tuple[str, int]:
    match expr:
        case Symbol(name):
            return notation.symbol(name), ATOM
        case Call(name, args):
            return notation.call(name, tuple(show(arg, notation) for arg in args)), ATOM
        case Applied(name, argument):
            left, right = notation.parentheses
            return f"{notation.symbol(name)}{left}{show(argument, notation)}{right}", ATOM
        case Sum():
            (first_sign, first), *rest = _shown_terms(expr, notation)
            text = ("-" if first_sign == "-" else "") + first
            return text + "".join(f" {sign} {term}" for sign, term in rest), SUM
        case Number() | Product() | Power():
            return _quotient(expr, notation)
    raise TypeError(f"not an expression: {expr!r}")


def _quotient(expr: Expr, notation: Notation) -> tuple[str, int]:
    coefficient, factors = split(expr)
    sign, coefficient = ("-" if coefficient < 0 else ""), abs(coefficient)
    above: list[Expr] = [f for f in factors if not (isinstance(f, Power) and f.exponent < 0)]
    below = [
        Power(f.base, -f.exponent) if f.exponent != -1 else f.base
        for f in factors
        if isinstance(f, Power) and f.exponent < 0
    ]
    if isinstance(expr, Power) and not below:
        text, level = _show(expr.base, notation)
        return notation.power(notation.group(text, level, PRODUCT), expr.exponent), PRODUCT
    top = _factors(coefficient.numerator, above, notation)
    if not below and coefficient.denominator == 1:
        return sign + top[0], (PRODUCT if sign else top[1])
    bottom = _factors(coefficient.denominator, below, notation)
    return sign + notation.fraction(*top, *bottom), PRODUCT


def _factors(coefficient: int, factors: list[Expr], notation: Notation) -> tuple[str, int]:
    if not factors:
        return str(coefficient), ATOM
    if coefficient == 1 and len(factors) == 1:
        return _show(factors[0], notation)
    shown = [notation.group(*_show(factor, notation), SUM) for factor in factors]
    return notation.times.join(([str(coefficient)] if coefficient != 1 else []) + shown), PRODUCT


def rational(value: Fraction) -> str:
    """A fraction as plain text."""
    return show(Number(value))
