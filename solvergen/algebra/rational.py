"""Canonical rational functions: expanding a `Traced` coefficient into numerator and denominator.

Denominators of quadrature weights are products of few factors (differences of nodes), so they are
kept factored and cancelled by trial division. No greatest common divisor is ever computed: that is
what makes general fraction fields slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from random import Random

from sympy import Symbol
from sympy.polys.domains import QQ
from sympy.polys.orderings import lex
from sympy.polys.rings import PolyElement, ring

from ..errors import OrderError
from .explosion import Explosion
from .scalar import Scalar
from .traced import Traced, plain, symbols_of

PRIME = 2**61 - 1
BUDGET = 3_000_000  # term products: two to three seconds


def natural(name: str) -> tuple[int | str, ...]:
    """Sort key that puts r2 before r10."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name))


def divided_by(top: PolyElement, factor: PolyElement) -> PolyElement | None:
    """The exact quotient of two polynomials, or ``None`` where there is a remainder.

    Differences of nodes are linear in some symbol, v + g. Then the quotient is a Horner scheme in
    v, and most attempts end at once because `top` does not vanish at a random point with v = −g.
    """
    index = _linear_in(factor)
    if index is None:
        quotient, rest = top.div([factor])
        return None if rest else quotient[0]
    ring_ = top.ring
    lead = ring_.gens[index]
    minus_rest = lead - factor
    if _residue(top, index, minus_rest):
        return None
    rows: dict[int, dict[tuple[int, ...], object]] = {}
    for exponents, value in top.items():
        rows.setdefault(exponents[index], {})[exponents[:index] + (0,) + exponents[index + 1 :]] = (
            value
        )
    carried, total = ring_.zero, ring_.zero
    for degree in range(max(rows, default=0), 0, -1):
        carried = ring_.from_dict(rows.get(degree, {})) + carried * minus_rest
        total += carried * lead ** (degree - 1)
    return None if ring_.from_dict(rows.get(0, {})) + carried * minus_rest else total


def _linear_in(factor: PolyElement) -> int | None:
    """A symbol that occurs in a polynomial as v + (terms without v)."""
    for index in range(factor.ring.ngens):
        with_v = [(e, v) for e, v in factor.items() if e[index]]
        if len(with_v) == 1 and sum(with_v[0][0]) == 1 and with_v[0][1] == 1:
            return index
    return None


def _residue(top: PolyElement, index: int, value: PolyElement) -> int:
    """`top` modulo a prime at a random point where symbol number `index` equals `value`."""
    point = list(_point(top.ring.ngens))
    point[index] = _at(value, point)
    return _at(top, point)


@cache
def _point(count: int) -> tuple[int, ...]:
    random = Random(97)
    return tuple(random.randrange(1, PRIME) for _ in range(count))


def _at(polynomial: PolyElement, point: list[int]) -> int:
    tables: list[list[int]] = [[1] for _ in point]
    total = 0
    for exponents, value in polynomial.items():
        term = int(value.numerator)
        if value.denominator != 1:
            term *= pow(int(value.denominator), -1, PRIME)
        for table, base, exponent in zip(tables, point, exponents, strict=True):
            while len(table) <= exponent:
                table.append(table[-1] * base % PRIME)
            term = term * table[exponent] % PRIME
        total += term
    return total % PRIME


class Quotient:
    """A polynomial over a product of powers of polynomials."""

    __slots__ = ("bottom", "top")

    def __init__(self, top: PolyElement, bottom: dict[PolyElement, int]) -> None:
        self.top, self.bottom = top, bottom

    def cancelled(self) -> Quotient:
        """The same value without common factors."""
        top, bottom = self.top, dict(self.bottom)
        for factor in tuple(bottom):
            while bottom[factor]:
                divided = divided_by(top, factor)
                if divided is None:
                    break
                top = divided
                bottom[factor] -= 1
        return Quotient(top, {f: e for f, e in bottom.items() if e})

    def denominator(self) -> PolyElement:
        """The product of the factors below."""
        product = self.top.ring.one
        for factor, exponent in self.bottom.items():
            product *= factor**exponent
        return product


