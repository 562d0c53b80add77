"""Runs of a program on a Gaussian target: every state as a linear form, in series about a grid point.

A state is Σ weight·quantity over μ, the exact states at grid points before the run, and the unit
draws of its steps. This is `program.unroll` over power series, with the exact denoiser put in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

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
from .gaussian import Target, generic
from .step_symbols import Opened, StepSymbols, located, located_names, velocity_clock

Key = tuple[str, int, str]
MU: Key = ("mu", 0, "")  # the mean of the target; "w" is the state at a site, "z" a draw there
Form = dict[Key, Scalar]
LENGTH = generic(107)  # of the run in λ: the number of steps is LENGTH/h


def plus(form: Form, other: Form, factor: Scalar = Fraction(1)) -> Form:
    """form + factor·other."""
    total = dict(form)
    for key, value in other.items():
        part = factor * value
        total[key] = total[key] + part if key in total else part
    return total


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
        self.mains: dict[tuple[int, int], Form] = {}

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
    ) -> list[Form]:
        """The states after each of some steps, from an exact state.

        Args:
            steps: kinds of steps, from site `first` on.
            first: site of the exact state.
            depth: how many evaluations there are before it, at exact states.
            bare: the last state is as predicted, without its corrector.
        """
        past = [
            self.integrand(self.position(first - k), self.exact(first - k))
            for k in range(depth + 1)
        ]
        state, found = self.exact(first), []
        for i, step in enumerate(steps, first):
            last = bare and i + 1 == first + len(steps)
            state, past = self.advance(step, i, state, past, last)
            found.append(state)
        return found

    def main(self, first: int, site: int) -> Form:
        """The state at a site after main steps from the exact past of another."""
        if (first, site) not in self.mains:
            step = self.program.main
            made = self.run([step] * (site - first), first, step.history) or [self.exact(site)]
            self.mains[first, site] = made[-1]
        return self.mains[first, site]

    def advance(
        self, step: Step, site: int, base: Form, past: list[Form], bare: bool = False
    ) -> tuple[Form, list[Form]]:
        """One step: the state after it, and the evaluations so far, the newest first."""
        opened = self.open(step, site)
        if opened.raised is not None:
            base = plus(base, {("z", site, "churn"): opened.raised})
            past = [self.integrand(opened.low, base)]
        if step.chain is not None:
            base = self.chained(step.chain, opened, site, base)
            past = [self.integrand(opened.low, base)]
        known = {"n": past[0], **{f"n-{k}": f for k, f in enumerate(past[1:], 1)}}
        for row in step.stages:
            inner = self.combine(row, opened, site, base, known)
            at = self.place(row.place, opened)
            known[row.name] = self.integrand(at, inner, self.called(row, opened, at))
        state = self.combine(step.final, opened, site, base, known)
        end = self.position(site + 1)
        evaluation = self.integrand(end, state)
        if step.corrector and not bare:
            known["n+1"] = evaluation
            state = self.combine(step.corrector, opened, site, base, known)
        return state, [evaluation, *past]

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
