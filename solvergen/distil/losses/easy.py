"""Easy consistency tuning (Geng et al. 2024): from a denoiser to a map by tightening the gap."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeds import Draws
from ..system import System, distance


class EasyConsistency(System):
    """d(f(x0 + t z, t), f(x0 + r z, r)) with r = t (1 - n(t) / q^k), n(t) = 1 + 8 sigmoid(-t).

    The first share of training, `warmup`, has r = 0: that is denoising score matching. The target is
    the student itself, and x0 where r = 0.
    """

    def before(self, step: int) -> None:
        """The stage k."""
        share = step / self.total
        warm = float(self.recipe.loss["warmup"])
        stages = int(self.recipe.loss["stages"])
        self.stage = 0 if share < warm else 1 + int((share - warm) / (1 - warm) * stages)

    def loss(self, draws: Draws, count: int) -> Tensor:
        """One lognormal level a sample, weighted by 1/(t - r)."""
        x0, extra = self.world.draw(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        normal = draws.normal((count,), "level")
        t = (self.recipe.loss["mean"] + self.recipe.loss["std"] * normal).exp()
        t = t.clamp(self.low * 1.001, self.top)
        r = torch.zeros_like(t)
        if self.stage:
            gap = float(self.recipe.loss["q"]) ** -self.stage * (1 + 8 * torch.sigmoid(-t))
            r = (t * (1 - gap)).clamp_min(0)
        r = torch.where(r <= self.low, torch.zeros_like(r), r)
        with torch.no_grad():
            near = r.clamp_min(self.low)
            goal = self.student(x0 + near[:, None] * z, near, **extra)
            goal = torch.where((r == 0)[:, None], x0, goal)
        made = distance(self.student(x0 + t[:, None] * z, t, **extra) - goal, self.recipe.loss)
        if self.recipe.loss["weight"] == "1":
            return made
        # F's target has unit variance where the gap is wide; 1/(t - r) where it is narrow
        if self.recipe.loss["metric"] == "l2":
            return made * (1 / t**2 + 1 / self.world.sd**2) * t / (t - r)
        return made / (t - r)
