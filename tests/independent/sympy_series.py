"""Orders derived a second time: one step on a random equation, expanded in h by sympy's series.

Nothing of `solvergen.derive` or `solvergen.order` is used here. The equation is u' = −κ u + N(λ, u)
with a random polynomial N, so that every order condition counts at once; its solution is expanded by
Picard's iteration, a step by the meaning of its rows, and the first power of h at which they differ is
the order plus one. Series are sympy polynomials over the rationals, truncated (`ring_series`).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial
from random import Random

from sympy.polys.domains import QQ
from sympy.polys.ring_series import rs_exp, rs_log, rs_mul, rs_series_inversion, rs_trunc
from sympy.polys.rings import ring

RING, X = ring("x", QQ)
KAPPA = {"data": 1, "noise": -1, "velocity": 0}


class Unsupported(Exception):
    """A weight that is not a power series in h over the rationals."""


def rational(value):
    """A number of the ring's domain."""
    return QQ(int(value.numerator), int(value.denominator))


class Series:
    """x^low times a polynomial with `Series.terms` known coefficients."""

    terms = 12

    def __init__(self, polynomial, low=0):
        self.low, self.polynomial = low, rs_trunc(polynomial, X, self.terms)

    def plus(self, other):
        low = min(self.low, other.low)
        left, right = (s.polynomial * X ** (s.low - low) for s in (self, other))
        return Series(left + right, low)

    def times(self, other):
        product = rs_mul(self.polynomial, other.polynomial, X, self.terms)
        return Series(product, self.low + other.low)

    def scaled(self, factor):
        return Series(self.polynomial * rational(Fraction(factor)), self.low)

    def valuation(self):
        """The lowest power with a coefficient, or ``None``."""
        powers = [m[0] for m in self.polynomial.monoms()]
        return min(powers) + self.low if powers else None

    def inverse(self):
        lowest = self.valuation()
        if lowest is None:
            raise ZeroDivisionError
        shifted = RING.from_dict(
            {(m[0] + self.low - lowest,): c for m, c in self.polynomial.terms()}
        )
        return Series(rs_series_inversion(shifted, X, self.terms), -lowest)

    def whole(self):
        """As a polynomial; a series without negative powers."""
        lowest = self.valuation()
        if lowest is not None and lowest < 0:
            raise Unsupported("negative powers")
        kept = {(m[0] + self.low,): c for m, c in self.polynomial.terms()}
        return rs_trunc(RING.from_dict(kept), X, self.terms)

    def small(self):
        """The same, where it must vanish at h = 0."""
        polynomial = self.whole()
        if polynomial.coeff(1):
            raise Unsupported("a function at a number")
        return polynomial


def constant(value):
    return Series(RING(rational(Fraction(value))))


H = Series(X)


def exp(z):
    return Series(rs_exp(z.small(), X, Series.terms))


def phi(k, z):
    """Σ z^j / (j + k)!."""
    power, total = constant(1), constant(0)
    for j in range(Series.terms):
        total = total.plus(power.scaled(Fraction(1, factorial(j + k))))
        power = power.times(z)
    z.small()
    return total


def value(expr, symbols):
    """A weight as a series, by its own structure."""
    if expr.is_Rational:
        return constant(Fraction(int(expr.p), int(expr.q)))
    if expr.is_Symbol:
        if expr.name not in symbols:
            raise Unsupported(expr.name)
        return symbols[expr.name]
    kind = type(expr).__name__
    if kind == "phi":
        return phi(int(expr.args[0]), value(expr.args[1], symbols))
    args = [value(arg, symbols) for arg in expr.args] if not expr.is_Pow else []
    if expr.is_Add or expr.is_Mul:
        total = args[0]
        for arg in args[1:]:
            total = total.plus(arg) if expr.is_Add else total.times(arg)
        return total
    if expr.is_Pow and expr.exp.is_Integer:
        base, total = value(expr.base, symbols), constant(1)
        base = base if expr.exp > 0 else base.inverse()
        for _ in range(abs(int(expr.exp))):
            total = total.times(base)
        return total
    if kind == "exp":
        return exp(args[0])
    if kind == "expm1":
        return exp(args[0]).plus(constant(-1))
    if kind == "log1p":
        return Series(rs_log(1 + args[0].small(), X, Series.terms))
    raise Unsupported(kind)


@cache
def equation(kappa, seed):
    """Coefficients of N, u(λ) about λ_n and N along it, as polynomials in x."""
    random = Random(seed)
    table = {
        (i, j): Fraction(random.randrange(-9, 10) or 5, random.randrange(2, 8))
        for i in range(4)
        for j in range(4 - i + (i == 0))
    }
    solution = RING(QQ(1, 3))
    for _ in range(Series.terms):
        slope = nonlinear(table, X, solution) - kappa * solution
        integral = {(m[0] + 1,): c / (m[0] + 1) for m, c in slope.terms()}
        solution = rs_trunc(RING.from_dict(integral) + QQ(1, 3), X, Series.terms)
    return table, solution, nonlinear(table, X, solution)


