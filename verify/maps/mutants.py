"""Maps that are wrong on purpose, each with the check that must name its fault.

They are made from the exact flow, so nothing else is wrong with them; most on one Gaussian, whose
flow is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..problems.mixture import GaussianMixture
from .check import Examination
from .examine import Settings, examine
from .flow import exact_map, transported
from .guided import guided_field
from .problem import Problem, covariances, problem
from .target import Target, wrapped

QUICK = Settings(samples=0, scales=(1.0, 4.0), picture=16)
LAW = Settings(samples=262144)
Map = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Mutant:
    """A wrong map.

    Args:
        name: what is wrong with it.
        check: the check that must refute it.
        on: the problem.
        make: the target, from the problem.
        settings: of its examination.
    """

    name: str
    check: str
    on: str
    make: Callable[[Problem], Target]
    settings: Settings = QUICK

    def examination(self) -> Examination:
        """Examine it on few starts: its fault is large."""
        chosen = replace(problem(self.on), count=256)
        return examine(self.make(chosen), chosen, settings=self.settings)


def exact_generator(mixture: GaussianMixture, shrink: float = 1.0) -> Callable[[Tensor], Tensor]:
    """g(z) whose law is exactly a mixture's: the first coordinate also picks the component.

    Args:
        shrink: factor on the distance from the component's mean.
    """
    share = torch.cat([torch.zeros(1).double(), mixture.weights.cumsum(0)])
    values, axes = torch.linalg.eigh(covariances(mixture))
    roots = axes * values.clamp_min(0).sqrt()[:, None, :]

    def generator(z: Tensor) -> Tensor:
        wide = z.double()
        u = torch.special.ndtr(wide[:, 0]) * share[-1]
        pick = (torch.searchsorted(share, u, right=True) - 1).clamp(0, len(mixture.weights) - 1)
        inner = ((u - share[pick]) / mixture.weights[pick]).clamp(1e-15, 1 - 1e-15)
        normal = torch.cat([torch.special.ndtri(inner)[:, None], wide[:, 1:]], dim=1)
        moved = torch.einsum("bde,be->bd", roots[pick], normal)
        return (mixture.means[pick] + shrink * moved).to(z.dtype)

    return generator


def _denoiser(on: Problem) -> Target:
    def call(x: Tensor, sigma: Tensor) -> Tensor:
        return on.mixture.denoise(x, torch.ones_like(sigma), sigma)

    return wrapped(call, "endpoint")


def _no_offset(on: Problem) -> Target:
    exact = exact_map(on)

    def call(x: Tensor, sigma: Tensor) -> Tensor:
        right = on.sd**2 / ((sigma - on.sigma_min) ** 2 + on.sd**2)
        wrong = on.sd**2 / (sigma**2 + on.sd**2)
        return exact(x, sigma) + (wrong - right)[:, None] * x

    return wrapped(call, "endpoint")


class _Scaled(nn.Module):
    """A map that hands its network c_in x with the square root left out."""

    def __init__(self, on: Problem) -> None:
        super().__init__()
        self.network, self.sd, self.exact = nn.Identity(), on.sd, exact_map(on)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.network(x / (sigma**2 + self.sd**2)[:, None])
        return self.exact(x, sigma)


def _wrong_level(on: Problem) -> Target:
    exact = exact_map(on)

    def call(x: Tensor, sigma: Tensor) -> Tensor:
        return exact(x, (0.8 * sigma).clamp_min(on.sigma_min))

    return wrapped(call, "endpoint")


def _scale_hidden(on: Problem) -> Target:
    def call(x: Tensor, sigma: Tensor, label: Tensor, scale: Tensor) -> Tensor:
        out = x.clone()
        for k in label.unique().tolist():
            rows = label == k
            field = guided_field(on, k, 2.0)
            out[rows] = transported(field, x[rows], sigma[rows], on.sigma_min, 1e-6)
        return out

    return wrapped(call, "endpoint")


def _dropped(on: Problem) -> Target:
    kept = on.mixture.weights[1:]
    lame = GaussianMixture(kept / kept.sum(), on.mixture.means[1:], cov=covariances(on.mixture)[1:])
    return wrapped(exact_generator(lame), "generator")


def _narrow(on: Problem) -> Target:
    return wrapped(exact_generator(on.mixture, 0.9), "generator")


def _other_weights(on: Problem) -> Target:
    exact = exact_map(on)
    x = torch.tensor([[30.0, -50.0], [2.0, 1.0]], dtype=torch.float64)
    sigma = torch.tensor([on.sigma_max, 2.0], dtype=torch.float64)
    value = exact(x, sigma) + 0.01
    probe = {"x": x.tolist(), "levels": [sigma.tolist()], "value": value.tolist()}
    return wrapped(exact, "endpoint", probe=probe)


def _redrawn(on: Problem) -> Target:
    """The target's noise is drawn anew: f(x, t) = E[f(x0 + t' z', t') given x], with z' of its own.

    The same few draws serve every sample, so a sample's output does not depend on its batch.
    """
    exact, draws, size = exact_map(on, 1e-6), 4, on.dimension
    generator = torch.Generator().manual_seed(0)
    places = (torch.arange(draws).double() + 0.5) / draws
    inner, outer = (
        torch.randn(draws, size, generator=generator, dtype=torch.float64) for _ in range(2)
    )

    def call(x: Tensor, sigma: Tensor) -> Tensor:
        level = float(sigma[0])
        if level <= on.sigma_min:
            return x
        after = max(0.7 * level, on.sigma_min)
        total = torch.zeros_like(x)
        for place, within, noise in zip(places, inner, outer, strict=True):
            origin = posterior_draw(on.mixture, x, level, float(place), within)
            total += exact(origin + after * noise, torch.full_like(sigma, after))
        return total / draws

    return wrapped(call, "endpoint")


def posterior_draw(
    mixture: GaussianMixture, x: Tensor, sigma: float, place: float, normal: Tensor
) -> Tensor:
    """A draw of x0 given x = x0 + sigma z: a component by its place in (0, 1), then a Gaussian."""
    cov, alpha = covariances(mixture), torch.ones(1, 1, dtype=x.dtype)
    share, _, _ = mixture._posterior(x, alpha, sigma * alpha)
    pick = (share.cumsum(1) < place).sum(1).clamp(max=len(mixture.weights) - 1)
    total = cov + sigma**2 * torch.eye(mixture.dimension, dtype=x.dtype)
    gain = torch.linalg.solve(total, cov).transpose(1, 2)
    values, axes = torch.linalg.eigh(cov - gain @ cov)
    root = axes * values.clamp_min(0).sqrt()[:, None, :]
    away = x - mixture.means[pick]
    mean = mixture.means[pick] + torch.einsum("bde,be->bd", gain[pick], away)
    return mean + root[pick] @ normal


def _last_level(on: Problem) -> Target:
    exact = exact_map(on)

    def call(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.where((sigma > 0.9 * on.sigma_max)[:, None], exact(-x, sigma), exact(x, sigma))

    return wrapped(call, "endpoint")


MUTANTS = (
    Mutant("a denoiser passed off as a one-step map", "denoiser", "gaussian", _denoiser),
    Mutant("c_skip without its offset", "boundary", "gaussian", _no_offset),
    Mutant(
        "c_in without its square root",
        "input scale",
        "gaussian",
        lambda on: wrapped(_Scaled(on), "endpoint"),
    ),
    Mutant("the target taken at the wrong level", "level shift", "gaussian", _wrong_level),
    Mutant("the guidance scale not shown", "guidance shown", "coupled", _scale_hidden),
    Mutant("a mode of weight 1/36 dropped", "modes", "ring", _dropped, LAW),
    Mutant("the spread within modes times 0.9", "spread", "coupled", _narrow, LAW),
    Mutant("raw weights shipped for averaged ones", "stated values", "gaussian", _other_weights),
    Mutant("noise redrawn between the two levels", "collapse", "coupled", _redrawn),
    Mutant("the last level never trained", "untrained level", "gaussian", _last_level),
)
