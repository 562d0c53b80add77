"""Weights of interpolatory rules: an explicit Lagrange expansion against exact moments.

The polynomial through the nodes c_0 … c_{p−1} is Σ_j f_j ℓ_j(ξ). Writing each basis polynomial in
powers of ξ, every rule of the family is Σ_m [ξ^m]ℓ_j · μ_m with the rule's own moments μ_m: no
symbolic integration and no linear solve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sympy import Expr

from ...expr.arithmetic import (
    ONE,
    ZERO,
    add,
    divide,
    multiply,
    negative,
    quotient,
    split,
    subtract,
    terms_of,
)


@dataclass(frozen=True)
class Basis:
    """A Lagrange basis polynomial: coefficients of ξ^0 … ξ^{p−1} over one common denominator."""

    coefficients: tuple[Expr, ...]
    denominator: Expr

    def against(self, values: Sequence[Expr], scale: Expr = ONE) -> Expr:
        """scale · Σ_m [ξ^m]ℓ · values_m, exactly."""
        terms = [
            multiply(c, value)
            for c, value in zip(self.coefficients, values, strict=True)
            if c != ZERO
        ]
        return multiply(scale, divide(add(*terms), self.denominator))


def lagrange(nodes: Sequence[Expr]) -> list[Basis]:
    """The Lagrange basis polynomials through distinct nodes.

    Args:
        nodes: offsets in units of the step, exact.

    Returns:
        One basis polynomial per node.

    Raises:
        ZeroDivisionError: two nodes are the same expression.

    >>> from sympy import Symbol
    >>> first, second = lagrange([ZERO, -Symbol("t")])
    >>> [str(c) for c in first.coefficients], str(first.denominator)
    (['t', '1'], 't')
    """
    bases = []
    for j, node in enumerate(nodes):
        coefficients: list[Expr] = [ONE]
        denominator: Expr = ONE
        for k, other in enumerate(nodes):
            if k == j:
                continue
            if node == other:
                raise ZeroDivisionError("coinciding nodes")
            shifted = [ZERO, *coefficients]
            low = [multiply(negative(other), c) for c in coefficients] + [ZERO]
            coefficients = [add(a, b) for a, b in zip(low, shifted, strict=True)]
            gap = subtract(node, other)
            if all(split(term)[0] < 0 for term in terms_of(gap)):
                denominator, gap = negative(denominator), negative(gap)
            denominator = multiply(denominator, gap)
        if denominator.is_Rational:
            coefficients = [quotient(c, denominator) for c in coefficients]
            denominator = ONE
        bases.append(Basis(tuple(coefficients), denominator))
    return bases


def power_values(point: Expr, count: int) -> list[Expr]:
    """Values ξ^0 … ξ^{count−1} at a point: the moments of a one-point rule."""
    values: list[Expr] = [ONE]
    for _ in range(count - 1):
        values.append(multiply(values[-1], point))
    return values
