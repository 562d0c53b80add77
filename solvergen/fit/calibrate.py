"""Calibration: a solver of few calls fitted to one's own model, from a shipped table."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from .last_rows import beyond, last_row_of, last_rows_of, least, missing_of, span_bound
from .objective import Pairs
from .problem import Problem, ProblemError
from .published import SHORT_GRIDS, SHORT_RULES, Pair, best_published
from .run import Scaled
from .shape import Numbers
from .shipped import Shipped
from .table import Table
from .teacher import Taught
from .whole import whole_of

ROWS = 3  # of the last, that are fitted: within ten seconds on small models
Told = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """A table at one stage of a calibration.

    Args:
        name: "as shipped", "last row", "last 3 rows" or "whole".
        error: rms on the starts not used, in the problem's own units.
        fitted: the same on those used.
        span: the error that remains when the last row is chosen for each sample apart.
        seconds, calls: spent on this stage, those of the one before it not counted.
    """

    name: str
    table: Table
    error: float
    fitted: float
    span: float
    seconds: float
    calls: int


@dataclass(frozen=True)
class Scale:
    """One guidance scale of several.

    Args:
        name: as the problem names it.
        together: rms of the table that was fitted on all scales, on new starts at this one.
        alone: the same with a last row that was fitted at this scale.
    """

    name: str
    together: float
    alone: Stage


@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    Args:
        problem: with mean and deviation.
        stages: as shipped, and those that were asked for.
        published: pairs of sampler and grid on the same starts, the best first.
        teacher: the check of the teacher, in units of the deviation, and what it cost.
        ridge: chosen for the last row, on starts held out of the fit.
        scales: the best table with a last row for each guidance scale, where there are several.
    """

    problem: Problem
    calls: int
    stages: tuple[Stage, ...]
    published: tuple[Pair, ...]
    teacher: Taught
    ridge: float | None
    scales: tuple[Scale, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def apart(self) -> bool:
        """Whether a last row for each scale does better on the starts not used."""
        gained = sum(scale.together**2 - scale.alone.error**2 for scale in self.scales)
        return gained > 0

    @property
    def best(self) -> Stage:
        """The stage with the least error on the starts not used."""
        return min(self.stages, key=lambda stage: stage.error)

    def lines(self) -> Iterator[str]:
        """The table that people read."""
        unit = self.published[0].error if self.published else None
        if self.published:
            first = self.published[0]
            yield f"best published pair   {first.error:.4g}  ({first.rule} on {first.grid})"
        yield "                      rms      over best  span bound  on its own  gain   calls  seconds"
        for stage in self.stages:
            over = "   -  " if unit is None else f"{stage.error / unit:6.3f}"
            span = stage.span / (unit or 1)
            own = stage.fitted / (unit or 1)
            yield (
                f"{stage.name:<20}  {stage.error:.4g}    {over}     {span:6.3f}      {own:6.3f}   "
                f"{stage.table.gain():6.2f} {stage.calls:>7} {stage.seconds:8.1f}"
            )
        yield "rms on starts that no fit saw; span bound: each sample with the last row that suits it; on its"
        told = "; these two and over best in units of the best published pair" * bool(
            self.published
        )
        yield f"own: the starts of the fit{told}"
        for scale in self.scales:
            yield (
                f"{scale.name}: rms {scale.together:.4g} with one table for all scales, "
                f"{scale.alone.error:.4g} with a last row of its own"
            )
        yield from self.notes
        yield from self._verdict()
        if self.scales:
            won = (
                "a last row for each scale does" if self.apart else "one table for all scales does"
            )
            yield f"{won} better on new starts" + ", and is written beside" * self.apart

    def _verdict(self) -> Iterator[str]:
        """What is written, and whether it is worth writing."""
        best = self.best
        yield f"written: {best.name}, the least rms"
        if not self.published or best.error < self.published[0].error:
            return
        first, over = self.published[0], best.error / self.published[0].error - 1
        untried = {"whole"} - {stage.name for stage in self.stages}
        advice = "try --whole or more --starts, or use" if untried else "use"
        yield f"it is {over:.1%} worse than {first.rule} on {first.grid}: {advice} that"


def calibrate(
    start: Shipped,
    taught: Taught,
    unused: int,
    *,
    others: Sequence[Table] = (),
    compared: int = 0,
    rows: int = ROWS,
    whole: bool = False,
    iterations: int = 12,
    pairs: bool = True,
    state: Path | None = None,
    tell: Told = lambda line: None,
) -> Calibration:
    """Fit a shipped table to a model.

    Args:
        start: the table to begin with.
        taught: starts and ends of the model; the first `unused` of them are only measured on.
        unused: how many starts no fit sees.
        others: rules to begin with where they suit the model better than the shipped table: the one
            whose solved last row has the least error on the starts that are fitted.
        compared: model calls that chose the table to begin with.
        rows: how many of the last rows are fitted: 0 none, 1 the last by linear least squares, more
            of them by Gauss-Newton through the model.
        whole: then fit every number through the model.
        iterations: most steps of the whole fit.
        pairs: whether the published pairs are run on the unused starts for comparison.
        state: file that keeps where the whole fit stands.
        tell: takes lines of progress.

    Raises:
        ProblemError: fewer starts than numbers, or a teacher that is not good enough.
    """
    problem = taught.problem
    scaled = Scaled(problem)
    everything = Pairs.of(problem.name, scaled, taught.starts, taught.ends)
    held, seen = everything.part(0, unused), everything.part(unused, None)
    if len(seen.starts) <= start.table.calls:
        raise ProblemError(
            f"{len(seen.starts)} starts are fewer than the {start.table.calls} numbers of the last "
            f"row need; give --starts {4 * start.table.calls} or more"
        )
    _reachable(scaled, start.table)
    published: list[Pair] = []
    if pairs:
        published = best_published(
            problem,
            taught.starts[:unused],
            taught.ends[:unused],
            start.table.calls,
            rules=SHORT_RULES,
            names=SHORT_GRIDS,
            tell=tell,
        )
    stages = [replace(_stage("as shipped", start.table, seen, held, 0.0, 0), calls=compared)]
    chosen = None
    if rows:
        begun = time.monotonic()
        table, chosen, least_error = last_row_of(start.table, seen, start.sums)
        fits = [other for other in others if _fits(scaled, other)]
        for other in fits:
            solved, ridge, error = last_row_of(other, seen, start.sums)
            if error < least_error:
                table, chosen, least_error = solved, ridge, error
        spent = start.table.calls * len(seen.starts) * (1 + len(fits))
        stages.append(_stage("last row", table, seen, held, begun, spent))
    if rows > 1:
        begun = time.monotonic()
        table, spent = last_rows_of(stages[-1].table, seen, rows, start.sums)
        stages.append(_stage(f"last {rows} rows", table, seen, held, begun, spent))
    if whole:
        begun = time.monotonic()
        numbers = Numbers(start.table.calls, start.sums)
        table, spent = whole_of(
            numbers, stages[-1].table, seen, iterations=iterations, state=state, tell=tell
        )
        table = last_row_of(table, seen, start.sums)[0]
        spent += start.table.calls * len(seen.starts)
        stages.append(_stage("whole", table, seen, held, begun, spent))
    found = Calibration(problem, start.table.calls, tuple(stages), tuple(published), taught, chosen)
    if problem.scales and not start.sums:
        found = replace(found, scales=tuple(_apart(found.best, seen, held)))
    return replace(found, notes=tuple(_notes(found)))


def _apart(best: Stage, seen: Pairs, held: Pairs) -> Iterator[Scale]:
    """The best table with a last row for each scale; the states before it are the same for all."""
    problem, table = seen.scaled.problem, best.table
    parts = []
    for pairs in (seen, held):
        missing, columns = missing_of(table, pairs)
        rows = (
            torch.arange(len(missing)) % problem.period // (problem.period // len(problem.scales))
        )
        parts.append((missing, columns, rows))
    width = math.atan(table.levels[0]) - math.atan(seen.scaled.end)
    for number, name in enumerate(problem.scales):
        begun = time.monotonic()
        mine = [
            (missing[rows == number], columns[:, rows == number])
            for missing, columns, rows in parts
        ]
        own, _, _ = least(table, seen.scaled, *mine[0])
        moved = torch.tensor(own.shares[-1], dtype=torch.float64) - torch.tensor(
            table.shares[-1], dtype=torch.float64
        )
        left = [
            missing - width * torch.einsum("j,jbd->bd", moved, columns) for missing, columns in mine
        ]
        rest = beyond(*mine[1])
        rms = [
            problem.std * float((v**2).mean().sqrt()) for v in (mine[1][0], left[1], left[0], rest)
        ]
        alone = Stage(f"last row, {name}", own, rms[1], rms[2], rms[3], time.monotonic() - begun, 0)
        yield Scale(name, rms[0], alone)


def _stage(name: str, table: Table, seen: Pairs, held: Pairs, begun: float, calls: int) -> Stage:
    seconds = time.monotonic() - begun if calls else 0.0
    unit = seen.scaled.problem.std
    return Stage(
        name,
        table,
        held.error(table) * unit,
        seen.error(table) * unit,
        span_bound(table, held) * unit,
        seconds,
        calls,
    )


def _fits(scaled: Scaled, table: Table) -> bool:
    return scaled.start >= table.levels[0] and scaled.end < table.levels[-1]


def _reachable(scaled: Scaled, table: Table) -> None:
    if not _fits(scaled, table):
        std = scaled.problem.std
        raise ProblemError(
            f"problem {scaled.problem.name}: the table calls from sigma = {table.levels[0] * std:.4g} "
            f"to {table.levels[-1] * std:.4g}, outside {scaled.problem.sigma_max:g} … "
            f"{scaled.problem.sigma_min:g}; take another table or range"
        )


def _notes(found: Calibration) -> Iterator[str]:
    limit = 0.1 * found.best.error / found.problem.std
    if found.teacher.error > limit:
        yield (
            f"the teacher's own error is {found.teacher.error:.3g} deviations, more than a tenth of the "
            f"best error, {10 * limit:.3g}: give more --teacher-steps"
        )
    names: Sequence[Stage] = found.stages
    if found.best is not names[-1]:
        yield f"{names[-1].name} does worse on new starts than {found.best.name}, which is kept"
