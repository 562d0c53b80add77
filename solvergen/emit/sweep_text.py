"""Implicit rules at run time: sweeps that have settled are not evaluated again.

A table's sweeps are written out, as many as its cap. With a tolerance, `integrate` compares the model
outputs of each sweep with those of the sweep before; once none has changed by more, the sweeps that
remain use these outputs in place of the model.
"""

from __future__ import annotations

from ..program.model import Program
from . import pieces
from .layout import Layout

LOOP = '''
def integrate(model, x, plan, extra_args=None, callback=None, empty=None, tolerance=None):
    """Run the sampler along a plan; differentiable.

    empty: gives memory for new states, as torch.empty_like; torch does unless given.
    tolerance: once no model output of a sweep differs by more from the sweep before, the sweeps
    that remain reuse them. This reads one number from the device each sweep; without it no step
    waits for the device.
    """
{begin}    outputs, settled, changes = [], False, []
    for row in plan:
        i, kind, sigma, seen = *row[:3], x.to(dtype)
        if i != previous:
            outputs, settled, changes = [], False, []
        back = REPEATS.get(kind)
        if settled and back:
            denoised = outputs[-back]
        else:
            denoised = model(seen, sigma * ones, **extra_args)
{watch}        if tolerance is not None:
            if back and not settled:
                changes.append((denoised - outputs[-back]).abs().max())
                if len(changes) == back:  # a sweep is complete
                    settled, changes = bool(torch.stack(changes).max() <= tolerance), []
            outputs.append(denoised)
        x, memory = step(row, x, denoised.to(x.dtype), memory, empty)
        previous = i
    return x.to(dtype)


@torch.no_grad()
{signature}
{sample}    sigmas: n + 1 decreasing values, the last may be 0; alphas: the same number, ones unless given.
{callback}    tolerance: ends the sweeps of a step early, see integrate; all are made unless given.
    """
    plan = coefficients(sigmas, alphas{passed})
    return integrate(model, x, plan, extra_args, callback, tolerance=tolerance)
'''


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


def loop(signature: str, passed: str) -> str:
    """The definitions of `integrate` and `sample`."""
    return LOOP.format(**pieces.PARTS, signature=signature, passed=passed)
