"""Shortcut models (Frans et al. 2025): a step of any size is two of half the size."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeds import Draws
from ..students import Average
from ..system import System, square


class Shortcut(System):
    """Flow matching at the smallest step, and u over 2 d against the mean of two steps of d.

    The target's steps are made by an average of the student's weights, where `target` says so.
    """

    own_target = True

    def prepare(self) -> None:
        """The exact velocity, where it is asked for."""
        self.exact = self.recipe.loss["velocity"] == "exact"
        self.denoise = self.denoiser() if self.exact else None

    def loss(self, draws: Draws, count: int) -> Tensor:
        """`bootstrap` of the batch learns large steps, the rest the velocity."""
        smallest = int(self.recipe.loss["smallest"])
        low, top = self.low / (1 + self.low), self.top / (1 + self.top)
        x0, extra = self.world.draw(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        powers = smallest.bit_length() - 1
        size = 2.0 ** -(1 + draws.integers(powers, count, "size")).float() * 2 * (top - low)
        least = (top - low) / smallest
        large = draws.uniform(count, "kind") < self.recipe.loss["bootstrap"]
        size = torch.where(large, size, torch.full_like(size, least))
        # a step begins on the grid of its own size
        cells = ((top - low) / size).round()
        place = (draws.uniform(count, "place") * cells).floor()
        t = top - place * size
        x = (1 - t)[:, None] * x0 + t[:, None] * z
        v = z - x0
        if self.denoise is not None:
            wide, sigma = x.double() / (1 - t.double())[:, None], (t / (1 - t)).double()
            clean = self.denoise(wide, sigma, **extra)
            v = ((wide - clean) / sigma[:, None] - clean).float()
        inner = self.student
        frozen = self.frozen.get("target", inner)
        assert isinstance(inner, Average) and isinstance(frozen, Average)
        with torch.no_grad():
            half = size / 2
            first = frozen.velocity(x, t, t - half, **extra)
            second = frozen.velocity(x - half[:, None] * first, t - half, t - size, **extra)
            goal = torch.where(large[:, None], (first + second) / 2, v)
        return square(inner.velocity(x, t, t - size, **extra) - goal)
