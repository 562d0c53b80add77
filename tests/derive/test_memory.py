"""What is remembered of an evaluation: its factors, orders for all numbers, when it dies out, emitted files."""

import math
from itertools import pairwise

import mpmath
import pytest
import torch

from solvergen.derive import derive
from solvergen.emit.torch_file import torch_file
from solvergen.emitted import imported
from solvergen.errors import DeriveError, OrderError, SpecError
from solvergen.order import analyse
from solvergen.order.questions.certificate import NotCertified, certificate
from solvergen.order.questions.derivation import derivation
from solvergen.program.unroll import unroll
from solvergen.spec.reader import parse_solver

HEAD = 'name = "x"\nintegrand = "data"\n'
STEP = '[step]\nrule = "interpolate"\nnodes = ["n", "n-1"]\n'
RATIO = "[parameters.rho]\ndefault = 1\n"
PER_STEP = f'{RATIO}per = "step"\n'
THREE = 'nodes = ["n", "n-1", "n-2"]\n'


def program(memory, rest=PER_STEP, step=STEP, head=HEAD):
    return derive(parse_solver(f"{head}{step}[memory]\n{memory}{rest}"))


def orders(memory, rest=PER_STEP):
    table = analyse(program(memory, rest)).orders
    return {order.value for modes in table.values() for order in modes.values()}


def test_a_run_by_hand():
    """Lagrange through three points, written back, under the two-step rule; outputs are given numbers."""
    lam, ratios, outputs = [0, 2, 3, 4.5, 5], [1, 1, 0.75, 1.25], [1.0, -2.0, 0.5, 3.0]
    kept: list[float] = []
    x = 0.7
    for i, (low, high) in enumerate(pairwise(lam)):
        kept.append(outputs[i])
        if i >= 2:
            t = ratios[i] * lam[i] + (1 - ratios[i]) * lam[i - 1]
            places = lam[i - 2 : i + 1]
            factors = [math.prod((t - q) / (p - q) for q in places if q != p) for p in places]
            kept[i] = sum(f * v for f, v in zip(factors, kept[i - 2 :], strict=True))
        h = high - low
        slope = (kept[i] - kept[i - 1]) / (lam[i] - lam[i - 1]) if i else 0.0
        grown = 1 - math.exp(-h)
        x = math.exp(-h) * x + grown * kept[i] + (h - grown) * slope
    run = unroll(
        program(f'{THREE}at = "rho"\n'),
        list(map(mpmath.mpf, lam)),
        {"rho": list(map(mpmath.mpf, ratios))},
    )
    found = run.final[0] * 0.7 + sum(w * v for w, v in zip(run.final[1:], outputs, strict=True))
    assert abs(float(found) - x) < 1e-13


@pytest.mark.parametrize(
    ("at", "order"), [("rho", 1), ("1 + h*rho", 2), ("1 + h**2*rho", 2), ("1", 2)]
)
def test_order_for_all_numbers(at, order):
    """A ratio away from 1 costs all but one order; one that tends to 1 with h keeps the rule's."""
    assert orders(f'{THREE}at = "{at}"\n') == {order}


def test_weights_say_the_same_as_a_polynomial():
    lam = [mpmath.mpf(k) for k in (0, 1, 3, 4, 6, 7)]
    ratios = {"rho": [mpmath.mpf(v) / 10 for v in (10, 8, 12, 7, 9)]}
    two = program('nodes = ["n", "n-1"]\nat = "rho"\n')
    same = program('weights = { n = "rho", n-1 = "1 - rho" }\n')
    for a, b in zip(unroll(two, lam, ratios).final, unroll(same, lam, ratios).final, strict=True):
        assert abs(a - b) < 1e-14


def test_numbers_for_which_it_dies_out():
    report = analyse(program(f'{THREE}at = "rho"\n'))
    assert report.forgets == "rho between 0.3333 and 1.333, in any order on equal steps"
    half = 'weights = { n = "rho", n-1 = "1 - rho" }\n'
    assert "rho between 0 and 2" in analyse(program(half)).forgets
    for value, order in (("5/4", 1), ("27/20", 0), ("1/100", 1), ("0", 0)):
        fixed = RATIO.replace("1", f'"{value}"')
        assert orders(f'{THREE}at = "rho"\n', fixed) == {order}, value
    table = PER_STEP + 'values = ["1", "1", "1.6", "1"]\n'
    told = analyse(program(f'{THREE}at = "rho"\n', table)).divergence
    assert "does not die out with the numbers of step 2" in told
    assert "1.823" in told


