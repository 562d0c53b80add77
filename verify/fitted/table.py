"""The table of a fitted file, read from its run at its own levels, and what it does there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..probe.tableau import FORMS, in_form
from ..probe.trace import Run, Trace, trace

Array = NDArray[np.float64]
DEGREES = 3
# weights below it, of the largest of a step, are none
NOTHING = 1e-13


@dataclass(frozen=True)
class Step:
    """One step of a table.

    Args:
        moments: relative errors of its weights against the integrals of 1, z, z²/2, where z is λ less
            that of its start, or the clock of velocity.
        gain: sum of its weights' sizes over the integral of 1.
        called: levels at which it calls the model, over those of the states.
    """

    moments: tuple[float, ...]
    gain: float
    called: tuple[float, ...]


def read(run: Run, levels: tuple[float, ...], form: str) -> tuple[Step, ...]:
    """The steps of a table, from one-hot outputs at its own levels; without one that needs no call.

    Args:
        run: the sampler with its own numbers.
        levels: σ/α of its grid, the last above 0.
        form: data, noise or velocity: the outputs that its weights weigh.

    Raises:
        ConductError: the run misbehaves.
        ValueError: its calls cannot be assigned to steps.
    """
    found = trace(run, np.asarray(levels))
    steps = len(levels) - 1
    if found.calls % steps:
        raise ValueError(
            f"it makes {found.calls} calls in {steps} steps; what each step does cannot be read"
        )
    each = found.calls // steps
    placed = _placed(found, levels, each)
    table = in_form(placed, form if form in FORMS else "data")
    velocity = form == "velocity"
    places = table.c if velocity else -np.log(placed.nodes)
    begun = (
        found.unasked
    )  # the weights of a first step without a call are in those of the start value
    made = range(begun, steps)
    return tuple(_step(table.a, table.c, places, i, each, velocity, found) for i in made)


def _placed(found: Trace, levels: tuple[float, ...], each: int) -> Trace:
    """The trace with the levels of its states in place of those at which the model is called.

    With all outputs zero a state shrinks with its level, whatever the rule: that tells the place of
    a stage from the start of its step.
    """
    nodes = found.nodes.copy()
    for row in range(found.calls):
        begin = row - row % each
        share = found.start[row] / found.start[begin]
        nodes[row] = levels[row // each] * share
    return Trace(found.sigmas, nodes, found.start, found.weights, found.bend, found.offset)


def _step(
    rows: Array, clock: Array, places: Array, i: int, each: int, velocity: bool, found: Trace
) -> Step:
    low, high = i * each, (i + 1) * each
    weights = rows[high] - rows[low]
    weights = np.where(np.abs(weights) > NOTHING * np.abs(weights).max(), weights, 0.0)
    width = clock[high] - clock[low]
    offset = places[: len(weights)] - places[low]
    length = places[high] - places[low]
    exact = [
        _moment(k, length, width, clock[low], velocity, rising=width > 0) for k in range(DEGREES)
    ]
    sums = [float(weights @ offset**k) / math.factorial(k) for k in range(DEGREES)]
    called = found.nodes[low:high] / np.exp(-places[low:high]) if not velocity else ()
    return Step(
        tuple(s / e - 1 for s, e in zip(sums, exact, strict=True)),
        float(np.abs(weights).sum() / abs(exact[0])),
        tuple(float(v) for v in called),
    )


def _moment(
    k: int, length: float, width: float, start: float, velocity: bool, rising: bool
) -> float:
    """∫ z^k/k! d(clock) over a step: z from 0 to `length`, the clock exp(±λ) or z itself."""
    if velocity:
        return float(width) * length**k / math.factorial(k + 1)
    sign = 1.0 if rising else -1.0
    # Gauss-Legendre on a smooth integrand: exact to rounding
    nodes, shares = np.polynomial.legendre.leggauss(40)
    z = 0.5 * length * (nodes + 1)
    slope = sign * start * np.exp(sign * z)
    return float(0.5 * length * (shares * z**k / math.factorial(k)) @ slope)
