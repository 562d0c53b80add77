"""Emitted files against samplers written out here in mpmath, with quadrature in place of weights.

Nothing of the derivation is used: every integral is done by `mpmath.quad` on the interpolant.
"""

import importlib.util
from itertools import pairwise

import mpmath
import pytest
import torch

from solvergen.cli import main

WEIGHTS, MEANS, STDS = (0.3, 0.45, 0.25), (-0.9, 0.7, 0.2), (0.4, 0.3, 0.6)
START = 1.1
LAMS = [mpmath.mpf(v) / 100 for v in (-120, -85, -63, 7, 24, 88, 131)]

# Nobody's solver: a three-step predictor in sigma, then a corrector of two more evaluations.
NEW = """
name = "nobodys"
title = "Three-step predictor, two-stage corrector"
integrand = "noise"
coordinate = "clock"

[[stage]]
name = "predicted"
at = "1"
rule = "adams-bashforth"
steps = 3

[[stage]]
name = "middle"
at = "1/2"
rule = "interpolate"
nodes = ["n", "n-1", "predicted"]

[step]
rule = "interpolate"
nodes = ["n", "middle", "predicted"]
"""


@pytest.fixture(autouse=True)
def digits():
    with mpmath.workdps(25):
        yield


def denoise(x, lam):
    """The denoiser of the mixture, in mpmath."""
    noise, top, bottom = mpmath.exp(-2 * lam), 0, 0
    for w, m, s in zip(WEIGHTS, MEANS, STDS, strict=True):
        v = mpmath.mpf(s) ** 2 + noise
        density = w * mpmath.npdf(x, m, mpmath.sqrt(v))
        top += density * (m + mpmath.mpf(s) ** 2 / v * (x - m))
        bottom += density
    return top / bottom


def noise_of(x, lam):
    return (x - denoise(x, lam)) * mpmath.exp(lam)


def value(points, y, at):
    """The interpolant through (λ, f) pairs in the variable y(λ), at λ = at."""
    total = 0
    for j, (own, f) in enumerate(points):
        others = [lam for k, (lam, _) in enumerate(points) if k != j]
        total += f * mpmath.fprod((y(at) - y(o)) / (y(own) - y(o)) for o in others)
    return total


def advance(x, a, b, f, kind):
    """x from λ = a to b under x = x0 + σε, for an integrand that is the function f(λ)."""
    if kind == "data":  # d(x/σ) = D d(1/σ)
        integral = mpmath.quad(lambda lam: f(lam) * mpmath.exp(lam), [a, b])
        return mpmath.exp(-b) * (x * mpmath.exp(a) + integral)
    return x - mpmath.quad(lambda lam: f(lam) * mpmath.exp(-lam), [a, b])  # dx = ε dσ


def through(points, y):
    return lambda lam: value(points, y, lam)


def in_lambda(lam):
    return lam


def in_sigma(lam):
    return mpmath.exp(-lam)


def in_time(lam):
    """t of the linear VP schedule: log α = −(β₁ − β₀) t²/4 − β₀ t/2, with β from 0.1 to 20."""
    low, slope = mpmath.mpf("0.1"), mpmath.mpf("19.9")
    log_alpha = -mpmath.log1p(mpmath.exp(-2 * lam)) / 2
    return (mpmath.sqrt(low**2 - 4 * slope * log_alpha) - low) / slope


def adams_bashforth(steps, kind, y):
    """Adams-Bashforth with fewer nodes at first."""
    x, past = mpmath.mpf(START), []
    for a, b in pairwise(LAMS):
        f = denoise(x, a) if kind == "data" else noise_of(x, a)
        past = [(a, f), *past][:steps]
        x = advance(x, a, b, through(past, y), kind)
    return x


def predictor_corrector():
    """UniPC-3 with its start: the evaluation at the prediction corrects the step behind it."""
    x, past, pending = mpmath.mpf(START), [], None
    for i, (a, b) in enumerate(pairwise(LAMS)):
        f = denoise(x, a)
        if pending:
            before, start, nodes, kind = pending
            if kind == "half":  # both ends with equal weight
                mean = (f + nodes[0][1]) / 2
                x = advance(before, start, a, lambda lam, mean=mean: mean, "data")
            else:
                x = advance(before, start, a, through([(a, f), *nodes], in_lambda), "data")
        past = [(a, f), *past][:3]
        pending = (x, a, list(past), "half" if i == 0 else "full")
        if i == 1:  # UniP-2 reads its line at the middle of the step
            mean = value(past, in_lambda, (a + b) / 2)
            x = advance(x, a, b, lambda lam, mean=mean: mean, "data")
        else:
            x = advance(x, a, b, through(past, in_lambda), "data")
    return x


def exponential_stages():
    """DPM-Solver-3 with its nodes at 1/3 and 2/3, in noise."""
    x = mpmath.mpf(START)
    for a, b in pairwise(LAMS):
        u, v = a + (b - a) / 3, a + 2 * (b - a) / 3
        f = (a, noise_of(x, a))
        g = (u, noise_of(advance(x, a, u, through([f], in_lambda), "noise"), u))
        k = (v, noise_of(advance(x, a, v, through([f, g], in_lambda), "noise"), v))
        x = advance(x, a, b, through([f, k], in_lambda), "noise")
    return x