STAGES = """
coordinate = "clock"
[[stage]]
name = "mid"
at = "1/2"
rule = "interpolate"
nodes = ["n", "n-1"]
[step]
rule = "interpolate"
nodes = ["n", "n-1", "mid"]
"""
LONG = 'weights = { n = "rho", n-1 = "(1 - rho)*r1", n-3 = "(1 - rho)*(1 - r1)" }\n'
CORRECTED = '[corrector]\nrule = "adams-moulton"\nsteps = 3\n[end]\nusing = ["ddim"]\n'


@pytest.mark.parametrize(
    ("memory", "step", "head", "rest"),
    [
        (f'{THREE}at = "rho"\n', STEP, HEAD, PER_STEP),
        (f'{THREE}at = "rho"\ncoordinate = "rho"\n', STEP + CORRECTED, HEAD, PER_STEP),
        (LONG, STAGES, HEAD, PER_STEP),
        (LONG, STAGES, HEAD.replace("data", "noise"), PER_STEP),
    ],
    ids=["two nodes", "corrected", "stages", "noise"],
)
def test_emitted_files_do_what_is_derived(memory, step, head, rest, tmp_path):
    solver = parse_solver(f"{head}{step}[memory]\n{memory}{rest}")
    made = derive(solver)
    (tmp_path / "file.py").write_text(torch_file(solver, made))
    sample = imported(tmp_path / "file.py").sample
    lam = [-1 + 0.9 * i + 0.1 * i * i for i in range(7)]
    ratios = [1, 1, 0.8, 1.2, 0.7, 0.9]
    exact = unroll(made, [mpmath.mpf(v) for v in lam], {"rho": [mpmath.mpf(v) for v in ratios]})
    for output in range(len(exact.calls) + 1):
        count = [0]

        def model(x, sigma, count=count, output=output):
            count[0] += 1
            return torch.full_like(x, float(count[0] == output))

        x = torch.full((1, 1), float(output == 0), dtype=torch.float64)
        found = sample(model, x, [math.exp(-v) for v in lam], rho=ratios)
        assert abs(float(found) - float(exact.final[output])) < 1e-14


def test_with_ratios_of_one_nothing_changes():
    lam = [mpmath.mpf(k) for k in (0, 1, 3, 4, 6, 7)]
    plain = derive(parse_solver(HEAD + STEP))
    ones = program(f'{THREE}at = "rho"\n')
    assert unroll(ones, lam).final == unroll(plain, lam).final


@pytest.mark.parametrize(
    ("memory", "rest", "said"),
    [
        ('nodes = ["n"]\nat = "1/2"\n', "", "keeps every evaluation as it comes"),
        ('nodes = ["n-1", "n-2"]\nat = "1/2"\n', "", "never takes a new evaluation in"),
        ('nodes = ["n", "mid"]\nat = "1/2"\n', "", "`mid` is not remembered"),
        ('weights = { n = "1/2" }\n', "", "must sum to 1"),
        ('weights = { n = "sigma", n-1 = "1 - sigma" }\n', "", "`sigma`"),
        ('weights = { n = "min(h, 1)", n-1 = "1 - min(h, 1)" }\n', "", "without `min`"),
        (
            'weights = { n = "1 - r5", n-1 = "r5" }\n',
            "",
            "`r5` needs the grid 5 back, and the oldest",
        ),
        (f'{THREE}at = "1/2"\n', "linear = 0\n", "`linear` cannot be combined"),
        (
            f'{THREE}at = "1/2"\n',
            '[start]\nusing = ["dc_solver_2"]\n',
            "cannot serve here: it remembers",
        ),
        (f'{THREE}at = "1/2"\n', '[start]\nfirst = "mean"\n', "cannot be combined"),
    ],
)
def test_refusals(memory, rest, said):
    head = HEAD + rest if rest.startswith("linear") else HEAD
    with pytest.raises(DeriveError, match=said):
        program(memory, "" if head != HEAD else rest, head=head)


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        ('nodes = ["n", "n-1"]\n', "give `nodes` and `at`, or `weights`"),
        ('nodes = ["n"]\nat = 1\nweights = { n = 1 }\n', "give either `weights`"),
    ],
)
def test_keys_that_exclude_each_other(memory, said):
    with pytest.raises(SpecError, match=said):
        program(memory, "")


def test_questions_that_are_refused_say_why():
    made = program(f'{THREE}at = "3/4"\n', "")
    with pytest.raises(OrderError, match="all steps before"):
        derivation(made)
    with pytest.raises(NotCertified, match="remembers combinations"):
        certificate(made)
    report = analyse(made)
    assert report.stiff.strong is None
    assert report.error_norm is None
    assert report.theory()["leading_error"] == {}
