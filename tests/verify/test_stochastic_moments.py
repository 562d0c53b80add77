"""Noise traced by one-hot runs, and exact weak errors on Gaussians from the traced weights."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
import torch

from verify.hosts.functions import adapted
from verify.noise.moments import states, steps
from verify.noise.weak import ladder, weak
from verify.probe.noise_trace import silenced, trace_noise
from verify.probe.trace import trace
from verify.problems import grids

from . import handwritten as plain
from . import handwritten_noise as hand
from .conftest import needs_k_diffusion


def run_of(sampler, **options):
    return adapted(functools.partial(sampler), "k-diffusion", options)


def found(sampler, kind="uniform", **options):
    return weak(ladder(run_of(sampler, **options), kind))


def test_weights_of_draws_are_those_of_the_formula():
    sigmas = np.asarray([2.0, 1.0, 0.4])
    made = trace_noise(run_of(hand.sde_adams), sigmas)
    kick = [1.0 * math.sqrt(1 - 0.25), 0.4 * math.sqrt(1 - 0.16)]
    expected = [[0, 0], [kick[0], 0], [0.16 * kick[0], kick[1]]]
    assert np.allclose(made.weights, expected, atol=1e-15)
    assert np.allclose(made.drift.weights, [[0, 0], [0.75, 0], [0.12, 0.84]], atol=1e-13)
    assert [d.levels for d in made.draws] == [(2.0, 1.0), (1.0, 0.4)]
    assert made.drift.bend < 1e-14


def test_draws_of_torch_are_met_wherever_they_are_made():
    ways = [
        torch.randn_like,
        lambda x: torch.randn(x.shape, generator=torch.Generator(), dtype=x.dtype),
        lambda x: torch.empty_like(x).normal_(),
        lambda x: torch.normal(torch.zeros_like(x), 2 * torch.ones_like(x)),
    ]

    def own(model, x, sigmas):
        ones = x.new_ones(len(x))
        for k, (s, t) in enumerate(itertools.pairwise(sigmas)):
            x = t / s * x + (1 - t / s) * model(x, s * ones)
            x = x + ways[k](x)
        return x

    made = trace_noise(own, np.asarray([2.0, 1.0, 0.5, 0.25, 0.125]))
    assert np.allclose(made.weights[-1], [0.125, 0.25, 0.5, 2.0], atol=1e-15)
    assert not made.draws[0].levels


def test_a_shared_draw_is_one_column():
    sigmas = grids.uniform(4)
    shared = trace_noise(run_of(hand.sde_pec), sigmas)
    apart = trace_noise(run_of(hand.sde_pec, shared=False), sigmas)
    assert len(shared.draws) == 4 and len(apart.draws) == 7


@needs_k_diffusion
def test_draws_of_a_brownian_tree_share_their_path():
    from verify.targets import find

    (target,) = find("k_diffusion.sampling:sample_dpmpp_sde")
    made = trace_noise(target.run, np.asarray([2.0, 0.5]))
    # the stage's interval [1, 2] is two thirds of the step's [0.5, 2]
    gram = made.mix @ made.mix.T
    assert np.allclose(gram, [[1, math.sqrt(2 / 3)], [math.sqrt(2 / 3), 1]], atol=1e-9)


def test_no_noise_leaves_the_deterministic_trace():
    sigmas = grids.rough(9)
    made, old = trace_noise(plain.heun, sigmas), trace(plain.heun, sigmas)
    assert not made.noisy
    assert np.array_equal(made.drift.weights, old.weights)
    quiet = trace(silenced(run_of(hand.sde_adams)), sigmas)
    assert np.allclose(quiet.weights, trace_noise(run_of(hand.sde_adams), sigmas).drift.weights)


def test_moments_are_those_of_the_recursion():
    sigmas, c2 = grids.rough(6), 0.7
    mean, variance = 1.3, c2 + sigmas[0] ** 2
    for s, t in itertools.pairwise(sigmas):
        a = (t / s) ** 2
        factor = a + (1 - a) * c2 / (c2 + s**2)
        mean, variance = factor * mean, factor**2 * variance + t**2 * (1 - a)
    made = states(trace_noise(run_of(hand.sde_adams), sigmas), c2)
    assert made.start[-1] * 1.3 == pytest.approx(mean, rel=1e-13)
    assert made.covariance(np.asarray([-1]), c2 + sigmas[0] ** 2)[0] == pytest.approx(
        variance, rel=1e-13
    )


def test_strength_is_read_from_the_noise():
    cut = steps(trace_noise(run_of(hand.sde_adams, tau=0.4), grids.rough(6)))
    assert np.allclose(cut.strength[1:], 0.16 * np.diff(-np.log(grids.rough(6))), rtol=1e-12)
    assert cut.strength[0] == 0


EXACT, FULL = "exact", True


@pytest.mark.parametrize("kind", ["uniform", "smooth", "arbitrary"])
@pytest.mark.parametrize(
    ("sampler", "options", "mean", "covariance"),
    [
        (hand.sde_adams, {"order": 1}, EXACT, "1"),
        (hand.sde_adams, {"order": 2}, EXACT, "2"),
        (hand.sde_adams, {"order": 2, "tau": 0.4}, "2", "2"),
        (hand.ddim_eta, {"eta": 1.0}, EXACT, "1"),
        (hand.ddim_eta, {"eta": 0.5}, "1", "1"),
        (hand.euler_maruyama, {}, "1", "1"),
        # variance that a coarse step reads as much more than full strength
        (hand.reverse_diffusion, {}, EXACT, "1"),
        (hand.seeds_2, {}, EXACT, "2"),
        (hand.churned_heun, {}, "1", "2"),
    ],
)
def test_mean_and_covariance_orders(sampler, options, mean, covariance, kind):
    made = found(sampler, kind, **options)
    assert (made.mean.said(), made.covariance.said()) == (mean, covariance)


@pytest.mark.parametrize(("scale", "mean"), [(1.0, 1), (0.95, 0)])
def test_steps_that_add_more_than_their_ends_variance_do_not_spoil_the_strength(scale, mean):
    made = ladder(run_of(hand.sde_noise, scale=scale), "arbitrary")
    # at the coarsest steps the logarithm of what is left has no value
    assert steps(made[0]).added.max() > 0.5
    found = weak(made)
    assert found.strength == pytest.approx([(1.5 * scale) ** 2] * 4, abs=1e-4)
    assert found.mean.order == mean and found.covariance.order == mean


def test_full_strength_keeps_the_martingale():
    assert found(hand.sde_adams, order=2).martingale is True
    assert found(hand.euler_maruyama).martingale is None
    assert found(hand.sde_adams, tau=0.5).martingale is None


def test_noise_off_by_one_percent_leaves_no_order():
    made = found(hand.sde_adams, order=2, scale=1.01)
    assert made.covariance.order == 0 and made.strength[0] == pytest.approx(1.0201, abs=3e-3)


def test_noising_anew_has_no_strength():
    made = found(hand.renoise)
    assert "no limit" in made.mean.reason and made.covariance.order == 0
