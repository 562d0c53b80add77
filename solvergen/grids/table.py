"""Noise schedules given by a table of β, and the grids that are read from such a table."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from .distribution import beta_quantile
from .schedules import between


def betas(
    kind: str = "scaled_linear", n: int = 1000, start: float = 0.00085, end: float = 0.012
) -> list[float]:
    """A table of β.

    Args:
        kind: "linear" (DDPM: start 1e-4, end 0.02), "scaled_linear" (Stable Diffusion) or "cosine"
            (Nichol and Dhariwal 2021, Eq. 17, at most 0.999), which takes no start or end.
        n: length of the table.

    Raises:
        ValueError: another kind.

    >>> [round(beta, 4) for beta in betas("linear", 3, 0.1, 0.3)]
    [0.1, 0.2, 0.3]
    """
    if kind == "linear":
        return between(start, end, n - 1)
    if kind == "scaled_linear":
        return [root * root for root in between(math.sqrt(start), math.sqrt(end), n - 1)]
    if kind == "cosine":
        kept = [math.cos((i / n + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(n + 1)]
        return [min(1 - kept[i + 1] / kept[i], 0.999) for i in range(n)]
    raise ValueError(f"no table of kind `{kind}`; use linear, scaled_linear or cosine")


def rescaled_to_zero_snr(table: Sequence[float]) -> list[float]:
    """β whose √ᾱ is shifted and scaled to end at 0 (Lin et al. 2023, Algorithm 1).

    >>> rescaled_to_zero_snr([0.1, 0.2, 0.3])[-1]
    1.0
    """
    roots = [math.sqrt(kept) for kept in Table(table).kept]
    factor = roots[0] / (roots[0] - roots[-1])
    kept = [((root - roots[-1]) * factor) ** 2 for root in roots]
    return [1 - kept[0], *(1 - b / a for a, b in itertools.pairwise(kept))]


@dataclass(frozen=True)
class Table:
    """A trained table: β for the timesteps 0, 1, … .

    `sigmas` are σ/α in ascending order; between timesteps log(σ/α) is linear, as in k-diffusion,
    ComfyUI and diffusers.
    """

    betas: Sequence[float]

    @cached_property
    def kept(self) -> list[float]:
        """ᾱ: the products of 1 − β."""
        total, found = 1.0, []
        for beta in self.betas:
            total *= 1 - beta
            found.append(total)
        return found

    @cached_property
    def sigmas(self) -> list[float]:
        """σ/α of every timestep, ascending; infinite where ᾱ is 0."""
        return [math.sqrt((1 - a) / a) if a else math.inf for a in self.kept]

    def sigma(self, t: float) -> float:
        """σ/α at a timestep that need not be whole."""
        left = min(max(int(t), 0), len(self.sigmas) - 2)
        low, high = math.log(self.sigmas[left]), math.log(self.sigmas[left + 1])
        return math.exp(low + (t - left) * (high - low))

    def time(self, sigma: float) -> float:
        """The timestep of a level, which need not be whole.

        >>> table = Table(betas())
        >>> round(table.time(table.sigma(123.25)), 9)
        123.25
        """
        if sigma <= self.sigmas[0]:
            return 0.0
        left = min(bisect_right(self.sigmas, sigma) - 1, len(self.sigmas) - 2)
        low, high = math.log(self.sigmas[left]), math.log(self.sigmas[left + 1])
        return min(left + (math.log(sigma) - low) / (high - low), len(self.sigmas) - 1.0)

    def at(self, timesteps: Sequence[float]) -> list[float]:
        """The grid through these timesteps and 0."""
        return [self.sigma(t) for t in timesteps] + [0.0]

    def normal(self, n: int) -> list[float]:
        """Equal steps in the timestep from the greatest to the least, then 0 (ComfyUI `normal`)."""
        return self.at(between(len(self.sigmas) - 1.0, 0.0, n - 1))

    def sgm_uniform(self, n: int) -> list[float]:
        """Equal steps in the timestep whose last goes to 0 (ComfyUI and Stability `sgm_uniform`)."""
        return self.at(between(len(self.sigmas) - 1.0, 0.0, n)[:-1])

    def simple(self, n: int) -> list[float]:
        """Every (length/n)-th entry from the end, then 0 (ComfyUI `simple`)."""
        stride = len(self.sigmas) / n
        return [self.sigmas[-1 - int(i * stride)] for i in range(n)] + [0.0]

    def ddim_uniform(self, n: int) -> list[float]:
        """Every (length // n)-th entry from the second on, then 0 (ComfyUI `ddim_uniform`).

        It may have more than n steps: one for each entry that the stride meets.
        """
        stride = max(len(self.sigmas) // n, 1)
        return [*reversed(self.sigmas[1::stride]), 0.0]

    def beta(self, n: int, alpha: float = 0.6, beta: float = 0.6) -> list[float]:
        """Entries at quantiles of a beta distribution, then 0 (ComfyUI `beta`; beta57 is 0.5, 0.7).

        Timesteps that coincide after rounding count once, so it may have fewer than n steps.
        """
        last = len(self.sigmas) - 1
        times = (round(beta_quantile(1 - i / n, alpha, beta) * last) for i in range(n))
        return [self.sigmas[t] for t in dict.fromkeys(times)] + [0.0]
