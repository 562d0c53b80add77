"""Adversarial students: UFOGen (Xu et al. 2024) and ADD (Sauer et al. 2024)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..seeds import Draws
from ..students import MultistepGenerator
from ..system import Player, System, square


class AdversarialDenoising(System):
    """A diffusion GAN on x_{t-1}: data noised to t-1 against G(x_t) noised to t-1.

    Args of the loss: `steps` levels, `reconstruction` the weight of |x0 - G(x_t)|^2, `penalty` that
    of the discriminator's gradient.
    """

    def prepare(self) -> None:
        """Levels from the highest down; a discriminator of states at a level."""
        inner = self.student
        assert isinstance(inner, MultistepGenerator)
        steps, sd = int(self.recipe.loss["steps"]), self.world.sd
        top, low = self.top, 0.25 * sd
        levels = (
            [top]
            if steps == 1
            else [
                4 * sd * (low / (4 * sd)) ** (i / (steps - 2)) if steps > 2 else low
                for i in range(steps - 1)
            ]
        )
        inner.levels = tuple(levels) if steps == 1 else (top, *levels)
        self.levels = torch.tensor([*inner.levels, 0.0])
        self.judge: nn.Module = self.network(1, outputs=1)

    def players(self) -> dict[str, Player]:
        """Generator and discriminator."""
        often = int(self.recipe.loss["critic"])
        return {
            "student": Player(self.student, self.loss, betas=(0.0, 0.99), rate=0.5),
            "judge": Player(self.judge, self.judge_loss, often, betas=(0.0, 0.99)),
        }

    def drawn(self, draws: Draws, count: int) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """x0, the level t and the level after it."""
        x0, extra = self.world.draw(draws, count)
        index = draws.integers(len(self.levels) - 1, count, "level")
        return x0, self.levels[index], self.levels[index + 1], extra

    def noised(self, x: Tensor, t: Tensor, draws: Draws, purpose: str) -> Tensor:
        """States at t, never quite without noise: a discriminator needs overlapping laws."""
        return x + self.floor(t)[:, None] * draws.normal((len(x), self.world.size), purpose)

    def floor(self, t: Tensor) -> Tensor:
        """The noise that a discriminator sees at t."""
        return t.clamp_min(0.1 * self.world.sd)

    def predicted(self, x0: Tensor, t: Tensor, draws: Draws, extra: dict[str, Tensor]) -> Tensor:
        """G(x0 + t z, t)."""
        inner = self.student
        assert isinstance(inner, MultistepGenerator)
        noise = draws.normal((len(x0), self.world.size), "noise")
        return inner.predict(x0 + t[:, None] * noise, t, **extra)

    def logit(self, x: Tensor, t: Tensor, extra: dict[str, Tensor]) -> Tensor:
        """The discriminator on states at a level."""
        level = self.floor(t)
        size = torch.hypot(level, torch.full_like(level, self.world.sd))
        return self.judge(x / size[:, None], level.log() / 4, **extra)[:, 0]

    def loss(self, draws: Draws, count: int) -> Tensor:
        """Fool the discriminator one level below; stay near x0 where the level says what it is."""
        x0, t, after, extra = self.drawn(draws, count)
        made = self.predicted(x0, t, draws, extra)
        seen = self.logit(self.noised(made, after, draws, "fake"), after, extra)
        near = float(self.recipe.loss["reconstruction"]) / (1 + (t / self.world.sd) ** 2)
        return nn.functional.softplus(-seen) + near * square(made - x0) / self.world.sd**2

    def judge_loss(self, draws: Draws, count: int) -> Tensor:
        """Data against samples at the level after t, with a penalty on the gradient (R1)."""
        x0, t, after, extra = self.drawn(draws, count)
        with torch.no_grad():
            made = self.predicted(x0, t, draws, extra)
        other, _ = self.world.draw(
            Draws(draws.seed + 1, draws.step, draws.rank, draws.world), count
        )
        data = other if not extra else x0
        real = self.noised(data, after, draws, "real").requires_grad_(True)
        seen = self.logit(real, after, extra)
        fake = self.logit(self.noised(made, after, draws, "fake"), after, extra)
        slope = torch.autograd.grad(seen.sum(), real, create_graph=True)[0]
        penalty = slope.square().sum(1) * self.floor(after) ** 2
        cost = nn.functional.softplus(-seen) + nn.functional.softplus(fake)
        return cost + float(self.recipe.loss["penalty"]) * penalty


class AdversarialDistillation(System):
    """ADD: a discriminator on noised samples and the distance to the teacher's denoised ones.

    The discriminator sees samples noised to a random level, as in DMD2: on bare samples of a toy the
    two laws hardly overlap and its gradient says nothing. The distance is that of score distillation:
    it pulls a sample to the mean of its neighbourhood, so alone it loses modes and spread.
    """

    def prepare(self) -> None:
        """The teacher's denoiser and a discriminator of noised samples."""
        self.real = self.denoiser()
        self.judge: nn.Module = self.network(1, outputs=1)

    def players(self) -> dict[str, Player]:
        """Generator and discriminator."""
        return {
            "student": Player(self.student, self.loss, betas=(0.0, 0.99), rate=0.5),
            "judge": Player(self.judge, self.judge_loss, 2, betas=(0.0, 0.99)),
        }

    def levels(self, draws: Draws, count: int) -> Tensor:
        """Log-uniform from 0.1 to 3 standard deviations."""
        sd = self.world.sd
        low, high = torch.tensor(0.1 * sd).log(), torch.tensor(3 * sd).log()
        return (low + (high - low) * draws.uniform(count, "level")).exp()

    def logit(self, x: Tensor, t: Tensor, extra: dict[str, Tensor]) -> Tensor:
        """The discriminator on states noised to t."""
        size = torch.hypot(t, torch.full_like(t, self.world.sd))
        return self.judge(x / size[:, None], t.log() / 4, **extra)[:, 0]

    def loss(self, draws: Draws, count: int) -> Tensor:
        """Adversarial term plus `distillation` times the distance to the teacher."""
        _, extra = self.world.draw(draws, count)
        x = self.student(draws.normal((count, self.world.size), "latent"), **extra)
        t = self.levels(draws, count)
        noised = x + t[:, None] * draws.normal((count, self.world.size), "noise")
        made = nn.functional.softplus(-self.logit(noised, t, extra))
        part = float(self.recipe.loss["distillation"])
        if part:
            with torch.no_grad():
                goal = self.real(noised.double(), t.double(), **extra).float()
            # c(t) falls with the level: far up the teacher only knows the mean of all data
            weight = 1 / (1 + (t / self.world.sd) ** 2) ** 2
            made = made + part * weight * square(x - goal) / self.world.sd**2
        return made

    def judge_loss(self, draws: Draws, count: int) -> Tensor:
        """Data against samples, both noised, with a penalty on the gradient (R1)."""
        data, extra = self.world.draw(draws, count)
        with torch.no_grad():
            x = self.student(draws.normal((count, self.world.size), "latent"), **extra)
        t = self.levels(draws, count)
        real = data + t[:, None] * draws.normal((count, self.world.size), "real")
        real = real.requires_grad_(True)
        fake = x + t[:, None] * draws.normal((count, self.world.size), "fake")
        seen = self.logit(real, t, extra)
        slope = torch.autograd.grad(seen.sum(), real, create_graph=True)[0]
        cost = nn.functional.softplus(-seen) + nn.functional.softplus(self.logit(fake, t, extra))
        return cost + float(self.recipe.loss["penalty"]) * slope.square().sum(1) * t**2
