"""Checks that a sampler has one rule: start, size, level. They read steps off dense traces.

A step's weights, per length of the step in the clock of the sampler's own form, are smooth functions
of its size and of its level. A sampler that is another one for large steps, or for some levels, shows
a jump; one that looks at the whole grid gives the same levels other weights in another grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ANYTHING
from ..probe.locality import difference, placed
from ..probe.past_states import rewritten, shape_of
from ..probe.tableau import Tableau, in_form
from ..probe.trace import Trace
from .bench import Bench, Case, Refused
from .checks import SAID, Finding

Array = NDArray[np.float64]

JUMP = 0.03
SHARP = 4.0
RATIO = 1.24
SIZES = 0.05 * RATIO ** np.arange(15)
STEPS = 8
# a step whose own moment misses by this share does not have that order at all
MISSING = 0.12
LOCAL = 1e-6
# steps of the long grid, fewer where each makes many calls, from level 55 to 0.02; those at its ends are
# not looked at
LONG, SHORTER, SPAN = 108, 52, 7.8
BEGUN, ENDING = 8, 6
# steps by which a second grid begins earlier; most steps of a start that counts them
SHIFT, FEW = 4, 12
# forms whose moments tell an order at large steps and at every level
CLOCKS = ("data", "noise")


class Reader:
    """Tableaux of a bench's runs in the form that the audit found.

    Args:
        form, after: see Audit.
        noise: relative rounding of the sampler's weights.
        past: whether steps go on from past states.
    """

    def __init__(
        self, bench: Bench, form: str, after: int, noise: float, *, past: bool = False
    ) -> None:
        self.bench, self.form, self.after, self.noise, self.past = bench, form, after, noise, past

    def case(self, sigmas: Array) -> Case:
        """A case of one wide row of pixels, with values enough for every call."""
        return self.bench.case(levels=tuple(sigmas.tolist()), shape=(128, 1, 1))

    def tableau(self, sigmas: Array, form: str | None = None) -> Tableau | None:
        """The tableau of a run on a grid; None when the run is refused or is not linear.

        Args:
            form: to read it in, where it is not the audit's.
        """
        seen = self.bench.linear(self.case(sigmas))
        if isinstance(seen, Refused) or not seen.finite or seen.calls == 0:
            return None
        table, missed = seen.solved
        if missed.max() > max(1e-6, 100 * self.noise):
            return None
        trace = Trace(
            sigmas=sigmas,
            nodes=np.asarray([*seen.told[:, 0], sigmas[-1]]),
            start=table[0, :, 0],
            weights=np.tril(table[0, :, 1:], -1),
            bend=float(missed.max()),
            offset=0.0,
        )
        plain = in_form(trace, form or self.form, self.after)
        return rewritten(plain, shape_of(plain, max(self.noise, 1e-11))) if self.past else plain


def move(t: Tableau, step: int) -> Array | None:
    """Weights of a step per its length, newest output first; None where it does not end on a level."""
    if step + 1 >= len(t.accepted):
        return None
    low, high = t.accepted[step], t.accepted[step + 1]
    if low < 0 or high < 0:
        return None
    out: Array = t.move(low, high)[0][::-1] / (t.c[high] - t.c[low])
    return out


def shown_order(t: Tableau, step: int) -> int:
    """The order that the moments of one step show at its size: the first degree that is missed."""
    weights = move(t, step)
    if weights is None:
        return 0
    low, high = t.accepted[step], t.accepted[step + 1]
    length = t.c[high] - t.c[low]
    offset = ((t.c[:high] - t.c[low]) / length)[::-1]
    known = t.move(low, high)[1]
    before = (t.c[: low + 1] - t.c[low]) / length
    for degree in range(6):
        moment = (degree + 1) * float(weights @ offset**degree)
        moment += float(known @ before ** (degree + 1))
        if abs(moment - 1) > MISSING:
            return degree
    return 6


def start(reader: Reader) -> Iterator[Finding]:
    """The same levels inside grids that begin and end elsewhere, with steps as large as in practice."""
    one, two = placed(0.0, size=0.13, before=(6, 18), beyond=(6, 18))
    try:
        tables = reader.tableau(one), reader.tableau(two)
        if tables[0] is None or tables[1] is None:
            return
        gap = difference(tables[0], tables[1], (6, 18))
    except ANYTHING:
        return
    if gap > max(LOCAL, 300 * reader.noise):
        size = "the calls that they use" if np.isinf(gap) else f"weights by {gap:.2g}"
        text = f"the same levels inside two grids differ: {size}"
        yield Finding("start", text, f"N = {len(one) - 1} and N = {len(two) - 1} on shared levels")


def size(reader: Reader) -> Iterator[Finding]:
    """Equal steps of growing size: a jump is where the rule becomes another."""
    rows: list[tuple[float, Tableau, Array]] = []
    for h in SIZES:
        sigmas = np.exp(h * (STEPS / 2 - np.arange(STEPS + 1)))
        table = reader.tableau(sigmas)
        weights = None if table is None else move(table, 4)
        if table is None or weights is None:
            continue
        rows.append((float(h), table, weights))
    found = _jump([w for _, _, w in rows])
    if found is None:
        return
    k, gap = found
    order = shown_order(rows[k + 1][1], 4)
    text = (
        f"the rule changes where steps in lambda grow from {rows[k][0]:.2g} to {rows[k + 1][0]:.2g}: "
        f"weights jump by {gap:.2g}; above, the moments of a step show order {order}"
    )
    yield Finding("size", text, f"N = {STEPS}, equal steps of {rows[k + 1][0]:.2g}", order=order)


def level(reader: Reader) -> Iterator[Finding]:
    """One long grid of equal steps from level 55 to 0.02: jumps along it, and steps on their own."""
    long = LONG if reader.bench.few(LONG) == LONG else SHORTER
    length = SPAN / long
    sigmas = np.exp(4.0 - length * np.arange(long + 1))
    table = reader.tableau(sigmas)
    if table is None:
        return
    made = {n: w for n in range(BEGUN, long - ENDING) if (w := move(table, n)) is not None}
    turns = _turns(made)
    for turn in range(turns):
        steps = [n for n in sorted(made) if n % turns == turn]
        found = _jump([made[n] for n in steps])
        if found is None:
            continue
        k, gap = found
        lone = k + 2 < len(steps) and _gap(made[steps[k]], made[steps[k + 2]]) < 0.3 * gap
        step = steps[k + 1]
        at = sigmas[step]
        order = shown_order(table, step)
        example = (
            f"N = {long}, equal steps of {length:.3g} from {sigmas[0]:.3g} to {sigmas[-1]:.2g}"
        )
        again = _alike(made, step) if lone else ()
        if again:
            # with ever more steps there are ever more of them: their errors add up
            text = (
                f"steps {', '.join(map(str, (step, *again)))} are rules of their own, of order {order}: one "
                f"comes back after {again[0] - step} steps, and lowers the order to {order}"
            )
            yield Finding("level", text, example, order=order)
        elif lone:
            text = f"step {step} is a rule of its own, of order {order}: a one-off step counts once"
            yield Finding("level", text, example, SAID, order)
        else:
            counted = _counts(reader, sigmas, step, turns)
            # of large steps the moments are right in the clock of the rule alone
            tables = [table, *(t for f in CLOCKS if (t := reader.tableau(sigmas, f)) is not None)]
            shown = [max(shown_order(t, n) for t in tables) for n in steps]
            before, after = min(shown[: k + 1]), min(shown[k + 1 :])
            # a fixed number of steps makes its errors once each
            held = min(before + 1, after) if counted and step <= FEW else min(before, after)
            where = (
                f"at step {step}, wherever the grid begins: its weights count steps"
                if counted
                else f"at level {at:.2g}"
            )
            text = (
                f"the rule changes {where}; weights jump by {gap:.2g}; the moments of a step show order "
                f"{shown[k]} before and {shown[k + 1]} after"
            )
            yield Finding("level", text, example, order=held)
        return


def _alike(made: dict[int, Array], step: int) -> tuple[int, ...]:
    """Later steps that part from the one before them as this one does."""
    count = max(map(len, made.values()))
    rows = {n: np.pad(w, (0, count - len(w))) for n, w in made.items()}
    away = {n: rows[n] - rows[n - 1] for n in rows if n - 1 in rows}
    if step not in away:
        return ()
    near = 0.3 * float(np.abs(away[step]).max())
    return tuple(n for n in sorted(away) if n > step and _gap(away[n], away[step]) < near)


def _counts(reader: Reader, grid: Array, step: int, turns: int) -> bool:
    """Whether a grid that begins a few steps earlier has the jump at the same step, not level."""
    sigmas = grid * (grid[0] / grid[SHIFT])
    table = reader.tableau(sigmas)
    if table is None:
        return False
    pairs = [(move(table, n), move(table, n - turns)) for n in (step, step + SHIFT)]
    gaps = [_gap(one, two) for one, two in pairs if one is not None and two is not None]
    return len(gaps) == 2 and gaps[0] > 3 * gaps[1]


def _turns(made: dict[int, Array]) -> int:
    """Steps after which the pattern of used outputs repeats."""
    used = {n: tuple(np.flatnonzero(np.abs(w) > 1e-6 * np.abs(w).max())) for n, w in made.items()}
    for turns in range(1, 7):
        if all(used[n] == used[n + turns] for n in used if n + turns in used):
            return turns
    return 1


def _gap(one: Array, other: Array) -> float:
    count = min(len(one), len(other))
    rest = [np.abs(w[count:]).max(initial=0.0) for w in (one, other)]
    return float(max(np.abs(one[:count] - other[:count]).max(), *rest))


def _jump(rows: Sequence[Array]) -> tuple[int, float] | None:
    """(index before it, size) of the largest jump between neighbours; None where all is smooth."""
    if len(rows) < 4:
        return None
    # weights may grow without bound from step to step, smoothly: what counts is their relative change
    sizes = [max(float(np.abs(r).max()) for r in pair) for pair in itertools.pairwise(rows)]
    gaps = [_gap(a, b) / s for (a, b), s in zip(itertools.pairwise(rows), sizes, strict=True)]
    best: tuple[int, float] | None = None
    # a jump is seen from both sides
    for k, gap in list(enumerate(gaps))[1:-1]:
        near = [gaps[j] for j in (k - 2, k - 1, k + 1, k + 2) if 0 <= j < len(gaps)]
        # a lone step jumps there and back
        calm = sorted(near)[: max(1, len(near) - 1)]
        if gap > JUMP and gap > SHARP * max(calm) and (best is None or gap > 1.01 * best[1]):
            best = (k, gap)
    return best
