"""What the functions in weights mean at a step, in mpmath's current precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
from sympy import Expr

from ..expr.evaluation import evaluate, left_sum
from .step import Step


def number(value: Any) -> Any:
    """An exact rational."""
    return mpmath.mpf(value.numerator) / value.denominator


def _phi(k: int, z: Any) -> Any:
    # φ_k(z) = 1F1(1; k + 1; z) / k!, which mpmath sums without cancellation at any z.
    return mpmath.hyp1f1(1, k + 1, z) / mpmath.factorial(k)


ELEMENTARY: dict[str, Callable[..., Any]] = {
    "phi": _phi,
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "sqrt": mpmath.sqrt,
    "log1p": mpmath.log1p,
    "log": mpmath.log,
    "min": min,
    "between": lambda low, value, high: mpmath.mpf(low <= value <= high),
    "integral": lambda f, low, high: mpmath.quad(f, [low, high]),
    "riemann": left_sum,
}


def clock(kappa: int, lam: Any) -> Any:
    """The clock of the integrand at λ."""
    return mpmath.exp(kappa * lam) if kappa else 1 / (1 + mpmath.exp(lam))


def _clock_rate(kappa: int, lam: Any) -> Any:
    """d(clock)/dλ."""
    value = clock(kappa, lam)
    return kappa * value if kappa else -value * (1 - value)


def further(expression: Expr) -> Callable[[Any], Any]:
    """y(λ), a coordinate besides λ and the clock."""
    return lambda lam: evaluate(expression, {"lam": lam}, ELEMENTARY, number)


def functions(step: Step, kappa: int, start: Any, end: Any) -> dict[str, Callable[..., Any]]:
    """φ and elementary functions; those of the further coordinates between two λ."""
    if not step.coordinates:
        return ELEMENTARY
    ys, h = [further(expression) for expression in step.coordinates], end - start
    widths, total = [y(end) - y(start) for y in ys], clock(kappa, end) - clock(kappa, start)

    def offset(c: Any, which: int = 1) -> Any:
        y = ys[which - 1]
        return (y(start + c * h) - y(start)) / widths[which - 1]

    @cache
    def fraction(c: Any, which: int = 1) -> Any:
        return mpmath.findroot(lambda where: offset(where, which) - c, (0, 1), solver="anderson")

    def slope(c: Any, which: int = 1) -> Any:
        lam = start + c * h
        rate = mpmath.diff(ys[which - 1], lam) * total
        return _clock_rate(kappa, lam) * widths[which - 1] / rate

    @cache
    def moment(m: int, c: Any, which: int = 1) -> Any:
        def integrand(xi: Any) -> Any:
            return offset(xi, which) ** m * _clock_rate(kappa, start + xi * h)

        return mpmath.quad(integrand, [0, c]) * h / total

    return {**ELEMENTARY, "offset": offset, "fraction": fraction, "slope": slope, "moment": moment}
