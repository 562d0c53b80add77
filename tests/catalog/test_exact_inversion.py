"""Two-step rules that can be undone exactly, against their authors' recurrences."""

from itertools import pairwise

import pytest
import torch

LEVELS = [3.0, 2.1, 1.7, 0.9, 0.55, 0.4, 0.12, 0.05]


@pytest.fixture
def model(denoiser):
    weights = torch.tensor([0.4, 0.6], dtype=torch.float64)
    means = torch.tensor([[1.0, -0.5], [-0.7, 0.8]], dtype=torch.float64)
    return denoiser(weights.tolist(), means.tolist(), [0.5, 0.3])


def start():
    generator = torch.Generator().manual_seed(7)
    return 3 * torch.randn(4, 2, dtype=torch.float64, generator=generator)


def walked(module, model, sigmas, **options):
    """States and noise predictions along a run, and its end."""
    states, noises = [], []

    def note(event):
        states.append(event["x"])
        noises.append((event["x"] - event["denoised"]) / event["sigma"])

    end = module.sample(model, start(), sigmas, callback=note, **options)
    return states, noises, end


def ratios(sigmas, i):
    before, now, after = sigmas[i - 1 : i + 2]
    return now - before, after - now


def belm(sigmas, i, x, past, noise):
    """Wang et al. 2024, O-BELM with h_i = sigma_i - sigma_{i-1} in their order of indices."""
    old, new = ratios(sigmas, i)
    share = (new / old) ** 2
    return share * past + (1 - share) * x + new * (old + new) / old * noise


def bdia(gamma):
    def rule(sigmas, i, x, past, noise):
        """Zhang et al. 2023: gamma (past - x - DDIM back) + x + DDIM ahead."""
        old, new = ratios(sigmas, i)
        back = -old * noise
        return gamma * (past - x - back) + x + new * noise

    return rule


@pytest.mark.parametrize(
    ("name", "rule", "options"),
    [
        ("o_belm", belm, {}),
        ("bdia", bdia(1.0), {}),
        ("bdia", bdia(0.5), {"gamma": 0.5}),
    ],
)
@pytest.mark.parametrize("last", [LEVELS[-1], 0.0])
def test_states_follow_the_published_recurrence(name, rule, options, last, committed, model):
    sigmas = torch.tensor([*LEVELS[:-1], last], dtype=torch.float64)
    states, noises, end = walked(committed(name), model, sigmas, **options)
    states = [*states, end]
    first = states[0] + (sigmas[1] - sigmas[0]) * noises[0]
    assert torch.allclose(states[1], first, rtol=1e-13, atol=1e-13)
    for i in range(1, len(LEVELS) - 1):
        wanted = rule(sigmas, i, states[i], states[i - 1], noises[i])
        assert torch.allclose(states[i + 1], wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["o_belm", "bdia"])
def test_a_run_is_undone_from_its_last_two_states(name, committed, model):
    """The same file, run up the reversed grid from the end, solves for the state before."""
    module = committed(name)
    sigmas = torch.tensor(LEVELS, dtype=torch.float64)
    states, _, end = walked(module, model, sigmas)
    plan = module.coefficients(sigmas)
    x, following = states[-1], end
    for i in range(len(LEVELS) - 2, 0, -1):
        _, _, sigma, weights = plan[i]
        noise = (x - model(x, sigma * x.new_ones(len(x)))) / sigma
        _, _, keep, slope, share = weights
        x, following = (following - keep * x - slope * noise) / share, x
    assert torch.allclose(x, states[0], rtol=1e-11, atol=1e-11)


