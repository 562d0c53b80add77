"""Implicit rules at run time: sweeps that have settled are not evaluated again.

A table's sweeps are written out, as many as its cap. With a tolerance, `integrate` compares the model
outputs of each sweep with those of the sweep before; once none has changed by more, the sweeps that
remain use these outputs in place of the model.
"""

from __future__ import annotations

from ..program.model import Program
from . import pieces
from .layout import Layout

_ANCHORS = (
    (
        (
            "def integrate(model, x, plan, extra_args=None, callback=None):\n"
            '    """Run the sampler along a plan; differentiable; no step waits for the device."""\n'
        ),
        (
            "def integrate(model, x, plan, extra_args=None, callback=None, tolerance=None):\n"
            '    """Run the sampler along a plan; differentiable.\n\n'
            "    tolerance: once no model output of a sweep differs by more from the sweep before, the sweeps\n"
            "    that remain reuse them. This reads one number from the device each sweep; without it no\n"
            "    step waits for the device.\n"
            '    """\n'
        ),
    ),
    (
        "    memory, previous = (), None\n",
        "    memory, previous, outputs, settled = (), None, [], False\n",
    ),
    (
        (
            "        i, sigma, seen = row[0], row[2], x.to(dtype)\n"
            "        denoised = model(seen, sigma * ones, **extra_args)\n"
        ),
        (
            "        i, kind, sigma, seen = *row[:3], x.to(dtype)\n"
            "        if i != previous:\n"
            "            outputs, settled, changes = [], False, []\n"
            "        back = REPEATS.get(kind)\n"
            "        if settled and back:\n"
            "            denoised = outputs[-back]\n"
            "        else:\n"
            "            denoised = model(seen, sigma * ones, **extra_args)\n"
        ),
    ),
    (
        "        x, memory = step(row, x, denoised.to(x.dtype), memory)\n",
        (
            "        if tolerance is not None:\n"
            "            if back and not settled:\n"
            "                changes.append((denoised - outputs[-back]).abs().max())\n"
            "                if len(changes) == back:  # a sweep is complete\n"
            "                    settled, changes = bool(torch.stack(changes).max() <= tolerance), []\n"
            "            outputs.append(denoised)\n"
            "        x, memory = step(row, x, denoised.to(x.dtype), memory)\n"
        ),
    ),
    (
        "    callback: called once a step with x, i, sigma, sigma_hat, denoised. disable: accepted, unused.\n",
        (
            "    callback: called once a step with x, i, sigma, sigma_hat, denoised. disable: accepted, unused.\n"
            "    tolerance: ends the sweeps of a step early, see integrate; all are made unless given.\n"
        ),
    ),
    (
        "    return integrate(model, x, plan, extra_args, callback)\n",
        "    return integrate(model, x, plan, extra_args, callback, tolerance)\n",
    ),
)


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
    found = ", ".join(f"{kind}: {size}" for kind in later)
    return [
        "# Model calls of later sweeps, by kind, and how many calls before the same stage was called.",
        f"REPEATS = {{{found}}}",
    ]


def loop(signature: str, passed: str) -> str:
    """The definitions of `integrate` and `sample`."""
    text = pieces.LOOP
    for old, new in _ANCHORS:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text.format(signature=signature, passed=passed)
