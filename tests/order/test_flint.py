"""Where python-flint is installed its series carry the same numbers as ours."""

import random
from fractions import Fraction

import pytest

from solvergen import gallery
from solvergen.algebra import ring as rings
from solvergen.algebra import series
from solvergen.algebra.modular import PRIMES, ModularSeries, PrimeField, exp, log1p, phi
from solvergen.algebra.series import Series
from solvergen.algebra.surd import root
from solvergen.algebra.traced import symbol
from solvergen.errors import OrderError
from solvergen.loading import load
from solvergen.order import analyse

pytest.importorskip("flint")
from solvergen.algebra import flint_rationals
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
    plain = analyse(program)
    assert plain.orders == fast.orders
    assert plain.uniform.json() == fast.uniform.json()


RATIONAL = {
    "quotient": lambda kind, a, b: Fraction(5, 7) / b + a / b,
    "power": lambda kind, a, b: a**3 * b**-2 - a.truncated(4),
    "exp": lambda kind, a, b: kind.exp(a * a) * Fraction(-3, 4) + 2,
    "log1p": lambda kind, a, b: kind.log1p(a.truncated(4) * a),
    "phi": lambda kind, a, b: kind.phi(3, a - b * 2) * b,
    "phi of a monomial": lambda kind, a, b: kind.phi(2, a.like(1, [Fraction(5, 3)], 7)),
    "cancelled": lambda kind, a, b: a * b - b * a,
}


@pytest.mark.parametrize("name", RATIONAL)
def test_rational_series_agree(name):
    generator = random.Random(name)

    def made():
        low, end = generator.randrange(1, 3), generator.randrange(5, 12)
        values = [Fraction(generator.randrange(-9, 99), 7 + k) for k in range(7)]
        return Series(low, [Fraction(2, 3), *values], end)

    for a, b in [(made(), made()) for _ in range(10)]:
        ours = RATIONAL[name](series, a, b)
        theirs = RATIONAL[name](flint_rationals, *map(flint_rationals.lifted, (a, b)))
        assert isinstance(theirs, flint_rationals.RationalSeries) and same(ours, theirs)
        assert ours.coefficient(ours.end - 1) == theirs.coefficient(ours.end - 1)


def test_roots_and_symbols_leave_flint():
    h = flint_rationals.lifted(Series(1, [Fraction(1)], 4))
    for value in (root(Fraction(2)), symbol("r1", (Fraction(3, 7), Fraction(5, 11)))):
        for found in (h * value + 1, 1 + value * h, (h + value) * h):
            assert type(found) is Series and value in found.terms
    assert h * Fraction(0) == 0 and not h - h
    with pytest.raises(OrderError, match="division by zero"):
        (h - h).reciprocal()
    with pytest.raises(OrderError, match="does not vanish"):
        flint_rationals.exp(1 + h)
