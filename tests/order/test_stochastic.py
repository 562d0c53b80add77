"""Mean, covariance and strong order of solvers with noise: published answers, measured rates, limits."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import exp, log2, sqrt
from typing import Any

import mpmath
import numpy as np
import pytest

from solvergen.algebra.fixed import FixedSeries, RealRing, real
from solvergen.derive import derive
from solvergen.errors import OrderError
from solvergen.loading import load
from solvergen.order import analyse
from solvergen.order.questions.conditions import conditions
from solvergen.order.questions.derivation import derivation
from solvergen.order.sde.report import stochastic_report
from solvergen.order.sde.strength import strength
from solvergen.program.model import Program
from solvergen.program.unroll import Unrolled, unroll
from solvergen.spec import parse_solver

from .oracle import ORACLE

SDE = """
name = "solver"
integrand = "{kind}"
[noise]
form = "sde"
strength = "tau"
[parameters]
tau = {{ default = {tau}, minimum = 0 }}
[step]
{rule}
"""
MIDPOINT = 'rule = "mean-value"\nnodes = ["n", "n-1"]\ntheta = "1/2"'
ANCESTRAL = """
name = "solver"
integrand = "data"
[noise]
form = "ancestral"
strength = "eta"
{more}
[parameters]
eta = {{ default = {eta}, minimum = 0 }}
"""
ONE_NODE = '[step]\nrule = "interpolate"\nnodes = ["n"]\n'
TWO_STAGES = """
[[stage]]
name = "mid"
at = "1/2"
rule = "interpolate"
nodes = ["n"]
[step]
rule = "mean-value"
nodes = ["n", "mid"]
theta = "1/2"
"""
EULER_MARUYAMA = """
name = "solver"
integrand = "data"
[noise]
form = "explicit"
[parameters]
tau = { default = 1, minimum = 0 }
[step]
rule = "weights"
decay = "exp(h)*(1 - (1 + tau**2)*h)"
weights = { n = "(1 + tau**2)*h" }
noise = { z = "sqrt(2*h)*tau*exp(h)" }
"""
HEUN_CHURN = """
name = "solver"
integrand = "noise"
coordinate = "clock"
[noise]
form = "churn"
strength = "s_churn"
[parameters]
s_churn = { default = 0, minimum = 0 }
[[stage]]
name = "end"
at = "1"
rule = "interpolate"
nodes = ["n"]
[step]
rule = "interpolate"
nodes = ["n", "end"]
"""
CORRECTED = '[corrector]\nrule = "adams-moulton"\nsteps = 2\n'
# What diffusers releases has −1/2 in the last moment where the integral has +1/2.
THIRD = """
name = "solver"
integrand = "data"
[noise]
form = "sde"
[step]
rule = "weights"
[step.weights]
n = "h*phi1 + 3/2*h*phi2 + 1/2*(h*phi3{defect})"
n-1 = "-2*h*phi2 - (h*phi3{defect})"
n-2 = "1/2*h*phi2 + 1/2*(h*phi3{defect})"
[start]
using = ["ddim", "dpmpp_2m"]
"""


def made(text: str) -> Program:
    return derive(parse_solver(text))


def sde(rule: str, tau: str = "1", kind: str = "data", more: str = "") -> Program:
    return made(SDE.format(rule=rule, tau=f'"{tau}"', kind=kind) + more)


def adams(steps: int, tau: str = "1", kind: str = "data", more: str = "") -> Program:
    return sde(f'rule = "adams-bashforth"\nsteps = {steps}', tau, kind, more)


def ancestral(rule: str, eta: str = "1", more: str = "") -> Program:
    return made(ANCESTRAL.format(eta=f'"{eta}"', more=more) + rule)


def orders(program: Program, kind: str = "arbitrary", mode: str = "exact_start") -> dict[str, Any]:
    return stochastic_report(program).json(mode)[kind]


def is_third(defect: bool) -> Program:
    return made(THIRD.format(defect=" - 1" if defect else ""))


ORACLES: dict[str, tuple[Program, ...]] = {
    "sde_dpmpp_1 = ddpm_ancestral = ddim_eta1 = sa_predictor_1(tau=1)": (
        adams(1),
        ancestral(ONE_NODE),
    ),
    "ddim_eta (0<eta<1)": (ancestral(ONE_NODE, "2/5"), ancestral(ONE_NODE, "3/4")),
    "sde_dpmpp_2m midpoint/heun": (sde(MIDPOINT), adams(2)),
    "sde_dpmpp_3m k-diffusion": (adams(3),),
    "sa_predictor_2 (tau>0)": (adams(2, "2/5"),),
    "sa_predictor_3 (tau>0)": (adams(3, "2/5"),),
    "euler_maruyama (in lambda)": (made(EULER_MARUYAMA),),
    "edm_churn_heun with gamma_n = const*h": (made(HEUN_CHURN),),
}


@pytest.mark.parametrize("name", ORACLES)
def test_the_verified_answers_are_met_on_every_class_of_grids(name: str) -> None:
    [entry] = [entry for entry in ORACLE["sde_methods"] if entry["id"] == name]
    for program in ORACLES[name]:
        report = stochastic_report(program).json("exact_start")
        for row in report.values():
            covariance = entry.get("weak_order_gaussian_covariance")
            covariance = covariance or entry["weak_order_gaussian_covariance_marginal_start"]
            assert row["covariance"] == [covariance, True]
            mean = entry.get("mean_order", entry.get("weak_order_gaussian_mean"))
            assert mean is None or row["mean"] == [mean, True]
            assert not entry.get("mean_exact_tau1") or row["mean"] == "exact"
            assert "strong_order" not in entry or row["strong"] == [entry["strong_order"], True]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_adams_rules_with_noise_stop_at_covariance_order_two(steps: int) -> None:
    assert orders(adams(steps, "2/5")) == {
        "mean": [steps, True],
        "covariance": [min(steps, 2), True],
        "strong": [1, True],
    }
    quiet = stochastic_report(adams(steps), {"tau": Fraction(0)}).json("exact_start")
    assert quiet["arbitrary"]["covariance"] == [steps, True]


@pytest.mark.parametrize("kind", ["data", "noise"])
def test_only_data_prediction_keeps_the_martingale(kind: str) -> None:
    mean = orders(adams(2, kind=kind))["mean"]
    assert mean == ("exact" if kind == "data" else [2, True])


def test_a_wrong_sum_of_weights_loses_the_martingale() -> None:
    wrong = sde('rule = "weights"\nweights = { n = "h*phi1 + h**3" }')
    assert orders(wrong)["mean"] == [2, True]


def test_a_first_step_of_order_one_limits_the_mean_to_two() -> None:
    solver = adams(4, "2/5")
    assert orders(solver, mode="exact_start")["mean"] == [4, True]
    assert orders(solver, mode="own_start")["mean"] == [2, True]


def test_stage_draws_of_their_own_cost_an_order_unless_one_path_runs_through_them() -> None:
    single = ancestral(TWO_STAGES, more='stages = "own"')
    found = orders(single)
    assert (found["covariance"], found["path_covariance"]) == ([1, True], [2, True])
    shared = sde(TWO_STAGES.partition("[step]\n")[2], more=TWO_STAGES.partition("[step]\n")[0])
    assert orders(shared) == {"mean": "exact", "covariance": [2, True], "strong": [1, True]}


def test_noise_inside_an_ancestral_step_splits_the_mean() -> None:
    split = ancestral(TWO_STAGES, more='stages = "inside"')
    assert orders(split) == {"mean": [1, True], "covariance": [2, True], "strong": [1, True]}


def test_a_corrector_that_shares_the_draw() -> None:
    found = orders(adams(2, "2/5", more=CORRECTED))
    assert found == {"mean": [2, True], "covariance": [2, True], "strong": [1, True]}


def test_churn_depends_on_the_density_of_the_grid() -> None:
    report = stochastic_report(made(HEUN_CHURN)).json()
    assert report["uniform"] == report["smooth"]
    assert report["uniform"]["strong"] == [1, True]
    # Equal noise in unequal steps: along the path no solution is approached.
    assert report["arbitrary"]["strong"] == [0, True]
    assert report["arbitrary"]["covariance"] == [2, True]


def test_the_released_third_order_rule_adds_noise_that_telescopes_away() -> None:
    assert orders(is_third(False), "uniform") == {
        "mean": "exact",
        "covariance": [2, True],
        "strong": [1, True],
    }
    assert orders(is_third(True), "uniform") == {
        "mean": "exact",
        "covariance": [1, True],
        "strong": [0.5, True],
    }


def test_a_sampler_that_forgets_its_state_solves_no_sde() -> None:
    again = made("""
