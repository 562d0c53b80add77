"""Solvers that carry accepted states of earlier steps: order, error constants, zero-stability."""

from fractions import Fraction

import pytest

from solvergen import gallery
from solvergen.derive import derive
from solvergen.loading import load
from solvergen.order import analyse
from solvergen.order.ode.zero_stability import accumulation
from solvergen.order.questions.derivation import derivation
from solvergen.spec import parse_solver


def text(states, nodes, corrector=""):
    return (
        f'name = "made"\nintegrand = "velocity"\ncoordinate = "clock"\n[step]\nrule = "interpolate"\n'
        f"nodes = {nodes}\nstates = {states}\n{corrector}"
    )


def backward(k):
    """BDF of order k, predicted through the same states."""
    states = [f"x-{j}" if j else "x" for j in range(k)]
    corrector = (
        f'[corrector]\nmode = "PECE"\nrule = "interpolate"\nnodes = ["n+1"]\nstates = {states}'
    )
    return analyse(derive(parse_solver(text(states, ["n"], corrector))))


# Hairer, Norsett and Wanner, Solving ODEs I, Table III.2.2: C_{k+1} over the factor on y_{n+1}.
CONSTANTS = {2: "2/9", 3: "3/22", 4: "12/125", 5: "10/137", 6: "20/343"}


@pytest.mark.parametrize("k", CONSTANTS)
def test_backward_differentiation_has_its_order_and_constant(k):
    report = backward(k)
    assert report.orders["arbitrary"]["exact_start"].value == k
    linear = [value for word, value in report.uniform.terms if not word[1]]
    # the predictor's own error enters through J, one power of h later than it is made
    assert linear == [Fraction(CONSTANTS[k])]
    assert report.orders["uniform"]["own_start"].value == 2  # begins with implicit Euler


# Calvo, Grande and Grigorieff 1990: the ratio up to which growing steps keep BDF stable.
RATIOS = {2: 1 + 2**0.5, 3: (1 + 5**0.5) / 2, 4: 1.280, 5: 1.127, 6: 1.044}


@pytest.mark.parametrize("k", RATIOS)
def test_growing_steps_that_backward_differentiation_bears(k):
    verdict = backward(k).zero_stability
    assert verdict.stable
    assert verdict.factor == pytest.approx(RATIOS[k], abs=1e-3)
    assert f"{verdict.factor:.4g}" in verdict.reason
    assert verdict.roots[0] == (1, 1) and all(abs(root) < 1 for root, _ in verdict.roots[1:])


def test_backward_differentiation_of_order_seven_is_unstable_and_has_no_order():
    report = backward(7)
    assert (
        not report.zero_stability.stable and "root condition fails" in report.zero_stability.reason
    )
    assert report.order.value == 0 and report.order.exact


def test_the_explicit_two_step_rule_of_order_three_is_unstable():
    solver = parse_solver(text(["x", "x-1"], ["n", "n-1"]))
    report = analyse(derive(solver))
    assert report.zero_stability.roots == ((-5, 1), (1, 1))
    assert report.order.value == 0


def test_leapfrog_neither_damps_nor_grows():
    solver = parse_solver(text(["x-1"], ["n"], '[start]\nusing = ["euler_sigma"]'))
    report = analyse(derive(solver))
    assert report.zero_stability.stable and report.zero_stability.roots == ((1, 1), (-1, 1))
    assert report.zero_stability.factor == 8  # nowhere near its end
    assert report.orders["uniform"]["own_end"].value == 2


def test_milne_simpson_has_its_order_and_constant():
    corrector = (
        '[corrector]\nmode = "PECE"\nsweeps = 2\nrule = "interpolate"\nstates = ["x-1"]\n'
        'nodes = ["n+1", "n", "n-1"]\n[start]\nusing = ["rk4_clock"]'
    )
    report = analyse(derive(parse_solver(text(["x", "x-1"], ["n", "n-1"], corrector))))
    assert report.orders["uniform"]["own_end"].value == 4
    assert [v for word, v in report.uniform.terms if not word[1]] == [Fraction(1, 90)]


def test_a_derivation_of_what_is_not_zero_stable_says_so():
    shown = derivation(derive(parse_solver(text(["x", "x-1"], ["n"])))).markdown()
    stable = analyse(derive(parse_solver(text(["x", "x-1"], ["n"])))).zero_stability.stable
    assert ("nothing converges" in shown) == (not stable)


# Measured on uniform, Karras and rough grids by the judge's rates: 2.00, 2.00, 1.00 for both.
@pytest.mark.parametrize(("name", "exact"), [("o_belm", False), ("bdia", True)])
def test_exact_inversion_costs_an_order_where_step_sizes_alternate(name, exact):
    orders = analyse(derive(gallery.load(name))).orders
    assert [orders[kind]["own_end"].value for kind in ("uniform", "smooth", "arbitrary")] == [
        2,
        2,
        1,
    ]
    assert orders["arbitrary"]["own_end"].exact is exact


@pytest.mark.parametrize(
    ("name", "constant"), [("bdf_2", 1 / 3), ("bdf_3", 1 / 4), ("bdf_4", 1 / 5)]
)
def test_error_constants_are_divided_by_the_slope_of_rho(name, constant):
    """Hairer, Norsett and Wanner, III.2: the error constant of BDF of k steps is 1/(k + 1)."""
    report = analyse(load(name).program)
    scale = accumulation(report.program, report.analysis.values)
    (leaf,) = (
        c
        for (order, children), c in report.uniform.terms
        if not children and order == int(name[-1])
    )
    assert float(leaf) * scale == pytest.approx(constant, rel=1e-12)
    assert report.error_norm == pytest.approx(report.uniform.norm() * scale)
    assert accumulation(load("dpmpp_3m").program, {}) == 1
