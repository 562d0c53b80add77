"""Order conditions of a recovered tableau, in the plain clock.

Expanding about the exact solution (Albrecht's form of the rooted trees of Butcher's theory), the
error of row i of a tableau is a sum over words. A word (l; children) is the tree whose root carries
l leaves and the trees of its children; its value at row i is

    leaf l            e_i = sum_j a_ij t_j^l / l!  -  t_i^(l+1) / (l+1)!        weight l + 1
    (l; children)     e_i = sum_j a_ij t_j^l / l! prod e_j(child)^m / m!        weight 1 + l + ...

with t the clock from the row that is taken as exact. A row has local error O(h^q) exactly if, for
every word, weight + (power of h that its value starts with) is at least q.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..probe.tableau import Tableau

Array = NDArray[np.float64]


@dataclass(frozen=True, order=True)
class Word:
    """A rooted tree as (number of leaves at the root, subtrees); DRIFT stands for Y_0's weight."""

    weight: int
    leaves: int
    children: tuple[Word, ...] = ()
    drift: bool = False

    def __str__(self) -> str:
        if self.drift:
            return "Y0"
        if not self.children:
            return "f" + _primes(self.leaves)
        inside = ",".join(str(c) for c in self.children)
        return (
            "fY"
            + ("" if len(self.children) == 1 else str(len(self.children)))
            + _primes(self.leaves)
            + f"[{inside}]"
        )

    @property
    def drifts(self) -> int:
        """How often the start value's weight appears in it."""
        return int(self.drift) + sum(c.drifts for c in self.children)


DRIFT = Word(0, 0, (), True)


def _primes(count: int) -> str:
    return "'" * count if count < 4 else f"^({count})"


@lru_cache(maxsize=8)
def words(limit: int, constants: bool, drift: bool) -> tuple[Word, ...]:
    """All words up to a weight, children before parents.

    Args:
        limit: largest weight.
        constants: include errors of constants (else every constant is integrated exactly).
        drift: include deviations of the start value's weight, once a word.
    """
    known: list[Word] = [DRIFT] if drift else []
    for weight in range(1, limit + 1):
        new = [Word(weight, weight - 1)] if weight > 1 or constants else []
        for leaves in range(weight):
            for group in _groups(tuple(known), weight - 1 - leaves, 0):
                if group and sum(c.drifts for c in group) <= 1:
                    # one spelling for every multiset of children
                    new.append(Word(weight, leaves, tuple(sorted(group))))
        known.extend(new)
    return tuple(known)


def _groups(known: Sequence[Word], weight: int, first: int) -> Iterator[tuple[Word, ...]]:
    """Multisets of known words with a given sum of weights; at most one of weight zero."""
    if weight == 0:
        yield ()
    for i in range(first, len(known)):
        word = known[i]
        if word.weight <= weight:
            after = i + 1 if word.weight == 0 else i
            for rest in _groups(known, weight - word.weight, after):
                yield (word, *rest)


def values(
    tableau: Tableau,
    exact: int,
    result: int,
    unit: float,
    chosen: Sequence[Word],
    view: dict[int, float] | None = None,
    restored: Sequence[int] = (),
) -> dict[Word, float]:
    """Value of every word at row `result`, when row `exact` and all before it are exact.

    Args:
        restored: later rows that are exact too, rising; stages between them keep the errors that they
            have from there, which the steps after may use. One past state only.
        unit: clock difference that counts as one.
        chosen: words with children before parents.
        view: rows and the weights to add up their values with, instead of row `result` alone.
    """
    rows = slice(exact + 1, result + 1)
    t = (tableau.c - tableau.c[exact]) / unit
    a, known = tableau.since(exact, result)
    a = a / unit
    k = len(t[:result])
    found: dict[Word, Array] = {}
    for word in chosen:
        e = np.zeros(len(t))
        if word.drift:
            e[rows] = known.sum(axis=1) - 1
        else:
            inner = t[:k] ** word.leaves / math.factorial(word.leaves)
            for child, times in Counter(word.children).items():
                inner = inner * found[child][:k] ** times / math.factorial(times)
            e[rows] = a @ inner
            if not word.children:
                power = word.leaves + 1
                exact_move = t[rows] ** power - known @ t[: exact + 1] ** power
                e[rows] -= exact_move / math.factorial(power)
        for low, high in itertools.pairwise((*restored, len(e))):
            e[low:high] -= e[low]
        found[word] = e
    view = view or {result: 1.0}
    return {word: sum(w * float(e[row]) for row, w in view.items()) for word, e in found.items()}


