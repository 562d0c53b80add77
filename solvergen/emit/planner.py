"""The text of `coefficients`: every weight of every step, decided on the host in float64."""

from __future__ import annotations

from .file_plan import FilePlan
from .parts.block_text import block_lines
from .parts.noise_text import lift_lines, opening_lines, uses_levels
from .python_text import listing
from .step_quantities import BLOCK
from .step_text import StepText, append_row


def plan_lines(plan: FilePlan) -> list[str]:
    """The body of the loop over steps: special ends first, then the kinds of steps."""
    program = plan.program
    if program.remainder:
        return _block_loop(plan)
    lines = [
        "    for i in range(n):",
        "        a0, a1, s0, s1 = alpha[i], alpha[i + 1], sigma[i], sigma[i + 1]",
    ]
    churned = any(step.churn is not None for step in program.steps)
    lines += lift_lines(program)
    if plan.length:
        lines.append(f"        h = lam[i + 1] - {'start' if churned else 'lam[i]'}")
    if plan.clock and not churned:
        lines.append("        H = clock[i + 1] - clock[i]")
    return [*lines, *_kinds(plan), *(["        lifts = []"] if plan.lifted else [])]


def _block_loop(plan: FilePlan) -> list[str]:
    """The loop over steps that span several intervals, from point i to point j of the grid."""
    clock = ["        H = clock[j] - clock[i]"] if plan.clock else []
    levels = "        a0, a1, s0, s1 = alpha[i], alpha[j], sigma[i], sigma[j]"
    if plan.program.integrand == "data" and not any(map(uses_levels, plan.program.steps)):
        levels = "        a1, s0, s1 = alpha[j], sigma[i], sigma[j]"
    return [
        *block_lines(plan),
        "    for i, j, block in blocks:",
        levels,
        "        h = lam[j] - lam[i]",
        *clock,
        *_kinds(plan),
    ]


def _kinds(plan: FilePlan) -> list[str]:
    """One block for each kind of step."""
    program, lines = plan.program, list[str]()
    singular = _singular(plan)
    if singular:
        lines += opening_lines(plan)
        word = "elif" if lines else "if"
        lines.append(
            f"        {word} {singular}:  # lambda is infinite at one end: DDIM is its limit"
        )
        lines += _ddim(plan)
    if program.last is not None:
        lines.append(f"        elif s1 == 0:  # {program.last.label}")
        lines += StepText(plan, program.last).lines()
    for number, branch in enumerate(plan.branches):
        step, last = branch.step, branch is plan.branches[-1]
        word = "if" if number == 0 and not singular else "elif"
        if last and word == "if":
            return lines + [line[4:] for line in StepText(plan, step).lines()]
        condition = "else" if last else f"{word} {_condition(plan, number)}"
        lines.append(f"        {condition}:  # {step.label}")
        lines += StepText(plan, step).lines()
    return lines


def _singular(plan: FilePlan) -> str:
    """The condition under which DDIM takes a step."""
    if plan.program.remainder:
        return "block < 0"
    shown = {"alpha": "a0 == 0", "sigma": "s1 == 0"}
    return " or ".join(shown[end] for end in plan.singular)


def _condition(plan: FilePlan, number: int) -> str:
    """The condition that a step is of a kind."""
    if plan.program.remainder:
        return f"block == {number + 1}"
    branch, first = plan.branches[number], "first" if plan.first else "0"
    age = "i - first" if plan.first else "i"
    grown = f" and {age} >= {branch.step.history}" if branch.deep else ""
    begun = _ranges(list(branch.starts), f"i - {first}", first)
    return " or ".join([*begun, *(f"i == n - {k}{grown}" for k in branch.ends)])


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


def _ddim(plan: FilePlan) -> list[str]:
    call = next(c for c in plan.calls if c.evaluations == 1)
    missing = ["0"] * (len(call.sources) - 1)
    direct = [] if plan.direct else ["0", "1"]
    kept = ["1", *["0"] * (plan.keeps - 1)] if plan.keeps else []
    items = [*direct, "s1 / s0", "-a1 * math.expm1(-h)", *missing, *kept]
    lines = listing("weights =", items, BLOCK)
    lines.append(append_row(plan, call.kind, "s0"))
    return lines + ([f"{' ' * BLOCK}gap = ()"] if plan.corrects else [])
