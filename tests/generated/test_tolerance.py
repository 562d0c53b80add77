"""Implicit rules with a tolerance at run time: sweeps that have settled cost no model calls."""

import pytest
import torch

NAMES = ("gauss_legendre_2", "radau_iia_3", "bdf_2", "lobatto_iiic_3")
SIGMAS = torch.tensor([3.0, 2.2, 1.5, 0.9, 0.4, 0.15, 0.0], dtype=torch.float64)


@pytest.fixture
def mixture(denoiser):
    return denoiser([0.4, 0.6], [[1.0, -0.5], [-0.7, 0.8]], [0.5, 0.3])


def run(module, mixture, **given):
    calls = []

    def counted(x, sigma):
        calls.append(float(sigma[0]))
        return mixture(x, sigma)

    x = 3 * torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return module.sample(counted, x, SIGMAS, **given), calls


def sizes(module):
    (size,) = set(module.REPEATS.values())
    return size, len(module.REPEATS) // size + 1


@pytest.mark.parametrize("name", NAMES)
def test_without_tolerance_or_with_an_unreachable_one_every_sweep_is_made(name, committed, mixture):
    module = committed(name)
    plain, calls = run(module, mixture)
    size, sweeps = sizes(module)
    assert len(calls) == 5 * (1 + size * sweeps) + 1  # the last step is DDIM
    never, again = run(module, mixture, tolerance=-1.0)
    assert torch.equal(plain, never) and calls == again


@pytest.mark.parametrize("name", NAMES)
def test_a_tolerance_ends_sweeps_after_the_first_that_changes_little(name, committed, mixture):
    module = committed(name)
    plain, calls = run(module, mixture)
    size, sweeps = sizes(module)
    rough, few = run(module, mixture, tolerance=1e9)
    assert len(few) == 5 * (1 + 2 * size) + 1  # two sweeps are needed to see a change
    if sweeps > 2:
        assert len(few) < len(calls)
        gaps = [
            (run(module, mixture, tolerance=tolerance)[0] - plain).abs().max().item()
            for tolerance in (1e9, 1e-2, 1e-5)
        ]
        assert gaps[0] >= gaps[1] >= gaps[2] and gaps[2] < 1e-4
    else:
        assert torch.equal(rough, plain)


def test_reused_outputs_are_those_of_the_sweep_before(committed, mixture):
    """With any change allowed, a cap of many sweeps computes what a cap of two computes."""
    module = committed("radau_iia_3")
    plan = module.coefficients(SIGMAS)
    size, _ = sizes(module)
    _, few = run(module, mixture, tolerance=1e9)
    made = iter(few)
    for i in range(5):
        rows = [float(row[2]) for row in plan if row[0] == i]
        assert [next(made) for _ in range(1 + 2 * size)] == rows[: 1 + 2 * size]


def test_kinds_of_calls_that_other_steps_share_are_not_ended_early(committed):
    """BDF3 starts with Kutta's rule, of as many evaluations: its file takes no tolerance."""
    assert not hasattr(committed("bdf_3"), "REPEATS")


@pytest.mark.parametrize("tolerance", [None, 1e-3])
def test_gradients_flow_through_settled_sweeps(tolerance, committed, mixture):
    module = committed("gauss_legendre_2")
    x = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    end = module.integrate(mixture, x, module.coefficients(SIGMAS), tolerance=tolerance)
    end.sum().backward()
    assert x.grad.isfinite().all() and x.grad.abs().max() > 0
