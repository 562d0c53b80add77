"""Quantiles of the beta distribution, by scipy."""

from __future__ import annotations

from .arguments import real


def beta_quantile(p: float, a: float, b: float, upper: bool = False) -> float:
    """The x in [0, 1] below which a beta(a, b) variable stays with probability p.

    Args:
        p: the probability; with `upper` that of staying above x, which keeps its digits near 1.
        a, b: shape of the distribution, both above 0.
        upper: count the probability from the upper end.

    Raises:
        ValueError: p outside [0, 1], or a or b not positive.
        ImportError: scipy is not installed; the message says how to get it.

    >>> import math
    >>> round(beta_quantile(0.25, 0.5, 0.5), 14) == round(math.sin(math.pi / 8) ** 2, 14)
    True
    >>> beta_quantile(0.5, 50, 50)
    0.5
    """
    p, a, b = real("p", p, least=0, most=1), real("a", a, above=0), real("b", b, above=0)
    try:
        from scipy import special
    except ImportError as error:
        raise ImportError(
            "grids at quantiles of a beta distribution need scipy: pip install 'solvergen[grids]'"
        ) from error
    if p == 0.5 and a == b:
        return 0.5  # by symmetry; the inverse stops a rounding away
    if upper:
        return 1.0 - float(special.betaincinv(b, a, p))
    return float(special.betaincinv(a, b, p))
