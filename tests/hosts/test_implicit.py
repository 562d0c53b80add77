"""Implicit rules with their stages solved: the table's own properties, and what is told where they are not."""

import math

import pytest
import torch
from solvergen.generated import bdf_2, dpmpp_2m, gauss_legendre_2, radau_iia_2

from solvergen.hosts.implicit import NotSolved, sample_solved

VARIANCE = 0.36


def gaussian(x, sigma):
    return x * VARIANCE / (VARIANCE + sigma[:, None].to(x) ** 2)


def exact(sigmas):
    return math.sqrt((VARIANCE + sigmas[-1] ** 2) / (VARIANCE + sigmas[0] ** 2))


def grid(n, low=0.05):
    return torch.logspace(math.log10(5), math.log10(low), n + 1, dtype=torch.float64).tolist()


ONE = torch.ones(2, 3, dtype=torch.float64)


def stage_values(c, a, b, low, high):
    """A step of an implicit table on the linear problem dx/ds = x s/(v + s^2), solved as a linear system."""
    s = low + (high - low) * torch.tensor(c, dtype=torch.float64)
    slope, width = s / (VARIANCE + s**2), high - low
    matrix = torch.eye(len(c), dtype=torch.float64) - width * slope[:, None] * torch.tensor(
        a, dtype=torch.float64
    )
    return 1 + width * float(
        torch.tensor(b, dtype=torch.float64) @ torch.linalg.solve(matrix, slope)
    )


def test_one_long_step_is_that_of_the_table_not_of_its_sweeps():
    r = math.sqrt(3) / 6
    wanted = stage_values(
        [0.5 - r, 0.5 + r], [[0.25, 0.25 - r], [0.25 + r, 0.25]], [0.5, 0.5], 5.0, 0.2
    )
    found = sample_solved(gauss_legendre_2, gaussian, ONE, [5.0, 0.2], tolerance=1e-13)
    swept = gauss_legendre_2.sample(gaussian, ONE, [5.0, 0.2])
    assert torch.allclose(found, wanted * ONE, rtol=1e-10)
    assert (swept - wanted).abs().max() > 1e-2
    low, high = 5.0, 0.2
    wanted = stage_values(
        [1 / 3, 1], [[5 / 12, -1 / 12], [3 / 4, 1 / 4]], [3 / 4, 1 / 4], low, high
    )
    found = sample_solved(radau_iia_2, gaussian, ONE, [low, high], tolerance=1e-13)
    assert torch.allclose(found, wanted * ONE, rtol=1e-10)


def test_the_order_is_that_of_the_table():
    errors = []
    for n in (12, 24):
        sigmas = grid(n)
        x = sample_solved(gauss_legendre_2, gaussian, ONE, sigmas, tolerance=1e-13)
        errors.append(float((x - exact(sigmas)).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.2)


def test_past_steps_and_correctors_are_solved_too():
    """BDF2 as written out by sweeps ends where its equation holds."""
    sigmas, seen = grid(6), []
    sample_solved(bdf_2, gaussian, ONE, sigmas, tolerance=1e-14, callback=seen.append)
    x0, x1, x2 = (float(event["x"][0, 0]) for event in seen[1:4])
    (s0, s1, s2), r = sigmas[1:4], (sigmas[2] - sigmas[3]) / (sigmas[1] - sigmas[2])
    new = (s2 - s1) * x2 * s2 / (VARIANCE + s2**2) * (1 + r) / (1 + 2 * r)
    wanted = ((1 + r) ** 2 * x1 - r**2 * x0) / (1 + 2 * r) + new
    assert x2 == pytest.approx(wanted, rel=1e-10)
    assert all(event["residual"] < 1e-13 for event in seen) and s0 > s1


def test_samples_do_not_depend_on_their_batch():
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def points(x, sigma):
        return torch.tanh(x / sigma[:, None] ** 2)

    whole = sample_solved(gauss_legendre_2, points, x, grid(5, 0.3), tolerance=1e-12)
    alone = torch.cat(
        [
            sample_solved(gauss_legendre_2, points, one[None], grid(5, 0.3), tolerance=1e-12)
            for one in x
        ]
    )
    assert torch.allclose(whole, alone, rtol=1e-9)


def test_a_step_that_is_not_solved_is_told_with_its_residual_and_calls_are_capped():
    calls = []

    def counted(x, sigma):
        calls.append(sigma)
        return torch.tanh(x / sigma[:, None] ** 2)

    with pytest.warns(
        NotSolved, match=r"step 0 \(from sigma 5\) is not solved: .* after 5 model calls"
    ):
        sample_solved(gauss_legendre_2, counted, ONE, [5.0, 0.1], tolerance=1e-12, max_calls=6)
    assert len(calls) == 5


def test_the_warning_points_at_the_line_that_asked():
    with pytest.warns(NotSolved) as seen:
        sample_solved(gauss_legendre_2, gaussian, ONE, [5.0, 0.1], tolerance=0, max_calls=5)
    assert seen[0].filename == __file__


def test_a_batch_of_none_ends_as_one_of_none():
    assert sample_solved(gauss_legendre_2, gaussian, ONE[:0], [5.0, 0.2]).shape == (0, 3)


def test_halves_run_in_float32_and_keep_their_dtype():
    x = sample_solved(gauss_legendre_2, gaussian, ONE.to(torch.bfloat16), grid(4))
    wanted = sample_solved(gauss_legendre_2, gaussian, ONE, grid(4))
    assert x.dtype == torch.bfloat16 and torch.allclose(x.double(), wanted, rtol=0.03)


@pytest.mark.parametrize(
    ("module", "given", "said"),
    [
        (dpmpp_2m, {}, "dpmpp_2m has no stages to solve"),
        ("gauss_legendre_2", {}, "an emitted sampler, imported; found 'gauss_legendre_2'"),
        (gauss_legendre_2, {"max_calls": 4}, "at least 5"),
        (gauss_legendre_2, {"max_calls": math.nan}, "found nan"),
        (gauss_legendre_2, {"tolerance": -1.0}, "found -1.0"),
        (gauss_legendre_2, {"tolerance": math.nan}, "found nan"),
    ],
)
def test_what_cannot_be_solved_is_refused(module, given, said):
    with pytest.raises(ValueError, match=said):
        sample_solved(module, gaussian, ONE, [5.0, 0.2], **given)
