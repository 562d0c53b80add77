"""The fit of a spec: several starting grids, Levenberg-Marquardt, the best on starts held out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ...program.digest import base_digest
from ...program.model import Program
from ..directions import differentiable
from ..problem import Problem
from ..record import load_state, save_state
from ..squares import State, levenberg_marquardt
from ..table import Array
from ..teacher import Taught, apart
from .linear import end, linear, linear_of, squares
from .numbers import FitError, Numbers, free_numbers

Told = Callable[[str], None]
TRIAL = 6  # iterations from each starting grid, before the best goes on
NEARLY = 0.1  # of the error of a fit: what its teacher's own may be


@dataclass(frozen=True)
class Fit:
    """What a fit found.

    Args:
        program: with its numbers and levels, rounded.
        numbers: what was free.
        begun: the starting grid that was chosen.
        before: rms on held-out starts of the rule with its numbers as given, on the best of the
            starting grids.
        after, held_out: rms on the starts of the fit and on those held out.
        distance: mean |x − exact| on held-out starts.
        iterations, curve: steps taken and the loss after each, the logarithm of the rms.
        interrupted: whether Ctrl-C ended it.
        seconds: of the fit alone.
        notes: what a reader must know.
    """

    program: Program
    numbers: Numbers
    begun: str
    before: float
    after: float
    held_out: float
    distance: float
    iterations: int
    curve: tuple[float, ...]
    interrupted: bool
    seconds: float
    notes: tuple[str, ...] = ()


def starting_grids(problem: Problem, steps: int) -> dict[str, tuple[float, ...]]:
    """Levels from which a fit may begin, by name."""
    high, low = problem.sigma_max, problem.sigma_min
    share = np.linspace(0, 1, steps + 1)
    found = {"uniform λ": high * (low / high) ** share}
    for power in (3, 7, 15):
        found[f"poly {power}"] = (
            high ** (1 / power) + share * (low ** (1 / power) - high ** (1 / power))
        ) ** power
    ends = math.atan(high), math.atan(low)
    found["uniform arctan σ"] = np.tan(ends[0] + share * (ends[1] - ends[0]))
    return {name: (high, *map(float, row[1:-1]), low) for name, row in found.items()}


def fit(
    program: Program,
    taught: Taught,
    held: int,
    steps: int,
    *,
    free: Sequence[str] | None = None,
    iterations: int = 40,
    ridge: float = 1e-5,
    state: Path | None = None,
    tell: Told = lambda line: None,
) -> Fit:
    """Fit the free numbers of a rule to a model.

    Args:
        program: the rule; levels and tables of as many steps are where one trial begins.
        taught: starts and exact ends; the last `held` of them choose and are never fitted.
        held: how many those are.
        steps: of the run.
        free: names of parameters and `grid`; all unless given.
        iterations: most steps of the fit.
        ridge: weight of the mean square departure from the numbers as given.
        state: file that keeps where the fit stands; another beside it keeps the best so far.
        tell: takes lines of progress.

    Raises:
        FitError: nothing to fit, a teacher that is no better than the rule, or errors that are not
            finite from every starting grid.
    """
    if iterations < 1 or not 0 <= ridge < math.inf:
        raise FitError(
            f"--iterations must be at least 1 and --ridge a number not below 0; found {iterations} "
            f"and {ridge:g}"
        )
    begun = time.monotonic()
    problem, no_forward = differentiable(taught.problem)
    trials = _trials(program, problem, steps, free)
    inside = taught.starts[:-held], taught.ends[:-held]
    outside = taught.starts[-held:], taught.ends[-held:]
    found: dict[str, tuple[Numbers, Array, float]] = {}
    for name, (numbers, values) in trials.items():
        found[name] = numbers, values, _rms(problem, numbers, values, *outside)
    before = min((error for *_, error in found.values()), default=math.inf)
    if not before < math.inf:
        raise FitError(
            f"the rule gives errors that are not finite on every starting grid ({', '.join(found)}); "
            "check the model between sigma_max and sigma_min, or give the spec a [grid]"
        )
    if taught.error * _unit(problem) >= before:
        raise FitError(
            f"the teacher's own error, {taught.error * _unit(problem):.3g}, is no better than the "
            f"rule's before the fit, {before:.3g}; give more --teacher-steps"
        )
    first = next(iter(found.values()))[0]
    belongs = _belongs(program, first, problem, taught, held, ridge)
    if state is not None and state.exists():  # before the trials, which take long
        for path in (state, state.with_suffix(".best")):
            load_state(path, belongs)
    run = _Run(problem, inside, outside, ridge, belongs, state, tell)
    chosen, start, interrupted = run.tried(found)
    numbers = found[chosen][0]
    at = best = start
    if not interrupted:
        at, best, interrupted = run.whole(numbers, found[chosen][1], start, iterations)
    made = numbers.rounded(best.values)
    notes = [f"derivatives by differences: {no_forward}"] if no_forward else []
    after = rms_of(problem, made, *inside)
    held_out = rms_of(problem, made, *outside)
    if not held_out < before:
        notes.append("the fit does not improve on the rule as given on held-out starts")
    if taught.error * _unit(problem) > NEARLY * held_out:
        notes.append(
            f"the teacher's own error, {taught.error * _unit(problem):.3g}, is more than a tenth of "
            "the error that is left; give more --teacher-steps"
        )
    if (away := apart(taught)) > NEARLY * held_out:
        notes.append(
            f"teacher(starts) is {away:.3g} away from a fine run of the model itself, so another map is fitted "
            "than the model's own; check it if you did not mean that"
        )
    return Fit(
        made,
        numbers,
        chosen,
        before,
        after,
        held_out,
        _distance(problem, made, *outside),
        at.iteration,
        at.curve,
        interrupted,
        time.monotonic() - begun,
        tuple(notes),
    )


def _trials(
    program: Program, problem: Problem, steps: int, free: Sequence[str] | None
) -> dict[str, tuple[Numbers, Array]]:
    """Free numbers and their values for each starting grid."""
    own = program.levels
    if own and not own[-1]:
        raise FitError(
            "the last level of [grid] is 0, where the step is DDIM and has no numbers; end at the "
            "last level above 0"
        )
    found: dict[str, tuple[float, ...]] = {}
    fixed = free is not None and "grid" not in free
    if own and len(own) == steps + 1:
        if _spans(own, problem):
            found["[grid]"] = tuple(map(float, own))
        elif fixed:
            raise FitError(
                f"[grid] levels run from {float(own[0]):g} to {float(own[-1]):g}, and problem "
                f"{problem.name} from {problem.sigma_max:g} to {problem.sigma_min:g}; let both have "
                "the same ends, or fit the grid as well"
            )
    if not (fixed and found):
        grids = starting_grids(problem, steps)
        found |= {"uniform λ": grids["uniform λ"]} if fixed else grids
    made = {}
    for name, levels in found.items():
        exact = own if name == "[grid]" else tuple(Fraction(repr(v)) for v in levels)
        numbers = free_numbers(program, exact, free)
        made[name] = numbers, numbers.of(program, levels)
    return made


def _spans(levels: Sequence[Fraction], problem: Problem) -> bool:
    """Whether levels have the ends of a problem, where its starts and its exact ends are."""
    ends = (levels[0], problem.sigma_max), (levels[-1], problem.sigma_min)
    return all(math.isclose(float(have), want, rel_tol=1e-3) for have, want in ends)


@dataclass(frozen=True)
class _Run:
    """Trials and the fit proper, each kept in a file as it goes."""

    problem: Problem
    inside: tuple[Tensor, Tensor]
    outside: tuple[Tensor, Tensor]
    ridge: float
    belongs: dict[str, Any]
    state: Path | None
    tell: Told

    def tried(self, found: dict[str, tuple[Numbers, Array, float]]) -> tuple[str, State, bool]:
        """A few iterations from each grid: the one with the least error on held-out starts, where
        the fit begins from it, and whether Ctrl-C ended the trials.

        Raises:
            KeyboardInterrupt: before a step was made; then there is nothing to keep.
        """
        tried: dict[str, tuple[float, State]] = {}
        interrupted = False
        for place, name in enumerate(found):
            try:
                for best in self._trial(place, name, *found[name][:2]):
                    tried[name] = best
            except KeyboardInterrupt:
                if not tried:
                    raise
                interrupted = True
                break
        if not tried:
            raise FitError(
                f"the rule's error on its own starts is 0 or not finite from every starting grid "
                f"({', '.join(found)}); check the model, or give more --starts"
            )
        chosen = min(tried, key=lambda name: tried[name][0])
        best_state = tried[chosen][1]
        begin = State(best_state.values, best_state.loss, best_state.damping, TRIAL, 0)
        return chosen, begin, interrupted

    def _trial(
        self, place: int, name: str, numbers: Numbers, values: Array
    ) -> Iterator[tuple[float, State]]:
        """The best so far from one grid, after each step; a finished trial is read from its file."""
        path = None if self.state is None else _trial_path(self.state, place)
        if path is not None and path.is_file():
            kept = load_state(path, self.belongs)
            self.tell(f"from {name}: was tried")
            yield _rms(self.problem, numbers, kept.values, *self.outside), kept
            return
        objective = _LogError(self.problem, numbers, *self.inside, self.ridge, values)
        first = State(values, objective.loss(values))
        if math.isinf(first.loss):
            return
        best = _rms(self.problem, numbers, values, *self.outside), first
        for at in levenberg_marquardt(objective.model, objective.loss, first, iterations=TRIAL):
            error = _rms(self.problem, numbers, at.values, *self.outside)
            best = (error, at) if error < best[0] else best
            yield best
            self.tell(f"from {name}: step {at.iteration}, held out {error:.4g}")
        if path is not None:
            save_state(path, best[1], self.belongs)

    def whole(
        self, numbers: Numbers, prior: Array, begin: State, iterations: int
    ) -> tuple[State, State, bool]:
        """Where the fit ends, the best on held-out starts, and whether Ctrl-C ended it."""
        objective = _LogError(self.problem, numbers, *self.inside, self.ridge, prior)
        beside = None if self.state is None else self.state.with_suffix(".best")
        best = State(begin.values, _rms(self.problem, numbers, begin.values, *self.outside))
        at = begin
        if self.state is not None and beside is not None and self.state.is_file():
            at, best = load_state(self.state, self.belongs), load_state(beside, self.belongs)
            self.tell(f"goes on from step {at.iteration}")
        clock = time.monotonic()
        steps = levenberg_marquardt(
            objective.model, objective.loss, at, iterations=iterations, tolerance=1e-3
        )
        first = at.iteration
        try:
            for at in steps:
                error = _rms(self.problem, numbers, at.values, *self.outside)
                best = (
                    State(at.values, error, iteration=at.iteration) if error < best.loss else best
                )
                if self.state is not None and beside is not None:
                    save_state(beside, best, self.belongs)
                    save_state(self.state, at, self.belongs)
                pace = (time.monotonic() - clock) / max(1, at.iteration - first)
                left = pace * (iterations - at.iteration)
                self.tell(
                    f"step {at.iteration} of {iterations}: rms {math.exp(at.loss):.4g}, held out "
                    f"{error:.4g}, best {best.loss:.4g}, {left:.0f} s left at most"
                )
        except KeyboardInterrupt:
            return at, best, True
        return at, best, False


def forget(state: Path) -> None:
    """Remove what an interrupted fit keeps."""
    trials = state.parent.glob(f"{escape(state.stem)}.begin[0-9]*")
    for path in (state, state.with_suffix(".best"), *trials):
        path.unlink(missing_ok=True)


def _trial_path(state: Path, place: int) -> Path:
    """The file of a finished trial."""
    return state.with_suffix(f".begin{place}")


@dataclass(frozen=True)
class _LogError:
    """The logarithm of the rms at the end, with a ridge on departures from the numbers as given."""

    problem: Problem
    numbers: Numbers
    starts: Tensor
    ends: Tensor
    ridge: float
    prior: Array

    def loss(self, values: Array) -> float:
        error = _rms(self.problem, self.numbers, values, self.starts, self.ends)
        return math.log(error) + self._away(values)[0] if 0 < error < math.inf else math.inf

    def model(self, values: Array) -> tuple[float, Array, Array]:
        total, slope, curve = squares(self.problem, self.numbers, values, self.starts, self.ends)
        extra = self._away(values)
        loss = 0.5 * math.log(total / self.starts.numel()) + extra[0]
        return loss, slope / (2 * total) + extra[1], curve / (2 * total) + extra[2]

    def _away(self, values: Array) -> tuple[float, Array, Array]:
        mask = self.numbers.departures() * self.ridge
        away = values - self.prior
        return float((mask * away**2).sum()), mask * away, np.diag(mask)


def _rms(problem: Problem, numbers: Numbers, values: Array, x: Tensor, ends: Tensor) -> float:
    try:
        found = end(problem, linear(numbers, values), x)
    except (ValueError, OverflowError, ZeroDivisionError):
        return math.inf
    error = float(((found - ends).double() ** 2).mean().sqrt())
    return error if math.isfinite(error) else math.inf


def rms_of(problem: Problem, program: Program, x: Tensor, ends: Tensor) -> float:
    found = end(problem, linear_of(program), x)
    return float(((found - ends).double() ** 2).mean().sqrt())


def _distance(problem: Problem, program: Program, x: Tensor, ends: Tensor) -> float:
    missing = (end(problem, linear_of(program), x) - ends).double().flatten(1)
    return float(missing.norm(dim=1).mean())


def _unit(problem: Problem) -> float:
    return problem.std if problem.std > 0 else 1.0


def _belongs(
    program: Program, numbers: Numbers, problem: Problem, taught: Taught, held: int, ridge: float
) -> dict[str, Any]:
    """What a kept state must agree with."""
    return {
        "rule": base_digest(program),
        "problem": problem.name,
        "probe": problem.probe(),
        "starts": len(taught.starts),
        "first start": taught.starts[0].flatten()[:4].double().tolist(),
        "held": held,
        "steps": numbers.steps,
        "free": numbers.told(),
        "ridge": ridge,
    }
