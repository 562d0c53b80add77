"""One Brownian path for every grid: the noise of coarse and fine runs of a stochastic sampler.

`BrownianPath` and `Coarsened` are sources of noise: `path(sigma, sigma_next)` is a draw of unit
variance, levels are σ/α.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .noise import Level, Recorded, Seeded, checked_seeds, level_of, unit_normal

Clock = Callable[[float], float]


@dataclass(frozen=True)
class ReverseClock:
    """The clock in which the noise of a reverse SDE is Brownian: a function of the level.

    Args:
        integrand: what is predicted, "data" or "noise".
        strength: τ of the data form; the clock of the noise form is the same for any.
    """

    integrand: str
    strength: float | None = None

    def __call__(self, level: float) -> float:
        """The clock at a level σ/α."""
        if self.strength is None:
            return -(level**2)
        return math.pow(level, -2 * self.strength**2) if level else math.inf


def data_clock(strength: float = 1.0) -> ReverseClock:
    """The clock (α/σ)^(2τ²) of the reverse SDE of strength τ under data prediction.

    Its noise over a step is ∫ e^(τ²λ) dW up to a factor, which is Brownian in this clock.

    Raises:
        ValueError: τ is not above zero: without noise there is no clock.

    >>> data_clock(1.0)(0.5)
    4.0
    """
    if not 0 < strength < math.inf:
        raise ValueError(
            f"the strength of a Brownian path must be above 0 and finite; found {strength}. "
            "At 0 a sampler draws nothing: leave the noise sampler out"
        )
    return ReverseClock("data", strength)


# The clock −(σ/α)² of the reverse SDE under noise prediction, for any strength.
noise_clock = ReverseClock("noise")


class BrownianPath:
    """Draws that are normalised increments of one Brownian path W(q), q a clock of the level.

    `path(a, b)` is (W(q_b) − W(q_a)) / sqrt(|q_b − q_a|): draws over [a, b] and [b, c] add up to
    the one over [a, c], so fine and coarse runs see the same noise; `data_clock` and `noise_clock`
    are the clocks in which a solver's noise is Brownian. With `float` as the clock this is the
    contract of k-diffusion's BrownianTreeNoiseSampler, whose `transform` is our clock.

    W is Lévy's sum over dyadic intervals of the half-line: one normal for each interval that holds
    q, keyed by the sample's seed and the place where it enters. So no range of levels need be
    known, the order of questions does not matter, and a run may resume anywhere. The intervals
    shrink until q is met to the last of its `bits`: some 40 normals per sample and new level with
    32 bits, a relative error of the clock of 10⁻¹⁰, and 60 with all 52. Memory is that of three
    values of W, whatever the grid.

    Draws at one level, as Langevin steps make them, are of no part of the path, and independent.
    Samplers of the reverse SDE refuse a path whose `equation` is another one's.

    Under `data_clock` the draw to level 0 (q = ∞) is independent of the path, which is the limit in
    law of the increments that lead there.

    Args:
        x: the state whose shape, dtype and device the draws have.
        seeds: one integer per sample.
        clock: a monotone function of the level; `data_clock(1.0)` unless given.
        bits: bits after the leading one that the path resolves of the clock, 1 to 52.

    Raises:
        ValueError: a level that rises (churn, restart: to go up and down along one path would undo
            the noise; they take `Seeded`), or a step that is not resolved.
    """

    def __init__(
        self, x: Tensor, seeds: Sequence[int], clock: Clock | None = None, bits: int = 32
    ) -> None:
        if not (isinstance(bits, int) and 1 <= bits <= 52):
            raise ValueError(f"bits must be from 1 to 52, those of a float64; found {bits}")
        self.like, self.shape = x.new_empty(0), x.shape
        self.seeds, self.bits = checked_seeds(x, seeds), bits
        self._clock = data_clock() if clock is None else clock
        self._known: dict[float, Tensor] = {}
        self._apart = Seeded(x, self.seeds)

    @property
    def equation(self) -> tuple[str, float | None] | None:
        """Integrand and strength of the reverse SDE whose noise this is, where the clock tells."""
        clock = self._clock
        return (clock.integrand, clock.strength) if isinstance(clock, ReverseClock) else None

    def clock(self, sigma: Level) -> float:
        """q of a level, rounded to what the path resolves.

        Raises:
            ValueError: q is not a number, or infinite at a level that is neither 0 nor infinite.
        """
        level = level_of(sigma)
        try:
            place = float(self._clock(level))
        except OverflowError:
            place = math.nan
        if math.isnan(place) or (math.isinf(place) and 0 < level < math.inf):
            raise ValueError(
                f"the clock of level {level} is beyond float64; drop that level, or lower the "
                "strength"
            )
        if math.isinf(place):
            return place
        mantissa, exponent = math.frexp(place)
        return math.ldexp(round(math.ldexp(mantissa, self.bits + 1)), exponent - self.bits - 1)

    def __call__(self, sigma: Level, sigma_next: Level) -> Tensor:
        """The normalised increment from sigma down to sigma_next."""
        first, last = level_of(sigma), level_of(sigma_next)
        if last > first:
            raise ValueError(
                f"a Brownian path leads from high levels to low; found {first} to {last}. "
                "Use Seeded for samplers that raise the level"
            )
        if first == last:
            return self._apart(first, last)
        start, end = self.clock(first), self.clock(last)
        if start == end or math.isinf(start):
            raise ValueError(
                f"no increment from level {first} to {last}: the clock is {start} and {end} there, "
                f"to {self.bits} bits. Levels must differ by more, or bits be raised"
            )
        if math.isinf(end):
            return self._sum([(end, 1.0)]).to(self.like)
        return ((self._value(end) - self._value(start)) / abs(end - start) ** 0.5).to(self.like)

    def _value(self, place: float) -> Tensor:
        """W at a place of the clock; the last three are kept, for steps that follow each other."""
        value = self._known.pop(place, None)
        if value is None:
            nodes = path_nodes(abs(place))
            value = self._sum([(math.copysign(at, place), weight) for at, weight in nodes])
        self._known = dict([*self._known.items(), (place, value)][-3:])
        return value

    def _sum(self, nodes: list[tuple[float, float]]) -> Tensor:
        """A weighted sum of the normals of these nodes, for every sample."""
        total = torch.zeros(self.shape, dtype=torch.float64)
        for sample, seed in zip(total, self.seeds, strict=True):
            for at, weight in nodes:
                place = b"path" + struct.pack("<d", at)
                sample.add_(unit_normal(seed, place, self.shape[1:]), alpha=weight)
        return total


def path_nodes(place: float) -> Iterator[tuple[float, float]]:
    """The nodes of Lévy's sum W(q) = Σ weight · normal at q >= 0: place of entry and weight.

    The half-line is cut at 1, 2, 4, …: a node at the upper end of each piece carries its increment,
    then one in the middle of each half that holds q, until q is itself the middle.

    >>> list(path_nodes(2.0))
    [(1.0, 1.0), (2.0, 1.0)]
    >>> list(path_nodes(0.5))
    [(1.0, 0.5), (0.5, 0.5)]
    """
    low, high = 0.0, 1.0
    while place >= high:
        yield high, math.sqrt(high - low)
        low, high = high, 2 * high
    if place == low:
        return
    yield high, (place - low) / math.sqrt(high - low)
    middle = math.nan
    while middle != place:
        middle, half = (low + high) / 2, (high - low) / 2
        # The distance to the nearer end is exact in float64, unlike that to the middle.
        yield middle, min(place - low, high - place) / math.sqrt(2 * half)
        low, high = (low, middle) if place < middle else (middle, high)


class Coarsened:
    """The draws of a fine run summed for a run on some of its levels: the same noise.

    Args:
        record: a fine run's draws, one per step, from any source of independent draws.
        clock: the clock in which they are increments of one path; see `data_clock`.

    Raises:
        ValueError: two draws of the record start at one level, or a step that does not consist of
            whole recorded steps.
    """

    def __init__(self, record: Recorded, clock: Clock) -> None:
        self.clock = clock
        self.steps: dict[float, tuple[float, Tensor]] = {}
        for (start, end), draw in zip(record.levels, record.draws, strict=True):
            if start in self.steps:
                raise ValueError(f"two recorded draws start at level {start}; record one per step")
            self.steps[start] = end, draw

    def __call__(self, sigma: Level, sigma_next: Level) -> Tensor:
        """The normalised sum of the recorded increments from sigma down to sigma_next."""
        first, last = level_of(sigma), level_of(sigma_next)
        parts, level = [], first
        while level > last and level in self.steps:
            end, draw = self.steps[level]
            parts.append((self.clock(end) - self.clock(level), draw))
            level = end
        if level != last or not parts:
            raise ValueError(
                f"the step from level {first} to {last} is not made of whole recorded steps; "
                f"those from {first} on meet {level}. Use levels of the record"
            )
        if len(parts) == 1:
            return parts[0][1]
        length = sum(step for step, _ in parts)
        return torch.stack([draw * (step / length) ** 0.5 for step, draw in parts]).sum(0)
