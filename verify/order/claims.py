"""Claims of a deterministic sampler, weighed against its audit and its measured rates."""

from __future__ import annotations

from typing import Any

from ..errors import ClaimError
from ..problems.grids import CLASS
from ..targets import Target
from .audit import CLASSES, Audit
from .causes import Cause
from .leading_error import differences
from .stated_error import bound_only

# float64 leaves too few digits of the small coefficients of higher orders
READABLE = 4
# of weights, above what float64 leaves
ROUNDED = 1e-10
# why what a file states is not judged here
UNHELD = {
    "LOCAL_ORDER": (
        "claims no order, and states one of single steps whose weights change along the run, which no run on "
        "short grids confirms: nothing was judged but its real runs"
    ),
    "WEAK_ORDER": (
        "claims no order, and states weak ones, but draws no noise at its defaults: these were not judged; give "
        "options with which it draws"
    ),
}
STARTS = {"exact_start": "exact_start", "own_start": "own_start", "own_end": "own_end"}


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
    notes += audited.notes
    if audited.noise > ROUNDED and not target.stated.get("ORDER"):
        notes.append(_single(audited))
    orders = audited.orders()
    open_questions: list[str] = []
    if claim is not None:
        _weigh_claim(claim, audited, measured, refuted, open_questions, notes)
    _weigh_stated(target.stated, audited, measured, refuted, open_questions)
    _weigh_leading(target.stated, audited, refuted)
    apart = _apart(claim, orders, measured)
    for grid, rate in measured.items():
        if rate.order is None:
            notes.append(f"rate on {grid} refused: {rate.reason}")
    for grid, found in extra.get("constants", {}).items():
        if isinstance(found, dict) and found.get("ok") is False:
            said = found.get("note") or f"measured / predicted error is {found['ratio']:.3f}"
            refuted.append(f"constant on {grid}: {said}")
        elif isinstance(found, dict) and found.get("ok") is None and found.get("note"):
            notes.append(f"constant on {grid}: {found['note']}")
    if extra.get("floor"):
        notes.append(f"single-precision casts of the host cause an error of {extra['floor']:.1e}")
    held = claim is not None or bool(target.stated.get("ORDER"))
    if not held:
        notes += [text for name, text in UNHELD.items() if target.stated.get(name)]
    status = "fail" if refuted else ("pass" if held else "none")
    if apart:
        return "disagree", tuple(apart + refuted + open_questions + notes)
    if held and not refuted:
        open_question = _unproved(target, audited, measured)
        open_questions += [open_question] if open_question else []
        if open_questions:
            return "error", (*open_questions, *notes)
    return status, tuple(refuted + open_questions + notes)


def _apart(claim: int | None, orders: dict[str, int | None], measured: dict[str, Any]) -> list[str]:
    """Where the audit and the target's own measured rates cannot both be right, with both.

    A rate below the audited order contradicts it anywhere. One above it does where the claim hangs
    on it: a claim is not refuted against the target's own rates.
    """
    out = []
    for grid, rate in measured.items():
        decided = orders.get(CLASS[grid])
        if rate.order is None or decided is None:
            continue
        below = rate.order < decided
        saved = claim is not None and decided < claim <= rate.order
        if below or saved:
            out.append(
                f"audit and measurement disagree on {grid} grids: the measured slope is "
                f"{rate.slope:.2f}, the audit says order {decided}"
            )
    return out


def _unproved(target: Target, audited: Audit, measured: dict[str, Any]) -> str:
    """Why a claim that nothing refutes is not proved either; "" when it is."""
    decided = any(rate.order is not None for rate in measured.values())
    orders = audited.orders()
    # at order 0 an error that stays is what the audit found
    stuck = [g for g, rate in measured.items() if orders[CLASS[g]] != 0 and not rate.vanishes()]
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
    unproved: list[str],
    notes: list[str],
) -> None:
    short: list[tuple[str, str]] = []
    for kind, found in audited.grids.items():
        if found.order < claim and not found.exact and found.order == found.exact_start:
            rates = [r.order for g, r in measured.items() if CLASS[g] == kind]
            if not any(order is not None and order >= claim for order in rates):
                unproved.append(
                    f"could not be judged: claims order {claim}; on {kind} grids the audit shows "
                    f"at least order {found.order}, and no more than that is proved or measured"
                )
        elif found.order < claim:
            known = sorted(found.causes, key=lambda c: c.caps)
            known += [found.limit] if found.limit else []
            why = next((c.text for c in known), "")
            reason = f" ({why})" if why else ""
            short.append((kind, f"claims order {claim}; on {{}} it is {found.order}{reason}"))
    refuted += _once(short)
    if audited.grids and min(g.order for g in audited.grids.values()) > claim:
        notes.append(f"claims order {claim}, and is of higher order on every grid")
    if not audited.grids:
        for grid, rate in measured.items():
            if rate.order is not None and rate.order < claim:
                refuted.append(f"claims order {claim}; on {grid} the slope is {rate.slope:.2f}")
        proved = {CLASS[g] for g, rate in measured.items() if rate.order is not None}
        for kind in sorted({CLASS[g] for g in measured} - proved):
            unproved.append(
                f"could not be judged on {kind} grids: the audit gives no order, and no rate was "
                "accepted there"
            )


