"""Weights that depend on the whole grid: order conditions must not vouch for them."""

from __future__ import annotations

import itertools

import pytest
import torch

from verify.audit import audit
from verify.judge import judge
from verify.targets import callable_target

from . import handwritten as hand


def offset(model, x, sigmas):
    """DDIM whose outputs are scaled by a factor of the first level: not even consistent."""
    for s, t in itertools.pairwise(sigmas):
        d = model(x, s * x.new_ones(len(x))) * (1 + 0.1 * (1 - s / sigmas[0]))
        x = t / s * x + (1 - t / s) * d
    return x


def _multistep(model, x, sigmas, gate=None, stale=False):
    old = last = None
    for s, t in itertools.pairwise(sigmas):
        d = model(x, s * x.new_ones(len(x)))
        h = torch.log(s / t)
        slope = 0 if old is None else (d - old) * h / last
        x = t / s * x - torch.expm1(-h) * (d + 0.5 * (gate(s, sigmas) if gate else 1) * slope)
        old = d
        last = h if last is None or not stale else last
    return x


def gated(model, x, sigmas):
    """2M whose history fades with sigma / sigma_max: order one."""
    return _multistep(model, x, sigmas, gate=lambda s, sigmas: s / sigmas[0])


def counted(model, x, sigmas):
    """2M whose history depends on the number of steps."""
    return _multistep(model, x, sigmas, gate=lambda s, sigmas: 1 - 1 / len(sigmas))


def stale(model, x, sigmas):
    """2M that keeps the first step for all its ratios."""
    return _multistep(model, x, sigmas, stale=True)


@pytest.mark.parametrize("sampler", [offset, gated, counted, stale])
def test_the_audit_does_not_vouch_for_them(sampler):
    found = audit(sampler)
    assert (found.status, found.grids) == ("nonlocal", {})
    assert "depend on the whole grid" in found.message
    verdict = judge(callable_target(sampler, claim=1), rates=False)
    assert (verdict.status, verdict.reason) == ("error", "nonlocal")
    assert "could not be judged" in verdict.findings[0]


@pytest.mark.parametrize(("sampler", "claim"), [(gated, 2), (stale, 2)])
def test_measured_rates_decide(sampler, claim):
    verdict = judge(callable_target(sampler, claim=claim), grids=("karras",))
    assert verdict.status == "fail" and abs(verdict.measured["karras"] - 1) < 0.2
    assert judge(callable_target(sampler, claim=1), grids=("karras",)).status == "pass"


def test_an_error_that_stays_is_no_pass():
    verdict = judge(callable_target(offset, claim=1), grids=("uniform",))
    assert verdict.status == "error"
    assert "does not tend to zero" in verdict.findings[0]


@pytest.mark.parametrize(
    "sampler", [hand.ddim, hand.multistep, hand.heun, hand.frozen_adams, hand.predictor_corrector]
)
def test_local_samplers_stay_so(sampler):
    assert audit(sampler).status == "ok"
