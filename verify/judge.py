"""From a target to a Verdict: plain data, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from .conduct.checks import BREACH, Conduct
from .conduct.functions import conduct_of
from .conduct.surroundings import NAMES, Surroundings
from .errors import ANYTHING, ConductError, TargetError, VerifyError
from .fitted.judging import Fitted, findings
from .hosts.room import room_for
from .noise.audit import audit_noise, draws_in_vain, draws_noise, raised
from .noise.claims import weigh_noise
from .noise.density import mixture_order
from .noise.jumps import audit_jumps, rises
from .order.audit import CLASSES, Audit, audit
from .order.causes import Cause, raised_cause
from .order.claims import short_causes, weigh
from .order.first_output import wrong_first_output
from .order.stability import region
from .probe.adaptive import embedded
from .probe.noise_sources import strayed
from .probe.place import line_of_step, raised_after
from .probe.tableau import FORMS
from .problems.grids import GRIDS
from .rates import measure, snapped
from .table import judge_table
from .targets import Target
from .verdict import Verdict, versions

GRAVEST = ("error", "disagree", "fail", "pass", "none")
# classes of grids on which densities are carried over a mixture
DENSITY = ("uniform", "arbitrary")
# constants that name late numbers: for what they are held alike here, and what a run may do with them
HELD = (
    ("PER_SAMPLE", "samples", "ask for sample by sample"),
    ("PER_ELEMENT", "elements", "have for each element"),
)


def judge(
    target: Target,
    *,
    claim: int | None = None,
    grids: Sequence[str] = tuple(GRIDS),
    rates: bool = True,
    constants: bool = True,
    conduct: bool = True,
    rule: bool = True,
    seed: int = 0,
    around: Surroundings | None = None,
) -> Verdict:
    """Audit a target, measure it, and weigh its claims.

    Args:
        claim: order to hold it to, instead of its own claim.
        grids: grids to measure on.
        rates: measure convergence (False: the audit alone).
        seed: moves the place of the audit; verdicts are the same for the same seed.
        rule: audit the rule (False: real runs alone, where options move the levels only).
        conduct: run it as people run it, beside the audit.
        constants: compare the stated leading error with the measured global error.
        around: what the import of the target has been seen to change, or None.

    Returns:
        A Verdict; misbehaviour of the target is in it, never raised.
    """
    around = around or Surroundings()
    target = replace(
        target,
        run=around.run(target.run),
        single=target.single and around.run(target.single),
        quiet=target.quiet and around.run(target.quiet),
        real=target.real and around.real(target.real),
    )
    asked = target, claim, grids, rates, constants, conduct, rule, seed
    return _with_surroundings(_placed(target, asked), around)


def _placed(target: Target, asked: tuple[Any, ...]) -> Verdict:
    """The verdict, on a larger state where it takes one, with the line of the step that is to blame."""
    verdict = _judged(*asked)
    if strayed():
        verdict = _judged(*asked)
    if verdict.reason == "raises" and target.real is None and target.table is None:
        verdict = _with_room(verdict, target, asked[1:])
    if verdict.reason == "raises" and not verdict.causes:
        verdict = _with_place(verdict, target)
    if target.path is None or verdict.status in ("pass", "none"):
        return verdict
    return replace(verdict, line=line_of_step(target.run, target.path))


def _with_place(verdict: Verdict, target: Target) -> Verdict:
    """The verdict on a sampler that raises, with the step and the model call at which it does."""
    place = raised_after(target.run)
    if place is None:
        return verdict
    cause = raised_cause(*place)
    return replace(
        verdict,
        findings=(*verdict.findings, cause.text),
        causes=tuple({"grid": kind, **asdict(cause)} for kind in CLASSES),
    )


def _with_room(verdict: Verdict, target: Target, asked: tuple[Any, ...]) -> Verdict:
    """The verdict on a larger state, where the sampler raises on single pixels and not there."""
    room = room_for(target.run)
    if room is None:
        return verdict
    quiet = None if target.quiet is None else room.around(target.quiet)
    roomy = replace(target, run=room.around(target.run), quiet=quiet)
    made = _judged(roomy, *asked)
    if strayed():
        made = _judged(roomy, *asked)
    said = (
        f"does not run on states of single pixels ({verdict.findings[0][:160].rstrip(': ')}); judged on "
        f"states of {room.words()}"
    )
    return replace(made, findings=(*made.findings, said))


def _judged(
    target: Target,
    claim: int | None,
    grids: Sequence[str],
    rates: bool,
    constants: bool,
    conduct: bool,
    rule: bool,
    seed: int,
) -> Verdict:
    claim = target.claim if claim is None else claim
    # strangers' code may draw random numbers; the verdict must not depend on what ran before
    torch.manual_seed(seed)
    if target.table is not None:
        return judge_table(target, target.table, claim)
    if not rule:
        return _conducted(Verdict(**_base(target, None, Audit("ok")), status="none"), target, None)
    if draws_noise(target.run):
        verdict = _judge_noise(target, claim, rates)
        return _conducted(verdict, target, None, noisy=True) if conduct else verdict
    # an emitted file states its error in its own integrand's clock
    form = target.stated.get("INTEGRAND")
    audited = audit(target.run, form=form if form in FORMS else None, seed=seed)
    if audited.status == "raises" and TargetError.__name__ in audited.message:
        # a package that draws noise is absent; what the sampler raises with draws in its place counts
        audited = replace(audited, message=raised(target.run) or audited.message)
    if target.fitted is not None:  # a table of one length converges to nothing
        grids, constants = (), False
    verdict = _judge_drift(target, claim, audited, grids if rates else (), constants)
    if target.fitted is not None:
        verdict = _with_table(verdict, target.fitted)
    if target.stated.get("WEAK_ORDER") and (vain := draws_in_vain(target.run)):
        verdict = _without_noise(verdict, vain)
    if "FIRST" in target.stated and audited.status == "ok":
        verdict = _with_first(verdict, target)
    for stated, alike, apart in HELD:
        if own := target.stated.get(stated):
            held = (
                f"held fixed, the same for all {alike}: {', '.join(own)}, which a run may {apart}"
            )
            verdict = replace(verdict, findings=(*verdict.findings, held))
    if target.adaptive is not None or audited.amplitude < 1:
        pair = embedded(target.adaptive or target.run)
        # what bites at large outputs may be a clamp as well
        if target.adaptive is not None or pair.order is not None:
            told = (*verdict.findings, pair.sentence())
            verdict = replace(verdict, findings=told, adaptive=pair.as_dict())
    if audited.status == "ok" and rises(target.run):
        verdict = _with_jumps(verdict, target, audited)
    return _conducted(verdict, target, audited) if conduct else verdict


def _snapped(
    target: Target, claim: int | None, status: str, findings: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Status and findings of a sampler that snaps its whole grid: a measurement, with its floor."""
    found = snapped.measured(target.run)
    if found is None:
        return status, findings
    rest = tuple(f for f in findings if "could not be judged" not in f)
    told = (found.sentence(), *rest)
    if claim is None:
        return "none", told
    if found.order is None:
        return "error", (f"could not be judged: {found.sentence()}", *rest)
    if found.order < claim:
        return "fail", (f"claims order {claim}; {found.sentence()}", *rest)
    return "pass", told


