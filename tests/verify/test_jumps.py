"""Samplers on grids that rise, and steps that do not become the identity: what is true of them."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from verify.hosts.functions import adapted
from verify.judge import judge
from verify.noise.jumps import audit_jumps, rises, rising
from verify.noise.limit_law import limit_law
from verify.noise.moments import VARIANCES
from verify.order.audit import audit
from verify.report import terminal
from verify.targets import callable_target

from . import handwritten as plain
from . import handwritten_noise as hand


def run_of(sampler, **options):
    return adapted(sampler, "k-diffusion", options)


def audited(**options):
    run = run_of(hand.restarted, **options)
    return audit_jumps(run, audit(run, classes=("uniform",)))


def test_the_grid_rises_where_it_should():
    levels = -np.log(rising("arbitrary", 4))
    assert np.flatnonzero(np.diff(levels) < 0).tolist() == [4, 9]
    assert levels[[4, 5, 9, 10]] == pytest.approx([0.9, 0.1, 1.1, 0.4])


@pytest.mark.parametrize(("heun", "order"), [(False, 1), (True, 2)])
def test_orders_on_grids_that_rise(heun, order):
    found = audited(heun=heun)
    assert found.kind == "jumps" and found.draws_per_step == 1
    for grid in found.grids.values():
        assert (grid.mean.order, grid.covariance.order, grid.strong.order) == (order,) * 3


def test_a_rise_with_the_wrong_variance_is_named():
    found = audited(heun=True, size=0.9)
    assert found.grids["uniform"].covariance.order == 0
    assert found.grids["uniform"].mean.order == 2
    (cause,) = found.causes["uniform"]
    assert "adds 0.81 of the variance" in cause.text
    assert cause.factor == pytest.approx(1 / 0.9)


def test_samplers_that_refuse_or_run_backwards_draw_nothing():
    assert rises(run_of(hand.restarted))
    assert not rises(plain.ddim) and not rises(plain.heun)


def emitted(tmp_path, order):
    """A file that states its orders on Gaussian targets."""
    kinds = ("uniform", "smooth", "arbitrary")
    table = {k: {"mean": order, "covariance": order, "strong": order} for k in kinds}
    path = tmp_path / "mine.py"
    path.write_text(
        "from tests.verify.handwritten_noise import restarted\n"
        "NOISE = {'form': 'explicit', 'jumps': True}\n"
        f"WEAK_ORDER = {table!r}\n"
        "def sample(model, x, sigmas, noise_sampler=None):\n"
        "    return restarted(model, x, sigmas, noise_sampler=noise_sampler)\n",
        encoding="utf-8",
    )
    from verify.targets import find

    (target,) = find(str(path))
    return judge(target, rates=False, conduct=False)


def test_what_a_file_states_of_rising_grids_is_weighed(tmp_path):
    right = emitted(tmp_path, [1, True])
    assert right.status == "pass" and right.audited["uniform"] == 1
    assert "order of mean 1, covariance 1, strong 1 (1 draw a rise of the grid)" in terminal.table(
        [right]
    )
    wrong = emitted(tmp_path, [2, True])
    assert wrong.status == "fail"
    assert "the file states mean order [2, True]; it is 1" in wrong.findings


@pytest.mark.parametrize(("count", "rate"), [(1, 0.05), (3, 0.2)])
def test_langevin_steps_leave_a_bias_of_first_order(count, rate):
    law = limit_law(run_of(hand.langevin, count=count, rate=rate))
    assert law.settles and law.wrong
    assert [(s.rate, s.noise) for s in law.langevin] == [pytest.approx((rate, 1.0))] * count
    share = law.level**2 / (np.asarray(VARIANCES) + law.level**2)
    assert law.bias == pytest.approx(rate * share / (2 - rate * share), rel=1e-5)
    assert (
        f"rate {rate:g}: the level's Gaussian is kept to order 1 in the rate" in law.sentences()[-1]
    )


def test_langevin_noise_of_the_wrong_size_is_said():
    law = limit_law(run_of(hand.langevin, size=0.9))
    assert "noise is 0.81 of the variance of Langevin dynamics" in law.sentences()[-1]


def test_a_sampler_without_a_limit_gets_a_verdict():
    target = callable_target(functools.partial(hand.langevin, count=1, rate=0.05))
    verdict = judge(target, rates=False)
    assert (verdict.status, verdict.reason) == ("fail", "conduct")  # its noise is left at level 0
    assert "noise of size" in verdict.findings[0]
    for grid in verdict.noise["grids"].values():
        assert grid["covariance"]["order"] == 0 and not grid["mean"]["exact"]
    assert "keeps 95.5 to 99.4 % of the state" in verdict.noise["said"][0]
    assert not verdict.causes
    assert "covariance 0, strong - (1 draw a step, noised anew)" in terminal.table([verdict])


def test_steps_that_become_the_identity_have_no_such_law():
    law = limit_law(run_of(hand.sde_adams))
    assert not law.settles and law.sentences() == ()
    # churn of a fixed sum depends on the number of steps
    assert limit_law(run_of(functools.partial(hand.sde_adams, order=2))).langevin == ()
