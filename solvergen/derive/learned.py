"""What numbers that differ from step to step must keep to, and whether fitted ones belong here."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
from sympy import Expr

from ..errors import DeriveError
from ..expr.arithmetic import symbols
from ..expr.evaluation import evaluate
from ..expr.printing import show
from ..expr.time import T
from ..program.digest import base_digest
from ..program.functions import ELEMENTARY, number
from ..program.model import Program
from ..spec.model import Parameter, Solver
from .own_schedule import process_of


def check_numbers(solver: Solver) -> None:
    """Refuse numbers per step where steps are not one interval each, and lists of another length.

    Raises:
        DeriveError: naming the length that is needed.
    """
    varying = [p for p in solver.parameters if p.per]
    for parameter in varying:
        where = ("parameters", parameter.name)
        if solver.langevin or (solver.noise and solver.noise.form != "churn"):
            raise DeriveError(
                'per = "step" takes [noise] of the form churn only, and no [langevin]',
                (*where, "per"),
            )
        if solver.spans > 1 or solver.controller:
            raise DeriveError(
                'per = "step" needs steps of one interval each, on a grid that is known beforehand; '
                "remove `spans` or [controller]",
                (*where, "per"),
            )
    for parameter in varying:
        if parameter.per == "sample":
            _check_sample(parameter, solver)
        if parameter.per == "element":
            _check_element(parameter, solver)
    lists = [p for p in varying if p.values]
    if not lists:
        return
    steps = solver.grid.steps if solver.grid else len(lists[0].values)
    source = "[grid] has" if solver.grid else f"`{lists[0].name}` has"
    for parameter in lists:
        if len(parameter.values) != steps:
            raise DeriveError(
                f"`{parameter.name}` has {len(parameter.values)} values and {source} {steps} steps; "
                f"give one value a step, {steps} in all",
                ("parameters", parameter.name, "values"),
            )


def check_range(solver: Solver) -> None:
    """Refuse levels that leave the schedule of the spec.

    Raises:
        DeriveError: naming where the schedule ends.
    """
    grid, schedule = solver.grid, solver.schedule
    if grid is None or schedule is None:
        return
    low, high = 0.0, math.inf
    if schedule.alpha is not None:
        process = process_of(schedule)
        ends = (process.ratio.subs(T, at) for at in (0, schedule.until))
        low, high = (float(end) if end.is_number and end.is_finite else none
                     for end, none in zip(ends, (0.0, math.inf), strict=True))  # fmt: skip
    elif schedule.name == "vp-linear":
        high = math.sqrt(math.expm1(float(schedule.beta_min + schedule.beta_max) / 2))
    first, last = float(grid.levels[0]), float(grid.levels[-1])
    where = ("grid", "levels")
    if first > high * (1 + 1e-9):
        raise DeriveError(
            f"the schedule ends at sigma/alpha = {high:.6g} and the first level is {first:g}; begin there or lower",
            (*where, 0),
        )
    if 0 < last < low * (1 - 1e-9):
        raise DeriveError(
            f"the schedule begins at sigma/alpha = {low:.6g} and the last level is {last:g}; end there, or at 0",
            (*where, len(grid.levels) - 1),
        )


def _moves_call(parameter: Parameter, solver: Solver) -> bool:
    """Whether the level that the model is told depends on a number."""
    level = solver.call.level if solver.call else None
    return level is not None and parameter.name in symbols(level)


def _check_sample(parameter: Parameter, solver: Solver) -> None:
    """Refuse numbers per sample where they would be needed before a step's first model output."""
    where = ("parameters", parameter.name, "per")
    if solver.noise or solver.sweeps or solver.memory:
        raise DeriveError(
            'per = "sample" takes no [noise], no sweeps and no [memory]; write per = "step"', where
        )
    if _moves_call(parameter, solver):
        raise DeriveError(
            f"`{parameter.name}` is known once a step's first model output is there, and [call] level needs it "
            'before; write per = "step"',
            where,
        )


def _check_element(parameter: Parameter, solver: Solver) -> None:
    """Refuse arrays where they would meet the model's derivative, with which they do not commute.

    A step of one evaluation is linear in exact outputs: an array stands before each, as a number does, and
    what is proved for numbers holds for arrays. An output of a state that an array has changed brings J b,
    where the proof has b J.
    """
    where = ("parameters", parameter.name, "per")
    others = [p.name for p in solver.parameters if p.per == "sample"]
    if others:
        raise DeriveError(
            f'per = "element" beside per = "sample" (`{others[0]}`): a file takes one of the two',
            where,
        )
    if _moves_call(parameter, solver):
        raise DeriveError(
            f"a sample is passed to the model at one level, and [call] level needs `{parameter.name}` of each "
            'element; write per = "step"',
            where,
        )
    if solver.noise or solver.memory or solver.sweeps or solver.coupled:
        raise DeriveError(
            'per = "element" takes no [noise], no sweeps, no [memory] and no [coupled]; write per = "step"',
            where,
        )


