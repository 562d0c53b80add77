"""The Program: one exact representation of a solver, from which everything else is made.

Write α, σ, λ = log(α/σ) for a grid point and κ = +1 (data), −1 (noise), 0 (velocity). With

    data      u = x/α        u' = −u + N,  N = D       clock ρ = α/σ      scale S = σ
    noise     u = x/σ        u' = +u + N,  N = −ε      clock s = σ/α      scale S = α
    velocity  u = x/(α+σ)    plain in the clock        clock τ = σ/(α+σ)  scale S = α + σ

the plain form is Y = x/S with dY/d(clock) = f. A `Row` advances the state from the start of the step
to a place inside it, as a linear combination of model evaluations, in one of two gauges:

    gauge "lambda"   u_i = e^{−κ(λ_i−λ_n)} u_n + Σ_j w_j N_j
    gauge "clock"    Y_i = Y_n + (clock_{n+1} − clock_n) Σ_j w_j f_j

Symbols in weights:

    h            λ_{n+1} − λ_n
    gamma1 …     (λ_{n+k} − λ_n) / h              grid points ahead; Gamma1 … in the clock
    remaining    (σ/α)_n over (σ/α) at the first grid point where it is finite
    theta1 …     (λ_n − λ_{n−k}) / h              history offsets in λ, positive
    Theta1 …     (clock_n − clock_{n−k}) / (clock_{n+1} − clock_n)
    eta1 …       the same in the step's further coordinate y(λ)
    moment(m, c) ∫_{λ_n}^{λ_n+ch} Y^m d(clock) / (clock_{n+1} − clock_n), Y = (y − y_n)/(y_{n+1} − y_n)
    offset(c)    Y at λ_n + c h
    fraction(c)  where in the step, as a fraction of it in λ, Y = c
    slope(c)     d(clock)/dY at λ_n + c h, over clock_{n+1} − clock_n
    phi(k, z), exp, expm1, log1p, sqrt, and the solver's parameters.

A stochastic solver's rows also draw unit noise. A draw z with weight g adds σ_i g z to x at the
row's place i, whatever the integrand, and the factor `decay` multiplies the state from the start of
the step beside the ODE's own propagation:

    data      u_i = decay e^{−(λ_i−λ_n)} u_n + Σ_j w_j D_j + e^{−λ_i} Σ_k g_k z_k

A row may also carry accepted states x_{n−k} of earlier steps, each brought to its place by the
linear part alone; with factors c_k and `decay` (then the factor on the current state) summing to 1,

    gauge "clock"    Y_i = decay Y_n + Σ_k c_k Y_{n−k} + (clock_{n+1} − clock_n) Σ_j w_j f_j

Further symbols, in `lets` of a step and in the rows of an explicit form: sigma and sigma_next, which
are σ/α at n and n+1, and steps, the number of steps of the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from ..errors import DeriveError
from ..expr.tree import ONE, Call, Expr, Number, Symbol, exp, functions_of_x, lift, phi, symbols
from ..spec.model import Controller, Parameter, Schedule

KAPPA = {"data": 1, "noise": -1, "velocity": 0}
Level = TypeVar("Level")
FURTHER = ("moment", "offset", "fraction", "slope")  # functions of a step's further coordinate
_BOTH_CLOCKS = (
    "velocity needs its stages and the rules that use them in one clock; write coordinate = "
    '"clock", and no place = "lambda"'
)


def scale_terms(integrand: str, alpha: Level, sigma: Level) -> tuple[Level, ...]:
    """The terms of the scale S of the plain form, in whatever α and σ are written."""
    return {"data": (sigma,), "noise": (alpha,), "velocity": (alpha, sigma)}[integrand]


@dataclass(frozen=True)
class Place:
    """A point of the step: a fraction of it in λ or in the clock (0 is the start, 1 the end).

    A point of the grid that is not the end of the step has the coordinate "grid" and the fraction
    ``gamma{k}``, a symbol, k intervals after n.
    """

    fraction: Expr
    coordinate: str = "lambda"

    @property
    def ahead(self) -> int:
        """How many intervals after n it lies when it is a grid point, else 0."""
        return int(str(self.fraction)[len("gamma") :]) if self.coordinate == "grid" else 0

    @property
    def is_end(self) -> bool:
        """Whether this is the end of the step in every coordinate."""
        return self.fraction == lift(1)

    def lam(self, kappa: int) -> Expr:
        """The place as a fraction of the step in λ, exactly.

        Raises:
            DeriveError: a place in the clock of velocity, which h alone does not determine.
        """
        if self.coordinate in ("lambda", "grid") or self.fraction in (lift(0), lift(1)):
            return self.fraction
        if kappa == 0:
            raise DeriveError(_BOTH_CLOCKS)
        h = Symbol("h")
        grown = self.fraction * Call("expm1", (kappa * h,))
        return Call("log1p", (grown,)) / (kappa * h)

    def clock(self, kappa: int) -> Expr:
        """The place as a fraction of the step in the clock, exactly.

        Raises:
            DeriveError: a place in λ for velocity, which h alone does not determine.
        """
        if self.coordinate == "clock" or self.fraction in (lift(0), lift(1)):
            return self.fraction
        if self.coordinate == "grid":
            return Symbol(f"Gamma{self.ahead}")
        if kappa == 0:
            raise DeriveError(_BOTH_CLOCKS)
        h = Symbol("h")
        return Call("expm1", (kappa * self.fraction * h,)) / Call("expm1", (kappa * h,))


@dataclass(frozen=True)
class Term:
    """A model evaluation with its exact weight.

    Args:
        source: ``n``, ``n-1``, …, ``n+1`` (correctors), or the name of a stage.
        weight: exact expression in the row's gauge.
    """

    source: str
    weight: Expr


@dataclass(frozen=True)
class Draw:
    """A unit Gaussian draw of the step with its exact weight, in units of σ at the row's place."""

    name: str
    weight: Expr


