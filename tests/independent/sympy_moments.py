"""The weights of a rule, derived a second time: by sympy alone, from integrals of powers.

Nothing of `solvergen.derive` or `solvergen.order` is used here. A rule of the family is a functional
on polynomials; what it must do to ξ^m is integrated by sympy, and a row is right when its weights do
the same to the powers at its nodes. Every quantity is a number of 50 digits at a random rational
point: step ratios, h and parameters.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from random import Random

import mpmath
import sympy

DIGITS = 50
XI, C, Z = sympy.symbols("xi c z", positive=True)
KAPPA = {"data": 1, "noise": -1, "velocity": 0}


@cache
def power_moment(m: int) -> sympy.Expr:
    """∫₀^c e^{−z(c−ξ)} ξ^m dξ, by sympy."""
    return sympy.integrate(sympy.exp(-Z * (C - XI)) * XI**m, (XI, 0, C))


@cache
def as_function(m: int):
    """The same as a function of (c, z) in mpmath, walked without executing text."""
    whole = power_moment(m)

    def value(c, z):
        if abs(z) < mpmath.mpf("1e-30"):
            return c ** (m + 1) / (m + 1)
        return number(whole, {"c": c, "z": z})

    return value


def number(expr, values):
    """The value of a sympy expression, by its own structure."""
    if expr.is_Rational:
        return mpmath.mpf(int(expr.p)) / int(expr.q)
    if expr.is_Symbol:
        return values[expr.name]
    args = [number(arg, values) for arg in expr.args]
    if expr.is_Add:
        return mpmath.fsum(args)
    if expr.is_Mul:
        return mpmath.fprod(args)
    if expr.is_Pow:
        return args[0] ** args[1]
    if expr is sympy.E:
        return mpmath.e
    kind = type(expr).__name__
    if kind == "phi":
        return phi(int(expr.args[0]), args[1])
    if kind == "moment":
        return Point.moment(int(expr.args[0]), args[1])
    if kind in ("offset", "fraction", "slope"):
        return getattr(Point, kind)(args[0])
    if kind == "minimum":
        return min(args)
    if kind == "between":
        return mpmath.mpf(bool(args[0] <= args[1] <= args[2]))
    return {
        "exp": mpmath.exp,
        "expm1": mpmath.expm1,
        "log": mpmath.log,
        "log1p": mpmath.log1p,
        "sqrt": mpmath.sqrt,
    }[kind](*args)


def phi(k, z):
    """φ_k(z) = ∫₀¹ e^{(1−t)z} t^{k−1}/(k−1)! dt, from the moments above."""
    if k == 0:
        return mpmath.exp(z)
    return as_function(k - 1)(mpmath.mpf(1), -z) / mpmath.factorial(k - 1)


class Point:
    """A random rational point: h, step ratios, parameters, and the further coordinate.

    The further coordinate is Y(ξ) = (ξ + ξ²/5)/(6/5) on the step, and its moments are numbers without
    meaning: weights are exact for whatever they are.
    """

    @staticmethod
    def offset(c):
        """Y at a fraction of the step in λ."""
        return (c + c * c / 5) * 5 / 6

    @staticmethod
    def fraction(y):
        """Where Y has a value."""
        return (mpmath.sqrt(1 + mpmath.mpf(24) / 25 * y) - 1) * mpmath.mpf(5) / 2

    @staticmethod
    def slope(c):
        """d(clock)/dY, a number of its own."""
        return 1 / (1 + c / 3)

    @staticmethod
    def moment(m, c):
        """∫ Y^m d(clock), a number of its own."""
        return c ** (m + 1) / (m * m + mpmath.mpf(9) / 7)

    def __init__(self, solver, seed: int) -> None:
        random = Random(seed)

        def rational(low, high):
            span = high - low
            return Fraction(low) + span * Fraction(random.randrange(1, 400), 401)

        self.kappa = KAPPA[solver.integrand]
        self.h = rational(Fraction(1, 3), Fraction(5, 4))
        gaps = [rational(Fraction(1, 2), Fraction(3, 2)) for _ in range(12)]
        values = {"h": self.h, "sigma": rational(2, 3), "steps": Fraction(20)}
        values["sigma_next"] = values["sigma"]
        values |= {p.name: p.default for p in solver.parameters}
        for prefix in ("theta", "Theta", "eta"):
            gaps = gaps[::-1] if prefix == "Theta" else gaps
            values |= {f"{prefix}{k}": sum(gaps[:k], Fraction(0)) for k in range(1, 12)}
        values["remaining"] = rational(0, 1)
        self.values = {n: mpmath.mpf(v.numerator) / v.denominator for n, v in values.items()}
        self.values["sigma_next"] = self.values["sigma"] * mpmath.exp(-self.values["h"])
        # λ is the variable of gamma: grid points inside the step, in both λ and the clock
        for k in range(1, 10):
            self.values[f"gamma{k}"] = mpmath.mpf(k) / (solver.spans + Fraction(1, 3) * (k != solver.spans)) if solver.spans > 1 else mpmath.mpf(k)  # fmt: skip
            self.values[f"Gamma{k}"] = self.clock(self.values[f"gamma{k}"])

    def of(self, expr):
        """The value of a weight."""
        return number(expr, self.values)

    def clock(self, c):
        """A fraction of the step in λ as one in the clock; of velocity's clock any map serves."""
        if not self.kappa:
            return (c + c * c / 7) / (1 + mpmath.mpf(1) / 7)
        z = self.kappa * self.values["h"]
        return mpmath.expm1(z * c) / mpmath.expm1(z)

    @staticmethod
    def unclocked(at):
        """The inverse of velocity's map."""
        return (mpmath.sqrt(1 + mpmath.mpf(32) / 49 * at) - 1) * mpmath.mpf(7) / 2
