"""Checks of runs of 1 to 60 steps over the first levels of one grid: steps, last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..probe.watch import Watched
from .bench import Bench, Case, Refused
from .checks import Finding
from .sameness import SAME

Array = NDArray[np.float64]

COUNTS = (*range(1, 26), 28, 30, 35, 40, 42, 50, 60)
# where a step makes many calls
FEWER = (*range(1, 13), 15, 16, 18, 20, 24, 25, 30, 60)
MANY = 2.5
# last steps of a run that may be special
TAIL = 3
STEP = 0.105
GRID = tuple((np.exp(2.0) * np.exp(-STEP * np.arange(max(COUNTS) + 1))).tolist())
# a small state, and how many of its values the model answers with zero
SHAPE, STILL = (1, 2, 3), 2
# numbers of steps whose last level is looked at, and how near to it counts as there, in steps
REACHED, HIT = (9, 10, 11, 12, 13, 14, 15, 16, 20, 25, 30), 0.05
# a rule's own error of one step is smaller, and that of many grows with their number; noise takes levels with it
ELSEWHERE = 0.1
# by how much of itself a level that values of one run reach may differ between them
ALIKE = 1e-6


def _case(bench: Bench, n: int) -> Case:
    """A run of n steps from the first level of the grid."""
    return bench.case(levels=GRID[: n + 1], shape=SHAPE, still=STILL)


def _counts(bench: Bench) -> tuple[int, ...]:
    """The numbers of steps that are run, the largest last; () where not even that one is."""
    longest = bench.seen(_case(bench, max(COUNTS)))
    if isinstance(longest, Refused) or not longest.finite:
        return ()
    return COUNTS if longest.calls < MANY * max(COUNTS) else FEWER


def steps(bench: Bench) -> Iterator[Finding]:
    """Runs of 1 to 60 steps over the first levels of one grid: where each parts from the longest."""
    counts, longest = _counts(bench), bench.seen(_case(bench, max(COUNTS)))
    if not counts or isinstance(longest, Refused):
        return
    tails: dict[int, int] = {}
    for n in counts[:-1]:
        seen = bench.seen(_case(bench, n))
        if not isinstance(seen, Refused) and seen.finite:
            tails[n] = _tail(seen, longest, n)
    usual = sorted(t for n, t in tails.items() if n >= 8)
    if not usual:
        return
    allowed = max(TAIL, usual[len(usual) // 2])
    odd = [n for n, tail in tails.items() if tail > allowed]
    whole = [n for n, tail in tails.items() if tail >= n > TAIL]
    # a rule that weighs by the number of steps is another in every run, from one of the first steps on
    deep = {n: tail for n, tail in tails.items() if n >= 8}
    if sum(tail > 0.8 * n for n, tail in deep.items()) > 0.8 * len(deep):
        case = _case(bench, max(deep))
        text = (
            f"the first levels of a grid get other weights with every number of steps, N = {ranges([*deep])} "
            f"against N = {max(COUNTS)}: weights depend on how many steps the run has"
        )
        yield Finding("steps", text, case.words(), whole=True)
        return
    if len(whole) > 0.6 * len(tails):
        # the audit says so of a rule that looks at the whole grid; here it is the longest that is odd
        odd = whole
    if odd:
        n = max(odd, key=lambda k: tails[k])
        case = _case(bench, n)
        text = (
            f"with N = {ranges(odd)} steps the first levels of a grid get other weights than with "
            f"N = {max(COUNTS)}: {tails[n]} of {n} steps differ"
        )
        yield Finding("steps", text, case.words())


def last(bench: Bench) -> Iterator[Finding]:
    """Runs of every number of steps end at the last level: an answer of zero leaves x in proportion to it."""
    short: dict[int, float] = {}
    counts = _counts(bench) or REACHED
    looked = [n for n in REACHED if n in counts]
    for n in looked:
        seen = bench.seen(_case(bench, n))
        level = None if isinstance(seen, Refused) else _reached(seen)
        if level is not None and level > 0:
            # in steps; what no run reaches is an order of zero, and the audit's to tell
            short[n] = float(np.log(level / GRID[n])) / STEP
    missed = [n for n, steps in short.items() if round(steps) and abs(steps - round(steps)) < HIT]
    whole = [n for n, steps in short.items() if abs(steps) < HIT]
    between = [n for n in short if n not in missed and n not in whole]
    missed = [n for n in missed if not _drifts(n, whole, between)]
    reached = np.asarray(list(short.values()))
    off = float(np.median(reached)) if len(short) == len(looked) else 0.0
    if not bench.noisy and abs(off) > ELSEWHERE and np.ptp(reached) < HIT * abs(off):
        text = (
            f"with every number of steps the result is at {np.exp(STEP * off):.5g} times the last level: it stands "
            "elsewhere than where the grid ends"
        )
        yield Finding("last", text, _case(bench, max(short)).words())
        return
    if missed and whole:
        n = missed[-1]
        level = GRID[n] * np.exp(STEP * short[n])
        text = (
            f"with N = {', '.join(map(str, missed))} steps the result is at level {level:.3g}, not at the "
            f"last, {GRID[n]:.3g}: {abs(round(short[n]))} of {n} steps are missing; with N = "
            f"{', '.join(map(str, whole))} it is there"
        )
        yield Finding("last", text, _case(bench, n).words())


def _drifts(n: int, whole: list[int], between: list[int]) -> bool:
    """Whether the level reached goes gradually from where it is right: an error of the rule, not a lost step."""
    near = min(whole, key=lambda k: abs(k - n), default=n)
    return any(min(n, near) < k < max(n, near) for k in between)


def _reached(seen: Watched) -> float | None:
    """The level of the result where the model answered zero; None where it is no multiple of the start."""
    shares = (seen.states[-1, :, -STILL:] / seen.first[:, -STILL:]).reshape(-1)
    level = float(shares.mean() * seen.sigmas[0])
    one = np.abs(shares - shares.mean()).max()
    return level if one <= ALIKE * abs(shares.mean()) else None


def _tail(seen: Watched, longest: Watched, n: int) -> int:
    """How many of the last steps of a run differ from the same steps of a longer one."""
    grid = seen.sigmas
    size = np.abs(longest.outputs).max(initial=1e-300)
    for i in range(min(seen.calls, longest.calls)):
        here, there = seen.states[i], longest.states[i]
        gap = np.abs(here - there).max() / (np.abs(there).max() + size)
        if gap > SAME or abs(seen.told[i, 0] / longest.told[i, 0] - 1) > 1e-6:
            step = int(np.searchsorted(-grid, -seen.told[i, 0] * (1 + 1e-7))) - 1
            return n - max(step, 0)
    near = np.flatnonzero(np.abs(longest.told[:, 0] / grid[-1] - 1) < 1e-6)
    ends = [np.abs(longest.states[j] - seen.states[-1]).max() for j in near]
    return 0 if any(e < SAME * (np.abs(seen.states[-1]).max() + size) for e in ends) else 1


def ranges(numbers: list[int]) -> str:
    """Sorted numbers as "1 to 11, 20"; neighbours among COUNTS run together."""
    order = sorted(COUNTS)
    parts: list[list[int]] = []
    for n in sorted(numbers):
        if parts and order.index(n) == order.index(parts[-1][-1]) + 1:
            parts[-1].append(n)
        else:
            parts.append([n])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]} to {p[-1]}" for p in parts)
