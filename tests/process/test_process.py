"""What follows from α(t) and σ(t), against the published formulas and against numerical integration."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp

from solvergen.errors import ExpressionError, SolvergenError
from solvergen.process import Process, ProcessError, from_beta, from_drift, named
from solvergen.process.bounds import within
from solvergen.process.equations import exact_data, posterior, probability_flow, reverse_sde
from solvergen.process.model import LAM, TAU, S
from solvergen.process.named import NAMED
from solvergen.process.numbers import function_of
from solvergen.process.preconditioning import SIGMA, SIGMA_D, derive
from solvergen.process.proofs import PROOFS
from solvergen.process.text import T, expression, parameter

LOW, HIGH = parameter("beta_min"), parameter("beta_max")
BETA = LOW + (HIGH - LOW) * T
# f, g² and λ as the papers print them.
PUBLISHED = {
    "vp-linear": (-BETA / 2, BETA),
    "sub-vp": (-BETA / 2, BETA * (1 - sp.exp(-2 * LOW * T - (HIGH - LOW) * T**2))),
    "vp-cosine": (-sp.pi / 2 * sp.tan(sp.pi * T / 2), sp.pi * sp.tan(sp.pi * T / 2)),
    "ve": (sp.Integer(0), sp.Integer(1)),
    "edm": (sp.Integer(0), 2 * T),
    "flow": (-1 / (1 - T), 2 * T / (1 - T)),
    "trigflow": (-sp.tan(T), 2 * sp.tan(T)),
}


@pytest.fixture(scope="module")
def process():
    made = {}
    return lambda name: made.setdefault(name, named(name))


@pytest.mark.parametrize("name", PUBLISHED)
def test_drift_and_diffusion_are_the_published_ones(name, process):
    found, (f, g2) = process(name), PUBLISHED[name]
    assert sp.simplify(found.f - f) == 0
    assert sp.simplify(found.g2 - g2) == 0


@pytest.mark.parametrize("name", NAMED)
def test_the_inverse_is_closed_and_right(name, process):
    found = process(name)
    with mpmath.workdps(30):
        lam, time = (
            function_of(found.numeric(found.lam)),
            function_of(found.numeric(found.time), LAM),
        )
        for t in ("0.013", "0.4", "0.93"):
            assert mpmath.almosteq(time(lam(mpmath.mpf(t))), mpmath.mpf(t), 1e-20)


def test_the_ode_moves_a_gaussian_as_its_variance_says(process):
    """Data of variance c²: D is linear, and x/√(α²c² + σ²) stays constant along the ODE."""
    c2 = sp.Rational(3, 5)
    for name in ("flow", "vp-cosine", "edm"):
        p = process(name)
        total = p.alpha**2 * c2 + p.sigma**2
        denoised = p.alpha * c2 / total  # times x
        for prediction, value in (
            ("data", denoised),
            ("noise", (1 - p.alpha * denoised) / p.sigma),
            ("score", -1 / total),
        ):
            drift = probability_flow(p, prediction)
            growth = drift.state + drift.model * value - sp.diff(sp.log(total), T) / 2
            at = [
                sp.Abs(growth.subs(T, t)).evalf(30) for t in (sp.Rational(1, 7), sp.Rational(3, 5))
            ]
            assert max(at) < 1e-25, (name, prediction)


def test_the_reverse_sde_keeps_the_variance_of_a_gaussian(process):
    p, c2 = process("vp-cosine"), sp.Rational(3, 5)
    total = p.alpha**2 * c2 + p.sigma**2
    drift = reverse_sde(p, "score")
    growth = 2 * (drift.state - drift.model / total) * total
    residual = growth - TAU**2 * p.g2 - sp.diff(total, T)
    assert abs(residual.subs({T: sp.Rational(2, 7), TAU: sp.Rational(1, 3)}).evalf(30)) < 1e-25


@pytest.mark.parametrize("prove", PROOFS, ids=lambda prove: prove.__name__)
def test_every_proof_holds(prove):
    proof = prove()
    assert proof.holds, proof.residuals
    assert proof.residuals


def test_a_false_statement_is_not_proved(monkeypatch):
    """Without the ½ of the ODE, or with another kernel, residuals stay."""
    from solvergen.process import proofs

    monkeypatch.setattr(proofs._Any, "g2", sp.diff(proofs.SIGMA(T) ** 2, T))
    failed = {prove.__name__ for prove in PROOFS if not prove().holds}
    assert failed >= {"transition_kernel", "forms_agree", "ddim_exact", "sde_exact", "chain_limit"}


def test_kernels_compose_and_the_posterior_is_ddpms(process):
    p = process("flow")
    factor, variance = p.transition
    r = sp.Symbol("r", positive=True)
    over = factor.subs(S, r) ** 2 * variance.subs(T, r) + variance.subs(S, r)
    assert sp.simplify(over - variance) == 0
    a, b, spread = posterior(p)
    assert sp.simplify(a * p.alpha + b - p.alpha.subs(T, S)) == 0
    assert sp.simplify(a**2 * p.sigma**2 + spread - p.sigma.subs(T, S) ** 2) == 0


def test_ddim_of_edm_is_the_euler_step(process):
    ratio, share = exact_data(process("edm"))
    assert (sp.simplify(ratio - T / S), sp.simplify(share - 1 + T / S)) == (0, 0)


def test_preconditioning_is_edms():
    """Table 1 of Karras et al. 2022."""
    edm = derive(sp.Integer(1))
    total = SIGMA**2 + SIGMA_D**2
    assert edm.skip == SIGMA_D**2 / total
    assert sp.simplify(edm.out - SIGMA * SIGMA_D / sp.sqrt(total)) == 0
    assert edm.into == 1 / sp.sqrt(total)
    assert sp.simplify(edm.weight - total / (SIGMA * SIGMA_D) ** 2) == 0


# -- other origins ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vp-linear", "edm", "flow", "ve"])
def test_f_and_g_give_the_process_back(name, process):
    p = process(name)
    found = from_drift(p.f, sp.sqrt(p.g2), p.until, p.values)
    assert sp.simplify(found.alpha - p.alpha) == 0
    assert sp.simplify(found.sigma**2 - p.sigma**2) == 0


def test_beta_gives_a_variance_preserving_process():
    found = from_beta("2 + sin(t)")
    assert sp.simplify(found.alpha**2 + found.sigma**2) == 1
    assert sp.simplify(found.g2 - 2 - sp.sin(T)) == 0


def test_an_integral_that_is_not_elementary_stays_and_has_numbers():
    found = from_drift("0", "exp(t**3)")
    assert found.sigma.has(sp.Integral)
    assert sp.simplify(found.g2 - sp.exp(2 * T**3)) == 0
    value = function_of(found.sigma)(mpmath.mpf("0.5"))
    assert mpmath.almosteq(value**2, mpmath.quad(lambda u: mpmath.exp(2 * u**3), [0, 0.5]), 1e-12)


def test_parameters_stay_symbols_until_numbers_are_needed():
    free = Process(expression("exp(-a*t)"), expression("b*t"))
    assert (free.missing, free.f) == (("a", "b"), -parameter("a"))
    with pytest.raises(ProcessError, match="no value for a, b"):
        free.numeric(free.alpha)


# -- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alpha", "sigma", "message"),
    [
        ("t", "1 - t", "does not fall"),
        ("1 - 2*t", "t", "alpha = 1 - 2.t is"),
        ("1", "log(t)", "sigma = log.t. is"),
        ("1", "exp(exp(exp(9999*t)))", "has no value"),
    ],
)
def test_what_is_no_process_is_refused_with_the_time(alpha, sigma, message):
    with pytest.raises(ProcessError, match=message) as caught:
        Process(expression(alpha), expression(sigma))
    assert " at t = " in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "t.real",
        "exp(exp(exp(exp(9999))))",
        "t**t",
        "(lambda: t)()",
        "open(t)",
        "t +",
    ],
)
def test_hostile_text_is_refused_with_its_place(text):
    with pytest.raises(ExpressionError) as caught:
        expression(text, "--alpha")
    assert str(caught.value).startswith("--alpha: ")


def test_floats_are_refused():
    with pytest.raises(SolvergenError, match="has a float"):
        Process(1 - 0.5 * T, T)


def test_a_search_is_bounded_by_calls_alone():
    def forever():
        while True:
            assert sp.Symbol("x").is_real is None

    assert within(2000, forever) is None
    assert within(2000, lambda: 7) == 7


def test_values_are_fractions_that_reach_the_numbers():
    p = Process(expression("1"), expression("a*t"), values={"a": Fraction(3, 2)})
    assert function_of(p.numeric(p.sigma))(mpmath.mpf(2)) == 3
