"""Whether the weights of a step depend on its neighbours only.

Order conditions are read on grids that shrink to a point. They speak of grids that fill an interval
only if a step's weights follow from the levels around it: a factor such as sigma / sigma_max tends
to one on shrinking grids and to no such thing on a real one. Here the same levels are placed on two
grids that differ in all else - first level, first step, number of steps before and after - and the
weights that the steps inside give to the calls inside must agree to rounding. Start and end are far
away on both; numbers of steps are equal modulo twelve, since some methods take steps in turns.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ConductError
from ..problems.grids import ROUGH_LOCAL
from .past_states import rewritten, shape_of
from .tableau import Tableau, in_form
from .trace import Run, Trace, trace

Array = NDArray[np.float64]

BEFORE, INSIDE, BEYOND = (12, 24), 18, (12, 24)
COMPARED = 9
OPENING, SIZE, CLOSING = (0.03, 0.065), 0.08, (0.05, 0.08)
AHEAD = 1.2
TOLERANCE = 1e-8


def pair(where: float) -> tuple[Array, Array]:
    """Two grids that share INSIDE steps around lambda = where, and differ in all else."""
    return placed(where, SIZE, BEFORE, BEYOND)


def placed(
    where: float, size: float, before: tuple[int, int], beyond: tuple[int, int]
) -> tuple[Array, Array]:
    """As pair(), with steps of a mean size, and numbers of steps before and after the shared ones."""
    inside = size * np.resize(np.asarray(ROUGH_LOCAL), INSIDE) / np.mean(ROUGH_LOCAL)
    opening, closing = (np.asarray(part) * size / SIZE for part in (OPENING, CLOSING))
    made = []
    for k in (0, 1):
        pattern = np.asarray(ROUGH_LOCAL if k else ROUGH_LOCAL[::-1])
        opened = opening[k] * np.resize(pattern, before[k]) / pattern.mean()
        after = closing[k] * np.resize(pattern, beyond[k]) / pattern.mean()
        first = where - AHEAD
        down = first - np.concatenate([np.cumsum(opened[::-1])[::-1], [0.0]])
        middle = first + np.cumsum(inside)
        made.append(np.exp(-np.concatenate([down, middle, middle[-1] + np.cumsum(after)])))
    return made[0], made[1]


def far_reach(
    run: Run,
    form: str,
    after: int,
    noise: float,
    where: float,
    tracer: Callable[..., Trace] = trace,
    calls: Callable[[int], int | None] = lambda steps: None,
    period: int = 1,
) -> float | None:
    """Relative difference of a step's weights on the two grids; None when it is rounding.

    Args:
        form: clock in which the tableaux are read.
        after: see Trace.accepted.
        noise: relative rounding of the sampler's weights.
        tracer: trace(), or another one with its arguments.
        calls: number of model calls to expect of so many steps, or None.
        period: of steps that take turns: the shared steps begin at the same place of a turn.
    """
    before = BEFORE if BEFORE[0] % period == 0 else (period * -(-BEFORE[0] // period),) * 2
    before = before if before[0] != before[1] else (before[0], before[0] + period)
    plain = (
        in_form(_traced(run, sigmas, tracer, calls(len(sigmas) - 1)), form, after)
        for sigmas in placed(where, SIZE, before, BEYOND)
    )
    one, two = (rewritten(t, shape_of(t, noise)) for t in plain)
    gap = difference(one, two, before)
    # weights that grow along the run cancel in the step, and their rounding does not
    grown = max(float(np.abs(t.a).sum(axis=1).max() / abs(t.c[-1] - t.c[0])) for t in (one, two))
    return gap if gap > max(TOLERANCE, 300 * noise * grown) else None


def _traced(run: Run, sigmas: Array, tracer: Callable[..., Trace], calls: int | None) -> Trace:
    """A trace; the calls are counted only where another number was expected."""
    if calls is not None:
        with contextlib.suppress(ConductError):
            return tracer(run, sigmas, calls=calls)
    return tracer(run, sigmas)


def difference(one: Tableau, two: Tableau, before: tuple[int, int] = BEFORE) -> float:
    """Largest relative difference of the last of the shared steps; infinite for other calls."""
    rows = [
        np.asarray(t.accepted[b : b + INSIDE + 1]) for t, b in zip((one, two), before, strict=True)
    ]
    seen = [np.flatnonzero(r >= 0) for r in rows]
    if not np.array_equal(seen[0], seen[1]):
        return float("inf")
    first = seen[0][0]
    levels = [int(k) for k in seen[0] if k >= INSIDE - COMPARED]
    worst = 0.0
    for low, high in itertools.pairwise(levels):
        moves: list[Array] = []
        for t, r in zip((one, two), rows, strict=True):
            length = t.c[r[high]] - t.c[r[low]]
            weights, known = t.move(r[low], r[high])
            past = known[r[first] :] if t.past is not None else known[:0]
            moves.append(np.concatenate([weights[r[first] :] / length, past]))
        if moves[0].shape != moves[1].shape:
            return float("inf")
        top = max(float(np.abs(m).max()) for m in moves)
        worst = max(worst, float(np.abs(moves[0] - moves[1]).max()) / max(top, 1e-300))
    return worst


def said(gap: float) -> str:
    """The finding, in words."""
    size = "in which calls they use" if np.isinf(gap) else f"by {gap:.1e}"
    return (
        "the weights of a step depend on the whole grid, not on the levels around it (on the first "
        "level or step, or on the number of steps): the same steps inside two grids differ "
        f"{size}; order conditions do not apply, measured rates do"
    )


def heed(families: dict[str, list[Tableau]], steps: int) -> None:
    """A sampler that makes the same weights on a uniform and on a rough grid ignores the grid.

    Raises:
        ConductError: "grid".
    """
    if "uniform" not in families or "arbitrary" not in families:
        return
    one, two = families["uniform"][-1], families["arbitrary"][-1]
    inside: Sequence[int] = [r for r in two.accepted[1:-1] if r >= 0]
    if len(inside) >= (steps - 1) // 4:
        return
    same = one.a.shape == two.a.shape and np.allclose(one.c[:-1], two.c[:-1], rtol=1e-9)
    where = (
        "calls the model at the same levels on two different grids"
        if same
        else ("calls the model at hardly any level of the grid")
    )
    raise ConductError("grid", f"the sampler ignores the grid: it {where}")
