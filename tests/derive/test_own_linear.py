"""Solvers that take out a linear part of their own: u' = −ℓu + G, G = N + (ℓ − κ)u."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import mpmath
import pytest
import torch
from sympy import Integer

from solvergen import Solver
from solvergen.derive import derive
from solvergen.emit.formulas import formula
from solvergen.errors import DeriveError, OrderError, SpecError
from solvergen.gallery import load
from solvergen.order import analyse
from solvergen.order.questions.certificate import NotCertified, certificate
from solvergen.order.questions.compare import compare
from solvergen.order.questions.derivation import derivation
from solvergen.program import digest
from solvergen.program.advice import advice
from solvergen.program.unroll import unroll
from solvergen.spec import parse_solver
from verify.order.audit import audit

HEAD = 'name = "own"\nintegrand = "{integrand}"\nlinear = "{linear}"\n'
TWO = '[step]\nrule = "interpolate"\nnodes = ["n", "n-1"]\n'
STAGES = """
[[stage]]
name  = "mid"
at    = "1/2"
rule  = "interpolate"
nodes = ["n", "n-1"]
[step]
rule  = "interpolate"
nodes = ["n", "mid", "n-1"]
"""
# a stage from the state of another one, a place in a clock, weights in phi-functions
EXPLICIT = """
[[stage]]
name    = "one"
at      = "1/2"
rule    = "weights"
weights = { n = "h/2*phi(1, 1/2)" }
[[stage]]
name    = "two"
at      = "1"
rule    = "weights"
carry   = { one = "1" }
weights = { one = "h/2*phi(1, 1/2)" }
[step]
rule    = "weights"
weights = { n = "h*(phi1 - 3*phi2 + 4*phi3)", one = "h*(4*phi2 - 8*phi3)", two = "h*(4*phi3 - phi2)" }
"""
PECE = """
[step]
rule  = "adams-bashforth"
steps = 2
[corrector]
mode  = "PECE"
rule  = "adams-moulton"
steps = 3
"""
CLOCKED = """
[[stage]]
name  = "mid"
at    = "1/3"
place = "sigma"
rule  = "interpolate"
nodes = ["n"]
[step]
rule  = "interpolate"
nodes = ["n", "mid"]
"""
EMBEDDED = """
[embedded]
rule  = "interpolate"
nodes = ["n"]
[controller]
kind  = "power"
order = 2
"""


OWN_2M = HEAD.format(integrand="data", linear="l") + TWO + "[parameters.l]\ndefault = 1\n"


def own(text, integrand="data", linear="1/2", more=""):
    return parse_solver(HEAD.format(integrand=integrand, linear=linear) + more + text)


@pytest.mark.parametrize(
    ("name", "kappa"), [("dpmpp_2m", 1), ("dpmpp_3m", 1), ("unipc_2_bh2_noise", -1)]
)
def test_the_linear_part_of_the_integrand_is_the_same_solver(name, kappa):
    solver = load(name)
    assert digest(derive(replace(solver, linear=Integer(kappa)))) == digest(derive(solver))


def test_a_number_that_becomes_that_of_the_integrand_is_the_same_method():
    solver = load("dpmpp_2m_exact")
    near = derive(parse_solver(OWN_2M))
    lam = [mpmath.mpf(v) for v in ("-0.7", "-0.4", "0.1", "0.3")]
    ours, theirs = unroll(near, lam).final, unroll(derive(solver), lam).final
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 1e-14


def by_hand(linear, kappa, lam, model):
    """Two-step exponential Adams of G with moments by quadrature, on u under alpha = 1 (data) or in x/sigma."""
    shift, u, past = linear - kappa, mpmath.mpf(1), []
    for n in range(len(lam) - 1):
        h = lam[n + 1] - lam[n]
        past.insert(0, (lam[n], model(lam[n], u) + shift * u))
        nodes = past[:2]

        def polynomial(at, nodes=nodes):
            if len(nodes) == 1:
                return nodes[0][1]
            (a, f), (b, g) = nodes
            return f + (at - a) * (f - g) / (a - b)

        kernel = mpmath.quad(
            lambda at, n=n, p=polynomial: mpmath.exp(-linear * (lam[n + 1] - at)) * p(at),
            [lam[n], lam[n + 1]],
        )
        u = mpmath.exp(-linear * h) * u + kernel
    return u


@pytest.mark.parametrize("linear", ["0", "1/2", "-2", "3"])
@pytest.mark.parametrize("integrand", ["data", "noise"])
def test_rows_are_those_of_a_sampler_written_by_hand(integrand, linear):
    kappa = {"data": 1, "noise": -1}[integrand]
    lam = [mpmath.mpf(v) for v in ("-0.7", "-0.4", "0.1", "0.3", "0.8")]

    def denoised(at, x):
        return mpmath.sin(at) + x * mpmath.cos(at) / 3

    def model(at, u):
        if integrand == "data":
            return denoised(at, u)
        x = u * mpmath.exp(-at)
        return -(x - denoised(at, x)) * mpmath.exp(at)

    program = derive(own(TWO, integrand, linear))
    start = mpmath.mpf(1) if integrand == "data" else mpmath.exp(-lam[0])
    run = unroll(program, lam)
    outputs = []
    for call in run.calls:
        state = call.state[0] * start + mpmath.fdot(call.state[1:], outputs)
        outputs.append(denoised(call.lam, state))
    found = run.final[0] * start + mpmath.fdot(run.final[1:], outputs)
    exact = by_hand(float(Fraction(linear)), kappa, lam, model)
    exact *= 1 if integrand == "data" else mpmath.exp(-lam[-1])
    assert abs(found / exact - 1) < 1e-12


SOLVERS = [(TWO, 1), (STAGES, 2), (EXPLICIT, 2), (PECE, 2), (CLOCKED, 1)]


@pytest.mark.parametrize(("integrand", "linear"), [("data", "0"), ("data", "-3/2"), ("noise", "2")])
@pytest.mark.parametrize(("text", "degree"), SOLVERS)
def test_emitted_samplers_are_exact_where_g_is_a_polynomial(text, degree, integrand, linear):
    value, kappa = float(Fraction(linear)), {"data": 1, "noise": -1}[integrand]

    def g(at):
        return sum((at + 0.3) ** k / (k + 1) for k in range(degree + 1))

    def model(x, sigma):
        u = x if kappa == 1 else x / sigma
        n = g(-sigma.log()) - (value - kappa) * u  # u' = -kappa u + N = -linear u + g
        return n if kappa == 1 else x + sigma * n

    # The first step, with one node, is so short that it does not count.
    lam = torch.tensor([-1.000001, -1.0, -0.8, -0.3, 0.1, 0.35, 0.9], dtype=torch.float64)
    start = torch.ones(1, dtype=torch.float64)
    found = float(
        Solver._of(own(text, integrand, linear), Path()).sample(model, start, torch.exp(-lam))
    )
    found *= 1 if kappa == 1 else math.exp(lam[-1])
    low, high = float(lam[0]), float(lam[-1])
    exact = math.exp(-value * (high - low)) * (1 if kappa == 1 else math.exp(low))
    exact += float(mpmath.quad(lambda at: mpmath.exp(-value * (high - at)) * g(at), [low, high]))
    assert found == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "integrand", "linear", "order"),
    [
        (TWO, "data", "0", 2),
        (STAGES, "noise", "l", 3),
        (EXPLICIT, "data", "-3/2", 2),
        (PECE, "data", "l", 3),
    ],
)
def test_the_order_is_proved_and_audited(text, integrand, linear, order):
    named = '[parameters.l]\ndefault = "-1/2"\n' if linear == "l" else ""
    solver = Solver._of(own(text + named, integrand, linear), Path())
    report = solver.order()
    assert {str(o) for row in report.orders.values() for o in row.values()} == {f"exactly {order}"}
    found = audit(solver.module.sample)
    assert set(found.orders().values()) == {order}


def test_euler_in_lambda_is_what_its_formula_says():
    program = derive(own('[step]\nrule = "interpolate"\nnodes = ["n"]\n', "data", "0"))
    assert formula.terminal(program).splitlines()[1:] == [
        "  xₙ₊₁ = exp(h) σₙ₊₁/σₙ xₙ + αₙ₊₁ h Gₙ",
        "where λ = log(α/σ), h = λₙ₊₁ − λₙ",
        "      G = D − x/α",
    ]
    lam = [mpmath.mpf(0), mpmath.mpf("0.25")]
    (x, d) = unroll(program, lam).final
    assert (x, d) == (mpmath.mpf("0.75"), mpmath.mpf("0.25"))  # x + h (D - x)


def test_error_constants_are_those_of_exponential_adams():
    uniform = analyse(derive(own(TWO, "noise", "0"))).uniform
    assert str(uniform) == "h^3 [-5/12 D'']"
    assert analyse(derive(own(TWO, "noise", "2"))).stiff.strong == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[noise]\nform = "sde"\nstrength = "1"\n' + TWO, "[noise] cannot be combined"),
        ('[coupled]\nrule = "weights"\nweights = { n = "h*phi1" }\n' + TWO, "[coupled]"),
        (TWO + '[corrector]\nrule = "adams-moulton"\nsteps = 2\n', 'write mode = "PECE"'),
        (TWO.replace("[step]", '[step]\ncoordinate = "clock"'), 'write coordinate = "lambda"'),
        (TWO + '[start]\nfirst = "direction"\n', "`first`"),
        (STAGES.replace('"n-1"]', '"mid-1"]'), "`mid-1` is a stage of the step before"),
        (
            TWO + '[parameters.q]\ndefault = 1\nper = "step"\n',
            "`q` differs from step to step",
        ),
        (
            'schedule = { name = "vp-linear" }\n' + CLOCKED.replace('"sigma"', '"t"'),
            'write place = "lambda"',
        ),
    ],
)
def test_what_has_no_own_linear_part_is_refused(text, found):
    with pytest.raises((DeriveError, SpecError)) as refused:
        derive(own(text, linear="q" if "parameters.q" in text else "1/2"))
    assert found in str(refused.value)


def test_velocity_has_no_linear_part():
    with pytest.raises(DeriveError, match="plain in its clock"):
        derive(own(TWO, "velocity"))


def test_named_first_steps_are_said_to_be_other_solvers():
    solver = own(TWO + '[start]\nusing = ["ddim"]\n')
    (said,) = advice(derive(solver))
    assert said.startswith("DDIM, its rule on data, with this linear part: ")
    assert analyse(derive(solver)).order.value == 2
    # one with the same linear part is itself; one with another cannot serve
    lookup = {"mine": own('[step]\nrule = "interpolate"\nnodes = ["n"]\n')}.__getitem__
    named = TWO + '[start]\nusing = ["mine"]\n'
    assert not advice(derive(own(named), lookup))
    with pytest.raises(DeriveError, match="a linear part of its own"):
        derive(own(named, linear="2"), lookup)


def test_questions_that_need_the_other_linear_part_say_so():
    program = derive(own(TWO))
    with pytest.raises(OrderError, match="linear part"):
        derivation(program)
    with pytest.raises(NotCertified, match="a linear part of its own"):
        certificate(program)
    (ranked,) = compare([analyse(program)])
    assert ranked.integrand == "data, linear 1/2"


def test_an_adaptive_run_meets_its_tolerance():
    sample = Solver._of(own(EULER_PAIR, "data", "0"), Path()).module.sample_adaptive
    x = torch.ones(1, 1, dtype=torch.float64)
    levels = torch.tensor([2.0, 0.25], dtype=torch.float64)
    found = float(sample(lambda x, sigma: x / 3, x, levels, rtol=1e-6, atol=1e-6))
    assert found == pytest.approx(8 ** (-2 / 3), rel=1e-4)  # u' = -2/3 u over log 8


EULER_PAIR = (
    """
[[stage]]
name  = "end"
at    = "1"
rule  = "interpolate"
nodes = ["n"]
[step]
rule  = "interpolate"
nodes = ["n", "end"]
"""
    + EMBEDDED
)
