"""From a target to a Verdict: plain data, the same for the same seed."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from . import measure
from .audit import CLASSES, Audit, audit
from .density import mixture_order
from .errors import ClaimError, ConductError, VerifyError
from .grids import CLASS, GRIDS
from .leading import differences
from .noise_verdict import weigh_noise
from .stability import region
from .stated import bound_only
from .stochastic import audit_noise, draws_noise
from .tableau import FORMS
from .targets import Target

# classes of grids on which densities are carried over a mixture
DENSITY = ("uniform", "arbitrary")
# float64 leaves too few digits of the small coefficients of higher orders
READABLE = 4
STARTS = {"exact_start": "exact_start", "own_start": "own_start", "own_end": "own_end"}


@dataclass(frozen=True)
class Verdict:
    """What the judge found about one target.

    Args:
        target, title: names.
        status: "pass" (claims hold), "fail" (a claim is refuted), "none" (nothing was claimed),
            "error" (the target misbehaves; `reason` says how).
        reason: "" or the kind of misbehaviour: raises, nan, shape, dtype, grid, state, calls,
            random, target, nonlinear, nonlocal, window, unproved.
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
        path: source file, or None.
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
    path: str | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        from .report.page import fragment

        return fragment(self)


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


def judge(
    target: Target,
    *,
    claim: int | None = None,
    grids: Sequence[str] = tuple(GRIDS),
    rates: bool = True,
    constants: bool = True,
    seed: int = 0,
) -> Verdict:
    """Audit a target, measure it, and weigh its claims.

    Args:
        claim: order to hold it to, instead of its own claim.
        grids: grids to measure on.
        rates: measure convergence (False: the audit alone).
        seed: moves the place of the audit; verdicts are the same for the same seed.
        constants: compare the stated leading error with the measured global error.

    Returns:
        A Verdict; misbehaviour of the target is in it, never raised.
    """
    claim = target.claim if claim is None else claim
    # strangers' code may draw random numbers; the verdict must not depend on what ran before
    torch.manual_seed(seed)
    if draws_noise(target.run):
        return _judge_noise(target, claim, rates)
    # an emitted file states its error in its own integrand's clock
    form = target.stated.get("INTEGRAND")
    audited = audit(target.run, form=form if form in FORMS else None, seed=seed)
    base = _base(target, claim, audited)
    if audited.status not in ("ok", "nonlinear", "nonlocal", "grid"):
        return Verdict(**base, status="error", reason=audited.status, findings=(audited.message,))
    measured: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    if rates:
        try:
            measured = _rates(target, audited, claim, grids)
            extra["budget"] = {g: measure.budget(target.run, g) for g in ("uniform", "karras")}
            if target.single is not None:
                extra["floor"] = measure.precision_floor(target.run, target.single)
            extra["figures"] = _figures(target, audited)
        except ConductError as error:
            return Verdict(**base, status="error", reason=error.kind, findings=(str(error),))
        except Exception as error:  # noqa: BLE001  (a stranger's code may raise anything)
            text = f"{type(error).__name__}: {error}"
            return Verdict(**base, status="error", reason="raises", findings=(text,))
    if constants and rates and target.stated.get("LEADING_ERROR") and audited.status == "ok":
        extra["constants"] = _constants(target, audited)
    status, findings = weigh(target, claim, audited, measured, extra)
    reason = "" if audited.status == "ok" else audited.status
    return Verdict(
        **base,
        status=status,
        reason=reason or ("unproved" if status == "error" else ""),
        findings=findings,
        measured={k: r.slope for k, r in measured.items()},
        rates={k: r.as_dict() for k, r in measured.items()},
        **extra,
    )


