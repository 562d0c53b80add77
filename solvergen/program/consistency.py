"""Is a rule right for a constant model as h tends to 0? Checked in floating point: a typo in weights shows at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from sympy import Expr

from ..expr.arithmetic import add
from ..expr.evaluation import evaluate, left_sum
from .model import Program
from .row import Row, depth
from .step import Step

# So short a step that weights which are right only to a power of h, as Lawson's, pass as well.
STEP, TOLERANCE = 2.0**-10, 2.0**-6
HEAVY = 2.0**7  # how many steps long a weight may be: a number without the factor h is 2^10


def inconsistent_rows(program: Program) -> list[str]:
    """What is wrong with rows that end a step and do not integrate a constant, as h tends to 0.

    Args:
        program: parameters take their defaults, steps are equal and short in λ.

    Returns:
        A sentence for each row whose weights do not sum to ∫ of the kernel: such a solver does
        not converge. Rows that use a further coordinate are interpolants, exact by construction,
        and are not looked at.
    """
    found = []
    for step in program.steps:
        ends = [step.final, *([step.corrector] if step.corrector else [])]
        for row in ends:
            known = not step.coordinates and (program.kappa == 1 or not step.stochastic)
            if known and abs(excess := _excess(row, step, program)) > TOLERANCE:
                found.append(f"{_called(row)} ({step.label}): {_fault(1 + excess)}")
            elif known and (sources := _heavy(row, step, program)):
                found.append(
                    f"{_called(row)} ({step.label}): the weight or deviation of {', '.join(sources)} lacks "
                    "the factor h (h*phi1 has it); the solver does not converge"
                )
    return found


def _called(row: Row) -> str:
    """A row as people call it."""
    return "the step" if row.name == "x" else f"stage {row.name}"


def _fault(share: float) -> str:
    """What the weights of a row sum to, in words."""
    said = f"its weights sum to {share:.3g} times the integral of a constant"
    if abs(share * STEP - 1) < TOLERANCE:
        said = "its weights lack the factor h (h*phi1 integrates a constant)"
    return f"{said}; the solver does not converge"


def _heavy(row: Row, step: Step, program: Program) -> list[str]:
    """Evaluations whose weights stay as h tends to 0, though the sum of all is right."""
    if row.gauge == "clock" or step.stochastic:
        return []
    values, functions = _values(step, program), _FUNCTIONS
    sizes = {t.source: abs(float(evaluate(t.weight, values, functions, float))) for t in row.terms}
    return [source for source, size in sizes.items() if size > HEAVY * values["h"]]


def _values(step: Step, program: Program) -> dict[str, Any]:
    """Values of the symbols of a short step among equal ones."""
    kappa = program.kappa
    values: dict[str, Any] = {p.name: float(p.default) for p in program.parameters}
    values |= {"h": STEP, "sigma": 1.0, "sigma_next": math.exp(-STEP)}
    values |= {"steps": 1 / STEP, "i": 1 / (2 * STEP)}
    for name, expression in step.lets:
        values[name] = evaluate(expression, values, _FUNCTIONS, float)
    if step.down is not None:
        values["h"] = evaluate(step.down, values, _FUNCTIONS, float)
    for k in range(1, 10):
        values[f"theta{k}"] = float(k)
        past, ahead = math.expm1(-kappa * k * STEP), math.expm1(kappa * STEP)
        values[f"Theta{k}"] = -past / ahead if kappa else float(k)
        values[f"gamma{k}"] = point = k / step.spans
        values[f"Gamma{k}"] = math.expm1(kappa * point * STEP) / ahead if kappa else point
    values["remaining"] = 0.5
    return values


def _excess(row: Row, step: Step, program: Program) -> float:
    kappa, values = program.kappa, _values(step, program)

    def number(weight: Expr) -> float:
        return float(evaluate(weight, values, _FUNCTIONS, float))

    def whole(start: int) -> float:
        """The integral of a constant from a past point to the end of the step."""
        if row.gauge == "clock":
            return 1.0 + (values[f"Theta{start}"] if start else 0.0)
        length = (1 + start) * values["h"]
        return length * _phi(1, -kappa * length)

    total = sum(number(term.weight) for term in row.terms)
    exact = whole(0)
    if row.carry:
        exact *= number(row.decay)
        exact += sum(number(term.weight) * whole(depth(term.source)) for term in row.carry)
    if step.stochastic and row.gauge == "lambda":  # what the state keeps, the data must make up for
        exact = 1 - math.exp(-values["h"]) * number(row.decay)
    return total / exact - 1 if abs(exact) > 1e-12 else total


def keeps_states(program: Program) -> bool:
    """Whether the factors on states sum to 1 for all numbers that differ from step to step."""
    values = {p.name: p.default for p in program.parameters}
    values |= {name: Fraction(3 + 2 * i, 7) for i, name in enumerate(program.varying)}
    rows = (row for step in program.steps for row in (step.final, step.corrector) if row)
    return all(
        is_one(add(row.decay, *(term.weight for term in row.carry)), values)
        for row in rows
        if not program.stochastic
    )


def is_one(expr: Expr, parameters: Mapping[str, Fraction]) -> bool:
    """Whether an expression in h and step ratios is 1 at two points without structure."""
    for point in (0.31, 0.47):
        values: dict[str, Any] = {name: float(value) for name, value in parameters.items()}
        values["h"] = point
        for k in range(1, 10):
            names = ("theta", "Theta", "eta", "gamma", "Gamma")
            values |= {f"{name}{k}": (1 + point) ** k + k for name in names}
        values |= {
            "remaining": point / 2,
            "sigma": 1 + point,
            "steps": 30 + point,
            "i": 9 + point,
            "sigma_next": math.exp(-point) * (1 + point),
        }
        if abs(float(evaluate(expr, values, _FUNCTIONS, float)) - 1) > 1e-9:
            return False
    return True


def _integral(f: Callable[[float], float], low: float, high: float) -> float:
    import mpmath

    return float(mpmath.fp.quad(f, [low, high]))


def _phi(k: int, z: float) -> float:
    return sum(z**j / math.factorial(j + k) for j in range(20))


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "phi": _phi,
    "exp": math.exp,
    "expm1": math.expm1,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
    "log": math.log,
    "min": min,
    "between": lambda low, value, high: float(low <= value <= high),
    "integral": _integral,
    "riemann": left_sum,
}
