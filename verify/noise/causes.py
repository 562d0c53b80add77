"""What holds a stochastic sampler down: which row's noise has the wrong variance, or a missing share.

The noise of a step is that of an Ornstein-Uhlenbeck bridge: a row that ends at level s after a
length h of lambda carries the variance s^2 (1 - e^(-2 tau^2 h)), and two rows of one step share what
the path did up to the earlier one. tau^2 is taken from the step's own drift, whose decay is 1 + tau^2
per lambda. Ratios are read on two refinements and extrapolated, and a cause is named only when the
noise of theory in its place would give a better covariance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..order.causes import Cause
from ..probe.noise_trace import NoiseTrace
from .moments import Steps, steps
from .weak import Order, weak

Array = NDArray[np.float64]

OFF = 2e-3
# of one step alone, which a limit of two refinements knows less well
PLAIN = 0.02
FIRST, LAST = 0, -1


@dataclass(frozen=True)
class StepNoise:
    """Noise of one step against the noise that its drift needs.

    Args:
        variance: found / needed at the end of the step.
        shares: for each stage with a draw, (variance, covariance with the end), found / needed.
    """

    variance: float
    shares: tuple[tuple[float, float], ...]


def noise_causes(made: Sequence[NoiseTrace], found: Order) -> list[Cause]:
    """Why the covariance is of no higher order, as far as the noise is to blame."""
    order = found.order
    if order is None or order >= 2:
        return []
    cuts = [steps(t) for t in made]
    ideal = weak([replaced_noise(t, c) for t, c in zip(made, cuts, strict=True)]).covariance
    if ideal.order is not None and ideal.order <= order:
        return []
    middle = [made_step(t, c, (len(c.rows) - 1) // 2) for t, c in zip(made, cuts, strict=True)]
    out = _repeated(middle, order)
    if out:
        return out
    for step, name in ((LAST, "last"), (FIRST, "first")):
        single = [
            made_step(t, c, step % (len(c.rows) - 1)) for t, c in zip(made, cuts, strict=True)
        ]
        ratio = limit([s.variance for s in single])
        if abs(ratio - 1) > OFF:
            text = _variance_text(f"the {name} step", ratio)
            out.append(Cause(name, "variance", None, _factor(ratio), order, text))
    return out


def lone_variances(made: Sequence[NoiseTrace]) -> tuple[str, ...]:
    """First or last steps whose noise has a wrong variance, where that of the others is right.

    Once, such an error is of the size of a step: an order of one or less stays as it is.
    """
    cuts = [steps(t) for t in made]

    def ratio(place: Callable[[int], int]) -> float:
        seen = [made_step(t, c, place(len(c.rows) - 1)) for t, c in zip(made, cuts, strict=True)]
        return limit([s.variance for s in seen[-2:]])

    if not abs(ratio(lambda n: n // 2) - 1) < OFF:
        return ()
    ends = (("first", ratio(lambda n: 0)), ("last", ratio(lambda n: n - 1)))
    return tuple(
        f"{_variance_text(f'the {name} step', found)} (a single step)"
        for name, found in ends
        if np.isfinite(found) and abs(found - 1) > PLAIN
    )


def _repeated(middle: Sequence[StepNoise], order: float) -> list[Cause]:
    out = []
    ratio = limit([s.variance for s in middle])
    if abs(ratio - 1) > OFF:
        text = _variance_text("every step", ratio)
        out.append(Cause("every", "variance", None, _factor(ratio), order, text))
    for k in range(min(len(s.shares) for s in middle)):
        variance = limit([s.shares[k][0] for s in middle])
        share = limit([s.shares[k][1] for s in middle])
        if abs(variance - 1) > OFF:
            text = _variance_text(f"stage {k + 1} of every step", variance)
            out.append(Cause("every", "variance", None, _factor(variance), order, text))
        if abs(share - 1) > OFF:
            text = (
                f"the draw of stage {k + 1} is not part of the step's noise"
                if abs(share) < OFF
                else f"stage {k + 1} and the step share {share:.4g} of the noise that one path gives"
            )
            out.append(Cause("every", "share", None, None, order, text))
    return out


def _variance_text(where: str, ratio: float) -> str:
    if abs(ratio) < OFF:
        return f"{where} adds no noise, where its drift needs some"
    if _factor(ratio) is None:  # what is needed vanishes faster than what is there
        return f"{where} adds noise, where its drift needs none"
    return (
        f"the noise variance of {where} is {ratio:.4g} of what its drift needs; its weight must be "
        f"multiplied by {_factor(ratio):.5g}"
    )


def _factor(ratio: float) -> float | None:
    return float(1 / np.sqrt(ratio)) if OFF < ratio < np.inf else None


def limit(values: Sequence[float]) -> float:
    """Value at h = 0 from refinements that double N."""
    return float(2 * values[-1] - values[-2])


def made_step(t: NoiseTrace, cut: Steps, step: int) -> StepNoise:
    """Noise of one step, row by row, against the bridge that its own decay calls for."""
    low, high = int(cut.rows[step]), int(cut.rows[step + 1])
    new = cut.columns[step + 1]
    given = t.independent[:, new]
    end = given[high]
    tau2 = strength_of_decay(t, low, high)
    nodes = t.drift.nodes
    needed = _variance(nodes[high], np.log(nodes[low] / nodes[high]), tau2)
    if needed <= 0:
        return StepNoise(1.0 if not end.any() else np.inf, ())
    shares = []
    for row in range(low + 1, high):
        if not np.abs(given[row]).max(initial=0.0) > 1e-14 or nodes[row] >= nodes[low]:
            continue
        size = _variance(nodes[row], np.log(nodes[low] / nodes[row]), tau2)
        carry = (nodes[high] / nodes[row]) ** (1 + tau2)
        shares.append(
            (float(given[row] @ given[row]) / size, float(given[row] @ end) / size / carry)
        )
    return StepNoise(float(end @ end) / needed, tuple(shares))


def strength_of_decay(t: NoiseTrace, low: int, high: int) -> float:
    """tau^2 of a step from its drift: the weight of the state decays as 1 + tau^2 per lambda."""
    ratio = t.drift.start[high] / t.drift.start[low]
    length = np.log(t.drift.nodes[low] / t.drift.nodes[high])
    if not ratio > 0 or length <= 0:
        return 0.0
    return max(float(-np.log(ratio) / length - 1.0), 0.0)


def _variance(level: float, length: float, tau2: float) -> float:
    return float(level**2 * -np.expm1(-2 * tau2 * length))


def replaced_noise(t: NoiseTrace, cut: Steps) -> NoiseTrace:
    """The same drift with the noise of theory in place of the sampler's own."""
    nodes, start = t.drift.nodes, t.drift.start
    columns: list[Array] = []
    for step in range(len(cut.rows) - 1):
        low, high = int(cut.rows[step]), int(cut.rows[step + 1])
        tau2 = strength_of_decay(t, low, high)
        inside = [r for r in range(low + 1, high + 1) if nodes[r] <= nodes[low]]
        levels = np.unique([nodes[low], nodes[high], *(nodes[r] for r in inside)])[::-1]
        for upper, lower in itertools.pairwise(levels):
            size = np.sqrt(_variance(lower, np.log(upper / lower), tau2))
            column = np.zeros(len(nodes))
            for row in inside:
                if nodes[row] <= lower:
                    column[row] = size * (nodes[row] / lower) ** (1 + tau2)
            if start[high]:  # a step that keeps nothing of its state carries no noise on
                column[high + 1 :] = column[high] * start[high + 1 :] / start[high]
            columns.append(column)
    table = np.stack(columns, axis=1)
    return replace(t, weights=table, mix=np.eye(table.shape[1]), draws=())
