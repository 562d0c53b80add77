"""Specs with noise: what of them a fit can move, while no noise is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import mpmath

from ...program.functions import number
from ...program.model import Program
from ...program.unroll import unroll
from .numbers import GRID, FitError, entry

NUDGE = "0.01"


def free_without_noise(
    program: Program, steps: int, free: Sequence[str] | None
) -> Sequence[str] | None:
    """The names that a fit may move so that a run draws no noise.

    A fit holds the end of every start against its exact end. Noise moves ends away from it whatever
    the rule is, so every share of noise would be fitted to its least value, which says nothing of
    the samples. The rest of such a spec is fitted where its noise is 0.

    Args:
        program: the rule.
        steps: of the run.
        free: names that were asked for; all unless given.

    Raises:
        FitError: it draws noise at its numbers, or a name is a share of noise.
    """
    if not program.stochastic:
        return free
    values = {
        p.name: [number(entry(p, i, steps)) for i in range(steps)]
        for p in program.parameters
        if p.per
    }
    why = (
        "a fit compares ends with the exact ends of the same starts, and noise moves them away "
        "whatever the rule is, so a share of noise would only be fitted to its least value"
    )
    if _drawn(program, values, steps):
        raise FitError(
            f"{program.name} draws noise: {why}; set the strength of its noise to 0, where the rest is "
            "fitted, or fit the solver without [noise]"
        )
    shares = [
        name
        for name in program.varying
        if _drawn(program, {**values, name: [v + mpmath.mpf(NUDGE) for v in values[name]]}, steps)
    ]
    if asked := [name for name in free or () if name in shares]:
        raise FitError(
            f"--free: `{asked[0]}` is a share of noise: {why}; leave it at {values[asked[0]][0]} and "
            f"fit {', '.join([*(n for n in program.varying if n not in shares), GRID])}"
        )
    if free is not None:
        return free
    return [*(name for name in program.varying if name not in shares), GRID]


def _drawn(program: Program, values: dict[str, list[mpmath.mpf]], steps: int) -> bool:
    """Whether a run has draws of a weight that is not 0."""
    lam = [mpmath.mpf(8 * i) / steps - 4 for i in range(steps + 1)]
    return any(weight != 0 for row in unroll(program, lam, values).noises for weight in row)
