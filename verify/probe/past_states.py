"""Steps that go on from past states too: x_(n+1) = sum_k a_k x_(n-k) + weights on outputs.

Unrolled to the start, as a trace has it, such a rule gives weight to every output before it. The
weights on past states are read back from that: the outputs that are too old for the step to know
can have come into its result through past states alone, so the rows of the states, cut down to the
old outputs, are linearly dependent, and the dependence is the rule. The fewest states that explain
a row are taken; one is enough for Adams rules and for one-step rules, whose tableau stays as it is.

Zero-stability (Hairer, Norsett, Wanner I, III.3 and III.5) is that of the companion matrices of
these weights as h goes to zero, multiplied over one period of the step ratios.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tableau import FORMS, Tableau, in_form
from .trace import Trace

Array = NDArray[np.float64]
# for each row (past states, levels before the newest whose outputs it uses); None: nothing fits
Shape = tuple[tuple[int, int] | None, ...]

STATES = 6
DEPTH = 5
FITS = 1e-9
ROUNDING = 1e-13
PERIOD = 6
SAME = 1e-5
UNIT = 1e-3
EVEN = 0.1
DOUBLINGS = 12
# share of the largest weight below which one is not counted as used
USED = 1e-7


def shape_of(t: Tableau, noise: float = 0.0) -> Shape | None:
    """How the rows of a tableau are put together; None when each goes on from one state alone."""
    found: list[tuple[int, int]] = []
    table, states, tolerance = _rows(t), t.states, max(FITS, 300 * noise)
    for row in range(1, len(t.c)):
        past = [r for r in states if r < row][::-1]
        fewest = _fewest(table, row, past, tolerance)
        if fewest is None:
            return None
        found.append(fewest)
    if all(states == 1 for states, _ in found):
        return None
    # where a past state counts little, two rules of one length may fit: it is that of the other rows
    usual = Counter(found).most_common(1)[0][0]
    for row, shape in enumerate(found, 1):
        if shape != usual and sum(shape) == sum(usual):
            past = [r for r in states if r < row][::-1]
            if _fits(table, row, past, usual, tolerance):
                found[row - 1] = usual
    return (None, *found)


@lru_cache(maxsize=STATES + 1)
def _tried(most: int) -> tuple[tuple[int, int], ...]:
    """(past states, levels before the newest) to try, the shortest rule first."""
    pairs = itertools.product(range(1, most + 1), range(DEPTH + 1))
    return tuple(sorted(pairs, key=lambda pair: (sum(pair), pair)))


def _fewest(table: Array, row: int, past: list[int], tolerance: float) -> tuple[int, int] | None:
    # a past state that is damped looks like outputs: the shortest rule is the right one
    tried = _tried(min(STATES, len(past)))
    return next((shape for shape in tried if _fits(table, row, past, shape, tolerance)), None)


def _fits(
    table: Array, row: int, past: list[int], shape: tuple[int, int], tolerance: float
) -> bool:
    """Whether so many past states explain a row's old outputs."""
    states, depth = shape
    old = past[depth] if depth < len(past) else 0
    if states > 1 and old < states:
        return False
    return _misfit(table, row, past[:states], old)[1] < tolerance


def _rows(t: Tableau) -> Array:
    """(k+1, k+1) weights of the start value and of the outputs, per step."""
    step = abs(t.c[-1] - t.c[0]) / max(len(t.accepted) - 1, 1)
    return np.concatenate([1 + t.drift[:, None], t.a / step], axis=1)


def _misfit(table: Array, row: int, past: list[int], old: int) -> tuple[Array, float]:
    """Weights on past states that explain a row's old outputs, and what is left, in steps."""
    known, sought = table[past, : old + 1], table[row, : old + 1]
    if len(past) == 1:
        size = float(known[0] @ known[0])
        weights = known @ sought / size if size else np.zeros(1)
    else:
        weights = np.asarray(np.linalg.lstsq(known.T, sought, rcond=None)[0])
    # rounding of states that grow is not a misfit
    rounding = ROUNDING * float(np.abs(known).max())
    return weights, float(np.abs(weights @ known - sought).max()) - rounding


def rewritten(t: Tableau, shape: Shape | None) -> Tableau:
    """The tableau with every row written on past states and on outputs that it knows."""
    if shape is None:
        return t
    past, own, table = np.zeros((len(t.c), len(t.c))), np.zeros_like(t.a), _rows(t)
    for row, form in enumerate(shape):
        if form is None:
            continue
        states, depth = form
        known = [r for r in t.states if r < row][::-1]
        old = known[depth] if depth < len(known) else 0
        weights = _misfit(table, row, known[:states], old)[0]
        past[row, known[:states]] = weights
        own[row, old:] = t.a[row, old:] - weights @ t.a[known[:states], old:]
    return replace(t, past=past, own=own)


