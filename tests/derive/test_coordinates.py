"""Coordinates of rules against what their names mean: numbers of σ, α and t on each schedule."""

from fractions import Fraction
from itertools import pairwise

import mpmath
import pytest
from sympy import Rational

from solvergen.derive.program import derive
from solvergen.derive.stages_before import offset_before
from solvergen.derive.weights.coordinates import resolve
from solvergen.errors import DeriveError
from solvergen.expr.arithmetic import ONE
from solvergen.expr.evaluation import evaluate
from solvergen.program.functions import ELEMENTARY
from solvergen.program.row import Place
from solvergen.spec import parse_solver
from solvergen.spec.model import Schedule

PLACES = [mpmath.mpf(v) / 4 for v in (-13, -6, -1, 3, 9)]
LOW, HIGH = Fraction(1, 10), 20


def real(q):
    return mpmath.mpf(q.numerator) / q.denominator


def levels(schedule, lam):
    """α and σ at a λ."""
    s = mpmath.exp(-lam)
    if schedule == "ve":
        return mpmath.mpf(1), s
    if schedule == "flow":
        return 1 / (1 + s), s / (1 + s)
    return 1 / mpmath.sqrt(1 + s**2), s / mpmath.sqrt(1 + s**2)


def linear_time(lam):
    """t where −2 log α = β_min t + (β_max − β_min) t²/2."""
    alpha = levels("vp", lam)[0]
    low, slope = mpmath.mpf(1) / 10, mpmath.mpf(HIGH) - mpmath.mpf(1) / 10
    return mpmath.findroot(
        lambda t: low * t + slope * t**2 / 2 + 2 * mpmath.log(alpha), (0.01, 2), solver="illinois"
    )


MEANINGS = {
    "rho": lambda schedule, lam: mpmath.exp(lam),
    "s": lambda schedule, lam: mpmath.exp(-lam),
    "tau": lambda schedule, lam: mpmath.exp(-lam) / (1 + mpmath.exp(-lam)),
    "lambda": lambda schedule, lam: lam,
    "sigma": lambda schedule, lam: levels(schedule, lam)[1],
    "t": lambda schedule, lam: linear_time(lam),
}
OWN = {"data": "rho", "noise": "s", "velocity": "tau"}
CASES = [
    *((name, None) for name in ("rho", "s", "tau", "lambda")),
    *(("sigma", name) for name in ("ve", "flow", "vp", "vp-linear", "cosine")),
    ("t", "vp-linear"),
]


@pytest.mark.parametrize("integrand", OWN)
@pytest.mark.parametrize(("name", "schedule"), CASES)
def test_a_coordinate_is_what_its_name_says(name, schedule, integrand):
    made = Schedule(schedule, LOW, Fraction(HIGH)) if schedule else None
    found = resolve(name, integrand, made, ("coordinate",))
    meant = [MEANINGS[name](schedule or "ve", lam) for lam in PLACES]
    if found.kind == "lambda":
        shown = PLACES
    elif found.kind == "clock":
        shown = [MEANINGS[OWN[integrand]](None, lam) for lam in PLACES]
    else:
        values = [{"lam": lam} for lam in PLACES]
        shown = [evaluate(found.expression, v, ELEMENTARY, real) for v in values]
    assert all(abs(a - b) < 1e-12 * abs(b) for a, b in zip(shown, meant, strict=True))
    rises = [b > a for a, b in pairwise(meant)]
    assert all(rises) or not any(rises)


