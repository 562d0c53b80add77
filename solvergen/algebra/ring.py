"""The power-series ring that a step is expanded in: the step h, functions, truncation by weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from . import flint_rationals, modular, series
from .flint_series import INSTALLED, FlintSeries
from .modular import ModularSeries, PrimeField
from .quadrature import expanded
from .scalar import Scalar
from .series import ONE, Series


class PrecisionError(Exception):
    """A coefficient was needed beyond the truncation: expand again with more terms."""


class Ring(Protocol):
    """Where weights have their values: the step h, and the functions that weights may use."""

    @property
    def h(self) -> Scalar:
        """The step."""

    @property
    def end(self) -> int:
        """The power of the series' variable from which on nothing is known."""

    @property
    def functions(self) -> dict[str, Callable[..., Scalar]]:
        """``exp``, ``phi(k, z)``, ``integral(f, low, high)``, … by name."""


class WordRing(Ring, Protocol):
    """A ring for the coefficients of words, which are dropped where they vanish."""

    def trim(self, value: Scalar, weight: int) -> Scalar | None:
        """The coefficient of a word of this weight, cut to what matters; ``None`` when zero."""


class SeriesRing:
    """Power series in x with h = x^power, kept for words up to a weight.

    Args:
        limit: words and series are kept up to h^limit.
        power: 1, or the denominator of a shrink exponent.
        slack: further terms, for weights that are divided by powers of h.
        margin: terms kept beyond the limit, for weights that grow as h shrinks.
        field: expand modulo a prime.
    """

    def __init__(
        self,
        limit: int,
        power: int = 1,
        slack: int = 4,
        margin: int = 0,
        field: PrimeField | None = None,
    ) -> None:
        self.limit, self.power, self.margin = limit, power, margin
        self.end = end = power * (limit + 1) + slack
        residues = FlintSeries if INSTALLED else ModularSeries
        one = Series(0, [ONE], end) if field is None else residues(0, [1], end, field)
        rational = INSTALLED and field is None
        one = flint_rationals.lifted(one) if rational else one
        self.x: Series = one.like(1, one.terms, end)
        self.h: Scalar = one.like(power, one.terms, end)
        kind = modular if field else flint_rationals if rational else series
        self.functions: dict[str, Callable[..., Scalar]] = {
            "exp": kind.exp,
            "expm1": kind.expm1,
            "log1p": kind.log1p,
            "sqrt": series.sqrt,
            "phi": kind.phi,
            "integral": expanded,
            "riemann": expanded,
        }

    def trim(self, value: Scalar, weight: int) -> Scalar | None:
        """The coefficient of a word, truncated to h^(limit − weight)."""
        if not isinstance(value, Series):
            return value if value else None
        end = self.power * (self.limit - weight) + 1
        if value.end < end:
            raise PrecisionError
        value = value.truncated(end + self.margin)
        return value if value.terms else None