def check_elements(program: Program) -> None:
    """Refuse arrays of numbers in steps of several evaluations, and weights not of degree one in them.

    Raises:
        DeriveError: naming what is in the way.
    """
    names = program.by_element
    if not names:
        return
    where = ("parameters", names[0], "per")
    steps = (*program.steps, *(step for rest in program.remainder for step in rest))
    several = any(step.stages or step.corrector for step in steps)
    for row in (row for step in steps for row in step.rows):
        if row.carry or several:
            found = "past states" if row.carry else "stages or a corrector, of its start or end too"
            raise DeriveError(
                f'per = "element" takes steps of one evaluation alone, and this solver has {found}; write '
                'per = "step"',
                where,
            )
        for weight in row.expressions:
            if not _of_degree_one(weight, names):
                raise DeriveError(
                    f"a weight is {show(weight)}, which is not of degree one in {', '.join(names)} together; "
                    'per = "element" needs it, so write per = "step" or another weight',
                    where,
                )


def _of_degree_one(expr: Expr, names: tuple[str, ...]) -> bool:
    """Whether names stand in an expression in sums and with factors that are free of them alone."""
    if not symbols(expr) & set(names):
        return True
    if expr.is_Add:
        return all(_of_degree_one(part, names) for part in expr.args)
    if expr.is_Mul:
        holding = [part for part in expr.args if symbols(part) & set(names)]
        return len(holding) == 1 and _of_degree_one(holding[0], names)
    return bool(expr.is_Symbol)


def check_calls(solver: Solver, program: Program) -> None:
    """Refuse a first output without a call, and levels of calls, where a step has no place for them.

    Raises:
        DeriveError: naming what to remove.
    """
    what = "`first`, the first output without a call,"
    taken = {"mean", "std"} & {p.name for p in solver.parameters}
    if solver.start.first and taken:
        raise DeriveError(
            f"`{min(taken)}` is what the sampler calls the data's, for `first`; rename the parameter",
            ("parameters", min(taken)),
        )
    if solver.start.first and solver.call and solver.call.output == "noise":
        raise DeriveError(
            f"{what} does not come from a call, so it has no noise prediction at another level; "
            'take output = "data"',
            ("start", "first"),
        )
    if solver.start.first and (solver.noise or solver.langevin):
        raise DeriveError(
            f"{what} and [noise] cannot be combined: the noise of the first step comes before it",
            ("start", "first"),
        )
    if solver.start.first and (solver.controller or solver.spans > 1 or program.main.sweeps):
        raise DeriveError(
            f"{what} needs steps of one interval each and no sweeps; remove [controller], `spans` or "
            "the sweeps",
            ("start", "first"),
        )
    _check_levels(solver)
    if solver.call and solver.call.output == "noise" and not program.calls_elsewhere:
        raise DeriveError(
            "every call is made at its state's own level, where `output` makes no difference; give "
            "`level` here or in a stage, or remove it",
            ("call", "output"),
        )


def _check_levels(solver: Solver) -> None:
    """Levels of calls are above 0, at the parameters' own values at least."""
    given = [(stage.level, (*stage.rule.where, "level")) for stage in solver.stages]
    given.append((solver.call.level if solver.call else None, ("call", "level")))
    values = {p.name: number(p.default) for p in solver.parameters} | {"h": number(Fraction(1, 10))}
    for level, where in given:
        if level is None:
            continue
        try:
            found = evaluate(level, values, ELEMENTARY, number)
            above = isinstance(found, mpmath.mpf) and found > 0
        except ZeroDivisionError:
            above = False
        if not above:
            raise DeriveError(
                f"`level` must be above 0, at the default parameters at least; found {show(level)}",
                where,
            )


def check_fitted(solver: Solver, program: Program) -> None:
    """Refuse provenance that belongs to another rule or another number of steps.

    Raises:
        DeriveError: the rule was changed after the fit.
    """
    fitted = solver.fitted
    if fitted is None:
        return
    if program.length != fitted.steps:
        raise DeriveError(
            f"[fitted] says {fitted.steps} steps and [grid] has {program.length}; refit it with "
            "solvergen fit, or remove [fitted]",
            ("fitted", "steps"),
        )
    if (found := base_digest(program)) != fitted.base:
        raise DeriveError(
            f"the rule has changed since its numbers were fitted: it is {found[:16]}, they belong to "
            f"{fitted.base[:16]}; refit it with solvergen fit, or remove [fitted]",
            ("fitted", "base"),
        )
