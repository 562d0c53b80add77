"""Powers of h of the local errors of a sampler: of its repeated steps, of its start, of its end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..probe.past_states import PERIOD, recursion
from ..probe.tableau import Tableau, accepted_row
from .conditions import Local, exponent, forest, values

Array = NDArray[np.float64]
# rows and the weights with which their errors are added up
View = dict[int, float]

STEPS = 24
USED = 1e-7
WARM = 6  # levels at which states are exact before the steps that are looked at
STARTED, EXACT, CHECKED, ENDING = (8, 9, 10), (9, 10, 11), PERIOD, (15, 16, 17)


class LocalErrors:
    """Local powers of h between rows of one family of tableaux.

    Args:
        family: tableaux on grids that shrink to a point.
        h: (m,) their steps.
        noise: relative rounding of the sampler's weights.
        deepest: largest weight of words.
    """

    def __init__(self, family: list[Tableau], h: Array, noise: float, deepest: int) -> None:
        self.family, self.h, self.noise, self.deepest = family, h, noise, deepest
        tolerance = 100 * noise
        self.constants = any(
            np.abs(t.a.sum(axis=1) - (t.c - t.c[0])).max() > tolerance * abs(t.c[-1] - t.c[0])
            for t in family
        )
        self.drift = any(np.abs(t.drift).max() > tolerance for t in family)
        self.past = recursion(family, h, EXACT[0])
        # how much the error of each step, by its place in the period, counts in main()
        self.shares: tuple[float, ...] = (1.0,) * PERIOD

    def local(
        self,
        exact: int,
        result: int,
        limit: int | None = None,
        view: View | None = None,
        restored: tuple[int, ...] = (),
    ) -> Local:
        """Power of h between two rows, deepening the words until one is found non-zero."""
        top = min(limit or self.deepest, self.deepest)
        for depth in range(min(3, top), top + 1):
            found = self._at(exact, result, depth, view, restored)
            if found.exact:
                return found
        return found

    def _at(
        self,
        exact: int,
        result: int,
        depth: int,
        view: View | None = None,
        restored: tuple[int, ...] = (),
    ) -> Local:
        chosen = forest(depth, self.constants, self.drift)
        table = []
        for t in self.family:
            unit = (t.c[-1] - t.c[0]) / STEPS
            table.append(values(t, exact, result, unit, chosen, view, restored))
        made = dict(zip(chosen.words, np.stack(table, axis=1), strict=True))
        return exponent(self.h, made, depth, self.noise)

    def main(self) -> tuple[Local, tuple[int, int]]:
        """Best power over a few restart rows: inside a block of stages no row is a fair start."""
        if self.past is not None:
            return self._main_of_past()
        found: list[tuple[Local, tuple[int, int]]] = []
        for step in EXACT:
            rows = (
                accepted_row(self.family[0], step),
                accepted_row(self.family[0], step + CHECKED),
            )
            found.append((self.local(*rows), rows))
        best, at = max(found, key=lambda pair: pair[0].exponent)
        if best.exact and not self.drift and self._recalls_stages(at):
            return self._with_stages_before()
        return self._in_full(best, at), at

    def _recalls_stages(self, at: tuple[int, int]) -> bool:
        """Whether the rows after a state use outputs at stages before it."""
        table, (exact, result) = self.family[0], at
        weights = np.abs(table.since(exact, result)[0])
        stages = [row for row in range(exact) if row not in table.accepted]
        return bool(stages) and weights[:, stages].max() > USED * weights.max()

    def _with_stages_before(self) -> tuple[Local, tuple[int, int]]:
        """The power where stages before the exact state have the errors of their own steps.

        Two-step Runge-Kutta and peer methods weigh such stages so that their errors cancel from one
        step to the next; taken as exact, the first of them would be missing from the sum. States are
        exact at each of the `WARM` levels before, and what comes from further back is smaller by as
        many powers of h.
        """
        found = []
        for step in EXACT:
            first, *rest = (accepted_row(self.family[0], step - k) for k in range(WARM, -1, -1))
            last = accepted_row(self.family[0], step + CHECKED)
            local = self.local(first, last, restored=tuple(rest))
            if local.exact and local.exponent <= self.deepest:
                deeper = self._at(first, last, local.exponent, restored=tuple(rest))
                local = deeper if deeper.exponent == local.exponent else local
            found.append((local, (rest[-1], last)))
        return max(found, key=lambda pair: pair[0].exponent)

    def _in_full(self, best: Local, at: tuple[int, int], view: View | None = None) -> Local:
        """With leading words of every weight up to a power that shallow words have shown."""
        if not best.exact or best.exponent > self.deepest:
            return best
        deeper = self._at(*at, best.exponent, view)
        return deeper if deeper.exponent == best.exponent else best

    def _main_of_past(self) -> tuple[Local, tuple[int, int]]:
        """Power of what stays of the errors of one period of steps that begin with exact states.

        An error that grows with the number of steps loses as many powers; one that the recursion
        lets die out counts once, not in every step.
        """
        assert self.past is not None
        first, last = EXACT[0], EXACT[0] + CHECKED
        at = self.family[0].accepted[first], self.family[0].accepted[last]
        if self.past.growth == np.inf:
            return Local(0, True, ()), at
        once = min((self.local(*at, view=v) for v in self.views(last)), key=_power)
        if self.past.growth:
            return Local(once.exponent - int(self.past.growth), False, once.leading), at
        stays, view = min(
            ((self.local(*at, view=v), v) for v in self.views(last, kept=True)),
            key=lambda pair: pair[0].exponent,
        )
        rows = [self.family[0].accepted[last - k] for k in range(self.past.states)]
        weights = np.asarray([view.get(row, 0.0) for row in rows])
        made = {n % PERIOD: weights @ self.past.carried(n + 1, last) for n in range(first, last)}
        self.shares = tuple(float(made[n][0]) for n in range(PERIOD))
        if stays.exponent > once.exponent + 1:
            return Local(once.exponent + 1, once.exact, ()), at
        return self._in_full(stays, at, view), at

    def views(self, level: int, kept: bool = False) -> list[View]:
        """Ways to look at the errors of the states at a level.

        Args:
            kept: each amplitude that stays in the long run, instead of each state.
        """
        if self.past is None:
            return [{accepted_row(self.family[0], level): 1.0}]
        rows = [self.family[0].accepted[level - k] for k in range(self.past.states)]
        table = self.past.kept(level) if kept else np.eye(len(rows))
        several = np.unique(table.round(9), axis=0)
        return [dict(zip(rows, row.tolist(), strict=True)) for row in several]

    def start(self, limit: int) -> Local:
        """Best power from the first state to one of a few after the start."""
        lost = 0 if self.past is None else int(min(self.past.growth, limit))
        kept = self.past is not None and not self.past.growth and not self.past.alive
        made = []
        for level in STARTED:
            row = accepted_row(self.family[0], level)
            seen = [self.local(0, row, limit, v) for v in self.views(level, kept)]
            made.append(min(seen, key=_power))
        best = max(made, key=_power)
        return Local(best.exponent - lost, best.exact, best.leading) if lost else best

    def end(self, limit: int, start: int) -> Local:
        """Power that the last steps bring in.

        Restart rows inside a block of stages can cancel an end error by accident, so the whole
        run has the last word: a power below main's and the start's can only come from the end.
        """
        last = self.family[0].accepted[-1]
        whole = self.local(0, last, limit)
        if whole.exponent < min(start, limit):
            return whole
        made = [self.local(accepted_row(self.family[0], s), last, limit) for s in ENDING]
        return max(made, key=lambda local: local.exponent)

    def first_bad(self, power: int) -> int:
        """First step after which the start's low power shows."""
        for step in range(1, STARTED[0] + 1):
            row = accepted_row(self.family[0], step)
            if row > 0 and self.local(0, row, power).exponent <= power:
                return step - 1
        return STARTED[0] - 1

    def last_bad(self, power: int) -> int:
        """The step of the end phase that brings the low power in: the last with it on its own."""
        rows = self.family[0].accepted
        for step in range(len(rows) - 2, ENDING[0], -1):
            if rows[step] >= 0 and self.local(rows[step], rows[-1], power).exponent <= power:
                return step
        return len(rows) - 2


def turns_of(t: Tableau) -> int:
    """Number of intervals after which the steps of a run repeat; 1 unless they span several."""
    seen = []
    for step in range(EXACT[0], EXACT[0] + 2 * PERIOD):
        low, high = accepted_row(t, step), accepted_row(t, step + 1)
        move = np.abs(t.move(low, high)[0]) if high > low else np.zeros(0)
        used = np.flatnonzero(move > USED * move.max(initial=0.0)) - low
        seen.append((high - low, *used.tolist()))
    for turns in range(1, PERIOD + 1):
        if seen[turns:] == seen[:-turns]:
            return turns
    return 1


def _power(local: Local) -> int:
    return local.exponent
