"""How many steps a run has and which of them this is, as h tends to 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from ...algebra.ring import SeriesRing
from ...algebra.scalar import Scalar
from ...program.model import Program
from ..expansion.local_error import Case
from ..expansion.symbol_values import Value

COUNTS = ("steps", "i")
FIRST = (
    3  # first and last steps followed beside those that need history: each has numbers of its own
)


def counts(program: Program) -> bool:
    """Whether weights use the number of steps, or that of the step."""
    return not program.free_symbols().isdisjoint(COUNTS)


def counted(ring: SeriesRing, length: Scalar, gone: Scalar) -> dict[str, Value]:
    """`steps` and `i` of a step inside the run.

    Args:
        ring: where weights are expanded.
        length: the run in units of h: steps = length/h.
        gone: the part of it before the base point: i = gone/h there.
    """
    return {"steps": length / ring.h, "i": lambda site: gone / ring.h + Fraction(site)}


def from_start(case: Case) -> Case:
    """A case whose base point is where the run begins."""
    return _moved(case, lambda known: lambda site: Fraction(site))


def before_end(case: Case, count: int) -> Case:
    """A case whose base point is so many steps before the end of the run."""

    def moved(known: Mapping[str, Value]) -> Callable[[int], Scalar]:
        steps = known["steps"]
        assert not callable(steps)
        return lambda site: steps + Fraction(site - count)

    return _moved(case, moved)


def _moved(case: Case, number: Callable[[Mapping[str, Value]], Callable[[int], Scalar]]) -> Case:
    if not counts(case.program):
        return case
    inside = case.parameters

    def parameters(ring: SeriesRing) -> Mapping[str, Value]:
        known = inside(ring)
        return {**known, "i": number(known)}

    return replace(case, parameters=parameters)
