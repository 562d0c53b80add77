"""Thirty honest samplers: textbook rules in the styles and clocks in which people write them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

Slope = Callable[[float, torch.Tensor], torch.Tensor]


def _told(model, x, level):
    return model(x, torch.as_tensor(level, dtype=x.dtype) * x.new_ones(len(x)))


def _heun(model, x, sigmas):
    for s, t in itertools.pairwise(sigmas):
        d = (x - _told(model, x, s)) / s
        ahead = x + (t - s) * d
        x = x + (t - s) * (d + (ahead - _told(model, ahead, t)) / t) / 2
        yield x


def _exponential_adams(model, x, sigmas):
    """Exponential Adams-Bashforth 2 on the data prediction; ETD2RK start."""
    lam, old = -sigmas.log(), None
    for i in range(len(sigmas) - 1):
        h, data = lam[i + 1] - lam[i], _told(model, x, sigmas[i])
        first, second = -torch.expm1(-h), h + torch.expm1(-h)
        ahead = torch.exp(-h) * x + first * data
        if old is None:
            x = ahead + second * (_told(model, ahead, sigmas[i + 1]) - data) / h
        else:
            x = ahead + second * (data - old) / (lam[i] - lam[i - 1])
        old = data
        yield x


def _classical(model, x, sigmas):
    """The classical Runge-Kutta rule of order 4 in sigma."""

    def f(s, z):
        return (z - _told(model, z, s)) / s

    for s, t in itertools.pairwise(sigmas):
        h, m = t - s, (s + t) / 2
        k1 = f(s, x)
        k2 = f(m, x + h / 2 * k1)
        k3 = f(m, x + h / 2 * k2)
        x = x + h * (k1 + 2 * k2 + 2 * k3 + f(t, x + h * k3)) / 6
        yield x


def _phi(z):
    """phi_1 to phi_3, by series."""
    return [sum(z**j / math.factorial(j + k) for j in range(25)) for k in (1, 2, 3)]


def _krogstad(model, x, sigmas):
    """ETDRK4-B of Krogstad (2005) on x' = -x + D in lambda."""
    lam = (-sigmas.log()).tolist()
    for a, b in itertools.pairwise(lam):
        h, m = b - a, math.exp(-(a + b) / 2)
        p1, p2, p3 = _phi(-h)
        q1, q2, _ = _phi(-h / 2)
        half, whole = math.exp(-h / 2), math.exp(-h)
        one = _told(model, x, math.exp(-a))
        two = _told(model, half * x + h / 2 * q1 * one, m)
        three = _told(model, half * x + h * ((q1 / 2 - q2) * one + q2 * two), m)
        ahead = whole * x + h * ((p1 - 2 * p2) * one + 2 * p2 * three)
        four = _told(model, ahead, math.exp(-b))
        both = (2 * p2 - 4 * p3) * (two + three)
        x = whole * x + h * ((p1 - 3 * p2 + 4 * p3) * one + both + (4 * p3 - p2) * four)
        yield x


RULES = {"heun": (_heun, 2), "ab2": (_exponential_adams, 2), "rk4": (_classical, 4)}
RULES["krogstad"] = (_krogstad, 4)


def _last(states: Iterator[Any]) -> Any:
    *_, end = states
    return end


def plain(rule):
    def sample(model, x, sigmas, extra_args=None, callback=None, disable=None):
        return _last(rule(model, x, sigmas))

    return sample


def generator(rule):
    def sample(model, x, sigmas):
        yield from rule(model, x, sigmas)

    return sample


def opaque(rule):
    """A closure that names no argument."""

    def run(*args, **kwargs):
        model, x, sigmas = args[:3]
        return _last(rule(model, x, sigmas))

    return run


def edm(rule):
    """EDM's signature: its own grid through round_sigma, a zero appended, an Euler step to it."""

    def sampler(
        net, latents, class_labels=None, num_steps=18, sigma_min=0.002, sigma_max=80, rho=7
    ):
        ramp = torch.arange(num_steps, dtype=torch.float64) / (num_steps - 1)
        ends = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
        grid = net.round_sigma((ends[0] + ramp * (ends[1] - ends[0])) ** rho)

        def model(x, s):
            return net(x, s.reshape(-1)[0], class_labels).to(torch.float64)

        x = _last(rule(model, latents.to(torch.float64) * grid[0], grid))
        return x - (x - model(x, grid[-1:]))

    return sampler


def vp(rule):
    def sample(model, x, t):
        alpha = torch.sqrt(1 - t * t)

        def data(z, s):
            a = 1 / torch.sqrt(1 + s[0] ** 2)
            return model(z * a, s[0] * a)

        return _last(rule(data, x / alpha[0], t / alpha)) * alpha[-1]

    return sample


