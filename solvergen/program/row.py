"""A row of a Program: a state as a linear combination of model evaluations, and what that means.

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
    eta1 …       the same in a further coordinate y(λ); eta2_1 … in the second of the solver
    moment(m, c) ∫_{λ_n}^{λ_n+ch} Y^m d(clock) / (clock_{n+1} − clock_n), Y = (y − y_n)/(y_{n+1} − y_n)
    offset(c)    Y at λ_n + c h
    fraction(c)  where in the step, as a fraction of it in λ, Y = c
    slope(c)     d(clock)/dY at λ_n + c h, over clock_{n+1} − clock_n
                 a last argument is the number of the further coordinate, 1 where there is none
    phi(k, z), exp, expm1, log1p, sqrt, and the solver's parameters.

A stochastic solver's rows also draw unit noise. A draw z with weight g adds σ_i g z to x at the
row's place i, whatever the integrand, and the factor `decay` multiplies the state from the start of
the step beside the ODE's own propagation:

    data      u_i = decay e^{−(λ_i−λ_n)} u_n + Σ_j w_j D_j + e^{−λ_i} Σ_k g_k z_k

A row may also carry accepted states x_{n−k} of earlier steps, each brought to its place by the
linear part alone; with factors c_k and `decay` (then the factor on the current state) summing to 1,

    gauge "clock"    Y_i = decay Y_n + Σ_k c_k Y_{n−k} + (clock_{n+1} − clock_n) Σ_j w_j f_j

Further symbols, in `lets` of a step and in explicit weights: sigma and sigma_next, which are σ/α at n
and n+1, steps, the number of steps of the run, and i, the number of the step, from 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

from sympy import Expr, Symbol, exp

from ..errors import DeriveError
from ..expr.arithmetic import ONE, ZERO, multiply
from ..expr.functions import PLACE, expm1, log1p, phi

KAPPA = {"data": 1, "noise": -1, "velocity": 0}
Level = TypeVar("Level")
FURTHER = tuple(PLACE)  # functions of a further coordinate
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
        return bool(self.fraction == ONE)

    def lam(self, kappa: int | Expr) -> Expr:
        """The place as a fraction of the step in λ, exactly.

        Raises:
            DeriveError: a place in the clock of velocity, which h alone does not determine.
        """
        if self.coordinate in ("lambda", "grid") or self.fraction in (ZERO, ONE):
            return self.fraction
        if kappa == 0:
            raise DeriveError(_BOTH_CLOCKS)
        h = Symbol("h")
        return log1p(multiply(self.fraction, expm1(kappa * h))) / (kappa * h)

    def clock(self, kappa: int | Expr) -> Expr:
        """The place as a fraction of the step in the clock, exactly.

        Raises:
            DeriveError: a place in λ for velocity, which h alone does not determine.
        """
        if self.coordinate == "clock" or self.fraction in (ZERO, ONE):
            return self.fraction
        if self.coordinate == "grid":
            return Symbol(f"Gamma{self.ahead}")
        if kappa == 0:
            raise DeriveError(_BOTH_CLOCKS)
        h = Symbol("h")
        return expm1(kappa * self.fraction * h) / expm1(kappa * h)


@dataclass(frozen=True)
class Term:
    """A model evaluation with its exact weight.

    Args:
        source: ``n``, ``n-1``, …, ``n+1`` (correctors), or the name of a stage, with ``-1`` that of
            the step before.
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
class Row:
    """A state inside the step (or at its end) as a linear combination of evaluations and draws.

    Args:
        decay: factor on the state from the start of the step, beside the ODE's own propagation.
        noise: rows of one step that name the same draw share it.
        carry: accepted states of earlier steps, ``x-1``, ``x-2``, …, with their factors.
        level: at what multiple of its state's σ/α the model is called for it (stages).
    """

    name: str
    place: Place
    gauge: str
    terms: tuple[Term, ...]
    decay: Expr = ONE
    noise: tuple[Draw, ...] = ()
    carry: tuple[Term, ...] = ()
    level: Expr = ONE

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """Every expression of the row: its weights, its decay, the weights of its draws."""
        terms = tuple(term.weight for term in (*self.terms, *self.carry))
        return (*terms, self.decay, *(draw.weight for draw in self.noise), self.level)

    def u_weights(self, kappa: int) -> tuple[tuple[str, Expr], ...]:
        """(source, weight) pairs in the λ gauge, whatever the row's own gauge.

        One clock unit of the step is e^{−κch} h φ_1(κh) units of u at the place c.
        """
        if self.gauge == "lambda" or kappa == 0:
            return tuple((term.source, term.weight) for term in self.terms)
        h = Symbol("h")
        unit = h * phi(1, kappa * h) * exp(-kappa * self.place.lam(kappa) * h)
        return tuple((term.source, multiply(unit, term.weight)) for term in self.terms)


def depth(source: str) -> int:
    """How far back a source reaches: k for ``n-k``, ``x-k`` and a stage's ``mid-k``; else 0."""
    back = source.partition("-")[2]
    return int(back) if back.isdigit() else 0


def past_offset(number: int) -> str:
    """The stem of history offsets in the further coordinate of this number."""
    return "eta" if number == 1 else f"eta{number}_"


def coordinate_number(name: str) -> int:
    """The number of the further coordinate in which a symbol is a history offset, or 0.

    >>> coordinate_number("eta1"), coordinate_number("eta3_2"), coordinate_number("theta1")
    (1, 3, 0)
    """
    found = re.fullmatch(r"eta(?:(\d+)_)?\d+", name)
    return int(found[1] or 1) if found else 0


def recalled(source: str) -> str:
    """The stage of the step before that a source is: ``mid`` for ``mid-1``; else nothing.

    >>> recalled("mid-1"), recalled("n-1"), recalled("mid")
    ('mid', '', '')
    """
    name = source.partition("-")[0]
    return name if depth(source) and name not in ("n", "x") else ""
