"""The first output that a file states it takes without a model call, read from its run."""

from __future__ import annotations

import math

import numpy as np

from ..probe.trace import Run, trace
from ..problems import grids

CLOSE = 1e-9
STEPS = 6


def wrong_first_output(run: Run, form: str) -> str:
    """What the first output is if not the one stated, in words; "" where it is.

    With all outputs zero the state of the first call is r x + (1 - r) D0, r the ratio of the levels,
    whatever the rule, as long as a constant D is integrated exactly: that shows D0 as a multiple of x.

    Args:
        run: the sampler, with the data's mean 0 and deviation 1.
        form: direction, mean or gaussian.
    """
    sigmas = grids.uniform(STEPS)
    found = trace(run, sigmas)
    if not found.unasked:
        return "the file states that its first output needs no call, and calls the model at the first level"
    ratio, top = found.nodes[1] / sigmas[0], float(sigmas[0])
    seen = (found.start[1] - ratio) / (1 - ratio)
    share = {
        "direction": 1 - top / math.hypot(1.0, top),
        "mean": 0.0,
        "gaussian": 1 / (1 + top * top),
    }
    if form not in share:
        return f"the file states a first output `{form}`, which is none of {', '.join(share)}"
    if np.abs(seen - share[form]) <= CLOSE:
        return ""
    return (
        f"at the level {top:.4g} the first output is {seen:.7g} x; the one stated, {form}, is "
        f"{share[form]:.7g} x"
    )
