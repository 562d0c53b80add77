"""Steps in the middle of a run that are rules of their own: history dropped once, one Euler step.

Such a step makes its error once, not in every step, so it costs no power. It shows as a step whose
weights differ from those of its neighbours on both sides, in a run of any length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ConductError
from ..probe.family import family_of
from ..probe.tableau import Tableau, in_form
from ..probe.trace import Run
from ..problems import grids
from .approach import Tracer
from .local_error import STEPS, LocalErrors

Array = NDArray[np.float64]

LONG = 68
FIRST, BEYOND = 9, 7
# of the largest weight: what neighbours on an even grid may differ by, and what stands out
SMOOTH, APART = 0.02, 0.04
MOST = 2
EVEN = 0.02
DEEPEST = 6


def lone_steps(
    run: Run,
    tracer: Tracer,
    form: str,
    after: int,
    noise: float,
    where: float,
    *,
    short: int | None = None,
) -> tuple[tuple[int, int], ...]:
    """(step, power of its local error) of each step that stands alone; () when there is none.

    Args:
        short: number of steps of a run in which one is looked for, and followed into a run twice as
            long; LONG without it.
    """
    n = short or LONG
    try:
        found = _outliers(in_form(tracer(run, grids.local("uniform", n, EVEN, where)), form, after))
        if short and found:
            twice = grids.local("uniform", 2 * n, EVEN, where)
            again = _outliers(in_form(tracer(run, twice), form, after))
            if len(again) > len(found):
                return ()
    except ConductError:
        return ()
    if not 0 < len(found) <= MOST:
        return ()
    # for the power of h a few sizes of steps are enough
    ladder = np.geomspace(0.004, 0.05, 12) if noise < 1e-10 else np.geomspace(0.024, 0.3, 12)
    made = [tracer(run, grids.local("uniform", n, h, where)) for h in ladder]
    reader = LocalErrors(family_of(made, noise, form, after), ladder, noise, DEEPEST)
    rows = reader.family[0].accepted
    return tuple((s, reader.local(rows[s], rows[s + 1]).exponent) for s in found)


def _outliers(t: Tableau) -> list[int]:
    """Steps whose weights differ from those of the steps before and after them, which agree."""
    n = len(t.accepted) - 1
    rows: dict[int, Array] = {}
    for step in range(FIRST, n - BEYOND):
        low, high = t.accepted[step], t.accepted[step + 1]
        if low < 0 or high < 0:
            return []
        rows[step] = t.move(low, high)[0][::-1] / (t.c[high] - t.c[low])
    top = max((float(np.abs(w).max()) for w in rows.values()), default=1.0)
    out = []
    for step in range(FIRST + 1, n - BEYOND - 1):
        near = _gap(rows[step - 1], rows[step + 1])
        here = min(_gap(rows[step - 1], rows[step]), _gap(rows[step + 1], rows[step]))
        if near < SMOOTH * top and here > APART * top:
            out.append(step)
    return out


def _gap(one: Array, other: Array) -> float:
    count = min(len(one), len(other))
    rest = [np.abs(w[count:]).max(initial=0.0) for w in (one, other)]
    return float(max(np.abs(one[:count] - other[:count]).max(), *rest))


def longer(
    run: Run,
    tracer: Tracer,
    kind: str,
    h: Array,
    noise: float,
    form: str,
    after: int,
    where: float,
) -> list[Tableau]:
    """A family of runs twice as long, whose inner steps a lone step in the middle leaves alone."""
    made = [tracer(run, grids.local(kind, 2 * STEPS, step, where)) for step in h]
    return family_of(made, noise, form, after)
