"""Conventions of hosts: each written out in its host's manner, each of its own known order."""

from __future__ import annotations

import pytest
import torch

from verify.errors import TargetError
from verify.hosts.functions import convention_of
from verify.judge import judge
from verify.targets import callable_target

from .conftest import needs_diffusers


def edm_heun(
    net, latents, class_labels=None, num_steps=18, sigma_min=0.002, sigma_max=80.0, rho=7.0
):
    """EDM's Algorithm 1: its own grid through round_sigma, zero appended."""
    index = torch.arange(num_steps, dtype=torch.float64)
    ends = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    grid = (ends[0] + index / (num_steps - 1) * (ends[1] - ends[0])) ** rho
    grid = torch.cat([net.round_sigma(grid), torch.zeros(1, dtype=torch.float64)])
    x = latents.to(torch.float64) * grid[0]
    for i in range(num_steps):
        s, t = grid[i], grid[i + 1]
        slope = (x - net(x, s, class_labels)) / s
        ahead = x + (t - s) * slope
        if i < num_steps - 1:
            slope = (slope + (ahead - net(ahead, t, class_labels)) / t) / 2
        x = x + (t - s) * slope
    return x


def edm_euler(net, latents, class_labels=None, num_steps=18, sigma_min=0.002, sigma_max=80.0):
    grid = net.round_sigma(torch.linspace(sigma_max, sigma_min, num_steps, dtype=torch.float64))
    grid = torch.cat([grid, torch.zeros(1, dtype=torch.float64)])
    x = latents * grid[0]
    for i in range(num_steps):
        x = x + (grid[i + 1] - grid[i]) * (x - net(x, grid[i], class_labels)) / grid[i]
    return x


def diff_sampler_euler(net, latents, class_labels=None, num_steps=None, t_steps=None):
    x = latents * t_steps[0]
    for i in range(num_steps - 1):
        x = x + (t_steps[i + 1] - t_steps[i]) * (x - net(x, t_steps[i])) / t_steps[i]
    return x


def flow_midpoint(velocity, x, times):
    for s, t in zip(times[:-1], times[1:], strict=True):  # noqa: RUF007
        half = (s + t) / 2
        x = x + (t - s) * velocity(x + (half - s) * velocity(x, s), half)
    return x


def vp_ddim(noise, x, levels):
    for s, t in zip(levels[:-1], levels[1:], strict=True):  # noqa: RUF007
        alpha, ahead = torch.sqrt(1 - s * s), torch.sqrt(1 - t * t)
        eps = noise(x, s)
        x = ahead * (x - s * eps) / alpha + t * eps
    return x


@pytest.mark.parametrize(
    ("sampler", "convention", "options", "order"),
    [
        (edm_heun, None, {}, 2),
        (edm_euler, None, {}, 1),
        (diff_sampler_euler, None, {}, 1),
        (flow_midpoint, "flow", {"prediction": "velocity"}, 2),
        (vp_ddim, "vp", {"prediction": "noise"}, 1),
    ],
)
def test_conventions(sampler, convention, options, order):
    target = callable_target(sampler, convention=convention, options=options, claim=order)
    verdict = judge(target, grids=("rough",), conduct=False)
    assert verdict.status == "pass", verdict.findings
    assert set(verdict.audited.values()) == {order}
    assert verdict.measured["rough"] == pytest.approx(order, abs=0.1)


def test_velocity_is_recognised_as_the_form():
    target = callable_target(flow_midpoint, convention="flow", options={"prediction": "velocity"})
    assert judge(target, rates=False, conduct=False).audit["form"] == "velocity"


def test_signatures_are_recognised():
    assert convention_of(edm_heun) == "edm"
    assert convention_of(diff_sampler_euler) == "diff-sampler"
    with pytest.raises(TargetError, match="name its convention"):
        convention_of(lambda a, b: None)


def test_a_misdeclared_prediction_is_not_order_one():
    target = callable_target(vp_ddim, convention="vp", options={"prediction": "data"}, claim=1)
    assert judge(target, rates=False, conduct=False).status == "fail"


@needs_diffusers
@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_prediction_types_are_one_method(kind):
    from diffusers.schedulers import DPMSolverMultistepScheduler

    instance = DPMSolverMultistepScheduler(prediction_type=kind)
    verdict = judge(callable_target(instance), rates=False, conduct=False)
    assert set(verdict.audited.values()) == {2}, verdict.findings


@needs_diffusers
def test_schedulers_that_solve_no_ode_say_so():
    from diffusers.schedulers import LCMScheduler

    with pytest.raises(TargetError, match="not a scheduler that integrates"):
        callable_target(LCMScheduler)
