"""Steps that do not become the identity as they shrink: what law they lead to.

Langevin steps of a fixed rate, and samplers that noise anew, keep a share of the state and add a
share of noise however close two levels are. They solve no reverse SDE, so that mean and strong error
have no order. But on a Gaussian target such a step is an affine map, V -> a^2 V + q, and with more
and more levels the law of the state is its fixed point q / (1 - a^2): exact, from one traced step. If
that is not the marginal, the covariance is of order zero, and the difference is what remains.

A Langevin step at a fixed level, x + r (D - x) + noise of variance 2 r sigma^2, leaves the Gaussian of
its level in place up to a relative r s / (2 - r s), s = sigma^2 / (c2 + sigma^2): of order one in its
rate r.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..probe.noise_trace import NoiseTrace, trace_noise
from ..probe.trace import Run
from ..problems import grids
from .moments import VARIANCES, States, states, steps

Array = NDArray[np.float64]

STEPS = 8
CLOSE = 1e-7
WHERE = 0.35
LASTING = 1e-4
OFF = 1e-5
SLOW = 1e-5
ALONE = 1e-9


@dataclass(frozen=True)
class Langevin:
    """A step at a fixed level.

    Args:
        rate: share of the state that the model output replaces.
        noise: its variance over 2 rate sigma^2, the variance that Langevin dynamics has.
    """

    rate: float
    noise: float


@dataclass(frozen=True)
class Law:
    """The law that steps of vanishing length lead to.

    Args:
        variances: of the targets.
        level: noise level at which it was read.
        kept: share a of the deviation of the state from the target's mean that a step keeps.
        bias: relative error of the variance of the fixed point, for each target.
        langevin: the Langevin steps of one level, in order.
    """

    variances: tuple[float, ...]
    level: float
    kept: tuple[float, ...]
    bias: tuple[float, ...]
    langevin: tuple[Langevin, ...]

    @property
    def settles(self) -> bool:
        """Whether the law has a fixed point, on every target."""
        return all(abs(a) < 1 - LASTING for a in self.kept)

    @property
    def wrong(self) -> bool:
        """Whether the fixed point is not the marginal on some target."""
        return max(abs(b) for b in self.bias) > OFF

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def sentences(self) -> tuple[str, ...]:
        """What the steps do, in words; nothing where they become the identity."""
        if not self.settles:
            return ()
        kept = [f"{100 * abs(a):.3g}" for a in (min(self.kept), max(self.kept))]
        span = kept[0] if kept[0] == kept[1] else f"{kept[0]} to {kept[1]}"
        first = (
            f"however short, a step keeps {span} % of the state: no reverse SDE is solved, and mean "
            "and strong error have no order"
        )
        out = [first]
        if self.wrong:
            off = ", ".join(f"{100 * b:+.3g} %" for b in self.bias)
            targets = ", ".join(f"{v:g}" for v in self.variances)
            out.append(
                "with ever more levels the law is a Gaussian, its variance off by "
                f"{off} at sigma {self.level:.3g} on targets of variance {targets}"
            )
        else:
            out.append("with ever more levels the law is the marginal")
        return (*out, *self._langevin_said())

    def _langevin_said(self) -> tuple[str, ...]:
        if not self.langevin:
            return ()
        count, ratios = len(self.langevin), [s.noise for s in self.langevin]
        rates = "/".join(sorted({f"{s.rate:.4g}" for s in self.langevin}))
        line = f"{count} Langevin step{'s' if count > 1 else ''} a level, rate {rates}: "
        if max(abs(r - 1) for r in ratios) < OFF:
            return (line + "the level's Gaussian is kept to order 1 in the rate",)
        return (line + f"noise is {min(ratios):.4g} of the variance of Langevin dynamics",)


def limit_law(run: Run) -> Law | None:
    """The law of steps of vanishing length.

    None when a step needs more than the state before, or depends on the number of steps.
    """
    one, two = (_law(run, n) for n in (STEPS, 2 * STEPS))
    if one is None or two is None or not np.allclose(one.kept, two.kept, rtol=0, atol=OFF):
        return None
    return one


def _law(run: Run, n: int) -> Law | None:
    t = trace_noise(run, grids.local("uniform", n, CLOSE, WHERE))
    cut = steps(t)
    if len(cut.rows) != n + 1:
        return None
    low, high = int(cut.rows[n // 2]), int(cut.rows[n // 2 + 1])
    kept, bias = [], []
    for c2 in VARIANCES:
        found = _step(t, states(t, c2), low, high)
        if found is None:
            return None
        a, q = found
        kept.append(a)
        fixed = q / (1 - a**2) if abs(a) < 1 - LASTING else np.nan
        bias.append(float(fixed / (c2 + t.drift.nodes[high] ** 2) - 1))
    level = float(t.drift.nodes[high])
    return Law(VARIANCES, level, tuple(kept), tuple(bias), _langevin(t, low, high))


def _step(t: NoiseTrace, solved: States, low: int, high: int) -> tuple[float, float] | None:
    """Share of the state at row `low` that row `high` keeps, and the variance that is added."""
    noise = solved.noise
    old = np.abs(t.independent[: low + 1]).max(axis=0) > 1e-14
    one = np.concatenate([[solved.start[low], solved.target[low]], noise[low, old]])
    two = np.concatenate([[solved.start[high], solved.target[high]], noise[high, old]])
    # mu enters with what makes the weights sum to one
    one[1], two[1] = one[:2].sum() - 1, two[:2].sum() - 1
    share = float(one @ two / (one @ one)) if one.any() else 0.0
    if np.abs(two - share * one).max() > ALONE:
        return None
    return share, float((noise[high, ~old] ** 2).sum())


def _langevin(t: NoiseTrace, low: int, high: int) -> tuple[Langevin, ...]:
    made = t.drift
    out = []
    for one, two in pairwise(range(low, high + 1)):
        if made.start[one] == 0:
            return ()
        kept = made.start[two] / made.start[one]
        outputs = made.weights[two] - kept * made.weights[one]
        added = t.independent[two] - kept * t.independent[one]
        rate = float(1 - kept)
        if rate < SLOW:
            continue
        if abs(outputs[one] - rate) > OFF or np.abs(np.delete(outputs, one)).max() > OFF:
            return ()
        if not 0 < rate < 1 - OFF:
            return ()
        variance = float((added**2).sum()) / (2 * rate * made.nodes[one] ** 2)
        out.append(Langevin(rate, variance))
    return tuple(out)
