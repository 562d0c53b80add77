"""Stochastic samplers written down from their papers or from ComfyUI, for α = 1 (levels are σ/α).

Independent of the package: integrals by Gauss-Legendre quadrature where the papers have integrals.
"""

import itertools
import math

import mpmath
import numpy as np
import torch

POINTS, WEIGHTS = np.polynomial.legendre.leggauss(48)


def integral(function, low, high):
    """∫ of a function of arrays, by quadrature."""
    middle, half = (low + high) / 2, (high - low) / 2
    return half * float(WEIGHTS @ (function(middle + half * POINTS) * np.ones_like(POINTS)))


def lagrange(nodes, j, at):
    """Values of the j-th basis polynomial."""
    others = [node for k, node in enumerate(nodes) if k != j]
    return math.prod((at - node) / (nodes[j] - node) for node in others)


def called(denoise, x, level):
    return denoise(x, torch.full((len(x),), float(level), dtype=torch.float64))


def ancestral(start, end, eta):
    """k-diffusion's two levels: down to the first, then noise of the second."""
    up = min(end, eta * (end**2 * (start**2 - end**2) / start**2) ** 0.5)
    return (end**2 - up**2) ** 0.5, up


def seeds(denoise, x, level, noise, nodes, form, eta=1.0, s_noise=1.0):
    """SEEDS-2 and -3 of ComfyUI: stages at `nodes`, one path through them and the end."""
    for start, end in itertools.pairwise(level.tolist()):
        found = [called(denoise, x, start)]
        if end == 0:
            return found[0]
        h = np.log(start / end)
        he, path, here = h * (1 + eta), 0.0, 0.0
        for c in (*nodes, 1.0):
            weights = stage_weights(form, nodes, c, len(found), he)
            y = np.exp(-c * he) * x + sum(w * d for w, d in zip(weights, found, strict=True))
            at = start * np.exp(-c * h)
            if eta and c > here:
                fresh = noise(start * np.exp(-here * h), at)
                path = np.exp((here - c) * eta * h) * path
                path = path + np.sqrt(1 - np.exp(-2 * (c - here) * eta * h)) * fresh
                here = c
            y = y + s_noise * at * path
            if len(found) <= len(nodes):
                found.append(called(denoise, y, at))
        x = y
    return x


def stage_weights(form, nodes, c, count, h):
    """Weights of the evaluations so far at the place c, for a step of h (1 + eta)."""
    one = 1 - np.exp(-c * h)
    if count == 1:
        return [one]
    two = 1 - one / (c * h)  # c h φ_2(−c h)
    node = nodes[count - 2]
    share = (0.5 * one if form == "phi_1" else two) * c / node
    return [one - share, *[0.0] * (count - 2), share]


def res_multistep(denoise, x, level, noise, eta=1.0, s_noise=1.0):
    """ComfyUI's res_multistep_ancestral."""
    before, lower, last = None, None, None
    for start, end in itertools.pairwise(level.tolist()):
        d = called(denoise, x, start)
        down, up = ancestral(start, end, eta)
        if down == 0 or before is None:
            x = x + (x - d) / start * (down - start)
        else:
            h = np.log(start / down)
            c2 = (np.log(lower) - np.log(last)) / h
            one = (1 - np.exp(-h)) / h
            two = (1 - one) / h
            x = np.exp(-h) * x + h * ((one - two / c2) * d + two / c2 * before)
        x = x + s_noise * up * noise(start, end) if end > 0 else x
        before, lower, last = d, down, start
    return x


def precise_integral(function, low, high):
    """The same in mpmath's precision."""
    return mpmath.quad(function, [mpmath.mpf(low), mpmath.mpf(high)])


def left_sum_of_comfyui(function, low, high):
    """What sample_er_sde takes for an integral."""
    part = (high - low) / 200
    return part * sum(function(low + k * part) for k in range(200))


def er_sde(denoise, x, level, noise, scaler, stages, s_noise=1.0, integral=integral):
    """ER-SDE-Solver of the paper, its integrals by quadrature."""
    values, slopes = [], []
    grid = level.tolist()
    for i, (start, end) in enumerate(itertools.pairwise(grid)):
        values.append(called(denoise, x, start))
        if end == 0:
            return values[-1]
        r = float(scaler(end) / scaler(start))
        y = r * x + (1 - r) * values[-1]
        order = min(stages, i + 1)
        if order >= 2:
            slopes.append((values[-1] - values[-2]) / (start - grid[i - 1]))
            total = integral(lambda s: 1 / scaler(s), end, start)
            y = y + float(end - start + total * scaler(end)) * slopes[-1]
        if order >= 3:
            curve = (slopes[-1] - slopes[-2]) / ((start - grid[i - 2]) / 2)
            total = integral(lambda s, at=start: (s - at) / scaler(s), end, start)
            y = y + float((end - start) ** 2 / 2 + total * scaler(end)) * curve
        variance = end**2 - start**2 * r**2
        silent = variance < 1e-12 * end**2  # zero, but for the rounding of the difference
        x = y if silent else y + s_noise * np.sqrt(variance) * noise(start, end)
    return x


