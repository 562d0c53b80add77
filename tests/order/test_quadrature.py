"""Integrals in the rings of the order engine, against closed forms."""

import re
from fractions import Fraction

import pytest

from solvergen.algebra.fixed import UNIT, RealRing
from solvergen.algebra.modular import PRIMES, PrimeField
from solvergen.algebra.ring import SeriesRing
from solvergen.derive import derive
from solvergen.errors import OrderError, SolvergenError
from solvergen.gallery import load
from solvergen.order import analyse
from solvergen.program.consistency import inconsistent_rows
from solvergen.program.digest import digest
from solvergen.program.same import same
from solvergen.spec import parse_solver

RINGS = {
    "exact": SeriesRing(6),
    "residues": SeriesRing(6, field=PrimeField(PRIMES[0])),
    "real": RealRing(20, 2),
}


@pytest.fixture(params=RINGS)
def ring(request):
    return RINGS[request.param]


def size(difference):
    return max((abs(v) for v in getattr(difference, "terms", [difference])), default=0)


def test_of_an_exponential(ring):
    """∫ e^(-x) dx over [h, 3h], and with the end inside the integrand."""
    f, h = ring.functions, ring.h
    area = f["integral"](lambda x: f["exp"](-x), h, 3 * h)
    assert not area - (f["exp"](-h) - f["exp"](-3 * h))
    area = f["integral"](lambda x: (x - h) * f["exp"](x * h), h, h)
    assert not area
    area = f["integral"](lambda x: f["exp"](x - 3 * h), h, 3 * h)
    assert not area - (1 - f["exp"](-2 * h))


def test_left_sum_of_a_square(ring):
    """Σ (k h/5)² h/5 over k = 0 … 4 is 30/125 h³."""
    h = ring.h
    assert not ring.functions["riemann"](lambda x: x * x, 0 * h, h, 5) - Fraction(30, 125) * h**3
    long = ring.functions["riemann"](lambda x: 1 / (1 + x), 0 * h, h, 3)
    parts = (1, 1 / (1 + h / 3), 1 / (1 + 2 * h / 3))
    assert not long - h / 3 * (parts[1] + parts[2] + 1)


def test_singular_integrands_are_refused(ring):
    """∫ dx/x over [h, 2h] is log 2: each power of x counts there, and no polynomial is exact."""
    with pytest.raises(OrderError, match="not smooth"):
        ring.functions["integral"](lambda x: 1 / x, ring.h, 2 * ring.h)


def test_ends_that_stay_apart():
    exact, real = SeriesRing(6), RealRing(20, 2)
    with pytest.raises(OrderError, match="must meet"):
        exact.functions["integral"](lambda x: x, Fraction(0), Fraction(1))
    area = real.functions["integral"](lambda x: 1 / x, real.constant(1), 2 + real.h)
    assert not area - real.log(2 + real.h)


def test_of_a_finite_step():
    ring = RealRing(1, 0, Fraction(3, 10))
    area = ring.functions["integral"](lambda x: 1 / x, ring.exp(-ring.h), ring.constant(1))
    assert not area - Fraction(3, 10)
    left = ring.functions["riemann"](lambda x: x, 0 * ring.h, ring.h, 200)
    assert size(left - ring.h**2 * Fraction(199, 400)) < UNIT >> 200


QUADRATURE = """
name = "er_sde_2_of_one_power"
integrand = "data"
[parameters]
s_noise = { default = 1, minimum = 0 }
[noise]
form = "explicit"
[let]
"phi_of(x)" = "x*sqrt(x)"
r = "phi_of(sigma_next)/phi_of(sigma)"
slope = "integral(phi_of(sigma_next)/phi_of(x) - 1, sigma_next, sigma)/(-sigma*expm1(h*r1))"
[step]
rule = "weights"
decay = "exp(h)*r"
weights = { n = "1 - r + slope", "n-1" = "-slope" }
noise = { z = "s_noise*sqrt(-expm1(-h))" }
[[start.rule]]
rule = "weights"
decay = "exp(h)*r"
weights = { n = "1 - r" }
noise = { z = "s_noise*sqrt(-expm1(-h))" }
"""


def test_an_integral_is_its_closed_form():
    """The paper's integral for phi(x) = x^(3/2), on grids, in 60 digits."""
    made = derive(parse_solver(QUADRATURE))
    assert same(made, derive(load("er_sde_2_power"))) is None
    other = derive(parse_solver(QUADRATURE.replace("x*sqrt(x)", "x*sqrt(2*x)/sqrt(2)")))
    assert same(made, other) is None and digest(made) != digest(other)
    wrong = derive(parse_solver(QUADRATURE.replace("x*sqrt(x)", "x*x")))
    assert same(made, wrong) is not None


@pytest.mark.parametrize("integrand", ["1/x", "1/sqrt(x)"])
def test_an_integral_that_is_singular_at_its_end_is_named(integrand: str) -> None:
    text = (
        'name = "singular"\nintegrand = "data"\n[step]\nrule = "weights"\n'
        f'weights = {{ n = "h*phi1 + h*h*integral({integrand}, 0, h)" }}\n'
    )
    with pytest.raises(
        SolvergenError, match=rf"^integral\({re.escape(integrand)}, 0, h\): .*singular"
    ):
        print(analyse(derive(parse_solver(text))).uniform)


def test_the_check_of_constants_names_a_singular_integral() -> None:
    text = (
        'name = "singular"\nintegrand = "data"\n[noise]\nform = "explicit"\n[step]\n'
        'rule = "weights"\ndecay = "exp(-h)"\nnoise = { z = "sqrt(-expm1(-2*h))" }\n'
        'weights = { n = "-expm1(-2*h) + h*h*integral(1/(x - sigma_next), sigma_next, sigma)" }\n'
    )
    with pytest.raises(SolvergenError, match=r"1/\(x - sigma_next\) is singular"):
        inconsistent_rows(derive(parse_solver(text)))
