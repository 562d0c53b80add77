"""Typed verdicts: orders, leading errors, and what limits them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import sqrt
from typing import Any

from ..algebra.scalar import Scalar
from ..algebra.surd import Surd
from ..algebra.traced import Traced
from .expansion.words import Word, reading_order, spell, tree

Document = dict[str, Any]  # as the json module reads and writes it


@dataclass(frozen=True)
class Order:
    """An order of accuracy: ``exactly value``, or ``at least value``.

    >>> print(Order(3, True)), print(Order(2, False)), print(Order(0, True))
    exactly 3
    at least 2
    none (does not converge)
    (None, None, None)
    """

    value: int
    exact: bool

    def __str__(self) -> str:
        if self.value < 1:
            return "none (does not converge)"
        return f"{'exactly' if self.exact else 'at least'} {self.value}"

    def json(self) -> Document:
        """``{"order": 3, "exact": true}``."""
        return {"order": self.value, "exact": self.exact}


@dataclass(frozen=True)
class Rate:
    """A rate of convergence of a stochastic solver: exactly h^value, at least h^value, or no error.

    Args:
        value: the power of h, a half-integer at times; ``None`` when the error vanishes identically.
        exact: whether this is the power itself, not a lower bound.

    >>> print(Rate(Fraction(2))), print(Rate(None)), Rate(Fraction(1, 2)).json()
    exactly 2
    exact
    (None, None, [0.5, True])
    """

    value: Fraction | None
    exact: bool = True

    def __str__(self) -> str:
        if self.value is None:
            return "exact"
        if self.value <= 0:
            return "none (does not converge)"
        return f"{'exactly' if self.exact else 'at least'} {self.value}"

    def json(self) -> list[int | float | bool] | str:
        """``"exact"`` or ``[power, whether exactly]``."""
        if self.value is None:
            return "exact"
        whole = self.value.denominator == 1
        return [int(self.value) if whole else float(self.value), self.exact]


BRIEF_BUDGET = 20_000  # products of terms for a coefficient that a file may state; none took 2,000


def _nodes(value: Scalar) -> int:
    """How many operations a coefficient takes."""
    return sum(1 for _ in value.walk()) if isinstance(value, Traced) else 0


@dataclass(frozen=True)
class LeadingError:
    """The leading local error Σ coef h^exponent word, numerical minus exact, after one step.

    Args:
        exponent: power of h: the order plus one.
        terms: (word, coefficient) pairs, simple words first; coefficients are fractions, surds, or
            expressions in step ratios, parameters and jets.
        rest: words whose coefficients hold too many derivatives of a coordinate to be expanded.
    """

    exponent: int
    terms: tuple[tuple[Word, Scalar], ...]
    rest: tuple[Word, ...] = ()

    @classmethod
    def of(cls, exponent: Fraction, terms: Mapping[Word, Scalar]) -> LeadingError:
        """From an expansion's leading part."""
        return cls(int(exponent), tuple(sorted(terms.items(), key=lambda t: reading_order(t[0]))))

    def json(self) -> list[Document]:
        """A list of ``{word, tree, coef}``."""
        texts = self.coefficients()
        return [
            {"word": spell(word), "tree": tree(word), "coef": text}
            for (word, _), text in zip(self.terms, texts, strict=True)
        ]

    def coefficients(self) -> list[str]:
        """The coefficients as text, in lowest terms."""
        values = [value for _, value in self.terms]
        if all(isinstance(value, Fraction | int) for value in values):
            return [str(value) for value in values]
        return [self._spelled(index) for index in range(len(values))]

    def brief(self, longest: int) -> list[Document] | None:
        """`json`, or ``None`` as soon as one coefficient is longer than so many characters.

        The coefficients of least work come first: an expansion that would be thrown away because
        another one is long is never made.
        """
        for index in sorted(range(len(self.terms)), key=lambda i: _nodes(self.terms[i][1])):
            if len(self._spelled(index, BRIEF_BUDGET)) > longest:
                return None
        return self.json()

    def _spelled(self, index: int, budget: int | None = None) -> str:
        """A coefficient as text, expanded once."""
        from ..algebra.rational import BUDGET
        from ..algebra.rational import spell as spell_coefficient

        if index not in self._texts:
            self._texts[index] = spell_coefficient(self.terms[index][1], budget or BUDGET)
        return self._texts[index]

    @cached_property
    def _texts(self) -> dict[int, str]:
        return {}

    def norm(self) -> float | None:
        """The principal error norm √Σ coef²: the size of the local error per h^exponent.

        Returns:
            The norm, or ``None`` where the coefficients hold symbols, such as a schedule's derivatives.

        Source: Prince and Dormand, J. Comput. Appl. Math. 7 (1981), with words for trees.
        """
        values = [value for _, value in self.terms if isinstance(value, int | Fraction | Surd)]
        if self.rest or len(values) < len(self.terms):
            return None
        return sqrt(sum(float(value) ** 2 for value in values))

    def __str__(self) -> str:
        shown = ""
        for text, (word, _) in zip(self.coefficients(), self.terms, strict=True):
            negative = text.startswith("-") and " " not in text
            size = text[1:] if negative else f"({text})" if " " in text else text
            piece = spell(word) if size == "1" else f"{size} {spell(word)}"
            shown += (f" {'-' if negative else '+'} " if shown else "-" * negative) + piece
        if self.rest:
            words = ", ".join(map(spell, self.rest))
            shown += f"{' + ' if shown else ''}… in {words}, which depend on the coordinate"
        return f"h^{self.exponent} [{shown}]"


@dataclass(frozen=True)
class ZeroStability:
    """Whether past states are damped: the roots of the first characteristic polynomial.

    Args:
        stable: the root condition holds.
        roots: the roots with multiplicities as (root, count); integers where they are.
        reason: why, in words.
        factor: how fast the clock's steps may grow, from one to the next and for ever; looked for
            up to 8. ``None`` where growth does no harm, or nothing is stable.
    """

    stable: bool
    roots: tuple[tuple[complex, int], ...]
    reason: str
    factor: float | None = None


@dataclass(frozen=True)
class Bottleneck:
    """A step that keeps the global order below that of the main step.

    Args:
        part: "start" or "end".
        step: 0, 1, … from the start; −1, −2, … from the end.
        label: what kind of step it is.
        exponent: its contribution to the global error is of this power of h.
        words: the words of the contribution with their coefficients on a uniform grid.
    """

    part: str
    step: int
    label: str
    exponent: Fraction
    words: tuple[tuple[Word, Scalar], ...]

    def __str__(self) -> str:
        where = (
            f"{self.part} step {self.step}" if self.part == "start" else f"last step {self.step}"
        )
        return (
            f"{where} ({self.label}) adds h^{self.exponent}: "
            f"{', '.join(spell(word) for word, _ in self.words)}"
        )
