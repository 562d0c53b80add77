"""Grids in the time of rectified flow, where σ = t and α = 1 − t, and the shifts applied to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    if n == 1:
        return [1.0, 0.0]
    return [*between(1.0, 1 / n if last is None else last, n - 1), 0.0]


def shifted(times: Sequence[float], shift: float) -> list[float]:
    """s t / (1 + (s − 1) t): the time shift of SD3 (Esser et al. 2024, Eq. 23), `shift` in diffusers.

    It adds the constant −log s to λ.
    """
    return [shift * t / (1 + (shift - 1) * t) for t in times]


def dynamic_shift(
    times: Sequence[float], mu: float, power: float = 1.0, linear: bool = False
) -> list[float]:
    """The shift by μ of Flux: m / (m + (1/t − 1)^power) with m = e^μ, or m = μ if linear.

    >>> dynamic_shift([1.0, 0.5, 0.0], 0.0)
    [1.0, 0.5, 0.0]
    """
    m = mu if linear else math.exp(mu)
    return [m / (m + (1 / t - 1) ** power) if t else 0.0 for t in times]


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
    slope = (max_shift - base_shift) / (max_length - base_length)
    return length * slope + base_shift - slope * base_length


def stretched(times: Sequence[float], terminal: float) -> list[float]:
    """Stretch a grid about 1 so that its last time before 0 becomes `terminal` (LTX, shift_terminal).

    Raises:
        ValueError: the time to be moved is 1 (a grid of one step), where no factor exists.

    >>> stretched([1.0, 0.5, 0.0], 0.1)
    [1.0, 0.1, 0.0]
    """
    inner = list(times[:-1]) if times[-1] == 0 else list(times)
    if inner[-1] == 1:
        raise ValueError("a grid of one step has no time to stretch; leave it as it is")
    factor = (1 - terminal) / (1 - inner[-1])
    return [*(1 - (1 - t) * factor for t in inner[:-1]), terminal] + list(times[len(inner) :])


def linear_quadratic(n: int, threshold: float = 0.025, linear: int | None = None) -> list[float]:
    """Linear down to 1 − threshold, then quadratic to 0 (Mochi; ComfyUI `linear_quadratic`).

    Args:
        n: number of steps.
        threshold: how much noise the linear part removes.
        linear: steps of the linear part; half of them unless given.
    """
    if n == 1:
        return [1.0, 0.0]
    first = n // 2 if linear is None else linear
    rest = n - first
    gap = first - threshold * n
    square = gap / (first * rest**2)
    slope = threshold / first - 2 * gap / rest**2
    removed = [i * threshold / first for i in range(first)]
    removed += [square * i**2 + slope * i + square * first**2 for i in range(first, n)]
    return [*(1 - r for r in removed), 0.0]
