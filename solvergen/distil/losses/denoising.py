"""Denoising score matching with EDM preconditioning, and flow matching."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeds import Draws
from ..system import System, square


class Denoising(System):
    """|D(x0 + t z, t) - x0|^2 weighted so that F's target has unit variance (Karras et al. 2022)."""

    def loss(self, draws: Draws, count: int) -> Tensor:
        """log t ~ N(mean, std^2)."""
        x0, extra = self.world.draw(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        normal = draws.normal((count,), "level")
        t = (self.recipe.loss["mean"] + self.recipe.loss["std"] * normal).exp()
        t = t.clamp(self.low, self.top)
        weight = (t**2 + self.world.sd**2) / (t * self.world.sd) ** 2
        return weight * square(self.student(x0 + t[:, None] * z, t, **extra) - x0)


class FlowMatching(System):
    """|v(x_t, t) - (z - x0)|^2 on straight paths, t uniform (Liu et al. 2022, Lipman et al. 2022)."""

    def loss(self, draws: Draws, count: int) -> Tensor:
        """t from the levels' range."""
        x0, extra = self.world.draw(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        low, top = self.low / (1 + self.low), self.top / (1 + self.top)
        t = low + (top - low) * draws.uniform(count, "level")
        x = (1 - t)[:, None] * x0 + t[:, None] * z
        # one Euler step to 0 is the denoised state x_t - t v
        clean = self.student(x / (1 - t)[:, None], t / (1 - t), torch.zeros_like(t), **extra)
        return square(clean - x0) / t**2


def lognormal_levels(levels: list[float], mean: float, std: float) -> Tensor:
    """Probabilities of the upper levels of pairs: a lognormal law cut at the levels (iCT).

    Args:
        levels: ascending.
    """
    place = (torch.tensor(levels).double().log() - mean) / std
    share = torch.special.ndtr(place)
    return (share[1:] - share[:-1]).clamp_min(1e-12)
