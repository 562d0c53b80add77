"""What a recipe may say: tables, keys, kinds of values, and which systems use which key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# What each system converges to at zero loss or at the minimiser over all functions.
SYSTEMS = {
    "dsm": "the denoiser D exactly, for any positive weight",
    "flow-matching": "the velocity of the probability-flow ODE in the flow gauge",
    "direct": "the teacher's own run from each of its levels; nothing is bootstrapped",
    "consistency": "f(x, t_n) = the n remaining steps of the teacher's solver, for any metric: the "
    "limit's error is the solver's global error on the grid of levels times sub-steps",
    "consistency-training": "with the squared loss f_n(x) = E[f_{n-1}(x0 + (t_{n-1}/t_n)(x - x0)) "
    "given x]; another metric converges to another flow, a bias that levels do not remove",
    "easy-consistency": "as consistency training with the last gap r -> t; the teacher's velocity is "
    "one sample's, so the metric matters",
    "continuous-consistency": "the exact flow when the velocity is exact: no truncation error",
    "trajectory": "G = the solver's composition for every pair of levels; G(x, t, t) = D by its "
    "denoising term",
    "flow-map": "the teacher's run between every pair of its levels",
    "average-velocity": "(x - Phi)/(t - r) with the exact velocity; from data with an adaptive weight "
    "another flow",
    "shortcut": "the Euler composition of the smallest step's velocity",
    "progressive": "the first teacher's DDIM map, whatever the number of halvings",
    "latent-consistency": "the flow of the guided field D_u + s (D_c - D_u): the diffusion of no law",
    "reflow": "E[z - x1 given x_t] over the teacher's pairs: marginals exact, its map its own; in one "
    "dimension exactly straight",
    "distribution-matching": "every generator with the law of the data: judge the law, never the map",
    "moments": "every map with the law of the data at each pair of levels",
    "adversarial-denoising": "the law of the data if the discriminator can tell; judge mode by mode",
    "adversarial-distillation": "the law of the data if the discriminator can tell; judge mode by mode",
}
BANKED = {"direct", "consistency", "trajectory", "flow-map", "progressive", "reflow"}
GUIDED = {"latent-consistency"}
FORM = {
    "dsm": "denoiser",
    "flow-matching": "flow",
    "direct": "consistency",
    "consistency": "consistency",
    "consistency-training": "consistency",
    "easy-consistency": "consistency",
    "continuous-consistency": "trigflow",
    "trajectory": "jump",
    "flow-map": "jump",
    "average-velocity": "average",
    "shortcut": "average",
    "progressive": "denoising-jump",
    "latent-consistency": "consistency",
    "reflow": "flow",
    "distribution-matching": "generator",
    "moments": "jump",
    "adversarial-denoising": "multistep-generator",
    "adversarial-distillation": "generator",
}
CHAINS = ("consistency", "consistency-training", "latent-consistency")
ADVERSARIAL = ("adversarial-denoising", "adversarial-distillation", "distribution-matching")


@dataclass(frozen=True)
class Key:
    """One key of a recipe.

    Args:
        kind: text, number, integer, boolean, range, levels, table, integers or word.
        default: the value where it is left out; None where it has none.
        systems: the systems that use it; () for all.
        words: what a word may be.
        example: shown in errors.
        low, high: bounds of a number, both allowed.
    """

    kind: str
    default: Any = None
    systems: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    example: str = ""
    low: float = -1e12
    high: float = 1e12


DRAWN = ("dsm", "consistency-training", "easy-consistency", "continuous-consistency")
TABLES: dict[str, dict[str, Key]] = {
    "": {
        "name": Key("text", example='"consistency_2m"'),
        "title": Key("text", example='"Consistency distillation"'),
        "description": Key("text", ""),
        "system": Key("word", words=tuple(SYSTEMS), example='"consistency"'),
    },
    "target": {
        "mixture": Key("text", "", example='"coupled"'),
        "data": Key("text", "", example='"digits" or "module:function"'),
        "classes": Key("boolean", False),
    },
    "teacher": {
        "solver": Key("text", "dpmpp_2m", example='"dpmpp_2m"'),
        "denoiser": Key("text", "exact", example='"exact" or a folder of a dsm student'),
        "levels": Key("levels"),
        "substeps": Key("integer", 1, low=1, high=1000),
        "bank": Key("integer", 20000, (*sorted(BANKED), "latent-consistency"), low=64, high=10**7),
        "guidance": Key("table", None, tuple(GUIDED)),
    },
    "student": {
        "network": Key("table"),
        "start": Key("text", "", example="a folder of a student with the same network"),
    },
    "loss": {
        "metric": Key(
            "word",
            "l2",
            (
                "consistency",
                "consistency-training",
                "easy-consistency",
                "latent-consistency",
                "direct",
                "trajectory",
            ),
            ("l2", "pseudo-huber"),
        ),
        "c": Key(
            "number",
            0.03,
            (*CHAINS, "easy-consistency", "direct"),
            low=1e-9,
        ),
        "weight": Key("word", "1", (*CHAINS, "easy-consistency"), ("1", "1/dt")),
        "levels": Key("word", "uniform", CHAINS, ("uniform", "lognormal")),
        "schedule": Key("word", "fixed", CHAINS, ("fixed", "original", "doubling")),
        "first": Key("integer", 10, CHAINS, low=2),
        "mean": Key("number", -1.1, (*DRAWN, "average-velocity", "flow-matching")),
        "std": Key("number", 2.0, (*DRAWN, "average-velocity", "flow-matching"), low=1e-3),
        "velocity": Key(
            "word",
            "exact",
            ("continuous-consistency", "average-velocity", "shortcut"),
            ("exact", "data"),
        ),
        "warmup": Key(
            "number", 0.2, ("continuous-consistency", "easy-consistency"), low=0, high=0.9
        ),
        "q": Key("number", 2.0, ("easy-consistency",), low=1.01),
        "stages": Key("integer", 8, ("easy-consistency",), low=1, high=60),
        "denoising": Key("number", 1.0, ("trajectory",), low=0),
        "apart": Key("number", 0.75, ("average-velocity",), low=0, high=1),
        "ends": Key("number", 0.25, ("average-velocity",), low=0, high=1),
        "power": Key("number", 0.0, ("average-velocity",), low=0, high=2),
        "smallest": Key("integer", 128, ("shortcut",), low=2),
        "bootstrap": Key("number", 0.25, ("shortcut",), low=0, high=1),
        "halvings": Key("integer", 6, ("progressive",), low=1, high=20),
        "critic": Key("integer", 5, ("distribution-matching", "adversarial-denoising"), low=1),
        "adversarial": Key("number", 0.0, ADVERSARIAL, low=0),
        "reconstruction": Key("number", 0.1, ("adversarial-denoising",), low=0),
        "distillation": Key("number", 1.0, ("adversarial-distillation",), low=0),
        "penalty": Key("number", 0.1, ADVERSARIAL, low=0),
        "steps": Key("integer", 4, ("adversarial-denoising",), low=1, high=64),
        "group": Key("integer", 16, ("moments",), low=2, high=256),
    },
    "training": {
        "iterations": Key("integer", 5000, low=1, high=10**9),
        "batch": Key("integer", 256, low=2, high=10**6),
        "rate": Key("table"),
        "averaging": Key("number", 0.999, low=0, high=0.9999999),
        "target": Key(
            "number",
            0.0,
            (*CHAINS, "trajectory", "shortcut"),
            low=0,
            high=0.99999,
        ),
        "seeds": Key("integers", [0]),
    },
    "claim": {
        "endpoint_error": Key("number", None, low=0),
        "guided_error": Key("table", None, tuple(GUIDED)),
        "pair_error": Key("number", None, low=0),
        "law": Key("number", None, low=0),
        "shares": Key("number", None, low=0),
        "spread": Key("range", None),
        "steps": Key("table", None),
    },
    "source": {
        "authors": Key("text", ""),
        "year": Key("integer", 0),
        "arxiv": Key("text", ""),
        "where": Key("text", ""),
    },
}
