"""Words: the elementary differentials of u' = −κu + N(λ, u) along an exact solution.

A word is a pair ``(l, children)``. Without children it is the leaf D^(l) = d^l N/dλ^l along the
solution, of weight l + 1. With m children it is J_m^(l)[children] with J_m = ∂^m N/∂u^m, of weight
1 + l + Σ weights. Words of weight w correspond one to one to rooted trees with w nodes: the root
carries l single-node leaves and the children's trees, and D^(k) is the bush with k leaves.

Source: Albrecht, "The Runge-Kutta theory in a nutshell", SIAM J. Numer. Anal. 33 (1996);
Hochbruck and Ostermann, SIAM J. Numer. Anal. 43 (2005), section 4, use the same basis.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations_with_replacement

Word = tuple[int, tuple["Word", ...]]
Tree = list["int | list[Tree]"]


def leaf(order: int) -> Word:
    """The word D^(order): a derivative of N along the exact solution."""
    return (order, ())


@cache
def weight(word: Word) -> int:
    """The power of h that a word carries: nodes of its rooted tree.

    >>> weight((0, ((1, ()),)))  # J D'
    3
    """
    return 1 + word[0] + sum(weight(child) for child in word[1])


@cache
def words(of_weight: int) -> tuple[Word, ...]:
    """All words of a weight, the leaf D of weight 1 included wherever it fits.

    >>> [len(words(w)) for w in range(1, 6)]
    [1, 2, 5, 13, 37]
    """
    found = []
    for order in range(of_weight):
        found += [(order, children) for children in _forests(of_weight - 1 - order)]
    return tuple(sorted(found))


@cache
def _forests(total: int) -> tuple[tuple[Word, ...], ...]:
    """All multisets of words with a given total weight, each as a sorted tuple."""
    if total == 0:
        return ((),)
    found = []
    for sizes in _partitions(total, total):
        pools = [(size, sizes.count(size)) for size in sorted(set(sizes))]
        found += [tuple(sorted(forest)) for forest in _choices(pools)]
    return tuple(found)


def _partitions(total: int, largest: int) -> Iterator[tuple[int, ...]]:
    if total == 0:
        yield ()
    for part in range(min(total, largest), 0, -1):
        for rest in _partitions(total - part, part):
            yield (part, *rest)


def _choices(pools: list[tuple[int, int]]) -> Iterator[tuple[Word, ...]]:
    if not pools:
        yield ()
        return
    (size, count), *rest = pools
    for chosen in combinations_with_replacement(words(size), count):
        for other in _choices(rest):
            yield chosen + other


def tree(word: Word) -> Tree:
    """The word as nested lists ``[l, children]``, the encoding of reports.

    >>> tree((0, ((1, ()),)))
    [0, [[1, []]]]
    """
    return [word[0], [tree(child) for child in word[1]]]


def _primes(order: int) -> str:
    return "'" * order if order <= 3 else f"^({order})"


def spell(word: Word) -> str:
    """The word as plain text.

    >>> spell((0, ((0, ((1, ()),)),))), spell((1, ((1, ()), (2, ()))))
    ("J.J.D'", "J2'(D', D'')")
    """
    order, children = word
    if not children:
        return "D" + _primes(order)
    if len(children) == 1:
        return f"J{_primes(order)}.{spell(children[0])}"
    return f"J{len(children)}{_primes(order)}({', '.join(map(spell, children))})"


def spell_latex(word: Word, leaf_name: str = "D", jacobian: str = "J") -> str:
    r"""The word as LaTeX.

    >>> print(spell_latex((0, ((1, ()),))))
    J D'
    """
    order, children = word
    mark = "'" * order if order <= 3 else f"^{{({order})}}"
    if not children:
        return leaf_name + mark
    inner = [spell_latex(child, leaf_name, jacobian) for child in children]
    if len(children) == 1:
        return f"{jacobian}{mark} {inner[0]}"
    return f"{jacobian}_{{{len(children)}}}{mark}[{', '.join(inner)}]"


def jacobians(word: Word) -> int:
    """How many factors J_m a word has."""
    return bool(word[1]) + sum(jacobians(child) for child in word[1])


def reading_order(word: Word) -> tuple[int, int, Word]:
    """Sort key for people: lighter words first, fewer Jacobians first."""
    return (weight(word), jacobians(word), word)
