"""Grids are total: n falling levels for every argument, or a refusal that names an argument."""

import inspect
import itertools
import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvergen import grids

REALS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0, 20),
    st.floats(0, 1),
    st.sampled_from([0.0, 0.5, 1.0, 1e-300, 1e300, sys.float_info.max, 5e-324, -1.0, None, "3"]),
)
COUNTS = st.one_of(st.integers(-2, 60), st.sampled_from([0, 1, 2, 999, 1000, 1001, 2500, 2.5]))
KINDS = {
    "n": COUNTS,
    "trained": COUNTS,
    "original": COUNTS,
    "offset": COUNTS,
    "length": COUNTS,
    "linear": st.one_of(st.none(), COUNTS),
    "zero": st.booleans(),
    "model": st.sampled_from(["sd1", "sdxl", "svd", "deepfloyd", "sd9", None]),
    "schedule": st.sampled_from(
        [grids.VP(), grids.Cosine(), grids.TrigFlow(), grids.RectifiedFlow(), grids.EDM()]
        + [grids.VE(), grids.Geometric(), grids.VP(1e-3, 1e3)]
    ),
    "pivots": st.tuples(REALS, REALS),
    "slopes": st.tuples(REALS, REALS),
}
OPTIONAL = {"last", "sigma_min", "sigma_max"}
LEVELS = [
    grids.karras,
    grids.exponential,
    grids.polyexponential,
    grids.kl_optimal,
    grids.beta_levels,
    grids.align_your_steps,
    grids.flow_linear,
    grids.linear_quadratic,
    grids.bong_tangent,
    grids.uniform_time,
    grids.quadratic_time,
    grids.uniform_lambda,
]
TIMES = [grids.linspace, grids.leading, grids.trailing, grids.lcm_times]
TABLES = {
    "sd": grids.Table(grids.betas()),
    "short": grids.Table([0.1, 0.2, 0.3]),
    "zero_snr": grids.Table(grids.rescaled_to_zero_snr(grids.betas())),
    "nearly": grids.Table(grids.rescaled_to_zero_snr(grids.betas(), 2**-24)),
    "flow": grids.FlowTable(3.0),
    "flux": grids.FlowTable.from_mu(1.15, 1000),
}


def arguments(data, function):
    """Drawn arguments of a function; optional ones are left out at times."""
    chosen = {}
    for parameter in inspect.signature(function).parameters.values():
        needed = parameter.default is inspect.Parameter.empty
        if needed or data.draw(st.booleans(), label=f"give {parameter.name}"):
            chosen[parameter.name] = data.draw(KINDS.get(parameter.name, REALS), parameter.name)
    return chosen


def outcome(function, chosen):
    """What the grid is, or None where it is refused in words that name an argument."""
    try:
        return function(**chosen)
    except ValueError as error:
        named = [name for name in inspect.signature(function).parameters if name in str(error)]
        assert named and len(str(error)) > 15, f"{chosen}: {error}"
        return None


