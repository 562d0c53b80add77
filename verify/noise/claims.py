"""Claims of a sampler that draws noise, weighed against its measured orders."""

from __future__ import annotations

from typing import Any

from ..order.audit import CLASSES
from ..order.causes import Cause
from .findings import GridNoise, NoiseAudit
from .weak import EXACT, NO_LIMIT, STUCK, Order

# white noise caps the covariance of Adams rules
CEILING = 2
MOMENTS = ("mean", "covariance", "strong")
NAMES = {
    "mean": "mean",
    "covariance": "covariance",
    "strong": "strong",
    "path_covariance": "covariance, on one path,",
    "path_mean": "mean",
}


def weigh_noise(
    claim: int | None,
    stated: dict[str, Any],
    found: NoiseAudit,
    mixture: dict[str, Order] | None = None,
) -> tuple[str, str, tuple[str, ...]]:
    """(status, reason, findings): claims first, then what falls short of the deterministic part.

    Args:
        claim: weak order to hold it to, in mean and in covariance.
        stated: constants of an emitted file; CLAIM and WEAK_ORDER are weighed.
        mixture: class -> weak order on a mixture, where densities could be carried.
    """
    refuted: list[str] = []
    unknown: list[str] = []
    wanted = claims(claim, stated)
    for kind, one in found.grids.items():
        for part, least in wanted.items():
            _weigh_claim(kind, part, least, one, found.causes.get(kind, ()), refuted, unknown)
        table = (stated.get("WEAK_ORDER") or {}).get(kind) or {}
        # a file speaks of the strength that it has where it draws noise
        loud = next((w["grids"][kind] for w in found.windows if w["noisy"]), one)
        for part, value in table.items():
            if part in NAMES and value is not None:
                _weigh_stated(kind, part, value, measured_part(loud, part), refuted, unknown)
    for kind, order in (mixture or {}).items():
        least = wanted.get("covariance")
        if isinstance(least, int) and order.at_least(least) is False:
            refuted.append(
                f"{kind}|claims covariance order {least}; on a mixture the weak order is "
                f"{order.said()}"
            )
    notes = shortfalls(found)
    for cause in (c for each in found.causes.values() for c in each):
        told = f" ({cause.text})"
        if any(told in text for text in refuted):
            notes = [note.replace(told, "") for note in notes]
    held = bool(wanted) or bool(stated.get("WEAK_ORDER"))
    if stated.get("WEAK_ORDER"):
        known = {
            kind: [c for c in each if c.kind == "rounding"] for kind, each in found.causes.items()
        }
        refuted += [
            f"{kind}|{c.text}, though the file plans in float64"
            for kind, each in known.items()
            for c in each
        ]
    if refuted:
        return "fail", "", (*_merged(refuted), *notes)
    if held and unknown:
        return "error", "unproved", (*_merged(unknown), *notes)
    return ("pass" if held else "none"), "", tuple(notes)


def measured_part(one: GridNoise, part: str) -> Order:
    """The measured order that a stated one speaks of."""
    if part == "path_covariance":
        return one.path_covariance or one.covariance
    found: Order = getattr(one, part.removeprefix("path_"))
    return found


def claims(claim: int | None, stated: dict[str, Any]) -> dict[str, Any]:
    """What is claimed for mean, covariance and strong error."""
    said = stated.get("CLAIM")
    said = said if isinstance(said, dict) else {}
    out = {k: said[k] for k in MOMENTS if said.get(k) is not None}
    weak = claim if claim is not None else said.get("order")
    if isinstance(weak, int):
        out.setdefault("mean", weak)
        out.setdefault("covariance", weak)
    return out


def _weigh_claim(
    kind: str,
    part: str,
    least: Any,
    one: GridNoise,
    causes: tuple[Cause, ...],
    refuted: list[str],
    unknown: list[str],
) -> None:
    found: Order = getattr(one, part)
    path = one.path_covariance
    if part == "covariance" and path is not None and least != "exact" and path.at_least(least):
        found = path
    holds = found.exact or None if least == "exact" else found.at_least(least)
    if least == "exact" and not found.exact and found.order is not None:
        holds = False
    if holds is None:
        unknown.append(f"{kind}|the {NAMES[part]} order could not be judged: {found.reason}")
    elif not holds:
        why = next((c.text for c in sorted(causes, key=lambda c: c.caps)), "")
        refuted.append(
            f"{kind}|claims {NAMES[part]} order {least}; it is {found.said()}"
            + (f" ({why})" if why else "")
        )


