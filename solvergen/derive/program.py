"""A whole solver becomes a Program: main step, first steps, last steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sympy import Expr

from ..errors import DeriveError
from ..expr.arithmetic import ONE, symbols
from ..expr.functions import lift
from ..program.model import Program
from ..program.row import KAPPA, Place, Row, depth
from ..program.step import Step
from ..spec.model import End, Rule, Solver, Stage, Start
from ..spec.text.locate import Path as KeyPath
from .blocks import check_blocks, check_points
from .borrowed import is_that_solver
from .checks import (
    check_corrector,
    check_counts,
    check_draws,
    check_reach,
    check_shared,
    check_states,
    check_zero,
)
from .context import Context
from .corrected import closed, swept
from .coupled import SECOND, begun, check_coupled, second, starts_inside, written_out
from .learned import check_calls, check_elements, check_fitted, check_numbers, check_range
from .memory import check_memory, remembered, remembering
from .own_linear import as_run, in_lambda, own_linear, serving
from .pinned import fixed_noise, pinned
from .rules import row_of_rule
from .stages_before import check_stages_before
from .stochastic.langevin import langevin, langevin_to_zero
from .stochastic.noise import noisy
from .weights.coordinates import further, located

Lookup = Callable[[str], Solver]
END = Place(ONE)


def derive(solver: Solver, lookup: Lookup | None = None) -> Program:
    """Derive a solver's Program.

    Args:
        solver: the spec.
        lookup: finds the solvers that [start] and [end] name; the gallery unless given.

    Returns:
        Exact rows for every kind of step.

    Raises:
        DeriveError: weights that cannot exist, with the reason and the key path in the spec.
    """
    return _Deriver(solver, lookup or _gallery).program()


def _gallery(name: str) -> Solver:
    from ..gallery import load

    return load(name)


class _Deriver:
    def __init__(self, solver: Solver, lookup: Lookup, further: list[Expr] | None = None) -> None:
        self.solver, self.lookup = solver, lookup
        self.context = Context(
            solver.integrand,
            solver.coordinate,
            solver.schedule,
            solver.parameters,
            further=[] if further is None else further,
            linear=own_linear(solver),
        )
        before = {stage.name: self.place(stage) for stage in solver.stages}
        self.context = replace(self.context, before=before, coupled=solver.coupled is not None)
        self.memory = remembered(solver.memory, self.context) if solver.memory else ()

    def program(self) -> Program:
        solver = self.solver
        if solver.schedule is not None and solver.schedule.alpha is not None:
            from .own_schedule import process_of  # with all of `process`, which few specs need

            process_of(solver.schedule)
        check_numbers(solver)
        check_range(solver)
        check_coupled(solver)
        check_memory(solver)
        main = self.step(solver)
        start = self.start(main)
        end = self.end(main)
        if solver.end.zero == "rule":
            check_zero(solver, (main, *start, *end))
        check_states(solver, (main, *start, *end))
        check_counts(solver, (main, *start, *end))
        check_reach(solver, (main, *start, *end))
        check_stages_before(solver, main, start, end)
        remainder = tuple(
            tuple(self.other(name, "end") for name in rest) for rest in solver.end.remainder
        )
        check_points(solver, main, end)
        check_blocks(solver, main, remainder)
        check_draws(solver, (main, *start, *end))
        if solver.noise and solver.noise.jumps and (main.history or main.corrector or start):
            raise DeriveError(
                "after a jump past evaluations lie at other levels; jumps need a solver without "
                "history, corrector and special first steps",
                ("noise", "jumps"),
            )
        program = Program(
            name=solver.name,
            title=solver.title or solver.name,
            integrand=solver.integrand,
            main=main,
            start=start,
            end=end,
            zero=solver.end.zero,
            shrink=None if solver.start.shrink is None else lift(solver.start.shrink),
            embedded=self.embedded(),
            controller=solver.controller,
            parameters=solver.parameters,
            schedule=solver.schedule,
            jumps=bool(solver.noise and solver.noise.jumps),
            jump_scale=self.jump_scale(),
            form=solver.noise.form if solver.noise else "",
            last=langevin_to_zero(solver.langevin) if solver.langevin else None,
            remainder=remainder,
            levels=solver.grid.levels if solver.grid else (),
            first=solver.start.first,
            called=solver.call.level if solver.call and solver.call.level is not None else ONE,
            output=solver.call.output if solver.call else "data",
        )
        if self.context.linear is not None:
            program = as_run(replace(program, linear=self.context.linear))
        check_calls(solver, program)
        check_elements(program)
        check_fitted(solver, program)
        return program

    def step(self, solver: Solver, reach: int | None = None, label: str = "") -> Step:
        """The step of a solver, with at most `reach` past evaluations."""
        kappa = self.context.kappa
        states = self.second(reach)
        stages, places = self.stages(solver, reach, states)
        final = row_of_rule(solver.step, END, places, self.context, reach, "x")
        final = written_out(final, states, kappa)
        corrector = None
        if solver.corrector:
            after = {**places, "n+1": END}
            rule = solver.corrector.rule
            if solver.corrector.mode == "PECE":
                corrected = row_of_rule(rule, END, after, self.context, reach, "x")
                corrected = written_out(corrected, states, kappa)
                stages, final = swept(stages, final, corrected, solver.corrector.sweeps)
            else:
                corrector = row_of_rule(rule, END, after, self.context, reach, "corrected")
                check_corrector(corrector, places)
                final = replace(final, name="predicted")
        built = Step("", tuple(stages), final, corrector, spans=solver.spans)
        built = replace(built, label=label or _label(built), coordinates=self.coordinates(solver))
        if solver.sweeps:
            size = len(solver.stages) // solver.sweeps
            built = replace(built, swept=size, sweeps=solver.sweeps)
        elif solver.corrector and solver.corrector.mode == "PECE":
            built = replace(built, swept=1, sweeps=solver.corrector.sweeps)
        return self.remembering(self.stochastic(built, solver), reach)

    def stages(
        self, solver: Solver, reach: int | None, states: dict[str, Row]
    ) -> tuple[list[Row], dict[str, Place]]:
        """The stages of a step and their places; `states` takes what rows may start from, by name."""
        places: dict[str, Place] = {}
        stages: list[Row] = []
        for stage in solver.stages:
            place = self.place(stage)
            if place.ahead == solver.spans:
                place = END
            if stage.name in places:
                raise DeriveError(
                    f"two stages are named `{stage.name}`", (*stage.rule.where, "name")
                )
            row = row_of_rule(stage.rule, place, places, self.context, reach, stage.name)
            row = states[stage.name] = written_out(row, states, self.context.kappa)
            stages.append(row if stage.level is None else replace(row, level=stage.level))
            places[stage.name] = place
        return stages, places

    def remembering(self, step: Step, age: int | None = None) -> Step:
        """The step with the solver's memory, once as many evaluations exist as that combines."""
        return remembering(step, self.memory, self.context.further, age)

    def second(self, reach: int | None) -> dict[str, Row]:
        """The second state at the start of a step, by its name; nothing where there is none."""
        solver = self.solver
        if solver.coupled is None:
            return {}
        if reach == 0:
            return {SECOND: begun(self.context.resolve(solver.step).gauge)}
        states: dict[str, Row] = {}
        kappa = KAPPA[solver.integrand]
        _, places = self.stages(solver, reach, states)
        ends = [
            row_of_rule(rule, END, places, self.context) for rule in (solver.step, solver.coupled)
        ]
        final, coupled = (written_out(row, states, kappa) for row in ends)
        fixed = [p.name for p in solver.parameters if not p.per]
        return {SECOND: second(final, coupled, fixed)}

    def stochastic(self, step: Step, solver: Solver) -> Step:
        """The step with the noise and the Langevin steps that the solver asks for."""
        if solver.noise:
            step = noisy(step, solver.noise, KAPPA[solver.integrand])
        if solver.langevin:
            step = langevin(step, solver.langevin, KAPPA[solver.integrand])
        return check_shared(step)

    def jump_scale(self) -> Expr:
        """The factor on the noise of jumps, which belong to no step."""
        noise = self.solver.noise
        if noise is None or not noise.jumps:
            return ONE
        known = {parameter.name for parameter in self.solver.parameters}
        if local := symbols(noise.scale) - known:
            raise DeriveError(
                f"the noise scale of a jump cannot use {min(local)}: a jump is not a step",
                ("noise", "scale"),
            )
        return noise.scale

    def embedded(self) -> Row | None:
        """The lower-order result from the main step's evaluations."""
        rule = self.solver.embedded
        if rule is None:
            return None
        places = {s.name: self.place(s) for s in self.solver.stages}
        row = row_of_rule(rule, END, places, self.context, 0, "embedded")
        known = {row.name: row for row in self.step(self.solver).stages}
        row = written_out(row, known, self.context.kappa)
        if any(depth(term.source) for term in row.terms) or self.step(self.solver).history:
            raise DeriveError(
                "adaptive steps need a solver without history: its nodes must be n and stages",
                ("embedded",),
            )
        return row

    def place(self, stage: Stage) -> Place:
        """Where a stage lies; a fraction in the solver's own coordinate unless another is named."""
        if stage.place == "grid":
            return Place(stage.at, stage.place)
        name, where = self.placed_in(stage.place), place_key(stage)
        schedule, known = self.solver.schedule, self.context.further
        place = located(stage.at, name, self.context.integrand, schedule, where, known)
        return (
            place
            if self.context.linear is None
            else in_lambda(place, self.context.integrand, where)
        )

    def placed_in(self, coordinate: str | None) -> str:
        """The coordinate of a place; a velocity solver has no stages in λ."""
        own = self.context.coordinate
        return coordinate or (
            "clock" if own == "lambda" and self.solver.integrand == "velocity" else own
        )

    def coordinates(self, solver: Solver) -> tuple[Expr, ...]:
        """The coordinates besides λ and the clock, up to the last that a step's rows use."""
        rules = [stage.rule for stage in solver.stages] + [solver.step]
        rules += [solver.corrector.rule] if solver.corrector else []
        rules += [solver.embedded] if solver.embedded else []
        used = [self.context.resolve(rule).number for rule in rules]
        return self.up_to([*used, *(further(self.place(stage)) for stage in solver.stages)])

    def up_to(self, numbers: list[int]) -> tuple[Expr, ...]:
        """The further coordinates up to the greatest of some numbers."""
        return tuple(self.context.further[: max(numbers)])

    def start(self, main: Step) -> tuple[Step, ...]:
        """The first steps: those that the spec names, then the same rule with fewer nodes."""
        using = self.solver.start.using
        steps = []
        for i, entry in enumerate(using):
            step = self.other(entry, "start", i)
            if step.history > i:
                raise DeriveError(
                    f"start step {i + 1} (`{_name(entry)}`) needs {step.history} past evaluations, "
                    f"and {i} exist by then; put a solver without history first",
                    ("start", "using"),
                )
            steps.append(self.remembering(step, i))
        for reach in range(len(using), main.history):
            steps.append(self.step(self.solver, reach))
        return tuple(steps)

    def end(self, main: Step) -> tuple[Step, ...]:
        """The last steps: the same rule with fewer nodes, or those that the spec names."""
        end, last = self.solver.end, []
        if end.ramp:
            ramp = [self.step(self.solver, reach) for reach in reversed(range(main.history))]
            last = [self.remembering(step) for step in ramp]
        elif end.using:
            last = [self.remembering(self.other(entry, "end")) for entry in end.using]
        if main.corrector is None:
            if end.corrector:
                raise DeriveError(
                    "there is no PEC corrector to apply to the final state", ("end", "corrector")
                )
            return tuple(last)
        # The final state of a PEC solver is the predicted one: correcting it costs an evaluation.
        if not last:
            last = [replace(main, label=main.label + ", last")]
        last[-1] = closed(last[-1], end.corrector)
        return tuple(last)

    def other(self, entry: str | Rule, edge: str, reach: int | None = None) -> Step:
        """The step of another solver's rule, or of a rule written out, in this solver's variables."""
        if isinstance(entry, Rule):
            if starts_inside(entry, [*self.context.before]):
                return self.step(replace(self.solver, step=entry, corrector=None), reach)
            row = row_of_rule(entry, END, {}, self.context, None, "x")
            step = Step("", (), row, None, self.up_to([self.context.resolve(entry).number]))
            return self.stochastic(replace(step, label=_label(step)), self.solver)
        if entry == self.solver.name:
            raise DeriveError(f"`{entry}` cannot start or end with itself", ("start", "using"))
        try:
            solver = self.lookup(entry)
        except KeyError as error:
            raise DeriveError(str(error.args[0]), (edge, "using")) from None
        if solver.coupled is not None:
            raise DeriveError(
                f"`{entry}` cannot serve here: it keeps two states, and there is one here",
                (edge, "using"),
            )
        if solver.memory is not None:
            raise DeriveError(
                f"`{entry}` cannot serve here: it remembers combinations of evaluations ([memory])",
                (edge, "using"),
            )
        if solver.call is not None:
            raise DeriveError(
                f"`{entry}` cannot serve here: it calls the model at levels of its own ([call])",
                (edge, "using"),
            )
        label, borrowed = solver.title or solver.name, ""
        here = replace(pinned(self.solver), start=Start(), end=End())
        if not is_that_solver(pinned(solver), here, partial(derive, lookup=self.lookup)):
            borrowed = solver.integrand
            with_linear = ", with this linear part" if self.context.linear is not None else ""
            label = f"{label}, its rule on {self.solver.integrand}{with_linear}"
        try:
            inner = _Deriver(
                replace(
                    serving(pinned(solver), self.solver.linear),
                    integrand=self.solver.integrand,
                    noise=solver.noise and fixed_noise(solver) or self.solver.noise,
                    schedule=solver.schedule or self.solver.schedule,
                ),
                self.lookup,
                self.context.further,
            )
            return replace(inner.step(inner.solver, label=label), borrowed=borrowed)
        except DeriveError as error:
            message = f"`{entry}` cannot serve here: {error.message}"
            raise DeriveError(message, (edge, "using")) from None


def _name(entry: str | Rule) -> str:
    return entry if isinstance(entry, str) else entry.kind


def _label(step: Step) -> str:
    """A few words for people: what the step evaluates and remembers."""
    nodes = step.history + 1
    if step.stages:
        text = f"{step.evaluations} evaluations" + (f", {nodes} nodes" if nodes > 1 else "")
    else:
        text = "one node" if nodes == 1 else f"{nodes} nodes"
    return text + (", corrected" if step.corrector else "")


def place_key(stage: Stage) -> KeyPath:
    """The key that says in which coordinate a stage's place is a fraction."""
    return (*stage.rule.where, "place") if stage.place else ("coordinate",)
