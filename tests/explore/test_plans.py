"""Plans for the browser are what the emitted files do."""

import importlib

import numpy as np
import pytest
import torch

from solvergen.errors import SolvergenError
from solvergen.explore import figures
from solvergen.explore.plans import plan
from verify.problems.mixture import oracle_mixture

LEVELS = figures.grids()["Karras, ρ = 7"](7)
NAMES = ("ddim", "unipc_3_bh2", "heun_edm", "dpm_solver_3", "flow_heun", "rk4_clock", "ipndm4")


def module(name):
    return importlib.import_module(f"generated.{name}")


def followed(made, x, model, draws=()):
    """What a page does with a plan."""
    states, outputs = [x], []
    for sigma, (base, factor, *terms) in zip(made["at"], made["rows"], strict=False):
        denoised = model(states[-1], torch.full((len(x),), float(sigma), dtype=x.dtype))
        outputs.append(denoised if made["of"] == "data" else (states[-1] - denoised) / float(sigma))
        state = factor * states[base]
        for index, weight in zip(terms[::2], terms[1::2], strict=True):
            state = state + weight * (outputs[index] if index >= 0 else draws[-index - 1])
        states.append(state)
    return states[-1]


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_ends_where_the_sampler_ends(name):
    x, model = torch.linspace(-20, 20, 9, dtype=torch.float64)[:, None], oracle_mixture().model()
    end = module(name).sample(model, x, LEVELS)
    found = followed(plan(module(name), LEVELS), x, model)
    assert torch.allclose(found, end, rtol=0, atol=1e-6)


def test_a_plan_with_noise_takes_the_same_draws():
    x, model = torch.linspace(-20, 20, 9, dtype=torch.float64)[:, None], oracle_mixture().model()
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randn(9, 1, generator=generator, dtype=torch.float64) for _ in LEVELS]
    drawn = iter(draws)
    end = module("ddim_eta").sample(model, x, LEVELS, noise_sampler=lambda *_: next(drawn), eta=0.7)
    made = plan(module("ddim_eta"), LEVELS, {"eta": 0.7})
    assert torch.allclose(followed(made, x, model, draws), end, rtol=0, atol=1e-6)


def test_plans_are_short():
    assert max(map(len, plan(module("dpmpp_2m"), LEVELS)["rows"])) == 6  # two outputs a step
    assert max(map(len, plan(module("ipndm4"), LEVELS)["rows"])) == 10


def test_grids_share_their_ends():
    for levels in figures.grids().values():
        for n in (1, 2, 13):
            found = levels(n)
            assert len(found) == n + 1
            assert (found[0], found[-1]) == (figures.SIGMA_MAX, figures.SIGMA_MIN)
            assert (np.diff(found) < 0).all()


def test_a_plain_method_runs_any_ode():
    weights = figures.plain({"rk4_clock": module("rk4_clock")}, 2.0)["rk4_clock"][12]
    slopes, value = [], 1.0
    for row in weights:
        value = 1.0 + sum(w * f for w, f in zip(row[1:], slopes, strict=False))
        slopes.append(-row[0] * value)
    assert abs(value - np.exp(-2.0)) < 3e-5  # y' = -t y from y(0) = 1
    assert abs(value - np.exp(-2.0)) > 1e-9


def test_a_method_whose_weights_depend_on_the_level_is_named():
    with pytest.raises(SolvergenError, match="dpmpp_2m is not a plain method"):
        figures.plain({"dpmpp_2m": module("dpmpp_2m")}, 2.0)