def short_causes(
    claim: int | None, stated: dict[str, Any], audited: Audit
) -> list[tuple[str, Cause]]:
    """(class of grids, cause) of all that holds orders down, and of orders short of a claim at least one.

    Where nothing is wrong but that the nodes of a rule, or its trees, allow no more, what more would need
    is the cause.
    """
    tables, out = _as_audited(stated), []
    for kind, found in audited.grids.items():
        said = [tables.get(kind, {}).get(start, (0,))[0] for start in STARTS]
        causes = found.causes
        if not causes and found.limit is not None and found.order < max(claim or 0, *said):
            causes = (found.limit,)
        out += [(kind, cause) for cause in causes]
    return out


def _single(audited: Audit) -> str:
    return f"weights carry rounding of {audited.noise:.0e}: something inside is single precision"


def _weigh_stated(
    stated: dict[str, Any],
    audited: Audit,
    measured: dict[str, Any],
    refuted: list[str],
    unproved: list[str],
) -> None:
    """ORDER of an emitted file against the audit, for every grid class, start and end."""
    if stated.get("ORDER") and audited.noise > ROUNDED:
        refuted.append(f"{_single(audited)}, though the file plans in float64")
    wrong: list[tuple[str, str]] = []
    short: list[tuple[str, str]] = []
    for kind, table in _as_audited(stated).items():
        found = audited.grids.get(kind)
        for start, attribute in STARTS.items():
            if found is None or start not in table:
                continue
            said, exact = table[start]
            said = max(said, 0)  # below it: how fast it diverges, which no condition tells
            seen = getattr(found, attribute)
            # where rounding hides the next order, what the audit found is a lower bound
            bound = not found.exact and seen == found.exact_start
            if bound and said >= seen:
                rates = [r.order for g, r in measured.items() if CLASS[g] == kind]
                shown = any(order is not None and order >= said for order in rates)
                if seen < min(said, READABLE) and not shown:
                    text = f"could not be judged: the file states order {said} ({start}, {{}}); "
                    short.append((kind, f"{text}the audit shows at least {seen}, and no more"))
                continue
            if seen < said or (exact and seen != said):
                order = f"{'' if exact else 'at least '}{said}"
                text = f"the file states order {order} ({start}, {{}}); the audit finds {seen}"
                wrong.append((kind, text))
    refuted += _once(wrong)
    unproved += _once(short)


def _as_audited(stated: dict[str, Any]) -> dict[str, Any]:
    """The stated orders by the audit's classes of grids, whose uniform ones are uniform in lambda.

    A file of a velocity solver speaks of grids that are uniform in sigma/(alpha + sigma); one that is
    uniform in lambda is smooth there.
    """
    orders: dict[str, Any] = stated.get("ORDER") or {}
    if _elsewhere(stated):
        return {**orders, "uniform": orders["smooth"]}
    return orders


def _elsewhere(stated: dict[str, Any]) -> bool:
    """Whether what is stated of uniform grids holds for other grids than the audit's."""
    orders = stated.get("ORDER") or {}
    return stated.get("INTEGRAND") == "velocity" and orders.get("uniform") != orders.get("smooth")


def _once(told: list[tuple[str, str]]) -> list[str]:
    """Sentences about classes of grids, each once; {} in them stands for where they hold."""
    where: dict[str, list[str]] = {}
    for kind, text in told:
        where.setdefault(text, []).append(kind)
    return [
        text.replace(
            "{}", "every grid" if len(kinds) == len(CLASSES) else f"{', '.join(kinds)} grids"
        )
        for text, kinds in where.items()
    ]


def _weigh_leading(stated: dict[str, Any], audited: Audit, refuted: list[str]) -> None:
    """LEADING_ERROR of an emitted file against the words that the audit read, word by word."""
    for kind in ("uniform", "arbitrary"):
        found = audited.grids.get(kind)
        if found is None or not found.exact or found.exact_start > READABLE:
            continue
        if kind == "uniform" and _elsewhere(stated):
            continue
        said, _ = stated.get("ORDER", {}).get(kind, {}).get("exact_start", (0, True))
        if said < 0 or bound_only(stated, kind, found.exact_start):
            continue
        try:
            read = found.leading, found.blurred, found.shares
            wrong = differences(stated, kind, found.exact_start, *read)
        except ClaimError:
            continue
        if wrong:
            refuted.append(f"leading error on {kind} grids: " + "; ".join(wrong[:3]))