@dataclass(frozen=True)
class Local:
    """How fast a local error goes to zero with h.

    Args:
        exponent: power of h.
        exact: False when no word up to it was found non-zero: "at least".
        leading: (word, coefficient) of the words that start with that power.
        blurred: (word, size) up to which rounding hides that word's coefficient.
    """

    exponent: int
    exact: bool
    leading: tuple[tuple[str, float], ...]
    blurred: tuple[tuple[str, float], ...] = ()


# steps of the runs from which power series in h are fitted, and the degree of the fit
LADDER: Array = np.geomspace(0.004, 0.05, 12)
DEGREE = 7
# a coefficient that rounding blurs by more than this is neither zero nor non-zero
RESOLVED = 0.05
# how much a coefficient may move when the largest steps are left out
STEADY = 0.5


def exponent(h: Array, table: dict[Word, Array], limit: int, noise: float) -> Local:
    """The local exponent from word values on a family of grids h.

    Every word's value is a power series in h. Polynomials of two degrees are fitted: what a
    coefficient moves between them, and what rounding does to it, bound its error, so the zero
    test has no tuned tolerance.

    Args:
        h: (m,) steps, m > DEGREE + 1.
        table: word -> (m,) values, in units of a step.
        limit: largest weight that the table holds; exponents up to it are decided.
        noise: relative rounding of one weight of the run.
    """
    best, leading, exact = limit + 1, list[tuple[str, float]](), False
    top = float(h.max())
    powers = np.vander(h / top, DEGREE + 1, increasing=True)
    fine, rough = np.linalg.pinv(powers), np.linalg.pinv(powers[:, :-1])
    # a coefficient that is there is there without the largest steps too
    kept = np.argsort(h)[:-2]
    closer = np.linalg.pinv(powers[kept])
    reach = np.sqrt((fine**2).sum(axis=1))
    blurs: dict[Word, list[float]] = {}
    for word, value in table.items():
        series, check = fine @ value, rough @ value
        misfit = float(np.sqrt(np.mean((powers @ series - value) ** 2)))
        rounding = noise * (1.0 + np.abs(value).max()) * _amplification(word)
        for j in range(min(DEGREE - 1, best - word.weight + 1)):
            blur = 6 * abs(series[j] - check[j]) + reach[j] * (6 * misfit + rounding)
            blurs.setdefault(word, []).append(float(blur / top**j))
            seen = abs(series[j]) > blur
            if seen:
                again = float(closer[j] @ value[kept])
                seen = abs(again - series[j]) < STEADY * abs(series[j])
            if not seen and blur < RESOLVED * top**j:
                continue
            if word.weight + j < best:
                best, leading, exact = word.weight + j, [], seen
            if seen and word.weight + j == best:
                exact = True
                leading.append((str(word), float(series[j] / top**j)))
            break
    blurred = [
        (str(w), sizes[best - w.weight])
        for w, sizes in blurs.items()
        if 0 <= best - w.weight < len(sizes)
    ]
    return Local(best, exact, tuple(leading), tuple(blurred))


def _amplification(word: Word) -> float:
    """How much a word blows up rounding: the clock reaches several steps to either side."""
    return float(6.0 ** min(word.weight, 6))
