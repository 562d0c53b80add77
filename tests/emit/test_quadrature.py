"""The functions of emitted files that plans spend their time in: few evaluations, and exact."""

import math

import mpmath
import pytest
import torch


@pytest.fixture
def counted(monkeypatch):
    """A function of a module, replaced by itself with a count of its calls."""

    def count(module, name):
        calls, function = [], getattr(module, name)

        def counting(*args):
            calls.append(args)
            return function(*args)

        monkeypatch.setattr(module, name, counting)
        return calls

    return count


@pytest.mark.parametrize("ends", [(1.0, 1.01), (0.2, 3.0)], ids=["short", "long"])
def test_integrals_are_exact_on_short_and_on_long_steps(ends, committed):
    calls = []

    def f(x):
        calls.append(x)
        return math.exp(-(x**2)) / x

    exact = mpmath.quad(lambda x: mpmath.exp(-(x**2)) / x, ends)
    assert committed("er_sde_3").integral(f, *ends) == pytest.approx(float(exact), rel=1e-14)
    assert (len(calls) == 15) == (ends[1] < 2)


def test_integrands_that_are_not_smooth_go_to_the_finer_rule(committed):
    found = committed("er_sde_3").integral(math.sqrt, 0.0, 1.0)
    assert found == pytest.approx(2 / 3, rel=1e-12)


@pytest.mark.parametrize("high", [1.02, 40.0], ids=["short", "long"])
def test_a_riemann_sum_is_the_sum_of_its_parts(high, committed):
    def f(x):
        return math.exp(-3 * x) + 1 / x

    part = (high - 1.0) / 200
    exact = part * math.fsum(f(1.0 + k * part) for k in range(200))
    assert committed("er_sde_3_as_shipped_by_comfyui").riemann(f, 1.0, high, 200) == pytest.approx(
        exact, rel=1e-13
    )


@pytest.mark.parametrize("c", [1 / 3, 0.9, 1.0])
@pytest.mark.parametrize("start, end", [(-2.0, -1.9), (-4.0, 3.0)], ids=["short", "long"])
def test_the_place_of_a_fraction_takes_few_values_of_the_coordinate(
    c, start, end, committed, counted
):
    module = committed("dpm_solver_3_time")
    calls = counted(module, "y")
    place = module.fraction(c, start, end)
    assert len(calls) < 20
    assert module.coordinate(start + place * (end - start), start, end) == pytest.approx(
        c, abs=1e-14
    )


@pytest.mark.parametrize("start, end", [(-2.0, -1.9), (-4.0, 3.0)], ids=["short", "long"])
def test_moments_of_all_powers_come_from_the_same_values(start, end, committed, counted):
    module = committed("deis_tab4")

    def y(lam):
        grown = mpmath.log1p(mpmath.exp(-2 * lam))
        return 2 * grown / (mpmath.sqrt(mpmath.mpf(199) / 5 * grown + 0.01) + 0.1)

    def weighted(lam, power):
        density = mpmath.exp(start - lam) / mpmath.expm1(start - end) * -1
        return density * ((y(lam) - y(start)) / (y(end) - y(start))) ** power

    calls = counted(module, "y")
    found = module.moments((0, 1, 2, 3), 1, start, end)
    assert len(calls) == 17 or end - start > 1
    exact = [mpmath.quad(lambda lam, p=p: weighted(lam, p), [start, end]) for p in range(4)]
    assert found == pytest.approx([float(value) for value in exact], rel=1e-12)


def test_rows_are_made_when_asked_for_and_kept(committed):
    plan = committed("dpmpp_2m").coefficients([4.0, 2.0, 1.0, 0.5])
    assert plan[1] is plan[1] and plan[-1] is list(plan)[2] and plan[:2] == [plan[0], plan[1]]
    with pytest.raises(IndexError):
        plan[3]


@pytest.mark.parametrize("name, held", [("lobatto_iiic_4", 8), ("gauss_legendre_3", 6)])
def test_sweeps_remember_the_stages_of_one_sweep_alone(name, held, committed):
    module, memory, most = committed(name), (), 0
    x = torch.ones(1, 1)
    for row in module.coefficients([4.0, 2.0, 1.0]):
        x, memory = module.step(row, x, torch.tanh(x), memory)
        most = max(most, len(memory))
    assert most == held
