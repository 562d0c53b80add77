"""Whole scheduler classes of diffusers, in float64, on recorded grids of 5, 10 and 20 steps."""

import itertools
import json
from pathlib import Path

import pytest
import torch

from tests.generated.shapes import every_other
from tests.peer_code import diffusers_in_float64

DATA = Path(__file__).parents[1] / "data" / "peer_endpoints_gallery.json"
PEERS = json.loads(DATA.read_text())
GRIDS = {name: torch.tensor(g, dtype=torch.float64) for name, g in PEERS["grids"].items()}
BY = "_as_shipped_by_diffusers"


def cases():
    """Gallery solver → scheduler class and its options."""
    table = {}
    for order, kind in itertools.product(range(1, 7), (1, 2)):
        options = {"solver_order": order, "solver_type": f"bh{kind}", "lower_order_final": False}
        name = f"unipc_{order}_bh{kind}"
        table[name] = options
        if order > 1:
            table[f"unip_{order}_bh{kind}"] = {**options, "disable_corrector": list(range(20))}
        if order <= 3:
            table[f"{name}_noise"] = {**options, "predict_x0": False}
        if order in (2, 3, 4):
            table[name + BY] = {**options, "lower_order_final": True}
        if order in (2, 3) and kind == 2:
            lowered = {**options, "predict_x0": False, "lower_order_final": True}
            table[f"{name}_noise{BY}"] = lowered
    made = {name: ("unipc_multistep", "UniPC", options) for name, options in table.items()}
    for name, kind in (
        ("dpmpp_3m_final_zero", "dpmsolver++"),
        ("dpm_solver_3m_final_euler", "dpmsolver"),
    ):
        last = {"algorithm_type": kind, "euler_at_final": True, "lower_order_final": False}
        last |= {"solver_order": 3, "final_sigmas_type": "sigma_min"}
        made[name + BY] = ("dpmsolver_multistep", "DPMSolver", last)
    return made


CASES = cases()


@pytest.mark.parametrize("name", every_other(sorted(CASES)))
def test_runs_of_the_whole_class(name, committed, denoiser):
    module, prefix, options = CASES[name]
    made = getattr(diffusers_in_float64(module), f"{prefix}MultistepScheduler")
    denoise = denoiser(*PEERS["mixture"].values())
    x = torch.tensor(PEERS["x_init"], dtype=torch.float64)
    for grid, sigmas in GRIDS.items():
        scheduler = made(prediction_type="sample", **options)
        scheduler.set_timesteps(len(sigmas) - 1)
        scheduler.sigmas = sigmas
        alphas = (1 + sigmas**2).rsqrt()
        state = x * alphas[0]
        for i, t in enumerate(scheduler.timesteps):
            denoised = denoise(state / alphas[i], sigmas[i].expand(len(x)))
            state = scheduler.step(denoised, t, state).prev_sample
        found = committed(name).sample(denoise, x, sigmas) * alphas[-1]
        assert (found - state).abs().max() < 1e-10 * state.abs().max(), grid
