"""The audit of a sampler that draws noise: weak and strong orders, exact, on three classes of grids.

Nothing here is sampled. One-hot runs give every weight of every output and draw; mean, covariance
and strong error on Gaussian targets follow from them exactly, and their orders from refinements.
The drift alone is audited like a deterministic sampler's, in the clock in which the reverse SDE of
this strength has no linear part.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .audit import CLASSES, Audit, audit
from .blame import Cause
from .errors import ConductError
from .grids import GRIDS, rough
from .moments import steps
from .noise_blame import noise_causes
from .noise_trace import NoiseTrace, silenced, trace_noise
from .restart import exact_start
from .strong import on_one_path, risen, strong
from .trace import Denoiser, Run
from .weak import CLASS_GRID, NO_LIMIT, Order, Weak, ladder, weak

Array = NDArray[np.float64]

LONGER = 512
BENT = 1e-6
CEILING = 2
SNAP = 1e-7
STEADY = 1e-3
SILENT = 1e-14
# of the steps of a run, so that a step at its start or end is no window
PART = 0.02


@dataclass(frozen=True)
class GridNoise:
    """Orders on one class of grids, as the sampler runs.

    Args:
        mean, covariance, strong: measured orders, own start and own end.
        exact_mean, exact_covariance: with exact history, for samplers that keep one.
        path_covariance: the covariance order when draws over intervals that overlap are taken from
            one path; None when that changes nothing.
        strength: tau^2 over each quarter of the range, as h goes to zero.
        worst: largest relative error of the marginal variance over all steps, at each N.
        martingale: whether E[x0 | x] keeps its mean at tau = 1; None at another strength.
    """

    mean: Order
    covariance: Order
    strong: Order
    exact_mean: Order | None
    exact_covariance: Order | None
    path_covariance: Order | None
    strength: tuple[float, ...]
    worst: tuple[float, ...]
    martingale: bool | None

    def weak_order(self) -> float | None:
        """The lower of mean and covariance order; None when one is unknown or both are exact."""
        known = [o.order for o in (self.mean, self.covariance) if not o.exact]
        if not known or any(o is None for o in known):
            return None
        return min(o for o in known if o is not None)


@dataclass(frozen=True)
class NoiseAudit:
    """Everything that was found about a sampler that draws noise.

    Args:
        grids: class -> GridNoise.
        calls_per_step, draws_per_step: away from start and end.
        kind: "after" (noise ends a step), "before" (churn: it opens one) or "anew" (no limit).
        tree: whether draws come from a Brownian tree.
        shared: whether a stage and its step share noise.
        drift: audit of the drift alone in its own clock, or None where the strength varies.
        promise: class -> order of the deterministic part, or None when there is no switch.
        causes: class -> causes.
    """

    grids: dict[str, GridNoise]
    calls_per_step: float
    draws_per_step: float
    kind: str
    tree: bool
    shared: bool
    drift: Audit | None = None
    promise: dict[str, int | None] = field(default_factory=dict)
    causes: dict[str, tuple[Cause, ...]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def draws_noise(run: Run) -> bool:
    """Whether noise reaches the states of a sampler; False when it cannot be traced at all."""
    try:
        return trace_noise(run, rough(6)).noisy
    except Exception:  # noqa: BLE001  (the audit proper names what is wrong)
        return False


def audit_noise(run: Run, quiet: Run | None = None) -> NoiseAudit:
    """Audit a sampler that draws noise.

    Args:
        run: run(denoiser, x, sigmas), scaling x = x0 + sigma eps.
        quiet: the same sampler with its noise switched off by its own option, when it has one.

    Raises:
        ConductError: "nonlinear", "random", "window", and what tracing raises.
    """
    ladders = {kind: ladder(run, kind) for kind in CLASSES}
    finest = ladders["arbitrary"][-1]
    _linear(finest)
    for made in ladders.values():
        _unbroken(made)
    found = {kind: _judged(made) for kind, made in ladders.items()}
    for kind, one in found.items():
        if _unsettled(one):
            longer = [*ladders[kind], trace_noise(run, GRIDS[CLASS_GRID[kind]](LONGER))]
            ladders[kind], found[kind] = longer, _judged(longer)
    strength = [s for s in found["uniform"].strength if s > 0]
    constant = bool(strength) and float(np.ptp(strength)) < STEADY
    drift = _drift(run, ladders["uniform"], constant)
    promise = _promise(quiet, drift)
    causes = {kind: _causes(made, found[kind], drift, kind) for kind, made in ladders.items()}
    steps = finest.drift.steps
    used = np.abs(finest.weights) > 1e-14
    return NoiseAudit(
        grids=found,
        calls_per_step=finest.drift.calls / steps,
        draws_per_step=float(used.any(axis=0).sum()) / steps,
        kind=_kind(finest, found),
        tree=any(d.times is not None for d in finest.draws),
        shared=_shared(finest),
        drift=drift,
        promise=promise,
        causes=causes,
    )


def _linear(t: NoiseTrace) -> None:
    worst = max(t.drift.bend, t.drift.offset)
    if worst > BENT:
        raise ConductError(
            "nonlinear",
            "states are not linear in the start value, the model outputs and the draws "
            f"(thresholding, adaptive steps, a norm, a random scale): deviation {worst:.1e}",
        )


def _unbroken(made: Sequence[NoiseTrace]) -> None:
    """Noise is drawn along the whole run, or by nothing that a finite part of its steps is.

    Raises:
        ConductError: "window" when a stretch of the run has noise and the rest has none: the strength
            jumps where its window ends, and no order is that of the run.
    """
    for t in made[-2:]:
        strength = steps(t).strength
        loud = (strength[:-1] if _risen(t) else strength[1:]) > SILENT
        share = float(loud.mean())
        if not PART < share < 1 - PART or int(np.abs(np.diff(loud.astype(int))).sum()) > 2:
            return
    raise ConductError(
        "window",
        f"not judged: {share:.0%} of the steps draw noise and the others none; orders hold where the "
        "strength does not change, so judge it with a window that covers the whole run",
    )


def _judged(made: list[NoiseTrace]) -> GridNoise:
    found: Weak = weak(made)
    exact = exact_start(made) if found.steady else None
    joined = on_one_path(made)
    return GridNoise(
        found.mean,
        found.covariance,
        strong(made),
        exact[0] if exact else None,
        exact[1] if exact else None,
        weak(joined).covariance if joined else None,
        found.strength,
        found.worst,
        found.martingale,
    )


def _unsettled(one: GridNoise) -> bool:
    parts = (one.mean, one.covariance, one.strong)
    return any(o.said() == "?" and bool(o.errors) and o.slope is None for o in parts) and not any(
        NO_LIMIT in o.reason for o in parts
    )


def _kind(t: NoiseTrace, found: dict[str, GridNoise]) -> str:
    if any(NO_LIMIT in g.mean.reason for g in found.values()):
        return "anew"
    return "before" if risen(t, steps(t)) else "after"


def _shared(t: NoiseTrace) -> bool:
    """Whether noise that a stage brings in is part of its step's noise too."""
    cut, noise = steps(t), np.abs(t.independent) > 1e-14
    for low, high in itertools.pairwise(cut.rows):
        before = noise[: low + 1].any(axis=0)
        inside = noise[low + 1 : high].any(axis=0) & ~before
        if (inside & noise[high]).any():
            return True
    return False


