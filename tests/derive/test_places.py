"""Stages and weights in another variable of time: EDM's two-stage family, written out in the test."""

import itertools
import math
from fractions import Fraction

import mpmath
import pytest
import torch
from sympy import Symbol

from solvergen.derive import derive
from solvergen.emit.formulas import formula
from solvergen.errors import DeriveError
from solvergen.expr.evaluation import evaluate
from solvergen.order import analyse
from solvergen.order.questions.certificate import NotCertified, certificate
from solvergen.program.functions import ELEMENTARY, functions, further, number
from solvergen.spec import parse_solver
from verify.order.audit import audit

TABLE = """
[parameters.r]
default = 1
above   = 0
maximum = 1
[tableau]
c = ["r"]
a = [["r"]]
b = ["1 - 1/(2*r)", "1/(2*r)"]
"""


def family(integrand, coordinate, schedule):
    head = f'name = "family"\nintegrand = "{integrand}"\ncoordinate = "{coordinate}"\n'
    return parse_solver(f'{head}schedule = {{ name = "{schedule}" }}\n{TABLE}')


MID = """
name      = "mid"
integrand = "noise"
schedule  = {{ name = "{schedule}" }}
[[stage]]
name  = "mid"
at    = "1/2"
place = "{place}"
rule  = "interpolate"
nodes = ["n"]
[step]
rule  = "interpolate"
nodes = ["n", "mid"]
"""


def growth(t):
    """−2 log α of the linear VP schedule and its derivative."""
    return 19.9 * t**2 / 2 + 0.1 * t, 19.9 * t + 0.1


def vp_time(sigma):
    """t, dσ/dt and σ at t of σ(t) = sqrt(e^{g(t)} − 1), from σ: one variable of EDM's Table 1."""
    g = math.log1p(sigma**2)
    t = (math.sqrt(0.01 + 2 * 19.9 * g) - 0.1) / 19.9

    def at(t):
        g, rate = growth(t)
        level = math.sqrt(math.expm1(g))
        return level, rate * (1 + level**2) / (2 * level)

    return t, at


def vp_sigma(sigma):
    """The same with s = σ/sqrt(1 + σ²), the noise level of a VP model, as the variable."""
    return sigma / math.sqrt(1 + sigma**2), lambda s: (
        s / math.sqrt(1 - s**2),
        (1 - s**2) ** -1.5,
    )


def algorithm_3(model, x, sigmas, r, variable):
    """Karras et al. 2022, Algorithm 3, with s(t) = 1."""
    for now, then in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
        (t, at), (end, _) = variable(now), variable(then)
        h = end - t

        def slope(x, t, at=at):
            level, rate = at(t)
            return rate / level * (x - model(x, torch.tensor([level], dtype=x.dtype)))

        d = slope(x, t)
        x = x + h * ((1 - 1 / (2 * r)) * d + slope(x + r * h * d, t + r * h) / (2 * r))
    return x


