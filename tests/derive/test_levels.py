"""σ/α at the ends of a step in the weights of deterministic rules, and names that such rules lack."""

from fractions import Fraction
from math import exp, log
from types import SimpleNamespace

import pytest
from sympy import Symbol

from solvergen.algebra.ring import SeriesRing
from solvergen.derive.program import derive
from solvergen.errors import SolvergenError
from solvergen.expr.parse import parse
from solvergen.gallery import load
from solvergen.order.expansion.symbol_values import StepValues
from solvergen.order.ode.analyse import Analysis, analyse
from solvergen.order.ode.switches import _grows, branches
from solvergen.order.sde.strength import silenced
from solvergen.order.verdict import Order
from solvergen.program.unroll import unroll
from solvergen.spec.reader import parse_solver

LEANING = """
name = "leaning"
integrand = "data"
[step]
rule = "weights"
weights = {{ n = "h*phi1*(1 + {0})", n-1 = "-h*phi1*({0})" }}
[start]
using = ["ddim"]
"""
PART = "1/(2*r1)*sigma/(1 + sigma_next)"


def program(part):
    return derive(parse_solver(LEANING.format(part)))


def test_the_constant_holds_at_every_level():
    report = analyse(program(PART))
    assert {o["own_end"].value for o in report.orders.values()} == {1}
    # AB2 adds 1/2 D' h² where the weight is 1/(2 r1); a share s/(1 + s) of that leaves 1/(1 + s)
    (term,) = report.json()["leading_error"]["uniform"]
    assert (term["word"], term["coef"]) == ("D'", "(-1/2)/(sigma + 1)")


def test_what_vanishes_with_the_step_costs_no_order():
    report = analyse(program("1/(2*r1) + (sigma - sigma_next)**2/(3 + sigma)"))
    assert {o["own_end"].value for o in report.orders.values()} == {2}
    assert analyse(program("1/(2*r1) + sigma - sigma_next")).orders["uniform"]["own_end"].value == 2


def test_the_levels_are_those_of_the_step():
    sigmas = [5.0, 2.0, 0.5]
    run = unroll(program(PART), [-log(s) for s in sigmas])
    h, ratio = log(2.0 / 0.5), log(5.0 / 2.0) / log(2.0 / 0.5)
    part = 1 / (2 * ratio) * 2.0 / (1 + 0.5)
    weight = 1 - exp(-h)
    # α = 1: the last step is σ₂/σ₁ x + (1 − e^{−h})((1 + part) D₁ − part D₀)
    assert float(run.final[2]) == pytest.approx(weight * (1 + part), rel=1e-14)
    before = float(run.calls[1].state[1]) * 0.5 / 2.0
    assert float(run.final[1]) - before == pytest.approx(-weight * part, rel=1e-13)


@pytest.mark.parametrize(
    ("part", "said"),
    [("1/i", r"count from i \+ 1"), ("N/2", "`steps`")],
)
def test_what_a_rule_cannot_count_is_refused_with_the_remedy(part, said):
    alone = LEANING.replace('[start]\nusing = ["ddim"]\n', "").replace("n-1", "end")
    stage = '[[stage]]\nname = "end"\nat = 1\nrule = "interpolate"\nnodes = ["n"]\n[step]'
    with pytest.raises(SolvergenError, match=said):
        program_of(alone.replace("[step]", stage).format(part))


def program_of(text):
    return derive(parse_solver(text))


def orders(part):
    return analyse(program(part))


def test_a_report_says_where_the_order_is_another():
    made = derive(parse_solver(LEANING.format("1/2")))
    alike = "order exactly 2, on any grid, with its own start and end"
    assert str(analyse(made)) == alike.replace("2", "1") + " (on uniform grids exactly 2)"
    assert str(orders("1/(2*r1)")) == alike


def test_a_first_step_that_leaves_an_error_of_size_one_is_named():
    made = '[start]\nusing = ["ddim"]', '[[start.rule]]\nrule = "weights"\nweights = { n = "1" }'
    said = analyse(derive(parse_solver(LEANING.format("0").replace(*made)))).divergence
    assert said == (
        "does not converge: the first or last steps leave an error of size 1; "
        "start step 0 (one node) adds h^0: D"
    )


def test_a_rule_that_switches_has_the_order_of_its_weakest_steps():
    report = orders("1/(2*r1)*between(1, sigma, 5)")
    assert str(report.order) == "at least 1"
    assert {decided[0][-1]: str(order) for decided, order in report.ways} == {
        "1": "exactly 2",
        "0": "exactly 1",
    }
    assert "ways" in report.json()


@pytest.mark.parametrize(("count", "accepted"), [(5, True), (6, False)])
def test_as_many_switches_as_are_looked_at(count, accepted):
    """32 ways, which five switches have."""
    part = "*".join(f"(1 + between({k}, sigma, {k + 9}))" for k in range(1, count + 1))
    made = program(part)
    if accepted:
        assert len(branches(made)) == 32
    else:
        with pytest.raises(SolvergenError, match="more than 32 ways"):
            branches(made)


