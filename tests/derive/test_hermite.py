"""Rules through several states: exact for every polynomial that their states and slopes determine."""

from __future__ import annotations

import pytest
from sympy import Integer, Rational, Symbol

from solvergen.derive import derive
from solvergen.derive.stochastic.draws import _ordered
from solvergen.derive.weights.hermite import hermite
from solvergen.errors import DeriveError, SolvergenError
from solvergen.spec import parse_solver

STATES = [Integer(0), Integer(-1), Rational(-7, 3), Rational(-10, 3)]


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("extra", [[], [Integer(1)], [Rational(1, 3)]])
def test_polynomials_that_states_and_slopes_determine_are_reproduced(count, extra):
    states, at = STATES[:count], Rational(5, 7)
    nodes = [*states[:2], *extra]
    values, slopes = hermite(states, nodes, at)
    for degree in range(len(states) + len(nodes)):
        read = sum(v * s**degree for v, s in zip(values, states, strict=True))
        if degree:
            read += sum(w * degree * n ** (degree - 1) for w, n in zip(slopes, nodes, strict=True))
        assert read == at**degree


def test_places_of_one_path_are_in_order_or_refused():
    a, b = Symbol("a"), Symbol("b")
    half = Rational(1, 2)
    assert _ordered({Integer(1), Integer(0), half}) == [half, 1]
    assert _ordered({Integer(0), a, Integer(1)}) == [a, 1]
    for unknown in ({a, b}, {a, half}, {a, half, Integer(1)}):
        with pytest.raises(DeriveError, match="at most one place may be a parameter"):
            _ordered(unknown)


@pytest.mark.parametrize("share", ["sqrt(-1)", "sqrt(-h)", "(h - h)**-1"])
def test_factors_on_states_without_a_value_are_refused(share):
    text = (
        'name = "none"\nintegrand = "noise"\ncoordinate = "clock"\n[start]\nusing = ["euler_sigma"]\n'
        f'[step]\nrule = "weights"\ncarry = {{ x = "1 - {share}", x-1 = "1" }}\nweights = {{ n = 1 }}\n'
    )
    with pytest.raises(SolvergenError, match="no real value|zero"):
        derive(parse_solver(text))
