"""Steps in the middle of a run that are rules of their own: history dropped, one Euler step.

Such a step makes its error once, not in every step, so it costs no power. It shows as a step whose
weights differ from those of its neighbours on both sides, in a run of any length. One that comes back
at every so many steps does cost a power: a run has the more of them the more steps it has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConductError
from ..probe.family import family_of
from ..probe.tableau import Tableau, in_form
from ..probe.trace import Run, Trace
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
# most steps of a method that takes them in turns
BLOCK = 6
# long enough that a step which comes back does so three times, in steps so short that nothing else
# changes along the run
LONGER, SHORT = 140, 0.004


@dataclass(frozen=True)
class Tracing:
    """A sampler, how it is traced, and how its traces are read.

    Args:
        run, tracer: see Approach.
        form: clock in which the tableaux are read.
        after: see Trace.accepted.
        noise: relative rounding of the sampler's weights.
        where: lambda at which grids shrink.
    """

    run: Run
    tracer: Tracer
    form: str
    after: int
    noise: float
    where: float

    def trace(self, kind: str, n: int, h: float) -> Trace:
        """The trace of a run of n steps of about h."""
        return self.tracer(self.run, grids.local(kind, n, h, self.where))

    def tableau(self, n: int, h: float) -> Tableau:
        """The tableau of a run of n equal steps."""
        return in_form(self.trace("uniform", n, h), self.form, self.after)

    def family(self, kind: str, n: int, ladder: Array) -> list[Tableau]:
        """The tableaux of runs of n steps of the sizes of a ladder."""
        made = [self.trace(kind, n, h) for h in ladder]
        return family_of(made, self.noise, self.form, self.after)


@dataclass(frozen=True)
class Recurring:
    """Steps of their own that come back.

    Args:
        period: after so many steps.
        steps: the first of each, and the power of its local error.
    """

    period: int
    steps: tuple[tuple[int, int], ...]


def lone_steps(way: Tracing, *, short: int | None = None) -> tuple[tuple[int, int], ...]:
    """(step, power of its local error) of each step that stands alone; () when there is none.

    Args:
        short: number of steps of a run in which one is looked for, and followed into a run twice as
            long; LONG without it.
    """
    n = short or LONG
    try:
        found = _outliers(way.tableau(n, EVEN))
        if short and found and len(_outliers(way.tableau(2 * n, EVEN))) > len(found):
            return ()
    except ConductError:
        return ()
    if not 0 < len(found) <= MOST:
        return ()
    return _with_powers(found, way, n)


def recurring(way: Tracing) -> Recurring | None:
    """Steps that are rules of their own and come back at every so many steps; None without any."""
    try:
        made = way.tableau(LONGER, SHORT if way.noise < 1e-10 else EVEN)
    except ConductError:
        return None
    rows, top = _rows(made)
    period = _period(rows, SMOOTH * top)
    if period is None:
        return None
    turn = [rows[FIRST + k] for k in range(period)]
    alike = [[_gap(one, other) < APART * top for other in turn] for one in turn]
    usual = max(alike, key=sum)
    odd = [k for k, same in enumerate(usual) if not same]
    # what changes in most steps is a rule of several steps
    if not odd or 2 * len(odd) > period:
        return None
    first = [FIRST + k for k in odd]
    found = _with_powers(first, way, LONG)
    if 2 * len(odd) == period:
        # of two kinds as many, the one with the larger error is the odd one
        rest = [FIRST + k for k in range(period) if k not in odd]
        other = _with_powers(rest, way, LONG)
        found = min(found, other, key=lambda steps: min(power for _, power in steps))
    step, power = min(found, key=lambda pair: pair[1])
    if _of_a_turn(step, period, way) > power:
        # the last steps of a turn make good what the first ones miss: a method of several steps
        return None
    return Recurring(period, tuple((step % period or period, power) for step, power in found))


def _of_a_turn(step: int, period: int, way: Tracing) -> int:
    """Power of the local error of a whole turn of steps, from where it is best begun."""
    reader = _reader(way, LONG)
    rows = reader.family[0].accepted
    begun = [s for s in range(step, step + min(period, BLOCK)) if s + period < len(rows)]
    return max((reader.local(rows[s], rows[s + period]).exponent for s in begun), default=0)


def changes(t: Tableau) -> bool:
    """Whether neighbours among the inner steps of a run on an even grid have other weights."""
    rows, top = _rows(t)
    return any(_gap(rows[s], rows[s + 1]) > APART * top for s in sorted(rows)[:-1])


def _period(rows: dict[int, Array], near: float) -> int | None:
    """After how many steps the weights of the steps of a run repeat; None when they do not."""
    last = max(rows, default=0)
    for period in range(2, (last - FIRST) // 3):
        if all(_gap(rows[s], rows[s + period]) < near for s in range(FIRST, last - period + 1)):
            return period
    return None


def _with_powers(steps: list[int], way: Tracing, n: int) -> tuple[tuple[int, int], ...]:
    """Steps of a run of n steps with the powers of their local errors."""
    reader = _reader(way, n)
    rows = reader.family[0].accepted
    return tuple((s, reader.local(rows[s], rows[s + 1]).exponent) for s in steps)


def _reader(way: Tracing, n: int) -> LocalErrors:
    # for the power of h a few sizes of steps are enough
    ladder = np.geomspace(0.004, 0.05, 12) if way.noise < 1e-10 else np.geomspace(0.024, 0.3, 12)
    return LocalErrors(way.family("uniform", n, ladder), ladder, way.noise, DEEPEST)


def _rows(t: Tableau) -> tuple[dict[int, Array], float]:
    """Weights of the inner steps per length, newest first, and the largest; {} where one is no step."""
    rows: dict[int, Array] = {}
    for step in range(FIRST, len(t.accepted) - 1 - BEYOND):
        low, high = t.accepted[step], t.accepted[step + 1]
        if low < 0 or high < 0:
            return {}, 1.0
        rows[step] = t.move(low, high)[0][::-1] / (t.c[high] - t.c[low])
    return rows, max((float(np.abs(w).max()) for w in rows.values()), default=1.0)


def _outliers(t: Tableau) -> list[int]:
    """Steps whose weights differ from those of the steps before and after them, which agree."""
    rows, top = _rows(t)
    out = []
    for step in sorted(rows)[1:-1]:
        near = _gap(rows[step - 1], rows[step + 1])
        here = min(_gap(rows[step - 1], rows[step]), _gap(rows[step + 1], rows[step]))
        if near < SMOOTH * top and here > APART * top:
            out.append(step)
    return out


def _gap(one: Array, other: Array) -> float:
    count = min(len(one), len(other))
    rest = [np.abs(w[count:]).max(initial=0.0) for w in (one, other)]
    return float(max(np.abs(one[:count] - other[:count]).max(), *rest))


def longer(way: Tracing, kind: str, h: Array) -> list[Tableau]:
    """A family of runs twice as long, whose inner steps a lone step in the middle leaves alone."""
    return way.family(kind, 2 * STEPS, h)
