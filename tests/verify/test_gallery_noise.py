"""The orders that files with noise state, derived, are those that the judge measures."""

from pathlib import Path

import pytest

from verify.judge import judge
from verify.targets import find

FILES = sorted((Path(__file__).parents[2] / "generated").glob("*.py"))
NOISY = [path for path in FILES if "\nNOISE = " in path.read_text(encoding="utf-8")]
# One of each shape: form of the noise, calls a step, history, what the weights weigh.
BY_DAY = {
    "dpm2_ancestral",
    "er_sde_2",
    "euler_churn_as_shipped_by_diffusers",
    "lcm",
    "predictor_corrector_ve_snr",
}
SHAPES = BY_DAY | {
    "sde_dpm_solver_1",
    "res_multistep_ancestral",
    "heun_churn",
    "dpmpp_2m_sde",
    "ddim_eta",
    "ddim_jumps",
    "dpmpp_2s_ancestral",
    "euler_ancestral",
    "euler_churn",
    "predictor_corrector_ve",
    "restart_heun",
    "reverse_diffusion_ve",
    "sa_solver_sde_p3c4_pece",
    "sde_dpm_solver_2m",
    "sde_dpmpp_1",
    "seeds_2",
    "seeds_3",
}
GIVEN = [
    path if path.stem in BY_DAY else pytest.param(path, marks=pytest.mark.nightly) for path in NOISY
]
# It draws only when it is told to.
UNTOLD = {"euler_churn_as_shipped_by_diffusers"}
# Its norms are means over the batch, as in its authors' code.
SHARED = {"predictor_corrector_ve_snr"}


@pytest.mark.parametrize("path", GIVEN, ids=lambda path: path.stem)
def test_stated_orders_are_measured(path):
    (target,) = find(str(path))
    verdict = judge(target, rates=False)
    wanted = "none" if path.stem in UNTOLD else "fail" if path.stem in SHARED else "pass"
    assert verdict.status == wanted, verdict.findings
    if path.stem in SHARED:
        assert [f["check"] for f in verdict.conduct["findings"] if f["gravity"] == "breach"] == [
            "samples"
        ]


def test_every_shape_is_there():
    assert {path.stem for path in NOISY} >= SHAPES
