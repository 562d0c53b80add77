"""Progressive distillation (Salimans and Ho 2022): two steps of the teacher in one, again and again."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeds import Draws
from ..system import System, square


class Progressive(System):
    """Stage 0 learns from the bank; each later stage halves the steps of the stage before.

    The target is the x0 that one DDIM step needs to reach where two steps of the teacher end.
    """

    def prepare(self) -> None:
        """Run the first teacher; its trajectory holds all pairs of the first halving."""
        self.data = self.bank()
        self.grid = torch.tensor(self.data.grid)
        self.stages, self.stage = int(self.recipe.loss["halvings"]), 0
        self.frozen["teacher"] = self.copy_of(self.student)

    def length(self) -> float:
        """Iterations of one stage."""
        return self.total / self.stages

    def before(self, step: int) -> None:
        """At the start of a stage the student becomes the teacher."""
        stage = min(int(step / self.length()), self.stages - 1)
        begun = step == 0 or stage != min(int((step - 1) / self.length()), self.stages - 1)
        if begun and stage > 0:
            self.frozen["teacher"].load_state_dict(self.student.state_dict())
        self.stage = stage

    def progress(self, step: int) -> float:
        """The rate falls anew in each stage."""
        share = step / self.length()
        return min(share - min(int(share), self.stages - 1), 1.0)

    def loss(self, draws: Draws, count: int) -> Tensor:
        """One step of the stage's grid a sample; weight max(SNR, 1) in units of the data."""
        rows, stride = draws.integers(self.data.count, count, "trajectory"), 2 ** (self.stage + 1)
        steps = (len(self.grid) - 1) // stride
        place = draws.integers(steps, count, "level") * stride
        x, t = self.data.states[place, rows], self.grid[place]
        end = self.grid[place + stride]
        if self.stage == 0:
            goal = self.data.states[place + stride, rows]
        else:
            middle, frozen = self.grid[place + stride // 2], self.frozen["teacher"]
            with torch.no_grad():
                goal = frozen(frozen(x, t, middle), middle, end)
        share = (end / t)[:, None]
        wanted = (goal - share * x) / (1 - share)
        made = self.student(x, t, end)
        clean = (made - share * x) / (1 - share)
        weight = (self.world.sd**2 / t**2).clamp_min(1.0)
        return weight.clamp_max(1e4) * square(clean - wanted)
