"""Whether a sampler is a function of its grid: the same run again, and against another sampler."""

from __future__ import annotations

import random

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ConductError
from .trace import Run, Trace, count_calls, opened, recorded, trace

Array = NDArray[np.float64]
# the first twice: a number of calls that differs there too is not one of the seed
SEEDS = (0, 0, 1, 2, 3)


def conduct(run: Run, sigmas: Array) -> tuple[Trace, int]:
    """Trace a run three times and compare: state kept between runs, randomness, call counts.

    Raises:
        ConductError: "state", "random", and what trace() raises.
    """
    # the kept-state test needs equal seeds; the randomness test needs another one
    try:
        first, second, third = (_seeded(run, sigmas, seed) for seed in (0, 0, 1))
    except ConductError as error:
        drawn = _drawn_calls(run, sigmas) if error.kind == "calls" else ""
        if drawn:
            raise ConductError("random", drawn) from error
        raise
    if first.calls != second.calls or _gap(first, second) > 1e-12:
        again = [_seeded(run, sigmas, 0, everywhere=True) for _ in range(2)]
        if _gap(*again) < 1e-12:
            raise ConductError(
                "random",
                "two runs differ unless the seeds of `numpy.random` and `random` are set too: the "
                "sampler draws random numbers from there; only torch's draws are judged as noise",
            )
        raise ConductError(
            "state",
            "two runs with the same seed and grid differ: the sampler keeps state between runs, "
            "or draws from a generator that it never seeds",
        )
    if first.calls != third.calls and (drawn := _drawn_calls(run, sigmas)):
        raise ConductError("random", drawn)
    if _gap(first, third) > 1e-12:
        raise ConductError(
            "random",
            "two runs with different seeds differ: the sampler draws noise; switch it off "
            "(eta = 0, tau = 0) to audit its drift",
        )
    return opened(first), first.calls


def _drawn_calls(run: Run, sigmas: Array) -> str:
    """That the number of model calls is drawn at random, in words; "" where it is not."""
    made = []
    for seed in SEEDS:
        _seed(seed, everywhere=True)
        made.append(count_calls(run, sigmas))
    if made[0] != made[1] or len(set(made)) == 1:
        return ""
    return (
        f"{min(made)} to {max(made)} model calls in runs on one grid, by the seed: which steps call the model more "
        "often (Heun's among Euler's, a corrector's) is drawn at random, so that each run is another rule; its "
        "order is that of the steps with the fewest calls, at most"
    )


def _seed(seed: int, *, everywhere: bool) -> None:
    torch.manual_seed(seed)
    if everywhere:
        random.seed(seed)
        np.random.seed(seed)


def _seeded(run: Run, sigmas: Array, seed: int, *, everywhere: bool = False) -> Trace:
    """A trace with torch's generator seeded, or with numpy's and Python's as well."""
    _seed(seed, everywhere=everywhere)
    calls = count_calls(run, sigmas)
    _seed(seed, everywhere=everywhere)
    return recorded(run, sigmas, calls=calls)


def _gap(one: Trace, other: Trace) -> float:
    if one.weights.shape != other.weights.shape:
        return np.inf
    gap = np.abs(one.weights - other.weights).max() + np.abs(one.start - other.start).max()
    return float(gap / (np.abs(one.weights).max() + 1.0))


def agreement(run: Run, other: Run, sigmas: Array) -> float:
    """Largest relative difference between the weights of two samplers on one grid.

    Rounding (below about 1e-13) proves that they are the same method there: an emitted file and
    its derivation, or two libraries' versions of one solver.
    """
    one, two = trace(run, sigmas), trace(other, sigmas)
    if one.calls != two.calls or not np.allclose(one.nodes, two.nodes, rtol=1e-12):
        return float("inf")
    return _gap(one, two)
