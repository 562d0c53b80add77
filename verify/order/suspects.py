"""Which weight of a step is wrong: the weight found, the weight needed, and whose it is.

A step on q nodes has one set of weights that integrates degrees 0 to q - 1. Where a rule misses a
degree that its nodes could integrate, the weights that differ from that set are named.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from ..probe.tableau import Tableau

Array = NDArray[np.float64]

USED = 1e-6
DIFFERENT = 1e-4
MOST_NODES, MOST_NAMED = 6, 2
TERMS = 6
# power of 1/h
GROWS = 0.6


def wrong_weights(family: list[Tableau], h: Array, low: int, high: int) -> str:
    """The weights of one step that differ from those needed, in words; "" when that is not told."""
    read = [_read(t, low, high) for t in family]
    known = np.asarray([k for _, _, k in read])
    kept = float(_limit(known, h))
    if abs(kept - 1) > DIFFERENT:
        return f"the weight of the state is {kept:.6g}, needs 1"
    used = np.abs(read[-1][1]) > USED * np.abs(read[-1][1]).max(initial=1e-300)
    nodes = np.asarray([offset[used] for offset, _, _ in read])
    found = _limit(np.asarray([weight[used] for _, weight, _ in read]), h)
    at = _limit(nodes, h)
    merged = np.unique(np.round(at, 5))
    if not 1 <= len(merged) <= MOST_NODES:
        return ""
    sums = np.asarray([found[np.abs(at - c) < 2e-5].sum() for c in merged])
    needed = np.linalg.solve(
        np.vander(merged, increasing=True).T, 1 / np.arange(1, len(merged) + 1)
    )
    away = np.abs(sums - needed)
    off = np.flatnonzero(away > DIFFERENT * np.abs(needed).max())[::-1]
    if not 0 < len(off) <= MOST_NAMED:
        return ""
    said = [f"{_name(merged, i)} has weight {sums[i]:.6g}, needs {needed[i]:.6g}" for i in off]
    return "; ".join(said)


def growing_weight(family: list[Tableau], h: Array, low: int, high: int) -> str:
    """The divided difference whose weight in a step grows as steps shrink, in words; "" for none.

    A term that should vanish with the step, such as one whose sign is wrong against a constant that
    it must cancel, keeps its size; per length of the step its weight grows like 1/h.
    """
    fine, coarse = int(np.argmin(h)), int(np.argmax(h))
    read = [_newton(family[i], low, high) for i in (fine, coarse)]
    if any(r is None for r in read):
        return ""
    (found, needed, nodes), (before, right, _) = (r for r in read if r is not None)
    if len(found) != len(before):
        return ""
    away, was = np.abs(found - needed), np.abs(before - right)
    growth = np.log(np.maximum(away, 1e-300) / np.maximum(was, 1e-300)) / np.log(
        h[coarse] / h[fine]
    )
    grows = np.flatnonzero((growth > GROWS) & (away > 1))
    if not len(grows):
        return ""
    k = int(grows[-1])
    of = ["", "first", "second", "third", "fourth", "fifth"][k]
    whose = ", ".join(_name(nodes, i) for i in np.argsort(np.abs(nodes))[: k + 1])
    return (
        f"the {of} divided difference of the outputs ({whose}) has weight {found[k]:.4g} per step "
        f"where it needs {needed[k]:.4g}, at steps of {h[fine]:.2g}, and the more the shorter steps "
        "are: a term of it that must vanish with the step does not (a sign, or a constant)"
    )


def _newton(t: Tableau, low: int, high: int) -> tuple[Array, Array, Array] | None:
    """Weights of the divided differences of the outputs in one step: found, needed; the nodes.

    Nodes are taken from the step's start outwards, in fractions of the step.
    """
    offset, weight, _ = _read(t, low, high)
    used = np.abs(weight) > USED * np.abs(weight).max(initial=1e-300)
    nodes = offset[used][np.argsort(np.abs(offset[used]), kind="stable")]
    weight = weight[used][np.argsort(np.abs(offset[used]), kind="stable")]
    if not 2 <= len(nodes) <= MOST_NODES or np.abs(np.diff(np.sort(nodes))).min() < USED:
        return None
    product, newton = np.ones(1), []
    found = []
    for k in range(len(nodes)):
        found.append(float(weight @ np.polyval(product[::-1], nodes)))
        newton.append(float(product @ (1 / np.arange(1, k + 2))))
        product = np.convolve(product, [-nodes[k], 1.0])
    return np.asarray(found), np.asarray(newton), nodes


def _read(t: Tableau, low: int, high: int) -> tuple[Array, Array, float]:
    """Offsets and weights of the outputs in fractions of the step, and the weight of the states."""
    move, known = t.move(low, high)
    step = t.c[high] - t.c[low]
    return (t.c[:high] - t.c[low]) / step, move / step, float(known.sum())


def _limit(values: Array, h: Array) -> Array:
    """Values of a family of grids, extrapolated to h = 0."""
    powers = np.linalg.pinv(np.vander(h / h.max(), TERMS, increasing=True))
    return np.asarray(np.tensordot(powers[0], values, axes=1))


def _name(nodes: Array, i: int) -> str:
    """Whose output it is: of the step's start, of a stage, of steps before."""
    if abs(nodes[i]) < USED:
        return "the output of the step's start"
    if abs(nodes[i] - 1) < USED:
        return "the output at the step's end"
    if nodes[i] > 0:
        return f"the output at {nodes[i]:.4g} of the step"
    back = int((nodes[nodes < -USED] >= nodes[i] - USED).sum())
    return f"the output {back} step{'s' if back > 1 else ''} back"


def condition(word: str) -> str:
    """A word as the order condition of its tree: b.c^2, b.A.c, row sums.

    >>> condition("fY[f']"), condition("f''"), condition("fY[f]"), condition("fY'[f']")
    ('b·A·c', 'b·c²', 'row sums (A·1 = c)', 'b·c·A·c')
    """
    if word == "fY[f]":
        return "row sums (A·1 = c)"
    return "b" + _factors(word)


def _factors(word: str) -> str:
    plain = re.fullmatch(r"f('*|\^\((\d+)\))", word)
    if plain:
        return _power(int(plain[2]) if plain[2] else len(plain[1]))
    nested = re.fullmatch(r"fY\d*('*|\^\((\d+)\))\[(.*)\]", word)
    if nested is None:
        return f"·[{word}]"
    leaves = int(nested[2]) if nested[2] else len(nested[1])
    inside = [_factors(child) for child in _children(nested[3])]
    parts = [f"·A{part}" if len(inside) == 1 else f"·(A{part})" for part in inside]
    return _power(leaves) + "".join(parts)


def _power(degree: int) -> str:
    if degree == 0:
        return ""
    if degree == 1:
        return "·c"
    return "·c" + "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(d)] for d in str(degree))


def _children(text: str) -> list[str]:
    out, depth, begun = [], 0, 0
    for i, letter in enumerate(text):
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            out.append(text[begun:i])
            begun = i + 1
    return [*out, text[begun:]]