@pytest.mark.parametrize("r", [1, 2 / 3, 1 / 2, 1 / 7])
@pytest.mark.parametrize("n", [5, 10, 20])
@pytest.mark.parametrize(
    ("coordinate", "schedule", "variable"), [("t", "vp-linear", vp_time), ("sigma", "vp", vp_sigma)]
)
def test_the_two_stage_family_is_algorithm_3(
    coordinate, schedule, variable, n, r, sampler, mixture
):
    sigmas = torch.linspace(7, 0.1, n + 1, dtype=torch.float64) ** 1.5
    x = 20 * torch.randn(5, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    module = sampler(family("noise", coordinate, schedule))
    wanted = algorithm_3(mixture, x, sigmas, r, variable)
    found = module.sample(mixture, x, sigmas, r=r)
    assert (found - wanted).abs().max() < 1e-11 * wanted.abs().max()


@pytest.mark.parametrize("integrand", ["noise", "data"])
@pytest.mark.parametrize(("coordinate", "schedule"), [("t", "vp-linear"), ("sigma", "vp")])
def test_weights_in_another_variable_keep_their_order(integrand, coordinate, schedule, sampler):
    solver = family(integrand, coordinate, schedule)
    assert analyse(derive(solver)).order.value == 2
    assert audit(sampler(solver).sample).orders() == {"uniform": 2, "smooth": 2, "arbitrary": 2}


@pytest.mark.parametrize("place", ["t", "sigma"])
def test_a_place_is_a_fraction_of_the_step_in_its_own_variable(place, sampler):
    """The stage of DPM-Solver-2, half-way in t or σ of a VP model instead of half-way in λ."""
    schedule = {"t": "vp-linear", "sigma": "vp"}[place]
    text = MID.format(schedule=schedule, place=place)
    plan = sampler(parse_solver(text)).coefficients([3.0, 0.5])
    variable = {"t": vp_time, "sigma": vp_sigma}[place]
    halves = (variable(3.0)[0] + variable(0.5)[0]) / 2
    assert math.isclose(plan[1][2], variable(0.5)[1](halves)[0], rel_tol=1e-13)


TWO = """
name = "two"
integrand = "data"

[schedule]
name = "vp-linear"
beta_min = "1/10"
beta_max = 20

[[stage]]
name = "mid"
at = "1/2"
rule = "interpolate"
nodes = ["n", "n-1"]
coordinate = "sigma"

[step]
rule = "interpolate"
nodes = ["n", "mid", "n-1"]
coordinate = "t"
"""


def by_hand(model, x, sigmas):
    """TWO without its derivation: Lagrange polynomials in sigma and in t, integrated by rho = 1/sigma."""

    def vp(sigma):
        return sigma / mpmath.sqrt(1 + sigma**2)

    def time(sigma):
        length = mpmath.log1p(sigma**2)
        return 2 * length / (mpmath.sqrt(mpmath.mpf(199) / 5 * length + 0.01) + 0.1)

    def moved(x, y, start, end, nodes):
        def polynomial(rho):
            at, total = y(1 / rho), 0
            for j, (sigma, value) in enumerate(nodes):
                others = [y(other) for k, (other, _) in enumerate(nodes) if k != j]
                total += value * mpmath.fprod((at - o) / (y(sigma) - o) for o in others)
            return total

        return end * (x / start + mpmath.quad(polynomial, [1 / start, 1 / end]))

    past = []
    for start, end in itertools.pairwise(sigmas):
        now = [(start, model(x, start))]
        mid = mpmath.sqrt(start * end)
        inner = moved(x, vp, start, mid, now + past)
        x = moved(x, time, start, end, [*now, (mid, model(inner, mid)), *past])
        past = now
    return x


def test_rules_in_two_coordinates_beside_lambda(sampler):
    program = derive(parse_solver(TWO))
    assert len(program.coordinates) == 2
    assert analyse(program).order.value == 3
    made = sampler(parse_solver(TWO))
    assert audit(made.sample).orders() == {"uniform": 3, "smooth": 3, "arbitrary": 3}
    for sigmas in ([5.0, 2.0, 0.9, 0.2], [3.0, 2.9, 0.4, 0.35, 0.3]):
        one, levels = torch.ones(1, dtype=torch.float64), torch.tensor(sigmas, dtype=torch.float64)
        got = made.sample(lambda x, s: x / (1 + s**2), one, levels)
        want = by_hand(lambda x, s: x / (1 + s**2), mpmath.mpf(1), [*map(mpmath.mpf, sigmas)])
        assert float(got) == pytest.approx(float(want), rel=1e-12)


# an Adams predictor in the sigma of flow models, a corrector in rho
CORRECTED = """
name = "pc_three_coordinates"
integrand = "noise"
coordinate = "sigma"
schedule = { name = "flow" }
[step]
rule = "adams-bashforth"
steps = 2
[corrector]
mode = "PECE"
rule = "adams-moulton"
coordinate = "rho"
steps = 3
"""
# t in the middle, rho and sigma in the first steps, rho in the last one
EDGES = """
name = "edges"
integrand = "noise"
schedule = { name = "vp-linear" }
[step]
rule = "interpolate"
coordinate = "t"
nodes = ["n", "n-1", "n-2"]
[[start.rule]]
rule = "interpolate"
coordinate = "rho"
nodes = ["n"]
[[start.rule]]
rule = "interpolate"
coordinate = "sigma"
nodes = ["n", "n-1"]
[[end.rule]]
rule = "interpolate"
coordinate = "rho"
nodes = ["n", "n-1"]
"""


@pytest.mark.parametrize(("text", "count", "order"), [(CORRECTED, 2, 3), (EDGES, 3, 2)])
def test_orders_in_several_coordinates_are_those_audited(text, count, order, sampler):
    solver = parse_solver(text)
    program = derive(solver)
    assert len(program.coordinates) == count
    assert analyse(program).order.value == order
    assert set(audit(sampler(solver).sample).orders().values()) == {order}
    said = "a symbol that names y₂ is taken in that coordinate, one that names none in y"
    assert said in formula.terminal(program)
    with pytest.raises(NotCertified, match="several coordinates"):
        certificate(program)


def test_noise_in_a_further_coordinate_is_refused_with_the_way():
    with pytest.raises(DeriveError, match='form = "explicit"'):
        derive(
            parse_solver(MID.format(schedule="vp-linear", place="t") + '[noise]\nform = "sde"\n')
        )


@pytest.mark.parametrize("at", [Fraction(1, 3), Fraction(2, 3)])
def test_fraction_and_slope_are_what_they_say(at):
    """At 40 digits: Y at the fraction is the place; the slope is the derivative written out."""
    program = derive(family("noise", "t", "vp-linear"))
    start, end = mpmath.mpf(-1), mpmath.mpf("0.4")
    with mpmath.workdps(40):
        known = functions(program.main, -1, start, end)
        place = known["fraction"](mpmath.mpf(at.numerator) / at.denominator)
        assert abs(known["offset"](place) - mpmath.mpf(at.numerator) / at.denominator) < 1e-36
        lam = start + place * (end - start)
        ends = [mpmath.exp(-value) for value in (start, end)]
        (expression,) = program.main.coordinates
        y = further(expression)
        rate = evaluate(expression.diff(Symbol("lam")), {"lam": lam}, ELEMENTARY, number)
        slope = -mpmath.exp(-lam) / rate * (y(end) - y(start)) / (ends[1] - ends[0])
        assert abs(known["slope"](place) / slope - 1) < 1e-15
