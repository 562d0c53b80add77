"""Inductive moment matching (Zhou et al. 2025): laws of jumps compared by a kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeds import Draws
from ..system import System


class Moments(System):
    """MMD of groups between G(x_t, t, s) and stop-gradient G(x_r, r, s), r just below t.

    x_r is the DDIM interpolant between x_t and its own x0, so both laws at s should agree.
    """

    def prepare(self) -> None:
        """Levels in arctan: gaps of equal size there."""
        self.group = int(self.recipe.loss["group"])

    def loss(self, draws: Draws, count: int) -> Tensor:
        """One pair of levels for each group, which shares its levels."""
        groups = count // self.group
        x0, extra = self.world.draw(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        sd = self.world.sd
        low, top = (torch.atan(torch.tensor(one / sd)) for one in (self.low, self.top))
        angle = low + (top - low) * draws.uniform(groups, "from")
        angle = torch.where(draws.uniform(groups, "top") < 0.25, top.expand(groups), angle)
        after = (angle - (top - low) / 16).clamp_min(low)
        end = low + (after - low) * draws.uniform(groups, "to")
        end = torch.where(draws.uniform(groups, "low") < 0.5, low.expand(groups), end)
        t, r, s = (
            (sd * one.tan()).clamp(self.low, self.top).repeat_interleave(self.group)
            for one in (angle, after, end)
        )
        state = x0[: len(t)] + t[:, None] * z[: len(t)]
        nearer = x0[: len(t)] + r[:, None] * z[: len(t)]
        given = {key: value[: len(t)] for key, value in extra.items()}
        made = self.student(state, t, s, **given)
        with torch.no_grad():
            goal = self.student(nearer, r, s, **given)
        size = (s**2 + sd**2).sqrt()[:, None] * self.world.size**0.5
        a, b = (one / size for one in (made, goal))
        found = self.mmd(a.reshape(groups, self.group, -1), b.reshape(groups, self.group, -1))
        return found.repeat_interleave(self.group)

    @staticmethod
    def mmd(a: Tensor, b: Tensor) -> Tensor:
        """(groups,) squared MMD by a Laplace kernel of two widths, diagonal pairs left out."""

        def kernel(x: Tensor, y: Tensor) -> Tensor:
            far = ((x[:, :, None] - y[:, None]).square().sum(-1) + 1e-8).sqrt()
            return (-far).exp() + (-far / 0.25).exp()

        n = a.shape[1]
        off = 1 - torch.eye(n)
        inner = ((kernel(a, a) + kernel(b, b)) * off).sum((1, 2)) / (n * (n - 1))
        # a pair that shares x0 and z is not independent: it is left out of the cross term, too
        cross = (kernel(a, b) * off).sum((1, 2)) / (n * (n - 1))
        return inner - 2 * cross
