"""What holds the mean of a stochastic sampler down: what one step does, read off its weights.

The drift of a reverse SDE of strength tau takes x - D to e^(-A h) (x - D) over a length h of lambda where D is
constant, A = 1 + tau^2, and a step must do the same as h goes to zero: keep a constant, let the state decay no
more slowly than without noise, call the model at the level that the state stands at, and weigh a D that is
linear in lambda as the drift does. That needs no strength that is the same along the run. Figures are read on
the two finest grids in a step soon after the start and extrapolated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..order.causes import Cause
from ..order.constants_kept import constants_missed, missed_by
from ..probe.family import COARSE, ERRATIC, FINE
from ..probe.noise_trace import NoiseTrace
from ..probe.trace import Trace
from .causes import OFF, limit
from .moments import Steps, steps
from .strong import risen
from .weak import Order

# a step after the start of any rule, of a run of sixteen
SOON = 7
# what a limit of two refinements leaves of a decay or a moment that is right
PLAIN = 0.02


def mean_causes(made: Sequence[NoiseTrace], mean: Order) -> list[Cause]:
    """Why the mean is of no higher order than 0 or 1, as far as one step tells; [] where it does not."""
    cuts = [steps(t) for t in made[-2:]]
    if len(made) < 2 or min(len(cut.rows) for cut in cuts) < SOON + 2:
        return []
    out = _nothing_kept(made[-1], cuts[-1], mean) or state_cause(made, mean)
    out = out or rounded(made[-1], cuts[-1], mean)
    if out or mean.order is None or mean.order > 1:
        return out
    read = [_step(t.drift, cut) for t, cut in zip(made[-2:], cuts, strict=True)]
    if len({len(row) for row in read}) > 1:
        return []
    decay, moment, *stages = (limit(pair) for pair in zip(*read, strict=True))
    needed = 1 + limit([_strength(t.drift, cut) for t, cut in zip(made[-2:], cuts, strict=True)])
    if mean.order == 0 and decay > needed + PLAIN * needed:
        text = (
            f"every step: the state decays like e^(-A lambda) with A = {decay:.4g}, and with the noise that it adds "
            f"A is {needed:.4g}; its outputs are weighed by as much"
        )
        return [Cause("every", "state", None, None, 0, text)]
    if mean.order == 0 and decay < 1 - PLAIN:
        text = (
            f"every step: the state decays like e^(-A lambda) with A = {decay:.4g}, and without noise it does with "
            "1; its outputs are weighed by as little"
        )
        return [Cause("every", "state", None, None, 0, text)]
    for k, rate in enumerate(stages):
        # between that of no noise and that of the step's
        if not 1 - PLAIN < rate < (1 + PLAIN) * max(decay, 1):
            text = (
                f"every step: call {k + 2} is told a level that its state does not stand at: by that level the state "
                f"decays like e^(-A lambda) with A = {rate:.4g}, in the whole step with {decay:.4g}"
            )
            return [Cause("every", "condition", None, None, 0, text)]
    # noise that opens a step raises its level: the moment is not of the step alone
    if abs(moment - 1) > PLAIN and not risen(made[-1], cuts[-1]):
        text = f"every step: moment 1 of its weights is {moment:.4g} of what it must be for order 2 in the mean"
        factor = float(1 / moment) if abs(moment) > PLAIN else None
        return [Cause("every", "moment", 1, factor, 1, text)]
    return []


def _nothing_kept(t: NoiseTrace, cut: Steps, mean: Order) -> list[Cause]:
    """The step after which nothing is left of the state."""
    gone = np.flatnonzero(t.drift.start[cut.rows] == 0)
    if mean.order != 0 or not len(gone) or gone[0] == 0:
        return []
    n, last = int(gone[0]) - 1, len(cut.rows) - 2
    name = "first" if n == 0 else "last" if n == last else str(n)
    return [Cause(name, "state", None, None, 0, f"step {n} keeps nothing of its state")]


def _strength(made: Trace, cut: Steps) -> float:
    """tau^2 of the noise that a step adds."""
    low, high = (int(cut.rows[SOON + k]) for k in (0, 1))
    length = float(np.log(made.nodes[low] / made.nodes[high]))
    return float(cut.added[SOON + 1]) / length if length > 0 else np.nan


def _step(made: Trace, cut: Steps) -> list[float]:
    """Decay of a step's state per lambda, its moment 1 per that of its decay, and the decays of its stages."""
    low, high = (int(cut.rows[SOON + k]) for k in (0, 1))
    level, start = np.log(made.nodes[low] / made.nodes[: high + 1]), made.start
    length = float(level[high])
    if not length > 0 or not start[low]:
        return [np.nan, np.nan]
    lost = 1 - start[low : high + 1] / start[low]
    moves = made.weights[high, :high] - (1 - lost[-1]) * made.weights[low, :high]
    moment = float(moves @ level[:high]) / (lost[-1] * length / 2) if lost[-1] else np.nan
    inner = [n for n in range(low + 1, high) if abs(level[n]) > PLAIN * length]
    stages = [float(lost[n - low] / level[n]) for n in inner]
    return [float(lost[-1]) / length, moment, *stages]


def state_cause(made: Sequence[NoiseTrace], mean: Order) -> list[Cause]:
    """That every step multiplies the state by more or less than its outputs leave room for.

    Where state and outputs are one constant, a step must leave it: what the weights of a step sum to is
    read on the finest grids, in a step soon after the start, before such errors have grown.
    """
    if mean.order != 0:
        return []
    cuts = [steps(t) for t in made[-2:]]
    found = limit([_constant_after(t, cut) for t, cut in zip(made[-2:], cuts, strict=True)])
    if not np.isfinite(found):
        return []
    if abs(found - 1) < OFF:
        missed = constants_missed(made[-1].drift)
        known = [Cause("every", "inconsistent", 0, None, 0, missed)] if missed else []
        return known or rounded(made[-1], cuts[-1], mean)
    text = f"every step: the weights of its state and outputs sum to {found:.6g}, and a constant needs 1"
    return [Cause("every", "state", None, 1 / found if found else None, 0, text)]


def rounded(t: NoiseTrace, cut: Steps, mean: Order) -> list[Cause]:
    """Weights in single precision: steps miss a constant by as little as that, each by another share.

    Equal steps are rounded alike: then what is missed is a cause where the mean has no order.
    """
    missed = np.asarray([_constant_after(t, cut, n) - 1 for n in range(SOON, len(cut.rows) - 1)])
    size = float(np.abs(missed).max(initial=0.0))
    if not FINE < size < COARSE or len(missed) < SOON:
        return []
    if float(np.abs(np.diff(missed)).max()) < ERRATIC * size:
        text = f"every step: a constant is missed by {size:.1e}, however short the step"
        return [Cause("every", "inconsistent", 0, None, 0, text)] if mean.order == 0 else []
    text = f"every step: its weights are rounded to single precision: a constant is missed by {size:.1e}"
    return [Cause("every", "rounding", None, None, 0, text)]


def _constant_after(t: NoiseTrace, cut: Steps, step: int = SOON) -> float:
    """What one step makes of a state and outputs that are all one."""
    low, high = (int(cut.rows[step + k]) for k in (0, 1))
    return 1 + missed_by(t.drift, low, high)[1]
