"""The problems on which maps are examined: mixtures whose exact flow and law are known."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import ANYTHING, ProblemError
from ..problems.digits import digits_mixture
from ..problems.mixture import GaussianMixture, coupled_mixture, oracle_mixture


@dataclass(frozen=True)
class Problem:
    """A mixture and the range of levels over which a map acts, in the scaling x = x0 + sigma z.

    Args:
        name: how the user names it.
        mixture: the law of the data.
        sigma_min: where the flow ends.
        sigma_max: where it starts.
        count: number of Sobol starts; the flow of many dimensions is dear.
    """

    name: str
    mixture: GaussianMixture
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    count: int = 2048

    @property
    def dimension(self) -> int:
        """Coordinates of one sample."""
        return self.mixture.dimension

    @property
    def sd(self) -> float:
        """Root mean square over coordinates of the standard deviation of the data."""
        return math.sqrt(float(covariance(self.mixture).diagonal().mean()))


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


NAMED: dict[str, tuple[Callable[[], GaussianMixture], int]] = {
    "coupled": (coupled_mixture, 2048),
    "ring": (ring_mixture, 2048),
    "oracle": (oracle_mixture, 2048),
    "gaussian": (gaussian_mixture, 2048),
    "digits-mixture": (digits_mixture, 128),
}


def problem(
    text: str, *, sigma_min: float | None = None, sigma_max: float | None = None
) -> Problem:
    """The problem that a user names.

    Args:
        text: one of NAMED, or module:function that returns a GaussianMixture.
        sigma_min, sigma_max: another range of levels.

    Raises:
        ProblemError: no such problem, or a function that returns something else.

    >>> round(problem("coupled").sd, 2)
    0.76
    """
    if text in NAMED:
        make, count = NAMED[text]
        found = Problem(text, make(), count=count)
    elif ":" in text:
        made = _called(text)
        found = Problem(text, made, count=2048 if made.dimension <= 8 else 128)
    else:
        raise ProblemError(
            f"--on {text}: no such problem; give one of {', '.join(NAMED)}, or module:function "
            "that returns a verify GaussianMixture"
        )
    found = replace(
        found,
        sigma_min=found.sigma_min if sigma_min is None else sigma_min,
        sigma_max=found.sigma_max if sigma_max is None else sigma_max,
    )
    if not 0 < found.sigma_min < found.sigma_max < math.inf:
        raise ProblemError(
            f"levels need 0 < sigma_min < sigma_max; found {found.sigma_min}, {found.sigma_max}"
        )
    return found


def _called(text: str) -> GaussianMixture:
    name, _, attribute = text.partition(":")
    try:
        made = getattr(importlib.import_module(name), attribute)()
    except ANYTHING as error:
        raise ProblemError(f"--on {text}: {type(error).__name__}: {error}") from error
    if not hasattr(made, "denoise") or not hasattr(made, "weights"):
        raise ProblemError(
            f"--on {text}: returned {type(made).__name__}; it must return a GaussianMixture"
        )
    return made
