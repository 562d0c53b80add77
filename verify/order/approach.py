"""How a sampler is traced: one-hot as it is, at small amplitudes, with its scalars frozen, unsnapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConductError
from ..probe.repeatability import conduct
from ..probe.snapping import FURTHEST, distance, meant, stretched, trace_meant
from ..probe.trace import Denoiser, Run, Trace, trace
from ..probe.watch import trace_values

Array = NDArray[np.float64]
Tracer = Callable[..., Trace]

BENT = 1e-4
# what half precision leaves, and single precision does not
COARSE = 1e-5
STRAIGHT = 1e-9
AMPLITUDES = (1e-2, 1e-4)
BISECTIONS = 7
# rounding is the same share at every amplitude
ROUNDING = 5.0


@dataclass(frozen=True)
class Approach:
    """A run and how to trace it.

    Args:
        run: the sampler, or the sampler at a small amplitude.
        tracer: trace(), or another one with its arguments.
        first: the trace on the grid that was asked for.
        notes: what a reader must know about it.
        amplitude: factor of start values and outputs.
        frozen: whether scalars derived from the model's answers are frozen.
        snapped: largest relative distance of the levels told from those meant.
        refused: why nothing can be read, or "".
    """

    run: Run
    tracer: Tracer
    first: Trace
    notes: tuple[str, ...] = ()
    amplitude: float = 1.0
    frozen: bool = False
    snapped: float = 0.0
    refused: str = ""


def approach(run: Run, sigmas: Array) -> Approach:
    """The first way in which the weights of a sampler can be read.

    Raises:
        ConductError: "state", "random", and what tracing raises.
    """
    try:
        first, _ = conduct(run, sigmas)
    except ConductError as error:
        if error.kind != "calls" or "never" in str(error):
            raise
        if len({trace_values(run, sigmas).calls for _ in range(3)}) > 1:
            raise
        return _bent(run, sigmas) or frozen(run, sigmas)
    if max(first.bend, first.offset) > BENT:
        return _bent(run, sigmas) or frozen(run, sigmas)
    unsnapped = meant(first)
    if unsnapped is not None:
        size = distance(first, unsnapped)
        note = (
            f"the model is called at snapped levels, up to {size:.2g} (relative) from those meant: "
            f"the order is that of the levels meant, and holds until errors of about {size:.1g}"
        )
        return Approach(run, trace_meant, unsnapped, (note,), snapped=size)
    factor = stretched(first)
    if factor is not None:
        raise ConductError(
            "grid",
            f"the model is told {factor:.4g} times the level of the state that it is given, in every step: a "
            "wrong level, not a snapped one; order conditions do not apply",
        )
    hit = first.on_grid()[1:-1].any(axis=1).mean()
    levels = np.log(first.nodes[:-1])
    gap = np.abs(levels[None, :] - np.log(sigmas)[:-1, None]).min(axis=1).max()
    if hit < 0.5 and _keeps_levels(run, sigmas):
        raise ConductError(
            "state",
            "the model is called at the levels of an earlier run of equal length, on another grid: the sampler "
            "keeps its levels between runs",
        )
    if hit < 0.5 and gap < FURTHEST:
        raise ConductError(
            "grid",
            f"the sampler snaps its grid: the model is called at levels up to {gap:.2g} (relative) from the grid's, "
            "and so are its states; order conditions cannot be read on grids that shrink",
        )
    return Approach(run, trace, first)


def _keeps_levels(run: Run, sigmas: Array) -> bool:
    """Whether two grids of one length, that no run has had before, get the levels of the first."""
    one = np.geomspace(sigmas[0], max(sigmas[-1], 1e-3 * sigmas[0]), len(sigmas) + 7)
    try:
        told = [trace_values(run, grid).nodes[:-1] for grid in (one, one**1.2)]
    except ConductError:
        return False
    own = np.isclose(told[0][:, None], one, rtol=1e-6).any(axis=1).mean() > 0.5
    same = len(told[0]) == len(told[1]) and np.allclose(told[0], told[1], rtol=1e-9)
    return bool(own and same)


def scaled(run: Run, amplitude: float, peaks: list[float] | None = None) -> Run:
    """The run with start value and outputs made smaller, and its result as much larger.

    Args:
        peaks: takes the largest output of each call.
    """

    def smaller(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        def model(state: Tensor, sigma: Tensor, **named: object) -> Tensor:
            out = amplitude * denoiser(state / amplitude, sigma, **named)
            if peaks is not None:
                peaks.append(float(out.abs().max()))
            return out

        return run(model, amplitude * x, sigmas) / amplitude

    return smaller


def _bent(run: Run, sigmas: Array) -> Approach | None:
    """The sampler at an amplitude at which it is linear, and the amplitude up to which it is."""
    for amplitude in AMPLITUDES:
        try:
            made = trace(scaled(run, amplitude), sigmas)
        except ConductError:
            continue
        if max(made.bend, made.offset) < STRAIGHT:
            low, high = amplitude, 1.0
            for _ in range(BISECTIONS):
                middle = float(np.sqrt(low * high))
                low, high = (middle, high) if _straight(run, sigmas, middle) else (low, middle)
            peaks: list[float] = []
            trace(scaled(run, low, peaks), sigmas)
            note = (
                "not linear: thresholding, a clamp or adaptive steps bite from outputs of about "
                f"{max(peaks):.2g} on; the order is that of the rule below"
            )
            # well below where it bites: steps of other grids reach other values
            return Approach(scaled(run, amplitude), trace, made, (note,), amplitude)
    return None


def _straight(run: Run, sigmas: Array, amplitude: float) -> bool:
    try:
        made = trace(scaled(run, amplitude), sigmas)
    except ConductError:
        return False
    return max(made.bend, made.offset) < STRAIGHT


def looks_at_outputs(run: Run, sigmas: Array, first: Trace) -> bool:
    """Whether other answers than one-hot ones get other weights from a sampler that looks linear."""
    try:
        other = trace_values(run, sigmas)
    except ConductError:
        return False
    if other.weights.shape != first.weights.shape:
        return True
    # the digits that large weights lose are none of their outputs'
    size = np.maximum(1.0, np.abs(first.weights).max())
    return float(np.abs(other.weights - first.weights).max() / size) > max(1e-8, 300 * first.bend)


def frozen(run: Run, sigmas: Array) -> Approach:
    """The sampler with the scalars that it derives from its model frozen, sample by sample."""
    torch.default_generator.manual_seed(0)
    first, other = (trace_values(run, sigmas, seed=s) for s in (0, 1))
    bend = max(first.bend, first.offset)
    small = trace_values(scaled(run, AMPLITUDES[0]), sigmas) if bend > COARSE else first
    rounded = bend > COARSE and bend / ROUNDING < small.bend < ROUNDING * bend
    if bend > BENT or rounded:
        return Approach(
            run,
            trace_values,
            first,
            refused=(
                f"weights carry rounding of {bend:.0e} at every amplitude: something inside is half "
                "precision; order conditions do not apply, measured rates do"
                if rounded
                else "states are not linear in the start value and the model outputs "
                f"(thresholding, adaptive steps, a norm): deviation {bend:.1e}; order conditions "
                "do not apply, measured rates do"
            ),
        )
    same = first.weights.shape == other.weights.shape
    gap = float(np.abs(first.weights - other.weights).max()) if same else float("inf")
    size = f"weights differ by {gap:.1e}" if np.isfinite(gap) else "the number of calls differs"
    note = (
        f"not linear: {size} between two runs with other model outputs (steps or scalars that "
        "depend on what the model answers); the order is that with these frozen"
    )
    if gap < STRAIGHT:
        note = "one-hot model outputs get other steps than others do; judged on the others"
    return Approach(run, trace_values, first, (note,), frozen=True)