def nonlinear(table, place, state):
    """N(place, state), truncated."""
    powers = [[RING(1)], [RING(1)]]
    for listed, base in zip(powers, (place, state), strict=True):
        for _ in range(4):
            listed.append(rs_mul(listed[-1], base, X, Series.terms))
    total = RING(0)
    for (i, j), c in table.items():
        total += rs_mul(powers[0][i], powers[1][j], X, Series.terms) * rational(c)
    return total


def at(polynomial, place):
    """A polynomial in λ − λ_n at a fraction of the step."""
    factor = rational(Fraction(place))
    return RING.from_dict({m: c * factor ** m[0] for m, c in polynomial.terms()})


class OneStep:
    """One step of a deterministic program with exact history on a grid of given ratios.

    Args:
        program: the solver.
        back: θ_1, θ_2, … (Θ for velocity); `ahead`: γ_1, γ_2, ….
        seed: of the equation.
    """

    def __init__(self, program, back, ahead, seed):
        self.program, self.kappa = program, program.kappa
        self.back = back
        self.table, self.solution, self.along = equation(self.kappa, seed)
        symbols = {p.name: constant(p.default) for p in program.parameters}
        symbols["h"] = H
        for k, theta in enumerate(back, 1):
            symbols[f"theta{k}" if self.kappa else f"Theta{k}"] = constant(theta)
            if self.kappa:
                symbols[f"Theta{k}"] = self.clock(constant(-theta)).scaled(-1)
        for k, gamma in enumerate(ahead, 1):
            symbols[f"gamma{k}" if self.kappa else f"Gamma{k}"] = constant(gamma)
            if self.kappa:
                symbols[f"Gamma{k}"] = self.clock(constant(gamma))
        self.symbols = symbols

    def clock(self, c):
        """A fraction of the step in λ as one in the clock."""
        z = H.scaled(self.kappa)
        above, below = (exp(z.times(v)).plus(constant(-1)) for v in (c, constant(1)))
        return above.times(below.inverse())

    def place(self, place):
        """A place as a fraction of the step in the independent variable."""
        fraction = value(place.fraction, self.symbols)
        if not self.kappa or place.coordinate in ("lambda", "grid"):
            if not self.kappa and place.coordinate == "lambda" and not place.fraction.is_integer:
                raise Unsupported("a place in λ")
            if not self.kappa and place.ahead:
                return self.symbols[f"Gamma{place.ahead}"]
            return fraction
        grown = fraction.times(exp(H.scaled(self.kappa)).plus(constant(-1)))
        logarithm = Series(rs_log(1 + grown.small(), X, Series.terms))
        return logarithm.times(H.scaled(self.kappa).inverse())

    def state(self, row, known):
        c, kappa = self.place(row.place), self.kappa
        decay = value(row.decay, self.symbols)
        kept = exp(H.times(c).scaled(-kappa))
        total = kept.times(decay).times(Series(at(self.solution, 0)))
        for term in row.carry:
            theta = self.back[int(term.source[2:]) - 1]
            carried = exp(H.scaled(-kappa * theta)).times(kept)
            past = Series(at(self.solution, -theta)).times(value(term.weight, self.symbols))
            total = total.plus(carried.times(past))
        unit = constant(1)
        if row.gauge == "clock":  # a clock unit of the step: e^{−κch} (e^{κh} − 1)/κ
            unit = H
            if kappa:
                grown = exp(H.scaled(kappa)).plus(constant(-1))
                unit = kept.times(grown.scaled(Fraction(1, kappa)))
        for term in row.terms:
            weight = unit.times(value(term.weight, self.symbols))
            total = total.plus(weight.times(Series(known[term.source])))
        return c, total.whole()

    def order(self):
        """The local order: the first power of h that is wrong, less one; ``None`` beyond the terms."""
        main = self.program.main
        if main.recalls:
            raise Unsupported("stages of the step before")
        known = {"n": at(self.along, 0)}
        for k, theta in enumerate(self.back, 1):
            known[f"n-{k}"] = at(self.along, -theta)
        for row in main.stages:
            c, state = self.state(row, known)
            known[row.name] = nonlinear(self.table, H.times(c).whole(), state)
        error = self.state(main.final, known)[1] - self.solution
        powers = [m[0] for m in error.monoms() if m[0] < Series.terms - 4]
        return min(powers) - 1 if powers else None
