"""What the steps of a run make of a constant: read off a trace as it is, in no clock and no form.

Where the state and all outputs are one constant, a step must leave it. That holds in every clock and
for rules that no order condition reads, as those whose weights follow the whole grid.
"""

from __future__ import annotations

import itertools

import numpy as np

from ..probe.trace import Trace
from .local_error import STARTED

# of what a step weighs its outputs by; between steps; of one, where steps are short
MISSED, ALIKE, SUM = 1e-4, 0.2, 5e-3


def missed_by(made: Trace, low: int, high: int) -> tuple[float, float]:
    """What a step keeps of its state, and by how much it misses the constant that both are.

    Args:
        low, high: rows of the states at the step's start and end.
    """
    start = made.start
    ones = [start[row] + made.weights[row].sum() - 1 for row in (low, high)]
    kept = float(start[high] / start[low]) if start[low] else 0.0
    return kept, float(ones[1] - kept * ones[0])


def constants_missed(made: Trace) -> str:
    """By how much every step misses a constant, in words; "" where one keeps it.

    Args:
        made: a run of short steps.
    """
    rows = made.accepted()
    if min(rows) < 0:
        return ""
    steps = [missed_by(made, *pair) for pair in itertools.pairwise(rows[STARTED[0] :])]
    kept, whole = np.asarray(steps).T
    if not np.isfinite(whole).all():
        return ""
    middle = float(np.median(whole))
    if np.abs(whole - middle).max() <= ALIKE * abs(middle) and abs(middle) > SUM:
        return (
            f"every step: the weights of its state and outputs sum to {1 + middle:.4g}, and a constant "
            "needs 1"
        )
    shares = whole / np.where(kept == 1, np.inf, 1 - kept)
    if np.abs(shares).min() < MISSED or np.ptp(np.sign(shares)):
        return ""
    least, most = 1 + float(shares.min()), 1 + float(shares.max())
    size = f"{1 + float(np.median(shares)):.4g}"
    if most - least > ALIKE * float(np.abs(shares).min()):
        size = f"{least:.4g} to {most:.4g}"
    return f"every step: the weights of its outputs sum to {size} of what keeps a constant"
