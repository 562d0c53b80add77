"""Checks of single runs: finite, zero, levels, future, inputs, state, repeat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..probe.watch import Watched
from .bench import LOW, Bench, Case, Refused
from .checks import BREACH, REMARK, SAID, Finding

Array = NDArray[np.float64]

FINITE = tuple(
    (kind, n, zero)
    for zero in (True, False)
    for kind, counts in (("karras", (1, 2, 5, 20)), ("uniform", (3, 20)), ("times", (10, 30)))
    for n in counts
)
SMALL = (1, 4, 4)
KEPT = 1e-6
EXACT = 1e-10
# noise at level 0, in units of the last level above it
LEFT = 0.6
# a level within this share of the local step is meant to be the grid's
NEAR = 0.35


def finite(bench: Bench) -> Iterator[Finding]:
    """Results on usual grids are finite; refusals and crashes are reported once a kind of grid."""
    said: set[str] = set()
    bad: dict[bool, list[tuple[Case, Watched]]] = {True: [], False: []}
    run: dict[bool, int] = {True: 0, False: 0}
    for kind, n, zero in FINITE:
        case = bench.case(kind=kind, n=n, zero=zero)
        seen = bench.seen(case)
        if not isinstance(seen, Refused):
            run[zero] += 1
            if not seen.finite:
                bad[zero].append((case, seen))
            continue
        few = n < 4
        words = f"{'runs of few steps' if few else f'grids {_end(zero)}'}|{seen.text[:60]}"
        if words in said:
            continue
        said.add(words)
        verb = "crashes" if seen.crash else "refuses"
        gravity = SAID if seen.crash and not few else REMARK
        yield Finding("finite", f"{verb}: {seen.text[:200]}", case.words(), gravity)
    for zero, found in bad.items():
        if not found:
            continue
        case, seen = found[0]
        first = np.flatnonzero(~np.isfinite(seen.states).all(axis=(1, 2)))[0]
        where = "the result" if first == seen.calls else f"the input of call {first}"
        many = len(found) == run[zero]
        share = "all" if many else f"{len(found)} of {run[zero]}"
        text = f"NaN or infinity on {share} usual grids {_end(zero)}: {where}"
        if zero and many:
            text += "; its order holds on grids that end above 0 only"
        # a function may be meant for grids above zero; nobody may be surprised by it
        yield Finding("finite", text, case.words(), SAID if zero else BREACH)


def _end(zero: bool) -> str:
    return "that end in 0" if zero else "that end above 0"


def zero(bench: Bench) -> Iterator[Finding]:
    """At level zero the weights of the outputs sum to one, and nothing is left of the start."""
    made: list[tuple[float, float]] = []
    for n in (10, 20, 40):
        case = bench.case(n=n, zero=True)
        seen = bench.linear(case)
        if isinstance(seen, Refused) or not seen.finite:
            return
        row = seen.weights()[-1]
        made.append((float(row.sum() - 1), abs(row[0]) * seen.sigmas[0]))
    sums, noise = [abs(s) for s, _ in made], [r for _, r in made]
    if sums[-1] > 1e-4 and sums[-1] > 0.75 * sums[0]:
        text = (
            f"a constant prediction c ends at {1 + made[-1][0]:.4g} c: the weights of the outputs "
            "in the result do not sum to one"
        )
        yield Finding("zero", text, case.words())
    if noise[-1] > LEFT * LOW:
        text = f"noise of size {noise[-1]:.2g} is left at level 0 (unit: the data's)"
        yield Finding("zero", text, case.words())


def levels(bench: Bench) -> Iterator[Finding]:
    """Where the model is called: on the grid's levels, or at levels snapped near them."""
    for kind, zero_end in (("karras", False), ("uniform", False), ("times", True)):
        case = bench.case(kind=kind, n=12, zero=zero_end)
        seen = bench.seen(case)
        if isinstance(seen, Refused) or not seen.finite or not seen.calls:
            continue
        told = seen.told[:, 0]
        if np.ptp(seen.told, axis=1).max() > 0:
            yield Finding("levels", "samples of one batch get different levels", case.words())
            return
        if found := _start_elsewhere(seen) or _same_again(seen):
            yield Finding("levels", found[0], case.words(), found[1])
            return
        away = 0.0 if bench.noisy else snapped(seen)
        if away > 0:
            text = (
                f"the model is called at levels up to {away:.2g} (relative) away from the grid's: "
                "snapped; the order holds until errors of that size"
            )
            yield Finding("levels", text, case.words(), SAID)
            return
        if told.max() > seen.sigmas[0] * (1 + 1e-5) and not bench.noisy:
            text = f"the model is called at {told.max():.4g}, above the grid"
            yield Finding("levels", text, case.words(), REMARK)
            return


