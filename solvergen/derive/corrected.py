"""The rows of a solver that corrects its steps with the evaluation at their end."""

from __future__ import annotations

from dataclasses import replace

from ..program.row import Row
from ..program.step import Step


def swept(stages: list[Row], predicted: Row, corrected: Row, sweeps: int) -> tuple[list[Row], Row]:
    """P(EC)^m: each sweep evaluates at the newest value and corrects with that evaluation."""
    newest = "n+1"
    stages = [*stages, replace(predicted, name=newest)]
    for sweep in range(2, sweeps + 1):
        name = f"n+1_{sweep}"
        stages.append(replace(_renamed(corrected, newest), name=name))
        newest = name
    return stages, _renamed(corrected, newest)


def _renamed(row: Row, newest: str) -> Row:
    terms = tuple(
        replace(term, source=newest) if term.source == "n+1" else term for term in row.terms
    )
    return replace(row, terms=terms)


def closed(step: Step, corrected: bool) -> Step:
    """The last step of a PEC solver: without its corrector, or with the evaluation that it needs."""
    if step.corrector is None:
        return step
    if not corrected:
        return replace(step, corrector=None)
    stage = replace(step.final, name="n+1")
    return replace(
        step, stages=(*step.stages, stage), final=replace(step.corrector, name="x"), corrector=None
    )
