"""The levels of a flow model as ComfyUI tabulates them, and the grids that it reads from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from .arguments import falling, real, whole
from .level_table import LevelTable
from .schedules import between


@dataclass(frozen=True)
class FlowTable(LevelTable):
    """Shifted times s t / (1 + (s − 1) t) of t = 1/length, 2/length, …, 1.

    Args:
        shift: s: 3 for SD3 (ComfyUI `ModelSamplingSD3`, its default); e^μ for Flux (`from_mu`).
        length: entries of the table: 1000 for SD3 and Wan, 10000 for Flux.

    Raises:
        ValueError: shift not above 0, length below 2, or levels that float64 cannot tell apart.

    >>> FlowTable(shift=1.0).simple(4)
    [1.0, 0.75, 0.5, 0.25, 0.0]
    >>> [round(t, 4) for t in FlowTable(shift=3.0).simple(4)]
    [1.0, 0.9, 0.75, 0.5, 0.0]
    """

    shift: float = 1.0
    length: int = 1000

    def __post_init__(self) -> None:
        real("shift", self.shift, above=0)
        whole("length", self.length, 2)
        falling(self.sigmas[::-1], shift=self.shift, length=self.length)

    @classmethod
    def from_mu(cls, mu: float = 1.15, length: int = 10000) -> FlowTable:
        """The table of Flux (ComfyUI `ModelSamplingFlux`), whose shift is e^μ.

        Raises:
            ValueError: μ is not a number from −50 to 50, or length below 2.
        """
        return cls(math.exp(real("mu", mu, least=-50, most=50)), length)

    @cached_property
    def sigmas(self) -> list[float]:
        """σ = t of every entry, ascending."""
        return [self.sigma((i + 1) / self.length) for i in range(self.length)]

    def sigma(self, t: float) -> float:
        """The shifted time of t.

        Raises:
            ValueError: t is not between 0 and 1.
        """
        t = real("t", t, least=0, most=1)
        return self.shift * t / ((1 - t) + self.shift * t)

    def normal(self, n: int) -> list[float]:
        """Equal steps from 1 to the table's least level, shifted, then 0 (ComfyUI `normal`).

        ComfyUI takes the level itself for its time, so the last level before 0 is shifted twice.

        Raises:
            ValueError: n is not an integer above 0.
        """
        n = whole("n", n)
        times = between(1.0, self.sigmas[0], n - 1) if n > 1 else [1.0]
        return falling([*map(self.sigma, times), 0.0], n=n, shift=self.shift)

    def sgm_uniform(self, n: int) -> list[float]:
        """The same towards a last time that is left out, then 0 (ComfyUI `sgm_uniform`).

        Raises:
            ValueError: n is not an integer above 0.
        """
        times = between(1.0, self.sigmas[0], whole("n", n))[:-1]
        return falling([*map(self.sigma, times), 0.0], n=n, shift=self.shift)
