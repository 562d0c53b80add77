"""Consistency training from data (Song et al. 2023, Algorithm 3; Song and Dhariwal 2024)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..recipe import grid_of
from ..seeds import Draws
from ..system import System, distance
from .denoising import lognormal_levels


def levels_now(loss: Any, most: int, share: float) -> int:
    """How many levels there are after a share of training.

    Args:
        loss: the recipe's table: schedule fixed, original (square root of a line in k) or doubling
            from `first`, each up to `most`.

    >>> [levels_now({"schedule": "doubling", "first": 10}, 80, s) for s in (0, 0.3, 0.6, 0.99)]
    [10, 20, 40, 80]
    """
    if loss["schedule"] == "fixed":
        return most
    first = min(int(loss["first"]), most)
    if loss["schedule"] == "original":
        return min(
            math.ceil(math.sqrt(share * ((most + 1) ** 2 - first**2) + first**2) - 1) + 1, most
        )
    stages = math.floor(math.log2(most / first)) + 1
    return int(min(first * 2 ** min(math.floor(share * stages), stages - 1), most))


class ConsistencyTraining(System):
    """d(f(x0 + t_{n+1} z, t_{n+1}), f_target(x0 + t_n z, t_n)), with x0 and z drawn once a pair."""

    own_target = True

    def before(self, step: int) -> None:
        """The levels now."""
        table = dict(self.recipe.teacher["levels"])
        table["n"] = levels_now(self.recipe.loss, int(table["n"]), step / self.total)
        self.grid = torch.tensor(grid_of(table, 1)[::-1])
        self.weights = torch.ones(len(self.grid) - 1)
        if self.recipe.loss["levels"] == "lognormal":
            self.weights = lognormal_levels(
                self.grid.tolist(), self.recipe.loss["mean"], self.recipe.loss["std"]
            ).float()

    def loss(self, draws: Draws, count: int) -> Tensor:
        """One pair of neighbouring levels a sample."""
        x0, extra = self.world.draw(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        index = draws.weighted(self.weights, count, "level")
        low, high = self.grid[index], self.grid[index + 1]
        with torch.no_grad():
            target = self.frozen.get("target", self.student)
            goal = target(x0 + low[:, None] * z, low, **extra)
        gap = self.student(x0 + high[:, None] * z, high, **extra) - goal
        made = distance(gap, self.recipe.loss)
        return made / (high - low) if self.recipe.loss["weight"] == "1/dt" else made
