"""The exact flow of a problem: Sobol starts at the highest level and their states at the others.

A state at a level is an exact sample of the marginal there and its end is known, so one integration
serves every level, every pair of levels and self-consistency. scipy's DOP853 in log sigma makes the
states; Gragg-Bulirsch-Stoer extrapolation in the clock 1/sigma, which shares no code with it,
bounds their error. In one dimension the conserved distribution function gives a third way.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc
from torch import Tensor

from ..errors import ExactnessError
from ..problems.reference import Array, Field, dop853, extrapolated
from .problem import Problem, covariances

TIGHT = 1e-13
CHECK = 1e-12
BOUND = 1e-10

Denoise = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class Trajectories:
    """Exact trajectories of the probability-flow ODE.

    Args:
        levels: descending, the last is where the flow ends.
        states: (levels, n, d) float64.
        bound: largest difference between two integrators at the end, absolute.
    """

    levels: tuple[float, ...]
    states: Tensor
    bound: float

    def at(self, level: float) -> Tensor:
        """(n, d) exact states at one of the levels."""
        return self.states[self.levels.index(level)]

    @property
    def ends(self) -> Tensor:
        """(n, d) exact end points."""
        return self.states[-1]


def sobol_starts(problem: Problem, count: int, sigma: float, *, seed: int = 0) -> Tensor:
    """(count, d) states x0 + sigma z from a scrambled Sobol sequence in 2 d + 1 dimensions."""
    mixture, size = problem.mixture, problem.dimension
    points = qmc.Sobol(2 * size + 1, seed=seed).random(count)
    points = np.clip(points, 1e-15, 1 - 1e-15)
    share = np.cumsum(mixture.weights.numpy())
    pick = np.minimum(np.searchsorted(share, points[:, 0]), len(share) - 1)
    normal = torch.from_numpy(np.asarray(ndtri(points[:, 1:])))
    values, axes = torch.linalg.eigh(covariances(mixture))
    roots = axes * values.clamp_min(0).sqrt()[:, None, :]
    chosen = torch.from_numpy(pick)
    data = mixture.means[chosen] + torch.einsum("bde,be->bd", roots[chosen], normal[:, :size])
    return data + sigma * normal[:, size:]


def trajectories(problem: Problem, levels: Sequence[float], *, count: int = 0) -> Trajectories:
    """Exact trajectories through the levels, kept on disk once made.

    Args:
        levels: any order; sigma_max and sigma_min of the problem are added.
        count: number of starts; the problem's own unless given.

    Raises:
        ExactnessError: two integrators do not agree to 1e-10.
    """
    between = {one for one in levels if problem.sigma_min < one < problem.sigma_max}
    chain = tuple(sorted({*between, problem.sigma_min, problem.sigma_max}, reverse=True))
    count = count or problem.count
    return shelved(
        problem,
        "",
        _exact(problem),
        lambda: sobol_starts(problem, count, problem.sigma_max),
        chain,
        count,
    )


def shelved(
    problem: Problem,
    key: str,
    denoise: Denoise,
    start: Callable[[], Tensor],
    chain: tuple[float, ...],
    count: int,
) -> Trajectories:
    """Trajectories of a field on a problem's mixture, from the shelf where they lie on it.

    Args:
        key: what tells this field and its starts from others on the same mixture.
    """
    kept = _shelf() / f"{_digest(problem, (key, chain), count)}.npz"
    if (found := _read(kept, (len(chain), count, problem.dimension))) is not None:
        return Trajectories(chain, *found)
    made = integrate(denoise, start(), chain)
    _keep(kept, made)
    return made


def integrate(denoise: Denoise, start: Tensor, chain: Sequence[float]) -> Trajectories:
    """Trajectories of dx/dsigma = (x - D)/sigma from start at chain[0] through chain.

    Raises:
        ExactnessError: the two integrators do not agree.
    """

    def field(sigma: float, state: Array) -> Array:
        x = torch.from_numpy(np.ascontiguousarray(state.reshape(start.shape)))
        out: Array = denoise(x, sigma).numpy()
        return out

    states = [start.numpy()]
    for high, low in itertools.pairwise(chain):
        states.append(dop853(field, states[-1], high, low, TIGHT))
    bound = _moved(field, states, chain)
    if not bound <= BOUND:
        raise ExactnessError(
            f"exact flow: two integrators agree only to {bound:.1e}, {BOUND:.0e} is asked; narrow "
            "the range of levels"
        )
    return Trajectories(tuple(chain), torch.from_numpy(np.stack(states)), bound)


def _moved(field: Field, states: list[Array], chain: Sequence[float]) -> float:
    """Largest difference of a second integrator, run from the first level to the last."""
    second = extrapolated(field, states[0], chain[0], chain[-1], CHECK)
    return float(np.abs(second - states[-1]).max())


def exact_map(problem: Problem, rtol: float = 1e-9) -> Callable[[Tensor, Tensor], Tensor]:
    """The exact endpoint map as a callable f(x, sigma), for tests and mutants.

    sigma has one level a sample; samples of one level are integrated together. The map of one
    Gaussian is affine and closed.
    """
    if len(problem.mixture.weights) == 1:
        return _affine(problem)
    denoise = _exact(problem)

    def endpoint(x: Tensor, sigma: Tensor) -> Tensor:
        return transported(denoise, x, sigma, problem.sigma_min, rtol)

    return endpoint


def _affine(problem: Problem) -> Callable[[Tensor, Tensor], Tensor]:
    """m + sqrt((C + eps^2) (C + sigma^2)^-1) (x - m)."""
    values, axes = torch.linalg.eigh(covariances(problem.mixture)[0])
    centre, low = problem.mixture.means[0], problem.sigma_min

    def endpoint(x: Tensor, sigma: Tensor) -> Tensor:
        away = (x.to(values) - centre) @ axes
        gain = ((values + low**2) / (values + sigma.to(values)[:, None] ** 2)).sqrt()
        made = (gain * away) @ axes.T + centre
        # at the lowest level it is the identity, to the last bit
        return torch.where((sigma == low)[:, None], x.to(values), made).to(x.dtype)

    return endpoint


def transported(denoise: Denoise, x: Tensor, sigma: Tensor, end: float, rtol: float) -> Tensor:
    """The flow of a field from one level a sample to `end`; float64 within."""
    wide, out = x.double(), x.double().clone()
    for level in sigma.double().unique().tolist():
        rows = sigma.double() == level
        if level == end:
            continue
        part = wide[rows]

        def field(at: float, state: Array, shape: torch.Size = part.shape) -> Array:
            held = torch.from_numpy(np.ascontiguousarray(state.reshape(shape)))
            made: Array = denoise(held, at).numpy()
            return made

        out[rows] = torch.from_numpy(dop853(field, part.numpy(), level, end, rtol))
    return out.to(x.dtype)


def _exact(problem: Problem) -> Denoise:
    def denoise(x: Tensor, sigma: float) -> Tensor:
        return problem.mixture.denoise(x, 1.0, sigma)

    return denoise


def _digest(problem: Problem, key: object, count: int) -> str:
    mixture, made = problem.mixture, hashlib.sha256()
    for part in (mixture.weights, mixture.means, covariances(mixture)):
        made.update(np.ascontiguousarray(part.numpy()).tobytes())
    made.update(repr((key, count, TIGHT)).encode())
    return made.hexdigest()[:24]


def _shelf() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "solvergen" / "flows"


def _read(path: Path, shape: tuple[int, ...]) -> tuple[Tensor, float] | None:
    """A kept flow; one that is damaged counts as none."""
    try:
        with np.load(path, allow_pickle=False) as held:
            states: NDArray[np.float64] = held["states"]
            bound = float(held["bound"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = states.shape == shape and states.dtype == np.float64 and np.isfinite(states).all()
    return (torch.from_numpy(states), bound) if whole else None


def _keep(path: Path, made: Trajectories) -> None:
    """Keep a flow; a folder that cannot be written only costs time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as stream:
            np.savez(stream, states=made.states.numpy(), bound=made.bound)
        os.replace(stream.name, path)
    except OSError:
        return
