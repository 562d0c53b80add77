"""The further variable of a solver, y(lambda), and what its polynomials need of it."""

import math

from .choices import KAPPA, RATE, y


def coordinate(lam, start, end):
    """The further variable, from 0 at the start of the step to 1 at its end."""
    return (y(lam) - y(start)) / (y(end) - y(start))


def fraction(c, start, end):
    """Where in the step, as a fraction of it in lambda, the coordinate is c (by bisection)."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        before = coordinate(start + middle * (end - start), start, end) < c
        low, high = (middle, high) if before else (low, middle)
    return (low + high) / 2


def moment(power, c, start, end):
    """Integral of coordinate^power d(clock) over the first part c of a step, in clock steps."""
    total = 0.0
    for j in range(-64, 65):  # tanh-sinh quadrature: exact to rounding for analytic integrands
        u = j / 16
        q = math.exp(-math.pi * math.sinh(u))
        place, weight = 1 / (1 + q), math.pi * math.cosh(u) * q / (16 * (1 + q) ** 2)
        lam = start + c * place * (end - start)
        if KAPPA == 1:
            density = math.exp(lam - start) * (end - start) / math.expm1(end - start)
        elif KAPPA == -1:
            density = math.exp(start - lam) * (start - end) / math.expm1(start - end)
        else:
            density = (
                (end - start)
                / (2 * math.cosh(lam / 2) ** 2)
                / (math.tanh(end / 2) - math.tanh(start / 2))
            )
        total += weight * density * coordinate(lam, start, end) ** power
    return c * total


def slope(c, start, end):
    """d(clock)/d(coordinate) at the fraction c of the step in lambda, in clock steps."""
    lam = start + c * (end - start)
    if KAPPA == 1:
        density = math.exp(lam - start) * (end - start) / math.expm1(end - start)
    elif KAPPA == -1:
        density = math.exp(start - lam) * (start - end) / math.expm1(start - end)
    else:
        density = (
            (end - start)
            / (2 * math.cosh(lam / 2) ** 2)
            / (math.tanh(end / 2) - math.tanh(start / 2))
        )
    rate = RATE
    return density * (y(end) - y(start)) / (rate * (end - start))
