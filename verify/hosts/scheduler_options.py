"""Documented options of diffusers schedulers that change the rule or the grid, with their values.

A sweep takes each option in turn, and the pairs that belong together: an order with the algorithm
that it is an order of, a last step with the end that it leads to.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

from .scheduler_classes import whole

Options = dict[str, Any]

VALUES: dict[str, tuple[Any, ...]] = {
    "solver_order": (1, 2, 3),
    "algorithm_type": ("dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver"),
    "solver_type": ("midpoint", "heun", "bh1", "bh2", "logrho"),
    "lower_order_final": (True, False),
    "euler_at_final": (True,),
    "final_sigmas_type": ("zero", "sigma_min"),
    "prediction_type": ("epsilon", "v_prediction", "sample"),
    "skip_prk_steps": (True,),
    "set_alpha_to_one": (False, True),
    "clip_sample": (False,),
    "thresholding": (True,),
    "variance_type": ("fixed_large",),
    "predictor_order": (1, 3),
    "corrector_order": (1, 3, 4),
    "predict_x0": (False,),
    "timestep_spacing": ("linspace", "leading", "trailing"),
    "use_karras_sigmas": (True,),
    "use_exponential_sigmas": (True,),
    "use_beta_sigmas": (True,),
    "rescale_betas_zero_snr": (True,),
    "shift": (3.0,),
    "use_dynamic_shifting": (True,),
    "shift_terminal": (0.1,),
    "interpolation_type": ("log_linear",),
    "timestep_type": ("continuous",),
    "invert_sigmas": (True,),
    "stochastic_sampling": (True,),
    "s_churn": (2.0,),
    "eta": (1.0,),
}
# a value that a class takes and reads as another of its own
FOREIGN = {
    "UniPC": ("midpoint", "heun", "logrho"),
    "DPM": ("bh1", "bh2", "logrho"),
    "EDM": ("bh1", "bh2", "logrho"),
    "DEIS": ("midpoint", "heun", "bh1", "bh2"),
    "Cosine": ("bh1", "bh2", "logrho"),
}
# what moves the levels and leaves the rule alone: real runs decide, the audit has nothing to add
GRID_ONLY = {
    "timestep_spacing",
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "rescale_betas_zero_snr",
    "shift",
    "flow_shift",
    "use_dynamic_shifting",
    "shift_terminal",
    "interpolation_type",
    "final_sigmas_type",
    "set_alpha_to_one",
    "timestep_type",
    "invert_sigmas",
}
PAIRS: tuple[Options, ...] = (
    {"solver_order": 3, "algorithm_type": "sde-dpmsolver++"},
    {"solver_order": 3, "lower_order_final": False},
    {"solver_order": 3, "lower_order_final": False, "final_sigmas_type": "sigma_min"},
    {"solver_order": 3, "solver_type": "bh1"},
    {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"},
    {"predictor_order": 3, "corrector_order": 4},
    {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min"},
    {"use_flow_sigmas": True, "prediction_type": "flow_prediction"},
    {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0},
)


def swept(name: str) -> Iterator[Options]:
    """Option sets of a scheduler class: none, each value of each option, and the pairs.

    Sets that the constructor refuses are left out.
    """
    cls = _class(name)
    built = inspect.signature(cls).parameters
    known = {**built, **inspect.signature(cls.step).parameters}
    seen: list[Options] = []

    def new(options: Options) -> bool:
        same = all(k in built and built[k].default == v for k, v in options.items())
        foreign = next((v for k, v in FOREIGN.items() if name.startswith(k)), ())
        if options.get("solver_type") in foreign:
            return False
        if options in seen or (options and same) or not set(options) <= set(known):
            return False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cls(**{k: v for k, v in options.items() if k in built})
        except Exception:  # noqa: BLE001 - what a class does not take is not an option of it
            return False
        seen.append(options)
        return True

    if new({}):
        yield {}
    for option, values in VALUES.items():
        for value in values:
            if new({option: value}):
                yield {option: value}
    for pair in PAIRS:
        if new(dict(pair)):
            yield dict(pair)


def claimed(name: str, options: Options) -> int | None:
    """The order that a class claims for its options: in its name, its options, its paper."""
    if options.get("solver_order") or "solver_order" in _defaults(name):
        order = int(options.get("solver_order") or _defaults(name)["solver_order"])
        return order + 1 if name.startswith("UniPC") else order
    if name.startswith("SASolver"):
        return min(2, int(options.get("corrector_order", 2)))
    fixed = {"PNDM": 4, "IPNDM": 4, "LMSDiscrete": 4, "HeunDiscrete": 2, "FlowMatchHeun": 2}
    fixed |= {"KDPM2": 2, "DPMSolverSDE": 2, "Cosine": 2}
    return next((order for start, order in fixed.items() if name.startswith(start)), 1)


def _defaults(name: str) -> Options:
    parameters = inspect.signature(_class(name)).parameters
    return {k: p.default for k, p in parameters.items()}


def _class(name: str) -> Any:
    return whole(getattr(importlib.import_module("diffusers.schedulers"), name))