@dataclass(frozen=True)
class Condition:
    """What must hold of a step for its noise to exist.

    Args:
        value: must be above zero; may be zero, up to rounding, when `strict` is false.
        text: what a user is told where it is not.
    """

    value: Expr
    text: str
    strict: bool = True


@dataclass(frozen=True)
class Interval:
    """The part of the step, as fractions in λ, to which a draw belongs: a Brownian path needs it."""

    name: str
    start: Expr
    end: Expr


@dataclass(frozen=True)
class Row:
    """A state inside the step (or at its end) as a linear combination of evaluations and draws.

    Args:
        decay: factor on the state from the start of the step, beside the ODE's own propagation.
        noise: rows of one step that name the same draw share it.
        carry: accepted states of earlier steps, ``x-1``, ``x-2``, …, with their factors.
    """

    name: str
    place: Place
    gauge: str
    terms: tuple[Term, ...]
    decay: Expr = ONE
    noise: tuple[Draw, ...] = ()
    carry: tuple[Term, ...] = ()

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """Every expression of the row: its weights, its decay, the weights of its draws."""
        terms = tuple(term.weight for term in (*self.terms, *self.carry))
        return (*terms, self.decay, *(draw.weight for draw in self.noise))

    def u_weights(self, kappa: int) -> tuple[tuple[str, Expr], ...]:
        """(source, weight) pairs in the λ gauge, whatever the row's own gauge.

        One clock unit of the step is e^{−κch} h φ_1(κh) units of u at the place c.
        """
        if self.gauge == "lambda" or kappa == 0:
            return tuple((term.source, term.weight) for term in self.terms)
        h = Symbol("h")
        unit = h * phi(1, kappa * h) * exp(-kappa * self.place.lam(kappa) * h)
        return tuple((term.source, unit * term.weight) for term in self.terms)


CHAIN = "Langevin steps"  # what their draws are called, which no rule can


@dataclass(frozen=True)
class Chain:
    """Langevin steps at one level, of data: y + δ (α D(y) − y) + σ √(2δ) z, each from the one before.

    Args:
        repeats: how many, with a model call and a draw each.
        rate: δ; or else
        snr: δ = 2 (snr σ |z| / |α D − y|)², where |·| is the mean over the batch of the samples' norms.
    """

    repeats: int
    rate: Expr | None = None
    snr: Expr | None = None

    def size(self) -> Expr:
        """The rate, where it is a number of the step.

        Raises:
            DeriveError: it depends on the state, so that no linear combination is taken.
        """
        if self.rate is None:
            raise DeriveError(
                "the length of these Langevin steps follows from norms of the state and the noise: no "
                "linear combination of model outputs is taken, of which an order could be told",
                ("langevin", "snr"),
            )
        return self.rate


