"""The grids that hosts read from a table of levels, whatever the model that the table is of."""

from __future__ import annotations

import math
from typing import Any

from .arguments import falling, whole
from .distribution import beta_quantile


class LevelTable:
    """Levels in ascending order, one for each time of training, and ComfyUI's ways to pick some.

    Subclasses give `sigmas`.
    """

    @property
    def sigmas(self) -> list[float]:
        """The levels, ascending."""
        raise NotImplementedError

    def simple(self, n: int) -> list[float]:
        """Every (length/n)-th entry from the end, then 0 (ComfyUI `simple`).

        Raises:
            ValueError: n is not an integer from 1 to the length of the table.
        """
        sigmas = self._finite()
        n = whole("n", n, 1, len(sigmas))
        stride = len(sigmas) / n
        return falling([sigmas[-1 - int(i * stride)] for i in range(n)] + [0.0], n=n)

    def ddim_uniform(self, n: int) -> list[float]:
        """Every (length // n)-th entry from the second on, then 0 (ComfyUI `ddim_uniform`).

        It may have more than n steps: one for each entry that the stride meets.

        Raises:
            ValueError: n is not an integer from 1 to the length of the table less one.
        """
        sigmas = self._finite()
        n = whole("n", n, 1, len(sigmas) - 1)
        return falling([*reversed(sigmas[1 :: len(sigmas) // n]), 0.0], n=n)

    def beta(self, n: int, alpha: float = 0.6, beta: float = 0.6) -> list[float]:
        """Entries at quantiles of a beta distribution, then 0 (ComfyUI `beta`; beta57 is 0.5, 0.7).

        Entries that coincide after rounding count once, so it may have fewer than n steps.

        Raises:
            ValueError: n is not an integer from 1 to the length of the table, or alpha or beta is not
                above 0.
            ImportError: scipy is not installed.
        """
        sigmas = self._finite()
        n, last = whole("n", n, 1, len(sigmas)), len(sigmas) - 1
        shape = {"alpha": alpha, "beta": beta}
        places = [round(quantile(i / n, **shape) * last) for i in range(n)]
        return falling([sigmas[t] for t in dict.fromkeys(places)] + [0.0], n=n, **shape)

    def _finite(self) -> list[float]:
        """The levels, once none is infinite."""
        sigmas = self.sigmas
        if sigmas[-1] == math.inf:
            raise ValueError(
                "betas end in zero terminal SNR: the last level σ/α is infinite, and no grid of "
                "finite levels has it; use rescaled_to_zero_snr(table, least=2**-24), or walk "
                "timesteps with `alphas`"
            )
        return sigmas


def quantile(part: float, alpha: Any, beta: Any) -> float:
    """The quantile 1 − part of a beta distribution, for parameters of these names."""
    try:
        found = beta_quantile(part, alpha, beta, upper=True)
    except ValueError:
        found = math.nan
    if math.isnan(found):
        raise ValueError(
            "alpha and beta must be finite, above 0 and within what the quantile can be computed "
            f"for; found {alpha!r:.60} and {beta!r:.60}"
        )
    return found
