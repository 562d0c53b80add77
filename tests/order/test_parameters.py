"""For which parameter values orders hold, constants in the parameters, and the least of them."""

from fractions import Fraction
from math import sqrt

import pytest

from solvergen.cli import main
from solvergen.derive.program import derive
from solvergen.gallery import load
from solvergen.order.ode.analyse import analyse
from solvergen.order.questions.conditions import conditions
from solvergen.order.questions.parameters import in_parameters, scope
from solvergen.spec.reader import parse_solver


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dpm_solver_2", "for almost all values of r"),
        ("amed", "for theta = 1/2, c = 1, not for almost all values"),
        ("dpm_solver_3", "for r2 = 2/3 and almost all values of r1"),
        ("ddim", "None"),
    ],
)
def test_orders_say_for_which_parameters_they_hold(name, said):
    assert str(scope(analyse(derive(load(name))))) == said


def test_the_constant_is_an_expression_in_the_parameter():
    report = in_parameters(derive(load("dpm_solver_2")))
    coefficients = {term["word"]: term["coef"] for term in report.uniform.json()}
    # DPM-Solver-2, r the place of the stage: Lu et al. 2022, Appendix B
    assert coefficients == {"D'": "1/12", "D''": "1/4*r - 1/6", "J.D'": "-1/4*r"}


def test_the_least_constant_under_the_order_conditions():
    found = conditions(derive(load("dpm_solver_2")), 2, minimise=True)
    assert found.least.values == {"r": Fraction(1, 3)}
    # (1/12)² + (r/4 − 1/6)² + (r/4)² is least at r = 1/3, where all three are 1/12
    assert found.least.constant == pytest.approx(sqrt(3) / 12, rel=1e-12)
    assert found.least.before == pytest.approx(sqrt(1 / 144 + 1 / 576 + 1 / 64), rel=1e-12)
    best = analyse(derive(load("dpm_solver_2")), found.least.values)
    assert best.error_norm == pytest.approx(found.least.constant, rel=1e-12)


def test_a_bound_that_is_excluded_is_named():
    text = 'name = "g"\nintegrand = "data"\n[parameters.r]\ndefault = "3/4"\nabove = "1/2"\n'
    text += '[[stage]]\nname = "mid"\nat = "r"\nrule = "interpolate"\nnodes = ["n"]\n'
    text += (
        '[step]\nrule = "weights"\nweights = { n = "h*phi1*(1 - 1/(2*r))", mid = "h*phi1/(2*r)" }\n'
    )
    allowed = conditions(derive(parse_solver(text.replace("above", "minimum"))), 2, minimise=True)
    assert allowed.least.values == {"r": Fraction(1, 2)} and not allowed.least.edge
    found = conditions(derive(parse_solver(text)), 2, minimise=True).least
    assert "towards r = 1/2, which is excluded" in str(found)
    assert allowed.least.constant < found.constant < 1.01 * allowed.least.constant


STARTED = """
name = "started"
integrand = "data"
[parameters.w]
default = "1/2"
[step]
rule = "weights"
weights = { n = "h*phi1*(1 + w/r1)", n-1 = "-h*phi1*w/r1" }
[[start.rule]]
rule = "weights"
weights = { n = "SHARE*h*phi1" }
"""


@pytest.mark.parametrize("edge", ["start", "end"])
def test_the_solvers_own_first_and_last_steps_are_counted_on_request(edge):
    """They may leave h², which is added once, but not h."""
    text = STARTED.replace("start.", f"{edge}.") + '[start]\nusing = ["ddim"]\n' * (edge == "end")
    good = derive(parse_solver(text.replace("SHARE*", "")))
    bad = derive(parse_solver(text.replace("SHARE", "2*w")))
    worse = derive(parse_solver(text.replace("SHARE", "3")))
    for program, values in ((good, {"w": Fraction(1, 2)}), (bad, {"w": Fraction(1, 2)})):
        (solution,) = conditions(program, 2, own=True).solutions
        assert solution.values == values and not solution.limits
    assert conditions(worse, 2).solutions
    found = conditions(worse, 2, own=True)
    assert found.impossible and not found.solutions


def test_same_says_for_which_values(tmp_path, capsys):
    spec = (
        'name = "two"\nintegrand = "noise"\ncoordinate = "clock"\n[parameters.r]\ndefault = "1/2"\nabove = 0\n'
        'maximum = 1\n[[stage]]\nname = "mid"\nat = "r"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "weights"\nweights = { n = "1 - A", mid = "A" }\n'
    )
    for name, part in (("one", "1/(2*r)"), ("two", "r*1/(2*r**2)"), ("three", "2*r")):
        (tmp_path / f"{name}.toml").write_text(
            spec.replace("A", part).replace('"two"', f'"{name}"')
        )
    paths = [str(tmp_path / f"{name}.toml") for name in ("one", "two", "three")]
    assert main(["same", paths[0], paths[1]]) == 0
    assert "for all values of r" in capsys.readouterr().out
    assert main(["same", paths[0], paths[2]]) == 0
    assert "for r = 1/2; other values make other methods" in capsys.readouterr().out


def test_explain_shows_constants_in_the_parameters(capsys):
    assert main(["explain", "dpm_solver_2", "--constants"]) == 0
    shown = capsys.readouterr().out
    assert "for almost all values of r" in shown and "(1/4*r - 1/6) D''" in shown
    assert main(["explain", "ddim", "--constants"]) != 0
    assert "no parameters" in capsys.readouterr().err
