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


@dataclass(frozen=True, eq=False)
class Layer:
    """The words of one weight, side by side.

    Args:
        places: among the words of the forest.
        leaves: (m,) leaves at the root.
        children: (m, p) places of the children, one for each time that a child appears; after the last
            of them, the place of a one.
        divisor: (m,) product of the factorials.
        leaf: place of the word without children, or None.
        weight: of each word.
    """

    places: slice
    leaves: NDArray[np.int64]
    children: NDArray[np.int64]
    divisor: Array
    leaf: int | None
    weight: int


@dataclass(frozen=True, eq=False)
class Forest:
    """All words up to a weight, laid out so that those of one weight are computed at once."""

    words: tuple[Word, ...]
    layers: tuple[Layer, ...]


@lru_cache(maxsize=32)
def forest(limit: int, constants: bool, drift: bool) -> Forest:
    """The forest of words()."""
    chosen = words(limit, constants, drift)
    place = {word: i for i, word in enumerate(chosen)}
    layers, first = [], 0
    for weight, group in itertools.groupby(chosen, key=lambda word: word.weight):
        same = list(group)
        most = max(len(w.children) for w in same)
        children = np.full((len(same), most), len(chosen))
        for row, word in zip(children, same, strict=True):
            row[: len(word.children)] = [place[c] for c in word.children]
        divisor = [
            math.factorial(w.leaves)
            * math.prod(math.factorial(times) for times in Counter(w.children).values())
            for w in same
        ]
        leaf = next((i for i, w in enumerate(same, first) if not w.children and not w.drift), None)
        layers.append(
            Layer(
                slice(first, first + len(same)),
                np.asarray([w.leaves for w in same]),
                children,
                np.asarray(divisor, dtype=np.float64),
                leaf,
                weight,
            )
        )
        first += len(same)
    return Forest(chosen, tuple(layers))


def values(
    tableau: Tableau,
    exact: int,
    result: int,
    unit: float,
    chosen: Forest,
    view: dict[int, float] | None = None,
    restored: Sequence[int] = (),
) -> Array:
    """Value of every word at row `result`, when row `exact` and all before it are exact.

    Args:
        restored: later rows that are exact too, rising; stages between them keep the errors that they
            have from there, which the steps after may use. One past state only.
        unit: clock difference that counts as one.
        chosen: the words.
        view: rows and the weights to add up their values with, instead of row `result` alone.

    Returns:
        One value for each word of the forest.
    """
    rows = slice(exact + 1, result + 1)
    t = (tableau.c[: result + 1] - tableau.c[exact]) / unit
    a, known = tableau.since(exact, result)
    a = a / unit
    count = len(chosen.words)
    powers = t[:, None] ** np.arange(max((x.weight for x in chosen.layers), default=0) + 1)
    e = np.zeros((result + 1, count + 1))
    e[:, count] = 1.0  # what stands for a child that a word does not have
    for layer in chosen.layers:
        if layer.weight == 0:
            e[rows, layer.places] = (known.sum(axis=1) - 1)[:, None]
        else:
            inner = powers[:result, layer.leaves] / layer.divisor
            for column in layer.children.T:
                inner *= e[:result, column]
            e[rows, layer.places] = a @ inner
            if layer.leaf is not None:
                moved = powers[rows, layer.weight] - known @ powers[: exact + 1, layer.weight]
                e[rows, layer.leaf] -= moved / math.factorial(layer.weight)
        for low, high in itertools.pairwise((*restored, result + 1)):
            e[low:high, layer.places] -= e[low, layer.places].copy()
    seen = view or {result: 1.0}
    out: Array = np.asarray(list(seen.values())) @ e[list(seen), :count]
    return out


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
    return Local(best, bool(exact), tuple(leading), tuple(blurred))


def _amplification(word: Word) -> float:
    """How much a word blows up rounding: the clock reaches several steps to either side."""
    return float(6.0 ** min(word.weight, 6))
