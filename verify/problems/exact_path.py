"""Exact trajectories of the probability-flow ODE on a one-dimensional mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ..rates import measure
from .mixture import GaussianMixture

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """Exact trajectories: lam (m,), and x, log density (m, b) at each of them."""

    lam: Array
    x: Array
    log_density: Array


def exact_path(task: measure.Problem, sigmas: Array) -> Path:
    """Exact 1-D trajectories at any levels, from the conserved distribution function.

    Bisection, then Newton, all levels and trajectories at once in float64.
    """
    first = float(np.exp(-task.lam[0]))
    goal = _distribution(task, task.start[:, 0], np.asarray([first]))[0]
    shape = (len(sigmas), len(task.start))
    low, high = np.full(shape, -60.0), np.full(shape, 60.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = _distribution(task, middle, sigmas) < goal
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    x = 0.5 * (low + high)
    for _ in range(3):
        x = x - (_distribution(task, x, sigmas) - goal) / np.exp(_log_density(task, x, sigmas))
    return Path(-np.log(sigmas), x, _log_density(task, x, sigmas))


def _distribution(task: measure.Problem, x: Array, sigmas: Array) -> Array:
    w, m, v = _parts(task.mixture)
    spread = np.sqrt(v + sigmas[:, None, None] ** 2)
    x = np.broadcast_to(x, (len(sigmas), np.shape(x)[-1]))
    return np.asarray((w * ndtr((x[..., None] - m) / spread)).sum(-1))


def _log_density(task: measure.Problem, x: Array, sigmas: Array) -> Array:
    w, m, v = _parts(task.mixture)
    total = v + sigmas[:, None, None] ** 2
    terms = np.log(w) - 0.5 * (x[..., None] - m) ** 2 / total - 0.5 * np.log(2 * np.pi * total)
    return np.asarray(np.logaddexp.reduce(terms, axis=-1))


def _parts(mixture: GaussianMixture) -> tuple[Array, Array, Array]:
    return (
        mixture.weights.numpy(),
        mixture.means[:, 0].numpy(),
        mixture.variances[:, 0].numpy(),
    )
