"""Steps that go on from past states: weights, zero-stability and orders, read from running code."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from verify.judge import judge
from verify.order import constant
from verify.order.audit import audit
from verify.processes.settle import verdict_of
from verify.rates.measure import convergence
from verify.report import page, terminal
from verify.report.finite import finite
from verify.targets import callable_target

from . import handwritten as hand


def two_step(model, x, sigmas, *, gamma=1.0, spoiled=1.0, gated=False):
    """(1 - gamma) x_n + gamma x_(n-1), and eps_n for the whole way; gamma 1 is the leapfrog rule."""
    ones = x.new_ones(len(x))
    before = last = None
    strength = gamma
    for s, t in itertools.pairwise(sigmas):
        gamma = strength * s / sigmas[0] if gated else strength
        eps = (x - model(x, s * ones)) / s
        if before is None:
            ahead = x + (t - s) * eps
        else:
            move = (t - s) + spoiled * gamma * (s - last)
            ahead = (1 - gamma) * x + gamma * before + move * eps
        before, last, x = x, s, ahead
    return x


def bdf_2(model, x, sigmas, *, swap=False):
    """Backward differentiation in sigma, two sweeps of fixed point; swap spoils the step ratio."""
    ones = x.new_ones(len(x))
    before = last = None
    for s, t in itertools.pairwise(sigmas):
        ahead = x + (t - s) * (x - model(x, s * ones)) / s
        for _ in range(2):
            slope = (ahead - model(ahead, t * ones)) / t
            if before is None:
                ahead = x + (t - s) * slope
                continue
            r = (t - s) / (s - last)
            r = 1 / r if swap else r
            known = ((1 + r) ** 2 * x - r**2 * before) / (1 + 2 * r)
            ahead = known + (1 + r) / (1 + 2 * r) * (t - s) * slope
        before, last, x = x, s, ahead
    return x


def fixed_bdf(model, x, sigmas):
    """The weights of equal steps whatever the steps are: inconsistent steps that telescope."""
    ones = x.new_ones(len(x))
    before = old = None
    for s, t in itertools.pairwise(sigmas):
        eps = (x - model(x, s * ones)) / s
        if before is None:
            ahead = x + (t - s) * eps
        else:
            ahead = 4 / 3 * x - 1 / 3 * before + 2 / 3 * (t - s) * (2 * eps - old)
        before, old, x = x, eps, ahead
    return x


def momentum(model, x, sigmas, *, beta=0.9):
    """Euler along a running mean of all predictions: one past state in disguise."""
    ones = x.new_ones(len(x))
    mean = None
    for s, t in itertools.pairwise(sigmas):
        eps = (x - model(x, s * ones)) / s
        mean = eps if mean is None else beta * mean + (1 - beta) * eps
        x = x + (t - s) * mean
    return x


def grids_of(sampler, **options):
    found = audit(functools.partial(sampler, **options))
    assert found.status == "ok", found.message
    return found.grids


def test_weights_and_roots_of_bdf_are_read():
    found = grids_of(bdf_2)
    assert [g.order for g in found.values()] == [2, 2, 2]
    past = found["uniform"].past
    assert past["weights"] == pytest.approx([4 / 3, -1 / 3], abs=1e-7)
    assert past["roots"] == pytest.approx([1 / 3], abs=1e-6)
    assert past["slope"] == pytest.approx(2 / 3, abs=1e-6)
    # over a period of the pattern: the product of -r^2 / (1 + 2 r)
    r = np.asarray([2.2, 0.6 / 2.2, 1.7 / 0.6, 0.8 / 1.7, 1.3 / 0.8, 1 / 1.3])
    root = np.prod(r**2 / (1 + 2 * r)) ** (1 / 6)
    assert found["arbitrary"].past["roots"] == pytest.approx([root], abs=1e-6)


def test_the_error_constant_is_divided_by_the_slope_of_rho():
    found = grids_of(bdf_2)["uniform"]
    # local error 2/9 h^3 of the third derivative, six steps of it, over rho'(1) = 2/3
    assert dict(found.leading)["f''"] == pytest.approx(6 * (2 / 9) / (2 / 3), abs=2e-3)
    assert found.shares == pytest.approx((1.5,) * 6, abs=1e-6)


def test_a_spoiled_ratio_is_seen():
    # equal steps in lambda are equal to O(h) in sigma
    found = grids_of(bdf_2, swap=True)
    assert [found[k].order for k in ("uniform", "arbitrary")] == [1, 0]


@pytest.mark.parametrize(
    ("gamma", "orders"),
    # a period of unequal steps resonates with the root -1 of the leapfrog rule
    [(1.0, [2, 2, 1]), (0.5, [1, 1, 1]), (-0.5, [1, 1, 1])],
)
def test_two_step_rules(gamma, orders):
    found = grids_of(two_step, gamma=gamma)
    assert [g.order for g in found.values()] == orders
    assert found["uniform"].past["roots"] == pytest.approx([abs(gamma)], abs=1e-6)


@pytest.mark.parametrize(("sampler", "root"), [(momentum, 0.9), (fixed_bdf, 1 / 3)])
def test_errors_that_telescope_cost_no_order(sampler, root):
    found = grids_of(sampler)
    assert [g.order for g in found.values()] == [1, 1, 1]
    assert found["arbitrary"].past["roots"] == pytest.approx([root], abs=1e-6)
    assert abs(convergence(sampler, "rough").slope - 1) < 0.05


def test_leapfrog_errors_are_predicted():
    claim = {
        "INTEGRAND": "noise",
        "LEADING_ERROR": {
            "uniform": [{"tree": [1, []], "coef": "2/3"}, {"tree": [2, []], "coef": "-1/3"}]
        },
    }
    found = constant.compare(two_step, claim, audit(two_step, form="noise"))["uniform"]
    assert found["ok"] and found["ratio"] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("root", [1.02, 1.5, 2.2, 3.0, 8.0])
def test_a_root_outside_the_circle_is_named(root):
    found = audit(functools.partial(two_step, gamma=-root))
    assert (found.status, found.notes) == ("ok", ()) and found.noise < 1e-10
    for grid in found.grids.values():
        assert grid.order == 0 and grid.past["growth"] == np.inf
        (cause,) = grid.causes
        assert cause.kind == "unstable" and f"a root of modulus {root:.4g}" in cause.text


def test_an_unstable_rule_is_refuted():
    verdict = judge(
        callable_target(functools.partial(two_step, gamma=-1.5), claim=1),
        rates=False,
        conduct=False,
    )
    assert verdict.status == "fail" and "not zero-stable" in verdict.findings[0]
    # as it comes back from a process of its own
    (line,) = terminal.past_lines(verdict_of(finite(verdict.as_dict())))
    assert line.endswith("1.5 on arbitrary grids (not zero-stable)")


def test_an_inconsistent_two_step_rule_has_no_order():
    assert {g.order for g in grids_of(two_step, spoiled=1.01).values()} == {0}


def test_past_states_that_know_the_whole_grid_are_refused():
    found = audit(functools.partial(two_step, gamma=0.5, gated=True))
    assert (found.status, found.grids) == ("nonlocal", {})


def test_adams_rules_keep_one_state():
    for sampler in (hand.multistep, hand.heun, hand.frozen_adams, hand.predictor_corrector):
        assert all(g.past is None for g in grids_of(sampler).values())


def test_the_line_of_the_report():
    verdict = judge(callable_target(bdf_2, claim=2), rates=False, conduct=False)
    (line,) = terminal.past_lines(verdict)
    assert line.startswith(
        "past states, or outputs remembered as combinations: x[n+1] = 4/3 x[n] - 1/3 x[n-1] + ..., rho'(1) = 2/3; moduli of roots beside "
        "1: 0.333 on uniform grids (zero-stable)"
    )
    assert line in terminal.table([verdict])
    assert "combinations: x[n+1] = 4/3 x[n] - 1/3 x[n-1]" in page.fragment(verdict)
