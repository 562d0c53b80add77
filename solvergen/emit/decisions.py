"""The decisions of emission: from a Program to the plan of its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sympy import Expr

from ..expr.arithmetic import ONE, ZERO, function_name, symbols, walk
from ..expr.functions import PLACE, number_of
from ..program.model import Program
from ..program.row import coordinate_number, depth
from ..program.step import Step
from .file_plan import LEVEL_OF_N, Branch, CallSite, FilePlan, phis_of, row_after, stage_names


def decide(program: Program) -> FilePlan:
    """The plan of a solver's file."""
    corrected = [step for step in program.steps if step.corrector]
    depths = [_reach(step) + 1 for step in corrected]
    memory = max([*(step.past_evaluations for step in program.steps), *depths])
    in_gaps = max((len(step.stages) for step in corrected), default=0)
    calls = _calls(program, memory, in_gaps, bool(corrected))
    singular = _singular(program)
    return FilePlan(
        program,
        calls,
        memory=memory,
        corrects=bool(corrected),
        keeps=_keeps(program),
        carried=max([in_gaps, *map(_recalled, program.steps)]),
        states=max(step.past_states for step in program.steps),
        branches=_branches(program),
        first=bool(singular) and _counts(program),
        singular=singular,
        inside=_calls_inside(program),
        direct=program.integrand == "data" and program.output == "data",
        clock=_uses_clock(program),
        length=_uses_length(program) or not _regular(program) or program.stochastic,
        lifted=program.jumps or any(step.churn is not None for step in program.steps),
        renews=_renews(program),
        draws=any(step.chain or any(row.noise for row in step.rows) for step in program.steps),
        carries=_carries(program),
        openings=_openings(program, calls),
        swept=_swept(program),
        functions=_functions(program),
        phis=any(map(_phis, program.steps)),
        further=_further(program),
        sums=_sums(program),
    )


def _calls(program: Program, memory: int, in_gaps: int, corrects: bool) -> tuple[CallSite, ...]:
    """The model calls of each group of steps."""
    gap = {f"n-{k}" for k in range(1, memory + 1)} | {f"before-k{j + 1}" for j in range(in_gaps)}
    calls: list[CallSite] = []
    for count in sorted({step.evaluations for step in program.steps} | {1}):
        group = [step for step in program.steps if step.evaluations == count]
        for index in range(count):
            used = {s for step in group for s in _sources(step, index)} | {"n"}
            calls.append(
                CallSite(len(calls), count, index, _ordered(used | gap if corrects else used))
            )
    return tuple(calls)


def _keeps(program: Program) -> int:
    """How many evaluations make up what is remembered of one."""
    terms = [term for step in program.steps for term in step.memory]
    return 1 + max(depth(term.source) for term in terms) if terms else 0


def _reach(step: Step) -> int:
    """How far back the final row and the corrector of a step look."""
    rows = [step.final, *([step.corrector] if step.corrector else [])]
    return max((depth(term.source) for row in rows for term in row.terms), default=0)


def _recalled(step: Step) -> int:
    """How many of the first stages of the step before the step needs."""
    return max((i for i, row in enumerate(step.stages, 1) if row.name in step.recalls), default=0)


def _sources(step: Step, index: int) -> set[str]:
    names = stage_names(step)
    row = row_after(step, index)
    terms = (*row.terms, *row.carry, *step.memory)
    return {names.get(term.source, term.source) for term in terms}


def _ordered(sources: set[str]) -> tuple[str, ...]:
    def rank(source: str) -> tuple[int, int]:
        if source.startswith("before-k"):
            return (1, int(source[8:]))
        if source.startswith("x-"):
            return (3, depth(source))
        return (2, int(source[1:])) if source.startswith("k") else (0, depth(source))

    return tuple(sorted(sources, key=rank))


def _uses_clock(program: Program) -> bool:
    """Whether any row is written in the clock or placed in it, or a memory has its step ratios."""
    remembered = (term.weight for step in program.steps for term in step.memory)
    if any(name.startswith("Theta") for weight in remembered for name in symbols(weight)):
        return True
    return any(
        row.gauge == "clock" or (row.place.coordinate == "clock" and not row.place.is_end)
        for step in program.steps
        for row in step.rows
    )


def _uses_length(program: Program) -> bool:
    """Whether any weight or place of a Program contains the length of its step in λ."""
    places = (row.place for step in program.steps for row in step.rows)
    return "h" in program.free_symbols() or any(
        place.coordinate == "lambda" and not place.is_end for place in places
    )


def _regular(program: Program) -> bool:
    """Whether the rules hold at both ends of the schedule, so that no DDIM step is needed."""
    return program.zero == "rule" and program.integrand == "velocity"


def _singular(program: Program) -> tuple[str, ...]:
    """Ends of the schedule where λ is infinite and DDIM, its limit, takes the step."""
    if program.remainder:
        return ("alpha", "sigma")
    if _regular(program):
        return ()
    if program.zero == "rule" or program.last is not None:
        return ("alpha",)
    opens = program.main.lower is not None
    return ("sigma",) if _renews(program) or opens else ("alpha", "sigma")


