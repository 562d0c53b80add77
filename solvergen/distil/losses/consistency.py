"""Consistency distillation from a bank (Song et al. 2023, Algorithm 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeds import Draws
from ..system import System, distance
from .training import levels_now


class Consistency(System):
    """d(f(x_n, t_n), f_target(x_{n+1}, t_{n+1})) with both states on the teacher's trajectory.

    The lowest level is its own target, so the chain is anchored; levels may be doubled.
    """

    own_target = True

    def prepare(self) -> None:
        """Run the teacher."""
        self.data = self.bank()
        self.count = len(self.data.grid) // self.data.stride
        self.weights: Tensor | None = None

    def before(self, step: int) -> None:
        """How many levels there are now."""
        self.count = levels_now(self.recipe.loss, len(self.data.levels) - 1, step / self.total)

    def loss(self, draws: Draws, count: int) -> Tensor:
        """One pair of neighbouring levels a sample."""
        rows = draws.integers(self.data.count, count, "trajectory")
        last = len(self.data.grid) - 1
        index = draws.integers(self.count, count, "level")
        place = (index * last) // self.count
        after = ((index + 1) * last) // self.count
        grid = torch.tensor(self.data.grid)
        x, nearer = self.data.states[place, rows], self.data.states[after, rows]
        extra = self.data.conditions(rows)
        with torch.no_grad():
            target = self.frozen.get("target", self.student)
            goal = target(nearer, grid[after], **extra)
        gap = self.student(x, grid[place], **extra) - goal
        made = distance(gap, self.recipe.loss)
        if self.recipe.loss["weight"] == "1/dt":
            made = made / (grid[place] - grid[after])
        return made