def test_levels_at_other_sites_are_those_of_the_grid():
    """Two steps of sizes h and 3/2 h: σ falls by e^{-h} each, and a step's end is its next one's start."""
    grid = SimpleNamespace(
        position=lambda site: Fraction(3 * site, 2) if site > 0 else Fraction(site)
    )
    ring = SeriesRing(4)
    exponential = ring.functions["exp"]
    values = StepValues(1, ring, grid, {"sigma": Fraction(2)}, inner=lambda *_: None)
    for site in (-1, 0, 1):
        found = values.at(site)
        assert not found["sigma"] - 2 * exponential(-grid.position(site) * ring.h)
        assert not found["sigma_next"] - 2 * exponential(-grid.position(site + 1) * ring.h)
    offset = values.clock_offset(Fraction(1, 3), Fraction(5, 4))
    assert not offset - ring.functions["expm1"](Fraction(11, 12) * ring.h)


def test_a_bound_on_the_number_of_steps_is_left_behind_by_long_runs():
    report = orders("1/(2*r1)*(1 - between(0, steps, 9))")
    assert str(report.order) == "exactly 2"


@pytest.mark.parametrize(
    ("part", "order"),
    [
        ("min(1, i/10)", "at least 1"),
        ("min(1, (steps - i)/5)", "at least 1"),
        ("min(1, steps/20)", "exactly 2"),
        ("min(1, 2*i/steps)", "at least 1"),
    ],
)
def test_what_grows_with_the_run_is_the_least_in_few_steps_only(part, order):
    report = orders(f"{part}/(2*r1)")
    assert (str(report.order), report.divergence) == (order, "")


def test_the_number_of_a_step_enters_the_constant_as_a_share_of_the_run():
    report = orders("i/(2*r1*steps)")
    assert {o["own_end"].value for o in report.orders.values()} == {1}
    (term,) = report.json()["leading_error"]["uniform"]
    assert (term["word"], term["coef"]) == ("D'", "(-1/2*Nh + 1/2*ih)/(Nh)")


def test_first_steps_that_differ_are_counted():
    # 1/(i + 1)^3 vanishes inside a long run like h^3 and is 1 in its first step
    part = "1/(2*r1) + 1/(i + 1)**3"
    assert orders(part).orders["uniform"]["exact_start"].value == 2
    assert orders(part.replace("1/(i", "h/(i")).orders["uniform"]["own_start"].value == 2
    late = "1/(2*r1) + 1/(steps - i)**3"
    assert orders(late).orders["uniform"]["own_end"].value == orders(part).order.value


def test_counts_are_those_of_the_run():
    sigmas = [5.0, 2.0, 0.5]
    run = unroll(program("(1 + i)/steps + min(sigma, 3)"), [-log(s) for s in sigmas])
    weight = 1 - exp(-log(4.0))
    assert float(run.final[2]) == pytest.approx(weight * (1 + 2 / 2 + 2.0), rel=1e-14)


def test_a_velocity_rule_says_that_its_order_is_not_derived():
    text = LEANING.format(PART).replace('"data"', '"velocity"\ncoordinate = "clock"')
    with pytest.raises(SolvergenError, match="no order is derived for velocity"):
        analyse(derive(parse_solver(text.replace("h*phi1*", ""))))


def test_what_is_left_of_churn_without_noise_is_euler():
    quiet = silenced(derive(load("euler_churn_as_shipped_by_diffusers")))
    assert str(analyse(quiet).order) == "exactly 1"


def test_a_long_rule_in_time_is_answered_in_part():
    """AB7 in t: what its constant holds of the schedule is named, not expanded."""
    text = (
        'name = "long"\nintegrand = "data"\ncoordinate = "t"\n'
        '[schedule]\nname = "vp-linear"\nbeta_min = "1/10"\nbeta_max = 20\n'
        '[step]\nrule = "adams-bashforth"\nsteps = 7\n'
    )
    analysis = Analysis(derive(parse_solver(text)), {}, ())
    assert analysis.local_orders()["uniform"] == Order(7, True)
    shown = analysis.constants("uniform")
    # the classical constant of Adams-Bashforth 7 holds in every coordinate
    assert str(shown).startswith("h^8 [-5257/17280 D^(7) + … in D', ")
    assert shown.norm() is None


@pytest.mark.parametrize(
    ("text", "grows"),
    [("steps", True), ("i", True), ("steps/3 + 1", True), ("3", False), ("i/steps", False),
     ("1/steps", False), ("tau", False), ("tau*steps", False), ("-i", False)],
)  # fmt: skip
def test_what_grows_without_end_in_a_run_of_more_and_more_steps(text, grows):
    names = {name: Symbol(name) for name in ("steps", "i", "tau")}
    assert _grows(parse(text, names)) is grows
