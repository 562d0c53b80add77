"""What a whole solver must keep to: past states, draws, correctors, the step to σ = 0."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sympy import Expr

from ..errors import DeriveError
from ..expr.arithmetic import ZERO, substitute, symbols
from ..expr.functions import lift
from ..expr.printing import show
from ..program.row import Place, Row
from ..program.step import Step
from ..spec.model import Solver

COUNTED = frozenset({"steps", "i"})
# The offsets of past points, in lambda, in the clock and in further coordinates.
_PAST = re.compile(r"(?:[tT]heta|eta(?:\d+_)?)(\d+)")


def check_states(solver: Solver, steps: Sequence[Step]) -> None:
    """Past states are accepted ones, at levels of the grid: no PEC corrector, no noise."""
    if not any(step.past_states for step in steps):
        return
    if any(step.corrector for step in steps):
        raise DeriveError(
            "with a PEC corrector the accepted states are never formed; a rule that uses past "
            'states needs mode = "PECE"',
            ("corrector", "mode"),
        )
    if any(step.stochastic for step in steps) or solver.noise or solver.langevin:
        raise DeriveError("rules with past states do not support noise; remove [noise]", ("noise",))


def check_reach(solver: Solver, steps: Sequence[Step]) -> None:
    """Step ratios look back no further than the nodes and states: at the first steps there is no grid before."""
    for step in steps:
        of_memory = {name for term in step.memory for name in symbols(term.weight)}
        terms = [term for row in step.rows for term in (*row.terms, *row.carry)]
        used = of_memory.union(*(symbols(term.weight) for term in terms))
        back = {name: int(found[1]) for name in used if (found := _PAST.fullmatch(name))}
        name = max(back, key=lambda one: back[one], default="")
        if name and back[name] > step.history:
            told = (
                f"the oldest node or state of the step lies {step.history} back; use ratios up to "
                f"`r{step.history}`, or an older node"
                if step.history
                else "the step uses nothing older than n; use no ratio, or an older node"
            )
            raise DeriveError(
                f"`r{back[name]}` needs the grid {back[name]} back, and {told}",
                solver.memory.where if solver.memory and name in of_memory else ("step",),
            )


def check_draws(solver: Solver, steps: Sequence[Step]) -> None:
    """[noise] and draws come together."""
    noise = solver.noise
    drawing = any(step.stochastic for step in steps)
    if drawing and noise is None:
        raise DeriveError(
            "a first or last step draws noise, and the solver has no [noise]; add [noise] with "
            'form = "explicit", or start and end with deterministic solvers',
            ("start", "using"),
        )
    if noise is not None and not drawing and not noise.jumps:
        raise DeriveError(
            "nothing draws noise here; give a rule `noise`, or another form", ("noise", "form")
        )


def check_shared(step: Step) -> Step:
    """A PEC corrector is applied in the next step, when this step's draws are gone."""
    final, corrector = step.final, step.corrector
    carried = any(row.carry for row in step.rows)
    if (
        corrector
        and not carried
        and ((corrector.decay, corrector.noise) != (final.decay, final.noise))
    ):
        raise DeriveError(
            "a PEC corrector must share the decay and the draws of its predictor",
            ("corrector",),
        )
    return step


def check_corrector(corrector: Row, places: Mapping[str, Place]) -> None:
    """A PEC corrector runs in the next step, when this step's inner stages are gone."""
    inner = [term.source for term in corrector.terms if term.source in places]
    if inner:
        raise DeriveError(
            f"a PEC corrector cannot use the stage `{inner[0]}`: it is applied in the next step; "
            'use mode = "PECE"',
            ("corrector", "nodes"),
        )


def check_zero(solver: Solver, steps: Sequence[Step]) -> None:
    """A rule has a limit at σ = 0 only in a clock that is finite there, with no stage at σ = 0."""
    for step in steps:
        if step.stochastic:
            raise DeriveError(
                'no noise can be added at sigma = 0; a stochastic solver needs zero = "ddim"',
                ("end", "zero"),
            )
        finite = solver.integrand != "data" and step.final.gauge == "clock"
        if not finite or step.coordinates:
            raise DeriveError(
                'zero = "rule" needs noise or velocity and the clock as coordinate: in lambda '
                "the last step is infinitely long",
                ("end", "zero"),
            )
        if any(row.place.is_end or row.place.coordinate == "lambda" for row in step.stages):
            raise DeriveError(
                'zero = "rule" would evaluate the model at sigma = 0: a place inside the last '
                "step must be a fraction of it in the clock",
                ("end", "zero"),
            )


def check_counts(solver: Solver, steps: Sequence[Step]) -> None:
    """Rules that count steps need steps of one interval each, and weights that exist in the first one."""
    used = {
        name for step in steps for row in step.rows for e in row.expressions for name in symbols(e)
    }
    if solver.noise or used.isdisjoint(COUNTED):
        return
    name, where = min(used & COUNTED), (*solver.step.where, "weights")
    if solver.spans > 1 or solver.controller:
        raise DeriveError(
            f"`{name}` counts steps of one interval each, on a grid that is known beforehand; remove `spans` "
            "or [controller]",
            where,
        )
    opening: dict[str, Expr] = {"i": ZERO, "steps": lift(max(len(steps), 2))}
    first = steps[1] if solver.start.using else steps[0]
    for row in first.rows:
        for expression in row.expressions:
            try:
                substitute(expression, opening)
            except ZeroDivisionError:
                raise DeriveError(
                    f"{show(expression)} divides by zero in the first step, where i = 0; count from i + 1, or "
                    "say in [start] using = […] which solver takes that step",
                    where,
                ) from None
