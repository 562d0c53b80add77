"""The fixed pieces of an emitted file: which of them a solver needs, and its further coordinate."""

from __future__ import annotations

from sympy import Expr, Symbol

from ..expr.arithmetic import ZERO, function_name, terms_of, walk
from ..program.model import Program
from ..program.row import FURTHER
from . import pieces
from .python_text import assign

PAD = " " * 4


def support(program: Program) -> list[str]:
    """The fixed pieces that this solver needs."""
    named = program.functions
    expressions = [e for step in program.steps for e in step.expressions]
    expressions += [row.place.fraction for step in program.steps for row in step.rows]
    calls = {
        function_name(node)
        for expression in (*expressions, *named.values())
        for node in walk(expression)
    }
    out = []
    if calls_inside(program):
        out.append(pieces.LEVEL)
    if "phi" in calls:
        out.append(pieces.PHI)
    if "integral" in calls:
        out.append(pieces.INTEGRAL)
    if "riemann" in calls:
        out.append(pieces.RIEMANN)
    for name, body in named.items():
        lines = "\n".join(assign("return", body, len(PAD)))
        out.append(f'def {name}(x):\n{PAD}"""The spec\'s {name}(x)."""\n{lines}\n')
    further = [step.coordinate for step in program.steps if step.coordinate is not None]
    if further and (calls & set(FURTHER) or "eta1" in program.free_symbols()):
        out += _further(further[0], calls, pieces.DENSITY[program.kappa])
    return out


def _further(y: Expr, calls: set[str], density: str) -> list[str]:
    """The fixed pieces of a further coordinate y(λ)."""
    out = [pieces.COORDINATE.format(expression="\n".join(assign("return", y, len(PAD))))]
    if "fraction" in calls:
        out.append(pieces.FRACTION)
    if "moment" in calls:
        out.append(pieces.MOMENT.format(density=density))
    if "slope" in calls:
        terms = terms_of(y.diff(Symbol("lam")))
        parts = [
            line for k, term in enumerate(terms) for line in assign(f"rate{k}", term, len(PAD))
        ]
        parts.append(f"{PAD}rate = {' + '.join(f'rate{k}' for k in range(len(terms)))}")
        out.append(pieces.SLOPE.format(density=density, rate="\n".join(parts)))
    return out


def calls_inside(program: Program) -> bool:
    """Whether the model is called between grid points, where α and σ must be known."""
    inner = any(
        not row.place.is_end and row.place.fraction != ZERO and not row.place.ahead
        for step in program.steps
        for row in step.stages
    )
    churned = any(step.churn is not None for step in program.steps)
    return inner or churned or program.shrink is not None or program.controller is not None
