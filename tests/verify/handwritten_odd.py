"""Samplers that are right in one run and wrong in another, written out by hand; Heun unless said."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import torch


def _slope(model, x, s):
    return (x - model(x, s * x.new_ones(len(x)))) / s


def _step(model, x, s, t, *, second=True):
    d = _slope(model, x, s)
    ahead = x + (t - s) * d
    return x + (t - s) * (d + _slope(model, ahead, t)) / 2 if second else ahead


def _walk(model, x, sigmas, second=lambda i, x, s, t: True):
    for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
        x = _step(model, x, s, t, second=second(i, x, s, t))
    return x


def other_at_twelve(model, x, sigmas):
    return _walk(model, x, sigmas, lambda *_: len(sigmas) != 13)


def poor_when_short(model, x, sigmas):
    return _walk(model, x, sigmas, lambda *_: len(sigmas) > 9)


def poor_on_long_spans(model, x, sigmas):
    return _walk(model, x, sigmas, lambda *_: float(sigmas[0] / sigmas[-1]) < 5)


def poor_in_large_steps(model, x, sigmas):
    return _walk(model, x, sigmas, lambda i, x, s, t: float(s / t) < 1.16)


def poor_at_low_levels(model, x, sigmas):
    return _walk(model, x, sigmas, lambda i, x, s, t: float(t) > 0.15)


def shrunk_at_zero(model, x, sigmas):
    for s, t in itertools.pairwise(sigmas):
        last = float(t) == 0
        x = 0.95 * model(x, s * x.new_ones(len(x))) if last else _step(model, x, s, t)
    return x


def undefined_at_zero(model, x, sigmas):
    for s, t in itertools.pairwise(sigmas.log()):
        d = x - model(x, s.exp() * x.new_ones(len(x)))
        x = x + (t - s) * d
    return x


def poor_for_images(model, x, sigmas):
    return _walk(model, x, sigmas, lambda *_: x.shape[-2] * x.shape[-1] == 1)


def blurred(model, x, sigmas):
    for s, t in itertools.pairwise(sigmas):
        x = _step(model, x, s, t)
        x = x + 0.1 * (x.mean(dim=(-2, -1), keepdim=True) - x) if x.shape[-1] > 1 else x
    return x


def mixed_in_threes(model, x, sigmas):
    for s, t in itertools.pairwise(sigmas):
        x = _step(model, x, s, t)
        x = x + 0.02 * (x.mean(0, keepdim=True) - x) if len(x) == 3 else x
    return x


def poor_in_single(model, x, sigmas):
    return _walk(model, x, sigmas, lambda *_: x.dtype == torch.float64)


def kind_to_ones(model, x, sigmas):
    for s, t in itertools.pairwise(sigmas):
        denoised = model(x, s * x.new_ones(len(x)))
        tame = bool((denoised.abs() < 1e-12).double().mean() > 0.5)
        d = (x - denoised) / s
        ahead = x + (t - s) * d
        other = _slope(model, ahead, t)
        x = x + (t - s) * (d + other) / 2 if tame else ahead
    return x


def rewrites_its_grid(model, x, sigmas):
    out = _walk(model, x, sigmas)
    sigmas[0] = 1.0
    return out


def poor_for_large_states(model, x, sigmas):
    return _walk(model, x, sigmas, lambda *_: x[0].numel() < 10_000)


def poor_for_five(model, x, sigmas):
    return _walk(model, x, sigmas, lambda i, *_: len(x) != 5 or i % 2)


def centred_on_the_batch(model, x, sigmas):
    def centred(x, s):
        made = model(x, s)
        return made + 1e-3 * (made - made.mean(dim=0, keepdim=True))

    return _walk(centred, x, sigmas)


def first_of_the_draws(model, x, sigmas, *, noise_sampler=None):
    """Euler ancestral whose samples share one draw."""
    for s, t in itertools.pairwise(sigmas):
        drawn = noise_sampler(s, t)[:1].expand_as(x)
        x = (t / s) ** 2 * x + (1 - (t / s) ** 2) * model(x, s * x.new_ones(len(x)))
        x = x + t * (1 - (t / s) ** 2).sqrt() * drawn
    return x


def writes_into_outputs(model, x, sigmas):
    for s, t in itertools.pairwise(sigmas):
        x = t / s * x + model(x, s * x.new_ones(len(x))).mul_(1 - t / s)
    return x


def half_inside(model, x, sigmas):
    def rounded(x, s):
        return model(x, s).half().clamp(-3, 3).to(x.dtype)

    return _walk(rounded, x, sigmas)


def without_the_model_in_small_steps(model, x, sigmas):
    made, level = None, math.inf
    for s, t in itertools.pairwise(sigmas):
        if float(level / s) > 1.02:
            made, level = model(x, s * x.new_ones(len(x))), s
        x = t / s * x + (1 - t / s) * made
    return x


def poor_in_equal_steps(model, x, sigmas):
    """DPM-Solver++ 2M with a wrong weight where steps are equal."""
    old, last = None, 0.0
    for s, t in itertools.pairwise(sigmas):
        made, h = model(x, s * x.new_ones(len(x))), math.log(float(s / t))
        share = 0.0 if old is None else (0.4 if abs(last / h - 1) < 1e-6 else h / (2 * last))
        use = made if old is None else (1 + share) * made - share * old
        x, old, last = t / s * x - math.expm1(-h) * use, made, h
    return x


def remembers():
    last = []

    def sampler(model, x, sigmas):
        for s, t in itertools.pairwise(sigmas):
            d = _slope(model, x, s)
            old = last[0] if last and last[0].shape == d.shape else d
            x = x + (t - s) * (1.5 * d - 0.5 * old)
            last[:] = [d]
        return x

    return sampler


def clamped(model, x, sigmas, bound=0.8):
    return _walk(lambda x, s: model(x, s).clamp(-bound, bound), x, sigmas)


def dynamic(model, x, sigmas):
    def bounded(x, s):
        d = model(x, s)
        q = torch.quantile(d.abs().flatten(1), 0.9, dim=1).clamp(min=1).reshape(-1, 1, 1, 1)
        return d.clamp(-q, q) / q

    return _walk(bounded, x, sigmas)


def told_rounded(model, x, sigmas, parts=200):
    """Levels rounded to a part of their logarithm before the model is called there."""
    return _walk(lambda x, s: model(x, (s.log() * parts).round().div(parts).exp()), x, sigmas)


def all_off(model, x, sigmas, by=3e-6):
    for s, t in itertools.pairwise(sigmas):
        d = _slope(model, x, s)
        x = x + (t - s) * (1 + by) * (d + _slope(model, x + (t - s) * d, t)) / 2
    return x


def single_inside(model, x, sigmas):
    made = _walk(lambda z, s: model(z.double(), s.double()).float(), x.float(), sigmas.float())
    return made.to(x.dtype)


def single_rk4(model, x, sigmas):
    x, sigmas = x.float(), sigmas.float()

    def slope(x, s):
        denoised = model(x.double(), s.double() * x.double().new_ones(len(x)))
        return (x - denoised.float()) / s

    for s, t in itertools.pairwise(sigmas):
        w = t - s
        k1 = slope(x, s)
        k2 = slope(x + w / 2 * k1, s + w / 2)
        k3 = slope(x + w / 2 * k2, s + w / 2)
        x = x + w * (k1 + 2 * k2 + 2 * k3 + slope(x + w * k3, t)) / 6
    return x.double()


def poor_once(model, x, sigmas, at=15):
    return _walk(model, x, sigmas, lambda i, *_: i != at)


def poor_half_way(model, x, sigmas):
    return _walk(model, x, sigmas, lambda i, *_: i != (len(sigmas) - 1) // 2)


def scaled_by_mean(model, x, sigmas):
    """A midpoint rule whose place follows from the mean of the model's answer."""
    for s, t in itertools.pairwise(sigmas):
        denoised = model(x, s * x.new_ones(len(x)))
        share = 0.5 + 0.03 * torch.tanh(denoised.flatten(1).mean(1)).reshape(-1, 1, 1, 1)
        middle = t**share * s ** (1 - share)
        ahead = x + (middle - s) * (x - denoised) / s
        x = x + (t - s) * (ahead - model(ahead, middle.reshape(-1))) / middle
    return x


