"""Stochastic solvers that are one method, strengths that make them deterministic, settings that are refused."""

from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
import torch

from solvergen.derive import derive
from solvergen.gallery import load
from solvergen.grids.restart import undershot
from solvergen.program.same import same
from tests.catalog.noise_runs import GAUGES, apart, draws, levels, run


def program(name, **values):
    """A gallery solver's Program with other defaults."""
    return _program(name, tuple(sorted(values.items())))


@cache
def _program(name, given):
    solver, values = load(name), dict(given)
    known = {p.name for p in solver.parameters}
    assert set(values) <= known
    changed = (
        replace(p, default=Fraction(values.get(p.name, p.default))) for p in solver.parameters
    )
    return derive(replace(solver, parameters=tuple(changed)))


HALF = Fraction(1, 2)
ONE = [
    # At strength 1 the one-point rules are all DDPM with the small variance.
    (("sde_dpmpp_1", {}), ("ddim_eta", {})),
    (("ddpm_fixed_small", {}), ("euler_ancestral", {})),
    (("seeds_1", {}), ("sa_solver_sde_p1", {})),
    (("er_sde_1_power", {"power": 2}), ("sde_dpmpp_1", {})),
    (("ddim_eta", {"eta": HALF}), ("euler_ancestral", {"eta": HALF})),
    # tau² = eta, and the power of ER-SDE is 1 + tau².
    (("seeds_1", {"eta": Fraction(1, 4)}), ("sa_solver_sde_p1", {"tau": HALF})),
    (("er_sde_1_power", {"power": Fraction(5, 4)}), ("sa_solver_sde_p1", {"tau": HALF})),
    (("dpmpp_2m_sde", {}), ("sde_dpmpp_2m", {})),
    (("dpmpp_2m_sde_heun", {}), ("sa_solver_sde_p2", {})),
    (("dpmpp_3m_sde", {}), ("sde_dpmpp_3m", {})),
    (("dpmpp_3m_sde", {}), ("sa_solver_sde_p3", {})),
    (("dpmpp_2m_sde_heun", {}), ("sde_dpmpp_2m_exact", {})),
    (("res_multistep_ancestral", {}), ("sde_dpmpp_2m_exact", {})),
    (("seeds_2_phi2", {"r": 1}), ("exp_heun_2_x0_sde", {})),
    (("consistency_multistep", {"sigma_min": 0}), ("lcm", {})),
    (("tcd", {}), ("ddim_jumps", {})),
]
APART = [
    (("ddpm_fixed_small", {}), ("ddpm_fixed_large", {})),
    (("ddpm_fixed_large", {}), ("reverse_diffusion_ve", {})),
    (("seeds_2", {}), ("dpmpp_sde", {})),
    (("seeds_2", {}), ("seeds_2_phi2", {})),
    (("seeds_2", {}), ("sde_dpmpp_2s_as_shipped_by_diffusers", {})),
    (("dpmpp_3m_sde", {}), ("dpmpp_3m_sde_as_shipped_by_k_diffusion", {})),
    (("sde_dpmpp_3m", {}), ("sde_dpmpp_3m_as_shipped_by_diffusers", {})),
    (("ddim_eta", {"eta": HALF}), ("sa_solver_sde_p1", {"tau": HALF})),
    (("sde_dpm_solver_1", {}), ("sde_dpmpp_1", {})),
    (("euler_ancestral", {}), ("euler_ancestral_rf", {})),
    (("res_multistep_ancestral", {"eta": HALF}), ("dpmpp_2m_sde_heun", {"eta": HALF})),
    (("euler_churn", {"s_churn": 1}), ("euler_churn", {"s_churn": 2})),
    (("euler_churn", {"s_churn": 1}), ("euler_churn", {"s_churn": 1, "s_tmin": 1})),
    (("restart_heun", {}), ("heun_edm", {})),
]


@pytest.mark.parametrize(("first", "second"), ONE)
def test_one_method(first, second):
    a, b = (program(name, **values) for name, values in (first, second))
    assert same(a, b) is None and same(b, a) is None


@pytest.mark.parametrize(("first", "second"), APART)
def test_methods_that_differ(first, second):
    a, b = (program(name, **values) for name, values in (first, second))
    assert same(a, b) is not None and same(b, a) is not None


