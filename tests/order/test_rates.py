"""How rates follow from what steps add to an error: every case of the rule, on small series."""

from fractions import Fraction
from math import factorial

import pytest
from sympy import Rational

from solvergen.algebra.fixed import TINY, UNIT, FixedSeries, RealRing
from solvergen.derive import derive
from solvergen.gallery import load
from solvergen.order.expansion.grid import uniform
from solvergen.order.expansion.local_error import defaults
from solvergen.order.sde.analysis import NoiseAnalysis
from solvergen.order.sde.gaussian import Target
from solvergen.order.sde.gaussian_runs import Walk
from solvergen.order.sde.grids import GridClass, generic_sizes
from solvergen.order.sde.leading_constants import NODES, polynomial
from solvergen.order.sde.moment_errors import Added, PathErrors, capped, exponent, known, least
from solvergen.order.sde.step_symbols import velocity_clock
from solvergen.order.sde.strength import strength
from solvergen.order.verdict import Rate
from solvergen.program.row import Place
from solvergen.spec import parse_solver


def series(low, *values, end=8):
    return FixedSeries(low, [value * UNIT for value in values], end)


NONE = FixedSeries(0, [], 8)


@pytest.mark.parametrize(
    ("singles", "period", "remainder", "rate", "seen"),
    [
        # h² a step is order 1; what adds up to nothing over a period is a lower bound.
        ([series(4, 1)], [series(4, 1)], [NONE], Rate(Fraction(1)), True),
        ([series(4, 1), series(4, -1)], [NONE], [NONE], Rate(Fraction(1), False), True),
        ([series(4, 1), series(4, -1)], [series(6, 1)], [NONE], Rate(Fraction(1), False), True),
        # The error of the last steps binds where it is larger.
        ([series(6, 1)], [series(6, 1)], [series(2, 1)], Rate(Fraction(1)), True),
        ([series(4, 1), series(4, -1)], [NONE], [series(2, 1)], Rate(Fraction(1)), True),
        ([series(4, 1), series(4, -1)], [NONE], [series(3, 1)], Rate(Fraction(1), False), True),
        ([NONE], [NONE], [series(4, 1)], Rate(Fraction(2)), True),
        ([NONE], [NONE], [series(7, 1)], Rate(Fraction(3), False), True),
        # Nothing is seen: known up to h⁴, so each step adds at most that.
        ([NONE], [NONE], [NONE], Rate(Fraction(3), False), False),
    ],
)
def test_the_rate_of_what_steps_add(singles, period, remainder, rate, seen):
    assert Added(singles, period, remainder, power=2).rate() == (rate, seen)


def test_exponents_are_of_the_least_power_that_does_not_vanish():
    assert exponent([series(3, 1), series(2, 1, 5), Fraction(0)], 2) == 1
    assert exponent([NONE, Fraction(1)], 2) is None
    small = FixedSeries(1, [4 * TINY, UNIT], 8)
    assert (exponent([small], 1), exponent([small], 1, tiny=4 * TINY)) == (1, 2)
    assert exponent([small], 1, tiny=UNIT) is None
    assert known([series(3, 1, end=6), NONE], 2) == 3


def test_the_least_rate_binds():
    half, one = Rate(Fraction(1, 2), False), Rate(Fraction(1))
    assert least([one, half, Rate(None)]) == half
    assert least([Rate(Fraction(1), False), one]) == one
    assert least([Rate(None)]) == Rate(None)
    assert capped(one, [NONE], 2) == one
    assert capped(one, [series(1, 1)], 2) == Rate(Fraction(1, 2))
    assert capped(one, [series(2, 1)], 2, root=2) == Rate(Fraction(1, 2))
    assert capped(one, [series(4, 1)], 2) == one


@pytest.mark.parametrize("coordinate", ["lambda", "clock"])
def test_the_middle_of_a_step_of_velocity_lies_where_its_coordinate_says(coordinate):
    """In λ halfway; in the clock, σ/(1 + σ), where that is halfway."""
    program = derive(
        parse_solver(
            'name = "flow"\nintegrand = "velocity"\ncoordinate = "clock"\n[noise]\nform = "explicit"\n'
            '[step]\nrule = "weights"\nweights = { n = "1" }\nnoise = { z1 = "h/5" }\n'
        )
    )
    ring = RealRing(8)
    target = Target(ring, FixedSeries(0, [], 2))
    walk = Walk(program, ring, uniform(), target, {})
    opened = walk.open(program.main, 0)
    place = walk.place(Place(Rational(1, 2), coordinate), opened)
    at = velocity_clock if coordinate == "clock" else lambda sigma: ring.log(ring.lifted(sigma))
    low, middle, high = (at(target.sigma(p)) for p in (opened.low, place, opened.high))
    assert exponent([ring.lifted(low + high - 2 * middle)], ring.power, tiny=4 * TINY) is None
    assert exponent([ring.lifted(high - low)], ring.power) == 1


@pytest.mark.parametrize(
    "name", ["euler_maruyama_lambda", "dpmpp_2m_sde", "dpmpp_sde", "euler_ancestral"]
)
@pytest.mark.parametrize("kind", ["uniform", "arbitrary"])
def test_mean_squares_along_a_path_are_positive_and_add_up(name, kind):
    """Each part of the path leaves a mean square; from a start in the marginal none cancels another."""
    program = derive(load(name))
    analysis = NoiseAnalysis(program, defaults(program), set())
    sizes = generic_sizes(analysis.depth + 2) if kind == "arbitrary" else [Fraction(1)]
    grids = GridClass(kind, sizes)
    grids.limit = strength(program, analysis.values, kind, sizes, 7)
    walk, site = analysis.walk(grids, 3), grids.period + 2
    path, form = PathErrors(walk, [program.main] * site), walk.main(0, site)
    parts = [path.along(form, site, part) for part in range(site)]
    whole = path.whole(form, site)
    assert all(part.terms[0] > 0 for part in parts)
    assert whole.terms[0] > 0 and whole.low <= min(part.low for part in parts)
    left = whole - sum(parts[1:], parts[0])
    assert not left.terms or left.terms[0] > 0


@pytest.mark.parametrize(("bits", "is_one"), [(110, False), (140, True)])
def test_values_off_a_polynomial_by_more_than_half_of_the_digits_are_on_none(bits, is_one):
    off = NODES[-1]
    found = polynomial(lambda k: UNIT * (3 * k**2 - 2) + (k == off) * (UNIT >> bits))
    assert found == ((Fraction(-2), Fraction(0), Fraction(3)) if is_one else None)


@pytest.mark.parametrize(
    ("integrand", "rate"), [("data", Fraction(9, 25)), ("noise", Fraction(-1))]
)
def test_what_a_draw_weighs_along_its_part_is_the_kernel_of_its_equation(integrand, rate):
    """e^{τ²λ} under data prediction, of the strength τ = 3/5; e^{−λ} under noise prediction, of none."""
    text = f'name = "it"\nintegrand = "{integrand}"\n[noise]\nform = "sde"\nstrength = "3/5"\n'
    program = derive(parse_solver(text + '[step]\nrule = "adams-bashforth"\nsteps = 1\n'))
    analysis, sizes = NoiseAnalysis(program, {}, set()), [Fraction(1)]
    grids = GridClass("uniform", sizes, strength(program, {}, "uniform", sizes, 7))
    walk = analysis.walk(grids, 3)
    shape, power = walk.noise.shape, walk.target.line.power
    for k in range(4):
        wanted = rate**k / factorial(k)
        assert abs(Fraction(shape.coefficient(k * power), UNIT) - wanted) < Fraction(1, 10**30)
