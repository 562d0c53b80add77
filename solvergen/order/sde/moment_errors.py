"""Errors of a run's moments and of its path, and the rates at which they add up.

A run that is exact up to site n and then follows the solver has at site J an error E_n(J), in the
mean (of a start off the marginal), in the variance (of a start in the marginal) or in the mean
square along the path. What the step at n adds, with all that later steps make of it, is

    e_n = E_n(J) − E_{n+1}(J),       E_0(J) = Σ_n e_n .

Both terms see the same later steps, so transients still present at J cancel in e_n: white
noise makes Cov(D_{n−1}, u_n) differ from what a polynomial through the evaluations assumes by
O(h²), which later steps use with a weight of order h. Means and covariances are propagated linearly
with bounded products of steps, so that 1/h steps with e_n = c_n h^a, and a remainder E_0(J) = O(h^r)
of the last steps, give the global rate

    min(a − 1, r),    exactly where Σ c_n over a period of the grid is not zero.

Where past evaluations keep weights as h goes to 0, as in rules with a defect, what they carry on
dies out geometrically instead, and J lies far enough for all but 2^−40 of it to have gone.

Mean squares along the path add up by the parts of the path, which are independent: with an excess of
O(h^{2a}) in the variance due to one step's part of the path after all steps have used it, their sum
is O(h^{2a−1}) and the strong rate is min(a − 1/2, rate of the mean, r) (Milstein's theorem).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ...algebra.fixed import FixedSeries
from ...algebra.scalar import Scalar
from ...program.step import Step
from ..verdict import Rate
from .gaussian_runs import MU, Form, Walk

ZERO, ONE = Fraction(0), Fraction(1)


def mean_errors(walk: Walk, form: Form, site: int) -> list[Scalar]:
    """Errors of the mean at a site: per unit of the mean of w at the base point, and of μ."""
    flow, base = walk.target.flow, walk.position(0)
    moved: Scalar = walk.ring.constant(0)
    for key, value in form.items():
        if key[0] == "w":
            moved = moved + value * flow(base, walk.position(key[1]))
    return [moved - flow(base, walk.position(site)), form[MU] - ONE]


def variance_error(walk: Walk, form: Form, site: int) -> Scalar:
    """Error of the variance at a site, from a start in the marginal, draws independent."""
    drawn = sum((v * v for key, v in form.items() if key[0] == "z"), walk.ring.constant(0))
    return drawn + _past(walk, form) - walk.target.variance(walk.position(site))


def _past(walk: Walk, form: Form) -> Scalar:
    """Variance due to the exact states that a form starts from."""
    known = sorted(((key[1], v) for key, v in form.items() if key[0] == "w"), key=lambda p: p[0])
    total: Scalar = walk.ring.constant(0)
    for i, (site, value) in enumerate(known):
        later = sum(
            (2 * other * walk.target.flow(walk.position(site), walk.position(past))
             for past, other in known[i + 1 :]),
            value,
        )  # fmt: skip
        total = total + value * later * walk.target.variance(walk.position(site))
    return total


class PathErrors:
    """Mean square errors along one Brownian path.

    Draws of equal parts of a step are the same, draws of parts that overlap are correlated. A draw that
    belongs to no part of positive length is independent of the path.

    Args:
        walk: a run's step_values.
        steps: the kind of step at each site from `first` on.
        first: site of the exact start.
    """

    def __init__(self, walk: Walk, steps: Sequence[Step], first: int = 0) -> None:
        self.walk, self.steps, self.first = walk, steps, first
        self.noise = walk.noise

    def along(self, form: Form, site: int, part: int) -> Scalar:
        """Mean square error at a site due to the path's part in the step at `part`."""
        walk, noise = self.walk, self.noise
        forward = walk.target.flow(walk.position(0), walk.position(site))
        low, high = walk.position(part), walk.position(part + 1)
        total = noise.exact(low, high) * forward**2
        draws = [(k[2], v) for k, v in form.items() if k[0] == "z" and k[1] == part]
        ends = {name: self.ends(name, part) for name, _ in draws}
        sizes = {name: noise.size(*ends[name]) for name, _ in draws}
        for i, (name, value) in enumerate(draws):
            total = total + value * value
            if not sizes[name]:
                continue
            shared = noise.shared(*ends[name]) * forward
            total = total - 2 * value * shared / sizes[name]
            for other, weight in draws[i + 1 :]:
                if sizes[other]:
                    both = self.overlap(ends[name], ends[other])
                    total = total + 2 * value * weight * both / (sizes[name] * sizes[other])
        return total

    def whole(self, form: Form, site: int) -> Scalar:
        """Mean square error at a site from a start in the marginal."""
        walk = self.walk
        flow = walk.target.flow(walk.position(self.first), walk.position(site))
        start = ("w", self.first, "")
        past = {key: value for key, value in form.items() if key[0] == "w"}
        past[start] = past.get(start, ZERO) - flow
        total = _past(walk, past) + walk.ring.constant(0)
        for part in range(self.first, site):
            total = total + self.along(form, site, part)
        return total

    def shared(self, form: Form) -> Scalar:
        """What the variance gains when draws of overlapping parts come from one path."""
        total: Scalar = self.walk.ring.constant(0)
        for part, step in enumerate(self.steps, self.first):
            parts = {draw.name: self.ends(draw.name, part) for draw in step.draws}
            held = [(n, form[key]) for n in parts if (key := ("z", part, n)) in form]
            for i, (name, value) in enumerate(held):
                for other, weight in held[i + 1 :]:
                    sizes = self.noise.size(*parts[name]), self.noise.size(*parts[other])
                    if all(sizes):
                        both = self.overlap(parts[name], parts[other])
                        total = total + 2 * value * weight * both / (sizes[0] * sizes[1])
        return total

    def ends(self, name: str, part: int) -> tuple[Scalar, Scalar]:
        """Positions between which a draw's part of the path lies."""
        walk, step = self.walk, self.steps[part - self.first]
        low, high = walk.position(part), walk.position(part + 1)
        for draw in step.draws:
            if draw.name == name:
                values = walk.open(step, part).values
                fractions = [values.expr(end) for end in (draw.start, draw.end)]
                return low + fractions[0] * (high - low), low + fractions[1] * (high - low)
        return low, high

    def overlap(self, first: tuple[Scalar, Scalar], second: tuple[Scalar, Scalar]) -> Scalar:
        """∫ shape² dλ over what two parts have in common."""
        ring = self.walk.ring
        low = second[0] if ring.least(first[0], second[0]) is first[0] else first[0]
        high = ring.least(first[1], second[1])
        if ring.least(high, low) is high:
            return ring.constant(0)
        return self.noise.drawn(low, high)


