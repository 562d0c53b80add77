"""Checks of whole runs that choose their own steps, at the tolerances that they are called with.

The model is a mixture's: steps that follow an error need outputs that are smooth.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ANYTHING
from ..hosts.adaptive import Adaptive
from ..problems import grids
from ..rates.measure import Problem, error, problem
from .bench import REFUSALS
from .checks import BREACH, REMARK, SAID, Conduct, Finding, conduct

Array = NDArray[np.float64]

SPANS = ((14.6, 0.03), (80.0, 0.002), (1.0, 0.9), (14.6, 0.0))
TOLERANCES = (1e-2, 1e-3, 1e-4)
# errors that fall by less than this power of the tolerance are not governed by it
FALLS = 0.4
MOST_CALLS = 5000
SAME = 1e-8


class _Runs:
    """Runs of one sampler on one mixture."""

    def __init__(self, sampler: Adaptive) -> None:
        self.sampler, self.task, self.runs = sampler, problem("oracle"), 0

    def start(self, high: float) -> Tensor:
        """One state of four values for each sample."""
        drawn = torch.Generator().manual_seed(0)
        return high * torch.randn(3, 4, 1, 1, generator=drawn, dtype=torch.float64)

    def end(self, x: Tensor, high: float, low: float) -> Tensor:
        """The result of one run; each value of a state is a sample of the mixture."""
        self.runs += 1
        known, calls = self.task.mixture.model(), 0

        def model(state: Tensor, sigma: Tensor, **named: object) -> Tensor:
            nonlocal calls
            calls += 1
            if calls > MOST_CALLS:
                raise RuntimeError(f"more than {MOST_CALLS} model calls")
            level = torch.as_tensor(sigma, dtype=state.dtype).reshape(-1)[0].expand(state.numel())
            flat = state.reshape(-1, 1, 1, 1)
            out: Tensor = known(flat, level.to(state.dtype)).reshape(state.shape)
            return out

        ends = torch.tensor([high, low], dtype=torch.float64)
        return self.sampler.whole()(model, x, ends)


def _words(high: float, low: float) -> str:
    return f"sigma {high:.3g} to {low:.2g}, float64, batch 3, its own tolerances"


def finite(runs: _Runs) -> Iterator[Finding]:
    """Results between usual levels are finite; what is refused is said."""
    for high, low in SPANS:
        try:
            out = runs.end(runs.start(high), high, low)
        except ANYTHING as raised:
            crash = not isinstance(raised, REFUSALS)
            text = f"{'crashes' if crash else 'refuses'}: {type(raised).__name__}: {raised}"
            gravity = BREACH if crash and low > 0 else SAID if crash else REMARK
            yield Finding("finite", text[:200], _words(high, low), gravity)
            continue
        if not torch.isfinite(out).all():
            gravity = BREACH if low > 0 else SAID
            yield Finding("finite", "the result is NaN or infinite", _words(high, low), gravity)


def state(runs: _Runs) -> Iterator[Finding]:
    """Two runs from one start are equal, and leave it as it was."""
    high, low = SPANS[0]
    x = runs.start(high)
    one, two = (runs.end(x, high, low) for _ in range(2))
    if not torch.equal(x, runs.start(high)):
        yield Finding("inputs", "the caller's x is changed", _words(high, low))
    elif float((one - two).abs().max()) > SAME:
        yield Finding("state", "two equal runs differ", _words(high, low))


def samples(runs: _Runs) -> Iterator[Finding]:
    """One sequence of steps serves a whole batch by design; a reader must know, no more."""
    high, low = SPANS[0]
    x = runs.start(high)
    gap = float((runs.end(x, high, low)[:1] - runs.end(x[:1], high, low)).abs().max())
    if gap > SAME:
        text = f"steps are chosen for the whole batch: alone a sample ends {gap:.2g} elsewhere"
        yield Finding("samples", text, _words(high, low), SAID)


def tolerance(runs: _Runs) -> Iterator[Finding]:
    """Errors on a mixture at tolerances that fall."""
    task: Problem = runs.task
    relative, absolute = runs.sampler.tolerances
    ends = grids.uniform(1, task.lam)
    errors = [
        error(runs.sampler.whole(**{relative: t, absolute: t}), task, ends) for t in TOLERANCES
    ]
    runs.runs += len(errors)
    power = float(np.polyfit(np.log(TOLERANCES), np.log(errors), 1)[0])
    if power < FALLS:
        text = f"errors on a mixture fall as the power {round(power, 2) + 0.0:g} of the tolerance"
        yield Finding("tolerance", text, f"{relative} = {absolute} = {TOLERANCES}")


CHECKED = {"finite": finite, "state": state, "samples": samples, "tolerance": tolerance}


def conduct_of_adaptive(sampler: Adaptive) -> Conduct:
    """Run a sampler that chooses its steps as people run it: from end to end, at its tolerances."""
    return conduct(CHECKED, _Runs(sampler))
