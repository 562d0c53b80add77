"""The problems on which maps are examined: mixtures whose exact flow and law are known."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, replace

from ..errors import ANYTHING, ProblemError
from ..problems.mixture import GaussianMixture
from ..problems.named import MIXTURES, component, covariance, covariances, mean


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


def problem(
    text: str, *, sigma_min: float | None = None, sigma_max: float | None = None
) -> Problem:
    """The problem that a user names.

    Args:
        text: one of MIXTURES, or module:function that returns a GaussianMixture.
        sigma_min, sigma_max: another range of levels.

    Raises:
        ProblemError: no such problem, or a function that returns something else.

    >>> round(problem("coupled").sd, 2)
    0.76
    """
    if text in MIXTURES:
        made = MIXTURES[text]()
        found = Problem(text, made, count=2048 if made.dimension <= 8 else 128)
    elif ":" in text:
        made = _called(text)
        found = Problem(text, made, count=2048 if made.dimension <= 8 else 128)
    else:
        raise ProblemError(
            f"--on {text}: no such problem; give one of {', '.join(MIXTURES)}, or module:function "
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


__all__ = ["Problem", "component", "covariance", "covariances", "mean", "problem"]
