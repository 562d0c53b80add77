"""Weights on outputs that do not vanish with the step: what the draws leave behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from verify.hosts.functions import adapted
from verify.judge import judge
from verify.noise.impulse_response import impulse_response, lasting_weights, order_of_response
from verify.noise.moments import steps
from verify.noise.strong import laid, strong_parts
from verify.noise.weak import Order, ladder
from verify.targets import find

from . import handwritten_noise as hand

UNKNOWN = Order(None, False, None, "", (), ())


def run_of(sampler, **options):
    return adapted(sampler, "k-diffusion", options)


def test_weights_that_stay_are_read():
    found = lasting_weights(run_of(hand.responding), "uniform")
    wanted = np.asarray([-0.5, 1.0, -0.5, 0.0, 0.0, 0.0])
    assert np.abs(found - wanted).max() < 1e-9
    assert lasting_weights(run_of(hand.sde_adams, order=3), "uniform") is None
    assert lasting_weights(run_of(hand.seeds_2), "uniform") is None


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ({}, 0.5),
        # first differences: every draw leaves a response that stays
        ({"shift": 0.1}, 0),
        # the recursion of nearly flat targets is unstable
        ({"weight": 1.5}, 0),
    ],
)
def test_a_response_that_dies_out_leaves_half_an_order(options, order):
    assert order_of_response(run_of(hand.responding, **options), "uniform", UNKNOWN).order == order


def test_the_response_is_the_error():
    run, c2 = run_of(hand.responding), 0.05
    sizes = []
    for t in ladder(run, "uniform", (256, 512)):
        path = laid(t, steps(t), np.asarray)
        sizes.append(np.hypot(*strong_parts(t, path, c2)) ** 2 * t.drift.steps / 2.8)
    end = float(t.drift.sigmas[-1])
    after = impulse_response(lasting_weights(run, "uniform"), c2 / (c2 + end**2), 0)
    # the mean square is a series in the step
    assert 2 * sizes[1] - sizes[0] == pytest.approx(2 * end**2 * (after**2).sum(), rel=2e-4)


@pytest.mark.nightly
def test_a_verdict_where_refinements_do_not_settle():
    name = "sde_dpmpp_3m_as_shipped_by_diffusers.py"
    (target,) = find(str(Path(__file__).parents[2] / "generated" / name))
    verdict = judge(target, rates=False, conduct=False)
    assert verdict.status == "pass"
    strong = verdict.noise["grids"]["uniform"]["strong"]
    assert strong["order"] == 0.5 and strong["slope"] is None
    assert "an impulse response that dies out" in strong["reason"]


def test_a_response_smaller_than_the_errors_of_refinements_is_found():
    """Left sums of 200 parts miss a 400th of the second difference, whatever the step."""
    name = "er_sde_3_as_shipped_by_comfyui.py"
    (target,) = find(str(Path(__file__).parents[2] / "generated" / name))
    assert np.abs(lasting_weights(target.run, "uniform")).max() == pytest.approx(2 / 400, rel=1e-6)
    grids = judge(target, rates=False, conduct=False).noise["grids"]
    orders = {kind: (g["covariance"]["order"], g["strong"]["order"]) for kind, g in grids.items()}
    assert orders == {"uniform": (1, 0.5), "smooth": (1, 0.5), "arbitrary": (0, 0)}
