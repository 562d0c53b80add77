"""Grids that rise: noise brings the state up to the new level, whatever the schedule."""

import mpmath
import pytest
import torch

from solvergen.derive import derive
from solvergen.errors import DeriveError
from solvergen.grids import restarted
from solvergen.program.unroll import unroll
from solvergen.spec import parse_solver

LEVELS = [10.0, 4.0, 1.5, 0.6, 0.2, 0.0]


@pytest.fixture(scope="module")
def heun(sampler):
    body = (
        'name = "rising"\nintegrand = "noise"\ncoordinate = "clock"\n'
        '[noise]\nform = "explicit"\njumps = true\n'
        '[[stage]]\nname = "end"\nat = "1"\nrule = "interpolate"\nnodes = ["n"]\n'
        '[step]\nrule = "interpolate"\nnodes = ["n", "end"]'
    )
    return sampler(parse_solver(body))


def repeated(x):
    """Draws that do not depend on levels or scaling."""
    serial = iter(range(100))
    places = torch.arange(x.numel()).view(x.shape)
    return lambda sigma, sigma_next: torch.cos((1 + next(serial)) * places + 0.3).to(x)


def test_a_run_with_jumps_is_its_parts_with_noise_between(heun, mixture):
    grid = torch.tensor(restarted(LEVELS, [(3, 2, 0.6, 4.0)]), dtype=torch.float64)
    rises = [k for k in range(len(grid) - 1) if grid[k + 1] > grid[k]]
    assert len(rises) == 2
    x = torch.tensor([[7.0, -3.0], [1.0, 9.0]], dtype=torch.float64)
    draws = repeated(x)

    def draw(a, b):
        return draws(a, b)

    found = heun.sample(mixture, x, grid, noise_sampler=draw)
    draws, state, begin = repeated(x), x, 0
    for rise in rises:
        state = heun.sample(mixture, state, grid[begin : rise + 1])
        spread = (grid[rise + 1] ** 2 - grid[rise] ** 2).sqrt()
        state, begin = state + spread * draws(grid[rise], grid[rise + 1]), rise + 1
    state = heun.sample(mixture, state, grid[begin:])
    assert (found - state).abs().max() < 1e-12


@pytest.mark.parametrize("schedule", ["vp", "flow"])
def test_other_schedules_jump_alike(heun, mixture, schedule):
    grid = torch.tensor(restarted(LEVELS, [(3, 1, 0.6, 4.0)]), dtype=torch.float64)
    alpha = (1 + grid**2).rsqrt() if schedule == "vp" else 1 / (1 + grid)
    x = torch.tensor([[7.0, -3.0]], dtype=torch.float64)

    def model(y, s):
        a = (1 - s**2).sqrt() if schedule == "vp" else 1 - s
        return mixture(y / a[:, None], s / a)

    found = heun.sample(model, x * alpha[0], grid * alpha, alphas=alpha, noise_sampler=repeated(x))
    wanted = heun.sample(mixture, x, grid, noise_sampler=repeated(x))
    assert (found / alpha[-1] - wanted).abs().max() < 1e-11


SCALED = (
    'name = "scaled"\nintegrand = "noise"\ncoordinate = "clock"\n'
    "[parameters]\ns_noise = { default = 2 }\n"
    '[noise]\nform = "explicit"\njumps = true\nscale = "SCALE"\n'
    '[step]\nrule = "interpolate"\nnodes = ["n"]'
)


def test_the_noise_of_a_jump_has_the_scale_of_the_spec(sampler):
    solver = parse_solver(SCALED.replace("SCALE", "3*s_noise"))
    levels = [4.0, 1.0, 2.0, 0.5]
    x = torch.zeros(1, 2, dtype=torch.float64)
    options = {"noise_sampler": lambda *_: torch.ones_like(x), "s_noise": 5.0}
    found = sampler(solver).sample(lambda x, sigma: x, x, levels, **options)
    assert float(found[0, 0]) == pytest.approx(15 * 3**0.5, rel=1e-14)
    meant = unroll(derive(solver), [-mpmath.log(level) for level in levels], {"s_noise": 5})
    assert float(abs(meant.calls[1].noise[0])) == pytest.approx(15 * 3**0.5, rel=1e-14)


def test_the_scale_of_a_jump_is_that_of_no_step():
    with pytest.raises(DeriveError, match="the noise scale of a jump cannot use h"):
        derive(parse_solver(SCALED.replace("SCALE", "h")))


@pytest.mark.parametrize(
    "grid", [[4.0, 1.0, 5.0, 0.5], [4.0, 1.0, 2.0], [4.0, 4.0, 1.0], [4.0, 1.0, 1.0, 0.5]]
)
def test_jumps_beyond_the_grid_are_refused(heun, mixture, grid):
    with pytest.raises(ValueError, match=r"may rise up to its first value.*sigmas\[0\] = 4.0"):
        heun.sample(mixture, torch.zeros(1, 2, dtype=torch.float64), grid)
