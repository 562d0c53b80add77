"""One kind of step of a Program: its rows, the scalars and draws that they share, its noise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from sympy import Expr

from ..errors import DeriveError
from ..expr.arithmetic import ONE, symbols
from .row import Row, Term, depth, recalled


@dataclass(frozen=True)
class Condition:
    """What must hold of a step for its noise to exist.

    Args:
        value: must be above zero; may be zero, up to rounding, when `strict` is false.
        text: what a user reads where it is not.
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


CHAIN = "Langevin steps"  # reserved name for their draws


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
            DeriveError: it depends on the state, so the step is not linear.
        """
        if self.rate is None:
            raise DeriveError(
                "the length of these Langevin steps follows from norms of the state and the noise, so "
                "the step is not linear in the model outputs and has no order",
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
        coordinates: y(λ) as an expression in the symbol ``lam``, when a row uses ``eta``, ``moment``,
            ``offset``, ``fraction`` or ``slope``: those of the solver up to the last that a row uses.
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
        memory: factors on the evaluation at n, ``n``, and on what is remembered of those before,
            ``n-1``, …: what takes its place in the rows of this step and as ``n-1`` in the next. A
            corrector's ``n+1`` is as it comes. Empty where evaluations are remembered as they are.
        borrowed: the integrand of the solver whose rule it takes over, where that makes it another one.
    """

    label: str = field(compare=False)
    stages: tuple[Row, ...]
    final: Row
    corrector: Row | None = None
    coordinates: tuple[Expr, ...] = ()
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
    memory: tuple[Term, ...] = ()
    borrowed: str = field(default="", compare=False)

    @property
    def ahead(self) -> int:
        """The furthest grid point that its places and weights use, at least its own end."""
        names = {name for e in self.weights for name in symbols(e)}
        named = [int(name[5:]) for name in names if name[:5] in ("gamma", "Gamma") and name[5:]]
        return max([self.spans, *named, *(row.place.ahead for row in self.rows)])

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """Every expression of its rows, its scalars and the lengths of its parts."""
        chain = (self.chain.rate, self.chain.snr) if self.chain else ()
        lengths = tuple(e for e in (self.down, self.churn, *chain) if e is not None)
        scalars = tuple(value for _, value in self.lets)
        return (*scalars, *lengths, *self.weights)

    @property
    def weights(self) -> tuple[Expr, ...]:
        """Every expression of its rows and of its memory."""
        remembered = (term.weight for term in self.memory)
        return (*remembered, *(e for row in self.rows for e in row.expressions))

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
        return max(self.past_evaluations, self.past_states, int(bool(self.recalls)))

    @property
    def past_evaluations(self) -> int:
        """How many past evaluations the step needs: 2 when ``n-2`` is the oldest node."""
        terms = [term.source for row in self.rows for term in row.terms]
        terms += [term.source for term in self.memory]
        return max((depth(source) for source in terms if not recalled(source)), default=0)

    @cached_property
    def recalls(self) -> tuple[str, ...]:
        """The stages of the step before whose evaluations the step uses."""
        return stages_before(self.rows)

    @property
    def past_states(self) -> int:
        """How many past accepted states the step needs: 2 when ``x-2`` is the oldest one."""
        return max((depth(term.source) for row in self.rows for term in row.carry), default=0)


def stages_before(rows: Iterable[Row]) -> tuple[str, ...]:
    """The stages of the step before whose evaluations some rows use."""
    used = (recalled(term.source) for row in rows for term in row.terms)
    return tuple(dict.fromkeys(name for name in used if name))