def _drift(run: Run, made: Sequence[NoiseTrace], constant: bool) -> Audit | None:
    """Audit of the drift in the clock e^(A lambda), A = 1 + tau^2, where it is a plain ODE.

    A is what the weight of the start value decays by, as h goes to zero: the noise may be wrong.
    """
    # a sampler that keeps nothing of its state has no decay
    if not constant or _risen(made[-1]) or not all(t.drift.start[-1] > 0 for t in made):
        return None
    length = float(np.log(made[0].drift.sigmas[0] / made[0].drift.sigmas[-1]))
    rates = [-np.log(abs(t.drift.start[-1]) / abs(t.drift.start[0])) / length for t in made]
    counts = np.asarray([t.drift.steps for t in made], dtype=float)
    powers = np.vander(counts[-1] / counts, increasing=True)
    power = float(np.linalg.solve(powers, np.asarray(rates))[0])
    power = round(power, 5) if abs(round(power, 5) - power) < SNAP else power
    silent = silenced(run)

    def straight(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        def model(state: Tensor, sigma: Tensor, **named: object) -> Tensor:
            return denoiser(state, torch.as_tensor(sigma) ** power, **named)

        return silent(model, x, sigmas ** (1 / power))

    return audit(straight)


def _risen(t: NoiseTrace) -> bool:
    return risen(t, steps(t))


def _promise(quiet: Run | None, drift: Audit | None) -> dict[str, int | None]:
    """Orders of the deterministic part: noise switched off, or the drift itself."""
    if quiet is not None:
        made = audit(silenced(quiet))
        if made.status == "ok":
            return made.orders()
    return drift.orders() if drift is not None else dict.fromkeys(CLASSES)


def _causes(
    made: list[NoiseTrace], one: GridNoise, drift: Audit | None, kind: str
) -> tuple[Cause, ...]:
    out = [] if NO_LIMIT in one.mean.reason else list(noise_causes(made, one.covariance))
    if drift is not None and kind in drift.grids:
        out += drift.grids[kind].causes
    return tuple(out)
