"""Planned weights right to the last place of every dtype, for steps from 1e-6 to 20."""

import itertools
from dataclasses import replace
from pathlib import Path

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from solvergen.gallery import load
from solvergen.spec import parse_solver

GENERATED = Path(__file__).parents[2] / "generated"
KAPPA = {"data": 1, "noise": -1}
STEPS = st.floats(-6.0, 1.3).map(lambda exponent: 10.0**exponent)
RULES = settings(max_examples=10, deadline=None, derandomize=True)


def grid(steps, low):
    """σ of a grid with these steps in λ, and the λ that those floats really have."""
    lam = [low + sum(steps[:i]) for i in range(len(steps) + 1)]
    sigmas = torch.tensor([float(mpmath.exp(-mpmath.mpf(v))) for v in lam], dtype=torch.float64)
    return sigmas, [-mpmath.log(mpmath.mpf(v)) for v in sigmas.tolist()]


def last_place(found, exact):
    """Each weight, cast to each dtype, is one of the two values of that dtype around the exact one."""
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        info = torch.finfo(dtype)
        for weight, wanted in zip(found, exact, strict=True):
            if abs(wanted) > info.max:
                continue
            cast = mpmath.mpf(weight.to(dtype).double().item())
            exponent = mpmath.floor(mpmath.log(abs(wanted), 2)) if wanted else -(10**6)
            place = max(mpmath.mpf(2) ** exponent * info.eps, info.smallest_normal * info.eps)
            assert abs(cast - wanted) <= place, (dtype, weight, wanted)


def integrals(nodes, a, b, kappa, y=lambda lam: lam):
    """x-weights of the evaluations at `nodes` over [a, b] under x = x0 + σε, by quadrature."""
    rate, front = (
        ((lambda lam: mpmath.exp(lam - b)), 1)
        if kappa == 1
        else (
            (lambda lam: mpmath.exp(-lam)),
            -1,
        )
    )
    found = []
    for j, own in enumerate(nodes):
        others = [node for k, node in enumerate(nodes) if k != j]

        def basis(lam, own=own, others=others):
            product = mpmath.fprod((y(lam) - y(o)) / (y(own) - y(o)) for o in others)
            return front * product * rate(lam)

        found.append(mpmath.quad(basis, mpmath.linspace(a, b, 3)))
    return found


@RULES
@given(st.lists(STEPS, min_size=4, max_size=4), st.floats(-4, 3))
@pytest.mark.parametrize("integrand", ["data", "noise"])
def test_adams_bashforth_in_lambda(sampler, integrand, steps, low):
    module = sampler(replace(load("ab4_lambda"), integrand=integrand))
    with mpmath.workdps(28):
        sigmas, lam = grid(steps, low)
        weights = module.coefficients(sigmas)[-1][-1]
        exact = integrals(lam[3::-1], lam[3], lam[4], KAPPA[integrand])
        last_place(weights[-4:], exact)


@RULES
@given(st.lists(STEPS, min_size=4, max_size=4), st.floats(-4, 3))
@pytest.mark.parametrize("integrand", ["data", "noise"])
def test_adams_moulton_corrector(sampler, integrand, steps, low):
    """The last row predicts from the corrected state: predicted + (corrector - predictor)."""
    module = sampler(replace(load("unipc_3_bh2"), integrand=integrand))
    with mpmath.workdps(28):
        sigmas, lam = grid(steps, low)
        weights = module.coefficients(sigmas)[-1][-1][-5:]
        kappa = KAPPA[integrand]
        ratio = mpmath.exp(lam[3] - lam[4]) if integrand == "data" else mpmath.mpf(1)
        after = integrals(lam[3::-1], lam[2], lam[3], kappa)
        before = [0, *integrals(lam[2::-1], lam[2], lam[3], kappa)]
        next_ = [*integrals(lam[3:0:-1], lam[3], lam[4], kappa), 0]
        last_place(weights[:1], [ratio])
        for weight, *parts in zip(weights[1:], after, before, next_, strict=True):
            gap, scale = parts[0] - parts[1], max(abs(part) for part in parts)
            exact = ratio * gap + parts[2]
            # float32 ends at 2**-24
            assert abs(mpmath.mpf(weight.item()) - exact) <= 2.0**-30 * scale


@RULES
@given(st.lists(STEPS, min_size=3, max_size=3), st.floats(-4, 3))
def test_adams_bashforth_in_sigma(sampler, steps, low):
    module = sampler("deis_rhoab3")
    with mpmath.workdps(28):
        sigmas, lam = grid(steps, low)
        weights = module.coefficients(sigmas)[-1][-1]
        s = lambda value: mpmath.exp(-value)
        exact = integrals(lam[2::-1], lam[2], lam[3], -1, s)
        last_place(weights[-3:], exact)


