"""Expanding a coefficient gives the rational function that its values come from."""

from fractions import Fraction

import pytest
from sympy.polys.domains import QQ

from solvergen import gallery
from solvergen.algebra.rational import canonical
from solvergen.algebra.traced import Traced, plain, symbol
from solvergen.derive import derive
from solvergen.order import analyse


def at(value, point):
    """A traced coefficient, expanded and then evaluated."""
    quotient = canonical([value])[0]
    exact = [QQ(x.numerator, x.denominator) for x in point]
    top, bottom = (QQ.convert(p(*exact)) for p in (quotient.top, quotient.denominator()))
    ratio = top / bottom
    return Fraction(int(ratio.numerator), int(ratio.denominator))


def test_products_cancel_across_without_losing_factors():
    points = (Fraction(3, 7), Fraction(11, 5))
    r = symbol("r1", points)
    left = (r + 2) / (r * (r + 1))
    right = (r + 1) / ((r + 2) * (r + 3))
    for value in (left * right, left * right * left, left / right, (left + right) * left * right):
        assert isinstance(value, Traced)
        assert tuple(at(value, (p,)) for p in points) == tuple(map(plain, value.values))


@pytest.mark.parametrize("name", ["bdf_2", "o_belm", "deis_rhoab3", "unipc_2_bh2", "lms3"])
def test_symbolic_constants_of_solvers_keep_their_values(name):
    from solvergen.order.expansion.grid import _ratio_values

    terms = analyse(derive(gallery.load(name))).symbolic.terms
    checked = [value for _, value in terms if isinstance(value, Traced)]
    assert checked
    for value in checked:
        names = sorted({n.parts[0] for n in value.walk() if n.operation == "symbol"})
        for index, known in enumerate(value.values):
            point = [_ratio_values(int(n[1:]))[index] for n in names]
            assert at(value, point) == plain(known)
