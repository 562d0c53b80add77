"""Image mixtures as a trained network knows them: with an error of its own, and a steeper spectrum.

A network is not an exact denoiser. That of `fashion` errs by 0.3 rms in F (the output of EDM's
preconditioning) at its largest level, which training hardly visits, and the error keeps its
direction over a factor of three in σ. A table fitted on exact mixtures relies on F being smooth there,
and fails. Here the error is a random layer of tanh units in the state and ln σ, so that it is a fixed
function of both, as a network's is, and the derivative is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..problem import Problem
from .mixture import Mixture, exact_ends

HIDDEN = 48
# EDM trains at ln σ ~ N(−1.2, 1.2²) for a deviation of 0.5: about −0.1 and 1.3 in deviations of the
# broad sets here. Errors grow where it seldom looks, up to six times.
CENTRE, SPREAD, MOST = -0.1, 1.3, 6.0
TURN = 0.4  # how fast the error turns with ln σ
SIZE, ROUGHNESS, STEEPNESS = (0.03, 0.12), (1.0, 4.0), (1.0, 4.0)  # log-uniform between these


@dataclass(frozen=True)
class Imperfect:
    """A mixture's denoiser plus sin θ times a random field in F, tan θ = σ.

    Args:
        name: of the problem.
        mixture: what the network was trained on.
        inner, bias, turn: (h, d), (h,), (h,) of the hidden layer, which sees x̂ and ln σ.
        outer: (d, h).
        size: rms of the error in F where training looks most.
        steepness: the variance of a coordinate in units of the deviation: above 1 the mixture
            stands for a picture with so many times more pixels, the others without variance.
    """

    name: str
    mixture: Mixture
    inner: Tensor
    bias: Tensor
    turn: Tensor
    outer: Tensor
    size: float
    steepness: float

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """What the network answers; x is (b, d), sigma one number."""
        hidden, scale, _ = self._hidden(x, sigma)
        return self.mixture.denoise(x, sigma) + scale * (hidden @ self.outer.T)

    def derivative(self, x: Tensor, sigma: Tensor) -> Callable[[Tensor], Tensor]:
        """Directions (p, b, d) → the derivatives of the answer at x along them."""
        exact = self.mixture.derivative(x, sigma)
        hidden, scale, cosine = self._hidden(x, sigma)
        slope = (1 - hidden * hidden) * (scale * cosine)

        def along(directions: Tensor) -> Tensor:
            return exact(directions) + ((directions @ self.inner.T) * slope) @ self.outer.T

        return along

    def problem(self, sigma_max: float = 80.0, sigma_min: float = 0.002) -> Problem:
        """The network as a problem: its own ends, which are not the mixture's."""
        return replace(
            self.mixture.problem(sigma_max, sigma_min),
            name=self.name,
            denoiser=self.denoise,
            derivative=self.derivative,
            std=self.steepness**-0.5,
            teacher=lambda x: exact_ends(self, x, sigma_max, sigma_min, 1e-5),
        )

    def _hidden(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cosine = (1 + sigma * sigma).rsqrt()
        hidden = torch.tanh((x * cosine) @ self.inner.T + self.bias + self.turn * sigma.log())
        rare = ((sigma.log() - CENTRE) ** 2 / (4 * SPREAD**2)).exp().clamp(max=MOST)
        return hidden, self.size * rare * sigma * cosine, cosine


def imperfect(name: str, mixture: Mixture, draws: list[int], seed: int) -> Imperfect:
    """A network of random error that stands for one trained on this mixture.

    Args:
        draws: seed of its size, roughness and steepness; `seed` that of its layers.
    """
    rng = np.random.default_rng(draws)
    size, rough, steep = (
        math.exp(rng.uniform(math.log(low), math.log(high)))
        for low, high in (SIZE, ROUGHNESS, STEEPNESS)
    )
    generator = torch.Generator().manual_seed(seed)
    dimension = mixture.means.shape[1]

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Imperfect(
        name=name,
        mixture=mixture,
        inner=normal(HIDDEN, dimension) * rough / math.sqrt(dimension),
        bias=normal(HIDDEN),
        turn=TURN * normal(HIDDEN),
        outer=normal(dimension, HIDDEN) / math.sqrt(HIDDEN) * 1.6,  # tanh units have rms 0.6
        size=size,
        steepness=steep,
    )