def edict_down(model, x, y, sigmas, alphas, p):
    """Wallace et al. 2023, Eqs. 12 to 14: the pair at every point of the grid."""
    pairs = [(x, y)]
    for (s0, a0), (s1, a1) in pairwise(zip(sigmas, alphas, strict=True)):
        keep, slope = a1 / a0, s1 - a1 * s0 / a0

        def noise(state, at=(s0, a0)):
            return (state - at[1] * model(state, at[0] * state.new_ones(len(state)))) / at[0]

        inner_x = keep * x + slope * noise(y)
        inner_y = keep * y + slope * noise(inner_x)
        x = p * inner_x + (1 - p) * inner_y
        y = p * inner_y + (1 - p) * x
        pairs.append((x, y))
    return pairs


def edict_up(model, x, y, sigmas, alphas, p):
    """Eq. 15: the pair where the run began, from that where it ended."""
    levels = list(zip(sigmas, alphas, strict=True))
    for (s0, a0), (s1, a1) in reversed(list(pairwise(levels))):
        keep, slope = a1 / a0, s1 - a1 * s0 / a0

        def noise(state, at=(s0, a0)):
            return (state - at[1] * model(state, at[0] * state.new_ones(len(state)))) / at[0]

        inner_y = (y - (1 - p) * x) / p
        inner_x = (x - (1 - p) * inner_y) / p
        y = (inner_y - slope * noise(inner_x)) / keep
        x = (inner_x - slope * noise(y)) / keep
    return x, y


@pytest.fixture
def any_level(model):
    """A denoiser of any alpha: it looks at x / alpha, and is told sigma with alpha^2 + sigma^2 = 1."""

    def denoised(x, sigma):
        s = sigma[0]
        alpha = (1 - s**2).sqrt()
        return model(x / alpha, sigma / alpha)

    return denoised


@pytest.mark.parametrize("p", [0.93, 0.5])
def test_two_coupled_states_follow_the_published_equations(p, committed, any_level):
    angles = torch.tensor([1.3, 1.15, 0.9, 0.75, 0.5, 0.3, 0.05], dtype=torch.float64)
    sigmas, alphas = angles.sin(), angles.cos()
    seen = []

    def note(event):
        seen.append(event["x"])

    end = committed("edict").sample(any_level, start(), sigmas, alphas=alphas, callback=note, p=p)
    wanted = edict_down(any_level, start(), start(), sigmas, alphas, p)
    for found, (_, y) in zip(seen, wanted, strict=False):
        assert torch.allclose(found, y, rtol=1e-12, atol=1e-13)
    assert torch.allclose(end, wanted[-1][0], rtol=1e-12, atol=1e-13)


def test_two_coupled_states_are_undone_exactly(committed, any_level):
    """From x as the file returns it and y, which one more mean of the last states gives."""
    angles = torch.tensor([1.3, 1.15, 0.9, 0.75, 0.5, 0.3, 0.05], dtype=torch.float64)
    sigmas, alphas, p, calls = angles.sin(), angles.cos(), 0.93, []

    def noted(x, sigma):
        calls.append((x, any_level(x, sigma)))
        return calls[-1][1]

    x = committed("edict").sample(noted, start(), sigmas, alphas=alphas)
    (before, _), (inner, denoised) = calls[-2:]
    noise = (inner - alphas[-2] * denoised) / sigmas[-2]
    keep = alphas[-1] / alphas[-2]
    moved = keep * before + (sigmas[-1] - keep * sigmas[-2]) * noise
    y = p * moved + (1 - p) * x
    for found in edict_up(any_level, x, y, sigmas, alphas, p):
        assert torch.allclose(found, start(), rtol=1e-11, atol=1e-11)


def test_the_level_of_n_is_told_as_it_is_on_any_grid(committed):
    """Not by way of a logarithm: levels need not follow a process that is known."""
    told = []

    def model(x, sigma):
        told.append(float(sigma[0]))
        return 0 * x

    committed("edict").sample(model, start(), [0.9, 0.77, 0.31, 0.0], alphas=[0.2, 0.4, 0.8, 1.0])
    assert told == [0.9, 0.9, 0.77, 0.77, 0.31]