def _counts(program: Program) -> bool:
    """Whether conditions on steps count them from where history begins."""
    if program.remainder:
        return False
    return bool(program.start) or any(_deep(step, program) for step in program.end)


def _deep(step: Step, program: Program) -> bool:
    """Whether a last step needs more history than the first steps have built up."""
    return step.history > len(program.start)


def _branches(program: Program) -> tuple[Branch, ...]:
    """The kinds of steps: those with little history first, the main one last.

    Where two conditions hold, the first counts, as in `Program.step_at`.
    """
    if program.remainder:
        rest = (step for steps in program.remainder for step in steps)
        others = [step for step in dict.fromkeys(rest) if step != program.main]
        return (*map(Branch, others), Branch(program.main))
    starts, ends = program.start, _shared(program)
    distinct = [step for step in dict.fromkeys((*ends, *starts)) if step != program.main]
    branches = [
        Branch(
            step,
            tuple(i for i, other in enumerate(starts) if other == step),
            tuple(len(ends) - k for k, other in enumerate(ends) if other == step),
            _deep(step, program),
        )
        for step in sorted(distinct, key=lambda step: step.history)
    ]
    return (*branches, Branch(program.main))


def _shared(program: Program) -> list[Step]:
    """The last steps; the final one as a step that differs in its corrector only, if there is one.

    No evaluation follows the final step, so that a corrector in its row is never applied.
    """
    *before, final = program.end or [program.main]
    twins = (*program.start, *before, program.main)
    opened = replace(final, corrector=None)
    twin = next((t for t in twins if replace(t, corrector=None) == opened), final)
    return [*before, twin] if program.end else []


def _renews(program: Program) -> bool:
    """Whether every step draws its state anew from the model's value, so that it may begin at α = 0."""
    known = {"sigma_next", *(p.name for p in program.parameters)}
    return all(
        step.final.decay == ZERO
        and not step.stages
        and all(symbols(weight) <= known for weight in step.final.expressions)
        for step in program.steps
    )


def _calls_inside(program: Program) -> bool:
    """Whether the model is called where the grid has no point, so that α and σ must be known."""
    inner = any(
        not row.place.is_end and row.place.fraction != ZERO and not row.place.ahead
        for step in program.steps
        for row in step.stages
    )
    churned = any(step.churn is not None for step in program.steps)
    elsewhere = program.called != ONE or any(
        row.level not in (ONE, LEVEL_OF_N) or (row.level != ONE and not row.place.is_end)
        for step in program.steps
        for row in step.stages
    )
    inner = inner or elsewhere
    return inner or churned or program.shrink is not None or program.controller is not None


def _carries(program: Program) -> bool:
    """Whether the draws of a row may serve later rows of its step."""
    drawn = any(row.noise for step in program.steps for row in step.rows)
    return drawn and any(step.stages for step in program.steps)


def _openings(program: Program, calls: tuple[CallSite, ...]) -> tuple[int, ...]:
    """Kinds of the rows that begin a step: Langevin steps draw for themselves, at one grid point."""
    chains = [step.chain for step in program.steps if step.chain]
    opening = [call.kind for call in calls if call.opens] if chains else []
    return (*opening, *([len(calls)] if any(chain.snr for chain in chains) else []))


def _swept(program: Program) -> bool:
    """Whether a run may end sweeps early."""
    main = program.main
    alike = [step for step in program.steps if step.evaluations == main.evaluations]
    same = all((step.swept, step.sweeps) == (main.swept, main.sweeps) for step in alike)
    return main.sweeps > 1 and same and not program.stochastic and not program.controller


def _called(program: Program) -> Iterator[Expr]:
    """Every node of the weights and places."""
    for step in program.steps:
        for expression in (*step.expressions, *(row.place.fraction for row in step.rows)):
            yield from walk(expression)


def _functions(program: Program) -> frozenset[str]:
    """Names of the functions in weights, places and the spec's own functions."""
    own = (node for body in program.functions.values() for node in walk(body))
    return frozenset(map(function_name, (*_called(program), *own)))


def _phis(step: Step) -> bool:
    """Whether some φ-functions of a step are computed together."""
    nodes = (node for row in step.rows for part in row.expressions for node in walk(part))
    calls = dict.fromkeys(node for node in nodes if function_name(node) == "phi")
    return any(phis_of(call, calls) for call in calls)


def _further(program: Program) -> tuple[int, ...]:
    """Numbers of the further coordinates of which weights and places use a function or an offset."""
    found = {number_of(node) for node in _called(program) if function_name(node) in PLACE}
    found |= {coordinate_number(name) for name in program.free_symbols()}
    return tuple(sorted(found - {0}))


def _sums(program: Program) -> tuple[int, ...]:
    """Counts of parts of the Riemann sums in weights and places."""
    found = (node for node in _called(program) if function_name(node) == "riemann")
    return tuple(sorted({int(node.args[-1]) for node in found}))
