"""The further variable of a solver, y(lambda), and what its polynomials need of it."""

import math

from .choices import KAPPA, RATE, y
from .functions import RULES


def coordinate(lam, start, end):
    """The further variable, from 0 at the start of the step to 1 at its end."""
    return (y(lam) - y(start)) / (y(end) - y(start))


def fraction(c, start, end):
    """Where in the step, as a fraction of it in lambda, the coordinate is c (regula falsi)."""
    first, last = y(start), y(end)
    goal = first + c * (last - first)
    low, high, under, over, above = 0.0, 1.0, first - goal, last - goal, None
    for _ in range(60):
        place = low + (high - low) * under / (under - over)
        found, before = y(start + place * (end - start)) - goal, above
        if abs(found) <= 2e-16 * abs(goal):
            break
        above = (found > 0) == (over > 0)
        if above:  # where one end stays twice, half of its distance counts: Illinois
            high, over, under = place, found, under / 2 if before is True else under
        else:
            low, under, over = place, found, over / 2 if before is False else over
    return place


def moments(powers, c, start, end):
    """Integrals of coordinate^power d(clock) over the first part c of a step, in clock steps.

    By Fejér's rule where it agrees with that on half its places, else by tanh-sinh quadrature.
    """
    first, last = y(start), y(end)
    for rule in RULES:
        totals, coarse = [0.0 for _ in powers], [0.0 for _ in powers]
        for place, weight, other in rule:
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
            where = (y(lam) - first) / (last - first)
            for k, power in enumerate(powers):
                value = density * where**power
                totals[k] += weight * value
                coarse[k] += other * value
        if all(abs(t - o) <= 1e-9 * abs(t) for t, o in zip(totals, coarse)):
            break
    return [c * total for total in totals]


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
