"""The tables of the schedulers and samplers of diffusers and k-diffusion, without and with noise.

    python -m verify.peers > verify/peers.md

Claims are the libraries' own: the number in a method's name or its documentation. Stochastic
samplers are run twice: with their noise switched off where they have a switch, and as they are. What
integrates no ODE on a grid of levels is listed at the end.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import torch

from .errors import VerifyError
from .hosts.alone import k_diffusion_sampling
from .judge import judge
from .report.terminal import moments, orders
from .targets import find
from .verdict import Verdict

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


def noisy_verdicts() -> Iterator[tuple[Entry, Verdict | str]]:
    """Each entry of NOISY with its verdict; only what it claims for itself is weighed."""
    for entry in NOISY:
        try:
            (target,) = find(entry[0], entry[1])
        except VerifyError as error:
            yield entry, str(error)
            continue
        yield entry, judge(target, rates=False)


def _noisy_row(entry: Entry, verdict: Verdict) -> str:
    text, options, claim = entry
    shown = ", ".join(f"{k}={_short(v)}" for k, v in options.items())
    name = text.split(":")[1].removeprefix("sample_").removesuffix("Scheduler")
    if not verdict.noise:
        cells = (
            name,
            shown,
            str(claim),
            *"----",
            ": ".join((verdict.reason, *verdict.findings[:1])),
        )
        return "| " + " | ".join(cells) + " |"
    strength = verdict.noise["grids"]["uniform"]["strength"]
    tau = "none" if verdict.noise["kind"] == "anew" else f"{max(strength):.4g}"
    parts = [moments(verdict, part) for part in ("mean", "covariance", "strong")]
    found = "; ".join(f.replace("|", "/") for f in verdict.findings)
    cells = (name, shown, str(claim), tau, *parts, found)
    return "| " + " | ".join(cells) + " |"


def diffusers_entries() -> Iterator[Entry]:
    """Every scheduler class of the installed diffusers, some in several configurations."""
    module = importlib.import_module("diffusers.schedulers")
    names = sorted(
        n for n in dir(module) if n.endswith("Scheduler") and not n.startswith(("Flax", "_"))
    )
    for name in names:
        for options, claim in DIFFUSERS.get(name, [({}, None)]):
            yield f"diffusers:{name}", options, claim


def verdicts(entries: Iterator[Entry]) -> Iterator[tuple[Entry, Verdict | str]]:
    """Each entry with its verdict, or with the reason why there is none."""
    for entry in entries:
        text, options, claim = entry
        try:
            (target,) = find(text, options)
        except VerifyError as error:
            yield entry, str(error)
            continue
        yield entry, judge(target, claim=claim, grids=("uniform", "karras", "rough"))


def _row(entry: Entry, verdict: Verdict) -> str:
    text, options, claim = entry
    shown = ", ".join(f"{k}={_short(v)}" for k, v in options.items())
    name = text.split(":")[1].removeprefix("sample_").removesuffix("Scheduler")
    slopes = "/".join(
        "?" if verdict.measured.get(g) is None else f"{verdict.measured[g]:.2f}"
        for g in ("uniform", "karras", "rough")
    )
    if verdict.status == "error":
        slopes = "-"
    cells = (
        name,
        shown,
        "-" if claim is None else str(claim),
        orders(verdict),
        slopes,
        _cause(verdict),
    )
    return "| " + " | ".join(cells) + " |"


def _short(value: Any) -> str:
    if callable(value):
        return f"{value(0):g}"
    if isinstance(value, list):
        return "all"
    return str(value)


def _cause(verdict: Verdict) -> str:
    """The causes in a few words, each once, most limiting first."""
    if verdict.reason:
        return f"{verdict.reason}: {verdict.findings[0].split(';')[0].split(':')[0]}"
    said: dict[str, list[str]] = {}
    for c in verdict.causes:
        words = {
            "moment": f"moment {c['degree']}"
            + (f" off by factor {c['factor']:.4g}" if c["factor"] else " not integrated"),
            "frozen": "weights frozen at equal steps",
            "approximate": f"moment {c['degree']} only approximate",
            "start": f"start caps at {c['caps']}",
            "end": f"end caps at {c['caps']}",
            "inconsistent": "constants not integrated",
        }[c["kind"]]
        said.setdefault(words, []).append(c["grid"])
    parts = [
        words + ("" if len(set(where)) == 3 else f" ({', '.join(where)})")
        for words, where in said.items()
    ]
    return "; ".join(parts)


HEAD = (
    "| sampler | options | claim | audited u/s/a | measured uniform/karras/rough | cause |\n"
    "|---|---|---|---|---|---|"
)


def table() -> str:
    """The Markdown document."""
    made = [*verdicts(k_diffusion_entries()), *verdicts(diffusers_entries())]
    lines = [
        "# Shipped samplers, judged",
        "",
        (
            "Made by `python -m verify.peers > verify/peers.md`; do not edit. "
            f"diffusers {_version('diffusers')}, k-diffusion {_version('k-diffusion')}."
        ),
        "",
        (
            "Audited: exact order on grids uniform in λ / smooth / arbitrary, with the sampler's own "
            "start and own last steps in a run of 24 steps. Measured: slope of the error on an exact "
            "1-D or 2-D mixture; ? where no asymptotic window was reached. Claim: the number in the "
            "name, the option or the paper. Noise is switched off where there is a switch; diffusers' "
            "float32 casts are replaced by float64, so that the algorithm is judged and not its "
            "rounding."
        ),
    ]
    for prefix, title in (("k_diffusion", "k-diffusion"), ("diffusers", "diffusers")):
        lines += ["", f"## {title}", "", HEAD]
        shown = [(e, v) for e, v in made if e[0].startswith(prefix) and isinstance(v, Verdict)]
        lines += [_row(e, v) for e, v in shown if not v.noise]
    lines += _noisy_table()
    lines += ["", "## Not samplers of an ODE on a grid of levels, or not loadable here", ""]
    lines += [f"- {' '.join(v.split())}" for _, v in made if isinstance(v, str)]
    return "\n".join(lines) + "\n"


NOISY_HEAD = (
    "| sampler | options | claim | τ² | mean | covariance | strong | finding |\n"
    "|---|---|---|---|---|---|---|---|"
)


def _noisy_table() -> list[str]:
    """Section of the samplers that draw noise."""
    rows = [_noisy_row(e, v) for e, v in noisy_verdicts() if isinstance(v, Verdict)]
    return [
        "",
        "## With noise",
        "",
        (
            "Orders on grids uniform in λ / smooth / arbitrary (one number where they agree), from "
            "one-hot runs: exact errors on Gaussian targets, nothing is sampled. Mean: from a start "
            "off the marginal, against the reverse SDE of the strength τ² that the noise shows as "
            "steps shrink. Covariance: from a start in the marginal. Strong: on one Brownian path. "
            "Claim: order that the name or option claims for the deterministic part; noise caps the "
            "covariance of these rules at 2 and their strong order at 1."
        ),
        "",
        NOISY_HEAD,
        *rows,
    ]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(unknown)"


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(table())