# Name, its silent parameters, the deterministic solver that is left.
SILENT = [
    ("ddim_eta", {"eta": 0}, "ddim_noise"),
    ("euler_ancestral", {"eta": 0}, "ddim"),
    ("euler_ancestral_rf", {"eta": 0}, "ddim"),
    ("dpm2_ancestral", {"eta": 0}, "dpm2"),
    ("dpmpp_2s_ancestral", {"eta": 0}, "dpmpp_2s"),
    ("dpmpp_2s_ancestral_rf", {"eta": 0}, "dpmpp_2s"),
    ("dpmpp_sde", {"eta": 0}, "dpmpp_2s"),
    ("dpmpp_2m_sde", {"eta": 0}, "dpmpp_2m"),
    ("dpmpp_2m_sde_heun", {"eta": 0}, "dpmpp_2m_exact"),
    ("dpmpp_3m_sde", {"eta": 0}, "dpmpp_3m"),
    ("dpmpp_3m_sde_as_shipped_by_k_diffusion", {"eta": 0}, "dpmpp_3m_as_shipped_by_k_diffusion"),
    ("res_multistep_ancestral", {"eta": 0}, "dpmpp_2m_exact"),
    ("sa_solver_sde_p1", {"tau": 0}, "ddim"),
    ("sa_solver_sde_p2", {"tau": 0}, "ab2_lambda"),
    ("sa_solver_sde_p3", {"tau": 0}, "ab3_lambda"),
    ("sa_solver_sde_p4", {"tau": 0}, "ab4_lambda"),
    ("sa_solver_sde_p1c1", {"tau": 0}, "sa_solver_p1c1"),
    ("sa_solver_sde_p2c2", {"tau": 0}, "sa_solver_p2c2"),
    ("sa_solver_sde_p3c3", {"tau": 0}, "sa_solver_p3c3"),
    ("sa_solver_sde_p3c4", {"tau": 0}, "sa_solver_p3c4"),
    ("sa_solver_sde_p3c4_pece", {"tau": 0}, "sa_solver_p3c4_pece"),
    ("seeds_1", {"eta": 0}, "ddim"),
    ("seeds_2", {"eta": 0}, "dpmpp_2s"),
    ("seeds_2_phi2", {"eta": 0}, "dpmpp_2s_taylor"),
    ("seeds_3", {"eta": 0}, "dpmpp_3s"),
    ("er_sde_1_power", {"power": 1}, "ddim"),
    ("euler_churn", {"s_churn": 0}, "euler_sigma"),
    ("heun_churn", {"s_churn": 0}, "heun_edm"),
    ("dpm2_churn", {"s_churn": 0}, "dpm2"),
    ("heun_churn", {"s_churn": 3, "s_tmin": 100}, "heun_edm"),
    ("sa_solver_sde_p3c4", {"tau": 1, "low": 100}, "sa_solver_p3c4"),
]


@pytest.mark.parametrize(("name", "silent", "left"), SILENT)
def test_no_strength_no_noise(name, silent, left, committed, mixture):
    """The deterministic solver, exactly; and nothing is drawn, down to 0 and in every gauge."""
    assert same(program(name, **silent), program(left)) is None
    grid, start = levels(7), 14 * draws(1)()

    def none(*levels):
        raise AssertionError("noise is drawn")

    for gauge in GAUGES:
        found = run(committed(name), mixture, start, grid, gauge, none, **silent)
        wanted = committed_run(committed(left), mixture, start, grid, gauge)
        assert apart(found, wanted) < 1e-14


def committed_run(module, denoise, x, grid, gauge):
    """A deterministic file in a gauge."""

    class Quiet:
        @staticmethod
        def sample(*given, noise_sampler, **options):
            return module.sample(*given, **options)

    return run(Quiet, denoise, x, grid, gauge)


REFUSED = [
    ("euler_ancestral", {"eta": -0.1}, "eta must satisfy 0 <= eta"),
    ("euler_ancestral", {"s_noise": -1}, "s_noise must satisfy"),
    ("euler_ancestral", {"eta": 1.9}, "step 0: the strength must be below 1."),
    ("dpmpp_sde", {"eta": 1.9}, "step 0: the strength must be below 1."),
    ("ddim_eta", {"eta": 3.0}, "the strength must be below"),
    ("euler_ancestral_rf", {"eta": 1.2}, "0 <= eta <= 1"),
    ("sa_solver_sde_p3c4", {"tau": -1}, "tau must satisfy 0 <= tau"),
    ("dpmpp_2m_sde", {"eta": -1}, "eta must satisfy 0 <= eta"),
    ("heun_churn", {"s_churn": -1}, "s_churn must satisfy 0 <= s_churn"),
    ("er_sde_2_power", {"power": 0.5}, "power must satisfy 1 <= power"),
    ("annealed_langevin", {"delta": 0.0}, "delta must satisfy 0 < delta"),
    ("predictor_corrector_ve", {"delta": -1.0}, "delta must satisfy 0 < delta"),
    (
        "consistency_multistep",
        {"sigma_min": 1.0},
        "1 - sigma_min\\*\\*2/\\(sigma_next\\*\\*2\\) >= 0",
    ),
]


@pytest.mark.parametrize(("name", "options", "said"), REFUSED)
def test_a_bound_that_is_broken_is_named(name, options, said, committed, mixture):
    with pytest.raises(ValueError, match=said):
        run(committed(name), mixture, 14 * draws(1)(), levels(7), **options)


@pytest.mark.parametrize("name", ["restart_heun", "ddim_jumps", "tcd"])
@pytest.mark.parametrize("grid", [[5.0, 2.0, 6.0, 1.0], [5.0, 2.0, 4.0], [5.0, 5.0, 1.0]])
def test_a_jump_above_the_first_level_or_at_the_end_is_refused(name, grid, committed, mixture):
    with pytest.raises(ValueError, match="may rise up to its first value, not at the end"):
        committed(name).sample(mixture, draws()(), torch.tensor(grid))


def test_a_rise_needs_a_sampler_with_jumps(committed, mixture):
    with pytest.raises(ValueError, match="must decrease at every step"):
        committed("heun_churn").sample(mixture, draws()(), torch.tensor([5.0, 2.0, 4.0, 1.0]))


@pytest.mark.parametrize(
    ("levels", "lower"),
    [
        ([4.0, 2.0], [2.5, 1.0]),
        ([4.0, 2.0], [0.0, 1.0]),
        ([4.0, 4.0], [2.0, 1.0]),
        ([4.0, 2.0], [1.0]),
        ([4.0], [4.0]),
        ([4.0], [-1.0]),
    ],
)
def test_lower_levels_out_of_place_are_refused(levels, lower):
    with pytest.raises(ValueError, match="lower"):
        undershot(levels, lower)
