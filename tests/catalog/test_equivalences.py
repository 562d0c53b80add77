"""Solvers of the gallery that are one method under several names, and near ones that are not."""

import pytest

from solvergen.derive import derive
from solvergen.gallery import load
from solvergen.program.same import same

ONE = [
    ("euler_sigma", "ddim_noise"),
    ("euler_sigma", "ddim"),
    ("lms2", "deis_rhoab2"),
    ("lms3", "deis_rhoab3"),
    ("lms4", "deis_rhoab4"),
    ("lms3", "ipndm_v3"),
    ("deis_logrho2", "dpm_solver_2m_exact"),
    ("deis_logrho3", "dpm_solver_3m"),
    ("ab2_lambda", "dpmpp_2m_exact"),
    ("ab3_lambda", "dpmpp_3m"),
    ("unip_2_bh2", "dpmpp_2m"),
    ("dpmpp_2s_taylor", "res_2s"),
    ("dpmpp_3s", "hochbruck_ostermann_3"),
    ("bogacki_shampine_3", "ralston_3"),
    ("deis_rhork_2heun", "heun_edm"),
    ("deis_rhork_3kutta", "kutta_3"),
    ("deis_rhork_4rk", "rk4_clock"),
    ("dpm2", "dpm2_generalised"),
]
APART = [
    ("dpmpp_2m", "dpmpp_2m_exact"),
    ("dpmpp_2m", "dpmpp_2m_as_shipped_by_diffusers"),
    ("dpmpp_3m", "dpmpp_3m_as_published"),
    ("dpmpp_3m_as_published", "dpmpp_3m_as_shipped_by_k_diffusion"),
    ("ralston_3", "ralston_3_as_shipped_by_res4lyf"),
    ("lms3", "ipndm3"),
    ("ipndm_v3", "ipndm_v3_as_shipped_by_diff_sampler"),
    ("dpm2", "midpoint_sigma"),
    ("unipc_3_bh1", "unipc_3_bh2"),
    ("unipc_2_bh2", "unipc_2_bh2_noise"),
    ("sa_solver_p2c2", "sa_solver_p2c2_as_shipped_by_sa_solver"),
    ("abm3_lambda_pec", "abm3_lambda_pece"),
    ("etd4rk", "krogstad_4"),
    ("etd4rk", "cfree_4"),
    ("lawson_4", "generalised_lawson_4"),
]


def program(name):
    return derive(load(name))


@pytest.mark.parametrize(("first", "second"), ONE)
def test_one_method_under_two_names(first, second):
    assert same(program(first), program(second)) is None


@pytest.mark.parametrize(("first", "second"), APART)
def test_methods_that_differ(first, second):
    assert same(program(first), program(second)) is not None