def flow(rule):
    def sample(model, x, t):
        def data(z, s):
            a = 1 / (1 + s[0])
            return model(z * a, s[0] * a)

        return _last(rule(data, x / (1 - t[0]), t / (1 - t))) * (1 - t[-1])

    return sample


def adams(slope: Slope, x: torch.Tensor, times: list[float], order: int) -> torch.Tensor:
    """Adams-Bashforth on any grid by exact integrals; classical Runge-Kutta start."""
    points, weights = np.polynomial.legendre.leggauss(5)
    known: list[torch.Tensor] = []
    for i, (t, end) in enumerate(itertools.pairwise(times)):
        h, now = end - t, slope(t, x)
        known = [now, *known][:order]
        if len(known) < order:
            k2 = slope(t + h / 2, x + h / 2 * now)
            k3 = slope(t + h / 2, x + h / 2 * k2)
            x = x + h * (now + 2 * k2 + 2 * k3 + slope(end, x + h * k3)) / 6
            continue
        nodes = [times[i - j] for j in range(order)]
        for j, value in enumerate(known):
            rest = [n for k, n in enumerate(nodes) if k != j]
            at = t + h * (points + 1) / 2
            basis = np.prod([(at - n) / (nodes[j] - n) for n in rest], axis=0)
            x = x + h / 2 * float(weights @ basis) * value
    return x


def _in_log(model, x, sigmas, order):
    times = sigmas.log().tolist()
    return adams(lambda t, z: z - _told(model, z, math.exp(t)), x, times, order)


def _in_sigma(model, x, sigmas, order):
    return adams(lambda t, z: (z - _told(model, z, t)) / t, x, sigmas.tolist(), order)


def _in_root(model, x, sigmas, order):
    """The seventh root of sigma, in which Karras' grid is uniform."""

    def slope(w, z):
        return 7 * (z - _told(model, z, w**7)) / w

    if sigmas[-1] > 0:
        return adams(slope, x, (sigmas ** (1 / 7)).tolist(), order)
    # level 0 is far away in this clock: no rule with history reaches there, the prediction does
    last = len(sigmas) - 1
    x = adams(slope, x, (sigmas[:last] ** (1 / 7)).tolist(), order) if last > 1 else x
    return _told(model, x, sigmas[last - 1])


def _in_angle(model, x, sigmas, order):
    """z = x cos phi, phi = atan sigma, whose slope is the v-prediction."""

    def slope(p, z):
        c, s = math.cos(p), math.sin(p)
        data = _told(model, z / c, s / c)
        return c * (z - c * data) / s - s * data

    angles = sigmas.atan().tolist()
    return adams(slope, x * math.cos(angles[0]), angles, order) / math.cos(angles[-1])


def _in_flow_time(model, x, sigmas, order):
    def slope(t, z):
        return (z - _told(model, z / (1 - t), t / (1 - t))) / t

    times = (sigmas / (1 + sigmas)).tolist()
    return adams(slope, x * (1 - times[0]), times, order) / (1 - times[-1])


def _in_vp_time(model, x, sigmas, order):
    """The probability flow in the time of the VP schedule, beta from 0.1 to 20."""

    def alpha(t):
        return math.exp(-19.9 * t * t / 4 - 0.05 * t)

    def slope(t, z):
        a = alpha(t)
        s = math.sqrt(1 - a * a)
        noise = (z - a * _told(model, z / a, s / a)) / s
        return -(0.1 + 19.9 * t) / 2 * (z - noise / s)

    times = [
        (-0.05 + math.sqrt(0.0025 + 19.9 * 0.5 * math.log1p(s * s))) / (2 * 19.9 / 4)
        for s in sigmas.tolist()
    ]
    return adams(slope, x * alpha(times[0]), times, order) / alpha(times[-1])


CLOCKS = {
    "log": _in_log,
    "sigma": _in_sigma,
    "root": _in_root,
    "angle": _in_angle,
    "flow time": _in_flow_time,
    "vp time": _in_vp_time,
}


def in_clock(name: str, order: int):
    def sample(model, x, sigmas, disable=None):
        return CLOCKS[name](model, x, sigmas, order)

    return sample


STYLES = {
    "plain": (plain, "k-diffusion"),
    "generator": (generator, "k-diffusion"),
    "opaque": (opaque, "k-diffusion"),
    "edm": (edm, "edm"),
    "vp": (vp, "vp"),
    "flow": (flow, "flow"),
}

# (name, sampler, convention, order)
HONEST = [
    (f"{rule} as {style}", make(made), convention, order)
    for style, (make, convention) in STYLES.items()
    for rule, (made, order) in RULES.items()
    if (rule, style) not in {("krogstad", "edm"), ("krogstad", "vp"), ("krogstad", "flow")}
] + [
    (f"Adams-Bashforth {order} in {name}", in_clock(name, order), "k-diffusion", order)
    for name in CLOCKS
    for order in ((2, 4) if name in ("angle", "log", "vp time") else (3,))
]
