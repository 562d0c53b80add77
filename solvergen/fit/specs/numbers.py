"""From the free numbers of a spec to its tables and levels, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...errors import SolvergenError, hint
from ...expr.arithmetic import symbols
from ...program.model import Program
from ...program.step import Step
from ...spec.model import Parameter
from ..table import Array

DIGITS = 12  # of fitted numbers
GRID = "grid"


class FitError(SolvergenError):
    """A fit that cannot be made: says what was asked, what was found and what to do."""


@dataclass(frozen=True)
class Numbers:
    """The free numbers of a spec on a run of fixed ends.

    First the table entries, those alone that a step of the run uses, each mapped so that its bounds
    hold whatever the free number is; then, where the grid is free, the logarithms of the gaps in λ
    against the last one.

    Args:
        program: the rule.
        entries: (parameter, step) of each free table entry.
        levels: σ/α of the start; the first and the last stay.
        grid: whether the levels between are free.
    """

    program: Program
    entries: tuple[tuple[str, int], ...]
    levels: tuple[Fraction, ...]
    grid: bool

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return len(self.levels) - 1

    @property
    def count(self) -> int:
        """How many numbers are free."""
        return len(self.entries) + (self.steps - 1) * self.grid

    def told(self) -> str:
        """``b1 4, b2 3, grid 4``."""
        names = [name for name, _ in self.entries]
        parts = [f"{name} {names.count(name)}" for name in dict.fromkeys(names)]
        return ", ".join([*parts, *([f"{GRID} {self.steps - 1}"] if self.grid else [])])

    def of(self, program: Program, levels: Sequence[float]) -> Array:
        """The free numbers of a table and of levels."""
        known = {p.name: p for p in program.parameters}
        found = [_inward(known[n], float(entry(known[n], i, self.steps))) for n, i in self.entries]
        if self.grid:
            gaps = -np.diff(np.log(np.asarray(levels, dtype=float)))
            found.extend(np.log(gaps[:-1] / gaps[-1]))
        return np.asarray(found, dtype=float)

    def tables(self, values: Array) -> dict[str, list[float]]:
        """The table of every parameter that differs from step to step."""
        found = {
            p.name: [float(entry(p, i, self.steps)) for i in range(self.steps)]
            for p in self.program.parameters
            if p.per
        }
        known = {p.name: p for p in self.program.parameters}
        for (name, i), value in zip(self.entries, values, strict=False):
            found[name][i] = _outward(known[name], float(value))
        return found

    def lam(self, values: Array) -> Array:
        """λ at the points of the grid."""
        ends = -np.log([float(self.levels[0]), float(self.levels[-1])])
        if not self.grid:
            return np.asarray(-np.log(np.asarray([float(v) for v in self.levels])))
        logits = np.append(values[len(self.entries) :], 0.0)
        gaps = np.exp(logits - logits.max())
        inner = ends[0] + (ends[1] - ends[0]) * np.cumsum(gaps)[:-1] / gaps.sum()
        return np.asarray([ends[0], *inner, ends[1]])

    def slopes(self, values: Array) -> tuple[Array, Array]:
        """Derivatives of the entries (P, entries) and of λ (P, N + 1) by the free numbers."""
        count, held = self.count, len(self.entries)
        known = {p.name: p for p in self.program.parameters}
        entries = np.zeros((count, held))
        for k, (name, _) in enumerate(self.entries):
            entries[k, k] = _slope(known[name], float(values[k]))
        lam = np.zeros((count, self.steps + 1))
        if self.grid:
            logits = np.append(values[held:], 0.0)
            share = np.exp(logits - logits.max())
            share /= share.sum()
            total = math.log(float(self.levels[0]) / float(self.levels[-1]))
            for k in range(self.steps - 1):
                moved = -share * share[k]
                moved[k] += share[k]
                lam[held + k, 1:] = total * np.cumsum(moved)
            lam[:, -1] = 0.0
        return entries, lam

    def rounded(self, values: Array) -> Program:
        """The program with these numbers as exact decimals of 12 digits."""
        tables, lam = self.tables(values), self.lam(values)
        levels = [self.levels[0], *map(_level, lam[1:-1]), self.levels[-1]] if self.grid else None
        parameters = tuple(
            replace(p, values=tuple(_decimal(v) for v in tables[p.name])) if p.per else p
            for p in self.program.parameters
        )
        made = tuple(levels) if levels else self.levels
        return replace(self.program, parameters=parameters, levels=made)

    def departures(self) -> Array:
        """1 for the numbers of tables, 0 for those of the grid."""
        return (np.arange(self.count) < len(self.entries)).astype(float)


def free_numbers(
    program: Program, levels: tuple[Fraction, ...], free: Sequence[str] | None
) -> Numbers:
    """The numbers that a fit moves.

    Args:
        program: the rule.
        levels: of the run; the last above 0.
        free: names of parameters and `grid`; all of them unless given.

    Raises:
        FitError: a name that is unknown or fixed, or nothing to fit.
    """
    steps, varying = len(levels) - 1, program.varying
    chosen = tuple(free) if free is not None else (*varying, GRID)
    for name in chosen:
        if name == GRID or name in varying:
            continue
        if name in {p.name for p in program.parameters}:
            raise FitError(
                f'--free: `{name}` is one number for all steps; write per = "step" in '
                f"[parameters.{name}] to fit it"
            )
        raise FitError(f"--free: no parameter `{name}`{hint(name, [*varying, GRID])}")
    kinds, told = program.blocks(steps), symbols(program.called)
    entries = tuple(
        (name, i)
        for name in varying
        if name in chosen
        for i, step in enumerate(kinds)
        if name in _used(step) or (name in told and (i or not program.first))
    )
    made = Numbers(program, entries, levels, GRID in chosen)
    if not made.count:
        raise FitError(
            f"nothing to fit in {steps} steps: no free parameter is used and the grid has no level "
            "between its ends; give more --steps, or another --free"
        )
    return made


def _used(step: Step) -> set[str]:
    """Names in the weights, places and levels of a step."""
    places = {name for row in step.rows for name in symbols(row.place.fraction)}
    return places | {name for e in step.expressions for name in symbols(e)}


def entry(parameter: Parameter, i: int, steps: int) -> Fraction:
    """The number of a step, as given: that of its table where this has as many, else the default."""
    return parameter.values[i] if len(parameter.values) == steps else parameter.default


def _ends(parameter: Parameter) -> tuple[float | None, float | None]:
    low = parameter.minimum if parameter.minimum is not None else parameter.above
    high = parameter.maximum if parameter.maximum is not None else parameter.below
    return (None if low is None else float(low), None if high is None else float(high))


def _outward(parameter: Parameter, z: float) -> float:
    """A free number as a value between its parameter's bounds; slope 1 in the middle."""
    low, high = _ends(parameter)
    if low is not None and high is not None:
        half = (high - low) / 2
        return (low + high) / 2 + half * math.tanh(z / half)
    if low is not None:
        return low + math.exp(z)
    return high - math.exp(-z) if high is not None else z


def _inward(parameter: Parameter, value: float) -> float:
    low, high = _ends(parameter)
    if low is not None and high is not None:
        half = (high - low) / 2
        share = (value - (low + high) / 2) / half
        return half * math.atanh(min(max(share, -0.999), 0.999))
    if low is not None:
        return math.log(max(value - low, 1e-3))
    return -math.log(max(high - value, 1e-3)) if high is not None else value


def _slope(parameter: Parameter, z: float) -> float:
    low, high = _ends(parameter)
    if low is not None and high is not None:
        return 1 / math.cosh(2 * z / (high - low)) ** 2
    if low is not None:
        return math.exp(z)
    return math.exp(-z) if high is not None else 1.0


def _decimal(value: float) -> Fraction:
    return Fraction(f"{value:.{DIGITS}g}")


def _level(lam: float) -> Fraction:
    return _decimal(math.exp(-lam))


def tables_of(program: Program) -> Iterator[tuple[str, tuple[Fraction, ...]]]:
    """Names and values of the parameters that differ from step to step."""
    return ((p.name, p.values) for p in program.parameters if p.per)
