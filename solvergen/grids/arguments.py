"""Arguments of grids: each is within its domain, or refused by its name."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """An integer between two bounds.

    Raises:
        ValueError: it is not an integer or out of bounds.

    >>> whole("n", 4)
    4
    """
    wanted = f"an integer, {least} or more"
    wanted += f", at most {most}" if most is not None else ""
    try:
        found = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be {wanted}; found {value!r:.60}") from None
    if found < least or (most is not None and found > most):
        raise ValueError(f"{name} must be {wanted}; found {found}")
    return found


def real(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> float:
    """A finite number within bounds; `above` and `below` are not taken themselves.

    Raises:
        ValueError: it is not a finite number or out of bounds.

    >>> real("rho", 7, above=0)
    7.0
    """
    bounds = {"above": above, "at least": least, "below": below, "at most": most}
    wanted = ", ".join(
        ["a finite number", *(f"{k} {v}" for k, v in bounds.items() if v is not None)]
    )
    try:
        found = float(value) if hasattr(value, "__float__") else math.nan
    except (TypeError, ValueError, OverflowError, RuntimeError):
        found = math.nan
    inside = (
        math.isfinite(found)
        and (above is None or found > above)
        and (least is None or found >= least)
        and (below is None or found < below)
        and (most is None or found <= most)
    )
    if not inside:
        raise ValueError(f"{name} must be {wanted}; found {value!r:.60}")
    return found


def reals(
    name: str, values: Any, *, least: float | None = None, most: float | None = None
) -> list[float]:
    """A list of one or more numbers, each within bounds.

    Raises:
        ValueError: it is empty, no sequence, or one of its entries is out of bounds.
    """
    try:
        given = list(values)
    except TypeError:
        raise ValueError(f"{name} must be a list of numbers; found {values!r:.60}") from None
    if not given:
        raise ValueError(f"{name} must hold one number or more; found none")
    return [real(f"{name}[{i}]", value, least=least, most=most) for i, value in enumerate(given)]


def falling(levels: Sequence[float], /, **given: Any) -> list[float]:
    """The levels, if they are finite, at least 0 and fall at every step.

    Args:
        levels: what was computed.
        given: the arguments that it was computed from, for the refusal.

    Raises:
        ValueError: two levels coincide, rise, or are not finite: what float64 cannot hold apart.
    """
    found = [float(level) + 0.0 for level in levels]
    if not 0 <= found[-1] <= found[0] < math.inf:
        raise ValueError(
            f"{shown(**given)}: the levels would go from {found[0]} to {found[-1]}; "
            "they must be finite and at least 0"
        )
    for place, (level, after) in enumerate(itertools.pairwise(found)):
        if not level > after:
            raise ValueError(
                f"{shown(**given)}: levels {place} and {place + 1} would be {level} and {after}, "
                "which do not fall; take fewer steps or less extreme values"
            )
    return found


def shown(**given: Any) -> str:
    """Arguments as a refusal names them.

    >>> shown(n=3, rho=7.0)
    'n = 3, rho = 7.0'
    """
    return ", ".join(f"{name} = {value!r:.60}" for name, value in given.items())
