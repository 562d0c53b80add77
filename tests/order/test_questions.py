"""What people ask of the engine: conditions, cures, comparisons, stability, derivations."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from sympy import Symbol

from solvergen.derive import derive
from solvergen.errors import OrderError
from solvergen.gallery import load
from solvergen.loading import load as loaded
from solvergen.order import analyse
from solvergen.order.ode.stability import stability
from solvergen.order.questions import cure, least
from solvergen.order.questions.compare import compare
from solvergen.order.questions.conditions import conditions
from solvergen.order.questions.cure import cured_solver, cures
from solvergen.order.questions.derivation import derivation
from solvergen.order.questions.derivation_text import Derivation, Paragraph, Part
from solvergen.spec import parse_solver
from solvergen.spec.model import End


def made(name: str):  # type: ignore[no-untyped-def]
    return derive(load(name))


# -- conditions ------------------------------------------------------------------------------------


def test_any_intermediate_node_gives_dpm_solver_2_its_order() -> None:
    found = conditions(made("dpm_solver_2"), 2)
    assert [dict(s.values) for s in found.solutions] == [{}] and not found.equations
    assert not conditions(made("dpm_solver_2"), 3).solutions


def test_dpm_solver_3_needs_two_thirds() -> None:
    found = conditions(made("dpm_solver_3"), 3)
    assert [dict(s.values) for s in found.solutions] == [{"r2": Fraction(2, 3)}]
    assert str(found) == "order 3: r2 = 2/3"


def test_the_mean_value_rule_needs_the_middle_and_a_scale_that_tends_to_one_fast() -> None:
    found = conditions(made("amed"), 2)
    (solution,) = found.solutions
    assert dict(solution.values) == {"theta": Fraction(1, 2), "c": Fraction(1)}
    assert dict(solution.precision) == {"theta": 1, "c": 2}
    (first,) = conditions(made("amed"), 1).solutions
    assert dict(first.values) == {"c": Fraction(1)} and dict(first.precision) == {"c": 1}


def test_solved_values_reach_the_order_and_others_do_not() -> None:
    program = made("dpm_solver_3")
    for value, order in ((Fraction(2, 3), 3), (Fraction(3, 5), 2)):
        report = analyse(program, parameters={"r1": Fraction(1, 4), "r2": value})
        assert report.orders["uniform"]["exact_start"].value == order
    scaled = analyse(made("amed"), parameters={"c": Fraction(9, 10)})
    assert scaled.orders["uniform"]["exact_start"].value == 0
    moved = analyse(made("amed"), parameters={"theta": Fraction(2, 5)})
    assert dict(moved.uniform.terms) == {(1, ()): Fraction(2, 5) - Fraction(1, 2)}


def test_conditions_hold_for_all_step_ratios() -> None:
    text = (
        'name = "am"\nintegrand = "data"\n[parameters.b]\ndefault = "1/2"\n'
        '[step]\nrule = "weights"\nweights = { n = "h*phi1 + h*b/r1", "n-1" = "-h*b/r1" }\n'
        '[start]\nusing = ["ddim"]\n'
    )
    (solution,) = conditions(derive(parse_solver(text)), 2).solutions
    assert dict(solution.values) == {"b": Fraction(1, 2)}


def test_there_must_be_parameters_to_solve_for() -> None:
    with pytest.raises(OrderError, match="no parameters to solve for"):
        conditions(made("ddim"), 2)


def test_symbolic_parameters_stay_symbols() -> None:
    report = analyse(made("dpm_solver_2"), symbolic=("r",))
    texts = {t["word"]: t["coef"] for t in report.json()["leading_error"]["uniform"]}
    assert texts == {"D'": "1/12", "J.D'": "-1/4*r", "D''": "1/4*r - 1/6"}
    with pytest.raises(OrderError, match="no parameter `q`"):
        analyse(made("dpm_solver_2"), symbolic=("q",))


def test_a_parameter_named_like_a_step_ratio_is_kept_apart() -> None:
    text = (
        'name = "d"\nintegrand = "data"\n[parameters.r1]\ndefault = "1/2"\n'
        '[step]\nrule = "mean-value"\ntheta = "r1"\nnodes = ["n", "n-1"]\n'
    )
    report = analyse(derive(parse_solver(text)), symbolic=("r1",))
    assert report.orders["arbitrary"]["exact_start"].value == 1
    assert report.symbolic.json() == [{"word": "D'", "tree": [1, []], "coef": "r1_ - 1/2"}]
    smooth = analyse(derive(parse_solver(text))).smooth
    assert smooth.exponent == 3 and len(smooth.terms) == 2


def test_equations_are_written_for_people() -> None:
    found = conditions(made("amed"), 2)
    assert "c₀ theta₀ - 1/2" in found.equations and not found.impossible
    assert found.lines()[-1].startswith("  where theta = theta₀ + theta₁ h + …, c = c₀")
    ruled_out = conditions(made("dpm_solver_2"), 3)
    assert ruled_out.impossible and "does not depend on the parameters" in ruled_out.lines()[0]
    with pytest.raises(OrderError, match="has no parameter q; it has r"):
        conditions(made("dpm_solver_2"), 3, ["q"])


# -- cures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lost", "restored"),
    [
        ("dpmpp_3m", 2, 3),
        ("deis_rhoab3", 2, 3),
        pytest.param("ab4_lambda", 2, 4, marks=pytest.mark.nightly),
        pytest.param("unipc_3_bh2", 3, 4, marks=pytest.mark.nightly),
    ],
)
def test_cured_solvers_prove_their_order(name: str, lost: int, restored: int) -> None:
    solver = load(name)
    assert analyse(derive(solver)).order.value == lost
    for kind in ("start", "shrink"):
        report = analyse(derive(cured_solver(solver, kind)))
        assert {o.value for row in report.orders.values() for o in row.values()} == {restored}
        assert all(o.exact for row in report.orders.values() for o in row.values())
        assert not report.bottlenecks


@pytest.mark.nightly
def test_cures_repair_the_end_too() -> None:
    solver = replace(load("unipc_3_bh2"), end=End(ramp=True))
    report = analyse(derive(solver))
    assert report.order.value == 2
    assert {b.part for b in report.bottlenecks} == {"start", "end"}
    cured = cured_solver(solver)
    assert not cured.end.ramp and analyse(derive(cured)).order.value == 4


def test_shrinking_the_first_step_needs_the_exponent_that_is_named() -> None:
    found = {cure.kind: cure for cure in cures(load("dpmpp_3m"))}
    assert found["shrink"].solver.start.shrink == Fraction(3, 2)
    less = replace(load("dpmpp_3m").start, shrink=Fraction(5, 4))
    order = analyse(derive(replace(load("dpmpp_3m"), start=less))).orders["uniform"]["own_start"]
    assert (order.value, order.exact) == (2, False)  # h^{5/2}


@pytest.mark.nightly
def test_larger_exponents_are_tried_where_the_least_does_not_suffice(monkeypatch) -> None:
    tried = []

    def no_cure(kind, text, changed, report, derivation):  # type: ignore[no-untyped-def]
        if kind == "shrink":
            tried.append(changed.start.shrink)
        return iter(())

    monkeypatch.setattr(cure, "_improved", no_cure)
    assert cures(load("dpmpp_3m"), kind="shrink") == []
    assert tried == [Fraction(3, 2), 2, 3]


def test_the_preferred_cure_is_listed_first() -> None:
    solver = load("dpmpp_3m")
    for kind in ("start", "shrink"):
        assert cures(solver, kind=kind)[0].solver == cured_solver(solver, kind)
    fewer = replace(cures(solver)[0], extra_evaluations=-1)
    assert "(1 fewer evaluation)" in str(fewer)


def test_the_bottleneck_is_named() -> None:
    (only,) = analyse(made("dpmpp_3m")).bottlenecks
    assert (only.part, only.step, only.exponent) == ("start", 0, 2)
    assert dict(only.words) == {(1, ()): Fraction(-1, 2)}


def test_nothing_is_cured_where_nothing_is_lost() -> None:
    assert cures(load("dpmpp_2m")) == [] and cured_solver(load("ddim")) == load("ddim")


# -- comparison ------------------------------------------------------------------------------------


def test_comparison_ranks_order_then_constant_at_equal_cost() -> None:
    names = ("ddim", "dpmpp_2m", "dpmpp_2m_exact", "res_2s", "dpmpp_3m")
    ranked = compare(analyse(made(name)) for name in names)
    assert ranked[-1].name == "ddim"
    by_name = {entry.name: entry for entry in ranked}
    assert by_name["dpmpp_2m_exact"].cost_constant == pytest.approx(5 / 12)
    assert by_name["res_2s"].error_norm == pytest.approx(math.hypot(1 / 8, 1 / 24))
    assert by_name["res_2s"].cost_constant == pytest.approx(4 * math.hypot(1 / 8, 1 / 24))
    assert by_name["dpmpp_3m"].main.value == 3 and by_name["dpmpp_3m"].limited_by
    exact = compare((analyse(made(name)) for name in names), mode="exact_start")
    assert exact[0].name == "dpmpp_3m"
    assert exact[0].error_norm == pytest.approx(3 / 8) and not exact[0].limited_by


def test_a_constant_that_does_not_limit_the_error_is_not_ranked() -> None:
    ranked = compare(analyse(made(name)) for name in ("dpmpp_3m", "dpmpp_2m", "dpmpp_2m_exact"))
    last = ranked[-1]
    assert (last.name, last.power, last.error_norm, last.cost_constant) == (
        "dpmpp_3m",
        2,
        None,
        None,
    )
    assert "does not apply" in last.no_constant and not ranked[0].no_constant


def test_a_constant_that_depends_on_the_schedule_is_not_ranked() -> None:
    ranked = compare(analyse(made(name)) for name in ("deis_tab2", "ddim", "dpmpp_2m"))
    assert [entry.name for entry in ranked] == ["dpmpp_2m", "deis_tab2", "ddim"]
    known, unknown = ranked[:2]
    assert known.cost_constant and not known.no_constant
    assert (unknown.error_norm, unknown.cost_constant) == (None, None)
    assert "depends on the schedule" in unknown.no_constant


def test_an_error_that_grows_as_steps_shrink_is_told_in_words() -> None:
    text = 'name = "m"\nintegrand = "data"\n[step]\nrule = "weights"\nweights = { n = "phi1/h" }\n'
    shown = str(analyse(derive(parse_solver(text))).uniform)
    assert shown == "h^-1 [D]"


# -- stability -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "interval"),
    [("ddim", 2.0), ("heun_edm", 2.0), ("rk4_clock", 2.785294), ("dpmpp_2m", 1.0),
     ("dpmpp_3m", 6 / 11), ("ab4_lambda", 0.3)],
)  # fmt: skip
def test_real_stability_intervals_of_the_classical_methods(name: str, interval: float) -> None:
    assert stability(made(name)).real_interval() == pytest.approx(interval, abs=1e-5)


def test_stability_of_predictor_corrector_in_pec_mode() -> None:
    """AB2 with AM3 in PEC mode: ζ(P − Y − …) eliminated by hand for one z."""
    region = stability(made("unipc_2_bh2"))
    z = -0.3 + 0.2j
    for root in region.roots(z):
        # P ζ = Y + z(3/2 − 1/(2ζ)) P and Y ζ = Y + z(5/12 ζ + 8/12 − 1/(12ζ)) P.
        if abs(root) > 1e-9:
            first = root - z * (1.5 - 0.5 / root)
            second = z * (5 * root / 12 + 8 / 12 - 1 / (12 * root))
            assert abs(first * (root - 1) - second) < 1e-9


def test_the_boundary_locus_lies_on_the_boundary() -> None:
    region = stability(made("dpmpp_3m"))
    for zeros in region.locus(24)[1:]:
        for z in zeros:
            assert min(abs(abs(root) - 1) for root in region.roots(z)) < 1e-6
    field = region.field(-1, 0, 0.5, 5, 3)
    assert len(field) == 3 and all(len(row) == 5 for row in field)
    assert field[1][-1] == pytest.approx(1)


def test_every_adams_type_method_is_zero_stable() -> None:
    verdict = analyse(made("dpmpp_3m")).zero_stability
    assert verdict.stable and verdict.roots == ((1, 1), (0, 2))


# -- derivations -----------------------------------------------------------------------------------


def test_heun_is_derived_in_full() -> None:
    text = derivation(made("heun_edm")).markdown()
    assert r"-\tfrac{1}{4} h^{3} J f'" in text and r"\tfrac{1}{12} h^{3} f''" in text
    assert r"\mathrm{LTE}_{J=0} = \tfrac{1}{12} h^{3} f'' + O(h^{4})" in text
    assert "gives a different constant" in text
    assert r"\mathrm{GTE} = h^{2} \int" in text
    assert text.count("(cancels)") == 2


def test_euler_is_derived_from_ddim() -> None:
    """DDIM is Euler in its clock: the shortcut gives the same constant."""
    text = derivation(made("ddim")).markdown()
    assert r"\mathrm{LTE} = -\tfrac{1}{2} h^{2} f' + O(h^{3})" in text
    assert "the same constant" in text and "With f as" in text and r"$y = x/\sigma$" in text


def test_exponential_methods_are_derived_in_lambda() -> None:
    text = derivation(made("dpmpp_3m")).markdown()
    assert "u' = -u + N" in text and r"-\tfrac{3}{8} h^{4} N'''" in text
    assert "lower it: globally exactly 2" in text
    assert "With N as a function" in text and r"$u = x/\alpha$" in text


def test_frozen_weights_are_derived_where_they_hold() -> None:
    text = derivation(made("ipndm4")).markdown()
    assert r"-\tfrac{251}{720} h^{5} f^{(4)}" in text
    assert "exactly 1 on arbitrary grids" in text


@pytest.mark.parametrize("name", ["heun_edm", "rk4_clock", "unipc_2_bh2", "res_3s", "amed"])
def test_latex_is_balanced(name: str) -> None:
    text = derivation(made(name)).latex()
    assert text.count("{") == text.count("}") and text.count(r"\[") == text.count(r"\]")
    assert text.count(r"\begin{array}") == text.count(r"\end{array}") == 1
    assert text.count("$") % 2 == 0 and text.isascii()


def test_a_derivation_that_nobody_could_read_is_refused() -> None:
    text = 'name = "ab6"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 6\n'
    with pytest.raises(OrderError, match="too many terms"):
        derivation(derive(parse_solver(text)))


PUBLISHED = Path(__file__).parents[1] / "data" / "published"


def test_conditions_find_values_for_uniform_grids_where_none_serve_all():
    """The term (r₁³ − 1) h³ telescopes on smooth grids."""
    found = conditions(loaded(str(PUBLISHED / "glm_two_step.toml")).program, 3)
    assert str(found) == ("order 3 on uniform grids: w = 1/2 (on smooth grids too, on any grid 2)")


def test_conditions_say_that_the_own_start_holds_the_order():
    found = conditions(loaded(str(PUBLISHED / "amed_chain.toml")).program, 2)
    assert str(found) == "order 2: theta = 1/2, c = 1 + O(h^2) (its own start holds it at 1)"


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ("uniform", "on uniform grids: w = 1/2"),
        ("smooth", "on smooth grids: w = 1/2"),
        ("arbitrary", "no values"),
    ],
)
def test_conditions_on_the_grids_that_are_asked_for(grid, said):
    """A weight 1/(2 r₁) that is right at equal steps is right on smooth grids, and nowhere else."""
    text = """
    name = "leaning"
    integrand = "data"
    [parameters.w]
    default = "1/5"
    [step]
    rule = "weights"
    weights = { n = "h*phi1*(1 + w)", n-1 = "-h*phi1*w" }
    [start]
    using = ["ddim"]
    """
    assert said in str(conditions(derive(parse_solver(text)), 2, grid=grid))


def test_a_derivation_carries_past_states():
    made = derivation(derive(load("bdf_2")))
    shown = made.markdown()
    assert r"\mathrm{LTE} = \tfrac{2}{9} h^{3} f''" in shown
    # the error constant 2/9 over ρ'(1) = 2/3: Hairer, Norsett and Wanner, Solving ODEs I, III.2
    assert r"E_{n+1} = \tfrac{4}{3} E_{n} - \tfrac{1}{3} E_{n-1}" in shown
    assert r"\mathrm{GTE} = \tfrac{3}{2} h^{2}" in shown


def test_a_derivation_uses_stages_of_the_step_before_and_levels():
    stage = (
        '[[stage]]\nname = "mid"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n", "mid-1", "n-1"]\n'
    )
    two = 'name = "two"\nintegrand = "noise"\ncoordinate = "clock"\n' + stage
    two += '[step]\nrule = "interpolate"\nnodes = ["n", "mid", "mid-1"]\n'
    shown = derivation(derive(parse_solver(two))).markdown()
    assert "its stages `mid` are expanded" in shown
    assert r"\mathrm{LTE} = -\tfrac{1}{48} h^{4} f'''" in shown
    leaning = 'name = "leaning"\nintegrand = "data"\n[step]\nrule = "weights"\n'
    leaning += 'weights = { n = "h*phi1*(1 + sigma/(2*r1))", n-1 = "-h*phi1*sigma/(2*r1)" }\n'
    shown = derivation(derive(parse_solver(leaning + '[start]\nusing = ["ddim"]\n'))).markdown()
    assert r"\mathrm{LTE} = \left(1/2*sigma - 1/2\right) h^{2} N'" in shown


def test_a_number_in_a_function_is_named():
    text = 'name = "e"\nintegrand = "noise"\ncoordinate = "clock"\n[step]\nrule = "weights"\n'
    text += 'weights = { n = "exp(-1) + 1 - exp(-1)", n-1 = "(1 - r1)*exp(-1)" }\n[start]\nusing = ["ddim"]\n'
    with pytest.raises(OrderError, match="make the value a parameter"):
        analyse(derive(parse_solver(text)))


def test_least_values_are_found_where_the_slope_vanishes_not_where_it_is_infinite():
    s = Symbol("s")
    found = list(least._on_a_line((s**2 + 4) / (s**2 + s + 1), s, (None, None, None, None), dict))
    assert len(found) == 2
    for _, values, _, _ in found:  # the slope's numerator, which the denominator has no root of
        assert abs(values["s"] ** 2 - 6 * values["s"] - 4) < 1e-12


def test_the_search_for_a_least_value_begins_all_over_the_range(monkeypatch):
    began = []
    monkeypatch.setattr(
        least, "_descended", lambda value, start, ranges: began.append(start) or start
    )
    s, t = Symbol("p:0"), Symbol("q:0")
    bounds = {
        "p": (Fraction(1), Fraction(3), None, None),
        "q": (Fraction(-30), Fraction(0), None, None),
    }
    found = list(least._searched((s - 2) ** 2 + t**2, [s, t], bounds, dict))
    assert len(began) == len(found) == least.STARTS
    for places, (low, high) in zip(zip(*began, strict=True), [(1, 3), (-30, 0)], strict=True):
        shares = [(place - low) / (high - low) for place in places]
        assert all(0 <= share <= 1 for share in shares)
        assert min(shares) < 0.2 and max(shares) > 0.8


@pytest.mark.parametrize("seed", range(4))
def test_a_descent_ends_where_a_bowl_is_least(seed):
    """A leaning bowl, its bottom inside the ranges or beyond an edge of one; few values are asked for."""
    draw, asked = Random(seed), []
    ranges = [(-1.0, 3.0), (0.0, 10.0)]
    inside = (
        (draw.uniform(-0.5, 2.5), draw.uniform(1, 9)) if seed % 2 else (5.0, draw.uniform(1, 7))
    )

    def bowl(point):
        asked.append(point)
        a, b = point[0] - inside[0], point[1] - inside[1]
        return a * a + 0.1 * b * b + 0.2 * a * b

    found = least._descended(bowl, [0.0, 0.0], ranges)
    edge = min(inside[0], 3.0)
    assert found[0] == pytest.approx(edge, abs=1e-5)
    assert found[1] == pytest.approx(inside[1] - (edge - inside[0]), abs=1e-4)
    assert len(asked) < 2000
    assert all(
        low <= v <= high for point in asked for v, (low, high) in zip(point, ranges, strict=True)
    )


def test_a_table_of_a_derivation_has_a_column_for_each_cell():
    text = Derivation("t", (Part("h", (Paragraph("table", (("a", "b", "c"), ("1", "2", "3"))),)),))
    assert r"\begin{array}{lrr}" in text.latex()