def assert_falls(levels, n):
    assert len(levels) == n + 1 and all(type(level) is float for level in levels)
    assert all(math.isfinite(level) for level in levels)
    assert all(a > b for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize("grid", LEVELS, ids=lambda grid: grid.__name__)
@settings(max_examples=120, deadline=None, derandomize=True)
@given(data=st.data())
def test_levels_fall_or_an_argument_is_named(grid, data):
    chosen = arguments(data, grid)
    levels = outcome(grid, chosen)
    if levels is not None:
        assert_falls(levels, chosen["n"])
        assert levels[-1] >= 0 or "time" in grid.__name__ or "lambda" in grid.__name__


@pytest.mark.parametrize("grid", TIMES, ids=lambda grid: grid.__name__)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_timesteps_fall_within_the_table_or_an_argument_is_named(grid, data):
    chosen = arguments(data, grid)
    times = outcome(grid, chosen)
    if times is not None:
        assert len(times) == chosen["n"] and all(type(t) is int for t in times)
        assert chosen.get("trained", 1000) > times[0] and times[-1] >= 0
        assert all(a > b for a, b in itertools.pairwise(times))


@pytest.mark.parametrize("pick", ["normal", "sgm_uniform", "simple", "ddim_uniform", "beta"])
@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_tables_are_read_or_an_argument_is_named(table, pick, data):
    chosen = arguments(data, getattr(TABLES[table], pick))
    try:
        levels = getattr(TABLES[table], pick)(**chosen)
    except ValueError as error:
        words = ["betas", "timesteps", *chosen]
        assert any(f"{word} " in str(error) for word in words), error
        return
    assert table != "zero_snr"
    hosts_own = pick in ("ddim_uniform", "beta")  # as many as the host's loop happens to meet
    assert_falls(levels, len(levels) - 1 if hosts_own else chosen["n"])
    assert levels[-1] == 0


SHIFTS = [grids.shifted, grids.dynamic_shift, grids.stretched]


@pytest.mark.parametrize("shift", SHIFTS, ids=lambda shift: shift.__name__)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_shifts_keep_times_apart_or_name_an_argument(shift, data):
    chosen = arguments(data, shift)
    falls = st.lists(st.floats(0, 1), unique=True, max_size=12).map(lambda t: sorted(t)[::-1])
    chosen["times"] = data.draw(st.one_of(falls, st.lists(REALS, max_size=3)), "times")
    moved = outcome(shift, chosen)
    if moved is not None:
        before = list(itertools.pairwise(chosen["times"]))
        for pair, after in zip(before, itertools.pairwise(moved), strict=True):
            assert (after[0] > after[1]) == (pair[0] > pair[1]) and after[0] != after[1]
        assert all(0 <= t <= 1 for t in moved)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_tables_of_beta_are_rising_levels_or_are_refused(data):
    chosen = arguments(data, grids.betas)
    chosen["kind"] = data.draw(st.sampled_from(["linear", "scaled_linear", "cosine", "none"]))
    made = outcome(grids.betas, chosen)
    drawn = data.draw(st.lists(REALS, max_size=6), "a table of one's own")
    for table in (made, drawn):
        try:
            known = table and grids.Table(table)
        except ValueError as error:
            assert "beta" in str(error)
            continue
        if known:
            assert all(a < b for a, b in itertools.pairwise(known.sigmas))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(times=st.lists(REALS, max_size=4), schedule=KINDS["schedule"])
def test_levels_of_times_are_levels_or_the_time_is_named(times, schedule):
    try:
        sigmas, alphas = grids.grid(schedule, times)
    except ValueError as error:
        assert "times" in str(error)
        return
    for sigma, alpha in zip(sigmas, alphas, strict=True):
        assert 0 <= sigma < math.inf and 0 <= alpha < math.inf and sigma + alpha > 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(schedule=KINDS["schedule"], lam=st.floats(-1e4, 1e4))
def test_every_lambda_has_a_time(schedule, lam):
    if not isinstance(schedule, grids.Geometric):
        assert schedule.time(lam) >= 0


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: grids.karras(0, 0.1, 1.0), "n must be an integer, 1 or more; found 0"),
        (lambda: grids.karras(4, 0.1, math.inf), "sigma_max must be a finite number"),
        (lambda: grids.karras(4, 1.0, 1.0), "sigma_min must be .* below 1.0; found 1.0"),
        (lambda: grids.kl_optimal(4, 0.0, 1.0), "sigma_min must be above 0 where a last step"),
        (lambda: grids.karras(5, 0.1, 1.0, rho=1e300), "rho = 1e.300: levels 0 and 1"),
        (lambda: grids.linear_quadratic(10, 0.9), "threshold = 0.9"),
        (lambda: grids.linear_quadratic(10, 0.025, 11), "linear must be .* at most 9; found 11"),
        (lambda: grids.trailing(2000), "n must be .* at most 1000; found 2000"),
        (lambda: grids.leading(1001), "n must be .* at most 1000; found 1001"),
        (lambda: grids.leading(1000, offset=1), "offset must be .* at most 0; found 1"),
        (lambda: TABLES["zero_snr"].normal(5), "betas end in zero terminal SNR"),
        (lambda: grids.lcm_times(51), "n must be .* at most 50; found 51"),
        (lambda: grids.shifted([1.0, 0.5, 0.25], 1e300), "shift = 1e.300: times 1.0 and 0.5"),
    ],
)
def test_refusals(make, named):
    with pytest.raises(ValueError, match=named):
        make()


def test_quantiles_without_scipy_name_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match=r"pip install 'solvergen\[grids\]'"):
        grids.beta_levels(4, 0.1, 1.0)


def test_values_that_were_wrong():
    assert [round(level, 4) for level in TABLES["sd"].normal(1)] == [14.6146, 0.0]
    assert len(TABLES["sd"].beta(20, 50, 50)) > 2
    assert grids.karras(1, 0.0, 2.0, zero=False) == [2.0, 0.0]