def _without_noise(verdict: Verdict, draws: int) -> Verdict:
    """The verdict on a sampler that states orders of its noise, asks for draws, and takes none of them."""
    cause = Cause("every", "variance", None, None, 0, "every step adds no noise")
    text = (
        f"it states weak orders, and none of the {draws} draws that a run asks for reaches a state"
    )
    return replace(
        verdict,
        status="fail",
        findings=(f"{text}: {cause.text}", *verdict.findings),
        causes=tuple({"grid": kind, **asdict(cause)} for kind in CLASSES),
    )


def _with_first(verdict: Verdict, target: Target) -> Verdict:
    """The verdict with what the run shows of a first output that is stated to need no call."""
    wrong = wrong_first_output(target.run, str(target.stated["FIRST"]))
    if not wrong:
        return verdict
    return replace(verdict, status="fail", findings=(wrong, *verdict.findings))


# misbehaviour after which nothing is learnt from more runs
HOPELESS = ("raises", "shape", "dtype", "size", "target")


def _conducted(
    verdict: Verdict, target: Target, audited: Audit | None, *, noisy: bool = False
) -> Verdict:
    """The verdict with what real runs show; a breach refutes, whatever the order is."""
    if verdict.status == "error" and verdict.reason in HOPELESS:
        return verdict
    made = target.real() if target.real else _function(target, verdict.claim, audited, noisy)
    return _with_conduct(verdict, made)


def _function(target: Target, claim: int | None, audited: Audit | None, noisy: bool) -> Conduct:
    amplitude = 1.0 if audited is None else audited.amplitude
    stated = target.stated.get("ORDER", {}).get("uniform", {}).get("own_end", [0])
    return conduct_of(
        target.run,
        audited,
        amplitude=amplitude,
        noisy=noisy,
        order=max(claim or 0, int(stated[0])),
    )


def _with_conduct(verdict: Verdict, made: Conduct) -> Verdict:
    status, reason = verdict.status, verdict.reason
    # what is left of the run before leaves its order unproved
    carried = reason == "unproved" and any(f.check == "state" for f in made.breaches)
    if made.breaches and (status != "error" or carried):
        status, reason = "fail", "conduct"
    findings = (*verdict.findings, *made.sentences())
    if status == "fail" and verdict.status != "fail":
        findings = tuple(dict.fromkeys((*made.sentences(), *verdict.findings)))
    return replace(verdict, status=status, reason=reason, findings=findings, conduct=made.as_dict())