class Expansion:
    """Turns traced coefficients into quotients over common symbols.

    Args:
        names: symbols that may occur.
        budget: how many products of terms may be formed.
    """

    def __init__(self, names: Iterable[str], budget: int = BUDGET) -> None:
        ordered = sorted(names, key=natural) or ["r1"]
        self.ring, *self.generators = ring([Symbol(name) for name in ordered], QQ, lex)
        self.by_name = dict(zip(ordered, self.generators, strict=True))
        self.budget, self.spent = budget, 0
        self.kept: dict[int, Quotient] = {}
        self.alive: list[Traced] = []  # ids are only unique while their objects live

    def quotient(self, value: Scalar) -> Quotient:
        """A coefficient as a quotient in lowest terms (as far as known factors go)."""
        if not isinstance(value, Traced):
            return self._number(value)
        self.alive.append(value)
        for node in _bottom_up(value):
            if id(node) not in self.kept:
                self.kept[id(node)] = self._node(node)
        return self.kept[id(value)].cancelled()

    def _number(self, value: Scalar) -> Quotient:
        if not isinstance(value, Fraction | int):
            raise OrderError(f"{value}: surds are not expanded into rational functions")
        exact = Fraction(value)
        return Quotient(self.ring(QQ(exact.numerator, exact.denominator)), {})

    def _node(self, node: Traced) -> Quotient:
        if node.operation == "symbol":
            return Quotient(self.by_name[str(node.parts[0])], {})
        if node.operation == "number":
            return self._number(plain(node.values[0]))
        left, right = (self.kept[id(part)] for part in node.parts)
        if node.operation == "+":
            return self._sum(left, right)
        return self._product(left, right if node.operation == "*" else self._inverse(right))

    def times(self, left: PolyElement, right: PolyElement) -> PolyElement:
        """A product of polynomials, paid from the budget.

        Raises:
            Explosion: the budget is spent.
        """
        self.spent += len(left) * len(right)
        if self.spent > self.budget:
            raise Explosion(
                f"expanding the coefficient in {', '.join(self.by_name)} takes more than "
                f"{self.budget} products of terms"
            )
        return left * right

    def _sum(self, left: Quotient, right: Quotient) -> Quotient:
        bottom = {
            factor: max(left.bottom.get(factor, 0), right.bottom.get(factor, 0))
            for factor in {**left.bottom, **right.bottom}
        }
        tops = []
        for part in (left, right):
            top = part.top
            for factor, exponent in bottom.items():
                for _ in range(exponent - part.bottom.get(factor, 0)):
                    top = self.times(top, factor)
            tops.append(top)
        total = Quotient(tops[0] + tops[1], bottom)
        return total.cancelled() if left.bottom and right.bottom else total

    def _product(self, left: Quotient, right: Quotient) -> Quotient:
        first, below = _crossed(left.top, right.bottom)
        second, bottom = _crossed(right.top, left.bottom)
        for factor, exponent in below.items():
            bottom[factor] = bottom.get(factor, 0) + exponent
        return Quotient(self.times(first, second), bottom)

    def _inverse(self, value: Quotient) -> Quotient:
        value = value.cancelled()
        content, factors = value.top.factor_list()
        bottom: dict[PolyElement, int] = {}
        for factor, exponent in factors:
            lead = factor.LC
            bottom[factor.monic()] = bottom.get(factor.monic(), 0) + exponent
            content *= lead**exponent
        return Quotient(value.denominator() * (1 / QQ(content)), bottom)


def _crossed(
    top: PolyElement, bottom: dict[PolyElement, int]
) -> tuple[PolyElement, dict[PolyElement, int]]:
    """One quotient's numerator over the other's denominator, without common factors."""
    if len(top) > 400 or not bottom:
        return top, dict(bottom)
    joint = Quotient(top, bottom).cancelled()
    return joint.top, joint.bottom


def _bottom_up(value: Traced) -> list[Traced]:
    """All nodes, operands before results, without recursion."""
    order: list[Traced] = []
    seen: set[int] = set()
    stack: list[tuple[Traced, bool]] = [(value, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(part, False) for part in node.parts if isinstance(part, Traced)]
    return order


def canonical(values: Iterable[Scalar], budget: int = BUDGET) -> list[Quotient]:
    """Coefficients as quotients over one set of symbols."""
    listed = list(values)
    names = set().union(*(symbols_of(value) for value in listed))
    expansion = Expansion(names, budget)
    return [expansion.quotient(value) for value in listed]


def spell(value: Scalar, budget: int = BUDGET) -> str:
    """A coefficient as text in lowest terms, for example ``-1/4*r1 - 1/6``.

    >>> from .traced import symbol
    >>> r1 = symbol("r1", (Fraction(3), Fraction(5)))
    >>> spell((r1 * r1 - 1) / (2 * r1)), spell(Fraction(-3, 8))
    ('(1/2*r1^2 - 1/2)/(r1)', '-3/8')
    """
    if not isinstance(value, Traced):
        return str(value)
    return spell_quotient(canonical([value], budget)[0])


def spell_quotient(quotient: Quotient) -> str:
    """A quotient as text."""
    top = spell_polynomial(quotient.top)
    if not quotient.bottom:
        return top
    below = []
    for factor, exponent in sorted(quotient.bottom.items(), key=lambda item: str(item[0])):
        text = spell_polynomial(factor)
        simple = len(quotient.bottom) == 1 and exponent == 1
        power = f"^{exponent}" if exponent > 1 else ""
        below.append(text if simple else f"({text}){power}" if " " in text else text + power)
    return f"({top})/({'*'.join(below)})"


def spell_polynomial(polynomial: PolyElement) -> str:
    """A polynomial as text, highest powers of the first symbol first."""
    names = [str(symbol) for symbol in polynomial.ring.symbols]
    shown = ""
    for exponents, value in polynomial.terms():
        exact = Fraction(int(value.numerator), int(value.denominator))
        sign, size = ("-" if exact < 0 else "+"), abs(exact)
        factors = [
            name if power == 1 else f"{name}^{power}"
            for name, power in zip(names, exponents, strict=True)
            if power
        ]
        text = "*".join(([str(size)] if size != 1 or not factors else []) + factors)
        shown += f" {sign} {text}" if shown else ("-" if sign == "-" else "") + text
    return shown or "0"
