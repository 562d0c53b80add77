"""Causes name the order condition by its tree, and the weight found beside the weight needed."""

import functools
import itertools

import pytest

from verify.judge import judge
from verify.order.audit import audit
from verify.order.suspects import condition
from verify.targets import callable_target

from . import handwritten as hand
from . import handwritten_odd as odd


def midpoint(model, x, sigmas, *, place=0.5, weight=1.0):
    """Heun's family with a stage whose state may be wrong: x + weight * place * step * slope."""
    for s, t in itertools.pairwise(sigmas):
        d = (x - model(x, s * x.new_ones(len(x)))) / s
        at = s + place * (t - s)
        ahead = x + weight * place * (t - s) * d
        other = (ahead - model(ahead, at * x.new_ones(len(x)))) / at
        x = x + (t - s) * ((1 - 0.5 / place) * d + 0.5 / place * other)
    return x


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("f''", "b·c²"),
        ("fY[f']", "b·A·c"),
        ("fY'[f']", "b·c·A·c"),
        ("fY[fY[f'']]", "b·A·A·c²"),
        ("fY[f]", "row sums (A·1 = c)"),
        ("f^(4)", "b·c⁴"),
    ],
)
def test_words_are_read_as_order_conditions(word, said):
    assert condition(word) == said


def test_a_stage_whose_row_does_not_sum_to_its_node_is_named():
    found = audit(functools.partial(midpoint, weight=0.9)).grids["arbitrary"]
    assert found.order == 1
    assert any("row sums" in c.text for c in found.causes), found.causes


def test_the_weight_found_and_the_weight_needed():
    (cause,) = audit(functools.partial(hand.multistep, first=0.99)).grids["uniform"].causes
    assert "has weight 1.495, needs 1.5" in cause.text
    assert "the output 1 step back has weight -0.495, needs -0.5" in cause.text


def test_a_claim_beyond_the_nodes_says_what_fails():
    verdict = judge(callable_target(hand.ddim, claim=2, name="ddim"), rates=False, conduct=False)
    assert "uses 1 node; the order condition of b·c fails at h^2" in verdict.findings[0]


def test_a_weight_that_should_vanish_with_the_step_is_named():
    (cause,) = audit(odd.second_difference_kept).grids["uniform"].causes
    assert cause.kind == "growing"
    assert "second divided difference" in cause.text and "2 steps back" in cause.text
