"""Formulas for people: every symbol that is shown is defined, and no two things share a name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from solvergen import gallery
from solvergen.derive import derive
from solvergen.emit.formulas.formula import (
    _row_lines,
    latex,
    legend,
    markdown,
    row_formula,
    terminal,
)
from solvergen.emit.formulas.notation import LatexPrinter
from solvergen.program.model import Program
from solvergen.spec import parse_solver


def program(name: str) -> Program:
    return derive(gallery.load(name))


def test_places_of_stages_are_stated() -> None:
    assert "λ[u2] = λₙ + r₂ h" in terminal(program("dpm_solver_3"))
    assert r"\lambda_{\mathrm{u2}} = \lambda_{n} + r_{2} h" in latex(program("dpm_solver_3"))


def test_provisional_values_at_the_end_have_their_own_names() -> None:
    text = terminal(program("abm3_lambda_pece"))
    assert "x̂ₙ₊₁ =" in text and "D̂ₙ₊₁" in text and "n+1_2" not in text
    assert all(line.count("x̂ₙ₊₁ =") + line.count("xₙ₊₁ =") <= 1 for line in text.splitlines())
    assert r"\hat{\varepsilon}_{n+1}" in latex(program("heun_edm"))


def test_two_sweeps_are_counted() -> None:
    solver = gallery.load("abm3_lambda_pece")
    assert solver.corrector is not None
    twice = derive(replace(solver, corrector=replace(solver.corrector, sweeps=2)))
    text = terminal(twice)
    assert "x̂ₙ₊₁⁽²⁾ =" in text and "D̂ₙ₊₁⁽²⁾" in text
    assert r"\hat{x}_{n+1}^{(2)}" in latex(twice)


def test_a_further_coordinate_is_written_out() -> None:
    assert any(text.startswith("y(λ) = ") for text in legend(program("deis_tab3")))
    assert r"y(\lambda) = " in latex(program("deis_tab3"))


def test_a_row_without_terms_is_its_base() -> None:
    made = program("ddim")
    row = replace(made.main.final, terms=())
    assert row_formula(row, made.main, made) == "xₙ₊₁ = σₙ₊₁/σₙ xₙ"


def test_an_equation_is_broken_only_where_it_is_too_long() -> None:
    made = program("dpmpp_2m")
    row = made.main.final
    width = len(row_formula(row, made.main, made)) + 2
    assert len(_row_lines(row, made.main, made, width, "  ")) == 1
    assert len(_row_lines(row, made.main, made, width - 1, "  ")) > 1


def test_an_integral_has_its_ends_and_its_integrand() -> None:
    shown = LatexPrinter().call("integral", ("1/x", "a", "b"))
    assert shown == r"\int_{a}^{b} \left(1/x\right) dx"


@pytest.mark.parametrize("name", gallery.names()[::5])
def test_symbols_that_occur_are_defined(name: str) -> None:
    made = program(name)
    text, meanings = terminal(made), "; ".join(legend(made))
    for shown, meaning in (
        ("φ", "φ₁(z)"),
        ("μ", "μₘ"),
        ("η₁", "ηₖ ="),
        ("Δ", "Δ ="),
        ("x̂", "x̂ₙ₊₁ p"),
    ):
        assert (shown in text) == (meaning in meanings)
    for form in (latex(made), markdown(made)):
        assert form.count("{") == form.count("}")
        assert form.count(r"\left") == form.count(r"\right")
    assert latex(made).isascii()


def test_a_place_in_sigma_is_written_without_its_unit() -> None:
    text = (
        'name = "m"\nintegrand = "data"\n[[stage]]\nname = "mid"\nat = "1/3"\nplace = "sigma"\n'
        'rule = "interpolate"\nnodes = ["n"]\n[step]\nrule = "interpolate"\nnodes = ["n", "mid"]\n'
    )
    assert "λ[mid] = λₙ − log1p(expm1(−h)/3)" in legend(derive(parse_solver(text)))


def test_a_function_and_the_integral_inside_it_have_variables_of_their_own() -> None:
    text = (
        'name = "m"\nintegrand = "data"\n[let]\n"f(x)" = "integral(exp(-x), 0, x)"\n'
        '[step]\nrule = "weights"\nweights = { n = "f(h)" }\n'
    )
    assert "f(y) = ∫[0, y] (exp(−x)) dx" in legend(derive(parse_solver(text)))


def test_stages_and_past_points_of_an_ancestral_step_are_in_units_of_its_deterministic_part() -> (
    None
):
    """Of two points, the weight of the past one is found by θ = (λₙ − λₙ₋₁)/h↓, not by h."""
    said = terminal(program("res_multistep_ancestral"))
    assert "θₖ = (λₙ − λₙ₋ₖ)/h↓" in said and "h = λₙ₊₁ − λₙ" in said
    said = terminal(program("dpm2_ancestral"))
    assert "λ[mid] = λₙ + 1/2 h↓" in said and "Δ = clock(λₙ + h↓) − clockₙ" in said
