"""sCM (Lu and Song 2025): the consistency condition in continuous time, in the TrigFlow gauge."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeds import Draws
from ..students import TrigFlow
from ..system import System, square


class ContinuousConsistency(System):
    """|F - F_frozen - g|^2 with the normalised tangent g; the velocity exact or one sample's.

    f = cos(u) x - sin(u) sd F with u = t - t_min, so that f is the identity at the lowest level.
    """

    def prepare(self) -> None:
        """The exact velocity, where it is asked for."""
        self.exact = self.recipe.loss["velocity"] == "exact"
        self.denoise = self.denoiser() if self.exact else None
        self.share = 0.0

    def before(self, step: int) -> None:
        """How much of the unstable part of the tangent counts: r from 0 to 1."""
        warm = float(self.recipe.loss["warmup"])
        self.share = min(1.0, step / max(1.0, warm * self.total))

    def loss(self, draws: Draws, count: int) -> Tensor:
        """tan t = e^tau / sd with tau ~ N(mean, std^2)."""
        sd, inner = self.world.sd, self.student
        assert isinstance(inner, TrigFlow)
        x0, extra = self.world.draw(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        normal = draws.normal((count,), "level")
        sigma = (self.recipe.loss["mean"] + self.recipe.loss["std"] * normal).exp()
        sigma = sigma.clamp(self.low, self.top)
        state = x0 + sigma[:, None] * z
        t = torch.atan(sigma / sd)
        cos, sin = t.cos()[:, None], t.sin()[:, None]
        unit = cos * state / sd
        if self.denoise is not None:
            clean = self.denoise(state.double(), sigma.double(), **extra).float()
        else:
            clean = x0
        # dx/dt of x = cos x0 + sin sd z, over sd
        pace = cos * (state - clean) / sigma[:, None] - sin * clean / sd
        with torch.no_grad():
            frozen, moved = tangent(inner, unit, t, pace, extra)
        low = torch.atan(torch.tensor(self.low / sd))
        turn = (t - low)[:, None]
        # d f/dt over sd, times cos: 0 for an exact map
        g = -(turn.cos() ** 2) * (frozen - pace)
        g = g - self.share * turn.cos() * turn.sin() * (unit + moved)
        g = g / (g.norm(dim=1, keepdim=True) + 0.1)
        made = inner.field(unit, t, **extra)
        # the authors' weight 1/tan(t) leaves the upper levels to a learned one; here it is 1 for all
        return square(made - frozen - g)


def tangent(
    student: TrigFlow, unit: Tensor, t: Tensor, pace: Tensor, extra: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """F and dF/dt along the flow, by forward-mode differentiation."""

    def field(state: Tensor, time: Tensor) -> Tensor:
        return student.field(state, time, **extra)

    found = torch.func.jvp(field, (unit, t), (pace, torch.ones_like(t)))
    return found[0], found[1]
