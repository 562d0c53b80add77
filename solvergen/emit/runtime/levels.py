"""The grid of a run: its check, and levels between its points."""

import math

import torch

from .choices import JUMPS


def grid(sigmas, alphas=None):
    """Check a grid; return alpha, sigma and lambda = log(alpha / sigma) as lists of float64."""

    def float64(values):
        values = values if torch.is_tensor(values) else torch.tensor(values, dtype=torch.float64)
        return values.detach().cpu().to(torch.float64)

    sigma = float64(sigmas)
    alpha = torch.ones_like(sigma) if alphas is None else float64(alphas)
    if sigma.ndim != 1 or len(sigma) < 2 or alpha.shape != sigma.shape:
        found = f"sigmas {tuple(sigma.shape)}, alphas {tuple(alpha.shape)}"
        raise ValueError(f"sigmas and alphas must be 1-d, equally long, 2 or more; got {found}")
    # cos(pi / 2) in floating point is not 0: an alpha of rounding size is no signal, so it is none.
    alpha = [0.0 if abs(a) < 2.0**-20 else a for a in alpha.tolist()]
    sigma, lam = sigma.tolist(), []
    for i, (a, s) in enumerate(zip(alpha, sigma)):
        if not (0 <= a < math.inf and 0 <= s < math.inf and a + s > 0):
            found = f"sigmas[{i}] = {s}" + (f", alphas[{i}] = {a}" if alphas is not None else "")
            raise ValueError(f"levels must be finite and >= 0; found {found}")
        lam.append(math.log(a / s) if a and s else math.copysign(math.inf, a - s))
        if JUMPS:
            falls = not i or lam[i - 1] < lam[i]
            if not (falls or lam[0] <= lam[i] < lam[i - 1] and i < len(alpha) - 1):
                pair = f"sigmas[{i - 1}] = {sigma[i - 1]}, sigmas[{i}] = {s}"
                found = "sigma / alpha may rise up to its first value, not at the end"
                raise ValueError(f"{found}; found {pair}; sigmas[0] = {sigma[0]}")
        else:
            if i and not lam[i - 1] < lam[i]:
                pair = f"sigmas[{i - 1}] = {sigma[i - 1]}, sigmas[{i}] = {s}"
                said = "sigma / alpha must decrease at every step, from noise to data"
                raise ValueError(f"{said}; found {pair}")
    return alpha, sigma, lam


def level(lam, gauge):
    """alpha and sigma at lambda, on the schedule that the grid was recognised to follow."""
    if gauge == "alpha = 1":
        return 1.0, math.exp(-lam)
    if gauge == "alpha + sigma = 1":
        return 1 / (1 + math.exp(-lam)), 1 / (1 + math.exp(lam))
    return (1 + math.exp(-2 * lam)) ** -0.5, (1 + math.exp(2 * lam)) ** -0.5


def recognise(alpha, sigma):
    """Which schedule a grid follows: inner nodes need alpha and sigma between its points."""
    distance = {
        "alpha = 1": max(abs(a - 1) for a in alpha),
        "alpha^2 + sigma^2 = 1": max(abs(a * a + s * s - 1) for a, s in zip(alpha, sigma)),
        "alpha + sigma = 1": max(abs(a + s - 1) for a, s in zip(alpha, sigma)),
    }
    gauge = min(distance, key=distance.get)
    if distance[gauge] < 1e-4:
        return gauge
    raise ValueError(
        "alphas and sigmas follow none of alpha = 1, alpha^2 + sigma^2 = 1, alpha + sigma = 1, so "
        "the level of an inner node is unknown; rescale to alpha = 1 (x / alpha, sigma / alpha)"
    )