def _weigh_stated(
    kind: str, part: str, said: Any, found: Order, refuted: list[str], unknown: list[str]
) -> None:
    """One entry of WEAK_ORDER: "exact", p, or [p, whether exactly p].

    A Gaussian can hide an error that another target would show, but what is stated was proved on
    Gaussians too: an error that is there for the one must be there for the other.
    """
    if found.said() == "?":
        unknown.append(f"{kind}|the {NAMES[part]} order could not be judged: {found.reason}")
        return
    if said == "exact":
        wrong = not found.exact
    else:
        least, sharp = (said[0], bool(said[1])) if isinstance(said, (list, tuple)) else (said, True)
        if found.exact:
            wrong = sharp
        else:
            wrong = (found.order or 0) < least or (sharp and found.order != least)
    if wrong:
        refuted.append(f"{kind}|the file states {NAMES[part]} order {said}; it is {found.said()}")


def shortfalls(found: NoiseAudit) -> list[str]:
    """Where noise keeps a sampler below what its deterministic part is good for."""
    out: list[str] = []
    for kind, one in found.grids.items():
        promise = found.promise.get(kind)
        causes = found.causes.get(kind, ())
        below: dict[tuple[str, str], list[str]] = {}
        for part, least in _promised(promise).items():
            order: Order = getattr(one, part)
            if order.at_least(least) is False:
                why = next(
                    (c.text for c in sorted(causes, key=lambda c: c.caps) if c.caps <= least), ""
                )
                # report each cause once
                below.setdefault((order.said(), why or part), []).append(NAMES[part])
            elif order.said() == "?" and not (found.said and order.reason == NO_LIMIT):
                out.append(f"{kind}|{NAMES[part]} order not measured: {order.reason}")
        for (said, why), parts in below.items():
            out.append(
                f"{kind}|{_listed(parts)} order {said}, while its deterministic part is of order "
                f"{promise}" + ("" if why in NAMES else f" ({why})")
            )
        out += [f"{kind}|{text}" for text in _strengths(one, causes)]
        if len(one.worst) > 1 and one.covariance.at_least(1):
            last, before = one.worst[-1], one.worst[-2]
            if last > STUCK * before and last > EXACT:
                out.append(f"{kind}|the marginal is not kept at every step: off by {last:.1e}")
        path = one.path_covariance
        if path is not None and path.said() != one.covariance.said():
            out.append(
                f"{kind}|with draws from one Brownian path the covariance order is {path.said()}, with "
                f"independent draws {one.covariance.said()}"
            )
        if one.martingale is False and one.mean.exact is False:
            out.append(
                f"{kind}|at full strength the mean of E[x0 | x] drifts; a rule that integrates "
                "constants exactly keeps it"
            )
    return _merged(out)


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _strengths(one: GridNoise, causes: tuple[Cause, ...]) -> list[str]:
    """Why the mean is off where the noise of every step is: it is held to the strength of the noise."""
    spoilt = next((c for c in causes if (c.kind, c.step) == ("variance", "every")), None)
    found = float(one.strength[-1])
    if spoilt is None or spoilt.factor is None or one.mean.order != 0 or found <= 0:
        return []
    said = (
        f"the mean decays as at tau^2 = {found * spoilt.factor**2:.3g}, and is measured against "
        f"tau^2 = {found:.3g}, the strength of the noise"
    )
    return [said]


def _promised(promise: int | None) -> dict[str, int]:
    if promise is None:
        return {"mean": 0, "covariance": 0, "strong": 0}
    return {"mean": promise, "covariance": min(promise, CEILING), "strong": min(promise, 1)}


def _merged(lines: list[str]) -> list[str]:
    """Findings "grid|text", the same text once with all its grids."""
    seen: dict[str, list[str]] = {}
    for line in lines:
        kind, _, text = line.partition("|")
        seen.setdefault(text, []).append(kind)
    return [
        ("" if len(where) == len(CLASSES) else f"on {', '.join(where)} grids ") + text
        for text, where in seen.items()
    ]
