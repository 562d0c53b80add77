"""The tables of the schedulers and samplers of diffusers and k-diffusion, without and with noise.

    python -m verify.peers > verify/peers.md

Claims are the libraries' own: the number in a method's name or its documentation. Stochastic
samplers are run twice: with their noise switched off where they have a switch, and as they are. What
integrates no ODE on a grid of levels is listed at the end.
"""

from __future__ import annotations

import importlib.metadata
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from .errors import VerifyError
from .judge import judge
from .library import expanded
from .peer_entries import NOISY, Entry, diffusers_entries, k_diffusion_entries
from .report.terminal import moments, orders
from .request import Request
from .settle import settle
from .targets import find
from .verdict import Verdict


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
            "unstable": "weights on past states let errors grow",
            "growing": "a weight that must vanish with the step does not",
            "condition": "a stage's state is not accurate enough",
            "once": f"step {c['step']} is a rule of its own",
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
    lines += real_runs()
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


RUNS_HEAD = "| scheduler | options | check | found | run |\n|---|---|---|---|---|"


def real_runs() -> list[str]:
    """Section of what schedulers do around their rule, for every option of the sweep."""
    settings = {"rule": False}
    rows: list[str] = []
    known: set[tuple[str, str]] = set()
    for request in expanded(Request("diffusers:*", settings=settings), True):
        (verdict,) = settle(replace(request, settings=settings))
        name = request.target.split(":")[1].removesuffix("Scheduler")
        options = ", ".join(f"{k}={_short(v)}" for k, v in request.options.items())
        for found in verdict.conduct.get("findings", ()):
            text = " ".join(found["text"].replace("|", "/").split())
            if found["gravity"] == "remark" or (name, text) in known:
                continue
            known.add((name, text))
            cells = (name, options, found["check"], text, found["example"])
            rows.append("| " + " | ".join(cells) + " |")
    return [
        "",
        "## Real runs",
        "",
        (
            "What the schedulers of diffusers do around their rule, run as pipelines run them: their "
            "own `set_timesteps`, float32 and half precision, batches, starts inside the list of "
            "times. One row for each finding, under the first options that show it; the options are "
            "those of `solvergen audit 'diffusers:*' --sweep`."
        ),
        "",
        RUNS_HEAD,
        *rows,
    ]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(unknown)"


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sys.stdout.write(table())