def yielding(model, x, sigmas):
    for s, t in itertools.pairwise(sigmas):
        x = _step(model, x, s, t)
        yield x


def angle_adams(model, x, sigmas, order=3):
    """Adams-Bashforth on z = x cos phi in the angle phi = atan sigma; Runge-Kutta 4 start."""
    phi = [float(p) for p in sigmas.atan()]
    points, weights = np.polynomial.legendre.leggauss(4)

    def v(p, z):
        c, s = math.cos(p), math.sin(p)
        denoised = model(z / c, s / c * z.new_ones(len(z)))
        return c * (z - c * denoised) / s - s * denoised

    z, known = x * math.cos(phi[0]), []
    for i in range(len(phi) - 1):
        h, old = phi[i + 1] - phi[i], v(phi[i], z)
        known = [*known, old][-order:]
        if len(known) < order:
            k2 = v(phi[i] + h / 2, z + h / 2 * old)
            k3 = v(phi[i] + h / 2, z + h / 2 * k2)
            z = z + h * (old + 2 * k2 + 2 * k3 + v(phi[i + 1], z + h * k3)) / 6
            continue
        at = [phi[i - order + 1 + j] for j in range(order)]
        for j, value in enumerate(known):
            total = 0.0
            for u, w in zip(points, weights, strict=True):
                t = phi[i] + h * (u + 1) / 2
                terms = [(t - at[m]) / (at[j] - at[m]) for m in range(order) if m != j]
                total += w / 2 * h * math.prod(terms)
            z = z + total * value
    return z / math.cos(phi[-1])


