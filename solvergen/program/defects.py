"""What a table of numbers does at its own levels: defects of its moments, and its gain.

A table for one number of steps has no order. What can be said of it: for each step by how much its
weights miss the integral of (z − z_n)^k/k!, relative to it, k = 0, 1, 2, where z is λ, or the clock of
velocity; and by how much the step may magnify errors of the model, Σ|A_j| over the integral of 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath

from ..expr.evaluation import evaluate
from .functions import ELEMENTARY, number
from .model import Program
from .row import depth
from .unroll import Run

DEGREES = 3


@dataclass(frozen=True)
class Defects:
    """Of one step: relative errors of its moments of degree 0, 1, 2, and its gain."""

    moments: tuple[float, ...]
    gain: float


def defects(program: Program) -> tuple[Defects, ...]:
    """The defects of every step between levels above 0, at the program's own levels and numbers.

    Empty where it has no levels, corrects its steps, carries past states or remembers combinations of
    evaluations; without the first one
    where no call is made for its output.

    Args:
        program: with levels.
    """
    rows = [row for step in program.steps for row in step.rows]
    if (
        not program.levels
        or any(s.corrector for s in program.steps)
        or any(r.carry for r in rows)
        or program.recalls
        or any(s.memory for s in program.steps)
    ):
        return ()
    finite = [-mpmath.log(number(level)) for level in program.levels if level]
    lam = [*finite, *([mpmath.inf] * (len(program.levels) - len(finite)))]
    run = Run(program, lam, {})
    run.run()
    begun = int(bool(program.first))  # a first step whose output is no call has no weight to err
    return tuple(_of_step(program, run, finite, i) for i in range(begun, len(finite) - 1))


def _of_step(program: Program, run: Run, lam: list[Any], i: int) -> Defects:
    kappa, step = program.kappa, program.blocks(len(run.lam) - 1)[i]
    symbols, known = run.symbols(step, i), run.functions(step, i)
    low, high = lam[i], lam[i + 1]
    variable = (lambda at: at) if kappa else run.clock
    places = {row.name: run.at(row.place, i, step) for row in step.stages}
    sums, gain = [mpmath.mpf(0)] * DEGREES, mpmath.mpf(0)
    for source, weight in step.final.u_weights(kappa):
        value = evaluate(weight, symbols, known, number)
        at = places[source] if source in places else lam[i - depth(source)]
        offset = variable(at) - variable(low)
        gain += abs(value)
        for k in range(DEGREES):
            sums[k] += value * offset**k / mpmath.factorial(k)
    h = high - low
    if kappa:
        exact = [h ** (k + 1) * ELEMENTARY["phi"](k + 1, -kappa * h) for k in range(DEGREES)]
    else:  # weights are in units of the clock's step
        width = variable(high) - variable(low)
        exact = [width**k / mpmath.factorial(k + 1) for k in range(DEGREES)]
    moments = tuple(float(s / e - 1) for s, e in zip(sums, exact, strict=True))
    return Defects(moments, float(gain / abs(exact[0])))