def _start_elsewhere(seen: Watched) -> tuple[str, str] | None:
    """The start value handed to the model as if it stood at a later level of the grid."""
    told = float(seen.told[0, 0])
    later = np.isclose(told, seen.sigmas[1:], rtol=KEPT, atol=0.0)
    if not later.any() or not np.array_equal(seen.states[0], seen.first):
        return None
    text = (
        f"the start value stands at level {seen.sigmas[0]:.4g}, and the model is told {told:.4g} with it, level "
        f"{int(np.argmax(later)) + 1} of the grid"
    )
    return text, BREACH


def _same_again(seen: Watched) -> tuple[str, str] | None:
    """A state that is handed to the model twice in a row at one level, once in a run or twice."""
    same = [
        k
        for k in range(seen.calls - 1)
        if seen.told[k, 0] == seen.told[k + 1, 0] and np.array_equal(*seen.states[k : k + 2])
    ]
    if not 0 < len(same) < 3:  # in every step it is a stage of the rule
        return None
    text = f"calls {same[0]} and {same[0] + 1} are one state at one level: a level is listed twice"
    return text, SAID


def snapped(seen: Watched) -> float:
    """Largest relative distance of the levels told from those of the grid that they stand for.

    0 where all levels of the grid are told to single precision, or hardly any is.
    """
    grid, told = np.log(seen.sigmas[seen.sigmas > 0]), np.log(np.maximum(seen.told[:, 0], 1e-30))
    grid = grid[:-1] if seen.sigmas[-1] > 0 else grid
    if len(grid) < 3:
        return 0.0
    step = np.abs(np.diff(grid))
    apart = np.minimum(np.append(np.inf, step), np.append(step, np.inf))
    gap = np.abs(told[None, :] - grid[:, None]).min(axis=1)
    off = gap > 2e-6
    if not off.any() or (gap > NEAR * apart).mean() > 0.4:
        return 0.0
    return float(gap[gap <= NEAR * apart].max())


def future(bench: Bench) -> Iterator[Finding]:
    """Weights on outputs of calls that come later."""
    case = bench.case(kind="uniform", n=12)
    seen = bench.linear(case)
    if isinstance(seen, Refused) or not seen.finite or seen.solved[1].max() > 1e-6:
        return
    late = seen.ahead()
    if late > 1e-6:
        text = f"a state has weight {late:.2g} on an output that had not been made yet"
        yield Finding("future", text, case.words())


def inputs(bench: Bench) -> Iterator[Finding]:
    """x, sigmas and the model's outputs after the run are what they were before."""
    for zero_end in (False, True):
        case = bench.case(kind="uniform" if zero_end else "karras", n=12, zero=zero_end)
        seen = bench.seen(case)
        if isinstance(seen, Refused):
            continue
        for kept, name in zip(seen.kept, ("x", "sigmas"), strict=False):
            if not kept:
                yield Finding("inputs", f"the caller's {name} is changed in place", case.words())
                return
        if not seen.kept[2]:
            text = (
                "what the model returned is changed in place: a model that keeps it (a cache, the "
                "static memory of a captured graph), or returns its input, goes wrong"
            )
            yield Finding("inputs", text, case.words(), SAID)
            return


def state(bench: Bench) -> Iterator[Finding]:
    """A run, another one of equal shape, and the first again."""
    case = bench.case(kind="uniform", n=8, shape=SMALL)
    other = bench.case(kind="karras", n=8, shape=SMALL, seed=1)
    one, two = bench.again(case), bench.again(case)
    if isinstance(one, Refused) or isinstance(two, Refused):
        return
    gap = apart(one, two)
    bench.again(other)
    three = bench.again(case)
    if isinstance(three, Refused):
        yield Finding("state", f"a third run is refused: {three.text[:120]}", case.words())
        return
    later = apart(two, three)
    if max(gap, later) <= EXACT:
        return
    # what settles into its own history repeats itself only until another run comes between
    if later > EXACT:
        text = f"a run leaves something behind: the next of equal shape differs by {later:.2g}"
        yield Finding("state", text, f"{case.words()}, before and after a run on another grid")
    else:
        text = f"the same run twice, with the same seeds, differs by {gap:.2g}"
        yield Finding("repeat", text, case.words())


def apart(one: Watched, other: Watched) -> float:
    """Largest relative difference between the states of two runs; infinite for other calls."""
    if one.states.shape != other.states.shape:
        return float("inf")
    size = np.abs(one.states).max(axis=(1, 2), keepdims=True) + np.abs(one.outputs).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(np.abs(one.states - other.states) / size, nan=0.0).max())