@settings(RULES, max_examples=4)
@given(st.lists(STEPS, min_size=3, max_size=3), st.floats(-3, 0))
def test_adams_bashforth_in_time(sampler, steps, low):
    """Where the coordinate is not saturated: t of the linear VP schedule for σ/α from 20 down."""
    module = sampler("deis_tab3")
    steps = [min(step, 2.0) for step in steps]

    def t(value):
        log_alpha = -mpmath.log1p(mpmath.exp(-2 * value)) / 2
        slope = mpmath.mpf("19.9")
        return (mpmath.sqrt(mpmath.mpf("0.01") - 4 * slope * log_alpha) - mpmath.mpf("0.1")) / slope

    with mpmath.workdps(28):
        sigmas, lam = grid(steps, low)
        weights = module.coefficients(sigmas)[-1][-1]
        last_place(weights[-3:], integrals(lam[2::-1], lam[2], lam[3], -1, t))


@RULES
@given(STEPS, st.floats(-4, 3), st.floats(0.05, 1.0))
@pytest.mark.parametrize("integrand", ["data", "noise"])
def test_stages(sampler, integrand, h, low, c):
    """ETD2RK for every place of its stage."""
    module = sampler(replace(load("res_2s"), integrand=integrand))
    with mpmath.workdps(28):
        sigmas, lam = grid([h], low)
        first, second = (row[-1] for row in module.coefficients(sigmas, c2=c))
        at = lam[0] + mpmath.mpf(c) * (lam[1] - lam[0])
        kappa = KAPPA[integrand]
        last_place(first[-1:], integrals([lam[0]], lam[0], at, kappa))
        last_place(second[-2:], integrals([lam[0], at], lam[0], lam[1], kappa))


@pytest.mark.parametrize("h", [1e-6, 1e-3, 0.3, 2.0, 20.0])
def test_one_step_of_ddim(committed, h):
    with mpmath.workdps(28):
        sigmas, lam = grid([h], -1.0)
        ((_, _, _, weights),) = committed("ddim").coefficients(sigmas)
        step = lam[1] - lam[0]
        last_place(weights, [mpmath.exp(-step), -mpmath.expm1(-step)])


EVERY_PHI = """
name = "phis"
integrand = "data"
[parameters.z]
default = 1
[step]
rule = "weights"
weights = { n = "phi(1, z) + phi(6, z)" }
"""


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("k", range(1, 7))
def test_phi_functions(sampler, k, sign):
    phi = sampler(parse_solver(EVERY_PHI)).phi
    sizes = [*(10.0**-e for e in range(1, 13)), *(i / 16 for i in range(1, 641))]
    with mpmath.workdps(100):
        for size in sizes:
            z = mpmath.mpf(sign * size)
            polynomial = mpmath.fsum([z**j / mpmath.factorial(j) for j in range(k)])
            exact = (mpmath.exp(z) - polynomial) / z**k
            assert abs(phi(k, sign * size) / exact - 1) < 1e-13
    assert phi(k, 0.0) == pytest.approx(float(1 / mpmath.factorial(k)), rel=1e-15)


@pytest.mark.parametrize("low, high", [(-2, 2), (2, 9), (-9, -2), (-0.01, 0.01)])
def test_phi_functions_computed_together(low, high):
    from solvergen.emit.runtime.functions import phis

    places = [low + (high - low) * (k + 0.3) / 40 for k in range(40)]
    with mpmath.workdps(40):
        for n, z in itertools.product((2, 4, 6), places):
            exact = [mpmath.hyp1f1(1, k + 1, z) / mpmath.factorial(k) for k in range(1, n + 1)]
            found = phis(n, z)
            assert len(found) == n
            assert max(abs(a / b - 1) for a, b in zip(found, exact, strict=True)) < 1e-14


def test_files_compute_together_what_they_define():
    """Whoever defines `phis` calls it and the other way round; both kinds of file are there."""
    texts = [path.read_text(encoding="utf-8") for path in GENERATED.glob("*.py")]
    pairs = {("def phis(" in text, "= phis(" in text) for text in texts}
    assert pairs == {(True, True), (False, False)}


GAP = """
name = "gap"
integrand = "data"
[step]
rule = "weights"
weights = { n = "2 * h * phi1 - 6 * h * phi3" }
"""


def test_phi_functions_between_those_of_a_weight_are_left_out(sampler):
    made = sampler(parse_solver(GAP))
    sigmas = torch.tensor([2.0, 1.0], dtype=torch.float64)
    ((_, _, _, weights),) = made.coefficients(sigmas)
    h = mpmath.log(2)
    exact = [mpmath.hyp1f1(1, k + 1, -h) / mpmath.factorial(k) for k in (1, 3)]
    assert float(weights[1]) == pytest.approx(float(h * (2 * exact[0] - 6 * exact[1])), rel=1e-14)
