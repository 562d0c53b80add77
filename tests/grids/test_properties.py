"""What every schedule and grid must satisfy, library or not."""

import itertools
import math

import pytest

from solvergen import grids

SCHEDULES = {
    grids.VP(): (1e-3, 0.4, 1.0),
    grids.Cosine(): (1e-3, 0.4, 0.99),
    grids.TrigFlow(): (1e-3, 0.7, 1.5),
    grids.RectifiedFlow(): (1e-3, 0.4, 0.999),
    grids.EDM(): (0.002, 1.0, 80.0),
    grids.VE(): (0.0004, 1.0, 6400.0),
    grids.Geometric(): (0.0, 0.4, 1.0),
}
TABLE = grids.Table(grids.betas())


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_lambda_is_the_log_ratio_and_time_its_inverse(schedule):
    for t in SCHEDULES[schedule]:
        lam = schedule.lam(t)
        assert math.isclose(lam, math.log(schedule.alpha(t) / schedule.sigma(t)), abs_tol=1e-11)
        assert math.isclose(schedule.time(lam), t, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("schedule", [grids.VP(), grids.Cosine(), grids.TrigFlow()])
def test_variance_is_preserved(schedule):
    for t in (0.01, 0.5, 0.9):
        assert math.isclose(schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2, 1.0)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_uniform_lambda_has_equal_steps(schedule):
    least, _, most = SCHEDULES[schedule]
    times = grids.uniform_lambda(schedule, 9, most, least)
    lams = [schedule.lam(t) for t in times]
    steps = [b - a for a, b in itertools.pairwise(lams)]
    assert times[0] == most and times[-1] == least
    assert max(steps) - min(steps) < 1e-9 * sum(steps)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: grids.karras(n, 0.03, 14.6),
        lambda n: grids.exponential(n, 0.03, 14.6),
        lambda n: grids.polyexponential(n, 0.03, 14.6, 1.3),
        lambda n: grids.kl_optimal(n, 0.03, 14.6),
        lambda n: grids.beta_levels(n, 0.03, 14.6),
        lambda n: grids.align_your_steps(n),
        lambda n: grids.flow_linear(n),
        lambda n: grids.flow_linear(n, 1e-3),
        lambda n: grids.linear_quadratic(n),
        lambda n: grids.shifted(grids.flow_linear(n), 3.0),
        lambda n: grids.uniform_time(n),
        lambda n: grids.quadratic_time(n),
        TABLE.normal,
        TABLE.sgm_uniform,
        TABLE.simple,
    ],
)
def test_n_steps_that_descend_to_zero(make):
    for n in (2, 5, 10, 40):
        levels = make(n)
        assert len(levels) == n + 1 and levels[-1] == 0
        assert all(a > b for a, b in itertools.pairwise(levels))


def test_grids_that_end_above_zero():
    for make in (grids.karras, grids.exponential, grids.kl_optimal, grids.beta_levels):
        levels = make(6, 0.1, 3.0, zero=False)
        assert len(levels) == 7 and levels[0] == 3.0 and levels[-1] == 0.1


def test_uniform_in_its_own_variable():
    for n in (4, 10):
        roots = [level ** (1 / 5) for level in grids.karras(n, 0.1, 3.0, rho=5, zero=False)]
        angles = [math.atan(level) for level in grids.kl_optimal(n, 0.1, 3.0, zero=False)]
        for values in (roots, angles):
            steps = [a - b for a, b in itertools.pairwise(values)]
            assert max(steps) - min(steps) < 1e-12


def test_comfyui_strides_on_a_small_table():
    table = grids.Table(grids.betas("linear", 12, 0.01, 0.2))
    ascending = table.sigmas
    assert table.simple(4) == [ascending[k] for k in (11, 8, 5, 2)] + [0.0]
    assert table.simple(5) == [ascending[k] for k in (11, 9, 7, 4, 2)] + [0.0]
    assert table.ddim_uniform(4) == [ascending[k] for k in (10, 7, 4, 1)] + [0.0]
    assert len(table.ddim_uniform(5)) - 1 == 6  # more steps than asked for, as in ComfyUI
    assert table.sgm_uniform(11) == table.normal(12)[:-2] + [0.0]


def test_comfyui_beta_drops_timesteps_that_coincide():
    table = grids.Table(grids.betas("linear", 12, 0.01, 0.2))
    levels = table.beta(10)
    assert levels[0] == table.sigmas[-1] and len(levels) - 1 < 10
    assert len(TABLE.beta(10)) - 1 == 10


@pytest.mark.parametrize(
    "make",
    [
        lambda: grids.karras(0, 0.1, 1.0),
        lambda: grids.karras(4, 1.0, 0.1),
        lambda: grids.uniform_time(0),
        lambda: grids.align_your_steps(10, "sd9"),
        lambda: grids.betas("quadratic"),
        lambda: grids.stretched([1.0, 0.0], 0.1),
    ],
)
def test_refusals_say_what_is_wrong(make):
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        make()


def test_levels_beyond_the_table_are_clipped_in_time():
    assert TABLE.time(TABLE.sigmas[0] / 2) == 0.0
    assert TABLE.time(TABLE.sigmas[-1] * 2) == 999.0
