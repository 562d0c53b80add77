"""Grids that go back up: restart sampling and resampling. A rise is a jump forward in noise.

A jump from level a up to b adds noise of variance b² − a² to x/α; then the run goes down again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from .levels import karras

Segment = tuple[int, int, float, float]


def restarted(
    levels: Sequence[float], segments: Sequence[Segment], rho: float = 7.0
) -> list[float]:
    """A descending grid with restarts (Xu et al. 2023, Algorithm 1, as the authors' code runs it).

    Where the grid comes to the level nearest t_min, K times: up to t_max, and down again over n
    levels, equal steps in σ^(1/ρ), of which t_max is the first and that nearest level the last.

    Args:
        levels: σ/α, descending.
        segments: (n, K, t_min, t_max), in any order.
        rho: spacing between t_max and t_min.

    Raises:
        ValueError: a segment that breaks one of 2 <= n, 1 <= K, 0 <= t_min < t_max <= the first
            level; whose t_min is nearest to the first level, or to one not below t_max; or two
            segments at one level.

    >>> restarted([10.0, 5.0, 2.0, 1.0, 0.0], [(3, 2, 1.9, 4.0)], rho=1.0)
    [10.0, 5.0, 2.0, 4.0, 3.0, 2.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    """
    _check_levels(levels)
    if not 0 < rho < math.inf:
        raise ValueError(f"rho must be above 0 and finite; found {rho}")
    loops: dict[int, list[float]] = {}
    for number, (count, times, low, high) in enumerate(segments):
        where = f"segment {number}, ({count}, {times}, {low}, {high})"
        place = _place(levels, low, high, where)
        if not (count >= 2 and times >= 1):
            raise ValueError(
                f"{where}: n levels include t_max and t_min, so n >= 2, and K >= 1 restarts"
            )
        if place in loops:
            raise ValueError(
                f"{where}: another segment restarts at level {levels[place]} too; the grid needs "
                "a level nearest to each t_min"
            )
        loops[place] = times * karras(count - 1, levels[place], high, rho, zero=False)
    return [level for place, start in enumerate(levels) for level in (start, *loops.get(place, ()))]


def resampled(levels: Sequence[float], length: int, times: int) -> list[float]:
    """A descending grid that is walked in overlapping stretches (Lugmayr et al. 2022, RePaint).

    With l steps left, for l = 0, length, 2 length, … below the number of steps less one length, the
    run goes up by `length` levels and down again, so that it comes there `times` times in all. The
    steps are those of diffusers' RePaintScheduler (`jump_length`, `jump_n_sample`), whose rises of
    one timestep each are one jump here: the same law.

    Args:
        levels: σ/α, descending.
        length: levels of a jump, at least 1 and less than the number of steps.
        times: how often each of these levels is reached, at least 1.

    Raises:
        ValueError: length or times out of range.

    >>> resampled([3.0, 2.0, 1.0, 0.0], 2, 2)
    [3.0, 2.0, 1.0, 0.0, 2.0, 1.0, 0.0]
    """
    _check_levels(levels)
    steps = len(levels) - 1
    if not 1 <= length < steps or times < 1:
        raise ValueError(
            f"need 1 <= length < {steps}, the number of steps, and times >= 1; "
            f"found length = {length}, times = {times}"
        )
    jumps = dict.fromkeys(range(0, steps - length, length), times - 1)
    left, found = steps, [levels[0]]
    while left:
        left -= 1
        found.append(levels[steps - left])
        if jumps.get(left):
            jumps[left] -= 1
            left += length
            found.append(levels[steps - left])
    return found


def undershot(levels: Sequence[float], lower: Sequence[float]) -> list[float]:
    """A grid that goes below each level and rises to it (Zheng et al. 2024, TCD).

    From each of `levels` the run goes down to the value beside it in `lower`; the next level, where it
    lies higher, is reached by a jump. TCD has the levels of timesteps t and those of (1 − γ) t.

    Args:
        levels: σ/α where the model is called, descending.
        lower: as many values of σ/α, each below its level and not above the next.

    Raises:
        ValueError: levels that do not descend, or a lower value out of place.

    >>> undershot([8.0, 4.0, 2.0], [3.0, 2.0, 0.5])
    [8.0, 3.0, 4.0, 2.0, 0.5]
    """
    if len(levels) != len(lower) or any(a <= b for a, b in itertools.pairwise(levels)):
        raise ValueError(
            f"need descending levels and one lower value for each; found {levels}, {lower}"
        )
    found: list[float] = []
    for place, (level, low) in enumerate(zip(levels, lower, strict=True)):
        bound = levels[place + 1] if place + 1 < len(levels) else level
        if not (0 <= low <= bound and low < level and (low > 0 or place + 1 == len(levels))):
            raise ValueError(
                f"lower[{place}] = {low} must be at least 0 (above it before the end), below "
                f"levels[{place}] = {level} and not above the next level"
            )
        found += [low] if found and found[-1] == level else [level, low]
    return found


def _place(levels: Sequence[float], low: float, high: float, where: str) -> int:
    """Index of the level nearest to t_min, once t_min and t_max are within their bounds."""
    if not 0 <= low < high:
        raise ValueError(f"{where}: need 0 <= t_min < t_max")
    if not high <= levels[0]:
        raise ValueError(f"{where}: t_max must not be above the grid's first level, {levels[0]}")
    place = min(range(len(levels)), key=lambda i: abs(levels[i] - low))
    if place == 0 or levels[place] >= high:
        raise ValueError(
            f"{where}: the grid's level nearest to t_min is {levels[place]}, which must lie below "
            "t_max and after the first level; use a finer grid or another t_min"
        )
    return place


def _check_levels(levels: Sequence[float]) -> None:
    falls = all(a > b for a, b in itertools.pairwise(levels))
    if len(levels) < 2 or not falls or not 0 <= levels[-1] or not levels[0] < math.inf:
        raise ValueError(
            f"levels must descend from a finite one to one that is at least 0; found {levels}"
        )