name = "solver"
integrand = "data"
[noise]
form = "explicit"
[step]
rule = "weights"
decay = "0"
weights = { n = "1" }
noise = { z = "1" }
""")
    report = stochastic_report(again)
    assert report.json()["uniform"] == {"mean": None, "covariance": [0, True], "strong": None}
    assert "no reverse SDE" in report.reason
    assert "mean without meaning" in str(report)


# -- measured ----------------------------------------------------------------------------------


def functional(run: Unrolled, c2: float) -> tuple[float, list[float]]:
    """Weights of the start value and of the draws in the end state, on N(0, c2)."""
    draws, outputs = len(run.noise), list[Any]()

    def state(weights: tuple[Any, ...], noise: tuple[Any, ...]) -> Any:
        total = np.zeros(draws + 1)
        total[: len(noise) + 1] = [float(weights[0]), *map(float, noise)]
        for weight, output in zip(weights[1:], outputs, strict=True):
            total += float(weight) * output
        return total

    for call in run.calls:
        gain = c2 / (c2 + exp(-2 * float(call.lam)))
        outputs.append(gain * state(call.state, call.noise))
    end = state(run.final, run.noise)
    return end[0], end[1:]


def errors(program: Program, tau: float, sizes: list[float]) -> list[float]:
    """Mean, covariance and strong error over three directions, in closed form or by quadrature."""
    lam = [-1.2]
    for size in sizes:
        lam.append(lam[-1] + 2.8 * size / sum(sizes))
    with mpmath.workdps(20):
        run = unroll(program, [mpmath.mpf(value) for value in lam])
    factor, totals = 1 + tau**2, [0.0, 0.0, 0.0]
    for c2 in (0.05, 0.6, 4.0):

        def v(at: float, c2: float = c2) -> float:
            return c2 + exp(-2 * at)

        start, draws = functional(run, c2)
        mean = start - (v(lam[-1]) / v(lam[0])) ** (factor / 2)
        variance = start**2 * v(lam[0]) + sum(g * g for g in draws) - v(lam[-1])
        path = mean**2 * v(lam[0])
        for low, high, g in zip(lam, lam[1:], draws, strict=False):
            points = [low + (high - low) * (i + 0.5) / 64 for i in range(64)]
            exact = [(v(lam[-1]) / v(p)) ** (factor / 2) * sqrt(2) * tau * exp(-p) for p in points]
            shape = [exp(tau**2 * p) for p in points]
            size = sqrt(sum(s * s for s in shape) * (high - low) / 64)
            path += sum((g * s / size - e) ** 2 for s, e in zip(shape, exact, strict=True)) * (
                (high - low) / 64
            )
        for i, value in enumerate((mean**2, variance**2, path)):
            totals[i] += value
    return [sqrt(value) for value in totals]


MEASURED = {
    "ddpm": (ancestral(ONE_NODE), 1.0),
    "ddim, eta 2/5": (ancestral(ONE_NODE, "2/5"), 0.4),
    "2M": (sde(MIDPOINT), 1.0),
    "SA-2, tau 2/5": (adams(2, "2/5"), 0.4),
    "2M noise": (adams(2, kind="noise"), 1.0),
    "2S ancestral": (ancestral(TWO_STAGES, more='stages = "inside"'), 1.0),
}


@pytest.mark.parametrize(
    "pattern", [pytest.param("uniform", marks=pytest.mark.nightly), "arbitrary"]
)
@pytest.mark.parametrize("name", MEASURED)
def test_errors_of_whole_runs_fall_at_the_derived_rates(name: str, pattern: str) -> None:
    program, tau = MEASURED[name]
    sizes = [1.0, 2.2, 0.6, 1.7] if pattern == "arbitrary" else [1.0]
    curve = [errors(program, tau, (sizes * n)[:n]) for n in (12, 24, 48)]
    derived = orders(program, pattern, "own_end")
    for i, quantity in enumerate(("mean", "covariance", "strong")):
        if derived[quantity] == "exact":
            assert max(row[i] for row in curve) < 1e-12
            continue
        slopes = [log2(a[i] / b[i]) for a, b in pairwise(curve)]
        assert slopes[-1] == pytest.approx(derived[quantity][0], abs=0.4)


# -- the limit of the noise, and of no noise ---------------------------------------------------


def test_the_strength_is_read_from_the_draws() -> None:
    for program, value in ((ancestral(ONE_NODE, "2/5"), 0.16), (adams(2, "3/2"), 2.25)):
        known = {p.name: p.default for p in program.parameters}
        found = strength(program, known, "uniform", [Fraction(1)], 4)
        assert found is not None and len(found.terms) == 1
        assert float(real(found.terms[0])) == pytest.approx(value, abs=1e-15)


def test_noise_that_returns_through_evaluations_is_no_part_of_the_strength() -> None:
    program = load("sde_dpmpp_3s_exact_as_shipped_by_diffusers").program
    for kind in ("uniform", "smooth"):
        found = strength(program, {}, kind, [Fraction(1)], 4)
        assert found is not None and [float(real(t)) for t in found.terms[:1]] == [1.0]
        assert orders(program, kind)["mean"] == "exact"


def test_a_strength_that_follows_the_level() -> None:
    varying = made(EULER_MARUYAMA.replace("tau**2", "tau**2*sigma**2").replace(
        "sqrt(2*h)*tau", "sqrt(2*h)*tau*sigma"
    ))  # fmt: skip
    assert orders(varying) == {"mean": [1, True], "covariance": [1, True], "strong": [1, True]}


def test_without_noise_the_deterministic_order_is_left() -> None:
    quiet = stochastic_report(adams(3)).deterministic
    assert quiet is not None and str(quiet.orders["arbitrary"]["exact_start"]) == "exactly 3"
    assert stochastic_report(made(THIRD.format(defect=""))).deterministic is None
    split = stochastic_report(ancestral(TWO_STAGES, more='stages = "inside"')).deterministic
    assert split is not None and str(split.order) == "exactly 2"


def test_a_solver_whose_noise_is_off_by_default_is_judged_with_it() -> None:
    report = stochastic_report(made(HEUN_CHURN))
    assert report.parameters["s_churn"] > 0
    off = stochastic_report(made(HEUN_CHURN), {"s_churn": Fraction(0)})
    assert off.json()["arbitrary"]["strong"] == [2, True]


def test_each_kind_of_analysis_refuses_what_belongs_to_the_other() -> None:
    for refused in (analyse, derivation, lambda program: conditions(program, 2)):
        with pytest.raises(OrderError, match="`solvergen explain SPEC` shows"):
            refused(adams(2))
    plain = SDE.format(rule='rule = "adams-bashforth"\nsteps = 2', tau="1", kind="data")
    with pytest.raises(OrderError, match="draws no noise"):
        stochastic_report(made(plain.replace('[noise]\nform = "sde"\nstrength = "tau"\n', "")))
    with pytest.raises(OrderError, match="no parameter `eta`; it has tau"):
        stochastic_report(adams(2), {"eta": Fraction(1)})


def test_the_report_in_one_line() -> None:
    assert str(stochastic_report(adams(2))) == (
        "orders, proved on Gaussian targets: mean exact, covariance exactly 2, strong exactly 1"
    )


def test_a_report_says_that_orders_hold_inside_a_window() -> None:
    rule = 'rule = "adams-bashforth"\nsteps = 2'
    text = SDE.format(rule=rule, tau='"1"', kind="data")
    report = stochastic_report(made(text.replace('"tau"', '"tau"\nwindow = ["1/2", "2"]', 1)))
    assert str(report).endswith("strong exactly 1; " + report.reason)
    assert report.reason.endswith("inside its window")


# -- series ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "sqrt", "log1p"])
def test_functions_of_series_agree_with_their_values(name: str) -> None:
    ring = RealRing(24, 1)
    inner = ring.h * ring.h / 3 + ring.h * 2 + Fraction(5, 4)
    series = ring.functions[name](inner)
    with mpmath.workdps(60):
        at = mpmath.mpf(1) / 1000
        value = getattr(mpmath, name)(at**2 / 3 + at * 2 + mpmath.mpf(5) / 4)
        total = mpmath.fsum(real(c) * at**k for k, c in enumerate(series.terms, series.low))
        assert abs(total - value) < mpmath.mpf(10) ** -55


@pytest.mark.parametrize("start", [Fraction(0), Fraction(3, 7)])
def test_phi_functions_of_series_agree_with_their_integrals(start: Fraction) -> None:
    ring = RealRing(20, 1)
    series = ring.phi(3, ring.h + start)
    with mpmath.workdps(50):
        at = mpmath.mpf(1) / 1000
        z = at + mpmath.mpf(start.numerator) / start.denominator
        value = mpmath.nsum(lambda j: z**j / mpmath.factorial(j + 3), [0, mpmath.inf])
        total = mpmath.fsum(real(c) * at**k for k, c in enumerate(series.terms, series.low))
        assert abs(total - value) < mpmath.mpf(10) ** -40


def test_what_has_no_expansion_is_refused() -> None:
    ring = RealRing(8)
    with pytest.raises(OrderError, match="variance < 0"):
        ring.sqrt(-ring.h)
    with pytest.raises(OrderError, match="odd power"):
        ring.sqrt(ring.x)
    with pytest.raises(OrderError, match="not positive"):
        ring.log(ring.h)
    with pytest.raises(OrderError, match="grows without bound"):
        ring.exp(1 / ring.h)
    with pytest.raises(OrderError, match="division by zero"):
        1 / FixedSeries(0, [], 4)


# -- constants ---------------------------------------------------------------------------------


def test_the_constant_of_ddpm_is_the_one_worked_out_by_hand() -> None:
    # With X = 1 − e^{−2h}: v (1 − X (1 − k))² + σ̃² (1 − X) X − v(λ + h) = −X² k (1 − k) v.
    report = stochastic_report(ancestral(ONE_NODE))
    assert report.growth("covariance") == (0, -4, 4)
    assert report.growth("mean") is None


@pytest.mark.parametrize(
    "name", ["ddpm", pytest.param("ddim, eta 2/5", marks=pytest.mark.nightly), "2S ancestral"]
)
def test_constants_predict_the_errors_of_whole_runs(name: str) -> None:
    program, tau = MEASURED[name]
    report = stochastic_report(program)
    rates = report.json()["uniform"]
    points = [-1.2 + 2.8 * (i + 0.5) / 2000 for i in range(2000)]
    for i, quantity in enumerate(("mean", "covariance")):
        if rates[quantity] == "exact":
            continue
        terms, power = report.growth(quantity), rates[quantity][0]
        assert terms is not None
        total = 0.0
        for c2 in (0.05, 0.6, 4.0):
            first, last = c2 + exp(2.4), c2 + exp(-3.2)
            error = 0.0
            for at in points:
                k = c2 / (c2 + exp(-2 * at))
                lost = 2 * tau**2 * (1 - k) * error if quantity == "covariance" else 0.0
                rate = sum(float(c) * k**j for j, c in enumerate(terms))
                error += (rate - lost) * 2.8 / 2000
            scale = last if quantity == "covariance" else (last / first) ** ((1 + tau**2) / 2)
            total += (error * scale) ** 2
        found = [errors(program, tau, [1.0] * n)[i] / (2.8 / n) ** power for n in (24, 48)]
        # The next power of h is taken out by extrapolation.
        assert 2 * found[1] - found[0] == pytest.approx(sqrt(total), rel=0.03)


# -- jumps -------------------------------------------------------------------------------------


def test_a_scale_on_the_noise_of_jumps_leaves_a_variance_that_stays_wrong() -> None:
    program = load("restart_heun").program
    exact = stochastic_report(program)
    row = stochastic_report(program, {"s_noise": Fraction(2)}).json()["arbitrary"]
    assert exact.json()["arbitrary"] == {
        "mean": [2, True],
        "covariance": [2, True],
        "strong": [2, True],
    }
    assert row == {"mean": [2, True], "covariance": [0, True], "strong": [0, True]}
    assert not exact.reason
