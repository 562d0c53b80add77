"""The plan of an emitted file: everything that emission decides, declared once; printers only print it.

A Program's steps are grouped by the number of model calls; the steps of one group run through the
same lines, with zero weights where a step has fewer terms (a start-up step of a multistep method is
the full update with missing history). Each model call of a group is one `CallSite`, and each kind of
step one `Branch` of the loop over steps. `decisions.decide` makes the plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sympy import Expr, Symbol, exp

from ..expr.arithmetic import function_name
from ..program.model import Program
from ..program.row import Row, depth
from ..program.step import Step

# Ratio of the levels of n and of the end of the step: a call at the end that is told n's level uses it.
LEVEL_OF_N = exp(Symbol("h"))
LETTER = {"data": "d", "noise": "e", "velocity": "v"}


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
class Branch:
    """One kind of step in the loop over steps, and the steps that are of it.

    Args:
        step: the kind.
        starts: numbers of the first steps that are of it.
        ends: those of the last steps, counted from the end: 1 is the last.
        deep: whether as a last step it needs more history than the first steps have built up.
    """

    step: Step
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    deep: bool = False


@dataclass(frozen=True)
class FilePlan:
    """What an emitted file has: slots of memory, call sites, kinds of steps, functions.

    Args:
        memory: past evaluations that are remembered.
        corrects: whether steps are corrected once the next evaluation is there (PEC). The start of
            a step is then never computed: it is the predicted state plus a gap, corrector minus
            predictor, whose weights the plan adds to those of the step's rows.
        keeps: how many of the newest evaluations make up what is remembered of one, itself the first; 0 where
            it is remembered as it comes. Rows end with their factors.
        carried: stage evaluations of the step before that such a gap, or a row, needs.
        states: past accepted states that are remembered.
        branches: kinds of steps in the order in which they are asked for; the main one is the last.
        first: whether history may begin after step 0, so that conditions count from `first`.
        singular: ends of the schedule (α = 0, σ = 0) where λ is infinite and DDIM takes the step.
        inside: whether the model is called where the grid has no point.
        direct: whether model outputs enter the rows as they come.
        clock: whether a row is written in the clock or placed in it.
        length: whether h, the length of a step in λ, is needed.
        lifted: whether noise may come before a model call.
        renews: whether every step draws its state anew, so that it may begin at α = 0.
        draws: whether a row weighs a draw.
        carries: whether the draws of a row may serve later rows of its step.
        openings: kinds of the rows that begin a step, where Langevin steps come before it.
        swept: whether a run may end sweeps of an implicit rule early.
        functions: names of the functions in weights, places and the spec's own functions.
        phis: some φ-functions of one argument are computed together.
        further: numbers of the further coordinates that weights and places use.
        sums: counts of parts of the Riemann sums among them.
    """

    program: Program
    calls: tuple[CallSite, ...]
    memory: int
    corrects: bool = False
    keeps: int = 0
    carried: int = 0
    states: int = 0
    branches: tuple[Branch, ...] = ()
    first: bool = False
    singular: tuple[str, ...] = ()
    inside: bool = False
    direct: bool = True
    clock: bool = False
    length: bool = False
    lifted: bool = False
    renews: bool = False
    draws: bool = False
    carries: bool = False
    openings: tuple[int, ...] = ()
    swept: bool = False
    functions: frozenset[str] = frozenset()
    phis: bool = False
    further: tuple[int, ...] = ()
    sums: tuple[int, ...] = ()

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

    @property
    def opens(self) -> bool:
        """Whether a step from α = 0 ends in noise: an ancestral step has a lower level there too."""
        return self.program.main.lower is not None

    @property
    def run(self) -> str:
        """The module of `runtime` whose loop the file has."""
        if self.program.stochastic:
            return "noisy_run"
        return "swept_run" if self.swept else "run"

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


def stage_names(step: Step) -> dict[str, str]:
    """Stage names of the spec to the variables ``k1``, ``k2`` … of the emitted file."""
    names = {row.name: f"k{i}" for i, row in enumerate(step.stages, 1)}
    return names | {f"{name}-1": f"before-{variable}" for name, variable in names.items()}


def row_after(step: Step, index: int) -> Row:
    """The row that follows a step's index-th model call."""
    return (*step.stages, step.final)[index]


def phis_of(call: Expr, calls: Iterable[Expr]) -> list[Expr]:
    """The φ-functions that are computed with one of them; none where it stands alone.

    Args:
        call: a φ-function; `calls`: all functions of the step.
    """
    alike = [c for c in calls if function_name(c) == "phi" and c.args[1] == call.args[1]]
    indices = [int(c.args[0]) for c in alike]
    return alike if len(alike) > 1 and min(indices) and max(indices) < 2 * len(alike) + 1 else []
