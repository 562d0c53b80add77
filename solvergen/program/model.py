"""The Program: one exact representation of a solver, from which everything else is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sympy import Expr

from ..errors import DeriveError
from ..expr.arithmetic import ONE, ZERO, functions_of_x, substitute, symbols
from ..expr.evaluation import evaluate
from ..expr.functions import lift
from ..spec.model import Controller, Parameter, Schedule
from .row import KAPPA, Row
from .step import Step


@dataclass(frozen=True)
class Program:
    """A solver as exact rows: its main step, its first and last steps, its limits.

    Args:
        start: step i uses ``start[i]`` while it exists.
        end: ``end[-1]`` is the final step, ``end[-2]`` the one before; an end step applies where
            its history exists, and otherwise the start step does.
        zero: "ddim" or "rule": the step to σ = 0. A first step from α = 0 is always DDIM, and
            history begins anew after it.
        embedded: the main step's other final row, of lower order, and the controller of an adaptive
            run; both ``None`` for a solver of fixed steps.
        shrink: exponent e of a first step shortened from h to h·min(1, h)^{e−1}, or ``None``; its
            end, the second grid point, moves and the next step is longer.
        jumps: whether λ may fall from one grid point to the next, which adds noise.
        jump_scale: factor on that noise, in the parameters.
        form: the form of its noise, as the spec says; empty for a deterministic solver.
        remainder: of a solver whose steps span several intervals: its last steps for each number of
            intervals modulo the spans of the main step.
        levels: σ/α at the points of the grid that it is made for; empty where that is the caller's.
        first: what stands for the model's output at the first point, which then is not called for:
            "direction", "mean" or "gaussian"; empty where the model is.
        called: at what multiple of the σ/α of a grid point the model is called there.
        output: what is taken as it comes from a call at another level than the state's.
        last: the step to σ = 0 where that is more than DDIM: Langevin steps come before it.
        linear: ℓ where its rows are those of u' = −ℓu + G, G = N + (ℓ − κ)u, and its sources mean G; they
            then state what is to be proved, and are not run.
        own: of a solver with a linear part of its own, that program; its rows here are the same in N and
            states, as they are run.
    """

    name: str
    title: str
    integrand: str
    main: Step
    start: tuple[Step, ...] = ()
    end: tuple[Step, ...] = ()
    zero: str = "ddim"
    shrink: Expr | None = None
    embedded: Row | None = None
    controller: Controller | None = None
    parameters: tuple[Parameter, ...] = ()
    schedule: Schedule | None = None
    jumps: bool = False
    jump_scale: Expr = ONE
    form: str = ""
    last: Step | None = None
    remainder: tuple[tuple[Step, ...], ...] = ()
    levels: tuple[Fraction, ...] = ()
    first: str = ""
    called: Expr = ONE
    output: str = "data"
    linear: Expr | None = None
    own: Program | None = None

    @property
    def varying(self) -> tuple[str, ...]:
        """Names of the parameters that have a number for each step."""
        return tuple(p.name for p in self.parameters if p.per)

    @property
    def late(self) -> tuple[Parameter, ...]:
        """Parameters that may differ from sample to sample too."""
        return tuple(p for p in self.parameters if p.per == "sample")

    @property
    def by_sample(self) -> tuple[str, ...]:
        """Names of those."""
        return tuple(p.name for p in self.late)

    @property
    def by_element(self) -> tuple[str, ...]:
        """Names of the parameters that may differ from element to element of a sample."""
        return tuple(p.name for p in self.parameters if p.per == "element")

    @property
    def length(self) -> int | None:
        """The number of steps that its grid or its numbers are made for, if there is one."""
        if self.levels:
            return len(self.levels) - 1
        return next((len(p.values) for p in self.parameters if p.values), None)

    @property
    def calls_elsewhere(self) -> bool:
        """Whether the model is called at other levels than those of its states."""
        factors = (row.level for step in self.steps for row in step.stages)
        return self.called != ONE or any(factor != ONE for factor in factors)

    @property
    def calls_near(self) -> bool:
        """Whether every call is made at a level that tends to that of its state with h."""
        factors = (row.level for step in self.steps for row in step.stages)
        none = {"h": ZERO}
        return self.called == ONE and all(substitute(f, none) == ONE for f in factors)

    @property
    def stochastic(self) -> bool:
        """Whether a run may draw noise."""
        return self.jumps or any(step.stochastic for step in self.steps)

    @property
    def kappa(self) -> int:
        """+1 for data, −1 for noise, 0 for velocity."""
        return KAPPA[self.integrand]

    def linear_part(self, parameters: Mapping[str, Any]) -> Any:
        """Its own linear part at some values of the parameters; ``None`` where it is the integrand's."""
        return (
            None
            if self.linear is None
            else evaluate(self.linear, parameters, {}, lambda number: number)
        )

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every distinct kind of step: those with the least history first, the main one last."""
        last = (self.last,) if self.last else ()
        rest = (step for steps in self.remainder for step in steps)
        kinds = dict.fromkeys((*last, *reversed(self.end), *rest, *self.start, self.main))
        return tuple(sorted(kinds, key=lambda step: step.history if step != self.main else 99))

    @property
    def coordinates(self) -> tuple[Expr, ...]:
        """The coordinates y(λ) besides λ and the clock, by their numbers from 1."""
        return max((step.coordinates for step in self.steps), key=len)

    @property
    def history(self) -> int:
        """How many steps the solver looks back."""
        return max(step.history for step in self.steps)

    @property
    def recalls(self) -> tuple[str, ...]:
        """The stages whose evaluations the step after may use."""
        return tuple(dict.fromkeys(name for step in self.steps for name in step.recalls))

    @property
    def evaluations_per_step(self) -> int:
        """Model calls of the main step."""
        return self.main.repeats + self.main.evaluations

    def blocks(self, n: int) -> tuple[Step, ...]:
        """The steps that cover n intervals where λ is finite, in order.

        Raises:
            DeriveError: fewer intervals than the last steps cover.
        """
        if not self.remainder:
            return tuple(self.step_at(i, n) for i in range(n))
        rest = self.remainder[n % self.main.spans] if n else ()
        count = n - sum(step.spans for step in rest)
        if count < 0:
            raise DeriveError(f"{n} intervals are fewer than the last steps cover")
        return (self.main,) * (count // self.main.spans) + rest

    def step_at(self, i: int, n: int, first: int = 0) -> Step:
        """The kind of step i of n, when history begins at step `first` (0, or 1 after α = 0)."""
        age, left = i - first, n - 1 - i
        opening = self.start[age] if age < len(self.start) else None
        closing = self.end[-1 - left] if left < len(self.end) else None
        if closing is None or closing.history > age:
            return opening or self.main
        return min((closing, opening or closing), key=lambda step: step.history)

    def defaults(self) -> dict[str, Expr]:
        """Exact default values of the parameters; those of a single step where they vary."""
        return {p.name: lift(p.default) for p in self.parameters}

    @property
    def functions(self) -> dict[str, Expr]:
        """Bodies of the named functions that its expressions call, those that others use first."""
        return functions_of_x(*(e for step in self.steps for e in step.expressions))

    def free_symbols(self) -> set[str]:
        """All symbols in all weights."""
        weights = (w for step in self.steps for w in step.weights)
        return {name for weight in (*weights, self.called) for name in symbols(weight)}
