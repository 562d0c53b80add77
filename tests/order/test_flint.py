"""Where python-flint is installed its series carry the same numbers as ours."""

import random
from fractions import Fraction

import pytest

from solvergen import gallery
from solvergen.algebra import ring as rings
from solvergen.algebra.modular import PRIMES, ModularSeries, PrimeField, exp, log1p, phi
from solvergen.errors import OrderError
from solvergen.loading import load
from solvergen.order import analyse

pytest.importorskip("flint")
from solvergen.algebra.flint_series import FlintSeries

FIELD = PrimeField(PRIMES[3])
OPERATIONS = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - b + Fraction(2, 3),
    "product": lambda a, b: a * b,
    "quotient": lambda a, b: a / b,
    "inverse": lambda a, b: Fraction(5, 7) / b,
    "scaled": lambda a, b: a * Fraction(-3, 4) + 2,
    "power": lambda a, b: a**3 * b**-2,
    "truncated": lambda a, b: a.truncated(a.end - 2) - a,
    "exp": lambda a, b: exp(a * a),
    "log1p": lambda a, b: log1p(a.truncated(4) * a),
    "phi": lambda a, b: phi(3, a.like(1, [5], a.end)) * b,
    "cancelled": lambda a, b: a * b - b * a,
}


def same(ours, theirs):
    return (ours.low, ours.terms, ours.end) == (theirs.low, theirs.terms, theirs.end)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_agree(name):
    generator = random.Random(name)
    for _ in range(40):
        parts = []
        for _ in range(2):
            low, end = generator.randrange(1, 3), generator.randrange(5, 12)
            terms = [generator.choice([0, generator.randrange(FIELD.prime)]) for _ in range(6)]
            parts.append((low, [generator.randrange(1, 99), *terms], end))
        ours = OPERATIONS[name](*(ModularSeries(*p, FIELD) for p in parts))
        theirs = OPERATIONS[name](*(FlintSeries(*p, FIELD) for p in parts))
        assert isinstance(theirs, FlintSeries) and same(ours, theirs)
        for power in range(ours.low - 1, ours.end):
            assert ours.coefficient(power) == theirs.coefficient(power)


def test_refusals_agree():
    for kind in (ModularSeries, FlintSeries):
        with pytest.raises(OrderError, match="division by zero"):
            kind(0, [0, 0], 5, FIELD).reciprocal()
        with pytest.raises(OrderError, match="known to"):
            kind(0, [1], 5, FIELD).coefficient(5)


@pytest.mark.parametrize("name", gallery.names()[5::60])
def test_analyses_agree(name, monkeypatch):
    program = load(name).program
    if program.stochastic:
        return
    fast = analyse(program)
    monkeypatch.setattr(rings, "INSTALLED", False)
    assert analyse(program).orders == fast.orders
