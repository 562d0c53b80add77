"""Config keys of diffusers' schedulers: whose they are, what they default to, which are refused."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import diffusers
from diffusers.utils import logging

from .grid import SHAPES

logger = logging.get_logger(__name__)


# Keys that choose a method: an exported solver is one method, so they are checked, not chosen by.
METHOD_KEYS = (
    "solver_order",
    "solver_type",
    "algorithm_type",
    "lower_order_final",
    "euler_at_final",
    "predict_x0",
    "disable_corrector",
    "solver_p",
    "predictor_order",
    "corrector_order",
    "tau_func",
    "skip_prk_steps",
    "stochastic_sampling",
    "scale_factors",
)
# Keys of networks with EDM's preconditioning, whose states and times no exported scheduler has.
EDM_KEYS = ("sigma_data", "sigma_schedule", "rho")
# What a key is where neither the caller nor the class of the family says.
FALLBACK = {
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "timestep_spacing": "linspace",
    "final_sigmas_type": "zero",
    "clip_sample": False,
    "set_alpha_to_one": True,
    "original_inference_steps": 50,
    "timestep_scaling": 10.0,
    "interpolation_type": "linear",
    "timestep_type": "discrete",
    "prediction_type": "epsilon",
    "invert_sigmas": False,
}
OWN_DEFAULTS = {"DEISMultistep": "sigma_min", "SASolver": "sigma_min", "TCD": "sigma_min"}


@functools.cache
def own_keys(family: str) -> dict[str, Any]:
    """The config keys of a family's class and their defaults there."""
    peer = getattr(diffusers, f"{family}Scheduler", None)
    # A class whose needs are not installed is a stand-in that raises at the first look at it.
    if not isinstance(peer, type) or not issubclass(peer, diffusers.SchedulerMixin):
        return {}
    parameters = list(inspect.signature(peer).parameters.values())
    empty = inspect.Parameter.empty
    return {p.name: p.default for p in parameters if p.default is not empty}


def family_defaults(family: str) -> dict[str, Any]:
    """Values of the keys that are left open, as the family's class has them."""
    own = own_keys(family)
    found = {**FALLBACK, **{key: own[key] for key in FALLBACK if key in own}}
    if "final_sigmas_type" not in own:
        found["final_sigmas_type"] = OWN_DEFAULTS.get(family, "zero")
    if family in ("DDIM", "PNDM"):  # their last level is chosen by set_alpha_to_one
        found["final_sigmas_type"] = None
    if family.startswith("FlowMatch"):
        found["prediction_type"] = "flow_prediction"
    return found


def check_method(name: str, method: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse a key that asks for another method than the solver's, or for EDM's preconditioning.

    Args:
        name: the solver's.
        method: what it does, by key; a key that is missing says nothing about this solver.
        given: keys of METHOD_KEYS and EDM_KEYS that are not None.

    Raises:
        ValueError: the first key whose value is not what the solver does.
    """
    for key, value in given.items():
        if key in EDM_KEYS:
            raise ValueError(
                f"{key} = {value!r} is of networks with EDM's preconditioning, which are not called "
                "as schedulers of this class call: wrap the network "
                "(solvergen.hosts.models.Preconditioned) and run the sampler itself"
            )
        if key not in method:
            raise ValueError(
                f"{key} = {value!r} says nothing about {name}, the solver in this file; leave it out"
            )
        does = method[key]
        if (list(value) != list(does)) if _lists(value, does) else value != does:
            raise ValueError(
                f"{key} = {value!r} asks for another method: this file is {name}, whose {key} is "
                f"{does!r}; export the solver that has it, or leave {key} out"
            )


def source_of(config: Mapping[str, Any]) -> str:
    """The class that a config is of, without "Scheduler": as saved, or by the keys that it has.

    A config that went from class to class keeps keys of the earlier ones: of the classes whose keys
    it has, and which know all keys that were left open, it is of the one with the most.
    """
    if "_class_name" in config:
        return str(config["_class_name"]).removesuffix("Scheduler")
    keys = {key for key in config if not key.startswith("_")}
    if "solver_parameters" in keys:  # of an exported scheduler
        return ""
    names = [name for name in dir(diffusers) if name.endswith("Scheduler")]
    families = [name.removesuffix("Scheduler") for name in names if not name.startswith("Flax")]
    known = {family: set(own_keys(family)) for family in families}
    left_open = set(config.get("_use_default_values", []))
    fits = [family for family in families if left_open <= known[family] <= keys and known[family]]
    return max(fits, key=lambda family: len(known[family]), default="")


def taken_over(
    family: str, name: str, method: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """What this scheduler takes from the config of another class.

    Keys that the family's class does not have stay behind, as they do in diffusers, and so does a
    choice of method: where it is not its own class's default, a warning says so; where it comes from
    the family's class itself, it is refused by `check_method`.
    """
    source = source_of(config)
    theirs = own_keys(source)
    if not theirs:
        return dict(config)
    left_open = config.get("_use_default_values", [])
    kept, left = dict(config), []
    if "shift" in theirs:  # which is what tells flow matching, also where it was left open
        kept["_use_default_values"] = [key for key in left_open if key != "shift"]
    mine = own_keys(family)
    for key, value in config.items():
        if key in METHOD_KEYS:
            usual = key in left_open or (key in theirs and value == theirs[key])
            if source == family and key in theirs and not usual and value is not None:
                continue
            del kept[key]
            if not usual and method.get(key, value) != value:
                left.append(f"{key} = {value!r}")
        elif key in CLASS_KEYS and key not in mine:
            del kept[key]
    if left:
        logger.warning(
            f"{name} is a method of its own: {', '.join(left)} of {source} is left behind"
        )
    return kept


# Keys that mean something to some classes only: another class leaves them behind, as in diffusers.
CLASS_KEYS = (
    "clip_sample",
    "clip_sample_range",
    "set_alpha_to_one",
    "interpolation_type",
    "original_inference_steps",
    "timestep_scaling",
    "variance_type",
    "noise_sampler_seed",
    "upscale_mode",
)


# What a key needs beside it to mean anything: one of these keys.
BESIDE = {
    "clip_sample_range": ("clip_sample",),
    "dynamic_thresholding_ratio": ("thresholding",),
    "sample_max_value": ("thresholding",),
    "sigma_min": SHAPES,
    "sigma_max": SHAPES,
    "flow_shift": ("use_flow_sigmas",),
    "shift_terminal": ("use_flow_sigmas", "shift"),
    "use_dynamic_shifting": ("use_flow_sigmas", "shift"),
}


def idle_keys(config: Mapping[str, Any], usual: Mapping[str, Any], flow: bool) -> list[str]:
    """Keys that are set and change nothing, each with what it lacks.

    Args:
        config: of the scheduler.
        usual: the default of each key.
        flow: whether levels are those of a flow model.
    """
    found = []
    for key, needed in BESIDE.items():
        idle = config[key] != usual[key] and not any(config[other] for other in needed)
        found += [f"{key} without {' or '.join(needed)}"] if idle else []
    log, continuous = config["interpolation_type"], config["timestep_type"]
    if flow and log == "log_linear":
        found.append("interpolation_type beside flow levels")
    if continuous == "continuous" and (flow or config["prediction_type"] != "v_prediction"):
        found.append("timestep_type = 'continuous' without v_prediction")
    return found


def _lists(*values: Any) -> bool:
    return all(isinstance(value, (list, tuple)) for value in values)