def frozen():
    """iPNDM-4: textbook weights times the step in sigma."""
    table = [[1], [3, -1], [23, -16, 5], [55, -59, 37, -9]]
    x, past = mpmath.mpf(START), []
    for a, b in pairwise(LAMS):
        past = [noise_of(x, a), *past][:4]
        row = table[len(past) - 1]
        mean = mpmath.fsum(w * f for w, f in zip(row, past, strict=True)) / sum(row)
        x += (mpmath.exp(-b) - mpmath.exp(-a)) * mean
    return x


def released_taylor():
    """DPM-Solver++(3M) as libraries write it, with its D1 and D2."""
    x, past = mpmath.mpf(START), []
    for i, (a, b) in enumerate(pairwise(LAMS)):
        past = [(a, denoise(x, a)), *past][:3]
        (_, d0), h = past[0], b - a
        decay = mpmath.exp(-h)
        phi1 = 1 - decay
        phi2 = phi1 / h - 1
        x *= mpmath.exp(a - b)
        if i == 0:
            x += phi1 * d0
            continue
        r0 = (a - past[1][0]) / h
        first = (d0 - past[1][1]) / r0
        if i == 1:
            x += phi1 * (d0 + first / 2)
            continue
        r1 = (past[1][0] - past[2][0]) / h
        second = (past[1][1] - past[2][1]) / r1
        slope = first + r0 / (r0 + r1) * (first - second)
        x += (
            phi1 * d0 - phi2 * slope + (phi2 / h + mpmath.mpf(1) / 2) * (first - second) / (r0 + r1)
        )
    return x


def runge_kutta_start():
    """PNDM: a Runge-Kutta step with its middle at the geometric mean, then frozen weights."""
    x, past = mpmath.mpf(START), []
    for i, (a, b) in enumerate(pairwise(LAMS)):
        step = lambda c, a=a: mpmath.exp(-c) - mpmath.exp(-a)
        e1 = noise_of(x, a)
        past = [e1, *past][:4]
        if i < 3:
            m = (a + b) / 2
            e2 = noise_of(x + step(m) * e1, m)
            e3 = noise_of(x + step(m) * e2, m)
            e4 = noise_of(x + step(b) * e3, b)
            x += step(b) * (e1 + 2 * e2 + 2 * e3 + e4) / 6
        else:
            x += step(b) * mpmath.fdot([55, -59, 37, -9], past) / 24
    return x


def nobodys():
    """The new solver, with the nodes that exist."""
    x, past = mpmath.mpf(START), []
    for a, b in pairwise(LAMS):
        past = [(a, noise_of(x, a)), *past][:3]
        middle = -mpmath.log((mpmath.exp(-a) + mpmath.exp(-b)) / 2)
        end = (b, noise_of(advance(x, a, b, through(past, in_sigma), "noise"), b))
        known = [*past[:2], end]
        half = advance(x, a, middle, through(known, in_sigma), "noise")
        nodes = [past[0], (middle, noise_of(half, middle)), end]
        x = advance(x, a, b, through(nodes, in_sigma), "noise")
    return x


REFERENCES = {
    "ddim": lambda: adams_bashforth(1, "data", in_lambda),
    "ddim_noise": lambda: adams_bashforth(1, "noise", in_lambda),
    "dpmpp_2m_exact": lambda: adams_bashforth(2, "data", in_lambda),
    "ab4_lambda": lambda: adams_bashforth(4, "data", in_lambda),
    "deis_rhoab3": lambda: adams_bashforth(3, "noise", in_sigma),
    "deis_tab3": lambda: adams_bashforth(3, "noise", in_time),
    "dpmpp_3m_as_published": released_taylor,
    "unipc_3_bh2": predictor_corrector,
    "dpm_solver_3": exponential_stages,
    "ipndm4": frozen,
    "pndm": runge_kutta_start,
}


def end_state(module, denoiser):
    sigmas = torch.tensor([float(mpmath.exp(-lam)) for lam in LAMS], dtype=torch.float64)
    x = torch.tensor([[START]], dtype=torch.float64)
    return module.sample(denoiser(WEIGHTS, MEANS, STDS), x, sigmas).item()


@pytest.mark.parametrize("name", REFERENCES)
def test_gallery_equals_the_reference(name, committed, denoiser):
    assert end_state(committed(name), denoiser) == pytest.approx(
        float(REFERENCES[name]()), abs=1e-12
    )


def test_a_new_solver_goes_from_spec_to_running_file(tmp_path, denoiser, capsys):
    spec = tmp_path / "nobodys.toml"
    spec.write_text(NEW, encoding="utf-8")
    assert main(["lint", str(spec)]) == 0
    assert main(["generate", str(spec), "--out", str(tmp_path / "out")]) == 0
    found = importlib.util.spec_from_file_location("nobodys", tmp_path / "out" / "nobodys.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    assert (module.EVALUATIONS_PER_STEP, module.HISTORY) == (3, 2)
    assert end_state(module, denoiser) == pytest.approx(float(nobodys()), abs=1e-12)
    capsys.readouterr()
