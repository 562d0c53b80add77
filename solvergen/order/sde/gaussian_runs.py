"""Runs of a program on a Gaussian target: every state as a linear form, in series about a grid point.

A state is Σ weight·quantity over μ, the exact states at grid points before the run, and the unit
draws of its steps. This is `program.unroll` over power series, with the exact denoiser put in.

A run goes backwards: each step is expanded once, as a map from the state and the evaluations before it
to those after it, and the last state, a form in what the last step takes, becomes one in what the step
before takes, and so on. What later steps make of a draw is so found once for all draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from sympy import Expr

from ...algebra.fixed import RealRing
from ...algebra.scalar import Scalar
from ...errors import OrderError
from ...expr.arithmetic import ONE
from ...program.model import Program
from ...program.row import Place, Row
from ...program.step import CHAIN, Chain, Step
from ..expansion.grid import Grid
from ..expansion.symbol_values import StepValues
from .gaussian import PathNoise, Target, generic
from .step_symbols import Opened, StepSymbols, located, located_names, velocity_clock

Key = tuple[str, int, str]
MU: Key = ("mu", 0, "")  # the mean of the target; "w" is the state at a site, "z" a draw there
STATE: Key = ("x", 0, "")  # the state that a step takes; "d" is the evaluation so many steps before
Form = dict[Key, Scalar]
LENGTH = generic(107)  # of the run in λ: the number of steps is LENGTH/h


def plus(form: Form, other: Form, factor: Scalar = Fraction(1)) -> Form:
    """form + factor·other."""
    total = dict(form)
    for key, value in other.items():
        part = factor * value
        total[key] = total[key] + part if key in total else part
    return total


def through(rest: Form, form: Form, known: Mapping[Key, Form]) -> Form:
    """rest + Σ form[key]·known[key]."""
    for key, made in known.items():
        if key in form:
            rest = plus(rest, made, form[key])
    return rest


@dataclass(frozen=True)
class StepMap:
    """What a step leaves, by what it takes.

    Args:
        state: the state after it.
        evaluation: the evaluation there.
        renewed: the evaluation that took the place of all before it, where the step began anew.
    """

    state: Form
    evaluation: Form
    renewed: Form | None = None

    def before(self, form: Form) -> Form:
        """A form in what the step leaves as one in what it takes."""
        known = {STATE: self.state, ("d", 0, ""): self.evaluation}
        if self.renewed is not None:
            known["d", 1, ""] = self.renewed
        older = {
            ("d", key[1] - 1, "") if key[0] == "d" else key: value
            for key, value in form.items()
            if key not in known
        }
        return through(older, form, known)


class Walk:
    """A program on a grid with a Gaussian target.

    Args:
        program: the solver.
        ring: the series in h.
        grid: positions of grid points in λ.
        target: the exact solution.
        parameters: value of every parameter.
    """

    def __init__(
        self,
        program: Program,
        ring: RealRing,
        grid: Grid,
        target: Target,
        parameters: Mapping[str, Scalar],
    ) -> None:
        self.program, self.kappa, self.ring = program, program.kappa, ring
        self.grid, self.target, self.parameters = grid, target, parameters
        self.position = grid.position
        self.opened: dict[tuple[int, int], Opened] = {}
        self.kept: dict[tuple[int, int, int], Scalar] = {}
        self.moves: dict[tuple[int, int], bool] = {}
        self.mapped: dict[tuple[int, int, bool], StepMap] = {}
        self.behind: dict[tuple[int, int], Form] = {}

    def onto(self, target: Target) -> Walk:
        """The same steps on a target of another spread, on which weights do not depend."""
        walk = Walk(self.program, self.ring, self.grid, target, self.parameters)
        walk.opened, walk.kept, walk.moves = self.opened, self.kept, self.moves
        return walk

    @cached_property
    def noise(self) -> PathNoise:
        """The noise of the SDE that is solved, along a path."""
        return PathNoise(self.target, self.kappa)

    # -- states --------------------------------------------------------------------------------

    def exact(self, site: int) -> Form:
        """The exact state at a site."""
        return {MU: Fraction(1), ("w", site, ""): Fraction(1)}

    def integrand(self, position: Scalar, state: Form, called: Scalar | None = None) -> Form:
        """D, ε or ε − D at a state; `called` is the position of the call's level where it has its own."""
        gain = self.target.gain(position if called is None else called)
        lost = 1 - gain
        denoised = {key: gain * value for key, value in state.items()}
        denoised[MU] = denoised[MU] + lost if MU in denoised else lost
        if self.kappa == 1:
            return denoised
        noise = {
            key: value / self.target.sigma(position)
            for key, value in plus(state, denoised, Fraction(-1)).items()
        }
        return noise if self.kappa == -1 else plus(noise, denoised, Fraction(-1))

    def run(
        self, steps: Sequence[Step], first: int = 0, depth: int = 0, bare: bool = False
    ) -> Form:
        """The state after some steps, from an exact state.

        Args:
            steps: kinds of steps, from site `first` on.
            first: site of the exact state.
            depth: how many evaluations there are before it, at exact states.
            bare: the last state is as predicted, without its corrector.
        """
        form: Form = {STATE: Fraction(1)}
        last = len(steps) - 1
        for i in range(last, -1, -1):
            form = self.before(form, steps[i], first + i, bare and i == last)
        return self.started(form, first, depth)

    def main(self, first: int, site: int) -> Form:
        """The state at a site after main steps from the exact past of another."""
        main = self.program.main
        return self.started(self.taken(first, site), first, main.history)

    def taken(self, first: int, site: int) -> Form:
        """The state at a site, by what the first of some main steps takes."""
        if first == site:
            return {STATE: Fraction(1)}
        if (first, site) not in self.behind:
            later = self.taken(first + 1, site)
            self.behind[first, site] = self.before(later, self.program.main, first)
        return self.behind[first, site]

    def started(self, form: Form, first: int, depth: int) -> Form:
        """A form in what a step takes, at an exact state and exact evaluations before it."""
        known = {STATE: self.exact(first)}
        for k in range(depth + 1):
            site = first - k
            known["d", k, ""] = self.integrand(self.position(site), self.exact(site))
        drawn = {key: value for key, value in form.items() if key not in known}
        return through(drawn, form, known)

    def before(self, form: Form, step: Step, site: int, bare: bool = False) -> Form:
        """A form in what a step leaves as one in what it takes."""
        key = (id(step), site, bare)
        if key not in self.mapped:
            self.mapped[key] = self.map(step, site, bare)
        return self.mapped[key].before(form)

    def map(self, step: Step, site: int, bare: bool) -> StepMap:
        """One step: the state after it, and the evaluations so far, by those before it."""
        opened = self.open(step, site)
        base: Form = {STATE: Fraction(1)}
        past: list[Form] = [{("d", k, ""): Fraction(1)} for k in range(step.history + 1)]
        renewed = None
        if opened.raised is not None:
            base = plus(base, {("z", site, "churn"): opened.raised})
            renewed = self.integrand(opened.low, base)
        if step.chain is not None:
            base = self.chained(step.chain, opened, site, base)
            renewed = self.integrand(opened.low, base)
        past = past if renewed is None else [renewed]
        known = {"n": past[0], **{f"n-{k}": f for k, f in enumerate(past[1:], 1)}}
        for row in step.stages:
            inner = self.combine(row, opened, site, base, known)
            at = self.place(row.place, opened)
            known[row.name] = self.integrand(at, inner, self.called(row, opened, at))
        state = self.combine(step.final, opened, site, base, known)
        evaluation = self.integrand(self.position(site + 1), state)
        if step.corrector and not bare:
            known["n+1"] = evaluation
            state = self.combine(step.corrector, opened, site, base, known)
        return StepMap(state, evaluation, renewed)

    def chained(self, chain: Chain, opened: Opened, site: int, base: Form) -> Form:
        """The state after Langevin steps; of their draws only the sum enters later, so it is one draw."""
        rate, sigma = opened.values.expr(chain.size()), self.target.sigma(opened.low)
        kept: Scalar = 1 - rate * (1 - self.target.gain(opened.low))
        whole: Scalar = Fraction(1)
        variance: Scalar = Fraction(0)
        for _ in range(chain.repeats):
            whole, variance = whole * kept, variance * kept**2 + 2 * rate
        state = {key: whole * value for key, value in base.items()}
        spread = sigma * self.ring.sqrt(self.ring.lifted(variance))
        return plus(state, {MU: 1 - whole, ("z", site, CHAIN): spread})

    def called(self, row: Row, opened: Opened, at: Scalar) -> Scalar | None:
        """Where the model's level lies for a stage, if not at the level of its state."""
        if row.level == ONE:
            return None
        return at - self.ring.log(opened.values.expr(row.level)) / self.ring.h

    # -- one row -------------------------------------------------------------------------------

    def open(self, step: Step, site: int) -> Opened:
        """Fix the bounds and the scalars of a step."""
        key = (id(step), site)
        if key not in self.opened:
            self.opened[key] = self._open(step, site)
        return self.opened[key]

    def _open(self, step: Step, site: int) -> Opened:
        low, high, h = self.position(site), self.position(site + 1), self.ring.h
        values = self.symbols(self.grid, site)
        scalars = {
            "sigma": self.target.sigma(low),
            "sigma_next": self.target.sigma(high),
            "steps": LENGTH / h,
        }
        values.update(scalars)
        moving = located_names(step)
        for name, expression in step.lets:
            values[name] = scalars[name] = values.expr(expression)
        if step.down is None and step.churn is None:
            return Opened(step, moving, values, low, high)
        raised = None
        if step.down is not None:
            high = low + values.expr(step.down) / h
        if step.churn is not None:
            lower = low - values.expr(step.churn) / h
            gap = self.target.sigma(lower) ** 2 - self.target.sigma(low) ** 2
            raised = values.expr(step.churn_scale) * self.ring.sqrt(gap)
            low = lower
        ends = {site: low, site + 1: high}
        plain = self.position
        inner = replace(self.grid, position=lambda i: ends[i] if i in ends else plain(i))
        moved = self.symbols(inner, site)
        moved.update(scalars)
        return Opened(step, moving, moved, low, high, raised)

    def symbols(self, grid: Grid, site: int) -> StepSymbols:
        """The symbols of a step on a grid."""
        values = StepSymbols(StepValues(self.kappa, self.ring, grid, self.parameters), site)
        values.level = self.target.sigma
        return values

    def value(self, expression: Expr, opened: Opened, site: int) -> Scalar:
        """The value of a weight; where the grid repeats most weights do."""
        which = (id(expression), id(opened.step))
        if which not in self.moves:
            fixed = self.grid.periodic and self.kappa
            self.moves[which] = not fixed or located(expression, opened.moving)
        key = (*which, site if self.moves[which] else site % self.grid.periodic)
        if key not in self.kept:
            self.kept[key] = opened.values.expr(expression)
        return self.kept[key]

    def place(self, place: Place, opened: Opened) -> Scalar:
        """The position of a row's place."""
        low, high = opened.low, opened.high
        if place.is_end:
            return high
        if self.kappa or place.coordinate == "lambda":
            return low + opened.values.expr(place.lam(self.kappa or 1)) * (high - low)
        ends = [velocity_clock(self.target.sigma(p)) for p in (low, high)]
        clock = ends[0] + opened.values.expr(place.fraction) * (ends[1] - ends[0])
        return self.ring.log((1 / clock - 1) * self.target.level) / self.ring.h

    def scale(self, position: Scalar) -> Scalar:
        """S of the plain form Y = x/S, under α = 1."""
        if self.kappa == -1:
            return Fraction(1)
        sigma = self.target.sigma(position)
        return sigma if self.kappa == 1 else 1 + sigma

    def clock(self, position: Scalar) -> Scalar:
        """The clock of the integrand."""
        sigma = self.target.sigma(position)
        return {1: lambda: 1 / sigma, -1: lambda: sigma, 0: lambda: velocity_clock(sigma)}[
            self.kappa
        ]()

    def combine(
        self, row: Row, opened: Opened, site: int, base: Form, known: dict[str, Form]
    ) -> Form:
        """The state of a row."""
        if self.kappa == 0 and row.gauge != "clock":
            raise OrderError(f"row {row.name}: velocity weights must be in the clock gauge")
        low, to = opened.low, self.place(row.place, opened)
        ratio = self.scale(to) / self.scale(low) * self.value(row.decay, opened, site)
        if row.gauge == "clock":
            unit = self.scale(to) * (self.clock(opened.high) - self.clock(low))
        else:
            unit = Fraction(1) if self.kappa == 1 else -self.target.sigma(to)
        state = {key: ratio * value for key, value in base.items()}
        for term in row.terms:
            state = plus(state, known[term.source], unit * self.value(term.weight, opened, site))
        level = self.target.sigma(self.position(site + 1) if row.place.is_end else to)
        drawn = {
            ("z", site, draw.name): level * self.value(draw.weight, opened, site)
            for draw in row.noise
        }
        return plus(state, drawn)
