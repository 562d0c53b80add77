"""Kernels and variances that follow from a strength, against integrals that no φ-function enters."""

import math
from fractions import Fraction

import mpmath
import pytest

from solvergen.derive import derive
from solvergen.errors import DeriveError
from solvergen.program.unroll import unroll
from solvergen.spec import parse_solver

LAM = [mpmath.mpf(v) for v in ("-0.7", "-0.2", "0.1", "0.9")]
TAU = mpmath.mpf(3) / 5


def program(body, integrand="data", noise='form = "sde"\nstrength = "3/5"'):
    head = f'name = "it"\nintegrand = "{integrand}"\n[noise]\n{noise}\n'
    return derive(parse_solver(head + body))


def lagrange(nodes, j, at):
    value = mpmath.mpf(1)
    for k, node in enumerate(nodes):
        if k != j:
            value *= (at - node) / (nodes[j] - node)
    return value


@pytest.mark.parametrize("integrand", ["data", "noise"])
def test_an_adams_rule_integrates_the_kernel_of_the_sde(integrand):
    """SA-Solver's predictor: each weight is the integral of a Lagrange polynomial and the kernel."""
    found = unroll(program('[step]\nrule = "adams-bashforth"\nsteps = 3', integrand), LAM)
    start, end, nodes = LAM[-2], LAM[-1], list(reversed(LAM[:-1]))
    amount = 1 + TAU**2

    def weight(j):
        if integrand == "data":
            return mpmath.quad(
                lambda lam: amount * mpmath.exp(-amount * (end - lam)) * lagrange(nodes, j, lam),
                [start, end],
            )
        # Under α = 1 the drift of x is −A σ ε dλ.
        return mpmath.quad(
            lambda lam: -amount * mpmath.exp(-lam) * lagrange(nodes, j, lam), [start, end]
        )

    weights = [weight(j) for j in range(3)]
    kept = mpmath.exp(-amount * (end - start)) if integrand == "data" else mpmath.mpf(1)
    last = found.calls[-1]
    expected = [kept * value for value in (*last.state, 0)]
    for j, call in enumerate(reversed(found.calls)):
        position = 1 + found.calls.index(call)
        if integrand == "data":
            expected[position] += weights[j]
            continue
        sigma = mpmath.exp(-call.lam)
        for k, value in enumerate(call.state):
            expected[k] += weights[j] * value / sigma
        expected[position] -= weights[j] / sigma
    assert max(abs(a - b) for a, b in zip(found.final, expected, strict=True)) < 1e-12


@pytest.mark.parametrize("integrand", ["data", "noise"])
def test_the_variance_of_a_step_is_the_integral_of_the_diffusion(integrand):
    found = unroll(program('[step]\nrule = "adams-bashforth"\nsteps = 1', integrand), LAM[:2])
    start, end = LAM[:2]
    decay = 1 + TAU**2 if integrand == "data" else 0
    variance = mpmath.quad(
        lambda lam: 2 * TAU**2 * mpmath.exp(-2 * lam - 2 * decay * (end - lam)), [start, end]
    )
    assert abs(found.noise[0] ** 2 - variance) < 1e-14


def test_stages_and_step_share_one_path():
    """Covariances of stages and step are those of one stochastic convolution.

    In the data form no output carries noise into a row, so that a row's draws are its noise.
    """
    body = (
        '[[stage]]\nname = "a"\nat = "1/3"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[[stage]]\nname = "b"\nat = "2/3"\nrule = "interpolate"\nnodes = ["n", "a"]\n'
        '[step]\nrule = "interpolate"\nnodes = ["n", "b"]'
    )
    found = unroll(program(body), LAM[:2])
    start, end = LAM[:2]
    decay = 1 + TAU**2
    rows = [found.calls[1].noise, found.calls[2].noise, found.noise]
    ends = [start + (end - start) * k / 3 for k in (1, 2, 3)]
    for i, first in enumerate(rows):
        for j, second in enumerate(rows):
            both = ends[i] + ends[j]
            exact = mpmath.quad(
                lambda lam, both=both: 2 * TAU**2 * mpmath.exp(-2 * lam - decay * (both - 2 * lam)),
                [start, ends[min(i, j)]],
            )
            assert abs(sum(a * b for a, b in zip(first, second, strict=False)) - exact) < 1e-14


