"""The same run, begun in the middle with an exact history: what its repeated steps alone can do.

A multistep sampler's first steps are of lower order, and so is what follows from them. Here the
states up to a given step are put in as the exact law of the reverse SDE has them, jointly, and the
traced weights carry them on: the weak errors that remain are those of the repeated steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from ..probe.noise_trace import NoiseTrace
from .moments import VARIANCES, Steps, log_variance, steps
from .weak import Order, marks_of, measured

Array = NDArray[np.float64]

HISTORY = 4
USED = 1e-9


def exact_start(
    made: Sequence[NoiseTrace], variances: Sequence[float] = VARIANCES
) -> tuple[Order, Order] | None:
    """(mean, covariance) orders with exact history; None for a sampler that keeps none.

    The strength must be read without a limit, so each N is compared with the strength that its own
    noise shows.
    """
    cuts = [steps(t) for t in made]
    if not _has_history(made[-1], cuts[-1]):
        return None
    counts = [t.drift.steps for t in made]
    precision = max([2.0**-52, *(t.drift.bend for t in made)])
    mean, covariance = [], []
    for t, cut in zip(made, cuts, strict=True):
        found = [_errors(t, cut, c2) for c2 in variances]
        mean.append(np.concatenate([f[0] for f in found]))
        covariance.append(np.concatenate([f[1] for f in found]))
    return measured(counts, mean, precision), measured(counts, covariance, precision)


def _local(t: NoiseTrace, row: int) -> tuple[Array, Array, Array]:
    """Weights after `row` on the state there, on outputs and on draws, the start value removed."""
    made = t.drift
    ratio = made.start[row + 1 :] / made.start[row]
    outputs = made.weights[row + 1 :] - ratio[:, None] * made.weights[row]
    noise = t.independent[row + 1 :] - ratio[:, None] * t.independent[row]
    return ratio, outputs, noise


def _has_history(t: NoiseTrace, cut: Steps) -> bool:
    row = int(cut.rows[HISTORY])
    outputs = _local(t, row)[1]
    return bool(np.abs(outputs[:, :row]).max() > USED)


def _errors(t: NoiseTrace, cut: Steps, c2: float) -> tuple[Array, Array]:
    row, calls = int(cut.rows[HISTORY]), t.drift.calls
    ratio, outputs, noise = _local(t, row)
    gain = c2 / (c2 + t.drift.nodes[:calls] ** 2)
    known = outputs[:, : row + 1] * gain[: row + 1]
    known[:, row] += ratio
    right = np.concatenate([known, noise], axis=1)
    inner = outputs[:, row + 1 :] * gain[row + 1 :]
    count = calls - row - 1
    system = np.eye(count) - inner[:count]
    solved = solve_triangular(system, right[:count], lower=True, unit_diagonal=True)
    last = right[count] + inner[count] @ solved
    whole = np.concatenate([solved, last[None]])
    decay = _decay(t, cut, c2)
    variance = c2 + t.drift.nodes**2
    # exact joint law of the history: later states follow earlier ones by the decay of the mean
    ends = np.arange(row + 1)
    early = np.minimum(ends[:, None], ends)
    late = np.maximum(ends[:, None], ends)
    joint = decay[late] / decay[early] * variance[early]
    # the first quarter of a short run is over when the history ends
    wanted = cut.rows[marks_of(cut)[1:]]
    there = whole[wanted - row - 1]
    head, tail = there[:, : row + 1], there[:, row + 1 :]
    mean = head @ decay[: row + 1] - decay[wanted]
    spread = np.einsum("ri,ij,rj->r", head, joint, head) + (tail**2).sum(axis=1)
    return mean, spread / variance[wanted] - 1


def _decay(t: NoiseTrace, cut: Steps, c2: float) -> Array:
    """(k+1,) factor that the exact mean takes from the start of the run to each call."""
    levels = -np.log(np.append(t.drift.sigmas[0], t.drift.nodes))
    edges = -np.log(cut.levels)
    total = np.concatenate([[0.0], np.cumsum(cut.strength)])
    forward = np.concatenate([[True], np.diff(edges) > 0])
    strength = np.interp(levels, edges[forward], total[forward])
    change = np.diff(log_variance(c2, np.exp(-levels)))
    length = np.diff(levels)
    slope = np.divide(change, length, out=np.zeros_like(change), where=length != 0)
    out: Array = np.exp(0.5 * np.cumsum(change + np.diff(strength) * slope))
    return out
