"""The text of `coefficients`: every weight of every step, decided on the host in float64."""

from __future__ import annotations

from dataclasses import replace

from ..program.model import Program
from ..program.step import Step
from .block_text import block_lines, kinds
from .layout import Layout, uses_clock
from .noise_text import lift_lines, lifted, opening_lines, opens, renews, uses_levels
from .python_text import listing
from .step_quantities import BLOCK
from .step_text import StepText, append_row


def plan_lines(layout: Layout) -> list[str]:
    """The body of the loop over steps: special ends first, then the kinds of steps."""
    program = layout.program
    if program.remainder:
        return _block_loop(layout)
    lines = [
        "    for i in range(n):",
        "        a0, a1, s0, s1 = alpha[i], alpha[i + 1], sigma[i], sigma[i + 1]",
    ]
    churned = any(step.churn is not None for step in program.steps)
    lines += lift_lines(program)
    if _uses_length(program) or not _regular(program) or program.stochastic:
        lines.append(f"        h = lam[i + 1] - {'start' if churned else 'lam[i]'}")
    if uses_clock(program) and not churned:
        lines.append("        H = clock[i + 1] - clock[i]")
    return [*lines, *_kinds(layout), *(["        lifts = []"] if lifted(program) else [])]


def _block_loop(layout: Layout) -> list[str]:
    """The loop over steps that span several intervals, from point i to point j of the grid."""
    clock = ["        H = clock[j] - clock[i]"] if uses_clock(layout.program) else []
    levels = "        a0, a1, s0, s1 = alpha[i], alpha[j], sigma[i], sigma[j]"
    if layout.program.integrand == "data" and not any(map(uses_levels, layout.program.steps)):
        levels = "        a1, s0, s1 = alpha[j], sigma[i], sigma[j]"
    return [
        *block_lines(layout.program),
        "    for i, j, block in blocks:",
        levels,
        "        h = lam[j] - lam[i]",
        *clock,
        *_kinds(layout),
    ]


def _kinds(layout: Layout) -> list[str]:
    """One block for each kind of step."""
    program, lines = layout.program, []
    branches = _branches(program)
    singular = _singular_condition(program)
    if singular:
        lines += opening_lines(layout)
        word = "elif" if lines else "if"
        lines.append(
            f"        {word} {singular}:  # lambda is infinite at one end: DDIM is its limit"
        )
        lines += _ddim(layout)
    if program.last is not None:
        lines.append(f"        elif s1 == 0:  # {program.last.label}")
        lines += StepText(layout, program.last).lines()
    for number, (condition, step) in enumerate(branches):
        last = number == len(branches) - 1
        word = "if" if number == 0 and not singular else "elif"
        if last and not (number == 0 and not singular):
            lines.append(f"        else:  # {step.label}")
        elif last:
            return lines + [line[4:] for line in StepText(layout, step).lines()]
        else:
            lines.append(f"        {word} {condition}:  # {step.label}")
        lines += StepText(layout, step).lines()
    return lines


def _uses_length(program: Program) -> bool:
    """Whether any weight or place of a Program contains the length of its step in λ."""
    places = (row.place for step in program.steps for row in step.rows)
    return "h" in program.free_symbols() or any(
        place.coordinate == "lambda" and not place.is_end for place in places
    )


def _regular(program: Program) -> bool:
    """Whether the rules hold at both ends of the schedule, so that no DDIM step is needed."""
    return program.zero == "rule" and program.integrand == "velocity"


def _singular_condition(program: Program) -> str:
    if program.remainder:
        return "block < 0"
    if _regular(program):
        return ""
    if program.zero == "rule" or program.last is not None:
        return "a0 == 0"
    return "s1 == 0" if renews(program) or opens(program) else "a0 == 0 or s1 == 0"


def has_first(program: Program) -> bool:
    """Whether history may begin after step 0, which the conditions must then count."""
    if program.remainder:
        return False
    counted = bool(program.start) or any(_deep(step, program) for step in program.end)
    return bool(_singular_condition(program)) and counted


def _deep(step: Step, program: Program) -> bool:
    """Whether a last step needs more history than the first steps have built up."""
    return step.history > len(program.start)


def _branches(program: Program) -> list[tuple[str, Step]]:
    """(condition, step) pairs: steps with little history first, the main step last.

    Where two conditions hold, the first counts, as in `Program.step_at`.
    """
    if program.remainder:
        others = enumerate(kinds(program)[1:], 1)
        return [*((f"block == {k}", step) for k, step in others), ("", program.main)]
    first = "first" if has_first(program) else "0"
    age = "i - first" if first == "first" else "i"
    starts, ends = program.start, _shared(program)
    branches = []
    distinct = [step for step in dict.fromkeys((*ends, *starts)) if step != program.main]
    for step in sorted(distinct, key=lambda step: step.history):
        parts = [
            f"i == n - {len(ends) - k}"
            + (f" and {age} >= {step.history}" if _deep(step, program) else "")
            for k, other in enumerate(ends)
            if other == step
        ]
        begun = [i for i, other in enumerate(starts) if other == step]
        parts = [*_ranges(begun, f"i - {first}", first), *parts]
        branches.append((" or ".join(parts), step))
    return [*branches, ("", program.main)]


def _shared(program: Program) -> list[Step]:
    """The last steps; the final one as a step that differs in its corrector only, if there is one.

    No evaluation follows the final step, so that a corrector in its row is never applied.
    """
    *before, final = program.end or [program.main]
    twins = (*program.start, *before, program.main)
    opened = replace(final, corrector=None)
    twin = next((t for t in twins if replace(t, corrector=None) == opened), final)
    return [*before, twin] if program.end else []


def _ranges(indices: list[int], variable: str, first: str) -> list[str]:
    """Conditions that a start index is among the given ones."""
    if not indices:
        return []
    variable = "i" if first == "0" else variable
    if indices == list(range(indices[0], indices[-1] + 1)) and len(indices) > 1:
        low = f"{indices[0]} <= " if indices[0] else ""
        return [f"{low}{variable} < {indices[-1] + 1}"]
    if first != "0":
        return [f"i == first + {k}" if k else "i == first" for k in indices]
    return [f"i == {k}" for k in indices]


def _ddim(layout: Layout) -> list[str]:
    call = next(c for c in layout.calls if c.evaluations == 1)
    missing = ["0"] * (len(call.sources) - 1)
    direct = [] if layout.program.integrand == "data" else ["0", "1"]
    items = [*direct, "s1 / s0", "-a1 * math.expm1(-h)", *missing]
    lines = listing("weights =", items, BLOCK)
    lines.append(append_row(layout, call.kind, "s0"))
    return lines + ([f"{' ' * BLOCK}gap = ()"] if layout.corrects else [])