def _with_surroundings(verdict: Verdict, around: Surroundings) -> Verdict:
    """The verdict with what the target changes around itself; a breach refutes, whatever else was found."""
    if not verdict.conduct and not around.findings:
        return verdict
    made, found = verdict.conduct or Conduct().as_dict(), around.findings
    fine = tuple(n for n in NAMES if around.watching and n not in {f.check for f in found})
    conduct = {
        **made,
        "held": (*made["held"], *fine),
        "findings": (*(asdict(f) for f in found), *made["findings"]),
    }
    told = (*(f.sentence() for f in found), *verdict.findings)
    if not any(f.gravity == BREACH for f in found):
        told = (*verdict.findings, *(f.sentence() for f in found))
        return replace(verdict, findings=told, conduct=conduct)
    return replace(verdict, status="fail", reason="conduct", findings=told, conduct=conduct)


def _judge_drift(
    target: Target, claim: int | None, audited: Audit, grids: Sequence[str], constants: bool
) -> Verdict:
    """Order, rates and constants of a target that draws no noise; no grids, no rates."""
    base = _base(target, claim, audited)
    if audited.status not in ("ok", "nonlinear", "nonlocal", "grid"):
        return Verdict(**base, status="error", reason=audited.status, findings=(audited.message,))
    measured: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    if grids:
        try:
            measured = _rates(target, audited, claim, grids)
            extra["budget"] = {g: measure.budget(target.run, g) for g in ("uniform", "karras")}
            if target.single is not None:
                extra["floor"] = measure.precision_floor(target.run, target.single)
            extra["figures"] = _figures(target, audited)
        except ConductError as error:
            return Verdict(**base, status="error", reason=error.kind, findings=(str(error),))
        except ANYTHING as error:
            text = f"{type(error).__name__}: {error}"
            return Verdict(**base, status="error", reason="raises", findings=(text,))
    if constants and grids and target.stated.get("LEADING_ERROR") and audited.status == "ok":
        extra["constants"] = _constants(target, audited)
    status, findings = weigh(target, claim, audited, measured, extra)
    if audited.status == "grid" and "snaps its grid" in audited.message:
        status, findings = _snapped(target, claim, status, findings)
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


def _with_table(verdict: Verdict, fitted: Fitted) -> Verdict:
    """The verdict with what the table of a fitted file does at its own levels."""
    try:
        refuted, told, data = findings(fitted)
    except ConductError as error:
        return replace(verdict, status="error", reason=error.kind, findings=(str(error),))
    except ANYTHING as error:
        text = f"{type(error).__name__}: {error}"
        return replace(verdict, status="error", reason="raises", findings=(text,))
    status = "fail" if refuted and verdict.status in ("pass", "none") else verdict.status
    return replace(
        verdict,
        status=status,
        findings=(*refuted, *verdict.findings, *told),
        table=data,
    )


def _with_jumps(verdict: Verdict, target: Target, audited: Audit) -> Verdict:
    """The verdict with what grids that rise show."""
    try:
        found = audit_jumps(target.run, audited)
    except ConductError as error:
        return replace(verdict, status="error", reason=error.kind, findings=(str(error),))
    status, reason, findings = weigh_noise(verdict.claim, target.stated, found)
    worst = min(status, verdict.status, key=GRAVEST.index)
    return replace(
        verdict,
        status=worst,
        reason=reason if worst == status and status == "error" else verdict.reason,
        findings=tuple(dict.fromkeys((*findings, *verdict.findings))),
        noise=found.as_dict(),
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
        # a density is carried over a mixture at its own size, where a clip would bite
        whole = rates and found.amplitude == 1
        mixture = {k: mixture_order(target.run, k) for k in DENSITY} if whole else {}
    except ConductError as error:
        idle = error.kind == "nonlinear" and claim is None and _states_none(target.stated)
        status = "none" if idle else "error"
        return Verdict(**base, status=status, reason=error.kind, findings=(str(error),))
    except ANYTHING as error:
        text = f"{type(error).__name__}: {error}"
        return Verdict(**base, status="error", reason="raises", findings=(text,))
    status, reason, findings = weigh_noise(claim, target.stated, found, mixture)
    causes = [{"grid": kind, **asdict(c)} for kind, each in found.causes.items() for c in each]
    causes.sort(key=lambda c: (c["caps"], CLASSES.index(c["grid"])))
    return Verdict(
        **base,
        status=status,
        reason=reason,
        findings=(*findings, *found.lone),
        audited={kind: one.weak_order() for kind, one in found.grids.items()},
        causes=tuple(causes),
        calls_per_step=found.calls_per_step,
        noise={**found.as_dict(), "mixture": {k: asdict(o) for k, o in mixture.items()}},
    )


def _states_none(stated: Mapping[str, Any]) -> bool:
    """Whether a file with noise claims no order and says that it has none."""
    rates = [rate for row in stated.get("WEAK_ORDER", {}).values() for rate in row.values()]
    return not stated.get("CLAIM") and all(rate is None for rate in rates)


def _base(target: Target, claim: int | None, audited: Audit) -> dict[str, Any]:
    causes = [
        {"grid": kind, **asdict(cause)}
        for kind, cause in short_causes(claim, target.stated, audited)
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
    from .order.constant import compare

    try:
        return compare(target.run, target.stated, audited)
    except VerifyError as error:
        return {"error": str(error)}
