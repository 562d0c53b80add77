"""DMD and DMD2 (Yin et al. 2024): two denoisers, one of the data and one of what is generated."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..seeds import Draws
from ..students import Denoising
from ..system import Player, System, square


class DistributionMatching(System):
    """Moves samples along D_real - D_fake at random levels; D_fake learns from the samples.

    Args of the loss: `critic` updates of D_fake for one of the generator; `adversarial` is the
    weight of a discriminator on noised samples (DMD2), `penalty` that of its gradient.
    """

    def prepare(self) -> None:
        """The teacher's denoiser, a network for D_fake, and a discriminator where it is used."""
        self.real = self.denoiser()
        self.fake: nn.Module = Denoising(self.network(1), self.world.sd, self.low)
        self.weight = float(self.recipe.loss["adversarial"])
        self.judge: nn.Module = self.network(1, outputs=1)
        # its learning rate follows the generator's; both denoisers must be right where they differ
        self.range = (0.05 * self.world.sd, 10 * self.world.sd)

    def players(self) -> dict[str, Player]:
        """The generator, D_fake, and the discriminator where it is used."""
        often = int(self.recipe.loss["critic"])
        out = {
            "student": Player(self.student, self.loss, betas=(0.0, 0.99), rate=0.3),
            "fake": Player(self.fake, self.fake_loss, often, betas=(0.0, 0.99)),
        }
        if self.weight:
            out["judge"] = Player(self.judge, self.judge_loss, 1, betas=(0.0, 0.99))
        return out

    def generated(self, draws: Draws, count: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Samples of the generator."""
        _, extra = self.world.draw(draws, count)
        return self.student(draws.normal((count, self.world.size), "latent"), **extra), extra

    def levels(self, draws: Draws, count: int) -> Tensor:
        """Log-uniform from 0.05 to 10 standard deviations."""
        low, high = (torch.tensor(one).log() for one in self.range)
        return (low + (high - low) * draws.uniform(count, "level")).exp()

    def loss(self, draws: Draws, count: int) -> Tensor:
        """Half a squared distance to a target whose gradient is the difference of denoisers."""
        x, extra = self.generated(draws, count)
        t = self.levels(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        noised = x + t[:, None] * z
        with torch.no_grad():
            real = self.real(noised.double(), t.double(), **extra).float()
            fake = self.fake(noised, t, **extra)
            size = (x - real).abs().mean(1, keepdim=True).clamp_min(0.1 * self.world.sd)
            goal = x - (fake - real) / size * self.world.sd
        made = 0.5 * square(x - goal)
        if self.weight:
            # a generator wants its samples to be taken for data
            logit = self.logit(noised, t, extra)
            made = made + self.weight * nn.functional.softplus(-logit)
        return made

    def logit(self, x: Tensor, t: Tensor, extra: dict[str, Tensor]) -> Tensor:
        """The discriminator's output on states noised to t."""
        size = torch.hypot(t, torch.full_like(t, self.world.sd))
        return self.judge(x / size[:, None], t.log() / 4, **extra)[:, 0]

    def fake_loss(self, draws: Draws, count: int) -> Tensor:
        """Denoising score matching on generated samples."""
        with torch.no_grad():
            x, extra = self.generated(draws, count)
        t = self.levels(draws, count)
        z = draws.normal((count, self.world.size), "noise")
        weight = (t**2 + self.world.sd**2) / (t * self.world.sd) ** 2
        return weight * square(self.fake(x + t[:, None] * z, t, **extra) - x)

    def judge_loss(self, draws: Draws, count: int) -> Tensor:
        """Data against samples, both noised, with a penalty on the gradient at data (R1)."""
        with torch.no_grad():
            x, extra = self.generated(draws, count)
        data, given = self.world.draw(draws, count)
        t = self.levels(draws, count)
        noise = draws.normal((count, self.world.size), "noise")
        real = (data + t[:, None] * noise).requires_grad_(True)
        seen = self.logit(real, t, given)
        made = nn.functional.softplus(-seen)
        made = made + nn.functional.softplus(self.logit(x + t[:, None] * noise, t, extra))
        slope = torch.autograd.grad(seen.sum(), real, create_graph=True)[0]
        return made + float(self.recipe.loss["penalty"]) * slope.square().sum(1) * t**2
