"""What an audit of a sampler that draws noise finds: plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..order.audit import Audit
from ..order.causes import Cause
from .weak import Order


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
        kind: "after" (noise ends a step), "before" (churn: it opens one), "anew" (steps that do not
            become the identity) or "jumps" (noise where the grid rises alone).
        tree: whether draws come from a Brownian tree.
        shared: whether a stage and its step share noise.
        drift: audit of the drift alone in its own clock, or None where the strength varies.
        promise: class -> order of the deterministic part, or None when there is no switch.
        causes: class -> causes.
        law: Law.as_dict() of steps that do not become the identity, or None.
        said: sentences on what was checked in place of an order.
        lone: sentences on single steps whose noise is wrong, which costs no order.
        windows: {"sigma": (from, to), "noisy", "grids": class -> GridNoise} for each part of the
            range, where the strength is zero outside a window; then `grids` holds the lower orders.
        amplitude: factor of start value, outputs and draws at which it was traced.
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
    law: dict[str, Any] | None = None
    said: tuple[str, ...] = ()
    lone: tuple[str, ...] = ()
    windows: tuple[dict[str, Any], ...] = ()
    amplitude: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)
