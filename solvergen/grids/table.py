"""Noise schedules given by a table of β, and the grids that are read from such a table."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from .arguments import falling, real, reals, whole
from .level_table import LevelTable
from .schedules import between


def betas(
    kind: str = "scaled_linear", n: int = 1000, start: float = 0.00085, end: float = 0.012
) -> list[float]:
    """A table of β.

    Args:
        kind: "linear" (DDPM: start 1e-4, end 0.02), "scaled_linear" (Stable Diffusion) or "cosine"
            (Nichol and Dhariwal 2021, Eq. 17, at most 0.999), which takes no start or end.
        n: length of the table, 2 or more.
        start, end: first and last β, above 0 and below 1.

    Raises:
        ValueError: another kind, or an argument out of bounds.

    >>> [round(beta, 4) for beta in betas("linear", 3, 0.1, 0.3)]
    [0.1, 0.2, 0.3]
    """
    n = whole("n", n, 2)
    if kind == "cosine":
        kept = [math.cos((i / n + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(n + 1)]
        return _checked("n", [min(1 - kept[i + 1] / kept[i], 0.999) for i in range(n)])
    if kind not in ("linear", "scaled_linear"):
        raise ValueError(f"no table of kind `{kind}`; use linear, scaled_linear or cosine")
    start, end = (real(k, v, above=0, below=1) for k, v in (("start", start), ("end", end)))
    if kind == "linear":
        return between(start, end, n - 1)
    return [root * root for root in between(math.sqrt(start), math.sqrt(end), n - 1)]


def rescaled_to_zero_snr(table: Sequence[float], least: float = 0.0) -> list[float]:
    """β whose √ᾱ is shifted and scaled to end at 0 (Lin et al. 2023, Algorithm 1).

    Args:
        table: the β.
        least: what ᾱ ends at in place of 0, to keep the last level finite: diffusers' solvers have
            2⁻²⁴, ComfyUI 4.8973451890853435e-08².

    Raises:
        ValueError: β out of bounds, or `least` not below the entry before.

    >>> rescaled_to_zero_snr([0.1, 0.2, 0.3])[-1]
    1.0
    """
    roots = [math.sqrt(kept) for kept in Table(table).kept]
    factor = roots[0] / (roots[0] - roots[-1])
    kept = [((root - roots[-1]) * factor) ** 2 for root in roots[:-1]]
    kept.append(real("least", least, least=0, below=kept[-1]))
    return _checked("table", [1 - kept[0], *(1 - b / a for a, b in itertools.pairwise(kept))])


@dataclass(frozen=True)
class Table(LevelTable):
    """A trained table: β for the timesteps 0, 1, … .

    `sigmas` are σ/α in ascending order; between timesteps log(σ/α) is linear, as in k-diffusion,
    ComfyUI and diffusers.

    Raises:
        ValueError: fewer than two β, or one that is not above 0 and below 1 (the last may be 1).
    """

    betas: Sequence[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(_checked("betas", reals("betas", self.betas))))

    @cached_property
    def kept(self) -> list[float]:
        """ᾱ: the products of 1 − β."""
        return list(itertools.accumulate((1 - b for b in self.betas), lambda a, b: a * b))

    @cached_property
    def sigmas(self) -> list[float]:
        """σ/α of every timestep, ascending; infinite where ᾱ is 0."""
        return [math.sqrt((1 - a) / a) if a else math.inf for a in self.kept]

    def sigma(self, t: float) -> float:
        """σ/α at a timestep that need not be whole.

        Raises:
            ValueError: t lies beyond the table, or its level is infinite.
        """
        t = real("t", t, least=0, most=len(self.sigmas) - 1)
        left = min(int(t), len(self.sigmas) - 2)
        if t == left:
            return self.sigmas[left]
        real(f"the level after timestep t = {t}", self.sigmas[left + 1])
        low, high = math.log(self.sigmas[left]), math.log(self.sigmas[left + 1])
        return math.exp(low + (t - left) * (high - low))

    def time(self, sigma: float) -> float:
        """The timestep of a level, which need not be whole; levels beyond the table have its ends.

        >>> table = Table(betas())
        >>> round(table.time(table.sigma(123.25)), 9)
        123.25
        """
        if math.isnan(sigma):
            raise ValueError("sigma must be a number; found nan")
        if sigma <= self.sigmas[0]:
            return 0.0
        if sigma >= self.sigmas[-1]:
            return len(self.sigmas) - 1.0
        left = bisect_right(self.sigmas, sigma) - 1
        low, high = math.log(self.sigmas[left]), math.log(self.sigmas[left + 1])
        return left + (math.log(sigma) - low) / (high - low)

    def at(self, timesteps: Sequence[float]) -> list[float]:
        """The grid through these timesteps and 0.

        Raises:
            ValueError: they do not fall, or leave the table.
        """
        times = reals("timesteps", timesteps, least=0, most=len(self.sigmas) - 1)
        self._finite()
        return falling([self.sigma(t) for t in times] + [0.0], timesteps=times)

    def normal(self, n: int) -> list[float]:
        """Equal steps in the timestep from the greatest to the least, then 0 (ComfyUI `normal`).

        Raises:
            ValueError: n is not an integer above 0.

        >>> [round(level, 4) for level in Table(betas()).normal(1)]
        [14.6146, 0.0]
        """
        n, last = whole("n", n), len(self.sigmas) - 1.0
        return self.at(between(last, 0.0, n - 1) if n > 1 else [last])

    def sgm_uniform(self, n: int) -> list[float]:
        """Equal steps in the timestep whose last goes to 0 (ComfyUI and Stability `sgm_uniform`).

        Raises:
            ValueError: n is not an integer above 0.
        """
        return self.at(between(len(self.sigmas) - 1.0, 0.0, whole("n", n))[:-1])


def _checked(name: str, table: list[float]) -> list[float]:
    """β that make levels which rise: above 0, below 1 but for the last, and not lost to rounding."""
    if len(table) < 2:
        raise ValueError(f"{name} must hold two values of beta or more; found {len(table)}")
    kept = 1.0
    for place, beta in enumerate(table):
        real(f"{name}: beta at timestep {place}", beta, above=0, most=1)
        before, kept = kept, kept * (1 - beta)
        if not (0 < kept < before or (place == len(table) - 1 and 0 <= kept < before)):
            raise ValueError(
                f"{name}: the kept signal falls from {before} to {kept} at timestep {place}, with "
                f"beta = {beta}; it must fall at every entry, and be above 0 before the last"
            )
    return table
