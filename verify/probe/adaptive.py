"""The embedded pair and the controller of a sampler with a tolerance, read from its steps alone.

The model answers a f(x / a, λ): a run from a x is then a times the run for a = 1, and so is the
difference of the two rules that the sampler takes for its local error. With an absolute tolerance the
amplitude a at which one step over an interval of length h is refused says how large this difference is:
it falls like h^(q + 1), q the order of the lower rule. How the next step answers to the amplitude of
the last one is the power of the controller; -1 / (q + 1) leaves the error of a step at the tolerance
(Hairer, Norsett, Wanner I, II.4).
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ANYTHING
from ..hosts.adaptive import Adaptive, double
from .trace import Run, level_told

LENGTHS = (0.048, 0.034, 0.024, 0.017, 0.012)
AT = 0.3  # λ at which intervals begin
LOW, HIGH = 1e-8, 1e24
PRECISION = 1e-4
CLEAR = 0.15
TOLERANCE = 1e-2
SPAN = 1.5
MOVED = 0.02
NEAR = 50.0
MOST = 200


@dataclass(frozen=True)
class Pair:
    """What was read.

    Args:
        order: of the lower rule of the pair, or None.
        slope: power of the step in the error that it takes for its own, less one.
        power: of that error in the next step, or None: the controller's.
        reason: why something was not read, or "".
    """

    order: int | None
    slope: float | None = None
    power: float | None = None
    reason: str = ""

    @property
    def balanced(self) -> bool:
        """Whether the controller's power is that of the pair."""
        if self.order is None or self.power is None:
            return True
        return abs(self.power * (self.order + 1) + 1) < CLEAR

    def sentence(self) -> str:
        """For reports."""
        if self.order is None:
            return f"adaptive steps: the order of the embedded pair was not read: {self.reason}"
        said = f"adaptive steps: the error is estimated by a rule of order {self.order}"
        if self.power is None:
            return said
        fits = (
            "as it must be"
            if self.balanced
            else f"where an estimate of this order needs {-1 / (self.order + 1):.3g}"
        )
        return f"{said}; steps follow it with the power {self.power:.3g}, {fits}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def embedded(sampler: Adaptive | Run) -> Pair:
    """Order of the embedded pair of a sampler, and the power of its controller.

    Args:
        sampler: with tolerances, or a run that divides some intervals of the caller's grid.
    """
    run: Run
    if isinstance(sampler, Adaptive):
        relative, absolute = sampler.tolerances
        run = sampler.whole(**{relative: 0.0, absolute: TOLERANCE})
    else:
        run = sampler
    try:
        return _read(run)
    except ANYTHING as error:
        return Pair(None, reason=f"{type(error).__name__}: {error}")


def _read(run: Run) -> Pair:
    limits = [_refused(run, h) for h in LENGTHS]
    if any(a is None for a in limits):
        return Pair(None, reason="no model output is large enough for a step to be refused")
    logs = np.log(np.asarray(limits, dtype=float))
    slopes = -np.diff(logs) / np.diff(np.log(LENGTHS))
    # what is left of the next power falls with the step
    slope = float(2 * slopes[-1] - slopes[-3]) - 1
    if abs(slope - round(slope)) > CLEAR:
        return Pair(None, slope, reason=f"its power is {slope:.2f}, no whole number")
    power = _power(run)
    reason = "" if power is not None else "no step in the middle of a run answers to the last one"
    return Pair(round(slope), slope, power, reason)


class _EnoughError(Exception):
    """As many calls as are of use."""


def _levels(run: Run, amplitude: float, length: float, most: int = MOST) -> list[float]:
    """λ at which the model is called, from AT over an interval; the first `most` of them."""
    seen: list[float] = []

    def model(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        lam = -math.log(level_told(sigma))
        seen.append(lam)
        if len(seen) >= most:
            raise _EnoughError
        return amplitude * torch.sin(1.3 * x / amplitude + 2 * lam)

    x = amplitude * torch.tensor([0.4, -0.7, 1.1, 0.2], dtype=torch.float64).reshape(1, 4, 1, 1)
    ends = torch.tensor([-AT, -AT - length], dtype=torch.float64).exp()
    with double(), contextlib.suppress(_EnoughError):
        run(model, x, ends)
    return seen


def _refused(run: Run, length: float) -> float | None:
    """The amplitude from which on one step over an interval is refused; None where none is."""
    one = len(_levels(run, LOW, length))
    low, high = math.log(LOW), math.log(HIGH)
    if len(_levels(run, HIGH, length, one + 1)) <= one:
        return None
    while high - low > PRECISION:
        middle = (low + high) / 2
        if len(_levels(run, math.exp(middle), length, one + 1)) > one:
            high = middle
        else:
            low = middle
    return math.exp((low + high) / 2)


def _power(run: Run) -> float | None:
    """d log(second step) / d log(error of the first), where the second is as long as the first.

    Both are taken then, whatever is refused, and limiters of the controller have the slope one.
    """
    calm = _levels(run, LOW, SPAN)
    steps = len(_levels(run, LOW, LENGTHS[-1]))
    if len(calm) <= steps:
        return None
    length = calm[steps] - calm[0]
    refused = _refused(run, length)
    if refused is None:
        return None

    def second(log: float) -> float | None:
        """Length of the second step; None where the run ends before."""
        seen = _levels(run, math.exp(log), SPAN, 2 * steps + 1)
        return seen[2 * steps] - seen[steps] if len(seen) > 2 * steps else None

    low, high = math.log(refused / NEAR), math.log(refused)
    while high - low > PRECISION:
        middle = (low + high) / 2
        found = second(middle)
        # none in the rest of the run, or refused: too long
        if found is None or found <= 0 or found > length:
            low = middle
        else:
            high = middle
    pair = second(low - MOVED), second(low + MOVED)
    if pair[0] is None or pair[1] is None or min(pair[0], pair[1]) <= 0:
        return None
    return math.log(pair[1] / pair[0]) / (2 * MOVED)
