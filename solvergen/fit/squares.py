"""Levenberg-Marquardt for few numbers and much data: only JᵀJ and Jᵀr are ever held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .table import Array

# Loss, half its gradient, and its Gauss-Newton matrix; the loss alone.
Model = Callable[[Array], tuple[float, Array, Array]]
Loss = Callable[[Array], float]
DAMPINGS = (
    1e-4,
    1e-3,
    1e-2,
    1e-1,
    1.0,
)  # among which fits choose that judge a step on starts kept out
LONGEST = 0.5  # largest change of one number in one step


@dataclass(frozen=True)
class State:
    """Where a fit stands; enough to go on with the same bits.

    Args:
        values: the numbers, and `loss` theirs.
        damping: of the next step, relative to the diagonal of JᵀJ.
        iteration: steps tried so far; `stalled` of the last ones gained less than `tolerance`.
    """

    values: Array
    loss: float
    damping: float = 1e-2
    iteration: int = 0
    stalled: int = 0
    curve: tuple[float, ...] = field(default_factory=tuple)


def levenberg_marquardt(
    model: Model,
    loss: Loss,
    state: State,
    *,
    iterations: int,
    tolerance: float = 1e-3,
    longest: float = LONGEST,
) -> Iterator[State]:
    """Minimise a loss; every accepted step, and the last state, is yielded.

    A step that does not lower the loss, or gives a loss that is not finite, is taken back and tried
    shorter; the last good state is never lost. The fit ends when two steps in succession gain less
    than the tolerance, or when no step is short enough to gain anything.

    Args:
        model: the numbers → loss, half gradient, Gauss-Newton matrix.
        loss: the numbers → loss alone.
        state: where to begin.
        iterations: most derivatives taken, those before `state` included.
        tolerance: relative gain below which a step counts as none (absolute below a loss of 1).
        longest: largest change of one number in one step.
    """
    while state.iteration < iterations and state.stalled < 2:
        _, gradient, normal = model(state.values)
        found = None
        damping = state.damping
        diagonal = np.diag(normal).copy()
        diagonal = np.maximum(diagonal, 1e-12 * diagonal.max(initial=1e-300))
        for _ in range(10):
            step = -np.linalg.solve(normal + np.diag(damping * diagonal), gradient)
            step = shortened(step, longest)
            tried = loss(state.values + step)
            if np.isfinite(tried) and tried < state.loss:
                found = state.values + step, tried
                break
            damping *= 4
        if found is None:
            yield replace(state, iteration=state.iteration + 1, stalled=2)
            return
        gained = (state.loss - found[1]) / max(1.0, abs(state.loss))
        state = State(
            found[0],
            found[1],
            max(damping / 5, 1e-9),
            state.iteration + 1,
            state.stalled + 1 if gained < tolerance else 0,
            (*state.curve, found[1]),
        )
        yield state


def shortened(step: NDArray[np.floating[Any]], longest: float = LONGEST) -> Array:
    """A step of which no number changes by more than `longest`."""
    return np.asarray(step * min(1.0, longest / np.abs(step).max(initial=1e-300)))
