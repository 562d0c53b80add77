"""The audit of a sampler that draws noise: weak and strong orders, exact, on three classes of grids.

Nothing here is sampled. One-hot runs give every weight of every output and draw; mean, covariance
and strong error on Gaussian targets follow from them exactly, and their orders from refinements.
The drift alone is audited like a deterministic sampler's, in the clock in which the reverse SDE of
this strength has no linear part.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ANYTHING, ConductError
from ..order.audit import CLASSES, Audit, audit
from ..order.causes import Cause
from ..probe.noise_trace import NoiseTrace, count, require_linear, silenced, trace_noise
from ..probe.trace import Denoiser, Run, require_room
from ..problems.grids import GRIDS, LAMBDA, rough
from .amplitude import SEEN, linear_at, sentence, smaller
from .causes import lone_variances, noise_causes
from .findings import GridNoise, NoiseAudit
from .impulse_response import order_of_response
from .limit_law import limit_law
from .mean_causes import mean_causes
from .moments import steps
from .restart import exact_start
from .strong import on_one_path, risen, strong
from .weak import CLASS_GRID, MOST_CALLS, NO_LIMIT, Order, Weak, at_zero, ladder, weak
from .window import drawn, merged, parts_of

Array = NDArray[np.float64]

# longest runs where the ladder does not settle: rules that are unstable on its coarse grids
LONGER = (512, 1024, 2048)
SNAP = 1e-7
STEADY = 1e-3


def draws_noise(run: Run) -> bool:
    """Whether noise reaches the states of a sampler; False when it cannot be traced at all."""
    sigmas = rough(SEEN)
    try:
        size = count(run, sigmas)
        if not size[1]:
            require_room(sigmas, size[0])
            return False
        return trace_noise(run, sigmas, size=size).noisy
    except ConductError as error:
        # without noise too, a table that is too large here is too large on the ladder
        return error.kind == "size"
    except ANYTHING:  # the audit proper names what is wrong
        return False


def draws_in_vain(run: Run) -> int:
    """How many draws a run asks for, none of which reaches its states; 0 where one does."""
    try:
        made = trace_noise(run, rough(SEEN))
    except ANYTHING:  # the audit proper names what is wrong
        return 0
    return 0 if made.noisy else len(made.draws)


def raised(run: Run) -> str:
    """What a sampler raises where its draws are answered, or ""."""
    try:
        trace_noise(run, rough(SEEN))
    except ANYTHING as error:
        return f"{type(error).__name__}: {error}"
    return ""


def audit_noise(run: Run, quiet: Run | None = None) -> NoiseAudit:
    """Audit a sampler that draws noise.

    Args:
        run: run(denoiser, x, sigmas), scaling x = x0 + sigma eps.
        quiet: the same sampler with its noise switched off by its own option, when it has one.

    Raises:
        ConductError: "nonlinear", "random", and what tracing raises.
    """
    run, amplitude = linear_at(run)
    if amplitude < 1:
        small = audit_noise(run, None if quiet is None else smaller(quiet, amplitude))
        return replace(small, said=(sentence(amplitude), *small.said), amplitude=amplitude)
    ladders = {kind: ladder(run, kind) for kind in CLASSES}
    finest = ladders["arbitrary"][-1]
    require_linear(run, ladders["arbitrary"])
    parts = parts_of(ladders["uniform"][-1])
    if parts:
        judged = [(part, found_on(run, part.lam)) for part in parts]
        return merged(judged, finest, {kind: weak(made) for kind, made in ladders.items()})
    found = _settled(run, ladders, LAMBDA)
    law = limit_law(run) if any(NO_LIMIT in g.mean.reason for g in found.values()) else None
    law = law if law is not None and law.settles else None
    if law is not None and law.wrong:
        found = {kind: _of_law(one) for kind, one in found.items()}
    strength = [s for s in found["uniform"].strength if s > 0]
    constant = bool(strength) and float(np.ptp(strength)) < STEADY and law is None
    drift = _drift(run, ladders["uniform"], strength[-1] if constant else None)
    promise = _promise(quiet, drift)
    causes = {kind: _causes(made, found[kind], drift, kind) for kind, made in ladders.items()}
    named = any(c.kind == "variance" for each in causes.values() for c in each)
    lone = () if named or law is not None else lone_variances(ladders["uniform"])
    return NoiseAudit(
        grids=found,
        calls_per_step=finest.drift.calls / finest.drift.steps,
        draws_per_step=drawn(finest),
        kind=_kind(finest, found),
        tree=any(d.times is not None for d in finest.draws),
        shared=_shared(finest),
        drift=drift,
        promise=promise,
        causes=causes,
        law=law.as_dict() if law is not None else None,
        said=law.sentences() if law is not None else (),
        lone=lone,
    )


def found_on(run: Run, lam: tuple[float, float]) -> dict[str, GridNoise]:
    """Orders on every class of grids over a range of lambda."""
    return _settled(run, {kind: ladder(run, kind, lam=lam) for kind in CLASSES}, lam)


def _settled(
    run: Run, ladders: dict[str, list[NoiseTrace]], lam: tuple[float, float]
) -> dict[str, GridNoise]:
    """Orders, from longer runs where those of the ladder do not settle; these join the ladders."""
    found = {kind: _judged(made) for kind, made in ladders.items()}
    for kind in CLASSES:
        for n in LONGER:
            if not _unsettled(found[kind]):
                break
            ladders[kind] = _longer(run, ladders[kind], GRIDS[CLASS_GRID[kind]](n, lam))
            found[kind] = _judged(ladders[kind])
        found[kind] = _with_response(run, kind, found[kind])
    return found


def _longer(run: Run, made: list[NoiseTrace], sigmas: Array) -> list[NoiseTrace]:
    """A ladder with one more trace, where that is not too large."""
    calls = made[-1].drift.calls / made[-1].drift.steps
    if calls * (len(sigmas) - 1) > MOST_CALLS and len(sigmas) - 1 > LONGER[0]:
        return made
    try:
        return [*made, trace_noise(run, sigmas)]
    except ConductError as error:
        if error.kind != "size":
            raise
        return made


def _with_response(run: Run, kind: str, one: GridNoise) -> GridNoise:
    """With the orders that the impulse response to a draw leaves; one that stays changes the variance."""
    known = order_of_response(run, kind, one.strong) if one.strong.errors else None
    if known is None:
        return one
    if known.order == 0 and one.covariance.at_least(0.5):
        one = _without_covariance(one, known.reason)
    return replace(one, strong=known)


def _of_law(one: GridNoise) -> GridNoise:
    """With the covariance order of a law that is not the marginal."""
    return _without_covariance(one, "the law of ever more levels is not the marginal")


def _without_covariance(one: GridNoise, reason: str) -> GridNoise:
    seen = one.covariance
    return replace(one, covariance=Order(0, False, 0.0, reason, seen.steps, seen.errors))


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


def _drift(run: Run, made: Sequence[NoiseTrace], strength: float | None) -> Audit | None:
    """Audit of the drift in the clock e^(A lambda), A = 1 + tau^2, where it is a plain ODE.

    A is what the weight of the start value decays by, as h goes to zero: the noise may be wrong.
    Where it is that of the noise as nearly as the coarsest grid lets it be known, it is that.
    """
    # a sampler that keeps nothing of its state has no decay
    if strength is None or _risen(made[-1]) or not all(t.drift.start[-1] > 0 for t in made):
        return None
    length = float(np.log(made[0].drift.sigmas[0] / made[0].drift.sigmas[-1]))
    rates = [-np.log(abs(t.drift.start[-1]) / abs(t.drift.start[0])) / length for t in made]
    counts = [t.drift.steps for t in made]
    power, finer = (float(at_zero(counts[k:], np.asarray(rates[k:]))) for k in (0, 1))
    blur = min(2 * abs(power - finer), STEADY)
    power = round(power, 5) if abs(round(power, 5) - power) < SNAP else power
    power = 1 + strength if abs(1 + strength - power) < blur else power
    silent = silenced(run)

    def straight(denoiser: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
        def model(state: Tensor, sigma: Tensor, **named: object) -> Tensor:
            return denoiser(state, torch.as_tensor(sigma, dtype=torch.float64) ** power, **named)

        return silent(model, x, sigmas ** (1 / power))

    return audit(straight)


def _risen(t: NoiseTrace) -> bool:
    return risen(t, steps(t))


def _promise(quiet: Run | None, drift: Audit | None) -> dict[str, int | None]:
    """Orders of the deterministic part: noise switched off, or the drift itself."""
    if quiet is not None:
        made = audit(quiet if _still(quiet) else silenced(quiet))
        if made.status == "ok":
            return made.orders()
    return drift.orders() if drift is not None else dict.fromkeys(CLASSES)


def _still(run: Run) -> bool:
    """Whether a run draws nothing at all, so that no draws need to be answered."""
    try:
        return count(run, rough(SEEN))[1] == 0
    except ANYTHING:
        return False


def _causes(
    made: list[NoiseTrace], one: GridNoise, drift: Audit | None, kind: str
) -> tuple[Cause, ...]:
    limited = NO_LIMIT not in one.mean.reason
    out = noise_causes(made, one.covariance) if limited else []
    known = drift.grids[kind].causes if drift is not None and kind in drift.grids else ()
    # the drift's own audit says more, where it could be made
    seen = mean_causes(made, one.mean) if limited else []
    read = drift is not None and drift.status == "ok"
    # where the strength is read off wrong noise, the decay is not to blame
    spoilt = any(c.kind == "variance" and c.step == "every" for c in out)
    plain = [
        c for c in seen if not (c.kind == "moment" and read) and not (c.kind == "state" and spoilt)
    ]
    return (*plain, *out, *known)
