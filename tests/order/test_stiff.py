"""Stiff orders that the literature gives for exponential Runge-Kutta methods."""

from __future__ import annotations

from fractions import Fraction

import pytest

from solvergen.algebra.exponentials import H, exp, phi
from solvergen.derive import derive
from solvergen.gallery import load
from solvergen.order import analyse
from solvergen.order.expansion.words import spell
from solvergen.spec import parse_solver

from .oracle import ORACLE

HALF = '[[stage]]\nname = "{}"\nat = "1/2"\nrule = "weights"\nweights = {}\n'
COX_MATTHEWS = (
    'name = "etd4rk"\nintegrand = "data"\n'
    + HALF.format("a", '{ n = "h/2*phi(1, 1/2)" }')
    + HALF.format("b", '{ a = "h/2*phi(1, 1/2)" }')
    + '[[stage]]\nname = "c"\nat = "1"\nrule = "weights"\n'
    + 'weights = { n = "h/2*phi(1, 1/2)*(exp(-h/2) - 1)", b = "h*phi(1, 1/2)" }\n'
    + '[step]\nrule = "weights"\nweights = { n = "h*(phi1 - 3*phi2 + 4*phi3)", '
    + 'a = "h*(2*phi2 - 4*phi3)", b = "h*(2*phi2 - 4*phi3)", c = "h*(4*phi3 - phi2)" }\n'
)


# RES-3S with c2 = 1, c3 = 1/2 and the cube in gamma that released code has.
RES_3S_REVERSED = """
name = "res_3s_reversed"
integrand = "data"
[let]
gamma = "(3/8 - 1)/(2 - 3/2)"
a32 = "h*(gamma*phi2 + 1/4*phi(2, 1/2))"
b3 = "h*phi2/(gamma + 1/2)"
[[stage]]
name = "u2"
at = "1"
rule = "interpolate"
nodes = ["n"]
[[stage]]
name = "u3"
at = "1/2"
rule = "weights"
weights = { n = "1/2*h*phi(1, 1/2) - a32", u2 = "a32" }
[step]
rule = "weights"
weights = { n = "h*phi1 - gamma*b3 - b3", u2 = "gamma*b3", u3 = "b3" }
"""

TEXTS = {"ETD4RK Cox-Matthews": COX_MATTHEWS, "RES-3S (1,1/2) gamma c3^3": RES_3S_REVERSED}


@pytest.mark.parametrize("name", TEXTS)
def test_methods_outside_the_gallery(name: str) -> None:
    wanted = next(entry for entry in ORACLE["stiff_orders"] if entry["name"] == name)
    report = analyse(derive(parse_solver(TEXTS[name])))
    assert report.orders["uniform"]["exact_start"].value == wanted["classical"]
    assert report.stiff.strong == wanted["scalar_strong"]
    assert report.stiff.weak == wanted["scalar_weak"]
    assert {spell(word) for word in report.stiff.violated} == set(wanted["violated_scalar"])


@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_exponential_adams_is_stiffly_of_its_order(q: int) -> None:
    text = f'name = "ab"\nintegrand = "noise"\n[step]\nrule = "adams-bashforth"\nsteps = {q}\n'
    report = analyse(derive(parse_solver(text)))
    assert (report.stiff.strong, report.stiff.weak) == (q, q)
    assert [spell(word) for word in report.stiff.violated] == [spell((q, ()))]


def test_midpoint_is_stiffly_weaker_than_exact_weights() -> None:
    midpoint, exact = (analyse(derive(load(n))).stiff for n in ("dpmpp_2m", "dpmpp_2m_exact"))
    assert (midpoint.strong, midpoint.weak) == (1, 2)
    assert (exact.strong, exact.weak) == (2, 2)


def test_no_stiff_order_in_a_clock_is_a_reason_not_a_number() -> None:
    stiff = analyse(derive(load("deis_rhoab3"))).stiff
    assert (stiff.strong, stiff.weak) == (None, None)
    assert "clock" in stiff.reason


def test_exponentials_are_independent() -> None:
    assert not phi(2, -H) * H * H - exp(-H) + 1 - H
    assert exp(H) - 1 - H
    assert not exp(H) * exp(2 * H) - exp(3 * H)
    assert not (3 * H**2 / H + 1) - 3 * H - 1
    assert not phi(3, 2 * H).at_zero() - Fraction(1, 6) and phi(3, 2 * H).at_zero()


def test_an_integral_leaves_the_stiff_order_unknown_and_a_riemann_sum_does_not() -> None:
    text = 'name = "{0}"\nintegrand = "data"\n[step]\nrule = "weights"\nweights = {{ n = "{1}" }}\n'
    weight = {"integral": "integral(exp(x - h), 0, h)", "riemann": "riemann(exp(x - h), 0, h, 2)"}
    found = {
        name: analyse(derive(parse_solver(text.format(name, given)))).stiff
        for name, given in weight.items()
    }
    assert found["integral"].strong is None and "an integral" in found["integral"].reason
    assert (found["riemann"].strong, found["riemann"].violated) == (0, ((0, ()),))
