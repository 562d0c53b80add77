"""MeanFlow (Geng et al. 2025): the average velocity from its own derivative."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeds import Draws
from ..students import Average
from ..system import System, square


class AverageVelocity(System):
    """u(x, t, r) against v - (t - r) du/dt, in the flow gauge; v exact or z - x0.

    Args of the loss: `apart` is the share of pairs with r < t, `ends` that of pairs from the highest
    level to the lowest, `power` that of the adaptive weight (0: none, and then no bias).
    """

    def prepare(self) -> None:
        """The exact velocity, where it is asked for."""
        self.exact = self.recipe.loss["velocity"] == "exact"
        self.denoise = self.denoiser() if self.exact else None

    def pairs(self, draws: Draws, count: int) -> tuple[Tensor, Tensor]:
        """t >= r in the range of the levels."""
        low, top = self.low / (1 + self.low), self.top / (1 + self.top)
        two = torch.sigmoid(
            self.recipe.loss["mean"] + self.recipe.loss["std"] * draws.normal((count, 2), "level")
        )
        two = low + (top - low) * two
        t, r = two.amax(1), two.amin(1)
        kind = draws.uniform(count, "kind")
        r = torch.where(kind < self.recipe.loss["apart"], r, t)
        ends = draws.uniform(count, "ends") < self.recipe.loss["ends"]
        return torch.where(ends, torch.full_like(t, top), t), torch.where(
            ends, torch.full_like(r, low), r
        )

    def loss(self, draws: Draws, count: int) -> Tensor:
        """The derivative is made under no_grad; the prediction is a pass of its own."""
        inner = self.student
        assert isinstance(inner, Average)
        x0, extra = self.world.draw(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        t, r = self.pairs(draws, count)
        x = (1 - t)[:, None] * x0 + t[:, None] * z
        v = z - x0
        if self.denoise is not None:
            wide, sigma = x.double() / (1 - t.double())[:, None], (t / (1 - t)).double()
            clean = self.denoise(wide, sigma, **extra)
            v = ((wide - clean) / sigma[:, None] - clean).float()

        def velocity(state: Tensor, first: Tensor, second: Tensor) -> Tensor:
            return inner.velocity(state, first, second, **extra)

        with torch.no_grad():
            along = (v, torch.ones_like(t), torch.zeros_like(r))
            moved = torch.func.jvp(velocity, (x, t, r), along)[1]
            goal = v - (t - r)[:, None] * moved
        gap = square(inner.velocity(x, t, r, **extra) - goal)
        power = float(self.recipe.loss["power"])
        return gap / (gap.detach() + 0.01) ** power if power else gap
