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


def constants_missed(made: Trace) -> str:
    """By how much every step misses a constant, in words; "" where it keeps it, or steps differ.

    Args:
        made: a run of short steps.
    """
    rows = made.accepted()
    if min(rows) < 0:
        return ""
    ones = made.start + made.weights.sum(axis=1) - 1
    kept, missed = [], []
    for low, high in itertools.pairwise(rows[STARTED[0] :]):
        kept.append(made.start[high] / made.start[low] if made.start[low] else 0.0)
        missed.append(ones[high] - kept[-1] * ones[low])
    whole = np.asarray(missed)
    if not np.isfinite(whole).all():
        return ""
    if _alike(whole) and abs(float(np.median(whole))) > SUM:
        sums = 1 + float(np.median(whole))
        return f"; every step: the weights of its state and outputs sum to {sums:.4g}, and a constant needs 1"
    shares = whole / np.where(np.asarray(kept) == 1, np.inf, 1 - np.asarray(kept))
    if _alike(shares) and abs(float(np.median(shares))) > MISSED:
        ratio = 1 + float(np.median(shares))
        return (
            f"; every step: the weights of its outputs sum to {ratio:.4g} of what keeps a constant"
        )
    return ""


def _alike(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    middle = float(np.median(values))
    return bool(np.abs(values - middle).max() <= ALIKE * abs(middle))
