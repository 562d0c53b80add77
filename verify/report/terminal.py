"""A table for the terminal, in plain text; colour only where it is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..noise.weak import NO_LIMIT
from ..order.audit import CLASSES
from ..order.causes import plain
from ..verdict import Verdict

COLOUR = {
    "pass": "\033[32m",
    "fail": "\033[31m",
    "error": "\033[31m",
    "disagree": "\033[33m",
    "none": "\033[36m",
}
WHERE = {
    "after": "",
    "before": ", before the model call",
    "anew": ", noised anew",
    "jumps": "",
}
# below it a weight is rounding
UNSEEN = 1e-9
RESET = "\033[0m"
WORD = {"pass": "pass", "fail": "FAIL", "error": "ERROR", "disagree": "DISAGREE", "none": "-"}


def orders(verdict: Verdict) -> str:
    """Audited orders on uniform / smooth / arbitrary grids, such as "2/2/1"."""
    values = [verdict.audited.get(k) for k in ("uniform", "smooth", "arbitrary")]
    return "/".join("-" if v is None else str(v) for v in values)


def slopes(verdict: Verdict) -> str:
    """Measured slopes on a uniform, a Karras and a rough grid; "?" where refused."""
    shown = []
    for grid in ("uniform", "karras", "rough"):
        if grid in verdict.measured:
            value = verdict.measured[grid]
            shown.append("?" if value is None else f"{value:.2f}")
    return "/".join(shown) or "-"


def ratios(verdict: Verdict) -> str:
    """Measured over predicted global error, per grid."""
    found = [v["ratio"] for v in verdict.constants.values() if isinstance(v, dict)]
    return "/".join("?" if r is None else f"{r:.3f}" for r in found) or "-"


HEAD = ("target", "verdict", "claim", "audited", "measured", "constant", "calls")


def table(verdicts: Sequence[Verdict], *, colour: bool = False) -> str:
    """One row a target: verdict, claim, audited u/s/a, measured slopes, constant, calls.

    Columns of measurements are left out when nothing was measured.
    """
    rows: list[tuple[str, ...]] = [
        (
            v.target,
            WORD[v.status],
            "-" if v.claim is None else str(v.claim),
            orders(v),
            slopes(v),
            ratios(v),
            "-" if v.calls_per_step is None else f"{v.calls_per_step:g}",
        )
        for v in verdicts
    ]
    measured = any(v.measured for v in verdicts)
    shown = [i for i, name in enumerate(HEAD) if measured or name not in ("measured", "constant")]
    head = tuple(HEAD[i] for i in shown)
    rows = [tuple(row[i] for i in shown) for row in rows]
    wide = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(head, wide, strict=True)).rstrip()]
    lines.append("  ".join("-" * w for w in wide))
    for row, verdict in zip(rows, verdicts, strict=True):
        line = "  ".join(c.ljust(w) for c, w in zip(row, wide, strict=True)).rstrip()
        if colour:
            word = f"{COLOUR[verdict.status]}{row[1]}{RESET}"
            start = wide[0] + 2
            line = line[:start] + word + line[start + len(row[1]) :]
        lines.append(line)
        lines.extend("    " + f for f in (*noise_lines(verdict), *past_lines(verdict)))
        lines.extend("    " + f for f in verdict.findings)
        if verdict.status != "error":
            lines.extend(_causes(verdict))
    return "\n".join([*lines, "", *_keys(verdicts, measured)])


def _keys(verdicts: Sequence[Verdict], measured: bool) -> list[str]:
    """What the columns of the table mean."""
    lines = ["audited: order on uniform/smooth/arbitrary grids, own start and end (exact)"]
    if any(v.noise for v in verdicts):
        lines.append(
            "noise: audited is the weak order, the lower of mean and covariance; errors on Gaussian "
            "targets are exact, nothing is sampled"
        )
    if measured:
        lines.append("measured: slope on uniform/karras/rough grids; ? where there is no window")
        lines.append(
            "constant: measured / predicted leading error on uniform/rough grids, 1 where the file "
            "states it right; ? where it could not be determined"
        )
    return [*lines, "calls: model calls per step, away from start and end"]


def moments(verdict: Verdict, part: str) -> str:
    """Orders of "mean", "covariance" or "strong" on uniform/smooth/arbitrary grids."""
    said = []
    for kind in CLASSES:
        found = verdict.noise["grids"][kind][part]
        missing = "-" if found["reason"] == NO_LIMIT else "?"
        known = missing if found["order"] is None else found["order"]
        said.append("exact" if found["exact"] else known)
    return str(said[0]) if len(set(said)) == 1 else "/".join(str(s) for s in said)


def draws(count: float) -> str:
    """How many draws a step makes, away from start and end."""
    if abs(count - round(count)) > 0.1:
        return "draws at some steps"
    return "1 draw a step" if round(count) == 1 else f"{round(count)} draws a step"


def noise_lines(verdict: Verdict) -> list[str]:
    """What the audit of a sampler that draws noise found, in a line."""
    if not verdict.noise:
        return []
    strength = verdict.noise["grids"]["uniform"]["strength"]
    # a quarter in which no state is at a grid level has no strength of its own
    strength = [s for s in strength if s > 0] or [0.0]
    low, high = min(strength), max(strength)
    size = f"{low:.4g}" if high - low < 1e-3 else f"{low:.3g} to {high:.3g}"
    parts = ", ".join(
        f"{part} {moments(verdict, part)}" for part in ("mean", "covariance", "strong")
    )
    drawn = draws(verdict.noise["draws_per_step"])
    if verdict.noise["kind"] == "jumps":
        drawn = drawn.replace("a step", "a rise of the grid")
    kind = verdict.noise["kind"]
    tau = f", tau^2 = {size}" if kind in ("after", "before") else ""
    known = [o for o in verdict.noise.get("mixture", {}).values() if o["order"] is not None]
    if known:
        parts += f", on a mixture {'/'.join(str(o['order']) for o in known)}"
    line = f"noise: order of {parts} ({drawn}{WHERE[kind]}{tau})"
    return [line, *verdict.noise.get("said", ())]


def past_lines(verdict: Verdict) -> list[str]:
    """Weights on past states and the moduli of the roots that they have, in a line."""
    grids = verdict.audit.get("grids") or {}
    found = {kind: one["past"] for kind, one in grids.items() if one.get("past")}
    if not found:
        return []
    line = "past states, or outputs remembered as combinations"
    even = next((one for one in found.values() if one["even"]), None)
    if even is not None:
        names = ["x[n]", *(f"x[n-{k}]" for k in range(1, even["states"]))]
        terms = zip(even["weights"], names, strict=True)
        known = " + ".join(f"{plain(w)} {name}" for w, name in terms if abs(w) > UNSEEN)
        line += f": x[n+1] = {known} + ...".replace("+ -", "- ")
        if even["slope"] is not None:
            line += f", rho'(1) = {plain(even['slope'])}"
    roots = ", ".join(
        f"{'/'.join(f'{r:.3g}' for r in one['roots'])} on {kind} grids ({_stability(one['growth'])})"
        for kind, one in found.items()
    )
    return [f"{line}; moduli of roots beside 1: {roots}"]


def _stability(growth: float | None) -> str:
    # plain data have no infinity
    if growth is None or math.isinf(growth):
        return "not zero-stable"
    return f"errors grow like n^{growth:g}" if growth else "zero-stable"


def _on(grids: list[str]) -> str:
    return "on every grid" if len(set(grids)) == len(CLASSES) else ", ".join(grids)


def _causes(verdict: Verdict) -> list[str]:
    """Each cause once, with the grids on which it holds."""
    seen: dict[str, list[str]] = {}
    for cause in verdict.causes:
        seen.setdefault(cause["text"], []).append(cause["grid"])
    said = " ".join(verdict.findings)
    head = "why not more" if verdict.status == "pass" else "cause"
    return [
        f"    {head} ({_on(grids)}): {text}" for text, grids in seen.items() if text not in said
    ]
