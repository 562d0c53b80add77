"""The meaning of every symbol of a step's weights at a site of a grid (see `program.row`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import factorial
from typing import Generic, TypeVar

from sympy import Expr

from ...algebra.ring import Ring
from ...algebra.scalar import Scalar
from ...algebra.series import ONE
from ...algebra.traced import symbol
from ...errors import OrderError
from ...expr.arithmetic import function_names, symbols
from ...expr.evaluation import Reading, evaluate
from ...program.row import FURTHER, Place, Row, coordinate_number
from .block_grid import Inner
from .grid import Grid, generic_ratio

Jet = Callable[[int, int], Scalar]  # y^(j)/y' from j and the number of a further coordinate
Value = Scalar | Callable[[int], Scalar]  # of a parameter; from its site where steps differ


def generic_coordinate(j: int, which: int = 1) -> Fraction:
    """Generic derivatives y^(j)/y' of further coordinates."""
    return ONE if j == 1 else _derivative(43, j, which) - (j % 3)


def another_coordinate(seed: int) -> Jet:
    """Generic derivatives of other further coordinates, one for each seed."""

    def jet(j: int, which: int = 1) -> Fraction:
        return ONE if j == 1 else _derivative(83 + seed, j, which) - (j + seed) % 3

    return jet


def symbolic_coordinate(j: int, which: int = 1) -> Scalar:
    """Derivatives y^(j)/y' of further coordinates as symbols y2, y3, …, then y2_2, y3_2, … of the second."""
    if j == 1:
        return ONE
    name = f"y{j}" if which == 1 else f"y{j}_{which}"
    return symbol(name, (_derivative(47, j, which) - 1, _derivative(53, j, which)))


def _derivative(seed: int, j: int, which: int) -> Fraction:
    """A generic number for the j-th derivative of one of the further coordinates."""
    return generic_ratio(seed + 101 * (which - 1), j)


GENERIC_TAU = Fraction(331, 907)  # where a velocity solver stands in its clock σ/(α+σ)


def _lam_of_clock(j: int) -> Fraction:
    """Derivatives of λ = log((1 − τ)/τ) at a generic point of the velocity clock."""
    tau = GENERIC_TAU
    return -factorial(j - 1) * (1 / (1 - tau) ** j - Fraction(-1) ** j / tau**j)


R_co = TypeVar("R_co", bound=Ring, covariant=True)


class StepValues(Generic[R_co]):
    """Values of weights at the steps of a grid.

    Args:
        kappa: +1 data, −1 noise, 0 velocity (the independent variable is then the clock).
        ring: where the values live.
        grid: positions of the sites.
        parameters: value of every parameter; a callable gives that of a step from its site.
        coordinate: derivatives of the further coordinates.
        inner: from a site and k, the place of the k-th next grid point as a fraction of the step.
        linear: the linear part that rows take out; that of the integrand unless given.
    """

    def __init__(
        self,
        kappa: int,
        ring: R_co,
        grid: Grid,
        parameters: Mapping[str, Value],
        coordinate: Jet = generic_coordinate,
        inner: Inner | None = None,
        linear: Scalar | None = None,
    ) -> None:
        self.linear: Scalar = Fraction(kappa) if linear is None else linear
        self.inner = inner or _next_sites(grid)
        self.kappa, self.ring, self.grid = kappa, ring, grid
        self.parameters, self.coordinate = parameters, coordinate
        self.kept: dict[tuple[int, int], tuple[tuple[str, Scalar], ...]] = {}
        self.symbols: dict[int, SymbolValues] = {}
        self.varies = any(callable(value) for value in parameters.values())

    def at(self, site: int) -> SymbolValues:
        """The symbols of a step that starts at a site."""
        if site not in self.symbols:
            self.symbols[site] = SymbolValues(self, site)
        return self.symbols[site]

    def size(self, site: int) -> Scalar:
        """The step from a site to the next, in units of h."""
        return self.grid.position(site + 1) - self.grid.position(site)

    def clock_offset(self, start: Scalar, end: Scalar) -> Scalar:
        """clock(end) − clock(start) in units of clock'(start) for data and noise."""
        return self.ring.functions["expm1"](self.kappa * (end - start) * self.ring.h)

    def along(self, jet: Callable[[int], Scalar], offset: Scalar) -> Scalar:
        """The Taylor series Σ jet(j) (offset·h)^j / j! of a coordinate's increment."""
        total: Scalar = Fraction(0)
        power: Scalar = ONE
        for j in range(1, self.ring.end + 1):
            power = power * (offset * self.ring.h)
            if not power:
                break
            total = total + power * (jet(j) / factorial(j))
        return total

    def weights(self, row: Row, site: int) -> tuple[tuple[str, Scalar], ...]:
        """(source, weight / h) pairs of a row in the λ gauge (velocity: per clock unit)."""
        repeats = self.grid.periodic and self.kappa and not self.varies and not _bends(row)
        place = site % self.grid.periodic if repeats else site
        if (id(row), place) not in self.kept:
            values = self.at(site)
            if self.kappa == 0 and row.gauge != "clock":
                raise OrderError(
                    f"row {row.name}: velocity weights are in the gauge {row.gauge!r}; the "
                    "analysis of velocity solvers needs the clock gauge"
                )
            scale = self.size(site) if self.kappa == 0 else 1 / self.ring.h
            pairs = [(s, values.expr(w) * scale) for s, w in row.u_weights(self.kappa)]
            self.kept[id(row), place] = tuple((s, w) for s, w in pairs if w)
        return self.kept[id(row), place]

    def place(self, place: Place, site: int) -> Scalar:
        """Offset of a row's place, in units of h from the base point."""
        start, size = self.grid.position(site), self.size(site)
        if self.kappa:
            fraction = self.at(site).expr(place.lam(self.kappa))
        elif place.ahead:
            fraction = self.inner(site, place.ahead)
        elif place.coordinate == "clock" or place.is_end:
            fraction = self.at(site).expr(place.fraction)
        else:
            raise OrderError("a stage of a velocity solver must be placed in the clock")
        return start + fraction * size


