"""First and last steps: what they add to the global error, exactly.

The numerical solution is expanded about the first (or the last regular) grid point with its errors
carried from step to step, so each error counts separately: the local error of each first step,
evaluations at poorly predicted values that later correctors use, a shortened first step. What is
left below h^{p+1} after all history is regular is the start's own contribution E; with m its
exponent

    global order = min(p, m),    exactly m < p because E h^m is non-zero and only propagates.

Source: discrete Gronwall; Hairer, Norsett and Wanner, Solving ODEs I, III.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from ...algebra.ring import SeriesRing
from ...expr.arithmetic import fraction_of
from ...program.model import Program
from ...program.step import Step, stages_before
from ..expansion.grid import Grid, from_steps
from ..expansion.local_error import FOLLOWED, Case, History, Leading, first_error, leading
from ..expansion.recursion import Recursion, Words
from .run_places import FIRST, before_end, counts, from_start


@dataclass(frozen=True)
class Contribution:
    """What one step adds to the error of the accepted values after it.

    Args:
        step: number of the step, from the start (0, 1, …) or from the end (−1 is the last).
        label: what kind of step it is.
        found: leading part of its effective local error.
    """

    step: int
    label: str
    found: Leading


def shrink_exponent(program: Program) -> Fraction:
    """The exponent of the shortened first step; 1 when it is not shortened."""
    shrink = program.shrink
    return Fraction(1) if shrink is None else fraction_of(shrink)


def start_case(case: Case) -> Case:
    """The same case from the start of the run, with the program's shortened first step."""
    case = from_start(case)
    exponent = shrink_exponent(case.program)
    if exponent == 1:
        return case
    power, plain = exponent.denominator, case.grid

    def grid(ring: SeriesRing) -> Grid:
        inner = plain(ring)
        first = ring.x ** (exponent.numerator - power)
        return from_steps(
            lambda i: first if i == 0 else inner.position(i) - inner.position(i - 1), inner.kind
        )

    # Ratios to a short step make weights that grow as h shrinks: keep terms to absorb that.
    return replace(case, grid=grid, power=power, margin=4 * power)


def start_step(program: Program, i: int) -> Step:
    """The kind of step i when no end is in sight."""
    return program.start[i] if i < len(program.start) else program.main


def _start_length(program: Program, limit: int) -> int:
    """How many steps a run takes until what the first ones leave is regular, up to h^limit."""
    regular = len(program.start) + program.main.history + 1 + FIRST * counts(program)
    regular += FOLLOWED * bool(program.main.memory)
    # A poor first stage is felt in every later one, each time with one more power of h.
    return regular + (limit if stages_before(program.main.stages) else 0)


def before(step: Step, known: Mapping[str, Words]) -> dict[str, Words]:
    """The evaluations at the stages of a step, by the names that they have in the step after it."""
    return {f"{row.name}-1": known[row.name] for row in step.stages}


class StartRun:
    """The first steps of a program, expanded about its first grid point.

    Args:
        recursion: the expansion.
        program: the solver.
    """

    def __init__(self, recursion: Recursion, program: Program) -> None:
        self.recursion, self.program = recursion, program
        self.evaluations = [recursion.evaluation({}, Fraction(0))]
        if program.first:  # not the model's: off by as much as the output itself
            self.evaluations = [{word: 2 * value for word, value in self.evaluations[0].items()}]
        self.remembered: dict[int, Words] = {}
        self.accepted: list[Words] = [{}]
        self.inner: dict[int, dict[str, Words]] = {}  # evaluations at the stages of each step

    def known(self, i: int) -> dict[str, Words]:
        """Evaluations and errors of accepted states that step i may use."""
        past = {f"n-{k}": self.remembered[i - k] for k in range(1, i + 1)}
        states = {f"x-{k}": self.accepted[i - k] for k in range(1, i + 1)}
        now = {"n": self.evaluations[i], **past}
        step = start_step(self.program, i)
        if step.memory:
            now["n"] = self.recursion.remembered(step, i, now)
        self.remembered[i] = now["n"]
        return {**now, **states, **self.inner.get(i - 1, {})}

    def step(self, i: int, base: Words) -> tuple[Words, Words]:
        """Errors after step i: of its evaluated state and of its accepted value."""
        step, known = start_step(self.program, i), self.known(i)
        predicted = self.recursion.step(step, i, base, known)
        self.inner[i] = before(step, known)
        return predicted, self.recursion.corrected(step, i, base, known, predicted)

    def alone(self, i: int) -> Words:
        """The error of step i from accepted states that are all exact."""
        kept, self.accepted = self.accepted, [{} for _ in self.accepted]
        single = self.step(i, {})[1]
        self.accepted = kept
        return single

    def run(self, contributions: list[Words] | None = None) -> Words:
        """The error when all history has become regular; single contributions on request."""
        error: Words = {}
        for i in range(_start_length(self.program, self.recursion.limit)):
            if contributions is not None:
                contributions.append(self.alone(i))
            predicted, error = self.step(i, error)
            self.accepted.append(error)
            position = self.recursion.step_values.grid.position(i + 1)
            self.evaluations.append(self.recursion.evaluation(predicted, position))
        return error


