"""Is a rule right for a constant model as h tends to 0? Checked in floating point: a typo in weights shows at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..expr.tree import evaluate
from .model import Program, Row

# So short a step that weights which are right only to a power of h, as Lawson's, pass as well.
STEP, TOLERANCE = 2.0**-10, 2.0**-6


def inconsistent_rows(program: Program) -> list[str]:
    """Names of the rows that end a step and do not integrate a constant, as h tends to 0.

    Args:
        program: parameters take their defaults, steps are equal and short in λ.

    Returns:
        Rows whose weights do not sum to ∫ of the kernel: such a solver has order 0. Rows that use
        a further coordinate are interpolants, exact by construction, and are not looked at.
    """
    found = []
    for step in program.steps:
        ends = [step.final, *([step.corrector] if step.corrector else [])]
        for row in ends:
            if step.coordinate is None and abs(_excess(row, program)) > TOLERANCE:
                found.append(f"{row.name} ({step.label})")
    return found


def _excess(row: Row, program: Program) -> float:
    kappa = program.kappa
    values: dict[str, Any] = {p.name: float(p.default) for p in program.parameters}
    values["h"] = STEP
    for k in range(1, 10):
        values[f"theta{k}"] = float(k)
        past, ahead = math.expm1(-kappa * k * STEP), math.expm1(kappa * STEP)
        values[f"Theta{k}"] = -past / ahead if kappa else float(k)
    total = sum(evaluate(t.weight, values, _FUNCTIONS, float) for t in row.terms)
    exact = 1.0 if row.gauge == "clock" else STEP * _phi(1, -kappa * STEP)
    return float(total / exact - 1)


def _phi(k: int, z: float) -> float:
    return sum(z**j / math.factorial(j + k) for j in range(20))


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "phi": _phi,
    "exp": math.exp,
    "expm1": math.expm1,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
}
