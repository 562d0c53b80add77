"""A Program on a given grid, in any precision: every model call as a linear combination of outputs.

This is the canonical meaning of a solver. Integrands, gauges and names have gone: two Programs are
the same method exactly when they call the model at the same places on the same combinations of the
initial state and the earlier denoised predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import mpmath
from sympy import Expr

from ..errors import DeriveError
from ..expr.arithmetic import ONE, ZERO
from ..expr.evaluation import evaluate
from ..spec.model import Parameter
from .functions import ELEMENTARY, clock, functions, further, number
from .model import Program
from .row import Place, Row, depth, past_offset
from .step import CHAIN, Step

Vector = list[Any]


@dataclass(frozen=True)
class Call:
    """One model call of an unrolled Program.

    Args:
        step: index of the step; `evaluation`: index of the call inside it.
        lam: λ at which the model is called.
        state: weights of the initial state x (in x₀ + σε scaling) and of the outputs before it.
        noise: weights of the unit draws, in the order in which they first enter.
    """

    step: int
    evaluation: int
    lam: Any
    state: tuple[Any, ...]
    noise: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Unrolled:
    """All model calls of a run and the final state, in the same representation."""

    calls: tuple[Call, ...]
    final: tuple[Any, ...]
    noise: tuple[Any, ...] = ()

    @property
    def noises(self) -> list[tuple[Any, ...]]:
        """Weights of the draws in the state of every call and in the final state."""
        return [*(call.noise for call in self.calls), self.noise]


def unroll(
    program: Program, lam: Sequence[Any], parameters: Mapping[str, Any] | None = None
) -> Unrolled:
    """Run a Program symbolically along a grid, under x = x₀ + σ ε.

    Args:
        program: what to run.
        lam: increasing values of λ, mpmath numbers; the last may be infinity.
        parameters: values of the parameters; their own unless given. A list has one for each step.

    Returns:
        The calls and the final state, in mpmath's current precision.

    Raises:
        DeriveError: a list of numbers per step is not as long as the run.
    """
    return Run(program, [mpmath.mpf(value) for value in lam], dict(parameters or {})).run()


class Run:
    """A run step by step: what `unroll` goes through, for those who need its parts."""

    def __init__(self, program: Program, lam: list[Any], parameters: dict[str, Any]) -> None:
        self.program, self.kappa = program, program.kappa
        defaults = {p.name: _number_of(p) for p in program.parameters}
        self.parameters = {**defaults, **parameters}
        for name, value in self.parameters.items():
            if isinstance(value, (list, tuple)) and len(value) != len(lam) - 1:
                raise DeriveError(
                    f"{program.name}: `{name}` holds {len(value)} numbers, one a step, and the grid "
                    f"has {len(lam) - 1} steps"
                )
        self.lam = self.shrunk(lam)
        self.calls: list[Call] = []
        self.outputs = 1 + sum(s.repeats + s.evaluations for s in program.steps) * len(lam)
        self.most = 1 + max(s.repeats + len(s.draws) for s in program.steps)
        self.size = self.outputs + self.most * len(lam) * program.stochastic
        self.drawn: dict[tuple[int, str], int] = {}
        # λ between which the rows of a step run, and its scalars.
        self.bounds: dict[int, tuple[Any, Any]] = {}
        self.scalars: dict[int, dict[str, Any]] = {}
        self.accepted: dict[int, Vector] = {}
        self.ahead = max(step.ahead for step in program.steps)

    def numbers(self, i: int) -> dict[str, Any]:
        """The parameters of step i."""
        known = self.parameters.items()
        return {k: v[i] if isinstance(v, (list, tuple)) else v for k, v in known}

    def shrunk(self, lam: list[Any]) -> list[Any]:
        if self.program.shrink is None or len(lam) < 3:
            return lam
        h = lam[1] - lam[0]
        exponent = evaluate(self.program.shrink, {}, {}, number) - 1
        return [lam[0], lam[0] + h * min(mpmath.mpf(1), h) ** exponent, *lam[2:]]

    def run(self) -> Unrolled:
        n = len(self.lam) - 1
        state = [mpmath.mpf(1)] + [mpmath.mpf(0)] * (self.size - 1)
        past: list[Vector] = []
        inner: dict[str, Vector] = {}  # evaluations at the stages of the step before
        pending: tuple[Row, Step, Vector, dict[str, Any], int] | None = None
        for i, step in self.kinds(n):
            if self.lam[i + 1] < self.lam[i]:
                scale = evaluate(self.program.jump_scale, self.parameters, ELEMENTARY, number)
                state = self.raised(state, i, "jump", self.lam[i], self.lam[i + 1], scale)
                continue
            last = mpmath.isinf(self.lam[i + 1]) and self.program.zero == "ddim"
            if last and self.program.last is not None:
                step, last = self.program.last, False
            state = self.chained(step, i, self.opened(step, i, state, last))
            f = (
                self.begun(state)
                if self.program.first and not past
                else self.at_point(i, step, state)
            )
            if pending is not None:
                row, before, base, known, at = pending
                state = self.combine(row, at, base, {**known, "n+1": f}, before)
            base = self.accepted[i] = state
            past.insert(0, f)
            if last:
                state, pending = self.output(len(self.calls) - 1), None
                continue
            if step.memory:
                f = past[0] = self.remembered(step, i, past)
            known = {"n": f, **{f"n-{k}": v for k, v in enumerate(past[1:], 1)}, **inner}
            for j, row in enumerate(step.stages, 1):
                inside = self.combine(row, i, base, known, step)
                at = self.at(row.place, i, step)
                called = self.called(row.level, i, at)
                known[row.name] = self.call(i, step.repeats + j, at, inside, called)
            state = self.combine(step.final, i, base, known, step)
            inner = {f"{row.name}-1": known[row.name] for row in step.stages}
            shifted = {source: v for source, v in known.items() if source.startswith("n")}
            pending = None if step.corrector is None else (step.corrector, step, base, shifted, i)
        return Unrolled(tuple(self.calls), *self.trimmed(state))

    def kinds(self, n: int) -> list[tuple[int, Step]]:
        """Where each step begins, and its kind; a last interval to σ = 0 is a step of its own."""
        program = self.program
        if not program.remainder:
            return list(enumerate(program.blocks(n)))
        alone = mpmath.isinf(self.lam[n])
        steps = program.blocks(n - alone)
        starts = accumulate((step.spans for step in steps), initial=0)
        return list(zip(starts, (*steps, program.main) if alone else steps, strict=False))

    def opened(self, step: Step, i: int, state: Vector, last: bool) -> Vector:
        """Fix the bounds and scalars of a step; raise the state where the step begins with noise."""
        start, stop = self.lam[i], self.lam[i + (1 if last else step.spans)]
        self.bounds[i], self.scalars[i] = (start, stop), {}
        if last and step.churn is None:
            return state
        sigma = mpmath.exp(-start)
        values = {"h": stop - start, "sigma": sigma, "sigma_next": mpmath.exp(-stop)}
        values |= {"steps": mpmath.mpf(len(self.lam) - 1), "i": mpmath.mpf(i)}
        values |= self.numbers(i)
        for name, expression in step.lets:
            values[name] = evaluate(expression, values, ELEMENTARY, number)
        if step.down is not None:
            stop = start + evaluate(step.down, values, ELEMENTARY, number)
        if step.churn is not None:
            raised = start - evaluate(step.churn, values, ELEMENTARY, number)
            scale = evaluate(step.churn_scale, values, ELEMENTARY, number)
            state, start = self.raised(state, i, "churn", start, raised, scale), raised
        self.bounds[i], self.scalars[i] = (start, stop), values
        return state

    def chained(self, step: Step, i: int, state: Vector) -> Vector:
        """The state after the Langevin steps that come before a step's rows."""
        if step.chain is None:
            return state
        lam, size = self.bounds[i][0], step.chain.size()
        rate = evaluate(size, self.scalars[i], ELEMENTARY, number)
        spread = mpmath.exp(-lam) * mpmath.sqrt(2 * rate)
        for k in range(step.chain.repeats):
            output = self.call(i, k, lam, state)
            mixed = [s + rate * (d - s) for s, d in zip(state, output, strict=True)]
            state = self.added(mixed, i, f"{CHAIN} {k}", spread)
        return state

    def raised(self, state: Vector, i: int, name: str, low: Any, high: Any, scale: Any) -> Vector:
        """Noise that brings the state from a level up to a higher one (to a lower λ)."""
        spread = scale * mpmath.sqrt(mpmath.exp(-2 * high) - mpmath.exp(-2 * low))
        return self.added(state, i, name, spread)

    def added(self, state: Vector, i: int, name: str, weight: Any) -> Vector:
        """The state plus a weight times a draw of step i."""
        index = self.outputs + self.drawn.setdefault((i, name), len(self.drawn))
        return [s + weight if k == index else s for k, s in enumerate(state)]

    def trimmed(self, state: Vector) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Weights of x and of the outputs so far, and of the draws so far."""
        known = tuple(state[: 1 + len(self.calls)])
        return known, tuple(state[self.outputs : self.outputs + len(self.drawn)])

    def output(self, index: int) -> Vector:
        """The one-hot vector of a model output."""
        return [mpmath.mpf(1 if k == index + 1 else 0) for k in range(self.size)]

    def begun(self, state: Vector) -> Vector:
        """The integrand at the first point where no call is made for it: data of mean 0, deviation 1."""
        sigma = mpmath.exp(-self.lam[0])
        share = {
            "direction": 1 - sigma / mpmath.sqrt(1 + sigma**2),
            "mean": mpmath.mpf(0),
            "gaussian": 1 / (1 + sigma**2),
        }[self.program.first]
        return self.integrand([share * value for value in state], state, self.lam[0])

    def at_point(self, i: int, step: Step, state: Vector) -> Vector:
        """The integrand at the point where a step begins."""
        at = self.bounds[i][0]
        return self.call(i, step.repeats, at, state, self.called(self.program.called, i, at))

    def called(self, factor: Expr, i: int, at: Any) -> Any:
        """λ of a call on a state at λ = `at`."""
        if factor == ONE:
            return at
        low, high = self.bounds[i]
        values = {**self.numbers(i), "h": high - low}
        return at - mpmath.log(evaluate(factor, values, ELEMENTARY, number))

    def call(
        self, step: int, evaluation: int, lam: Any, state: Vector, called: Any = None
    ) -> Vector:
        """Record a model call; return the integrand there as a vector.

        Args:
            lam: of the state; `called`: at which the model is called, the same unless given.
        """
        told = lam if called is None else called
        self.calls.append(Call(step, evaluation, told, *self.trimmed(state)))
        denoised = self.output(len(self.calls) - 1)
        if self.program.output == "noise" and told != lam:
            ratio = mpmath.exp(told - lam)  # the noise of the call, at the state's level
            denoised = [x - ratio * (x - d) for x, d in zip(state, denoised, strict=True)]
        return self.integrand(denoised, state, lam)

    def integrand(self, denoised: Vector, state: Vector, lam: Any) -> Vector:
        """What the rows integrate, from a denoised prediction."""
        if self.kappa == 1:
            return denoised
        sigma = mpmath.exp(-lam)
        noise = [(x - d) / sigma for x, d in zip(state, denoised, strict=True)]
        if self.kappa == -1:
            return noise
        return [e - d for e, d in zip(noise, denoised, strict=True)]

    def at(self, place: Place, i: int, step: Step) -> Any:
        """λ of a place of step i."""
        low, high = self.bounds[i]
        if place.is_end or place.fraction == ZERO:
            return high if place.is_end else low
        if place.ahead:
            return self.lam[i + place.ahead]
        values = {**self.numbers(i), "h": high - low}
        fraction = evaluate(place.fraction, values, self.functions(step, i), number)
        if place.coordinate == "lambda":
            return low + fraction * (high - low)
        start, end = self.clock(low), self.clock(high)
        value = start + fraction * (end - start)
        return {1: mpmath.log, -1: lambda s: -mpmath.log(s), 0: lambda t: mpmath.log(1 / t - 1)}[
            self.kappa
        ](value)

    def functions(self, step: Step, i: int) -> dict[str, Callable[..., Any]]:
        """The functions that the weights and places of step i may use."""
        return functions(step, self.kappa, *self.bounds[i])

    def clock(self, lam: Any) -> Any:
        return clock(self.kappa, lam)

    def scale(self, lam: Any) -> Any:
        """S of the plain form Y = x/S, under α = 1."""
        return {1: mpmath.exp(-lam), -1: mpmath.mpf(1), 0: 1 + mpmath.exp(-lam)}[self.kappa]

    def combine(
        self, row: Row, i: int, base: Vector, known: dict[str, Vector], step: Step
    ) -> Vector:
        """The state of a row: its base in exact propagation plus weighted evaluations and draws."""
        to, (start, stop) = self.at(row.place, i, step), self.bounds[i]
        symbols = self.symbols(step, i)
        known_functions = self.functions(step, i)
        ratio = self.scale(to) / self.scale(start)
        ratio = ratio * evaluate(row.decay, symbols, known_functions, number)
        if row.gauge == "clock":
            unit = self.scale(to) * (self.clock(stop) - self.clock(start))
        else:
            unit = mpmath.mpf(1) if self.kappa == 1 else -mpmath.exp(-to)
        state = [ratio * value for value in base]
        for term in row.carry:
            k = i - depth(term.source)
            ratio = self.scale(to) / self.scale(self.lam[k])
            ratio = ratio * evaluate(term.weight, symbols, known_functions, number)
            state = [s + ratio * v for s, v in zip(state, self.accepted[k], strict=True)]
        for term in row.terms:
            weight = unit * evaluate(term.weight, symbols, known_functions, number)
            state = [s + weight * f for s, f in zip(state, known[term.source], strict=True)]
        level = mpmath.exp(-(self.lam[i + 1] if row.place.is_end else to))
        for draw in row.noise:
            weight = level * evaluate(draw.weight, symbols, known_functions, number)
            state = self.added(state, i, draw.name, weight)
        return state

    def remembered(self, step: Step, i: int, past: list[Vector]) -> Vector:
        """What takes the place of the newest evaluation, from it and what is remembered."""
        symbols, known = self.symbols(step, i), self.functions(step, i)
        total = [mpmath.mpf(0)] * self.size
        for term in step.memory:
            weight = evaluate(term.weight, symbols, known, number)
            value = past[depth(term.source)]
            total = [s + weight * f for s, f in zip(total, value, strict=True)]
        return total

    def symbols(self, step: Step, i: int) -> dict[str, Any]:
        """The numbers of step i that weights name."""
        lam, steps, (low, high) = self.lam, range(1, i + 1), self.bounds[i]
        h = high - low
        clock = self.clock(high) - self.clock(low)
        values = {**self.numbers(i), **self.scalars[i], "h": h}
        for k in steps:
            values[f"theta{k}"] = (low - lam[i - k]) / h
            values[f"Theta{k}"] = (self.clock(low) - self.clock(lam[i - k])) / clock
        for k, ahead in enumerate(lam[i + 1 : i + 1 + self.ahead], 1):
            values[f"gamma{k}"] = (ahead - low) / h
            values[f"Gamma{k}"] = (self.clock(ahead) - self.clock(low)) / clock
        values["remaining"] = mpmath.exp(lam[0] - low)
        for which, expression in enumerate(step.coordinates, 1):
            y, stem = further(expression), past_offset(which)
            width = y(high) - y(low)
            values |= {f"{stem}{k}": (y(low) - y(lam[i - k])) / width for k in steps}
        return values


def _number_of(parameter: Parameter) -> Any:
    """The value of a parameter, or the list of its values."""
    return [number(v) for v in parameter.values] if parameter.values else number(parameter.default)


def oldest(program: Program) -> int:
    """How many intervals a run needs before every kind of step has been used."""
    if program.remainder:
        longest = max(sum(step.spans for step in rest) for rest in program.remainder)
        return longest + 2 * program.main.spans
    deepest = max(step.past_evaluations for step in program.steps)
    return max(deepest, len(program.start)) + len(program.end) + 2
