"""One short file a system; `SYSTEMS` maps the names that recipes use to their classes."""

from __future__ import annotations

import importlib

from ..system import System

# module and class, imported when a recipe asks for it
PLACES = {
    "dsm": ("denoising", "Denoising"),
    "flow-matching": ("denoising", "FlowMatching"),
    "direct": ("direct", "Direct"),
    "consistency": ("consistency", "Consistency"),
    "consistency-training": ("training", "ConsistencyTraining"),
    "easy-consistency": ("easy", "EasyConsistency"),
    "continuous-consistency": ("continuous", "ContinuousConsistency"),
    "trajectory": ("trajectory", "Trajectory"),
    "flow-map": ("direct", "FlowMap"),
    "average-velocity": ("average", "AverageVelocity"),
    "shortcut": ("shortcut", "Shortcut"),
    "progressive": ("progressive", "Progressive"),
    "latent-consistency": ("latent", "LatentConsistency"),
    "reflow": ("direct", "Reflow"),
    "distribution-matching": ("matching", "DistributionMatching"),
    "moments": ("moments", "Moments"),
    "adversarial-denoising": ("adversarial", "AdversarialDenoising"),
    "adversarial-distillation": ("adversarial", "AdversarialDistillation"),
}


def system(name: str) -> type[System]:
    """The class of a system."""
    module, made = PLACES[name]
    found: type[System] = getattr(importlib.import_module(f"{__name__}.{module}"), made)
    return found
