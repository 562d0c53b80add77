"""Samplers that choose their own steps: their rule, the order of their error estimate, the controller."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch

from verify.conduct.adaptive import conduct_of_adaptive
from verify.hosts.adaptive import adaptive
from verify.judge import judge
from verify.probe.adaptive import embedded
from verify.targets import callable_target, find

from . import handwritten as hand
from . import handwritten_odd as odd
from .conftest import needs_k_diffusion

GENERATED = Path(__file__).parents[2] / "generated"


def heun_euler(
    model, x, sigma_min, sigma_max, disable=None, rtol=1e-2, atol=1e-3, h_init=0.1, power=-0.5
):
    """Heun in λ whose error is its distance from Euler; `power` is that of the controller."""
    now, end, h = -math.log(sigma_max), -math.log(sigma_min), h_init

    def slope(x, lam):
        return model(x, math.exp(-lam) * x.new_ones(len(x))) - x

    while end - now > 1e-12:
        h = min(h, end - now)
        first = slope(x, now)
        low = x + h * first
        high = x + h / 2 * (first + slope(low, now + h))
        bound = torch.maximum(rtol * torch.maximum(low.abs(), x.abs()), torch.tensor(atol))
        error = float(((high - low) / bound).square().mean().sqrt())
        if error <= 1:
            x, now = high, now + h
        h *= 0.9 * max(error, 1e-12) ** power
    return x


def halved(model, x, sigmas, bound=1e-3):
    """Heun on the caller's grid; an interval is halved where Euler is too far away."""
    for s, t in itertools.pairwise(sigmas):
        made = hand.heun(model, x, torch.stack([s, t]))
        slope = (x - model(x, s * x.new_ones(len(x)))) / s
        if float((made - x - (t - s) * slope).abs().max()) > bound:
            made = hand.heun(model, x, torch.stack([s, (s * t) ** 0.5, t]))
        x = made
    return x


@pytest.mark.parametrize(("power", "balanced"), [(-0.5, True), (-1.0, False)])
def test_the_estimate_and_the_controller_are_read_from_steps(power, balanced):
    pair = embedded(adaptive(heun_euler, {"power": power}))
    assert (pair.order, pair.balanced) == (1, balanced)
    assert pair.power == pytest.approx(power, abs=1e-3)
    assert ("needs -0.5" in pair.sentence()) is not balanced


def test_a_sampler_that_chooses_its_steps_has_the_order_of_its_rule():
    verdict = judge(callable_target(heun_euler, claim=2), rates=False)
    assert verdict.status == "pass" and set(verdict.audited.values()) == {2}
    assert verdict.adaptive["order"] == 1 and "tolerance" in verdict.conduct["held"]
    assert any("steps are chosen for the whole batch" in text for text in verdict.findings)


def test_tolerances_that_do_nothing_are_refuted():
    def deaf(model, x, sigma_min, sigma_max, disable=None, rtol=1e-2, atol=1e-3):
        levels = torch.linspace(math.log(sigma_max), math.log(sigma_min), 9).double().exp()
        return hand.ddim(model, x, levels)

    (breach,) = conduct_of_adaptive(adaptive(deaf, {})).breaches
    assert breach.check == "tolerance" and "the power 0 of" in breach.text


def test_intervals_of_the_callers_grid_that_are_divided_have_an_estimate_too():
    assert embedded(halved).order == 1
    assert embedded(odd.clamped).order is None


@pytest.mark.parametrize(
    ("name", "order"),
    [("dpm_adaptive_12", 1), ("bogacki_shampine_adaptive", 2), ("dormand_prince_adaptive", 4)],
)
def test_emitted_files_estimate_their_error_and_follow_it(name, order):
    (target,) = find(str(GENERATED / f"{name}.py"))
    pair = embedded(target.adaptive)
    assert (pair.order, pair.balanced) == (order, True)


@needs_k_diffusion
@pytest.mark.parametrize("order", [2, 3])
def test_dpm_adaptive_of_k_diffusion(order):
    (target,) = find("k_diffusion.sampling:sample_dpm_adaptive", {"order": order})
    pair = embedded(target.adaptive)
    assert pair.order == order - 1 and pair.power == pytest.approx(-1 / order, abs=1e-3)