def test_an_ancestral_step_keeps_the_level():
    """σ_down² + σ_up² is the level of the step, and what goes down is the deterministic rule."""
    body = '[step]\nrule = "adams-bashforth"\nsteps = 1'
    found = unroll(program(body, noise='form = "ancestral"\nstrength = "4/5"'), LAM[:2])
    down = found.final[0] * mpmath.exp(-LAM[0])  # DDIM: x_down = (σ_down/σ) x + (…) D
    assert abs(down**2 + found.noise[0] ** 2 - mpmath.exp(-2 * LAM[1])) < 1e-14
    assert abs(found.final[0] + found.final[1] - 1) < 1e-14
    variance = mpmath.mpf(4) / 5
    ratio = mpmath.exp(-2 * LAM[1]) / mpmath.exp(-2 * LAM[0])
    assert abs(found.noise[0] ** 2 - variance**2 * mpmath.exp(-2 * LAM[1]) * (1 - ratio)) < 1e-14


@pytest.mark.parametrize("strength", ["1", "4/5"])
@pytest.mark.parametrize("integrand", ["data", "noise"])
def test_every_row_of_an_ancestral_step_goes_down_and_up_again(integrand, strength):
    """x_down = x + (σ_down − σ) ε for the ε of the row's node, in a stage as at the end."""
    body = (
        '[[stage]]\nname = "mid"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "interpolate"\nnodes = ["mid"]'
    )
    noise = f'form = "ancestral"\nstages = "own"\nstrength = "{strength}"'
    found = unroll(program(body, integrand, noise), LAM[2:])
    eta, sigma, half = (
        mpmath.fraction(*Fraction(strength).as_integer_ratio()),
        mpmath.exp(-LAM[2]),
        sum(LAM[2:]) / 2,
    )

    def ratio(lam):  # σ_down over σ
        end = mpmath.exp(-lam)
        return mpmath.sqrt(end**2 - eta**2 * end**2 * (1 - (end / sigma) ** 2)) / sigma

    a, b, middle = ratio(half), ratio(LAM[3]), found.calls[1]
    assert middle.lam == half and _close(middle.state, (a, 1 - a))
    if integrand == "data":
        assert _close(found.final, (b, 0, 1 - b))
    else:  # ε = (x_mid − D_mid)/σ_mid
        slope = (b - 1) * sigma / mpmath.exp(-half)
        assert _close(found.final, (1 + slope * a, slope * (1 - a), -slope))


@pytest.mark.parametrize("stages", ["own", "path"])
def test_a_corrector_takes_the_draws_of_the_end(stages):
    body = (
        '[[stage]]\nname = "mid"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "interpolate"\nnodes = ["n", "mid"]\n'
        '[corrector]\nrule = "interpolate"\nnodes = ["n+1", "n"]'
    )
    step = program(body, noise=f'form = "sde"\nstages = "{stages}"\nstrength = "3/5"').main
    mid, predicted, corrected = ([d.name for d in row.noise] for row in step.rows)
    assert corrected == predicted and mid == ["z1"]
    assert predicted == (["z2"] if stages == "own" else ["z1", "z2"])


def test_langevin_steps_are_one_after_the_other():
    body = (
        '[langevin]\nsteps = 2\nrate = "1/10"\n'
        '[step]\nrule = "weights"\nweights = { n = "0" }\ndecay = "exp(h)"'
    )
    found = unroll(program(body, noise='form = "explicit"'), LAM[:2])
    delta, sigma = mpmath.mpf(1) / 10, mpmath.exp(-LAM[0])
    spread, keep = sigma * mpmath.sqrt(2 * delta), 1 - delta
    states, draws = (keep**2, keep * delta, delta), (keep * spread, spread)
    assert [float(c.lam - LAM[0]) for c in found.calls] == [0, 0]  # and none that nothing uses
    assert _close(found.calls[1].state, (keep, delta)) and _close(found.calls[1].noise, (spread,))
    assert _close(found.final, states) and _close(found.noise, draws)
    to_zero = unroll(program(body, noise='form = "explicit"'), [LAM[0], mpmath.inf])
    assert _close(to_zero.calls[2].state, states) and _close(to_zero.calls[2].noise, draws)
    assert _close(to_zero.final, (0, 0, 0, 1)) and _close(to_zero.noise, (0, 0))


