"""What holds an order down: which step, a moment of which degree, off by which factor.

Moments are taken step by step in the plain clock: a rule with weights w_j at clock offsets t_j has
degree-k moment sum_j w_j t_j^k / k!, and needs D^(k+1) / (k+1)! for a step D. As h goes to zero
their quotient tends to 1 for every degree that the rule integrates.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..probe.tableau import Tableau
from .conditions import Local
from .suspects import condition, growing_weight, wrong_weights

Array = NDArray[np.float64]
RIGHT = 5e-4
# smaller deviations are rounding of the extrapolation
MEANT = 1e-11


@dataclass(frozen=True)
class Cause:
    """One reason for an order.

    Args:
        step: "first", "every", "last", or the number of a step as text (negative from the end).
        kind: "start", "end", "moment" (a wrong weight), "approximate" (right only as h goes to
            zero), "growing" (a weight that does not shrink with the step), "frozen" (weights of equal
            steps), "unstable" (weights on past states let errors
            grow), "condition" (of a tree with stages), "once" (a step of its own), "recurring" (one that
            comes back), "limit" (a rule that does all that its nodes can), "raises" or "inconsistent".
        degree: degree of the moment that is wrong, or None.
        factor: what its weight must be multiplied by, or None when nothing multiplies into it.
        caps: the order that this cause alone allows.
        text: one sentence.
    """

    step: str
    kind: str
    degree: int | None
    factor: float | None
    caps: float
    text: str


def moment_ratio(family: list[Tableau], h: Array, low: int, high: int, degree: int) -> float:
    """Moment / needed moment between two rows, extrapolated to h = 0."""
    ratios = []
    for t in family:
        move, known = t.move(low, high)
        step = t.c[high] - t.c[low]
        offset = (t.c[:high] - t.c[low]) / step
        moment = (move @ offset**degree) / step * (degree + 1)
        ratios.append(moment + known @ offset[: low + 1] ** (degree + 1))
    powers = np.vander(h / h.max(), 6, increasing=True)
    return float((np.linalg.pinv(powers) @ np.asarray(ratios))[0])


def nodes_used(family: list[Tableau], low: int, high: int) -> int:
    """How many distinct clock values carry weight between two rows."""
    t = family[-1]
    move = np.abs(t.move(low, high)[0])
    used = t.c[: len(move)][move > 1e-6 * move.max()]
    return len(np.unique(np.round(used / abs(t.c[high] - t.c[low]), 6)))


def main_causes(
    family: list[Tableau], h: Array, main: Local, at: tuple[int, int], frozen: bool
) -> list[Cause]:
    """Why the repeated steps are of no higher order, when a moment explains it.

    A rule on q nodes can integrate degrees up to q - 1; a lower degree that it misses is a cause.

    Args:
        frozen: whether the weights are the same on a uniform and on a rough grid.
    """
    if not main.exact:
        return []
    order = max(main.exponent - 1, 0)
    steps = _steps_between(family[0], *at)
    if any("Y0" in w for w, _ in main.leading) or order == 0:
        cause = _inconsistent(family, h, steps, order)
        return [_with_weights(cause, family, h, steps) if order == 0 else cause]
    if all(w.startswith("fY") for w, _ in main.leading):
        return [_condition(main, order)] if _stages(family[0], steps) else []
    for low, high in steps:
        if nodes_used(family, low, high) <= order:
            continue
        ratio = moment_ratio(family, h, low, high, order)
        if frozen:
            return [_frozen(order, main)]
        grown = growing_weight(family, h, low, high)
        if grown:
            return [Cause("every", "growing", None, None, order, f"every step: {grown}")]
        if abs(ratio - 1) > 1e-4:
            return [_with_weights(_moment(order, ratio), family, h, [(low, high)])]
        degree = _lowest_degree(main)
        if degree is not None and degree < order:
            return [_approximate(degree, order)]
    return []


def limit_cause(family: list[Tableau], main: Local, at: tuple[int, int]) -> Cause | None:
    """What more would need, where a rule does all that its nodes can; None for a lower bound."""
    if not main.exact:
        return None
    order = max(main.exponent - 1, 0)
    words = ", ".join(condition(w) for w, _ in main.leading[:3]) or "a condition"
    counts = [nodes_used(family, low, high) for low, high in _steps_between(family[0], *at)]
    nodes = f"a step uses {max(counts)} node{'s' if max(counts) > 1 else ''}; " if counts else ""
    degree = _lowest_degree(main)
    moment = (
        f"moment of degree {degree} is integrated only up to h^{order}: "
        if degree is not None
        else ""
    )
    text = f"{moment}{nodes}the order condition of {words} fails at h^{order + 1} in every step"
    return Cause("every", "limit", degree, None, order, text)


def _stages(t: Tableau, steps: list[tuple[int, int]]) -> bool:
    """Whether steps make calls of their own between their ends."""
    return any(high - low > 1 for low, high in steps)


def _condition(main: Local, order: int) -> Cause:
    failed = [f"{condition(w)} misses by {v:.3g}" for w, v in main.leading[:3]]
    return Cause(
        "every",
        "condition",
        None,
        None,
        order,
        f"every step: the order condition of {', '.join(failed)} (in units of a step, in the "
        "clock): a stage feeds the step a state that is not accurate enough",
    )


def _with_weights(
    cause: Cause, family: list[Tableau], h: Array, steps: list[tuple[int, int]]
) -> Cause:
    """With the weights that are wrong, where they can be read."""
    for low, high in steps[:1]:
        try:
            said = wrong_weights(family, h, low, high)
        except np.linalg.LinAlgError:
            said = ""
        if said:
            return replace(cause, text=f"{cause.text}; {said}")
    return cause


def past_cause(roots: Sequence[float], growth: float, order: int) -> Cause:
    """Weights on past states that let errors grow.

    Args:
        roots: moduli of the roots a step beside the one that is 1, largest first.
        growth: power of the number of steps with which an error grows; infinite for a larger root.
        order: what is left.
    """
    if np.isinf(growth):
        why = f"not zero-stable: a root of modulus {roots[0]:.4g} multiplies errors in every step"
    else:
        why = (
            "weakly unstable: a multiple root of modulus 1 lets an error grow with the number of "
            f"steps to the power {growth:g}, which costs as many orders"
        )
    return Cause("every", "unstable", None, None, order, f"weights on past states are {why}")


def _lowest_degree(main: Local) -> int | None:
    """Lowest degree of a pure moment among the leading words."""
    degrees = [len(w) - 1 for w, _ in main.leading if set(w) <= {"f", "'"}]
    return min(degrees, default=None)


def _approximate(degree: int, order: int) -> Cause:
    return Cause(
        "every",
        "approximate",
        degree,
        None,
        order,
        f"the moment of degree {degree} is right only to relative O(h^{order - degree}): a weight "
        f"or a node is approximated, which more than order {order} does not bear",
    )


def settled(found: dict[str, list[Cause]]) -> dict[str, list[Cause]]:
    """Drop the factor of a moment where it changes with the step ratios: no weight is mistyped."""
    factors = [
        c.factor for causes in found.values() for c in causes if c.kind == "moment" and c.factor
    ]
    steady = factors and max(factors) - min(factors) < 1e-3 * abs(factors[0])
    if steady and len(factors) >= min(2, len(found)):
        return found

    def plain(cause: Cause) -> Cause:
        if cause.kind != "moment" or cause.degree is None:
            return cause
        text = (
            f"moment of degree {cause.degree} is not integrated, and by how much depends on the "
            f"step ratios: local error h^{cause.degree + 1} in every step"
        )
        # on equal steps the weights can be read all the same
        named = cause.text.partition("; ")[2]
        text += f"; {named}" if named else ""
        return replace(cause, factor=None, text=text)

    return {kind: [plain(c) for c in causes] for kind, causes in found.items()}


def _steps_between(table: Tableau, low: int, high: int) -> list[tuple[int, int]]:
    rows = [r for r in table.accepted if low <= r <= high]
    return list(itertools.pairwise(rows))


def _moment(order: int, ratio: float) -> Cause:
    factor = 1 / ratio if abs(ratio) > 1e-6 else None
    size = "is absent" if factor is None else f"must be multiplied by {plain(factor)}"
    return Cause(
        "every",
        "moment",
        order,
        factor,
        order,
        f"moment of degree {order} of every step {size}: its derivatives of order {order} enter "
        f"the local error at h^{order + 1}",
    )


def _frozen(order: int, main: Local) -> Cause:
    degree = _lowest_degree(main)
    degree = order if degree is None else degree
    return Cause(
        "every",
        "frozen",
        degree,
        None,
        order,
        "the weights do not follow the step ratios (frozen at equal steps of the clock): the "
        f"moment of degree {degree} is right only there",
    )


def _inconsistent(
    family: list[Tableau], h: Array, steps: list[tuple[int, int]], order: int
) -> Cause:
    if order > 0:
        text = (
            f"a constant is integrated only to relative O(h^{order}): the weights of a step sum to 1 "
            "as steps shrink, and not before"
        )
        return Cause("every", "approximate", 0, None, order, text)
    ratio = moment_ratio(family, h, *steps[0], 0) if steps else float("nan")
    away = abs(ratio - 1)
    if MEANT < away < RIGHT:
        text = (
            f"weights of a step sum to 1 {'+' if ratio > 1 else '-'} {away:.1e} of the step: a "
            f"constant is not integrated exactly, and errors level off at a floor of about {away:.0e}"
        )
        return Cause("every", "inconsistent", 0, 1 / ratio, order, text)
    return Cause(
        "every",
        "inconsistent",
        0,
        1 / ratio if abs(ratio) > 1e-6 else None,
        order,
        (
            "the start value is not kept"
            if abs(ratio - 1) < RIGHT
            else f"weights of a step sum to {ratio:.6g} of the step, or the start value is not kept"
        )
        + ": a constant is not integrated exactly",
    )


def is_frozen(rough: list[Tableau], uniform: list[Tableau], step: int) -> bool:
    """Whether two steps have the same weights per length on grids whose step ratios differ."""
    here, there = rough[0], uniform[0]
    low, high = here.accepted[step], here.accepted[step + 1]
    if here.form != there.form or here.accepted != there.accepted or min(low, high) < 1:
        return False
    one, two = (t.move(low, high)[0] / (t.c[high] - t.c[low]) for t in (here, there))
    history = np.flatnonzero(np.abs(two[:low]) > 1e-3 * np.abs(two).max())
    # with no history there are no ratios to follow
    return len(history) > 0 and bool(np.abs(one - two).max() < 1e-2 * np.abs(two).max())


def start_cause(family: list[Tableau], h: Array, start: Local, step: int) -> Cause:
    """The start phase holds the order down."""
    degree = max(start.exponent - 1, 0)
    rows = [r for r in family[0].accepted if r >= 0]
    ratio = moment_ratio(family, h, rows[step], rows[step + 1], degree)
    factor = 1 / ratio if abs(ratio) > 1e-4 else None
    if abs(ratio - 1) < RIGHT:
        # the moment of this step is right: another tree fails, or another step before it
        factor, named = None, ", ".join(condition(w) for w, _ in start.leading[:3])
        why = f"the conditions of {named} fail" if named else "a condition beside moments fails"
    elif factor is None:
        why = f"moment of degree {degree} absent"
    else:
        why = f"moment of degree {degree} is {ratio:.4g} of what is needed"
    return Cause(
        "first" if step == 0 else str(step),
        "start",
        degree,
        factor,
        start.exponent,
        f"start: step {step} makes a local error h^{start.exponent} ({why}), which caps the "
        f"global order at {start.exponent}",
    )


def end_cause(family: list[Tableau], h: Array, end: Local, step: int, some: bool = False) -> Cause:
    """The last steps hold the order down.

    Args:
        some: whether they do so for some numbers of steps only.
    """
    degree = max(end.exponent - 1, 0)
    rows = family[0].accepted
    last = step == len(rows) - 2
    ratio = (
        moment_ratio(family, h, rows[step], rows[step + 1], degree)
        if rows[step] >= 0 and rows[step + 1] >= 0
        else float("nan")
    )
    factor = 1 / ratio if abs(ratio) > 1e-4 else None
    return Cause(
        "last" if last else str(step - len(rows) + 1),
        "end",
        degree,
        factor,
        end.exponent,
        f"end: the {'last step' if last else f'step {len(rows) - 1 - step} before the end'} "
        + (f"of {len(rows) - 1} " if some else "")
        + f"has local error h^{end.exponent}, which caps the global order at {end.exponent}",
    )


def once_cause(step: int, power: int) -> Cause:
    """One step in the middle that is a rule of its own."""
    return Cause(
        str(step),
        "once",
        power - 1,
        None,
        power,
        f"step {step} is a rule of its own with local error h^{power}: it counts once, and caps the "
        f"global order at {power}",
    )


def recurring_cause(step: int, power: int, period: int) -> Cause:
    """A step that is a rule of its own and comes back."""
    return Cause(
        str(step),
        "recurring",
        power - 1,
        None,
        power - 1,
        f"every {_ordinal(period)} step (steps {step}, {step + period}, {step + 2 * period} and so on) is a "
        f"rule of its own with local error h^{power}: it comes back, and caps the global order at "
        f"{power - 1}",
    )


def raised_cause(step: int, call: int, level: float) -> Cause:
    """A sampler that raises after so many calls, the last of them in this step and at this level."""
    where = f"in step {step}, after model call {call}, at level {level:.4g}"
    where = where if call else "before its first model call"
    number = str(step) if step else "first"
    return Cause(number, "raises", None, None, 0, f"it raises {where}")


def _ordinal(number: int) -> str:
    ends = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if 10 < number % 100 < 20 else ends.get(number % 10, 'th')}"


def plain(value: float) -> str:
    """A small fraction when the number is one."""
    near = Fraction(value).limit_denominator(60)
    if abs(float(near) - value) < 1e-4 * max(1.0, abs(value)):
        return str(near)
    return f"{value:.4g}"