def sa_solver(denoise, x, level, noise, taus, orders, pece=False, ends=False):
    """SA-Solver: stochastic Adams predictor and corrector; `ends` as in ComfyUI, orders that fall.

    With `pece` the last state is corrected too, for one more evaluation.
    """
    lam = [-np.log(s) if s else np.inf for s in level.tolist()]
    n, values, moved = len(level) - 1, [], ()
    predictor, corrector = orders

    def adams(count, i, base, *step):
        return stochastic_adams(base, values[-count:], lam[i - count + 1 : i + 1], *step)

    for i in range(n + pece):
        d = called(denoise, x, level[i])
        values.append(d)
        if moved and corrector and not (ends and i == n - 1):
            x = adams(min(corrector, len(values), n - i if ends else n), i, *moved)
            if i == n:
                return x
            if pece:
                values[-1] = d = called(denoise, x, level[i])
        if level[i + 1] == 0:
            return d
        z = noise(level[i], level[i + 1]) if taus[i] else torch.zeros_like(x)
        moved = (x, lam[i], lam[i + 1], taus[i], z)
        x = adams(min(predictor, len(values), n - 1 - i if ends else n), i, *moved)
    return x


def stochastic_adams(x, values, nodes, start, end, tau, z):
    """The variation of constants formula with an interpolant through (nodes, values)."""
    a, h = 1 + tau**2, end - start
    out = np.exp(-a * h) * x + np.exp(-end) * np.sqrt(1 - np.exp(-2 * tau**2 * h)) * z
    for j, value in enumerate(values):
        kernel = lambda at, j=j: a * np.exp(-a * (end - at)) * lagrange(nodes, j, at)
        out = out + integral(kernel, start, end) * value
    return out


def flow_ancestral(denoise, x, t, noise, eta, s_noise, stages):
    """ComfyUI's ancestral steps of rectified flow, in the flow's time t; the model takes t."""
    for start, end in itertools.pairwise(t.tolist()):
        d = called(denoise, x, start)
        if end == 0:
            return d
        down = end * (1 + (end / start - 1) * eta)
        if stages == 2 and start < 1:
            logit = 0.5 * (np.log(1 / start - 1) + np.log(1 / down - 1))
            middle = 1 / (1 + np.exp(logit))
            d = called(denoise, middle / start * x + (1 - middle / start) * d, middle)
        x = down / start * x + (1 - down / start) * d
        up = np.sqrt(max(0.0, end**2 - (down * (1 - end) / (1 - down)) ** 2))
        x = (1 - end) / (1 - down) * x + (s_noise * up * noise(start, end) if eta else 0)
    return x


def langevin(denoise, x, level, noise, steps, epsilon):
    """Annealed Langevin dynamics of NCSN; the step size is epsilon σ²/σ_L²."""
    for sigma in level.tolist():
        size = epsilon * sigma**2 / float(level[-1]) ** 2
        for _ in range(steps):
            score = (called(denoise, x, sigma) - x) / sigma**2
            x = x + size / 2 * score + np.sqrt(size) * noise(sigma, sigma)
    return x


def restart(denoise, x, level, noise, at, levels, times, s_noise=1.0):
    """Heun down `level`; having come to index `at`, `times` times up to levels[0] and down `levels`."""
    found = heun(denoise, x, level[: at + 1].tolist())
    for _ in range(times):
        high, low = levels[0], float(level[at])
        found = found + s_noise * np.sqrt(high**2 - low**2) * noise(low, high)
        found = heun(denoise, found, levels)
    return heun(denoise, found, level[at:].tolist())


def heun(denoise, x, grid):
    for start, end in itertools.pairwise(grid):
        slope = (x - called(denoise, x, start)) / start
        y = x + (end - start) * slope
        if end:
            slope = (slope + (y - called(denoise, y, end)) / end) / 2
        x = x + (end - start) * slope
    return x


def euler_maruyama(denoise, x, level, noise, tau):
    """du = −(1+τ²)(u − D) dλ + √2 τ σ̃ dW, frozen over each step."""
    for start, end in itertools.pairwise(level.tolist()):
        d, h = called(denoise, x, start), np.log(start / end) if end else np.inf
        if end == 0:
            return d
        x = x - (1 + tau**2) * h * (x - d) + np.sqrt(2 * h) * tau * start * noise(start, end)
    return x


def predictor_corrector(denoise, x, level, noise, snr=None, delta=None):
    """score-SDE for VE: LangevinCorrector, then ReverseDiffusionPredictor; at σ = 0 the denoised value."""
    for start, end in itertools.pairwise(level.tolist()):
        score = (called(denoise, x, start) - x) / start**2
        z = noise()
        if snr is None:
            length = delta * start**2
        else:
            norms = [v.reshape(len(v), -1).norm(dim=-1).mean() for v in (z, score)]
            length = (snr * norms[0] / norms[1]) ** 2 * 2
        x = x + length * score + (2 * length) ** 0.5 * z
        denoised = called(denoise, x, start)
        if end == 0:
            return denoised
        gap = start**2 - end**2
        x = x + gap * (denoised - x) / start**2 + gap**0.5 * noise()
    return x
