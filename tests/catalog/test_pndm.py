"""PNDM as published, written out: pseudo Runge-Kutta steps half-way in time, then frozen multistep."""

import itertools

import pytest
import torch

ADAMS = [55 / 24, -59 / 24, 37 / 24, -9 / 24]


def level(t):
    """α² of the linear VP schedule at time t."""
    return torch.exp(-(19.9 * t**2 / 2 + 0.1 * t))


def transfer(x, noise, a, b):
    """The transfer part of PNDM (which is DDIM): from α² = a to α² = b along a noise prediction."""
    below = a.sqrt() * (((1 - b) * a).sqrt() + ((1 - a) * b).sqrt())
    return (b / a).sqrt() * x - (b - a) / below * noise


def runge_kutta(noise, x, t, end):
    """Liu et al. 2022, Eq. 13."""
    middle, a, b = (t + end) / 2, level(t), level(end)
    first = noise(x, t)
    second = noise(transfer(x, first, a, level(middle)), middle)
    third = noise(transfer(x, second, a, level(middle)), middle)
    fourth = noise(transfer(x, third, a, b), end)
    return first, transfer(x, (first + 2 * second + 2 * third + fourth) / 6, a, b)


def pndm(noise, x, times, steps_of_multistep=True):
    """Liu et al. 2022, Algorithm 2; Runge-Kutta throughout where the multistep part is left out."""
    past = []
    for i, (t, end) in enumerate(itertools.pairwise(times)):
        if i < 3 or not steps_of_multistep:
            first, x = runge_kutta(noise, x, t, end)
            past.insert(0, first)
            continue
        past.insert(0, noise(x, t))
        mean = sum(w * e for w, e in zip(ADAMS, past, strict=False))
        x = transfer(x, mean, level(t), level(end))
    return x


@pytest.mark.parametrize("n", [5, 10, 20])
@pytest.mark.parametrize(("name", "multistep"), [("pndm_time", True), ("pndm_rk_time", False)])
def test_pndm_is_algorithm_2(name, multistep, n, committed, mixture):
    times = torch.linspace(1, 0.02, n + 1, dtype=torch.float64) ** 1.2
    alphas, sigmas = level(times).sqrt(), (1 - level(times)).sqrt()
    x = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2)

    def noise(x, t):
        alpha, sigma = level(t).sqrt(), (1 - level(t)).sqrt()
        return (x - alpha * mixture(x / alpha, (sigma / alpha).expand(len(x)))) / sigma

    def model(x, sigma):
        alpha = (1 - sigma[:1] ** 2).sqrt()
        return mixture(x / alpha, sigma / alpha)

    wanted = pndm(noise, x, times, multistep)
    found = committed(name).sample(model, x, sigmas, alphas=alphas)
    assert (found - wanted).abs().max() < 1e-10 * wanted.abs().max()
