"""Does a memory of combinations forget? Its root condition, and for which numbers it holds.

What is remembered obeys M_n = w_0 N_n + Σ_k w_k M_{n−k}. An error of one step goes on in all later ones
as the roots of ζ^K = Σ_k w_k ζ^{K−k} say, and dies out where all are below 1. Numbers that differ from
step to step have no roots; there Σ_k |w_k| < 1 is enough, on equal steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ...algebra.ring import SeriesRing
from ...algebra.scalar import Scalar
from ...expr.arithmetic import symbols
from ...program.model import Program
from ...program.row import depth
from ...spec.model import Parameter
from ..expansion.grid import uniform
from ..expansion.symbol_values import StepValues
from .stability import limit, polynomial_roots

FURTHEST = Fraction(4)  # how far from a default numbers are looked at
HALVINGS = 14
DENOMINATOR = 64  # of a bound that is told as what it is, 0 or 1/3, and not as where halving ended


def remembers_for_ever(program: Program, parameters: Mapping[str, Scalar]) -> str:
    """Why what is remembered does not die out, at some values and at the table's own; empty where it does."""
    if not program.main.memory:
        return ""
    tables = [p for p in _parameters(program) if p.values]
    rows = [{p.name: p.values[i] for p in tables} for i in range(program.length or 0)] or [{}]
    for i, row in enumerate(rows):
        roots = _roots(program, {**parameters, **row})
        largest = max((abs(root) for root in roots), default=0.0)
        if largest >= 1 - 1e-9:
            at = f" with the numbers of step {i}" if row else ""
            return (
                f"what is remembered does not die out{at}: on equal steps it is multiplied by "
                f"{largest:.4g} from one to the next"
            )
    return ""


def forgets(program: Program, parameters: Mapping[str, Scalar]) -> tuple[str, float, float] | None:
    """Between which values of its one parameter a memory forgets on equal steps, in whatever order.

    Returns:
        The name, the least and the greatest value; ``None`` where there is not one such parameter.
    """
    own = _parameters(program)
    if len(own) != 1:
        return None
    (parameter,) = own

    def holds(value: Fraction) -> bool:
        return sum(map(abs, _factors(program, {**parameters, parameter.name: value}))) < 1

    if not holds(parameter.default):
        return None
    ends = []
    for sign in (-1, 1):
        inside, outside = parameter.default, parameter.default
        while abs(outside - parameter.default) < FURTHEST and holds(outside):
            inside, outside = outside, outside + Fraction(sign, 8)
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if holds(middle) else (inside, middle)
        simple = inside.limit_denominator(DENOMINATOR)
        ends.append(float(simple if abs(simple - inside) <= Fraction(1, 8 << HALVINGS) else inside))
    return parameter.name, ends[0], ends[1]


def _parameters(program: Program) -> list[Parameter]:
    """Those that the factors of the memory depend on."""
    used = {name for term in program.main.memory for name in symbols(term.weight)}
    return [p for p in program.parameters if p.name in used]


def _factors(program: Program, parameters: Mapping[str, Scalar]) -> list[Fraction]:
    """w_1, w_2, … on equal steps, as h tends to 0."""
    memory = program.main.memory
    values = StepValues(program.kappa, SeriesRing(3), uniform(), parameters).at(0)
    found = [Fraction(0)] * max(depth(term.source) for term in memory)
    for term in memory:
        if back := depth(term.source):
            found[back - 1] += limit(values.expr(term.weight))
    return found


def _roots(program: Program, parameters: Mapping[str, Scalar]) -> list[complex]:
    factors = _factors(program, parameters)
    return polynomial_roots([*(complex(-f) for f in reversed(factors)), 1 + 0j])
