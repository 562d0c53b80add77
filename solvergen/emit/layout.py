"""The layout of an emitted file: which variables its update lines use, and which calls share them.

A Program's steps are grouped by the number of model calls; the steps of one group run through the
same lines, with zero weights where a step has fewer terms (a start-up step of a multistep method is
the full update with missing history). Each model call of a group is one `Call`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..program.model import Program
from ..program.row import Row, depth
from ..program.step import Step

LETTER = {"data": "d", "noise": "e", "velocity": "v"}
CLOCKS = {"data": "{a} / {s}", "noise": "{s} / {a}", "velocity": "{s} / ({a} + {s})"}


@dataclass(frozen=True)
class CallSite:
    """One model call and the row that follows it.

    Args:
        kind: number that the plan carries for it.
        evaluations: model calls of its step; `index`: which of them this one is.
        sources: the evaluations that its row may use, in the order of their weights.
    """

    kind: int
    evaluations: int
    index: int
    sources: tuple[str, ...]

    @property
    def opens(self) -> bool:
        """Whether it is the first call of its step."""
        return self.index == 0

    @property
    def closes(self) -> bool:
        """Whether its row ends the step."""
        return self.index == self.evaluations - 1


@dataclass(frozen=True)
class Layout:
    """Variables and call sites of an emitted file.

    Args:
        memory: past evaluations that are remembered.
        corrects: whether steps are corrected once the next evaluation is there (PEC). The start of
            a step is then never computed: it is the predicted state plus a gap, corrector minus
            predictor, whose weights the plan adds to those of the step's rows.
        carried: stage evaluations of the step before that such a gap, or a row, needs.
        states: past accepted states that are remembered.
    """

    program: Program
    calls: tuple[CallSite, ...]
    memory: int
    corrects: bool = False
    carried: int = 0
    states: int = 0

    @property
    def letter(self) -> str:
        """``d`` for denoised predictions, ``e`` for noise predictions, ``v`` for velocities."""
        return LETTER[self.program.integrand]

    @property
    def past(self) -> tuple[str, ...]:
        """Variables of what is remembered from earlier steps."""
        names = [f"n-{k}" for k in range(1, self.memory + 1)]
        names += [f"x-{k}" for k in range(1, self.states + 1)]
        names += [f"before-k{j}" for j in range(1, self.carried + 1)]
        return tuple(self.variable(name) for name in names)

    @property
    def norms(self) -> bool:
        """Whether some Langevin steps are as long as norms say; their kind comes after all others."""
        return any(step.chain and step.chain.snr for step in self.program.steps)

    def call(self, step: Step, index: int) -> CallSite:
        """The call site of a step's index-th model call."""
        return next(c for c in self.calls if c.evaluations == step.evaluations and c.index == index)

    def variable(self, source: str) -> str:
        """The variable that holds an evaluation: ``d0`` now, ``d1`` one step ago, ``k1`` a stage."""
        if source == "n":
            return f"{self.letter}0"
        if source.startswith(("n-", "x-")):
            return f"{self.letter if source[0] == 'n' else 'x'}{depth(source)}"
        return source.replace("before-k", "p")


def lay_out(program: Program) -> Layout:
    """Group a Program's steps into call sites."""
    corrected = [step for step in program.steps if step.corrector]
    depths = [_reach(step) + 1 for step in corrected]
    memory = max([*(step.past_evaluations for step in program.steps), *depths])
    carried = max((len(step.stages) for step in corrected), default=0)
    gap = {f"n-{k}" for k in range(1, memory + 1)} | {f"before-k{j + 1}" for j in range(carried)}
    carried = max([carried, *map(_recalled, program.steps)])
    calls: list[CallSite] = []
    for count in sorted({step.evaluations for step in program.steps} | {1}):
        group = [step for step in program.steps if step.evaluations == count]
        for index in range(count):
            used = {s for step in group for s in _sources(step, index)} | {"n"}
            calls.append(
                CallSite(len(calls), count, index, _ordered(used | gap if corrected else used))
            )
    states = max(step.past_states for step in program.steps)
    return Layout(program, tuple(calls), memory, bool(corrected), carried, states)


def _reach(step: Step) -> int:
    """How far back the final row and the corrector of a step look."""
    rows = [step.final, *([step.corrector] if step.corrector else [])]
    return max((depth(term.source) for row in rows for term in row.terms), default=0)


def _recalled(step: Step) -> int:
    """How many of the first stages of the step before the step needs."""
    return max((i for i, row in enumerate(step.stages, 1) if row.name in step.recalls), default=0)


def stage_names(step: Step) -> dict[str, str]:
    """Stage names of the spec to the variables ``k1``, ``k2`` … of the emitted file."""
    names = {row.name: f"k{i}" for i, row in enumerate(step.stages, 1)}
    return names | {f"{name}-1": f"before-{variable}" for name, variable in names.items()}


def row_after(step: Step, index: int) -> Row:
    """The row that follows a step's index-th model call."""
    return (*step.stages, step.final)[index]


def _sources(step: Step, index: int) -> set[str]:
    names = stage_names(step)
    row = row_after(step, index)
    return {names.get(term.source, term.source) for term in (*row.terms, *row.carry)}


def _ordered(sources: set[str]) -> tuple[str, ...]:
    def rank(source: str) -> tuple[int, int]:
        if source.startswith("before-k"):
            return (1, int(source[8:]))
        if source.startswith("x-"):
            return (3, depth(source))
        return (2, int(source[1:])) if source.startswith("k") else (0, depth(source))

    return tuple(sorted(sources, key=rank))


def uses_clock(program: Program) -> bool:
    """Whether any row is written in the clock or placed in it."""
    return any(
        row.gauge == "clock" or (row.place.coordinate == "clock" and not row.place.is_end)
        for step in program.steps
        for row in step.rows
    )


def clock_text(program: Program) -> str:
    """The integrand's clock at every grid point, as a list."""
    bounded = {"data": "s", "noise": "a"}.get(program.integrand)
    clock = CLOCKS[program.integrand].format(a="a", s="s")
    clock += f" if {bounded} else math.inf" if bounded else ""
    return f"[{clock} for a, s in zip(alpha, sigma)]"
