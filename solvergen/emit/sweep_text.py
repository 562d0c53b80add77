"""Implicit rules at run time: sweeps that have settled are not evaluated again.

A table's sweeps are written out, as many as its cap. With a tolerance, `integrate` compares the model
outputs of each sweep with those of the sweep before; once none has changed by more, the sweeps that
remain use these outputs in place of the model.
"""

from __future__ import annotations

from ..program.model import Program
from .layout import Layout


def swept(program: Program) -> bool:
    """Whether a run may end sweeps early."""
    main = program.main
    alike = [step for step in program.steps if step.evaluations == main.evaluations]
    same = all((step.swept, step.sweeps) == (main.swept, main.sweeps) for step in alike)
    return main.sweeps > 1 and same and not program.stochastic and not program.controller


def repeats(layout: Layout) -> list[str]:
    """The constant that says which calls repeat a stage, and how many calls before it was made."""
    main = layout.program.main
    size, first = main.swept, main.evaluations - main.swept * main.sweeps
    later = [layout.call(main, k).kind for k in range(first + size, main.evaluations)]
    return [
        "# Model calls of later sweeps, by kind, and how many calls before the same stage was called.",
        f"REPEATS = dict.fromkeys(range({later[0]}, {later[-1] + 1}), {size})",
    ]
