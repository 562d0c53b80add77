"""What samplers that draw noise refuse: parameters, draws and paths that do not fit."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from solvergen import gallery
from solvergen.derive import derive
from solvergen.hosts.brownian import BrownianPath, data_clock, noise_clock
from solvergen.hosts.runs import walk
from tests.generated.shapes import with_parameters

LEVELS = [14.0, 5.0, 2.0, 0.5, 0.1, 0.0]
NAMES = with_parameters()
EDGES = {"s_tmin", "s_tmax", "low", "high"}


def x_of(dtype=torch.float64):
    return torch.linspace(-9, 9, 6).reshape(3, 2).to(dtype)


def denoise(x, sigma):
    return x / (1 + sigma[:, None] ** 2)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_that_are_no_numbers_are_refused(name, committed):
    module, found = committed(name), gallery.load(name).parameters
    for parameter, per in [(p.name, p.per) for p in found]:
        infinite = [] if parameter in EDGES else [math.inf, -math.inf]
        for wrong in (None, math.nan, "1", 1j, [0.5], 10**400, *infinite):
            said = rf"{parameter}(\[0\])? must be a finite number; got"
            if per and isinstance(wrong, list):
                said = f"{parameter} holds 1 numbers"
            with pytest.raises(ValueError, match=said):
                module.coefficients(LEVELS, **{parameter: wrong})


def test_numbers_of_other_kinds_are_accepted(committed):
    """They are float64 in all weights."""
    plans = [
        committed("sa_solver_sde_p2").coefficients(LEVELS, tau=tau)
        for tau in (0.5, Fraction(1, 2), np.float32(0.5), torch.tensor(0.5))
    ]
    shown = [[float(w) for row in plan for w in row[3]] for plan in plans]
    assert shown[0] == shown[1] == shown[2] == shown[3]


@pytest.mark.parametrize("name", ["heun_churn", "sa_solver_sde_p2"])
def test_a_window_may_have_no_upper_end(name, committed):
    high = {"heun_churn": "s_tmax", "sa_solver_sde_p2": "high"}[name]
    options = {"s_churn": 3.0} if name == "heun_churn" else {}
    wide, plain = (
        committed(name).coefficients(LEVELS, **options, **edge) for edge in ({high: math.inf}, {})
    )
    assert [float(w) for row in wide for w in row[3]] == [float(w) for row in plain for w in row[3]]


def poisoned(x, at, value=math.nan):
    """Draws of which one holds a value that no draw has."""
    count = iter(range(1000))

    def draw(*levels):
        noise = torch.full_like(x, 0.5)
        noise[-1, -1] = value if next(count) == at else 0.5
        return noise

    return draw


RUNS = {
    "sample": lambda module, x, draw, **o: module.sample(
        denoise, x, LEVELS, noise_sampler=draw, **o
    ),
    "walk": lambda module, x, draw, **o: (
        [*walk(module, denoise, x, LEVELS, noise_sampler=draw, **o)][-1].x
    ),
}


@pytest.mark.parametrize("way", RUNS)
@pytest.mark.parametrize(
    ("name", "options", "draws"),
    [("sde_dpmpp_1", {}, 1), ("seeds_2", {}, 2), ("heun_churn", {"s_churn": 3.0}, 1)],
)
def test_wrong_draws_are_refused_in_the_first_step(way, name, options, draws, committed):
    x, module = x_of(), committed(name)
    for at in range(draws):
        for value in (math.nan, math.inf):
            with pytest.raises(ValueError, match="NaN or infinity in the first step"):
                RUNS[way](module, x, poisoned(x, at, value), **options)
    # Later draws are not looked at; what the model makes of them is, by its call.
    with pytest.raises(ValueError, match="NaN at call .*which it was given, is not finite either"):
        RUNS[way](module, x, poisoned(x, draws), **options)


@pytest.mark.parametrize("way", RUNS)
def test_draws_of_another_kind_are_refused(way, committed):
    module = committed("sde_dpmpp_1")
    for other in (torch.float64, torch.float16, torch.int64):
        with pytest.raises(
            ValueError, match=r"must return torch.float32 on cpu; found torch.\w+ on"
        ):
            RUNS[way](module, x_of(torch.float32), lambda *_: torch.ones(3, 2, dtype=other))  # noqa: B023
    with pytest.raises(ValueError, match="found torch.float64 on meta"):
        RUNS[way](module, x_of(), lambda *_: torch.ones(3, 2, dtype=torch.float64, device="meta"))
    with pytest.raises(ValueError, match=r"must return shape \(3, 2\); found \(3,\)"):
        RUNS[way](module, x_of(), lambda *_: torch.ones(3, dtype=torch.float64))
    with pytest.raises(ValueError, match="found NoneType"):
        RUNS[way](module, x_of(), lambda *_: None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_halves_may_draw_as_they_are_and_as_they_step(dtype, committed):
    found = RUNS["sample"](
        committed("sde_dpmpp_1"),
        x_of(torch.float16),
        lambda *_: torch.full((3, 2), 0.5, dtype=dtype),
    )
    assert found.dtype == torch.float16 and found.isfinite().all()


@pytest.mark.parametrize(
    ("name", "options", "clock", "said"),
    [
        (
            "sa_solver_sde_p2",
            {"tau": 0.5},
            data_clock(1.0),
            "data prediction, strength 1.0; .* 0.5",
        ),
        (
            "sa_solver_sde_p2",
            {},
            noise_clock,
            "noise prediction; this run is for data prediction",
        ),
        ("sde_dpm_solver_2m", {}, data_clock(1.0), "data prediction, .* for noise prediction"),
        ("dpmpp_2m_sde", {"eta": 4.0}, data_clock(1.0), "strength 2.0: give the path that clock"),
        ("sa_solver_sde_p2", {"tau": 0.5}, data_clock(0.5), ""),
        ("sa_solver_sde_p2", {"tau": 0.5}, float, ""),
        ("sa_solver_sde_p2", {"tau": 0.0}, data_clock(1.0), ""),
        ("sde_dpm_solver_2m", {}, noise_clock, ""),
        ("dpmpp_2m_sde", {"eta": 4.0}, data_clock(2.0), ""),
        ("euler_ancestral", {"eta": 0.5}, data_clock(1.0), ""),
    ],
)
def test_a_path_of_another_equation_is_refused(name, options, clock, said, committed):
    x = x_of()
    path = BrownianPath(x, [1, 2, 3], clock)
    if not said:
        assert (
            committed(name)
            .sample(denoise, x, LEVELS, noise_sampler=path, **options)
            .isfinite()
            .all()
        )
        return
    with pytest.raises(ValueError, match=f"Brownian path for .*{said}"):
        committed(name).sample(denoise, x, LEVELS, noise_sampler=path, **options)


@pytest.mark.parametrize(
    "name",
    [n for n in NAMES if any(p.name == "eta" for p in gallery.load(n).parameters)],
)
@pytest.mark.parametrize("h", [19.0, 25.0, 300.0])
def test_full_strength_has_no_longest_step(name, h, committed):
    """At eta = 1 all variance may be new: the denoised value and a draw are what is left."""
    program = derive(gallery.load(name))
    plan = committed(name).coefficients([math.exp(h), 1.0])
    last, one = plan[-1][3], program.integrand == "data"
    assert all(math.isfinite(float(w)) for row in plan for w in row[3])
    if program.main.repeats == 0 and len(plan) == 1 and one:
        assert float(last[0]) == pytest.approx(0, abs=1e-8)