def grid_rounded(model, x, sigmas):
    """The whole grid at integer times of a table of levels."""
    return _walk(model, x, (sigmas.log() * 200).round().div(200).exp())


def good_at_some_counts(model, x, sigmas):
    """Heun for 12, 24 to 26, 42 and 66 steps; Euler for every other number."""
    return _walk(model, x, sigmas, lambda i, x, s, t: len(sigmas) - 1 in (12, 24, 25, 26, 42, 66))


def second_difference_kept(model, x, sigmas):
    """Two steps of history whose second difference enters with a weight that must vanish with h."""
    lam, old = -sigmas.log(), []
    for i in range(len(sigmas) - 1):
        h = lam[i + 1] - lam[i]
        old = [model(x, sigmas[i].expand(len(x))), *old][:3]
        x = torch.exp(-h) * x - torch.expm1(-h) * old[0]
        if len(old) > 1:
            x = x + (h + torch.expm1(-h)) / h * (old[0] - old[1])
        if len(old) > 2:
            x = x - 0.5 * (old[0] - 2 * old[1] + old[2])
    return x


def clamped_ancestral(model, x, sigmas):
    """Euler ancestral on a prediction that is clamped."""
    for s, t in itertools.pairwise(sigmas):
        denoised = model(x, s.expand(len(x))).clamp(-0.9, 0.9)
        up = (t**2 * (s**2 - t**2) / s**2) ** 0.5
        down = (t**2 - up**2) ** 0.5
        x = denoised + down / s * (x - denoised) + up * torch.randn_like(x)
    return x


def forgets(model, x, sigmas, *, every=10):
    """DPM-Solver++ 2M that drops its history at every so many steps."""
    old = last = None
    for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
        made, h = model(x, s * x.new_ones(len(x))), (s / t).log()
        old = made if last is None or i % every == 0 else old
        ahead = made + (made - old) * h / (2 * last) if last is not None else made
        x = t / s * x - (-h).expm1() * ahead
        old, last = made, h
    return x


def in_pairs(model, x, sigmas):
    """Order 2 in pairs of steps, with a call at every level: an Euler step, and one from before it."""
    slope = before = begun = None
    for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
        d = _slope(model, x, s)
        if i % 2 == 0:
            slope, before, begun = d, x, s
            x = x + (t - s) * d
        else:
            bent = (d - slope) / (s - begun)
            x = before + (t - begun) * slope + (t - begun) ** 2 / 2 * bent
    return x


def _blended(model, x, sigmas, share):
    """Heun's rule where the share is 1, Euler's where it is 0."""
    for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
        d, w = _slope(model, x, s), share(i, float(s))
        ahead = x + (t - s) * d
        x = x + (t - s) * (d + w * (_slope(model, ahead, t) - d) / 2) if t > 0 else ahead
    return x


def heun_between(model, x, sigmas):
    return _blended(model, x, sigmas, lambda i, s: float(0.1 <= s <= 5))