def _judge_noise(target: Target, claim: int | None, rates: bool) -> Verdict:
    """Weak and strong orders of a target that draws noise, and its claims."""
    base: dict[str, Any] = {
        "target": target.name,
        "title": target.title or target.name,
        "claim": claim,
        "stated": {k: v for k, v in target.stated.items() if k != "LEADING_ERROR"},
        "formula": target.formula,
        "path": target.path,
        "versions": versions(),
    }
    try:
        found = audit_noise(target.run, target.quiet)
        mixture = {k: mixture_order(target.run, k) for k in DENSITY} if rates else {}
    except ConductError as error:
        return Verdict(**base, status="error", reason=error.kind, findings=(str(error),))
    except Exception as error:  # noqa: BLE001  (a stranger's code may raise anything)
        text = f"{type(error).__name__}: {error}"
        return Verdict(**base, status="error", reason="raises", findings=(text,))
    status, reason, findings = weigh_noise(claim, target.stated, found, mixture)
    causes = [{"grid": kind, **asdict(c)} for kind, each in found.causes.items() for c in each]
    causes.sort(key=lambda c: (c["caps"], CLASSES.index(c["grid"])))
    return Verdict(
        **base,
        status=status,
        reason=reason,
        findings=findings,
        audited={kind: one.weak_order() for kind, one in found.grids.items()},
        causes=tuple(causes),
        calls_per_step=found.calls_per_step,
        noise={**found.as_dict(), "mixture": {k: asdict(o) for k, o in mixture.items()}},
    )


def _base(target: Target, claim: int | None, audited: Audit) -> dict[str, Any]:
    causes = [
        {"grid": kind, **asdict(cause)} for kind, g in audited.grids.items() for cause in g.causes
    ]
    causes.sort(key=lambda c: (c["caps"], CLASSES.index(c["grid"])))
    return {
        "target": target.name,
        "title": target.title or target.name,
        "claim": claim,
        "audited": audited.orders(),
        "audit": audited.as_dict(),
        "causes": tuple(causes),
        "calls_per_step": audited.calls_per_step,
        "stated": {k: v for k, v in target.stated.items() if k != "LEADING_ERROR"},
        "formula": target.formula,
        "path": target.path,
        "versions": versions(),
    }


def _rates(
    target: Target, audited: Audit, claim: int | None, grids: Sequence[str]
) -> dict[str, Any]:
    top = max([o for o in audited.orders().values() if o is not None] + [claim or 0])
    # in one dimension trees that differ by the order of their factors coincide
    task = measure.problem("coupled" if top >= 4 else "oracle")
    precision = max(2.0**-52, audited.noise if audited.noise > 1e-10 else 0.0)
    return {g: measure.convergence(target.run, g, task=task, precision=precision) for g in grids}


def _figures(target: Target, audited: Audit) -> dict[str, Any]:
    out = {"trajectories": measure.trajectories(target.run)}
    if audited.status == "ok":
        out["stability"] = region(target.run)
    return out


def _constants(target: Target, audited: Audit) -> dict[str, Any]:
    from .constant import compare

    try:
        return compare(target.run, target.stated, audited)
    except VerifyError as error:
        return {"error": str(error)}


def weigh(
    target: Target,
    claim: int | None,
    audited: Audit,
    measured: dict[str, Any],
    extra: dict[str, Any],
) -> tuple[str, tuple[str, ...]]:
    """Status and findings: conditions decide, slopes confirm."""
    refuted: list[str] = []
    notes: list[str] = []
    if audited.status != "ok":
        notes.append(audited.message)
    orders = audited.orders()
    if claim is not None:
        _weigh_claim(claim, audited, measured, refuted, notes)
    _weigh_stated(target.stated, audited, refuted)
    _weigh_leading(target.stated, audited, refuted)
    for grid, rate in measured.items():
        decided = orders.get(CLASS[grid])
        if rate.order is None:
            notes.append(f"rate on {grid} refused: {rate.reason}")
        elif decided is not None and rate.order < decided:
            refuted.append(
                f"on {grid} the measured slope is {rate.slope:.2f}, the audit says {decided}"
            )
    for grid, found in extra.get("constants", {}).items():
        if isinstance(found, dict) and found.get("ok") is False:
            said = found.get("note") or f"measured / predicted error is {found['ratio']:.3f}"
            refuted.append(f"constant on {grid}: {said}")
        elif isinstance(found, dict) and found.get("ok") is None and found.get("note"):
            notes.append(f"constant on {grid}: {found['note']}")
    if extra.get("floor"):
        notes.append(f"single-precision casts of the host cause an error of {extra['floor']:.1e}")
    held = claim is not None or bool(target.stated.get("ORDER"))
    status = "fail" if refuted else ("pass" if held else "none")
    if held and not refuted:
        open_question = _unproved(target, audited, measured)
        if open_question:
            return "error", (open_question, *notes)
    return status, tuple(refuted + notes)


