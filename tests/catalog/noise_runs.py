"""Runs of two samplers on the same noise: grids in three gauges, draws in order, draws by step."""

import torch

GAUGES = ("ve", "vp", "flow")


def levels(n, zero=True, seed=0):
    """n steps of σ/α from about 14 down, of uneven length; the last to 0 or to about 0.05."""
    generator = torch.Generator().manual_seed(seed)
    parts = 0.4 + torch.rand(n - zero, generator=generator, dtype=torch.float64)
    fallen = torch.cat([torch.zeros(1, dtype=torch.float64), parts.cumsum(0)])
    found = 14 * torch.exp(-5.6 * fallen / fallen[-1])
    return torch.cat([found, torch.zeros(int(zero), dtype=torch.float64)])


def scales(gauge, sigma):
    """α as a function of σ in a gauge."""
    if gauge == "ve":
        return torch.ones_like(sigma)
    return 1 - sigma if gauge == "flow" else (1 - sigma**2).sqrt()


def gauged(gauge, level):
    """(σ, α) of levels σ/α."""
    if gauge == "ve":
        return level, torch.ones_like(level)
    size = 1 + level if gauge == "flow" else (1 + level**2).sqrt()
    return level / size, 1 / size


def draws(seed=7, shape=(5, 2)):
    """A noise sampler that gives the draws of a seed in order."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *levels: torch.randn(shape, generator=generator, dtype=torch.float64)


def by_step(level, seed=7, shape=(5, 2)):
    """The draw of each step, whatever was drawn before: for peers that draw more than they use."""
    drawn = draws(seed, shape)
    kept = [drawn() for _ in level]
    return kept, lambda high, low: kept[int((level - high).abs().argmin())]


def run(module, denoise, x, level, gauge="ve", noise=None, **parameters):
    """An emitted sampler on levels σ/α, its state scaled into a gauge; the result over α."""
    sigma, alpha = gauged(gauge, level)

    def model(x, sigma):
        kept = scales(gauge, sigma)
        return denoise(x / kept[:, None], sigma / kept)

    options = {} if gauge == "ve" else {"alphas": alpha}
    noise = noise or draws(shape=tuple(x.shape))
    found = module.sample(model, x * alpha[0], sigma, noise_sampler=noise, **options, **parameters)
    return found / alpha[-1]


def apart(found, wanted):
    """The largest difference over the largest value."""
    return float((found - wanted).abs().max() / wanted.abs().max())


def agrees(module, denoise, x, level, wanted, tolerance, **options):
    """Assert that runs in every gauge end in the wanted state."""
    for gauge in GAUGES:
        found = run(module, denoise, x, level, gauge, **options)
        assert apart(found, wanted) < tolerance, gauge
