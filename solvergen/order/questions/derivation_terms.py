"""The expansions that a derivation shows, by power of h and word."""

from __future__ import annotations

from fractions import Fraction

from ...algebra.rational import spell
from ...algebra.ring import SeriesRing
from ...algebra.scalar import Scalar
from ...algebra.series import Series
from ...algebra.traced import symbol
from ...program.model import Program
from ..expansion.grid import generic_ratio, uniform
from ..expansion.local_error import (
    Case,
    History,
    defaults,
    first_error,
    local_error,
    predictor_error,
)
from ..expansion.recursion import Recursion, Words
from ..expansion.symbol_values import StepValues, Value
from ..expansion.words import Word, leaf, weight
from ..ode.zero_stability import shares


class Terms:
    """Expansions of one step of a program on a uniform grid.

    Args:
        studied: the solver.
        limit: largest power of h.
    """

    def __init__(self, studied: Program, limit: int) -> None:
        self.studied, self.limit = studied, limit
        values: dict[str, Value] = dict(defaults(studied))
        if not {"sigma", "sigma_next"}.isdisjoint(studied.free_symbols()):
            values["sigma"] = symbol("sigma", (generic_ratio(67, 0), generic_ratio(71, 0)))
        self.case = Case(studied, lambda ring: uniform(), lambda ring: values)

    def error(self) -> Words:
        """The effective local error of the step."""
        if self.studied.main.corrector is None:
            return predictor_error(self.case, self.limit)
        first = first_error(lambda limit: predictor_error(self.case, limit))
        exponent = int(first.exponent) if first else self.limit
        return local_error(self.case, self.limit, exponent)

    def shares(self) -> list[Scalar]:
        """The factors on the states that the step starts from, newest first, as h tends to 0."""
        step_values = StepValues(
            self.studied.kappa, SeriesRing(3), uniform(), defaults(self.studied)
        )
        return list(shares(self.studied, step_values, 0))

    def accumulation(self) -> Scalar:
        """What local errors are multiplied with as they are passed on: 1 over the slope of ρ at 1."""
        return 1 / (1 + sum((k * share for k, share in enumerate(self.shares())), Fraction(0)))

    def leading(self) -> dict[tuple[int, Word], Scalar]:
        """Its leading part."""
        error = by_power(self.error(), self.limit)
        return {key: value for key, value in error.items() if key[0] == self.limit}

    def exact(self) -> dict[tuple[int, Word], Scalar]:
        """The terms of the exact solution after one step, beyond the propagated initial value."""
        found: list[Scalar] = []

        def run(recursion: Recursion) -> Words:
            z = -self.studied.kappa * recursion.ring.h if self.studied.kappa else Fraction(0)
            found[:] = recursion.exact(Fraction(0), Fraction(1), z)
            return {}

        self.case.expand(self.limit, run)
        return by_power({leaf(k): value for k, value in enumerate(found)}, self.limit)

    def stages(self) -> list[tuple[str, Words, Words]]:
        """Name, error of the state and expansion of the evaluation, of every stage."""
        made: list[tuple[str, Words, Words]] = []
        main = self.studied.main

        def run(recursion: Recursion) -> Words:
            made.clear()
            known = History(recursion, lambda _: main).known(0, 0)
            for stage in main.stages:
                error = recursion.row(stage, 0, {}, known)
                place = recursion.step_values.place(stage.place, 0)
                known[stage.name] = recursion.evaluation(error, place)
                made.append((stage.name, error, known[stage.name]))
            return {}

        self.case.expand(self.limit, run)
        return made


def by_power(errors: Words, limit: int, drop: int = 0) -> dict[tuple[int, Word], Scalar]:
    """Coefficients by total power of h and word; an evaluation carries one power less."""
    found: dict[tuple[int, Word], Scalar] = {}
    for word, value in errors.items():
        series = value if isinstance(value, Series) else Series(0, [value], limit + 1)
        for power, coefficient in enumerate(series.terms, series.low + weight(word)):
            if coefficient and power <= limit:
                found[power - drop, word] = coefficient
    return found


def power_of_h(power: int) -> str:
    """A power of h as LaTeX."""
    return "" if power == 0 else "h" if power == 1 else f"h^{{{power}}}"


def number(value: Scalar) -> str:
    """A rational as LaTeX."""
    if not isinstance(value, Fraction | int):
        return rf"\left({spell(value)}\right)"
    exact = Fraction(value)
    if exact.denominator == 1:
        return str(exact)
    sign = "-" if exact < 0 else ""
    return rf"{sign}\tfrac{{{abs(exact.numerator)}}}{{{exact.denominator}}}"
