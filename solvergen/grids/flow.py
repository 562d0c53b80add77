"""Grids in the time of rectified flow, where σ = t and α = 1 − t, and the shifts applied to them.

An argument out of its domain is refused by name with a ValueError, and so are times that float64
cannot tell apart. Shifts take falling times, and those that `restarted` raises.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from .arguments import falling, real, reals, shown, whole
from .schedules import between


def flow_linear(n: int, last: float | None = None) -> list[float]:
    """Equal steps from 1, and a last step to 0.

    Args:
        n: number of steps.
        last: the last time before 0; 1/n unless given (Flux and SD3 pipelines). The scheduler's own
            default is 1/1000.

    >>> flow_linear(4)
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    n = whole("n", n)
    end = 1 / max(n, 2) if last is None else real("last", last, above=0, below=1)
    if n == 1:
        return [1.0, 0.0]
    return falling([*between(1.0, end, n - 1), 0.0], n=n, last=end)


def shifted(times: Sequence[float], shift: float) -> list[float]:
    """s t / (1 + (s − 1) t): the time shift of SD3 (Esser et al. 2024, Eq. 23), `shift` in diffusers.

    It adds the constant −log s to λ.
    """
    shift, known = real("shift", shift, above=0), reals("times", times, least=0, most=1)
    moved = [shift * t / ((1 - t) + shift * t) for t in known]
    return _apart(known, moved, shift=shift)


def dynamic_shift(
    times: Sequence[float], mu: float, power: float = 1.0, linear: bool = False
) -> list[float]:
    """The shift by μ of Flux: m / (m + (1/t − 1)^power) with m = e^μ, or m = μ if linear.

    >>> dynamic_shift([1.0, 0.5, 0.0], 0.0)
    [1.0, 0.5, 0.0]
    """
    m = mu if linear else math.exp(real("mu", mu, least=-700, most=700))
    m, power = real("mu", m, above=0), real("power", power, above=0)
    known = reals("times", times, least=0, most=1)
    parts = [(m * t**power, (1 - t) ** power) for t in known]
    moved = [grown / (grown + left) if grown else 0.0 for grown, left in parts]
    return _apart(known, moved, mu=mu, power=power)


def mu_of_length(
    length: int,
    base_length: int = 256,
    max_length: int = 4096,
    base_shift: float = 0.5,
    max_shift: float = 1.15,
) -> float:
    """μ of an image's sequence length: the line that the Flux pipeline draws.

    >>> mu_of_length(256), round(mu_of_length(4096), 12)
    (0.5, 1.15)
    """
    for name, value in (("length", length), ("base_length", base_length)):
        real(name, value, least=0)
    real("max_length", max_length, above=base_length)
    base_shift, max_shift = real("base_shift", base_shift), real("max_shift", max_shift)
    slope = (max_shift - base_shift) / (max_length - base_length)
    return length * slope + base_shift - slope * base_length


def stretched(times: Sequence[float], terminal: float) -> list[float]:
    """Stretch a grid about 1 so that its last time before 0 becomes `terminal` (LTX, shift_terminal).

    Raises:
        ValueError: the time to be moved is 1 (a grid of one step), where no factor exists.

    >>> stretched([1.0, 0.5, 0.0], 0.1)
    [1.0, 0.1, 0.0]
    """
    known = reals("times", times, least=0, most=1)
    terminal = real("terminal", terminal, above=0, below=1)
    inner = known[:-1] if known[-1] == 0 else known
    if not inner or inner[-1] == 1:
        raise ValueError(
            "times must have one between 0 and 1 that moves to the terminal; "
            f"found {shown(times=known)}: leave a grid of one step as it is"
        )
    factor = (1 - terminal) / (1 - inner[-1])
    moved = [*(1 - (1 - t) * factor for t in inner[:-1]), terminal] + known[len(inner) :]
    return _apart(known, moved, terminal=terminal)


def linear_quadratic(n: int, threshold: float = 0.025, linear: int | None = None) -> list[float]:
    """Linear down to 1 − threshold, then quadratic to 0 (Mochi, LTX; ComfyUI `linear_quadratic`).

    Movie Gen (Polyak et al. 2024) takes the first n/2 steps of a run of 1000, which is a threshold of
    (n // 2)/1000: 0.025 for its 50 steps.

    Args:
        n: number of steps.
        threshold: how much noise the linear part removes; at most about linear/n, or the quadratic
            part would have to rise.
        linear: steps of the linear part, from 1 to n − 1; half of them unless given.
    """
    n, threshold = whole("n", n), real("threshold", threshold, above=0, below=1)
    if n == 1:
        return [1.0, 0.0]
    first = whole("linear", n // 2 if linear is None else linear, 1, n - 1)
    rest = n - first
    gap = first - threshold * n
    square = gap / (first * rest**2)
    slope = threshold / first - 2 * gap / rest**2
    removed = [i * threshold / first for i in range(first)]
    removed += [square * i**2 + slope * i + square * first**2 for i in range(first, n)]
    return falling([*(1 - r for r in removed), 0.0], n=n, threshold=threshold, linear=first)


def _apart(times: Sequence[float], moved: Sequence[float], **given: Any) -> list[float]:
    """Moved times, if each neighbour is on the same side of the other as before.

    Raises:
        ValueError: two times that differ have come to coincide or cross.
    """
    for place, (pair, after) in enumerate(
        zip(itertools.pairwise(times), itertools.pairwise(moved), strict=True)
    ):
        if pair[0] == pair[1]:
            raise ValueError(f"times[{place}] and times[{place + 1}] are both {pair[0]}")
        if not (after[0] > after[1]) == (pair[0] > pair[1]) or not after[0] != after[1]:
            raise ValueError(
                f"{shown(**given)}: times {pair[0]} and {pair[1]} would become {after[0]} and "
                f"{after[1]}; take a less extreme value"
            )
    if not all(0 <= t <= 1 for t in moved):
        raise ValueError(f"{shown(**given)}: the times would leave the range from 0 to 1")
    return list(moved)
