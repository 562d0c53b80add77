"""The names and functions in the weights of a certificate, at one step of a grid. Standard library only."""

from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from math import factorial, prod

from .series import Series, named, number, phi

Point = Callable[[int], Series]


class Step:
    """A step: its size h, the points around it, and a further coordinate y, any smooth function of λ.

    Args:
        kappa: 1, −1, or 0 in the clock.
        spans: how many grid intervals it covers.
        point: where the k-th grid point from its start is, in units of step 0 from the start of that.
    """

    def __init__(self, kappa: int, spans: int, point: Point) -> None:
        self.kappa, self.spans, self.point = kappa, spans, point
        self.start, self.size = point(0), point(spans) - point(0)
        self.functions: dict[str, Callable[..., Series]] = {
            "moment": self.moment,
            "fraction": self.fraction,
            "offset": self.offset,
            "slope": self.slope,
        }

    def name(self, name: str) -> Series:
        """h, theta2 and eta2: how far two steps back, gamma2: two grid points ahead; else a variable."""
        stem, k = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
        if name == "h":
            return self.size * named("h")
        if stem not in ("theta", "gamma", "eta") or not k:
            return named(name)
        there = self.point(int(k) if stem == "gamma" else -int(k) * self.spans)
        if stem == "eta":
            return (self.y(self.start) - self.y(there)) * self.whole.inverse()
        distance = there - self.start if stem == "gamma" else self.start - there
        return distance * self.size.inverse()

    # -- the further coordinate, scaled to y' = 1 at the start of step 0; y2, y3, … are free there ----

    def y(self, offset: Series, derivative: int = 0) -> Series:
        """The Taylor series of y − y_0, or of one of its derivatives."""
        total, power = number(1) if derivative == 1 else number(0), number(1)
        total = named(f"y{derivative}") if derivative > 1 else total
        for j in range(1, Series.limit + 1):
            power = power * offset * named("h") * number(Fraction(1, j))
            total = (
                total + (named(f"y{derivative + j}") if derivative + j > 1 else number(1)) * power
            )
        return total

    @cached_property
    def whole(self) -> Series:
        """y over the step."""
        return self.y(self.start + self.size) - self.y(self.start)

    def offset(self, c: Series) -> Series:
        """Y = (y − y_n)/(y_{n+1} − y_n) at the fraction c of the step."""
        return (self.y(self.start + c * self.size) - self.y(self.start)) * self.whole.inverse()

    def fraction(self, c: Series) -> Series:
        """Where Y = c: Y is the fraction itself plus O(h), so that each round gains a power of h."""
        found = c
        for _ in range(Series.limit):
            found = found + c - self.offset(found)
        return found

    def slope(self, c: Series) -> Series:
        """d(clock)/dY at the fraction c, per clock step."""
        h, kappa = self.name("h"), number(self.kappa)
        rate = self.y(self.start + c * self.size, 1) * h * kappa * phi(1, kappa * h)
        return kappa * phi(0, kappa * c * h) * self.whole * rate.inverse()

    def moment(self, m: Series, c: Series) -> Series:
        """∫ Y^m d(clock) up to the fraction c, per clock step: of ξ^j it is j! c^{j+1} e^{zc} φ_{j+1}(−zc)."""
        z, degree = number(self.kappa) * self.name("h"), int(m.terms.get(0, Fraction(0)))
        line = {
            j: self.y(self.start, j) * prod([self.name("h")] * j, start=number(Fraction(1, factorial(j))))
            * self.whole.inverse()
            for j in range(1, Series.limit + 1)
        }  # fmt: skip
        powers = {0: number(1)}  # of ξ in Y^m
        for _ in range(degree):
            longer: dict[int, Series] = {}
            for i, left in powers.items():
                for j, right in line.items():
                    if i + j <= Series.limit + degree:
                        longer[i + j] = longer.get(i + j, number(0)) + left * right
            powers = longer
        total = number(0)
        for j, part in powers.items():
            power = prod([c] * (j + 1), start=number(factorial(j)))
            total = total + part * power * phi(0, z * c) * phi(j + 1, number(-1) * z * c)
        return total * phi(1, z).inverse()
