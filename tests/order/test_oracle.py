"""Every entry of the verified answers: orders, leading errors, starts, ends, stiff orders."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

import pytest
from sympy import Symbol

from solvergen.derive import derive
from solvergen.expr.evaluation import evaluate
from solvergen.expr.parse import parse
from solvergen.order import analyse
from solvergen.order.expansion.grid import from_steps, generic_ratio, uniform
from solvergen.order.expansion.local_error import Case, first_error, local_error, predictor_error

from .oracle import METHODS, ORACLE, from_tree, program, spec


def value(text: str, at: dict[str, Fraction]) -> Fraction:
    """A coefficient of the oracle (or of a report) at given step ratios."""
    expr = parse(text.replace("^", "**"), {name: Symbol(name) for name in at})
    return evaluate(expr, at, {}, Fraction)


def coefficients(entries: list[dict[str, Any]], at: dict[str, Fraction]) -> dict[Any, Fraction]:
    """Word to exact value at given step ratios, zeros dropped."""
    found = {from_tree(entry["tree"]): value(entry["coef"], at) for entry in entries}
    return {word: exact for word, exact in found.items() if exact}


def ratios(seed: int) -> dict[str, Fraction]:
    random = Random(seed)
    return {
        f"r{k}": Fraction(random.randrange(1, 200), random.randrange(1, 200)) for k in range(1, 9)
    }


@pytest.mark.parametrize("identifier", METHODS)
def test_orders_with_exact_start(identifier: str) -> None:
    entry, report = METHODS[identifier], analyse(program(identifier))
    wanted = entry["order_exact_history"]
    for kind, theirs in (("uniform", "uniform_lambda_grid"), ("arbitrary", "arbitrary_grid")):
        order = report.orders[kind]["exact_start"]
        assert (order.value, order.exact) == (wanted[theirs], True)
    assert report.uniform.exponent == entry["local_error_exponent"]["uniform_lambda_grid"]
    assert report.symbolic.exponent == entry["local_error_exponent"]["arbitrary_grid"]


@pytest.mark.parametrize("identifier", METHODS)
def test_leading_error_on_a_uniform_grid(identifier: str) -> None:
    entry = METHODS[identifier]
    derived = analyse(program(identifier)).json()["leading_error"]["uniform"]
    theirs = {from_tree(t["tree"]): t["coef"] for t in entry["leading_local_error_uniform_lambda"]}
    assert {from_tree(t["tree"]): t["coef"] for t in derived} == theirs
    names = {t["word"] for t in entry["leading_local_error_uniform_lambda"]}
    assert {t["word"] for t in derived} == names


WITH_RATIOS = [i for i, e in METHODS.items() if "leading_local_error_symbolic_ratios" in e]


@pytest.mark.parametrize("identifier", WITH_RATIOS)
def test_leading_error_in_symbolic_ratios(identifier: str) -> None:
    derived = analyse(program(identifier)).json()["leading_error"]["symbolic"]
    theirs = METHODS[identifier]["leading_local_error_symbolic_ratios"]
    for seed in (5, 6, 7):
        assert coefficients(derived, ratios(seed)) == coefficients(theirs, ratios(seed))


WITH_START = [i for i, e in METHODS.items() if "warmup_1_2_3" in e["global_order"]]


@pytest.mark.parametrize("identifier", WITH_START)
def test_global_order_with_start_and_end(identifier: str) -> None:
    wanted = METHODS[identifier]["global_order"]
    plain = analyse(program(identifier)).orders
    lowered = analyse(program(identifier, ramp_down=True)).orders
    for kind in ("uniform", "smooth", "arbitrary"):
        assert plain[kind]["exact_start"].value == wanted["exact_start"]
        assert plain[kind]["own_start"].value == wanted["warmup_1_2_3"]
        assert lowered[kind]["own_end"].value == wanted["warmup_and_lower_order_final"]
        assert all(order.exact for order in (*plain[kind].values(), *lowered[kind].values()))


@pytest.mark.parametrize("identifier", ["ipndm2", "ipndm4"])
def test_frozen_weights_on_every_class_of_grid(identifier: str) -> None:
    wanted, orders = METHODS[identifier]["global_order"], analyse(program(identifier)).orders
    assert orders["uniform"]["exact_start"].value == wanted["uniform_lambda"]
    assert orders["smooth"]["exact_start"].value == wanted["smooth_grid"]
    assert orders["arbitrary"]["exact_start"].value == wanted["arbitrary_grid"]
    assert all(o.exact for row in orders.values() for o in row.values())


@pytest.mark.parametrize("identifier", ["ipndm2", "ipndm4"])
def test_frozen_weights_reach_their_order_when_the_clock_is_uniform(identifier: str) -> None:
    from math import factorial

    from solvergen.order.expansion.grid import smooth
    from solvergen.order.ode.ends import start_error

    wanted = METHODS[identifier]["global_order"]
    # s = e^{−λ} falls in equal steps: Λ^(j) = (j − 1)! Λ'^j.
    case = Case(
        program(identifier),
        lambda ring: smooth(lambda j: Fraction(factorial(j - 1)), ring.x, ring.end),
        lambda ring: {},
    )
    found = first_error(lambda limit: predictor_error(case, limit))
    assert found is not None and found.exponent == wanted["uniform_sigma_exact_start"] + 1
    started = start_error(case, int(found.exponent) - 1)
    capped = started.exponent if started else found.exponent - 1
    assert capped == wanted["uniform_sigma_warmup"]


@pytest.mark.parametrize("identifier", METHODS)
def test_what_vanishes_at_the_order_does_not_vanish_after_it(identifier: str) -> None:
    made = program(identifier)
    order = analyse(made).orders["arbitrary"]["exact_start"].value
    case = Case(
        made,
        lambda ring: from_steps(lambda i: generic_ratio(91, i)),
        lambda ring: {p.name: p.default for p in made.parameters},
    )
    predictor = first_error(lambda limit: predictor_error(case, limit))
    assert predictor is not None
    exponent = int(predictor.exponent)
    assert first_error(lambda limit: local_error(case, limit, exponent), 1, order) is None
    assert first_error(lambda limit: local_error(case, limit, exponent), order + 1) is not None


STIFF = {
    "ETD1/DDIM": "ddim_data",
    "DPM-Solver(++)2S 'dpmsolver' r=1/2": "dpm2s_dpmsolver_r1_2_data",
    "DPM-Solver(++)2S 'taylor' = RES2s = ETD2RK": "dpm2s_taylor_r1_2_data",
    "DPM-Solver(++)3S 'dpmsolver' (1/3,2/3)": "dpm3s_dpmsolver_1_3_2_3_data",
    "RES-3S (1/2,1)": "res3s_c2_1_2_c3_1_gamma_c3^3",
}


def stiff_entry(name: str) -> dict[str, Any]:
    return next(entry for entry in ORACLE["stiff_orders"] if entry["name"] == name)


@pytest.mark.parametrize("name", STIFF)
def test_stiff_order(name: str) -> None:
    from solvergen.order.expansion.words import spell

    wanted, report = stiff_entry(name), analyse(program(STIFF[name]))
    assert report.orders["uniform"]["exact_start"].value == wanted["classical"]
    assert (report.stiff.strong, report.stiff.weak) == (
        wanted["scalar_strong"],
        wanted["scalar_weak"],
    )
    assert {spell(word) for word in report.stiff.violated} == set(wanted["violated_scalar"])


def test_every_method_of_the_oracle_with_a_stiff_order() -> None:
    checked = 0
    for identifier, entry in METHODS.items():
        if "stiff_order_strong" in entry:
            stiff = analyse(program(identifier)).stiff
            assert stiff.strong == entry["stiff_order_strong"], identifier
            assert stiff.weak == entry["stiff_order_HO_weak"], identifier
            checked += 1
    assert checked == 8


@pytest.mark.parametrize("kappa", [1, -1])
def test_startup_constants_of_ddim(kappa: int) -> None:
    from solvergen.order.ode.ends import end_error, start_error

    identifier = "dpm_3m_corrected_data" if kappa == 1 else "dpm_3m_corrected_noise"
    case = Case(program(identifier, ramp_down=True), lambda ring: uniform(), lambda ring: {})
    first, last = start_error(case, 3), end_error(case, 3, 4)
    assert first is not None and last is not None
    assert (first.exponent, dict(first.terms)) == (2, {(1, ()): Fraction(-1, 2)})
    assert (last.exponent, dict(last.terms)) == (2, {(1, ()): Fraction(-1, 2)})


@pytest.mark.parametrize("b", ["bh1", "bh2"])
@pytest.mark.parametrize("prediction", ["data", "noise"])
@pytest.mark.parametrize(("p", "w"), [(3, Fraction(1, 2)), (4, Fraction(417, 720))])
def test_startup_constants_of_unipc(b: str, prediction: str, p: int, w: Fraction) -> None:
    from dataclasses import replace

    from solvergen.gallery import load
    from solvergen.order.ode.ends import start_error
    from solvergen.spec import parse_solver

    solver = load(f"unipc_3_{b}")
    if p == 4:
        four = parse_solver(
            'name = "unipc4"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 4\n'
            '[corrector]\nmode = "PEC"\nrule = "adams-moulton"\nsteps = 5\n'
            f'[start]\nusing = ["unipc_1_{b}", "unipc_2_{b}", "unipc_3_{b}"]\n'
        )
        solver = four
    made = derive(replace(solver, integrand=prediction))
    found = start_error(Case(made, lambda ring: uniform(), lambda ring: {}), 4)
    kappa = made.kappa
    a = Fraction(-kappa, 12) if b == "bh2" else Fraction(kappa, 6)
    assert found is not None and found.exponent == 3
    assert dict(found.terms) == {
        (1, ()): a,
        (2, ()): Fraction(1, 12),
        (0, ((1, ()),)): -(Fraction(1, 4) + w / 2),
    }


@pytest.mark.parametrize("kappa", [1, -1])
@pytest.mark.parametrize("steps", [2, 3, 4])
def test_frozen_adams_on_a_smooth_grid(kappa: int, steps: int) -> None:
    from dataclasses import replace

    from .oracle import adams

    solver = replace(adams(steps, True), integrand="data" if kappa == 1 else "noise")
    error = analyse(derive(solver)).smooth
    eta = Fraction(3, 7)
    found = {word: value(text, {"eta": eta}) for (word, _), text in zip(
        error.terms, error.coefficients(), strict=True)}  # fmt: skip
    if steps == 2:
        wanted = {(1, ()): Fraction(-kappa, 12) - eta / 2, (2, ()): Fraction(-5, 12)}
    else:
        wanted = {(1, ()): -(kappa + eta) / 12}
    assert (error.exponent, found) == (3, wanted)


def test_exact_integrals_with_frozen_ratios_on_a_smooth_grid() -> None:
    from solvergen.spec import parse_solver

    solver = parse_solver(
        'name = "norsett"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 3\n'
        "frozen = true\n"
    )
    error = analyse(derive(solver)).smooth
    assert [
        (word, text) for (word, _), text in zip(error.terms, error.coefficients(), strict=True)
    ] == [((1, ()), "-1/12*eta")]


def test_the_oracle_is_covered() -> None:
    assert len(METHODS) == 41
    assert all(spec(identifier).integrand in ("data", "noise") for identifier in METHODS)
