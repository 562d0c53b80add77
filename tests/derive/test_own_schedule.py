"""A schedule that a spec gives as α(t) and σ(t): its t and σ are coordinates like those of a named one."""

import mpmath
import pytest

from solvergen.derive import derive
from solvergen.errors import DeriveError, SpecError
from solvergen.expr.evaluation import evaluate
from solvergen.program.functions import ELEMENTARY, number
from solvergen.program.same import same
from solvergen.spec.reader import parse_solver

SPEC = """
name = "{name}"
integrand = "noise"
coordinate = "{coordinate}"
[schedule]
{schedule}
[step]
rule = "adams-bashforth"
steps = 2
"""
LINEAR = """
alpha = "exp(-(t/10 + 199*t**2/20)/2)"
sigma = "sqrt(1 - exp(-(t/10 + 199*t**2/20)))"
"""


def made(schedule, coordinate="t", name="mine"):
    return derive(parse_solver(SPEC.format(name=name, coordinate=coordinate, schedule=schedule)))


def coordinate_of(schedule, coordinate="t"):
    """y(λ) as a function of an mpmath number."""
    (expression,) = made(schedule, coordinate).main.coordinates
    return lambda lam: evaluate(expression, {"lam": lam}, ELEMENTARY, number)


@pytest.mark.parametrize("coordinate", ["t", pytest.param("sigma", marks=pytest.mark.nightly)])
def test_written_out_it_is_the_named_schedule(coordinate):
    named = coordinate_of('name = "vp-linear"', coordinate)
    own = coordinate_of(LINEAR, coordinate)
    for lam in (-4.5, -1, 0, 3, 7):
        assert mpmath.almosteq(own(mpmath.mpf(lam)), named(mpmath.mpf(lam)), 1e-14)


def test_time_is_the_inverse_and_does_not_cancel():
    time = coordinate_of('alpha = "1 - t**2"\nsigma = "t"')
    for lam in (-3, 0, 4, 18):
        with mpmath.workdps(40):
            t = time(mpmath.mpf(lam))
            assert mpmath.almosteq(mpmath.log((1 - t**2) / t), lam, 1e-30)
        assert mpmath.almosteq(time(mpmath.mpf(lam)), t, 1e-14)


@pytest.mark.nightly
def test_the_solver_is_the_one_of_the_named_schedule():
    assert same(made(LINEAR), made('name = "vp-linear"', name="other")) is None


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ('alpha = "1 - t**3"\nsigma = "t + t**5"', "no closed form"),
        ('alpha = "cos(pi*t/2)"\nsigma = "sin(pi*t/2)"', "cannot evaluate"),
        ('alpha = "t"\nsigma = "1 - t"', "does not fall"),
    ],
)
def test_what_is_no_coordinate_is_refused(schedule, message):
    with pytest.raises(DeriveError, match=message):
        made(schedule)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ('alpha = "1 - t"', "both `alpha` and `sigma`"),
        ('name = "vp"\nsigma = "t"', "give either `name`"),
        ('alpha = "1 - q"\nsigma = "t"', "unknown name `q`"),
        ('alpha = "sin(9)"\nsigma = "t"', "write its value instead"),
        ("alpha = 0.5\nsigma = 't'", "alpha"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(schedule, message):
    with pytest.raises(SpecError, match=message) as caught:
        made(schedule)
    assert caught.value.line > 4


LEVELS = """
name = "x"
integrand = "data"
[step]
rule = "interpolate"
nodes = ["n"]
[grid]
levels = ["{first}", "1", "{last}"]
[schedule]
{schedule}
"""
VP_LINEAR = 'name = "vp-linear"'
NARROW = 'alpha = "1"\nsigma = "1/2 + t"'


@pytest.mark.parametrize(
    ("schedule", "first", "last", "said"),
    [
        (VP_LINEAR, "153", "0.002", "ends at sigma/alpha = 152.167 and the first level is 153"),
        (NARROW, "1.6", "0.6", "ends at sigma/alpha = 1.5 and the first level is 1.6"),
        (NARROW, "1.5", "0.4", "begins at sigma/alpha = 0.5 and the last level is 0.4"),
        (VP_LINEAR, "152", "0.002", ""),
        (NARROW, "1.5", "0", ""),
        ('alpha = "1 - t"\nsigma = "t"', "400", "0.002", ""),
    ],
)
def test_levels_that_leave_the_schedule(schedule, first, last, said):
    solver = parse_solver(LEVELS.format(schedule=schedule, first=first, last=last))
    if not said:
        derive(solver)
        return
    with pytest.raises(DeriveError, match=said):
        derive(solver)
