"""Samplers whose grid may rise again: restart sampling, resampling, and what else noises back up.

A rise from level a to b stands for the forward process: it adds noise of variance b^2 - a^2, which
keeps the marginal law. Between rises the run is the probability-flow ODE, or whatever the sampler
makes of it. Each falling stretch is refined while the rises stay where they are, and the end of the
run on Gaussian targets, an affine function of the start value and of the draws, is compared with
that of the exact flow and exact jumps: no random number is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import ANYTHING
from ..order.audit import CLASSES, Audit
from ..order.causes import Cause
from ..probe.noise_trace import NoiseTrace, require_linear, trace_noise
from ..probe.trace import Run
from ..problems.grids import GRIDS
from .findings import GridNoise, NoiseAudit
from .moments import VARIANCES, states
from .weak import CLASS_GRID, Order, measured

Array = NDArray[np.float64]

# falling stretches in lambda; between them the grid rises
LEGS = ((-1.2, 0.9), (0.1, 1.1), (0.4, 1.6))
LADDER = (6, 12, 24, 48, 96)
FEW = 3
RIGHT = 1e-9


def rising(kind: str, n: int) -> Array:
    """Levels of a class of grids that fall in n steps on each stretch, and rise in between."""
    make = GRIDS[CLASS_GRID[kind]]
    return np.concatenate([make(n, leg) for leg in LEGS])


def rises(run: Run) -> bool:
    """Whether a sampler takes a grid that rises, and draws noise there."""
    try:
        return trace_noise(run, rising("uniform", FEW)).noisy
    except ANYTHING:  # a sampler that refuses such a grid may do so in any way
        return False


def audit_jumps(run: Run, falling: Audit) -> NoiseAudit:
    """Audit a sampler on grids that rise.

    Args:
        run: run(denoiser, x, sigmas), scaling x = x0 + sigma eps.
        falling: the audit on falling grids, where it draws no noise.

    Raises:
        ConductError: "nonlinear", and what tracing raises.
    """
    grids, causes = {}, {}
    for kind in CLASSES:
        made = [trace_noise(run, rising(kind, n)) for n in LADDER]
        require_linear(run, made)
        grids[kind], causes[kind] = _judged(made), tuple(_causes(made[-1]))
    return NoiseAudit(
        grids=grids,
        calls_per_step=falling.calls_per_step or 0.0,
        draws_per_step=len(made[-1].draws) / (len(LEGS) - 1),
        kind="jumps",
        tree=any(d.times is not None for d in made[-1].draws),
        shared=False,
        promise=falling.orders(),
        causes=causes,
    )


def _judged(made: Sequence[NoiseTrace]) -> GridNoise:
    mean, spread, path = [], [], []
    for t in made:
        errors = np.asarray([_errors(t, c2) for c2 in VARIANCES])
        mean.append(errors[:, :2].ravel())
        spread.append(errors[:, 2])
        path.append(errors[:, 3])
    precision = max([2.0**-52, *(t.drift.bend for t in made)])
    counts = [n * len(LEGS) for n in LADDER]
    strong = measured(counts, path, precision)
    if any(len(_draws(t)) != len(LEGS) - 1 for t in made):
        reason = "several draws at one rise do not say which part of it they stand for"
        strong = Order(None, False, None, reason, tuple(counts), ())
    return GridNoise(
        measured(counts, mean, precision),
        measured(counts, spread, precision),
        strong,
        None,
        None,
        None,
        (0.0,),
        (),
        None,
    )


def _draws(t: NoiseTrace) -> NDArray[np.intp]:
    return np.flatnonzero(np.abs(t.weights).max(axis=0, initial=0.0) > 1e-14)


def _errors(t: NoiseTrace, c2: float) -> tuple[float, float, float, float]:
    """Errors of mean (decay, target), relative variance, and root mean square along the draws."""
    solved = states(t, c2)
    ends = [(np.exp(-first), np.exp(-last)) for first, last in LEGS]
    decay = [float(np.sqrt((c2 + low**2) / (c2 + high**2))) for high, low in ends]
    start = float(np.prod(decay))
    first = c2 + ends[0][0] ** 2
    variance = float(solved.covariance(np.asarray([len(t.weights) - 1]), first)[0])
    sizes = [np.sqrt(b**2 - a**2) for (_, a), (b, _) in pairwise(ends)]
    exact = np.asarray([s * np.prod(decay[k + 1 :]) for k, s in enumerate(sizes)])
    ours = solved.noise[-1]
    off = float(solved.start[-1]) - start
    rest = (ours - np.resize(exact, len(ours))) if len(ours) == len(exact) else ours
    return (
        off,
        float(solved.start[-1] + solved.target[-1]) - 1,
        variance / (c2 + ends[-1][1] ** 2) - 1,
        float(np.sqrt(off**2 * first + (rest**2).sum())),
    )


def _causes(t: NoiseTrace) -> list[Cause]:
    """Rises whose noise has another variance than the forward process adds."""
    wanted = [np.exp(-2 * b) - np.exp(-2 * a) for (_, a), (b, _) in pairwise(LEGS)]
    seen = t.weights[:, _draws(t)]
    found = [float(column[(column != 0).argmax()]) ** 2 for column in seen.T]
    if len(found) != len(wanted):
        return []
    ratio = found[0] / wanted[0]
    if max(abs(f / w - 1) for f, w in zip(found, wanted, strict=True)) < RIGHT:
        return []
    text = f"a rise of the grid from a to b adds {ratio:.4g} of the variance b^2 - a^2"
    return [Cause("every", "variance", None, float(ratio**-0.5), 0.0, text)]
