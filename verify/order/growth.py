"""Rules whose weights grow so fast that rounding hides the rest of them: the largest root, measured.

Where a root of a rule is larger than 1, what a step leaves behind is multiplied in every later one.
The largest root shows in that growth itself, however little is left of the digits of the weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..probe.past_states import PERIOD
from ..probe.trace import Run, Trace
from ..problems import grids
from .approach import Tracer
from .local_error import STEPS

Array = NDArray[np.float64]

# weights in units of a step; beyond it their rounding passes for single precision
LARGE = 1e5
# rates of growth of two halves that still are one root's, in the logarithm; growth of a step that no
# convergent rule has, steady or not
STEADY, FAST = 0.25, 1.3
SMALL = 2e-3


def outgrown(run: Run, tracer: Tracer, first: Trace, where: float) -> dict[str, float]:
    """Class of grids -> modulus of the largest root a step; {} where weights do not grow like that.

    Args:
        first: a trace of STEPS steps on a grid that shrinks.
    """
    if _rate(first) is None:
        return {}
    out = {}
    for kind in ("uniform", "smooth", "arbitrary"):
        # what depends on the size of a step is a power series in it: two sizes leave its square
        rates = []
        for h in (SMALL, SMALL / 2):
            rate = _rate(tracer(run, grids.local(kind, STEPS, h, where)), 0.0)
            if rate is None:
                return {}
            rates.append(rate)
        out[kind] = float(np.exp(2 * rates[1] - rates[0]))
    return out


def _rate(made: Trace, least: float = LARGE) -> float | None:
    """Logarithm of the growth a step over the last two periods; None where it is neither steady nor fast."""
    rows = made.accepted()
    if min(rows[-2 * PERIOD - 1 :]) < 0 or len(rows) < 3 * PERIOD:
        return None
    step = float(np.abs(np.diff(made.sigmas)).mean() / made.sigmas.mean())
    sizes = np.abs(made.weights).max(axis=1) / step
    old, middle, last = (float(sizes[rows[-1 - k * PERIOD]]) for k in (2, 1, 0))
    if not last > least or not 0 < old < middle < last:
        return None
    early, late = np.log(middle / old), np.log(last / middle)
    if abs(early / late - 1) <= STEADY:
        return float(early + late) / (2 * PERIOD)
    return float(late) / PERIOD if min(early, late) > PERIOD * np.log(FAST) else None
