"""Orders from curves: found where they are, refused where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from verify.rates import rate

STEPS = (12, 24, 48, 96, 192, 384)


def curve(terms, *, noise=0.0):
    rng = np.random.default_rng(0)
    shapes = {p: rng.standard_normal(8) for p in terms}
    return [
        sum(c * shapes[p] * (2.8 / n) ** p for p, c in terms.items())
        + noise * rng.standard_normal(8)
        for n in STEPS
    ]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_order_of_a_plain_curve(order):
    found = rate.measure(STEPS, curve({order: 1.0, order + 1: 2.0, order + 2: -1.0}))
    assert found.order == order and abs(found.slope - order) < 0.05 and not found.reason


@pytest.mark.parametrize("order", [0.5, 1.5])
def test_half_an_order_is_found_where_it_may_be(order):
    vectors = curve({order: 1.0, order + 1: 2.0, order + 2: -1.0})
    assert rate.measure(STEPS, vectors, halves=True).order == order
    assert "no whole number" in rate.measure(STEPS, vectors).reason


def test_an_error_that_stays_levels_off_and_one_that_falls_slowly_does_not():
    assert rate.measure(STEPS, curve({0: 1.0, 0.5: 0.5})).levels_off()
    assert rate.measure(STEPS, curve({0: 1.0, 2: 5.0})).levels_off()
    # h^(1/2) that is not asymptotic yet falls by 0.3 powers of h at each refinement
    assert not rate.measure(STEPS, [np.ones(8) * (2.8 / n) ** 0.3 for n in STEPS]).levels_off()
    assert not rate.measure(STEPS, curve({1: 1.0})).levels_off()


def test_norms_would_still_show_more_than_the_order():
    # at N = 384 the h^4 term is half of the error: slopes of norms read 3.5
    vectors = curve({3: 1.0, 4: 130.0})
    slope = np.log(rate.root_mean_square(vectors[-2]) / rate.root_mean_square(vectors[-1]))
    assert slope / np.log(2) > 3.3
    assert rate.measure(STEPS, vectors).order == 3


def test_a_term_that_will_take_over_is_not_overlooked():
    found = rate.measure(STEPS, curve({3: 1.0, 4: 4000.0}))
    assert found.order is None and "take over" in found.reason


def test_points_below_the_floor_are_left_out():
    vectors = curve({4: 1e-3, 5: 1e-3})
    found = rate.measure(STEPS, vectors, precision=2e-13)
    assert found.errors[-1] < found.floor < found.errors[-2]
    assert found.order == 4 and found.window[1] < 384


def test_noise_is_refused():
    found = rate.measure(STEPS, curve({2: 0.0}, noise=1.0))
    assert found.order is None and "no asymptotic window" in found.reason


def test_all_rounding_is_refused():
    found = rate.measure(STEPS, curve({2: 0.0}, noise=1e-16))
    assert found.order is None and "rounding floor" in found.reason


def test_infinite_errors_are_refused():
    vectors = curve({2: 1.0})
    vectors[-1][0] = np.inf
    assert rate.measure(STEPS, vectors).reason == "the error is not finite"


def test_half_orders_are_not_rounded():
    found = rate.measure(STEPS, curve({1.5: 1.0}))
    assert found.order is None and found.slope is None and "1.50" in found.reason
