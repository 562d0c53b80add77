"""Weights of rules that pass through several accepted states: Hermite interpolation in the clock.

The polynomial p of lowest degree with p(ξ_s) = Y_s at the states and p'(η_j) = f_j at the nodes is
read at the place c of the result. With Ω = Π(ξ − ξ_s), ℓ_s and L_j the Lagrange bases on the states
and on the nodes,

    B_j = Ω Σ_k C_kj L_k,  Σ_k D_ik C_kj = δ_ij,  D_ik = Ω'(η_i) δ_ik + Ω(η_i) L_k'(η_i)
    p(c) = Σ_s Y_s (ℓ_s(c) − Σ_j ℓ_s'(η_j) B_j(c)) + Σ_j f_j B_j(c)

and Ω(η_i) = 0 wherever a node lies at a listed state, so that D is inverted by hand when all nodes
but one do. Backward differentiation has the one node n+1 and no other; Hermite predictors and the
O-BELM rule have the node n. One state alone is a quadrature from its place to c.

Source: Hairer, Norsett and Wanner, Solving ODEs I, III.1 and III.5 (variable steps).
"""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Expr

from ...errors import DeriveError
from ...expr.arithmetic import (
    ONE,
    ZERO,
    add,
    divide,
    multiply,
    negative,
    power,
    quotient,
    subtract,
)
from ...expr.functions import lift
from .lagrange import lagrange


def hermite(
    states: Sequence[Expr], nodes: Sequence[Expr], at: Expr
) -> tuple[list[Expr], list[Expr]]:
    """Factors on the states and weights of the slopes.

    Args:
        states, nodes: their offsets in the clock, in units of the step.
        at: where the polynomial is read.

    Raises:
        DeriveError: more than one node that lies at no listed state.

    >>> t = [ZERO, -ONE]
    >>> [[str(w) for w in part] for part in hermite(t, [ONE], ONE)]  # BDF2
    [['4/3', '-1/3'], ['2/3']]
    """
    if len(states) == 1:
        return [ONE], _quadrature(states[0], nodes, at)
    free = [i for i, node in enumerate(nodes) if node not in states]
    if len(free) > 1:
        raise DeriveError(
            "with several states at most one node may lie elsewhere than at a listed state; list the "
            "states of the others"
        )
    whole = multiply(*(subtract(at, state) for state in states))
    matrix = _inverse(states, nodes, free)
    bases = [
        multiply(
            whole, add(*(multiply(row[j], _value(nodes, k, at)) for k, row in enumerate(matrix)))
        )
        for j in range(len(nodes))
    ]
    if not free:
        return [_osculating(states, nodes, s, at) for s in range(len(states))], bases
    if [at] == list(nodes):
        return _backward(states, at), bases
    factors = [
        add(
            _value(states, s, at),
            *(
                negative(multiply(_slope(states, s, node), basis))
                for node, basis in zip(nodes, bases, strict=True)
            ),
        )
        for s in range(len(states))
    ]
    return factors, bases


def _osculating(states: Sequence[Expr], nodes: Sequence[Expr], s: int, at: Expr) -> Expr:
    """A state's factor where every node lies at a state: Hermite's formula, in products."""
    mine = states[s]
    others = [(node, 2 if node in nodes else 1) for j, node in enumerate(states) if j != s]
    above = multiply(*(power(subtract(at, other), times) for other, times in others))
    below = multiply(*(power(subtract(mine, other), times) for other, times in others))
    if mine not in nodes:
        return divide(above, below)
    rates = (divide(lift(times), subtract(mine, other)) for other, times in others)
    drop = multiply(subtract(at, mine), add(*rates))
    return multiply(divide(above, below), subtract(ONE, drop))


def _backward(states: Sequence[Expr], at: Expr) -> list[Expr]:
    """The factors of backward differentiation: the one node is where the polynomial is read."""
    rate = _rate(states, at)
    found = []
    for s in range(len(states)):
        above = multiply(*(subtract(at, other) for j, other in enumerate(states) if j != s))
        found.append(divide(multiply(_value(states, s, at), above), rate))
    return found


def _quadrature(start: Expr, nodes: Sequence[Expr], at: Expr) -> list[Expr]:
    """The integral of the interpolant of the slopes from one state's place."""
    count = len(nodes)
    moments = [
        quotient(subtract(power(at, m), power(start, m)), lift(m)) for m in range(1, count + 1)
    ]
    return [basis.against(moments) for basis in lagrange(nodes)]


def _inverse(
    states: Sequence[Expr], nodes: Sequence[Expr], free: Sequence[int]
) -> list[list[Expr]]:
    """C: diagonal but for the row of the node that lies at no state."""
    count = len(nodes)
    rates = [_rate(states, node) for node in nodes]
    matrix: list[list[Expr]] = [[ZERO] * count for _ in nodes]
    for i in (i for i in range(count) if i not in free):
        matrix[i][i] = divide(ONE, rates[i])
    for u in free:
        whole = multiply(*(subtract(nodes[u], state) for state in states))
        pivot = add(rates[u], multiply(whole, _slope(nodes, u, nodes[u])))
        matrix[u][u] = divide(ONE, pivot)
        for j in (j for j in range(count) if j != u):
            matrix[u][j] = divide(
                negative(multiply(whole, _slope(nodes, j, nodes[u]))), multiply(rates[j], pivot)
            )
    return matrix


def _rate(states: Sequence[Expr], at: Expr) -> Expr:
    """Ω'."""
    return add(
        *(
            multiply(*(subtract(at, other) for j, other in enumerate(states) if j != i))
            for i in range(len(states))
        )
    )


def _value(nodes: Sequence[Expr], j: int, at: Expr) -> Expr:
    """ℓ_j at a place."""
    others = [node for k, node in enumerate(nodes) if k != j]
    above = multiply(*(subtract(at, other) for other in others))
    return divide(above, multiply(*(subtract(nodes[j], other) for other in others)))


def _slope(nodes: Sequence[Expr], j: int, at: Expr) -> Expr:
    """ℓ_j' at a place."""
    others = [node for k, node in enumerate(nodes) if k != j]
    above = add(
        *(
            multiply(*(subtract(at, other) for m, other in enumerate(others) if m != k))
            for k in range(len(others))
        )
    )
    return divide(above, multiply(*(subtract(nodes[j], other) for other in others)))
