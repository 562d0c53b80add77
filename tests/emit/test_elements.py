"""Numbers of their own for every element of a sample."""

import math

import numpy as np
import pytest
import torch
from solvergen.verify.judge import judge
from solvergen.verify.targets import find

from solvergen.derive import derive
from solvergen.errors import DeriveError
from solvergen.fit.grids.own import step_weights
from solvergen.fit.problems.mixture import planar
from solvergen.spec import parse_solver

SPEC = """
name      = "channels"
integrand = "data"

[step]
rule       = "interpolate"
nodes      = ["n", "n-1"]
deviations = { n-2 = "b*h*phi1" }

[parameters.b]
default = 0
minimum = -2
maximum = 2
per     = "element"
"""
GRID = [8.0, 3.0, 1.2, 0.5, 0.2]
MIXTURE = planar()


@pytest.fixture(scope="module")
def channels(sampler):
    return sampler(parse_solver(SPEC))


def model(x, sigma):
    """Two channels of two pixels, whose channels the model mixes at every pixel."""
    pixels = x.double().movedim(1, -1)
    flat = MIXTURE.denoise(pixels.reshape(-1, 2), sigma[0])
    return flat.reshape(pixels.shape).movedim(-1, 1).to(x)


def start(batch=3, pixels=2):
    made = torch.Generator().manual_seed(0)
    return 8 * torch.randn(batch, 2, pixels, 1, generator=made, dtype=torch.float64)


def test_each_element_has_the_weights_of_its_own_number(channels):
    """Against a loop by hand, with the weights of a run that has the element's number throughout."""
    b = torch.tensor([[[0.7], [-0.3]], [[0.1], [1.9]]], dtype=torch.float64)
    steps = len(GRID) - 1
    each = [
        step_weights(lambda *a, v=float(v): channels.sample(*a, b=v), GRID) for v in b.flatten()
    ]
    x, outputs = start(), []
    for n in range(steps):
        outputs.append(model(x, torch.full((3,), GRID[n], dtype=torch.float64)))
        rows = torch.tensor(np.array([w[n] for w in each])).T.reshape(n + 1, *b.shape)
        x = GRID[n + 1] / GRID[n] * x + sum(w * d for w, d in zip(rows, outputs, strict=True))
    for given in (b, b.numpy(), b.expand(steps, *b.shape), [b] * steps):
        torch.testing.assert_close(
            channels.sample(model, start(), GRID, b=given), x, rtol=0, atol=1e-13
        )


def test_numbers_of_a_channel_step_by_step(channels):
    """(steps, channels, 1, 1), and a list of numbers, which is that for all elements."""
    line = [0.2, -0.4, 0.9, 0.3]
    rows = torch.tensor(line, dtype=torch.float64)[:, None, None, None]
    alike = channels.sample(model, start(), GRID, b=line)
    torch.testing.assert_close(
        channels.sample(model, start(), GRID, b=rows), alike, rtol=0, atol=1e-13
    )
    apart = torch.cat([rows, -rows], 1)
    assert (channels.sample(model, start(), GRID, b=apart) - alike).abs().max() > 1e-3
    half = channels.sample(model, start().float(), GRID, b=apart)
    assert half.dtype == torch.float32


def test_order_is_kept_for_arrays(channels):
    """Two, whatever the array is, on a model that mixes the channels."""
    made = torch.Generator().manual_seed(1)
    errors = []
    x = start(2, 1)
    exact = channels.sample(model, x, np.geomspace(8, 0.2, 321), b=0)
    for steps in (40, 80):
        b = 2 * torch.rand(steps, 2, 1, 1, generator=made, dtype=torch.float64) - 1
        end = channels.sample(model, x, np.geomspace(8, 0.2, steps + 1), b=b)
        errors.append(float((end - exact).abs().max()))
    assert math.log2(errors[0] / errors[1]) > 1.7


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.zeros(3, 1, 1), r"shape of a sample, \(2, 2, 1\), or 1 in places of it; found \(3"),
        (torch.zeros(5, 2, 1, 1), "b holds 5 entries, one a step, and the grid has 4 steps"),
        ([torch.zeros(2, 1, 1)] * 3, "b holds 3 entries"),
        (torch.full((2, 1, 1), math.nan), "step 0 .* found NaN or infinity"),
        (torch.full((2, 1, 1), 2.5), "b must satisfy -2 <= b <= 2"),
        (torch.zeros(2, 1, 1, dtype=torch.complex64), "real numbers are needed; found complex"),
        (torch.zeros(2, 1, 1, device="meta"), "found a tensor without values"),
        (["half", torch.zeros(2, 1, 1), 0, 0], "found str: give a tensor"),
    ],
)
def test_arrays_that_cannot_be_used_are_named(channels, value, said):
    with pytest.raises(ValueError, match=said):
        channels.sample(model, start(), GRID, b=value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"b*h*phi1"', '"b**2*h*phi1"', "not of degree one in b"),
        ("[step]", '[call]\nlevel = "1 + b"\n[step]', "passed to the model at one level"),
        ("[step]", '[noise]\nform = "churn"\nstrength = "0.1"\n[step]', r"takes no \[noise\]"),
        (
            "[step]",
            '[corrector]\nrule = "interpolate"\nnodes = ["n+1", "n"]\n[step]',
            "a corrector",
        ),
        ("[step]", '[parameters.c]\ndefault = 0\nper = "sample"\n[step]', "takes one of the two"),
        ("[step]", '[start]\nusing = ["dpmpp_2s"]\n[step]', "stages or a corrector, of its start"),
    ],
)
def test_arrays_where_they_do_not_commute_are_refused(old, new, said):
    with pytest.raises(DeriveError, match=said):
        derive(parse_solver(SPEC.replace(old, new, 1)))


def test_the_judge_holds_arrays_fixed_and_says_so(channels):
    (target,) = find(channels.__file__)
    verdict = judge(target, conduct=False, rates=False)
    assert any("held fixed, the same for all elements: b" in f for f in verdict.findings)
