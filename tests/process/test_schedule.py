"""Schedules made from expressions, against the named ones that are written by hand."""

import math

import pytest

from solvergen import grids
from solvergen.process import named
from solvergen.process.schedule import ProcessSchedule, schedule

PAIRS = {
    "vp-linear": grids.VP(),
    "vp-cosine": grids.Cosine(),
    "ve": grids.VE(),
    "ve-geometric": grids.Geometric(),
    "edm": grids.EDM(),
    "flow": grids.RectifiedFlow(),
    "trigflow": grids.TrigFlow(),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_derived_schedule_is_the_handwritten_one(name):
    derived, written = ProcessSchedule(named(name)), PAIRS[name]
    for t in (1e-6, 0.01, 0.37, 0.9, 0.999):
        assert derived.alpha(t) == pytest.approx(written.alpha(t), rel=1e-12)
        assert derived.sigma(t) == pytest.approx(written.sigma(t), rel=1e-12)
        assert derived.lam(t) == pytest.approx(written.lam(t), rel=1e-12, abs=1e-12)
        assert derived.time(derived.lam(t)) == pytest.approx(t, rel=1e-11)


def test_without_a_closed_inverse_time_is_found_to_the_last_bit():
    made = schedule("1 - t**3", "t + t**5")
    assert made.process.time is None
    for t in (0.0625, 0.3, 0.9):
        assert made.time(made.lam(t)) == pytest.approx(t, rel=4e-16)


def test_small_sigma_does_not_cancel():
    """√(1 − α²) in doubles would have no digit left here."""
    made = schedule("exp(-t)", "sqrt(1 - exp(-2*t))")
    assert made.sigma(1e-18) == pytest.approx(math.sqrt(2e-18), rel=1e-15)


def test_ends_are_exact_and_infinite():
    made = schedule("cos(pi*t/2)", "sin(pi*t/2)")
    assert (made.alpha(1.0), made.sigma(0.0)) == (0.0, 0.0)
    assert (made.lam(0.0), made.lam(1.0)) == (math.inf, -math.inf)
    assert (made.time(math.inf), made.time(-math.inf)) == (0.0, 1.0)


def test_grids_take_it():
    made = schedule("1 - t", "t")
    times = grids.uniform_lambda(made, 4, 0.95, 0.05)
    expected = grids.uniform_lambda(grids.RectifiedFlow(), 4, 0.95, 0.05)
    assert times == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("ask", "message"), [(("alpha", 1.5), "outside"), (("time", 99.0), "not reached")]
)
def test_what_lies_outside_is_refused(ask, message):
    made = schedule("exp(-t)", "t + 1/10")
    with pytest.raises(ValueError, match=message):
        getattr(made, ask[0])(ask[1])
