"""How a planner covers the grid with steps that span several intervals each."""

from __future__ import annotations

from ..file_plan import FilePlan

PAD = " " * 4


def block_lines(plan: FilePlan) -> list[str]:
    """The list of blocks: where each begins and ends on the grid, and its kind (−1 is DDIM)."""
    program = plan.program
    known = [branch.step for branch in (plan.branches[-1], *plan.branches[:-1])]
    number = {step: k for k, step in enumerate(known)}
    spans = program.main.spans
    chosen = [_listed([number[step] for step in rest]) for rest in program.remainder]
    return [
        f"{PAD}first = 1 if alpha[0] == 0 else 0  # where lambda is infinite, DDIM takes one interval",
        f"{PAD}last = max(first, n - 1 if sigma[n] == 0 else n)",
        f"{PAD}spans = {_listed([step.spans for step in known])}  # intervals of each kind of step",
        f"{PAD}rest = ({', '.join(chosen)})  # kinds of the last steps, by what is left over",
        f"{PAD}rest = rest[(last - first) % {spans}] if last > first else ()",
        f"{PAD}count = last - first - sum(spans[kind] for kind in rest)",
        f"{PAD}if count < 0:",
        f'{PAD}{PAD}found = f"the last steps cover more intervals than the {{last - first}} there are"',
        f'{PAD}{PAD}raise ValueError(f"{{found}}; use a longer grid")',
        f"{PAD}blocks = [(0, 1, -1)] * first",
        f"{PAD}for kind in [0] * (count // {spans}) + [*rest]:",
        f"{PAD}{PAD}i = blocks[-1][1] if blocks else 0",
        f"{PAD}{PAD}blocks.append((i, i + spans[kind], kind))",
        f"{PAD}blocks += [(n - 1, n, -1)] * (n - last)",
    ]


def _listed(numbers: list[int]) -> str:
    return "(" + ", ".join(map(str, numbers)) + ("," if len(numbers) == 1 else "") + ")"
