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
from functools import cache, partial
from random import Random

from ...algebra.fixed import FixedSeries, RealRing
from ...algebra.scalar import Scalar


@cache
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
        self.decay = self.integrated(self.rate()) if not self.steady else None

    def rate(self) -> FixedSeries:
        """A (1 − k) as a Taylor series."""
        level = self.levels()
        square = level * level
        return (1 + self.strength) * square / (self.spread + square)

    def levels(self) -> FixedSeries:
        """σ̃ as a Taylor series."""
        return self.line.lifted(self.line.exp(-self.line.h) * self.level)

    @staticmethod
    def integrated(series: FixedSeries) -> FixedSeries:
        """The antiderivative of a Taylor series that vanishes at the base point."""
        terms = [value // (k + 1) for k, value in enumerate(series.terms, series.low)]
        return FixedSeries(series.low + 1, terms, series.end + 1)

    def cached(self, name: str, position: object, make: Callable[[], Scalar]) -> Scalar:
        """A quantity at a position or between two, made once."""
        key = (name, position)
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def sigma(self, position: Scalar) -> Scalar:
        """σ̃ there."""
        return self.cached(
            "sigma",
            position,
            lambda: self.ring.lifted(self.ring.exp(-(position * self.ring.h))) * self.level,
        )

    def variance(self, position: Scalar) -> Scalar:
        """v there."""
        return self.cached("variance", position, lambda: self.sigma(position) ** 2 + self.spread)

    def gain(self, position: Scalar) -> Scalar:
        """k there."""
        return self.cached("gain", position, lambda: self.spread / self.variance(position))

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
            self.cached("potential", place, partial(self._potential, place))
            for place in (start, end)
        ]
        return self.cached("flow", (start, end), lambda: self.ring.exp(ends[0] - ends[1]))

    def covariance(self, first: Scalar, last: Scalar) -> Scalar:
        """Cov(w(first), w(last)) from a start in the marginal, first ≤ last."""
        return self.flow(first, last) * self.variance(first)


class PathNoise:
    """What the SDE's noise adds along a path, between positions.

    A draw that belongs to a part of a step is the normalised integral of shape dW over it, where shape is
    e^{τ²λ} (data) or e^{−λ} (noise); the exact solution takes the integral of kernel dW, where kernel is
    √2 τ σ̃ e^{∫A(1−k)}, the noise's part in w(b) without Φ(b, 0).

    Args:
        target: the exact law.
        kappa: +1 data, −1 noise, 0 velocity.
    """

    def __init__(self, target: Target, kappa: int) -> None:
        self.target, line = target, target.line
        slope = line.constant(-1)
        if kappa != -1:
            slope = FixedSeries(0, target.strength.truncated(1).terms, line.end)
        self.shape = line.lifted(line.exp(slope * line.h))
        growth = line.exp(target.integrated(target.rate()).truncated(line.end))
        level = target.levels()
        self.kernel = line.lifted(line.sqrt(2 * target.strength) * level * growth)
        products = (self.kernel * self.kernel, self.kernel * self.shape, self.shape * self.shape)
        exact, shared, drawn = map(target.integrated, products)
        self.primitives = {"exact": exact, "shared": shared, "drawn": drawn}

    def exact(self, low: Scalar, high: Scalar) -> Scalar:
        """∫ kernel² dλ between two positions."""
        return self._between("exact", low, high)

    def shared(self, low: Scalar, high: Scalar) -> Scalar:
        """∫ kernel·shape dλ."""
        return self._between("shared", low, high)

    def drawn(self, low: Scalar, high: Scalar) -> Scalar:
        """∫ shape² dλ."""
        return self._between("drawn", low, high)

    def size(self, low: Scalar, high: Scalar) -> Scalar:
        """√∫ shape² dλ; zero where the positions are equal."""
        target = self.target
        return target.cached("size", (low, high), lambda: target.ring.sqrt(self.drawn(low, high)))

    def _between(self, name: str, low: Scalar, high: Scalar) -> Scalar:
        return self._up_to(name, high) - self._up_to(name, low)

    def _up_to(self, name: str, position: Scalar) -> Scalar:
        ring, whole = self.target.ring, self.primitives[name]
        return self.target.cached(name, position, lambda: ring.composed(whole, position * ring.h))
