"""What the judge says about one target: plain data."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from .order.audit import CLASSES


@dataclass(frozen=True, repr=False)
class Verdict:
    """What the judge found about one target.

    Args:
        target, title: names.
        status: "pass" (claims hold), "fail" (a claim is refuted, or a check of real runs broken),
            "none" (nothing was claimed), "disagree" (audit and measured rates contradict each
            other), "error" (it misbehaves or cannot be judged; `reason` says how).
        reason: "" or the kind of misbehaviour: raises, nan, shape, dtype, grid, state, calls,
            size, random, target, nonlinear, nonlocal, unproved, hang, exit, killed; conduct when a real run fails.
        findings: sentences for people, worst first.
        claim: order claimed, or None.
        audited: class of grids -> order as the sampler runs, or None.
        audit: everything that the audit found, as plain data.
        measured: grid -> slope on its asymptotic window, or None when refused.
        rates: grid -> Rate as plain data.
        causes: {"grid", "step", "kind", "degree", "factor", "caps", "text"}, most limiting first.
        calls_per_step: model calls per interval.
        budget: grid -> {evaluations: RMS error}.
        constants: grid -> predicted / measured global error data, or {}.
        floor: RMS error that the host's single precision causes, or None.
        stated: claims of an emitted file that were compared.
        formula: the file's own description, or "".
        figures: data for drawing: trajectories, stability region.
        noise: for a sampler that draws noise: class of grids -> mean, covariance and strong order,
            and what else stochastic.NoiseAudit holds; then `audited` is the weak order.
        table: of a file with numbers for each step: what they do at its own levels, and its errors
            there beside those of its base and of plain samplers.
        conduct: what real runs showed, as plain data of conduct.checks.Conduct.
        adaptive: of a sampler that chooses its own steps: the order of its error estimate and the
            power of its controller.
        path: source file, or None.
        line: line of that file at which steps are made, or None.
    """

    target: str
    title: str
    status: str
    reason: str = ""
    findings: tuple[str, ...] = ()
    claim: int | None = None
    audited: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(CLASSES))
    audit: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, float | None] = field(default_factory=dict)
    rates: dict[str, Any] = field(default_factory=dict)
    causes: tuple[dict[str, Any], ...] = ()
    calls_per_step: float | None = None
    budget: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    floor: float | None = None
    stated: dict[str, Any] = field(default_factory=dict)
    formula: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    noise: dict[str, Any] = field(default_factory=dict)
    table: dict[str, Any] = field(default_factory=dict)
    conduct: dict[str, Any] = field(default_factory=dict)
    adaptive: dict[str, Any] = field(default_factory=dict)
    path: str | None = None
    line: int | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        orders = "/".join("-" if o is None else f"{o:g}" for o in self.audited.values())
        return f"<Verdict {self.target}: {self.status}, order {orders}>"

    def __str__(self) -> str:
        orders = ", ".join(
            f"{kind} grids {'-' if order is None else f'{order:g}'}"
            for kind, order in self.audited.items()
        )
        claim = "" if self.claim is None else f"; claims {self.claim}"
        return "\n    ".join(
            [
                f"{self.target}: {'no claim' if self.status == 'none' else self.status}; order on {orders}{claim}",
                *self.findings,
            ]
        )

    def _repr_html_(self) -> str | None:
        # a notebook shows the verdict as text until the pages have been imported
        return SHOWN[-1](self) if SHOWN else None


# how a verdict is shown as HTML; report.page puts its own here
SHOWN: list[Callable[[Verdict], str | None]] = []


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }
