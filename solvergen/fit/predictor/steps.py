"""Steps of a Program as tensors: differentiable in numbers that differ from sample to sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import torch
from sympy import Expr
from torch import Tensor

from ...errors import SolvergenError
from ...expr.arithmetic import ONE, ZERO
from ...expr.evaluation import evaluate
from ...program.model import Program
from ...program.row import Place, Row
from ...program.step import Step

Model = Callable[[Tensor, Tensor], Tensor]  # (x, sigma) with one level a sample → denoised
Late = Callable[[int, Tensor, Tensor], Mapping[str, Tensor]]  # (i, x, denoised) → numbers of step i
TERMS = 24  # of the series of φ where |z| < 2


class Sampled:
    """A solver whose numbers may differ from sample to sample, for x = x0 + σ ε.

    Args:
        program: steps of data, noise or velocity, in λ or the clock, with past evaluations or without.

    Raises:
        SolvergenError: it carries past states, remembers combinations, corrects, draws noise, or works in
            another coordinate.
    """

    def __init__(self, program: Program) -> None:
        self.program, self.kappa = program, program.kappa
        others = any(
            step.corrector or step.coordinates or step.memory or any(row.carry for row in step.rows)
            for step in program.steps
        )
        odd = program.called != ONE or program.first or program.own is not None
        if others or odd or program.stochastic or program.remainder:
            raise SolvergenError(
                f"{program.name}: numbers per sample are trained for steps without past states, [memory], corrector, "
                "noise, other coordinates than lambda and the clock, [call] level and `first`; fit one list for "
                "all samples (without --predictor)"
            )

    def run(self, model: Model, x: Tensor, levels: Sequence[float], late: Late) -> Tensor:
        """The ends of states x (b, …) at levels[0], with the numbers that `late` gives."""
        past: list[Tensor] = []  # newest first
        inner: dict[str, Tensor] = {}  # evaluations at the stages of the step before
        for i, (high, low) in enumerate(pairwise(levels)):
            sigma = x.new_full((len(x),), high)
            denoised = model(x, sigma)
            numbers = late(i, x, denoised)
            step = self.program.step_at(i, len(levels) - 1)
            values = {
                p.name: p.values[i] if p.values else p.default for p in self.program.parameters
            }
            given = {name: _exact(value, x) for name, value in values.items()} | dict(numbers)
            given |= self.ratios(levels, i, x)
            past.insert(0, self.integrand(denoised, x, sigma))
            known = {"n": past[0], **{f"n-{k}": f for k, f in enumerate(past[1:], 1)}, **inner}
            x = self.step(model, step, x, known, (high, low), given)
            inner = {f"{row.name}-1": known[row.name] for row in step.stages}
        return x

    def ratios(self, levels: Sequence[float], i: int, like: Tensor) -> dict[str, Tensor]:
        """How far back the levels before step i are, in steps of λ and of the clock."""
        lam = like.new_tensor([-math.log(level) for level in levels[: i + 2]])
        clock = self.clock(lam)
        found = {}
        for k in range(1, i + 1):
            found[f"theta{k}"] = (lam[i] - lam[i - k]) / (lam[i + 1] - lam[i])
            found[f"Theta{k}"] = (clock[i] - clock[i - k]) / (clock[i + 1] - clock[i])
        return found

    def step(
        self,
        model: Model,
        step: Step,
        x: Tensor,
        known: dict[str, Tensor],
        levels: tuple[float, float],
        numbers: Mapping[str, Tensor],
    ) -> Tensor:
        """The state at the end of a step; its stages are added to the evaluations that are known.

        Args:
            known: what rows weigh, by source: ``n``, ``n-1``, …
            numbers: values of all parameters and step ratios.
        """
        low, high = (x.new_tensor(-math.log(level)) for level in levels)
        values = {**numbers, "h": high - low}

        def read(expr: Expr) -> Tensor:
            found: Tensor = evaluate(expr, values, FUNCTIONS, lambda q: _exact(q, x))
            return found

        for row in step.stages:
            at = self.place(row.place, low, high, read)
            state = self.state(row, x, known, (low, high, at), read)
            sigma = torch.exp(-at).expand(len(x))
            told = sigma * read(row.level)
            output = model(state, told)
            if self.program.output == "noise" and row.level != ONE:
                output = state - (sigma / told).reshape(_wide(x)) * (state - output)
            known[row.name] = self.integrand(output, state, sigma)
        return self.state(step.final, x, known, (low, high, high), read)

    def integrand(self, denoised: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """What rows weigh, from a denoised prediction."""
        if self.kappa == 1:
            return denoised
        noise = (x - denoised) / sigma.reshape(_wide(x))
        return noise if self.kappa == -1 else noise - denoised

    def place(
        self, place: Place, low: Tensor, high: Tensor, read: Callable[[Expr], Tensor]
    ) -> Tensor:
        """λ of a place of the step."""
        if place.is_end or place.fraction == ZERO:
            return high if place.is_end else low
        fraction = read(place.fraction)
        if place.coordinate == "lambda":
            return low + fraction * (high - low)
        start, end = self.clock(low), self.clock(high)
        value = start + fraction * (end - start)
        if self.kappa:
            return self.kappa * torch.log(value)
        return torch.log(1 / value - 1)

    def clock(self, lam: Tensor) -> Tensor:
        """The integrand's clock."""
        return torch.exp(self.kappa * lam) if self.kappa else 1 / (1 + torch.exp(lam))

    def scale(self, lam: Tensor) -> Tensor:
        """S of the plain form, under α = 1."""
        if self.kappa == -1:
            return torch.ones_like(lam)
        return torch.exp(-lam) + (0 if self.kappa else 1)

    def state(
        self,
        row: Row,
        x: Tensor,
        known: Mapping[str, Tensor],
        where: tuple[Tensor, Tensor, Tensor],
        read: Callable[[Expr], Tensor],
    ) -> Tensor:
        """The state of a row."""
        low, high, at = where
        if row.gauge == "clock":
            unit = self.scale(at) * (self.clock(high) - self.clock(low))
        else:
            unit = torch.ones_like(at) if self.kappa == 1 else -torch.exp(-at)
        total = _times(self.scale(at) / self.scale(low) * read(row.decay), x)
        for term in row.terms:
            total = total + _times(unit * read(term.weight), known[term.source])
        return total


def _exact(value: Fraction, like: Tensor) -> Tensor:
    return like.new_tensor(value.numerator / value.denominator)


def _wide(x: Tensor) -> tuple[int, ...]:
    return (-1,) + (1,) * (x.ndim - 1)


def _times(factor: Tensor, x: Tensor) -> Tensor:
    """One factor for all samples, or one a sample."""
    return factor * x if factor.ndim == 0 else factor.reshape(_wide(x)) * x


def _phi(k: int, z: Tensor) -> Tensor:
    """φ_k(z), with finite derivatives on both branches."""
    small = z.abs() < 2
    near = torch.where(small, z, torch.zeros_like(z))
    far = torch.where(small, torch.full_like(z, 3.0), z)
    term = total = torch.full_like(near, 1 / math.factorial(k))
    for j in range(1, TERMS):
        term = term * near / (k + j)
        total = total + term
    value = torch.expm1(far) / far
    for j in range(1, k):
        value = (value - 1 / math.factorial(j)) / far
    return torch.where(small, total, value)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "phi": _phi,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log1p": torch.log1p,
    "log": torch.log,
    "sqrt": torch.sqrt,
}