def _close(found, wanted):
    return len(found) == len(wanted) and all(
        abs(a - b) < 1e-14 for a, b in zip(found, wanted, strict=True)
    )


TWO_OPEN_PLACES = (
    '[parameters.a]\ndefault = "1/3"\n[parameters.b]\ndefault = "2/3"\n'
    '[[stage]]\nname = "p"\nat = "a"\nrule = "interpolate"\nnodes = ["n"]\n'
    '[[stage]]\nname = "q"\nat = "b"\nrule = "interpolate"\nnodes = ["n"]\n'
    '[step]\nrule = "interpolate"\nnodes = ["n", "q"]'
)
REFUSALS = {
    "a flow": ("velocity", 'form = "sde"', '[step]\nrule = "interpolate"\nnodes = ["n"]', "data"),
    "rules in the clock": (
        "data",
        'form = "sde"',
        '[step]\nrule = "interpolate"\nnodes = ["n", "n-1"]\ncoordinate = "clock"',
        "in lambda",
    ),
    "churn with history": (
        "data",
        'form = "churn"',
        '[step]\nrule = "adams-bashforth"\nsteps = 2',
        "without history",
    ),
    "jumps with history": (
        "data",
        'form = "sde"\njumps = true',
        '[step]\nrule = "adams-bashforth"\nsteps = 2',
        "without history",
    ),
    "places without an order": (
        "data",
        'form = "sde"',
        TWO_OPEN_PLACES,
        "order of the stages",
    ),
    "noise at the end": (
        "noise",
        'form = "sde"',
        'coordinate = "clock"\n[step]\nrule = "interpolate"\nnodes = ["n"]\n[end]\nzero = "rule"',
        "sigma = 0|lambda",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_does_not_follow_from_a_strength_is_refused(case):
    integrand, noise, body, message = REFUSALS[case]
    with pytest.raises(DeriveError, match=message):
        if body.startswith("coordinate"):
            line, body = body.split("\n", 1)
            head = f'name = "it"\nintegrand = "{integrand}"\n{line}\n[noise]\n{noise}\n'
            derive(parse_solver(head + body))
        else:
            program(body, integrand, noise)


@pytest.mark.parametrize("strength", ["0", "1/2", "1", "11/10", "2", "eta"])
def test_an_ancestral_step_states_when_its_level_is_kept(strength):
    """σ_down² = σ²(1 − η²(1 − e^{−2h})) must lie above 0, which it does for all h up to η = 1 alone."""
    text = 'name = "it"\nintegrand = "data"\n[noise]\nform = "ancestral"\n'
    text += f'strength = "{strength}"\n[step]\nrule = "adams-bashforth"\nsteps = 1\n'
    text += '[parameters.eta]\ndefault = "3/2"\n' if strength == "eta" else ""
    found = [c.value for c in derive(parse_solver(text)).main.positive]
    size = Fraction(3, 2) if strength == "eta" else Fraction(strength)
    assert bool(found) == (strength == "eta" or size > 1)
    for h in (0.05, 0.4, 1.0, 3.0):
        values = [float(v.subs({"h": h, "eta": float(size)})) for v in found]
        kept = 1 - float(size) ** 2 * -math.expm1(-2 * h)
        assert all(v > 0 for v in values) == (kept > 0)


@pytest.mark.parametrize(("window", "fails"), [("1, 2", False), ("1, 1", False), ("2, 1", True)])
def test_a_window_runs_from_its_least_value_to_its_greatest(window, fails):
    low, high = window.split(", ")
    noise = f'form = "sde"\nstrength = "3/5"\nwindow = ["{low}", "{high}"]'
    if fails:
        with pytest.raises(DeriveError, match="least value, then its greatest"):
            program('[step]\nrule = "adams-bashforth"\nsteps = 1', noise=noise)
    else:
        assert program('[step]\nrule = "adams-bashforth"\nsteps = 1', noise=noise).stochastic
