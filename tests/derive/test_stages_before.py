"""Stages of the step before as nodes: places, orders, running files, and what is refused."""

from fractions import Fraction
from itertools import pairwise
from math import exp, log
from pathlib import Path

import pytest
import torch
from solvergen.generated import byrne_lambert_3

from solvergen.derive.program import derive
from solvergen.errors import SolvergenError
from solvergen.expr.arithmetic import substitute
from solvergen.expr.functions import lift
from solvergen.gallery import load
from solvergen.order.ode.analyse import analyse
from solvergen.order.ode.stability import stability
from solvergen.program.unroll import unroll
from solvergen.spec.reader import parse_solver
from verify.judge import judge
from verify.targets import find

PEER = """
name = "peer"
integrand = "data"
[[stage]]
name = "mid"
at = "1/2"
rule = "interpolate"
nodes = ["n", "mid-1"]
[step]
rule = "interpolate"
nodes = ["n", "mid", "mid-1"]
"""
SIGMAS = [9.0, 4.0, 2.5, 1.0, 0.7, 0.2]


def test_equal_steps_give_the_weights_of_the_paper():
    # Byrne and Lambert's family of order 3: 12a w = (18a - 5, 5), 12a v = (5 - 6a, -5).
    a = Fraction(2, 3)
    found = {
        term.source: substitute(term.weight, {"Theta1": lift(1), "a": lift(a)})
        for term in derive(load("byrne_lambert_3")).main.final.terms
    }
    paper = {"n": 18 * a - 5, "mid": Fraction(5), "n-1": 5 - 6 * a, "mid-1": Fraction(-5)}
    assert found == {source: lift(value / (12 * a)) for source, value in paper.items()}


def denoise(x, sigma):
    return torch.tanh(x / (1 + sigma**2)) + 0.3 * torch.cos(3 * x)


def by_hand(x, sigmas, a):
    """Byrne and Lambert's method from its conditions, solved numerically for uneven steps."""
    before = None
    for here, there in pairwise(sigmas):
        step = there - here
        eps = (x - denoise(x, here)) / here
        at = here + a * step
        y = x + a * step * eps
        mid = (y - denoise(y, at)) / at
        if before is None:
            x = x + step * ((1 - 1 / (2 * a)) * eps + mid / (2 * a))
        else:
            r, old, old_mid = (before[0] / step, *before[1:])
            # moments 1, 1/2, 1/3 and no first error of the stages left
            rows = [[1, 1, 1, 1], [0, a, -r, r * a - r]]
            rows += [[0, a**2, r**2, (r * a - r) ** 2], [0, a**2, 0, r**2 * a**2]]
            right = torch.tensor([1, 1 / 2, 1 / 3, 0], dtype=torch.float64)
            w = torch.linalg.solve(torch.tensor(rows, dtype=torch.float64), right)
            x = x + step * (w[0] * eps + w[1] * mid + w[2] * old + w[3] * old_mid)
        before = step, eps, mid
    return x


def test_the_emitted_file_is_the_method_written_by_hand():
    x = torch.tensor([[1.0], [-7.0], [3.0]], dtype=torch.float64)

    def model(x, sigma):
        return denoise(x, sigma[:, None])

    for a in (5 / 6, 0.4):
        found = byrne_lambert_3.sample(model, x, SIGMAS, a=a)
        assert (found - by_hand(x, SIGMAS, a)).abs().max() < 1e-13


def test_stages_lie_at_their_fraction_of_the_step_before():
    """A polynomial of degree 2 in λ through mid-1, n and mid is integrated exactly."""
    lam = [-log(s) for s in SIGMAS]
    run = unroll(derive(parse_solver(PEER)), lam)
    f = [float(call.lam - lam[-2]) ** 2 for call in run.calls]
    # from an exact state at n, the last step adds e^{-λ} ∫ e^{λ - λ_{n+1}} (λ - λ_n)² dλ
    before = (*run.calls[-2].state[1:], 0, 0)
    last = [w - exp(lam[-2] - lam[-1]) * v for w, v in zip(run.final[1:], before, strict=True)]
    total = sum(float(w) * value for w, value in zip(last, f, strict=True))
    h = lam[-1] - lam[-2]
    assert total == pytest.approx(h**2 - 2 * h + 2 - 2 * exp(-h), rel=1e-12)


def test_a_stage_before_counts_back_through_all_steps():
    report = analyse(derive(parse_solver(PEER)))
    assert {o["own_end"].value for o in report.orders.values()} == {3}
    worse = PEER.replace('nodes = ["n", "mid-1"]', 'nodes = ["n"]')
    # stages of order 1, whose errors the weights of the step do not cancel
    assert analyse(derive(parse_solver(worse))).orders["uniform"]["exact_start"].value == 2


def test_the_polynomial_of_stability_couples_stages_and_states():
    found = stability(derive(load("byrne_lambert_3")))
    gaps = [abs(max(found.roots(z), key=abs) - exp(z)) for z in (-0.04, -0.02)]
    assert gaps[0] / gaps[1] == pytest.approx(16, rel=0.1)  # the root misses e^z by order z^4
    assert 0.4 < found.real_interval() < 3


def test_the_judge_agrees_and_sees_a_wrong_weight(tmp_path):
    path = Path(byrne_lambert_3.__file__)
    wrong = tmp_path / "wrong.py"
    text = path.read_text(encoding="utf-8")
    wrong.write_text(text.replace("(3 * T1 + 2)", "(3.01 * T1 + 2)"), encoding="utf-8")
    assert text != wrong.read_text(encoding="utf-8")
    statuses = [judge(find(str(p))[0], rates=False).status for p in (path, wrong)]
    assert statuses == ["pass", "fail"]


def test_a_list_for_a_default_is_sent_to_values():
    text = PEER + "[parameters.c]\ndefault = [1, 2]\n"
    with pytest.raises(SolvergenError, match=r'per = "step" with values'):
        parse_solver(text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"mid-1"]\n[step]', '"mid-2"]\n[step]', "stages are kept for one step"),
        ('"mid-1"]\n[step]', '"end-1"]\n[step]', "known here: mid-1"),
        ('"mid-1"]\n[step]', '"n-1", "n-x"]\n[step]', "is not a node"),
        ("[step]", '[start]\nusing = ["ddim"]\n[step]', "has no stage `mid`"),
        ("[step]", '[noise]\nform = "sde"\n[step]', "do not go with noise"),
        ("[step]", '[corrector]\nrule = "interpolate"\nnodes = ["n+1", "n"]\n[step]', "PECE"),
        ('at = "1/2"', 'at = "c"', "changes from step to step"),
    ],
)
def test_refusals_say_what_to_do(old, new, said):
    text = PEER.replace(old, new, 1)
    if '"c"' in new:
        text += '[parameters.c]\ndefault = "1/2"\nper = "step"\n'
    with pytest.raises(SolvergenError, match=said):
        derive(parse_solver(text))