def _next_sites(grid: Grid) -> Inner:
    """Grid points of steps of one interval each."""

    def inner(site: int, k: int) -> Scalar:
        start, end = grid.position(site), grid.position(site + 1)
        return (grid.position(site + k) - start) / (end - start)

    return inner


def _bends(row: Row) -> bool:
    """Whether a row's weights depend on where the step lies, through a further coordinate."""
    roots = (row.place.fraction, *(term.weight for term in row.terms))
    return any(
        not function_names(root).isdisjoint(FURTHER)
        or any(name.startswith(("eta", "sigma")) for name in symbols(root))
        for root in roots
    )


class SymbolValues(dict[str, Scalar]):
    """Values of the symbols h, theta1, Theta1, eta1, … of one step, made when first used."""

    def __init__(self, step_values: StepValues[Ring], site: int) -> None:
        known = step_values.parameters.items()
        super().__init__({k: v(site) if callable(v) else v for k, v in known})
        if "remaining" in self and site:
            past = -step_values.grid.position(site) * step_values.ring.h
            self["remaining"] = self["remaining"] * step_values.ring.functions["exp"](past)
        if "sigma" in self and site:
            past = -step_values.grid.position(site) * step_values.ring.h
            self["sigma"] = self["sigma"] * step_values.ring.functions["exp"](past)
        self.step_values, self.site = step_values, site
        self.powers_of_y: dict[int, list[list[Scalar]]] = {}
        self.kept: dict[Reading, Scalar] = {}
        self.functions: dict[str, Callable[..., Scalar]] = {
            **step_values.ring.functions,
            "moment": self.moment,
            "offset": self.offset,
            "fraction": self.fraction,
            "slope": self.slope,
        }

    def expr(self, expr: Expr) -> Scalar:
        """The value of an expression."""
        return evaluate(expr, self, self.functions, lambda number: number, self.kept)

    def __missing__(self, name: str) -> Scalar:
        stem, digits = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
        if name == "h":
            value = self._lam(self.site, self.site + 1)
        elif digits and stem in ("theta", "Theta"):
            past = self.site - int(digits)
            measure = {"theta": self._lam, "Theta": self._clock}[stem]
            value = measure(past, self.site) / measure(self.site, self.site + 1)
        elif which := coordinate_number(name):
            past, whole = self.site - int(digits), self._further(self.site, self.site + 1, which)
            value = self._further(past, self.site, which) / whole
        elif digits and stem in ("gamma", "Gamma"):
            value = self._point(stem, int(digits))
        elif name == "sigma_next" and "sigma" in self:
            value = self["sigma"] * self.step_values.ring.functions["exp"](-self["h"])
        elif name in ("sigma", "sigma_next"):
            raise OrderError(
                "weights with `sigma` depend on the level, so they have no value in one step"
            )
        elif name in ("steps", "i"):
            raise OrderError(
                f"weights with `{name}` depend on the whole run, so they have no value in one step"
            )
        elif name == "remaining":
            raise OrderError(
                "`remaining` depends on the whole run, so it has no value within a single step"
            )
        else:
            raise OrderError(f"a weight contains the unknown symbol {name!r}")
        self[name] = value
        return value

    def _point(self, stem: str, k: int) -> Scalar:
        """The k-th next grid point as a fraction of the step in λ or in the clock."""
        step_values, start = self.step_values, self._position(self.site)
        fraction = step_values.inner(self.site, k)
        if (stem == "gamma") == bool(step_values.kappa):
            return fraction
        target = start + fraction * step_values.size(self.site)
        if step_values.kappa:
            return step_values.clock_offset(start, target) / self._clock(self.site, self.site + 1)
        ends = [step_values.along(_lam_of_clock, offset) for offset in (start, target)]
        return (ends[1] - ends[0]) / self._lam(self.site, self.site + 1)

    def _position(self, site: int) -> Scalar:
        return self.step_values.grid.position(site)

    def _lam(self, first: int, last: int) -> Scalar:
        step_values = self.step_values
        if step_values.kappa:
            return (self._position(last) - self._position(first)) * step_values.ring.h
        ends = (step_values.along(_lam_of_clock, self._position(site)) for site in (last, first))
        return next(ends) - next(ends)

    def _clock(self, first: int, last: int) -> Scalar:
        step_values = self.step_values
        if not step_values.kappa:
            return self._position(last) - self._position(first)
        base = self._position(self.site)
        ends = [step_values.clock_offset(base, self._position(site)) for site in (first, last)]
        return ends[1] - ends[0]

    def _further(self, first: int, last: int, which: int) -> Scalar:
        ends = [self._y(self._position(site), which) for site in (first, last)]
        return ends[1] - ends[0]

    def _y(self, offset: Scalar, which: int) -> Scalar:
        return self.step_values.along(lambda j: self.step_values.coordinate(j, which), offset)

    def offset(self, c: Scalar, which: int = 1) -> Scalar:
        """Y at the fraction c of the step: (y(λ_n + c h) − y_n)/(y_{n+1} − y_n)."""
        start, size = self._position(self.site), self.step_values.size(self.site)
        whole = self._further(self.site, self.site + 1, which)
        return (self._y(start + c * size, which) - self._y(start, which)) / whole

    def fraction(self, c: Scalar, which: int = 1) -> Scalar:
        """Where Y = c: since Y is the fraction itself plus O(h), each round gains a power of h."""
        found = c
        for _ in range(self.step_values.ring.end + 1):
            found = found + (c - self.offset(found, which))
        return found

    def slope(self, c: Scalar, which: int = 1) -> Scalar:
        """d(clock)/dY at λ_n + c h, per clock step."""
        step_values = self.step_values
        place = self._position(self.site) + c * step_values.size(self.site)

        def higher(j: int) -> Scalar:
            return step_values.coordinate(1 + j, which)

        rate = ONE + step_values.along(higher, place)
        ends = self.site, self.site + 1
        whole = self._further(*ends, which)
        if not step_values.kappa:
            return whole / (rate * self._clock(*ends))
        clock = step_values.kappa * step_values.ring.functions["exp"](
            step_values.kappa * c * self["h"]
        )
        return clock * whole / (rate * self._clock(*ends))

    def moment(self, m: int, c: Scalar, which: int = 1) -> Scalar:
        """∫ Y^m d(clock) over [0, c] of the step, per clock step.

        Y is expanded in powers of the fraction ξ, then ∫_0^c ξ^j e^{zξ} dξ = j! c^{j+1} e^{zc}
        φ_{j+1}(−zc) with z = κh.
        """
        ring, kappa = self.step_values.ring, self.step_values.kappa
        z = kappa * self["h"] if kappa else Fraction(0)
        exp, phi = ring.functions["exp"], ring.functions["phi"]
        total: Scalar = Fraction(0)
        for j, value in enumerate(self._power_of_y(m, which)):
            if value:
                integral = factorial(j) * c ** (j + 1) * exp(z * c) * phi(j + 1, -z * c)
                total = total + value * integral
        return total / phi(1, z)

    def _power_of_y(self, m: int, which: int) -> list[Scalar]:
        """Coefficients of Y^m in powers of the fraction ξ of the step."""
        if which not in self.powers_of_y:
            self.powers_of_y[which] = [[ONE], self._line(which)]
        powers = self.powers_of_y[which]
        while len(powers) <= m:
            shorter, line = powers[-1], powers[1]
            longer: list[Scalar] = [Fraction(0)] * (len(shorter) + len(line) - 1)
            for i, left in enumerate(shorter):
                for j, right in enumerate(line):
                    if left and right:
                        longer[i + j] = longer[i + j] + left * right
            powers.append(longer[: self.step_values.ring.end + 1])
        return powers[m]

    def _line(self, which: int) -> list[Scalar]:
        """Coefficients of Y: y^(j) at the start of the step, by Taylor from the base point."""
        step_values = self.step_values
        start, step = self._position(self.site), step_values.size(self.site) * step_values.ring.h
        whole = self._further(self.site, self.site + 1, which)
        line: list[Scalar] = [Fraction(0)]
        for j in range(1, step_values.ring.end + 1):

            def higher(k: int, j: int = j) -> Scalar:
                return step_values.coordinate(j + k, which)

            slope = step_values.coordinate(j, which) + step_values.along(higher, start)
            term = slope * step**j / factorial(j)
            if not term:
                break
            line.append(term / whole)
        return line
