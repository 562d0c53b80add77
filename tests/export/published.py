"""Configs of published models, and how every exported solver takes them."""

import diffusers
import torch

from solvergen.hosts.diffusers.grid import time_of

LATENT = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
LINEAR = {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02}
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
DYNAMIC = {"shift": 1.0, "use_dynamic_shifting": True, "time_shift_type": "exponential"}
# Model: the class in its folder, its config there, a number of steps; where its pipeline gives sigmas
# from 1 to 1 - r + r/n, r; and the mu that it computes for some size.
MODELS = {
    "Stable Diffusion 1.5": (
        "PNDM",
        {**LATENT, "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1},
        10,
    ),
    "Stable Diffusion 2.1 (v)": (
        "DDIM",
        {
            **LATENT,
            "prediction_type": "v_prediction",
            "clip_sample": False,
            "set_alpha_to_one": False,
            "steps_offset": 1,
        },
        10,
    ),
    "Stable Diffusion XL": (
        "EulerDiscrete",
        {**LATENT, "timestep_spacing": "leading", "steps_offset": 1},
        10,
    ),
    "SDXL Turbo": ("EulerAncestralDiscrete", {**LATENT, "timestep_spacing": "trailing"}, 4),
    "Stable Video Diffusion": (
        "EulerDiscrete",
        {
            **LATENT,
            "prediction_type": "v_prediction",
            "timestep_spacing": "leading",
            "timestep_type": "continuous",
            "steps_offset": 1,
            "use_karras_sigmas": True,
            "sigma_max": 700.0,
            "sigma_min": 0.002,
        },
        12,
    ),
    "LCM Dreamshaper": ("LCM", {**LATENT, "original_inference_steps": 50}, 4),
    "PixArt": (
        "DPMSolverMultistep",
        {**LINEAR, "solver_order": 2, "algorithm_type": "dpmsolver++", "solver_type": "midpoint"},
        10,
    ),
    "Sana": ("DPMSolverMultistep", {**LINEAR, **FLOW, "flow_shift": 3.0}, 10),
    "Wan 2.1": ("UniPCMultistep", {**LINEAR, **FLOW, "flow_shift": 3.0, "solver_type": "bh2"}, 10),
    "Wan 2.2": ("UniPCMultistep", {**LINEAR, **FLOW, "flow_shift": 12.0, "solver_type": "bh2"}, 10),
    "Stable Diffusion 3": ("FlowMatchEulerDiscrete", {"shift": 3.0}, 10),
    "Flux schnell": ("FlowMatchEulerDiscrete", {"shift": 1.0, "use_dynamic_shifting": False}, 4, 1),
    "Flux dev": ("FlowMatchEulerDiscrete", {**DYNAMIC, "shift": 3.0}, 10, 1, 0.9),
    "Qwen-Image": ("FlowMatchEulerDiscrete", {**DYNAMIC, "shift_terminal": 0.02}, 10, 1, 0.7),
    "LTX": ("FlowMatchEulerDiscrete", {**DYNAMIC, "shift_terminal": 0.1}, 10, 1, 1.6),
    "Mochi": ("FlowMatchEulerDiscrete", {"invert_sigmas": True}, 10, 0.975),
}


def scheduler_of(model):
    """The scheduler of a model's folder."""
    family, config, *_ = MODELS[model]
    return getattr(diffusers, f"{family}Scheduler")(**config)


def call_of(model):
    """The number of steps and the options that the model's pipeline calls set_timesteps with."""
    _, _, count, *rest = MODELS[model]
    given = {"mu": rest[1]} if len(rest) > 1 else {}
    if rest:  # the pipeline's own sigmas, from 1 down
        given["sigmas"] = [1 - rest[0] * k / count for k in range(count)]
    return (None if rest else count), given


def is_flow(model):
    """Whether the model is one of flow matching."""
    own, config, *_ = MODELS[model]
    return own.startswith("FlowMatch") or config.get("use_flow_sigmas", False)


def has_class_for(family, model):
    """Whether diffusers' class of a family can take the model's config for what it is."""
    own, config, *_ = MODELS[model]
    if own.startswith("FlowMatch") or family.startswith("FlowMatch"):
        return own.startswith("FlowMatch") and family.startswith("FlowMatch")
    if config.get("use_flow_sigmas"):
        return family in (
            "DPMSolverMultistep",
            "DPMSolverSinglestep",
            "UniPCMultistep",
            "DEISMultistep",
            "SASolver",
        )
    if config.get("timestep_type") == "continuous":
        return family == own
    return own == "LCM" or family not in ("LCM", "TCD")


def walked_with(cls, name, model):
    """What becomes of the model's config where no class of the solver's family takes it.

    "levels": the levels of the model's own class, and their times; "own levels": others, and their
    times; "refused": in words; "·" a rule in the velocity, of a class that knows flow levels only.
    """
    theirs, made = scheduler_of(model), cls(name)
    if made.family.startswith("FlowMatch") and not is_flow(model):
        return "·"
    try:
        made = made.from_config(theirs.config)
    except ValueError as error:
        assert len(str(error).split()) > 4
        return "refused"
    count, given = call_of(model)
    for one in (theirs, made):
        one.set_timesteps(count, **given)
    assert told_at_its_levels(made), (name, model)
    if not hasattr(theirs, "sigmas"):
        return "own levels"
    grid, levels = made._made[0][:-1], theirs.sigmas[:-1].double()
    levels = 1 - levels if made.config.invert_sigmas else levels
    same = len(grid) == len(levels) and torch.allclose(grid, levels, rtol=1e-5)
    return "levels" if same else "own levels"


def told_at_its_levels(scheduler):
    """Whether each time is that of the level of its call, to float32."""
    config, level = scheduler.config, scheduler._row_levels
    if scheduler._flow:
        wanted = level * config.num_train_timesteps
        wanted = config.num_train_timesteps - wanted if config.invert_sigmas else wanted
    elif config.timestep_type == "continuous":
        wanted = level.log() / 4
    else:
        wanted = time_of(level, scheduler._levels)
    return torch.allclose(scheduler.timesteps.double(), wanted, rtol=1e-6, atol=1e-3)
