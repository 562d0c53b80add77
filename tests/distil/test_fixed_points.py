"""The exact map is a fixed point of each loss that claims it as its limit: on one Gaussian, closed."""

import math

import pytest
import torch

from solvergen.distil.data import world
from solvergen.distil.losses import system
from solvergen.distil.seeds import Draws
from solvergen.distil.students import Average, Consistency, Jump, TrigFlow


def flow(on, x, sigma, sigma_next):
    """The exact flow of one Gaussian between two levels."""
    from solvergen.verify.problems.named import covariances

    values, axes = torch.linalg.eigh(covariances(on.mixture)[0])
    centre = on.mixture.means[0]
    gain = ((values + sigma_next[:, None] ** 2) / (values + sigma[:, None] ** 2)).sqrt()
    return (((x.double() - centre) @ axes) * gain) @ axes.T + centre


class ExactEndpoint(Consistency):
    def forward(self, x, sigma, **extra):
        low = torch.full_like(sigma, self.sigma_min)
        return flow(self.on, x, sigma.double(), low.double())


class ExactJump(Jump):
    def forward(self, x, sigma, sigma_next=None, **extra):
        return flow(self.on, x, sigma.double(), sigma_next.double())


class ExactTrig(TrigFlow):
    def field(self, unit, t, **extra):
        low, wide = math.atan(self.sigma_min / self.sigma_data), t.double()
        state = unit.double() * self.sigma_data / wide.cos()[:, None]
        sigma = self.sigma_data * wide.tan()
        end = flow(self.on, state, sigma, torch.full_like(sigma, self.sigma_min))
        keep = (wide.cos() * (wide - low).cos())[:, None] * state - math.cos(low) * end
        return (keep / ((wide - low).sin()[:, None] * self.sigma_data)).float()


class ExactAverage(Average):
    def velocity(self, x, t, r, **extra):
        t, r = t.double(), r.double()
        state = x.double() / (1 - t)[:, None]
        end = flow(self.on, state, t / (1 - t), r / (1 - r)) * (1 - r)[:, None]
        return (x.double() - end) / (t - r)[:, None]


def built(small, name, made, *changes):
    recipe = small(name, ('mixture = "coupled"', 'mixture = "gaussian"'), *changes)
    found = system(recipe.system)(recipe, world(recipe), 0)
    old = found.student
    found.student = made(old.network, old.sigma_data, old.sigma_min)
    found.student.on = found.world
    found.before(recipe.training["iterations"] - 1)
    return found


def loss_at(found):
    found.student.requires_grad_(False)
    return float(found.loss(Draws(0, 1), 256).mean())


@pytest.mark.parametrize(
    "name, made, changes",
    [
        ("scm", ExactTrig, ()),
        ("mean_flow", ExactAverage, (("apart    = 0.75", "apart = 1.0"),)),
        ("consistency", ExactEndpoint, (("substeps = 5", "substeps = 40"),)),
        ("direct", ExactEndpoint, ()),
        ("flow_map", ExactJump, ()),
        (
            "trajectory",
            ExactJump,
            (("denoising = 1.0", "denoising = 0.0"), ("substeps = 5", "substeps = 40")),
        ),
    ],
)
def test_the_exact_map_is_a_fixed_point(name, made, changes, small):
    """And a map that is off by 5 % of sd is not: its loss is a hundred times as large."""
    found = built(small, name, made, *changes)
    if name == "scm":
        found.share = 1.0
    exact = loss_at(found)

    class Off(made):
        def forward(self, *args, **extra):
            return super().forward(*args, **extra) + 0.05 * self.sigma_data * self.ramp(args[1])

        def field(self, *args, **extra):
            return super().field(*args, **extra) + 0.05 * args[0]

        def velocity(self, *args, **extra):
            return super().velocity(*args, **extra) + 0.05 * args[0]

        @staticmethod
        def ramp(sigma):
            return (sigma / (1 + sigma))[:, None].double()

    wrong = loss_at(built(small, name, Off, *changes))
    assert exact < 2e-4 and exact < 0.01 * wrong, (exact, wrong)


def test_the_target_of_progressive_distillation_is_what_one_step_needs(small):
    """With an exact two-step target, the x0 that is asked for leads one DDIM step there."""
    recipe = small("progressive")
    found = system("progressive")(recipe, world(recipe), 0)
    found.before(0)
    x, t, end = found.data.states[0, :8], found.grid[0], found.grid[2]
    goal, share = found.data.states[2, :8], end / t
    wanted = (goal - share * x) / (1 - share)
    stepped = x + (1 - share) * (wanted - x)
    assert float((stepped - goal).abs().max()) < 1e-4
