"""The symbols of a step on a grid in λ with a Gaussian target; which of them tell where it lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sympy import Expr

from ...algebra.scalar import Scalar
from ...expr.arithmetic import children, function_name
from ...program.row import FURTHER, coordinate_number
from ...program.step import Step
from ..expansion.symbol_values import SymbolValues


class StepSymbols(SymbolValues):
    """Values of a step's symbols on a grid in λ, whatever the integrand."""

    level: Callable[[Scalar], Scalar]

    def _lam(self, first: int, last: int) -> Scalar:
        return (self._position(last) - self._position(first)) * self.step_values.ring.h

    def _clock(self, first: int, last: int) -> Scalar:
        if self.step_values.kappa:
            return super()._clock(first, last)
        ends = [velocity_clock(self.level(self._position(site))) for site in (first, last)]
        return ends[1] - ends[0]


def velocity_clock(sigma: Scalar) -> Scalar:
    """The clock σ/(α+σ) at a level σ/α."""
    return sigma / (1 + sigma)


@dataclass(frozen=True)
class Opened:
    """A step at a site.

    Args:
        step: which kind of step.
        moving: names of scalars that depend on where the step lies.
        values: its symbols.
        low, high: positions between which its rows run.
        raised: weight of the noise that comes before its first evaluation.
    """

    step: Step
    moving: frozenset[str]
    values: StepSymbols
    low: Scalar
    high: Scalar
    raised: Scalar | None = None


def located_names(step: Step) -> frozenset[str]:
    """Scalars of a step that depend on where it lies."""
    names = {"sigma", "sigma_next"}
    for name, expression in step.lets:
        if located(expression, frozenset(names)):
            names.add(name)
    return frozenset(names)


def located(expression: Expr, names: frozenset[str]) -> bool:
    """Whether an expression depends on where the step lies, inside every window."""
    name = function_name(expression)
    if name == "between":
        return False
    if name in FURTHER:
        return True
    if expression.is_Symbol:
        return expression.name in names or coordinate_number(expression.name) > 0
    return any(located(child, names) for child in children(expression))
