"""Which diffusers class an exported solver stands in for: its levels, times, defaults and keys."""

from __future__ import annotations

import re

Method = dict[str, object]

# Name of a solver, its class, and what it does by the class's keys that choose a method.
FAMILIES = (
    (r"ddim(_eta|_noise|_jumps)?", "DDIM"),
    (r"ddpm_fixed_(small|large)", "DDPM"),
    (r"lcm", "LCM"),
    (r"tcd", "TCD"),
    (r"pndm.*", "PNDM"),
    (r"euler_ancestral", "EulerAncestralDiscrete"),
    (r"dpm2_ancestral", "KDPM2AncestralDiscrete"),
    (r"dpm2(_churn)?", "KDPM2Discrete"),
    (r"euler_(sigma|churn).*", "EulerDiscrete"),
    (r"heun_(edm|churn).*", "HeunDiscrete"),
    (r"flow_heun.*", "FlowMatchHeunDiscrete"),
    (r"flow_.*|.*_ancestral_rf", "FlowMatchEulerDiscrete"),
    (r"lms\d", "LMSDiscrete"),
    (r"deis_.*", "DEISMultistep"),
    (r"unipc?_\d_.*", "UniPCMultistep"),
    (r"sa_solver_.*", "SASolver"),
    (r"dpmpp_sde", "DPMSolverSDE"),
    (r"(sde_)?dpm(pp|_solver)_(fast|\ds|\d$|\d_).*|(sde_)?dpm_solver_\d", "DPMSolverSinglestep"),
    (r".*", "DPMSolverMultistep"),
)
# Classes that shorten the order of their last steps, unless they are asked not to.
LOWERING = (
    "DPMSolverMultistep",
    "DPMSolverSinglestep",
    "UniPCMultistep",
    "DEISMultistep",
    "SASolver",
)
KIND = {"dpmpp": "dpmsolver++", "dpm_solver": "dpmsolver"}


def family_of(name: str) -> tuple[str, Method]:
    """The class that a solver stands in for, without "Scheduler", and its method there.

    A solver that no class of diffusers has stands in for DPMSolverMultistepScheduler, whose keys of
    method then say nothing about it.

    >>> family_of("heun_edm")
    ('HeunDiscrete', {})
    >>> _method("unipc_3_bh2", "UniPCMultistep")
    {'solver_order': 3, 'solver_type': 'bh2', 'predict_x0': True, 'solver_p': None}
    """
    family = next(family for pattern, family in FAMILIES if re.fullmatch(pattern, name))
    lowered = name.endswith("_as_shipped_by_diffusers")
    ends: Method = {"lower_order_final": lowered, "euler_at_final": False}
    return family, {**_method(name, family), **(ends if family in LOWERING else {})}


def _method(name: str, family: str) -> Method:
    """What a solver does, by the keys of its class."""
    if found := re.fullmatch(r"unipc?_(\d)_(bh\d)(_noise)?(_as_shipped_by_diffusers)?", name):
        order, kind, noise, _ = found.groups()
        method: Method = {
            "solver_order": int(order),
            "solver_type": kind,
            "predict_x0": noise is None,
            "solver_p": None,
        }
        return method
    if found := re.fullmatch(
        r"(sde_)?(dpmpp|dpm_solver)_(\d)(m|s|$|_)(_?exact)?(_?grid)?(.*)", name
    ):
        sde, kind, order, _, exact, _, rest = found.groups()
        method = {
            "solver_order": int(order),
            "solver_type": "heun" if exact else "midpoint",
            "algorithm_type": ("sde-" if sde else "") + KIND[kind],
        }
        return method if not rest or "shipped_by_diffusers" in rest else {}
    if found := re.fullmatch(r"deis_logrho(\d)(_as_shipped_by_diffusers)?", name):
        return {"solver_order": int(found[1]), "solver_type": "logrho", "algorithm_type": "deis"}
    if found := re.fullmatch(r"sa_solver_sde_p(\d)(?:c(\d))?(_as_shipped_by_diffusers)?", name):
        method = {"predictor_order": int(found[1]), "algorithm_type": "data_prediction"}
        return {**method, "corrector_order": int(found[2] or 0)}
    if family == "PNDM":
        return {"skip_prk_steps": "rk" not in name and name != "pndm"}
    if family.startswith("FlowMatch"):
        return {"stochastic_sampling": False}
    if family == "LCM":
        return {"stochastic_sampling": True}
    return {}