@pytest.mark.parametrize("integrand", ["data", "noise"])
@pytest.mark.parametrize("name", ["rho", "s"])
@pytest.mark.parametrize("part", ["1/3", "1/2", "4/5"])
def test_a_fraction_in_a_clock_is_one_of_its_way(name, integrand, part):
    """y at the place lies at that fraction of the way from y at the start to y at the end."""
    kappa, share = {"data": 1, "noise": -1}[integrand], Fraction(part)
    text = f'name = "m"\nintegrand = "{integrand}"\ncoordinate = "{name}"\n'
    text += f'[[stage]]\nname = "u"\nat = "{part}"\nrule = "interpolate"\nnodes = ["n"]\n'
    text += '[step]\nrule = "interpolate"\nnodes = ["u"]\n'
    place = derive(parse_solver(text)).main.stages[0].place
    way = {"rho": mpmath.exp, "s": lambda lam: mpmath.exp(-lam)}[name]
    for h in (0.2, 1.3):
        fraction = evaluate(place.lam(kappa), {"h": mpmath.mpf(h)}, ELEMENTARY, real)
        reached = (way(fraction * h) - way(0)) / (way(h) - way(0))
        assert abs(reached - mpmath.mpf(share.numerator) / share.denominator) < 1e-12


def test_time_is_refused_where_it_is_not_defined():
    with pytest.raises(DeriveError, match="not defined"):
        resolve("t", "noise", Schedule("cosine", LOW, Fraction(HIGH)), ())


def test_without_a_schedule_sigma_and_t_are_those_of_x0_plus_noise():
    for name in ("sigma", "t"):
        assert resolve(name, "noise", None, ()).kind == "clock"


@pytest.mark.parametrize("integrand", OWN)
@pytest.mark.parametrize("coordinate", ["lambda", "clock"])
def test_stages_lie_in_the_coordinate_of_the_solver(integrand, coordinate):
    """A velocity solver has no stages in λ: theirs lie in its clock."""
    text = f'name = "m"\nintegrand = "{integrand}"\ncoordinate = "{coordinate}"\n'
    text += '[[stage]]\nname = "u"\nat = "1/3"\nrule = "interpolate"\nnodes = ["n"]\n'
    text += '[step]\nrule = "interpolate"\nnodes = ["u"]\n'
    try:
        place = derive(parse_solver(text)).main.stages[0].place
    except DeriveError as error:
        assert (integrand, coordinate) == ("velocity", "lambda") and "one clock" in str(error)
        return
    assert place.coordinate == coordinate and place.fraction == Rational(1, 3)


@pytest.mark.parametrize("integrand", ["data", "noise"])
@pytest.mark.parametrize("name", ["lambda", "rho", "s", "tau"])
@pytest.mark.parametrize(
    "place",
    [Place(Rational(1, 2)), Place(ONE), Place(ONE, "clock"), Place(Rational(1, 3), "clock")],
)
def test_a_stage_of_the_step_before_lies_where_that_step_put_it(name, integrand, place):
    """Its offset is (y − y_n)/(y_{n+1} − y_n), y taken at its place between λ_{n−1} and λ_n."""
    before, start, end = (mpmath.mpf(v) for v in (-0.4, 0.1, 0.9))
    kappa = {"data": 1, "noise": -1}[integrand]
    coordinate = resolve(name, integrand, None, ())
    y = {key: lambda lam, key=key: MEANINGS[key](None, lam) for key in MEANINGS}[name]
    clock = {"data": mpmath.exp, "noise": lambda lam: mpmath.exp(-lam)}[integrand]
    share = real(Fraction(int(place.fraction.p), int(place.fraction.q)))
    if place.coordinate == "clock":
        inside = clock(before) + share * (clock(start) - clock(before))
        where = mpmath.log(inside) * kappa
    else:
        where = before + share * (start - before)
    symbols = {
        "h": end - start,
        "theta1": (start - before) / (end - start),
        "Theta1": (clock(start) - clock(before)) / (clock(end) - clock(start)),
        "eta1": (y(start) - y(before)) / (y(end) - y(start)),
    }

    def offset(c, *_):
        return (y(start + c * (end - start)) - y(start)) / (y(end) - y(start))

    found = evaluate(
        offset_before(coordinate, place, integrand, False),
        symbols,
        {**ELEMENTARY, "offset": offset},
        real,
    )
    wanted = (y(where) - y(start)) / (y(end) - y(start))
    assert abs(found - wanted) < 1e-12
