"""One-hot tracing of a sampler that draws noise: every weight of every draw, from one run.

The state gets one channel for each model output *and* one for each draw. What the sampler hands to
its model in call i then shows the weights of the start value, of the outputs and of the draws; a
draw that serves two rows shows as one column that both rows use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConductError
from .noise_sources import Draw, Source, mixing, replaced
from .trace import LOUD, PROBES, Denoiser, Run, Trace, level_told, record, require_room

Array = NDArray[np.float64]

BENT = 1e-6


@dataclass(frozen=True, eq=False)
class NoiseTrace:
    """What one run did, in the data form and the scaling x = x0 + sigma eps.

    Args:
        drift: weights of start and outputs, as for a sampler without noise.
        draws: what was asked for, in order.
        weights: (k+1, d) weight of each draw in the input of each call, and in the result.
        mix: (d, m) the draws as combinations of independent unit draws.
    """

    drift: Trace
    draws: tuple[Draw, ...]
    weights: Array
    mix: Array

    @property
    def noisy(self) -> bool:
        """Whether any draw reaches a state."""
        return bool(self.weights.size and np.abs(self.weights).max() > 1e-12)

    @cached_property
    def independent(self) -> Array:
        """(k+1, m) weights on independent unit draws."""
        if np.array_equal(self.mix, np.eye(self.weights.shape[1])):
            return self.weights
        out: Array = self.weights @ self.mix
        return out


def count(run: Run, sigmas: Array, *, width: int = 4) -> tuple[int, int]:
    """Numbers of model calls and of draws that a run on this grid makes."""
    shape = (1, width, 1, 1)
    source = Source(shape)

    def denoiser(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        source.calls += 1
        return 0.5 * x / (1 + level_told(sigma) ** 2)

    with replaced(source):
        run(denoiser, torch.ones(shape, dtype=torch.float64), torch.from_numpy(sigmas.copy()))
    return source.calls, len(source.draws)


def silenced(run: Run) -> Run:
    """The same sampler with every draw answered by zeros: its drift alone."""

    def quiet(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        with replaced(Source(tuple(x.shape))):
            return run(denoiser, x, sigmas)

    return quiet


def trace_noise(
    run: Run, sigmas: Array, *, size: tuple[int, int] | None = None, seed: int = 0
) -> NoiseTrace:
    """Recover every weight, node and draw of one run.

    Args:
        run: the sampler, as run(denoiser, x, sigmas) in the scaling x = x0 + sigma eps.
        sigmas: (n+1,) float64, decreasing, last above zero.
        size: numbers of calls and of draws, when known; otherwise one run is spent on counting.

    Raises:
        ConductError: "shape", "dtype", "nan", "calls", "size" or "random", when the run shows one.
    """
    calls, drawn = count(run, sigmas) if size is None else size
    if calls == 0:
        raise ConductError("calls", "the sampler never calls the model; nothing to audit")
    require_room(sigmas, calls, drawn)
    rng = np.random.default_rng(seed)
    blocks = [calls, drawn, 1, 1]
    quiet = np.zeros((calls, drawn + 2))
    answers = np.concatenate(
        [np.eye(calls), quiet, LOUD * rng.standard_normal((calls, PROBES))], axis=1
    )
    table = np.concatenate(
        [
            np.zeros((drawn, calls)),
            np.eye(drawn),
            np.zeros((drawn, 2)),
            LOUD * rng.standard_normal((drawn, PROBES)),
        ],
        axis=1,
    )
    loud = LOUD * rng.standard_normal(PROBES) * sigmas[0]
    first = np.concatenate([np.zeros(calls + drawn), [1.0, 0.0], loud])
    source = Source((1, len(first), 1, 1), table)
    rows, nodes = record(_sourced(run, source), sigmas, answers, first)
    if len(source.draws) != drawn:
        raise ConductError(
            "random", f"{drawn} draws in one run, {len(source.draws)} in the next, same grid"
        )
    weights, noise, start, offset, said = np.split(rows, np.cumsum(blocks), axis=1)
    told = start * loud + weights @ answers[:, -PROBES:] + noise @ table[:, -PROBES:]
    drift = Trace(
        sigmas=sigmas,
        nodes=nodes,
        start=start[:, 0],
        weights=weights,
        bend=float(np.abs(said - told).max() / (np.abs(told).max() + LOUD)),
        offset=float(np.abs(offset).max()),
    )
    draws = tuple(source.draws)
    return NoiseTrace(drift, draws, noise, mixing(draws))


def _sourced(run: Run, source: Source) -> Run:
    """The run with its noise replaced, counting model calls for the source."""

    def noisy(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        def counted(state: Tensor, sigma: Tensor, **named: object) -> Tensor:
            source.calls += 1
            return denoiser(state, sigma, **named)

        with replaced(source):
            return run(counted, x, sigmas)

    return noisy


def require_linear(run: Run, made: Sequence[NoiseTrace]) -> None:
    """Refuse a sampler that is not linear in start, outputs and draws.

    Norms over a sample scale all its values alike, so that one run looks linear; with other random
    values beside the unit ones the weights change.

    Raises:
        ConductError: "nonlinear".
    """
    short = min(made, key=lambda t: t.drift.calls)
    asked = short.drift.calls, len(short.draws)
    again = trace_noise(run, short.drift.sigmas, size=asked, seed=1)
    pairs = ((short.drift.weights, again.drift.weights), (short.weights, again.weights))
    moved = max(float(np.abs(one - two).max(initial=0.0)) for one, two in pairs)
    size = max(1.0, float(np.abs(short.drift.weights).max(initial=0.0)))
    worst = max([moved / size, *(max(t.drift.bend, t.drift.offset) for t in made)])
    if worst > BENT:
        raise ConductError(
            "nonlinear",
            "states are not linear in the start value, the model outputs and the draws "
            f"(thresholding, adaptive steps, a norm, a random scale): deviation {worst:.1e}",
        )


def refinements(run: Run, make: Callable[[int], Array], counts: Sequence[int]) -> list[NoiseTrace]:
    """Traces on grids of growing N; calls and draws are taken to grow evenly, or are counted."""
    made: list[NoiseTrace] = []
    for n in counts:
        size = None
        if len(made) > 1:
            one, two = made[-2:]
            more = (n - two.drift.steps) / (two.drift.steps - one.drift.steps)
            calls = two.drift.calls + more * (two.drift.calls - one.drift.calls)
            drawn = len(two.draws) + more * (len(two.draws) - len(one.draws))
            size = (round(calls), round(drawn))
        try:
            made.append(trace_noise(run, make(n), size=size))
        except ConductError:
            if size is None:
                raise
            made.append(trace_noise(run, make(n)))
    return made
