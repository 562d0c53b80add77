"""Functions and integrals that weights are written in."""

import math


def phi(k, z):
    """phi_k(z) = (phi_{k-1}(z) - 1/(k-1)!) / z with phi_0 = exp; a series where that cancels."""
    if abs(z) < 2:
        term = total = 1 / math.factorial(k)
        for j in range(1, 30):
            term *= z / (k + j)
            total += term
        return total
    value = math.expm1(z) / z
    for j in range(1, k):
        value = (value - 1 / math.factorial(j)) / z
    return value


def integral(f, low, high):
    """Integral of f from low to high by tanh-sinh quadrature: to rounding where f is smooth."""
    total = 0.0
    for j in range(-112, 113):
        u = j / 32
        q = math.exp(-math.pi * math.sinh(u))
        weight = math.pi * math.cosh(u) * q / (32 * (1 + q) ** 2)
        total += weight * f(low + (high - low) / (1 + q))
    return (high - low) * total


def riemann(f, low, high, count):
    """Left Riemann sum of f over count equal parts from low to high."""
    part = (high - low) / count
    return part * sum(f(low + k * part) for k in range(count))
