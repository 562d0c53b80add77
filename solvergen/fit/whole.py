"""Every number of a table, fitted through the model, stopped where starts kept out of it say.

Few trajectories are soon learned by heart, and their error then says nothing. So a quarter of them
is kept out of every step: it chooses how far the step goes (the damping of Gauss-Newton, which is a
ridge toward the numbers before it), and the fit ends when no step helps it any more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from .differences import calls as calls_of_differences
from .differences import differences
from .objective import Pairs
from .record import load_state, save_state
from .run import jacobian
from .shape import Numbers
from .squares import DAMPINGS, State, shortened
from .table import Array, Table

LEAST = 5e-3  # relative gain on the starts kept out, below which the fit ends
APART = 4  # every fourth start, or period of conditioned ones, is kept out

Told = Callable[[str], None]


def whole_of(
    numbers: Numbers,
    table: Table,
    pairs: Pairs,
    *,
    iterations: int,
    state: Path | None = None,
    tell: Told = lambda line: None,
) -> tuple[Table, int]:
    """Fit every number of a table to trajectories of one model.

    Args:
        numbers: how numbers make a table.
        table: where to begin.
        pairs: starts and ends; a quarter of them only judges.
        iterations: most steps.
        state: file that keeps where the fit stands; an interrupted fit goes on from it.
        tell: takes lines of progress.

    Returns:
        The table, rounded to 12 digits, and the model calls that it took.

    Raises:
        RecordError: the state belongs to another fit.
    """
    inside, outside = _parted(pairs)
    prior = numbers.of(table)
    belongs = {
        "problem": pairs.name,
        "probe": pairs.scaled.problem.probe(),
        "starts": len(pairs.starts),
        "numbers": numbers.count,
        "from": [f"{v:.9g}" for v in prior],
    }
    if state is not None and state.is_file():
        at = load_state(state, belongs)
        tell(f"whole: goes on from step {at.iteration}")
    else:
        at = State(prior, outside.error(table))
    spent = numbers.calls * len(outside.starts)
    while at.iteration < iterations and not at.stalled:
        at = _stepped(numbers, inside, outside, at)
        spent += _cost(numbers, inside, outside)
        tell(f"whole: step {at.iteration}, starts kept out {at.loss:.4f}, damping {at.damping:g}")
        if state is not None:
            save_state(state, at, belongs)
    return numbers.table(at.values).rounded(), spent


def _stepped(numbers: Numbers, inside: Pairs, outside: Pairs, at: State) -> State:
    """The best of some damped Gauss-Newton steps, judged on the starts kept out."""
    derivatives = differences if inside.scaled.problem.derivative is None else jacobian
    _, gradient, normal = derivatives(inside.scaled, numbers, at.values, inside.starts, inside.ends)
    found: list[tuple[float, float, Array]] = []
    for damping in DAMPINGS:
        step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal)), gradient)
        step = shortened(step)
        found.append((_error(numbers, outside, at.values + step), damping, at.values + step))
    error, damping, values = min(found, key=lambda one: one[0])
    if not error < at.loss * (1 - LEAST):
        return replace(at, iteration=at.iteration + 1, stalled=1)
    return State(values, error, damping, at.iteration + 1, 0, (*at.curve, error))


def _parted(pairs: Pairs) -> tuple[Pairs, Pairs]:
    kept_out = pairs.turns(APART) == APART - 1
    return pairs.where(~kept_out), pairs.where(kept_out)


def _error(numbers: Numbers, pairs: Pairs, values: Array) -> float:
    try:
        found = pairs.error(numbers.table(values))
    except (ValueError, OverflowError):
        return math.inf
    return found if math.isfinite(found) else math.inf


def _cost(numbers: Numbers, inside: Pairs, outside: Pairs) -> int:
    judged = len(DAMPINGS) * numbers.calls * len(outside.starts)
    return judged + calls_of_differences(numbers) * len(inside.starts)
