"""Solvers that are plain Runge-Kutta or Adams methods in their clock."""

from __future__ import annotations

from dataclasses import replace

from ...algebra.ring import Ring, SeriesRing
from ...algebra.series import Series
from ...expr.arithmetic import symbols
from ...expr.functions import lift
from ...program.model import Program
from ...program.row import Row, Term
from ..expansion.grid import uniform
from ..expansion.local_error import defaults
from ..expansion.symbol_values import StepValues


def clock_method(program: Program) -> Program | None:
    """The program as a plain Runge-Kutta or Adams method in its clock, when it is one.

    Its weights are then plain numbers in the clock gauge (Euler, written with φ_1 in λ, is DDIM).
    """
    main = program.main
    if main.memory:
        return None
    if program.kappa == 0:
        return program
    in_clock = all(row.place.coordinate == "clock" or row.place.is_end for row in main.rows)
    if not in_clock or main.coordinates:
        return None
    if all(row.gauge == "clock" for row in main.rows) and _needs(program, "Theta"):
        return replace(program, integrand="velocity")
    if program.start or program.end or not _needs(program, "h", "phi"):
        return None
    values, ring = defaults(program), SeriesRing(6)
    step_values = StepValues(program.kappa, ring, uniform(), values)
    rows = {row.name: _with_numbers(row, step_values, program.kappa) for row in main.rows}
    if main.corrector or any(row is None for row in rows.values()):
        return None
    stages = tuple(row for stage in main.stages if (row := rows[stage.name]))
    final = rows[main.final.name]
    return replace(
        program,
        integrand="velocity",
        main=replace(main, stages=stages, final=final or main.final),
    )


def _needs(program: Program, *allowed: str) -> bool:
    """Whether the main step's weights contain no other symbols than these and parameters."""
    names = {n for row in program.main.rows for term in row.terms for n in symbols(term.weight)}
    parameters = {parameter.name for parameter in program.parameters}
    return {name.rstrip("0123456789") for name in names - parameters} <= set(allowed)


def _with_numbers(row: Row, step_values: StepValues[Ring], kappa: int) -> Row | None:
    """A λ-gauge row in the clock gauge, when its weights are numbers there."""
    ring = step_values.ring
    place = step_values.place(row.place, 0)
    unit = ring.functions["phi"](1, kappa * ring.h) * ring.functions["exp"](-kappa * place * ring.h)
    terms = []
    for source, weight_ in step_values.weights(row, 0):
        ratio = weight_ / unit
        if not isinstance(ratio, Series) or ratio.low != 0 or len(ratio.terms) != 1:
            return None
        terms.append(Term(source, lift(ratio.terms[0])))
    return replace(row, gauge="clock", terms=tuple(terms))
