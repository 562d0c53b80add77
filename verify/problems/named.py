"""The mixtures that a user names, and the moments of a mixture."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .digits import digits_mixture
from .mixture import GaussianMixture, coupled_mixture, oracle_mixture


def covariances(mixture: GaussianMixture) -> Tensor:
    """(k, d, d) covariance of every component."""
    size = mixture.dimension
    values = mixture.variances.expand(-1, size) if mixture.isotropic else mixture.variances
    if mixture.axes is None:
        return torch.diag_embed(values)
    return torch.einsum("kde,ke,kfe->kdf", mixture.axes, values, mixture.axes)


def mean(mixture: GaussianMixture) -> Tensor:
    """(d,) mean of the data."""
    return mixture.weights @ mixture.means


def covariance(mixture: GaussianMixture) -> Tensor:
    """(d, d) covariance of the data."""
    away = mixture.means - mean(mixture)
    within = torch.einsum("k,kdf->df", mixture.weights, covariances(mixture))
    return within + torch.einsum("k,kd,kf->df", mixture.weights, away, away)


def component(mixture: GaussianMixture, index: int) -> GaussianMixture:
    """One component as a mixture of its own: the data given a class."""
    return GaussianMixture(
        [1.0], mixture.means[index : index + 1], cov=covariances(mixture)[index : index + 1]
    )


def ring_mixture() -> GaussianMixture:
    """Eight separated modes on the unit circle, standard deviation 0.1, weights 1 to 8."""
    turns = [2 * math.pi * k / 8 for k in range(8)]
    return GaussianMixture(
        [k / 36 for k in range(1, 9)],
        [[math.cos(turn), math.sin(turn)] for turn in turns],
        std=[0.1] * 8,
    )


def gaussian_mixture() -> GaussianMixture:
    """One Gaussian in two dimensions: its exact maps are affine, so laws are closed."""
    return GaussianMixture([1.0], [[0.3, -0.2]], cov=[[[0.5, 0.2], [0.2, 0.3]]])


MIXTURES: dict[str, Callable[[], GaussianMixture]] = {
    "coupled": coupled_mixture,
    "ring": ring_mixture,
    "oracle": oracle_mixture,
    "gaussian": gaussian_mixture,
    "digits-mixture": digits_mixture,
}
