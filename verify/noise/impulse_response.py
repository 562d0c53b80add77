"""Strong order of rules whose weights on outputs do not vanish with the step.

A rule such as D_n - 2 D_(n-1) + D_(n-2) with a weight of order one adds nothing to a smooth solution,
but along a path of noise it responds to every draw for some steps, by an error of the size of the
draw, sqrt(h). Its refinements settle only where this impulse response has died out, which for nearly flat
targets takes thousands of steps, and hide one smaller than the errors of their steps. The response is a
linear recursion with weights that one run on a grid of vanishing steps shows. If it dies out, the
draws of the last steps leave an error of order 1/2 and the others none; if it stays, all draws leave
one, and there is no order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ConductError
from ..order.conditions import LADDER
from ..probe.noise_trace import count, trace_noise
from ..probe.trace import Run
from ..problems import grids
from .moments import VARIANCES
from .weak import Order

Array = NDArray[np.float64]

STEPS, FIRST, PERIOD, REACH = 24, 12, 6, 6
DEGREE = 7
WHERE = 0.35
SEEN = 1e-6
ABOVE_ROUNDING = 100
GONE = 1e-4
TAIL = 6000


def lasting_weights(run: Run, kind: str) -> Array | None:
    """(PERIOD, REACH) weights on the outputs D_n, D_(n-1), ... of steps of vanishing length.

    None when they vanish with the step, or when a step calls the model more than once.
    """
    known: list[Array] = []
    # calls and draws are those of the steps: counted once
    size = count(run, grids.local(kind, STEPS, LADDER[0], WHERE))
    if size[0] != STEPS:
        return None
    for h in LADDER:
        weights = _weights(run, grids.local(kind, STEPS, h, WHERE), size)
        if weights is None or not weights[:, 1:].any():  # a rule without history has no response
            return None
        known.append(weights)
    powers = np.linalg.pinv(np.vander(LADDER / LADDER.max(), DEGREE, increasing=True))
    out: Array = np.tensordot(powers[0], np.stack(known), axes=1)
    # a constant is integrated exactly: what the limit leaves of it is rounding
    if np.abs(out).max() < max(SEEN, ABOVE_ROUNDING * np.abs(out.sum(axis=1)).max()):
        return None
    return out - out.sum(axis=1, keepdims=True) / np.maximum((out != 0).sum(axis=1), 1)[:, None]


def _weights(run: Run, sigmas: Array, size: tuple[int, int]) -> Array | None:
    try:
        t = trace_noise(run, sigmas, size=size)
    except ConductError:  # a window of the noise begins or ends inside
        t = trace_noise(run, sigmas)
    made = t.drift
    if made.calls != STEPS or not t.noisy:
        return None
    out = np.zeros((PERIOD, REACH))
    for k in range(PERIOD):
        n = FIRST + k
        kept = made.start[n + 1] / made.start[n] if made.start[n] else 0.0
        moves = made.weights[n + 1] - kept * made.weights[n]
        if kept == 0 or np.abs(moves[: n + 1 - REACH]).max() > GONE:
            return None
        out[k] = moves[n : n - REACH : -1]
    return out


def impulse_response(weights: Array, gain: float, phase: int) -> Array:
    """(TAIL,) what the states after one draw have more, or less, than the draw.

    Args:
        gain: dD/dx of a Gaussian target.
        phase: place in the pattern of the grid at which the draw falls.
    """
    states = np.zeros(TAIL + REACH)
    states[REACH] = 1.0
    for n in range(REACH, TAIL + REACH - 1):
        row = weights[(phase + n - REACH) % PERIOD]
        states[n + 1] = states[n] + gain * (row @ states[n : n - REACH : -1])
        if abs(states[n + 1]) > 1 / GONE:  # it grows without end
            states[n + 1 :] = states[n + 1]
            break
    return states[REACH:] - 1.0


def order_of_response(run: Run, kind: str, measured: Order) -> Order | None:
    """The strong order that the impulse response to the draws leaves; None where it lowers nothing.

    Args:
        measured: what the refinements showed, which is kept beside the order.
    """
    if measured.order is not None and measured.order < 0.5:
        return None
    weights = lasting_weights(run, kind)
    if weights is None:
        return None
    level = np.exp(-2 * WHERE)
    made = [
        impulse_response(weights, c2 / (c2 + level), k) for c2 in VARIANCES for k in range(PERIOD)
    ]
    if max(float(np.abs(e).max()) for e in made) < SEEN:
        return None
    dies = all(abs(e[-1]) < GONE * np.abs(e).max() for e in made)
    if dies and measured.order == 0.5:
        return None
    said = (
        "weights on outputs that do not vanish with the step give each draw an impulse response "
        + ("that dies out" if dies else "that stays")
    )
    return Order(0.5 if dies else 0, False, None, said, measured.steps, measured.errors)