def _unproved(target: Target, audited: Audit, measured: dict[str, Any]) -> str:
    """Why a claim that nothing refutes is not proved either; "" when it is."""
    decided = any(rate.order is not None for rate in measured.values())
    stuck = [grid for grid, rate in measured.items() if not rate.vanishes()]
    if stuck and not decided:
        return f"could not be judged: the error does not tend to zero on {', '.join(stuck)} grids"
    if target.stated.get("ORDER") and audited.status == "nonlocal":
        return "could not be judged: the file states orders, and order conditions do not apply"
    if not audited.grids and not decided:
        seen = "no rate could be measured" if measured else "rates were not measured"
        return f"could not be judged: no order from the audit, and {seen}"
    return ""


def _weigh_claim(
    claim: int,
    audited: Audit,
    measured: dict[str, Any],
    refuted: list[str],
    notes: list[str],
) -> None:
    for kind, found in audited.grids.items():
        if found.order < claim and not found.exact and found.order == found.exact_start:
            notes.append(f"on {kind} grids the audit shows at least order {found.order}, no more")
        elif found.order < claim:
            why = next((c.text for c in sorted(found.causes, key=lambda c: c.caps)), "")
            refuted.append(
                f"claims order {claim}; on {kind} grids it is {found.order}"
                + (f" ({why})" if why else "")
            )
    if audited.grids and min(g.order for g in audited.grids.values()) > claim:
        notes.append(f"claims order {claim}, and is of higher order on every grid")
    if not audited.grids:
        for grid, rate in measured.items():
            if rate.order is not None and rate.order < claim:
                refuted.append(f"claims order {claim}; on {grid} the slope is {rate.slope:.2f}")


def _weigh_stated(stated: dict[str, Any], audited: Audit, refuted: list[str]) -> None:
    """ORDER of an emitted file against the audit, for every grid class, start and end."""
    if stated.get("ORDER") and audited.noise > 1e-10:
        refuted.append(
            f"weights carry rounding of {audited.noise:.0e}: something inside is single precision, "
            "though the file plans in float64"
        )
    for kind, table in (stated.get("ORDER") or {}).items():
        found = audited.grids.get(kind)
        if found is None:
            continue
        for start, attribute in STARTS.items():
            if start not in table:
                continue
            said, exact = table[start]
            seen = getattr(found, attribute)
            # where rounding hides the next order, what the audit found is a lower bound
            bound = not found.exact and seen == found.exact_start
            if bound and said >= seen:
                continue
            if seen < said or (exact and seen != said):
                refuted.append(
                    f"the file states order {'' if exact else 'at least '}{said} ({start}, {kind} "
                    f"grids); the audit finds {seen}"
                )


def _weigh_leading(stated: dict[str, Any], audited: Audit, refuted: list[str]) -> None:
    """LEADING_ERROR of an emitted file against the words that the audit read, word by word."""
    for kind in ("uniform", "arbitrary"):
        found = audited.grids.get(kind)
        if found is None or not found.exact or found.exact_start > READABLE:
            continue
        if bound_only(stated, kind, found.exact_start):
            continue
        try:
            read = found.leading, found.blurred, found.shares
            wrong = differences(stated, kind, found.exact_start, *read)
        except ClaimError:
            continue
        if wrong:
            refuted.append(f"leading error on {kind} grids: " + "; ".join(wrong[:3]))
