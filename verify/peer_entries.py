"""Which samplers of diffusers and k-diffusion are judged, in which configurations, for what claim.

Claims are the libraries' own: the number in a method's name or its documentation.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from .hosts.alone import k_diffusion_sampling

Entry = tuple[str, dict[str, Any], int | None]


def _quiet(*_: Any) -> float:
    return 0.0


def k_diffusion_entries() -> Iterator[Entry]:
    """Every sample_ function of k-diffusion, noise off, with the order that its name claims."""
    claims = {
        "euler": 1,
        "euler_ancestral": 1,
        "heun": 2,
        "dpm_2": 2,
        "dpm_2_ancestral": 2,
        "lms": 4,
        "dpm_fast": 3,
        "dpm_adaptive": 3,
        "dpmpp_2s_ancestral": 2,
        "dpmpp_sde": 2,
        "dpmpp_2m": 2,
        "dpmpp_2m_sde": 2,
        "dpmpp_3m_sde": 3,
    }
    module = k_diffusion_sampling()
    for name, function in sorted(vars(module).items()):
        if not name.startswith("sample_") or not inspect.isfunction(function):
            continue
        options: dict[str, Any] = {}
        known = inspect.signature(function).parameters
        if "eta" in known:
            options["eta"] = 0.0
        if "noise_sampler" in known and "sde" in name:
            options["noise_sampler"] = _quiet
        yield f"k_diffusion.sampling:{name}", options, claims.get(name.removeprefix("sample_"))


def _no_noise(_: Any) -> float:
    return 0.0


NO_CLIP = {"clip_sample": False}
OPEN_END = {"final_sigmas_type": "sigma_min"}
# configurations beside the default one, with the order that their options claim
DIFFUSERS: dict[str, list[tuple[dict[str, Any], int | None]]] = {
    "DDIMScheduler": [({}, 1), (NO_CLIP, 1)],
    "DDIMParallelScheduler": [(NO_CLIP, 1)],
    "CogVideoXDDIMScheduler": [(NO_CLIP, 1)],
    "PNDMScheduler": [({}, 4), ({"skip_prk_steps": True}, 4)],
    "IPNDMScheduler": [({}, 4)],
    "EulerDiscreteScheduler": [({}, 1)],
    "HeunDiscreteScheduler": [({}, 2)],
    "LMSDiscreteScheduler": [({}, 4)],
    "KDPM2DiscreteScheduler": [({}, 2)],
    "EDMEulerScheduler": [({}, 1)],
    "FlowMatchEulerDiscreteScheduler": [({}, 1)],
    "FlowMatchHeunDiscreteScheduler": [({}, 2)],
    "DPMSolverMultistepScheduler": [
        ({"solver_order": 1}, 1),
        ({"solver_order": 2}, 2),
        ({"solver_order": 2, "solver_type": "heun"}, 2),
        ({"solver_order": 3}, 3),
        ({"solver_order": 3, **OPEN_END}, 3),
        ({"solver_order": 2, "algorithm_type": "dpmsolver", **OPEN_END}, 2),
        ({"solver_order": 3, "algorithm_type": "dpmsolver", **OPEN_END}, 3),
        (
            {"solver_order": 2, "use_flow_sigmas": True, "prediction_type": "flow_prediction"},
            2,
        ),
    ],
    "DPMSolverSinglestepScheduler": [
        ({"solver_order": 1}, 1),
        ({"solver_order": 2}, 2),
        ({"solver_order": 3}, 3),
        ({"solver_order": 3, "lower_order_final": False, **OPEN_END}, 3),
    ],
    "EDMDPMSolverMultistepScheduler": [({"solver_order": 2}, 2), ({"solver_order": 3}, 3)],
    "DEISMultistepScheduler": [
        ({"solver_order": 1}, 1),
        ({"solver_order": 2}, 2),
        ({"solver_order": 3}, 3),
    ],
    "UniPCMultistepScheduler": [
        *(
            ({"solver_order": q, "solver_type": b, "lower_order_final": last}, q + 1)
            for q in (1, 2, 3, 4)
            for b in ("bh1", "bh2")
            for last in (True, False)
        ),
        (
            {
                "solver_order": 3,
                "disable_corrector": list(range(1000)),
                "lower_order_final": False,
            },
            3,
        ),
    ],
    "SASolverScheduler": [
        ({"tau_func": _no_noise}, 3),
        ({"tau_func": _no_noise, "predictor_order": 3, "corrector_order": 4}, 4),
        (
            {
                "tau_func": _no_noise,
                "predictor_order": 3,
                "corrector_order": 4,
                "lower_order_final": False,
            },
            4,
        ),
    ],
}


def _half(_: Any) -> float:
    return 0.5


SDE = {"algorithm_type": "sde-dpmsolver++"}
# samplers that draw noise, as they are run by default or by an option; the order that the name or
# the option claims for their deterministic part
NOISY: tuple[Entry, ...] = (
    ("k_diffusion.sampling:sample_euler_ancestral", {}, 1),
    ("k_diffusion.sampling:sample_euler_ancestral", {"eta": 0.5}, 1),
    ("k_diffusion.sampling:sample_dpm_2_ancestral", {}, 2),
    ("k_diffusion.sampling:sample_dpmpp_2s_ancestral", {}, 2),
    ("k_diffusion.sampling:sample_dpmpp_2s_ancestral", {"eta": 0.5}, 2),
    ("k_diffusion.sampling:sample_dpmpp_sde", {}, 2),
    ("k_diffusion.sampling:sample_dpmpp_sde", {"eta": 0.5}, 2),
    ("k_diffusion.sampling:sample_dpmpp_2m_sde", {}, 2),
    ("k_diffusion.sampling:sample_dpmpp_2m_sde", {"solver_type": "heun"}, 2),
    ("k_diffusion.sampling:sample_dpmpp_2m_sde", {"eta": 0.5}, 2),
    ("k_diffusion.sampling:sample_dpmpp_3m_sde", {}, 3),
    ("k_diffusion.sampling:sample_dpmpp_3m_sde", {"eta": 0.5}, 3),
    ("k_diffusion.sampling:sample_euler", {"s_churn": 2.0}, 1),
    ("k_diffusion.sampling:sample_heun", {"s_churn": 2.0}, 2),
    ("k_diffusion.sampling:sample_dpm_2", {"s_churn": 2.0}, 2),
    ("diffusers:DDPMScheduler", {**NO_CLIP}, 1),
    ("diffusers:DDPMScheduler", {**NO_CLIP, "variance_type": "fixed_large"}, 1),
    ("diffusers:DDPMParallelScheduler", {**NO_CLIP}, 1),
    ("diffusers:DDIMScheduler", {**NO_CLIP, "eta": 1.0}, 1),
    ("diffusers:DDIMScheduler", {**NO_CLIP, "eta": 0.5}, 1),
    ("diffusers:EulerAncestralDiscreteScheduler", {}, 1),
    ("diffusers:KDPM2AncestralDiscreteScheduler", {}, 2),
    ("diffusers:DPMSolverSDEScheduler", {}, 2),
    ("diffusers:DPMSolverMultistepScheduler", {"solver_order": 1, **SDE}, 1),
    ("diffusers:DPMSolverMultistepScheduler", {"solver_order": 2, **SDE}, 2),
    ("diffusers:DPMSolverMultistepScheduler", {"solver_order": 2, "solver_type": "heun", **SDE}, 2),
    ("diffusers:DPMSolverMultistepScheduler", {"solver_order": 3, **SDE}, 3),
    (
        "diffusers:DPMSolverMultistepScheduler",
        {"solver_order": 2, "algorithm_type": "sde-dpmsolver", **OPEN_END},
        2,
    ),
    ("diffusers:DPMSolverSinglestepScheduler", {"solver_order": 1, **SDE}, 1),
    ("diffusers:DPMSolverSinglestepScheduler", {"solver_order": 2, **SDE}, 2),
    ("diffusers:DPMSolverSinglestepScheduler", {"solver_order": 3, **SDE}, 3),
    ("diffusers:EDMDPMSolverMultistepScheduler", {"solver_order": 2, **SDE}, 2),
    ("diffusers:EDMDPMSolverMultistepScheduler", {"solver_order": 3, **SDE}, 3),
    ("diffusers:CosineDPMSolverMultistepScheduler", {}, 2),
    ("diffusers:SASolverScheduler", {"tau_func": _half}, 3),
    (
        "diffusers:SASolverScheduler",
        {"tau_func": _half, "predictor_order": 3, "corrector_order": 4},
        4,
    ),
    ("diffusers:EulerDiscreteScheduler", {"s_churn": 2.0}, 1),
    ("diffusers:EDMEulerScheduler", {"s_churn": 2.0}, 1),
    ("diffusers:FlowMatchEulerDiscreteScheduler", {"stochastic_sampling": True}, 1),
    ("diffusers:FlowMatchHeunDiscreteScheduler", {"s_churn": 2.0}, 2),
    ("diffusers:LTXEulerAncestralRFScheduler", {"eta": 1.0}, 1),
)


def diffusers_entries() -> Iterator[Entry]:
    """Every scheduler class of the installed diffusers, some in several configurations."""
    module = importlib.import_module("diffusers.schedulers")
    names = sorted(
        n for n in dir(module) if n.endswith("Scheduler") and not n.startswith(("Flax", "_"))
    )
    for name in names:
        for options, claim in DIFFUSERS.get(name, [({}, None)]):
            yield f"diffusers:{name}", options, claim
