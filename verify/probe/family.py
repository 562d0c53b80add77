"""Traces on grids that shrink to a point, read as one family of tableaux."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..order.conditions import LADDER
from ..order.local_error import CHECKED, ENDING, EXACT, STARTED, LocalErrors
from .past_states import rewritten, shape_of
from .tableau import Tableau, in_form
from .trace import Trace

Array = NDArray[np.float64]

EXACT_ARITHMETIC = 2e-15
# errors of constants above it are not rounding; what changes by less of itself in a period is smooth
COARSE, ERRATIC = 1e-5, 0.5
# errors of constants below it are not looked at; share by which steps of a second grid differ
FINE, NUDGE = 1e-9, 0.02


def rounding_of(first: Trace, table: Tableau, near: Callable[[], Trace]) -> float:
    """Relative rounding of the weights: what does not scale, and what scatters from step to step.

    A wrong constant bends nothing and is the same in steps of the same shape; rounding is neither.

    Args:
        table: the trace in its own form.
        near: the trace on a grid whose steps differ by `NUDGE` of themselves; asked for where it counts.
    """
    seen = max(first.bend, _scatter(table, near))
    # single-precision casts leave at least 1e-9; below that it is honest float64
    return float(max(EXACT_ARITHMETIC, 2 * seen if seen > FINE else 0.0))


def _scatter(table: Tableau, near: Callable[[], Trace]) -> float:
    """How far steps miss the integral of a constant, when they do so erratically; 0 otherwise."""
    inner = _missed(table)
    size = float(np.abs(inner).max(initial=0.0))
    if len(inner) <= CHECKED or not FINE < size < COARSE:
        return 0.0
    if float(np.abs(inner[CHECKED:] - inner[:-CHECKED]).max()) > ERRATIC * size:
        return size
    # equal steps are rounded alike: weights that are plain ratios of levels show it in others only
    other = _missed(in_form(near(), table.form))
    if len(other) != len(inner):
        return 0.0
    return size if float(np.abs(inner - other).max()) > ERRATIC * size else 0.0


def _missed(t: Tableau) -> Array:
    """By how much of its length each step after the start misses the integral of a constant."""
    missed = []
    for low, high in itertools.pairwise(t.states):
        f, y = t.move(low, high)
        length = t.c[high] - t.c[low]
        missed.append((f.sum() + y @ (t.c[: low + 1] - t.c[low])) / length - 1)
    return np.asarray(missed)[STARTED[0] :]


def steps_for(noise: float) -> Array:
    """Steps h: larger where rounding is coarse, so that low powers stay visible."""
    return LADDER if noise < 1e-10 else LADDER * 6


def family_of(made: list[Trace], noise: float, form: str, after: int) -> list[Tableau]:
    """Tableaux of the traces of one ladder, all in one form and of one shape."""
    family = [in_form(t, form, after) for t in made]
    shape = shape_of(family[-1], noise)
    return [rewritten(t, shape) for t in family]


def accepted_after(made: list[Trace], h: Array, noise: float, form: str) -> int:
    """Which of several calls at one level is on the accepted state, counted from the last.

    From there the order is highest, and steps use the fewest weights.

    Args:
        made: traces of one ladder.
        h: its steps.
        noise: relative rounding of the weights.
        form: the sampler's own.
    """
    count = min(len(calls) for calls in made[-1].levels()[EXACT[0] : ENDING[-1]])
    if count < 2:
        return 0

    def merit(after: int) -> tuple[int, int]:
        family = family_of(made, noise, form, after)
        rows = family[0].accepted
        reader = LocalErrors(family, h, noise, 6)
        found = reader.local(rows[EXACT[0]], rows[EXACT[0] + CHECKED])
        return found.exponent, -family[-1].support()

    after = max(range(count), key=merit)
    # a stage that repeats the accepted state is not where the step begins
    weights, calls = made[-1].weights, made[-1].levels()[EXACT[0]]
    while after + 1 < count and np.allclose(
        weights[calls[-1 - after]], weights[calls[-2 - after]], rtol=0.0, atol=1e-13
    ):
        after += 1
    return after