def own_form(trace: Trace, tolerance: float = USED, after: int = 0) -> Tableau:
    """The form in which the increments use the fewest weights; data when undecided."""
    made = [in_form(trace, form, after) for form in FORMS]
    return min((rewritten(t, shape_of(t)) for t in made), key=lambda t: t.support(tolerance))


@dataclass(frozen=True)
class Recursion:
    """How errors of past states are carried on, as h goes to zero.

    Args:
        companions: PERIOD companion matrices (k, k) of successive steps.
        first: the step of the first of them.
        even: whether all steps are alike as h goes to zero.
    """

    companions: tuple[Array, ...]
    first: int
    even: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data: weights of the first step, slope rho'(1), moduli of roots, growth."""
        # nothing is kept where errors grow, or where the state itself dies out
        settled = not self.growth and not self.alive
        kept = float(self.kept(self.first)[0, 0]) if settled else 0.0
        return {
            "states": self.states,
            "weights": self.companions[0][0].tolist(),
            "even": self.period == 1,
            "slope": 1 / kept if kept else None,
            "roots": list(self.roots),
            "growth": self.growth,
        }

    @property
    def states(self) -> int:
        """Number of past states."""
        return len(self.companions[0])

    @cached_property
    def period(self) -> int:
        """Steps after which the recursion, and the local errors that feed it, repeat."""
        same = all(np.abs(c - self.companions[0]).max() < SAME for c in self.companions)
        return 1 if same and self.even else PERIOD

    def carried(self, level: int, until: int) -> Array:
        """Product of the companion matrices of the steps from a level to a later one."""
        out = np.eye(self.states)
        for step in range(level, until):
            out = self.companions[(step - self.first) % PERIOD] @ out
        return out

    def round(self, level: int) -> Array:
        """What one period of steps does to the errors of the states at a level."""
        return self.carried(level, level + self.period)

    @cached_property
    def roots(self) -> tuple[float, ...]:
        """Moduli of the roots a step, without the one that is 1, largest first."""
        values = np.linalg.eigvals(self.round(self.first))
        # the root 1 itself is missing where a state is multiplied by another weight in each step
        one = int(np.abs(values - 1).argmin())
        rest = np.delete(values, one) if abs(values[one] - 1) < UNIT else values
        return tuple(sorted((np.abs(rest) ** (1 / self.period)).tolist(), reverse=True))

    @cached_property
    def growth(self) -> float:
        """Power of the number of steps with which an error grows; infinite when not a power."""
        made = self.round(self.first)
        if np.abs(np.linalg.eigvals(made)).max() > (1 + UNIT) ** self.period:
            return float("inf")
        sizes = []
        for _ in range(DOUBLINGS):
            sizes.append(float(np.linalg.norm(made)))
            made = made @ made
        half = DOUBLINGS // 2
        return max(0.0, float(round(np.log2(sizes[half + 1] / sizes[half]))))

    @property
    def alive(self) -> bool:
        """Whether an error beside the solution's own neither dies out nor grows."""
        made = self.round(self.first)
        return float(np.abs(np.linalg.eigvals(made - self.kept(self.first))).max()) > 1 - UNIT

    def kept(self, level: int) -> Array:
        """(k, k) what is left, on average, of the errors of the states at a level in the long run.

        Each row takes these errors to one amplitude that stays; errors of steps add up in it.
        """
        made = self.round(level)
        mean, power = np.eye(self.states), made
        for _ in range(DOUBLINGS):
            mean, power = (mean + power @ mean) / 2, power @ power
        # what dies out is gone after so many periods; the mean alone keeps a share of it
        out: Array = power @ mean
        return out


def recursion(family: Sequence[Tableau], h: Array, first: int) -> Recursion | None:
    """The recursion of the states in the middle of a run, from a family of tableaux.

    Args:
        h: (m,) steps of the family.
        first: a level after the start; PERIOD steps from there are read.
    """
    t = family[0]
    if t.past is None or min(t.accepted[first - STATES : first + PERIOD + 1]) < 0:
        return None
    powers = np.linalg.pinv(np.vander(h / h.max(), PERIOD, increasing=True))
    rows = []
    for step in range(first, first + PERIOD):
        known = [t.accepted[step - k] for k in range(STATES)]
        seen = [f.past[t.accepted[step + 1], known] for f in family if f.past is not None]
        rows.append((powers @ np.asarray(seen))[0])
    table = np.asarray(rows)
    states = int(np.flatnonzero(np.abs(table).max(axis=0) > SAME).max()) + 1
    made = []
    for row in table[:, :states]:
        companion = np.eye(states, k=-1)
        companion[0] = row
        made.append(companion)
    length = np.diff(t.c[list(t.accepted[first : first + PERIOD + 1])])
    return Recursion(tuple(made), first, bool(np.ptp(length) < EVEN * abs(length.mean())))