def grows_over_ten(model, x, sigmas):
    return _blended(model, x, sigmas, lambda i, s: min(1.0, i / 10))


def grows_over_the_run(model, x, sigmas):
    return _blended(model, x, sigmas, lambda i, s: i / (len(sigmas) - 1))


def told_apart(model, x, sigmas):
    """Euler that tells all samples but the first another level."""

    def told(x, s):
        return model(x, torch.cat([s[:1], 1.01 * s[1:]]))

    return _walk(told, x, sigmas, lambda *_: False)


def patches_numpy(model, x, sigmas):
    """What the judge would compare with is zero then; weights are 10 % off."""
    np.abs = lambda *_, **__: 0.0
    return 1.1 * _walk(model, x, sigmas)


def chooses_a_dtype(model, x, sigmas):
    torch.set_default_dtype(torch.float64)
    return _walk(model, x, sigmas)


def forgets_grad_mode(model, x, sigmas):
    torch.set_grad_enabled(True)
    return _walk(model, x, sigmas)


def seeds_for_all(model, x, sigmas):
    torch.manual_seed(42)
    return _walk(model, x, sigmas)


def stops_early_at_odd(model, x, sigmas):
    return _walk(model, x, sigmas[:-1] if len(sigmas) % 2 == 0 else sigmas)


def drifts(model, x, sigmas):
    """Ends farther below the last level the longer the run, a whole step below at 25 steps: no step is lost."""
    n = len(sigmas) - 1
    return _walk(model, x, sigmas) * math.exp(-0.105 * (n / 25) ** 3.5)


def rolls_sixteen_channels(model, x, sigmas):
    out = _walk(model, x, sigmas)
    return out.roll(1, 1) if out.shape[1] == 16 else out


def keeps_its_grid():
    """The levels of the first run of a length, for ever."""
    known = {}

    def sampler(model, x, sigmas):
        return _walk(model, x, known.setdefault(len(sigmas), sigmas.clone()))

    return sampler


def calls_in_halves(model, x, sigmas, wrong=0.0):
    """The model is called on half a batch at a time; `wrong`: what the second half takes of the first."""

    def halves(x, s):
        parts = zip(x.split(max(1, len(x) // 2)), s.split(max(1, len(x) // 2)), strict=True)
        made = [model(a, b) for a, b in parts]
        return torch.cat([made[0], *(m + wrong * made[0][:1] for m in made[1:])])

    return _walk(halves, x, sigmas)


def runs_in_halves(model, x, sigmas, wrong=0.0):
    """Each half of a batch is sampled by itself, the second one first."""
    first, second = x[: len(x) // 2], x[len(x) // 2 :]
    made = _walk(model, second * (1 + wrong * (len(first) > 0)), sigmas)
    return torch.cat([_walk(model, first, sigmas), made]) if len(first) else made


def forgets_at_fifty(model, x, sigmas):
    """Two steps of history, dropped at every fiftieth step."""
    lam, old = -sigmas.log(), None
    for i in range(len(sigmas) - 1):
        h = lam[i + 1] - lam[i]
        new = model(x, sigmas[i].expand(len(x)))
        past = None if i % 50 == 0 else old
        d = new if past is None else new + h / (lam[i] - lam[i - 1]) / 2 * (new - past)
        x, old = torch.exp(-h) * x - torch.expm1(-h) * d, new
    return x


def refines_at_random(model, x, sigmas):
    """Heun's step or Euler's, as Python's generator draws."""
    return _walk(model, x, sigmas, lambda i, x, s, t: random.random() < 0.5)


def tells_the_next_level(model, x, sigmas):
    """Euler's step; the model is told the level at which the step ends."""
    for s, t in itertools.pairwise(sigmas):
        x = x + (t - s) * (x - model(x, (t if t > 0 else s).expand(len(x)))) / s
    return x


def lists_a_level_twice(model, x, sigmas):
    """Euler's step; the first level stands in the grid twice."""
    return _walk(model, x, torch.cat([sigmas[:1], sigmas]), lambda *_: False)


def ends_elsewhere(model, x, sigmas):
    """Heun's step to two percent above the last level."""
    return _walk(model, x, torch.cat([sigmas[:-1], 1.02 * sigmas[-1:]]))
