"""Consistency trajectory models (Kim et al. 2024), without their adversarial term."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeds import Draws
from ..students import Jump
from ..system import System, distance, square


class Trajectory(System):
    """G(x_t, t, s) against G_target(x_u, u, s) for t > u >= s, compared at the lowest level.

    x_t and x_u lie on the teacher's trajectory; t to u is a random number of its steps. A denoising
    term makes g(x, t, t) the denoiser.
    """

    own_target = True

    def prepare(self) -> None:
        """Run the teacher; a frozen copy maps to the lowest level."""
        self.data = self.bank()
        self.levels = torch.tensor(self.data.levels)

    def loss(self, draws: Draws, count: int) -> Tensor:
        """Half of the jumps end at the lowest level."""
        rows, last = draws.integers(self.data.count, count, "trajectory"), len(self.levels) - 1
        first = draws.integers(last, count, "from")
        end = first + 1 + ((last - first) * draws.uniform(count, "to")).long()
        end = torch.where(draws.uniform(count, "end") < 0.5, torch.full_like(end, last), end)
        end = end.clamp(max=last)
        middle = first + 1 + ((end - first) * draws.uniform(count, "between") ** 2).long()
        middle = torch.minimum(middle, end)
        stride, extra = self.data.stride, self.data.conditions(rows)
        x = self.data.states[first * stride, rows]
        nearer = self.data.states[middle * stride, rows]
        t, u, s = self.levels[first], self.levels[middle], self.levels[end]
        frozen = self.frozen.get("target", self.student)
        with torch.no_grad():
            goal = frozen(nearer, u, s, **extra)
        made = self.student(x, t, s, **extra)
        size = (s**2 + self.world.sd**2) / self.world.sd**2
        jump = distance(made - goal, self.recipe.loss) / size
        part = float(self.recipe.loss["denoising"])
        return jump + part * self.denoising(draws, count) if part else jump

    def denoising(self, draws: Draws, count: int) -> Tensor:
        """|g(x, t, t) - x0|^2 with the weight of EDM, scaled to the jumps' own size."""
        x0, extra = self.world.draw(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        t = (-1.2 + 1.2 * draws.normal((count,), "denoising level")).exp().clamp(self.low, self.top)
        inner = self.student
        assert isinstance(inner, Jump)
        gap = inner.inner(x0 + t[:, None] * z, t, t, **extra) - x0
        weight = (t**2 + self.world.sd**2) / (t * self.world.sd) ** 2
        return 0.1 * self.world.sd**2 * weight * square(gap)
