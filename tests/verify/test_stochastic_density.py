"""Densities carried over a mixture, and one Brownian path for every number of steps."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from verify.errors import ConductError
from verify.hosts.functions import adapted
from verify.noise.brownian import BrownianPath, gaps, on_path
from verify.noise.density import final_density, marginal, rules, weak_errors
from verify.noise.moments import states
from verify.noise.weak import measured
from verify.probe.noise_trace import trace_noise
from verify.problems import grids
from verify.problems.mixture import GaussianMixture, oracle_mixture
from verify.rates import measure

from . import handwritten_noise as hand

ORACLE = {
    entry["id"]: entry
    for entry in json.loads(
        (Path(__file__).parents[1] / "data" / "order_oracle.json").read_text(encoding="utf-8")
    )["sde_methods"]
}
COUNTS = (8, 12, 16, 24)


def run_of(sampler, **options):
    return adapted(sampler, "k-diffusion", options)


def mixture_order(run, grid, counts=COUNTS):
    vectors = [weak_errors(trace_noise(run, grid(n))) for n in counts]
    return measured(counts, vectors, 2.0**-52)


@pytest.mark.parametrize("grid", [grids.uniform, grids.rough])
def test_first_order_on_a_mixture(grid):
    entry = ORACLE["sde_dpmpp_1 = ddpm_ancestral = ddim_eta1 = sa_predictor_1(tau=1)"]
    found = mixture_order(run_of(hand.sde_adams), grid, (16, 24, 32, 48, 64))
    assert found.order == entry["weak_order_mixture"]


@pytest.mark.nightly
def test_second_order_on_a_mixture():
    entry = ORACLE["sde_dpmpp_2m midpoint/heun"]
    found = mixture_order(run_of(hand.sde_adams, order=2), grids.uniform)
    assert found.order == entry["weak_order_mixture"]


@pytest.mark.parametrize(("order", "exact"), [(1, 1e-12), (2, 1e-10)])
def test_on_one_component_densities_agree_with_moments(order, exact):
    mixture = GaussianMixture([1.0], [[0.4]], std=[0.7])
    made = trace_noise(run_of(hand.sde_adams, order=order), grids.uniform(10))
    z, density = final_density(made, mixture)
    step = z[1] - z[0]
    solved = states(made, 0.49)
    first = 0.49 + grids.uniform(10)[0] ** 2
    mean = 0.4 * (solved.start[-1] + solved.target[-1])
    variance = solved.covariance(np.asarray([-1]), first)[0]
    assert density.sum() * step == pytest.approx(1.0, abs=exact)
    assert (z * density).sum() * step == pytest.approx(mean, abs=exact)
    assert ((z - mean) ** 2 * density).sum() * step == pytest.approx(variance, abs=exact)


def test_the_marginal_is_a_density():
    z = np.linspace(-12, 12, 4001)
    assert marginal(oracle_mixture(), z, 0.5).sum() * (z[1] - z[0]) == pytest.approx(1, abs=1e-13)


def test_what_no_density_can_carry_is_refused():
    with pytest.raises(ConductError, match="one call a step"):
        rules(trace_noise(run_of(hand.seeds_2), grids.uniform(4)))
    with pytest.raises(ConductError, match="one earlier output"):
        rules(trace_noise(run_of(hand.sde_adams, order=3), grids.uniform(6)))
    with pytest.raises(ConductError, match="points of a density"):
        weak_errors(trace_noise(run_of(hand.sde_adams, tau=0.001), grids.uniform(6)))


def path_of(tau2=0.49, cells=24, shape=(8, 1, 1, 1)):
    return BrownianPath(shape, np.linspace(*grids.LAMBDA, cells + 1), tau2)


def test_draws_of_a_path_have_unit_variance_and_compose():
    path = path_of()
    a, b, c = np.exp(-path.edges[[2, 9, 21]])
    assert np.linalg.norm(path.composition(a, c)[0]) == pytest.approx(1.0, abs=1e-15)
    like = torch.zeros(8, dtype=torch.float64)
    one, two, both = (path.answer(like, pair) for pair in ((a, b), (b, c), (a, c)))
    h1, h2 = math.log(a / b), math.log(b / c)
    left = math.exp(-0.49 * h2) * math.sqrt(-math.expm1(-0.98 * h1))
    right = math.sqrt(-math.expm1(-0.98 * h2))
    whole = math.sqrt(-math.expm1(-0.98 * (h1 + h2)))
    assert torch.allclose(whole * both, left * one + right * two, atol=1e-14, rtol=0)


def test_a_run_on_a_path_is_the_traced_weights_times_its_draws():
    task = measure.problem("oracle")
    gaussian = measure.Problem(
        "one", GaussianMixture([1.0], [[0.0]], std=[0.8]), task.lam, task.start, task.exact
    )
    sigmas = grids.uniform(6)
    run = run_of(hand.seeds_2, tau=0.7)
    made = trace_noise(run, sigmas)
    path = path_of()
    solved = states(made, 0.64, made.weights)
    like = torch.zeros(8, dtype=torch.float64)
    drawn = np.stack([path.answer(like, d.levels).reshape(-1).numpy() for d in made.draws])
    expected = solved.start[-1] * task.start[:, 0] + solved.noise[-1] @ drawn
    assert np.allclose(on_path(run, gaussian, sigmas, path)[:, 0], expected, atol=1e-13)


def test_a_path_is_a_function_of_its_seed_and_gaps_shrink():
    task = measure.problem("coupled")
    made = [gaps(run_of(hand.sde_adams, tau=0.7), task, (8, 32, 128), tau2=0.49) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0][0] > made[0][1] > made[0][2]


def test_draws_off_the_path_are_refused():
    path, like = path_of(), torch.zeros(8, dtype=torch.float64)
    with pytest.raises(ConductError, match="not on the fine grid"):
        path.answer(like, (2.0, 1.0))
    with pytest.raises(ConductError, match="which part of the path"):
        path.answer(like)
