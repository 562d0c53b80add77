"""The engine itself: exact arithmetic, limits, speed, honesty about what is not proved."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvergen import catalogue
from solvergen.algebra.explosion import check
from solvergen.algebra.modular import PRIMES, ModularSeries, PrimeField, reconstructed
from solvergen.algebra.rational import canonical, spell, spell_quotient
from solvergen.algebra.series import Series, exp, expm1, log1p, phi, sqrt
from solvergen.algebra.surd import Surd, root
from solvergen.algebra.traced import Traced, symbol
from solvergen.derive import derive
from solvergen.errors import OrderError
from solvergen.gallery import load, names
from solvergen.order import Explosion, analyse
from solvergen.order.expansion.grid import CLASSES
from solvergen.order.expansion.local_error import predictor_error
from solvergen.order.ode.analyse import Analysis
from solvergen.order.sde.report import StochasticReport, stochastic_report
from solvergen.order.verdict import Order
from solvergen.spec import parse_solver

small = st.builds(Fraction, st.integers(-9, 9), st.integers(1, 7))


def series(values: list[Fraction], low: int = 0, end: int = 6) -> Series:
    return Series(low, list(values), end)


# -- series ----------------------------------------------------------------------------------------


@given(st.lists(small, min_size=1, max_size=5), st.lists(small, min_size=1, max_size=5))
def test_quotients_undo_products(left: list[Fraction], right: list[Fraction]) -> None:
    a, b = series(left, -1), series(right)
    if not b.terms:
        return
    back = a * b / b
    assert all(back.coefficient(i) == a.coefficient(i) for i in range(-1, back.end))


@given(st.lists(small, min_size=1, max_size=5))
def test_functions_of_series(values: list[Fraction]) -> None:
    z = series(values, 1)
    assert not (exp(z) * exp(-z) - 1).terms
    assert not (log1p(expm1(z)) - z).terms
    # φ_k(z) = z φ_{k+1}(z) + 1/k!
    assert not (phi(2, z) - z * phi(3, z) - Fraction(1, 2)).terms
    if z.terms:
        squared = sqrt(z * z)
        assert not (squared * squared - z * z).terms


def test_a_lost_digit_is_noticed() -> None:
    with pytest.raises(OrderError, match="known to"):
        series([Fraction(1)], 0, 3).coefficient(3)
    with pytest.raises(OrderError, match="division by zero"):
        1 / series([], 0, 3)
    with pytest.raises(OrderError, match="does not vanish with h"):
        exp(series([Fraction(1)]))


@given(st.lists(small, min_size=1, max_size=5), st.lists(small, min_size=1, max_size=5))
def test_residues_agree_with_fractions(left: list[Fraction], right: list[Fraction]) -> None:
    field = PrimeField(PRIMES[3])

    def modular(values: list[Fraction], low: int) -> ModularSeries:
        return ModularSeries(low, [field.residue(v) for v in values], 6, field)

    pairs = [(series(left), modular(left, 0)), (series(right, 1), modular(right, 1))]
    (a, am), (z, zm) = pairs
    from solvergen.algebra import modular as m

    for exact, fast in (
        (a * z + 3, am * zm + 3),
        (exp(z) - a, m.exp(zm) - am),
        (log1p(z) * Fraction(2, 3), m.log1p(zm) * Fraction(2, 3)),
        (phi(3, z) / 7, m.phi(3, zm) / 7),
    ):
        assert [field.residue(exact.coefficient(i)) for i in range(5)] == [
            fast.coefficient(i) for i in range(5)
        ]


@given(small, st.integers(1, 10**6))
def test_fractions_come_back_from_residues(value: Fraction, size: int) -> None:
    exact = value / size
    pairs = [(PrimeField(p).residue(exact), p) for p in PRIMES[:2]]
    assert reconstructed(pairs) == exact


# -- surds and symbols ---------------------------------------------------------------------------


def test_roots_are_exact() -> None:
    two, three = root(Fraction(2)), root(Fraction(3))
    assert root(Fraction(9, 4)) == Fraction(3, 2)
    assert two * two == 2 and two * three == root(Fraction(6))
    number = 1 + two - 2 * three
    assert number * (1 / number) == 1 and isinstance(number, Surd)
    assert float(number) == pytest.approx(1 + 2**0.5 - 2 * 3**0.5)
    with pytest.raises(OrderError, match="negative"):
        root(Fraction(-2))
    field = PrimeField(next(p for p in PRIMES if all(pow(d, (p - 1) // 2, p) == 1 for d in (2, 3))))
    assert field.residue(two) * field.residue(three) % field.prime == field.residue(two * three)


def test_traced_expressions_know_their_zeros() -> None:
    x, y = symbol("x", (Fraction(3), Fraction(5))), symbol("y", (Fraction(7, 2), Fraction(2)))
    assert (x + y) * (x - y) - x * x + y * y == 0
    assert x / x == 1 and not isinstance((x - 1) / (x - 1), Traced)
    assert spell((x * x - y * y) / (x + y)) == "x - y"
    assert spell((x + 1) / (2 * x * (x + y))) == "(1/2*x + 1/2)/(x*(x + y))"
    (quotient,) = canonical([(x**3 - 1) / (x * x - 1)])
    assert spell_quotient(quotient) == "(x^2 + x + 1)/(x + 1)"
    with pytest.raises(Explosion):
        spell((x + y + 1) ** 40, budget=1000)


# -- verdicts ------------------------------------------------------------------------------------


def test_report_has_exactly_the_documented_fields() -> None:
    report = analyse(derive(load("unipc_2_bh2"))).json()
    assert set(report) == {
        "order", "leading_error", "stiff_order", "evaluations_per_step", "history",
    }  # fmt: skip
    assert set(report["order"]) == {"uniform", "smooth", "arbitrary"}
    for modes in report["order"].values():
        assert set(modes) == {"exact_start", "own_start", "own_end"}
        assert modes["own_start"] == {"order": 3, "exact": True}
    assert set(report["leading_error"]) == {"uniform", "symbolic"}
    assert set(report["leading_error"]["uniform"][0]) == {"word", "tree", "coef"}
    assert set(report["stiff_order"]) == {"strong", "weak"}
    assert (report["evaluations_per_step"], report["history"]) == (1, 1)


def test_an_explosion_is_refused_with_its_cost_and_the_rational_verdict() -> None:
    text = 'name = "ab9"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 9\n'
    report = analyse(derive(parse_solver(text)))
    with pytest.raises(Explosion, match=r"up to \d+ monomials .* order 9, words D\^\(9\)"):
        _ = report.symbolic
    assert "refused" in report.json()["leading_error"]["symbolic"]
    assert report.orders["arbitrary"]["exact_start"].value == 9
    with pytest.raises(Explosion, match="5005 monomials"):
        check("order 9 in six ratios", 9, 6, [])


def test_velocity_solvers_are_plain_in_their_clock() -> None:
    text = (
        'name = "v"\nintegrand = "velocity"\ncoordinate = "clock"\n'
        '[[stage]]\nname = "end"\nat = "1"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "interpolate"\nnodes = ["n", "end"]\n'
    )
    report = analyse(derive(parse_solver(text)))
    assert report.orders["arbitrary"]["own_end"].value == 2
    assert dict(report.uniform.terms) == {
        (2, ()): Fraction(1, 12),
        (0, ((1, ()),)): Fraction(-1, 4),
    }
    assert report.stiff.strong is None and "velocity" in report.stiff.reason


def test_velocity_solvers_with_a_polynomial_in_another_coordinate() -> None:
    text = (
        'name = "v"\nintegrand = "velocity"\ncoordinate = "lambda"\n'
        '[step]\nrule = "adams-bashforth"\nsteps = 2\n'
    )
    report = analyse(derive(parse_solver(text)))
    assert report.orders["arbitrary"]["exact_start"].value == 2
    assert report.orders["uniform"]["exact_start"].exact


def test_coordinates_with_schedules_have_jets_in_their_constants() -> None:
    report = analyse(derive(load("deis_tab3")))
    texts = {t["word"]: t["coef"] for t in report.json()["leading_error"]["uniform"]}
    assert texts == {"D'": "-9/8*y2^2 + 3/8*y3", "D''": "9/8*y2", "D'''": "-3/8"}


def test_roots_in_weights_stay_roots() -> None:
    """Gauss nodes in two stages: constants with √3 agree between exact and modular expansions."""
    text = (
        'name = "gauss"\nintegrand = "noise"\ncoordinate = "clock"\n'
        '[[stage]]\nname = "a"\nat = "1/2 - sqrt(3)/6"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[[stage]]\nname = "b"\nat = "1/2 + sqrt(3)/6"\nrule = "interpolate"\nnodes = ["n", "a"]\n'
        '[step]\nrule = "interpolate"\nnodes = ["a", "b"]\n'
    )
    program = derive(parse_solver(text))
    report = analyse(program)
    order = report.orders["arbitrary"]["exact_start"].value
    exact = predictor_error(report.analysis.case("uniform"), order + 1)
    words = {w: v.coefficient(0) for w, v in exact.items() if w in dict(report.uniform.terms)}
    for word, value in report.uniform.terms:
        term = exact[word]
        assert value == (term.terms[0] if isinstance(term, Series) else term)
    assert any(isinstance(value, Surd) for _, value in report.uniform.terms) and words


# -- the whole gallery -----------------------------------------------------------------------------


def test_unipc_4_has_two_leading_words_on_any_grid() -> None:
    text = (
        'name = "unipc4"\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\nsteps = 4\n'
        '[corrector]\nmode = "PEC"\nrule = "adams-moulton"\nsteps = 5\n'
        '[start]\nusing = ["unipc_1_bh2", "unipc_2_bh2", "unipc_3_bh2"]\n'
    )
    report = analyse(derive(parse_solver(text)))
    symbolic = report.symbolic.json()
    assert {t["word"] for t in symbolic} == {"D^(5)", "J.D^(4)"}


def test_errors_beyond_the_heaviest_words_are_bounded_not_zero() -> None:
    analysis = Analysis(derive(load("ab3_lambda")), {}, ())
    analysis.stop = 2
    report = analysis.report()
    assert report.orders["uniform"]["exact_start"] == Order(2, False)
    assert (report.uniform.exponent, report.uniform.terms) == (3, ())


SOME = names()[2::12]
REST = [pytest.param(name, marks=pytest.mark.nightly) for name in names() if name not in SOME]


def check_noisy(report: StochasticReport) -> None:
    """Starts, ends and rougher grids never raise an order of a solver with noise."""

    def at(kind: str, mode: str, quantity: str) -> float:
        rate = report.orders[kind][mode][quantity]
        assert rate is not None
        return float("inf") if rate.value is None else float(rate.value)

    kinds, modes = ("uniform", "smooth", "arbitrary"), ("exact_start", "own_start", "own_end")
    for quantity, rate in report.orders["uniform"]["own_end"].items():
        assert (rate is None) <= bool(report.reason)
        if rate is not None:
            for kind in kinds:
                found = [at(kind, mode, quantity) for mode in modes]
                assert found == sorted(found, reverse=True) and found[-1] >= 0
            for mode in modes:
                found = [at(kind, mode, quantity) for kind in kinds]
                assert found == sorted(found, reverse=True)


# Their constants hold derivatives of the model at a fixed state, which are no words, or depend on all steps before.
UNSTATED = {"edict", "dc_solver_2", "dc_solver_3"}


def test_proved_orders_of_the_gallery_are_consistent() -> None:
    """As stored; `generate --check` proves all of them anew."""
    for name in names():
        entry = catalogue.stored(name)
        assert entry is not None, name
        if not entry.order:
            continue
        modes = ("exact_start", "own_start", "own_end")
        rows = [[entry.order[kind][m][0] for m in modes] for kind in CLASSES]
        assert all(
            row == sorted(row, reverse=True) for row in (*rows, *map(list, zip(*rows, strict=True)))
        )
        assert min(map(min, rows)) >= 0 and bool(entry.leading) == (name not in UNSTATED)
        lost = entry.order["uniform"]["own_end"][0] < entry.order["uniform"]["exact_start"][0]
        assert bool(entry.bottlenecks) >= lost, name


@pytest.mark.parametrize("name", [*SOME, *REST])
def test_the_gallery_is_analysed(name: str) -> None:
    program = derive(load(name))
    if program.stochastic:
        check_noisy(stochastic_report(program))
        return
    report = analyse(program)
    orders = report.orders
    for kind in orders:
        exact, start, end = (orders[kind][m].value for m in ("exact_start", "own_start", "own_end"))
        assert exact >= start >= end >= 0
    for mode in ("exact_start", "own_start", "own_end"):
        assert orders["uniform"][mode].value >= orders["smooth"][mode].value
        assert orders["smooth"][mode].value >= orders["arbitrary"][mode].value
    if (
        program.calls_elsewhere
    ):  # the rule's own error is not all; by factors that stay it keeps no order
        assert orders["uniform"]["exact_start"].value == report.off_level
        return
    assert (
        report.uniform.terms
        and report.uniform.exponent == orders["uniform"]["exact_start"].value + 1
    )
    lost = orders["uniform"]["own_end"].value < orders["uniform"]["exact_start"].value
    assert bool(report.bottlenecks) >= lost
