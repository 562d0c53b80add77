"""Regression on what the teacher did: ends, pairs of states, velocities of couples."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeds import Draws
from ..system import System, distance, square


class Direct(System):
    """|f(x_n, t_n) - x_N| over all levels of the bank (knowledge distillation, Luhman 2021)."""

    def prepare(self) -> None:
        """Run the teacher."""
        self.data = self.bank()
        # the first level is what one-step sampling uses: it is drawn as often as all others together
        self.levels = torch.tensor(self.data.levels)

    def loss(self, draws: Draws, count: int) -> Tensor:
        """Half of the samples at the highest level."""
        rows = draws.integers(self.data.count, count, "trajectory")
        index = draws.integers(len(self.levels) - 1, count, "level")
        index = torch.where(draws.uniform(count, "top") < 0.5, torch.zeros_like(index), index)
        x = self.data.states[index * self.data.stride, rows]
        ends = self.data.states[-1, rows]
        made = self.student(x, self.levels[index], **self.data.conditions(rows))
        return distance(made - ends, self.recipe.loss)


class FlowMap(System):
    """|G(x_t, t, s) - x_s| over pairs of the bank's levels, relative to the spread at s."""

    def prepare(self) -> None:
        """Run the teacher."""
        self.data = self.bank()
        self.levels = torch.tensor(self.data.levels)

    def loss(self, draws: Draws, count: int) -> Tensor:
        """A third of the pairs go from the highest level to the lowest, a third end there."""
        rows, last = draws.integers(self.data.count, count, "trajectory"), len(self.levels) - 1
        first = draws.integers(last, count, "from")
        gap = draws.uniform(count, "to")
        second = (first + 1 + ((last - first) * gap).long()).clamp(max=last)
        kind = draws.uniform(count, "kind")
        first = torch.where(kind < 1 / 3, torch.zeros_like(first), first)
        second = torch.where(kind < 2 / 3, torch.full_like(second, last), second)
        stride = self.data.stride
        x, goal = self.data.states[first * stride, rows], self.data.states[second * stride, rows]
        t, s = self.levels[first], self.levels[second]
        made = self.student(x, t, s, **self.data.conditions(rows))
        return square(made - goal) / (s**2 + self.world.sd**2)


class Reflow(System):
    """|v(x_t, t) - (z - x1)|^2 over the teacher's couples of start and end (Liu et al. 2022)."""

    def prepare(self) -> None:
        """Run the teacher."""
        self.data = self.bank()

    def loss(self, draws: Draws, count: int) -> Tensor:
        """t uniform; a quarter of the samples at the highest level, where one step begins."""
        rows = draws.integers(self.data.count, count, "trajectory")
        low, top = self.low / (1 + self.low), self.top / (1 + self.top)
        t = low + (top - low) * draws.uniform(count, "level")
        t = torch.where(draws.uniform(count, "top") < 0.25, torch.full_like(t, top), t)
        # the line between the couple's ends in the flow gauge: x_top at top, x_low at low
        start = self.data.states[0, rows] * (1 - top)
        end = self.data.states[-1, rows] * (1 - low)
        slope = (start - end) / (top - low)
        x = end + (t - low)[:, None] * slope
        made = self.student(x / (1 - t)[:, None], t / (1 - t), **self.data.conditions(rows))
        # the map of one step to the lowest level and the velocity differ by a factor
        goal = end / (1 - low)
        return square(made - goal) * ((1 - low) / (t - low).clamp_min(1e-3)) ** 2 * (t > low)
