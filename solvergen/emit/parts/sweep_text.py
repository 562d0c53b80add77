"""Implicit rules at run time: sweeps that have settled are not evaluated again.

A table's sweeps are written out, as many as its cap. With a tolerance, `integrate` compares the model
outputs of each sweep with those of the sweep before; once none has changed by more, the sweeps that
remain use these outputs in place of the model.
"""

from __future__ import annotations

from ..file_plan import FilePlan


def repeats(plan: FilePlan) -> list[str]:
    """The constant that says which calls repeat a stage, and how many calls before it was made."""
    main = plan.program.main
    size, first = main.swept, main.evaluations - main.swept * main.sweeps
    later = [plan.call(main, k).kind for k in range(first + size, main.evaluations)]
    return [
        "# Model calls of later sweeps, by kind, and how many calls before the same stage was called.",
        f"REPEATS = dict.fromkeys(range({later[0]}, {later[-1] + 1}), {size})",
    ]
