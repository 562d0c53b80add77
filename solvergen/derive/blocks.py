"""Steps that span several intervals of the grid, or look at points beyond their own end."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import DeriveError
from ..program.step import Step
from ..spec.model import Solver, Start

_PLAIN = Start()


def check_points(solver: Solver, main: Step, end: Sequence[Step]) -> None:
    """A step that looks beyond its end needs last steps that do not.

    Raises:
        DeriveError: what stands in the way.
    """
    if main.spans > 1 or main.ahead == 1:
        return
    if main.history or main.corrector or solver.noise or solver.langevin or solver.start != _PLAIN:
        raise DeriveError(
            "a solver that looks at later grid points starts every step anew: it has no history, PEC "
            "corrector, noise or special first steps",
            ("stage",),
        )
    needed = main.ahead - 1
    near = end[len(end) - needed :] if len(end) >= needed else ()
    if not near or any(step.ahead > needed - k for k, step in enumerate(near)):
        raise DeriveError(
            f"the step looks {main.ahead} points ahead, so that the last {needed} steps need others: "
            "name them in [end] using",
            ("end", "using"),
        )


def check_blocks(solver: Solver, main: Step, remainder: Sequence[Sequence[Step]]) -> None:
    """Steps that span several intervals start anew each time, and fill any number of intervals.

    Raises:
        DeriveError: what stands in the way.
    """
    steps = (main, *(step for rest in remainder for step in rest))
    if all(step.spans == 1 for step in steps) and not remainder:
        return
    plain = not (solver.noise or solver.langevin or solver.controller or solver.end.using)
    if not plain or solver.start != _PLAIN or any(step.history or step.corrector for step in steps):
        raise DeriveError(
            "a step that spans several intervals starts anew each time: no history, PEC corrector, "
            "noise, controller, [start] or [end] using; say in [end] remainder how the last "
            "intervals are covered",
            ("step", "spans"),
        )
    if solver.end.zero == "rule":
        raise DeriveError(
            'a last interval to sigma = 0 is a DDIM step of its own here; zero must be "ddim"',
            ("end", "zero"),
        )
    for step in steps:
        if step.ahead > step.spans:
            raise DeriveError(
                f"a step over {step.spans} intervals cannot look at the grid point {step.ahead}",
                ("step", "spans"),
            )
    if len(remainder) != main.spans:
        raise DeriveError(
            f"[end] remainder needs {main.spans} lists, one for each number of intervals modulo "
            f"{main.spans} from 0 up; found {len(remainder)}",
            ("end", "remainder"),
        )
    for left, rest in enumerate(remainder):
        covered = sum(step.spans for step in rest)
        if covered % main.spans != left:
            raise DeriveError(
                f"list {left} of [end] remainder covers {covered} intervals, which is not {left} "
                f"modulo {main.spans}",
                ("end", "remainder"),
            )
