"""Networks that learn the variance of their ancestral step: it scales the sampler's next draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .noise import Level, NoiseSampler, level_of

KINDS = ("range", "variance")
DRAWN = ("small", "large")


class LearnedVariance(nn.Module):
    """The prediction of a network whose second half of channels tells the variance of its step.

    The variance of a DDPM step lies between β̃ (small) and β (large). A sampler draws with one of
    them, a number; the network's value of each pixel multiplies the draw that follows its call:

        learned = LearnedVariance(network)
        model = Denoiser(learned, "noise", time=...)
        sample(model, x, sigmas, noise_sampler=learned.noise_sampler(source))

    Under `Guided` the conditional half's variance is taken, as by the models' authors.

    Args:
        network: `network(x, time, **extra)` with twice the channels of x.
        kind: "range", the second half v in [-1, 1] places log variance between β̃ and β (Nichol and
            Dhariwal 2021, Eq. 15; diffusers "learned_range"), or "variance", it is the variance of
            the variance-preserving state (diffusers "learned").

    Raises:
        ValueError: another kind, or an output of other than twice the channels.
    """

    def __init__(self, network: Callable[..., Tensor], kind: str = "range") -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}; found {kind!r}")
        self.network, self.kind = network, kind
        self.value: Tensor | None = None

    def forward(self, x: Tensor, time: Tensor, **extra: Any) -> Tensor:
        """The network's prediction; the other half is kept for the next draw."""
        output = self.network(x, time, **extra)
        if output.shape[1] != 2 * x.shape[1]:
            raise ValueError(
                f"a learned variance needs {2 * x.shape[1]} channels, twice those of x; the "
                f"network returned {output.shape[1]}"
            )
        prediction, self.value = output.chunk(2, 1)
        return prediction

    def noise_sampler(self, source: NoiseSampler, drawn: str = "small") -> NoiseSampler:
        """The source's draws, scaled from the sampler's own variance to the learned one.

        Args:
            source: draws of unit variance.
            drawn: which variance the sampler's weight has, "small" (β̃) or "large" (β).

        Raises:
            ValueError: another word, a draw before the model's first call, or one for a step that
                does not go down, or goes to level 0, where β̃ is zero.
        """
        if drawn not in DRAWN:
            raise ValueError(f"drawn must be one of {DRAWN}; found {drawn!r}")

        def draw(sigma: Level, sigma_next: Level) -> Tensor:
            noise = source(sigma, sigma_next)
            if self.value is None:
                raise ValueError("the model was not called yet, so no variance is known")
            levels = level_of(sigma), level_of(sigma_next)
            factor = self._factor(self.value, *levels, drawn == "large")
            return noise * factor[-len(noise) :].to(noise)

        return draw

    def _factor(self, value: Tensor, level: float, later: float, large: bool) -> Tensor:
        """Learned standard deviation over the sampler's, in float32 or wider."""
        if not 0 < later < level < math.inf:
            raise ValueError(
                f"a variance is learned for steps down to a level above 0; found {level} to {later}"
            )
        value = value.to(torch.promote_types(value.dtype, torch.float32))
        # Square root of β / β̃: the ratio of σ before and after, of the variance-preserving state.
        ratio = level / later * math.hypot(1, later) / math.hypot(1, level)
        if self.kind == "range":
            factor = torch.exp((value + 1) / 2 * math.log(ratio))
        else:
            beta = (level - later) * (level + later) / (1 + level**2)
            factor = value.sqrt() * (ratio / math.sqrt(beta))
        return factor / ratio if large else factor