def start_error(case: Case, order: int) -> Leading | None:
    """The leading error that the first steps leave, up to h^order; ``None`` when there is none."""
    program = case.program
    opens = bool(program.start) or counts(program)
    unprepared = not opens or len(program.start) < program.main.history
    if unprepared and not program.first:
        return None
    longer = start_case(case)
    extra = 2 if longer.margin else 0

    def expand(limit: int) -> Words:
        return longer.expand(limit + extra, lambda r: StartRun(r, program).run())

    # There is none as a rule, so that one expansion up to h^order is cheaper than a search from h on.
    found = first_error(expand, order, order, longer.power)
    return found if found and found.exponent <= order else None


def start_contributions(case: Case, limit: int) -> list[Contribution]:
    """The effective local error of every first step that is below h^(limit + 1)."""
    program, single = case.program, list[Words]()
    longer = start_case(case)

    def run(recursion: Recursion) -> Words:
        single.clear()
        return StartRun(recursion, program).run(single)

    longer.expand(limit + (2 if longer.margin else 0), run)
    return _listed(single, longer.power, limit, lambda i: (i, start_step(program, i)))


def end_error(case: Case, order: int, predictor: int) -> Leading | None:
    """The leading error that the last steps add, up to h^order; ``None`` when there is none."""
    worst: Leading | None = None
    for last in endings(case.program):
        ending = replace(before_end(case, len(last)), spans=tuple(step.spans for step in last))

        def expand(limit: int, last: tuple[Step, ...] = last, ending: Case = ending) -> Words:
            return ending.expand(limit, lambda r: end_run(r, case.program, last, limit, predictor))

        found = first_error(expand, order, order) if last else None
        if found and found.exponent <= order and (not worst or found.exponent < worst.exponent):
            worst = found
    return worst


def end_contributions(case: Case, limit: int, predictor: int) -> list[Contribution]:
    """The effective local error of every last step that is below h^(limit + 1)."""
    program, single = case.program, list[Words]()
    listed: list[Contribution] = []
    for last in endings(program):

        def run(recursion: Recursion, last: tuple[Step, ...] = last) -> Words:
            single.clear()
            return end_run(recursion, program, last, limit, predictor, single)

        if last:
            ending = replace(before_end(case, len(last)), spans=tuple(s.spans for s in last))
            ending.expand(limit, run)
            listed += _listed(
                single,
                1,
                limit,
                lambda i, last=last: (i - len(last), last[i]),  # type: ignore[misc]
            )
    # endings of several lengths may share steps
    return list({(one.step, one.label): one for one in listed}.values())


def endings(program: Program) -> tuple[tuple[Step, ...], ...]:
    """The ways in which a run may end, by the number of intervals left over."""
    return program.remainder or (last_steps(program),)


def last_steps(program: Program) -> tuple[Step, ...]:
    """The last steps; a PEC solver ends on a predicted value even when it names none."""
    if not program.end and program.main.corrector:
        return (replace(program.main, corrector=None),)
    if counts(program) and not program.end:
        return (program.main,) * FIRST
    return program.end


def end_run(
    recursion: Recursion,
    program: Program,
    last: tuple[Step, ...],
    limit: int,
    predictor: int,
    contributions: list[Words] | None = None,
) -> Words:
    """The error after the last steps, regular history before them."""
    level = max(0, limit - predictor) if program.main.corrector else 0
    history = History(recursion, lambda _: program.main)
    made: dict[int, Words] = {}

    def remembered(site: int) -> Words:
        return made[site] if site in made else history.remembered(site, level)

    error: Words = {}
    accepted: dict[int, Words] = {}
    inner = history.stages(0, limit) if any(step.recalls for step in last) else {}
    newest = history.evaluation(0, level)
    for i, step in enumerate(last):
        known = {f"n-{k}": remembered(i - k) for k in range(1, step.history + 1)}
        known["n"] = newest
        if step.memory:
            known["n"] = recursion.remembered(step, i, known)
        made[i] = known["n"]
        known |= inner
        nothing: dict[str, Words] = {f"x-{k}": {} for k in range(1, step.history + 1)}
        if contributions is not None:
            contributions.append(
                _advance(recursion, step, i, {}, {**known, **nothing}, i + 1 == len(last))[1]
            )
        known |= nothing | {f"x-{i - k}": accepted[k] for k in range(1, i)}
        predicted, error = _advance(recursion, step, i, error, known, i + 1 == len(last))
        inner = before(step, known)
        accepted[i + 1] = error
        newest = recursion.evaluation(predicted, recursion.step_values.grid.position(i + 1))
    return error


def _advance(
    recursion: Recursion, step: Step, site: int, base: Words, known: dict[str, Words], final: bool
) -> tuple[Words, Words]:
    predicted = recursion.step(step, site, base, known)
    if final:  # the corrector would need one more evaluation
        return predicted, predicted
    return predicted, recursion.corrected(step, site, base, known, predicted)


def _listed(
    errors: list[Words], power: int, limit: int, name: Callable[[int], tuple[int, Step]]
) -> list[Contribution]:
    found = []
    for i, error in enumerate(errors):
        part = leading(error, power)
        if part is not None and part.exponent <= limit:
            number, step = name(i)
            found.append(Contribution(number, step.label, part))
    return found
