"""Functions and integrals that weights are written in."""

import math


def phi(k, z):
    """phi_k(z) = (phi_{k-1}(z) - 1/(k-1)!) / z with phi_0 = exp; a series where that cancels."""
    if abs(z) < 2:
        term = total = 1 / math.factorial(k)
        for j in range(1, 30):
            term *= z / (k + j)
            if total + term == total:
                break
            total += term
        return total
    value = math.expm1(z) / z
    for j in range(1, k):
        value = (value - 1 / math.factorial(j)) / z
    return value


def phis(n, z):
    """phi_1(z) to phi_n(z): phi_{k-1}(z) = z phi_k(z) + 1/(k-1)! from the last where z is small."""
    if abs(z) < 2:
        found = [phi(n, z)]
        for k in range(n - 1, 0, -1):
            found.append(z * found[-1] + 1 / math.factorial(k))
        return found[::-1]
    found = [math.expm1(z) / z]
    for k in range(1, n):
        found.append((found[-1] - 1 / math.factorial(k)) / z)
    return found


def fejer():
    """Fejér's second rule on (0, 1): places, weights, and those of the rule on every other place."""

    def weight(k, n):
        turn = k * math.pi / n
        return 2 / n * math.sin(turn) * sum(math.sin(j * turn) / j for j in range(1, n, 2))

    places = [(1 - math.cos(k * math.pi / 16)) / 2 for k in range(1, 16)]
    coarse = [0.0 if k % 2 else weight(k // 2, 8) for k in range(1, 16)]
    return list(zip(places, [weight(k, 16) for k in range(1, 16)], coarse))


def tanh_sinh():
    """Tanh-sinh quadrature on (0, 1), exact to rounding for analytic integrands."""
    rule = []
    for j in range(-112, 113):
        q = math.exp(-math.pi * math.sinh(j / 32))
        weight = math.pi * math.cosh(j / 32) * q / (32 * (1 + q) ** 2)
        rule.append((1 / (1 + q), weight, weight))
    return rule


RULES = fejer(), tanh_sinh()


def integral(f, low, high):
    """Integral of f from low to high, to rounding where f is smooth.

    The error of Fejér's rule is about the square of that on half its places: where these agree to
    half of the digits it is exact, elsewhere tanh-sinh quadrature takes its place.
    """
    for rule in RULES:
        total = coarse = 0.0
        for place, weight, other in rule:
            value = f(low + (high - low) * place)
            total, coarse = total + weight * value, coarse + other * value
        if abs(total - coarse) <= 1e-9 * abs(total):
            break
    return (high - low) * total


def left_sum(count):
    """The left sum of count parts of (0, 1) on the places of Fejér's rule: a rule of its form.

    It sums the polynomial that has the values of f there.
    """

    def shares(places):
        return [
            sum(
                math.prod((j / count - p) / (own - p) for p in places if p != own)
                for j in range(count)
            )
            / count
            for own in places
        ]

    places = [place for place, _, _ in RULES[0]]
    coarse = iter(shares(places[1::2]))
    coarse = [next(coarse) if k % 2 else 0.0 for k in range(len(places))]
    return list(zip(places, shares(places), coarse))


def riemann(f, low, high, count):
    """Left Riemann sum of f over count equal parts from low to high.

    By its rule on 15 places, where that on half of them agrees to half of the digits.
    """
    total = coarse = 0.0
    for place, weight, other in SUMS[count]:
        value = f(low + (high - low) * place)
        total, coarse = total + weight * value, coarse + other * value
    if abs(total - coarse) <= 1e-9 * abs(total):
        return (high - low) * total
    part = (high - low) / count
    return part * sum(f(low + k * part) for k in range(count))


SUMS = {count: left_sum(count) for count in (200,)}
