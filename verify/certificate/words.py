"""Words of certificates: rooted trees, with D itself among them. Standard library only."""

from typing import Any

Word = tuple[int, tuple[Any, ...]]  # (l, children): D^(l), or J_m^(l)[children] with m children


def words(weight: int) -> list[Word]:
    """Words of a weight, which is 1 + l + the weights of the children: rooted trees, with D itself."""
    return [(size, rest) for size in range(weight) for rest in forests(weight - 1 - size, (0, ()))]


def forests(total: int, least: Word) -> list[tuple[Word, ...]]:
    """Sorted tuples of words of a total weight, none before `least`."""
    pairs = [(size, word) for size in range(1, total + 1) for word in words(size) if word >= least]
    found = [(word, *rest) for size, word in pairs for rest in forests(total - size, word)]
    return found if total else [()]


def heavy(word: Word) -> int:
    """The weight of a word."""
    return 1 + word[0] + sum(map(heavy, word[1]))


def as_word(tree: Any) -> Word:
    """The word of a nested list ``[l, [children]]``."""
    return tree[0], tuple(as_word(child) for child in tree[1])
