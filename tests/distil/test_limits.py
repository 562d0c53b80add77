"""What recipes converge to, against the tables of the study, without training."""

import math

import numpy as np
import pytest
import torch

from solvergen.distil import teacher
from solvergen.distil.data import World, named_mixture, spread, world
from solvergen.distil.limits import (
    cheapest_teacher,
    exact_flow,
    geometric_median,
    limits,
    sobol_starts,
    teacher_error,
)
from solvergen.distil.line import line_crookedness, line_limit
from solvergen.distil.recipe import grid_of, read_recipe

LEVELS = {"rule": "karras", "sigma_min": 0.002, "sigma_max": 80.0, "rho": 7.0}


def seen(name):
    mixture = named_mixture(name)
    return World(name, mixture, None, None, 0, spread(mixture), mixture.dimension)


@pytest.mark.parametrize(
    "solver, steps, percent",
    [("ddim", 18, 11.5), ("heun_edm", 18, 3.66), ("dpmpp_2s", 18, 1.63), ("dpmpp_2m", 40, 0.77)],
)
def test_teachers_on_the_coupled_mixture(solver, steps, percent):
    grid = grid_of({**LEVELS, "n": steps}, 1)
    found = teacher_error(teacher.solver_named(solver), seen("coupled"), grid, 512)
    assert 100 * found.rms == pytest.approx(percent, rel=0.02)
    assert found.flips < 0.1 and found.rms_kept <= found.rms


@pytest.mark.parametrize("solver", ["ddim", "heun_edm", "dpmpp_2s"])
def test_the_limit_of_distillation_is_the_solver_s_own_run(solver):
    """f(x, t_n) = the n remaining steps: from any state of the bank the same end, to rounding."""
    on, module = seen("coupled"), teacher.solver_named(solver)
    grid = grid_of({**LEVELS, "n": 12}, 1)
    start = sobol_starts(on, 64, 80.0)
    states = teacher.run(module, on.mixture.model(), start, grid)
    for n in (1, 5, 11):
        rest = teacher.run(module, on.mixture.model(), states[n], grid[n:])[-1]
        assert float((rest - states[-1]).abs().max()) < 1e-12


def line():
    on = seen("oracle")
    start = sobol_starts(on, 512, 80.0)
    return on, start[:, 0].numpy(), exact_flow(on, start, 80.0, 0.002)[:, 0].numpy()


@pytest.mark.parametrize(
    "levels, c, percent",
    [(4, math.inf, 55.5), (18, math.inf, 19.5), (40, math.inf, 11.5), (18, 0.3, 17.9)],
)
def test_the_limit_of_consistency_training_on_the_line(levels, c, percent):
    on, x, exact = line()
    limit = line_limit(on.mixture, grid_of({**LEVELS, "n": levels}, 1)[::-1], c)
    gap = limit(x, levels) - exact
    assert 100 * np.sqrt((gap**2).mean()) / on.sd == pytest.approx(percent, rel=0.02)


def test_on_one_gaussian_the_metric_does_not_matter():
    from solvergen.verify.problems.mixture import GaussianMixture

    one = GaussianMixture([1.0], [[0.4]], std=[0.7])
    grid = grid_of({**LEVELS, "n": 12}, 1)[::-1]
    x = np.linspace(-150.0, 150.0, 31)
    squared = line_limit(one, grid)(x, 12)
    assert np.abs(line_limit(one, grid, 0.3)(x, 12) - squared).max() < 1e-4
    assert np.abs(line_limit(one, grid, 0.03)(x, 12) - squared).max() < 1e-3


def test_the_second_rectified_flow_is_straight_on_the_line():
    on, _, _ = line()
    start = sobol_starts(on, 4096, 80.0)
    grid = grid_of({**LEVELS, "n": 40}, 1)
    end = teacher.run(teacher.solver_named("dpmpp_2m"), on.mixture.model(), start, grid)[-1]
    assert line_crookedness(start[:, 0].numpy(), end[:, 0].numpy(), 80.0, 0.002) < 1e-3


def test_the_cheapest_teacher_is_below_what_is_asked():
    recipe = read_recipe("consistency")
    found = cheapest_teacher(seen("coupled"), recipe, 0.05)
    assert found is not None and found.rms <= 0.05 and found.calls <= 20


def test_a_teacher_worse_than_the_claim_is_refused(small):
    recipe = small("consistency", ("substeps = 5", "substeps = 1"))
    assert "above the claim of 2.50%" in limits(recipe, full=False).refused
    assert not limits(read_recipe("consistency"), full=False).refused


def test_a_biased_metric_is_told(small):
    recipe = small(
        "improved_consistency_training", ('metric   = "l2"', 'metric = "pseudo-huber"\nc = 0.0005')
    )
    found = limits(recipe)
    assert any("follows the posterior's median" in one for one in found.warnings)
    assert 0.05 < max(row["median"] for row in found.bias) < 0.35
    assert world(recipe).sd > 0.5


def test_the_geometric_median_of_a_triangle():
    """Fermat's point of an isosceles right triangle."""
    points = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    at = (3 - math.sqrt(3)) / 6
    assert geometric_median(points)[0].tolist() == pytest.approx([at, at], abs=1e-3)