@dataclass(frozen=True)
class Step:
    """One kind of step: evaluate at n, then at each stage, then end the step.

    Args:
        label: what the step is, for people ("DDIM", "2 nodes", "Runge-Kutta start").
        stages: rows that are evaluated, in order.
        final: the row that ends the step; its state is where the next step evaluates.
        corrector: PEC only: once the next step has evaluated at the predicted end, the accepted
            value there is this row (its source ``n+1`` is that evaluation).
        coordinate: y(λ) as an expression in the symbol ``lam``, when a row uses ``eta``, ``moment``,
            ``offset``, ``fraction`` or ``slope``.
        lets: scalars that the rows use by name, evaluated in order; their ``h`` is the grid's.
        down: length in λ of the deterministic part, in the grid's ``h`` and the lets. The rows are
            then those of a plain step of this length (their ``h``), and the noise of the final row
            brings the state back up to the grid's next level. `lower` is σ/α where that part ends; it
            holds for a step that begins with σ/α infinite too.
        churn: by how much λ falls, in the lets, when noise is added before the first evaluation; the
            step then starts there. `churn_scale` multiplies that noise.
        draws: the part of the step to which each draw belongs.
        kernel: A of the drift that the rows integrate, 1 but for the SDE's data form.
        spans: how many intervals of the grid it covers.
        swept, sweeps: of an implicit rule: the last stages are `sweeps` sweeps of `swept` stages each,
            which repeat one another.
        positive: what must hold for the noise to exist.
        chain: Langevin steps before the first evaluation, from the last of which the rows start.
    """

    label: str = field(compare=False)
    stages: tuple[Row, ...]
    final: Row
    corrector: Row | None = None
    coordinate: Expr | None = None
    lets: tuple[tuple[str, Expr], ...] = ()
    down: Expr | None = None
    lower: Expr | None = None
    churn: Expr | None = None
    churn_scale: Expr = ONE
    draws: tuple[Interval, ...] = ()
    kernel: Expr = field(default=ONE, compare=False)
    positive: tuple[Condition, ...] = field(default=(), compare=False)
    spans: int = 1
    swept: int = field(default=0, compare=False)
    sweeps: int = field(default=0, compare=False)
    chain: Chain | None = None

    @property
    def ahead(self) -> int:
        """The furthest grid point that its places and weights use, at least its own end."""
        names = {name for row in self.rows for e in row.expressions for name in symbols(e)}
        named = [int(name[5:]) for name in names if name[:5] in ("gamma", "Gamma") and name[5:]]
        return max([self.spans, *named, *(row.place.ahead for row in self.rows)])

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """Every expression of its rows, its scalars and the lengths of its parts."""
        chain = (self.chain.rate, self.chain.snr) if self.chain else ()
        lengths = tuple(e for e in (self.down, self.churn, *chain) if e is not None)
        scalars = tuple(value for _, value in self.lets)
        return (*scalars, *lengths, *(e for row in self.rows for e in row.expressions))

    @property
    def uneven(self) -> bool:
        """Whether its weights depend on the ratios of several steps of the grid."""
        return bool(self.history or self.corrector or self.ahead > 1)

    @property
    def stochastic(self) -> bool:
        """Whether the step draws noise."""
        before = self.churn is not None or self.chain is not None
        return before or any(row.noise for row in self.rows)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Stages, final row and corrector, in order."""
        last = (self.corrector,) if self.corrector else ()
        return (*self.stages, self.final, *last)

    @property
    def evaluations(self) -> int:
        """Model calls made by the rows of this step."""
        return 1 + len(self.stages)

    @property
    def repeats(self) -> int:
        """Model calls made before its rows."""
        return self.chain.repeats if self.chain else 0

    @cached_property
    def history(self) -> int:
        """How many steps it looks back: 2 when ``n-2`` or ``x-2`` is the oldest source."""
        return max(self.past_evaluations, self.past_states)

    @property
    def past_evaluations(self) -> int:
        """How many past evaluations the step needs: 2 when ``n-2`` is the oldest node."""
        return max((depth(term.source) for row in self.rows for term in row.terms), default=0)

    @property
    def past_states(self) -> int:
        """How many past accepted states the step needs: 2 when ``x-2`` is the oldest one."""
        return max((depth(term.source) for row in self.rows for term in row.carry), default=0)


def depth(source: str) -> int:
    """How far back a source reaches: k for ``n-k`` and ``x-k``; else 0."""
    return int(source[2:]) if source.startswith(("n-", "x-")) else 0


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
        last: the step to σ = 0 where that is more than DDIM: Langevin steps come before it.
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

    @property
    def stochastic(self) -> bool:
        """Whether a run may draw noise."""
        return self.jumps or any(step.stochastic for step in self.steps)

    @property
    def kappa(self) -> int:
        """+1 for data, −1 for noise, 0 for velocity."""
        return KAPPA[self.integrand]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every distinct kind of step: those with the least history first, the main one last."""
        last = (self.last,) if self.last else ()
        rest = (step for steps in self.remainder for step in steps)
        kinds = dict.fromkeys((*last, *reversed(self.end), *rest, *self.start, self.main))
        return tuple(sorted(kinds, key=lambda step: step.history if step != self.main else 99))

    @property
    def history(self) -> int:
        """How many steps the solver looks back."""
        return max(step.history for step in self.steps)

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
        """Exact default values of the parameters."""
        return {p.name: Number(p.default) for p in self.parameters}

    @property
    def functions(self) -> dict[str, Expr]:
        """Bodies of the named functions that its expressions call, those that others use first."""
        return functions_of_x(*(e for step in self.steps for e in step.expressions))

    def free_symbols(self) -> set[str]:
        """All symbols in all weights."""
        return {
            name
            for step in self.steps
            for row in step.rows
            for weight in row.expressions
            for name in symbols(weight)
        }
