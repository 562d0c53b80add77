"""The Gaussian target of a stochastic solver: its exact flow and law, as series about a grid point.

With data N(μ, c²) in one direction, σ̃ = e^{−λ}, v = c² + σ̃² and k = c²/v, the denoiser is
D = μ + k (u − μ), and the reverse SDE of strength τ(λ) is linear in w = u − μ:

    dw = −A (1 − k) w dλ + √2 τ σ̃ dW,     A = 1 + τ²,     d log v/dλ = −2 (1 − k)

    E w(b) = Φ(b, a) E w(a),              Φ(b, a) = exp(−∫_a^b A (1 − k) dλ)
    Cov(w(a), w(b)) = Φ(b, a) v(a)        for a ≤ b, from a start in the marginal N(μ, v)

Directions of the covariance of the data decouple, so that a single one with generic c² and σ̃
stands for all Gaussian targets.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from random import Random

from ...algebra.fixed import FixedSeries, RealRing
from ...algebra.scalar import Scalar


def generic(seed: int, index: int = 0) -> Fraction:
    """A random number of 100 bits between 1/2 and 3/2, the same at every call."""
    return Fraction(Random(1_000_003 * seed + index).getrandbits(100), 1 << 100) + Fraction(1, 2)


LEVEL = generic(103)  # σ̃ at the base point


class Target:
    """Exact law of the solution at positions of a grid (in units of h from its base point).

    Args:
        ring: the series in h.
        strength: τ² as a Taylor series in λ about the base point.
        spread: c²; generic unless given.
    """

    def __init__(
        self, ring: RealRing, strength: FixedSeries, spread: Fraction | None = None
    ) -> None:
        self.ring, self.strength = ring, strength
        self.spread = generic(101) if spread is None else spread
        self.level = LEVEL
        self.steady = len(strength.terms) <= 1 and strength.low in (0, strength.end)
        self.line = RealRing(strength.end, 1)  # Taylor series in λ
        self.kept: dict[tuple[str, object], Scalar] = {}
        self.decay = self.integrated(self._rate()) if not self.steady else None

    def _rate(self) -> FixedSeries:
        """A (1 − k) as a Taylor series."""
        level = self._level_series()
        square = level * level
        return (1 + self.strength) * square / (self.spread + square)

    def _level_series(self) -> FixedSeries:
        return self.line.lifted(self.line.exp(-self.line.h) * self.level)

    @staticmethod
    def integrated(series: FixedSeries) -> FixedSeries:
        """The antiderivative of a Taylor series that vanishes at the base point."""
        terms = [value // (k + 1) for k, value in enumerate(series.terms, series.low)]
        return FixedSeries(series.low + 1, terms, series.end + 1)

    def _cached(self, name: str, position: object, make: Callable[[], Scalar]) -> Scalar:
        key = (name, position)
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def sigma(self, position: Scalar) -> Scalar:
        """σ̃ there."""
        return self._cached(
            "sigma",
            position,
            lambda: self.ring.lifted(self.ring.exp(-(position * self.ring.h))) * self.level,
        )

    def variance(self, position: Scalar) -> Scalar:
        """v there."""
        return self._cached("variance", position, lambda: self.sigma(position) ** 2 + self.spread)

    def gain(self, position: Scalar) -> Scalar:
        """k there."""
        return self._cached("gain", position, lambda: self.spread / self.variance(position))

    def _potential(self, position: Scalar) -> Scalar:
        """∫ A (1 − k) dλ up to there, up to a constant."""
        if self.decay is None:
            rate = self.ring.constant(1) + self.ring.composed(self.strength, Fraction(0))
            return self.ring.log(self.variance(position)) * rate * Fraction(-1, 2)
        return self.ring.composed(self.decay, position * self.ring.h)

    def flow(self, start: Scalar, end: Scalar) -> Scalar:
        """Φ(end, start); also backwards."""
        if start is end or start == end:
            return Fraction(1)
        ends = [
            self._cached("potential", place, partial(self._potential, place))
            for place in (start, end)
        ]
        return self._cached("flow", (start, end), lambda: self.ring.exp(ends[0] - ends[1]))

    def covariance(self, first: Scalar, last: Scalar) -> Scalar:
        """Cov(w(first), w(last)) from a start in the marginal, first ≤ last."""
        return self.flow(first, last) * self.variance(first)

    # -- the path ------------------------------------------------------------------------------

    def kernel(self) -> FixedSeries:
        """√2 τ σ̃ e^{∫A(1−k)} as a Taylor series: the noise's part in w(b) per dW, without Φ(b, 0)."""
        line = self.line
        growth = line.exp(self.integrated(self._rate()).truncated(line.end))
        return line.lifted(line.sqrt(2 * self.strength) * self._level_series() * growth)

    def integral(self, series: FixedSeries, start: Scalar, end: Scalar) -> Scalar:
        """The integral of a Taylor series between two positions."""
        whole = self.integrated(series)
        parts = [self.ring.composed(whole, place * self.ring.h) for place in (start, end)]
        return parts[1] - parts[0]
