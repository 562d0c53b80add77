"""A stated leading error against the one that the audit read, exactly.

Stated words live in lambda (order theory, D^(l) = d^l N / dlam^l along a solution); the audit's
live in a plain clock. Between the two there is only the chain rule: d/dlam is c d/dc for the data
clock c = e^lam and -c d/dc for the noise clock c = e^-lam, and d/du is c d/dY. A difference in the
constants of one in a hundred, which no measured ratio shows, shows here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ClaimError
from ..problems.grids import ROUGH_LOCAL
from .conditions import Word
from .stated_error import evaluate

STEPS = 6
TOLERANCE = 2e-3


def in_clock(tree: Any, kappa: int) -> dict[str, float]:
    """A stated word [l, [children]] as clock words, at clock 1 and in units of a step.

    Returns:
        spelling of a clock word -> coefficient.
    """
    return {str(word): value for word, value in _converted(tree, kappa).items()}


def _converted(tree: Any, kappa: int) -> dict[Word, float]:
    leaves, children = int(tree[0]), list(tree[1])
    m = len(children)
    combinations: list[tuple[tuple[Word, ...], float]] = [((), 1.0)]
    for child in children:
        made = _converted(child, kappa)
        combinations = [
            ((*words, word), value * factor)
            for words, value in combinations
            for word, factor in made.items()
        ]
    out: dict[Word, float] = {}
    sign = 1.0 if kappa == 1 else -1.0 * (-1.0) ** leaves
    for words, value in combinations:
        for k in range(leaves + 1):
            factor = sign * _euler(leaves, m, k)
            if factor == 0:
                continue
            weight = 1 + k + sum(w.weight for w in words)
            word = Word(weight, k, tuple(sorted(words)))
            # the noise clock runs backwards: a step is -h
            back = 1.0 if kappa == 1 else (-1.0) ** (1 + k)
            out[word] = out.get(word, 0.0) + value * factor * back
    return out


def _euler(power: int, shift: int, k: int) -> float:
    """Coefficient of c^k d^k/dc^k in (c d/dc + shift)^power."""
    total = sum((-1) ** (k - j) * math.comb(k, j) * (j + shift) ** power for j in range(k + 1))
    return total / math.factorial(k)


def expected(
    rows: list[dict[str, Any]],
    kappa: int,
    power: int,
    kind: str,
    shares: Sequence[float] = (1.0,) * STEPS,
) -> dict[str, float]:
    """Clock words of a stated local error, summed over the six steps of the audit's window.

    Args:
        rows: entries {"tree", "coef"} of LEADING_ERROR.
        power: p + 1.
        kind: "uniform", or "arbitrary" with the local rough pattern.
        shares: how much the error of each step of the pattern counts.
    """
    pattern = np.ones(STEPS) if kind == "uniform" else np.asarray(ROUGH_LOCAL)
    pattern = pattern / pattern.mean()
    out: dict[str, float] = {}
    for n in range(STEPS):
        names: dict[str, Any] = {
            f"r{k}": float(pattern[(n - k) % STEPS] / pattern[n]) for k in range(1, 9)
        }
        names.update(kappa=float(kappa), h=0.0)
        for row in rows:
            coefficient = evaluate(str(row["coef"]), names) * pattern[n] ** power * shares[n]
            for word, factor in in_clock(row["tree"], kappa).items():
                out[word] = out.get(word, 0.0) + coefficient * factor
    return out


def differences(
    stated: dict[str, Any],
    kind: str,
    order: int,
    found: tuple[tuple[str, float], ...],
    blurred: tuple[tuple[str, float], ...] = (),
    shares: Sequence[float] = (1.0,) * STEPS,
) -> list[str]:
    """Words whose stated and audited coefficients differ; [] when all agree.

    Args:
        found: (word, coefficient) of the audit, clock words of the form of INTEGRAND.
        blurred: (word, size) up to which the audit cannot tell a coefficient.
        shares: how much the error of each step of the pattern counts in what was found.

    Raises:
        ClaimError: a statement that cannot be read.
    """
    kappa = {"data": 1, "noise": -1}.get(str(stated.get("INTEGRAND")))
    table = "uniform" if kind == "uniform" else "symbolic"
    rows = (stated.get("LEADING_ERROR") or {}).get(table)
    if kappa is None or not rows:
        raise ClaimError("no leading error is stated for this grid and integrand")
    candidates = [rows]
    if any(_is_direct(row["tree"]) for row in rows):
        if kind != "uniform":
            raise ClaimError("a predictor's error cannot be separated on unequal steps")
        candidates.append(_seen_from_predicted(rows))
    made = [
        _compared(expected(c, kappa, order + 1, kind, shares), dict(found), dict(blurred))
        for c in candidates
    ]
    return min(made, key=len)


def _is_direct(tree: Any) -> bool:
    """J[X] with a single leaf X: where a predictor's error enters."""
    return int(tree[0]) == 0 and len(tree[1]) == 1 and not tree[1][0][1]


def _seen_from_predicted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the audit sees of a PEC rule whose model inputs are predicted states.

    On equal steps the coefficient of J[D^(l)] is the predictor's error of D^(l). From a predicted
    state taken as exact to a later one that error does not act (no J[X]), but it has grown by its
    own derivative, D^(l+1) + kappa D^(l) in the clock's variable.
    """
    out = []
    for row in rows:
        if not _is_direct(row["tree"]):
            out.append(row)
            continue
        leaves = int(row["tree"][1][0][0])
        out.append({"tree": [leaves + 1, []], "coef": row["coef"]})
        out.append({"tree": [leaves, []], "coef": f"kappa*({row['coef']})"})
    return out


def _compared(
    said: dict[str, float], seen: dict[str, float], blurred: dict[str, float]
) -> list[str]:
    scale = max([abs(v) for v in said.values()] or [1.0])
    out = []
    for word in sorted({*said, *seen}):
        a, b = said.get(word, 0.0), seen.get(word, 0.0)
        if abs(a - b) > TOLERANCE * scale + blurred.get(word, 0.0):
            out.append(f"{word}: stated {a / STEPS:.6g}, audited {b / STEPS:.6g} a step")
    return out
