"""The tables of the schedulers and samplers of diffusers and k-diffusion, without and with noise.

    python -m verify.peers > verify/peers.md

Claims are the libraries' own: the number in a method's name or its documentation. Stochastic
samplers are run twice: with their noise switched off where they have a switch, and as they are. What
integrates no ODE on a grid of levels is listed at the end.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import warnings
from pathlib import Path
from typing import Any

from .library import expanded
from .peer_entries import NOISY, Entry, diffusers_entries, k_diffusion_entries
from .processes.supervised import Limits
from .processes.sweep import sweep
from .report.terminal import moments, orders
from .request import Request
from .verdict import Verdict


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
            "recurring": f"step {c['step']} is a rule of its own, and comes back",
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


RULE = {"grids": ("uniform", "karras", "rough"), "conduct": False}
NOISE = {"rates": False, "conduct": False}
REAL = {"rule": False}
LIMITS = Limits(seconds=900.0)


def requests() -> list[tuple[str, Entry, Request]]:
    """Everything that is judged: section, entry, request."""

    def made(section: str, entry: Entry, settings: dict[str, Any]) -> tuple[str, Entry, Request]:
        text, options, claim = entry
        # what noise claims is weighed by itself; only the rest is held to a claim
        held = None if section == "noise" else claim
        return section, entry, Request(text, options, claim=held, settings=settings)

    out = [made("k_diffusion", e, RULE) for e in k_diffusion_entries()]
    out += [made("diffusers", e, RULE) for e in diffusers_entries()]
    out += [made("noise", e, NOISE) for e in NOISY]
    for request in expanded(Request("diffusers:*"), True):
        out.append(made("runs", (request.target, request.options, None), REAL))
    return out


def table(record: Path | None = None, jobs: int = 1) -> str:
    """The Markdown document.

    Args:
        record: file of finished verdicts, to stop and resume.
        jobs: processes.
    """
    asked = requests()
    judged = sweep([r for _, _, r in asked], record=record, jobs=jobs, limits=LIMITS)
    made = [(section, entry, v) for (section, entry, _), v in zip(asked, judged, strict=True)]
    absent = [v.findings[0] for section, _, v in made if v.reason == "target" and section != "runs"]
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
    for section, title in (("k_diffusion", "k-diffusion"), ("diffusers", "diffusers")):
        lines += ["", f"## {title}", "", HEAD]
        lines += [
            _row(e, v) for s, e, v in made if s == section and not v.noise and v.reason != "target"
        ]
    noisy = [(e, v) for s, e, v in made if s == "noise" and v.reason != "target"]
    lines += _noisy_table(noisy)
    lines += real_runs([(e, v) for s, e, v in made if s == "runs"])
    lines += ["", "## Not samplers of an ODE on a grid of levels, or not loadable here", ""]
    lines += [f"- {text}" for text in dict.fromkeys(" ".join(t.split()) for t in absent)]
    return "\n".join(lines) + "\n"


NOISY_HEAD = (
    "| sampler | options | claim | τ² | mean | covariance | strong | finding |\n"
    "|---|---|---|---|---|---|---|---|"
)


def _noisy_table(made: list[tuple[Entry, Verdict]]) -> list[str]:
    """Section of the samplers that draw noise."""
    rows = [_noisy_row(e, v) for e, v in made]
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


def real_runs(made: list[tuple[Entry, Verdict]]) -> list[str]:
    """Section of what schedulers do around their rule, for every option of the sweep."""
    rows: list[str] = []
    known: set[tuple[str, str]] = set()
    for (target, chosen, _), verdict in made:
        name = target.split(":")[1].removesuffix("Scheduler")
        options = ", ".join(f"{k}={_short(v)}" for k, v in chosen.items())
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


def main() -> None:
    """Write the document to stdout."""
    parser = argparse.ArgumentParser(prog="python -m verify.peers", description=table.__doc__)
    parser.add_argument("--record", type=Path, help="file of finished verdicts, to stop and resume")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.stdout.write(table(args.record, args.jobs))


if __name__ == "__main__":
    main()