def exponent(errors: Sequence[Scalar], power: int, tiny: int = 0) -> Fraction | None:
    """The least power of h among some series, or ``None`` when all that is known vanishes.

    Args:
        tiny: coefficients up to this size count as zero.
    """
    found = [
        min(k for k, value in enumerate(e.terms, e.low) if abs(value) > tiny)
        for e in errors
        if isinstance(e, FixedSeries) and any(abs(value) > tiny for value in e.terms)
    ]
    return Fraction(min(found), power) if found else None


def known(errors: Sequence[Scalar], power: int) -> Fraction:
    """The power of h up to which some series are known."""
    return Fraction(min(e.end for e in errors if isinstance(e, FixedSeries)), power)


@dataclass(frozen=True)
class Added:
    """What the steps of one period add to an error.

    Args:
        singles: effective contribution of each step.
        period: their sum.
        remainder: the error at the end.
        power: h in terms of the series' variable.
        tiny: coefficients up to this size count as zero.
    """

    singles: Sequence[Scalar]
    period: Sequence[Scalar]
    remainder: Sequence[Scalar]
    power: int
    tiny: int = 0

    def rate(self) -> tuple[Rate, bool]:
        """The rate, and whether anything but zero was seen."""
        each, total, rest = (
            exponent(part, self.power, self.tiny)
            for part in (self.singles, self.period, self.remainder)
        )
        if each is None and rest is None:
            return Rate(known([*self.singles, *self.remainder], self.power) - 1, False), False
        added = each - 1 if each is not None else known(self.singles, self.power) - 1
        value = added if rest is None else min(added, rest)
        persists = each is not None and total == each
        return Rate(value, persists or (rest is not None and rest <= added)), True


def least(rates: Sequence[Rate]) -> Rate:
    """The rate that binds."""
    bound = [rate for rate in rates if rate.value is not None]
    if not bound:
        return Rate(None)
    value = min(rate.value for rate in bound if rate.value is not None)
    return Rate(value, any(rate.exact for rate in bound if rate.value == value))


def capped(rate: Rate, errors: Sequence[Scalar], power: int, root: int = 1, tiny: int = 0) -> Rate:
    """A rate after an error that some first or last steps leave."""
    found = exponent(errors, power, tiny)
    return rate if found is None else least([rate, Rate(found / root)])
