"""Are two solvers the same method, and if not, where do they first differ?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath

from ..spec.model import Parameter
from .digest import canonical
from .model import Program
from .unroll import Unrolled, oldest, unroll

DIGITS = 60
TOLERANCE = mpmath.mpf(10) ** -40
# Step patterns without structure: ratios are distinct and no step equals another.
_PATTERNS = ((7, 11, 5, 13, 8, 17, 9), (3, 2, 5, 4, 7, 6, 9), (19, 10, 23, 12, 29, 14, 31))


@dataclass(frozen=True)
class Difference:
    """Where two solvers part.

    Args:
        step: index of the first step that differs; `evaluation`: the model call in it, or ``None``
            for the state that ends the step.
        what: a sentence.
        grid: the steps in λ up to there, of which the numbers in the sentence are; empty where none are.
    """

    step: int
    evaluation: int | None
    what: str
    grid: tuple[float, ...] = ()


def same(a: Program, b: Program) -> Difference | None:
    """Compare two Programs as methods.

    Both are unrolled to their meaning (see `unroll`) on three irregular grids, with and without a
    last step to σ = 0, in 60-digit arithmetic. Equality is decided at 40 digits, so it is an
    identity test at generic points and not a sample of rounded floats. Stochastic solvers are the
    same when the noise in their states has the same joint law, however many draws make it up.

    Returns:
        ``None`` when they are the same method, else the first difference. Parameters take their
        defaults.
    """
    if canonical(a) == canonical(b):
        return None
    if a.jumps != b.jumps:
        return Difference(0, None, "only one of them takes a grid that rises")
    if lengths := {n for n in (a.length, b.length) if n is not None}:
        if len(lengths) > 1:
            return Difference(
                0, None, f"one is made for {a.length} steps, the other for {b.length}"
            )
        return _levels(a, b) or _on_patterns(a, b, lengths.pop(), fixed=True)
    least = min(max(oldest(a), oldest(b), 3), 40)
    # every number of intervals that a solver may have left over at its end
    for n in range(least, least + a.main.spans * b.main.spans):
        if found := _on_patterns(a, b, n):
            return found
    return None


def same_for(a: Program, b: Program) -> str:
    """For which values of their parameters two equal methods are one: in words, empty without parameters.

    Args:
        a, b: the same method at the defaults.
    """
    names = {p.name for program in (a, b) for p in program.parameters}
    if not names:
        return ""
    shared = [p.name for p in a.parameters] == [p.name for p in b.parameters]
    if canonical(a) == canonical(b) or (shared and not _apart(a, b)):
        return f", for all values of {', '.join(sorted(names))}"
    shown = [f"{p.name} = {p.default}" for program in (a, b) for p in program.parameters]
    return f", for {', '.join(dict.fromkeys(shown))}; other values make other methods"


def _apart(a: Program, b: Program) -> bool:
    """Whether two methods with the same parameters differ at other values of them."""
    if a.varying or b.varying or a.length or b.length:
        return True
    n = min(max(oldest(a), oldest(b), 3), 40)
    with mpmath.workdps(DIGITS):
        lam = _grid(_PATTERNS[0], n)
        for point in (Fraction(5, 7), Fraction(6, 13)):
            values = {p.name: _inside(p, point, k) for k, p in enumerate(a.parameters)}
            try:
                if _first(unroll(a, lam, values), unroll(b, lam, values)):
                    return True
            except ZeroDivisionError:
                continue
    return False


def _inside(parameter: Parameter, point: Fraction, k: int) -> Any:
    """A value within the bounds of a parameter, away from its default."""
    share = point + Fraction(k, 97)
    low = parameter.minimum if parameter.minimum is not None else parameter.above
    high = parameter.maximum if parameter.maximum is not None else parameter.below
    low = low if low is not None else (high or parameter.default) - 2
    high = high if high is not None else low + 2
    value = low + (high - low) * (share % 1)
    return mpmath.mpf(value.numerator) / value.denominator


def _levels(a: Program, b: Program) -> Difference | None:
    """Where the levels of two solvers part, if both have their own."""
    for i, (p, q) in enumerate(zip(a.levels, b.levels, strict=False)):
        if p != q:
            shown = f"level {i} of the grid is {float(p):.10g} and {float(q):.10g}"
            return Difference(max(i - 1, 0), None, shown)
    return None


def _on_patterns(a: Program, b: Program, n: int, fixed: bool = False) -> Difference | None:
    """The first difference on irregular grids of n steps, and of one more to σ = 0.

    With a fixed number of steps the one to σ = 0 is the last of them.
    """
    with mpmath.workdps(DIGITS):
        for pattern in _PATTERNS:
            lam = _grid(pattern, n)
            for ends in ([], [mpmath.inf]):
                points = [*(lam[:-1] if ends and fixed else lam), *ends]
                found = _first(unroll(a, points), unroll(b, points))
                if found:
                    where = " (the step to sigma = 0)" if ends and found.step == n else ""
                    steps = [float(q - p) for p, q in itertools.pairwise(lam[: found.step + 2])]
                    return Difference(
                        found.step, found.evaluation, found.what + where, tuple(steps)
                    )
    return None


def _grid(pattern: tuple[int, ...], n: int) -> list[Any]:
    value = Fraction(-6, 5)
    points = [value]
    for i in range(n):
        value += Fraction(pattern[i % len(pattern)], 40)
        points.append(value)
    return [mpmath.mpf(p.numerator) / p.denominator for p in points]


def _first(a: Unrolled, b: Unrolled) -> Difference | None:
    for index, (p, q) in enumerate(zip(a.calls, b.calls, strict=False)):
        if (p.step, p.evaluation) != (q.step, q.evaluation):
            step = min(p.step, q.step)
            counts = [sum(c.step == step for c in run.calls) for run in (a, b)]
            return Difference(step, None, f"{counts[0]} and {counts[1]} evaluations in the step")
        if abs(p.lam - q.lam) > TOLERANCE:
            return Difference(
                p.step,
                p.evaluation,
                f"the model is called at λ = {_show(p.lam)} and {_show(q.lam)}",
            )
        before = a.noises[: index + 1], b.noises[: index + 1]
        if text := _weights(p.state, q.state) or _covariances(*before):
            return Difference(p.step, p.evaluation, text)
    if len(a.calls) != len(b.calls):
        return Difference(a.calls[-1].step, None, f"{len(a.calls)} and {len(b.calls)} evaluations")
    text = _weights(a.final, b.final) or _covariances(a.noises, b.noises)
    return Difference(a.calls[-1].step, None, text) if text else None


def _weights(p: tuple[Any, ...], q: tuple[Any, ...]) -> str:
    for index, (v, w) in enumerate(zip(p, q, strict=True)):
        if abs(v - w) > TOLERANCE:
            name = "the initial state" if index == 0 else f"model output {index - 1}"
            return f"the weight of {name} is {_show(v)} and {_show(w)}"
    return ""


def _covariances(p: list[tuple[Any, ...]], q: list[tuple[Any, ...]]) -> str:
    """Do the last states of two lists vary with themselves and those before them in the same way?

    The columns of draws are one up to a rotation exactly when their Gram matrices are equal.
    """
    for k, (v, w) in enumerate(zip(p, q, strict=True)):
        found, wanted = _product(p[-1], v), _product(q[-1], w)
        if abs(found - wanted) > TOLERANCE:
            what = "variance" if k == len(p) - 1 else f"covariance with that of model call {k}"
            return f"the noise has {what} {_show(found)} and {_show(wanted)}"
    return ""


def _product(v: tuple[Any, ...], w: tuple[Any, ...]) -> Any:
    """Scalar product; draws that came later have no weight in the shorter one."""
    return mpmath.fdot(zip(v, w, strict=False))


def _show(value: Any) -> str:
    return str(mpmath.nstr(value, 10))
