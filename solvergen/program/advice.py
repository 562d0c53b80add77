"""What a solver carries and does not need, and names that hide others: advice, no mistakes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..expr.arithmetic import ZERO, symbols
from .model import Program
from .row import Row
from .step import Step

# Names with a meaning in weights; a parameter of the same name takes their place. Those of grid points
# are the literature's names for places of stages too, and mean nothing else where steps stand alone.
MEANT = re.compile(r"h|sigma|sigma_next|steps|i|remaining|phi\d+")
OF_THE_GRID = re.compile(r"(r|theta|Theta|eta|gamma|Gamma)\d+|eta\d+_\d+")


def advice(program: Program) -> list[str]:
    """A sentence for everything that is computed or declared in vain, or hides another name."""
    return [*_parameters(program), *_stages(program), *_correctors(program), *_borrowed(program)]


def _borrowed(program: Program) -> list[str]:
    """First and last steps that are not the solvers whose names they have."""
    rest = (step for steps in program.remainder for step in steps)
    labels = {step.label: step.borrowed for step in (*program.start, *program.end, *rest)}
    return [f"{label}: {_another(program, own)}" for label, own in labels.items() if own]


def _another(program: Program, own: str) -> str:
    """Why the rule of a solver that integrates `own` is another solver here."""
    if own == program.integrand:
        return (
            "the solver of that name takes out the linear part of its integrand; its rule with this solver's "
            "`linear` is another solver"
        )
    return (
        f"the solver of that name integrates {own} predictions; the same weights on {program.integrand} are "
        f"another solver. Name one of {program.integrand} if you mean the solver itself"
    )


def _parameters(program: Program) -> list[str]:
    used: set[str] = set(symbols(program.jump_scale))
    used |= set(symbols(program.called))
    used |= set(symbols(program.shrink)) if program.shrink is not None else set()
    for step in program.steps:
        rows = (*step.rows, *([program.embedded] if program.embedded else []))
        used |= {n for e in (*step.expressions, step.churn_scale) for n in symbols(e)}
        used |= {
            n for row in rows for e in (row.place.fraction, *row.expressions) for n in symbols(e)
        }
    said = [
        f"the parameter `{p.name}` is used by no weight and no place; remove it, or use it"
        for p in program.parameters
        if p.name not in used
    ]
    return said + [
        f"the parameter `{p.name}` hides the symbol of that name, which weights cannot use any more; "
        "choose another name"
        for p in program.parameters
        if MEANT.fullmatch(p.name) or (program.main.uneven and OF_THE_GRID.fullmatch(p.name))
    ]


def _stages(program: Program) -> list[str]:
    """Stages on which nothing depends, each a model call."""
    said = {}
    for step in program.steps:
        ends = [step.final, *([step.corrector] if step.corrector else [])]
        if step == program.main and program.embedded is not None:
            ends.append(program.embedded)
        dead = _dead(step, ends, program.recalls)
        if dead:
            calls = f"{len(dead)} model call{'s' * (len(dead) > 1)} a step"
            said[step.label, tuple(dead)] = (
                f"{', '.join(dead)} ({step.label}): nothing depends on "
                f"{'them' if len(dead) > 1 else 'it'}; {calls} for nothing"
            )
    return list(said.values())


def _dead(step: Step, ends: list[Row], recalled: Iterable[str]) -> list[str]:
    needed = {source for row in ends for source in _sources(row)} | set(recalled)
    for stage in reversed(step.stages):
        if stage.name in needed:
            needed |= _sources(stage)
    return [stage.name for stage in step.stages if stage.name not in needed]


def _sources(row: Row) -> set[str]:
    return {term.source for term in row.terms if term.weight != ZERO}


def _correctors(program: Program) -> list[str]:
    return [
        f"the corrector ({step.label}) does not use the evaluation at the end of the step, `n+1`, which is "
        "what a corrector is for"
        for step in program.steps
        if step.corrector is not None and "n+1" not in _sources(step.corrector)
    ]
