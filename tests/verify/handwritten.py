"""Samplers written out by hand, honest and not, in k-diffusion's signature."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch

_NODES, _SHARES = np.polynomial.legendre.leggauss(12)

AB = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def ddim(model, x, sigmas):
    ones = x.new_ones(len(x))
    for s, t in itertools.pairwise(sigmas):
        x = t / s * x + (1 - t / s) * model(x, s * ones)
    return x


def multistep(model, x, sigmas, *, first=1.0, second=0.0, swap=False, sign=1.0):
    """DPM-Solver++(2M) with exact weights; `second` = 1 adds 3M's term as published, 2 as right."""
    ones = x.new_ones(len(x))
    old, steps = [], []
    for s, t in itertools.pairwise(sigmas):
        d = model(x, s * ones)
        h = torch.log(s / t)
        p1 = -torch.expm1(-h)
        p2, p3 = 1 - p1 / h, (1 - p1 / h) / h - 0.5
        x = t / s * x + p1 * d
        if old:
            r0 = h / steps[-1] if swap else steps[-1] / h
            slope = (d - old[-1]) / r0
            if len(old) > 1 and second:
                r1 = steps[-2] / h
                before = (old[-1] - old[-2]) / r1
                curve = (slope - before) / (r0 + r1)
                slope = slope + r0 * curve
                x = x - second * p3 * curve
            x = x + sign * first * p2 * slope
        old.append(d)
        steps.append(h)
    return x


def midpoint_2m(model, x, sigmas):
    """DPM-Solver++(2M) as published: phi_2 replaced by phi_1 / 2."""
    ones = x.new_ones(len(x))
    old = last = None
    for s, t in itertools.pairwise(sigmas):
        d = model(x, s * ones)
        h = torch.log(s / t)
        slope = 0 if old is None else (d - old) * h / last
        x = t / s * x - torch.expm1(-h) * (d + 0.5 * slope)
        old, last = d, h
    return x


def heun(model, x, sigmas):
    ones = x.new_ones(len(x))
    for s, t in itertools.pairwise(sigmas):
        slope = (x - model(x, s * ones)) / s
        ahead = x + (t - s) * slope
        x = x + (t - s) * (slope + (ahead - model(ahead, t * ones)) / t) / 2
    return x


def runge_kutta_4(model, x, sigmas):
    ones = x.new_ones(len(x))

    def slope(x, s):
        return (x - model(x, s * ones)) / s

    for s, t in itertools.pairwise(sigmas):
        w = t - s
        k1 = slope(x, s)
        k2 = slope(x + w / 2 * k1, s + w / 2)
        k3 = slope(x + w / 2 * k2, s + w / 2)
        k4 = slope(x + w * k3, t)
        x = x + w * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    return x


def frozen_adams(model, x, sigmas):
    """iPNDM: Adams weights of equal steps on any grid."""
    ones = x.new_ones(len(x))
    old = []
    for s, t in itertools.pairwise(sigmas):
        old = [(x - model(x, s * ones)) / s, *old[:3]]
        x = x + (t - s) * sum(w * e for w, e in zip(AB[len(old) - 1], old, strict=True))
    return x


def predictor_corrector(model, x, sigmas, *, lower_last=False):
    """Exponential Adams-Bashforth 2 and Adams-Moulton 3 as PEC: order 3."""
    ones = x.new_ones(len(x))
    accepted, old, steps = x, [], []
    n = len(sigmas) - 1
    for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
        d = model(x, s * ones)
        if i:
            nodes = [0.0, float(steps[-1])]
            values = [old[-1], d]
            if i > 1:
                nodes.insert(0, -float(steps[-2]))
                values.insert(0, old[-2])
            accepted = _integrated(accepted, sigmas[i - 1], s, nodes, values)
        nodes, values = [0.0], [d]
        if i and not (lower_last and i == n - 1):
            nodes.insert(0, -float(steps[-1]))
            values.insert(0, old[-1])
        x = _integrated(accepted, s, t, nodes, values)
        old.append(d)
        steps.append(torch.log(s / t))
    return x


def _integrated(x, s, t, nodes, values):
    """sigma-ratio x plus the exact integral of e^(-(h - tau)) times the interpolant."""
    h = math.log(float(s) / float(t))
    points, weights = _gauss(h)
    out = t / s * x
    for j, value in enumerate(values):
        total = 0.0
        for tau, w in zip(points, weights, strict=True):
            basis = 1.0
            for k, node in enumerate(nodes):
                if k != j:
                    basis *= (tau - node) / (nodes[j] - node)
            total += w * math.exp(tau - h) * basis
        out = out + total * value
    return out


def _gauss(h):
    return (h * (_NODES + 1) / 2).tolist(), (h * _SHARES / 2).tolist()
